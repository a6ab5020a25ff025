"""The store of one node of the ring: the entries that it keeps for others. Sans-IO.

Of each owner there is one entry under one name, the newest. Entries lie in the order of their identifiers, so that two
nodes can compare what they have between two identifiers, whatever it is, by one number.

Strangers fill this, with what may never expire, and make up as many owners as they like. So each owner has a share, and
each host that sends something has one too, a neighbour on the ring a larger one; past it nothing more is taken. So it
is under one name for hosts that are no neighbours. When
all is full, the owner with the most loses its oldest, and nobody can push out what others have put there while having
more.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from enum import Enum
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Final

from attrs import define, field, frozen

from twisted_bazaar.discovery.ring.storage.entry import TAG_BITS, Entry, EntryKey
from twisted_bazaar.discovery.ring.storage.range_sums import RangeSums

MOST_ENTRIES: Final = 65_536
MOST_BYTES: Final = 64 << 20
# An entry takes two to five times as much memory as its text is long, with all that it is found by.
MOST_WEIGHT: Final = 160 << 20
SHARES: Final = 8
# Neighbours send what belongs here; but who is a neighbour anybody can choose.
NEAR_SHARES: Final = 2
# Who asks for a name hears 256 of its owners, from four nodes: one host does not fill all four with so many.
OF_NAME: Final = 48
# Enough for it to shrink, and too few to be felt.
_EXPIRED_AT_ONCE: Final = 64
_SUM_SIZE: Final = 1 << 128

Span = tuple[int, int]
"""Positions: from the first, left out, upwards to the second, included. From one to itself is once round."""


class Outcome(Enum):
    """The outcome for an entry that was to be kept."""

    KEPT = "kept"
    KNOWN = "known"
    OLDER = "older"
    FULL = "full"


@frozen
class EntryDigest:
    """The position and version of an entry, which two stores compare.

    @ivar position: where it is; see L{Store}.
    @ivar version: how new it is.
    """

    position: int
    version: int


@define
class _Held:
    """An entry that is kept.

    @ivar key: of the entry; the same object wherever it is found by that.
    @ivar until: when it is to be let go of.
    @ivar by: whose sending it was charged to, and whether that was a neighbour's; None for what is from here.
    """

    entry: Entry
    key: EntryKey
    position: int
    until: float
    by: tuple[Hashable, bool] | None


def _tag_of(held: _Held) -> int:
    return held.entry.tag


class Store:
    """The store of one node.

    A position is the identifier of an entry followed by its tag, so that each has its own.

    @param identifier_of_name: where on the ring what stands under a name belongs.
    @param most: the largest number of entries.
    @param most_bytes: of their texts.
    @param most_weight: bytes that they take in memory.
    @param shares: one owner has at most this part of both, and so has one host that is no neighbour's.
    @ivar identifier_of_name: where on the ring what stands under a name belongs.
    @ivar changes: how often it has become another than it was.
    @param changed: told what was kept before and what is kept now under one key, None for nothing.
    """

    __slots__ = (
        *("identifier_of_name", "_most", "_most_bytes", "_shares", "_share", "_share_bytes", "_changed", "changes"),
        *("_held", "_names", "_order", "_at", "_owned", "_sent", "_named", "_bytes", "_ranking", "_expiries"),
        *("_most_weight", "_weight"),
    )

    def __init__(
        self,
        identifier_of_name: Callable[[str], int],
        *,
        most: int = MOST_ENTRIES,
        most_bytes: int = MOST_BYTES,
        most_weight: int = MOST_WEIGHT,
        shares: int = SHARES,
        changed: Callable[[Entry | None, Entry | None], object] = lambda before, after: None,
    ) -> None:
        self.identifier_of_name = identifier_of_name
        self._most = most
        self._most_bytes = most_bytes
        self._most_weight = most_weight
        self._shares = shares
        self._share = max(1, most // shares)
        self._share_bytes = most_bytes // shares
        self._changed = changed
        self.changes: int = 0
        self._held: dict[EntryKey, _Held] = {}
        # What is under each name, in the order of the tags.
        self._names: dict[tuple[str, str], list[_Held]] = {}
        self._order = RangeSums(_SUM_SIZE)
        self._at: dict[int, EntryKey] = {}
        self._owned: dict[str, _Owned] = {}
        self._sent: dict[tuple[Hashable, bool], _Sent] = {}
        self._named: Counter[tuple[Hashable, str, str]] = Counter()
        self._bytes = self._weight = 0
        # Who has most is of no interest until there is no room; what is in here may be too much, never too little.
        self._ranking: list[tuple[int, str]] | None = None
        self._expiries: list[tuple[float, EntryKey]] = []

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Entry]:
        return (held.entry for held in list(self._held.values()))

    @property
    def size_bytes(self) -> int:
        """How long all texts are together."""
        return self._bytes

    def identifier_under(self, space: str, name: str) -> int:
        """Where on the ring what stands under a name of a space belongs; quick for what is here."""
        named = self._names.get((space, name))
        return self.identifier_of_name(name) if named is None else named[0].position >> TAG_BITS

    def identifier_of(self, entry: Entry) -> int:
        """Where on the ring an entry belongs."""
        return self.identifier_of_name(entry.kept.name)

    def position_of(self, entry: Entry) -> int:
        """Where an entry is in the order."""
        return self.identifier_of(entry) << TAG_BITS | entry.tag

    def get(self, key: EntryKey, now: float) -> Entry | None:
        """The entry under a key, be it a tombstone."""
        held = self._held.get(key)
        return None if held is None or held.until <= now else held.entry

    def entries_of(self, space: str, name: str, now: float) -> list[Entry]:
        """All that is under a name, with tombstones, the newest first."""
        return sorted(self.by_tag(space, name, now, self._most), key=lambda entry: entry.rank, reverse=True)

    def by_tag(self, space: str, name: str, now: float, most: int, first: int = 0) -> list[Entry]:
        """So many of the same by their tags, from one on."""
        found = list[Entry]()
        named: Sequence[_Held] = self._names.get((space, name), ())
        rest: Iterable[_Held] = named
        if first:
            # There may be very many.
            rest = (named[index] for index in range(bisect_left(named, first, key=_tag_of), len(named)))
        for held in rest:
            if held.until > now:
                found.append(held.entry)
                if len(found) == most:
                    break
        return found

    def ttl_s(self, entry: Entry, now: float) -> float:
        """For how long an entry is still to be kept."""
        held = self._held.get(entry.key)
        return 0.0 if held is None else held.until - now

    def put(
        self,
        entry: Entry,
        now: float,
        *,
        left_s: float | None = None,
        by: Hashable | None = None,
        is_near: bool = False,
    ) -> Outcome:
        """Keep an entry, if there is none that is newer.

        @param left_s: for how long, as whoever hands it on says; never longer than its owner says.
        @param by: the host that sends it; None for this one.
        @param is_near: whether a neighbour sends it.
        """
        self.expire(now, _EXPIRED_AT_ONCE)
        before = self._held.get(entry.key)
        lifetime_s = entry.lifetime_s if left_s is None else min(left_s, entry.lifetime_s)
        if before is not None and before.until > now and before.entry.rank >= entry.rank:
            is_same = before.entry.text == entry.text
            if is_same and now + lifetime_s > before.until and left_s is None:
                self._keep_until(before, now + lifetime_s)
            return Outcome.KNOWN if is_same else Outcome.OLDER
        if lifetime_s <= 0:
            return Outcome.OLDER
        held = _Held(entry, entry.key, self.position_of(entry), 0.0, None if by is None else (by, is_near))
        if self._at.get(held.position, held.key) != held.key:
            # Two keys of one tag: nobody makes that by chance.
            return Outcome.FULL
        if not self._make_room(held, before):
            return Outcome.FULL
        if before is not None:
            self._take_out(before)
        self._put_in(held)
        self._keep_until(held, now + lifetime_s)
        self._changed(None if before is None else before.entry, entry)
        return Outcome.KEPT

    def drop(self, key: EntryKey) -> None:
        """Keep an entry no longer."""
        held = self._held.get(key)
        if held is not None:
            self._take_out(held)
            self._changed(held.entry, None)

    @property
    def expires_at(self) -> float:
        """When something may have had its time; for ever if nothing is here that has one."""
        return self._expiries[0][0] if self._expiries else float("inf")

    def expire(self, now: float, most: int = MOST_ENTRIES) -> None:
        """Let go of what has had its time."""
        for _ in range(most):
            if not self._expiries or self._expiries[0][0] > now:
                return
            _, key = heappop(self._expiries)
            held = self._held.get(key)
            if held is not None and held.until <= now:
                self.drop(key)

    # By identifier.

    def positions(self, span: Span, most: int | None = None) -> list[int]:
        """Where the entries of a span are, in order."""
        return list(self._positions(span, most))

    def entries_in(self, span: Span, most: int | None = None) -> list[Entry]:
        """The entries of a span, in order."""
        return [self._held[self._at[position]].entry for position in self._positions(span, most)]

    def marks(self, span: Span, most: int | None = None) -> list[EntryDigest]:
        """The same for short."""
        return [
            EntryDigest(position, self._held[self._at[position]].entry.kept.version)
            for position in self._positions(span, most)
        ]

    def count(self, span: Span) -> int:
        """How many entries there are in a span."""
        return sum(end - start for start, end in self._slices(span))

    def sum(self, span: Span) -> int:
        """A number that is the same for two nodes that have the same entries in a span, in the same versions."""
        return sum(self._order.sum(start, end) for start, end in self._slices(span)) % _SUM_SIZE

    def entry_at(self, position: int) -> Entry | None:
        """The entry at a position."""
        key = self._at.get(position)
        return None if key is None else self._held[key].entry

    def split(self, span: Span, parts: int) -> Sequence[Span]:
        """A span in parts with about as many entries each."""
        slices = self._slices(span)
        count = sum(end - start for start, end in slices)
        cuts = [self._nth(slices, count * part // parts) for part in range(1, parts)]
        edges = [span[0], *dict.fromkeys(cut for cut in cuts if cut != span[1]), span[1]]
        return list(pairwise(edges))

    def _slices(self, span: Span) -> list[tuple[int, int]]:
        low, high = (self._order.rank(position) for position in span)
        return [(low, high)] if span[0] < span[1] else [(low, len(self._order)), (0, high)]

    def _positions(self, span: Span, most: int | None) -> Iterator[int]:
        left = len(self._order) if most is None else most
        for start, end in self._slices(span):
            yield from self._order.between(start, min(end, start + left))
            left -= min(end - start, left)

    def _nth(self, slices: Sequence[tuple[int, int]], number: int) -> int:
        for start, end in slices:
            if number < end - start:
                return next(self._order.between(start + number, end))
            number -= end - start
        raise IndexError(number)

    # In and out.

    def _put_in(self, held: _Held) -> None:
        space, name, owner = key = held.key
        self._held[key] = held
        insort(self._names.setdefault((space, name), []), held, key=_tag_of)
        self._order.add(held.position, held.entry.fingerprint)
        self._at[held.position] = key
        self.changes += 1
        size = len(held.entry.text)
        self._bytes += size
        self._weight += held.entry.weight_bytes
        owned = self._owned.setdefault(owner, _Owned())
        owned.keys[key] = None
        owned.bytes += size
        if self._ranking is not None:
            heappush(self._ranking, (-owned.bytes, owner))
        if held.by is not None:
            sent = self._sent.setdefault(held.by, _Sent())
            sent.count += 1
            sent.bytes += size
            self._named[held.by[0], space, name] += not held.by[1]

    def _take_out(self, held: _Held) -> None:
        space, name, owner = key = held.key
        del self._held[key]
        named = self._names[space, name]
        del named[bisect_left(named, held.entry.tag, key=_tag_of)]
        if not named:
            del self._names[space, name]
        self._order.remove(held.position)
        del self._at[held.position]
        self.changes += 1
        size = len(held.entry.text)
        self._bytes -= size
        self._weight -= held.entry.weight_bytes
        owned = self._owned[owner]
        del owned.keys[key]
        owned.bytes -= size
        if not owned.keys:
            del self._owned[owner]
        if held.by is not None:
            sent = self._sent[held.by]
            sent.count -= 1
            sent.bytes -= size
            if not sent.count:
                del self._sent[held.by]
            self._named[held.by[0], space, name] -= not held.by[1]
            if not self._named[held.by[0], space, name]:
                del self._named[held.by[0], space, name]

    def _keep_until(self, held: _Held, until: float) -> None:
        held.until = until
        if until != float("inf"):
            heappush(self._expiries, (until, held.key))
            if len(self._expiries) > 2 * len(self._held) + _EXPIRED_AT_ONCE:
                self._expiries = [(each.until, key) for key, each in self._held.items() if each.until != float("inf")]
                heapify(self._expiries)

    # Room.

    def _make_room(self, held: _Held, before: _Held | None) -> bool:
        """Whether there is room, or some could be made at the cost of who has more."""
        entry = held.entry
        owned = self._owned.get(entry.kept.owner) or _Owned()
        more, size = (1, len(entry.text)) if before is None else (0, len(entry.text) - len(before.entry.text))
        if held.by is not None and not self._may_send(held.by, more, size):
            return False
        if held.by is not None and more and not held.by[1]:
            space, name, _ = entry.key
            if self._named[held.by[0], space, name] >= OF_NAME:
                return False
        if len(owned.keys) + more > self._share or owned.bytes + max(0, size) > self._share_bytes:
            return False
        heavier = entry.weight_bytes - (0 if before is None else before.entry.weight_bytes)
        while (
            len(self._held) + more > self._most
            or self._bytes + size > self._most_bytes
            or self._weight + heavier > self._most_weight
        ):
            loser = self._largest()
            if loser is None or self._owned[loser].bytes <= owned.bytes + size:
                return False
            self.drop(next(iter(self._owned[loser].keys)))
        return True

    def _may_send(self, by: tuple[Hashable, bool], more: int, size: int) -> bool:
        sent, shares = self._sent.get(by) or _Sent(), NEAR_SHARES if by[1] else self._shares
        is_few = sent.count + more <= max(1, self._most // shares)
        return is_few and sent.bytes + max(0, size) <= self._most_bytes // shares

    def _largest(self) -> str | None:
        """The owner with the most."""
        if self._ranking is None or len(self._ranking) > 2 * len(self._held) + _EXPIRED_AT_ONCE:
            self._ranking = [(-owned.bytes, owner) for owner, owned in self._owned.items()]
            heapify(self._ranking)
        while self._ranking:
            size, owner = self._ranking[0]
            owned = self._owned.get(owner)
            if owned is not None and owned.bytes == -size:
                return owner
            heappop(self._ranking)
            if owned is not None and owned.bytes < -size:
                heappush(self._ranking, (-owned.bytes, owner))
        return None


@define
class _Sent:
    """The entries of one sender."""

    count: int = 0
    bytes: int = 0


@define
class _Owned:
    """The entries of one owner.

    @ivar keys: the oldest first. To find that in a plain mapping takes a while when many have gone, but less than to
        verify one entry; and it takes half as much memory where most owners have one.
    """

    keys: dict[EntryKey, None] = field(factory=dict)
    bytes: int = 0
