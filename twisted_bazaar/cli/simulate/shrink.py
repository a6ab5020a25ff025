"""C{--shrink}: makes a small run of one that broke a promise, and keeps it in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Generic

from attrs import evolve, frozen

from twisted_bazaar.cli.terminal.interruption import Interruption
from twisted_bazaar.sim.invariants.check import Violation
from twisted_bazaar.sim.run import Run
from twisted_bazaar.sim.scenario import AnyScenario
from twisted_bazaar.sim.scenario_file import write_file
from twisted_bazaar.sim.shrink import Attempt, Shrinking
from twisted_bazaar.system.private_files import open_named


@frozen
class Shrunk(Generic[AnyScenario]):
    """A small run that breaks a promise.

    @ivar violation: what goes wrong in it.
    @ivar runs: how many were tried.
    @ivar text: the file for it.
    @ivar path: where it stands; None if it could not be written.
    @ivar reason: why not.
    @ivar is_finished: whether nothing more could be left out, or all runs were made; not when the user interrupted it.
    """

    scenario: AnyScenario
    violation: Violation
    runs: int
    text: str
    path: Path | None
    reason: str = ""
    is_finished: bool = True


@frozen
class Place:
    """A file in which a small run is to be kept.

    @ivar wanted: the file that was asked for; None to choose a name that is free.
    @ivar overwrites: whether it may be there already.
    """

    wanted: str | None
    overwrites: bool

    def keep(self, seed: int, text: str) -> Path:
        """Write a file; returns where it is.

        @raise OSError: it cannot be written.
        """
        if self.wanted is not None:
            with open(self.wanted, "w" if self.overwrites else "x", encoding="utf-8", opener=open_named) as file:
                file.write(text)
            return Path(self.wanted)
        for path in _names(seed):
            try:
                with path.open("x", encoding="utf-8") as file:
                    file.write(text)
                return path
            except FileExistsError:
                continue
        raise AssertionError("there is no end to names")


def shrink_run(
    make_run: Callable[[AnyScenario], Run[AnyScenario, Any]],
    failing: AnyScenario,
    violation: Violation,
    place: Place,
    most_runs: int,
    interruption: Interruption,
    tell: Callable[[str], object],
) -> Shrunk[AnyScenario]:
    """Look for the smallest run that breaks a promise, and keep it; when the user interrupts it, the smallest so far.

    @param make_run: makes a run of a scenario.
    @param failing: the scenario that broke it, with every fault named.
    @param violation: what was broken first.
    @param tell: called with a line for each try.
    """
    found = {write_file(failing): violation}

    def fails(scenario: AnyScenario) -> bool:
        report = make_run(scenario).run(lambda done_s, whole_s: interruption.check())
        broken = next((each for each in report.violations if each.promise == violation.promise), None)
        if broken is not None:
            found[write_file(scenario)] = broken
        return broken is not None

    def tell_attempt(attempt: Attempt[AnyScenario]) -> None:
        tell(f"{attempt.number:4}  {attempt.what}: {'still fails' if attempt.fails else 'does not fail'}")

    shrinking = Shrinking(failing, fails, tell_attempt, most_runs)
    is_finished = True
    try:
        shrinking.run()
    except SystemExit:
        is_finished = False
    smallest = shrinking.smallest
    shrunk = _keep(smallest, found[write_file(smallest)], shrinking.runs, place)
    return evolve(shrunk, is_finished=is_finished)


def _keep(scenario: AnyScenario, violation: Violation, runs: int, place: Place) -> Shrunk[AnyScenario]:
    comment = f"# Breaks a promise: {violation.promise}.\n# At {violation.at_s:.3f} s: {_in_a_line(violation.text)}\n\n"
    text = comment + write_file(scenario)
    try:
        return Shrunk(scenario, violation, runs, text, place.keep(scenario.seed, text))
    except OSError as error:
        return Shrunk(scenario, violation, runs, text, None, error.strerror or str(error))


def _in_a_line(text: str) -> str:
    """A text that a comment can hold: one line, of characters that can be printed."""
    return "".join(character if character.isprintable() else " " for character in text)


def _names(seed: int) -> Iterator[Path]:
    yield Path(f"failing-seed-{seed}.toml")
    for number in count(2):
        yield Path(f"failing-seed-{seed}-{number}.toml")
