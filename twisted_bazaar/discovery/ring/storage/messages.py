"""Messages about entries, by datagram. From the two design papers of the ring.

Its store, request and transfer are here. What is longer than a datagram goes in parts, each of which is a question of
its own; so that whoever gets them can tell when all have come, each says how many there are.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

import msgspec
from msgspec import Meta

from twisted_bazaar.discovery.ring.rpc.messages import Card, RingMessage
from twisted_bazaar.discovery.ring.rules.identifiers import MOST_BITS
from twisted_bazaar.discovery.ring.storage.entry import LONGEST_TEXT, TAG_BITS, TOMBSTONE_S, Name, Space, Version
from twisted_bazaar.wire.files import Digest
from twisted_bazaar.wire.message import LARGEST_INTEGER

# So much of an entry's text goes into one datagram, whatever else is in it.
PART_CHARS: Final = 720
MOST_PARTS: Final = -(-LONGEST_TEXT // PART_CHARS)
MOST_LISTED: Final = 16
MOST_COMPARED: Final = 32
LONGEST_REASON: Final = 100
_POSITION_DIGITS: Final = (MOST_BITS + TAG_BITS) // 4

TagText = Annotated[str, Meta(min_length=16, max_length=16, pattern=r"^[0-9a-f]*\Z")]
SumText = Annotated[str, Meta(min_length=32, max_length=32, pattern=r"^[0-9a-f]*\Z")]
PositionText = Annotated[str, Meta(min_length=17, max_length=_POSITION_DIGITS, pattern=r"^[0-9a-f]*\Z")]
_Part = Annotated[int, Meta(ge=0, lt=MOST_PARTS)]
_Parts = Annotated[int, Meta(ge=1, le=MOST_PARTS)]
_Text = Annotated[str, Meta(max_length=PART_CHARS)]
_Seconds = Annotated[int, Meta(ge=0, le=TOMBSTONE_S)]


class Listed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An entry under a name, for short.

    @ivar deleted: whether it says that there is nothing any more.
    @ivar whole: whether the file that it is about can be fetched from the sender.
    """

    tag: TagText
    version: Version
    deleted: bool = False
    whole: bool = False


class Marked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An entry of a span, for short.

    @ivar position: its identifier and its tag, one after the other.
    """

    position: PositionText
    version: Version


class RingStore(RingMessage, tag="ringstore", kw_only=True):
    """Asks the receiver to keep an entry. Answered by C{ringstored}.

    @ivar whole: the first digits of the SHA-256 of the whole text, by which its parts are put together.
    @ivar part: which of C{parts} this is, from 0.
    @ivar text: of the envelope of the entry.
    @ivar left: for how many seconds more, if its owner does not send it; never longer than that one says.
    """

    whole: SumText
    part: _Part = 0
    parts: _Parts = 1
    text: _Text
    left: _Seconds | None = None


class RingStored(RingMessage, tag="ringstored", kw_only=True):
    """The outcome of a store.

    @ivar outcome: C{part}: more of it is to come. C{kept}, C{known}: it is there now, or was already. C{older}: there
        is a newer one. C{full}: there is no room. C{refused}: it does not hold.
    @ivar version: of the newest there is.
    @ivar whole: whether the file that it is about can be fetched here.
    @ivar info: with C{refused} why, for people.
    """

    outcome: Literal["part", "kept", "known", "older", "full", "refused"]
    version: Annotated[int, Meta(ge=0, le=LARGEST_INTEGER)] = 0
    whole: bool = False
    info: Annotated[str, Meta(max_length=LONGEST_REASON)] = ""


class RingRequest(RingMessage, tag="ringrequest", kw_only=True):
    """Asks what there is under a name. Answered by C{ringtransfer}.

    @ivar after: only entries that are listed after the one with this tag.
    @ivar tag: of the entry whose text is wanted; then nothing is listed.
    @ivar position: in place of space, name and tag.
    @ivar part: of that text.
    """

    is_question: ClassVar[bool] = True
    space: Space | None = None
    name: Name | None = None
    after: TagText | None = None
    tag: TagText | None = None
    position: PositionText | None = None
    part: _Part = 0


class RingTransfer(RingMessage, tag="ringtransfer", kw_only=True):
    """The entries under a name.

    @ivar listed: the newest first.
    @ivar more: whether there are more than are listed.
    @ivar parts: of how many the text is one; 0 for none.
    @ivar text: of the entry that was asked for, or of the first that is listed if there is room.
    @ivar left: for how many seconds the entry is still to be kept, if not for good.
    @ivar own: whether the name that was asked about belongs to the sender, as far as it knows.
    @ivar predecessor: if not, the node before the sender, if there is room.
    """

    listed: Annotated[tuple[Listed, ...], Meta(max_length=MOST_LISTED)] = ()
    more: bool = False
    parts: Annotated[int, Meta(ge=0, le=MOST_PARTS)] = 0
    text: _Text = ""
    left: _Seconds | None = None
    own: bool = False
    predecessor: Card | None = None

    def shorter(self) -> RingTransfer | None:
        """Without who may know more: that is only to save others time."""
        return None if self.predecessor is None else self.evolve(predecessor=None)


class RingCompare(RingMessage, tag="ringcompare", kw_only=True):
    """Asks whether the receiver has the same as the sender in a span. Answered by C{ringcompared}.

    @ivar low: where the span begins; this is left out.
    @ivar high: where it ends; included.
    @ivar total: the sum of the fingerprints of all the sender has there.
    @ivar own: whether the span belongs to the sender, which wants to have it here too.
    """

    low: PositionText
    high: PositionText
    total: SumText
    own: bool = False


class RingCompared(RingMessage, tag="ringcompared", kw_only=True):
    """The answer whether the sender has the same.

    @ivar marked: if not, the first that it has there.
    @ivar until: how far these go.
    """

    same: bool
    marked: Annotated[tuple[Marked, ...], Meta(max_length=MOST_COMPARED)] = ()
    until: PositionText | None = None


class RingKept(RingMessage, tag="ringkept", kw_only=True):
    """Tells who has asked for a file to be kept that all of it has come. Answered by C{ringnoted}."""

    digest: Digest


class RingNoted(RingMessage, tag="ringnoted", kw_only=True):
    """The answer to C{ringkept}."""
