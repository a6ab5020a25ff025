"""A ring of real daemons: files stored and fetched while some leave, some are killed, and some come back."""

from __future__ import annotations

import hashlib
import json
import re
import signal
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.files.cases import pieces_of
from tests.integration.daemons import BAZAAR, Daemon, Daemons, free_port, until
from tests.integration.test_files import MIB, file_of
from twisted_bazaar.cli.control.client import NotThere, RunningNode
from twisted_bazaar.exit_status import ExitStatus

NAMES: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight")
NOBODY_HAS_IT: Final = 3
# With replicas to spare for every file: see docs/howto/ring.md.
COPIES: Final = 4


class Circle:
    """The members of a ring, or of several, each with a name, a fixed port and a state directory.

    @ivar running: those that run, by name.
    @ivar ports: where each listens, whether it runs or not.
    """

    def __init__(self, daemons: Daemons, directory: Path) -> None:
        self.daemons = daemons
        self.directory = directory
        self.ports: dict[str, int] = {}
        self.running: dict[str, Daemon] = {}

    def start(self, name: str, by: str | None = None, *words: str) -> Daemon:
        """Start a node, anew or again."""
        port = self.ports.setdefault(name, free_port())
        join = () if by is None else ("--join", f"tcp:localhost:{self.ports[by]}")
        where = ("--listen", f"tcp:{port}:interface=127.0.0.1", "--name", name)
        self.running[name] = self.daemons.start("bazaar-node", "--role", "ring_peer", *where, *join, *words)
        return self.running[name]

    def begin(self, *names: str, words: Sequence[str] = ()) -> None:
        """Begin a ring with the first of some, which the others join; wait until it is round."""
        self.start(names[0], None, *words)
        until(lambda: self.is_member(names[0]))
        for name in names[1:]:
            self.start(name, names[0], *words)
        self.until_round(names)

    def ask(self, name: str, command: str, /, **wishes: Any) -> Any:
        """What a node tells its operator."""
        return RunningNode(name, self.daemons.states / name).ask(command, **wishes)

    def status(self, name: str) -> dict[str, Any]:
        """How a member stands."""
        [told] = (each for each in self.ask(name, "status") if each.get("role") == "ring_peer")
        return dict(told)

    def is_member(self, name: str) -> bool:
        """Whether a node has joined; one that is not there yet has not."""
        daemon = self.running[name]
        assert not daemon.has_ended, daemon.rest()
        try:
            return bool(self.status(name)["member"])
        except NotThere:
            return False

    def until_round(self, names: Iterable[str] | None = None) -> None:
        """Wait until some nodes, or all that run, know exactly each other."""
        among = list(self.running if names is None else names)

        def is_round() -> bool:
            if not all(self.is_member(name) for name in among):
                return False
            standings = sorted((self.status(name) for name in among), key=lambda standing: str(standing["ring_id"]))
            places = [standing["ring_id"] for standing in standings]
            return all(
                (standing["successors"], standing["predecessor"])
                == (places[at + 1 :] + places[:at], places[at - 1] if len(places) > 1 else None)
                for at, standing in enumerate(standings)
            )

        until(is_round)

    def keepers(self) -> list[str]:
        """Those that keep a file."""
        return [name for name in self.running if self.status(name)["files"]]

    def command(self, at: str, *words: str, status: int = 0) -> Any:
        """Type C{bazaar ring} ... for a node; what it prints."""
        done = self.daemons.run(BAZAAR, "ring", *words, "--name", at, "--json")
        assert done.returncode == status, done.stderr + self.log_of(at)
        return json.loads(done.stdout) if done.stdout else None

    def log_of(self, at: str) -> str:
        """What a node has logged; it ends for that."""
        self.running[at].interrupt()
        return self.running[at].rest()

    def store(self, at: str, content: bytes, name: str = "paper") -> None:
        """Have a file stored by a node."""
        path = self.directory / name
        path.write_bytes(content)
        self.command(at, "store", str(path))
        path.unlink()

    def store_large(self, at: str, size: int, name: str = "paper") -> bytes:
        """Have a file stored of which this process never holds much; returns its digest."""
        path, digest = self.directory / name, hashlib.sha256()
        with path.open("wb") as file:
            for piece in pieces_of(size):
                file.write(piece)
                digest.update(piece)
        self.command(at, "store", str(path))
        path.unlink()
        return digest.digest()

    def fetched(self, at: str, name: str = "paper") -> bytes:
        """Request a file at a node; its content."""
        folder = self.directory / f"fetched-{len(list(self.directory.iterdir()))}"
        folder.mkdir()
        self.command(at, "request", name, "-o", str(folder))
        [path] = folder.iterdir()
        return path.read_bytes()

    def is_found(self, at: str, name: str) -> bool:
        """Whether a node gets a file when it requests it."""
        folder = self.directory / "found"
        folder.mkdir(exist_ok=True)
        done = self.daemons.run(BAZAAR, "ring", "request", name, "--name", at, "-o", str(folder))
        assert done.returncode in (0, NOBODY_HAS_IT), done.stderr
        return done.returncode == 0

    def quit(self, name: str) -> str:
        """Have a node leave as it should; its log."""
        leaving = self.running.pop(name)
        leaving.send_signal(signal.SIGTERM)
        return leaving.rest()

    def kill(self, *names: str) -> None:
        """End nodes all at once, as a power cut does."""
        dying = [self.running.pop(name) for name in names]
        for each in dying:
            each.send_signal(signal.SIGKILL)
        for each in dying:
            each.wait()


def digest_of(path: Path) -> bytes:
    """The digest of a file that is too large to be held beside others."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@pytest.fixture
def circle(tmp_path: Path) -> Iterator[Circle]:
    """A place without nodes yet."""
    with Daemons(tmp_path) as daemons:
        yield Circle(daemons, tmp_path)


@pytest.mark.slow
def test_story(circle: Circle) -> None:
    """A file outlives one of eight that leaves, and two of its keepers that are killed at once, and is kept as often as
    before soon after."""
    circle.begin(*NAMES)
    content = file_of(3 * MIB + 7)
    circle.store("one", content)
    until(lambda: len(circle.keepers()) == COPIES)
    assert circle.fetched("five") == content
    said = circle.quit("two")
    assert "has left the ring" in said
    assert "Traceback" not in said
    assert "Unhandled" not in said
    circle.until_round()
    until(lambda: len(circle.keepers()) >= COPIES)
    circle.kill(*[name for name in circle.keepers() if name != "one"][:2])
    # At once: nobody knows yet that they are dead.
    asked = next(name for name in circle.running if name not in circle.keepers())
    assert circle.fetched(asked) == content
    circle.until_round()
    # Who lost its predecessor gave all it had to those that follow it; so there may be one more for some minutes.
    until(lambda: len(circle.keepers()) >= COPIES)
    for name in list(circle.running):
        assert circle.fetched(name) == content


@pytest.mark.slow
def test_values(circle: Circle) -> None:
    """A small value is read at every node, and the last one that was put is what is read."""
    circle.begin(*NAMES[:4])
    for value in ("half past nine", "ten"):
        circle.command("one", "put", "meeting", value)
        for name in NAMES[:4]:
            assert [row["value"] for row in circle.command(name, "get", "meeting")] == [value]
    circle.command("two", "get", "nothing", status=NOBODY_HAS_IT)


@pytest.mark.slow
def test_hands_over(circle: Circle) -> None:
    """The only node that has a file hands it over when it leaves, however long that takes, and ends."""
    circle.begin(*NAMES[:4], words=("--replicas", "0"))
    content = file_of(16 * MIB)
    circle.store("one", content)
    for _ in range(2):
        [keeper] = until(circle.keepers)
        said = circle.quit(keeper)
        assert "Traceback" not in said
        assert circle.fetched(next(iter(circle.running))) == content


@pytest.mark.slow
def test_restarts(circle: Circle) -> None:
    """What nodes kept is there when all have been killed and are there again with their state."""
    names = NAMES[:3]
    circle.begin(*names)
    content = file_of(MIB)
    circle.store("one", content)
    circle.command("two", "put", "meeting", "ten")
    keys = {name: circle.status(name)["ring_id"] for name in names}
    entries = [circle.daemons.states / name / "ring-entries" for name in names]
    # What is written down is what counts after a power cut.
    until(lambda: all(path.exists() and len(path.read_text().splitlines()) == 3 for path in entries))
    circle.kill(*names)
    circle.begin(*names)
    assert {name: circle.status(name)["ring_id"] for name in names} == keys
    for name in names:
        assert circle.fetched(name) == content
        assert [row["value"] for row in circle.command(name, "get", "meeting")] == ["ten"]


def test_alone_and_back(circle: Circle) -> None:
    """One that leaves and has nobody to hand over to keeps what it has until it is there again."""
    circle.begin("one")
    content = file_of(MIB)
    circle.store("one", content)
    circle.quit("one")
    circle.begin("one")
    assert circle.fetched("one") == content


@pytest.mark.slow
def test_deleted(circle: Circle) -> None:
    """What its owner deletes nobody finds, and nobody keeps; others cannot delete it."""
    circle.begin(*NAMES[:5])
    circle.store("one", file_of(MIB))
    circle.command("two", "delete", "paper", status=1)
    assert circle.fetched("three") == file_of(MIB)
    circle.command("one", "delete", "paper")
    circle.command("three", "request", "paper", status=NOBODY_HAS_IT)
    until(lambda: not circle.keepers())
    kept = [path for name in NAMES[:5] for path in (circle.daemons.states / name / "ring").iterdir()]
    assert kept == []


@pytest.mark.slow
def test_killed_while_fetching(circle: Circle) -> None:
    """One that is killed while it fetches leaves nothing by the name of the file; fetched again it is whole."""
    circle.begin(*NAMES[:5], words=("--replicas", "1"))
    digest = circle.store_large("one", 64 * MIB)
    fetcher = next(name for name in circle.running if name not in ("one", *circle.keepers()))
    folder = circle.directory / "downloads"
    folder.mkdir()
    words = ("ring", "request", "paper", "-o", str(folder), "--name", fetcher)
    asking = circle.daemons.start(*words, program=BAZAAR)
    until(lambda: sum(path.stat().st_size for path in folder.iterdir() if path.exists()) or asking.has_ended)
    circle.kill(fetcher)
    asking.wait()
    assert not (folder / "paper").exists() or digest_of(folder / "paper") == digest
    circle.start(fetcher, "one" if fetcher != "one" else "two", "--replicas", "1")
    circle.until_round()
    circle.command(fetcher, "request", "paper", "-o", str(folder))
    assert [path.name for path in folder.iterdir()] == ["paper"]
    assert digest_of(folder / "paper") == digest


@pytest.mark.slow
def test_interrupted_while_fetching(circle: Circle) -> None:
    """Ctrl-C in the middle of a request says how much is kept; the same command goes on from there."""
    circle.begin("one", "two", "three", words=("--replicas", "0"))
    digest = circle.store_large("one", 96 * MIB)
    [keeper] = until(circle.keepers)
    fetcher = next(name for name in circle.running if name not in ("one", keeper))
    folder = circle.directory / "downloads"
    folder.mkdir()
    words = ("ring", "request", "paper", "-o", str(folder), "--name", fetcher)
    asking = circle.daemons.start(*words, program=BAZAAR)
    until(lambda: any(row["bytes"] > 2 * MIB for rows in circle.ask(fetcher, "ring.transfers") for row in rows))
    # So that it stays in the middle.
    circle.running[keeper].pause()
    asking.interrupt()
    said = asking.rest()
    goes_on = "and the same command goes on from there"
    kept = re.fullmatch(rf"bazaar ring request: interrupted; ([\d.]+) MiB of 96\.0 MiB are kept, {goes_on}\n", said)
    assert kept is not None, said
    assert asking.wait() == ExitStatus.UNFINISHED
    assert not (folder / "paper").exists()
    assert not any(circle.ask(fetcher, "ring.transfers"))
    circle.running[keeper].send_signal(signal.SIGCONT)
    [row] = circle.command(fetcher, "request", "paper", "-o", str(folder))
    assert [path.name for path in folder.iterdir()] == ["paper"]
    assert digest_of(folder / "paper") == digest
    # What was kept has not come again.
    assert sum(row["sources"].values()) <= (96 - float(kept[1]) + 1) * MIB, row


@pytest.mark.slow
def test_two_rings(circle: Circle) -> None:
    """Two rings that were begun apart are one, with what both keep, when a node of one has moved to the other."""
    circle.begin("one", "two", "three")
    circle.begin("four", "five", "six")
    here, there = file_of(MIB, 1), file_of(MIB, 2)
    circle.store("one", here, "here")
    circle.store("four", there, "there")
    circle.kill("six")
    circle.start("six", "one")
    circle.until_round()
    # Who is to keep something now may have nothing of it at first.
    for name, content in (("here", here), ("there", there)):
        for at in circle.running:
            until(lambda at=at, name=name: circle.is_found(at, name))
            assert circle.fetched(at, name) == content


@pytest.mark.slow
def test_refusals(circle: Circle) -> None:
    """Who can never join ends with status 1 and says what to do; who may wait does, until somebody is there."""
    early = circle.ports["one"] = free_port()
    waiting = circle.start("two", "one")
    waiting.wait_for("could not join the ring: .*refused.*; trying again")
    circle.start("one")
    circle.until_round()
    place = circle.status("two")["ring_id"]
    _, where = circle.daemons.start_tracker()
    circle.ports["tracker"] = int(where.rpartition(":")[2])
    circle.ports["itself"] = free_port()
    for name, by, words, status, line in (
        ("itself", "itself", (), 1, "is this node itself; name another member with --join, or begin a ring without it"),
        ("lost", "tracker", (), 7, "a tracker is there, and no member of a ring; name a member with --join"),
        ("small", "one", ("--bits", "8"), 1, "the ring to join has 64 bits, not 8; write --bits 64 to join it"),
        ("second", "one", ("--ring-id", f"0x{place}"), 1, "already; choose another with --ring-id"),
    ):
        refused = circle.start(name, by, *words)
        said = refused.rest()
        assert (refused.wait(), line in said) == (status, True), said
        assert "Traceback" not in said
        circle.running.pop(name)
    assert circle.ports["one"] == early
    circle.until_round()


def test_nothing_left(tmp_path: Path) -> None:
    """Members that keep nothing leave nothing: not when they end, and not for long when they are killed."""
    place = tmp_path / "temporary"
    place.mkdir()
    words = ("bazaar-node", "--role", "ring_peer", "--ephemeral", "--listen", "tcp:0:interface=127.0.0.1")
    with Daemons(tmp_path) as daemons:

        def start() -> Daemon:
            daemon = daemons.start(*words, "--udp", "127.0.0.1:0", environment={"TMPDIR": str(place)})
            daemon.wait_for("this node is on the ring")
            return daemon

        first = start()
        [left] = place.iterdir()
        first.kill()
        assert [*place.iterdir()] == [left]
        second, third = start(), start()
        assert not left.exists()
        assert len([*place.iterdir()]) == 2
        for daemon in (second, third):
            daemon.interrupt()
            daemon.wait()
        assert [*place.iterdir()] == []
