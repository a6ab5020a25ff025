"""The promises about super peers: what they say is so, who is to be found is found, and no search runs away."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, ClassVar, Final

from attrs import define, field

from twisted_bazaar.discovery.superpeer.leaf.leaf import Leaf
from twisted_bazaar.discovery.superpeer.messages import Query, QueryEnd, QueryHit
from twisted_bazaar.roles.super_peer import SuperPeer
from twisted_bazaar.sim.cluster import Cluster, Member
from twisted_bazaar.sim.faults import fault_kind
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.values.addresses import Address, Peer
from twisted_bazaar.wire.message import Message

# How long a super peer believes a list, and a word that is on its way.
_BELIEVED_S: Final = 50.0
# A search by itself takes 10 s, one that waits for a super peer 5 s more; a super peer that has died silently is
# noticed within 8 s, and another asked then.
_SEARCH_S: Final = 35.0
# By itself, on its way twice, and sent again if it gets lost.
_END_MARK_S: Final = 16.0
_FOUND_AGAIN_S: Final = 10.0


def super_peer_of(member: Member) -> SuperPeer | None:
    """The role of a super peer."""
    return next((role for role in member.roles if isinstance(role, SuperPeer)), None)


def leaf_of(member: Member) -> Leaf | None:
    """The role of a leaf."""
    return next((role for role in member.roles if isinstance(role, Leaf)), None)


def super_peers_in(cluster: Cluster) -> Iterator[tuple[Member, SuperPeer]]:
    """The super peers that run."""
    for member in cluster.members.values():
        if member.node is not None:
            role = super_peer_of(member)
            if role is not None and role.is_leading:
                yield member, role


def within_reach(cluster: Cluster, start: Member, links: int) -> set[str]:
    """The names of the super peers that a search gets to which begins at one of them, itself too.

    Not all within so many links: whoever gets it by a longer way first does not pass it on as far as it might.
    """
    there = {member.udp_address: (member, role) for member, role in super_peers_in(cluster)}
    roles = {member.name: role for member, role in there.values()}
    reached: set[str] = set()
    coming = [(0.0, 0, start.name)]
    while coming:
        at, hops, name = heappop(coming)
        if name in reached or name not in roles:
            continue
        reached.add(name)
        host = cluster.members[name].host
        for address in roles[name].neighbours.linked if hops < links else ():
            if address in there:
                other = there[address][0].host
                way = cluster.network.ways.conditions(host.name, other.name)
                heappush(coming, (at + way.latency_s, hops + 1, there[address][0].name))
    return reached


class HitsAreTrue(Check):
    """A hit is a fact.

    It is looked at when it is told to whoever has asked.
    """

    promise = "a hit names somebody who has the file, and was there within the lease"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._had: dict[str, set[str]] = {}
        self._ended_at: dict[str, float] = {}

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        """Somebody shares files."""
        if event == "shares":
            self._had[details["node"]] = set(details["digests"])

    def on_stop(self, member: Member) -> None:
        """It is there no more."""
        self._ended_at[member.name] = self.now

    on_death = on_stop

    def on_message(self, member: Member, peer: Peer | None, message: Message) -> None:
        """Somebody may be told of a hit."""
        if not isinstance(message, QueryHit):
            return
        for found in message.found:
            named = self.cluster.member_with_key(found.key)
            if named is None:
                self.expect(False, f"{member.name} names a node that there is not")
                continue
            gone_s = self.now - self._ended_at.get(named.name, self.now) if named.node is None else 0.0
            self.expect(gone_s <= _BELIEVED_S, f"{member.name} names {named.name}, which went {gone_s:.0f} s ago")
            had = self._had.get(named.name, set())
            for file in found.files:
                self.expect(file.digest in had, f"{member.name} says that {named.name} has {file.name!r}")


@define(eq=False)
class _Asked:
    """One query, as far as it was seen.

    @ivar at: when it was first seen.
    @ivar most: how often it may be sent in one round.
    @ivar sent: how often it was.
    @ivar reaches: how far its rounds go.
    @ivar passed: the hashes of who has sent it to whom, with which reach: there are tens of thousands.
    @ivar answers: by super peer, the mark of its answer.
    @ivar origins: by mark, who has answered so.
    """

    at: float
    most: int = 0
    sent: int = 0
    reaches: set[int] = field(factory=set)
    passed: set[int] = field(factory=set)
    answers: dict[str, int] = field(factory=dict)
    origins: dict[int, str] = field(factory=dict)


class _WatchesQueries(Check):
    """Remembers queries for longer than any search takes."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._asked: OrderedDict[str, _Asked] = OrderedDict()

    def on_second(self) -> None:
        """Forget queries of long ago."""
        while self._asked and next(iter(self._asked.values())).at < self.now - _SEARCH_S:
            self._asked.popitem(last=False)

    def _get(self, query_id: str) -> _Asked:
        asked = self._asked.get(query_id)
        if asked is None:
            asked = self._asked[query_id] = _Asked(self.now)
        return asked


class AnsweredOnce(_WatchesQueries):
    """A query is not answered or passed on over and over."""

    promise = "each super peer answers a query once, and passes it on once for each reach"

    def on_datagram(self, member: Member, address: Address, message: Message, size_bytes: int) -> None:
        """A query may be passed on, or be answered."""
        if isinstance(message, Query):
            self._passed_on(member, address, message)
        elif isinstance(message, QueryHit):
            asked = self._get(message.id)
            origin = asked.origins.setdefault(message.answer, member.name)
            if origin == member.name:
                is_only = asked.answers.setdefault(origin, message.answer) == message.answer
                self.expect(is_only, f"{origin} answers query {message.id} twice")

    def _passed_on(self, member: Member, address: Address, query: Query) -> None:
        passed, key = self._get(query.id).passed, hash((member.name, member.starts, query.reach, address))
        self.expect(key not in passed, f"{member.name} passes query {query.id} on twice for reach {query.reach}")
        passed.add(key)


class TrafficIsBounded(_WatchesQueries):
    """A search does not drown the network."""

    promise = "one search sends at most two queries over each link in each round"

    def on_datagram(self, member: Member, address: Address, message: Message, size_bytes: int) -> None:
        """One query more."""
        if not isinstance(message, Query):
            return
        asked = self._get(message.id)
        asked.sent += 1
        asked.reaches.add(message.reach)
        if not asked.most or asked.sent > asked.most * len(asked.reaches):
            # Two for each link: every neighbour is counted at both ends.
            counted = sum(len(role.neighbours.linked) for _, role in super_peers_in(self.cluster))
            asked.most = max(asked.most, counted)
        most = asked.most * len(asked.reaches)
        self.expect(asked.sent <= most, f"query {message.id} is sent {asked.sent} times, {most} at most")


class SearchesEnd(Check):
    """Nobody waits for ever, and nobody has to find out by itself that nothing more comes."""

    promise = "a search ends with an end mark for everybody who has asked and lives"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._open: dict[tuple[str, int, str], list[float]] = {}
        # By asker and query: since when somebody waits for the end mark, and of whom.
        self._unmarked: dict[tuple[str, str], tuple[float, Member, int]] = {}

    def on_message(self, member: Member, peer: Peer | None, message: Message) -> None:
        """Somebody asks a super peer, or gets its end mark."""
        if peer is None or not isinstance(message, Query | QueryEnd):
            return
        other = self.cluster.member_with_key(peer.key)
        if isinstance(message, QueryEnd):
            if other is not None and self._unmarked.pop((other.name, message.id), None) is not None:
                self.expect(True, "")
        elif other is not None:
            self._unmarked[member.name, message.id] = (self.now, other, other.starts)

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        """A search begins or ends."""
        if event in ("asked", "sought"):
            member = self.cluster.members[details["node"]]
            self._open.setdefault((member.name, member.starts, details["words"]), []).append(self.now)
        elif event == "search-ended":
            begun = self._open.get((details["node"], details["starts"], details["words"]))
            if begun:
                took_s = self.now - begun.pop(0)
                self.expect(took_s <= _SEARCH_S, f"a search of {details['node']} took {took_s:.0f} s")

    def on_second(self) -> None:
        """Some may have been waiting for too long."""
        is_disturbed = bool(self.cluster.network.ways.cuts)
        for key, begun in list(self._open.items()):
            name, starts, words = key
            member = self.cluster.members[name]
            if not begun or member.node is None or member.starts != starts:
                del self._open[key]
            elif member.host.is_paused or is_disturbed:
                self._open[key] = [self.now] * len(begun)
            elif self.now - begun[0] > _SEARCH_S:
                self.expect(False, f"{name} still waits for what it has asked for, {words!r}")
        for (name, query_id), (since, super_peer, starts) in list(self._unmarked.items()):
            if self.now - since > _END_MARK_S or super_peer.node is None or is_disturbed:
                del self._unmarked[name, query_id]
                is_late = not is_disturbed and self._waits(name, since, super_peer, starts)
                self.expect(not is_late, f"{super_peer.name} sends {name} no end mark")

    def _waits(self, asker: str, since: float, super_peer: Member, starts: int) -> bool:
        """Whether somebody has been a leaf of a super peer all the time since it asked, and both live."""
        member, role = self.cluster.members[asker], super_peer_of(super_peer)
        if member.node is None or super_peer.node is None or super_peer.starts != starts or role is None:
            return False
        if member.host.is_paused or super_peer.host.is_paused:
            return False
        registrants = role.leaves.registrants.values()
        return any(each.peer.key == member.key and each.since < since for each in registrants)


class FoundAgain(Check):
    """A leaf that loses its super peers is with others soon.

    Not asked of those who have just begun: all that they know may be gone. And not while nothing gets through between
    some machines, or some stand still or are slow: there may be no way to another super peer then. Nor while all super
    peers are full: the time counts from when one has room.
    """

    promise = "a weak peer whose super peer has died is found again within 10 s"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._first: dict[str, str] = {}
        self._lost_since: dict[str, float] = {}
        self._new: set[str] = set()
        self._faults = 0
        self._calm_since = 0.0
        self._full_at = 0.0

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        """Somebody shares files; or a fault begins or ends."""
        if event == "shares" and details["digests"]:
            self._first[details["node"]] = details["digests"][0]
        elif event == "fault" and not fault_kind(details["fault"]).nature.takes_down:
            self._faults += 1 if details["what"] == "begins" else -1
            self._calm_since = self.now

    def on_start(self, member: Member) -> None:
        """Who has just come is not found yet, and that is no fault."""
        if member.name in self._first:
            self._new.add(member.name)
            self._lost_since[member.name] = self.now

    def on_second(self) -> None:
        """See who is not to be found."""
        taken: dict[str, list[SuperPeer]] = {}
        room = 0
        for _, role in super_peers_in(self.cluster):
            room += role.leaves.room
            for registrant in role.leaves.registrants.values():
                taken.setdefault(registrant.peer.key, []).append(role)
        if not room:
            self._full_at = self.now
        for name in self._first:
            member = self.cluster.members[name]
            if member.node is None:
                self._lost_since.pop(name, None)
            elif member.key not in taken or (
                name in self._lost_since and not self._is_found(member, taken[member.key])
            ):
                self._not_found(member)
            elif self._lost_since.pop(name, None) is not None:
                self._new.discard(name)
                self.expect(True, "")

    def _not_found(self, member: Member) -> None:
        since = max(self._lost_since.setdefault(member.name, self.now), self._calm_since, self._full_at)
        # A silence is noticed when it has been long enough.
        noticed_s = max(0.0, member.programme.limits.silence_s - _FOUND_AGAIN_S)
        lost_s = self.now - since
        if member.name not in self._new and not self._faults and lost_s > _FOUND_AGAIN_S + noticed_s:
            self.expect(False, f"{member.name} is found nowhere for {lost_s:.0f} s")

    def _is_found(self, member: Member, roles: Iterable[SuperPeer]) -> bool:
        """Whether one of the super peers that have taken somebody names it."""
        digest = self._first[member.name]
        return any(
            lister.peer.key == member.key
            for role in roles
            for title in role.leaves.directory.exact_matches(None, digest)
            for lister, _ in role.leaves.directory.holders(title)
        )


class RoomIsMade(Check):
    """Weak peers become super peers where there are too few.

    It is asked when the network has settled, and only while somebody is left that may become one.
    """

    promise = "when super peers are full, weak peers that may become some make room for all"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._may_lead: Sequence[str] = ()
        self._sharing: list[str] = []

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        """Somebody shares files; or it is told who may become a super peer."""
        if event == "shares":
            self._sharing.append(details["node"])
        elif event == "may-lead":
            self._may_lead = details["names"]

    def on_settled(self) -> None:
        """See who has no super peer, though there could be one more."""
        leading = {member.name for member, _ in super_peers_in(self.cluster)}
        left = [name for name in self._may_lead if self._runs(name) and name not in leading]
        if not left:
            return
        taken = {each.peer.key for _, role in super_peers_in(self.cluster) for each in role.leaves.registrants.values()}
        for name in self._sharing:
            if self._runs(name) and name not in leading:
                is_taken = self.cluster.members[name].key in taken
                self.expect(is_taken, f"no super peer has taken {name}, and {left[0]} is none")

    def _runs(self, name: str) -> bool:
        return self.cluster.members[name].node is not None


class TablesNeverHide(Check):
    """Query routing leaves out only those who have nothing."""

    promise = "what is there is found by its name within reach, whatever tables say"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._due: dict[tuple[str, str], int] = {}

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        """A file is sought whose holders are known; or that has ended."""
        if event == "sought":
            member = self.cluster.members[details["node"]]
            self._due[member.name, details["words"]] = self._count_due(member, details["holders"])
        elif event == "search-ended":
            due = self._due.pop((details["node"], details["words"]), None)
            if due is not None:
                found = details["found"]
                self.expect(found >= due, f"{details['node']} finds {details['words']!r} {found} times of {due}")

    def _count_due(self, asker: Member, holders: Collection[str]) -> int:
        """How many of those who have a file are to be found: by any super peer that may be asked."""
        leaf = leaf_of(asker)
        assert leaf is not None, "it asks"
        near: set[str] | None = None
        roles = {member.name: role for member, role in super_peers_in(self.cluster)}
        for peer in leaf.registered_with:
            super_peer = self.cluster.member_with_key(peer.key)
            if super_peer is not None and super_peer.name in roles:
                reached = within_reach(self.cluster, super_peer, roles[super_peer.name].ttl)
                near = reached if near is None else near & reached
        taken = Counter(each.peer.key for name in near or () for each in roles[name].leaves.registrants.values())
        members = (self.cluster.members[name] for name in holders)
        return sum(each is not asker and each.node is not None and taken[each.key] > 0 for each in members)


class PathsExpire(Check):
    """No search is remembered for ever."""

    promise = "a super peer remembers only the queries of the last minute"

    _WINDOW_S: ClassVar[float] = 61.0

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._begun: deque[tuple[float, str]] = deque()
        self._ids: set[str] = set()
        self._most = 0

    def on_datagram(self, member: Member, address: Address, message: Message, size_bytes: int) -> None:
        """A query may be new."""
        if isinstance(message, Query):
            self._begin(message)

    def on_message(self, member: Member, peer: Peer | None, message: Message) -> None:
        """A query may be new."""
        if isinstance(message, Query):
            self._begin(message)

    def on_second(self) -> None:
        """See how many are remembered: there may be as many as there ever were in a minute, and no more."""
        for member, role in super_peers_in(self.cluster):
            kept = len(role.searches.paths)
            self.expect(
                kept <= self._most, f"{member.name} remembers {kept} queries; there were {self._most} in a minute"
            )

    def _begin(self, query: Query) -> None:
        if query.id in self._ids:
            return
        self._ids.add(query.id)
        self._begun.append((self.now, query.id))
        while self._begun[0][0] < self.now - self._WINDOW_S:
            self._ids.discard(self._begun.popleft()[1])
        self._most = max(self._most, len(self._begun))
