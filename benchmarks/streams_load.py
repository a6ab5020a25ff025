"""Streams over datagrams on loopback, and the peer beside them, in processes of their own.

C{python -m benchmarks.streams_load serve} sends a file to whoever opens a stream; C{fetch PORT} fetches it, checks it
against its digest and prints bytes a second. C{echo} is the peer: it sends each datagram back, and does nothing else.
The first and the last print their port as their first line.
"""

from __future__ import annotations

import hashlib
import random
import socket
import sys
import time
from typing import Any, Final

from twisted.internet import reactor as _reactor
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol

from benchmarks.processes import LOOPBACK, PATIENCE_S
from benchmarks.report import BenchmarkError
from twisted_bazaar.files.udp import Streams
from twisted_bazaar.files.window import Settings
from twisted_bazaar.files.window.segment import HEAD_BYTES

CONTENT_BYTES: Final = 32 << 20
DATAGRAM_BYTES: Final = Settings().mss + HEAD_BYTES
_PIECE_BYTES: Final = 128 << 10
_KEPT_BYTES: Final = 1 << 20
_UNDER_WAY: Final = 64

reactor: Any = _reactor


class Echo(DatagramProtocol):
    """Sends each datagram back."""

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Answer one."""
        transport: Any = self.transport
        transport.write(datagram, addr)


class Socket(DatagramProtocol):
    """A socket that has streams and nothing else."""

    def __init__(self) -> None:
        self.streams = Streams(reactor, random.SystemRandom(), b"benchmark", self._send)
        self.port: Any = reactor.listenUDP(0, self, LOOPBACK, DATAGRAM_BYTES + 16)
        self.port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KEPT_BYTES)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Take one."""
        self.streams.datagram_received(datagram, addr)

    def _send(self, data: bytes, where: tuple[str, int]) -> None:
        self.port.write(data, where)


class Sending(Protocol):
    """Sends the file."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0
        self._is_resting = False

    def connectionMade(self) -> None:
        """Begin."""
        transport: Any = self.transport
        transport.registerProducer(self, True)
        self.resumeProducing()

    def pauseProducing(self) -> None:
        """Enough is waiting."""
        self._is_resting = True

    def resumeProducing(self) -> None:
        """Go on."""
        self._is_resting = False
        transport: Any = self.transport
        while self._at < len(self._content) and not self._is_resting:
            self._at += _PIECE_BYTES
            transport.write(self._content[self._at - _PIECE_BYTES : self._at])
        if self._at >= len(self._content):
            transport.unregisterProducer()
            transport.loseConnection()

    def stopProducing(self) -> None:
        """It is over."""


class Fetching(Protocol):
    """Fetches the file, and ends the process when it has."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._size = 0
        self._began = 0.0

    def connectionMade(self) -> None:
        """Begin."""
        self._began = time.perf_counter()
        transport: Any = self.transport
        transport.write(b"send")

    def dataReceived(self, data: bytes) -> None:
        """Some of it."""
        self._size += len(data)
        self._hash.update(data)

    def connectionLost(self, reason: Any = None) -> None:
        """All of it, or not."""
        took_s = time.perf_counter() - self._began
        is_right = self._hash.digest() == hashlib.sha256(_content()).digest()
        print(self._size / took_s if is_right else 0.0, flush=True)
        reactor.stop()


def echoed(port: int, count: int) -> float:
    """Send datagrams to the peer, some under way; returns bytes a second that have come back."""
    datagram = bytes(DATAGRAM_BYTES)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KEPT_BYTES)
        own.bind((LOOPBACK, 0))
        own.settimeout(PATIENCE_S)
        there = (LOOPBACK, port)
        began = time.perf_counter()
        for _ in range(_UNDER_WAY):
            own.sendto(datagram, there)
        for number in range(count):
            try:
                own.recv(DATAGRAM_BYTES)
            except TimeoutError:
                raise BenchmarkError(f"{count - number} datagrams did not come back") from None
            if number < count - _UNDER_WAY:
                own.sendto(datagram, there)
        return count * DATAGRAM_BYTES / (time.perf_counter() - began)


def main(kind: str, *words: str) -> None:
    """Serve until killed, or fetch once."""
    if kind == "fetch":
        factory = Factory.forProtocol(Fetching)
        factory.noisy = False
        Socket().streams.connect((LOOPBACK, int(words[0])), factory)
    elif kind == "serve":
        content = _content()
        server, factory = Socket(), Factory()
        factory.buildProtocol = lambda addr: Sending(content)  # type: ignore[assignment]
        server.streams.listen(factory)
        print(server.port.getHost().port, flush=True)
    else:
        print(reactor.listenUDP(0, Echo(), LOOPBACK).getHost().port, flush=True)
    reactor.run()


def _content() -> bytes:
    return random.Random(1).randbytes(CONTENT_BYTES)


if __name__ == "__main__":
    main(*sys.argv[1:])
