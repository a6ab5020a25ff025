"""What the tests of streams as transports have in common: simulated machines with a socket each."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.files.udp import StreamLimits, Streams
from twisted_bazaar.files.window import Settings
from twisted_bazaar.sim.engine.hosts import Host, Network
from twisted_bazaar.sim.engine.network_conditions import Conditions

PORT = 5000


class Socket(DatagramProtocol):
    """The socket of a machine, and the streams over it.

    @ivar others: datagrams that are of no stream.
    """

    noisy = False

    def __init__(
        self, host: Host, settings: Settings | None = None, limits: StreamLimits | None = None, **options: Any
    ) -> None:
        self.host = host
        self.others: list[bytes] = []
        self.came: list[bytes] = []
        name = host.name.encode()
        self.port: Any = host.listenUDP(PORT, self, "", 2000)
        self.streams = Streams(host, random.Random(host.name), name, self.write, settings, limits, **options)

    @property
    def where(self) -> tuple[str, int]:
        """Where others reach it."""
        return self.host.address, PORT

    def write(self, data: bytes, where: tuple[str, int]) -> None:
        """Send a datagram."""
        self.port.write(data, where)

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        self.came.append(datagram)
        if not self.streams.datagram_received(datagram, addr):
            self.others.append(datagram)


class Talker(Protocol):
    """One end of a stream, played by a test."""

    transport: Any

    def __init__(self, says: bytes = b"", closes: bool = False) -> None:
        self._says = says
        self._closes = closes
        self.heard = b""
        self.reason: type[BaseException] | None = None

    def connectionMade(self) -> None:
        if self._says:
            self.transport.write(self._says)
        if self._closes:
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        assert self.reason is None, "it is lost once"
        self.reason = reason.type


class Pouring(Talker):
    """Writes so many bytes, as fast as they are taken, and closes."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.left = size
        self.rests = 0
        self._is_resting = False

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)
        self._pour()

    def pauseProducing(self) -> None:
        self._is_resting = True
        self.rests += 1

    def resumeProducing(self) -> None:
        self._is_resting = False
        self._pour()

    def stopProducing(self) -> None:
        """The stream is over."""

    def _pour(self) -> None:
        while self.left and not self._is_resting:
            size = min(self.left, 32 << 10)
            self.left -= size
            self.transport.write(bytes(size))
        if not self.left:
            self.transport.unregisterProducer()
            self.transport.loseConnection()


class Drain(Talker):
    """Counts what comes, and when.

    @param clock: the time.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self.clock = clock
        self.size = 0
        self.ended_at = 0.0

    def dataReceived(self, data: bytes) -> None:
        self.size += len(data)
        self.ended_at = self.clock()


class Ends(Factory):
    """Gives a protocol for each stream that is opened.

    @ivar made: all of them.
    """

    noisy = False

    def __init__(self, make: Any = Talker) -> None:
        self._make = make
        self.made: list[Any] = []

    def buildProtocol(self, addr: object) -> Any:
        protocol = self._make()
        if protocol is not None:
            self.made.append(protocol)
        return protocol


class StreamsTestCase(SynchronousTestCase):
    """Two machines."""

    def make(self, conditions: Conditions | None = None, seed: object = 1) -> None:
        """Make the network anew."""
        self.network = Network(seed, conditions or Conditions(latency_s=0.01))
        self.a, self.b = self.network.add_host("a"), self.network.add_host("b")

    def setUp(self) -> None:
        self.make()

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        self.network.timeline.run_until(self.network.timeline.now + seconds)

    def sockets(self, settings: Settings | None = None, **options: Any) -> tuple[Socket, Socket]:
        """A socket on each."""
        return Socket(self.a, settings, **options), Socket(self.b, settings, **options)
