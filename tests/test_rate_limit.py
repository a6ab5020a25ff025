"""Rate limits: what is allowed in any span of time, against plain models of a token bucket and of a fixed window."""

from __future__ import annotations

from itertools import accumulate
from math import floor

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.weighing import weight_of
from twisted_bazaar.rate_limit import RateLimit, RateLimits

bounded = examples(200)

# Eighths of seconds: sums of them lose nothing.
EXACT_WAITS = st.lists(st.integers(0, 40).map(lambda eighths: eighths / 8), min_size=1, max_size=80)
WAITS = st.lists(st.floats(0.0, 3.0), min_size=1, max_size=80)
BURSTS = st.integers(1, 6)


def answers(limit: RateLimit, times: list[float]) -> list[bool]:
    """What is allowed at some times."""
    return [limit.allow(now) for now in times]


def bucket_model(burst: int, every_s: float, times: list[float]) -> list[bool]:
    """The same of a bucket that fills steadily, drop by drop."""
    tokens, at, allowed = float(burst), 0.0, []
    for now in times:
        tokens, at = min(burst, tokens + (now - at) / every_s), now
        allowed.append(tokens >= 1)
        tokens -= allowed[-1]
    return allowed


def window_model(most: int, window_s: float, times: list[float]) -> list[bool]:
    """The same of a window that the first to come opens."""
    began, passed, allowed = float("-inf"), 0, []
    for now in times:
        if now - began >= window_s:
            began, passed = now, 0
        allowed.append(passed < most)
        passed += allowed[-1]
    return allowed


class OneByOneTests(SynchronousTestCase):
    """Tokens that come back one by one."""

    def test_rate(self) -> None:
        """After quiet there are as many at once as there can be, then as many as have come back meanwhile."""
        limit = RateLimit(8, 1 / 8)
        allowed = [sum(answers(limit, [now] * 100)) for now in (0.0, 0.25, 0.26, 0.5, 1.5, 60.0)]
        self.assertEqual(allowed, [8, 2, 0, 2, 8, 8])

    def test_seldom(self) -> None:
        """One each time, where less than one comes back in a second."""
        self.assertEqual(answers(RateLimit(1, 2.0), [0.0, 1.0, 2.0, 3.0, 4.0]), [True, False, True, False, True])

    def test_clock_set_back(self) -> None:
        """A clock that is set back brings nothing, and one that goes on from there what it should."""
        limit = RateLimit(2, 1.0)
        self.assertEqual(answers(limit, [10.0, 10.0, 5.0, 5.5, 6.0, 6.5]), [True, True, False, False, True, False])

    @bounded
    @given(BURSTS, EXACT_WAITS)
    def test_bucket(self, burst: int, waits: list[float]) -> None:
        """It allows what a bucket that fills steadily does."""
        times = list(accumulate(waits))
        self.assertEqual(answers(RateLimit(burst, 0.5), times), bucket_model(burst, 0.5, times))

    @bounded
    @given(BURSTS, st.floats(0.01, 5.0), WAITS)
    def test_any_span(self, burst: int, every_s: float, waits: list[float]) -> None:
        """In no span of time there are more than are allowed at once and have come back meanwhile."""
        limit = RateLimit(burst, every_s)
        allowed = [now for now in accumulate(waits) if limit.allow(now)]
        for first, begin in enumerate(allowed):
            for number, end in enumerate(allowed[first:], 1):
                self.assertLessEqual(number, burst + (end - begin) / every_s + 1e-6)


class AllAtOnceTests(SynchronousTestCase):
    """Tokens that come back together: a fixed window."""

    def test_a_few_a_minute(self) -> None:
        """So many pass in a minute; the next minute brings as many, and how many were held back."""
        limit = RateLimit.a_minute(2)
        self.assertEqual(answers(limit, [0.0, 1.0, 2.0, 59.0]), [True, True, False, False])
        told = [(limit.allow(now), limit.suppressed) for now in (60.0, 61.0, 300.0)]
        self.assertEqual(told, [(True, 2), (True, 0), (True, 0)])

    def test_held_back(self) -> None:
        """Each that passes knows how many were refused since the one before it, however long ago that was."""
        limit = RateLimit.a_minute(1)
        answers(limit, [0.0, 1.0, 2.0])
        self.assertEqual((limit.suppressed, limit.allow(500.0), limit.suppressed), (0, True, 2))
        self.assertEqual((limit.allow(1_000.0), limit.suppressed), (True, 0))

    def test_none(self) -> None:
        """None at all, if that is what there may be."""
        self.assertEqual(answers(RateLimit.a_minute(0), [0.0, 60.0, 1_000.0]), [False] * 3)

    def test_clock_set_back(self) -> None:
        """A clock that is set back brings nothing; a window after that there are as many as before."""
        self.assertEqual(answers(RateLimit.a_minute(1), [100.0, 10.0, 69.0, 70.0]), [True, False, False, True])

    @bounded
    @given(BURSTS, EXACT_WAITS)
    def test_window(self, most: int, waits: list[float]) -> None:
        """It allows what a window does that the first to come opens."""
        times = list(accumulate(waits))
        self.assertEqual(answers(RateLimit(most, 6.0, most), times), window_model(most, 6.0, times))

    @bounded
    @given(BURSTS, BURSTS, st.floats(0.01, 5.0), WAITS)
    def test_from_full(self, burst: int, refill: int, every_s: float, waits: list[float]) -> None:
        """From when none is missing there are never more than at first, and as often as some come back so many more."""
        limit = RateLimit(burst, every_s, refill)
        began, allowed = [0.0], [0]
        for now in accumulate(waits):
            if limit.is_full(now):
                began, allowed = [*began, now], [*allowed, 0]
            is_allowed = limit.allow(now)
            allowed = [count + is_allowed for count in allowed]
            for begin, count in zip(began, allowed, strict=True):
                self.assertLessEqual(count, burst + refill * floor((now - begin) / every_s + 1e-6))


class AlsoTests(SynchronousTestCase):
    """One that comes under two limits."""

    def test_both(self) -> None:
        """It is allowed by both, and counts in both."""
        wide, narrow = RateLimit.a_minute(3), RateLimit.a_minute(2)
        self.assertEqual([wide.allow(0.0, narrow) for _ in range(3)], [True, True, False])
        self.assertEqual((wide.allow(0.0), narrow.allow(0.0)), (True, False))

    def test_neither(self) -> None:
        """Refused by one it counts in neither."""
        empty, full = RateLimit.a_minute(0), RateLimit.a_minute(1)
        self.assertFalse(empty.allow(0.0, full))
        self.assertFalse(full.allow(0.0, empty))
        self.assertTrue(full.is_full(0.0))

    def test_suppressed(self) -> None:
        """The one that is asked counts what either refuses."""
        wide, narrow = RateLimit(2, 1.0), RateLimit(1, 1.0)
        for _ in range(4):
            wide.allow(0.0, narrow)
        self.assertTrue(wide.allow(1.0, narrow))
        self.assertEqual((wide.suppressed, narrow.suppressed), (3, 0))


class RateLimitsTests(SynchronousTestCase):
    """A limit for each of many."""

    @bounded
    @given(
        st.sampled_from([(2, 1.5, 1), (3, 4.0, 3), (4, 1.0, 2)]),
        st.lists(st.tuples(st.integers(0, 5), st.floats(0.0, 3.0)), max_size=120),
    )
    def test_as_if_alone(self, limit: tuple[int, float, int], asked: list[tuple[int, float]]) -> None:
        """As long as there are no more keys than fit, each has what it would have alone, whoever is forgotten."""
        limits: RateLimits[int] = RateLimits(6, *limit)
        alone = {key: RateLimit(*limit) for key in range(6)}
        now = 0.0
        for key, wait_s in asked:
            now += wait_s
            self.assertEqual(limits.allow(key, now), alone[key].allow(now))

    def test_bounded(self) -> None:
        """However many keys are made up, so many are known at most."""
        limits: RateLimits[int] = RateLimits.a_minute(100, 2)
        for key in range(1_000):
            self.assertTrue(limits.allow(key, key * 0.001))
        self.assertEqual(len(limits), 100)

    def test_longest_ago(self) -> None:
        """For one too many that is forgotten which was asked longest ago, and not who comes over and over."""
        limits: RateLimits[int] = RateLimits.a_minute(4, 1)
        for now, key in enumerate([0, 1, 2, 3, 0, 4]):
            limits.allow(key, float(now))
        self.assertEqual([limits.allow(key, 6.0) for key in (0, 2, 3, 4)], [False] * 4)
        self.assertTrue(limits.allow(1, 6.0))

    def test_over(self) -> None:
        """Those whose tokens have come back take no room when others have come, and each that comes pays for few."""
        limits: RateLimits[str] = RateLimits(1_000, 10, 1.0)
        for key in range(500):
            limits.allow(f"old {key}", 0.0)
        limits.allow("new", 1.0)
        self.assertGreater(len(limits), 480)
        for key in range(40):
            limits.allow(f"new {key}", 1.0)
        self.assertEqual(len(limits), 41)

    def test_forget(self) -> None:
        """Who is forgotten has all again, and whoever is not known can be."""
        limits: RateLimits[str] = RateLimits.a_minute(10, 1)
        self.assertEqual([limits.allow("a", 0.0), limits.allow("a", 0.0)], [True, False])
        limits.forget("a")
        limits.forget("b")
        self.assertTrue(limits.allow("a", 0.0))

    def test_weight(self) -> None:
        """A key takes no more than 400 bytes."""

        def fill() -> RateLimits[int]:
            limits: RateLimits[int] = RateLimits(2_000, 5, 1.0)
            for key in range(2_000):
                limits.allow((1 << 40) + key, key * 1e-6)
            return limits

        self.assertLess(weight_of(fill) / 2_000, 400)
