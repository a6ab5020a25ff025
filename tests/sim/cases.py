"""Two simulated machines, or more, and a connection between them: what tests of the simulator begin with."""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import ClientFactory, DatagramProtocol, Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.sim.engine.hosts import Host, Network
from twisted_bazaar.sim.engine.network_conditions import Conditions, Draw

LATENCY_S = 0.125
PORT = 4000


class Listener(Protocol):
    """Keeps what it is told.

    @ivar pieces: what came, as it was cut, and when.
    @ivar ended: why the connection is gone, and when.
    """

    def __init__(self) -> None:
        self.pieces: list[tuple[float, bytes]] = []
        self.ended: tuple[str, float] | None = None
        self.produced: list[str] = []

    @property
    def received(self) -> bytes:
        """All that came."""
        return b"".join(piece for _, piece in self.pieces)

    @property
    def now(self) -> float:
        """The present instant."""
        transport: Any = self.transport
        return float(transport.host.network.timeline.now)

    def dataReceived(self, data: bytes) -> None:
        self.pieces.append((self.now, data))

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        self.ended = (reason.type.__name__, self.now)

    def pauseProducing(self) -> None:
        self.produced.append("pause")

    def resumeProducing(self) -> None:
        self.produced.append("resume")

    def stopProducing(self) -> None:
        self.produced.append("stop")


class Server(Factory):
    """Keeps the ends of all connections that it has taken."""

    def __init__(self) -> None:
        self.ends: list[Any] = []

    def buildProtocol(self, addr: object) -> Listener:
        self.ends.append(Listener())
        return self.ends[-1]  # type: ignore[no-any-return] # Any, so that tests can look at its transport


class Client(ClientFactory):
    """Keeps its end of a connection, or why there is none, and since when."""

    noisy = False

    def __init__(self) -> None:
        self.end: Any = None
        self.made_at: float | None = None
        self.failed: tuple[str, float] | None = None

    def buildProtocol(self, addr: object) -> Listener:
        self.end = Listener()
        return self.end  # type: ignore[no-any-return] # as above

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self.failed = (reason.type.__name__, connector._host.network.timeline.now)


class Letters(DatagramProtocol):
    """Keeps the datagrams that come, and when."""

    def __init__(self) -> None:
        self.letters: list[tuple[bytes, tuple[str, int]]] = []
        self.times: list[float] = []
        self.refusals = 0

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.letters.append((datagram, addr))
        port: Any = self.transport
        self.times.append(port._host.network.timeline.now)

    def connectionRefused(self) -> None:
        self.refusals += 1


class NetworkTestCase(SynchronousTestCase):
    """Machines C{a} and C{b}, an eighth of a second apart; nothing is cut unless a test wants it."""

    def setUp(self) -> None:
        """Two machines."""
        self.make_network()

    def make_network(
        self, conditions: Conditions | None = None, latency: Draw | None = None, cut_share: float = 0.0, seed: int = 1
    ) -> None:
        """Two machines on another network."""
        self.network = Network(seed, conditions or Conditions(LATENCY_S), latency, cut_share)
        self.a, self.b = self.network.add_host("a"), self.network.add_host("b")

    @property
    def now(self) -> float:
        """The present instant."""
        return self.network.timeline.now

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        self.network.timeline.run_until(self.now + seconds)

    def listen(self, host: Host | None = None, port: int = PORT, **where: Any) -> Server:
        """Take connections on C{b}, or another machine."""
        server = Server()
        (host or self.b).listenTCP(port, server, **where)
        return server

    def call(self, host: Host | None = None, address: str | None = None, port: int = PORT, **how: Any) -> Client:
        """Connect from C{a}, or another machine, to C{b}, or another address."""
        client = Client()
        (host or self.a).connectTCP(address or self.b.address, port, client, **how)
        return client

    def connect(self) -> tuple[Any, Any]:
        """A connection; returns the ends at C{a} and C{b}."""
        server = self.listen()
        client = self.call(timeout=None)
        self.run_for(1.0)
        while client.end is None:
            self.run_for(1.0)
        return client.end, server.ends[0]
