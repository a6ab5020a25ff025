"""Growing delays."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from twisted_bazaar.backoff import Backoff

bounded = examples(100)


class BackoffTests(SynchronousTestCase):
    """Delays grow, spread, and end at a ceiling."""

    def test_without_jitter(self) -> None:
        """Each delay is the factor times the one before, up to the ceiling, and stays there."""
        backoff = Backoff(random.Random(1), 1.0, 30.0, factor=2.0, jitter=0.0)
        self.assertEqual([backoff.delay() for _ in range(8)], [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0])

    @bounded
    @given(
        st.integers(),
        st.floats(0.01, 5),
        st.floats(5, 100),
        st.floats(1.01, 4),
        st.floats(0, 1),
    )
    def test_within_jitter(self, seed: int, first_s: float, most_s: float, factor: float, jitter: float) -> None:
        """No delay is further from its plain value than the jitter says."""
        backoff = Backoff(random.Random(seed), first_s, most_s, factor=factor, jitter=jitter)
        plain = Backoff(random.Random(seed), first_s, most_s, factor=factor, jitter=0.0)
        for _ in range(20):
            expected_s = plain.delay()
            delay_s = backoff.delay()
            self.assertTrue(abs(delay_s - expected_s) <= expected_s * (jitter + 1e-9), (delay_s, expected_s))

    @bounded
    @given(st.integers())
    def test_never_over(self, seed: int) -> None:
        """A node goes on for ever, and never waits longer than the ceiling and its jitter."""
        backoff = Backoff(random.Random(seed), 0.25, 12.0)
        self.assertTrue(all(0 < backoff.delay() <= 15.0 for _ in range(5_000)))

    def test_spread(self) -> None:
        """Nodes that lost the same tracker at once do not all come back at once."""
        rng = random.Random(3)
        firsts_s = [Backoff(rng, 1.0, 12.0).delay() for _ in range(400)]
        self.assertEqual([round(min(firsts_s), 1), round(max(firsts_s), 1)], [0.8, 1.2])
        self.assertEqual(len(set(firsts_s)), 400)

    def test_chance_is_an_argument(self) -> None:
        """The same random source gives the same delays."""
        one, other = (Backoff(random.Random(7), 0.25, 12.0) for _ in range(2))
        self.assertEqual([one.delay() for _ in range(10)], [other.delay() for _ in range(10)])

    def test_reset(self) -> None:
        """When something worked, the delays begin again."""
        backoff = Backoff(random.Random(1), 1.0, 30.0, factor=2.0, jitter=0.0)
        for _ in range(6):
            backoff.delay()
        backoff.reset()
        self.assertEqual([backoff.delay() for _ in range(3)], [1.0, 2.0, 4.0])
