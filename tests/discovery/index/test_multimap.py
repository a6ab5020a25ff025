"""A multimap against a dict of lists, and how it grows."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.weighing import weighing
from twisted_bazaar.discovery.index.multimap import Multimap

DEEDS = st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 12))


class MultimapTests(SynchronousTestCase):
    """What it holds, and what that costs."""

    @given(st.lists(DEEDS, max_size=60), st.sampled_from([1, 4]))
    def test_any_history(self, deeds: list[tuple[bool, int, int]], parts: int) -> None:
        """After any history it holds what a dict of lists does, in the same order, and says what was first and last."""
        tested, naive = Multimap[str, int](parts), dict[str, list[int]]()
        for is_added, number, thing in deeds:
            key = f"key {number}"
            things = naive.setdefault(key, [])
            before = list(things)
            if is_added:
                things += [thing] if thing not in things else []
                self.assertEqual(tested.add(key, thing), not before)
            else:
                things[:] = [each for each in things if each != thing]
                self.assertEqual(tested.discard(key, thing), before == [thing])
            self.assertEqual(list(tested.under(key)), things)
            self.assertEqual(key in tested, bool(things))
        self.assertEqual(len(tested), sum(map(bool, naive.values())))

    def test_grows_in_parts(self) -> None:
        """While it grows, only a part of it is in memory twice."""
        keys = [f"key {number}" for number in range(200_000)]
        with weighing():
            tested = Multimap[str, str](64)
            for key in keys:
                tested.add(key, "thing")
            now, peak = tracemalloc.get_traced_memory()
        self.assertEqual(len(tested), len(keys))
        self.assertLess(peak, 1.1 * now)
