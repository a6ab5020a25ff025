"""How a measure is declared and taken: alternating rounds, and the median of the ratios of single rounds.

A machine that is slow for some seconds is slow for both sides of a round, and so hardly changes its ratio; a median
forgets the round in which something else ran. Sans-IO: what is measured is called, nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles
from typing import Any, Final

from attrs import field, frozen

from benchmarks.peers import Peer
from benchmarks.report import Row

LEAST_ROUNDS: Final = 5

_PLAIN_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Load:
    """What is run once a round, for one measure or for several.

    @param run: runs it; returns its figure, or its figures by name.
    """

    def __init__(self, run: Callable[[], float | Mapping[str, float]]) -> None:
        self.run = run

    def __getitem__(self, name: str) -> Figure:
        """The figure of a name."""
        return Figure(self, name)


@frozen
class Figure:
    """A figure that a load gives.

    @ivar name: of those that the load gives; None if it gives one alone.
    """

    load: Load = field(eq=False)
    name: str | None

    def of(self, said: Any) -> float:
        """The figure itself, out of what the load has given."""
        return float(said if self.name is None else said[self.name])


def figure(run: Callable[[], float]) -> Figure:
    """What a load gives that serves one measure."""
    return Figure(Load(run), None)


def constant(value: float) -> Figure:
    """A figure that is the same in every round."""
    return figure(lambda: value)


def _check_name(measure: Measure, attribute: Any, name: str) -> None:
    if not _PLAIN_NAME.fullmatch(name):
        raise ValueError(f"a measure is called by plain words with hyphens between, not {name!r}")


@frozen
class Measure:
    """One row, declared.

    @ivar name: small letters, digits and hyphens.
    @ivar unit: of both figures.
    @ivar goal: the least ratio wanted.
    @ivar peer: what it is held against.
    @ivar ours, theirs: the two figures.
    @ivar is_cost: whether less is better.
    @ivar needs_peer: whether ours cannot be measured either where the peer is missing.
    """

    name: str = field(validator=_check_name)
    unit: str
    goal: float
    peer: Peer
    ours: Figure
    theirs: Figure
    is_cost: bool = False
    needs_peer: bool = False


def take(
    measures: Sequence[Measure], rounds: int = LEAST_ROUNDS, prepare: Callable[[int], None] | None = None
) -> list[Row]:
    """Take some measures together, in rounds that each run every load once.

    The order of the loads is turned round in every other round. Loads of peers that are not installed are not run.

    @param rounds: how many; at least C{LEAST_ROUNDS}.
    @param prepare: called with its number before each round.
    """
    if rounds < LEAST_ROUNDS:
        raise ValueError(f"{rounds} rounds; a median of fewer than {LEAST_ROUNDS} says little")
    return _take(measures, rounds, prepare)


def once(measures: Sequence[Measure]) -> list[Row]:
    """Take measures that are the same each time, such as counts out of the simulator, or too large to repeat."""
    return _take(measures, 1, None)


def _take(measures: Sequence[Measure], rounds: int, prepare: Callable[[int], None] | None) -> list[Row]:
    loads: dict[Load, list[Any]] = {}
    for measure in measures:
        is_there = measure.peer.is_installed()
        if is_there or not measure.needs_peer:
            loads.setdefault(measure.ours.load, [])
        if is_there:
            loads.setdefault(measure.theirs.load, [])
    in_turn = list(loads)
    for number in range(rounds):
        if prepare is not None:
            prepare(number)
        for load in in_turn:
            loads[load].append(load.run())
        in_turn.reverse()
    return [
        row_of(
            measure,
            [measure.ours.of(said) for said in loads.get(measure.ours.load, ())],
            [measure.theirs.of(said) for said in loads.get(measure.theirs.load, ())]
            if measure.peer.is_installed()
            else [],
        )
        for measure in measures
    ]


def row_of(measure: Measure, ours: Sequence[float], theirs: Sequence[float]) -> Row:
    """The row of a measure.

    @param ours, theirs: the figures of each round, in the same order; none of theirs if the peer is not installed.
    """
    ratios = [their / our if measure.is_cost else our / their for our, their in zip(ours, theirs, strict=bool(theirs))]
    low, middle, high = _quartiles(ratios)
    return Row(
        name=measure.name,
        ours=_shortened(median(ours)) if ours else None,
        peer=_shortened(median(theirs)) if theirs else None,
        ratio=middle,
        goal=float(measure.goal),
        quartiles=None if low is None or high is None else (low, high),
        rounds=len(ours),
        unit=measure.unit,
        beside=measure.peer.name,
        install=None if theirs else measure.peer.install_command,
    )


def _quartiles(ratios: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """The quartiles of what was measured; the middle one is the median."""
    match ratios:
        case []:
            return None, None, None
        case [only]:
            return None, _shortened(only), None
    low, middle, high = quantiles(ratios, n=4, method="inclusive")
    return _shortened(low), _shortened(middle), _shortened(high)


def _shortened(number: float) -> float:
    """A number to six digits: no measure is more precise."""
    return float(f"{number:.6g}")
