"""Messages between leaves and super peers. From the design paper of the super peers.

Its register, update, query and query hit are here. The end of a search, tables of words, greetings between super
peers and promotion are added. A leaf's list goes by the messages of the index (C{update}, C{renew}, C{listed}):
to its leaves a super peer is an index. Over TCP a message goes between a leaf and its super peer, by
datagram between two super peers; C{query}, C{queryhit} and C{table} are the same both times.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta

from twisted_bazaar.discovery.index.messages import File, Tally
from twisted_bazaar.identity.keys import PublicKey
from twisted_bazaar.wire.files import LONGEST_NAME_BYTES, Digest, FileName
from twisted_bazaar.wire.goods import BAZAAR, Bazaar, ItemName, check_item_name
from twisted_bazaar.wire.message import (
    LARGEST_INTEGER,
    TTL,
    Host,
    Message,
    MessageId,
    NodeId,
    Port,
    QueryId,
    check_host,
)

MOST_RESULTS: Final = 1000
MOST_PARTS: Final = 1024
MOST_FOUND: Final = 100
MOST_OTHERS: Final = 16
LEAST_TABLE_BITS: Final = 16
MOST_TABLE_BITS: Final = 20
NO_TABLE: Final = 0
_HEX_DIGITS: Final = "0123456789abcdef"

Version = Annotated[int, Meta(ge=NO_TABLE, le=LARGEST_INTEGER)]
_Words = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME_BYTES)]
_Part = Annotated[int, Meta(ge=0, lt=MOST_PARTS)]
_Parts = Annotated[int, Meta(ge=1, le=MOST_PARTS)]
_Reach = Annotated[int, Meta(ge=0, le=LARGEST_INTEGER)]
_Gaps = Annotated[str, Meta(max_length=60_000)]
_Files = Annotated[tuple[File, ...], Meta(max_length=MOST_FOUND)]


class Other(msgspec.Struct, frozen=True, gc=False):
    """A super peer, and where it takes links.

    @ivar room: how many more leaves it would take.
    """

    id: NodeId
    host: Host
    port: Port
    room: Tally

    def __post_init__(self) -> None:
        check_host(self.host)


class Place(msgspec.Struct, frozen=True, gc=False):
    """An address where a super peer takes datagrams."""

    host: Host
    port: Port

    def __post_init__(self) -> None:
        check_host(self.host)


class Found(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A leaf that has what was looked for, and where it takes connections.

    @ivar host: none for a peer on the machine that the datagram comes from; who gets it fills that in.
    @ivar load: how many downloads it serves, as far as its super peer knows.
    @ivar udp: where on the same host it takes datagrams; 0 for nowhere, or if its super peer does not tell.
    @ivar files: those of its files that were meant; none for a seller.
    """

    id: NodeId
    key: PublicKey
    port: Port
    host: Host | None = None
    load: Tally = 0
    udp: Port = 0
    files: _Files = ()

    def __post_init__(self) -> None:
        if self.host is not None:
            check_host(self.host)


_Found = Annotated[tuple[Found, ...], Meta(max_length=MOST_FOUND)]
_Others = Annotated[tuple[Other, ...], Meta(max_length=MOST_OTHERS)]
_Places = Annotated[tuple[Place, ...], Meta(max_length=MOST_OTHERS)]


class Register(Message, tag="register", kw_only=True):
    """Asks a super peer to take the sender as one of its leaves. Others fetch where its greeting says.

    @ivar may_lead: whether it would be a super peer itself, if there are too few.
    @ivar udp: where it takes datagrams then.
    """

    id: MessageId
    may_lead: bool = False
    udp: Port = 0


class Registered(Message, tag="registered", kw_only=True):
    """The answer to C{register}; and news, without being asked, when others have changed.

    @ivar taken: whether the sender is one of the super peer's leaves now.
    @ivar most: how many leaves it takes.
    @ivar others: super peers it knows, those with room first.
    """

    id: MessageId
    taken: bool
    most: Tally
    others: _Others = ()


class Unregister(Message, tag="unregister", kw_only=True):
    """The sender is a leaf of the receiver no more, and nothing of it is to be found there."""


class QueryEnd(Message, tag="queryend", kw_only=True):
    """Nothing more comes for a query; between super peers, for a round of it.

    @ivar hits: how many there were; super peers leave it out among themselves.
    @ivar reached_all: whether everybody within reach was asked; if not, there were enough, or the time was up.
    @ivar reach: of the round that is over, between super peers.
    @ivar parts: how many parts of hits the sender has sent the receiver for the query, between super peers.
    """

    id: QueryId
    hits: Tally = 0
    reached_all: bool = False
    reach: _Reach = 0
    parts: Tally = 0


class Query(Message, tag="query", kw_only=True):
    """Looks for files, or for sellers. Exactly one of the things to look for is given, but for goods: see there.

    @ivar id: random, and the same for all datagrams of one search.
    @ivar reach: over how many links this round of the search goes in all; a leaf leaves it out.
    @ivar ttl: over how many links it may still go, counting the one it came by; a leaf leaves it out.
    @ivar hops: over how many it has gone.
    @ivar results: how many hits are enough.
    @ivar name: the exact name of a file.
    @ivar words: words of its name, without regard to case; the last may be the beginning of one.
    @ivar digest: its content.
    @ivar item: goods that are to be sold.
    @ivar seller: the key of a seller, whatever it sells.
    @ivar bazaar: where goods are to be sold.
    """

    ended_by: ClassVar[type[Any] | None] = QueryEnd

    id: QueryId
    reach: _Reach = 0
    ttl: TTL = 0
    hops: Tally = 0
    results: Annotated[int, Meta(ge=1, le=MOST_RESULTS)] = 50
    name: FileName | None = None
    words: _Words | None = None
    digest: Digest | None = None
    item: ItemName | None = None
    seller: PublicKey | None = None
    bazaar: Bazaar = BAZAAR

    def __post_init__(self) -> None:
        if self.item is not None:
            check_item_name(self.item)
        given = (self.name, self.words, self.digest, self.item, self.seller)
        if len(given) - given.count(None) != 1:
            raise ValueError("exactly one of name, words, digest, item and seller is given")
        # Each takes six bytes in JSON, and a query has to go into a datagram.
        for key, text in (("words", self.words), ("name", self.name), ("bazaar", self.bazaar)):
            if text is not None and not text.isprintable() and min(text) < " ":
                raise ValueError(f"{key}: a control character in it")


class QueryHit(Message, tag="queryhit", kw_only=True):
    """Some of what one super peer has found for a query. Each part says something by itself.

    @ivar answer: tells the answer of one super peer to one query from all others.
    @ivar part: which of C{parts} this is, from 0.
    """

    id: QueryId
    answer: MessageId
    part: _Part = 0
    parts: _Parts = 1
    found: _Found = ()

    def __post_init__(self) -> None:
        if self.part >= self.parts:
            raise ValueError("part: not below parts")


class Table(Message, tag="table", kw_only=True):
    """A part of a table of words: some of what has changed since a version of it.

    @ivar base: the version that this changes; 0 for an empty table.
    @ivar version: the version that comes of all C{parts}.
    @ivar bits: the table has 2**bits slots.
    @ivar on: slots that are set now; see L{write_slots<twisted_bazaar.discovery.superpeer.qrp.slot_set.write_slots>}.
    @ivar off: slots that are set no more.
    @ivar full: whether there are too many to be told: everything may be there.
    """

    base: Version
    version: Annotated[int, Meta(ge=1, le=LARGEST_INTEGER)]
    bits: Annotated[int, Meta(ge=LEAST_TABLE_BITS, le=MOST_TABLE_BITS)] = LEAST_TABLE_BITS
    part: _Part = 0
    parts: _Parts = 1
    on: _Gaps = ""
    off: _Gaps = ""
    full: bool = False

    def __post_init__(self) -> None:
        if self.part >= self.parts:
            raise ValueError("part: not below parts")


class SuperHello(Message, tag="superhello", kw_only=True):
    """Said by super peers to their neighbours every few seconds; it is not answered.

    @ivar id: the sender's node id.
    @ivar key: its public key.
    @ivar port: where it takes links; 0 if nowhere.
    @ivar host: the host of that; none where it is the one that the datagram comes from.
    @ivar leaves: how many leaves it has.
    @ivar room: how many more it would take.
    @ivar neighbours: how many super peers it is linked to.
    @ivar version: of its own table.
    @ivar have: the version of the receiver's table that it has.
    @ivar leaving: whether it goes now.
    """

    id: NodeId
    key: PublicKey
    port: Port = 0
    host: Host | None = None
    leaves: Tally = 0
    room: Tally = 0
    neighbours: Tally = 0
    version: Version = NO_TABLE
    have: Version = NO_TABLE
    leaving: bool = False

    def __post_init__(self) -> None:
        if self.host is not None:
            check_host(self.host)

    def is_from(self, key: str) -> bool:
        """Whether it is the hello of the node with a key."""
        return self.key == key


class Lead(Message, tag="lead", kw_only=True):
    """Asks a leaf that is able to be a super peer from now on.

    @ivar why: for its log.
    @ivar neighbours: super peers to be linked to.
    """

    why: Annotated[str, Meta(max_length=200)]
    neighbours: _Places = ()
