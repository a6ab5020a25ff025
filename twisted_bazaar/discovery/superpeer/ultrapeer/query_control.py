"""Query control: searches for the leaves of a super peer, first in their own lists, then round by round farther away.

What searches under way keep is bounded in bytes, with a share for each host. For a peer that does not read what it was
told nothing more is asked or kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import count
from typing import Final

from attrs import define
from twisted.internet.defer import Deferred

from twisted_bazaar.byte_budget import MIB, ByteBudget, Room
from twisted_bazaar.discovery.index.messages import Busy
from twisted_bazaar.discovery.index.scheduling.pending import limit_of_questions
from twisted_bazaar.discovery.superpeer.messages import Found, Query, QueryEnd, QueryHit
from twisted_bazaar.discovery.superpeer.neighbours.neighbours import Neighbours
from twisted_bazaar.discovery.superpeer.ultrapeer.counters import Counters
from twisted_bazaar.discovery.superpeer.ultrapeer.dynamic_query import DynamicQuery, Round
from twisted_bazaar.discovery.superpeer.ultrapeer.forwarding import ANSWER_BITS, neighbours_for
from twisted_bazaar.discovery.superpeer.ultrapeer.leaves import Leaves, NotRegistered
from twisted_bazaar.discovery.superpeer.ultrapeer.local_search import LocalSearch
from twisted_bazaar.discovery.superpeer.ultrapeer.policy import Policy
from twisted_bazaar.discovery.superpeer.ultrapeer.query_ends import QueryEnds
from twisted_bazaar.discovery.superpeer.ultrapeer.query_hits import HIT_BYTES, QueryHits, split_hits
from twisted_bazaar.discovery.superpeer.ultrapeer.reverse_paths import Arrival, ReversePaths
from twisted_bazaar.errors import PeerError
from twisted_bazaar.interfaces import INode
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Address, Origin, Peer, Route
from twisted_bazaar.wire.error import Error

MOST_UNDER_WAY: Final = 32
MOST_BYTES: Final = 16 * MIB
SEARCH_BYTES: Final = 6_144
"""What a search takes before anything is found, in bytes: its query of a kilobyte, its rounds, its places in tables."""
# What fits into a frame.
_MOST_PART_BYTES: Final = 60_000
_MOST_IN_ONE_PART: Final = 50
_ID_BITS: Final = 128


@define(eq=False)
class Search:
    """A search that goes on among super peers.

    @ivar query: as the leaf asked; it is told under this id.
    @ivar id: the id under which super peers know it.
    @ivar enough: how many hits are wanted.
    @ivar probed: the neighbours that the first round went to.
    @ivar next: when the next round begins.
    @ivar weight: what it is charged, in bytes.
    """

    query: Query
    peer: Peer
    route: Route
    id: str
    enough: int
    answers: QueryHits
    rounds: DynamicQuery
    next: Timer
    probed: Sequence[Address] = ()
    weight: int = 0


class QueryControl:
    """Does what leaves ask for.

    @param leaves: who may ask.
    @param policy: how far a search goes.
    @param lookups: finds what the leaves have.
    @ivar paths: which searches have been here, of whomever.
    @ivar budget: what the searches under way take, and what of it is due to each host.
    """

    def __init__(
        self,
        leaves: Leaves,
        node: INode,
        policy: Policy,
        neighbours: Neighbours,
        paths: ReversePaths,
        ends: QueryEnds,
        lookups: LocalSearch,
        counters: Counters,
    ) -> None:
        self._node = node
        self._policy = policy
        self._leaves = leaves
        self._neighbours = neighbours
        self.paths = paths
        self._ends = ends
        self._lookups = lookups
        self._counters = counters
        self._answers = count(node.rng.getrandbits(ANSWER_BITS))
        self._rate_limits = limit_of_questions()
        self.budget: ByteBudget = ByteBudget(MOST_BYTES)
        self._under_way: dict[str, Search] = {}
        self._of: dict[int, dict[str, Search]] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def stop(self) -> None:
        """End all searches."""
        for search in list(self._under_way.values()):
            self._end(search)

    def peer_left(self, peer: Peer) -> None:
        """End the searches of a leaf that has gone."""
        for search in list(self._of.get(peer.id, {}).values()):
            self._forget(search)
        self._lookups.forget(peer.key)
        self._rate_limits.forget(peer.key)

    def query_received(self, query: Query, origin: Origin) -> None:
        """Begin the search that a leaf asks for."""
        registrant = self._leaves.registrants.get(origin.id)
        if registrant is None:
            self._refuse(query, origin.route, NotRegistered("register first; only weak peers are answered"))
            return
        peer = registrant.peer
        of_peer = self._of.get(peer.id, {})
        if query.id in of_peer:
            return
        if len(of_peer) >= MOST_UNDER_WAY or not self._rate_limits.allow(peer.key, self._node.clock.seconds()):
            self._refuse(query, origin.route, Busy("too many searches; ask fewer a second, and fewer at once"))
            return
        try:
            self._leaves.pending.submit(peer, query, partial(self._look, query, peer, origin.route))
        except Busy as fault:
            self._refuse(query, origin.route, fault)

    def hit_received(self, hit: QueryHit, address: Address) -> bool:
        """Take a hit; returns whether it is for a search that began here."""
        search = self._under_way.get(hit.id)
        if search is None:
            return False
        if self._node.is_behind(search.peer.id):
            self._end(search)
            return True
        new = search.answers.add(hit, address)
        if new:
            self._counters.hits += _count(new)
            told = QueryHit(id=search.query.id, answer=hit.answer, part=hit.part, parts=hit.parts, found=tuple(new))
            self._node.send(told, search.route)
            if search.answers.useful_count >= search.enough or not self._has_charged(search):
                self._end(search)
        return True

    def round_over(self, query_id: str) -> None:
        """Go on with a search that began here, if all that were asked have answered."""
        search = self._under_way.get(query_id)
        if search is not None and search.next.is_set and self._ends.is_over(query_id, self._node.clock.seconds()):
            search.next.cancel()
            self._go_on(query_id)

    # From the beginning of one to its end.

    def _look(self, query: Query, peer: Peer, route: Route) -> Deferred[None]:
        """Search among the leaves; fires when the asker has been told what there is."""
        self._counters.searches += 1
        enough = min(query.results, self._policy.results)
        looked: Deferred[None] = Deferred()

        def tell(found: Sequence[Found] | None) -> None:
            self._looked(query, peer, route, enough, found)
            looked.callback(None)

        self._lookups.search(query, enough, peer.key, tell, peer.key, peer.network)
        return looked

    def _looked(self, query: Query, peer: Peer, route: Route, enough: int, found: Sequence[Found] | None) -> None:
        """Answer with what the other leaves have, and go on to other super peers if that is not enough."""
        if found is None:
            self._refuse(query, route, Busy("too many searches are waiting; ask again when they are over"))
            return
        hits = self._tell(query, route, found)
        ttl = self._policy.ttl
        if hits >= enough or not self._neighbours.linked or ttl < 1:
            self._node.send(QueryEnd(id=query.id, hits=hits, reached_all=hits < enough), route)
            return
        registrant = self._leaves.registrants.get(peer.id)
        if registrant is None or registrant.peer != peer or query.id in self._of.get(peer.id, ()):
            return
        search_id = self._id_for(query)
        # By its id: a search that its own timer held would take its room until the next collection of garbage.
        timer = Timer(self._node.clock, partial(self._go_on, search_id))
        search = Search(query, peer, route, search_id, enough, QueryHits(enough), self._rounds(enough), timer)
        search.answers.add_own(found)
        has_room = self._has_charged(search)
        self._under_way[search.id] = self._of.setdefault(peer.id, {})[query.id] = search
        if has_room:
            self._go_on(search.id)
        else:
            self._node.send(
                Error.telling(Busy("too many searches of your host are under way; ask again"), query), route
            )
            self._end(search)

    def _tell(self, query: Query, route: Route, found: Sequence[Found]) -> int:
        """Tell a leaf what the others of this super peer have; returns how many hits that is."""
        if not found:
            return 0
        hits = _count(found)
        self._counters.hits += hits
        number = next(self._answers)
        if hits <= _MOST_IN_ONE_PART:
            self._node.send(QueryHit(id=query.id, answer=number, found=tuple(found)), route)
        else:
            for part in split_hits(query.id, number, found, _MOST_PART_BYTES):
                self._node.send(part, route)
        return hits

    def _id_for(self, query: Query) -> str:
        """The id that the leaf has chosen, unless it has been seen: nobody would answer it once more."""
        now = self._node.clock.seconds()
        if self.paths.query_received(query.id, None, 0, 0, now) is Arrival.NEW:
            return query.id
        return f"{self._node.rng.getrandbits(_ID_BITS):032x}"

    def _rounds(self, enough: int) -> DynamicQuery:
        neighbours, policy = self._neighbours, self._policy
        return DynamicQuery(
            policy.ttl,
            enough,
            len(neighbours.linked),
            neighbours.usual_degree,
            self._node.clock.seconds(),
            is_dynamic=policy.dynamic_querying,
        )

    def _go_on(self, search_id: str) -> None:
        """Begin the next round of a search; one that goes to nobody is over at once."""
        search = self._under_way[search_id]
        now = self._node.clock.seconds()
        while True:
            is_behind = self._node.is_behind(search.peer.id)
            following = None if is_behind else search.rounds.next(search.answers.useful_count, now)
            if following is None:
                self._end(search)
                return
            if self._send(search, following, now):
                search.next.set(following.wait_s)
                return

    def _send(self, search: Search, following: Round, now: float) -> int:
        """Send a round; returns to how many neighbours it went."""
        reach = following.reach
        self.paths.query_received(search.id, None, 0, reach, now)
        message = search.query.evolve(id=search.id, reach=reach, ttl=reach, hops=0, results=search.enough)
        is_routed = reach == 1 and self._policy.query_routing
        # A round that goes no farther than the probe is for those that were not probed.
        to = neighbours_for(message, self._neighbours, search.probed if reach == 1 else (), is_last=is_routed)
        if following.most is not None:
            known = len(self._neighbours.linked) - len(to)
            if len(to) > following.most:
                to = self._node.rng.sample(to, following.most)
            search.rounds.probe_done(len(to), known)
            search.probed = to
        if to:
            self._counters.asked += len(to)
            self._ends.passed_on(search.id, None, 0, reach, to, now)
            self._neighbours.send(message, to)
        return len(to)

    def _end(self, search: Search) -> None:
        """End a search, and tell the leaf so."""
        self._forget(search)
        end = QueryEnd(id=search.query.id, hits=len(search.answers), reached_all=search.rounds.reached_all)
        self._node.send(end, search.route)

    def _has_charged(self, search: Search) -> bool:
        """Charge a search for what it keeps now, if there is room for that; returns whether there was."""
        more_bytes = SEARCH_BYTES + HIT_BYTES * len(search.answers) - search.weight
        host = search.peer.network
        if self.budget.room_for(host, more_bytes) is not Room.YES:
            return False
        self.budget.charge(host, more_bytes)
        search.weight += more_bytes
        return True

    def _forget(self, search: Search) -> None:
        self.budget.charge(search.peer.network, -search.weight)
        search.next.cancel()
        del self._under_way[search.id]
        of_peer = self._of[search.peer.id]
        del of_peer[search.query.id]
        if not of_peer:
            del self._of[search.peer.id]

    def _refuse(self, query: Query, route: Route, fault: PeerError) -> None:
        """Refuse a query, with the reason."""
        self._counters.refused += 1
        self._node.send(Error.telling(fault, query), route)
        self._node.send(QueryEnd(id=query.id), route)


def _count(found: Sequence[Found]) -> int:
    """The number of hits: files, or sellers."""
    return sum(len(each.files) or 1 for each in found)
