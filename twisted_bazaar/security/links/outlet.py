"""The way out of a sealed transport: sealed bytes go to the system at once, as long as it takes them.

The transports of Twisted send in the next turn of the reactor what is written in this one, and put all of it into one
piece of memory first. What is sealed here is gathered already. So it goes to the socket directly; what the system does
not take goes by the transport, and all that follows waits behind it. Who produces is asked to pause as it would be by
the transport: when much waits, and when much was sent in one turn, since others have their turn too.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from twisted.internet.interfaces import IPullProducer, IReactorTime
from zope.interface import implementer

from twisted_bazaar.timer import Timer

# So much is sent for one connection before others have their turn.
_IN_A_TURN_BYTES: Final = 256 << 10


class Outlet(Protocol):
    """The way out of a sealed transport."""

    def write(self, sealed: bytes | memoryview) -> None:
        """Send bytes; what is not sent at once is copied."""

    def register(self, producer: Any, *, is_streaming: bool) -> None:
        """Have somebody told when there is more to send than the other end takes."""

    def unregister(self) -> None:
        """Nobody produces any more."""

    def close(self) -> None:
        """The connection is gone."""


class BufferedOutlet:
    """The way out through a transport that has no socket: all goes by it.

    @param transport: that of the connection.
    """

    __slots__ = ("_transport",)

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def write(self, sealed: bytes | memoryview) -> None:
        """Send bytes."""
        self._transport.write(bytes(sealed))

    def register(self, producer: Any, *, is_streaming: bool) -> None:
        """Have somebody told when there is more to send than the other end takes."""
        self._transport.registerProducer(producer, is_streaming)

    def unregister(self) -> None:
        """Nobody produces any more."""
        self._transport.unregisterProducer()

    def close(self) -> None:
        """The connection is gone, which the transport tells who produces."""


@implementer(IPullProducer)
class SocketOutlet:
    """The way out through a transport with a socket.

    While something waits in the transport, this is its producer, which it asks for more once all is sent.

    @param transport: that of the connection.
    @param clock: says when a turn ends.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_is_clear",
        "_is_paused",
        "_producer",
        "_sent_bytes",
        "_transport",
        "_turn",
        "_waiting",
    )

    def __init__(self, transport: Any, clock: IReactorTime) -> None:
        self._transport = transport
        self._clock = clock
        # Set and forgotten with each pause: one that stayed would hold this, and all that waits, when the connection is
        # gone, until garbage is collected.
        self._turn: Timer | None = None
        self._producer: Any = None
        self._is_paused = False
        # Whether nothing waits in the transport.
        self._is_clear = True
        self._waiting = 0
        self._sent_bytes = 0

    def write(self, sealed: bytes | memoryview) -> None:
        """Send bytes."""
        transport = self._transport
        if not transport.connected:
            return
        if self._is_clear:
            sent = transport.writeSomeData(sealed)
            if not isinstance(sent, int):
                # The connection is gone; the transport finds that out by itself when it sends.
                sent = 0
            self._sent_bytes += sent
            if sent < len(sealed):
                transport.registerProducer(self, False)
                self._is_clear = False
                sealed = sealed[sent:]
        if not self._is_clear:
            transport.write(bytes(sealed))
            self._waiting += len(sealed)
        if self._producer is not None and (
            self._waiting > transport.bufferSize or self._sent_bytes >= _IN_A_TURN_BYTES
        ):
            self._pause()

    def register(self, producer: Any, *, is_streaming: bool) -> None:
        """Have somebody told when there is more to send than the other end takes."""
        assert is_streaming, "who produces here does so until asked to pause"
        self._producer = producer

    def unregister(self) -> None:
        """Nobody produces any more."""
        self._producer = None
        self._is_paused = False
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def close(self) -> None:
        """The connection is gone."""
        producer = self._producer
        self.unregister()
        if producer is not None:
            producer.stopProducing()

    # What the transport calls.

    def resumeProducing(self) -> None:
        """All is sent, or nothing waits yet."""
        if not self._is_clear:
            self._is_clear = True
            self._waiting = 0
            self._transport.unregisterProducer()
            self._resume()

    def stopProducing(self) -> None:
        """The connection is ending; the transport says so by C{connectionLost} as well."""

    def _pause(self) -> None:
        """Ask who produces to pause, until all is sent, and in any case until the next turn."""
        self._sent_bytes = 0
        self._is_paused = True
        if self._is_clear:
            self._turn = Timer(self._clock, self._resume)
            self._turn.set(0)
        self._producer.pauseProducing()

    def _resume(self) -> None:
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        if self._is_paused and self._is_clear:
            self._is_paused = False
            self._producer.resumeProducing()


def outlet_through(transport: Any, clock: IReactorTime) -> Outlet:
    """The best way out through a transport."""
    return SocketOutlet(transport, clock) if hasattr(transport, "writeSomeData") else BufferedOutlet(transport)
