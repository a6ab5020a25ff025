"""Dynamic querying (gtk-gnutella): picks the next reach of a search from its hits so far. Sans-IO.

From the Gnutella proposal of dynamic querying (Fisk, 2003): a few neighbours are probed, then the search goes just as
far as what has been found lets expect enough. It differs in that whole rounds go out, each with a greater reach, and
not one connection after another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import frozen

MOST_PROBED: Final = 4
WAIT_S: Final = 0.3
LONGEST_S: Final = 10.0
# Going farther than so many super peers is no use: a neighbourhood that great holds whatever there is.
FAR_ENOUGH: Final = 10_000


@frozen
class Round:
    """One round of a search.

    @ivar reach: over how many links it goes.
    @ivar most: how many neighbours are asked, of those whose tables say maybe; None for all.
    @ivar wait_s: how long its hits may take, if anybody is asked.
    """

    reach: int
    most: int | None
    wait_s: float


class DynamicQuery:
    """The rounds of one search, after this super peer's own leaves were looked at.

    @param ttl: the farthest it may go.
    @param results: how many hits are enough.
    @param neighbours: how many this super peer has.
    @param degree: how many they usually have.
    @param is_dynamic: if not, there is one round, and it goes as far as it may.
    @ivar reached_all: whether a round has gone as far as any would.
    """

    def __init__(
        self, ttl: int, results: int, neighbours: int, degree: float, now: float, *, is_dynamic: bool = True
    ) -> None:
        self._results = results
        self._neighbours = neighbours
        self._branching = max(0.0, degree - 1)
        self._is_dynamic = is_dynamic
        self._ends = now + LONGEST_S
        self._farthest = self._farthest_within(ttl) if is_dynamic and neighbours else ttl
        self._is_probing = is_dynamic
        self._reached = 0
        # How many super peers are known to have been asked, or not to need it; this one is the first.
        self._horizon = 1.0
        self.reached_all: bool = not neighbours or ttl < 1

    def next(self, hits: int, now: float) -> Round | None:
        """The next round, when the last has had its time; None when there is none, and the search is over.

        @param hits: how many have come so far, of own leaves too.
        """
        if hits >= self._results or self.reached_all or now >= self._ends:
            return None
        if self._is_probing:
            self._is_probing = False
            self._horizon += min(MOST_PROBED, self._neighbours)
            return self._round(1, MOST_PROBED, now)
        reach = self._reach_for(hits)
        self._reached, self._horizon = reach, self._horizon_of(reach)
        self.reached_all = reach >= self._farthest
        return self._round(reach, None, now)

    def probe_done(self, asked: int, known: int) -> None:
        """Take the result of the first round, which went to direct neighbours.

        @param asked: how many neighbours were asked.
        @param known: how many were not, because their tables say that they have nothing.
        """
        self._horizon = 1.0 + asked + known
        if asked + known >= self._neighbours:
            self._reached = 1
            self.reached_all = self._farthest <= 1

    def _round(self, reach: int, most: int | None, now: float) -> Round:
        return Round(reach, most, min(WAIT_S * reach, self._ends - now))

    def _reach_for(self, hits: int) -> int:
        """The smallest reach that lets expect enough."""
        if not self._is_dynamic or not hits:
            return self._farthest
        wanted = self._results * self._horizon / hits
        further = range(self._reached + 1, self._farthest)
        return next((reach for reach in further if self._horizon_of(reach) >= wanted), self._farthest)

    def _horizon_of(self, reach: int) -> float:
        """The number of super peers within reach, if none is met twice."""
        return 1 + sum(self._layers(reach))

    def _layers(self, reach: int) -> Iterator[float]:
        layer = float(self._neighbours)
        for _ in range(reach):
            yield layer
            layer *= self._branching

    def _farthest_within(self, ttl: int) -> int:
        return next((reach for reach in range(1, ttl) if self._horizon_of(reach) >= FAR_ENOUGH), ttl)
