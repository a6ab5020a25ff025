"""Whatever is sent to a real member of a ring by datagram, it goes on answering, stalls nobody, and keeps no more."""

from __future__ import annotations

import json
import random
import socket
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from tests.discovery.ring.attacks import forged, json_like, owned, stores
from tests.discovery.ring.nets import key_pair
from tests.integration.daemons import free_port
from tests.integration.test_hostile_datagrams import LOG_CHARACTERS, LONGEST_TURN_S, MEMORY_KEPT_BYTES
from tests.integration.unread import wait_until_read
from tests.integration.watched_node import WatchedProcess, until
from twisted_bazaar.discovery.ring.member.member import RingMember
from twisted_bazaar.discovery.ring.rpc.messages import ANYBODY
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.storage.messages import RingCompare, RingRequest
from twisted_bazaar.values.addresses import Address

RUBBISH: Final = 4_000
STORED: Final = 3_000
TRIES: Final = 3
KINDS: Final = [str(kind.__struct_config__.tag) for kind in RingMember().datagrams]
NONCE: Final = "00000000000000aa"
GIVEN: Final = "00000000000000bb"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")


class Stranger:
    """Somebody with a socket, who has shown where it is.

    @param port: of the member.
    @param host: of this one.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.settimeout(2.0)
        self.member = ("127.0.0.1", port)
        self.sent_bytes = 0
        self.cookie = ""

    def show(self) -> None:
        """Get a cookie."""
        self.put(json.dumps({"type": "knock", "nonce": NONCE, "pad": "0" * 24}).encode())
        self.cookie = self.hear("cookie")["give"]

    def put(self, data: bytes) -> None:
        """Send bytes."""
        self.sent_bytes += len(data)
        self.socket.sendto(data, self.member)

    def tell(self, **message: Any) -> None:
        """Send a message."""
        shown = {"cookie": self.cookie} if self.cookie else {}
        self.put(json.dumps({**message, **shown}, separators=(",", ":")).encode())

    def hear(self, kind: str) -> dict[str, Any]:
        """The next message of a type."""
        while True:
            message = self._take(self.socket.recv(1 << 16))
            if message["type"] == kind:
                return message

    def hear_all(self) -> None:
        """Take whatever has come, and throw it away."""
        self.socket.setblocking(False)
        try:
            while True:
                self._take(self.socket.recv(1 << 16))
        except BlockingIOError:
            self.socket.settimeout(2.0)

    def _take(self, data: bytes) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(data)
        if message["type"] == "knock":
            # The member does not answer either before it has been shown that somebody is here.
            self.put(json.dumps({"type": "cookie", "nonce": message["nonce"], "give": GIVEN}).encode())
        return message


class Besieged:
    """A member of a ring under watch."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        listen = ("--listen", f"tcp:{self.port}:interface=127.0.0.1", "--udp", f"127.0.0.1:{self.port}")
        self.process = WatchedProcess(directory, "bazaar-node", "--role", "ring_peer", "--ephemeral", *listen)
        assert until(lambda: "on the ring" in self.process.log()), self.process.log()
        self.friend = Stranger(self.port, "127.0.0.3")
        self.friend.show()

    def is_served(self) -> None:
        """Somebody who behaves is answered; a datagram may be lost when very many come."""
        for _ in range(8):
            try:
                self.friend.tell(**asking())
                self.friend.hear("ringpong")
                return
            except TimeoutError:
                self.friend.show()
        raise AssertionError("nobody is answered any more")


def asking(kind: str = "ringjoin", **keys: Any) -> dict[str, Any]:
    """A question as anybody may ask it."""
    origin = ["A" * 43, None, 1, 1]
    return {"type": kind, "source": "0" * 16, "destination": ANYBODY, "stamp": 1, "origin": origin, **keys}


@pytest.fixture
def besieged(tmp_path: Path) -> Iterator[Besieged]:
    """A member that nobody has attacked yet."""
    besieged = Besieged(tmp_path)
    try:
        yield besieged
    finally:
        besieged.friend.socket.close()
        assert besieged.process.end()


def attacked(besieged: Besieged, datagrams: list[bytes], stranger: Stranger) -> dict[str, object]:
    """Send it all; what is not as it should be, by name."""
    process = besieged.process
    process.forget_turns()
    memory, told = process.memory_bytes(), process.log()
    for number, data in enumerate(datagrams):
        stranger.put(data)
        if number % 25 == 0:
            wait_until_read(besieged.port)
            stranger.hear_all()
    # Who is answered now is answered after all this.
    besieged.is_served()
    log = process.log().removeprefix(told)
    measured = {
        "memory": (process.memory_bytes() - memory, MEMORY_KEPT_BYTES),
        "turn": (process.longest_turn_s, LONGEST_TURN_S),
        "log": (len(log), LOG_CHARACTERS),
        "traceback": (log.count("Traceback") + log.count("Unhandled"), 0),
    }
    return {name: value for name, (value, most) in measured.items() if value > most}


def test_unshown(besieged: Besieged) -> None:
    """Nothing is answered to an address that has not shown itself but in fewer bytes than it has sent, and no ring
    message at all."""
    stranger = Stranger(besieged.port, "127.0.0.2")
    rng = random.Random(1)
    for kind in KINDS:
        for _ in range(20):
            stranger.tell(**asking(kind, place="0" * 16, digest="ab" * 32, space="value", name="x"))
            stranger.tell(**json_like(rng, [kind]))
    wait_until_read(besieged.port)
    besieged.is_served()
    stranger.socket.setblocking(False)
    heard = []
    try:
        while True:
            heard.append(stranger.socket.recv(1 << 16))
    except BlockingIOError:
        pass
    assert {json.loads(data)["type"] for data in heard} <= {"stale"}
    assert sum(map(len, heard)) <= stranger.sent_bytes
    besieged.is_served()
    stranger.socket.close()


def test_rubbish(besieged: Besieged) -> None:
    """Rubbish from an address that has shown itself costs nobody a moment, and fills neither memory nor log."""
    stranger = Stranger(besieged.port, "127.0.0.2")
    stranger.show()
    wrong: dict[str, object] = {}
    for seed in range(TRIES):
        rng = random.Random(seed)
        datagrams = [json.dumps(json_like(rng, KINDS, stranger.cookie)).encode() for _ in range(RUBBISH)]
        datagrams += [rng.randbytes(rng.randrange(1, 1_400)) for _ in range(RUBBISH // 4)]
        if not (wrong := attacked(besieged, datagrams, stranger)):
            break
    stranger.socket.close()
    assert not wrong


def test_stores_without_end(besieged: Besieged) -> None:
    """Entries without end under one name, of as many owners, with questions about them, stall nobody."""
    stranger = Stranger(besieged.port, "127.0.0.2")
    stranger.show()
    besieged.friend.tell(**asking())
    pong = besieged.friend.hear("ringpong")
    ring = Ring()
    member = Contact(ring.from_wire(pong["source"]), key_pair(1).public, Address("127.0.0.1", besieged.port))
    own = Contact(5, key_pair(2).public, Address("127.0.0.2", 1))
    cookie = {"cookie": stranger.cookie}
    datagrams = list[bytes]()
    request = partial(RingRequest, space="value", name="same")
    compare = partial(RingCompare, low="f" * 32, high="f" * 32, total="0" * 32, own=True)
    for number in range(STORED):
        for make in (*stores(owned(number, "same", lifetime=30)), request, compare):
            datagrams.append(_encoded(forged(ring, make, own, member), **cookie))
    wrong = attacked(besieged, datagrams, stranger)

    def answer() -> dict[str, Any] | None:
        stranger.put(_encoded(forged(ring, request, own, member), stamp=2, **cookie))
        try:
            while (heard := stranger.hear("ringtransfer"))["stamp"] != 2:
                pass
        except TimeoutError:
            # A datagram may be lost when very many come, and who asks much waits for its turn.
            return None
        return heard

    answers = list[dict[str, Any]]()
    assert until(lambda: bool(answers.extend(filter(None, [answer()])) or answers))
    stranger.socket.close()
    assert answers[0]["more"]
    assert not wrong


def _encoded(message: Any, **keys: Any) -> bytes:
    return json.dumps({**json.loads(msgspec.json.encode(message)), **keys}, separators=(",", ":")).encode()
