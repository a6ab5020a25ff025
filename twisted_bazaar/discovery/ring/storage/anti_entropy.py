"""Anti-entropy: narrows down by range digests in which entries two replicas differ (Dynamo, 4.7). Sans-IO.

Comparing is cheap where nothing is different: one number each way. Where there is a difference the span is cut up until
few entries are left.

Source: Minsky and others, "Set reconciliation with nearly optimal communication complexity" (2003), and Meyer,
"Range-based set reconciliation" (SRDS 2023), both far from all they can do.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from twisted_bazaar.discovery.ring.storage.entry import TAG_BITS
from twisted_bazaar.discovery.ring.storage.store import EntryDigest, Span, Store

# How many entries one answer has room for.
MOST_MARKS: Final = 20
_PARTS: Final = 8
# A liar could go on naming entries for ever.
_MOST_IN_A_ROW: Final = 256


def end_of(identifier: int) -> int:
    """The last position at an identifier."""
    return (identifier << TAG_BITS) + (1 << TAG_BITS) - 1


def span_of(low: int, high: int) -> Span:
    """The positions of the identifiers from one, left out, to another, included."""
    return end_of(low), end_of(high)


@frozen
class Compared:
    """The answer of a node that is asked what it has of a range.

    @ivar is_same: whether it has the same.
    @ivar marks: if not, the first of what it has there.
    @ivar until: how far these go.
    """

    is_same: bool
    marks: tuple[EntryDigest, ...] = ()
    until: int = 0


def compare(store: Store, span: Span, total: int, most: int = MOST_MARKS) -> Compared:
    """What a node answers about a span.

    @param total: what the asker's L{Store.sum} of it is.
    """
    if store.sum(span) == total:
        return Compared(True)
    marks = store.marks(span, most + 1)
    if len(marks) <= most:
        return Compared(False, tuple(marks), span[1])
    return Compared(False, tuple(marks[:most]), marks[most - 1].position)


class AntiEntropy:
    """Compares a span of this node's store with that of another node.

    @param store: what this node has.
    @param is_mutual: whether what this node lacks is to be fetched too.
    @ivar to_send: positions of what the other lacks, or has older.
    @ivar to_fetch: positions of what it has newer.
    @ivar is_over: whether everything is compared.
    """

    def __init__(self, store: Store, span: Span, *, is_mutual: bool = False) -> None:
        self._store = store
        self._is_mutual = is_mutual
        # The last is asked about next; with how often in a row the other had more to name than there is room for.
        self._spans: list[tuple[Span, int]] = []
        self.to_send: list[int] = []
        self.to_fetch: list[int] = []
        self._add(span, 0)

    @property
    def is_over(self) -> bool:
        """Whether everything is compared."""
        return not self._spans

    def next_span(self) -> tuple[Span, int]:
        """Which span to ask about, and the sum of it."""
        span, _ = self._spans[-1]
        return span, self._store.sum(span)

    def on_compared(self, answer: Compared) -> None:
        """Take the answer to what was asked last; one that cannot be ends the span."""
        span, row = self._spans.pop()
        if answer.is_same:
            return
        if self._store.count(span) > MOST_MARKS:
            for part in self._store.split(span, _PARTS):
                self._add(part, 0)
            return
        size = length_of(span)
        reached = length_of((span[0], answer.until))
        if not 0 < reached <= size:
            return
        theirs = {mark.position: mark.version for mark in answer.marks}
        for mark in self._store.marks((span[0], answer.until)):
            version = theirs.get(mark.position, 0)
            if version < mark.version:
                self.to_send.append(mark.position)
            elif version > mark.version:
                self.to_fetch.append(mark.position)
        own = {mark.position for mark in self._store.marks(span)}
        if self._is_mutual:
            inside = (mark.position for mark in answer.marks if length_of((span[0], mark.position)) <= reached)
            self.to_fetch += [position for position in inside if position not in own]
        if reached < size and row < _MOST_IN_A_ROW:
            self._add((answer.until, span[1]), row + 1)

    def _add(self, span: Span, row: int) -> None:
        if self._is_mutual or self._store.count(span):
            self._spans.append((span, row))


def length_of(span: Span) -> int:
    """How far a span goes, to compare with others from the same position; from one to itself is the farthest."""
    low, high = span
    # Greater than any ring: identifiers have at most 160 bits.
    return high - low if high > low else high - low + (1 << 256)
