"""C{bazaar simulate}: a whole network in virtual time, with what goes wrong in it, and its promises checked."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import click
from attrs import evolve, frozen
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from twisted_bazaar.cli.commands.options import JSON
from twisted_bazaar.cli.simulate.options import SCENARIO, replaying, replaying_file, scenario_options, settle_scenario
from twisted_bazaar.cli.simulate.report import show_failure, show_report, show_shrunk
from twisted_bazaar.cli.simulate.ring_table import RingTables, in_a_row
from twisted_bazaar.cli.simulate.shrink import Place, Shrunk, shrink_run
from twisted_bazaar.cli.simulate.trace_file import trace_file
from twisted_bazaar.cli.terminal.command import PlainCommand, PlainGroup
from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.cli.terminal.interruption import Interruption
from twisted_bazaar.cli.terminal.process import few_collections, hold_back_log
from twisted_bazaar.cli.terminal.results import console_for_results
from twisted_bazaar.exit_status import Ending, ExitStatus
from twisted_bazaar.settings.option import Option, OptionValues, whole_number
from twisted_bazaar.sim.files.run import FilesRun
from twisted_bazaar.sim.market.run import MarketRun
from twisted_bazaar.sim.report import Report
from twisted_bazaar.sim.ring.run import RingRun
from twisted_bazaar.sim.ring.tables import TABLES
from twisted_bazaar.sim.run import Run
from twisted_bazaar.sim.scenario import Scenario
from twisted_bazaar.sim.shrink import USUAL_RUNS
from twisted_bazaar.sim.superpeer.run import SuperPeerRun

_MOST_RUNS: Final = 100_000
_ENDINGS: Final = (
    Ending(ExitStatus.DONE, "Every promise was kept."),
    Ending(ExitStatus.NO, "A promise was broken. A command that makes the same run again is printed."),
    Ending(ExitStatus.WRONG_USE, "An option or a setting is wrong, or the output cannot be written."),
)


@frozen
class Wishes:
    """Things to do beside the run itself.

    @ivar trace: the file that gets a line for each event.
    @ivar keep: the file that the scenario was read from.
    @ivar shrink_to: where the smallest run that fails goes; None to choose a name.
    @ivar overwrites: whether that file may be there already.
    """

    keep: str | None = None
    as_json: bool = False
    quiet: bool = False
    trace: str | None = None
    shrinks: bool = False
    shrink_runs: int = USUAL_RUNS
    shrink_to: str | None = None
    overwrites: bool = False

    def __attrs_post_init__(self) -> None:
        if self.shrink_to is not None and not self.shrinks:
            raise UserError("--shrink-to goes with --shrink")
        if self.overwrites and self.shrink_to is None:
            raise UserError("--force goes with --shrink-to")
        if self.shrink_to is not None and not self.overwrites and os.path.lexists(self.shrink_to):
            raise UserError(f"--shrink-to {self.shrink_to}: there is such a file already; --force overwrites it")

    @property
    def talks(self) -> bool:
        """Whether anybody wants to hear more than the result."""
        return not (self.as_json or self.quiet)


@click.group(cls=PlainGroup)
def simulate() -> None:
    """Run a whole network in virtual time, and check its promises."""


_WISHES: Final = (
    evolve(JSON, help="Print the report as one JSON object."),
    Option("quiet", "Print nothing unless a promise is broken."),
    Option("trace", "Write one JSON line for each event and message; see bazaar trace.", "FILE"),
    Option("shrink", "If a promise is broken, look for a small run that breaks it."),
    Option(
        "shrink-runs",
        "With --shrink: how many runs to try at most.",
        "N",
        f"{USUAL_RUNS}",
        shown=f"a whole number from 1 to {_MOST_RUNS:,}; {USUAL_RUNS}",
        read=whole_number(1, _MOST_RUNS),
    ),
    Option("shrink-to", "With --shrink: where to write the small run.", "FILE", shown="failing-seed-SEED.toml"),
    Option("force", "With --shrink-to: replace the file if there is one."),
)
_TABLE: Final = Option(
    "table", f"Make a table of several runs, for some beside that of the paper on Chord: {in_a_row(TABLES)}.", "WHICH"
)


def _scenario_command(run_class: type[Run[Any, Any]], *more: Option) -> Callable[[Callable[[], None]], click.Command]:
    """Make a command that runs one kind of scenario; what is decorated has its words.

    @param more: options that only this one has.
    """
    name = run_class.of.name

    def decorate(words: Callable[[], None]) -> click.Command:
        def run(options: OptionValues) -> None:
            if options.get(_TABLE.name) is not None:
                _show_table(options)
                return
            wishes = Wishes(
                options[SCENARIO],
                options["json"],
                options["quiet"],
                options["trace"],
                options["shrink"],
                options["shrink-runs"],
                options["shrink-to"],
                options["force"],
            )
            with Interruption(insists=True) as interruption:
                scenario = settle_scenario(run_class.of, options[SCENARIO], options)
                replay = replaying(scenario, options[SCENARIO], options)
                raise SystemExit(_Simulation(run_class, scenario, replay, wishes, interruption).run())

        run.__doc__ = words.__doc__
        declared = (*more, *_WISHES, *scenario_options(run_class.of))
        example = f"bazaar simulate {name} --seed 7 --trace run.jsonl"
        return simulate.command(name, cls=PlainCommand, declared=declared, endings=_ENDINGS, example=example)(run)

    return decorate


@_scenario_command(MarketRun)
def market() -> None:
    """Simulate a market of buyers, sellers and relays.

    Production nodes run in virtual time, on machines that lose packets, crash, stand still and come back.
    """


@_scenario_command(FilesRun)
def files() -> None:
    """Simulate a network that shares files through an index server.

    Production nodes run in virtual time, on machines that lose packets, crash, stand still and come back. Some
    sharers lie.
    """


@_scenario_command(SuperPeerRun)
def superpeer() -> None:
    """Simulate super peers, and compare three ways in which they search.

    Leaves ask the same questions three times: by a plain flood, with query routing, and with query routing and
    dynamic querying. Meanwhile peers come and go. Production nodes run on simulated machines, in virtual time.
    """


@_scenario_command(RingRun, _TABLE)
def ring() -> None:
    """Simulate a ring whose nodes find places on it, and keep values there.

    Nodes look places up on a ring that is right, again at the instant when many nodes die at once, and again when the
    ring has been repaired; or while nodes come and go. Production nodes run on simulated machines, in virtual time.
    """


def _show_table(options: OptionValues) -> None:
    with Interruption(insists=True) as interruption:
        bar = _bar if sys.stderr.isatty() else _no_bar
        RingTables(options["table"], options, bar, interruption).show(as_json=options["json"])


class _Simulation:
    """One call of the command.

    @param run_class: the kind of run that it makes.
    @param replay: the command that makes the same run again.
    """

    def __init__(
        self,
        run_class: type[Run[Any, Any]],
        scenario: Scenario,
        replay: str,
        wishes: Wishes,
        interruption: Interruption,
    ) -> None:
        self._run_class = run_class
        self._scenario = scenario
        self._replay = replay
        self._wishes = wishes
        self._interruption = interruption
        self._at = (0.0, 0.0)

    def run(self) -> int:
        """Run, tell, and shrink if that is wished; returns the exit status."""
        hold_back_log()
        with few_collections():
            began = time.monotonic()
            try:
                run, report = self._run()
            except SystemExit:
                done_s, whole_s = self._at
                _note(f"interrupted after {done_s:.0f} of {whole_s:.0f} virtual seconds")
                raise
            real_s = time.monotonic() - began
            if not self._wishes.as_json:
                self._tell(report, real_s)
            shrunk = self._shrink(run, report) if report.violations and self._wishes.shrinks else None
        if self._wishes.as_json:
            if report.violations or not self._wishes.quiet:
                click.echo(json.dumps(self._to_json(report, real_s, shrunk)))
        elif shrunk is not None:
            show_shrunk(console_for_results(), shrunk)
        if shrunk is not None and not shrunk.is_finished:
            _note(f"interrupted; the smallest run so far that fails stands in {shrunk.path or 'no file'}")
            self._interruption.check()
        return ExitStatus.NO if report.violations else ExitStatus.DONE

    def _run(self) -> tuple[Run[Any, Any], Report]:
        wishes = self._wishes
        with ExitStack() as closing:
            trace = None if wishes.trace is None else closing.enter_context(trace_file(wishes.trace, wishes.keep))
            show = closing.enter_context(_bar()) if wishes.talks and sys.stderr.isatty() else _show_nothing

            def progress(done_s: float, whole_s: float) -> None:
                self._at = (done_s, whole_s)
                self._interruption.check()
                if trace is not None:
                    trace.check()
                show(done_s, whole_s)

            run = self._run_class(self._scenario, trace)
            return run, run.run(progress)

    def _tell(self, report: Report, real_s: float) -> None:
        console = console_for_results()
        if self._wishes.talks:
            show_report(console, report, real_s, self._scenario, self._wishes.keep)
        if report.violations:
            show_failure(console, report, self._replay)

    def _shrink(self, run: Run[Any, Any], report: Report) -> Shrunk[Any]:
        wishes = self._wishes
        place = Place(wishes.shrink_to, wishes.overwrites)
        tell = _note if wishes.talks else _say_nothing
        return shrink_run(
            self._run_class,
            run.fixed(),
            report.violations[0],
            place,
            wishes.shrink_runs,
            self._interruption,
            tell,
        )

    def _to_json(self, report: Report, real_s: float, shrunk: Shrunk[Any] | None) -> Mapping[str, Any]:
        told: dict[str, Any] = {**report.to_json(), "real_s": real_s, "replay": self._replay}
        if shrunk is not None:
            told["shrunk"] = {
                "runs": shrunk.runs,
                "finished": shrunk.is_finished,
                "file": None if shrunk.path is None else str(shrunk.path),
                "replay": None if shrunk.path is None else replaying_file(type(self._scenario), shrunk.path),
                "toml": shrunk.text,
            }
        return told


@contextmanager
def _bar() -> Iterator[Callable[[float, float], None]]:
    """A bar on the terminal that grows with the virtual time."""
    columns = (TextColumn("{task.completed:,.0f} of {task.total:,.0f} s"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda done_s, whole_s: bar.update(task, completed=done_s, total=whole_s)


@contextmanager
def _no_bar() -> Iterator[Callable[[float, float], None]]:
    yield _show_nothing


def _show_nothing(done_s: float, whole_s: float) -> None:
    """What is shown of the progress where nobody looks."""


def _say_nothing(words: str) -> None:
    """What is said where nobody listens."""


def _note(words: str) -> None:
    """Say something that is not the result."""
    click.echo(words, err=True)
