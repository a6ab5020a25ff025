"""Messages between peers and their index server. From the design paper of the index server.

Its commands add, remove and search by name are here, each with an answer, and the list of everything that it
wished for. Lists in parts, words, digests, pages, sources and sellers are added. A message with an C{id} is
answered with the same C{id}, by what stands with it or by an C{error}.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta

from twisted_bazaar.errors import PeerError
from twisted_bazaar.identity.keys import PublicKey
from twisted_bazaar.wire.files import LONGEST_NAME_BYTES, Digest, DigestBeginning, FileName, FileSize, check_file_name
from twisted_bazaar.wire.goods import BAZAAR, Bazaar, ItemName, check_item_name
from twisted_bazaar.wire.message import LARGEST_INTEGER, Host, Message, MessageId, NodeId, Port, check_host

MOST_IN_UPDATE: Final = 1000
MOST_ON_PAGE: Final = 1000
MOST_SOURCES: Final = 100
LONGEST_CURSOR: Final = 1024
# So many bytes of entries fit into a frame, with what stands around them.
MOST_ENTRY_BYTES: Final = 60_000
NOTHING_LISTED: Final = 0

Mark = Annotated[int, Meta(ge=NOTHING_LISTED, le=LARGEST_INTEGER)]
NewMark = Annotated[int, Meta(ge=NOTHING_LISTED + 1, le=LARGEST_INTEGER)]
Tally = Annotated[int, Meta(ge=0, le=LARGEST_INTEGER)]
_Words = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME_BYTES)]
_Owner = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[0-9a-f]*\Z")]
_Cursor = Annotated[str, Meta(min_length=1, max_length=LONGEST_CURSOR)]


class TooMany(PeerError):
    """More is listed than one peer may list, or than the server takes."""

    code: ClassVar[str] = "toomany"


class Busy(PeerError):
    """A peer asks for more than the server does for one."""

    code: ClassVar[str] = "busy"


class File(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A file in a list.

    @ivar digest: SHA-256 over the whole.
    @ivar whole: whether its owner has all of it.
    """

    name: FileName
    size: FileSize
    digest: Digest
    whole: bool = True

    def __post_init__(self) -> None:
        check_file_name(self.name)


class Hit(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A file that was found.

    @ivar sources: how many have the whole of it.
    @ivar partial: how many have some of it.
    """

    name: FileName
    size: FileSize
    digest: Digest
    sources: Tally = 0
    partial: Tally = 0

    def __post_init__(self) -> None:
        check_file_name(self.name)


class Source(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A node that has a file, and where it takes connections.

    @ivar whole: whether it has all of it.
    @ivar load: how many downloads it serves, as far as the server knows.
    @ivar udp: where on the same host it takes datagrams; 0 for nowhere, or if the server does not know.
    """

    id: NodeId
    key: PublicKey
    host: Host
    port: Port
    whole: bool = True
    load: Tally = 0
    udp: Port = 0

    def __post_init__(self) -> None:
        check_host(self.host)


class Seller(msgspec.Struct, frozen=True, gc=False):
    """A node that sells, and where it takes connections."""

    id: NodeId
    key: PublicKey
    host: Host
    port: Port

    def __post_init__(self) -> None:
        check_host(self.host)


_Files = Annotated[tuple[File, ...], Meta(min_length=0, max_length=MOST_IN_UPDATE)]
_Names = Annotated[tuple[FileName, ...], Meta(min_length=0, max_length=MOST_IN_UPDATE)]
_Items = Annotated[tuple[ItemName, ...], Meta(min_length=0, max_length=MOST_IN_UPDATE)]
_Hits = Annotated[tuple[Hit, ...], Meta(min_length=0, max_length=MOST_ON_PAGE)]
_Sources = Annotated[tuple[Source, ...], Meta(min_length=0, max_length=MOST_SOURCES)]
_Sellers = Annotated[tuple[Seller, ...], Meta(min_length=0, max_length=MOST_SOURCES)]


class AddFile(Message, tag="addfile", kw_only=True):
    """Lists one file of the sender's; one of this name that it has listed already is replaced."""

    id: MessageId
    name: FileName
    size: FileSize
    digest: Digest
    whole: bool = True

    def __post_init__(self) -> None:
        check_file_name(self.name)


class RemoveFile(Message, tag="removefile", kw_only=True):
    """Strikes one file off the sender's list, if it is there."""

    id: MessageId
    name: FileName


class Update(Message, tag="update", kw_only=True):
    """Changes the sender's list by what has changed since it was last told.

    @ivar base: the mark of the list that this changes; 0 for an empty one.
    @ivar mark: the mark of the list after it; the sender chooses it, each time another.
    @ivar add: new files, and those that replace one of the same name.
    @ivar remove: names that are listed no more.
    @ivar offer: goods that the sender sells from now on.
    @ivar withdraw: goods that it sells no more.
    @ivar bazaar: the bazaar in which it sells.
    """

    id: MessageId
    base: Mark
    mark: NewMark
    add: _Files = ()
    remove: _Names = ()
    offer: _Items = ()
    withdraw: _Items = ()
    bazaar: Bazaar = BAZAAR

    def __post_init__(self) -> None:
        for item in self.offer:
            check_item_name(item)


class Renew(Message, tag="renew", kw_only=True):
    """Says that the sender is still there, and that a list of its is to be believed.

    @ivar mark: of that list; 0 for none. On a new link no other is believed, not even what the server has.
    @ivar load: how many downloads the sender serves now.
    """

    id: MessageId
    mark: Mark = NOTHING_LISTED
    load: Tally = 0


class Listed(Message, tag="listed", kw_only=True):
    """The answer to a change of the list, or to C{renew}: what the server has now.

    @ivar mark: the mark of the list that it has of the asker; 0 when it has none.
    @ivar most: how many entries one peer may list.
    @ivar lease: for how many seconds the list is believed without another word.
    """

    id: MessageId
    mark: Mark
    most: Tally
    lease: Tally


class FindFiles(Message, tag="findfiles", kw_only=True):
    """Looks for files; what is not given does not matter. With nothing given, all files are meant.

    @ivar name: the exact name.
    @ivar words: words of the name, without regard to case; the last may be the beginning of one.
    @ivar digest: the content, or the beginning of its digest.
    @ivar after: C{next} of the page before.
    @ivar most: no more than these at once.
    @ivar owner: a node that has it: its id, or the beginning of its key.
    """

    id: MessageId
    name: FileName | None = None
    words: _Words | None = None
    digest: DigestBeginning | None = None
    after: _Cursor | None = None
    most: Annotated[int, Meta(ge=1, le=MOST_ON_PAGE)] = 100
    owner: _Owner | None = None


class FoundFiles(Message, tag="foundfiles", kw_only=True):
    """The answer to C{findfiles}.

    @ivar total: how many there are in all.
    @ivar next: what to ask for the following ones with; none when these are the last.
    """

    id: MessageId
    files: _Hits = ()
    total: Tally = 0
    next: _Cursor | None = None


class FindSources(Message, tag="findsources", kw_only=True):
    """Asks who has a file."""

    id: MessageId
    digest: Digest
    most: Annotated[int, Meta(ge=1, le=MOST_SOURCES)] = 50


class FoundSources(Message, tag="foundsources", kw_only=True):
    """The answer to C{findsources}: the least loaded first. The asker is not among them."""

    id: MessageId
    sources: _Sources = ()


class FindSellers(Message, tag="findsellers", kw_only=True):
    """Asks who sells an item, or where the seller with a key is.

    @ivar item: what is to be sold; what it sells does not matter if not given.
    @ivar seller: the key of the only one to be named.
    @ivar bazaar: where it is to be sold.
    """

    id: MessageId
    item: ItemName | None = None
    seller: PublicKey | None = None
    bazaar: Bazaar = BAZAAR
    most: Annotated[int, Meta(ge=1, le=MOST_SOURCES)] = 50

    def __post_init__(self) -> None:
        if self.item is None and self.seller is None:
            raise ValueError("item: neither an item nor a seller is named")


class FoundSellers(Message, tag="foundsellers", kw_only=True):
    """The answer to C{findsellers}. The asker is not among them."""

    id: MessageId
    sellers: _Sellers = ()
