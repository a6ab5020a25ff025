"""Super peers as people run them: in a row, with sharers, buyers and sellers; killed, shouted at, and left alone."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.daemons import BAZAAR, TWISTD, Daemon, Daemons, free_port, until
from tests.integration.plain_super_peer import WeakPeer
from tests.integration.test_files import MIB, digest_of, file_of
from twisted_bazaar.cli.control.client import RunningNode

# Within so long a weak peer whose super peer has died is to be found again.
FOUND_AGAIN_S: Final = 10.0


class Town:
    """Super peers in a row, and who finds by them.

    @ivar daemons: all processes.
    @ivar ports: where each super peer listens, by its name; its UDP port has the same number.
    @ivar super_peers: the processes of these.
    """

    def __init__(self, daemons: Daemons, directory: Path) -> None:
        self.daemons = daemons
        self.directory = directory
        self.ports: dict[str, int] = {}
        self.super_peers: dict[str, Daemon] = {}

    def row(self, *names: str, options: tuple[str, ...] = ()) -> None:
        """Start super peers, each the neighbour of the one before it, and wait until they know each other."""
        before: list[str] = []
        for name in names:
            self.super_peer(name, *before[-1:], options=options)
            before.append(name)
        self.until_linked()

    def super_peer(self, name: str, *neighbours: str, options: tuple[str, ...] = ()) -> Daemon:
        """Start a super peer."""
        port = self.ports.setdefault(name, free_port())
        given = [word for each in neighbours for word in ("--neighbour", f"127.0.0.1:{self.ports[each]}")]
        daemon = self.daemons.start(
            *("bazaar-node", "--role", "super_peer", "--listen", f"tcp:{port}:interface=127.0.0.1"),
            *("--udp", f"127.0.0.1:{port}", "--name", name, *given, *options),
        )
        self.super_peers[name] = daemon
        daemon.wait_for(f"listening on .* port {port}")
        return daemon

    def until_linked(self) -> None:
        """Wait until every super peer has a neighbour, and has its table."""
        for name in self.super_peers:
            until(lambda name=name: self.status(name)["neighbours"])

    def at(self, *names: str) -> tuple[str, ...]:
        """How a program is told to find by super peers."""
        given = [word for name in names for word in ("--super", f"tcp:127.0.0.1:{self.ports[name]}")]
        return ("--via", "superpeer", *given)

    def sharer(self, name: str, at: str, **files: bytes) -> Daemon:
        """Share some files at a super peer."""
        folder = self.directory / name
        folder.mkdir()
        for file, content in files.items():
            (folder / file.replace("_", ".")).write_bytes(content)
        where = ("--folder", str(folder), "--name", name, *self.at(at))
        return self.daemons.start("bazaar-node", "--role", "sharer", *where)

    def ask(self, name: str, command: str) -> list[dict[str, Any]]:
        """What a node tells its operator."""
        told: list[dict[str, Any]] = list(RunningNode(name, self.daemons.states / name).ask(command))
        return told

    def status(self, name: str) -> dict[str, Any]:
        """What a super peer says of itself."""
        [told] = (each for each in self.ask(name, "status") if each.get("role") == "super_peer")
        return told

    def run(self, program: tuple[str, ...], *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run something to its end."""
        return self.daemons.run(program, *words, **options)

    def found(self, words: str, at: str) -> list[dict[str, Any]]:
        """What a search by words finds."""
        done = self.run(BAZAAR, "search", words, "--json", *self.at(at))
        assert done.returncode in (0, 3), done.stderr
        files: list[dict[str, Any]] = json.loads(done.stdout)
        return files

    def until_found(self, words: str, at: str, *contents: bytes) -> None:
        """Wait until a search finds exactly these."""
        digests = sorted(digest_of(content) for content in contents)
        until(lambda: sorted(file["digest"] for file in self.found(words, at)) == digests)

    def get(self, name: str, at: str) -> bytes:
        """Fetch a file; its content."""
        done = self.run(BAZAAR, "get", name, "--overwrite", *self.at(at))
        assert done.returncode == 0, done.stderr
        return (self.directory / name).read_bytes()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A place without super peers yet."""
    with Daemons(tmp_path) as daemons:
        yield Town(daemons, tmp_path)


def found_by(asker: WeakPeer, words: str) -> list[str]:
    """The names of the files that a weak peer is told of."""
    found, _ = asker.ask(words=words)
    return sorted({file["name"] for each in found for file in each["files"]})


@pytest.mark.slow
def test_two_hops(town: Town) -> None:
    """Three super peers in a row and six sharers: what the first has is fetched at the third, byte for byte."""
    town.row("one", "two", "three")
    content = file_of(3 * MIB + 7)
    sharers = [
        town.sharer(f"{at}-{number}", at, **{f"{at}.{number}_txt": f"{at} {number}".encode()})
        for at in town.ports
        for number in (1, 2)
    ]
    sharers.append(town.sharer("film", "one", holiday_film=content))
    town.until_found("holiday", "three", content)
    assert town.get("holiday.film", "three") == content
    assert town.get("three.2.txt", "one") == b"three 2"
    for each in (*town.super_peers.values(), *sharers):
        each.send_signal(signal.SIGTERM)
    for each in (*town.super_peers.values(), *sharers):
        said = each.rest()
        # twistd ends by the signal itself, once everything is shut down.
        assert each.wait() in (0, -signal.SIGTERM), said
        assert said.endswith(": stopped\n")
        assert "Traceback" not in said
        assert "Unhandled" not in said


@pytest.mark.slow
@pytest.mark.parametrize("end", ["kill", "pause"])
def test_killed(town: Town, end: str) -> None:
    """Weak peers whose super peer is killed, or says nothing more, are found again within ten seconds."""
    town.row("one", "two", "three")
    content, other = file_of(MIB), file_of(MIB, 2)
    town.sharer("film", "one", holiday_film=content)
    town.sharer("song", "two", holiday_song=other)
    names = ["holiday.film", "holiday.song"]
    with WeakPeer(town.ports["three"], 1) as asker:
        until(lambda: found_by(asker, "holiday") == names)
        # Each of the sharers has found a second super peer by now, or has not: that makes no difference to the promise.
        getattr(town.super_peers["two"], end)()
        began = time.monotonic()
        until(lambda: found_by(asker, "holiday") == names)
        assert time.monotonic() - began < FOUND_AGAIN_S
    assert town.get("holiday.film", "three") == content
    if end == "kill":
        town.super_peer("two", "one", "three")
        town.until_found("holiday", "two", content, other)


@pytest.mark.slow
def test_plain_flood(town: Town) -> None:
    """Without query routing and dynamic querying the same is found."""
    town.row("one", "two", "three", options=("--no-query-routing", "--no-dynamic-querying"))
    content = file_of(MIB)
    town.sharer("film", "one", holiday_film=content)
    town.until_found("holiday", "three", content)
    assert town.get("holiday.film", "three") == content


@pytest.mark.slow
def test_loops(town: Town) -> None:
    """Super peers in a ring, each given the others twice and itself: a hit comes once, and a query ends."""
    names = ("one", "two", "three")
    town.ports = {name: free_port() for name in names}
    for name in names:
        town.super_peer(name, *names, *names)
    content = file_of(100)
    town.sharer("film", "one", holiday_film=content)
    with WeakPeer(town.ports["three"], 1) as asker:
        until(lambda: found_by(asker, "holiday") == ["holiday.film"])
        [found], end = asker.ask(words="holiday")
        assert (len(found["files"]), end["hits"]) == (1, 1)
        assert sorted(len(town.status(name)["neighbours"]) for name in names) == [2, 2, 2]
        before = {name: town.status(name)["forwarded"] for name in names}
        asker.ask(words="nowhere", results=1)
        # Each of the others passes it on once for each reach, to the two that it knows at most.
        assert all(town.status(name)["forwarded"] - before[name] <= 2 * 4 for name in names)


@pytest.mark.slow
def test_ttl(town: Town) -> None:
    """With a TTL of 1 neighbours are asked, and nobody behind them."""
    # The sharer is at the first two, and who asks at the last two.
    town.row("one", "two", "three", "four", "five", options=("--ttl", "1"))
    content = file_of(100)
    town.sharer("film", "one", holiday_film=content)
    town.until_found("holiday", "two", content)
    assert town.found("holiday", "five") == []


def test_sale(town: Town) -> None:
    """A buyer finds a seller two super peers away, and buys; the goods are there once."""
    town.row("one", "two", "three")
    seller = ("--role", "seller", "--stock", "apple=5@120", "--name", "seller")
    town.daemons.start("bazaar-node", *seller, *town.at("one")).wait_for("listening on")
    buyer = ("bazaar-node", "--role", "buyer", "--want", "apple=2", "--once", "--name", "buyer")
    done = town.run(TWISTD, *buyer, *town.at("three"))
    assert (done.returncode, "bought 2 apple" in done.stdout) == (0, True), done.stdout
    done = town.run(BAZAAR, "stock", "list", "--name", "seller", "--json")
    [apple] = json.loads(done.stdout)
    assert (apple["in_stock"], apple["sold"]) == (3, 2)
    pear = ("bazaar-node", "--role", "buyer", "--want", "pear", "--once", "--timeout", "3", "--name", "other")
    assert town.run(TWISTD, *pear, *town.at("three")).returncode == 3


@pytest.mark.slow
def test_shell(town: Town) -> None:
    """At the prompt one searches, chooses and fetches over two hops."""
    town.row("one", "two", "three")
    content = file_of(MIB)
    town.sharer("film", "one", holiday_film=content)
    town.until_found("holiday", "three", content)
    done = town.run(BAZAAR, "shell", *town.at("three"), input="query holiday\nchoose 1\nget\nwait\nexit\n")
    assert done.returncode == 0, done.stdout
    assert (town.directory / "holiday.film").read_bytes() == content


@pytest.mark.slow
def test_promotion(town: Town) -> None:
    """A super peer that is full asks a weak peer that is able to lead; the log says why, and it takes others."""
    town.super_peer("one", options=("--leaves", "2"))
    folder = town.directory / "able"
    folder.mkdir()
    words = ("--role", "sharer", "--folder", str(folder), "--name", "able", "--may-lead")
    able = town.daemons.start("bazaar-node", *words, *town.at("one"))
    able.wait_for("accepts this node")
    second = town.sharer("second", "one", second_txt=b"2")
    able.wait_for("this node is a super peer from now on: a super peer has 2 of 2 weak peers")
    second.wait_for("accepts this node")
    content = b"3"
    town.sharer("third", "one", third_txt=content).wait_for("accepts this node")
    town.until_found("third", "one", content)
    assert [town.status(name)["leaves"] for name in ("one", "able")] == [2, 2]


@pytest.mark.slow
def test_nobody_there(town: Town) -> None:
    """Without a super peer a sharer waits and says so, and what is to be done once gives up with status 4."""
    nowhere = f"tcp:127.0.0.1:{free_port()}"
    town.ports["nowhere"] = int(nowhere.rpartition(":")[2])
    waiting = town.sharer("film", "nowhere", holiday_film=b"film")
    waiting.wait_for("(?i)no super peer")
    buyer = ("bazaar-node", "--role", "buyer", "--want", "apple", "--once", "--timeout", "3", "--name", "buyer")
    assert town.run(TWISTD, *buyer, *town.at("nowhere")).returncode == 7
    for words in (("search", "a"), ("get", "a")):
        done = town.run(BAZAAR, *words, *town.at("nowhere"))
        assert (done.returncode, done.stdout) == (7, "")
        [line] = done.stderr.splitlines()
        assert line.startswith(f"bazaar {words[0]}: no super peer at {nowhere}")
    # It comes later, and is found.
    town.super_peer("nowhere")
    town.until_found("holiday", "nowhere", b"film")
