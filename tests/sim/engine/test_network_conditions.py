"""What lies between machines, as the ways know it."""

from __future__ import annotations

import random
import statistics

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.sim.engine.network_conditions import Conditions, Ways, constant, lognormal, uniform

_HOSTS = [f"host-{number}" for number in range(40)]


class WaysTests(SynchronousTestCase):
    """The way from each machine to each other."""

    def test_usual(self) -> None:
        """A way is what is usual, unless something else was said; one from a machine to itself is short and safe."""
        ways = Ways(1, Conditions(5.0, bytes_a_second=1.0, loss=0.5))
        self.assertEqual(ways.conditions("a", "b"), Conditions(5.0, bytes_a_second=1.0, loss=0.5))
        self.assertEqual(ways.conditions("a", "a"), Conditions(latency_s=0.00005))

    def test_change(self) -> None:
        """A way can be made special in one direction, and usual again."""
        ways, special = Ways(1, Conditions()), Conditions(loss=0.5)
        seen = [ways.conditions("a", "b")]
        for conditions in (special, None):
            ways.change("a", "b", conditions)
            seen.append(ways.conditions("a", "b"))
            seen.append(ways.conditions("b", "a"))
        self.assertEqual(seen, [Conditions(), special, Conditions(), Conditions(), Conditions()])

    def test_drawn(self) -> None:
        """Each pair has a latency of its own, the same in both directions and whoever is asked for first."""
        pairs = [(source, target) for source in _HOSTS for target in _HOSTS if source != target]
        ways, other = Ways(1, Conditions(), uniform(0.01, 0.1)), Ways(1, Conditions(), uniform(0.01, 0.1))
        drawn = {pair: ways.conditions(*pair).latency_s for pair in pairs}
        self.assertEqual({pair: other.conditions(*pair).latency_s for pair in reversed(pairs)}, drawn)
        self.assertEqual([pair for pair in pairs if drawn[pair] != drawn[pair[1], pair[0]]], [])
        self.assertEqual(len(set(drawn.values())), len(pairs) // 2)

    def test_seed(self) -> None:
        """Another seed draws other latencies."""
        drawn = [Ways(seed, Conditions(), uniform(0, 1)).conditions("a", "b").latency_s for seed in range(5)]
        self.assertEqual(len(set(drawn)), 5)

    def test_distributions(self) -> None:
        """Latencies are distributed as was wanted, and never beyond two seconds."""
        rng = random.Random(1)
        self.assertEqual({constant(0.05)(rng) for _ in range(10)}, {0.05})
        even = [uniform(0.01, 0.03)(rng) for _ in range(2000)]
        self.assertTrue(0.01 <= min(even) < 0.011 and 0.029 < max(even) <= 0.03)
        skewed = [lognormal(0.02, 0.5)(rng) for _ in range(2000)]
        self.assertTrue(0.019 < statistics.median(skewed) < 0.021 and statistics.mean(skewed) > 0.022)
        self.assertEqual(Ways(1, Conditions(), constant(9.0)).conditions("a", "b").latency_s, 2.0)

    def test_slowed(self) -> None:
        """A host that is slowed has slow and narrow ways both to and from it; others have what they had."""
        ways = Ways(1, Conditions(0.01))
        ways.slow_down("a", 10, 500)
        slow = Conditions(0.1, bytes_a_second=500)
        pairs = (("a", "b"), ("b", "a"), ("b", "c"), ("a", "a"))
        self.assertEqual([ways.conditions(*pair) for pair in pairs][:3], [slow, slow, Conditions(0.01)])
        self.assertEqual(ways.conditions("a", "a").latency_s, 0.00005)

    def test_slowed_twice(self) -> None:
        """What slows a host adds up, the narrowest counts, and each can be taken back by itself."""
        ways = Ways(1, Conditions(0.5, bytes_a_second=300))
        first, second = ways.slow_down("a", 2, 500), ways.slow_down("a", 4, 100)
        seen = [ways.conditions("a", "b")]
        for slowing in (second, first, first):
            ways.speed_up(slowing)
            seen.append(ways.conditions("a", "b"))
        told = [(conditions.latency_s, conditions.bytes_a_second) for conditions in seen]
        self.assertEqual(told, [(4.0, 100), (1.0, 300), (0.5, 300), (0.5, 300)])

    def test_queue(self) -> None:
        """Bytes go through a narrow way one after the other, in each direction by itself."""
        ways = Ways(1, Conditions(bytes_a_second=100))
        through = [
            ways.passed_at("a", "b", 50, 1.0),
            ways.passed_at("a", "b", 100, 1.2),
            ways.passed_at("a", "b", 0, 1.3),
        ]
        self.assertEqual(through, [1.5, 2.5, 2.5])
        self.assertEqual((ways.passed_at("b", "a", 50, 1.0), ways.passed_at("a", "b", 50, 9.0)), (1.5, 9.5))

    def test_queues_are_forgotten(self) -> None:
        """Of ways that are free again nothing is kept."""
        ways = Ways(1, Conditions(bytes_a_second=100))
        for number in range(10_000):
            ways.passed_at("a", f"host-{number}", 50, float(number))
        self.assertLess(len(ways._free_at), 2000)

    def test_latencies_are_forgotten(self) -> None:
        """What is kept of what was asked is bounded."""
        ways = Ways(1, Conditions())
        for number in range(200_000):
            ways.conditions("a", f"host-{number}")
        self.assertLess(len(ways._known), 150_000)


class CutTests(SynchronousTestCase):
    """Partitions."""

    def separated(self, ways: Ways) -> list[str]:
        """Between which of three hosts nothing gets through."""
        return [source + target for source in "abc" for target in "abc" if ways.is_cut(source, target)]

    def test_both_ways(self) -> None:
        """Nothing gets from one side to the other, and everything within a side."""
        ways = Ways(1, Conditions())
        ways.cut(["a", "b"])
        self.assertEqual(self.separated(ways), ["ac", "bc", "ca", "cb"])

    def test_one_way(self) -> None:
        """In a cut of one way only what leaves the side is lost."""
        ways = Ways(1, Conditions())
        ways.cut(["a", "b"], one_way=True)
        self.assertEqual(self.separated(ways), ["ac", "bc"])

    def test_overlapping(self) -> None:
        """Cuts that are alike are two; what one separates stays separate until both are healed."""
        ways = Ways(1, Conditions())
        cuts = [ways.cut(["a"]), ways.cut(["a"]), ways.cut(["c"], one_way=True)]
        seen = []
        for cut in (*cuts, cuts[0]):
            ways.heal(cut)
            seen.append(self.separated(ways))
        self.assertEqual(seen, [["ab", "ac", "ba", "ca", "cb"], ["ca", "cb"], [], []])
