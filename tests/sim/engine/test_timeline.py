"""Virtual time: things happen in order, and nothing depends on the machine's clock."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.sim.engine.timeline import Timeline


class _Entry:
    """Something on the heap that counts at one instant, or at none."""

    def __init__(self, at: float | None) -> None:
        self.at = at

    def is_spent_at(self, when: float) -> bool:
        return when != self.at


class TimelineTests(SynchronousTestCase):
    """What is going to happen, and when."""

    def setUp(self) -> None:
        """An empty timeline."""
        self.timeline = Timeline()
        self.happened: list[Any] = []

    def test_order(self) -> None:
        """Things happen at their instants, whatever the order in which they were scheduled."""
        for when in (3.0, 1.0, 2.0):
            self.timeline.at(when, lambda what: self.happened.append((what, self.timeline.now)), when)
        self.timeline.run_until(2.5)
        self.assertEqual((self.happened, self.timeline.now), ([(1.0, 1.0), (2.0, 2.0)], 2.5))

    def test_one_instant(self) -> None:
        """Things due at one instant happen in the order in which they were scheduled."""
        for number in range(100):
            self.timeline.at(1.0, self.happened.append, number)
        self.timeline.run_until(1.0)
        self.assertEqual(self.happened, list(range(100)))

    def test_at_once(self) -> None:
        """What is scheduled for the present instant happens in the same run."""
        self.timeline.at(1.0, lambda _: self.timeline.at(1.0, self.happened.append, "then"))
        self.timeline.run_until(1.0)
        self.assertEqual((self.happened, self.timeline.happened), (["then"], 2))

    def test_never_back(self) -> None:
        """Time does not go back."""
        self.timeline.run_until(5.0)
        self.timeline.run_until(3.0)
        self.assertEqual(self.timeline.now, 5.0)

    def test_stop(self) -> None:
        """A run ends as soon as it is told to, and goes on from there."""
        for number in range(4):
            self.timeline.at(float(number), self.happened.append, number)
        stopped = self.timeline.run_until(9.0, lambda: len(self.happened) == 2)
        self.assertEqual((stopped, self.happened, self.timeline.now), (True, [0, 1], 1.0))
        self.assertEqual((self.timeline.run_until(9.0), self.happened), (False, [0, 1, 2, 3]))

    def test_raises(self) -> None:
        """What raises is logged, and the rest happens."""
        self.timeline.at(1.0, lambda _: 1 / 0)
        self.timeline.at(1.0, self.happened.append, "next")
        self.timeline.run_until(1.0)
        self.assertEqual((len(self.flushLoggedErrors(ZeroDivisionError)), self.happened), (1, ["next"]))

    def test_interrupt(self) -> None:
        """An interrupt gets out, and what has happened by then is counted."""

        def interrupt(argument: object) -> None:
            raise KeyboardInterrupt

        self.timeline.at(1.0, interrupt)
        self.assertRaises(KeyboardInterrupt, self.timeline.run_until, 2.0)
        self.assertEqual((self.timeline.happened, self.timeline.now), (1, 1.0))

    def test_sweep(self) -> None:
        """Once most of what is scheduled counts no more it is taken out, and only that."""
        for number in range(10_000):
            self.timeline.at(1.0, self.happened.append, _Entry(1.0 if number < 10 else None))
        for _ in range(9_990):
            self.timeline.note_cancelled()
        self.assertLess(len(self.timeline), 6_000)
        self.timeline.run_until(1.0)
        self.assertEqual(sum(entry.at == 1.0 for entry in self.happened), 10)

    def test_no_sweep(self) -> None:
        """While most still counts nothing is looked for."""
        for _ in range(20_000):
            self.timeline.at(1.0, self.happened.append, _Entry(None))
        for _ in range(9_000):
            self.timeline.note_cancelled()
        self.assertEqual(len(self.timeline), 20_000)
