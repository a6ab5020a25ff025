"""Forwarding of queries: each of others is answered once and passed on, and its hits are sent back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Final

from twisted_bazaar.discovery.superpeer.messages import Found, Query, QueryEnd, QueryHit
from twisted_bazaar.discovery.superpeer.neighbours.neighbours import Neighbours
from twisted_bazaar.discovery.superpeer.qrp.tables import hash_of, tokens_of_query
from twisted_bazaar.discovery.superpeer.ultrapeer.counters import Counters
from twisted_bazaar.discovery.superpeer.ultrapeer.hit_addresses import placed
from twisted_bazaar.discovery.superpeer.ultrapeer.local_search import LocalSearch
from twisted_bazaar.discovery.superpeer.ultrapeer.policy import Policy
from twisted_bazaar.discovery.superpeer.ultrapeer.query_ends import QueryEnds
from twisted_bazaar.discovery.superpeer.ultrapeer.query_hits import split_hits
from twisted_bazaar.discovery.superpeer.ultrapeer.reverse_paths import Arrival, ReversePaths
from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import DatagramReceivers, INode
from twisted_bazaar.values.addresses import Address, network_of
from twisted_bazaar.wire.message import LARGEST_TTL

# What fits into a datagram, with room for what the node adds.
MOST_PART_BYTES: Final = 1_100
# Where the numbers of answers begin; they never run over.
ANSWER_BITS: Final = 52


class QueryForwarding:
    """Answers and passes on.

    @param paths: which searches have passed.
    @param ends: for whom they are not over.
    @param lookups: finds what this super peer's own leaves have.
    @param own_hit: takes a hit if it is for a search that began here, and tells whether it was.
    @param own_end: takes it that a round of a search that began here may be over.
    @ivar datagrams: for each message that comes by datagram, the method that takes it.
    """

    def __init__(
        self,
        node: INode,
        policy: Policy,
        neighbours: Neighbours,
        paths: ReversePaths,
        ends: QueryEnds,
        lookups: LocalSearch,
        counters: Counters,
        own_hit: Callable[[QueryHit, Address], bool],
        own_end: Callable[[str], None],
    ) -> None:
        self._node = node
        self._clock = node.clock
        self._policy = policy
        self._neighbours = neighbours
        self._paths = paths
        self._ends = ends
        self._lookups = lookups
        self._counters = counters
        self._answers = count(node.rng.getrandbits(ANSWER_BITS))
        self._own_hit = own_hit
        self._own_end = own_end
        self.datagrams: DatagramReceivers = {
            Query: self._query_received,
            QueryHit: self._hit_received,
            QueryEnd: self._end_received,
        }

    def _query_received(self, query: Query, address: Address, key: str | None) -> None:
        neighbour = self._neighbours.neighbour_at(address, key)
        if neighbour is None or query.hops >= LARGEST_TTL:
            self._counters.refused += 1
            return
        now = neighbour.heard_at = self._clock.seconds()
        # Who says that a round goes on for ever has it passed on no more often than who says that it goes far.
        reach = min(query.reach or min(query.ttl, LARGEST_TTL) + query.hops, LARGEST_TTL)
        # The neighbour's own: what a datagram brings along would be kept with each query.
        address = neighbour.address
        arrival = self._paths.query_received(query.id, address, query.hops, reach, now)
        if arrival is Arrival.AGAIN:
            self._counters.repeated += 1
        else:
            self._pass_on(query, address, reach, now, is_new=arrival is Arrival.NEW)
        self._tell_end(query.id, self._ends.copy_received(query.id, address, query.hops, now), now)
        if arrival is Arrival.NEW:
            tell = partial(self._answer, query.id, address)
            self._lookups.search(query, query.results, address, tell, host=network_of(address.host))

    def _pass_on(self, query: Query, address: Address, reach: int, now: float, *, is_new: bool) -> None:
        hops = self._paths.hops(query.id, now)
        ttl = reach - hops
        to: Sequence[Address] = ()
        if ttl >= 1:
            # Who is deeper waits for nobody that it has told of a round: it is asked as if it had not.
            passed = self._paths.next_hops(query.id, now)
            passed = passed if query.hops > hops else (address, *passed)
            to = neighbours_for(query, self._neighbours, passed, is_last=ttl == 1 and self._policy.query_routing)
        self._ends.passed_on(query.id, address, hops, reach, to, now, is_looking=is_new)
        if to:
            self._counters.forwarded += len(to)
            self._neighbours.send(query.evolve(reach=reach, ttl=ttl, hops=hops), to)

    def _end_received(self, end: QueryEnd, address: Address, key: str | None) -> None:
        neighbour = self._neighbours.neighbour_at(address, key)
        if neighbour is not None:
            now = neighbour.heard_at = self._clock.seconds()
            self._tell_end(end.id, self._ends.end_received(end, neighbour.address, now), now)
            self._own_end(end.id)

    def _tell_end(self, query_id: str, askers: Sequence[Address], now: float) -> None:
        for asker in askers:
            self._neighbours.send(self._ends.end_for(query_id, asker, now), [asker])

    def _answer(self, query_id: str, address: Address, found: Sequence[Found] | None) -> None:
        now = self._clock.seconds()
        if found is None:
            self._counters.refused += 1
        elif found:
            self._counters.answered += 1
            back = self._way_back(query_id, address)
            if back is not None:
                parts = split_hits(query_id, next(self._answers), found, MOST_PART_BYTES)
                self._ends.hits_sent(query_id, back, len(parts), now)
                for part in parts:
                    self._neighbours.send(part, [back])
        self._tell_end(query_id, self._ends.looked(query_id, now), now)

    def _hit_received(self, hit: QueryHit, address: Address, key: str | None) -> None:
        now = self._clock.seconds()
        neighbour = self._neighbours.neighbour_at(address, key)
        if neighbour is None or not self._paths.admit_hits(hit.id, neighbour.address, now):
            self._counters.hits_dropped += 1
            return
        neighbour.heard_at = now
        self._take_hit(placed(hit, address), address, now)
        self._tell_end(hit.id, self._ends.hit_received(hit.id, neighbour.address, now), now)
        self._own_end(hit.id)

    def _take_hit(self, hit: QueryHit, address: Address, now: float) -> None:
        """Take a hit of an own search, or send it on towards who asked."""
        if self._own_hit(hit, address):
            return
        back = self._way_back(hit.id, address)
        if back is None and not self._paths.hops(hit.id, now):
            self._counters.hits_late += 1
        elif back is None:
            self._counters.hits_dropped += 1
        else:
            try:
                self._neighbours.send(hit, [back])
            except UsageError:
                # Whoever made it has left no room for the hosts that are filled in.
                self._counters.hits_dropped += 1
            else:
                self._counters.hits_forwarded += 1
                self._ends.hits_sent(hit.id, back, 1, now)

    def _way_back(self, query_id: str, address: Address) -> Address | None:
        return self._paths.next_hop(query_id, self._neighbours.is_neighbour, self._clock.seconds())


def neighbours_for(query: Query, neighbours: Neighbours, passed: Sequence[Address], *, is_last: bool) -> list[Address]:
    """The neighbours to which a search is sent.

    @param passed: who has it already.
    @param is_last: whether those who get it pass it on to nobody, so that only those are asked who may have it.
    """
    if not is_last:
        return [address for address in neighbours.linked if address not in passed]
    hashes = [hash_of(token) for token in tokens_of_query(query)]
    return [
        address
        for address, neighbour in neighbours.linked.items()
        if address not in passed and neighbour.may_have(hashes)
    ]
