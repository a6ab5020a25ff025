"""Tables that strangers fill: bounded, expiring, and fair when they run over. Sans-IO.

Every entry is charged to an owner, the link or node that caused it. An owner at its share of the
table pushes out its own oldest entry; a full table pushes out the oldest entry of the owner with the
most. So whoever floods a table loses first, and nobody can push out what others put there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class FairTable(Generic[K, V]):
    """A mapping with a cap, an expiry and a fair eviction.

    @param cap: the largest number of entries.
    @param lifetime_s: seconds after which an entry is no longer there.
    @param shares: one owner holds at most C{cap / shares} entries.
    """

    def __init__(self, cap: int, lifetime_s: float, shares: int = 8) -> None:
        self._cap = cap
        self._lifetime_s = lifetime_s
        self._share = max(1, cap // shares)
        self._entries: dict[K, tuple[V, Hashable, float]] = {}
        self._owners: dict[Hashable, OrderedDict[K, float]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K, now: float) -> V | None:
        """The value under a key, or None when there is none or it has expired."""
        entry = self._entries.get(key)
        if entry is None or entry[2] <= now:
            return None
        return entry[0]

    def put(self, key: K, value: V, owner: Hashable, now: float) -> None:
        """Enter a value, or replace one and start its lifetime anew.

        @param owner: whom the entry is charged to.
        @param now: seconds, of the same clock in all calls.
        """
        entries = self._entries
        old = entries.get(key)
        if old is not None:
            self._drop(key, old[1])
        owned = self._owners.get(owner)
        if owned is None:
            owned = self._owners[owner] = OrderedDict()
        elif owned:
            self._expire_oldest(owner, owned, now)
            if len(owned) >= self._share:
                self._drop(next(iter(owned)), owner)
        if len(entries) >= self._cap:
            self._evict(now)
        owned = self._owners.setdefault(owner, owned)
        expires = now + self._lifetime_s
        owned[key] = expires
        entries[key] = (value, owner, expires)

    def discard(self, key: K) -> None:
        """Remove an entry if it is there."""
        entry = self._entries.get(key)
        if entry is not None:
            self._drop(key, entry[1])

    def items(self, now: float) -> Iterator[tuple[K, V]]:
        """All entries that have not expired, in no particular order of owners."""
        return ((key, entry[0]) for key, entry in list(self._entries.items()) if entry[2] > now)

    def expire(self, now: float) -> None:
        """Let go of everything whose time is over."""
        for owner, owned in list(self._owners.items()):
            self._expire_oldest(owner, owned, now)

    def _expire_oldest(self, owner: Hashable, owned: OrderedDict[K, float], now: float) -> None:
        while owned:
            key = next(iter(owned))
            if owned[key] > now:
                break
            self._drop(key, owner)

    def _evict(self, now: float) -> None:
        """Make room for one entry."""
        self.expire(now)
        if len(self._entries) >= self._cap:
            noisiest = max(self._owners, key=lambda owner: len(self._owners[owner]))
            self._drop(next(iter(self._owners[noisiest])), noisiest)

    def _drop(self, key: K, owner: Hashable) -> None:
        del self._entries[key]
        owned = self._owners[owner]
        del owned[key]
        if not owned:
            del self._owners[owner]
