"""Query hits (Gnutella 0.6): cut into parts that fit into datagrams, and merged by the asker. Sans-IO."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from twisted_bazaar.discovery.index.messages import File
from twisted_bazaar.discovery.superpeer.messages import MOST_FOUND, MOST_PARTS, Found, QueryHit
from twisted_bazaar.wire.message import LARGEST_INTEGER

HIT_BYTES: Final = 192
"""What a hit takes that is known, in bytes: a number, and its place in a set at the emptiest that this can be."""

# Whoever gets a hit fills in the host that it comes from, and passes it on.
_HOST_BYTES: Final = len(b'"host":"",') + len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")

_encode = msgspec.json.Encoder().encode


def split_hits(query_id: str, answer: int, found: Sequence[Found], most_bytes: int) -> list[QueryHit]:
    """Cut the hits of a query into parts that each say something by themselves; none if nothing was found.

    A peer with many files stands in several parts. What does not fit into the most parts there may be is left out.

    @param answer: tells this answer from all others to the query.
    @param most_bytes: how long the JSON of one part may be, once hosts are filled in; at least 1,100.
    """
    portions = list(_portions(query_id, found, most_bytes))[:MOST_PARTS]
    return [
        QueryHit(id=query_id, answer=answer, part=part, parts=len(portions), found=tuple(portion))
        for part, portion in enumerate(portions)
    ]


def _portions(query_id: str, found: Sequence[Found], most_bytes: int) -> Iterator[list[Found]]:
    longest = QueryHit(id=query_id, answer=LARGEST_INTEGER, part=MOST_PARTS - 2, parts=MOST_PARTS - 1)
    room = most_bytes - len(_encode(longest)) - len(b',"found":[]')
    portion: list[Found] = []
    left = room
    for piece, size in (piece for each in found for piece in _pieces(each, room)):
        if portion and (size > left or len(portion) == MOST_FOUND):
            yield portion
            portion, left = [], room
        portion.append(piece)
        left -= size
    if portion:
        yield portion


def _pieces(found: Found, room: int) -> Iterator[tuple[Found, int]]:
    """A peer with some of its files at a time, and how long that is."""
    head = len(_encode(replace(found, files=()))) + len(b',"files":[],')
    if found.host is None:
        head += _HOST_BYTES
    files: list[File] = []
    size = head
    for file in found.files:
        more = len(_encode(file)) + 1
        if files and (size + more > room or len(files) == MOST_FOUND):
            yield replace(found, files=tuple(files)), size
            files, size = [], head
        files.append(file)
        size += more
    yield replace(found, files=tuple(files)), size


class QueryHits:
    """The hits of one search, each once.

    A hit is one file of one peer, or a seller. It is believed as it comes; but nobody who answers everything can keep
    a search from going on, or fill the memory: of the hits that one neighbour brings, so many are taken as are enough,
    and half as many are counted.

    @param results: how many hits are enough.
    """

    def __init__(self, results: int) -> None:
        self._results = results
        self._half = max(1, results // 2)
        # Not the hits themselves, of which each may be a kilobyte. Nobody else knows which two have the same number.
        self._known: set[int] = set()
        self._brought: dict[Hashable, int] = {}
        self._own = 0

    def __len__(self) -> int:
        """The number of hits."""
        return len(self._known)

    @property
    def useful_count(self) -> int:
        """The number of hits that count towards enough."""
        return self._own + sum(min(brought, self._half) for brought in self._brought.values())

    def add_own(self, found: Sequence[Found]) -> Sequence[Found]:
        """Add what this super peer's own leaves have; returns what is new."""
        new, count = self._new_of(found, float("inf"))
        self._own += count
        return new

    def add(self, hit: QueryHit, neighbour: Hashable) -> Sequence[Found]:
        """Add what a neighbour brings; returns what is new."""
        brought = self._brought.get(neighbour, 0)
        new, count = self._new_of(hit.found, self._results - brought)
        self._brought[neighbour] = brought + count
        return new

    def _new_of(self, found: Sequence[Found], room: float) -> tuple[list[Found], int]:
        new = []
        count = 0
        for each in found:
            # Who names a peer wrongly does not keep others from naming it rightly.
            peer = (each.key, each.host, each.port, each.udp)
            hits: dict[Hashable, File | None] = {(*peer, file.digest, file.name): file for file in each.files}
            hits = hits or {peer: None}
            unknown = [hit for hit in hits if hash(hit) not in self._known]
            unknown = unknown[: max(0, int(min(room - count, len(hits))))]
            if unknown:
                self._known.update(map(hash, unknown))
                count += len(unknown)
                files = tuple(file for hit in unknown if (file := hits[hit]) is not None)
                new.append(replace(each, files=files))
        return new, count
