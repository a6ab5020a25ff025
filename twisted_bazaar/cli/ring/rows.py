"""Answers of a member of a ring in words: for commands that ask one, and for its prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from twisted_bazaar.cli.node.found import SHOWN_OF_DIGEST
from twisted_bazaar.cli.terminal.amounts import format_count, format_size


class Stored(msgspec.Struct, frozen=True):
    """A file that is kept.

    @ivar copies: the identifiers of those that keep it.
    """

    name: str
    digest: str
    size: int
    copies: list[str]


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
    """A small value that is kept."""

    name: str
    copies: int


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


def format_stored(stored: Stored) -> str:
    """That a file is kept, and by whom."""
    nodes = f"{format_count(len(stored.copies), 'node')}: {', '.join(stored.copies)}"
    return f"{stored.name} is stored, {format_size(stored.size)}, digest {_short(stored.digest)}; kept by {nodes}"


def format_fetched(fetched: Fetched) -> str:
    """That a file has come, and from how many."""
    count = len(fetched.sources)
    whence = f"from {format_count(count, 'node')}" if count else "it was here already"
    return f"{fetched.name}: {format_size(fetched.size)}, {whence}, digest {_short(fetched.digest)}, verified"


def format_found(rows: Sequence[Found]) -> Iterator[str]:
    """Which files there are under a name, a line for each."""
    for row in rows:
        sources = format_count(row.sources, "source")
        size, digest, owner = format_size(row.size), _short(row.digest), _short(row.owner)
        yield f"{row.file}: {size}, {sources}, digest {digest}, stored by {owner}"


def format_put(put: Put) -> str:
    """That a value is kept."""
    return f"{put.name} is kept by {format_count(put.copies, 'node')}"


def format_deleted(deleted: Deleted) -> str:
    """That something is kept no longer."""
    return f"{deleted.name} is deleted"


def standing_figures(standing: Standing) -> Iterator[tuple[str, str]]:
    """How a member stands, each with its name."""
    if not standing.member:
        yield "place", "NOT ON THE RING YET"
    else:
        yield "place", standing.ring_id
        yield "predecessor", standing.predecessor or "none"
        yield "pinged by", ", ".join(standing.callers) or "nobody"
        yield "successors", ", ".join(standing.successors) or "none: it is alone"
    yield "entries", f"{standing.entries:,}"
    if standing.keep_bytes:
        coming = f", and {standing.coming:,} on the way" if standing.coming else ""
        room = f"{format_size(standing.bytes)} of {format_size(standing.keep_bytes)}"
        yield "files", f"{standing.files:,}{coming}, {room}"
    else:
        yield "files", "none: it keeps only entries"


def _short(digits: str) -> str:
    return digits[:SHOWN_OF_DIGEST]
