"""The load of the benchmarks of super peers: weak peers by the hundred, and neighbours, played with plain sockets."""

from __future__ import annotations

import hashlib
import json
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Final

from benchmarks.processes import LOOPBACK, PATIENCE_S, Server
from benchmarks.report import BenchmarkError
from twisted_bazaar.discovery.index.messages import File, Update
from twisted_bazaar.discovery.superpeer.messages import Query, Register, SuperHello
from twisted_bazaar.node.control import Cookie, Knock, ThisIsMe
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.framing import frame
from twisted_bazaar.wire.message import Message

_REACH: Final = 4
_LARGEST_DATAGRAM: Final = 2_048
_COOKIE: Final = "0123456789abcdef"
_NONCE: Final = "00000000000000aa"
_FIRST_ID: Final = 1_000
_HOSTS: Final = 100
_PORT: Final = 40_123

_encode = Codec().encode
_query_ids = count(1)


def file_name(number: int) -> str:
    """The name of a file that some weak peer has."""
    return f"recording {number} of the river.ogg"


def next_query(name: str, *, ttl: int = 0) -> bytes:
    """A query that nobody has seen; all for names of one length are of one length."""
    number = next(_query_ids)
    return _encode(Query(id=f"{number:032x}", name=name, ttl=ttl, reach=ttl))


# Weak peers.


@contextmanager
def crowd(server: Server, peers: int, files: int) -> Iterator[list[socket.socket]]:
    """Weak peers of a super peer that have listed their files there, an equal part of all each."""
    with ExitStack() as stack:
        links = []
        for number in range(peers):
            # One host may have a part only of the room for lists.
            link = stack.enter_context(server.connect(f"127.0.1.{number % _HOSTS + 1}"))
            own = [File(name=file_name(n), size=1_000 + n, digest=_digest(n)) for n in range(number, files, peers)]
            _join(link, _FIRST_ID + number, own)
            links.append(link)
        yield links


@contextmanager
def strangers(server: Server, peers: int) -> Iterator[list[socket.socket]]:
    """Connections on which nothing has been said."""
    with ExitStack() as stack:
        yield [stack.enter_context(server.connect()) for _ in range(peers)]


def served(links: Sequence[socket.socket], queries: Sequence[bytes], window: int, end: bytes) -> float:
    """Send queries over all links in turn, some on each under way, and time until all have been answered.

    @param end: what stands once in the last message of each answer.
    @return: queries a second.
    """
    waiting = {
        link: deque(frame(query) for query in queries[number :: len(links)]) for number, link in enumerate(links)
    }
    tails = dict.fromkeys(links, b"")
    left = len(queries)
    with selectors.DefaultSelector() as selector:
        for link in links:
            selector.register(link, selectors.EVENT_READ)
        began = time.perf_counter()
        for link in links:
            _send_some(link, waiting[link], window)
        while left:
            ready = selector.select(PATIENCE_S)
            if not ready:
                raise BenchmarkError(f"{left} queries were not answered")
            for key, _ in ready:
                link = key.fileobj
                assert isinstance(link, socket.socket), "only sockets were registered"
                got = link.recv(1 << 16)
                if not got:
                    raise BenchmarkError("the server closed the connection")
                text = tails[link] + got
                ended = text.count(end)
                # What it ends with may be the beginning of one more.
                tails[link] = text[max(text.rfind(end) + len(end) if ended else 0, len(text) - len(end) + 1) :]
                left -= ended
                _send_some(link, waiting[link], ended)
    return len(queries) / (time.perf_counter() - began)


def _send_some(link: socket.socket, waiting: deque[bytes], most: int) -> None:
    chosen = [waiting.popleft() for _ in range(min(most, len(waiting)))]
    if chosen:
        link.sendall(b"".join(chosen))


def _join(link: socket.socket, node_id: int, files: Sequence[File]) -> None:
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = hashlib.sha256(b"%d" % node_id).hexdigest()
    for message, wanted in (
        (ThisIsMe(id=node_id, port=_PORT, key=key), "thisisme"),
        (Register(id=1), "registered"),
        (Update(id=2, base=0, mark=1, add=tuple(files)), "listed"),
    ):
        link.sendall(frame(_encode(message)))
        answer = json.loads(_read_frame(link))
        if answer["type"] != wanted:
            raise BenchmarkError(f"the super peer answered {message.wire_name} with {answer}")


def _read_frame(link: socket.socket) -> bytes:
    digits = b""
    while not digits.endswith(b":"):
        digits += link.recv(1)
    return link.recv(int(digits[:-1]) + 1, socket.MSG_WAITALL)[:-1]


def _digest(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


# Super peers.


class Neighbour:
    """A super peer that only says what has to be said.

    @param node_id: its id.
    """

    def __init__(self, server: Server, node_id: int) -> None:
        self._there = (LOOPBACK, server.port)
        self._id = node_id
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind((LOOPBACK, 0))
        self.socket.settimeout(PATIENCE_S)
        self._ending = b"}"

    def join(self) -> None:
        """Show that it receives here, and be a neighbour from now on."""
        self._send(Knock(nonce=_NONCE, pad="0" * 32))
        self._ending = b',"cookie":"%s"}' % json.loads(self.next_of(b'"cookie"'))["give"].encode()
        self.greet()
        self.next_of(b'"superhello"')

    def greet(self) -> None:
        """Say that it is still there."""
        self._send(SuperHello(id=self._id, key=f"{self._id:064x}"))

    def ask(self, query: bytes) -> None:
        """Send an encoded query."""
        self.socket.sendto(query[:-1] + self._ending, self._there)

    def next_of(self, kind: bytes) -> bytes:
        """The next message of a type; the others are taken as they come."""
        while True:
            try:
                data = self.socket.recv(_LARGEST_DATAGRAM)
            except TimeoutError:
                raise BenchmarkError(f"the super peer sent no {kind.decode()}") from None
            if data.startswith(b'{"type":%s' % kind):
                return data
            if data.startswith(b'{"type":"knock"'):
                self.socket.sendto(_encode(Cookie(nonce=json.loads(data)["nonce"], give=_COOKIE)), self._there)

    def _send(self, message: Message) -> None:
        self.ask(_encode(message))


def forwarded(asker: Neighbour, taker: Neighbour, queries: Sequence[bytes], window: int) -> float:
    """Send queries, some under way, and time until all have come out at another neighbour; returns queries a second."""
    waiting = deque(queries)
    left = len(queries)
    began = time.perf_counter()
    for _ in range(window):
        asker.ask(waiting.popleft())
    while left:
        taker.next_of(b'"query"')
        left -= 1
        if waiting:
            asker.ask(waiting.popleft())
    return len(queries) / (time.perf_counter() - began)


def echoed(server: Server, queries: Sequence[bytes], window: int) -> float:
    """Send queries, some under way, and time until all have come back; returns queries a second."""
    waiting = deque(queries)
    left = len(queries)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        own.bind((LOOPBACK, 0))
        own.settimeout(PATIENCE_S)
        there = (LOOPBACK, server.port)
        began = time.perf_counter()
        for _ in range(window):
            own.sendto(waiting.popleft(), there)
        while left:
            try:
                own.recv(_LARGEST_DATAGRAM)
            except TimeoutError:
                raise BenchmarkError(f"{left} datagrams did not come back") from None
            left -= 1
            if waiting:
                own.sendto(waiting.popleft(), there)
        return len(queries) / (time.perf_counter() - began)
