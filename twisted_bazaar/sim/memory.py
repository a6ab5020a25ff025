"""Machines and wires in memory: the part of a reactor that nodes use, on a clock that somebody else moves.

A connection keeps its bytes in order, tells producers to wait, and closes as TCP does. There is no loss
and no chance in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from attrs import frozen
from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConnector, IListeningPort, IReactorTCP, IReactorTime, ITCPTransport
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

log = Logger()

_FULL_BYTES: Final = 1 << 16
_TURN_BYTES: Final = 1 << 16


class Wires:
    """What connects the machines.

    @ivar clock: the time of all of them.
    @ivar latency_s: how long bytes take from one end to the other.
    @ivar ports: who listens, by host and port.
    @ivar open_ends: both ends of every open connection.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.latency_s = 0.001
        self.ports: dict[tuple[str, int], _MemoryPort] = {}
        self.open_ends: dict[MemoryTransport, None] = {}
        self._next_port = 10_000

    def free_port(self) -> int:
        """A port that nobody has had yet."""
        self._next_port += 1
        return self._next_port


@implementer(ITCPTransport)
class MemoryTransport:
    """One end of a connection in memory: ordered bytes, back-pressure, close and abort."""

    disconnecting = False

    def __init__(self, wires: Wires, own: IPv4Address, other: IPv4Address) -> None:
        self._wires = wires
        self._own = own
        self._other = other
        self.protocol: Any = None
        self.far_end: MemoryTransport | None = None
        self._unsent = bytearray()
        self._paused = False
        self._producer: Any = None
        self._producer_paused = False
        self.connected = True
        self._scheduled = False

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self.connected and not self.disconnecting:
            self._unsent += data
            if self._producer is not None and len(self._unsent) > _FULL_BYTES:
                # At each write, as Twisted's transports do.
                self._producer_paused = True
                self._producer.pauseProducing()
            self._schedule()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several pieces."""
        self.write(b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take who is to be told when too much is unsent."""
        self._producer = producer

    def unregisterProducer(self) -> None:
        """Tell nobody any more."""
        self._producer = None
        self._producer_paused = False

    def pauseProducing(self) -> None:
        """Hand nothing to the protocol for now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Hand on what has come."""
        self._paused = False
        if self.far_end is not None:
            self.far_end._schedule()

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    def loseConnection(self) -> None:
        """Close when everything has been sent."""
        self.disconnecting = True
        self._schedule()

    def loseWriteConnection(self) -> None:
        """Half-close is not needed by the wire; it closes."""
        self.loseConnection()

    def abortConnection(self) -> None:
        """Cut at once."""
        if self.connected:
            self._unsent.clear()
            self._wires.clock.callLater(0, self._end, error.ConnectionAborted())

    def getPeer(self) -> IPv4Address:
        """The address of the other end."""
        return self._other

    def getHost(self) -> IPv4Address:
        """The address of this end."""
        return self._own

    def getTcpNoDelay(self) -> bool:
        """Memory has no delays."""
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Memory has no delays."""

    def getTcpKeepAlive(self) -> bool:
        """Memory needs no keep-alive."""
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Memory needs no keep-alive."""

    def _schedule(self) -> None:
        if not self._scheduled and self.connected:
            self._scheduled = True
            self._wires.clock.callLater(self._wires.latency_s, self._move)

    def _move(self) -> None:
        """Bring some bytes over, and close when the last are through."""
        self._scheduled = False
        far_end = self.far_end
        if not self.connected or far_end is None or far_end._paused:
            return
        data = bytes(self._unsent[:_TURN_BYTES])
        del self._unsent[:_TURN_BYTES]
        if data and far_end.connected and far_end.protocol is not None:
            try:
                far_end.protocol.dataReceived(data)
            except Exception as fault:
                # As Twisted's reactors do: a fault costs its connection.
                log.failure("a protocol raised")
                self._end(fault)
        if self._unsent:
            self._schedule()
            return
        if self._producer is not None and self._producer_paused:
            self._producer_paused = False
            self._producer.resumeProducing()
        if self.disconnecting:
            self._end(error.ConnectionDone())

    def _end(self, reason: Exception) -> None:
        for end in (self, self.far_end):
            if end is not None and end.connected:
                end.connected = False
                self._wires.open_ends.pop(end, None)
                if end.protocol is not None:
                    end.protocol.connectionLost(Failure(reason))


@implementer(IListeningPort)
@frozen(eq=False)
class _MemoryPort:
    wires: Wires
    address: IPv4Address
    factory: Any

    def startListening(self) -> None:
        """It listens from the start."""

    def stopListening(self) -> Deferred[None]:
        """Take no more connections."""
        self.wires.ports.pop((self.address.host, self.address.port), None)
        return succeed(None)

    def getHost(self) -> IPv4Address:
        """Where it listens."""
        return self.address


@implementer(IConnector)
@frozen(eq=False)
class _MemoryConnector:
    transport: MemoryTransport

    def stopConnecting(self) -> None:
        """Give up."""
        self.transport.abortConnection()

    def disconnect(self) -> None:
        """Close."""
        self.transport.loseConnection()

    def connect(self) -> None:
        """There is only one try."""

    def getDestination(self) -> IPv4Address:
        """Where it connects to."""
        return self.transport.getPeer()


@implementer(IReactorTCP, IReactorTime)
@frozen(eq=False)
class MemoryHost:
    """One machine on some L{Wires}: the reactor of the nodes on it."""

    wires: Wires
    host: str

    def seconds(self) -> float:
        """The time of the network's clock."""
        return float(self.wires.clock.seconds())

    def callLater(self, delay: float, callable: Callable[..., object], *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        """Set a timer on the network's clock."""
        return self.wires.clock.callLater(delay, callable, *args, **kwargs)

    def getDelayedCalls(self) -> Any:
        """The timers of the whole network."""
        return self.wires.clock.getDelayedCalls()

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> IListeningPort:
        """Take connections."""
        number = port or self.wires.free_port()
        if (self.host, number) in self.wires.ports:
            raise error.CannotListenError(interface, number, OSError("in use"))
        listening = _MemoryPort(self.wires, IPv4Address("TCP", self.host, number), factory)
        self.wires.ports[self.host, number] = listening
        return listening

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> IConnector:
        """Connect to a host of the network."""
        own = IPv4Address("TCP", self.host, self.wires.free_port())
        near = MemoryTransport(self.wires, own, IPv4Address("TCP", host, port))
        connector = _MemoryConnector(near)
        factory.startedConnecting(connector)
        self.wires.clock.callLater(self.wires.latency_s, self._connect, near, factory, connector)
        return connector

    def _connect(self, near: MemoryTransport, factory: Any, connector: _MemoryConnector) -> None:
        target = near.getPeer()
        port = self.wires.ports.get((target.host, target.port))
        accepting = None if port is None else port.factory.buildProtocol(near.getHost())
        if accepting is None:
            factory.clientConnectionFailed(connector, Failure(error.ConnectionRefusedError()))
            return
        dialling = factory.buildProtocol(target)
        far = MemoryTransport(self.wires, target, near.getHost())
        near.far_end, far.far_end = far, near
        near.protocol, far.protocol = dialling, accepting
        self.wires.open_ends |= {near: None, far: None}
        accepting.makeConnection(far)
        if dialling is not None:
            dialling.makeConnection(near)
