"""Who is to have which entries when nodes come and go, and how that comes about without haste. Sans-IO.

What belongs to a node is also on the nodes that follow it. The node to which a span of the ring belongs compares it
with each of these, now and then and when they change, until all have the same. To one that has come before it, and has
nothing yet, a node gives once what it has of the rest, and again when more of that has come from behind. Comparing is
cheap where nothing is different: one number each way. Where there is a difference the span is cut up until few entries
are left.

An entry that does not belong here, and about which no node has asked for long that has this one among its followers,
is given back to where it belongs, and only then let go of. So as long as one node has it, it is not lost.

Source: comparing spans is after Minsky and others, "Set reconciliation with nearly optimal communication complexity"
(2003), and Meyer, "Range-based set reconciliation" (SRDS 2023), both far from all they can do.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from attrs import define, frozen

from twisted_bazaar.discovery.ring.entry import TAG_BITS, Entry
from twisted_bazaar.discovery.ring.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.store import Mark, Span, Store

USUAL_REPLICAS: Final = 3
# How many entries one answer has room for.
MOST_MARKS: Final = 20
# Who joins or dies seldom does so alone.
SETTLE_S: Final = 0.3
# For so long a predecessor is new, which is to be given what comes from behind.
HANDED_ON_S: Final = 30.0
COMPARE_S: Final = 60.0
UNCLAIMED_S: Final = 4 * COMPARE_S
_PARTS: Final = 8
_RETRY_S: Final = 2.0
_LONGEST_RETRY_S: Final = 30.0
# A liar could go on naming entries for ever.
_MOST_IN_A_ROW: Final = 256
_MOST_CLAIMS: Final = 64
# So many entries are looked at in one go; strangers may have filled the store.
_LOOKED_AT: Final = 512
_NEVER: Final = float("inf")


def end_of(place: int) -> int:
    """The last position at a place."""
    return (place << TAG_BITS) + (1 << TAG_BITS) - 1


def span_of(low: int, high: int) -> Span:
    """The positions of the places from one, left out, to another, included."""
    return end_of(low), end_of(high)


@frozen
class Compared:
    """What a node answers that is asked what it has of a span.

    @ivar is_same: whether it has the same.
    @ivar marks: if not, the first of what it has there.
    @ivar until: how far these go.
    """

    is_same: bool
    marks: tuple[Mark, ...] = ()
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


class Comparison:
    """Finds out in what another node differs in a span.

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

    def next(self) -> tuple[Span, int]:
        """Which span to ask about, and the sum of it."""
        span, _ = self._spans[-1]
        return span, self._store.sum(span)

    def answered(self, answer: Compared) -> None:
        """Take the answer to what was asked last; one that cannot be ends the span."""
        span, row = self._spans.pop()
        if answer.is_same:
            return
        if self._store.count(span) > MOST_MARKS:
            for part in self._store.split(span, _PARTS):
                self._add(part, 0)
            return
        size = _length(span)
        reached = _length((span[0], answer.until))
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
            inside = (mark.position for mark in answer.marks if _length((span[0], mark.position)) <= reached)
            self.to_fetch += [position for position in inside if position not in own]
        if reached < size and row < _MOST_IN_A_ROW:
            self._add((answer.until, span[1]), row + 1)

    def _add(self, span: Span, row: int) -> None:
        if self._is_mutual or self._store.count(span):
            self._spans.append((span, row))


def _length(span: Span) -> int:
    """How far a span goes, to compare with others from the same position; from one to itself is the farthest."""
    low, high = span
    # Greater than any ring: places have at most 160 bits.
    return high - low if high > low else high - low + (1 << 256)


class Claims:
    """Which spans others have compared with this node, since it follows them. For a while."""

    def __init__(self) -> None:
        self._claims: dict[Contact, tuple[Span, float]] = {}

    def note(self, by: Contact, span: Span, now: float) -> None:
        """A node has compared a span."""
        known = self._claims.pop(by, None)
        if known is not None and known[1] > now - COMPARE_S / 2 and _length(known[0]) > _length(span):
            # A part of the same comparison.
            span = known[0]
        self._claims[by] = (span, now)
        if len(self._claims) > _MOST_CLAIMS:
            del self._claims[next(iter(self._claims))]

    def has(self, position: int, now: float, by: Contact | None = None) -> bool:
        """Whether somebody has asked about a position lately.

        @param by: who; anybody if not given.
        """
        return any(
            when > now - UNCLAIMED_S and 0 < _length((low, position)) <= _length((low, high))
            for each, ((low, high), when) in self._claims.items()
            if by in (None, each)
        )


@frozen
class Sync:
    """A span to compare with a node, and to make the same there.

    @ivar is_own: whether it belongs to this node, so that all there is of it is to be here too.
    """

    to: Contact
    span: Span
    is_own: bool


@define
class _Neighbour:
    """A node to compare with.

    @ivar due: when next; never for a predecessor that has been given what it is to have.
    @ivar failures: how often it has failed since it last worked.
    """

    due: float
    failures: int = 0


class Replication:
    """What one node does for what is kept in the ring.

    @param own: itself.
    @param replicas: on how many nodes after the one that it belongs to everything is.
    """

    def __init__(
        self, own: Contact, ring: Ring, store: Store, rng: random.Random, replicas: int = USUAL_REPLICAS
    ) -> None:
        self.claims = Claims()
        self._own = own
        self._ring = ring
        self._store = store
        self._rng = rng
        self._replicas = replicas
        self._predecessor: Contact | None = None
        self._followers: tuple[Contact, ...] = ()
        self._neighbours: dict[Contact, _Neighbour] = {}
        # As they were when comparing began: what has changed since is not done by that.
        self._begun: dict[Contact, _Neighbour] = {}
        self._look_at = 0.0
        # The last position that was looked at in this round.
        self._looked: int | None = None
        self._began: float | None = None
        # The predecessor is given the rest once, and while it is new again when more of that has come: if it went on,
        # what lies wrong would be handed round for ever.
        self._has_been_given = False
        self._new_until = 0.0
        self._to_give_back: list[int] = []

    @property
    def followers(self) -> Sequence[Contact]:
        """Who is to have what belongs to this node."""
        return self._followers

    @property
    def is_settled(self) -> bool:
        """Whether all neighbours have what they are to have, as far as is known."""
        return not any(each.failures or each.due == 0.0 for each in self._neighbours.values())

    def is_own(self, place: int) -> bool:
        """Whether a place belongs to this node."""
        before = self._predecessor
        if before is None:
            return not self._followers
        return self._ring.is_within(before.id, place, self._own.id)

    def changed(self, predecessor: Contact | None, successors: Sequence[Contact], now: float) -> None:
        """Say who the neighbours are now."""
        if self._began is None:
            self._began = now
        followers = tuple(successors[: self._replicas])
        if predecessor == self._predecessor and followers == self._followers:
            return
        span_changed = predecessor != self._predecessor
        if span_changed:
            self._has_been_given = False
            self._new_until = now + HANDED_ON_S
        new = set(followers).difference(self._followers)
        self._predecessor, self._followers = predecessor, followers
        known, self._neighbours = self._neighbours, {}
        for contact in self._wanted():
            neighbour = known.get(contact)
            if neighbour is None or span_changed or contact in new:
                neighbour = self._soon(now)
            self._neighbours[contact] = neighbour

    def _wanted(self) -> list[Contact]:
        before = [] if self._predecessor is None else [self._predecessor]
        return list(dict.fromkeys((*before, *self._followers)))

    def _soon(self, now: float) -> _Neighbour:
        return _Neighbour(now + SETTLE_S * self._rng.uniform(0.5, 1.5))

    def hurry(self) -> None:
        """Compare with everybody at once: this node goes, or something is amiss."""
        self._has_been_given = False
        for neighbour in self._neighbours.values():
            neighbour.due = 0.0

    def syncs_with(self, contact: Contact) -> list[Sync]:
        """What is to be compared with a neighbour, from now until that is said to be done or to have failed."""
        if contact in self._neighbours:
            self._begun[contact] = self._neighbours[contact]
        before = self._predecessor
        if before is None:
            # Whose what is is not known: a follower has a right to all of it, or will find whose it is.
            everything = Sync(contact, span_of(self._own.id, self._own.id), is_own=False)
            return [everything] if contact in self._followers else []
        syncs = list[Sync]()
        if contact in self._followers:
            syncs.append(Sync(contact, span_of(before.id, self._own.id), is_own=True))
        if contact == before and not self._has_been_given:
            syncs.append(Sync(contact, span_of(self._own.id, before.id), is_own=False))
        return syncs

    def next(self, now: float) -> Contact | None:
        """With whom to compare now, if with anybody."""
        due = [(each.due, contact) for contact, each in self._neighbours.items() if each.due <= now]
        return min(due, key=lambda pair: pair[0])[1] if due else None

    @property
    def due(self) -> float:
        """When there is something to do; long ago if at once, and for ever if never as things stand."""
        due = min([each.due for each in self._neighbours.values()], default=_NEVER)
        if self._began is None:
            return due
        is_looking = self._to_give_back or self._looked is not None
        return min(due, max(self._began + UNCLAIMED_S, 0.0 if is_looking else self._look_at))

    def done(self, contact: Contact, now: float) -> None:
        """A neighbour has what it was to have when that was asked for."""
        begun, neighbour = self._begun.pop(contact, None), self._neighbours.get(contact)
        if neighbour is not None and neighbour is begun:
            neighbour.failures = 0
            neighbour.due = now + COMPARE_S * self._rng.uniform(0.75, 1.25)
            if contact == self._predecessor:
                self._has_been_given = True
                if contact not in self._followers:
                    neighbour.due = _NEVER

    def failed(self, contact: Contact, now: float) -> None:
        """Comparing with a neighbour has failed, or it would not take everything."""
        begun, neighbour = self._begun.pop(contact, None), self._neighbours.get(contact)
        if neighbour is not None and neighbour is begun:
            neighbour.failures += 1
            wait_s = min(_LONGEST_RETRY_S, _RETRY_S * 2 ** min(neighbour.failures - 1, 8))
            neighbour.due = now + wait_s * self._rng.uniform(0.75, 1.25)

    def handed(self, position: int, by: Contact, now: float) -> None:
        """An entry is new here, and was sent by a node that is not its owner.

        Of several nodes that come at once one may have given its predecessor the rest before it got that itself. So
        what a follower sends without having claimed it goes on to a predecessor that is new, and ends where it belongs.
        On a ring where nobody comes it does not go on: who sends what belongs elsewhere would have it at all nodes.
        """
        before = self._predecessor
        is_rest = by in self._followers and not self.claims.has(position, now, by)
        if before is None or now >= self._new_until or not is_rest or self.is_own(position >> TAG_BITS):
            return
        if self._has_been_given or before in self._begun:
            self._has_been_given = False
            self._neighbours[before] = self._soon(now)

    def to_give_back(self, now: float) -> Entry | None:
        """An entry that is not to be here, as it seems; to be offered to where it belongs, and dropped then."""
        if self._began is None or now < self._began + UNCLAIMED_S:
            return None
        if not self._to_give_back and (self._looked is not None or now >= self._look_at):
            self._to_give_back = self._unclaimed(now)
            if self._looked is None:
                self._look_at = now + COMPARE_S * self._rng.uniform(0.75, 1.25)
        while self._to_give_back:
            entry = self._store.at(self._to_give_back.pop())
            if entry is not None:
                return entry
        return None

    def _unclaimed(self, now: float) -> list[int]:
        """Some of what lies here and is nobody's to ask about; when all has been looked at, C{_looked} is none."""
        looked, self._looked = self._looked, None
        if self._predecessor is None:
            return []
        low, high = span_of(self._own.id, self._predecessor.id)
        if looked is not None and 0 < _length((low, looked)) < _length((low, high)):
            low = looked
        outside = self._store.positions((low, high), _LOOKED_AT)
        if len(outside) == _LOOKED_AT and outside[-1] != high:
            self._looked = outside[-1]
        return [position for position in outside if not self.claims.has(position, now)]


class Pacing:
    """How fast repair may go: so many messages and so many bytes a second, and as much at once.

    @param a_second: messages.
    @param bytes_a_second: of their contents.
    """

    def __init__(self, a_second: float = 200.0, bytes_a_second: float = 128 << 10) -> None:
        self._a_second = a_second
        self._bytes_a_second = bytes_a_second
        self._free_at = float("-inf")

    def wait_s(self, size_bytes: int, now: float) -> float:
        """How long to wait before something may be sent; it is paid for by asking.

        @param size_bytes: how long it is.
        """
        cost_s = max(1.0 / self._a_second, size_bytes / self._bytes_a_second)
        # What was not sent in the last second may be made up for.
        free_at = max(self._free_at, now - 1.0)
        self._free_at = free_at + cost_s
        return max(0.0, self._free_at - now)
