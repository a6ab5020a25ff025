"""Whatever is sent to a real super peer by datagram, it goes on answering, and keeps little of it.

Two weak peers and a neighbour, none of them in code of ours, go on using it meanwhile.
"""

from __future__ import annotations

import json
import os
import random
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.daemons import free_port
from tests.integration.plain_super_peer import BITS, Address, SuperPeer, WeakPeer, gaps, slot_of
from tests.integration.test_super_peer_by_hand import OTHER, SONG, linked, names
from tests.integration.unread import wait_until_read
from tests.integration.watched_node import WatchedProcess, until

# Tables have their caps; what an attack has filled of them may stay.
MEMORY_KEPT_BYTES: Final = 24 << 20
PEAK_BYTES: Final = 48 << 20
LONGEST_TURN_S: Final = 0.05
LOG_CHARACTERS: Final = 4096
TRIES: Final = 3
DATAGRAMS: Final = 5_000
LARGEST: Final = 60_000
MOST_A_PEER: Final = 100_000
# As many as fit into a frame.
NAMES_AT_ONCE: Final = 500

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")


class Besieged:
    """A super peer under watch, and those who behave.

    @ivar place: where it takes datagrams.
    """

    def __init__(self, directory: Path) -> None:
        port = free_port()
        self.place: Address = ("127.0.0.1", port)
        listen = ("--listen", f"tcp:{port}:interface=127.0.0.1", "--udp", f"127.0.0.1:{port}")
        words = ("bazaar-node", "--role", "super_peer", "--ephemeral", *listen)
        self.process = WatchedProcess(directory, *words)
        assert until(lambda: f"port {port}" in self.process.log()), self.process.log()
        self.has, self.asks = WeakPeer(port, 1, is_plain=True), WeakPeer(port, 2, is_plain=True)
        self.neighbour = SuperPeer(100)
        self.has.list_files(SONG, OTHER)
        linked(self.neighbour, self.place)
        self._answers = iter(range(1, 1 << 40))
        self.are_served()

    def end(self) -> bool:
        """End all; whether the super peer did so politely."""
        for each in (self.has, self.asks):
            each.close()
        self.neighbour.socket.close()
        return self.process.end()

    def are_served(self) -> None:
        """A weak peer finds what another has; so does a neighbour, and a weak peer what only the neighbour has."""
        assert names(self.asks.ask(words="song", results=2)[0]) == [SONG["name"], OTHER["name"]]
        self._neighbour_asks()
        self._neighbour_is_asked()

    def _neighbour_asks(self) -> None:
        for _ in range(8):
            # A datagram may be lost when very many come.
            self.neighbour.hello(self.place)
            self.neighbour.tell(self.place, "query", id=os.urandom(16).hex(), reach=1, ttl=1, digest=SONG["digest"])
            hit = self.neighbour.hear("queryhit", within_s=1.0)
            if hit is not None and names(hit["found"]) == [SONG["name"]]:
                return
        raise AssertionError("a neighbour is not answered")

    def _neighbour_is_asked(self) -> None:
        name = f"film{next(self._answers)}"
        found = {"id": 70, "key": f"{70:064x}", "port": 4000, "files": [{**SONG, "name": name}]}
        for version in range(8):
            self.neighbour.hello(self.place)
            slots = gaps([slot_of(f"w:{name}"), slot_of(f"b:{name[:10]}")])
            number = next(self._answers)
            self.neighbour.tell(self.place, "table", base=0, version=number, bits=BITS, on=slots)
            query_id = os.urandom(16).hex()
            self.asks.tell("query", id=query_id, words=name, results=1)
            if self.neighbour.hear("query", within_s=2.0) is not None:
                self.neighbour.tell(self.place, "queryhit", id=query_id, answer=version, found=[found])
            heard = []
            while (message := self.asks.hear("queryhit", "queryend"))["type"] == "queryhit":
                heard += names(message["found"])
            if heard == [name]:
                return
        raise AssertionError("what a neighbour has is not found")


@pytest.fixture
def besieged(tmp_path: Path) -> Iterator[Besieged]:
    """A super peer that nobody has attacked yet."""
    besieged = Besieged(tmp_path)
    try:
        yield besieged
    finally:
        assert besieged.end()


def message(type: str, **keys: Any) -> bytes:
    """One datagram."""
    return json.dumps({"type": type, **keys}, separators=(",", ":")).encode()


def query(**keys: Any) -> bytes:
    """A query as a stranger might send it."""
    return message("query", **{"id": os.urandom(16).hex(), "reach": 4, "ttl": 4, "words": "song", **keys})


def rubbish(besieged: Besieged, rng: random.Random) -> Iterator[bytes]:
    """Bytes that mean nothing."""
    for _ in range(DATAGRAMS):
        yield rng.randbytes(rng.randrange(1, 1500))
    yield from (b"", b"{", b"[]", b"null", b"{}" * 500, b"[" * 1100, b'{"type":' * 100, b"\xff" * 1200, bytes(1200))
    yield from (b'{"type":"nonsense"}', b'{"type":1}', b'{"type":"query"}', b'{"type":"error","code":"wtf"}')


def cut(besieged: Besieged, rng: random.Random) -> Iterator[bytes]:
    """Good datagrams, with the right cookie, of which the end is missing."""
    whole = query(cookie=besieged.neighbour.cookies[besieged.place])
    hit = message("queryhit", id="0" * 32, answer=1, found=[], cookie=besieged.neighbour.cookies[besieged.place])
    for _ in range(DATAGRAMS // 500):
        for each in (whole, hit):
            for size in range(len(each)):
                yield each[:size]


def oversized(besieged: Besieged, rng: random.Random) -> Iterator[bytes]:
    """Datagrams larger than any may be, good JSON among them."""
    cookie = besieged.neighbour.cookies[besieged.place]
    for size in (1201, 1500, 8192, 8193, LARGEST):
        for _ in range(DATAGRAMS // 50):
            yield rng.randbytes(size)
            yield query(cookie=cookie, filler="x" * (size - 200))


def without_cookies(besieged: Besieged, rng: random.Random) -> Iterator[bytes]:
    """Queries, hits, tables and greetings without a cookie, or with one that was never given."""
    for number in range(DATAGRAMS):
        cookie = {} if number % 2 else {"cookie": rng.randbytes(8).hex()}
        yield query(**cookie)
        yield message("superhello", id=number + 1, key=f"{number + 1:064x}", **cookie)
        yield message("table", base=0, version=number + 1, full=True, **cookie)
        yield message("queryhit", id=rng.randbytes(16).hex(), answer=1, **cookie)
        yield message("knock", nonce=rng.randbytes(8).hex())
        yield message("stale", **({"was": cookie["cookie"]} if cookie else {}))
        yield message("cookie", nonce=rng.randbytes(8).hex(), give=rng.randbytes(8).hex())


ATTACKS: Final = (rubbish, cut, oversized, without_cookies)


def attack(besieged: Besieged, datagrams: Iterator[bytes], sender: socket.socket) -> int:
    """Send it all, looking after the others meanwhile; how many bytes came back."""
    came_back = 0
    sender.setblocking(False)
    for number, data in enumerate(datagrams):
        sender.sendto(data, besieged.place)
        if number % 50 == 0:
            wait_until_read(besieged.place[1])
            came_back += drained(sender)
        if number % 2000 == 0:
            besieged.are_served()
    # Who is answered now is answered after all this.
    besieged.are_served()
    return came_back + drained(sender)


def drained(sender: socket.socket) -> int:
    """How many bytes wait to be read."""
    size = 0
    while True:
        try:
            size += len(sender.recv(1 << 16))
        except BlockingIOError:
            return size


class Calm:
    """A process before an attack, for what it should be again."""

    def __init__(self, process: WatchedProcess) -> None:
        self._process = process
        process.forget_turns()
        process.forget_peak()
        self._memory = process.memory_bytes()
        self._peak = process.peak_bytes()
        self._descriptors = process.descriptors()
        self._log = process.log()

    def wrong(self) -> dict[str, object]:
        """What is not as it should be, by name."""
        process = self._process
        told = process.log().removeprefix(self._log)
        measured = {
            "memory": (process.memory_bytes() - self._memory, MEMORY_KEPT_BYTES),
            "peak": (process.peak_bytes() - self._peak, PEAK_BYTES),
            "descriptors": (process.descriptors() - self._descriptors, 0),
            "turn": (process.longest_turn_s, LONGEST_TURN_S),
            "log": (len(told), LOG_CHARACTERS),
            "traceback": (told.count("Traceback") + told.count("Unhandled"), 0),
        }
        return {name: value for name, (value, most) in measured.items() if value > most}


@pytest.mark.parametrize("kind", ATTACKS, ids=lambda kind: kind.__name__)
def test_attacked(besieged: Besieged, kind: Any) -> None:
    """Rubbish, cut, oversized and unproven datagrams change nothing for others, and little is kept of them."""
    wrong: dict[str, object] = {}
    for seed in range(TRIES):
        calm = Calm(besieged.process)
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            datagrams = list(kind(besieged, random.Random(seed)))
            # What the others need their processor for is not to be taken by making it up.
            came_back = attack(besieged, iter(datagrams), sender)
        assert came_back <= sum(map(len, datagrams))
        besieged.are_served()
        if not (wrong := calm.wrong()):
            return
    assert not wrong


def test_replayed(besieged: Besieged) -> None:
    """A query that comes again and again is answered once; with a TTL of a million it goes no further than others."""
    calm = Calm(besieged.process)
    with SuperPeer(200) as watching, SuperPeer(300) as bad:
        linked(watching, besieged.place)
        linked(bad, besieged.place)
        for neighbour in (watching, bad):
            neighbour.hello(besieged.place, version=1)
            neighbour.tell(besieged.place, "table", base=0, version=1, full=True)
        asked = {"id": "ab" * 16, "reach": 1_000_000, "ttl": 1_000_000, "words": "song"}
        for number in range(DATAGRAMS):
            bad.tell(besieged.place, "query", **asked)
            if number % 500 == 0:
                besieged.are_served()
                watching.hello(besieged.place, version=1)
                bad.hello(besieged.place, version=1)
        while watching.hear(within_s=0.5) is not None:
            pass
        forwarded = [each for _, each in watching.heard if each["type"] == "query" and each["id"] == asked["id"]]
        assert len(forwarded) <= 1
        assert all(each["ttl"] < 16 for each in forwarded)
        answered = []
        while (hit := bad.hear("queryhit", within_s=0.5)) is not None:
            answered.append(hit)
        assert len([hit for hit in answered if hit["id"] == asked["id"]]) <= 1
    besieged.are_served()
    assert not calm.wrong()


def test_queries_without_end(besieged: Besieged) -> None:
    """Query ids without end from one neighbour fill no memory, and do not keep others from being answered."""
    calm = Calm(besieged.process)
    with SuperPeer(300) as bad:
        linked(bad, besieged.place)
        cookie = bad.cookies[besieged.place]
        datagrams = (query(cookie=cookie) for _ in range(DATAGRAMS * 2))
        attack(besieged, datagrams, bad.socket)
    besieged.are_served()
    assert not calm.wrong()


def test_another_source(besieged: Besieged) -> None:
    """A cookie shown from another address, or port, is worth nothing: what is spoofed is not heard."""
    cookie = besieged.neighbour.cookies[besieged.place]
    with (
        socket.socket(type=socket.SOCK_DGRAM) as other_port,
        socket.socket(type=socket.SOCK_DGRAM) as other_host,
    ):
        other_host.bind(("127.0.0.2", 0))
        for sender in (other_port, other_host):
            sender.settimeout(2.0)
            data = query(cookie=cookie)
            sender.sendto(data, besieged.place)
            answer, _ = sender.recvfrom(1 << 16)
            assert json.loads(answer)["type"] == "stale"
            assert len(answer) <= len(data)
    besieged.are_served()


def test_answers_everything(besieged: Besieged) -> None:
    """A neighbour that says it has everything, and answers whatever is asked, hides nothing that others have."""
    with SuperPeer(300) as liar:
        linked(liar, besieged.place)
        liar.hello(besieged.place, version=1)
        liar.tell(besieged.place, "table", base=0, version=1, full=True)
        query_id = os.urandom(16).hex()
        besieged.asks.tell("query", id=query_id, words="song", results=10)
        heard: list[str] = []
        for answer in range(50):
            made_up = [{**SONG, "name": f"song {answer}.{number}"} for number in range(3)]
            found = [{"id": 9, "key": f"{9:064x}", "port": 1, "files": made_up}]
            liar.tell(besieged.place, "queryhit", id=query_id, answer=answer, found=found)
        while (told := besieged.asks.hear("queryhit", "queryend"))["type"] == "queryhit":
            heard += names(told["found"])
        assert {SONG["name"], OTHER["name"]} <= set(heard)
        # Of one neighbour as many are told as are wanted.
        assert len(heard) <= 12
    besieged.are_served()


def test_names_without_end(besieged: Besieged) -> None:
    """A weak peer that lists names without end may list its share, and its words do not keep others waiting."""
    refused = 0
    with WeakPeer(besieged.place[1], 3, is_plain=True) as bad:
        mark = 0
        for part in range(MOST_A_PEER // NAMES_AT_ONCE + 20):
            files = [
                {"name": f"x{part}.{number}", "size": 1, "digest": f"{part * NAMES_AT_ONCE + number:064x}"}
                for number in range(NAMES_AT_ONCE)
            ]
            bad.tell("update", id=part, base=mark, mark=part + 1, add=files)
            answer = bad.hear("listed", "error")
            refused += answer.get("code") == "toomany"
            mark = answer.get("mark", mark)
            if part % 20 == 0:
                besieged.are_served()
    # Its share in bytes is used up a little sooner than its share of names.
    assert refused in range(20, 80)
    besieged.are_served()
