"""Streams over real sockets, of both families."""

from __future__ import annotations

import random
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.python.failure import Failure

from tests.integration.market import reactor
from twisted_bazaar.files.udp import Streams, UdpEndpoint
from twisted_bazaar.files.window import Settings

LONGEST_S = 20.0


class Socket(DatagramProtocol):
    """A socket with streams."""

    noisy = False

    def __init__(self, interface: str, settings: Settings | None = None) -> None:
        self.streams = Streams(reactor, random.SystemRandom(), b"secret", self._send, settings)
        self.port: Any = reactor.listenUDP(0, self, interface, 1300)

    @property
    def where(self) -> tuple[str, int]:
        """Where it is."""
        own = self.port.getHost()
        return own.host, own.port

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.streams.datagram_received(datagram, addr[:2])

    def _send(self, data: bytes, where: tuple[str, int]) -> None:
        self.port.write(data, where)


class Talker(Protocol):
    """Says something, and hears the rest."""

    transport: Any

    def __init__(self, says: bytes, closes: bool = False) -> None:
        self._says = says
        self._closes = closes
        self.heard = b""
        self.over: Deferred[type[BaseException]] = Deferred()

    def connectionMade(self) -> None:
        self.transport.write(self._says)
        if self._closes:
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        self.over.callback(reason.type)


def giving(protocol: Protocol) -> Factory:
    """A factory of this one."""
    factory = Factory()
    factory.noisy = False
    factory.buildProtocol = lambda addr: protocol  # type: ignore[method-assign, assignment]
    return factory


@pytest.mark.parametrize(
    ("interface", "settings"),
    [
        ("127.0.0.1", Settings()),
        ("::1", Settings()),
        ("127.0.0.1", Settings(drop=0.1)),
        ("127.0.0.1", Settings(window=1)),
    ],
)
@pytest_twisted.ensureDeferred
async def test_transfer(interface: str, settings: Settings) -> None:
    """What one end says the other hears, and both know that it is over; nothing is left."""
    near, far = Socket(interface), Socket(interface, settings)
    content = random.Random(1).randbytes(1 << 20)
    asker, source = Talker(b"please"), Talker(content, closes=True)
    far.streams.listen(giving(source))

    await UdpEndpoint(near.streams, far.where).connect(giving(asker))
    for end in (asker, source):
        assert await end.over.addTimeout(LONGEST_S, reactor) is ConnectionDone

    assert asker.heard == content
    assert (len(near.streams), len(far.streams)) == (0, 0)
    for each in (near, far):
        await each.port.stopListening()
