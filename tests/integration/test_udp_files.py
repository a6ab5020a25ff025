"""Files by streams over the datagrams of real nodes: fetched, thrown away on purpose, logged, attacked."""

from __future__ import annotations

import random
import socket
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from tests.files.cases import Sharing, pieces_of
from tests.integration.daemons import BAZAAR, Daemons, free_port, until
from tests.integration.market import reactor
from tests.integration.unread import wait_until_read
from tests.integration.watched_node import WatchedProcess
from twisted_bazaar.files.download.swarm import Download
from twisted_bazaar.files.memory import MemoryContent, MemoryPart, manifest_of
from twisted_bazaar.files.udp import Transfer
from twisted_bazaar.files.window import Settings
from twisted_bazaar.files.window.segment import ACK, RST, SYN, decode, encode, encode_name
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.node import Node
from twisted_bazaar.plugin import declare_messages
from twisted_bazaar.role import Role
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileSource

MIB: Final = 1 << 20
LONGEST_S: Final = 30.0
LONGEST_TURN_S: Final = 0.05
MEMORY_KEPT_BYTES: Final = 24 << 20
TRIES: Final = 3
FLOOD: Final = 20_000


async def open_at(interface: str, *roles: Role, transfer: Transfer | None = None) -> Node:
    """Start a node that takes datagrams, and streams over them."""
    declare_messages()
    rng = random.SystemRandom()
    node = Node(reactor, rng, KeyPair.generate(rng), roles, make_streams=(transfer or Transfer()).streams)
    await node.start(None, udp=(interface, 0))
    return node


@pytest.mark.parametrize(
    ("near", "far", "where", "transfer"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1", Transfer()),
        ("::1", "::1", "::1", Transfer()),
        ("::", "127.0.0.1", "127.0.0.1", Transfer()),
        ("127.0.0.1", "::", "127.0.0.1", Transfer()),
        ("", "", "127.0.0.1", Transfer(Settings(drop=0.1))),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1", Transfer(Settings(mss=16_000))),
    ],
)
@pytest_twisted.ensureDeferred
async def test_families(near: str, far: str, where: str, transfer: Transfer) -> None:
    """A file comes from who takes no connections at all, whatever addresses the sockets of both take."""
    content = random.Random(1).randbytes(2 * MIB + 5)
    manifest = manifest_of(content)
    sharing = Sharing(MemoryContent(manifest, content))
    one, other = await open_at(near, transfer=transfer), await open_at(far, sharing, transfer=transfer)
    try:
        part = MemoryPart(manifest.digest)
        download = Download(reactor, random.Random(1), part, one.connection_endpoint, stream_to=one.stream_endpoint)
        done: Deferred[Any] = download.start().addTimeout(LONGEST_S, reactor)
        download.add_sources([FileSource(1, other.key.public, Address(where, 0), udp=other.udp_port)])
        receipt = await done
        assert receipt.size == len(content)
        assert part.content() == content
        assert not one.datagrams.counts
        assert not other.datagrams.counts
    finally:
        await one.stop()
        await other.stop()
    assert (len(one.datagrams.streams.streams), len(other.datagrams.streams.streams)) == (0, 0)  # type: ignore[union-attr]


class Pair:
    """Two members of a ring, real processes; the second has joined by the first.

    @ivar daemons: what runs them.
    """

    def __init__(self, daemons: Daemons, directory: Path) -> None:
        self.daemons = daemons
        self.directory = directory
        self._port = 0

    def start(self, name: str, *words: str) -> None:
        """Start one; the first begins a ring, others join it."""
        port, first = free_port(), self._port
        self._port = first or port
        common = ("--listen", f"tcp:{port}:interface=127.0.0.1", "--udp", f"127.0.0.1:{port}", "--name", name)
        join = ("--join", f"tcp:127.0.0.1:{first}") if first else ()
        self.daemons.start("bazaar-node", "--role", "ring_peer", *common, *join, *words)
        until(lambda: self.ask("status", "--name", name).returncode == 0)

    def ask(self, *words: str) -> Any:
        """Type a command, and wait for its end."""
        return self.daemons.run(BAZAAR, "ring", *words)

    def log(self, name: str) -> list[list[str]]:
        """The transfer log of one."""
        return [line.split() for line in (self.directory / name).read_text().splitlines()[1:]]


def test_classroom(tmp_path: Path) -> None:
    """Stop-and-wait by datagrams, a tenth of which is thrown away on purpose: the file comes, and the log shows how."""
    content = random.Random(2).randbytes(150_000)
    (tmp_path / "lesson").write_bytes(content)
    words = ("--transfer", "udp", "--window", "1", "--drop", "0.1", "--mss", "1000")
    with Daemons(tmp_path) as daemons:
        pair = Pair(daemons, tmp_path)
        pair.start("ada", *words, "--transfer-log", "ada.log")
        pair.start("bob", *words, "--transfer-log", "bob.log")
        assert pair.ask("store", "lesson", "--name", "ada").returncode == 0
        kept = daemons.states / "bob" / "ring"
        until(lambda: [path.read_bytes() for path in kept.glob("[0-9a-f]*")] == [content])
        sent, came = pair.log("ada.log"), pair.log("bob.log")
    events = Counter(event for event, *_ in sent)
    assert set(events) >= {"snd", "rtx", "drop", "ack"}
    assert {event for event, *_ in came} >= {"snd", "ack", "rcv", "lost"}
    assert {int(size) for event, _, _, size, *_ in sent if event in ("snd", "rtx", "drop")} >= {1000}
    # One under way: nothing else is sent before it is acknowledged.
    offsets = [int(offset) for event, _, offset, *_ in sent if event in ("snd", "rtx", "drop", "ack")]
    assert all(after >= before for before, after in pairwise(offsets))
    assert offsets[-1] > len(content)


def test_by_index(tmp_path: Path) -> None:
    """An index names where sharers take datagrams, and who wants it so gets a file by stream."""
    content = random.Random(5).randbytes(2 * MIB + 9)
    for name in ("has", "wants"):
        (tmp_path / name).mkdir()
    (tmp_path / "has" / "film").write_bytes(content)
    with Daemons(tmp_path) as daemons:
        server = daemons.start("bazaar-node", "--role", "index_server", "--listen", "tcp:0:interface=127.0.0.1")
        via = ("--role", "sharer", "--via", "index", "--index", f"tcp:127.0.0.1:{server.wait_for_port()}")
        daemons.start("bazaar-node", *via, "--folder", "has", "--name", "has", "--udp", "0")
        words = ("--udp", "0", "--transfer", "udp", "--transfer-log", "log")
        daemons.start("bazaar-node", *via, "--folder", "wants", "--name", "wants", *words)
        until(lambda: daemons.run(BAZAAR, "files", "get", "film", "--name", "wants").returncode == 0)
        until(lambda: (tmp_path / "wants" / "film").exists())
        assert (tmp_path / "wants" / "film").read_bytes() == content
    log = [line.split() for line in (tmp_path / "log").read_text().splitlines()[1:]]
    assert sum(int(size) for event, _, _, size, *_ in log if event == "rcv") > len(content)


def start_for(daemons: Daemons, via: str) -> tuple[str, ...]:
    """Start what names sources in some way; returns how a command finds by it."""
    port = free_port()
    place = (f"tcp:{port}:interface=127.0.0.1", "--udp", f"127.0.0.1:{port}")
    role, option = {
        "index": ("index_server", "--index"),
        "superpeer": ("super_peer", "--super"),
        "ring": ("ring_peer", "--join"),
    }[via]
    daemons.start("bazaar-node", "--role", role, "--listen", *place).wait_for(f"listening on .* port {port}")
    return "--via", via, option, f"tcp:127.0.0.1:{port}"


@pytest.mark.parametrize("via", ["index", "superpeer", "ring"])
def test_by_commands(tmp_path: Path, via: str) -> None:
    """Whoever names sources, the command that fetches gets a file by stream if told so, as its log shows."""
    content = random.Random(6).randbytes(MIB + 9)
    (tmp_path / "has").mkdir()
    (tmp_path / "has" / "film").write_bytes(content)
    with Daemons(tmp_path) as daemons:
        found_by = start_for(daemons, via)
        daemons.start("share", "has", "--udp", "0", *found_by, program=BAZAAR).wait_for("shared: film")
        words = ("--transfer", "udp", "--mss", "1000", "--transfer-log", "log")
        until(lambda: daemons.run(BAZAAR, "get", "film", *found_by, *words).returncode == 0)
    assert (tmp_path / "film").read_bytes() == content
    log = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert sum(int(size) for event, _, _, size, *_ in log if event == "rcv") > len(content)


class Besieged:
    """A member of a ring under watch, which keeps a file.

    @ivar where: where it takes datagrams.
    """

    def __init__(self, directory: Path) -> None:
        port = free_port()
        self.where = ("127.0.0.1", port)
        place = ("--listen", f"tcp:{port}:interface=127.0.0.1", "--udp", f"127.0.0.1:{port}")
        state = directory / "state"
        self.state = str(state)
        self.process = WatchedProcess(
            directory, "bazaar-node", "--role", "ring_peer", *place, "--state", str(state), "--transfer", "udp"
        )
        try:
            until(lambda: "on the ring" in self.process.log())
        except BaseException:
            self.process.kill()
            raise

    def takes_streams(self) -> bool:
        """Whether somebody who wants to open a stream is answered."""
        with socket.socket(type=socket.SOCK_DGRAM) as caller:
            caller.settimeout(1.0)
            caller.sendto(encode(SYN, bytes(8), 0, 0, 0, 1000, 0, 0, encode_name(b"somebody", 1000)), self.where)
            try:
                answer = decode(caller.recv(2000))
            except TimeoutError:
                return False
            return answer is not None and answer.flags == SYN | ACK


def flood(where: tuple[str, int]) -> int:
    """Send segments of all kinds that are for no stream; returns how many bytes came back for each that were sent."""
    rng = random.Random(3)
    sent = came = 0
    with socket.socket(type=socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        for number in range(FLOOD):
            segment = (
                b"\x11" + rng.randbytes(rng.randrange(1400)),
                encode(SYN, bytes(8), 0, 0, 0, 1000, 0, 0, encode_name(b"%08d" % number, 1000)),
                encode(ACK, rng.randbytes(8), number, 1, 0, 1000, 0, 0, bytes(rng.randrange(1000))),
                encode(RST, rng.randbytes(8), 0, 0, 0, 0, 0, 0),
            )[number % 4]
            stranger.sendto(segment, where)
            sent += len(segment)
            if number % 50 == 0:
                wait_until_read(where[1])
            while True:
                try:
                    came += len(stranger.recv(2000))
                except BlockingIOError:
                    break
    assert came < sent / 10
    return came


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_flood(tmp_path: Path) -> None:
    """Segments of strangers, as many as can be sent, hold nobody up, take no memory and get few answers."""
    besieged = Besieged(tmp_path)
    process = besieged.process
    try:
        for _ in range(TRIES):
            process.forget_turns()
            before = process.memory_bytes()
            flood(besieged.where)
            until(besieged.takes_streams)
            measured = process.longest_turn_s, process.memory_bytes() - before
            if measured[0] < LONGEST_TURN_S and measured[1] < MEMORY_KEPT_BYTES:
                break
        assert measured[0] < LONGEST_TURN_S, measured
        assert measured[1] < MEMORY_KEPT_BYTES, measured
        assert "Traceback" not in process.log()
    finally:
        assert process.end()


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_full_rate(tmp_path: Path) -> None:
    """A transfer as fast as it can go holds up nobody at the node that serves it."""
    with (tmp_path / "film").open("wb") as film:
        film.writelines(pieces_of(48 * MIB, seed=4))
    besieged = Besieged(tmp_path)
    process = besieged.process
    try:
        with Daemons(tmp_path, in_the_open=True) as daemons:
            stored = daemons.run(BAZAAR, "ring", "store", "film", "--state", besieged.state)
            assert stored.returncode == 0, stored.stderr
            join = f"tcp:127.0.0.1:{besieged.where[1]}"
            measured = []
            for number in range(TRIES):
                process.forget_turns()
                name = f"fetcher-{number}"
                words = ("--udp", "127.0.0.1:0", "--name", name, "--join", join, "--transfer", "udp")
                fetcher = daemons.start("bazaar-node", "--role", "ring_peer", *words, "--transfer-log", name)
                # It is to keep it: whoever joins fetches what belongs to it.
                kept = daemons.states / name / "ring"
                until(lambda kept=kept: [path.stat().st_size for path in kept.glob("[0-9a-f]*")] == [48 * MIB])
                measured.append(process.longest_turn_s)
                # It came by stream.
                assert sum(1 for _ in (tmp_path / name).open()) > 1000
                fetcher.end()
                if measured[-1] < LONGEST_TURN_S:
                    break
            assert min(measured) < LONGEST_TURN_S, measured
    finally:
        assert process.end()
