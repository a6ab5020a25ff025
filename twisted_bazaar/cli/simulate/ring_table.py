"""C{bazaar simulate ring --table}: a table of the paper on rings with ours beside it, row by row. It prints."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

import click
from rich import box
from rich.table import Table

from twisted_bazaar.cli.simulate.options import settle_scenario
from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.cli.terminal.interruption import Interruption
from twisted_bazaar.cli.terminal.process import few_collections, hold_back_log
from twisted_bazaar.cli.terminal.results import console_for_results, show_line, show_table
from twisted_bazaar.sim.figures import count_of
from twisted_bazaar.sim.ring.scenario import RingScenario
from twisted_bazaar.sim.ring.tables import TABLES, RingTable, TableRow

Bar = Callable[[], AbstractContextManager[Callable[[float, float], None]]]

# What each row says by itself, or what names nodes that one row has and another has not.
_OF_SINGLE_RUNS: Final = ("dead", "rate", "churn", "fault", "seek", "scenario", "trace", "shrink", "quiet")


def in_a_row(names: Iterable[str]) -> str:
    """Names of which one is taken."""
    *others, last = names
    return f"{', '.join(others)} or {last}"


class RingTables:
    """Makes one of the tables.

    @param name: which.
    @param options: all that stands on the command line, by the names of options.
    @param bar: shows how far a row is.
    @raise Refusal: a setting cannot be, or goes with single runs only.
    """

    def __init__(self, name: str, options: Mapping[str, Any], bar: Bar, interruption: Interruption) -> None:
        if name not in TABLES:
            raise UserError(f"--table: takes {in_a_row(TABLES)}, not {name!r}")
        for option in _OF_SINGLE_RUNS:
            if options.get(option):
                raise UserError(f"--{option}: goes with a single run, and not with --table")
        self._name = name
        self._table: RingTable = TABLES[name]
        usual = {key: value for key, value in self._table.usual.items() if options.get(key) is None}
        self._scenario = settle_scenario(RingScenario, None, {**options, **usual})
        self._bar = bar
        self._interruption = interruption

    def show(self, *, as_json: bool) -> None:
        """Make it and print it.

        @param as_json: whether as one JSON object.
        """
        hold_back_log()
        with few_collections():
            runs = list(self._table.runs(self._scenario))
            rows: list[TableRow] = []
            try:
                rows.extend(map(self._row, runs))
            except SystemExit:
                click.echo(f"interrupted after {len(rows)} of {len(runs)} rows", err=True)
                raise
        if as_json:
            told = {"table": self._name, "seed": self._scenario.seed, "rows": [row.figures for row in rows]}
            click.echo(json.dumps(told))
            return
        scenario, console = self._scenario, console_for_results()
        show_line(console, "")
        size = f"{count_of(scenario.nodes, 'node')}, {count_of(scenario.successors, 'successor')}"
        show_line(console, f" {self._table.words}:")
        show_line(
            console, f" {size}, a round in {scenario.round}, {scenario.lookups:,} lookups a row, seed {scenario.seed}"
        )
        shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in self._table.columns:
            shown.add_column(column, justify="right")
        for row in rows:
            shown.add_row(*row.cells)
        show_table(console, shown)

    def _row(self, scenario: RingScenario) -> TableRow:
        with self._bar() as show:

            def progress(done_s: float, whole_s: float) -> None:
                self._interruption.check()
                show(done_s, whole_s)

            row = self._table.row(scenario, progress)
        # Thousands of nodes know each other: what one run leaves would be there until the last has ended.
        gc.collect()
        return row
