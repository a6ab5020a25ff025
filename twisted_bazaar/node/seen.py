"""What keeps a flood from drowning the network: pass each search on once, and not too many. Sans-IO."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Final

from twisted_bazaar.bounded import FairTable

_WINDOW_S: Final = 1.0
_REMEMBERED_S: Final = 120.0
_MOST_REMEMBERED: Final = 256
_FORGOTTEN_A_SECOND: Final = 1.4
_ROUNDING: Final = 1e-6


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

    A third is kept for the node's own. The rest is shared out by what each neighbour asked for of
    late: nobody gets more than it asks for, and what is left over goes in equal parts to those who
    ask for more. So the noisiest is the one that is cut.

    @param a_second: searches a second.
    """

    def __init__(self, a_second: float) -> None:
        self._a_second = a_second
        self._for_others = max(1, int(a_second * 2 // 3))
        self._window_began = float("-inf")
        self._asked: dict[Hashable, int] = {}
        self._sure = 0
        self._is_shared_out = False
        self._demands: dict[Hashable, tuple[float, float]] = {}
        self._allowances: dict[Hashable, float] = {}
        self._level = float(self._for_others)
        self._own = 0
        self._passed = 0

    def admit(self, link: Hashable, now: float) -> bool:
        """Whether a search from a neighbour may be passed on; counts it either way.

        @param now: seconds.
        """
        if now - self._window_began >= _WINDOW_S:
            self._begin_window(now)
        asked = self._asked[link] = self._asked.get(link, 0) + 1
        if asked > self._sure:
            self._share_out()
            # A part of a search is none: with very many neighbours each still has one, while there are any.
            if asked > max(1.0, self._allowances.get(link, self._level)):
                return False
        if self._passed >= self._for_others:
            return False
        if self._own + self._passed >= self._a_second:
            return False
        self._passed += 1
        return True

    def admit_own(self, now: float) -> bool:
        """Whether the node may send one more search of its own."""
        if now - self._window_began >= _WINDOW_S:
            self._begin_window(now)
        if self._own + self._passed >= self._a_second:
            return False
        self._own += 1
        return True

    def _begin_window(self, now: float) -> None:
        """Note what was asked for in the last window, and begin another."""
        for link, asked in self._asked.items():
            self._demands[link] = (max(float(asked), self._demand(link, self._window_began)), self._window_began)
        self._asked = {}
        self._own = self._passed = 0
        self._window_began = now
        if len(self._demands) > _MOST_REMEMBERED:
            self._forget_old()
        # However it is shared out, so many are within everybody's share.
        self._sure = self._for_others // (len(self._demands) + 1)
        self._is_shared_out = False

    def _share_out(self) -> None:
        """Share out this window by what was asked for in the last ones; done only when somebody asks for much."""
        if self._is_shared_out:
            return
        self._is_shared_out = True
        self._forget_old()
        wanted = {link: self._demand(link, self._window_began) for link in self._demands}
        self._level = _level(list(wanted.values()), self._for_others)
        used = sum(min(demand, self._level) for demand in wanted.values())
        spare = self._for_others - used + _ROUNDING
        self._allowances = {link: spare + min(demand, self._level) for link, demand in wanted.items()}

    def _forget_old(self) -> None:
        """Keep the demands of those who asked last."""
        recent = [item for item in self._demands.items() if self._window_began - item[1][1] < _REMEMBERED_S]
        recent.sort(key=lambda item: item[1][1], reverse=True)
        self._demands = dict(recent[:_MOST_REMEMBERED])

    def _demand(self, link: Hashable, now: float) -> float:
        """What a neighbour is expected to ask for: less, the longer it has been silent, but a little."""
        demand, at = self._demands.get(link, (0.0, now))
        silent_s = max(0.0, now - at - _WINDOW_S)
        return max(min(demand, 1.0), demand * math.exp(-_FORGOTTEN_A_SECOND * silent_s))


def _level(demands: Sequence[float], capacity: float) -> float:
    """How much each may have so that all together have no more than the capacity."""
    left = float(capacity)
    for position, demand in enumerate(sorted(demands)):
        part = left / (len(demands) - position)
        if demand >= part:
            return part
        left -= demand
    return float(capacity)
