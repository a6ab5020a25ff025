"""Numbers in order with weights: as a sorted list would have them."""

from __future__ import annotations

from bisect import bisect_right

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from twisted_bazaar.discovery.ring.storage import range_sums
from twisted_bazaar.discovery.ring.storage.range_sums import RangeSums

MODULUS = 1_000


class OrderTests(SynchronousTestCase):
    """An order of numbers."""

    @examples(100)
    @given(st.lists(st.integers(0, 2_000), min_size=300, max_size=900))
    def test_like_a_list(self, numbers: list[int]) -> None:
        """Whatever comes and goes, ranks, stretches and sums are those of a sorted list."""
        made, model = RangeSums(MODULUS), dict[int, int]()
        for number in numbers:
            if number in model:
                made.remove(number)
                del model[number]
            else:
                model[number] = number * 7
                made.add(number, number * 7)
        ranked = sorted(model)
        self.assertEqual(len(made), len(ranked))
        self.assertEqual(list(made.between(0, len(ranked))), ranked)
        for low, high in ((0, 2_000), (500, 1_500), (1_000, 1_001)):
            start, end = made.rank(low), made.rank(high)
            self.assertEqual((start, end), (bisect_right(ranked, low), bisect_right(ranked, high)))
            self.assertEqual(list(made.between(start, end)), ranked[start:end])
            self.assertEqual(made.sum(start, end), sum(model[number] for number in ranked[start:end]) % MODULUS)

    def test_blocks(self) -> None:
        """However many numbers there are, and in whatever order they came, none is in a block that is too long."""
        made = RangeSums(MODULUS)
        for number in range(5_000):
            made.add(number * 7_919 % 100_003, 1)
        self.assertLessEqual(max(map(len, made._blocks)), range_sums._LARGEST_BLOCK)
        for number in range(5_000):
            made.remove(number * 7_919 % 100_003)
        self.assertEqual((len(made), made.sum(0, 0), list(made.between(0, 0)), made._blocks), (0, 0, [], []))
