"""Shrinking: from a run that fails to a small one that fails in the same way, as delta debugging does.

What made a large run fail is often a fault or two among a few nodes. Parts are left out as long as what
is left still fails: first a half, then ever less, after Zeller and Hildebrandt, "Simplifying and
Isolating Failure-Inducing Input" (2002). Whether a scenario fails is asked of the caller, so nothing
here runs anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec
from attrs import frozen

from twisted_bazaar.sim.scenario import AnyScenario, FaultEntry, Scenario, WantedEntry
from twisted_bazaar.sim.scenario_file import usual_settings, write_file

_Part = TypeVar("_Part")

USUAL_RUNS: Final = 200


@frozen
class Attempt(Generic[AnyScenario]):
    """One scenario that was tried.

    @ivar number: which try it is, from 1.
    @ivar what: what was changed, in words.
    @ivar fails: whether it still fails, so that what was left out is not needed.
    """

    number: int
    what: str
    scenario: AnyScenario
    fails: bool


class _NoMoreRuns(Exception):
    """As many runs were made as may be."""


class Shrinking(Generic[AnyScenario]):
    """Looks for a smaller scenario that fails.

    The time to settle stays as it is: with less of it, runs would fail that are only slow.

    @param scenario: one that fails, with everything named that was drawn.
    @param fails: runs a scenario and tells whether it fails in the same way.
    @param tell: called after each try.
    @param most_runs: how many scenarios to try at most.
    @ivar smallest: the smallest so far that fails.
    @ivar runs: how many were tried.
    """

    def __init__(
        self,
        scenario: AnyScenario,
        fails: Callable[[AnyScenario], bool],
        tell: Callable[[Attempt[AnyScenario]], object] = lambda attempt: None,
        most_runs: int = USUAL_RUNS,
    ) -> None:
        self.smallest: AnyScenario = scenario
        self.runs: int = 0
        self._fails = fails
        self._tell = tell
        self._most_runs = most_runs
        self._in_vain: set[str] = set()

    def run(self) -> AnyScenario:
        """Try until nothing more can be left out, or there were too many runs; returns the smallest that fails."""
        try:
            while True:
                before = self.smallest
                self._pass()
                if self.smallest == before:
                    break
        except _NoMoreRuns:
            pass
        return self.smallest

    def _pass(self) -> None:
        """Try to leave out each thing once."""
        # What comes after the failure goes first: to leave it out changes nothing before.
        self._end_sooner()
        self._shorter()
        self._simpler()
        self._fewer_wanted()
        self._fewer_faults()
        for kind, fewest in self.smallest.fewest.items():
            self._fewer_nodes(kind, fewest)
        self._narrower_faults()

    def _try(self, what: str, scenario: AnyScenario) -> bool:
        """Try one scenario; returns whether it fails, and is the smallest so far then."""
        text = write_file(scenario)
        if scenario == self.smallest or text in self._in_vain:
            return False
        if self.runs >= self._most_runs:
            raise _NoMoreRuns
        self.runs += 1
        fails = self._fails(scenario)
        if fails:
            self.smallest = scenario
        else:
            self._in_vain.add(text)
        self._tell(Attempt(self.runs, what, scenario, fails))
        return fails

    def _simpler(self) -> None:
        """Take away what is not needed, one by one."""
        simple: tuple[tuple[str, Mapping[str, Any]], ...] = (
            ("no packets lost", {"loss": 0.0}),
            ("nobody comes and goes", {"churn": 0.0, "sessions": usual_settings(type(self.smallest))["sessions"]}),
            ("all ways equally long", {"latency": "20ms"}),
            ("all ways as wide as can be", {"bandwidth": 0.0}),
        )
        for what, changes in simple:
            if any(getattr(self.smallest, name) != value for name, value in changes.items()):
                self._try(what, self.smallest.evolve(**changes))

    def _end_sooner(self) -> None:
        """Leave out what happens last."""
        before = self.smallest
        times = sorted(set(_begins(before)))

        def fails(number: int) -> bool:
            until = times[number] if number < len(times) else math.inf
            return self._try(f"nothing from {until:g} s on", _until(before, until))

        _least_that(fails, 0, len(times))

    def _shorter(self) -> None:
        """Let faults end sooner, and the time to settle begin."""
        before = self.smallest

        def fails(seconds: int) -> bool:
            return self._try(f"{seconds} s instead of {before.for_}", before.evolve(for_=f"{seconds}s"))

        _least_that(fails, math.floor(max(_begins(before), default=0.0)) + 1, math.ceil(before.for_s))

    def _fewer_nodes(self, kind: str, fewest: int) -> None:
        """Leave out nodes of one kind, the last first."""
        most = self.smallest.counts[kind]

        def fails(number: int) -> bool:
            what = f"{number} instead of {most} {kind}s"
            without, moved = _with_nodes(self.smallest, kind, number)
            return self._try(what, without) or (moved != without and self._try(f"{what}, their faults moved", moved))

        _least_that(fails, fewest, most)

    def _fewer_faults(self) -> None:
        """Leave out faults."""
        before = self.smallest

        def fails(faults: Sequence[FaultEntry]) -> bool:
            what = f"{len(faults)} of {len(before.faults)} faults"
            return self._try(what, self.smallest.evolve(faults=list(faults)))

        fewest_that(fails, before.faults)

    def _fewer_wanted(self) -> None:
        """Want less."""
        before = self.smallest

        def fails(wanted: Sequence[WantedEntry]) -> bool:
            what = f"{len(wanted)} of {len(before.wanted)} {before.wanted_by}"
            return self._try(what, _wanting(self.smallest, wanted))

        fewest_that(fails, before.wanted)

    def _narrower_faults(self) -> None:
        """Let faults befall fewer nodes."""
        for number, fault in enumerate(self.smallest.faults):

            def fails(nodes: Sequence[str], number: int = number, fault: FaultEntry = fault) -> bool:
                what = f"a {fault.kind} of {len(nodes)} instead of {len(fault.nodes)} nodes"
                return bool(nodes) and self._try(what, _with_fault(self.smallest, number, nodes=list(nodes)))

            if len(fault.nodes) > 1:
                fewest_that(fails, fault.nodes)


def fewest_that(fails: Callable[[Sequence[_Part]], bool], parts: Sequence[_Part]) -> Sequence[_Part]:
    """Leave out parts for as long as what is left still fails; returns what is left.

    @param fails: whether some of the parts fail.
    @param parts: all of them, which fail.
    """
    size = len(parts)
    while size:
        at = 0
        while at < len(parts):
            rest = [*parts[:at], *parts[at + size :]]
            if fails(rest):
                parts = rest
            else:
                at += size
        size //= 2
    return parts


def _least_that(fails: Callable[[int], bool], least: int, most: int) -> None:
    """Look for the smallest number that fails, as if all above it did too.

    @param least: the smallest there may be.
    @param most: one that fails.
    """
    if most <= least or fails(least):
        return
    while most - least > 1:
        middle = (least + most) // 2
        if fails(middle):
            most = middle
        else:
            least = middle


def _with_nodes(scenario: AnyScenario, kind: str, number: int) -> tuple[AnyScenario, AnyScenario]:
    """The same with fewer nodes of a kind: what befell those that are gone is gone, or befalls others."""
    counts = {**scenario.counts, kind: number}
    gone = {f"{kind}-{n + 1}" for n in range(number, scenario.counts[kind])}
    changes = {
        **scenario.with_counts(counts),
        scenario.wanted_by: [each for each in scenario.wanted if each.who not in gone],
    }

    def stays(name: str) -> list[str]:
        return [] if name in gone else [name]

    def moves(name: str) -> list[str]:
        if name not in gone:
            return [name]
        return [f"{kind}-{int(name.rpartition('-')[2]) % number + 1}"] if number else []

    without, moved = (
        scenario.evolve(**changes, faults=_befalling(scenario.faults, befalls)) for befalls in (stays, moves)
    )
    return without, moved


def _befalling(faults: Sequence[FaultEntry], befalls: Callable[[str], list[str]]) -> list[FaultEntry]:
    """Faults that befall other nodes; those that befall none are left out."""
    changed = []
    for fault in faults:
        nodes = list(dict.fromkeys(name for old in fault.nodes for name in befalls(old)))
        if nodes:
            changed.append(msgspec.structs.replace(fault, nodes=nodes))
    return changed


def _with_fault(scenario: AnyScenario, number: int, **changes: Any) -> AnyScenario:
    faults = list(scenario.faults)
    faults[number] = msgspec.structs.replace(faults[number], **changes)
    return scenario.evolve(faults=faults)


def _wanting(scenario: AnyScenario, wanted: Sequence[WantedEntry]) -> AnyScenario:
    return scenario.evolve(**{scenario.wanted_by: list(wanted)})


def _begins(scenario: Scenario) -> list[float]:
    """When each fault begins, and each thing is wanted."""
    return [*(each.at_s for each in scenario.faults), *(each.at_s for each in scenario.wanted)]


def _until(scenario: AnyScenario, at_s: float) -> AnyScenario:
    """The same up to an instant; then nothing more begins."""
    faults = [each for each in scenario.faults if each.at_s < at_s]
    return _wanting(scenario.evolve(faults=faults), [each for each in scenario.wanted if each.at_s < at_s])
