"""How a run is told: its figures, what became of each promise, and how to see a failure again. It prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from twisted_bazaar.cli.results import show_figures, show_line, show_table
from twisted_bazaar.cli.settings import replaying_file
from twisted_bazaar.cli.shrinking import Shrunk
from twisted_bazaar.sim.report import Report
from twisted_bazaar.sim.scenario import Scenario

_MOST_TOLD: Final = 5


def in_words(scenario: Scenario, file: str | None) -> str:
    """What was simulated, in a line.

    @param file: where its settings come from, if it is a file.
    """
    kinds = ((scenario.nodes, "node"), (scenario.sellers, "seller"), (scenario.buyers, "buyer"))
    size = ", ".join(_count(number, kind) for number, kind in kinds)
    return f"{'' if file is None else f'{file}: '}{size}, {scenario.for_}, {scenario.mode}"


def tell_figures(console: Console, report: Report, real_s: float, scenario: str) -> None:
    """Show what was counted, and what became of each promise.

    @param scenario: what was simulated, in words.
    """
    show_figures(console, ("scenario", scenario), ("seed", str(report.seed)), *_figures(report, real_s))
    promises = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    promises.add_column("promise")
    promises.add_column("checked", justify="right")
    promises.add_column("kept")
    for kept in report.promises:
        if kept.broken:
            verdict = Text("BROKEN", style="bold red")
        else:
            verdict = Text("yes", style="green") if kept.checked else Text("not asked", style="yellow")
        promises.add_row(kept.promise, f"{kept.checked:,}", verdict)
    show_table(console, promises)


def tell_failure(console: Console, report: Report, replay: str) -> None:
    """Say which promises were broken, how and when, and how to see it again."""
    broken = sum(kept.broken > 0 for kept in report.promises)
    were = "was" if broken == 1 else "were"
    console.print(Text(f"{broken} of {len(report.promises)} promises {were} broken:", style="bold red"))
    for violation in report.violations[:_MOST_TOLD]:
        show_line(console, f"  at {violation.at_s:.3f} s: {violation.promise}")
        show_line(console, f"      {violation.text}")
    if len(report.violations) > _MOST_TOLD:
        show_line(console, f"  and {len(report.violations) - _MOST_TOLD} more")
    show_line(console, f"The seed is {report.seed}. The same run again, with --trace FILE to look into it:")
    show_line(console, f"  {replay}")


def tell_shrunk(console: Console, shrunk: Shrunk) -> None:
    """Say what the smallest run that fails is, and how to see it."""
    scenario = shrunk.scenario
    size = f"{_count(scenario.nodes, 'node')} and {_count(len(scenario.faults), 'fault')} in {scenario.for_}"
    show_line(console, f"Of {shrunk.runs} more runs the smallest that breaks the same promise has {size}.")
    show_line(console, f"  at {shrunk.violation.at_s:.3f} s: {shrunk.violation.text}")
    if shrunk.path is None:
        show_line(console, f"It cannot be kept: {shrunk.reason}. Here it is:")
        show_line(console, shrunk.text)
    else:
        show_line(console, f"It is kept in {shrunk.path}; to see it again:")
        show_line(console, f"  {replaying_file(shrunk.path)}")


def _figures(report: Report, real_s: float) -> Sequence[tuple[str, str]]:
    times = f"{report.virtual_s:,.1f} s" + (f" in {real_s:,.1f} s" if real_s else "")
    return (
        ("wants met", f"{report.purchases:,} of {report.wants:,}"),
        ("searches", f"{report.searches:,}"),
        ("recall", _recall(report)),
        ("messages a search", _number(report.messages_a_search, "{:,.1f}")),
        ("hops to the seller", _number(report.hops, "{:.2f}")),
        ("time to buy", f"{_seconds(report.to_buy(0.5))} (median), {_seconds(report.to_buy(0.99))} (99 of 100)"),
        ("sent by each node", f"{report.bytes_a_node:,.0f} bytes"),
        ("messages", _messages(report.messages)),
        ("virtual time", times),
        ("trace hash", report.trace_hash),
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _recall(report: Report) -> str:
    if report.recall is None:
        return "-"
    return f"{report.recall:.1%} ({report.found:,} of {report.findable:,} searches for what a seller had)"


def _messages(messages: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in messages.items()) or "-"


def _seconds(seconds: float | None) -> str:
    return _number(seconds, "{:.3f} s")


def _number(number: float | None, shape: str) -> str:
    return "-" if number is None else shape.format(number)
