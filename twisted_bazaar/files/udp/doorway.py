"""Dispatch of streams that others open, by their first frame, which says what the stream is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure

from twisted_bazaar.errors import MalformedMessage, NoSlots, PeerError, UnknownMessage, WireError
from twisted_bazaar.interfaces import Opening
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.framing import FrameSplitter, frame
from twisted_bazaar.wire.message import Message

_FRAME_BYTES: Final = 4 << 10
_PATIENCE_S: Final = 10.0
_GRACE_S: Final = 2.0


class Guest(TwistedProtocol):
    """A stream of which is not known yet what it is for."""

    transport: Any
    _timer: Timer

    def __init__(self, reactor: Any, openings: Mapping[type[Message], Opening], codec: Codec) -> None:
        self._reactor = reactor
        self._openings = openings
        self._codec = codec
        self._splitter = FrameSplitter(_FRAME_BYTES)

    def connectionMade(self) -> None:
        """Wait for its first frame, but not for ever."""
        self._timer = Timer(self._reactor, self.transport.abortConnection)
        self._timer.set(_PATIENCE_S)

    def dataReceived(self, data: bytes) -> None:
        """Take the first frame."""
        self._splitter.receive(data)
        try:
            frames = self._splitter.next_frames(1)
            if frames:
                self._hand_over(self._codec.decode(frames[0]))
        except UnknownMessage as error:
            firsts = " or ".join(sorted(str(cls.__struct_config__.tag) for cls in self._openings))
            self._refuse(
                Error.telling(PeerError(f"a stream begins with {firsts}, not with {error.message!r}"), error.message)
            )
        except MalformedMessage as error:
            self._refuse(Error.telling(error, error.message))
        except WireError as error:
            self._refuse(Error.telling(error))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is gone."""
        self._timer.cancel()

    def _hand_over(self, first: Message) -> None:
        """Leave the stream to what this message begins, with all that has come after it."""
        peer = self.transport.getPeer()
        successor: Any = self._openings[type(first)](first, Address(peer.host, peer.port))
        if successor is None:
            self._refuse(Error.telling(NoSlots("no streams of this kind are taken now"), first))
            return
        self._timer.cancel()
        rest = self._splitter.detach()
        self.transport.protocol = successor
        successor.makeConnection(self.transport)
        if rest:
            successor.dataReceived(rest)

    def _refuse(self, farewell: Error) -> None:
        self.transport.write(frame(self._codec.encode(farewell)))
        self.transport.loseConnection()
        self._timer.set(_GRACE_S)


class Doorway(Factory):
    """Takes the streams that others open.

    @param openings: by the message that a stream begins with, what takes it over.
    """

    noisy = False

    def __init__(self, reactor: Any, openings: Mapping[type[Message], Opening]) -> None:
        self._reactor = reactor
        self._openings = openings
        self._codec = Codec(openings) if openings else None

    def buildProtocol(self, addr: object) -> Guest | None:
        """One for a stream; None where nothing is taken."""
        return None if self._codec is None else Guest(self._reactor, self._openings, self._codec)
