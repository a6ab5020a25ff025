"""Floods end, and a noisy neighbour drowns nobody."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.node.seen import SearchBudget, Seen

bounded = settings(max_examples=150)

rates = st.integers(3, 120)
neighbours = st.sampled_from(["A", "B", "C", "D"])
asks = st.lists(
    st.tuples(
        st.sampled_from(["own", "A", "B", "C", "D"]), st.integers(1, 60), st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0])
    ),
    max_size=40,
)


class SeenTests(SynchronousTestCase):
    """Each flood is known once it has passed."""

    def test_passes_once(self) -> None:
        """A flood is new until it is added, and known from then on, from whichever link it comes again."""
        seen = Seen(64, 600.0)
        self.assertFalse(seen.knows(1, 5, 0.0))
        seen.add(1, 5, "A", 0.0)
        seen.add(1, 5, "B", 1.0)
        self.assertEqual((seen.knows(1, 5, 1.0), len(seen)), (True, 1))

    def test_origin_and_id(self) -> None:
        """Origin and id together tell floods apart: nobody spends the ids of another."""
        seen = Seen(64, 600.0)
        seen.add(1, 5, "A", 0.0)
        self.assertEqual(
            [seen.knows(*flood, 0.0) for flood in ((1, 5), (2, 5), (1, 6), (5, 1))], [True, False, False, False]
        )

    def test_expiry(self) -> None:
        """A flood is forgotten after its time."""
        seen = Seen(64, 600.0)
        seen.add(1, 5, "A", 10.0)
        self.assertEqual([seen.knows(1, 5, now) for now in (10.0, 609.9, 610.0)], [True, True, False])

    def test_no_link_drives_it(self) -> None:
        """A link that floods pushes out its own floods, an eighth of the table at most, and none of the others'."""
        seen = Seen(64, 600.0)
        for link in range(7):
            for number in range(8):
                seen.add(link, number, link, 0.0)
        for number in range(10_000):
            seen.add(99, number, "noisy", 0.0)
        self.assertTrue(all(seen.knows(link, number, 0.0) for link in range(7) for number in range(8)))
        self.assertEqual(
            [number for number in range(10_000) if seen.knows(99, number, 0.0)], list(range(9_992, 10_000))
        )
        self.assertEqual(len(seen), 64)


def admitted(budget: SearchBudget, who: str, count: int, now: float) -> int:
    """How many of so many searches are let through."""
    return sum(budget.admit_own(now) if who == "own" else budget.admit(who, now) for _ in range(count))


class SearchBudgetTests(SynchronousTestCase):
    """How the searches of a second are shared out."""

    def test_alone(self) -> None:
        """One neighbour alone may use all but the third that is kept for the node itself."""
        budget = SearchBudget(60.0)
        self.assertEqual(admitted(budget, "A", 1_000, 0.0), 40)

    def test_very_many(self) -> None:
        """However many neighbours ask for little, what there is goes to them."""
        budget = SearchBudget(50.0)
        passed = [sum(admitted(budget, link, 1, float(second)) for link in range(64)) for second in range(0, 60, 5)]
        self.assertEqual(passed, [33] * 12)

    def test_own_alone(self) -> None:
        """While no neighbour asks, the node itself may use all."""
        budget = SearchBudget(60.0)
        self.assertEqual((admitted(budget, "own", 1_000, 0.0), admitted(budget, "A", 1_000, 0.5)), (60, 0))

    def test_next_second(self) -> None:
        """Each second brings the same again."""
        budget = SearchBudget(60.0)
        self.assertEqual(
            [admitted(budget, "A", 100, now) for now in (0.0, 0.5, 0.999, 1.0, 2.0, 60.0)], [40, 0, 0, 40, 40, 40]
        )

    @bounded
    @given(rates, asks)
    @example(3, [("A", 60, 0.0)])
    def test_rate(self, rate: int, asks: list[tuple[str, int, float]]) -> None:
        """In each second no more is let through than the rate, whoever asks for it."""
        budget = SearchBudget(float(rate))
        now, began, passed = 0.0, float("-inf"), 0
        for who, count, wait in asks:
            now += wait
            if now - began >= 1.0:
                began, passed = now, 0
            passed += admitted(budget, who, count, now)
            self.assertLessEqual(passed, rate)

    @bounded
    @given(rates, asks)
    def test_kept_for_own(self, rate: int, asks: list[tuple[str, int, float]]) -> None:
        """However the neighbours flood, a third of the rate is there for the node itself in every second."""
        budget = SearchBudget(float(rate))
        for second in range(5):
            for who, count, _ in asks:
                if who != "own":
                    admitted(budget, who, count, float(second))
            self.assertGreaterEqual(admitted(budget, "own", rate, second + 0.5), rate // 3)

    def test_own_beside_one(self) -> None:
        """Beside a neighbour that floods, the node itself has its third."""
        budget = SearchBudget(60.0)
        self.assertEqual((admitted(budget, "A", 500, 0.0), admitted(budget, "own", 500, 0.5)), (40, 20))

    @bounded
    @given(rates, st.integers(1, 60), st.integers(100, 400), st.integers(2, 6))
    def test_one_noisy(self, rate: int, quiet: int, noisy: int, seconds: int) -> None:
        """Beside one that floods, another gets what it asks for, up to half, from its second second on."""
        budget = SearchBudget(float(rate))
        part = int(Fraction(rate) * 2 / 3 / 2)
        passed = []
        for second in range(seconds):
            admitted(budget, "noisy", noisy, float(second))
            passed.append(admitted(budget, "quiet", quiet, second + 0.9))
        self.assertTrue(all(count >= min(quiet, part) for count in passed[1:]), (passed, part))

    @bounded
    @given(rates, st.integers(1, 60), st.integers(2, 7), st.integers(2, 6))
    @example(60, 1, 2, 6)
    def test_several_noisy(self, rate: int, quiet: int, noisy: int, seconds: int) -> None:
        """Beside several that flood, another still gets what it asks for, up to an equal part."""
        budget = SearchBudget(float(rate))
        part = int(Fraction(rate) * 2 / 3 / (noisy + 1))
        passed = []
        for second in range(seconds):
            for name in range(noisy):
                admitted(budget, f"noisy {name}", 200, float(second))
            passed.append(admitted(budget, "quiet", quiet, second + 0.9))
        self.assertTrue(all(count >= min(quiet, part) for count in passed[1:]), (passed, part))

    def test_now_and_then(self) -> None:
        """A neighbour that asks once in three seconds is not drowned for ever by one that floods."""
        for rate in (30.0, 45.0, 51.0, 90.0):
            budget = SearchBudget(rate)
            passed = 0
            for second in range(60):
                admitted(budget, "noisy", 200, float(second))
                if second % 3 == 2:
                    passed += admitted(budget, "quiet", 1, second + 0.9)
            self.assertGreater(passed, 0, f"at {rate} a second")

    def test_hardly_ever(self) -> None:
        """Nor one that asks once in half a minute."""
        budget = SearchBudget(60.0)
        passed = 0
        for second in range(300):
            admitted(budget, "noisy", 200, float(second))
            if second % 30 == 29:
                passed += admitted(budget, "quiet", 1, second + 0.9)
        self.assertEqual(passed, 9)

    def test_leftovers(self) -> None:
        """What the others do not use, one neighbour may."""
        budget = SearchBudget(60.0)
        passed = []
        for second in range(4):
            quiet = admitted(budget, "quiet", 5, float(second))
            passed.append((quiet, admitted(budget, "busy", 200, second + 0.5)))
        self.assertEqual(passed[1:], [(5, 35)] * 3)

    def test_burst(self) -> None:
        """Who asked for little so far and then for much gets what the others leave over, at once."""
        budget = SearchBudget(60.0)
        for second in range(4):
            self.assertEqual([admitted(budget, who, 5, float(second)) for who in ("A", "B")], [5, 5])
        self.assertEqual([admitted(budget, "A", 200, 4.0), admitted(budget, "B", 5, 4.5)], [35, 5])

    def test_forgotten(self) -> None:
        """Neighbours that have come and gone take no room, however many there were."""
        budget = SearchBudget(60.0)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for number in range(5_000):
            budget.admit(f"neighbour {number}", number / 2)
        self.assertLess(tracemalloc.get_traced_memory()[0], 200_000)

    def test_gone_is_gone(self) -> None:
        """Who has not asked for half a minute has no part any more."""
        budget = SearchBudget(60.0)
        admitted(budget, "A", 100, 0.0)
        self.assertEqual(admitted(budget, "B", 100, 30.0), 40)
