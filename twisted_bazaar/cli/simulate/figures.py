"""The figures of a run in words, for each kind of scenario."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import singledispatch
from typing import Final

from attrs import frozen

from twisted_bazaar.sim.files.report import FilesReport
from twisted_bazaar.sim.files.scenario import FilesScenario
from twisted_bazaar.sim.market.report import MarketReport
from twisted_bazaar.sim.market.scenario import MarketScenario
from twisted_bazaar.sim.report import Report, within
from twisted_bazaar.sim.ring.report import PhaseReport as RingPhaseReport
from twisted_bazaar.sim.ring.report import RingReport
from twisted_bazaar.sim.ring.scenario import Phase as RingPhase
from twisted_bazaar.sim.ring.scenario import RingScenario
from twisted_bazaar.sim.scenario import Scenario
from twisted_bazaar.sim.superpeer.report import PhaseReport, Searches, Sort, SuperPeerReport
from twisted_bazaar.sim.superpeer.scenario import Phase, SuperPeerScenario

Rows = Sequence[tuple[str, str]]

_PHASES: Final[Mapping[Phase, str]] = {
    "flood": "plain flood",
    "routing": "query routing",
    "dynamic": "and dynamic querying",
}
_SORTS: Final[Mapping[Sort, str]] = {"all": "all", "popular": "popular files", "rare": "rare files"}

_RING_PHASES: Final[Mapping[RingPhase, str]] = {
    "calm": "before",
    "deaths": "when they die",
    "repaired": "repaired",
}


@frozen
class Comparison:
    """Figures of several kinds side by side.

    @ivar columns: what each column is.
    @ivar rows: the name of a figure, and what it is in each column.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@singledispatch
def in_words(scenario: Scenario) -> str:
    """What was simulated, in a line."""
    raise NotImplementedError


@singledispatch
def figures_of(report: Report) -> Rows:
    """What only this kind of run has, each figure with its name."""
    raise NotImplementedError


@singledispatch
def comparison_of(report: Report) -> Comparison | None:
    """What is compared in this kind of run; None if nothing is."""
    return None


@in_words.register
def _market_in_words(scenario: MarketScenario) -> str:
    kinds = ((scenario.nodes, "node"), (scenario.sellers, "seller"), (scenario.buyers, "buyer"))
    return _in_words(scenario, *kinds)


@figures_of.register
def _figures_of_market(report: MarketReport) -> Rows:
    return (
        ("wants met", f"{report.purchases:,} of {report.wants:,}"),
        ("searches", f"{report.searches:,}"),
        ("recall", _recall(report)),
        ("messages a search", _number(report.messages_a_search, "{:,.1f}")),
        ("hops to the seller", _number(report.hops, "{:.2f}")),
        ("time to buy", f"{_seconds(report.to_buy(0.5))} (median), {_seconds(report.to_buy(0.99))} (99 of 100)"),
    )


@in_words.register
def _files_in_words(scenario: FilesScenario) -> str:
    counts = scenario.counts
    kinds = ((scenario.nodes, "node"), (counts["sharer"], "sharer"), (counts["liar"], "liar"), (scenario.files, "file"))
    return _in_words(scenario, *kinds)


@figures_of.register
def _figures_of_files(report: FilesReport) -> Rows:
    sent_by = ", ".join(f"{_mib(size)} by {kind}s" for kind, size in report.bytes_by.items())
    return (
        ("files fetched", f"{report.fetched:,} of {report.wants:,}, in {report.attempts:,} downloads"),
        ("time to fetch", f"{_seconds(report.to_fetch(0.5))} (median), {_seconds(report.to_fetch(0.99))} (99 of 100)"),
        ("right bytes", sent_by or "-"),
        ("from partial sources", _number(report.partial_share, "{:.1%}")),
        ("in vain", _mib(report.vain_bytes)),
        ("sources given up", f"{report.dropped:,}, {report.liars_found:,} of them found to lie"),
        ("messages to the index", f"{report.index_messages_a_second:.2f} a node a second, with its answers"),
    )


@in_words.register
def _super_peers_in_words(scenario: SuperPeerScenario) -> str:
    counts = scenario.counts
    kinds = ((counts["super-peer"], "super peer"), (counts["weak-peer"], "weak peer"), (scenario.files, "title"))
    return f"{_in_words(scenario, *kinds)}, degree {scenario.degree}, ttl {scenario.ttl}"


@figures_of.register
def _figures_of_super_peers(report: SuperPeerReport) -> Rows:
    return (("searches with a hit", f"{report.met:,} of {report.wants:,}"),)


@comparison_of.register
def _comparison_of_super_peers(report: SuperPeerReport) -> Comparison | None:
    """The kinds of search, each figure for all files and for popular and rare ones; None if none began."""
    if not report.phases:
        return None
    figures: tuple[tuple[str, Callable[[Searches], str]], ...] = (
        ("searches", lambda searches: f"{searches.asked:,}"),
        ("messages a query", lambda searches: _number(searches.messages, "{:,.1f}")),
        ("recall", lambda searches: _number(searches.recall, "{:.1%}")),
        ("first hit, half of them", lambda searches: _seconds(searches.to_hit(0.5))),
        ("first hit, 99 of 100", lambda searches: _seconds(searches.to_hit(0.99))),
    )
    rows = [
        (f"{name}: {words}", *(tell(phase.searches[sort]) for phase in report.phases))
        for name, tell in figures
        for sort, words in _SORTS.items()
    ]
    costs: tuple[tuple[str, Callable[[PhaseReport], float]], ...] = (
        ("bytes a node a second", lambda phase: phase.bytes_a_second),
        ("of these, tables of words", lambda phase: phase.tables_a_second),
        ("of these, queries and hits", lambda phase: phase.searches_a_second),
    )
    rows += [(name, *(f"{cost(phase):,.1f}" for phase in report.phases)) for name, cost in costs]
    return Comparison(tuple(_PHASES[phase.name] for phase in report.phases), rows)


@in_words.register
def _ring_in_words(scenario: RingScenario) -> str:
    words = _in_words(scenario, (scenario.nodes, "node"), (scenario.successors, "successor"))
    return f"{words}, {scenario.begin}, a round in {scenario.round}"


@figures_of.register
def _figures_of_ring(report: RingReport) -> Rows:
    values = report.values
    rows = [
        ("lookups that were right", f"{report.right:,} of {report.wants:,}"),
        ("values lost", f"{values.lost:,} of {values.kept:,}"),
        ("claimed by two, at most", count_of(report.claimed_twice, "node")),
    ]
    if report.dead:
        rows.insert(1, ("died at once", count_of(report.dead, "node")))
        rows.insert(2, ("all successors right", f"{_seconds(report.repaired_s)} later"))
        rows.insert(4, ("values not got then", f"{values.missed:,} of {values.asked:,} that were there"))
    return tuple(rows)


@comparison_of.register
def _comparison_of_ring(report: RingReport) -> Comparison | None:
    """The phases side by side; None if none began."""
    if not report.phases:
        return None
    figures: tuple[tuple[str, Callable[[RingPhaseReport], str]], ...] = (
        ("nodes", lambda phase: f"{phase.nodes:,}"),
        ("lookups", lambda phase: f"{phase.asked:,}"),
        ("of these, failed", lambda phase: f"{phase.failed:,}"),
        ("of these, not ended", lambda phase: f"{phase.unended:,}"),
        ("hops, mean", lambda phase: _number(phase.mean_hops, "{:.2f}")),
        ("hops, 99 of 100", lambda phase: _number(phase.p99_hops, "{:.0f}")),
        ("half of log2 of nodes", lambda phase: f"{phase.half_log2:.2f}"),
        ("nodes asked a lookup", lambda phase: _number(phase.questions, "{:.2f}")),
        ("of these, late or dead", lambda phase: _number(phase.late, "{:.2f}")),
        ("of these, dead", lambda phase: _number(phase.dead, "{:.2f}")),
        ("time to find, half of them", lambda phase: _seconds(within(phase.seconds_to_find, 0.5))),
        ("time to find, 99 of 100", lambda phase: _seconds(within(phase.seconds_to_find, 0.99))),
        ("other bytes a node a second", lambda phase: f"{phase.bytes_a_second:,.1f}"),
    )
    rows = [(name, *(tell(phase) for phase in report.phases)) for name, tell in figures]
    return Comparison(tuple(_RING_PHASES[phase.name] for phase in report.phases), rows)


def _mib(size: float) -> str:
    return f"{size / (1 << 20):,.1f} MiB"


def _recall(report: MarketReport) -> str:
    if report.recall is None:
        return "-"
    return f"{report.recall:.1%} ({report.found:,} of {report.findable:,} searches for what a seller had)"


def count_of(number: int, what: str) -> str:
    """So many of something, in words."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _in_words(scenario: Scenario, *kinds: tuple[int, str]) -> str:
    size = ", ".join(count_of(number, kind) for number, kind in kinds)
    return f"{size}, {scenario.for_}, {scenario.mode}"


def _seconds(seconds: float | None) -> str:
    return _number(seconds, "{:.3f} s")


def _number(number: float | None, shape: str) -> str:
    return "-" if number is None else shape.format(number)
