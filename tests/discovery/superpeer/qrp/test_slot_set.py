"""Sets of slots: as text, and in memory."""

from __future__ import annotations

import base64
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.weighing import weighing
from twisted_bazaar.discovery.superpeer.qrp import slot_set as slots_module
from twisted_bazaar.discovery.superpeer.qrp.slot_set import (
    SlotCounts,
    Slots,
    SlotSet,
    folded,
    read_slots,
    write_portions,
    write_slots,
)

BITS = 20
thorough = examples(300)
slots = st.one_of(
    st.sets(st.integers(0, (1 << BITS) - 1), max_size=60),
    st.sets(st.integers(0, 300), max_size=200),
).map(sorted)


def text_of(*numbers: int) -> str:
    """Bytes in base64."""
    return base64.b64encode(bytes(numbers)).decode()


class TextTests(SynchronousTestCase):
    """What slots look like on the way."""

    @thorough
    @given(slots)
    def test_there_and_back(self, slots: list[int]) -> None:
        """What is written is read again, as it was."""
        self.assertEqual(read_slots(write_slots(slots), BITS), slots)

    def test_vectors(self) -> None:
        """The first slot, then the distances, seven bits a byte."""
        for slots, text in (
            ([], ""),
            ([0], text_of(0)),
            ([0, 1, 3], text_of(0, 1, 2)),
            ([127, 255], text_of(127, 0x80, 1)),
            ([65_535], text_of(0xFF, 0xFF, 3)),
            ([5, 300, 301], text_of(5, 0xA7, 2, 1)),
        ):
            self.assertEqual((write_slots(slots), read_slots(text, 16)), (text, slots))

    def test_rubbish(self) -> None:
        """What nobody would write is refused: there is one text for each set."""
        for text in (
            "?",
            "AA",
            "AA=",
            "AA==\n",
            " AA==",
            "AB==",
            "AA==AA==",
            "é",
            "\ud800",
            text_of(0x80),
            text_of(1, 0x80),
            text_of(0x80, 0),
            text_of(1, 0xFF, 0),
            text_of(0x81, 0x80, 0x80, 1),
            text_of(0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1),
            text_of(0, 0),
            text_of(5, 0),
            text_of(5, 1, 0, 1),
            write_slots([65_536]),
            write_slots([1, 65_535, 65_536]),
        ):
            self.assertRaises(ValueError, read_slots, text, 16)

    @thorough
    @given(st.text(max_size=20) | st.binary(max_size=40).map(lambda some: base64.b64encode(some).decode()))
    def test_any_text(self, text: str) -> None:
        """Any text is refused, or stands for ascending slots that are written as this very text."""
        try:
            slots = read_slots(text, 16)
        except ValueError:
            return
        self.assertEqual((sorted(set(slots)), write_slots(slots)), (slots, text))
        self.assertTrue(all(0 <= slot < 1 << 16 for slot in slots))

    @thorough
    @given(slots, st.integers(4, 60))
    def test_portions(self, slots: list[int], most_chars: int) -> None:
        """Portions are no longer than they may be, none is empty, and together they are the whole."""
        portions = write_portions(slots, most_chars)
        self.assertEqual([slot for portion in portions for slot in read_slots(portion, BITS)], slots)
        self.assertTrue(all(portions))
        self.assertLessEqual(max(map(len, portions), default=0), most_chars)

    def test_few_portions(self) -> None:
        """Portions are no shorter than they have to be."""
        self.assertEqual(len(write_portions(range(0, 60_000, 7), 1_000)), 12)


class SlotSetTests(SynchronousTestCase):
    """Slots in memory."""

    @thorough
    @given(
        st.sets(st.integers(0, 65_535)).map(sorted),
        st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 65_535), max_size=40)), max_size=8),
        st.sampled_from([0, 2_000, 2_047, 2_048, 2_049, 4_000]),
    )
    def test_model(self, slots: list[int], steps: list[tuple[bool, list[int]]], many: int) -> None:
        """It is a set, and says what has changed, whether few slots are set or many."""
        first = sorted({*slots, *range(7, 7 + many)})
        kept, model = SlotSet(first, 16), set(first)
        for is_added, changed in steps:
            for slot in changed:
                if is_added:
                    self.assertEqual(kept.add(slot), slot not in model)
                    model.add(slot)
                else:
                    self.assertEqual(kept.discard(slot), slot in model)
                    model.discard(slot)
            self.assertEqual((list(kept), len(kept)), (sorted(model), len(model)))
            for slot in (*changed, *first[:20]):
                self.assertEqual(kept.has_all([slot << 16], 16), slot in model)
                for spare in range(5):
                    begin = slot >> spare << spare
                    end = begin + (1 << spare)
                    self.assertEqual(kept.has_any(begin, end), not model.isdisjoint(range(begin, end)))
            self.assertEqual(kept.has_all([slot << 16 for slot in changed], 16), {*changed} <= model)

    def test_memory(self) -> None:
        """Four bytes a slot while there are few, and an eighth of a byte for each there could be after that."""
        for count, bits, most in ((100, 20, 1_000), (2_048, 20, 10_000), (4_500, 16, 9_000), (100_000, 20, 132_000)):
            slots = range(count)
            with weighing():
                kept = SlotSet(slots, bits)
                snapshot = tracemalloc.take_snapshot()
            # Other threads take memory meanwhile.
            ours = snapshot.filter_traces([tracemalloc.Filter(inclusive=True, filename_pattern=slots_module.__file__)])
            size = sum(trace.size for trace in ours.traces)
            self.assertEqual(len(kept), count)
            self.assertTrue(most / 4 < size < most, f"{count} slots take {size} bytes")

    @thorough
    @given(
        st.sets(st.integers(0, 65_535)),
        st.sets(st.integers(0, 65_535)),
        st.sampled_from([0, 3_000]),
        st.sampled_from([0, 3_000]),
    )
    def test_several(self, some: set[int], others: set[int], many: int, many_others: int) -> None:
        """What is in one and not in another, in both, and in a narrower table, whether few slots are set or many."""
        some, others = some | {*range(many)}, others | {*range(1_500, 1_500 + many_others)}
        one, other = SlotSet(sorted(some), 16), SlotSet(sorted(others), 16)
        self.assertEqual([*one.difference(other)], sorted(some - others))
        self.assertEqual([*one.to_list()], sorted(some))
        for spare in range(5):
            self.assertEqual([*one.narrowed(spare)], sorted({slot >> spare for slot in some}))
        one.update([*others, *others])
        self.assertEqual(([*one], len(one)), (sorted(some | others), len(some | others)))


class SlotsTests(SynchronousTestCase):
    """The slots of a bitmap as a sequence."""

    @thorough
    @given(st.binary(min_size=256, max_size=256), st.slices(60) | st.slices(2_000))
    def test_model(self, bitmap: bytes, some: slice) -> None:
        """It is what a list of them is."""
        slots = Slots(bitmap)
        model = [slot for slot in range(2_048) if bitmap[slot >> 3] >> (slot & 7) & 1]
        self.assertEqual(([*slots], len(slots), slots[some]), (model, len(model), model[some]))
        self.assertEqual([slots[place] for place in range(-len(model), len(model))], model * 2)
        self.assertRaises(IndexError, slots.__getitem__, len(model))
        self.assertEqual([slot for slot in range(-3, 2_051) if slot in slots], model)
        self.assertEqual(folded(bitmap, 0), bitmap)

    @thorough
    @given(
        st.lists(st.sampled_from([b"\0" * 64, b"\1" * 64, b"\xff" * 64, b"\0" * 63 + b"\x80"]), min_size=1, max_size=99)
    )
    def test_portions(self, blocks: list[bytes]) -> None:
        """Portions fit into what they are to fit into, and together they are the whole, in order."""
        slots = Slots(b"".join(blocks))
        for most_chars in (700, 972, 60_000):
            texts = [write_slots(slots[portion]) for portion in slots.portions(most_chars)]
            self.assertLessEqual(max(map(len, texts)), most_chars)
            self.assertEqual([slot for text in texts for slot in read_slots(text, 16)], [*slots])
        self.assertRaises(ValueError, slots.portions, 500)


class SlotCountsTests(SynchronousTestCase):
    """How often slots are there."""

    def test_few_and_many(self) -> None:
        """They are counted alike when few are there and when all are; all of them take 4 MB at most."""
        counts = SlotCounts(20)
        with weighing():
            before, _ = tracemalloc.get_traced_memory()
            for slot in range(0, 1 << 20, 4):
                counts.add(slot, 1)
                counts.add(slot, 1)
            after, _ = tracemalloc.get_traced_memory()
        self.assertLess(after - before, 6 << 20)
        self.assertEqual([counts.count(slot) for slot in (0, 1, 16, (1 << 20) - 16)], [2, 0, 2, 2])
        for slot in range(0, 1 << 20, 4):
            counts.add(slot, -1)
        self.assertEqual([counts.count(slot) for slot in (0, 1, 16)], [1, 0, 1])
        few = SlotCounts(20)
        few.add(7, 1)
        few.add(7, -1)
        self.assertEqual(few.count(7), 0)
