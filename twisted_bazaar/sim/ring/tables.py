"""The tables of the paper on Chord with ours beside them, each made by runs of the scenario.

Source: Stoica, Morris, Liben-Nowell, Karger, Kaashoek, Dabek and Balakrishnan, "Chord: a scalable peer-to-peer lookup
protocol for Internet applications", IEEE/ACM Transactions on Networking 11(1), 2003: what it says of the length of
paths, Table II and Table III. What differs there and here, the page on simulations says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from attrs import frozen

from twisted_bazaar.sim.invariants.ring import NothingIsLost
from twisted_bazaar.sim.report import quantile
from twisted_bazaar.sim.ring.run import RingRun, look_only
from twisted_bazaar.sim.ring.scenario import RingScenario
from twisted_bazaar.sim.run import Progress

_SIZES: Final = (16, 64, 256, 1_000, 4_000, 10_000)
# Rates are those of a ring of so many nodes.
_PAPER_NODES: Final = 1_000
_FEW: Final = 0.01
_NEARLY_ALL: Final = 0.99
# By share of nodes that failed: the path length and the timeouts, each with the first and the 99th percentile.
_TABLE_2: Final[Mapping[float, tuple[str, str]]] = {
    0.0: ("3.84 (2, 5)", "0.00 (0, 0)"),
    0.1: ("4.03 (2, 6)", "0.60 (0, 2)"),
    0.2: ("4.22 (2, 6)", "1.17 (0, 3)"),
    0.3: ("4.44 (2, 6)", "2.02 (0, 5)"),
    0.4: ("4.69 (2, 7)", "3.23 (0, 8)"),
    0.5: ("5.09 (3, 8)", "5.10 (0, 11)"),
}
# By joins and leaves a second: the path length, the timeouts, and how many of 10,000 lookups failed.
_TABLE_3: Final[Mapping[float, tuple[str, str, str]]] = {
    0.05: ("3.90", "0.05", "0"),
    0.10: ("3.83", "0.11", "0"),
    0.15: ("3.84", "0.16", "2"),
    0.20: ("3.81", "0.23", "5"),
    0.25: ("3.83", "0.30", "6"),
    0.30: ("3.91", "0.34", "8"),
    0.35: ("3.94", "0.42", "16"),
    0.40: ("4.06", "0.46", "15"),
}
_STILL: Final[Mapping[str, str]] = {"mode": "safety", "values": "0", "round": "60s", "dead": "0"}


@frozen
class TableRow:
    """One row.

    @ivar cells: one for each column.
    @ivar figures: what ours come from, in values that JSON can hold.
    """

    cells: Sequence[str]
    figures: Mapping[str, Any]


class RingTable(ABC):
    """A table that several runs make.

    @cvar words: what it shows.
    @cvar columns: what is in each.
    @cvar usual: settings that are other than usual if nobody says what they are to be, as on a command line.
    """

    words: ClassVar[str]
    columns: ClassVar[Sequence[str]]
    usual: ClassVar[Mapping[str, str]]

    @abstractmethod
    def runs(self, scenario: RingScenario) -> Sequence[RingScenario]:
        """What is to be run for each row."""

    @abstractmethod
    def row(self, scenario: RingScenario, progress: Progress | None = None) -> TableRow:
        """Run what is to be run for one row.

        @param progress: called with the virtual seconds done and to do.
        """


class PathTable(RingTable):
    """Lengths of lookups by the number of nodes."""

    words = "the length of ways on a ring that is right"
    columns: ClassVar[Sequence[str]] = (
        "nodes",
        "half of log2, as theirs",
        "hops, mean",
        "1 and 99 of 100",
        "failed of 10,000",
    )
    usual: ClassVar[Mapping[str, str]] = {**_STILL, "for": "12s"}

    def runs(self, scenario: RingScenario) -> Sequence[RingScenario]:
        """Rings of several sizes, up to the one that is wished."""
        sizes = [size for size in _SIZES if size < scenario.nodes]
        return [scenario.evolve(nodes=size) for size in (*sizes, scenario.nodes)]

    def row(self, scenario: RingScenario, progress: Progress | None = None) -> TableRow:
        """One size."""
        phase = look_only(scenario, progress)
        hops = phase.hops
        ends = f"{_number(quantile(hops, _FEW), 0)}, {_number(quantile(hops, _NEARLY_ALL), 0)}"
        ours = (_number(phase.mean_hops, 2), ends, _number(phase.failed_of_10_000, 0))
        return TableRow((f"{scenario.nodes:,}", f"{phase.half_log2:.2f}", *ours), phase.to_json())


class DeathsTable(RingTable):
    """Lookups when nodes have died all at once: Table II."""

    words = "lookups that begin when so many nodes have died at once, beside Table II"
    columns: ClassVar[Sequence[str]] = (
        "died",
        "hops, theirs",
        "hops, ours",
        "timeouts, theirs",
        "timeouts, ours",
        "late",
        "failed of 10,000",
        "99 of 100 found in",
    )
    usual: ClassVar[Mapping[str, str]] = {**_STILL, "nodes": "200", "for": "40s"}

    def runs(self, scenario: RingScenario) -> Sequence[RingScenario]:
        """Shares as in the paper."""
        return [scenario.evolve(dead=share) for share in _TABLE_2]

    def row(self, scenario: RingScenario, progress: Progress | None = None) -> TableRow:
        """One share."""
        phase = look_only(scenario, progress)
        hops, timeouts = _TABLE_2[scenario.dead]
        cells = (
            f"{scenario.dead:.0%}",
            hops,
            _with_ends(phase.mean_hops, phase.hops),
            timeouts,
            _with_ends(phase.dead, phase.timeouts),
            _number(phase.late, 2),
            _number(phase.failed_of_10_000, 0),
            f"{_number(quantile(phase.seconds_to_find, _NEARLY_ALL), 2)} s",
        )
        return TableRow(cells, {"died": scenario.dead, **phase.to_json()})


class ChurnTable(RingTable):
    """Lookups while nodes come and go: Table III."""

    words = "lookups while so many nodes join and as many die in a second, for each 1,000, beside Table III"
    columns: ClassVar[Sequence[str]] = (
        "rate",
        "in a round",
        "hops, theirs",
        "hops, ours",
        "timeouts, theirs",
        "timeouts, ours",
        "late",
        "failed of 10,000, theirs",
        "failed of 10,000, ours",
        "bytes a node a second",
    )
    usual: ClassVar[Mapping[str, str]] = {
        "mode": "safety",
        "values": "0",
        "dead": "0",
        "nodes": "100",
        "for": "30s",
        "lookups": "500",
    }

    def runs(self, scenario: RingScenario) -> Sequence[RingScenario]:
        """The rates in the paper, for each thousand nodes."""
        return [scenario.evolve(rate=rate * scenario.nodes / _PAPER_NODES) for rate in _TABLE_3]

    def row(self, scenario: RingScenario, progress: Progress | None = None) -> TableRow:
        """One rate."""
        phase = look_only(scenario, progress)
        rate = scenario.rate * _PAPER_NODES / scenario.nodes
        hops, timeouts, failed = _TABLE_3[round(rate, 2)]
        cells = (
            f"{rate:.2f}",
            f"{scenario.rate * scenario.round_s:.3g}",
            hops,
            f"{_number(phase.mean_hops, 2)} ({_number(phase.p99_hops, 0)})",
            timeouts,
            _number(phase.dead, 2),
            _number(phase.late, 2),
            failed,
            _number(phase.failed_of_10_000, 1),
            f"{phase.bytes_a_second:,.0f}",
        )
        return TableRow(cells, {"rate": scenario.rate, **phase.to_json()})


class RepairTable(RingTable):
    """The fate of a ring after many nodes have died at once, and the cost of its repair."""

    words = "after so many nodes have died at once"
    columns: ClassVar[Sequence[str]] = (
        "died",
        "all successors right after",
        "values lost",
        "of these, not allowed",
        "not got meanwhile",
        "bytes a node a second before",
        "and after repair",
    )
    usual: ClassVar[Mapping[str, str]] = {"mode": "safety", "nodes": "200", "for": "40s", "lookups": "100"}

    def runs(self, scenario: RingScenario) -> Sequence[RingScenario]:
        """A few shares."""
        return [scenario.evolve(dead=share) for share in (0.1, 0.3, 0.5)]

    def row(self, scenario: RingScenario, progress: Progress | None = None) -> TableRow:
        """One share."""
        report = RingRun(scenario, checks=(NothingIsLost,)).run(progress, stop_at_violation=False)
        values, repaired = report.values, report.repaired_s
        cells = (
            f"{scenario.dead:.0%}",
            "-" if repaired is None else f"{repaired:.1f} s",
            f"{values.lost:,} of {values.kept:,}",
            f"{len(report.violations):,}",
            f"{values.missed:,} of {values.asked:,}",
            *(f"{report.phase(name).bytes_a_second:,.0f}" for name in ("calm", "repaired")),
        )
        figures = {**report.own_figures(), "violations": len(report.violations)}
        return TableRow(cells, {"died": scenario.dead, **figures})


TABLES: Final[Mapping[str, RingTable]] = {
    "path": PathTable(),
    "deaths": DeathsTable(),
    "churn": ChurnTable(),
    "repair": RepairTable(),
}


def _with_ends(mean: float | None, all_of_them: Sequence[int]) -> str:
    """A mean with the first and the 99th percentile, as in Table II."""
    ends = (quantile(all_of_them, share) for share in (_FEW, _NEARLY_ALL))
    return f"{_number(mean, 2)} ({', '.join(_number(end, 0) for end in ends)})"


def _number(number: float | None, digits: int) -> str:
    return "-" if number is None else f"{number:,.{digits}f}"
