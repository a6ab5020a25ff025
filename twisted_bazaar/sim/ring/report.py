"""The report of a ring: lookups and their steps, losses, and what it took to keep the ring right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from attrs import asdict, define, field, frozen

from twisted_bazaar.discovery.ring.rpc.messages import RingFind, RingFound
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.sim.cluster import Cluster, Member
from twisted_bazaar.sim.figures import (
    Comparison,
    Figure,
    count_of,
    figures_side_by_side,
    figures_to_json,
    write_seconds,
)
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.report import Report, Statistics, mean, quantile
from twisted_bazaar.sim.ring.global_view import RingView
from twisted_bazaar.sim.ring.scenario import PHASES, Phase
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.message import Message

_NEARLY_ALL: Final = 0.99

_FIGURES: Final[Sequence[Figure[RingReport]]] = (
    Figure("right", "lookups that were right", lambda report: f"{report.right:,} of {report.wants:,}"),
    Figure("dead", "died at once", lambda report: count_of(report.dead, "node") if report.dead else None),
    Figure(
        "repaired_s",
        "all successors right",
        lambda report: f"{write_seconds(report.repaired_s)} later" if report.dead else None,
    ),
    Figure("", "values lost", lambda report: f"{report.values.lost:,} of {report.values.kept:,}"),
    Figure(
        "",
        "values not got then",
        lambda report: f"{report.values.missed:,} of {report.values.asked:,} that were there" if report.dead else None,
    ),
    Figure("claimed_twice", "claimed by two, at most", lambda report: count_of(report.claimed_twice, "node")),
    Figure("values", value=lambda report: asdict(report.values)),
    Figure("phases", value=lambda report: [phase.to_json() for phase in report.phases]),
)
_FIGURES_OF_A_PHASE: Final[Sequence[Figure[PhaseReport]]] = (
    Figure("name"),
    Figure("nodes", "nodes", "{:,}"),
    Figure("asked", "lookups", "{:,}"),
    Figure("failed", "of these, failed", "{:,}"),
    Figure("unfound"),
    Figure("unended", "of these, not ended", "{:,}"),
    Figure("left"),
    Figure("hops_mean", "hops, mean", "{:.2f}", lambda phase: phase.mean_hops),
    Figure("hops_p99", "hops, 99 of 100", "{:.0f}", lambda phase: phase.p99_hops),
    Figure("half_log2_nodes", "half of log2 of nodes", "{:.2f}", lambda phase: phase.half_log2),
    Figure("questions", "nodes asked a lookup", "{:.2f}"),
    Figure("late", "of these, late or dead", "{:.2f}"),
    Figure("late_p99", value=lambda phase: quantile(phase.lates, _NEARLY_ALL)),
    Figure("dead", "of these, dead", "{:.2f}"),
    Figure("dead_p99", value=lambda phase: quantile(phase.timeouts, _NEARLY_ALL)),
    Figure(
        "seconds_to_find_p50",
        "time to find, half of them",
        "{:.3f} s",
        lambda phase: quantile(phase.seconds_to_find, 0.5),
    ),
    Figure(
        "seconds_to_find_p99",
        "time to find, 99 of 100",
        "{:.3f} s",
        lambda phase: quantile(phase.seconds_to_find, _NEARLY_ALL),
    ),
    Figure("seconds"),
    Figure("bytes_a_node_a_second", "other bytes a node a second", "{:,.1f}", lambda phase: phase.bytes_a_second),
)


@frozen(kw_only=True)
class PhaseReport:
    """The results of the lookups of one phase.

    @ivar nodes: how many nodes were on the ring when it began.
    @ivar asked: how many lookups began.
    @ivar failed: how many of them did not find who was responsible when they ended: they found nobody or somebody
        else, or had not ended when all went, or when the node that looked did.
    @ivar unfound: how many of those found nobody.
    @ivar unended: how many of those had not ended.
    @ivar left: how many of these because the node that looked had gone.
    @ivar hops: for each that did not fail, how many nodes one after another led there, the fewest first.
    @ivar questions: how many nodes a lookup asked that ended; the mean.
    @ivar lates: how many of those did not answer in time, dead or not, for each lookup; the fewest first.
    @ivar timeouts: how many of these were dead when it ended.
    @ivar seconds_to_find: for each that did not fail, the shortest first.
    @ivar seconds: how long the phase was.
    @ivar bytes_a_second: what a node sent besides these lookups; the mean.
    """

    name: Phase
    nodes: int
    asked: int
    failed: int
    unfound: int
    unended: int
    left: int
    hops: Sequence[int]
    questions: float | None
    lates: Sequence[int]
    timeouts: Sequence[int]
    seconds_to_find: Sequence[float]
    seconds: float
    bytes_a_second: float

    @property
    def mean_hops(self) -> float | None:
        """The mean of hops; None if none was found."""
        return mean(self.hops)

    @property
    def p99_hops(self) -> float | None:
        """Within how many hops 99 of 100 got there; None if none was found."""
        return quantile(self.hops, _NEARLY_ALL)

    @property
    def late(self) -> float | None:
        """The mean of lates; None if no lookup ended."""
        return mean(self.lates)

    @property
    def dead(self) -> float | None:
        """The mean of timeouts; None if no lookup ended."""
        return mean(self.timeouts)

    @property
    def failed_of_10_000(self) -> float | None:
        """How many of ten thousand lookups failed, at this rate; None if there were none."""
        return 10_000 * self.failed / self.asked if self.asked else None

    @property
    def half_log2(self) -> float:
        """Half of log2 of the number of nodes, which is how long ways on a ring with simple fingers are."""
        return math.log2(self.nodes) / 2 if self.nodes else 0.0

    def to_json(self) -> dict[str, Any]:
        """All of it in values that JSON can hold."""
        return figures_to_json(_FIGURES_OF_A_PHASE, self)


@frozen
class ValuesReport:
    """The fate of the values.

    @ivar kept: how many were, by one more than there are replicas.
    @ivar lost: how many of them no living node has in the end.
    @ivar asked: how often one was asked for that some living node had.
    @ivar missed: how often it was not had.
    """

    kept: int
    lost: int
    asked: int
    missed: int


@frozen(kw_only=True)
class RingReport(Report):
    """The result of a run of a ring.

    @ivar phases: what came of the lookups of each.
    @ivar right: how many lookups of all did not fail.
    @ivar dead: how many nodes died at once.
    @ivar repaired_s: how long it then took until every list of successors was right; None if it never was.
    @ivar values: what became of the values.
    @ivar claimed_twice: how many nodes claimed what belongs to others at once, at the most, as seen once a second.
    """

    figures: ClassVar[Sequence[Figure[Any]]] = _FIGURES

    phases: Sequence[PhaseReport]
    right: int
    dead: int
    repaired_s: float | None
    values: ValuesReport
    claimed_twice: int

    @property
    def obtained(self) -> int:
        """How many lookups found who was responsible."""
        return self.right

    def phase(self, name: Phase) -> PhaseReport:
        """What came of the lookups of one phase.

        @raise KeyError: there was none.
        """
        return {phase.name: phase for phase in self.phases}[name]

    @property
    def comparison(self) -> Comparison | None:
        """The phases; None if none began."""
        if not self.phases:
            return None
        rows = figures_side_by_side(_FIGURES_OF_A_PHASE, self.phases)
        return Comparison([PHASES[phase.name] for phase in self.phases], rows)


@define(eq=False)
class _PhaseCount:
    """Counts of one phase."""

    name: Phase
    began: float
    nodes: int
    bytes_before: int
    seconds: float = 0.0
    nodes_after: int = 0
    bytes: int = 0
    lookup_bytes: int = 0
    # By number, those that go on: who looks, and how often it had been started.
    looking: dict[int, tuple[str, int]] = field(factory=dict)
    found: list[Mapping[str, Any]] = field(factory=list)
    left: int = 0


class RingStatistics(Statistics[RingReport]):
    """Counts what happens on a ring."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._view = RingView.of(cluster)
        self._view.watch(self._changed, lambda contact: None)
        self._phases: list[_PhaseCount] = []
        self._present: _PhaseCount | None = None
        # The identifiers that are looked for, and the questions about them that may be answered.
        self._identifiers: set[str] = set()
        self._questions: set[tuple[str, int]] = set()
        self._died_at: float | None = None
        self._dead = 0
        self._repaired_s: float | None = None
        self._values: dict[str, None] = {}
        self._lost = 0
        self._is_counted = False
        self._asked_for = 0
        self._missed = 0
        self._claimed_twice = 0

    # What the run says.

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        """A phase begins, or something has come of a lookup or a value."""
        now = self._cluster.network.timeline.now
        match event:
            case "phase":
                self._end_phase()
                if details["name"] is not None:
                    self._present = _PhaseCount(details["name"], now, len(self._view), self._bytes_sent())
                    self._phases.append(self._present)
            case "sought":
                self._identifiers.add(details["place"])
                for phase in self._phases_of(details):
                    phase.looking[details["number"]] = (details["node"], details["starts"])
            case "found":
                for phase in self._phases_of(details):
                    del phase.looking[details["number"]]
                    phase.found.append(details)
            case "deaths":
                # While they are all there: what they have sent was sent by so many.
                self._end_phase()
                self._died_at, self._dead = now, len(details["nodes"])
            case "kept":
                self._values[details["name"]] = None
            case "got":
                self._asked_for += details["is_there"]
                self._missed += details["is_there"] and not details["values"]
            case "looked":
                self._claimed_twice = max(self._claimed_twice, details["claimed_twice"])

    def on_datagram(self, member: Member, address: Address, message: Message, size_bytes: int) -> None:
        """Count a datagram; if it is of a lookup, apart."""
        self._sent[type(message)] += 1
        if isinstance(message, RingFind):
            if message.place not in self._identifiers:
                return
            self._questions.add((message.source, message.stamp))
        elif not isinstance(message, RingFound) or (message.destination, message.stamp) not in self._questions:
            return
        if self._present is not None:
            self._present.lookup_bytes += size_bytes

    def _changed(self, contact: Contact) -> None:
        if self._died_at is not None and self._repaired_s is None and not self._view.wrong_after:
            self._repaired_s = self._cluster.network.timeline.now - self._died_at

    def _phases_of(self, details: Mapping[str, Any]) -> Sequence[_PhaseCount]:
        """The phase that a lookup is of; none for those that are made in the end."""
        return [phase for phase in self._phases if phase.name == details["phase"]]

    def _bytes_sent(self) -> int:
        return sum(member.host.bytes_sent for member in self._cluster.members.values())

    def _end_phase(self) -> None:
        present, self._present = self._present, None
        if present is not None:
            present.seconds = self._cluster.network.timeline.now - present.began
            present.bytes = self._bytes_sent() - present.bytes_before
            present.nodes_after = len(self._view)

    # What came of it.

    def count_wants(self) -> None:
        """Everything has been counted as it happened, but what is lost in the end."""
        self._end_phase()
        if self._is_counted:
            # It was asked before all were stopped.
            return
        self._is_counted = True
        self._lost = sum(not self._view.is_kept(name) for name in self._values)
        for phase in self._phases:
            phase.left = sum(not self._is_there(*who) for who in phase.looking.values())

    def _is_there(self, name: str, starts: int) -> bool:
        member = self._cluster.members[name]
        return member.starts == starts and self._view.contact_of(member) is not None

    def make_report(self, seed: int, trace_hash: str, checks: Sequence[Check]) -> RingReport:
        """Everything so far."""
        phases = [_report_of(phase) for phase in self._phases]
        asked = sum(phase.asked for phase in phases)
        return RingReport(
            **self._common_figures(seed, trace_hash, checks),
            wants=asked,
            right=asked - sum(phase.failed for phase in phases),
            phases=phases,
            dead=self._dead,
            repaired_s=self._repaired_s,
            values=ValuesReport(len(self._values), self._lost, self._asked_for, self._missed),
            claimed_twice=self._claimed_twice,
        )


def _report_of(phase: _PhaseCount) -> PhaseReport:
    right = [found for found in phase.found if found["is_right"]]
    node_seconds = phase.seconds * (phase.nodes + phase.nodes_after) / 2
    return PhaseReport(
        name=phase.name,
        nodes=phase.nodes,
        asked=len(phase.found) + len(phase.looking),
        failed=len(phase.found) - len(right) + len(phase.looking),
        unfound=sum(not found["holder"] for found in phase.found),
        unended=len(phase.looking),
        left=phase.left,
        hops=sorted(found["hops"] for found in right),
        questions=mean([found["asked"] for found in phase.found]),
        lates=sorted(found["late"] for found in phase.found),
        timeouts=sorted(found["dead"] for found in phase.found),
        seconds_to_find=sorted(found["seconds"] for found in right),
        seconds=phase.seconds,
        bytes_a_second=(phase.bytes - phase.lookup_bytes) / node_seconds if node_seconds else 0.0,
    )
