"""Ends of queries: tells when all to whom a query went have answered, by counting who has not. Sans-IO.

The termination detection of Dijkstra and Scholten ("Termination detection for diffusing computations", 1980): who gets
a query says that it is over for it when it is over for all to whom it was passed on. Where two send each other the same
query, the copy of the less deep one is taken for its answer, so that nothing more has to be said. With each end comes
how many parts of hits went the same way, for datagrams overtake each other.

All of it saves time and nothing else: an end that gets lost, or is not kept here any more, leaves the search with the
time that each round has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.discovery.superpeer.messages import QueryEnd
from twisted_bazaar.values.addresses import Address

MOST_COUNTED: Final = 2_048
# Longer than any search takes.
LIFETIME_S: Final = 12.0
_NOT_SAID: Final = -1


class _Passed(msgspec.Struct):
    """A query that was passed on.

    @ivar depth: over how many links its first copy came.
    @ivar reach: how far its last round goes.
    @ivar askers: who is told when the round is over here.
    @ivar asked: to whom the round went, and how many parts of hits each says that it has sent.
    @ivar open: how many of them it is not over for.
    @ivar brought: how many parts of hits have come from each, of all rounds.
    @ivar sent: how many have gone to each on the way back, of all rounds.
    @ivar is_looking: whether the lists of this super peer's own leaves are being looked at.
    """

    depth: int
    reach: int
    askers: list[Address]
    asked: dict[Address, int]
    open: int
    brought: dict[Address, int]
    sent: dict[Address, int]
    is_looking: bool

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of the round."""
        return not self.open and not self.is_looking

    def is_over_for(self, neighbour: Address) -> bool:
        """Whether a neighbour has said that it is, and all its hits are here."""
        said = self.asked.get(neighbour, _NOT_SAID)
        return _NOT_SAID < said <= self.brought.get(neighbour, 0)


class QueryEnds:
    """The queries of the last seconds, and who has not ended them.

    What comes of each method is who is to be told that a query is over: nobody, most of the time.

    Addresses are kept as they are given, as in L{ReversePaths
    <twisted_bazaar.discovery.superpeer.ultrapeer.reverse_paths.ReversePaths>}.

    @param cap: how many queries are counted; of the others nobody is told that they are over.
    @param shares: one neighbour holds at most C{cap / shares} of them.
    """

    def __init__(self, cap: int = MOST_COUNTED, shares: int = 8) -> None:
        self._passed: FairTable[str, _Passed] = FairTable(cap, LIFETIME_S, shares)

    def __len__(self) -> int:
        return len(self._passed)

    def passed_on(
        self,
        query_id: str,
        charged: Address | None,
        depth: int,
        reach: int,
        to: Iterable[Address],
        now: float,
        *,
        is_looking: bool = False,
    ) -> None:
        """Begin a round, which goes farther than any before.

        @param charged: the neighbour whose share it is of; None for a search of this super peer's own.
        @param depth: over how many links the first copy of the query came.
        @param is_looking: whether this super peer's own leaves are asked, too.
        """
        asked = dict.fromkeys(to, _NOT_SAID)
        passed = self._passed.get(query_id, now)
        if passed is None:
            passed = _Passed(depth, reach, [], asked, len(asked), {}, {}, is_looking)
            self._passed.put(query_id, passed, charged, now)
        else:
            passed.reach, passed.askers, passed.asked, passed.open = reach, [], asked, len(asked)

    def copy_received(self, query_id: str, asker: Address, hops: int, now: float) -> Sequence[Address]:
        """Take a copy of a query whose round has begun here.

        Only those who are less deep wait: else two could wait for each other. Each gets it from one of them in every
        round, and passes its hits on to them.

        @param hops: how deep the asker is in the query.
        """
        passed = self._passed.get(query_id, now)
        if passed is None:
            return ()
        is_above, has_copy = hops < passed.depth, asker in passed.asked
        if not is_above:
            if has_copy and hops == passed.depth:
                return self._ended(passed, asker, 0)
            # Who is deeper takes the copy that it was sent for the answer.
            return () if has_copy else (asker,)
        if passed.is_over:
            return (asker,)
        if asker not in passed.askers:
            passed.askers.append(asker)
        return self._ended(passed, asker, 0) if has_copy else ()

    def looked(self, query_id: str, now: float) -> Sequence[Address]:
        """Take it that this super peer's own leaves have been asked."""
        passed = self._passed.get(query_id, now)
        if passed is None or not passed.is_looking:
            return ()
        passed.is_looking = False
        return self._told(passed)

    def end_received(self, end: QueryEnd, neighbour: Address, now: float) -> Sequence[Address]:
        """Take the end of a query from a neighbour."""
        passed = self._passed.get(end.id, now)
        if passed is None or end.reach < passed.reach or neighbour not in passed.asked:
            return ()
        return self._ended(passed, neighbour, end.parts)

    def hit_received(self, query_id: str, neighbour: Address, now: float) -> Sequence[Address]:
        """Count a part of a hit that a neighbour brings; it may have been ended before."""
        passed = self._passed.get(query_id, now)
        if passed is None or (neighbour not in passed.asked and neighbour not in passed.brought):
            return ()
        was_over = passed.is_over_for(neighbour)
        passed.brought[neighbour] = passed.brought.get(neighbour, 0) + 1
        return self._closed(passed, neighbour, was_over)

    def hits_sent(self, query_id: str, neighbour: Address, parts: int, now: float) -> None:
        """Count parts of hits that go back to a neighbour."""
        passed = self._passed.get(query_id, now)
        if passed is not None:
            passed.sent[neighbour] = passed.sent.get(neighbour, 0) + parts

    def is_over(self, query_id: str, now: float) -> bool:
        """Whether the last round of a query is over for all to whom it went."""
        passed = self._passed.get(query_id, now)
        return passed is not None and passed.is_over

    def end_for(self, query_id: str, neighbour: Address, now: float) -> QueryEnd:
        """The end of a query, as a neighbour is told of it."""
        passed = self._passed.get(query_id, now)
        if passed is None:
            return QueryEnd(id=query_id)
        return QueryEnd(id=query_id, reach=passed.reach, parts=passed.sent.get(neighbour, 0))

    # Inside.

    def _ended(self, passed: _Passed, neighbour: Address, parts: int) -> Sequence[Address]:
        was_over = passed.is_over_for(neighbour)
        passed.asked[neighbour] = max(parts, passed.asked[neighbour])
        return self._closed(passed, neighbour, was_over)

    def _closed(self, passed: _Passed, neighbour: Address, was_over: bool) -> Sequence[Address]:
        if was_over or not passed.is_over_for(neighbour):
            return ()
        passed.open -= 1
        return self._told(passed)

    def _told(self, passed: _Passed) -> Sequence[Address]:
        """Those who wait for the end of a round, if it is over."""
        if not passed.is_over:
            return ()
        askers, passed.askers = passed.askers, []
        return askers
