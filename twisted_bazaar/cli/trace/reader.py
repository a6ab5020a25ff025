"""Traces, read line by line: those of a simulation, and the files that daemons write with C{--events}.

A line of a simulation names its node; a file of a daemon is all of one node, which goes by the name of
the file. Several files are read side by side, in the order of time. Nothing is kept in memory but one
line of each file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from pathlib import Path
from typing import IO, Any, Final

import msgspec
from attrs import define

from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.cli.trace.statements import Said, Sealed, read_sealed
from twisted_bazaar.errors import UNREADABLE
from twisted_bazaar.trade.messages import handle_of

ABOUT_ORDERS: Final = frozenset({"buy", "buyOK", "buyNO", "cancel"})
"""The wire names of the messages about orders."""
_HANDLE_DIGITS: Final = 13
_LONGEST: Final = 16 << 20


class Line(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that happened, with those of its details that searches, orders, queries and transfers are told by.

    @ivar time: in seconds; in a simulation since it began.
    @ivar node: the name of the node that tells it; None for what befell machines and ways.
    @ivar event: what, in one word; C{sent} for a message, C{datagram} for one that went as a datagram.
    @ivar to: the id of whom a message was sent to; None for one that has not said who it is. Of a datagram the address.
    @ivar type: the wire name of a message.
    @ivar order: in a message what is ordered or taken back, else the id of an order.
    @ivar answer: in a message what a seller answers to an order; of a query a number.
    @ivar quote: in a message what is offered.
    @ivar seller: the id of a node; in a search a public key.
    @ivar found: in the answer to a query the peers that have it, each with its files.
    """

    time: float
    event: str
    node: str | msgspec.UnsetType | None = msgspec.UNSET
    type: str = ""
    to: int | str | None = None
    id: int | str | None = None
    path: tuple[int, ...] | None = None
    return_path: tuple[int, ...] = msgspec.field(name="returnPath", default=())
    ttl: int = 7
    item: str = ""
    quantity: int = 1
    price: int | None = None
    code: str = ""
    info: str = ""
    about: str | None = None
    hop: int | None = None
    seller: int | str | None = None
    seller_key: str = ""
    buyer: int | None = None
    buyer_key: str = ""
    key: str = ""
    order: str | Sealed | None = None
    answer: Sealed | int | None = None
    quote: Sealed | None = None
    search: int | None = None
    offers: int | None = None
    reason: str = ""
    fault: str = ""
    what: str = ""
    nodes: tuple[str, ...] = ()
    strength: float = 1.0
    for_s: float = 0.0
    # These have other types in some events, so whoever reads them looks at what they are.
    words: Any = None
    name: Any = None
    digest: Any = None
    file: Any = None
    found: Any = None
    hits: Any = None
    reached_all: Any = msgspec.field(name="reachedAll", default=None)
    reach: Any = None
    part: Any = None
    parts: Any = None
    size: Any = None
    sources: Any = None
    source: Any = None
    super_peer: Any = None
    address: Any = None
    host: Any = None
    port: Any = None
    why: Any = None
    lie: Any = None
    chunks: Any = None
    sent_bytes: Any = msgspec.field(name="bytes", default=None)

    @property
    def goes_to(self) -> int | None:
        """The id of the node to which a message is to get in the end; None if it is not known."""
        if self.path:
            return self.path[-1]
        return self.to if isinstance(self.to, int) else None

    @property
    def is_first_hop(self) -> bool:
        """Whether a search is sent by the node that began it."""
        return self.type == "search" and len(self.return_path) == 1

    @property
    def message_id(self) -> int | None:
        """The number by which a message names the search or the order that it is about."""
        return self.id if self.event == "sent" and isinstance(self.id, int) else None

    @property
    def order_id(self) -> str | None:
        """The order that an event is about, or that a message speaks of in what is signed; None if that is not said."""
        if self.event == "sent":
            said = self.said
            return None if said is None else said.order_id
        of_doubt = self.id if self.event == "unknown" else None
        return next((each for each in (self.order, of_doubt) if isinstance(each, str)), None)

    @property
    def said(self) -> Said | None:
        """What a message says in what is signed; None if nothing is, or it cannot be read."""
        sealed = {"buy": self.order, "cancel": self.order, "reply": self.quote}.get(self.type, self.answer)
        return read_sealed(self.type, sealed) if isinstance(sealed, Sealed) else None

    @property
    def handle(self) -> int | None:
        """By which number messages name the order that this is about; None if it is about none."""
        if self.event == "sent":
            is_about_order = self.type in ABOUT_ORDERS or (self.type == "error" and self.about in ABOUT_ORDERS)
            return self.message_id if is_about_order else None
        try:
            return None if self.order_id is None else handle_of(self.order_id)
        except ValueError:
            return None


class _BareLine(msgspec.Struct):
    """A line of a role of somebody else, whose details may be anything."""

    time: float
    event: str
    node: str | msgspec.UnsetType | None = msgspec.UNSET


@define
class TraceFile:
    """One file, while it is read.

    @ivar node: whose it is, unless its lines say so themselves.
    @ivar unreadable: how many lines of it are no events.
    @ivar cut_at: if its end is missing, when what comes last in it happened; below 0 if nothing does.
    @ivar has_events: whether any line of it, so far, is an event.
    @ivar names_nodes: whether its lines name their nodes, as those of a simulation do.
    """

    path: str
    file: IO[bytes]
    node: str
    unreadable: int = 0
    cut_at: float | None = None
    has_events: bool = False
    names_nodes: bool = False

    def lines(self) -> Iterator[Line]:
        """All events in it.

        @raise Refusal: it cannot be read.
        """
        last = -1.0
        while text := self._read_line():
            line = _read(text)
            if line is not None:
                last = line.time
                self.has_events = True
                if line.node is msgspec.UNSET:
                    line = msgspec.structs.replace(line, node=self.node)
                else:
                    self.names_nodes = True
                yield line
            elif text.endswith(b"\n"):
                self.unreadable += bool(text.strip())
            elif len(text) == _LONGEST:
                self.unreadable += 1
                self._skip_line()
            else:
                self.cut_at = last

    def complaints(self, zero_s: float) -> Iterator[str]:
        """What was wrong with it, in words.

        @param zero_s: from when on times are counted.
        """
        if self.unreadable:
            were = "1 line is" if self.unreadable == 1 else f"{self.unreadable:,} lines are"
            yield f"{self.path}: {were} no event and left out"
        if self.cut_at is not None and (self.has_events or not self.unreadable):
            what = f"read up to {self.cut_at - zero_s:.3f} s" if self.cut_at >= 0 else "there is nothing before it"
            yield f"{self.path}: the last line is cut short; {what}"
        if not (self.has_events or self.unreadable or self.cut_at is not None):
            yield f"{self.path}: there is nothing in it"

    def _skip_line(self) -> None:
        while (text := self._read_line()) and not text.endswith(b"\n"):
            pass

    def _read_line(self) -> bytes:
        try:
            return self.file.readline(_LONGEST)
        except OSError as error:
            raise UserError(f"{self.path}: {error.strerror}") from None


def id_of(handle: int) -> str:
    """The beginning of an order's id, as far as messages that are not signed tell it."""
    return f"{handle:0{_HANDLE_DIGITS}x}"


def side_by_side(files: Sequence[TraceFile]) -> Iterator[Line]:
    """The lines of several files in the order of time."""
    if len(files) == 1:
        # What stands in one file stays in its order, whatever a clock did.
        return files[0].lines()
    return merge(*(file.lines() for file in files), key=lambda line: line.time)


def names_of(paths: Sequence[str]) -> list[str]:
    """What the nodes of some files are called: by their file, with its directory where two have one name."""
    stems = [Path(path).stem for path in paths]
    return [stem if stems.count(stem) == 1 else path for path, stem in zip(paths, stems, strict=True)]


_decode: Final = msgspec.json.Decoder(Line).decode
_decode_barely: Final = msgspec.json.Decoder(_BareLine).decode


def _read(text: bytes) -> Line | None:
    """An event; None if the text is none."""
    try:
        return _decode(text)
    except UNREADABLE:
        pass
    try:
        bare = _decode_barely(text)
    except UNREADABLE:
        return None
    return Line(time=bare.time, event=bare.event, node=bare.node)
