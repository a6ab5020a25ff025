"""The common part of both ends of a transfer connection: sends messages, and closes in good time.

What is asked stands in L{twisted_bazaar.files.download.connection}, what is answered in
L{twisted_bazaar.files.upload.connection}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from twisted_bazaar.files.messages import ANSWERED, ASKED, LARGEST_BLOCK_BYTES
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.timer import Timer
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.framing import frame
from twisted_bazaar.wire.message import Message

_GRACE_S: Final = 2.0
# How much Twisted sends in one call; what is asked here of the kernel is a block at a time.
_SENT_AT_ONCE_BYTES: Final = LARGEST_BLOCK_BYTES + 64

ASKED_CODEC: Final = Codec(ASKED)
ANSWERED_CODEC: Final = Codec(ANSWERED)


class Stream(TwistedProtocol):
    """One end of a transfer connection.

    @param reactor: time and timers.
    @param codec: of the messages that come.
    @ivar is_open: whether anything can still be said or heard.
    @ivar gone: called when the connection is gone, whoever has closed it.
    """

    transport: Any
    log: Final = limited_logger(__name__)
    _grace: Timer

    def __init__(self, reactor: Any, codec: Codec) -> None:
        self.reactor = reactor
        self.codec = codec
        self.is_open: bool = False
        self.gone: Callable[[], object] = _nothing

    def connectionMade(self) -> None:
        """Begin."""
        self.is_open = True
        self._grace = Timer(self.reactor, self.transport.abortConnection)
        self.transport.setTcpNoDelay(True)
        # Who waits for a slot says nothing for long; a machine that is gone is found out so.
        self.transport.setTcpKeepAlive(True)
        if hasattr(self.transport, "SEND_LIMIT"):
            self.transport.SEND_LIMIT = _SENT_AT_ONCE_BYTES

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self._grace.cancel()
        was_open, self.is_open = self.is_open, False
        if was_open:
            self.connection_lost()
        gone, self.gone = self.gone, _nothing
        gone()

    def connection_lost(self) -> None:
        """The connection has ended, and not by this end."""

    def send(self, message: Message) -> None:
        """Say something."""
        if self.is_open:
            self.transport.write(frame(self.codec.encode(message)))

    def send_binary(self, payload: bytes) -> None:
        """Send one binary frame."""
        if self.is_open:
            self.transport.write(frame(payload))

    def close(self, farewell: Message | None = None) -> None:
        """Close when everything has been sent; cut off if that takes longer than the grace."""
        if not self.is_open:
            return
        if farewell is not None:
            self.send(farewell)
        self.is_open = False
        self.transport.unregisterProducer()
        self.transport.resumeProducing()
        self.transport.loseConnection()
        self._grace.set(_GRACE_S)

    def cut_short(self) -> None:
        """Do not wait any more until what was said last has been heard."""
        if not self.is_open:
            self.transport.abortConnection()

    def abort(self) -> None:
        """Cut the connection."""
        if self.is_open:
            self.is_open = False
            self.transport.abortConnection()


def _nothing() -> None:
    """Do nothing: called when a connection is gone, in place of what would keep it in memory."""
