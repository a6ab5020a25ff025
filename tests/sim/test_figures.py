"""Figures that are declared once."""

from __future__ import annotations

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.sim.figures import (
    Figure,
    figures_in_words,
    figures_side_by_side,
    figures_to_json,
    write_half_and_nearly_all,
)


@frozen
class Counted:
    """What was counted."""

    asked: int
    answered: int
    seconds: float | None = None


FIGURES: tuple[Figure[Counted], ...] = (
    Figure("answered", "questions answered", lambda counted: f"{counted.answered} of {counted.asked}"),
    Figure("asked"),
    Figure("seconds_mean", "time to answer", "{:.1f} s", lambda counted: counted.seconds),
    Figure("", "nobody asked", lambda counted: None if counted.asked else "at all"),
)


class FigureTests(SynchronousTestCase):
    """One table, and what comes from it."""

    def test_json(self) -> None:
        """JSON has each figure that has a key, in its order; a figure that there is none of is null."""
        self.assertEqual(
            list(figures_to_json(FIGURES, Counted(3, 2)).items()),
            [("answered", 2), ("asked", 3), ("seconds_mean", None)],
        )

    def test_words(self) -> None:
        """Words have each figure that has a name, but for those of which there is nothing to say."""
        self.assertEqual(
            figures_in_words(FIGURES, Counted(3, 2, 0.25)),
            [("questions answered", "2 of 3"), ("time to answer", "0.2 s")],
        )
        self.assertEqual(
            figures_in_words(FIGURES, Counted(0, 0)),
            [("questions answered", "0 of 0"), ("time to answer", "-"), ("nobody asked", "at all")],
        )

    def test_side_by_side(self) -> None:
        """Figures of several are shown side by side, with a dash where there is nothing to say."""
        self.assertEqual(
            figures_side_by_side(FIGURES, [Counted(3, 2, 1.0), Counted(0, 0)], ": all"),
            [
                ["questions answered: all", "2 of 3", "0 of 0"],
                ["time to answer: all", "1.0 s", "-"],
                ["nobody asked: all", "-", "at all"],
            ],
        )

    def test_times(self) -> None:
        """Times that nothing took are dashes."""
        told = [write_half_and_nearly_all(0.5, 2.0), write_half_and_nearly_all(None, None)]
        self.assertEqual(told, ["0.500 s (median), 2.000 s (99 of 100)", "- (median), - (99 of 100)"])
