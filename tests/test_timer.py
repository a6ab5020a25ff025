"""The timer: a call that comes once, when it was last set for."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.timer import Timer


class TimerTests(SynchronousTestCase):
    """One call in the future."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.times: list[float] = []
        self.timer = Timer(self.clock, lambda: self.times.append(self.clock.seconds()))

    def test_set(self) -> None:
        """It calls once, at its time, and is not set any more."""
        self.timer.set(2)
        self.assertEqual((self.timer.is_set, self.timer.due), (True, 2))
        self.clock.pump([1, 1, 1, 5])
        self.assertEqual(self.times, [2])
        self.assertEqual((self.timer.is_set, self.timer.due), (False, None))

    def test_set_again(self) -> None:
        """What it was set for last counts, be it later or earlier."""
        for delays, due in (((2, 5), 5), ((5, 2), 2)):
            self.times.clear()
            start = self.clock.seconds()
            for delay in delays:
                self.timer.set(delay)
            self.clock.pump([1] * 10)
            self.assertEqual(self.times, [start + due])

    def test_set_earlier(self) -> None:
        """It is moved to an earlier time, and never to a later one."""
        self.timer.set_earlier(3)
        self.timer.set_earlier(5)
        self.assertEqual(self.timer.due, 3)
        self.timer.set_earlier(1)
        self.assertEqual(self.timer.due, 1)

    def test_cancel(self) -> None:
        """Cancelled, however often, it does not call; nor do calls stay with the clock."""
        self.timer.cancel()
        self.timer.set(1)
        self.timer.cancel()
        self.timer.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(2)
        self.assertEqual(self.times, [])

    def test_set_by_what_it_calls(self) -> None:
        """What it calls may set it anew, and cancel it."""
        timer = Timer(self.clock, lambda: (self.times.append(self.clock.seconds()), timer.set(1)))
        timer.set(1)
        self.clock.pump([1, 1, 1])
        self.assertEqual(self.times, [1, 2, 3])
        cancelled = Timer(self.clock, lambda: cancelled.cancel())
        cancelled.set(1)
        self.clock.advance(1)
        self.assertFalse(cancelled.is_set)
