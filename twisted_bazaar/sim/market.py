"""A run of the market: its topology, its trade, its churn, and what is asked of it in the end.

Nodes find each other through the tracker as daemons do. Sellers keep their books on their disks, so
that what they have sold outlives them. Wants come up at random times while everything goes on.

Each member has sources of chance of its own, and so have the faults: to leave some of them out does not
change what happens to the others more than it has to.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO, Final

from twisted_bazaar.interfaces import IRole
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.roles.buyer import Buyer, Want
from twisted_bazaar.roles.seller import Seller
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.sim.cluster import TRACKER, Cluster, Member, Programme, limits_of
from twisted_bazaar.sim.conditions import Conditions
from twisted_bazaar.sim.faults import Fault, Faults, draw_faults
from twisted_bazaar.sim.invariants import CHECKS
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.invariants.wants import WantsAreMet
from twisted_bazaar.sim.reactor import Network
from twisted_bazaar.sim.report import Figures, Report
from twisted_bazaar.sim.scenario import FaultEntry, PurchaseEntry, Scenario, write_duration
from twisted_bazaar.sim.store import DiskStore
from twisted_bazaar.sim.trace import Trace
from twisted_bazaar.trade.memory import MemoryPurchases, MemorySales
from twisted_bazaar.values.sale import Supply

Progress = Callable[[float, float], None]
Programmes = Mapping[str, Programme]

_LOOK_S: Final = 1.0
# Who waits for a large run wants to hear more often than that.
_PROGRESS_S: Final = 0.1
_JOINING_NODES_A_SECOND: Final = 100
_FIRST_LINKS_S: Final = 10.0
# What is drawn stands in files too, to the millisecond.
_TICK_S: Final = 0.001
_AWAY_S: Final = 30.0
_STOPPING_S: Final = 10.0


class MarketRun:
    """One run.

    @param scenario: what to do.
    @param trace_file: gets a JSON line for each event, if given.
    @param limits: the limits of every node but the tracker, but for what the scenario says.
    @ivar faults: what goes wrong, drawn or named, in the order of time.
    @ivar purchases: what is wanted, drawn or named, in the order of time.
    """

    def __init__(
        self,
        scenario: Scenario,
        trace_file: BinaryIO | None = None,
        limits: Limits | None = None,
        checks: Sequence[type[Check]] = CHECKS,
    ) -> None:
        self._scenario = scenario
        usual = Conditions(loss=scenario.loss, bytes_a_second=scenario.bandwidth)
        self.network = Network(scenario.seed, usual, scenario.latency_draw)
        self.cluster = Cluster(self.network)
        self._trace = Trace(self.network.timeline, trace_file)
        self._figures = Figures(self.cluster)
        self._wants_met = WantsAreMet(self.cluster)
        self._checks = [*(check(self.cluster) for check in checks), self._wants_met]
        for observer in (self._trace, self._figures, *self._checks):
            self.cluster.observe(observer)
        self._limits = limits_of(min_links=scenario.degree, max_links=scenario.max_links) if limits is None else limits
        self._faults = Faults(self.cluster)
        self._churns = scenario.churn > 0
        self._sessions: dict[str, random.Random] = {}
        self._asked: dict[str, list[PurchaseEntry]] = {}
        self._build()
        self.faults = self._all_faults()
        self.purchases = self._all_purchases()

    def run(self, progress: Progress | None = None, *, stop_at_violation: bool = True) -> Report:
        """Do it.

        @param progress: called with the virtual seconds done and to do.
        @param stop_at_violation: whether to end as soon as a promise is found broken.
        """
        scenario = self._scenario
        joining_s = scenario.nodes / _JOINING_NODES_A_SECOND
        lively = scenario.mode == "liveness"
        whole_s = joining_s + _FIRST_LINKS_S + scenario.for_s + (scenario.settle_s if lively else 0.0) + _STOPPING_S
        ended = False
        try:
            self._start(joining_s)
            phases = [(joining_s + _FIRST_LINKS_S, self._begin_trade), (scenario.for_s, self._begin_rest)]
            if lively:
                phases.append((scenario.settle_s, self._wants_met.ask))
            phases += [(0.0, self._stop_all), (_STOPPING_S, lambda: None)]
            for for_s, then in phases:
                ended = self._go_on(for_s, whole_s, progress, stop_at_violation)
                if ended:
                    self._figures.count_wants()
                    break
                then()
        finally:
            for check in self._checks:
                check.end()
                for violation in check.violations:
                    self.cluster.note("violation", promise=violation.promise, at_s=violation.at_s, text=violation.text)
        return self._figures.report(scenario.seed, self._trace.digest, self._checks)

    # The phases of a run.

    def _start(self, joining_s: float) -> None:
        timeline = self.network.timeline
        for member in self.cluster.members.values():
            at = 0.0 if member.name == TRACKER else self._chance("joining", member.name).uniform(0, joining_s)
            timeline.at(at, Member.keep_running, member)

    def _begin_trade(self) -> None:
        self._faults.schedule(self.faults)
        timeline = self.network.timeline
        for purchase in self.purchases:
            timeline.at(timeline.now + purchase.at_s, self._want, purchase)
        if self._churns:
            for member in self.cluster.members.values():
                if member.name.startswith(("relay-", "seller-")):
                    self._sessions[member.name] = self._chance("sessions", member.name)
                    self._begin_session(member)

    def _begin_rest(self) -> None:
        """No more faults and no more churn, unless this run is about safety only."""
        if self._scenario.mode == "liveness":
            self._churns = False
            self._faults.end_all()
            for member in self.cluster.members.values():
                member.keep_running()

    def _stop_all(self) -> None:
        self._churns = False
        self._faults.end_all()
        self._figures.count_wants()
        for member in self.cluster.running():
            member.stop()

    def _go_on(self, for_s: float, whole_s: float, progress: Progress | None, stop_at_violation: bool) -> bool:
        """Let time pass, and look into the nodes now and then; returns whether the run is to end."""
        timeline = self.network.timeline
        until = timeline.now + for_s
        while timeline.now < until:
            look_at = min(until, timeline.now + _LOOK_S)
            while timeline.now < look_at:
                timeline.run_until(min(look_at, timeline.now + _PROGRESS_S))
                if progress is not None:
                    progress(timeline.now, whole_s)
            for check in self._checks:
                check.look()
            if stop_at_violation and self._is_broken:
                return True
        # What was asked between two phases may have been answered with no.
        return stop_at_violation and self._is_broken

    @property
    def _is_broken(self) -> bool:
        return any(check.violations for check in self._checks)

    # Who is there.

    def _build(self) -> None:
        cluster, scenario = self.cluster, self._scenario
        cluster.add_tracker(lambda member: [Tracker()])
        for name in scenario.names()[1:]:
            make_roles: Callable[[Member], Sequence[IRole]]
            if name.startswith("seller-"):
                make_roles = self._seller_of(self._supplies(name))
            elif name.startswith("buyer-"):
                make_roles = self._buyer_of(name)
            else:
                make_roles = _relay
            cluster.add(name, Programme(make_roles, self._limits))

    def _supplies(self, name: str) -> dict[str, Supply]:
        """What a seller has; each begins where the one before has ended, so that all is somewhere if it can be."""
        scenario, rng = self._scenario, self._chance("supplies", name)
        first = (int(name.removeprefix("seller-")) - 1) * scenario.kinds
        items = dict.fromkeys((first + n) % scenario.items for n in range(min(scenario.kinds, scenario.items)))
        return {f"item-{item + 1}": Supply(scenario.stock, rng.randint(1, 100)) for item in items}

    @staticmethod
    def _seller_of(supplies: Mapping[str, Supply]) -> Callable[[Member], Sequence[IRole]]:
        return lambda member: [Seller(supplies, DiskStore(member.host, "sales", MemorySales))]

    def _buyer_of(self, name: str) -> Callable[[Member], Sequence[IRole]]:
        """A buyer, which when it is started again is told what it was told before."""
        asked = self._asked[name] = []
        return lambda member: [
            Buyer([Want(want.item, want.quantity) for want in asked], DiskStore(member.host, "orders", MemoryPurchases))
        ]

    def _chance(self, *of: str) -> random.Random:
        """A source of chance for one thing about one member."""
        return random.Random("/".join((str(self._scenario.seed), *of)))

    def _want(self, purchase: PurchaseEntry) -> None:
        self._asked[purchase.buyer].append(purchase)
        member = self.cluster.members[purchase.buyer]
        for role in member.roles:
            if member.node is not None and isinstance(role, Buyer):
                role.add(Want(purchase.item, purchase.quantity))

    def _all_purchases(self) -> list[PurchaseEntry]:
        """What is wanted, drawn or named, in the order of time."""
        scenario = self._scenario
        drawn = []
        for number in range(scenario.buyers):
            buyer = f"buyer-{number + 1}"
            rng = self._chance("wants", buyer)
            for _ in range(scenario.wants):
                at = write_duration(rng.uniform(0, scenario.for_s) // _TICK_S * _TICK_S)
                item = f"item-{rng.randint(1, scenario.items)}"
                drawn.append(PurchaseEntry(buyer=buyer, at=at, item=item, quantity=rng.randint(1, 3)))
        return sorted([*drawn, *scenario.purchases], key=lambda purchase: purchase.at_s)

    # Who comes and goes.

    def _all_faults(self) -> list[Fault]:
        scenario = self._scenario
        names, rng = scenario.names(), self._chance("faults")
        drawn = draw_faults(rng, names, scenario.for_s, scenario.faults_a_minute, scenario.drawn_kinds)
        # Rounded, the last one may have come to lie on the end.
        in_time = [fault for fault in drawn if fault.at_s < scenario.for_s]
        named = [entry.to_fault() for entry in scenario.faults]
        return sorted([*in_time, *named], key=lambda fault: (fault.at_s, fault.nodes))

    def fixed(self) -> Scenario:
        """The same scenario with all that was drawn named, so that some can be left out; its run is the same."""
        faults = [FaultEntry.of(fault) for fault in self.faults]
        return self._scenario.evolve(
            faults=faults, faults_a_minute=0.0, fault_kinds=[], purchases=self.purchases, wants=0
        )

    def _begin_session(self, member: Member) -> None:
        shape = self._scenario.session_shape
        mean_s = 60.0 / self._scenario.churn
        length_s = self._sessions[member.name].weibullvariate(mean_s / math.gamma(1 + 1 / shape), shape)
        timeline = self.network.timeline
        timeline.at(timeline.now + length_s, self._end_session, (member, member.starts))

    def _end_session(self, what: tuple[Member, int]) -> None:
        member, starts = what
        rng = self._sessions[member.name]
        if not self._churns:
            return
        if member.node is not None and member.starts == starts:
            if rng.random() < 0.5:
                member.stop()
            else:
                member.kill()
        timeline = self.network.timeline
        timeline.at(timeline.now + rng.expovariate(1 / _AWAY_S), self._come_back, member)

    def _come_back(self, member: Member) -> None:
        if not self._churns:
            return
        member.keep_running()
        self._begin_session(member)


def _relay(member: Member) -> Sequence[IRole]:
    return ()
