"""An index server with many files.

C{index-register}: the milliseconds in which a node registers 100,000 files in parts, as nodes do it, from when it is
told of them until the last part is acknowledged. The peer is the same node that registers one file at a time, each
acknowledged before the next, as the design paper of the index server has it: 5,000 files are registered so, and their
time taken 20 times. Both are done over loopback, at the daemon as users run it, by a process that does nothing else:
C{python -m benchmarks.index PORT}, which prints both times. What the daemon does afterwards, to have the names
found by words faster, is in neither.

C{index-search}: how many questions for an exact name our directory answers in a second, of 1,000,000 files that it
has, with the number of sources of each; the peer is SQLite's FTS5 over the same names, in the same process and in
memory, asked for the same name as a phrase.
"""

from __future__ import annotations

import gc
import hashlib
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.task import react

from benchmarks.harness import Load, Measure, figure, take
from benchmarks.peers import FTS5, PAPER
from benchmarks.processes import LOOPBACK, Server, daemon, free_port, wait_until_listening
from benchmarks.report import BenchmarkError, Row
from twisted_bazaar.byte_budget import MIB, ByteBudget
from twisted_bazaar.discovery.index.client.member import IndexMember
from twisted_bazaar.discovery.index.directory.directory import Directory
from twisted_bazaar.discovery.index.messages import AddFile, File, Listed, Update
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.interfaces import IRole
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.node import Node
from twisted_bazaar.role import Role
from twisted_bazaar.roles.node_ids import MANY_OBJECTS
from twisted_bazaar.service.process import expect_many_objects
from twisted_bazaar.values.addresses import Address, Origin, Peer
from twisted_bazaar.values.files import FileQuery, SharedFile
from twisted_bazaar.wire.message import TRACKER_ID

_ROUNDS: Final = 9
_FILES: Final = 100_000
_ONE_BY_ONE: Final = 5_000
_PATIENCE_S: Final = 60.0
_TITLES: Final = 1_000_000
_TITLES_A_PEER: Final = 100_000
_QUESTIONS: Final = 20_000
_ROOT: Final = Path(__file__).resolve().parent.parent
_WORDS: Final = (
    "river",
    "stone",
    "winter",
    "song",
    "letter",
    "garden",
    "morning",
    "glass",
    "harbour",
    "silver",
    "road",
)


def measure() -> list[Row]:
    """All rows of this module."""
    with _index_server() as server:
        both = Load(lambda: _register(server))
        register = Measure(
            name="index-register",
            unit="milliseconds for 100,000 files",
            goal=20.0,
            peer=PAPER,
            ours=both["together"],
            theirs=both["one by one"],
            is_cost=True,
        )
        rows = take([register], _ROUNDS)
    return [*rows, *_searches()]


def _name(number: int) -> str:
    chosen = random.Random(number).sample(_WORDS, 3)
    return f"{' '.join(chosen)} {number}.ogg"


def _digest(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


def _shared(number: int) -> SharedFile:
    return SharedFile(_name(number), 1_000 + number, _digest(number))


@contextmanager
def _index_server() -> Iterator[Server]:
    port = free_port()
    words = ["bazaar-node", "--role", "index_server", "--ephemeral", "--listen", f"tcp:{port}:interface={LOOPBACK}"]
    with daemon(words) as process:
        yield wait_until_listening(process, port)


def _register(server: Server) -> dict[str, float]:
    """Have files be registered in another process; returns the milliseconds for all, together and one by one."""
    command = [sys.executable, "-m", "benchmarks.index", str(server.port)]
    done = subprocess.run(
        command, cwd=_ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
    )
    words = done.stdout.split()
    if done.returncode or len(words) != 2:
        last = done.stderr.strip().rpartition("\n")[2]
        raise BenchmarkError(f"the files were not registered: {last}")
    return {"together": 1e3 * float(words[0]), "one by one": 1e3 * _FILES * float(words[1])}


def _searches() -> list[Row]:
    """How many questions for an exact name are answered in a second: by our directory, and by FTS5."""
    # What a daemon does that has many objects: they are not garbage.
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        directory = _full_directory()
        asker = Peer(1, "f" * 64, Address("10.0.0.1", 4000))
        asked = [_name(number) for number in random.Random(1).sample(range(_TITLES), _QUESTIONS)]
        with closing(sqlite3.connect(":memory:")) as database:
            database.execute("CREATE VIRTUAL TABLE files USING fts5(name, size UNINDEXED, digest UNINDEXED)")
            titles = ((_name(number), 1_000 + number, _digest(number)) for number in range(_TITLES))
            database.executemany("INSERT INTO files VALUES (?, ?, ?)", titles)
            search = Measure(
                name="index-search",
                unit="questions a second",
                goal=1.0,
                peer=FTS5,
                ours=figure(lambda: _rate(asked, lambda name: _find(directory, name, asker))),
                theirs=figure(lambda: _rate(asked, lambda name: _match(database, name))),
            )
            return take([search], _ROUNDS)
    finally:
        gc.enable()
        gc.unfreeze()


def _full_directory() -> Directory:
    """A directory in which ten peers have listed all files, and nothing is left to be done."""
    directory = Directory(budget=ByteBudget(2_048 * MIB))
    for number in range(0, _TITLES, 1_000):
        owner = number // _TITLES_A_PEER
        peer = Peer(owner + 2, f"{owner:064x}", Address(f"10.0.1.{owner + 1}", 4000))
        add = tuple(File(name=_name(n), size=1_000 + n, digest=_digest(n)) for n in range(number, number + 1_000))
        base = 0 if number % _TITLES_A_PEER == 0 else number
        directory.update(peer, Update(id=1, base=base, mark=number + 1_000, add=add), 0.0)
    while directory.has_backlog:
        directory.run_backlog()
    return directory


def _rate(asked: Sequence[str], find: Any) -> float:
    began = time.perf_counter()
    for name in asked:
        if find(name) != name:
            raise BenchmarkError(f"{name!r} was not found")
    return len(asked) / (time.perf_counter() - began)


def _find(directory: Directory, name: str, asker: Peer) -> str:
    try:
        next(directory.find(FileQuery(name=name), asker))
    except StopIteration as end:
        [file] = end.value.files
        found: str = file.name
        return found
    raise BenchmarkError("a question for a name takes more than one step")


def _match(database: sqlite3.Connection, name: str) -> str:
    [(found, _, _)] = database.execute("SELECT * FROM files WHERE name MATCH ?", (f'"{name}"',)).fetchall()
    answer: str = found
    return answer


# What follows runs in the other process.


class _OneByOne(Role):
    """Registers files, each when the one before is acknowledged.

    @param done: called after the last.
    """

    def __init__(self, files: Sequence[SharedFile], done: Callable[[], object]) -> None:
        self._files = iter(files)
        self._done = done
        self.receives = {Listed: self._next}

    def tracker_joined(self) -> None:
        """Begin."""
        self._next(None, None)

    def _next(self, _answer: object, _origin: object) -> None:
        file = next(self._files, None)
        if file is None:
            self._done()
            return
        message = AddFile(id=file.size, name=file.name, size=file.size, digest=file.digest)
        self.node.send(message, (self.node.id, TRACKER_ID))


class _AllAtOnce(IndexMember):
    """Registers files as nodes do.

    @param done: called when the last part is acknowledged.
    """

    def __init__(self, files: Sequence[SharedFile], done: Callable[[], object]) -> None:
        super().__init__()
        self._shared = files
        self._done = done

    def tracker_joined(self) -> None:
        """Begin."""
        super().tracker_joined()
        self.publish(self._shared, ())

    def _listed_received(self, answer: Listed, origin: Origin) -> None:
        super()._listed_received(answer, origin)
        if self.is_in_sync:
            self._done()


async def _time(reactor: Any, port: int, make_role: Callable[[Callable[[], object]], IRole]) -> float:
    """The seconds from when a node has joined until its role is done."""
    done: Deferred[None] = Deferred()

    def finish() -> None:
        if not done.called:
            done.callback(None)

    role = make_role(finish)
    rng = random.SystemRandom()
    began = 0.0
    joined = role.tracker_joined

    def join() -> None:
        nonlocal began
        began = time.perf_counter()
        joined()

    role.tracker_joined = join  # type: ignore[method-assign]
    tracker = TCP4ClientEndpoint(reactor, LOOPBACK, port)
    node = Node(reactor, rng, KeyPair.generate(rng), [role], limits=Limits(min_links=0), tracker=tracker)
    await node.start(None)
    await done
    elapsed_s = time.perf_counter() - began
    await node.stop()
    return elapsed_s


async def _register_both(reactor: Any, port: int) -> None:
    files = [_shared(number) for number in range(_FILES)]
    expect_many_objects(MANY_OBJECTS)
    together = await _time(reactor, port, lambda done: _AllAtOnce(files, done))
    one_by_one = await _time(reactor, port, lambda done: _OneByOne(files[:_ONE_BY_ONE], done))
    print(together, one_by_one / _ONE_BY_ONE)


def _main(reactor: Any, port: str) -> Deferred[None]:
    return Deferred.fromCoroutine(_register_both(reactor, int(port)))


if __name__ == "__main__":
    react(_main, sys.argv[1:])
