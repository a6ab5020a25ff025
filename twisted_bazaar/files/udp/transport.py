"""One end of a stream over datagrams, as a protocol knows it: a transport."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.files.window import Ended, State, Stream
from twisted_bazaar.timer import Timer

Where = tuple[str, int] | tuple[str, int, str]
"""The other end: host, port and, where that is proven or has to be, its key."""

# Above the one the producer rests, below the other it goes on.
_FULL_BYTES: Final = 256 << 10
_LOW_BYTES: Final = 64 << 10
_NOT_REACHED: Final[dict[Ended, type[error.ConnectError]]] = {
    Ended.REFUSED: error.ConnectionRefusedError,
    Ended.UNANSWERED: error.TimeoutError,
    Ended.ABORTED: error.UserError,
}
_LOST: Final[dict[Ended, type[Exception]]] = {
    Ended.CLOSED: error.ConnectionDone,
    Ended.HEARD_ALL: error.ConnectionDone,
    Ended.ABORTED: error.ConnectionAborted,
}


class TransportOwner(Protocol):
    """The interface from a transport to those who have the socket."""

    reactor: Any
    send: Callable[[bytes, Where], object]
    own_address: Callable[[], Any]

    def schedule_turn(self, transport: StreamTransport) -> None:
        """It wants a turn."""

    def run_turn(self, transport: StreamTransport) -> None:
        """It has its turn."""

    def datagram_unsent(self) -> None:
        """A datagram was not sent: there is no way there."""

    def linger(self, transport: StreamTransport, farewell: bytes) -> None:
        """It has heard all, and says so."""

    def forget(self, transport: StreamTransport) -> None:
        """It is over."""


@implementer(ITransport, IPushProducer, IConsumer)
class StreamTransport:
    """One end of a stream, as a protocol knows it.

    @ivar where: the other end.
    @ivar stream: what it is made of.
    @ivar is_called: whether the other end has opened it.
    @ivar is_due: whether it is to have a turn.
    @ivar protocol: who is told what comes; it may leave its place to another.
    """

    disconnecting: bool = False
    connected: bool = False

    def __init__(self, owner: TransportOwner, stream: Stream, where: Where, is_called: bool) -> None:
        self.stream = stream
        self.where = where
        self.is_called = is_called
        self.is_due = False
        self.protocol: Any = None
        self._owner = owner
        self._reactor = owner.reactor
        self._opened: Callable[[], object] | None = None
        self._failed: Callable[[Failure], object] | None = None
        self._producer: Any = None
        self._is_streaming = False
        self._is_producer_paused = False
        self._is_paused = False
        self._timer = Timer(owner.reactor, self._rung)
        self._timer_at = 0.0

    def is_from(self, where: Where) -> bool:
        """Whether what comes from somewhere may be of this stream: the key counts only where one was wanted."""
        return where == self.where or where[: len(self.where)] == self.where

    @property
    def unsent_bytes(self) -> int:
        """The bytes that were written and that the other end has not acknowledged."""
        flight = self.stream.sender.flight
        return self.stream.unsent_bytes + flight.next - flight.acknowledged

    # What a protocol calls.

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.writeSequence((data,))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several strings of bytes."""
        if self.disconnecting and self._producer is None:
            return
        if not self.connected:
            return
        now = self._reactor.seconds()
        for piece in data:
            self.stream.write(bytes(piece), now)
        self._owner.schedule_turn(self)
        if self._is_streaming and not self._is_producer_paused and self.stream.unsent_bytes > _FULL_BYTES:
            self._is_producer_paused = True
            self._producer.pauseProducing()

    def loseConnection(self, _connDone: object = None) -> None:
        """Send what was written, and close; nothing is heard any more."""
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            if self._producer is None:
                self._end()

    def abortConnection(self) -> None:
        """Close at once."""
        if self.connected:
            self.abort()

    def getPeer(self) -> Any:
        """The other end."""
        return address_of(self.where)

    def getHost(self) -> Any:
        """This end."""
        return self._owner.own_address()

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing waits for more."""

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """An end that is gone is always found out."""

    # As a consumer.

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take bytes from a producer from now on.

        @raise RuntimeError: somebody else does so.
        """
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        if not self.connected:
            producer.stopProducing()
            return
        self._producer, self._is_streaming = producer, streaming
        self._is_producer_paused = False
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """Take no more bytes from the producer."""
        self._producer = None
        self._is_streaming = self._is_producer_paused = False
        if self.disconnecting and self.connected:
            self._end()

    # As a producer.

    def pauseProducing(self) -> None:
        """Hand up nothing for now; the other end can send as much as is kept here."""
        self._is_paused = True

    def resumeProducing(self) -> None:
        """Hand up what comes."""
        if self._is_paused:
            self._is_paused = False
            self._owner.schedule_turn(self)

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    # What those call who have the socket.

    def set_protocol(self, protocol: Any) -> None:
        """Connect a protocol to this transport."""
        self.protocol = protocol
        self.connected = True
        protocol.makeConnection(self)

    def await_opening(self, opened: Callable[[], object], failed: Callable[[Failure], object]) -> None:
        """Say when it is open, or that it cannot be."""
        self._opened, self._failed = opened, failed

    def give_up(self) -> None:
        """It is not wanted any more, before it was open."""
        self._opened = self._failed = None
        self.abort()

    def abort(self) -> None:
        """End it, whether it is open or not; whoever waits for it to open is told in the next turn, or has been."""
        self.disconnecting = True
        farewell = self.stream.abort()
        if farewell is not None:
            self._send((farewell,))
        self._owner.schedule_turn(self)

    def run_turn(self) -> None:
        """Hand up what has come, and send what can be sent."""
        stream = self.stream
        now = self._reactor.seconds()
        if self._opened is not None and stream.state is State.OPEN:
            opened, self._opened, self._failed = self._opened, None, None
            opened()
        if self.connected and (not self._is_paused or self.disconnecting):
            data = stream.read(now)
            if data and not self.disconnecting:
                self.protocol.dataReceived(data)
        if stream.has_heard_all and stream.state is not State.OVER and (not self._is_paused or self.disconnecting):
            self._owner.linger(self, stream.closing_segment(now))
        self._send(stream.datagrams(now))
        if stream.state is State.OVER:
            self._over()
            return
        if self._producer is not None and stream.unsent_bytes <= _LOW_BYTES:
            self._feed()
        self._set_timer(now)

    # Inside.

    def _send(self, datagrams: Iterable[bytes]) -> None:
        send, where = self._owner.send, self.where
        for datagram in datagrams:
            try:
                send(datagram, where)
            except (OSError, ValueError, error.MessageLengthError):
                # No way there, or a host of another family. It is as good as lost.
                self._owner.datagram_unsent()

    def _feed(self) -> None:
        """Have more written, if somebody waits for that."""
        if self._is_producer_paused or not self._is_streaming:
            self._is_producer_paused = False
            self._producer.resumeProducing()

    def _end(self) -> None:
        self.stream.close(self._reactor.seconds())
        self._owner.schedule_turn(self)

    def _set_timer(self, now: float) -> None:
        at = self.stream.next_at(now)
        # Where it is set for a time before that, it looks again then; to move it with every datagram costs more.
        if self._timer_at > at or not self._timer.is_set:
            self._timer.set(max(0.0, at - now))
            self._timer_at = at

    def _rung(self) -> None:
        self._owner.run_turn(self)

    def _over(self) -> None:
        self._timer.cancel()
        self._owner.forget(self)
        ended = self.stream.ended
        assert ended is not None, "what is over has an end"
        failed, self._opened, self._failed = self._failed, None, None
        if failed is not None:
            failed(Failure(_NOT_REACHED.get(ended, error.ConnectError)(string=ended.value)))
        if self.connected:
            self.connected = False
            producer, self._producer = self._producer, None
            if producer is not None:
                producer.stopProducing()
            self.protocol.connectionLost(Failure(_LOST.get(ended, error.ConnectionLost)(ended.value)))


def address_of(where: Where) -> Any:
    """A place as Twisted calls it."""
    return (IPv6Address if ":" in where[0] else IPv4Address)("UDP", where[0], where[1])
