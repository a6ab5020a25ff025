"""A sale during which the seller or the buyer is killed, at a chosen system call of it, and started again.

Both are daemons in processes of their own. C{strace} kills one with C{SIGKILL} just before its Nth call of
some kind. Then the other is stopped, and both books are read as the disk has them, before anything that is
started again could mend them. Only then does the sale go on.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from attrs import define, frozen

from tests.integration import fork_server
from tests.integration.daemons import TWISTD, free_port
from tests.integration.prey import NO_FLAW

# How writes and syncs are called, of files and of sockets, and what else changes a directory; and waiting, for the
# moments between.
CALLS: Final = (
    *("pwrite64", "fdatasync", "fsync", "ftruncate", "rename", "unlink", "sendto", "write"),
    *("openat", "recvfrom", "epoll_wait"),
)
GOODS: Final = {"apple": 2, "fig": 1, "kiwi": 1, "lime": 4, "pear": 3, "plum": 2}
PREY: Final = (sys.executable, "-m", "tests.integration.prey")
ROOT: Final = Path(__file__).parent.parent.parent
_STOCK: Final = 10
_PATIENCE_S: Final = 60.0
# Who was found idle so often in a row is.
_CALM_LOOKS: Final = 4


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
    @param plant: the flaw that whoever is to be killed has.
    """

    def __init__(self, directory: Path, plant: str = NO_FLAW) -> None:
        self._directory = directory
        self._plant = plant
        self._stack = ExitStack()
        self._running: dict[str, fork_server.Process] = {}

    def __enter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._tracker_port = free_port()
        listen = f"tcp:{self._tracker_port}:interface=127.0.0.1"
        tracker = _start([*TWISTD, "bazaar-tracker", "--ephemeral", "--listen", listen], Path(os.devnull))
        self._stack.callback(tracker.wait)
        self._stack.callback(tracker.kill)
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
            for process in self._running.values():
                process.kill()
                process.wait()
        if not faults:
            shutil.rmtree(place)
        return faults

    def _play(self, point: KillPoint, words: Mapping[str, list[str]], place: Path) -> list[str] | None:
        for who, its_words in words.items():
            log = place / f"{who}.log"
            if who != point.who:
                self._running[who] = _start([*PREY, "free", NO_FLAW, *its_words], log)
                continue
            hunted = self._running[who] = _start([*PREY, "held", self._plant, *its_words], log)
            with _stopped_when_it_stops(hunted.pid):
                strace = _set_strace_on(hunted.pid, point)
        buyer, survivor = self._running["buyer"], self._running[{"seller": "buyer", "buyer": "seller"}[point.who]]
        select.select([hunted, buyer], [], [], _PATIENCE_S)
        if point.who == "seller" and hunted.poll() is None:
            # All is bought, but the seller may still die when it is told to end.
            hunted.terminate()
        status = hunted.wait(_PATIENCE_S)
        strace.wait()
        if status != -signal.SIGKILL:
            return None
        _wait_until_idle(survivor)
        faults = [f"before the restart: {fault}" for fault in self._books(place).faults()]
        again = place / f"{point.who}-again.log"
        self._running[point.who] = _start([*PREY, "free", NO_FLAW, *words[point.who]], again)
        if point.who == "seller":
            # A buyer may have bought all there is to buy, and ends then without joining.
            _wait_for(again, "joined the network")
        if ended := self._running["buyer"].wait(_PATIENCE_S):
            faults.append(f"the buyer ended with {ended}")
        self._running["seller"].terminate()
        if ended := self._running["seller"].wait(_PATIENCE_S):
            faults.append(f"the seller ended with {ended}")
        books = self._books(place)
        faults += [f"at the end: {fault}" for fault in books.faults()]
        bought = {item: sum(n for other, n in books.sold.values() if other == item) for item in GOODS}
        if bought != GOODS:
            faults.append(f"at the end {bought} are sold, and {GOODS} were wanted")
        return faults

    def _books(self, place: Path) -> Books:
        """What both disks hold at this instant."""
        for process in self._running.values():
            process.send_signal(signal.SIGSTOP)
        try:
            copies = place / "copies"
            for who in self._running:
                shutil.copytree(place / who, copies / who, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
        finally:
            for process in self._running.values():
                process.send_signal(signal.SIGCONT)
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


def _wait_until_idle(process: fork_server.Process) -> None:
    """Wait until a process has taken all that has come for it, and has nothing more to do, or has ended."""
    until = time.monotonic() + _PATIENCE_S
    calm, before = 0, -1
    while calm < _CALM_LOOKS and process.poll() is None:
        assert time.monotonic() < until, "it is never idle"
        try:
            spent, unread = _spent(process.pid), _unread_bytes(process.pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        calm, before = (calm + 1 if spent == before and not unread else 0), spent
        time.sleep(0.01)


def _spent(pid: int) -> int:
    """How often the threads of a process have run so far."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[2]) for task in tasks)


def _unread_bytes(pid: int) -> int:
    """How much waits in the sockets of a process."""
    sockets = {os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()}
    lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return sum(int(line[4].partition(":")[2], 16) for line in lines if f"socket:[{line[9]}]" in sockets)


def _start(words: Sequence[str], log: Path) -> fork_server.Process:
    with log.open("a") as output:
        return fork_server.start(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT)


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
