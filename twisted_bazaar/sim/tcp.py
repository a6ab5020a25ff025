"""TCP between simulated machines, as far as programs can see it: open connections.

Bytes keep their order and arrive cut at random places, after the latency and as fast as the bandwidth
of the way allows. A packet that is lost, or sent into a partition, is sent again later, and after a
quarter of an hour no more. A reader that pauses fills its window, then the sender's buffer, and then the
sender's producer is told to wait. A machine that lost its power says nothing; when it is back it resets
what it does not know. What a protocol sees of all this, and in which order, is what it sees on Twisted's
own reactor. How connections come about is left to L{twisted_bazaar.sim.handshake}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet import error
from twisted.internet.interfaces import IHalfCloseableProtocol, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.sim.names import InternetAddress

if TYPE_CHECKING:
    from twisted_bazaar.sim.handshake import Connector
    from twisted_bazaar.sim.reactor import Host

log = Logger()

# What the two kernels hold of one direction, sent and not read yet.
_WINDOW_BYTES: Final = 1 << 16
# Where Twisted's transports ask their producer to pause.
_BUFFER_BYTES: Final = 1 << 16
# How much a reader gets at once, as with Twisted's reactors.
_READ_BYTES: Final = 1 << 16
# As on Linux: sent again after 0.2 s, twice that and so on, and given up after the fifteenth time.
_FIRST_RESEND_S: Final = 0.2
_LONGEST_RESEND_S: Final = 120.0
_GIVEN_UP_S: Final = _FIRST_RESEND_S * 2**15
_FIRST_ACKNOWLEDGED_AGAIN_S: Final = 1.0
_FIN: Final = b""
_RESET: Final = None

_CONNECTION_LOST: Final = Failure(error.ConnectionLost())

# What became of the way out: open; to be closed when everything is sent; closed; reset by the other end, which
# the program does not know yet; aborted.
_OPEN, _CLOSING, _CLOSED, _BROKEN, _ABORTED = range(5)


@implementer(ITCPTransport)
class Transport:
    """One end of a connection, and the way from it to the other end.

    @ivar host: the machine it is on.
    @ivar far: the other end; None when both are closed.
    @ivar protocol: what speaks over it; None until it is accepted, and when it is closed.
    @ivar connector: who is to hear of its end; None at the end that was called.
    """

    __slots__ = (
        *("_conditions", "_eager", "_ended", "_flying", "_flying_bytes", "_is_checking", "_launched_at", "_out"),
        *("_owed", "_own", "_paused", "_plain_s", "_powered", "_resend_s", "_unread", "_unsent", "_version", "_waits"),
        *("connected", "connector", "disconnecting", "far", "host", "other", "producer", "protocol", "streaming"),
    )

    def __init__(self, host: Host, own: InternetAddress, other: InternetAddress) -> None:
        self.host = host
        self.other = other
        self.connector: Connector | None = None
        self.far: Transport | None = None
        self.protocol: Any = None
        self.producer: Any = None
        self.streaming = False
        self.connected = True
        self.disconnecting = False
        self._own = own
        self._powered = host.outages
        self._out = _OPEN
        self._waits = False
        # Whether somebody wants to know when everything has been sent, and whether a look is due.
        self._eager = False
        self._is_checking = False
        self._paused = False
        self._version = -1
        # On the way: when each piece arrives, and its bytes; empty for the end of the stream, None for a reset.
        self._flying: list[tuple[float, bytes | None]] | None = None
        self._flying_bytes = 0
        self._launched_at = -1.0
        self._resend_s = _FIRST_RESEND_S
        # Arrays while there is something in them: pieces are added to the end and taken from the beginning.
        self._unsent: bytes | bytearray = b""
        self._unread: bytes | bytearray = b""
        # Why nothing more comes, once everything before has been read.
        self._ended: Failure | None = None
        # How much was read and not acknowledged yet.
        self._owed = 0

    def __repr__(self) -> str:
        state = "closed" if not self.connected else "closing" if self.disconnecting else "open"
        return f"<{state} connection of {self.host.name} to {self.other.host}:{self.other.port}, {self.protocol!r}>"

    # What protocols call.

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        if not data or not self.connected or self._out >= _CLOSED:
            if self._out == _BROKEN and data:
                self.host.soon(self._be_lost)
            return
        if self._unsent or self._flying_bytes + len(data) > _WINDOW_BYTES:
            self._keep(data)
        else:
            self._launch(data)
            if self._eager:
                self._check_soon()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several pieces."""
        self.write(b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take who is to be told when too much is unsent."""
        if self.producer is not None:
            raise RuntimeError(
                f"Cannot register producer {producer}, because producer {self.producer} was never unregistered."
            )
        if not self.connected:
            producer.stopProducing()
            return
        self.producer = producer
        self.streaming = streaming
        if not streaming:
            self._eager = True
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """Tell nobody any more; a close that has waited for the producer goes on."""
        self.producer = None
        if self.connected and self.disconnecting:
            self._check_soon()

    def pauseProducing(self) -> None:
        """Hand nothing to the protocol for now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Hand on what has come, in a moment."""
        if self._paused and self.connected and not self.disconnecting:
            self._paused = False
            if self._unread or self._ended:
                self.host.soon(self._read_on)

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    def loseConnection(self) -> None:
        """Close when everything has been sent; nothing is read any more."""
        if not self.connected or self.disconnecting:
            return
        if self._out == _CLOSED:
            self._close(connectionDone)
        else:
            self.disconnecting = self._paused = self._eager = True
            self._check_soon()

    def loseWriteConnection(self) -> None:
        """Say that nothing more comes, when everything has been sent, and go on reading."""
        if self.connected and self._out == _OPEN:
            self._out = _CLOSING
            self._eager = True
            self._check_soon()

    def abortConnection(self) -> None:
        """Cut at once: what is unsent is dropped, and the other end is reset."""
        if self.connected and self._out != _ABORTED:
            self._out = _ABORTED
            self.disconnecting = self._paused = True
            self._unsent = b""
            self._recall()
            self._launch(_RESET)
            self.host.soon(self._abort)

    def getPeer(self) -> InternetAddress:
        """The address of the other end."""
        return self.other

    def getHost(self) -> InternetAddress:
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

    # What its machine calls.

    def begin(self, protocol: Any) -> None:
        """Let a protocol speak over it."""
        self.protocol = protocol
        if self._unread or self._ended:
            self.host.soon(self._read_on)
        try:
            protocol.makeConnection(self)
        except Exception:
            # Twisted's ports only log it, and the connection stays.
            if self.connector is None:
                log.failure("a protocol raised")
            else:
                self._fail()

    def forsake(self) -> None:
        """Its program is gone; the kernel, if the machine has power, closes the connection."""
        if not self.connected:
            return
        is_accepted = self.protocol is not None
        self.connected = False
        self.protocol = self.producer = self.connector = None
        if not self.host.is_up:
            self._recall()
        elif self._unread or not is_accepted:
            self._launch(_RESET)
        elif self._out < _CLOSED:
            self._launch(_FIN)
        self._unsent = self._unread = b""
        self._part()

    # On the way.

    def _launch(self, data: bytes | None) -> None:
        """Send a piece that fits into the window, the end of the stream, or a reset."""
        host = self.host
        network = host.network
        timeline = network.timeline
        now = timeline.now
        if self._version != network.ways.version:
            self._look_at_way()
        flying = self._flying
        size = len(data) if data else 0
        self._flying_bytes += size
        host.bytes_sent += size
        arrives_at = now + self._plain_s if self._plain_s >= 0 else self._delayed(size, now)
        if flying:
            last_at, last = flying[-1]
            if last_at > arrives_at:
                arrives_at = last_at
            if data and last and self._launched_at == now:
                # Written in one go, so it travels as one.
                flying[-1] = (arrives_at, last + data)
                return
            flying.append((arrives_at, data))
        else:
            self._flying = [(arrives_at, data)]
            timeline.at(arrives_at, _arrive, self)
        self._launched_at = now

    def _look_at_way(self) -> None:
        """See what the way to the other end is like now."""
        assert self.far is not None, "who sends is connected"
        ways = self.host.network.ways
        self._version = ways.version
        self._conditions = ways.conditions(self.host.name, self.far.host.name)
        self._plain_s = self._conditions.latency_s if self._conditions.are_plain else -1.0

    def _delayed(self, size: int, now: float) -> float:
        """When a piece arrives over a way that is narrow or loses packets."""
        assert self.far is not None, "who sends is connected"
        conditions = self._conditions
        network = self.host.network
        start = now
        if conditions.bytes_a_second:
            start = network.ways.passed_at(self.host.name, self.far.host.name, size, now)
        resend_s = _FIRST_RESEND_S
        while conditions.loss and network.rng.random() < conditions.loss and resend_s < _LONGEST_RESEND_S:
            start += resend_s
            resend_s *= 2
        return start + conditions.latency_s

    def _arrive(self) -> None:
        """What comes first in flight is at the other end."""
        far, flying = self.far, self._flying
        if far is None or not flying:
            return
        target = far.host
        network = target.network
        timeline = network.timeline
        arrives_at, data = flying[0]
        if arrives_at > timeline.now:
            # More was added to it, or what came before it was taken back.
            timeline.at(arrives_at, _arrive, self)
            return
        if not network.reaches(self.host, target):
            self._send_again()
            return
        if not far.connected:
            self._find_nobody()
            return
        self._resend_s = _FIRST_RESEND_S
        if data and len(data) > 1 and network.cut_share and network.rng.random() < network.cut_share:
            cut = network.rng.randrange(1, len(data))
            flying[0] = (arrives_at, data[cut:])
            data = data[:cut]
        else:
            del flying[0]
        if flying:
            timeline.at(max(timeline.now, flying[0][0]), _arrive, self)
        else:
            self._flying = None
        if data:
            far._receive(data)
        elif data is _RESET:
            target.run(far._reset)
        else:
            far._ended = connectionDone
            target.run(far._read_on)

    def _send_again(self) -> None:
        """Something was lost in a partition, or came to a machine without power."""
        flying = self._flying
        assert flying, "something was lost"
        self._resend_s *= 2
        if flying[-1][1] is _RESET or self._powered != self.host.outages or self._resend_s > _GIVEN_UP_S:
            # Nobody sends it again.
            self._flying = None
            if self.connected and self._resend_s > _GIVEN_UP_S:
                self.host.run(self._be_lost)
            return
        timeline = self.host.network.timeline
        timeline.at(timeline.now + min(self._resend_s, _LONGEST_RESEND_S), _arrive, self)

    def _find_nobody(self) -> None:
        """It came to a machine that does not know this connection, which answers with a reset."""
        if not self.connected:
            self._flying = None
            return
        timeline = self.host.network.timeline
        timeline.at(timeline.now + self._conditions.latency_s, _reset_from_afar, self)

    def _recall(self) -> None:
        """Take back what has not left this machine, or was lost and would have to be sent again."""
        flying, now = self._flying, self.host.network.timeline.now
        if not flying:
            return
        if flying[0][0] < now:
            self._flying = None
            return
        if self._version != self.host.network.ways.version:
            self._look_at_way()
        while flying and flying[-1][0] >= now + self._conditions.latency_s:
            self._flying_bytes -= len(flying.pop()[1] or b"")

    def _recall_this_turn(self) -> None:
        """Take back what the program has written just now and its kernel has not seen yet."""
        flying = self._flying
        if flying and self._launched_at == self.host.network.timeline.now and flying[-1][1]:
            self._flying_bytes -= len(flying.pop()[1] or b"")

    # What waits to be sent.

    def _keep(self, data: bytes) -> None:
        """Keep what the window has no room for."""
        if isinstance(self._unsent, bytes):
            self._unsent = bytearray()
        self._unsent += data
        if self.producer is not None and self.streaming and len(self._unsent) > _BUFFER_BYTES:
            self._waits = True
            self.producer.pauseProducing()
        self._pump()

    def _pump(self) -> None:
        """Send as much of what is unsent as the window takes."""
        room = _WINDOW_BYTES - self._flying_bytes
        if room > 0 and self.connected and isinstance(self._unsent, bytearray):
            piece = bytes(self._unsent[:room])
            del self._unsent[:room]
            if not self._unsent:
                self._unsent = b""
                self._check_soon()
            self._launch(piece)

    def _check_soon(self) -> None:
        if not self._is_checking:
            self._is_checking = True
            self.host.soon(self._check_sent)

    def _check_sent(self) -> None:
        """If everything has left, whoever produces may go on, and whoever wants to close may close."""
        self._is_checking = False
        if self._unsent or not self.connected or self._out == _ABORTED:
            return
        if self.producer is not None and (self._waits or not self.streaming):
            self._waits = False
            self._guard(self.producer.resumeProducing)
        elif self.disconnecting:
            self._close(connectionDone)
        elif self._out == _CLOSING:
            self._out = _CLOSED
            self._launch(_FIN)
            if IHalfCloseableProtocol.providedBy(self.protocol):
                self._guard(self.protocol.writeConnectionLost)

    def _guard(self, call: Callable[[], object]) -> None:
        """Call the program; as with Twisted's reactors, a fault costs its connection."""
        try:
            call()
        except Exception:
            self._fail()

    def _fail(self) -> None:
        """A protocol has raised: close, and lose what it has written in this turn."""
        failure = Failure()
        log.failure("a protocol raised", failure=failure)
        self._recall_this_turn()
        if self._out != _ABORTED:
            self._close(failure)
        else:
            self._lose(failure)

    # At the other end.

    def _receive(self, data: bytes) -> None:
        if self._unread or self._paused or self.protocol is None or self.host.is_paused:
            self._put_by(data)
        else:
            self._hand_on(data)

    def _put_by(self, data: bytes) -> None:
        """Let the kernel keep what the program does not read now."""
        if isinstance(self._unread, bytes):
            self._unread = bytearray()
            if self.protocol is not None and not self._paused:
                self.host.soon(self._read_on)
        self._unread += data

    def _hand_on(self, data: bytes) -> None:
        """Give bytes to the protocol; the window opens for more."""
        far, host = self.far, self.host
        assert far is not None, "who reads is connected"
        size = len(data)
        host.bytes_received += size
        network = host.network
        if far._unsent or self._owed or (network.ways.cuts and not network.reaches(host, far.host)):
            if not self._owed:
                timeline = network.timeline
                timeline.at(timeline.now + far._conditions.latency_s, _acknowledge, (self, _FIRST_ACKNOWLEDGED_AGAIN_S))
            self._owed += size
        else:
            far._flying_bytes -= size
        try:
            self.protocol.dataReceived(data)
        except Exception:
            self._fail()

    def _read_on(self) -> None:
        """Read what came while the protocol did not want it, and then the end of the stream if it has come."""
        if self._paused or not self.connected or self.protocol is None:
            return
        if isinstance(self._unread, bytearray):
            data = bytes(self._unread[:_READ_BYTES])
            del self._unread[:_READ_BYTES]
            if not self._unread:
                self._unread = b""
            self._hand_on(data)
            if self._unread or self._ended:
                self.host.soon(self._read_on)
        elif self._ended is _CONNECTION_LOST:
            self._lose(_CONNECTION_LOST)
        elif self._ended is not None:
            if IHalfCloseableProtocol.providedBy(self.protocol):
                self._guard(self.protocol.readConnectionLost)
            else:
                self._close(connectionDone)

    def _reset(self) -> None:
        """The other end has reset the connection; who neither reads nor writes does not notice."""
        if self._unsent:
            self._be_lost()
        elif self._out < _BROKEN:
            self._out = _BROKEN
            if self._ended is None:
                self._ended = _CONNECTION_LOST
                self._read_on()

    # The end.

    def _close(self, reason: Failure) -> None:
        """Everything is with the kernel: for this end the connection is over."""
        if self._out < _CLOSED:
            self._launch(_FIN)
        if self._unread:
            # Closing with bytes unread resets the other end.
            self._launch(_RESET)
        self._lose(reason)

    def _be_lost(self) -> None:
        self._lose(_CONNECTION_LOST)

    def _abort(self) -> None:
        self._lose(Failure(error.ConnectionAborted()))

    def _lose(self, reason: Failure) -> None:
        """This end is closed."""
        if not self.connected:
            return
        self.connected = False
        self._unsent = self._unread = b""
        self.host.transports.pop(self, None)
        self._part()
        producer, self.producer = self.producer, None
        protocol, self.protocol = self.protocol, None
        connector, self.connector = self.connector, None
        if producer is not None:
            producer.stopProducing()
        if protocol is not None:
            protocol.connectionLost(reason)
        if connector is not None:
            connector.connection_lost(reason)

    def _part(self) -> None:
        """When both ends are closed, nothing that is still on the way matters, and neither holds the other."""
        far = self.far
        if far is not None and not far.connected:
            self.far = far.far = None
            self._flying = far._flying = None


def _arrive(sender: Transport) -> None:
    sender._arrive()


def _acknowledge(what: tuple[Transport, float]) -> None:
    """The sender hears what was read, and has room for more; if the way back is cut it hears later."""
    reader, again_s = what
    sender, network = reader.far, reader.host.network
    if sender is None or not sender.connected:
        return
    if network.reaches(reader.host, sender.host):
        sender._flying_bytes -= reader._owed
        reader._owed = 0
        sender.host.run(sender._pump)
    else:
        again = (reader, min(2 * again_s, _LONGEST_RESEND_S))
        network.timeline.at(network.timeline.now + again_s, _acknowledge, again)


def _reset_from_afar(sender: Transport) -> None:
    """A reset by a machine that does not know a connection arrives, or is lost and caused again."""
    far = sender.far
    if far is None or not sender.connected:
        return
    if sender.host.network.reaches(far.host, sender.host):
        sender._flying = None
        sender.host.run(sender._reset)
    else:
        sender._send_again()
