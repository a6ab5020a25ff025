"""Answers of a member of a ring in words: for commands that ask one, and for its prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from twisted_bazaar.cli.node.found import SHOWN_OF_DIGEST
from twisted_bazaar.cli.ring.places import Addresses, place_lines
from twisted_bazaar.cli.terminal.amounts import format_count, format_size
from twisted_bazaar.system.local_time import local_time

Names = Mapping[str, str] | None
"""Names of machines, by address."""


class Stored(msgspec.Struct, frozen=True):
    """A file that is kept.

    @ivar copies: the identifiers of those that keep it.
    @ivar wanted: how many copies there should be; 0 if the member does not say.
    @ivar addresses: where those are that keep it.
    """

    name: str
    digest: str
    size: int
    copies: list[str]
    wanted: int = 0
    addresses: Addresses = {}


class Fetched(msgspec.Struct, frozen=True):
    """A file that has come.

    @ivar path: where it is.
    @ivar sources: how many bytes came from each node; none if it was here already.
    """

    name: str
    file: str
    path: str
    size: int
    digest: str
    owner: str
    sources: Mapping[str, int]


class Found(msgspec.Struct, frozen=True):
    """A file that is kept under a name.

    @ivar sources: how many say that they have all of it.
    """

    name: str
    file: str
    size: int
    digest: str
    owner: str
    sources: int


class Put(msgspec.Struct, frozen=True):
    """A small value that is kept.

    @ivar wanted: how many copies there should be; 0 if the member does not say.
    """

    name: str
    copies: int
    wanted: int = 0


class Own(msgspec.Struct, frozen=True):
    """Something that a member has stored, or put.

    @ivar kind: C{file} or C{text}.
    @ivar time: when it was, in seconds since 1970.
    @ivar copies: the identifiers of those that keep it now, of C{wanted} that should.
    @ivar after: its place in the list, to ask for what follows it.
    """

    name: str
    kind: str
    size: int
    time: float
    copies: list[str]
    wanted: int
    after: str
    digest: str | None = None
    file: str | None = None
    addresses: Addresses = {}


class Value(msgspec.Struct, frozen=True):
    """A small value under a name."""

    value: str
    owner: str


class Deleted(msgspec.Struct, frozen=True):
    """An answer: what is kept no longer.

    @ivar deleted: how many things it were.
    """

    name: str
    deleted: int


class Standing(msgspec.Struct, frozen=True):
    """The status of a member.

    @ivar member: whether it has joined.
    @ivar callers: who pings it, the nearest first.
    @ivar entries: how many entries it keeps.
    @ivar files: how many files it keeps, and C{coming} how many are on their way; C{bytes} is the room for all of them.
    @ivar keep_bytes: how much room it has for files; 0 if it keeps none.
    @ivar keeps: the names of some things that it keeps; C{keeps_more} if there are others.
    @ivar addresses: where it is itself, and all that it names.
    """

    member: bool
    entries: int
    files: int = 0
    bytes: int = 0
    keep_bytes: int = 0
    coming: int = 0
    ring_id: str = ""
    predecessor: str | None = None
    successors: list[str] = []
    callers: list[str] = []
    keeps: list[str] = []
    keeps_more: bool = False
    addresses: Addresses = {}


def format_stored(stored: Stored, names: Names = None) -> Iterator[str]:
    """That a file is kept, and by whom.

    @param names: of the machines, by address; None if nobody asks where those are that keep it.
    """
    told = f"{stored.name} is stored, {format_size(stored.size)}, digest {_short(stored.digest)}; kept by"
    kept = f"{told} {_of_wanted(len(stored.copies), stored.wanted)}:"
    if names is None or not stored.addresses:
        yield f"{kept} {', '.join(stored.copies)}"
        return
    yield kept
    yield from (f"  {line}" for line in place_lines(stored.copies, stored.addresses, names))


def format_fetched(fetched: Fetched) -> str:
    """That a file has come, and from how many."""
    count = len(fetched.sources)
    whence = f"from {format_count(count, 'node')}" if count else "it was here already"
    return f"{fetched.name}: {format_size(fetched.size)}, {whence}, digest {_short(fetched.digest)}, verified"


def format_found(rows: Sequence[Found]) -> Iterator[str]:
    """Which files there are under a name, a line for each."""
    for row in rows:
        copies = format_count(row.sources, "copy", "copies")
        size, digest, owner = format_size(row.size), _short(row.digest), _short(row.owner)
        yield f"{row.file}: {size}, {copies}, digest {digest}, stored by {owner}"


def format_put(put: Put) -> str:
    """That a value is kept."""
    return f"{put.name} is kept by {_of_wanted(put.copies, put.wanted)}"


def format_deleted(deleted: Deleted) -> str:
    """That something is kept no longer."""
    return f"{deleted.name} is deleted"


def format_own(row: Own) -> tuple[str, ...]:
    """What stands in the columns of a list of what was stored: name, kind, size, copies and time."""
    copies = f"{len(row.copies)} of {row.wanted}" if row.copies else f"NONE of {row.wanted}"
    return row.name, row.kind, format_size(row.size), copies, local_time(row.time)


def standing_figures(standing: Standing, names: Names = None) -> Iterator[tuple[str, str]]:
    """How a member stands, each with its name.

    @param names: of the machines, by address; None if nobody asks where the others are.
    """

    def places(identifiers: Sequence[str], nobody: str) -> str:
        if names is None or not standing.addresses:
            return ", ".join(identifiers) or nobody
        return "\n".join(place_lines(identifiers, standing.addresses, names)) or nobody

    if not standing.member:
        yield "place", "NOT ON THE RING YET"
    else:
        yield "place", places([standing.ring_id], "")
        yield "predecessor", places([standing.predecessor] if standing.predecessor else [], "none")
        yield "pinged by", places(standing.callers, "nobody")
        yield "successors", places(standing.successors, "none: it is alone")
    yield "entries", f"{standing.entries:,}"
    if standing.keep_bytes:
        coming = f", and {standing.coming:,} on the way" if standing.coming else ""
        room = f"{format_size(standing.bytes)} of {format_size(standing.keep_bytes)}"
        yield "files", f"{standing.files:,}{coming}, {room}"
    else:
        yield "files", "none: it keeps only entries"


def _of_wanted(copies: int, wanted: int) -> str:
    """By how many nodes something is kept, and by how many it should be if these are fewer."""
    nodes = format_count(copies, "node")
    return nodes if copies >= wanted else f"{nodes}, and should be by {wanted}"


def _short(digits: str) -> str:
    return digits[:SHOWN_OF_DIGEST]
