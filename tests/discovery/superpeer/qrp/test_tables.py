"""Tables of words: what they find, and how they are told."""

from __future__ import annotations

import random
import tracemalloc
import zlib

from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.weighing import weighing
from twisted_bazaar.discovery.index.words import is_fitting, question_of
from twisted_bazaar.discovery.superpeer.messages import LEAST_TABLE_BITS, MOST_TABLE_BITS, NO_TABLE, Query, Table
from twisted_bazaar.discovery.superpeer.qrp.patches import MOST_CHANGED
from twisted_bazaar.discovery.superpeer.qrp.slot_set import write_slots
from twisted_bazaar.discovery.superpeer.qrp.tables import (
    Change,
    OwnTable,
    RouteTable,
    hash_of,
    most_slots,
    token_of_seller,
    tokens_of_file,
    tokens_of_item,
    tokens_of_query,
)
from twisted_bazaar.wire.files import check_file_name

ID = "0" * 32
DIGEST = "d" * 64
OTHER_DIGEST = "e" * 64
KEY = "ab" * 32
LARGEST = 2**53
thorough = examples(200)
texts = st.text(st.sampled_from("aAbBß-_ .1é\N{COMBINING ACUTE ACCENT}ﬁİ東"), min_size=1, max_size=30)


def is_name(name: str) -> bool:
    """Whether a file may have this name."""
    try:
        check_file_name(name)
    except ValueError:
        return False
    return True


def query(**sought: str) -> Query:
    """A query for something."""
    return json.decode(json.encode({"type": "query", "id": ID, **sought}), type=Query)


def hashes(sought: Query) -> list[int]:
    """What a query is looked up by."""
    return [hash_of(token) for token in tokens_of_query(sought)]


def told(own: OwnTable, other: RouteTable, most_bytes: int = 1_100) -> None:
    """Tell somebody everything that has changed."""
    for part in own.changes_since(other.version, most_bytes):
        other.apply_part(part)


def table_of(own: OwnTable) -> RouteTable:
    """What somebody knows who is told everything."""
    other = RouteTable()
    told(own, other)
    return other


def numbers(count: int, begin: int = 0) -> list[str]:
    """So many tokens."""
    return [f"w:{number}" for number in range(begin, begin + count)]


class TokensTests(SynchronousTestCase):
    """What things are found by."""

    def test_file(self) -> None:
        """A file is found by its content, its words, and their beginnings of 3 to 10 letters."""
        self.assertEqual(
            tokens_of_file("My_Extraordinary.ogg", DIGEST),
            {
                f"d:{DIGEST}",
                *("w:my", "w:extraordinary", "w:ogg", "b:ogg"),
                *("b:ext", "b:extr", "b:extra", "b:extrao", "b:extraor", "b:extraord", "b:extraordi", "b:extraordin"),
            },
        )

    def test_query(self) -> None:
        """All words are asked for but the last as a whole, and of that its beginning, if it is not too short."""
        for sought, tokens in (
            (query(words="My song"), ["w:my", "b:song"]),
            (query(words="my extraordinary"), ["w:my", "b:extraordin"]),
            (query(words="my so"), ["w:my"]),
            (query(words="so"), []),
            (query(words="..."), []),
            (query(name="My Song.ogg"), ["w:my", "w:song", "w:ogg"]),
            (query(name="..."), []),
            (query(digest=DIGEST), [f"d:{DIGEST}"]),
        ):
            self.assertEqual(tokens_of_query(sought), tokens)

    def test_goods(self) -> None:
        """Goods and sellers are found in their bazaar."""
        self.assertEqual(set(tokens_of_query(query(item="apple", bazaar="x"))), tokens_of_item("x", "apple"))
        self.assertEqual(tokens_of_query(query(seller=KEY, bazaar="x")), [token_of_seller("x", KEY)])
        tokens = {*tokens_of_item("x", "apple"), *tokens_of_item("y", "apple"), token_of_seller("x", "apple")}
        self.assertEqual(len(tokens), 3)

    def test_hash(self) -> None:
        """The hash is the CRC-32 of the token's UTF-8."""
        self.assertEqual(
            [hash_of(token) for token in ("w:123456789", "b:東")],
            [zlib.crc32(b"w:123456789"), zlib.crc32("b:東".encode())],
        )

    @thorough
    @given(st.lists(texts.filter(is_name), min_size=1, max_size=5), texts)
    def test_found(self, names: list[str], text: str) -> None:
        """Whatever the words of an index find, a table says maybe to: there are no false negatives."""
        own = OwnTable()
        for name in names:
            own.add(tokens_of_file(name, DIGEST))
        table = table_of(own)
        whole, beginning = question_of(text)
        if beginning and any(is_fitting(name, whole, beginning) for name in names):
            self.assertTrue(table.may_have(hashes(query(words=text))))
        for name in names:
            self.assertTrue(table.may_have(hashes(query(name=name))))
            for word, cut in ((each, size) for each in name.split() for size in range(1, len(each) + 1)):
                whole, beginning = question_of(word[:cut])
                if beginning and is_fitting(name, whole, beginning):
                    self.assertTrue(table.may_have(hashes(query(words=word[:cut]))))
        self.assertTrue(table.may_have(hashes(query(digest=DIGEST))))
        self.assertFalse(table.may_have(hashes(query(digest=OTHER_DIGEST))))


class OwnTableTests(SynchronousTestCase):
    """A table that is told to others."""

    def test_counted(self) -> None:
        """What two have is there until neither has it; what is not there cannot be taken out."""
        own = OwnTable()
        own.add(["w:a", "w:b"])
        own.add(["w:b"])
        own.discard(["w:a", "w:b", "w:c"])
        self.assertEqual([table_of(own).may_have([hash_of(f"w:{each}")]) for each in "abc"], [False, True, False])
        own.discard(["w:b"])
        self.assertEqual((len(own), len(table_of(own))), (0, 0))

    def test_version(self) -> None:
        """Each change of what others are told makes another version, and nothing else does."""
        own = OwnTable(began=7)
        versions = [own.version]
        for change in (lambda: own.add(["w:a"]), lambda: own.add(["w:a"]), lambda: own.discard(["w:a"])):
            change()
            versions.append(own.version)
        own.discard(["w:a"])
        versions.append(own.version)
        self.assertEqual(versions, [7, 8, 8, 8, 9])

    def test_neighbouring_slots(self) -> None:
        """Slots that are one in a narrower table are set there while any of them is, and counted once."""
        own = OwnTable()
        versions = []
        for change, slots in ((own.add_slots, [32]), (own.add_slots, [33, 47]), (own.discard_slots, [32, 47])):
            change(slots)
            versions.append((own.version, table_of(own).slots()))
        self.assertEqual(versions, [(2, [2])] * 3)
        own.discard_slots([33])
        self.assertEqual((own.version, table_of(own).slots()), (3, []))
        own.add_slots(range(8 * most_slots(LEAST_TABLE_BITS)))
        self.assertEqual((own.bits, len(table_of(own))), (LEAST_TABLE_BITS, most_slots(LEAST_TABLE_BITS) // 2))

    def test_nothing_new(self) -> None:
        """Who has the version of now is told nothing; an empty table is told in one part."""
        own = OwnTable(began=5)
        self.assertEqual(own.changes_since(5, 1_100), ())
        self.assertEqual(list(own.changes_since(NO_TABLE, 1_100)), [Table(base=NO_TABLE, version=5)])
        table = table_of(own)
        self.assertEqual((table.version, table.may_have([1])), (5, False))

    def test_differences(self) -> None:
        """Who has an older version is told what has changed; who has one too old, or of another run, the whole."""
        own = OwnTable(began=1_000)
        own.add(numbers(50))
        before = own.version
        own.add(["w:new"])
        own.discard(["w:0"])
        (change,) = own.changes_since(before, 1_100)
        slots = [hash_of(token) >> 32 - LEAST_TABLE_BITS for token in ("w:new", "w:0")]
        self.assertEqual((change.base, change.version), (before, own.version))
        self.assertEqual((change.on, change.off), (write_slots(slots[:1]), write_slots(slots[1:])))
        for base in (NO_TABLE, 1, 999, own.version + 1, LARGEST):
            self.assertEqual({part.base for part in own.changes_since(base, 1_100)}, {NO_TABLE})

    def test_log_is_bounded(self) -> None:
        """After very many changes the whole is told: not all are remembered."""
        own = OwnTable()
        before = own.version
        own.add(numbers(1_000))
        table = table_of(own)
        for begin in range(1_000, 60_000, 1_000):
            own.add(numbers(1_000, begin))
            own.discard(numbers(1_000, begin))
        self.assertEqual({part.base for part in own.changes_since(before, 1_100)}, {NO_TABLE})
        self.assertEqual({part.base for part in own.changes_since(table.version, 1_100)}, {NO_TABLE})
        self.assertLess(len(own._log), 40_000)

    def test_width(self) -> None:
        """A table is as wide as it has to be for one slot in eight to be set, and grows narrow when it empties."""
        own = OwnTable()
        table = RouteTable()
        widths = []
        for begin in range(0, 100_000, 5_000):
            own.add(numbers(5_000, begin))
            told(own, table)
            widths.append(own.bits)
            self.assertEqual((table.bits, table.version), (own.bits, own.version))
            self.assertLessEqual(len(table), most_slots(own.bits))
            self.assertTrue(all(table.may_have([hash_of(token)]) for token in numbers(5_000, begin)))
        self.assertEqual((widths, widths[0], widths[-1]), (sorted(widths), 16, 20))
        for begin in range(0, 100_000, 5_000):
            own.discard(numbers(5_000, begin))
            told(own, table)
        self.assertEqual((own.bits, len(own), len(table), table.bits), (16, 0, 0, 16))

    def test_width_stays(self) -> None:
        """A word that comes and goes where a table is as full as it may be does not turn it over each time."""
        own = OwnTable()
        number = 0
        while own.bits == LEAST_TABLE_BITS:
            number += 1
            own.add([f"w:{number}"])
            self.assertTrue(own.version)
        versions = []
        for _ in range(3):
            own.discard([f"w:{number}"])
            versions.append((own.bits, own.version))
            own.add([f"w:{number}"])
            versions.append((own.bits, own.version))
        self.assertEqual({bits for bits, _ in versions}, {LEAST_TABLE_BITS + 1})

    def test_full(self) -> None:
        """With more slots than one in eight of the widest table, everything may be there; until that is over."""
        own = OwnTable(least_bits=MOST_TABLE_BITS)
        table = RouteTable(MOST_TABLE_BITS)
        own.add_slots(range(0, 8 * 131_072, 8))
        told(own, table)
        self.assertEqual((own.is_full, table.is_full, len(table)), (False, False, 131_072))
        own.add_slots([1])
        self.assertEqual(
            list(own.changes_since(table.version, 1_100)),
            [Table(base=NO_TABLE, version=own.version, bits=MOST_TABLE_BITS, full=True)],
        )
        told(own, table)
        self.assertEqual((own.is_full, table.is_full, table.may_have([3 << 12])), (True, True, True))
        version = own.version
        own.discard_slots(range(0, 1_000, 8))
        self.assertEqual((own.is_full, own.version), (True, version), "it would turn over with every word")
        own.discard_slots(range(0, 400_000, 8))
        told(own, table)
        self.assertEqual((own.is_full, table.is_full, table.may_have([3 << 12])), (False, False, False))
        self.assertEqual(table.slots(), list(own._wide))

    def test_parts_fit(self) -> None:
        """No part is longer than it may be, with the longest numbers and however many slots."""
        own = OwnTable(began=2**53 - 1_000_000)
        for begin, most_bytes in ((0, 300), (3_000, 1_100), (30_000, 1_100), (60_000, 60_000)):
            own.add(numbers(3_000, begin))
            before = own.version
            own.discard(numbers(1_500, begin))
            own.add(numbers(1_500, begin + 3_000))
            for base in (NO_TABLE, before):
                parts = own.changes_since(base, most_bytes)
                self.assertLessEqual(max(len(json.encode(part)) for part in parts), most_bytes)
                self.assertEqual([part.part for part in parts], [*range(len(parts))])
                self.assertEqual({part.parts for part in parts}, {len(parts)})

    def test_merged(self) -> None:
        """The tables of weak peers, merged, have what any of them has, and lose what a peer had that goes."""
        rng = random.Random(5)
        leaves = [OwnTable(least_bits=MOST_TABLE_BITS) for _ in range(5)]
        tables = [RouteTable(MOST_TABLE_BITS) for _ in leaves]
        words: list[set[str]] = [set() for _ in leaves]
        own, model = OwnTable(), OwnTable()
        for _ in range(200):
            which = rng.randrange(len(leaves))
            token = f"w:{rng.randrange(40)}"
            if token in words[which]:
                words[which].discard(token)
                leaves[which].discard([token])
            else:
                words[which].add(token)
                leaves[which].add([token])
            for part in leaves[which].changes_since(tables[which].version, 1_100):
                change = tables[which].apply_part(part)
                assert change is not None
                own.merge(change)
            if not rng.randrange(40):
                own.merge(tables[which].clear())
                own.merge(tables[which].clear())
            model = OwnTable()
            for table, having in zip(tables, words, strict=True):
                if table.version != NO_TABLE:
                    model.add(having)
            self.assertEqual(table_of(own).slots(), table_of(model).slots())
        for table in tables:
            own.merge(table.clear())
        self.assertEqual(len(own), 0)

    def test_merged_full(self) -> None:
        """While one weak peer has too much to be told, everything may be there; when it goes, it is not."""
        own = OwnTable()
        table = RouteTable(MOST_TABLE_BITS)
        for part in (
            Table(base=0, version=1, bits=20, on=write_slots([4, 5])),
            Table(base=0, version=2, bits=20, full=True),
            Table(base=0, version=3, bits=20, full=True),
        ):
            change = table.apply_part(part)
            assert change is not None
            own.merge(change)
        self.assertEqual((own.is_full, len(own), table_of(own).is_full), (True, 0, True))
        own.merge(table.clear())
        self.assertEqual((own.is_full, table_of(own).may_have([1])), (False, False))


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    """What happens between one who tells and one who is told."""
    step = st.tuples(
        st.sampled_from(["add", "discard", "tell", "tell", "arrive", "arrive", "arrive", "lose", "repeat", "restart"]),
        st.integers(0, 60),
        st.integers(1, 60),
    )
    return draw(st.lists(step, min_size=5, max_size=80))


class RouteTableTests(SynchronousTestCase):
    """A table that is put together from parts."""

    @examples(400)
    @given(histories(), st.sampled_from([LEAST_TABLE_BITS, MOST_TABLE_BITS]))
    def test_model(self, steps: list[tuple[str, int, int]], bits: int) -> None:
        """Parts may be lost, doubled, late, of any version: a table is always one that there was, of its version.

        The changes that it tells add up to it. Once nothing gets lost, it is what it should be.
        """
        rng = random.Random(len(steps))
        own, table, summed = OwnTable(began=rng.randrange(2**40), least_bits=bits), RouteTable(bits), set[int]()
        history: dict[int, list[int]] = {NO_TABLE: []}
        under_way: list[Table] = []

        def take(part: Table) -> None:
            change = table.apply_part(part)
            if change is not None:
                self.assertTrue(summed.issuperset(change.off))
                summed.difference_update(change.off)
                self.assertTrue(summed.isdisjoint(change.on))
                summed.update(change.on)
            self.assertEqual((table.slots(), sorted(summed)), (history[table.version],) * 2)
            self.assertEqual(len(table), len(summed))

        for step, begin, count in steps:
            if step == "add":
                own.add(numbers(count, begin))
            elif step == "discard":
                own.discard(numbers(count, begin))
            elif step == "restart":
                own = OwnTable(began=rng.randrange(2**40), least_bits=bits)
            elif step == "tell":
                history[own.version] = sorted({slot >> MOST_TABLE_BITS - bits for slot in own._wide})
                under_way += own.changes_since(table.version, 180)
            elif under_way:
                part = under_way[begin % len(under_way)]
                if step != "repeat":
                    under_way.remove(part)
                if step != "lose":
                    take(part)
        history[own.version] = sorted({slot >> MOST_TABLE_BITS - bits for slot in own._wide})
        for part in own.changes_since(table.version, 180):
            take(part)
        self.assertEqual(table.version, own.version)

    def test_unknown(self) -> None:
        """While nothing is known, everything may be there."""
        table = RouteTable()
        self.assertEqual((table.version, table.may_have([1]), table.may_have([])), (NO_TABLE, True, True))
        table.apply_part(Table(base=0, version=1, on=write_slots([7]), parts=2))
        self.assertTrue(table.may_have([1]))
        table.apply_part(Table(base=0, version=1, parts=2, part=1))
        self.assertEqual(
            [table.may_have(each) for each in ([1], [7 << 16], [7 << 16, 1], [])], [False, True, False, True]
        )
        table.clear()
        self.assertTrue(table.may_have([1]))

    def test_mixed(self) -> None:
        """Parts of different changes never make one table."""
        table = RouteTable()
        table.apply_part(Table(base=0, version=1, parts=2, part=0, on=write_slots([1])))
        table.apply_part(Table(base=0, version=2, parts=2, part=1, on=write_slots([2])))
        self.assertEqual(table.version, NO_TABLE)
        table.apply_part(Table(base=0, version=2, parts=2, part=0, on=write_slots([3])))
        self.assertEqual((table.version, table.slots()), (2, [2, 3]))
        self.assertIsNone(table.apply_part(Table(base=1, version=3, on=write_slots([4]))))
        self.assertEqual((table.version, table.slots()), (2, [2, 3]))

    def test_lower_version(self) -> None:
        """A table from nothing replaces what was there, whatever its version: who tells it has begun anew."""
        table = RouteTable()
        table.apply_part(Table(base=0, version=900, on=write_slots([1, 2])))
        self.assertEqual(table.apply_part(Table(base=0, version=3, on=write_slots([2, 5]))), Change([5], [1]))
        self.assertEqual((table.version, table.slots()), (3, [2, 5]))

    def test_lies(self) -> None:
        """What is told is what has changed, not what somebody says has: sums of it are right whoever lies."""
        table = RouteTable(16)
        table.apply_part(Table(base=0, version=1, bits=16, on=write_slots([1, 2])))
        change = table.apply_part(Table(base=1, version=2, bits=16, on=write_slots([2, 3]), off=write_slots([3, 4])))
        self.assertEqual((change, table.slots()), (Change([3], []), [1, 2, 3]))
        change = table.apply_part(Table(base=2, version=3, bits=16, on=write_slots([1]), off=write_slots([1])))
        self.assertEqual((change, table.slots()), (Change([1], [1]), [1, 2, 3]))

    def test_rubbish(self) -> None:
        """What is no part of a table is refused, and changes nothing."""
        table = RouteTable()
        table.apply_part(Table(base=0, version=5, on=write_slots([1])))
        for part in (
            Table(base=0, version=6, on="rubbish"),
            Table(base=5, version=6, off="!"),
            Table(base=0, version=6, on=write_slots([65_536])),
            Table(base=5, version=6, bits=17, on=write_slots([3])),
        ):
            self.assertRaises(ValueError, table.apply_part, part)
        self.assertRaises(ValueError, RouteTable(20).apply_part, Table(base=0, version=6, bits=16))
        self.assertEqual((table.version, table.slots()), (5, [1]))

    def test_too_many(self) -> None:
        """Whoever sets more slots than there are words may have everything; no more than that is kept of it."""
        table = RouteTable(16)
        most = most_slots(16)
        table.apply_part(Table(base=0, version=1, bits=16, on=write_slots(range(most))))
        table.apply_part(Table(base=1, version=2, bits=16, on=write_slots([9_000]), off=write_slots([4])))
        self.assertEqual((table.is_full, len(table), table.may_have([1 << 31])), (False, most, False))
        change = table.apply_part(
            Table(base=2, version=3, bits=16, on=write_slots([4, 7, 60_000]), off=write_slots([5]))
        )
        assert change is not None
        self.assertEqual((list(change.on), list(change.off)), ([], sorted({*range(most), 9_000} - {4})))
        self.assertEqual((change.full, table.is_full, len(table), table.may_have([1 << 31])), (1, True, 0, True))
        change = table.apply_part(Table(base=0, version=4, bits=16, on=write_slots([1])))
        self.assertEqual((change, table.is_full), (Change([1], [], -1), False))

    def test_pending_is_bounded(self) -> None:
        """Changes that are never told to their end do not fill the memory."""
        table = RouteTable()
        few, many = write_slots(range(1_024)), write_slots(range(16_384))
        self.enterContext(weighing())
        for version in range(1, 100):
            for part in range(3):
                table.apply_part(Table(base=0, version=version, bits=20, parts=1_024, part=part, on=few))
        for part in range(48):
            table.apply_part(Table(base=0, version=500, bits=20, parts=1_024, part=part, on=many))
        size, _ = tracemalloc.get_traced_memory()
        self.assertLess(size, 500_000)

    def test_great_change(self) -> None:
        """To change more slots than a moment is enough for is refused, in one part or in several, and changes nothing.

        As a whole so many slots are taken, and told in steps.
        """
        few, many = write_slots(range(MOST_CHANGED)), write_slots(range(MOST_CHANGED + 1))
        for parts, ons in ((1, [many]), (3, [few, write_slots([100_000])])):
            table = RouteTable(20)
            table.apply_part(Table(base=0, version=1, bits=20, on=write_slots([5])))
            with self.assertRaises(ValueError):
                for part, on in enumerate(ons):
                    table.apply_part(Table(base=1, version=2, bits=20, part=part, parts=parts, on=on))
            self.assertEqual((table.version, table.slots()), (1, [5]))
            self.assertFalse(table._pending)
            change = table.apply_part(Table(base=1, version=2, bits=20, on=few, off=""))
            assert change is not None
            self.assertEqual(change.on, sorted({*range(MOST_CHANGED)} - {5}))
            change = table.apply_part(Table(base=0, version=3, bits=20, on=many))
            assert change is not None
            self.assertEqual((list(change.on), list(change.off)), ([MOST_CHANGED], []))

    def test_replaced(self) -> None:
        """The largest table takes the place of another: what is told is what has changed, in stretches as a whole."""
        rng = random.Random(3)
        table, before = RouteTable(20), set[int]()
        for began in (1, 1 << 40, 1 << 50):
            own, slots = OwnTable(began, MOST_TABLE_BITS), set(rng.sample(range(1 << 20), 131_000))
            own.add_slots(slots)
            changes = [table.apply_part(part) for part in own.changes_since(NO_TABLE, 1_100)]
            change = changes.pop()
            assert change is not None
            self.assertEqual({*changes}, {None})
            self.assertEqual((list(change.on), list(change.off)), (sorted(slots - before), sorted(before - slots)))
            portions = [change.on[begin : begin + 4_000] for begin in range(0, len(change.on), 4_000)]
            self.assertEqual([slot for portion in portions for slot in portion], sorted(slots - before))
            before = slots
        self.assertEqual(list(table.clear().off), sorted(before))
