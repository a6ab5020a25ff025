"""The report of a run: its figures, the verdict on each promise, and how to see a failure again. It prints."""

from __future__ import annotations

from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from twisted_bazaar.cli.simulate.options import replaying_file
from twisted_bazaar.cli.simulate.shrink import Shrunk
from twisted_bazaar.cli.terminal.results import show_figures, show_line, show_table
from twisted_bazaar.sim.figures import count_of
from twisted_bazaar.sim.report import Report
from twisted_bazaar.sim.scenario import Scenario

_MOST_TOLD: Final = 5


def show_report(console: Console, report: Report, real_s: float, scenario: Scenario, file: str | None) -> None:
    """Show what was counted, and what became of each promise.

    @param file: where the scenario comes from, if it is a file.
    """
    words = f"{'' if file is None else f'{file}: '}{scenario.in_words}"
    show_figures(console, ("scenario", words), *report.in_words(real_s))
    comparison = report.comparison
    if comparison is not None:
        side_by_side = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        side_by_side.add_column("")
        for column in comparison.columns:
            side_by_side.add_column(column, justify="right")
        for row in comparison.rows:
            side_by_side.add_row(*row)
        show_table(console, side_by_side)
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


def show_failure(console: Console, report: Report, replay: str) -> None:
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


def show_shrunk(console: Console, shrunk: Shrunk[Any]) -> None:
    """Say what the smallest run that fails is, and how to see it."""
    scenario = shrunk.scenario
    size = f"{count_of(scenario.nodes, 'node')} and {count_of(len(scenario.faults), 'fault')} in {scenario.for_}"
    show_line(console, f"Of {shrunk.runs} more runs the smallest that breaks the same promise has {size}.")
    show_line(console, f"  at {shrunk.violation.at_s:.3f} s: {shrunk.violation.text}")
    if shrunk.path is None:
        show_line(console, f"It cannot be kept: {shrunk.reason}. Here it is:")
        show_line(console, shrunk.text)
    else:
        show_line(console, f"It is kept in {shrunk.path}; to see it again:")
        show_line(console, f"  {replaying_file(type(scenario), shrunk.path)}")
