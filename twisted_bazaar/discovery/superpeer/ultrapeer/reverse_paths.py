"""Reverse paths: which queries have passed, and by which ways their hits go back (Gnutella 0.6). Sans-IO.

A super peer is as deep in a query as the links that its first copy crossed. It passes the query on as from that depth,
whatever copies come later, and sends hits only to those who were less deep when they sent it. So each step back is
less deep than the one before, and no hit ever comes by twice.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.values.addresses import Address

_MOST_WAYS: Final = 4
# Of so many it is counted what a neighbour has brought for a query: all of those that come at a time. For each query
# and each neighbour it would be 300 MB.
MOST_COUNTED: Final = 16_384


class Arrival(enum.Enum):
    """The verdict on a query that has come."""

    NEW = enum.auto()
    """Never seen: answer it, and pass it on."""
    FARTHER = enum.auto()
    """Answered before; this round goes farther: pass it on."""
    AGAIN = enum.auto()
    """Nothing new."""


class _Passed(msgspec.Struct, gc=False):
    """A query that has come. There may be very many, so it is as small as can be.

    @ivar id: of the query; what else is kept of that has the same object.
    @ivar hops: over how many links it had gone to whoever sent it.
    @ivar reach: the farthest it was passed on for.
    @ivar first: who sent it first; None for one of this super peer's own.
    @ivar others: who else sent it, of those who were no deeper than the first.
    """

    id: str
    hops: int
    reach: int
    first: Address | None = None
    others: tuple[Address, ...] = ()

    @property
    def senders(self) -> Sequence[Address]:
        """All who sent it, the first first."""
        return () if self.first is None else (self.first, *self.others)


class _Brought(msgspec.Struct, gc=False):
    """A count of the parts of hits for a query that have come from a neighbour."""

    parts: int


class ReversePaths:
    """The queries of the last minute.

    @param cap: how many are remembered.
    @param lifetime_s: for how long; longer than any search takes.
    @param shares: one sender holds at most C{cap / shares} of them.
    @param most_hits: so many parts of hits for one query are taken from one neighbour.
    @param most_counted: for so many queries and neighbours these are counted; one neighbour has a share of it.

    Addresses are kept as they are given: hand in the one that is kept of a neighbour anyway, and not one that a
    datagram brings along.
    """

    def __init__(
        self,
        cap: int = 65_536,
        lifetime_s: float = 60.0,
        shares: int = 8,
        most_hits: int = 1_024,
        most_counted: int = MOST_COUNTED,
    ) -> None:
        self._most_hits = most_hits
        # How many parts of hits for a query have come from a neighbour. A full table forgets of who has most.
        self._brought: FairTable[tuple[str, Address], _Brought] = FairTable(most_counted, lifetime_s, shares)
        self._passed: FairTable[str, _Passed] = FairTable(cap, lifetime_s, shares)

    def __len__(self) -> int:
        return len(self._passed)

    def query_received(self, query_id: str, sender: Address | None, hops: int, reach: int, now: float) -> Arrival:
        """Note that a query has come, and judge whether it is new.

        @param sender: whom it came from; None for one that is this super peer's own.
        @param hops: over how many links it had gone before the one it came by, as the query says.
        @param reach: how far this round of it goes.
        """
        passed = self._passed.get(query_id, now)
        if passed is None:
            passed = _Passed(query_id, -1 if sender is None else hops, reach, sender)
            self._passed.put(query_id, passed, sender, now)
            return Arrival.NEW
        if sender is not None:
            if passed.first is None:
                # A search of this super peer's own has come round: nobody else says how far it goes.
                return Arrival.AGAIN
            ways = passed.senders
            if hops <= passed.hops and len(ways) < _MOST_WAYS and sender not in ways:
                passed.others += (sender,)
        if reach <= passed.reach:
            return Arrival.AGAIN
        passed.reach = reach
        return Arrival.FARTHER

    def hops(self, query_id: str, now: float) -> int:
        """The number of links over which a query has come, as it is to say when passed on; 0 for an unknown one.

        With C{reach} of a round, C{reach - hops} is the ttl to be passed on; 0 goes nowhere.
        """
        passed = self._passed.get(query_id, now)
        return 0 if passed is None else passed.hops + 1

    def next_hops(self, query_id: str, now: float) -> Sequence[Address]:
        """The neighbours that a query came from, the first that sent it first."""
        passed = self._passed.get(query_id, now)
        return () if passed is None else passed.senders

    def next_hop(self, query_id: str, is_there: Callable[[Address], bool], now: float) -> Address | None:
        """The neighbour to which hits of a query go: the first that sent it and is alive; None if there is none.

        @param is_there: whether a neighbour is alive.
        """
        return next((way for way in self.next_hops(query_id, now) if is_there(way)), None)

    def admit_hits(self, query_id: str, neighbour: Address, now: float) -> bool:
        """Whether one more part of hits for a query may be taken from a neighbour; counts it."""
        passed = self._passed.get(query_id, now)
        if passed is None:
            return False
        key = passed.id, neighbour
        brought = self._brought.get(key, now)
        if brought is None:
            self._brought.put(key, _Brought(1), neighbour, now)
            return self._most_hits > 0
        if brought.parts >= self._most_hits:
            return False
        brought.parts += 1
        return True
