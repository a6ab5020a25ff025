"""Tables that strangers fill: bounded, expiring, and fair when they run over. Sans-IO.

Every entry is charged to an owner, the link or node that caused it. An owner at its share of the
table pushes out its own oldest entry; a full table pushes out the oldest entry of the owner with the
most. So whoever floods a table loses first, and nobody can push out what others put there.

All of it takes constant time, however many entries and owners there are. Like most that each datagram goes through, a
table has slots: much of the time is spent on fetching objects from memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec

# Enough for a table to shrink, and too few to be felt.
_EXPIRED_AT_ONCE: Final = 16
_NOTHING: Final = object()

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Owner(msgspec.Struct):
    """Somebody whom entries are charged to.

    @ivar count: how many.
    @ivar oldest, newest: the keys of the first and the last of them; see L{_Entry}.
    """

    name: Any
    count: int
    oldest: Any
    newest: Any


class _Entry(msgspec.Struct):
    """One entry, between those that its owner entered before and after it.

    The keys of these lead to them: entries that held each other would stay when their table is gone.
    """

    value: Any
    owner: _Owner
    until: float
    older: Any
    newer: Any


class FairTable(Generic[K, V]):
    """A mapping with a cap, an expiry and a fair eviction.

    @ivar cap: the largest number of entries.
    @param lifetime_s: seconds after which an entry is no longer there.
    @param shares: one owner holds at most C{cap / shares} entries.
    """

    __slots__ = ("_entries", "_lifetime_s", "_owners", "_ranking", "_share", "cap")

    def __init__(self, cap: int, lifetime_s: float, shares: int = 8) -> None:
        self.cap: int = cap
        self._lifetime_s = lifetime_s
        self._share = max(1, cap // shares)
        # In the order of expiry, which is that of entering: all live equally long. That of each owner's is in the
        # entries, since a mapping for each owner takes more than all the rest where many have one entry.
        self._entries: OrderedDict[K, _Entry] = OrderedDict()
        self._owners: dict[Hashable, _Owner] = {}
        # Who has the most is of no interest until there is no room.
        self._ranking: _Ranking | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        """Whether there is an entry under a key, expired or not."""
        return key in self._entries

    def get(self, key: K, now: float) -> V | None:
        """The value under a key, or None when there is none or it has expired."""
        entry = self._entries.get(key)
        if entry is None or entry.until <= now:
            return None
        value: V = entry.value
        return value

    def put(self, key: K, value: V, owner: Hashable, now: float) -> None:
        """Enter a value, or replace one and start its lifetime anew.

        @param owner: whom the entry is charged to.
        @param now: seconds, of the same clock in all calls.
        """
        entries = self._entries
        if entries and next(iter(entries.values())).until <= now:
            self._expire(now, _EXPIRED_AT_ONCE)
        entry = entries.get(key)
        if entry is not None:
            known = entry.owner
            if known.name == owner:
                # The same again: nobody has more or less than before.
                entry.value, entry.until = value, now + self._lifetime_s
                entries.move_to_end(key)
                if entry.newer is not _NOTHING:
                    self._unlink(entry)
                    last = known.newest
                    entries[last].newer = known.newest = key
                    entry.older, entry.newer = last, _NOTHING
                return
            self.discard(key)
        owned = self._owners.get(owner)
        if owned is not None and owned.count >= self._share:
            # One out, one in: the count stays.
            self._unlink(entries.pop(owned.oldest))
        else:
            if len(entries) >= self.cap:
                self._evict(owner)
                owned = self._owners.get(owner)
            if owned is None:
                owned = self._owners[owner] = _Owner(owner, 0, _NOTHING, _NOTHING)
            if self._ranking is not None:
                self._ranking.move(owner, owned.count, owned.count + 1)
            owned.count += 1
        before = owned.newest
        if before is _NOTHING:
            owned.oldest = key
        else:
            entries[before].newer = key
        owned.newest = key
        entries[key] = _Entry(value, owned, now + self._lifetime_s, before, _NOTHING)

    def discard(self, key: K) -> None:
        """Remove an entry if it is there."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        owned = entry.owner
        self._unlink(entry)
        if self._ranking is not None:
            self._ranking.move(owned.name, owned.count, owned.count - 1)
        owned.count -= 1
        if not owned.count:
            del self._owners[owned.name]

    def items(self, now: float) -> Iterator[tuple[K, V]]:
        """All entries that have not expired, the oldest first."""
        return ((key, entry.value) for key, entry in list(self._entries.items()) if entry.until > now)

    def expire(self, now: float) -> None:
        """Remove everything whose time is over."""
        self._expire(now, len(self._entries))

    def _expire(self, now: float, most: int) -> None:
        for _ in range(min(most, len(self._entries))):
            key = next(iter(self._entries))
            if self._entries[key].until > now:
                break
            self.discard(key)

    def _unlink(self, entry: _Entry) -> None:
        """Join what its owner entered before an entry and after it."""
        entries, older, newer = self._entries, entry.older, entry.newer
        if older is _NOTHING:
            entry.owner.oldest = newer
        else:
            entries[older].newer = newer
        if newer is _NOTHING:
            entry.owner.newest = older
        else:
            entries[newer].older = older

    def _evict(self, owner: Hashable) -> None:
        """Make room for one entry of an owner, at its own cost if nobody has more."""
        if self._ranking is None:
            self._ranking = _Ranking({each: owned.count for each, owned in self._owners.items()})
        loser = self._owners[self._ranking.first]
        owned = self._owners.get(owner)
        if owned is not None and owned.count == loser.count:
            loser = owned
        self.discard(loser.oldest)


class _Ranking:
    """Owners by how many entries they have, to find the one with the most.

    @param counts: how many each has.
    """

    def __init__(self, counts: Mapping[Hashable, int]) -> None:
        self._owners_with: dict[int, OrderedDict[Hashable, None]] = {}
        self._most = 0
        for owner, count in counts.items():
            self.move(owner, 0, count)

    @property
    def first(self) -> Hashable:
        """The owner with the most; of several the one that has had so many for longest."""
        return next(iter(self._owners_with[self._most]))

    def move(self, owner: Hashable, before: int, after: int) -> None:
        """Note that an owner has another number of entries than before."""
        if before:
            rank = self._owners_with[before]
            del rank[owner]
            if not rank:
                del self._owners_with[before]
        if after:
            self._owners_with.setdefault(after, OrderedDict())[owner] = None
        if after > self._most or (before == self._most and before not in self._owners_with):
            self._most = after
