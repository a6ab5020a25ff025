"""The duplicate filter of floods: each search is passed on once (Gnutella 0.6, 2.2.7: message routing). Sans-IO."""

from __future__ import annotations

from collections.abc import Hashable
from struct import Struct
from typing import Final

from twisted_bazaar.bounded import FairTable

# Both numbers in less than half of what a pair takes, with a hash that no stranger can foresee.
_packed: Final = Struct("qq").pack


class DuplicateFilter:
    """Remembers which floods have passed.

    @param cap: how many are remembered.
    @param lifetime_s: for how long.
    """

    def __init__(self, cap: int, lifetime_s: float) -> None:
        self._table: FairTable[bytes, bool] = FairTable(cap, lifetime_s)

    def __len__(self) -> int:
        return len(self._table)

    def knows(self, origin: int, message_id: int, now: float) -> bool:
        """Whether a flood has passed already."""
        return self._table.get(_packed(origin, message_id), now) is not None

    def add(self, origin: int, message_id: int, link: Hashable, now: float) -> None:
        """Remember a flood.

        @param link: the neighbour it came from, which the entry is charged to.
        """
        self._table.put(_packed(origin, message_id), True, link, now)
