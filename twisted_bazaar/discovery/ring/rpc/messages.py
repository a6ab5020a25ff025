"""Messages between the nodes of a ring, by datagram. From the two design papers of the ring.

Its join, update, ping, quit, abrupt and exit are here; finding a place is added, which in those papers is part of
every message that goes round. Each message says from whom to whom it goes, has a stamp of its own, and tells who began
it, apart from who has sent it on. An answer has the stamp of its question.

What is said about somebody else is a hint to ask that one, and never more.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta

from twisted_bazaar.discovery.ring.rules.identifiers import LEAST_BITS, MOST_BITS
from twisted_bazaar.wire.message import Host, Message, MessageId, Port, check_host

MOST_SUCCESSORS: Final = 32
MOST_NAMED: Final = 32
ANYBODY: Final = ""
"""The destination of a message for whoever is at an address."""
NO_MARK: Final = ""
"""The mark of nothing that was said."""
MARK_DIGITS: Final = 12

_DIGITS: Final = -(-MOST_BITS // 4)

PlaceText = Annotated[str, Meta(min_length=1, max_length=_DIGITS, pattern=r"^[0-9a-f]*\Z")]
"""A place on the ring, as hexadecimal digits."""

# These are only compared with what they have to be: as patterns they would take as long as all the rest of a message.
_Source = Annotated[str, Meta(min_length=1, max_length=_DIGITS)]
_Destination = Annotated[str, Meta(max_length=_DIGITS)]
_Mark = Annotated[str, Meta(max_length=16, pattern=r"^[0-9a-f]*\Z")]
_KeyText = Annotated[str, Meta(min_length=43, max_length=43)]
_Bits = Annotated[int, Meta(ge=LEAST_BITS, le=MOST_BITS)]


@lru_cache(maxsize=8_192)
def key_text(key: str) -> str:
    """A public key, 64 hexadecimal digits, as it stands on a L{Card}."""
    return urlsafe_b64encode(bytes.fromhex(key)).decode().rstrip("=")


class Card(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A node, and where it is, as short as it can be: ten of them go into one datagram.

    @ivar key: its public key, in the base64 of URLs.
    @ivar host: none for the sender of the message; who gets it knows where that is.
    @ivar udp: where it takes datagrams; of the sender, where the datagram came from counts.
    @ivar port: where it takes links; 0 if nowhere.
    @ivar id: its place, unless that follows from its key.
    """

    key: _KeyText
    host: Host | None
    udp: Port
    port: Port
    id: PlaceText | None = None


class Seen(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An address from which somebody's datagrams come."""

    host: Host
    udp: Port

    def __post_init__(self) -> None:
        check_host(self.host)


_Successors = Annotated[tuple[Card, ...], Meta(max_length=MOST_SUCCESSORS)]
_Named = Annotated[tuple[Card, ...], Meta(max_length=MOST_NAMED)]


class RingMessage(Message, kw_only=True):
    """Something that goes from one node of a ring to another.

    @ivar source: the place of who has sent it, which may have sent it on.
    @ivar destination: the place of whom it is for; L{ANYBODY} for whoever is there.
    @ivar stamp: tells it from all others of its sender; an answer has that of its question.
    @ivar origin: who has begun it.
    """

    source: _Source
    destination: _Destination
    stamp: MessageId
    origin: Card

    def is_from(self, key: str) -> bool:
        """Whether the node with a key may have sent this: what it says of itself bears that key."""
        return self.origin.host is not None or self.origin.key == key_text(key)

    def shorter(self) -> RingMessage | None:
        """The same with less in it; None if nothing can be left out."""
        return None


class RingJoin(RingMessage, tag="ringjoin", kw_only=True):
    """Asks how the receiver stands, by somebody who is no member yet and would fall in behind it. Answered by
    C{ringpong}."""

    is_question: ClassVar[bool] = True


class RingPing(RingMessage, tag="ringping", kw_only=True):
    """Asks how the receiver stands, by a member, which may be its predecessor. Answered by C{ringpong}.

    @ivar next: whether the receiver is the first successor of the sender, or will be when it answers.
    @ivar mark: that of the last C{ringpong} of the receiver, if the sender still has what stood there.
    """

    next: bool = False
    mark: _Mark = NO_MARK


class RingPong(RingMessage, tag="ringpong", kw_only=True):
    """The sender's state, in answer to a ping.

    @ivar bits: the ring has 2**bits places.
    @ivar member: whether it has joined.
    @ivar predecessor: the nearest node before it that it knows of.
    @ivar successors: the nodes after it, the nearest first; the last are left out if there is no room.
    @ivar you: where it sees the receiver, which cannot know that by itself.
    @ivar mark: another whenever predecessor or successors are others; its own business how it is made.
    @ivar same: whether these are as they were under the mark that the receiver has shown, and are left out.
    """

    bits: _Bits
    member: bool = True
    predecessor: Card | None = None
    successors: _Successors = ()
    you: Seen | None = None
    mark: _Mark = NO_MARK
    same: bool = False


class RingUpdate(RingMessage, tag="ringupdate", kw_only=True):
    """Tells of a node that lives, and may be a neighbour of the receiver; which asks it itself. Not answered."""

    about: Card


class RingAbrupt(RingMessage, tag="ringabrupt", kw_only=True):
    """Tells that a node does not answer; the receiver asks it itself, if it is a neighbour. Not answered."""

    about: Card


class RingQuit(RingMessage, tag="ringquit", kw_only=True):
    """The sender goes, and says who its neighbours were. Answered by C{ringexit}."""

    predecessor: Card | None = None
    successors: _Successors = ()


class RingExit(RingMessage, tag="ringexit", kw_only=True):
    """The answer to C{ringquit}: for the sender of this, the receiver may exit now."""


class RingFind(RingMessage, tag="ringfind", kw_only=True):
    """Asks whom the receiver knows round a place. Answered by C{ringfound}."""

    is_question: ClassVar[bool] = True
    place: PlaceText


class RingFound(RingMessage, tag="ringfound", kw_only=True):
    """The sender's contacts round a place.

    @ivar before: nodes between itself and the place, the nearest to the place first.
    @ivar after: its successors at the place and after it, the nearest first; none if its list does not go so far. One
        that is responsible itself comes first.
    @ivar beyond: nodes farther than those that it happens to know.
    @ivar predecessor: the node before it.
    """

    before: _Named = ()
    after: _Named = ()
    beyond: _Named = ()
    predecessor: Card | None = None


def shortened(message: RingMessage) -> RingMessage | None:
    """The same message with less in it, for one that does not fit into a datagram; None if nothing can be left out."""
    match message:
        case RingPong(successors=(*kept, _)) | RingQuit(successors=(*kept, _)):
            return message.evolve(successors=tuple(kept))
        case RingFound(after=(*kept, _)):
            return message.evolve(after=tuple(kept))
        case _:
            return message.shorter()
