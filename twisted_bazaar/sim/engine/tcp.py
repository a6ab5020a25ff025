"""TCP between simulated machines, as far as programs can see it: open connections.

A reader that pauses fills its window, then the sender's buffer, and then the sender's producer is told to
wait. A machine that lost its power says nothing; when it is back it resets what it does not know. What a
protocol sees of all this, and in which order, is what it sees on Twisted's own reactor. How connections
come about is left to L{twisted_bazaar.sim.engine.handshake}, and how bytes travel to
L{twisted_bazaar.sim.engine.byte_stream}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from twisted.internet import error
from twisted.internet.interfaces import IHalfCloseableProtocol, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.sim.engine.byte_stream import FIN, RESET, WINDOW_BYTES, ByteStream
from twisted_bazaar.sim.engine.interfaces import ConnectionWatcher, Host
from twisted_bazaar.sim.engine.names import InternetAddress

log: Final = Logger()

_CONNECTION_LOST: Final = Failure(error.ConnectionLost())

_BUFFER_BYTES: Final = 1 << 16

# What became of the way out: open; to be closed when everything is sent; closed; reset by the other end, which
# the program does not know yet; aborted.
_OPEN, _CLOSING, _CLOSED, _BROKEN, _ABORTED = range(5)


@implementer(ITCPTransport)
class Transport:
    """One end of a connection.

    @ivar host: the machine it is on.
    @ivar far: the other end; None when both are closed.
    @ivar protocol: what speaks over it; None until it is accepted, and when it is closed.
    @ivar connector: who is to hear of its end; None at the end that was called.
    @ivar unsent: what the window has no room for yet.
    """

    __slots__ = (
        *("_eager", "_ended", "_flight", "_is_checking", "_out", "_own", "_paused", "_unread", "_waits"),
        *("__weakref__", "bufferSize", "connected", "connector", "disconnecting", "far", "host", "other", "producer"),
        *("protocol", "streaming", "unsent"),
    )

    def __init__(self, host: Host, own: InternetAddress, other: InternetAddress) -> None:
        self.host = host
        self.other = other
        self.connector: ConnectionWatcher | None = None
        self.far: Transport | None = None
        self.protocol: Any = None
        self.producer: Any = None
        self.streaming: bool = False
        # As Twisted's: what is read at once, and where a producer is asked to pause.
        self.bufferSize = _BUFFER_BYTES
        self.connected: bool = True
        self.disconnecting: bool = False
        self._own = own
        self._out = _OPEN
        self._waits = False
        # Whether somebody wants to know when everything has been sent, and whether a look is due.
        self._eager = False
        self._is_checking = False
        self._paused = False
        # Arrays while there is something in them: pieces are added to the end and taken from the beginning.
        self.unsent: bytes | bytearray = b""
        self._unread: bytes | bytearray = b""
        # Why nothing more comes, once everything before has been read.
        self._ended: Failure | None = None
        self._flight = ByteStream(self)

    def __repr__(self) -> str:
        state = "closed" if not self.connected else "closing" if self.disconnecting else "open"
        return f"<{state} connection of {self.host.name} to {self.other.host}:{self.other.port}, {self.protocol!r}>"

    @property
    def unsent_bytes(self) -> int:
        """How much of what was written the window has had no room for."""
        return len(self.unsent)

    # What protocols call.

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        if not data or not self.connected or self._out >= _CLOSED:
            if self._out == _BROKEN and data:
                self.host.call_soon(self.lose_connection)
            return
        if self.unsent or self._flight.size_bytes + len(data) > WINDOW_BYTES:
            self._keep(data)
        else:
            self._flight.send_piece(data)
            if self._eager:
                self._check_soon()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several strings of bytes."""
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
                self.host.call_soon(self._read_on)

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
            self.unsent = b""
            self._flight.recall()
            self._flight.send_piece(RESET)
            self.host.call_soon(self._abort)

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
            self.host.call_soon(self._read_on)
        try:
            protocol.makeConnection(self)
        except Exception:
            # Twisted's ports only log it, and the connection stays.
            if self.connector is None:
                log.failure("a protocol raised")
            else:
                self._fail()

    def abandon(self) -> None:
        """Its program is gone; the kernel, if the machine has power, closes the connection."""
        if not self.connected:
            return
        is_accepted = self.protocol is not None
        self.connected = False
        self.protocol = self.producer = self.connector = None
        if not self.host.is_up:
            self._flight.recall()
        elif self._unread or not is_accepted:
            self._flight.send_piece(RESET)
        elif self._out < _CLOSED:
            self._flight.send_piece(FIN)
        self.unsent = self._unread = b""
        self._part()

    # What waits to be sent.

    def _keep(self, data: bytes) -> None:
        """Keep what the window has no room for."""
        if isinstance(self.unsent, bytes):
            self.unsent = bytearray()
        self.unsent += data
        if self.producer is not None and self.streaming and len(self.unsent) > self.bufferSize:
            self._waits = True
            self.producer.pauseProducing()
        self.pump()

    def pump(self) -> None:
        """Send as much of what is unsent as the window takes."""
        room = WINDOW_BYTES - self._flight.size_bytes
        if room > 0 and self.connected and isinstance(self.unsent, bytearray):
            piece = bytes(self.unsent[:room])
            del self.unsent[:room]
            if not self.unsent:
                self.unsent = b""
                self._check_soon()
            self._flight.send_piece(piece)

    def _check_soon(self) -> None:
        if not self._is_checking:
            self._is_checking = True
            self.host.call_soon(self._check_sent)

    def _check_sent(self) -> None:
        """If everything has left, whoever produces may go on, and whoever wants to close may close."""
        self._is_checking = False
        if self.unsent or not self.connected or self._out == _ABORTED:
            return
        if self.producer is not None and (self._waits or not self.streaming):
            self._waits = False
            self._guard(self.producer.resumeProducing)
        elif self.disconnecting:
            self._close(connectionDone)
        elif self._out == _CLOSING:
            self._out = _CLOSED
            self._flight.send_piece(FIN)
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
        self._flight.recall_this_turn()
        if self._out != _ABORTED:
            self._close(failure)
        else:
            self._lose(failure)

    # At the other end.

    def receive(self, data: bytes) -> None:
        """Bytes have come."""
        if self._unread or self._paused or self.protocol is None or self.host.is_paused:
            self._put_by(data)
        else:
            self._hand_on(data)

    def receive_end(self) -> None:
        """The end of the stream has come."""
        self._ended = connectionDone
        self.host.run_when_resumed(self._read_on)

    def _put_by(self, data: bytes) -> None:
        """Let the kernel keep what the program does not read now."""
        if isinstance(self._unread, bytes):
            self._unread = bytearray()
            if self.protocol is not None and not self._paused:
                self.host.call_soon(self._read_on)
        self._unread += data

    def _hand_on(self, data: bytes) -> None:
        """Give bytes to the protocol; the window opens for more."""
        assert self.far is not None, "who reads is connected"
        size = len(data)
        self.host.bytes_received += size
        self.far._flight.bytes_read(size)
        try:
            self.protocol.dataReceived(data)
        except Exception:
            self._fail()

    def _read_on(self) -> None:
        """Read what came while the protocol did not want it, and then the end of the stream if it has come."""
        if self._paused or not self.connected or self.protocol is None:
            return
        if isinstance(self._unread, bytearray):
            data = bytes(self._unread[: self.bufferSize])
            del self._unread[: self.bufferSize]
            if not self._unread:
                self._unread = b""
            self._hand_on(data)
            if self._unread or self._ended:
                self.host.call_soon(self._read_on)
        elif self._ended is _CONNECTION_LOST:
            self._lose(_CONNECTION_LOST)
        elif self._ended is not None:
            if IHalfCloseableProtocol.providedBy(self.protocol):
                self._guard(self.protocol.readConnectionLost)
            else:
                self._close(connectionDone)

    def reset_connection(self) -> None:
        """The other end has reset the connection; who neither reads nor writes does not notice."""
        if self.unsent:
            self.lose_connection()
        elif self._out < _BROKEN:
            self._out = _BROKEN
            if self._ended is None:
                self._ended = _CONNECTION_LOST
                self._read_on()

    # The end.

    def _close(self, reason: Failure) -> None:
        """Everything is with the kernel: for this end the connection is over."""
        if self._out < _CLOSED:
            self._flight.send_piece(FIN)
        if self._unread:
            # Closing with bytes unread resets the other end.
            self._flight.send_piece(RESET)
        self._lose(reason)

    def lose_connection(self) -> None:
        self._lose(_CONNECTION_LOST)

    def _abort(self) -> None:
        self._lose(Failure(error.ConnectionAborted()))

    def _lose(self, reason: Failure) -> None:
        """This end is closed."""
        if not self.connected:
            return
        self.connected = False
        self.unsent = self._unread = b""
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
            self._flight.drop()
            far._flight.drop()
