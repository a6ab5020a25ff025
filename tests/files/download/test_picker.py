"""Promises of the picker: each chunk once, the rarest first."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.files.chunks import Holdings
from twisted_bazaar.files.download.picker import Picker, set_of


def picker_of(count: int, held: set[int] = frozenset(), seed: int = 1) -> Picker:  # type: ignore[assignment]
    """A picker for a file of which some is there."""
    holdings = Holdings(count)
    for chunk in held:
        holdings.add(chunk)
    return Picker(holdings, random.Random(seed))


CASE = st.integers(0, 70).flatmap(
    lambda count: st.tuples(
        st.just(count),
        st.sets(st.integers(0, max(0, count - 1)), max_size=count),
        st.lists(st.sets(st.integers(0, max(0, count - 1)), max_size=count), max_size=5),
        st.integers(0, 1000),
    )
)


class PickerTests(SynchronousTestCase):
    """What is asked of whom."""

    @given(CASE)
    def test_rarest_first(self, case: tuple[int, set[int], list[set[int]], int]) -> None:
        """Whatever a source has, it is asked for everything useful, each chunk once, the rarest of it first."""
        count, held, partials, seed = case
        picker = picker_of(count, held, seed)
        for has in partials:
            picker.source_joined(set_of(count, has))
        for has in [*partials, set(range(count))]:
            bits = set_of(count, has)
            useful = has - held
            self.assertEqual(picker.is_useful(bits), bool(useful))
            picked = []
            while (chunk := picker.pick(bits)) is not None:
                picked.append(chunk)
            self.assertEqual(sorted(picked), sorted(useful))
            rarity = [sum(chunk in each for each in partials) for chunk in picked]
            self.assertEqual(rarity, sorted(rarity))
            for chunk in picked:
                picker.request_dropped(chunk)

    @given(CASE)
    def test_who_leaves_is_not_counted(self, case: tuple[int, set[int], list[set[int]], int]) -> None:
        """A picker that saw sources come, grow and go picks as one that never saw them."""
        count, held, partials, seed = case
        picker = picker_of(count, held, seed)
        for has in partials:
            picker.source_joined(0)
            picker.source_grown(set_of(count, has))
        for has in partials:
            picker.source_left(set_of(count, has))
        picked = []
        while (chunk := picker.pick(None)) is not None:
            picked.append(chunk)
        self.assertEqual(picked, sorted(set(range(count)) - held))

    def test_asked_once(self) -> None:
        """What somebody was asked for nobody else is, until it is forgotten; what came never again."""
        picker = picker_of(2)
        self.assertEqual([picker.pick(None), picker.pick(None), picker.pick(None)], [0, 1, None])
        self.assertFalse(picker.can_pick(None))
        self.assertEqual(picker.unrequested, 0)
        picker.request_dropped(0)
        self.assertTrue(picker.can_pick(None))
        self.assertEqual(picker.pick(None), 0)
        picker.chunk_received(0)
        picker.request_dropped(0)
        self.assertFalse(picker.is_missing(0))
        self.assertFalse(picker.is_done)
        picker.chunk_received(1)
        self.assertEqual((picker.pick(None), picker.is_done), (None, True))

    def test_by_chance_among_equals(self) -> None:
        """Many that ask at once ask for different chunks, if they are told not to take them in turn."""
        picks = {picker_of(1000, seed=seed).pick(None, in_turn=False) for seed in range(40)}
        self.assertGreater(len(picks), 30)

    def test_told_alone(self) -> None:
        """Of the chunks that a source offers, the first that is of use is picked."""
        picker = picker_of(10, {3})
        self.assertEqual(picker.pick_from([3, 4, 5], None), 4)
        self.assertEqual(picker.pick_from([3, 4, 5], None), 5)
        self.assertEqual(picker.pick_from([3, 4, 5], None), None)
        self.assertEqual(picker.pick_from([6, 7], set_of(10, [7])), 7)

    def test_a_large_file(self) -> None:
        """A million chunks are picked from without effort."""
        picker = picker_of(1_000_000)
        picker.source_joined(set_of(1_000_000, [999_999, 5]))
        self.assertEqual(len({picker.pick(None) for _ in range(100)}), 100)
