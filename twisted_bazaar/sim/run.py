"""The run of a scenario: built, begun, disturbed by faults, brought to rest, and asked in the end.

What is simulated, who wants what in it and what it is to be asked, each kind of run says for itself.

Each member has sources of chance of its own, and so have the faults: to leave some of them out does not
change what happens to the others more than it has to.
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, ClassVar, Final, Generic

from twisted_bazaar.sim.cluster import Cluster, Member
from twisted_bazaar.sim.engine.hosts import Network
from twisted_bazaar.sim.engine.network_conditions import Conditions
from twisted_bazaar.sim.faults import Fault, Faults, draw_faults
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.report import AnyReport, Statistics
from twisted_bazaar.sim.scenario import AnyScenario, FaultEntry, Scenario, write_instant
from twisted_bazaar.sim.trace import Trace

Progress = Callable[[float, float], None]

_LOOK_S: Final = 1.0
# Who waits for a large run wants to hear more often than that.
_PROGRESS_S: Final = 0.1
_FIRST_LINKS_S: Final = 10.0
_AWAY_S: Final = 30.0
_STOPPING_S: Final = 10.0


class Run(ABC, Generic[AnyScenario, AnyReport]):
    """One run.

    @param scenario: what to do.
    @param trace_file: gets a JSON line for each event, if given.
    @param checks: the promises to watch.
    @cvar of: the kind of scenario that it runs.
    @cvar moving: the kinds of node that come and go.
    @ivar faults: what goes wrong, drawn or named, in the order of time.
    @ivar wanted: what is wanted, drawn or named, in the order of time.
    """

    of: ClassVar[type[Scenario]]
    moving: ClassVar[Sequence[str]]

    def __init__(
        self, scenario: AnyScenario, trace_file: BinaryIO | None = None, checks: Sequence[type[Check]] = ()
    ) -> None:
        self._scenario = scenario
        usual = Conditions(loss=scenario.loss, bytes_a_second=scenario.bandwidth)
        self.network: Network = Network(scenario.seed, usual, scenario.latency_draw)
        self.cluster: Cluster = Cluster(self.network)
        self._trace = Trace(self.network.timeline, trace_file)
        self._statistics = self._make_statistics()
        self._checks = [check(self.cluster) for check in checks]
        for observer in (self._trace, self._statistics, *self._checks):
            self.cluster.observe(observer)
        self._faults = Faults(self.cluster)
        self._churns = scenario.churn > 0
        self._sessions: dict[str, random.Random] = {}
        self._build()
        self.faults: list[Fault] = self._all_faults()
        self.wanted: list[Any] = sorted([*self._draw_wanted(), *scenario.wanted], key=lambda entry: entry.at_s)

    # What each kind of run says for itself.

    @abstractmethod
    def _make_statistics(self) -> Statistics[AnyReport]:
        """What is counted."""

    @abstractmethod
    def _build(self) -> None:
        """Add every member that the scenario names; none is started."""

    @abstractmethod
    def _draw_wanted(self) -> Sequence[Any]:
        """What chance lets be wanted, as entries of the scenario."""

    @abstractmethod
    def _want(self, entry: Any) -> None:
        """Something is wanted now."""

    @abstractmethod
    def _with_all_named(self) -> AnyScenario:
        """The same scenario with nothing drawn but what it says of faults."""

    # What is done with it.

    def run(self, progress: Progress | None = None, *, stop_at_violation: bool = True) -> AnyReport:
        """Do it.

        @param progress: called with the virtual seconds done and to do.
        @param stop_at_violation: whether to end as soon as a promise is found broken.
        """
        scenario = self._scenario
        joining_s = scenario.joining_s
        lively = scenario.mode == "liveness"
        whole_s = joining_s + _FIRST_LINKS_S + scenario.for_s + (scenario.settle_s if lively else 0.0) + _STOPPING_S
        ended = False
        try:
            self._start()
            phases = [(joining_s + _FIRST_LINKS_S, self._begin), (scenario.for_s, self._begin_rest)]
            if lively:
                phases.append((scenario.settle_s, self._ask))
            phases += [(0.0, self._stop_all), (_STOPPING_S, lambda: None)]
            for for_s, then in phases:
                ended = self._run_for(for_s, whole_s, progress, stop_at_violation)
                if ended:
                    self._statistics.count_wants()
                    break
                then()
        finally:
            for check in self._checks:
                check.on_end()
                for violation in check.violations:
                    self.cluster.note("violation", promise=violation.promise, at_s=violation.at_s, text=violation.text)
        return self._statistics.make_report(scenario.seed, self._trace.digest, self._checks)

    def fixed(self) -> AnyScenario:
        """The same scenario with all that was drawn named, so that some can be left out; its run is the same."""
        faults = [FaultEntry.of(fault) for fault in self.faults]
        named = self._with_all_named()
        return named.evolve(
            faults=faults, faults_a_minute=0.0, fault_kinds=[], **{self._scenario.wanted_by: self.wanted}
        )

    # The phases of a run.

    def _start(self) -> None:
        timeline = self.network.timeline
        for member in self.cluster.members.values():
            timeline.at(self._joins_at(member), Member.keep_running, member)

    def _joins_at(self, member: Member) -> float:
        """When a member is started."""
        scenario = self._scenario
        if member.name == scenario.hub:
            return 0.0
        return self._chance("joining", member.name).uniform(0, scenario.joining_s)

    def _begin(self) -> None:
        self._faults.schedule(self.faults)
        timeline = self.network.timeline
        for entry in self.wanted:
            timeline.at(timeline.now + entry.at_s, self._want, entry)
        if self._churns:
            for member in self.cluster.members.values():
                if member.name.rpartition("-")[0] in self.moving:
                    self._sessions[member.name] = self._chance("sessions", member.name)
                    self._begin_session(member, is_first=True)

    def _begin_rest(self) -> None:
        """No more faults and no more churn, unless this run is about safety only."""
        if self._scenario.mode == "liveness":
            self._churns = False
            self._faults.end_all()
            for member in self.cluster.members.values():
                if self._is_to_run(member):
                    member.keep_running()

    def _is_to_run(self, member: Member) -> bool:
        """Whether a member is to be there when no more goes wrong."""
        return True

    def _ask(self) -> None:
        for check in self._checks:
            check.on_settled()

    def _stop_all(self) -> None:
        self._churns = False
        self._faults.end_all()
        self._statistics.count_wants()
        for member in self.cluster.running():
            member.stop()

    def _run_for(self, for_s: float, whole_s: float, progress: Progress | None, stop_at_violation: bool) -> bool:
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
                check.on_second()
            if stop_at_violation and self._is_broken:
                return True
        # What was asked between two phases may have been answered with no.
        return stop_at_violation and self._is_broken

    @property
    def _is_broken(self) -> bool:
        return any(check.violations for check in self._checks)

    # What chance decides.

    def _chance(self, *of: str) -> random.Random:
        """A source of chance for one thing about one member."""
        return random.Random("/".join((str(self._scenario.seed), *of)))

    def _draw_instant(self, rng: random.Random) -> str:
        """Some instant before everything comes to rest, as an entry has it."""
        return write_instant(rng.uniform(0, self._scenario.for_s))

    def _all_faults(self) -> list[Fault]:
        scenario = self._scenario
        names, rng = scenario.names(), self._chance("faults")
        drawn = draw_faults(rng, names, scenario.for_s, scenario.faults_a_minute, scenario.drawn_kinds)
        # Rounded, the last one may have come to lie on the end.
        in_time = [fault for fault in drawn if fault.at_s < scenario.for_s]
        named = [entry.to_fault() for entry in scenario.faults]
        return sorted([*in_time, *named], key=lambda fault: (fault.at_s, fault.nodes))

    # Who comes and goes.

    def _begin_session(self, member: Member, *, is_first: bool = False) -> None:
        length_s = self._draw_session(self._sessions[member.name], is_first)
        timeline = self.network.timeline
        timeline.at(timeline.now + length_s, self._end_session, (member, member.starts))

    def _draw_session(self, rng: random.Random, is_first: bool) -> float:
        """How long a member stays, in seconds.

        @param is_first: whether it is there since before anybody began to come and go.
        """
        return rng.weibullvariate(self._session_scale_s, self._scenario.session_shape)

    @property
    def _session_scale_s(self) -> float:
        """The scale of the Weibull distribution of session lengths, which gives them the mean that churn says."""
        return 60.0 / self._scenario.churn / math.gamma(1 + 1 / self._scenario.session_shape)

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
