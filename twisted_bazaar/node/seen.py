"""What keeps a flood from drowning the network: pass each search on once, and not too many. Sans-IO."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Final

from twisted_bazaar.bounded import FairTable

_WINDOW_S: Final = 1.0
_KEPT_FOR_OWN: Final = 1 / 3


class Seen:
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


class SearchBudget:
    """How many searches a node sends on each link in a second.

    A third is kept for the node's own. The rest is shared: a neighbour may use an equal part, and
    what the others left over in the second before.

    @param a_second: searches a second.
    """

    def __init__(self, a_second: float) -> None:
        self._for_others = a_second * (1 - _KEPT_FOR_OWN)
        self._a_second = a_second
        self._window_began = float("-inf")
        self._used: Counter[Hashable] = Counter()
        self._used_before: Counter[Hashable] = Counter()
        self._own = 0
        self._passed = 0

    def admit(self, link: Hashable, now: float) -> bool:
        """Whether a search from a neighbour may be passed on; counts it either way.

        @param now: seconds.
        """
        self._turn_window(now)
        self._used[link] += 1
        if self._passed >= min(self._for_others, self._a_second - self._own):
            return False
        if self._used[link] > self._allowance(link):
            return False
        self._passed += 1
        return True

    def admit_own(self, now: float) -> bool:
        """Whether the node may send one more search of its own."""
        self._turn_window(now)
        if self._own + self._passed >= self._a_second:
            return False
        self._own += 1
        return True

    def _turn_window(self, now: float) -> None:
        if now - self._window_began < _WINDOW_S:
            return
        recent = now - self._window_began < 2 * _WINDOW_S
        self._used_before = self._used if recent else Counter()
        self._used = Counter()
        self._own = self._passed = 0
        self._window_began = now

    def _allowance(self, link: Hashable) -> float:
        others = (self._used_before.keys() | self._used.keys()) - {link}
        if not others:
            return self._for_others
        part = self._for_others / (len(others) + 1)
        return self._for_others - sum(min(self._used_before[other], part) for other in others)
