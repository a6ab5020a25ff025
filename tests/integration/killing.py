"""A sale during which the seller or the buyer is killed, at a chosen system call of it, and started again.

Both are daemons in processes of their own. C{strace} kills one with C{SIGKILL} just before its Nth call of
some kind. Then the other is stopped, and both books are read as the disk has them, before anything that is
started again could mend them. Only then does the sale go on.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from attrs import define, frozen

from tests.integration.daemons import TWISTD, free_port

# How writes and syncs are called, of files and of sockets, and what else changes a directory; and waiting, for the
# moments between.
CALLS: Final = (
    *("pwrite64", "fdatasync", "fsync", "ftruncate", "rename", "unlink", "sendto", "write"),
    *("openat", "recvfrom", "epoll_wait"),
)
GOODS: Final = {"apple": 2, "fig": 1, "kiwi": 1, "lime": 4, "pear": 3, "plum": 2}
_STOCK: Final = 10
_PATIENCE_S: Final = 60.0
# So long what is on the way when somebody dies may take to arrive.
_ARRIVING_S: Final = 0.15


@frozen
class KillPoint:
    """Where somebody is killed.

    @ivar who: C{seller} or C{buyer}.
    @ivar call: a system call.
    @ivar number: before which of these calls it makes; each of its threads counts its own.
    """

    who: str
    call: str
    number: int


class Nursery:
    """Where daemons come from, one at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.prey"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent.parent,
        )
        self.pid: int | None = None

    def start(self, words: list[str], log: Path, *, is_held: bool = False, plant: str | None = None) -> int:
        """Start a daemon; returns its process id."""
        assert self._process.stdin is not None, "it is a pipe"
        request = {"words": words, "log": str(log), "is_held": is_held, "plant": plant}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        self.pid = int(self._read("pid"))
        return self.pid

    def wait(self) -> int:
        """Wait until the daemon has ended; returns its status, negative for a signal."""
        status = self._read("status")
        self.pid = None
        return status

    def send(self, number: int) -> None:
        """Send the daemon a signal."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def fileno(self) -> int:
        """Readable when the daemon has ended."""
        assert self._process.stdout is not None, "it is a pipe"
        return self._process.stdout.fileno()

    def end(self) -> None:
        """End the daemon, if it has not."""
        if self.pid is not None:
            self.send(signal.SIGKILL)
            self.wait()

    def close(self) -> None:
        """End it all."""
        self.end()
        self._process.communicate()

    def _read(self, key: str) -> int:
        assert self._process.stdout is not None, "it is a pipe"
        return int(json.loads(self._process.stdout.readline())[key])


@define
class Books:
    """What both have on their disks.

    @ivar sold: the orders that the seller's book has as sold, by id, with item and quantity.
    @ivar ordered: the orders in the buyer's book, by id, with state, item and quantity.
    @ivar levels: the counts of the seller's stock: supplied, in stock, sold, withdrawn.
    """

    sold: dict[str, tuple[str, int]]
    ordered: dict[str, tuple[str, str, int]]
    levels: dict[str, tuple[int, int, int, int]]

    @classmethod
    def on(cls, place: Path) -> Self:
        """The books in copies of both state directories."""
        ledger, orders = place / "seller" / "ledger.sqlite", place / "buyer" / "orders.sqlite"
        sold = rows(ledger, "SELECT id, item, quantity FROM deals WHERE outcome = 'sold'")
        ordered = rows(orders, "SELECT id, state, item, quantity FROM orders")
        levels = rows(ledger, "SELECT item, supplied, in_stock, sold, withdrawn FROM stock")
        return cls(
            {row[0].hex(): tuple(row[1:]) for row in sold},
            {row[0].hex(): tuple(row[1:]) for row in ordered},
            {row[0]: tuple(row[1:]) for row in levels},
        )

    def faults(self) -> Iterator[str]:
        """What must never be so, whoever has died."""
        for order, (state, item, quantity) in self.ordered.items():
            if state == "confirmed" and self.sold.get(order) != (item, quantity):
                yield f"the buyer has a yes to {order} ({quantity} {item}), which is not on the seller's disk"
            if state in ("refused", "cancelled") and order in self.sold:
                yield f"the buyer has given {order} up, which is sold"
        for order, (item, quantity) in self.sold.items():
            if order not in self.ordered:
                yield f"{order} ({quantity} {item}) is sold, and not in the buyer's book"
        for item, (supplied, in_stock, sold, withdrawn) in self.levels.items():
            told = sum(quantity for other, quantity in self.sold.values() if other == item)
            if supplied != in_stock + sold + withdrawn or in_stock < 0 or sold != told:
                yield f"{item}: {supplied} supplied, {in_stock} left, {sold} sold, {told} of them told"


class Bench:
    """A tracker, and room for one seller and one buyer at a time.

    @param directory: for everything that is written.
    @param plant: a flaw that whoever is to be killed has, if any.
    """

    def __init__(self, directory: Path, plant: str | None = None) -> None:
        self._directory = directory
        self._plant = plant
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._tracker_port = free_port()
        tracker = subprocess.Popen(
            [*TWISTD, "bazaar-tracker", "--listen", f"tcp:{self._tracker_port}:interface=127.0.0.1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._stack.callback(tracker.wait)
        self._stack.callback(tracker.kill)
        self._nurseries = {who: Nursery() for who in ("seller", "buyer")}
        for nursery in self._nurseries.values():
            self._stack.callback(nursery.close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def play(self, point: KillPoint) -> list[str] | None:
        """Make one sale of everything, with a death in it.

        @return: what was wrong; None if nobody came to that call.
        """
        place = self._directory / f"{point.who}-{point.call}-{point.number}"
        place.mkdir()
        words = {"seller": self._seller(place, free_port()), "buyer": self._buyer(place)}
        try:
            faults = self._play(point, words, place)
        finally:
            for nursery in self._nurseries.values():
                nursery.end()
        if not faults:
            shutil.rmtree(place)
        return faults

    def _play(self, point: KillPoint, words: Mapping[str, list[str]], place: Path) -> list[str] | None:
        seller, buyer = self._nurseries["seller"], self._nurseries["buyer"]
        hunted = self._nurseries[point.who]
        for who, nursery in self._nurseries.items():
            log = place / f"{who}.log"
            if nursery is not hunted:
                nursery.start(words[who], log)
                continue
            pid = nursery.start(words[who], log, is_held=True, plant=self._plant)
            with _stopped_when_it_stops(pid):
                strace = _set_strace_on(pid, point)
        status = _first_status([hunted, buyer])
        if point.who == "seller" and hunted.pid is not None:
            # All is bought, but the seller may still die when it is told to end.
            seller.send(signal.SIGTERM)
            status = seller.wait()
        strace.wait()
        if status != -signal.SIGKILL:
            return None
        time.sleep(_ARRIVING_S)
        faults = [f"before the restart: {fault}" for fault in self._books(place).faults()]
        again = place / f"{point.who}-again.log"
        hunted.start(words[point.who], again)
        _wait_for(again, "joined the network")
        if buyer.pid is not None and (ended := buyer.wait()):
            faults.append(f"the buyer ended with {ended}")
        seller.send(signal.SIGTERM)
        if ended := seller.wait():
            faults.append(f"the seller ended with {ended}")
        books = self._books(place)
        faults += [f"at the end: {fault}" for fault in books.faults()]
        bought = {item: sum(n for other, n in books.sold.values() if other == item) for item in GOODS}
        if bought != GOODS:
            faults.append(f"at the end {bought} are sold, and {GOODS} were wanted")
        return faults

    def _books(self, place: Path) -> Books:
        """What both disks hold at this instant."""
        for nursery in self._nurseries.values():
            nursery.send(signal.SIGSTOP)
        try:
            copies = place / "copies"
            for who in self._nurseries:
                shutil.copytree(place / who, copies / who, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
        finally:
            for nursery in self._nurseries.values():
                nursery.send(signal.SIGCONT)
        books = Books.on(copies)
        shutil.rmtree(copies)
        return books

    def _seller(self, place: Path, port: int) -> list[str]:
        goods = [word for item in GOODS for word in ("--stock", f"{item}={_STOCK}")]
        listen = f"tcp:{port}:interface=127.0.0.1"
        return ["--role", "seller", *goods, "--listen", listen, *self._common(place / "seller")]

    def _buyer(self, place: Path) -> list[str]:
        goods = [word for item, quantity in GOODS.items() for word in ("--want", f"{item}={quantity}")]
        once = ["--once", "--timeout", f"{_PATIENCE_S:g}", "--gather", "0.05", "--for", "week 47"]
        return ["--role", "buyer", *goods, *once, *self._common(place / "buyer")]

    def _common(self, state: Path) -> list[str]:
        state.mkdir()
        return ["--state", str(state), "--tracker", f"tcp:127.0.0.1:{self._tracker_port}"]


@contextmanager
def _stopped_when_it_stops(pid: int) -> Iterator[None]:
    """Wait until a process that stops itself has done so, and let it go on in the end."""
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.001)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _set_strace_on(pid: int, point: KillPoint) -> subprocess.Popen[str]:
    """Have a process killed at a call; returns when that is sure."""
    words = ["strace", "-f", "-p", str(pid), "-o", "/dev/null", "-e", f"trace={point.call}"]
    words += ["-e", f"inject={point.call}:signal=KILL:when={point.number}"]
    strace = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert strace.stderr is not None, "it is a pipe"
    line = strace.stderr.readline()
    if "attached" not in line:
        raise AssertionError(f"strace cannot be used here: {line}")
    return strace


def _first_status(nurseries: Sequence[Nursery]) -> int:
    """Wait until the daemon of one of these has ended; returns its status."""
    ready, _, _ = select.select(nurseries, [], [], _PATIENCE_S)
    return min(ready, key=nurseries.index).wait()


def _wait_for(log: Path, words: str) -> None:
    """Wait until a log says something."""
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        if log.exists() and words in log.read_text():
            return
        time.sleep(0.01)
    raise AssertionError(f"{log} never said {words!r}:\n{log.read_text() if log.exists() else None}")


def rows(file: Path, query: str) -> list[Any]:
    """What a query gives of a book; nothing if there is no such book yet."""
    if not file.exists():
        return []
    connection = sqlite3.connect(file)
    try:
        return connection.execute(query).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return []
        raise
    finally:
        connection.close()
