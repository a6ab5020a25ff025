"""How much each peer may ask."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.index.scheduling.rate_limits import QUESTIONS_A_SECOND, QUESTIONS_AT_ONCE, RateLimits


class AllowanceTests(SynchronousTestCase):
    """An allowance for each."""

    def setUp(self) -> None:
        """Nobody has asked yet."""
        self.allowances = RateLimits()

    def asked(self, key: str, now: float) -> int:
        """How many questions of one are answered, if it asks without end."""
        count = 0
        while self.allowances.admit(key, now):
            count += 1
        return count

    def test_spent(self) -> None:
        """Each may ask so much at once, and then so much a second, whatever others ask."""
        self.assertEqual([self.asked(key, 0.0) for key in "aba"], [QUESTIONS_AT_ONCE, QUESTIONS_AT_ONCE, 0])
        self.assertEqual(self.asked("a", 1.0), QUESTIONS_A_SECOND)
        self.assertEqual(self.asked("a", 1_000.0), QUESTIONS_AT_ONCE)

    def test_clock_set_back(self) -> None:
        """A clock that goes back gives nothing, and takes nothing."""
        self.asked("a", 10.0)
        self.assertEqual(self.asked("a", 5.0), 0)
        self.assertEqual(self.asked("a", 6.0), QUESTIONS_A_SECOND)
