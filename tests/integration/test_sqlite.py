"""The store in SQLite with its thread, and in processes that are killed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_twisted
from twisted.python.threadable import isInIOThread
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.blocking import BlockingCase
from tests.integration.market import reactor
from tests.trade.books import PurchasesContract, SalesContract
from twisted_bazaar.errors import StorageError, UsageError
from twisted_bazaar.trade.stores.sqlite import PURCHASES, SALES, SqliteStore
from twisted_bazaar.trade.stores.sqlite_file import FileKind
from twisted_bazaar.trade.stores.store import SalesBook
from twisted_bazaar.values.sale import Deal, Outcome, StockLevel

ROOT: Final = Path(__file__).resolve().parent.parent.parent
LONGEST_S: Final = 30.0
KILLS: Final = 8


class ThreadedCase(BlockingCase):
    """A store with a thread of its own."""

    kind: FileKind[Any]

    @pytest.fixture
    def unopened(self, tmp_path: Path) -> SqliteStore:
        """A file of that kind."""
        return SqliteStore(tmp_path / "book.sqlite", self.kind)


class SalesTests(ThreadedCase, SalesContract, SynchronousTestCase):
    """A seller's book."""

    kind = SALES


class PurchasesTests(ThreadedCase, PurchasesContract, SynchronousTestCase):
    """A buyer's book."""

    kind = PURCHASES


class Seller:
    """A seller under load. Leaving it kills it.

    @param at_once: how many orders are under way at any time.
    @param wrap: the command that runs it.
    """

    def __init__(self, path: Path, seed: int, at_once: int, *wrap: str) -> None:
        self._process = subprocess.Popen(
            (*wrap, sys.executable, "-m", "tests.integration.loaded_seller", str(path), str(seed), str(at_once)),
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
            # So that what it is wrapped in is killed with it.
            start_new_session=True,
        )

    def __enter__(self) -> Seller:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        self.told.close()

    @property
    def told(self) -> Any:
        """What it tells."""
        assert self._process.stdout is not None, "it is a pipe"
        return self._process.stdout

    def kill(self) -> list[str]:
        """Kill it; returns what it has told and nobody has read yet, whole lines only."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(LONGEST_S)
        return [line for line in self.told if line.endswith("\n")]


async def book_of(store: SqliteStore[SalesBook]) -> tuple[dict[str, StockLevel], dict[tuple[str, str], Deal]]:
    """All counts and all deals."""
    levels, deals = await store.run_transaction(lambda book: (book.levels(), book.latest("", 10**9)))
    return levels, {deal.order.key: deal for deal in deals}


@pytest_twisted.ensureDeferred
@pytest.mark.slow
async def test_killed_again_and_again(tmp_path: Path) -> None:
    """Whenever a seller is killed, its counts add up, and it knows every answer that it has given, to the byte."""
    path = tmp_path / "ledger.sqlite"
    told: dict[tuple[str, str], str] = {}
    for seed in range(KILLS):
        with Seller(path, seed, 20) as seller:
            lines = [seller.told.readline() for _ in range(1 + seed * 97)]
            lines += seller.kill()
        assert all(lines)
        for line in lines:
            buyer, order_id, answer = line.split()
            told[buyer, order_id] = answer
        assert Path(f"{path}-wal").stat().st_size > 0, "it was not killed in the middle of anything"
        store = SqliteStore(path, SALES)
        store.check()
        store.open(reactor)
        levels, deals = await book_of(store)
        await store.close()

        assert {key: deals[key].answer.encode().hex() for key in told} == told
        sold = Counter[str]()
        for deal in deals.values():
            if deal.outcome is Outcome.SOLD:
                sold[deal.order.item] += deal.order.quantity
        for level in levels.values():
            assert level.supplied == level.in_stock + level.sold + level.withdrawn
            assert level.sold == sold[level.item]
        assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert levels["pear"].in_stock == 0
    assert len(told) > KILLS * 97


def synced_before_told(trace: str) -> list[bool]:
    """Of each answer that a process told: whether all of the log was on the disk by then."""
    [log] = set(re.findall(r'ledger\.sqlite-wal", .*= (\d+)', trace))
    is_synced, told = True, []
    for line in trace.splitlines():
        if f"pwrite64({log}, " in line:
            is_synced = False
        elif re.search(rf"(fdatasync\({log}\)|<... fdatasync resumed>\)) += 0", line):
            is_synced = True
        elif " write(1, " in line:
            told.append(is_synced)
    return told


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_on_the_disk_before_it_is_told(tmp_path: Path) -> None:
    """Before an answer leaves the process, the log that it stands in is synced."""
    trace = tmp_path / "trace"
    strace = ("strace", "-f", "-qq", "-e", "trace=openat,pwrite64,write,fdatasync", "-o", str(trace))
    with Seller(tmp_path / "ledger.sqlite", 1, 1, *strace) as seller:
        for _ in range(100):
            assert seller.told.readline()
    told = synced_before_told(trace.read_text(encoding="utf-8", errors="replace"))

    assert len(told) >= 100
    assert all(told)


@pytest.mark.slow
@pytest_twisted.ensureDeferred
async def test_one_process_at_a_time(tmp_path: Path) -> None:
    """A second process is refused the book, in one line, while the first has it; then it gets it."""
    path = tmp_path / "ledger.sqlite"
    store = SqliteStore(path, SALES)
    with Seller(path, 1, 20) as seller:
        seller.told.readline()
        with pytest.raises(UsageError) as caught:
            store.check()
        assert "another process has it open" in str(caught.value)
        store.open(reactor)
        with pytest.raises(StorageError, match="another process has it open"):
            await store.run_transaction(lambda book: book.levels())

    assert "apple" in await store.run_transaction(lambda book: book.levels())
    await store.close()


@pytest_twisted.ensureDeferred
async def test_threads(tmp_path: Path) -> None:
    """The book is worked at in another thread, and what comes of it is told in the reactor's."""
    store = SqliteStore(tmp_path / "ledger.sqlite", SALES)
    store.open(reactor)
    places: list[bool] = []

    def work(book: SalesBook) -> None:
        places.append(isInIOThread())

    done = store.run_transaction(work).addCallback(lambda result: places.append(isInIOThread()))
    await done
    await store.close()
    assert places == [False, True]
