"""A run of a ring: lookups and stored values, while many nodes die at once, or some come and go all the time.

What is found is compared with who is responsible at the instant when the lookup ends, as nobody on the ring can know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO, ClassVar, Final

from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.rules.actions import InitialNeighbours
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.lookup import Found
from twisted_bazaar.discovery.ring.storage.dht_client import Holding, Stored
from twisted_bazaar.discovery.ring.storage.entry import VALUES
from twisted_bazaar.errors import BazaarError
from twisted_bazaar.identity.keys import SEED_BYTES, KeyPair
from twisted_bazaar.interfaces import IRole
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.sim.cluster import NODE_PORT, Member, Programme
from twisted_bazaar.sim.invariants import RING_CHECKS
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.invariants.ring import value_of
from twisted_bazaar.sim.ring.churn import Churn
from twisted_bazaar.sim.ring.global_view import RingView
from twisted_bazaar.sim.ring.ideal_ring import initial_neighbours_of
from twisted_bazaar.sim.ring.peer import AnyMember, SimulatedPeer
from twisted_bazaar.sim.ring.report import PhaseReport, RingReport, RingStatistics
from twisted_bazaar.sim.ring.scenario import LookupEntry, Phase, RingScenario
from twisted_bazaar.sim.run import Progress, Run
from twisted_bazaar.sim.scenario import Scenario, write_duration
from twisted_bazaar.values.addresses import Address

log: Final = Logger()

# Values are put when all nodes have been started, and are there before anything is looked for.
_VALUES_AFTER_S: Final = 4.0
_VALUES_WITHIN_S: Final = 3.0
# How long before the end the last questions are asked, so that they are answered before it.
_LAST_QUESTIONS_S: Final = 10.0
_MOST_LAST: Final = 100
_LOOK_S: Final = 1.0
# Nobody looks after its neighbours while it lasts, but for who finds out that one is dead.
_STILL: Final[Mapping[str, Any]] = {"values": 0, "for_": "40s", "mode": "safety", "round": "60s"}


class RingRun(Run[RingScenario, RingReport]):
    """One run of a ring.

    @ivar view: who is on it.
    """

    of: ClassVar[type[Scenario]] = RingScenario
    moving: ClassVar[Sequence[str]] = ("node",)

    def __init__(
        self,
        scenario: RingScenario,
        trace_file: BinaryIO | None = None,
        checks: Sequence[type[Check]] = RING_CHECKS,
    ) -> None:
        self._names = scenario.names()
        self._ring = Ring(scenario.settings.bits)
        self._initial_neighbours: dict[str, InitialNeighbours] = {}
        self._limits = Limits(min_links=0)
        self._sought = 0
        self._turnover = Churn(scenario.rate)
        self._is_ending = False
        super().__init__(scenario, trace_file, checks)
        self.view: RingView = RingView.of(self.cluster)

    def _make_statistics(self) -> RingStatistics:
        return RingStatistics(self.cluster)

    # Who is there.

    def _build(self) -> None:
        for name in self._names:
            self._add(name)
        if self._scenario.begin == "placed":
            self._give_seats()

    def _add(self, name: str) -> Member:
        host = self.network.add_host(name)
        where = Address(host.address, NODE_PORT)
        return self.cluster.add(name, Programme(self._make_roles, self._limits, advertised=where, udp=NODE_PORT), host)

    def _give_seats(self) -> None:
        contacts = {}
        for name, member in self.cluster.members.items():
            seed = self._chance("key", name).randbytes(SEED_BYTES)
            member.give_key(seed)
            key = KeyPair.from_seed(seed).public
            contacts[Contact(self._ring.id_of_key(key), key, member.udp_address, NODE_PORT)] = name
        initial_neighbours = initial_neighbours_of(self._ring, contacts, self._scenario.successors)
        self._initial_neighbours = {contacts[contact]: initial for contact, initial in initial_neighbours.items()}

    def _make_roles(self, member: Member) -> Sequence[IRole]:
        scenario = self._scenario
        initial = self._initial_neighbours.pop(member.name, None)
        begins = initial is not None or (scenario.begin == "joined" and member.name == self._names[0] and not self.view)
        others = partial(self._others, member)
        rng = self._chance("door", member.name, str(member.starts))
        door = None if begins else AnyMember(member.host, others, rng)
        return [SimulatedPeer(scenario.settings, scenario.replicas, door, initial)]

    def _others(self, member: Member) -> Sequence[Address]:
        """Where others listen by whom a node may join."""
        return [other.address for other in self.cluster.running() if other is not member and self._is_there(other)]

    def _is_there(self, member: Member) -> bool:
        return self.view.contact_of(member) is not None

    def _joins_at(self, member: Member) -> float:
        """When a node is started: all at once, if they are placed; else the first before all others."""
        if self._scenario.begin == "placed" or member.name == self._names[0]:
            return 0.0
        return super()._joins_at(member)

    # What is looked for.

    def _draw_wanted(self) -> list[LookupEntry]:
        scenario, drawn = self._scenario, []
        for phase in scenario.phases:
            rng = self._chance("lookups", phase)
            for number in range(scenario.lookups):
                node, at_s = rng.choice(self._names), rng.uniform(*scenario.looking(phase))
                drawn.append(LookupEntry(node=node, at=write_duration(round(at_s, 3)), key=f"{phase}-{number + 1}"))
        return drawn

    def _with_all_named(self) -> RingScenario:
        return self._scenario.evolve(lookups=0)

    def _start(self) -> None:
        super()._start()
        scenario, timeline = self._scenario, self.network.timeline
        for number in range(scenario.values):
            rng = self._chance("value", str(number))
            at_s = scenario.joining_s + _VALUES_AFTER_S + rng.uniform(0, _VALUES_WITHIN_S)
            timeline.at(at_s, self._put, (rng.choice(self._names), f"value-{number + 1}"))
        timeline.at(_LOOK_S, RingRun._look, self)

    def _begin(self) -> None:
        scenario, timeline = self._scenario, self.network.timeline
        self._enter("calm")
        if scenario.dead:
            # Before those lookups that begin at the same instant.
            timeline.at(timeline.now + scenario.deaths_s, RingRun._let_die, self)
            timeline.at(timeline.now + scenario.looking("repaired")[0], self._enter, "repaired")
        if scenario.rate:
            self._turnover.begin(self.cluster, self.view, self._add, self._chance("joins"), self._chance("leaves"))
        super()._begin()

    def _is_to_run(self, member: Member) -> bool:
        return member not in self._turnover.left

    def _enter(self, phase: Phase | None) -> None:
        self.cluster.note("phase", name=phase)

    def _let_die(self) -> None:
        """Many die at once; then all values are asked for that are left."""
        rng = self._chance("deaths")
        running = [member.name for member in self.cluster.running()]
        dying = sorted(rng.sample(running, round(self._scenario.dead * len(running))))
        self.cluster.note("deaths", nodes=dying)
        for name in dying:
            self.cluster.members[name].kill()
        self._enter("deaths")
        for number in range(self._scenario.values):
            self._get(rng.choice(self._names), f"value-{number + 1}")

    def _want(self, entry: LookupEntry) -> None:
        self._seek(entry.node, entry.key, self._scenario.phase_at(entry.at_s))

    def _there(self, name: str, key: str) -> tuple[Member, SimulatedPeer] | None:
        """The node of this name or, if it is not on the ring, another that is; None if nobody is.

        @param key: what it is to do something about: nodes that are away are not replaced by one and the same.
        """
        contact = self.view.contact_of(self.cluster.members[name])
        if contact is None:
            contact = self.view.some(self._chance("instead", name, key))
        if contact is None:
            return None
        peer = self.view.peers[contact]
        member = self.cluster.member_with_key(contact.key)
        return None if member is None else (member, peer)

    def _seek(self, name: str, key: str, phase: Phase | None) -> None:
        """Let a node look up an identifier, and tell what has come of it.

        @param phase: in which; None for one that is to be right.
        """
        there = self._there(name, key)
        if there is None:
            return
        member, peer = there
        identifier, began, starts = self._ring.key_of(key), self.network.timeline.now, member.starts
        text, number = self._ring.to_wire(identifier), self._sought
        self._sought += 1

        def found(what: Found) -> None:
            if self._is_ending or self.view.contact_of(member) is None or member.starts != starts:
                # It looks for nothing any more; or all go, and nobody is responsible for long.
                return
            holder, right = next(iter(what.holders), None), self.view.holder(identifier)
            self.cluster.note(
                "found" if phase else "last-found",
                node=member.name,
                place=text,
                phase=phase,
                number=number,
                holder="" if holder is None else self._ring.to_wire(holder.id),
                is_right=holder is not None and right is not None and holder.id == right.id,
                hops=what.hops,
                asked=what.asked,
                late=len(what.late),
                dead=sum(contact not in self.view.peers for contact in what.late),
                seconds=round(self.network.timeline.now - began, 6),
            )

        self.cluster.note("sought", node=member.name, starts=starts, place=text, phase=phase, number=number)
        peer.member.lookups.find(identifier).addCallback(found).addErrback(_log_failure)

    # What is kept.

    def _put(self, what: tuple[str, str]) -> None:
        name, key = what
        there = self._there(name, key)
        if there is None:
            return
        member, peer = there

        def kept(stored: Stored) -> None:
            if len(stored.keepers) > min(self._scenario.replicas, len(self.view) - 1):
                self.cluster.note("kept", node=member.name, name=key)

        putting = peer.dht.put(VALUES, key, value_of(key).encode()).addCallback(kept)
        putting.addErrback(lambda failure: failure.trap(BazaarError) and None).addErrback(_log_failure)

    def _get(self, name: str, key: str, *, is_last: bool = False) -> None:
        """Let a node ask for a value, and tell what it got.

        @param is_last: whether it is to be got, if anybody has it.
        """
        there = self._there(name, key)
        if there is None:
            return
        member, peer = there
        is_there, starts = self.view.is_kept(key), member.starts

        def got(holdings: Sequence[Holding] | None) -> None:
            if not self._is_ending and self.view.contact_of(member) is not None and member.starts == starts:
                values = [holding.entry.kept.value.decode() for holding in holdings or ()]
                event = "last-got" if is_last else "got"
                self.cluster.note(event, node=member.name, name=key, is_there=is_there, values=values)

        def not_got(failure: Failure) -> None:
            failure.trap(BazaarError)
            got(None)

        peer.dht.get(VALUES, key).addCallbacks(got, not_got).addErrback(_log_failure)

    # What is asked in the end, when nobody comes or goes any more.

    def _begin_rest(self) -> None:
        self._turnover.end()
        self._enter(None)
        super()._begin_rest()
        scenario, timeline = self._scenario, self.network.timeline
        if scenario.mode == "liveness" and scenario.settle_s > _LAST_QUESTIONS_S:
            timeline.at(timeline.now + scenario.settle_s - _LAST_QUESTIONS_S, RingRun._ask_all, self)

    def _ask_all(self) -> None:
        """Look up some identifiers, and ask for some values."""
        rng = self._chance("last questions")
        numbers = range(1, self._scenario.values + 1)
        for number in rng.sample(numbers, min(_MOST_LAST, len(numbers))):
            self._get(rng.choice(self._names), f"value-{number}", is_last=True)
        for number in range(min(_MOST_LAST, self._scenario.nodes)):
            self._seek(rng.choice(self._names), f"last-{number}", None)

    def _stop_all(self) -> None:
        self._is_ending = True
        self.cluster.note("ending")
        if self._checks:
            super()._stop_all()
        else:
            # Nobody looks at what they leave.
            self._statistics.count_wants()
            for member in self.cluster.running():
                member.kill()

    def _look(self) -> None:
        """See now and then what is not to be seen at events."""
        timeline = self.network.timeline
        self.cluster.note("looked", claimed_twice=self.view.claimed_twice(), wrong_after=len(self.view.wrong_after))
        timeline.at(timeline.now + _LOOK_S, RingRun._look, self)


def look_only(scenario: RingScenario, progress: Progress | None = None) -> PhaseReport:
    """What comes of lookups that are made alone: at the instant when nodes die; if none do, all the time.

    @param progress: called with the virtual seconds done and to do.
    """
    phase: Phase = "deaths" if scenario.dead else "calm"
    run = RingRun(scenario, checks=())
    run.wanted = [entry for entry in run.wanted if scenario.phase_at(entry.at_s) == phase]
    return run.run(progress).phase(phase)


def ring_hops(nodes: int, seed: int, lookups: int = 1_000) -> PhaseReport:
    """What comes of lookups on a ring that is right.

    @param nodes: how many there are on it.
    """
    return look_only(RingScenario(nodes=nodes, seed=seed, lookups=lookups, dead=0.0, **_STILL))


def ring_failures(nodes: int, share: float, lookups: int, seed: int) -> PhaseReport:
    """What comes of lookups that begin at the instant when a share of the nodes of a ring dies, before any repair."""
    return look_only(RingScenario(nodes=nodes, seed=seed, lookups=lookups, dead=share, **_STILL))


def _log_failure(failure: Failure) -> None:
    log.failure("a question to the ring has failed", failure)
