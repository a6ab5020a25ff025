"""TCP between simulated machines, as far as programs can see it.

Bytes keep their order and arrive cut at random places, after the latency and as fast as the bandwidth
of the way allows. A packet that is lost, or sent into a partition, is sent again later. A reader that
pauses fills its window, then the sender's buffer, and then the sender's producer is told to wait. A
machine that lost its power says nothing; when it is back it resets what it does not know.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConnector, IHalfCloseableProtocol, IListeningPort, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted_bazaar.sim.reactor import Host

log = Logger()

TCPAddress = IPv4Address | IPv6Address

# What the two kernels hold of one direction, sent and not read yet.
_WINDOW_BYTES: Final = 1 << 16
# Where Twisted's transports ask their producer to pause.
_BUFFER_BYTES: Final = 1 << 16
# How much a reader gets at once, as with Twisted's reactors.
_READ_BYTES: Final = 1 << 16
_FIRST_RESEND_S: Final = 0.2
_LONGEST_RESEND_S: Final = 30.0
_FIRST_SYN_RESEND_S: Final = 1.0
_FIN: Final = b""
_RESET: Final = None


@implementer(ITCPTransport)
class Transport:
    """One end of a connection, and the way from it to the other end.

    @ivar host: the machine it is on.
    @ivar far: the other end; None until the connection is made.
    @ivar protocol: what speaks over it; None until it is accepted.
    """

    __slots__ = (
        *(
            "_conditions",
            "_connector",
            "_version",
            "_far_ended",
            "_flying",
            "_flying_bytes",
            "_free_at",
            "_launched_at",
            "_own",
        ),
        *(
            "_paused",
            "_resend_s",
            "_unread",
            "_unsent",
            "_version",
            "_write_closed",
            "connected",
            "disconnecting",
            "epoch",
        ),
        *("far", "host", "other", "producer", "protocol", "streaming"),
    )

    def __init__(self, host: Host, own: TCPAddress, other: TCPAddress, connector: Connector | None = None) -> None:
        self.host = host
        self.epoch = host.epoch
        self.other = other
        self._own = own
        self._connector = connector
        self.far: Transport | None = None
        self.protocol: Any = None
        self.producer: Any = None
        self.streaming = False
        self.connected = True
        self.disconnecting = False
        self._write_closed = False
        self._paused = False
        self._version = -1
        self._look_at_way()
        # On the way: when each piece arrives, and its bytes; empty for the end of the stream, None for a reset.
        self._flying: deque[tuple[float, bytes | None]] | None = None
        self._flying_bytes = 0
        self._launched_at = -1.0
        self._free_at = 0.0
        self._resend_s = _FIRST_RESEND_S
        # Arrays while there is something in them: pieces are added to the end and taken from the beginning.
        self._unsent: bytes | bytearray = b""
        self._unread: bytes | bytearray = b""
        self._far_ended = False

    def __repr__(self) -> str:
        state = "closing" if self.disconnecting else "open" if self.connected else "closed"
        return f"<{state} connection of {self.host.name} to {self.other.host}:{self.other.port}, {self.protocol!r}>"

    # What protocols call.

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"Data must be bytes, not {type(data).__name__}")
        if not data or not self.connected or self.disconnecting or self._write_closed:
            return
        if self._unsent or self._flying_bytes + len(data) > _WINDOW_BYTES:
            self._unsent = self._unsent or bytearray()
            self._unsent += data
            self._pump()
            if self.producer is not None and self.streaming and len(self._unsent) > _BUFFER_BYTES:
                self.producer.pauseProducing()
        else:
            self._launch(bytes(data))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several pieces."""
        self.write(b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take who is to be told when too much is unsent."""
        if self.producer is not None:
            raise RuntimeError(f"cannot register {producer}: {self.producer} was never unregistered")
        if not self.connected:
            producer.stopProducing()
            return
        self.producer = producer
        self.streaming = streaming
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """Tell nobody any more."""
        self.producer = None

    def pauseProducing(self) -> None:
        """Hand nothing to the protocol for now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Hand on what has come, in a moment."""
        if self._paused and self.connected and not self.disconnecting:
            self._paused = False
            if self._unread or self._far_ended:
                self.host.soon(self._read_on)

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    def loseConnection(self) -> None:
        """Close when everything has been sent; nothing is read any more."""
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._paused = True
            self._close_if_sent()

    def loseWriteConnection(self) -> None:
        """Say that nothing more comes, and go on reading."""
        if self.connected and not self._write_closed:
            self._write_closed = True
            self._close_if_sent()

    def abortConnection(self) -> None:
        """Cut at once: what is unsent is dropped, and the other end is reset."""
        if self.connected:
            self.disconnecting = self._paused = True
            self._unsent = b""
            self._launch(_RESET)
            self.host.soon(self._abort)

    def forsake(self) -> None:
        """Its program is gone: the kernel, if the machine has power, resets the connection."""
        if self.connected:
            self.connected = False
            self.protocol = self.producer = None
            if self.host.is_up:
                self._launch(_RESET)

    def getPeer(self) -> TCPAddress:
        """The address of the other end."""
        return self.other

    def getHost(self) -> TCPAddress:
        """The address of this end."""
        return self._own

    def getTcpNoDelay(self) -> bool:
        """Nothing is ever delayed to be sent with more."""
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing is ever delayed to be sent with more."""

    def getTcpKeepAlive(self) -> bool:
        """Silent connections stay open for ever."""
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Silent connections stay open for ever."""

    # On the way.

    def _launch(self, data: bytes | None) -> None:
        """Send a piece that fits into the window, the end of the stream, or a reset."""
        timeline = self.host.network.timeline
        now = timeline.now
        if self._version != self.host.network.ways.version:
            self._look_at_way()
        conditions = self._conditions
        flying = self._flying
        size = len(data) if data else 0
        self._flying_bytes += size
        self.host.bytes_sent += size
        if conditions.are_plain:
            if data and flying and self._launched_at == now and (last := flying[-1])[1]:
                # Written in one go, so it travels as one.
                flying[-1] = (last[0], last[1] + data)
                return
            self._launched_at = now
            arrives_at = now + conditions.latency_s
        else:
            arrives_at = self._delayed(size, now)
        if flying:
            flying.append((max(arrives_at, flying[-1][0]), data))
            return
        self._flying = deque([(arrives_at, data)])
        timeline.at(arrives_at, _arrive, self)

    def _look_at_way(self) -> None:
        """See what the way to the other end is like now."""
        network = self.host.network
        self._version = network.ways.version
        self._conditions = network.ways.conditions(self.host.name, network.host_at(self.other.host, self.host).name)

    def _delayed(self, size: int, now: float) -> float:
        """When a piece arrives over a way that is narrow or loses packets."""
        conditions = self._conditions
        start = now
        if conditions.bytes_a_second:
            start = self._free_at = max(now, self._free_at) + size / conditions.bytes_a_second
        resend_s = _FIRST_RESEND_S
        while conditions.loss and self.host.network.rng.random() < conditions.loss and resend_s < _LONGEST_RESEND_S:
            start += resend_s
            resend_s *= 2
        return start + conditions.latency_s

    def _arrive(self) -> None:
        """What comes first in flight is at the other end."""
        far, flying = self.far, self._flying
        if far is None or not flying:
            return
        network = self.host.network
        timeline = network.timeline
        target = far.host
        if not network.reaches(self.host, target):
            if flying[0][1] is _RESET or self.epoch != self.host.epoch or not self.host.is_up:
                # Nobody sends these again.
                self._flying = None
                return
            self._resend_s = min(_LONGEST_RESEND_S, self._resend_s * 2)
            timeline.at(timeline.now + self._resend_s, _arrive, self)
            return
        if target.is_paused:
            target.backlog.append((_arrive, self))
            return
        self._resend_s = _FIRST_RESEND_S
        if far.epoch != target.epoch or not far.connected:
            # Nobody there knows this connection.
            self._flying = None
            timeline.at(timeline.now + far._conditions.latency_s, _reset_by, far)
            return
        arrives_at, data = flying.popleft()
        if data and len(data) > 1 and network.cut_share and network.rng.random() < network.cut_share:
            cut = network.rng.randrange(1, len(data))
            flying.appendleft((arrives_at, data[cut:]))
            data = data[:cut]
        if flying:
            timeline.at(max(timeline.now, flying[0][0]), _arrive, self)
        else:
            self._flying = None
        if data:
            far._receive(data)
        elif data is _RESET:
            far._reset()
        else:
            far._far_ended = True
            far._read_on()

    def _pump(self) -> None:
        """Send as much of what is unsent as the window takes."""
        room = _WINDOW_BYTES - self._flying_bytes
        if self._unsent and room > 0 and self.connected:
            assert isinstance(self._unsent, bytearray), "it holds something"
            piece = bytes(self._unsent[:room])
            del self._unsent[:room]
            self._launch(piece)
            if not self._unsent:
                self.host.soon(self._drained)
        self._close_if_sent()

    def _drained(self) -> None:
        """Everything has left; whoever produces may go on."""
        if self.connected and not self._unsent and self.producer is not None:
            self.producer.resumeProducing()

    def _close_if_sent(self) -> None:
        if self._unsent:
            return
        if self.disconnecting and self.connected:
            if not self._write_closed:
                self._launch(_FIN)
            self.host.soon(self._done)
        elif self._write_closed:
            self._launch(_FIN)

    # At the other end.

    def _receive(self, data: bytes) -> None:
        if self._unread or self._paused or self.protocol is None:
            self._unread = self._unread or bytearray()
            self._unread += data
        else:
            self._hand_on(data)

    def _hand_on(self, data: bytes) -> None:
        """Give bytes to the protocol; the window opens for more."""
        far = self.far
        assert far is not None, "a connection that bytes came over has another end"
        self.host.bytes_received += len(data)
        far._flying_bytes -= len(data)
        try:
            self.protocol.dataReceived(data)
        except Exception:
            # As Twisted's reactors do: a fault costs its connection.
            failure = Failure()
            log.failure("a protocol raised", failure=failure)
            self._launch(_RESET)
            self._lose(failure)
        if far._unsent:
            far._pump()

    def _read_on(self) -> None:
        """Read what came while the protocol did not want it, and then the end of the stream if it has come."""
        if self._paused or not self.connected or self.protocol is None:
            return
        if self._unread:
            assert isinstance(self._unread, bytearray), "it holds something"
            data = bytes(self._unread[:_READ_BYTES])
            del self._unread[:_READ_BYTES]
            self._hand_on(data)
            if self._unread or self._far_ended:
                self.host.soon(self._read_on)
        elif self._far_ended:
            self._far_ended = False
            if IHalfCloseableProtocol.providedBy(self.protocol):
                self.protocol.readConnectionLost()
            else:
                if not self._write_closed:
                    self._launch(_FIN)
                self._lose(connectionDone)

    # The end.

    def _done(self) -> None:
        """Everything is with the kernel: for this end the connection is over."""
        if self._unread:
            # Closing with bytes unread resets the other end.
            self._launch(_RESET)
        self._lose(connectionDone)

    def _reset(self) -> None:
        self._lose(Failure(error.ConnectionLost()))

    def _abort(self) -> None:
        self._lose(Failure(error.ConnectionAborted()))

    def _lose(self, reason: Failure) -> None:
        """This end is closed."""
        if not self.connected:
            return
        self.connected = False
        self.disconnecting = False
        self._unsent = self._unread = b""
        self.host.transports.pop(self, None)
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            protocol.connectionLost(reason)
        if self._connector is not None:
            self._connector.connection_lost(reason)


def _arrive(sender: Transport) -> None:
    sender._arrive()


def _reset_by(sender: Transport) -> None:
    """A reset by a host that does not know a connection arrives, unless the way is cut."""
    near = sender.far
    if near is not None and near.epoch == near.host.epoch and near.host.network.reaches(sender.host, near.host):
        near.host.run(near._reset)


@implementer(IListeningPort)
class Port:
    """Takes connections on one address of a host."""

    def __init__(self, host: Host, address: TCPAddress, factory: Any) -> None:
        self._host = host
        self._address = address
        self._factory = factory

    def startListening(self) -> None:
        """Begin.

        @raise CannotListenError: the port is taken.
        """
        key = (self._address.host, self._address.port)
        if key in self._host.ports:
            raise error.CannotListenError(*key, OSError("Address already in use"))
        self._host.ports[key] = self
        self._factory.doStart()

    def stopListening(self) -> Deferred[None]:
        """Take no more connections."""
        if self._host.ports.pop((self._address.host, self._address.port), None) is not None:
            self._factory.doStop()
        return succeed(None)

    def getHost(self) -> TCPAddress:
        """Where it listens."""
        return self._address

    def accept(self, near: Transport) -> None:
        """Take the connection of which C{near} is this host's end."""
        protocol = self._factory.buildProtocol(near.other)
        if protocol is None:
            near.loseConnection()
        else:
            near.protocol = protocol
            protocol.makeConnection(near)


@implementer(IConnector)
class Connector:
    """One try to connect.

    @param address: where to.
    @param timeout_s: how long it may take.
    """

    def __init__(self, host: Host, address: TCPAddress, factory: Any, timeout_s: float) -> None:
        self._host = host
        self._epoch = host.epoch
        self._address = address
        self._factory = factory
        self._timeout_s = timeout_s
        self._transport: Transport | None = None
        self._is_connecting = False
        self._resend_s = _FIRST_SYN_RESEND_S
        self._timeout: Any = None

    def connect(self) -> None:
        """Begin."""
        self._is_connecting = True
        self._factory.doStart()
        self._factory.startedConnecting(self)
        if not self._is_connecting:
            return
        self._timeout = self._host.callLater(self._timeout_s, self._fail, error.TimeoutError())
        self._knock()

    def stopConnecting(self) -> None:
        """Give up."""
        self._fail(error.UserError())

    def disconnect(self) -> None:
        """Give up, or close the connection if there is one."""
        if self._is_connecting:
            self.stopConnecting()
        elif self._transport is not None:
            self._transport.loseConnection()

    def getDestination(self) -> TCPAddress:
        """Where it connects to."""
        return self._address

    def connection_lost(self, reason: Failure) -> None:
        """The connection that was made is gone."""
        if self._transport is not None:
            self._transport = None
            self._factory.clientConnectionLost(self, reason)
            self._factory.doStop()

    def _knock(self) -> None:
        """Send the first packet, and once more if nothing comes back."""
        if not self._is_connecting:
            return
        network = self._host.network
        target = network.host_at(self._address.host, self._host)
        out = network.ways.conditions(self._host.name, target.name)
        timeline = network.timeline
        lost = out.loss and network.rng.random() < out.loss
        if lost or not network.reaches(self._host, target) or not network.reaches(target, self._host):
            self._host.later(self._resend_s, self._knock)
            self._resend_s *= 2
        else:
            timeline.at(timeline.now + out.latency_s, _knocked, self)

    def _answer(self) -> None:
        """The first packet is at the other host."""
        network = self._host.network
        target = network.host_at(self._address.host, self._host)
        if not self._is_connecting or not target.is_up or self._epoch != self._host.epoch:
            return
        back = network.ways.conditions(target.name, self._host.name)
        port = target.port_at(self._address)
        if port is None:
            self._host.later(back.latency_s, self._refuse)
            return
        own = self._host.address_towards(self._address)
        near = Transport(self._host, own, self._address, self)
        far = Transport(target, self._address, own)
        near.far, far.far = far, near
        target.transports[far] = None
        self._host.later(back.latency_s, lambda: self._established(near))
        target.run(lambda: port.accept(far))

    def _refuse(self) -> None:
        self._fail(error.ConnectionRefusedError())

    def _established(self, near: Transport) -> None:
        self._host.transports[near] = None
        if not self._is_connecting:
            near.abortConnection()
            return
        self._is_connecting = False
        self._cancel_timeout()
        self._transport = near
        protocol = self._factory.buildProtocol(self._address)
        if protocol is None:
            near.loseConnection()
            return
        near.protocol = protocol
        protocol.makeConnection(near)

    def _fail(self, reason: Exception) -> None:
        if self._is_connecting:
            self._is_connecting = False
            self._cancel_timeout()
            self._factory.clientConnectionFailed(self, Failure(reason))
            self._factory.doStop()

    def _cancel_timeout(self) -> None:
        if self._timeout is not None and self._timeout.active():
            self._timeout.cancel()


def _knocked(connector: Connector) -> None:
    connector._answer()
