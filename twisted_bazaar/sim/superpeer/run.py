"""A run with super peers: who is linked to whom, who has what, and who looks for it in which way.

The same questions are asked once for each kind of search, on the same network, while peers come and go.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, BinaryIO, ClassVar, Final

from attrs import evolve
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.discovery.superpeer.leaf.leaf import Leaf
from twisted_bazaar.errors import BazaarError
from twisted_bazaar.interfaces import ICatalogue, INode, IRole
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.role import Role
from twisted_bazaar.roles.discovery.superpeer import SuperPeerMethod
from twisted_bazaar.roles.super_peer import SuperPeer
from twisted_bazaar.sim.cluster import NODE_PORT, Member, Observer, Programme
from twisted_bazaar.sim.invariants import SUPER_PEER_CHECKS
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.run import Run
from twisted_bazaar.sim.scenario import Scenario, write_instant
from twisted_bazaar.sim.superpeer.graph import random_regular_graph
from twisted_bazaar.sim.superpeer.report import SuperPeerReport, SuperPeerStatistics
from twisted_bazaar.sim.superpeer.scenario import AskEntry, Phase, SuperPeerScenario
from twisted_bazaar.sim.superpeer.titles import Titles
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileQuery, Page, SharedFile

log: Final = Logger()

_SUPER_PEERS_KEPT: Final = 2
_SILENCES: Final = 3.0
# Links of a super peer that are not to its leaves.
_LINKS_BESIDES: Final = 64
_MOST_ON_A_PAGE: Final = 100
_MOST_LAST: Final = 50
# What more have would be found even if some were hidden.
_FEW_HOLDERS: Final = 5
# How long before the end the last searches begin, so that they end before it.
_LAST_SEARCH_S: Final = 15.0


class SuperPeerRun(Run[SuperPeerScenario, SuperPeerReport]):
    """One run with super peers.

    @ivar titles: what there is to be found.
    @ivar phase: the kind of search that is used now.
    """

    of: ClassVar[type[Scenario]] = SuperPeerScenario
    moving: ClassVar[Sequence[str]] = ("super-peer", "weak-peer")

    def __init__(
        self,
        scenario: SuperPeerScenario,
        trace_file: BinaryIO | None = None,
        checks: Sequence[type[Check]] = SUPER_PEER_CHECKS,
    ) -> None:
        self._weak_peers = [f"weak-peer-{n + 1}" for n in range(scenario.counts["weak-peer"])]
        self.titles: Titles = Titles(scenario, self._weak_peers)
        self.phase: Phase = scenario.drawn_phases[0]
        super().__init__(scenario, trace_file, checks)
        self.cluster.observe(_Starting(self))

    def _make_statistics(self) -> SuperPeerStatistics:
        return SuperPeerStatistics(self.cluster, self._scenario.results)

    # Who is there.

    def _build(self) -> None:
        scenario = self._scenario
        names = [f"super-peer-{n + 1}" for n in range(scenario.super_peers)]
        hosts = [self.network.add_host(name) for name in names]
        places = [Address(host.address, NODE_PORT) for host in hosts]
        graph = random_regular_graph(len(names), scenario.degree, self._chance("graph"))
        limits = self._limits
        roomy = evolve(limits, max_links=scenario.leaves + _LINKS_BESIDES)
        for name, host, near in zip(names, hosts, graph, strict=True):
            neighbours = [places[n] for n in near]
            programme = Programme(self._super_peer(neighbours), roomy, udp=NODE_PORT)
            self.cluster.add(name, programme, host)
        for name in self._weak_peers:
            rng = self._chance("super peers", name)
            given = rng.sample(places, min(_SUPER_PEERS_KEPT, len(places)))
            if name in self._may_lead:
                self.cluster.add(name, Programme(self._weak_peer(name, given), roomy, udp=NODE_PORT))
            else:
                self.cluster.add(name, Programme(self._weak_peer(name, given), limits))

    @cached_property
    def _may_lead(self) -> frozenset[str]:
        """The names of the weak peers that become super peers when there are too few."""
        count = round(len(self._weak_peers) * self._scenario.may_lead)
        return frozenset(self._chance("may lead").sample(self._weak_peers, count))

    @cached_property
    def _limits(self) -> Limits:
        ping_s = self._scenario.ping_s
        return Limits(min_links=0, max_links=_LINKS_BESIDES, ping_s=ping_s, silence_s=_SILENCES * ping_s)

    def _super_peer(self, neighbours: Sequence[Address]) -> Callable[[Member], Sequence[IRole]]:
        return lambda member: [SuperPeer(neighbours, **self._of_super_peers)]

    @property
    def _of_super_peers(self) -> Mapping[str, Any]:
        """What each super peer is made with, be it one from the beginning or not."""
        scenario = self._scenario
        return {
            "ttl": scenario.ttl,
            "leaves": scenario.leaves,
            "results": scenario.results,
            "degree": scenario.degree,
        }

    def _weak_peer(self, name: str, super_peers: Sequence[Address]) -> Callable[[Member], Sequence[IRole]]:
        def make(member: Member) -> Sequence[IRole]:
            dormant = SuperPeer.dormant(**self._of_super_peers) if name in self._may_lead else None
            way = SuperPeerMethod(super_peers, dormant=dormant)
            way.leaf.results = self._scenario.results
            return [*way.roles, _Sharer(way.leaf, list(self.titles.files_of(name)))]

        return make

    def _joins_at(self, member: Member) -> float:
        """When a member is started: super peers are there before anybody looks for them."""
        scenario, rng = self._scenario, self._chance("joining", member.name)
        first_s = scenario.super_peers_joining_s
        if member.name.startswith("super-peer-"):
            return rng.uniform(0, first_s)
        return rng.uniform(first_s, scenario.joining_s)

    def _draw_session(self, rng: random.Random, is_first: bool) -> float:
        """How long a member stays; of those who are there at any moment, most stay for long.

        So the rest of the first session is not drawn as the others are: of all sessions, the one that somebody is in
        the middle of is a long one, and that moment may be anywhere in it.
        """
        if not is_first:
            return super()._draw_session(rng, is_first)
        shape = self._scenario.session_shape
        length: float = self._session_scale_s * rng.gammavariate(1 + 1 / shape, 1.0) ** (1 / shape)
        return length * rng.random()

    # What is looked for.

    def _draw_wanted(self) -> list[AskEntry]:
        """The same questions for each kind of search, by the same peers, at the same time of its phase."""
        scenario, titles, rng = self._scenario, self.titles, self._chance("questions")
        drawn = []
        for _ in range(scenario.queries):
            title = titles.popularity.draw(rng)
            while title not in titles.holders:
                title = titles.popularity.draw(rng)
            asker, at_s = rng.choice(self._weak_peers), rng.uniform(0, scenario.asking_s)
            for number in range(len(scenario.drawn_phases)):
                at = write_instant(number * scenario.phase_s + at_s)
                drawn.append(AskEntry(asker=asker, at=at, words=titles.names[title]))
        return drawn

    def _with_all_named(self) -> SuperPeerScenario:
        return self._scenario.evolve(queries=0)

    def _start(self) -> None:
        for name in self._weak_peers:
            digests = [self.titles.digest(title) for title in self.titles.held[name]]
            self.cluster.note("shares", node=name, digests=digests)
        if self._may_lead:
            self.cluster.note("may-lead", names=sorted(self._may_lead))
        super()._start()

    def _begin(self) -> None:
        timeline, scenario = self.network.timeline, self._scenario
        self._use(scenario.drawn_phases[0])
        for number, phase in enumerate(scenario.drawn_phases[1:]):
            timeline.at(timeline.now + (number + 1) * scenario.phase_s, self._use, phase)
        super()._begin()

    def _use(self, phase: Phase) -> None:
        """Search in one way from now on."""
        self.phase = phase
        self.cluster.note("phase", name=phase)
        for member in self.cluster.running():
            for role in member.roles:
                if isinstance(role, SuperPeer):
                    _search_by(role, phase)

    def _want(self, entry: AskEntry) -> None:
        member = self._there(entry.asker)
        if member is not None:
            could_have = self._count_online(self.titles.matching(entry.words), member)
            self.cluster.note("asked", node=member.name, words=entry.words, could_have=could_have)
            query = FileQuery(words=entry.words, most=_MOST_ON_A_PAGE)
            self._search(member, query, entry.words)

    def _there(self, name: str) -> Member | None:
        """The leaf of this name or, if it is away, the next that is not; None if nobody is there."""
        at = self._weak_peers.index(name)
        members = self.cluster.members
        names = (self._weak_peers[(at + n) % len(self._weak_peers)] for n in range(len(self._weak_peers)))
        return next((members[each] for each in names if members[each].node is not None), None)

    def _count_online(self, titles: Iterable[int], asker: Member) -> int:
        """How many files with one of these titles others have who are there."""
        holders = (self.cluster.members[name] for title in titles for name in self.titles.holders[title])
        return sum(member.node is not None and member is not asker for member in holders)

    def _search(self, member: Member, query: FileQuery, words: str) -> None:
        """Let a member search, and tell when that has ended and what was found."""
        leaf, starts = next(role for role in member.roles if isinstance(role, Leaf)), member.starts

        def ended(page: Page | None) -> None:
            found = 0 if page is None else sum(file.sources for file in page.files)
            self.cluster.note("search-ended", node=member.name, starts=starts, words=words, found=found)

        def failed(failure: Failure) -> None:
            failure.trap(BazaarError)
            ended(None)

        leaf.search(query).addCallbacks(ended, failed).addErrback(_log_failure)

    # What is asked in the end, when nobody comes or goes any more.

    def _begin_rest(self) -> None:
        super()._begin_rest()
        self.cluster.note("phase", name=None)
        scenario, timeline = self._scenario, self.network.timeline
        if scenario.mode == "liveness" and not scenario.loss and scenario.settle_s > _LAST_SEARCH_S:
            timeline.at(timeline.now + scenario.settle_s - _LAST_SEARCH_S, SuperPeerRun._seek, self)

    def _seek(self) -> None:
        """Look for some files by their names, which are all to be found by whoever is near enough."""
        rng, titles = self._chance("last questions"), self.titles
        few = sorted(title for title, holders in titles.holders.items() if len(holders) <= _FEW_HOLDERS)
        for title in rng.sample(few, min(_MOST_LAST, len(few))):
            member = self._there(rng.choice(self._weak_peers))
            if member is not None:
                name, holders = titles.names[title], titles.holders[title]
                self.cluster.note("sought", node=member.name, words=name, holders=holders)
                self._search(member, FileQuery(name=name), name)


class _Sharer(Role):
    """Has files that others can find; nobody fetches them here."""

    def __init__(self, catalogue: ICatalogue, files: Sequence[SharedFile]) -> None:
        self._catalogue = catalogue
        self._files = files

    def start(self, node: INode) -> None:
        """Tell what there is."""
        super().start(node)
        self._catalogue.publish(self._files, [])


class _Starting(Observer):
    """Lets super peers that are started search in the same way as the others.

    Not before that: one that begins without query routing tells no tables, and would have none when it is needed.
    """

    def __init__(self, run: SuperPeerRun) -> None:
        self._run = run

    def on_start(self, member: Member) -> None:
        """A super peer may have been."""
        for role in member.roles:
            if isinstance(role, SuperPeer):
                _search_by(role, self._run.phase)


def _search_by(role: SuperPeer, phase: Phase) -> None:
    """Let a super peer search in one way."""
    role.query_routing = phase != "flood"
    role.dynamic_querying = phase == "dynamic"


def _log_failure(failure: Failure) -> None:
    log.failure("a search has failed", failure)
