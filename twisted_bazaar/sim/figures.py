"""Figures of a report, each declared once: its value, and how it is written. JSON and words both come from that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from attrs import frozen

_Counted = TypeVar("_Counted")
_NONE: Final = "-"


@frozen
class Figure(Generic[_Counted]):
    """One figure of what was counted.

    @ivar key: what it is called in JSON; empty if it is told in words only.
    @ivar name: what people call it; empty if it stands in JSON only.
    @ivar told: how it is written in words: a format for its value, or what makes the words; None leaves it out.
    @ivar value: reads it; the attribute called like the key if not given.
    """

    key: str
    name: str = ""
    told: str | Callable[[_Counted], str | None] = "{}"
    value: Callable[[_Counted], Any] | None = None

    def value_of(self, counted: _Counted) -> Any:
        """The figure, in values that JSON can hold."""
        return getattr(counted, self.key) if self.value is None else self.value(counted)

    def in_words(self, counted: _Counted) -> str | None:
        """The figure as people read it; None if there is nothing to say of it here."""
        if not isinstance(self.told, str):
            return self.told(counted)
        return write_number(self.value_of(counted), self.told)


@frozen
class Comparison:
    """Figures of several kinds side by side.

    @ivar columns: what each column is.
    @ivar rows: the name of a figure, and what it is in each column.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def figures_to_json(figures: Sequence[Figure[_Counted]], counted: _Counted) -> dict[str, Any]:
    """All figures, in values that JSON can hold."""
    return {figure.key: figure.value_of(counted) for figure in figures if figure.key}


def figures_in_words(figures: Sequence[Figure[_Counted]], counted: _Counted) -> list[tuple[str, str]]:
    """The names of figures, each with what it is."""
    told = [(figure.name, figure.in_words(counted)) for figure in figures if figure.name]
    return [(name, words) for name, words in told if words is not None]


def figures_side_by_side(
    figures: Sequence[Figure[_Counted]], columns: Sequence[_Counted], what: str = ""
) -> list[list[str]]:
    """The names of figures, each with what it is in each column.

    @param what: what all of them are about; it follows each name.
    """
    return [
        [f"{figure.name}{what}", *(figure.in_words(column) or _NONE for column in columns)]
        for figure in figures
        if figure.name
    ]


def write_number(number: float | None, shape: str) -> str:
    """A number in some format; a dash if there is none."""
    return _NONE if number is None else shape.format(number)


def write_seconds(seconds: float | None) -> str:
    """A time, exact to a millisecond."""
    return write_number(seconds, "{:.3f} s")


def write_half_and_nearly_all(half_s: float | None, nearly_all_s: float | None) -> str:
    """Within how many seconds half of something was done, and nearly all of it."""
    return f"{write_seconds(half_s)} (median), {write_seconds(nearly_all_s)} (99 of 100)"


def count_of(number: int, what: str) -> str:
    """So many of something, in words."""
    return f"{number} {what}{'' if number == 1 else 's'}"
