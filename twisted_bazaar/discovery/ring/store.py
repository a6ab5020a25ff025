"""What one node of the ring keeps for others. Sans-IO.

Of each owner there is one entry under one name, the newest. Entries lie in the order of their places, so that two nodes
can compare what they have between two places, whatever it is, by one number.

Strangers fill this, with what may never expire. So each owner has a share, and whoever sends what is not its own to
keep has one too; past it nothing more is taken. When all is full, the owner with the most loses its oldest, and nobody
can push out what others have put there while having more.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from enum import Enum
from heapq import heapify, heappop, heappush
from itertools import accumulate, pairwise
from typing import Final

from attrs import define, frozen

from twisted_bazaar.discovery.ring.entry import TAG_BITS, Entry, EntryKey

MOST_ENTRIES: Final = 65_536
MOST_BYTES: Final = 64 << 20
SHARES: Final = 8
# Enough for it to shrink, and too few to be felt.
_EXPIRED_AT_ONCE: Final = 64
_SUM_SIZE: Final = 1 << 128

Span = tuple[int, int]
"""Positions: from the first, left out, upwards to the second, included. From one to itself is once round."""


class Outcome(Enum):
    """What has become of an entry that was to be kept."""

    KEPT = "kept"
    KNOWN = "known"
    OLDER = "older"
    FULL = "full"


@frozen
class Mark:
    """An entry for short.

    @ivar position: where it is; see L{Store}.
    @ivar version: how new it is.
    """

    position: int
    version: int


@define
class _Held:
    """An entry that is kept.

    @ivar until: when it is to be let go of.
    @ivar by: whose sending it was charged to; None for what is a neighbour's to send.
    """

    entry: Entry
    position: int
    until: float
    by: Hashable | None


class Store:
    """The entries of one node.

    A position is the place of an entry followed by its tag, so that each has its own.

    @param place_of: where on the ring what stands under a name belongs.
    @param most: the largest number of entries.
    @param most_bytes: of them all.
    @param shares: one owner has at most this part of both.
    @ivar changes: how often it has become another than it was.
    @param changed: told what was kept before and what is kept now under one key, None for nothing.
    """

    def __init__(
        self,
        place_of: Callable[[str], int],
        *,
        most: int = MOST_ENTRIES,
        most_bytes: int = MOST_BYTES,
        shares: int = SHARES,
        changed: Callable[[Entry | None, Entry | None], object] = lambda before, after: None,
    ) -> None:
        self._place_of = place_of
        self._most = most
        self._most_bytes = most_bytes
        self._share = max(1, most // shares)
        self._share_bytes = most_bytes // shares
        self._changed = changed
        self.changes = 0
        self._held: dict[EntryKey, _Held] = {}
        self._names: dict[tuple[str, str], dict[str, None]] = {}
        self._order: list[int] = []
        self._at: dict[int, EntryKey] = {}
        self._sums: list[int] | None = None
        self._owned: dict[str, _Owned] = {}
        self._sent: dict[Hashable, int] = {}
        self._bytes = 0
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

    def place_of_name(self, name: str) -> int:
        """Where on the ring what stands under a name belongs."""
        return self._place_of(name)

    def place_of(self, entry: Entry) -> int:
        """Where on the ring an entry belongs."""
        return self._place_of(entry.kept.name)

    def position_of(self, entry: Entry) -> int:
        """Where an entry is in the order."""
        return self.place_of(entry) << TAG_BITS | entry.tag

    def get(self, key: EntryKey, now: float) -> Entry | None:
        """The entry under a key, be it a tombstone."""
        held = self._held.get(key)
        return None if held is None or held.until <= now else held.entry

    def under(self, space: str, name: str, now: float) -> list[Entry]:
        """All that is under a name, with tombstones, the newest first."""
        owners = self._names.get((space, name), {})
        entries = [self.get((space, name, owner), now) for owner in owners]
        return sorted((entry for entry in entries if entry is not None), key=lambda entry: entry.rank, reverse=True)

    def left_s(self, entry: Entry, now: float) -> float:
        """For how long an entry is still to be kept."""
        held = self._held.get(entry.key)
        return 0.0 if held is None else held.until - now

    def put(self, entry: Entry, now: float, *, left_s: float | None = None, by: Hashable | None = None) -> Outcome:
        """Keep an entry, if there is none that is newer.

        @param left_s: for how long, as whoever hands it on says; never longer than its owner says.
        @param by: who sends it, if it is not a neighbour's to send.
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
        held = _Held(entry, self.position_of(entry), 0.0, by)
        if self._at.get(held.position, entry.key) != entry.key:
            # Two keys of one tag: nobody makes that by chance.
            return Outcome.FULL
        if not self._make_room(entry, before, by):
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

    def expire(self, now: float, most: int = MOST_ENTRIES) -> None:
        """Let go of what has had its time."""
        for _ in range(most):
            if not self._expiries or self._expiries[0][0] > now:
                return
            _, key = heappop(self._expiries)
            held = self._held.get(key)
            if held is not None and held.until <= now:
                self.drop(key)

    # By place.

    def within(self, span: Span, most: int | None = None) -> list[Entry]:
        """The entries of a span, in order."""
        return [self._held[self._at[position]].entry for position in self._positions(span, most)]

    def marks(self, span: Span, most: int | None = None) -> list[Mark]:
        """The same for short."""
        return [
            Mark(position, self._held[self._at[position]].entry.kept.version)
            for position in self._positions(span, most)
        ]

    def count(self, span: Span) -> int:
        """How many entries there are in a span."""
        return sum(end - start for start, end in self._slices(span))

    def sum(self, span: Span) -> int:
        """A number that is the same for two nodes that have the same entries in a span, in the same versions."""
        if self._sums is None:
            prints = (self._held[self._at[position]].entry.fingerprint for position in self._order)
            self._sums = [0, *accumulate(prints, lambda one, other: (one + other) % _SUM_SIZE)]
        sums = self._sums
        return sum(sums[end] - sums[start] for start, end in self._slices(span)) % _SUM_SIZE

    def at(self, position: int) -> Entry | None:
        """The entry at a position."""
        key = self._at.get(position)
        return None if key is None else self._held[key].entry

    def split(self, span: Span, parts: int) -> Sequence[Span]:
        """A span in parts with about as many entries each."""
        positions = list(self._positions(span, None))
        cuts = [positions[len(positions) * part // parts] for part in range(1, parts)]
        edges = [span[0], *dict.fromkeys(cut for cut in cuts if cut != span[1]), span[1]]
        return list(pairwise(edges))

    def _slices(self, span: Span) -> list[tuple[int, int]]:
        low, high = span
        if low < high:
            return [(bisect_right(self._order, low), bisect_right(self._order, high))]
        return [(bisect_right(self._order, low), len(self._order)), (0, bisect_right(self._order, high))]

    def _positions(self, span: Span, most: int | None) -> Iterator[int]:
        left = len(self._order) if most is None else most
        for start, end in self._slices(span):
            for index in range(start, min(end, start + left)):
                yield self._order[index]
            left -= min(end - start, left)

    # In and out.

    def _put_in(self, held: _Held) -> None:
        space, name, owner = key = held.entry.key
        self._held[key] = held
        self._names.setdefault((space, name), {})[owner] = None
        insort(self._order, held.position)
        self._at[held.position] = key
        self._sums = None
        self.changes += 1
        size = len(held.entry.text)
        self._bytes += size
        owned = self._owned.setdefault(owner, _Owned())
        owned.keys[key] = None
        owned.bytes += size
        if self._ranking is not None:
            heappush(self._ranking, (-owned.bytes, owner))
        if held.by is not None:
            self._sent[held.by] = self._sent.get(held.by, 0) + 1

    def _take_out(self, held: _Held) -> None:
        space, name, owner = key = held.entry.key
        del self._held[key]
        owners = self._names[space, name]
        del owners[owner]
        if not owners:
            del self._names[space, name]
        del self._order[bisect_left(self._order, held.position)]
        del self._at[held.position]
        self._sums = None
        self.changes += 1
        size = len(held.entry.text)
        self._bytes -= size
        owned = self._owned[owner]
        del owned.keys[key]
        owned.bytes -= size
        if not owned.keys:
            del self._owned[owner]
        if held.by is not None:
            self._sent[held.by] -= 1
            if not self._sent[held.by]:
                del self._sent[held.by]

    def _keep_until(self, held: _Held, until: float) -> None:
        held.until = until
        if until != float("inf"):
            heappush(self._expiries, (until, held.entry.key))
            if len(self._expiries) > 2 * len(self._held) + _EXPIRED_AT_ONCE:
                self._expiries = [(each.until, key) for key, each in self._held.items() if each.until != float("inf")]
                heapify(self._expiries)

    # Room.

    def _make_room(self, entry: Entry, before: _Held | None, by: Hashable | None) -> bool:
        """Whether there is room, or some could be made at the cost of who has more."""
        owned = self._owned.get(entry.kept.owner) or _Owned()
        more, size = (1, len(entry.text)) if before is None else (0, len(entry.text) - len(before.entry.text))
        if more and by is not None and self._sent.get(by, 0) >= self._share:
            return False
        if len(owned.keys) + more > self._share or owned.bytes + max(0, size) > self._share_bytes:
            return False
        while len(self._held) + more > self._most or self._bytes + size > self._most_bytes:
            loser = self._largest()
            if loser is None or self._owned[loser].bytes <= owned.bytes + size:
                return False
            self.drop(next(iter(self._owned[loser].keys)))
        return True

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


class _Owned:
    """What there is of one owner.

    @ivar keys: the oldest first.
    """

    def __init__(self) -> None:
        self.keys: OrderedDict[EntryKey, None] = OrderedDict()
        self.bytes = 0
