"""Searches passed on in a second by one relay.

Ours is the daemon as users run it, C{twistd -n bazaar-node --role relay}, in a process of its own, with the
limit of searches a second raised. It gets its id from a stand-in tracker, to which it tells its port.
Two sealed sockets greet it as two nodes; one sends searches with ids never used before, the other
gets them. So each search is opened, framed, decoded, checked, remembered, changed, encoded, sealed and sent on.

The peer, L{benchmarks.bare}, gets the same bytes in the open and sends each message back after C{json.loads} and
C{json.dumps}; it checks, remembers and changes nothing.

The load is the same for both: at most C{_WINDOW} searches are under way. They are encoded before the
time is taken, and since all are of one length, what comes back is counted by its bytes.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Final

from benchmarks.harness import Measure, figure, take
from benchmarks.peers import TWISTED
from benchmarks.processes import LOOPBACK, PATIENCE_S, Server, bare_server, daemon
from benchmarks.report import BenchmarkError, Row
from benchmarks.sealed_socket import SealedSocket
from twisted_bazaar.discovery.flood.messages import Search
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.control import ThisIsMe, ThisIsYou
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.framing import frame
from twisted_bazaar.wire.message import Message

_ROUNDS: Final = 9
SEARCHES: Final = 81_920
_WINDOW: Final = 1_024
_CHUNK: Final = 128
# The table of searches seen is full after this many: a relay's everyday state.
WARM_UP: Final = 10_240
_SENDER_ID, _RECEIVER_ID, _RELAY_ID = 1001, 1002, 1003
# Where the sender says it can be reached; nobody has cause to try.
_SENDER_PORT: Final = 40_123
_FIRST_SEARCH_ID: Final = 10**12

AnySocket = socket.socket | SealedSocket

_encode = Codec().encode
_search_ids = count(_FIRST_SEARCH_ID)


def measure() -> list[Row]:
    """All rows of this module."""
    with ExitStack() as stack:
        relay = stack.enter_context(running_relay(is_plain=False))
        echo = stack.enter_context(bare_server("echo"))
        pass_through_relay(relay, WARM_UP, is_plain=False)
        _pass_through_echo(echo, WARM_UP)
        passed_on = Measure(
            name="relay",
            unit="searches a second",
            goal=0.9,
            peer=TWISTED,
            ours=figure(lambda: pass_through_relay(relay, SEARCHES, is_plain=False)),
            theirs=figure(lambda: _pass_through_echo(echo, SEARCHES)),
        )
        return take([passed_on], _ROUNDS)


@contextmanager
def running_relay(*, is_plain: bool) -> Iterator[Server]:
    """A relay that has its id and knows nobody."""
    with socket.create_server((LOOPBACK, 0)) as stand_in:
        stand_in.settimeout(PATIENCE_S)
        tracker = f"tcp:{LOOPBACK}:{stand_in.getsockname()[1]}"
        limit = "searches-a-second=100000000"
        with daemon(
            ["bazaar-node", "--role", "relay", "--ephemeral", "--min-links=0", "--tracker", tracker, "--limit", limit],
            is_plain=is_plain,
        ) as it:
            bare, _ = stand_in.accept()
            bare.settimeout(PATIENCE_S)
            with bare if is_plain else SealedSocket(bare, _key_of(0), is_dialler=False) as link:
                port = json.loads(_read_frame(link))["port"]
                _send(link, ThisIsYou(id=_RELAY_ID, host=LOOPBACK, port=port))
                yield Server(it.pid, port)


def pass_through_relay(relay: Server, searches: int, *, is_plain: bool) -> float:
    """Send searches through a relay; returns how many a second came out."""
    with _connect(relay, _SENDER_ID, is_plain) as sender, _connect(relay, _RECEIVER_ID, is_plain) as receiver:
        for link, node_id in ((sender, _SENDER_ID), (receiver, _RECEIVER_ID)):
            _send(link, ThisIsMe(id=node_id, port=_SENDER_PORT, key=_key_of(node_id).public))
            answer = json.loads(_read_frame(link))
            if answer["type"] != "thisisme" or answer["id"] != _RELAY_ID:
                raise BenchmarkError(f"the relay answered a greeting with {answer}")
        return _rate(sender, receiver, searches, [_SENDER_ID, _RELAY_ID])


def _connect(relay: Server, node_id: int, is_plain: bool) -> AnySocket:
    return relay.connect() if is_plain else SealedSocket(relay.connect(), _key_of(node_id))


def _key_of(node_id: int) -> KeyPair:
    return KeyPair.from_seed(node_id.to_bytes(32))


def _pass_through_echo(echo: Server, searches: int) -> float:
    with echo.connect() as link:
        return _rate(link, link, searches, [_SENDER_ID])


def _rate(sender: AnySocket, receiver: AnySocket, searches: int, expected_path: list[int]) -> float:
    """Send searches, a window of them under way, and time until all have come out.

    @param expected_path: the return path that they come out with.
    @return: searches a second.
    """
    sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sender.sendall(_next_searches(1))
    sample = _read_frame(receiver)
    if json.loads(sample).get("returnPath") != expected_path:
        raise BenchmarkError(f"not the search that was sent: {sample!r}")
    frame_bytes = len(frame(sample))
    chunks = [_next_searches(_CHUNK) for _ in range(searches // _CHUNK)]
    chunks.reverse()
    total, window, step = searches * frame_bytes, _WINDOW * frame_bytes, _CHUNK * frame_bytes
    sent = received = 0
    buffer = bytearray(1 << 18)
    began = time.perf_counter()
    try:
        while received < total:
            while chunks and sent - received <= window - step:
                sender.sendall(chunks.pop())
                sent += step
            got = receiver.recv_into(buffer)
            if not got:
                raise BenchmarkError("the server closed the connection")
            received += got
    except TimeoutError:
        raise BenchmarkError(f"{received // frame_bytes} of {searches} searches came out") from None
    elapsed_s = time.perf_counter() - began
    if received != total or buffer[got - 1 : got] != b",":
        raise BenchmarkError("something other than searches came out")
    return searches / elapsed_s


def _next_searches(how_many: int) -> bytes:
    """The frames of searches that nobody has seen, all of one length."""
    search = Search(id=0, return_path=(_SENDER_ID,), host=LOOPBACK, port=_SENDER_PORT, item="screwdriver")
    return b"".join(frame(_encode(search.evolve(id=next(_search_ids)))) for _ in range(how_many))


def _send(link: AnySocket, message: Message) -> None:
    link.sendall(frame(_encode(message)))


def _read_frame(link: AnySocket) -> bytes:
    """Read one frame and not a byte more."""
    digits = b""
    try:
        while not digits.endswith(b":"):
            digits += _read(link, 1)
        return _read(link, int(digits[:-1]) + 1)[:-1]
    except TimeoutError:
        raise BenchmarkError("the server said nothing") from None


def _read(link: AnySocket, size: int) -> bytes:
    data = link.recv(size, socket.MSG_WAITALL)
    if len(data) < size:
        raise BenchmarkError("the server closed the connection")
    return data
