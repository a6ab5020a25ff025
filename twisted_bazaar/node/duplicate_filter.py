"""The duplicate filter of floods: each search is passed on once (Gnutella 0.6, 2.2.7: message routing). Sans-IO."""

from __future__ import annotations

from collections.abc import Hashable

from twisted_bazaar.bounded import FairTable


class DuplicateFilter:
    """Remembers which floods have passed.

    @param cap: how many are remembered.
    @param lifetime_s: for how long.
    """

    def __init__(self, cap: int, lifetime_s: float) -> None:
        self._table: FairTable[tuple[int, int], bool] = FairTable(cap, lifetime_s)

    def __len__(self) -> int:
        return len(self._table)

    def knows(self, origin: int, message_id: int, now: float) -> bool:
        """Whether a flood has passed already."""
        return self._table.get((origin, message_id), now) is not None

    def add(self, origin: int, message_id: int, link: Hashable, now: float) -> None:
        """Remember a flood.

        @param link: the neighbour it came from, which the entry is charged to.
        """
        self._table.put((origin, message_id), True, link, now)
