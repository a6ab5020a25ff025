"""Which bytes of a stream have come beyond those that have all come."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.files.window.sack_ranges import SackRanges

PAIRS = st.tuples(st.integers(0, 60), st.integers(1, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))


class RangesTests(SynchronousTestCase):
    """Against a set of numbers."""

    @given(st.lists(PAIRS, max_size=20), PAIRS, st.integers(0, 80), st.lists(st.integers(0, 80), max_size=6))
    def test_as_a_set(
        self, added: list[tuple[int, int]], asked: tuple[int, int], before: int, offsets: list[int]
    ) -> None:
        """They hold what was put in, and know what is missing, where something is, and what is dropped."""
        ranges, whole = SackRanges(), set[int]()
        for first, end in added:
            ranges.add(first, end)
            whole |= set(range(first, end))
        wanted = set(range(*asked))
        self.assertEqual({n for first, end in ranges.missing(*asked) for n in range(first, end)}, wanted - whole)
        self.assertEqual(ranges.touches(*asked), bool(wanted & whole))
        around = ranges.around(offsets)
        self.assertEqual(len(set(around)), len(around))
        self.assertEqual({n for n in offsets if n in whole} <= {n for each in around for n in range(*each)}, True)
        ranges.drop_before(before)
        whole = {n for n in whole if n >= before}
        held = list(ranges)
        self.assertEqual(
            ({n for each in held for n in range(*each)}, ranges.last_end), (whole, max(whole, default=-1) + 1)
        )
        self.assertTrue(all(left[1] < right[0] for left, right in pairwise(held)))
        self.assertEqual((bool(ranges), len(ranges)), (bool(whole), len(held)))
