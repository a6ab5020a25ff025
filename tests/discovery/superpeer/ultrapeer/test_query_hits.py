"""Hits: in parts, and put together again."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from twisted_bazaar.discovery.index.messages import File
from twisted_bazaar.discovery.superpeer.messages import MOST_FOUND, Found, QueryHit
from twisted_bazaar.discovery.superpeer.ultrapeer.query_hits import QueryHits, split_hits
from twisted_bazaar.wire.message import LARGEST_INTEGER

ID = "f" * 32
MOST_BYTES = 1_100
LONGEST_HOST = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"
LONGEST_FILE = File(name='"' * 255, size=LARGEST_INTEGER, digest="f" * 64, whole=False)
thorough = examples(100)

names = st.one_of(st.just('"' * 255), st.just("é" * 127), st.text(st.sampled_from('ab"é東'), min_size=1, max_size=60))
files = st.builds(
    File,
    name=names,
    size=st.integers(0, LARGEST_INTEGER),
    digest=st.sampled_from("0123456789abcdef").map(lambda digit: digit * 64),
    whole=st.booleans(),
)
founds = st.builds(
    Found,
    id=st.integers(0, LARGEST_INTEGER),
    key=st.sampled_from(["aa" * 32, "bb" * 32, "cc" * 32]),
    port=st.integers(0, 65_535),
    host=st.sampled_from([None, "10.0.0.1", LONGEST_HOST]),
    load=st.integers(0, LARGEST_INTEGER),
    udp=st.integers(0, 65_535),
    files=st.lists(files, max_size=12).map(tuple),
)


def found(number: int, *names: str, host: str | None = "10.0.0.1") -> Found:
    """A peer with some files."""
    return Found(
        id=number,
        key=f"{number:064x}",
        port=9_000,
        host=host,
        files=tuple(File(name=name, size=1, digest=f"{number:064x}") for name in names),
    )


def hit(*found: Found) -> QueryHit:
    """A hit in one part."""
    return QueryHit(id=ID, answer=1, found=found)


def hits_in(found: list[Found]) -> list[tuple[int, str, File | None]]:
    """Each hit by itself."""
    return [(each.id, each.key, file) for each in found for file in each.files or (None,)]


class PartsTests(SynchronousTestCase):
    """What was found, in parts that fit into datagrams."""

    @thorough
    @given(st.lists(founds, max_size=8), st.integers(0, LARGEST_INTEGER))
    def test_fit(self, found: list[Found], answer: int) -> None:
        """No part is too long, even when hosts are filled in, and together they say all, in the same order."""
        parts = split_hits(ID, answer, found, MOST_BYTES)
        self.assertEqual(hits_in([each for part in parts for each in part.found]), hits_in(found))
        for place, part in enumerate(parts):
            self.assertEqual((part.id, part.answer, part.part, part.parts), (ID, answer, place, len(parts)))
            self.assertTrue(part.found)
            hosted = part.evolve(found=tuple(replace(each, host=each.host or LONGEST_HOST) for each in part.found))
            self.assertLessEqual(len(json.encode(hosted)), MOST_BYTES)
            self.assertEqual(json.decode(json.encode(part), type=QueryHit), part)

    def test_longest(self) -> None:
        """The longest hit there is fits into a part."""
        longest = Found(
            id=LARGEST_INTEGER,
            key="f" * 64,
            port=65_535,
            host=LONGEST_HOST,
            load=LARGEST_INTEGER,
            udp=65_535,
            files=(LONGEST_FILE,) * 3,
        )
        parts = split_hits(ID, LARGEST_INTEGER, [longest] * 400, MOST_BYTES)
        self.assertLessEqual(max(len(json.encode(part)) for part in parts), MOST_BYTES)
        self.assertEqual(len(parts), 1_024, "there are no more parts than there may be")

    def test_few_parts(self) -> None:
        """Hits share parts as far as they fit."""
        sellers = [found(number) for number in range(20)]
        self.assertLessEqual(len(split_hits(ID, 1, sellers, MOST_BYTES)), 4)
        many = found(1, *map(str, range(300)))
        self.assertLessEqual(len(split_hits(ID, 1, [many], MOST_BYTES)), 40)
        self.assertEqual(split_hits(ID, 1, [], MOST_BYTES), [])

    def test_long_parts(self) -> None:
        """Over a link parts may be longer, and keep to what a message may hold."""
        sellers = [found(number) for number in range(250)]
        files = found(1, *map(str, range(250)))
        for part in (*split_hits(ID, 1, sellers, 60_000), *split_hits(ID, 1, [files], 60_000)):
            self.assertEqual(json.decode(json.encode(part), type=QueryHit), part)
            self.assertLessEqual(len(part.found), MOST_FOUND)


class AnswersTests(SynchronousTestCase):
    """What has been found for one search."""

    @thorough
    @given(st.lists(founds, max_size=6), st.integers(0, 2**32))
    def test_doubled_and_shuffled(self, found: list[Found], seed: int) -> None:
        """Parts may come in any order and more than once: each hit is given once."""
        parts = split_hits(ID, 1, found, MOST_BYTES) * 2
        random.Random(seed).shuffle(parts)
        answers, given = QueryHits(1_000), list[Found]()
        for part in parts:
            given += answers.add(part, "neighbour")

        def keys(found: list[Found]) -> list[tuple[object, ...]]:
            return [
                (each.key, each.host, each.port, each.udp, *((file.digest, file.name) if file else ()))
                for each in found
                for file in each.files or (None,)
            ]

        self.assertEqual(sorted(keys(given), key=repr), sorted(set(keys(found)), key=repr))
        self.assertEqual((len(answers), answers.useful_count), (len(keys(given)), min(500, len(keys(given)))))

    def test_new(self) -> None:
        """Of a peer that is known, only what is new is given."""
        answers = QueryHits(50)
        self.assertEqual(answers.add(hit(found(1, "a", "b")), "x"), [found(1, "a", "b")])
        self.assertEqual(answers.add(hit(found(1, "b", "c"), found(2)), "y"), [found(1, "c"), found(2)])
        self.assertEqual(answers.add(hit(found(1, "a"), found(2)), "z"), [])
        self.assertEqual((len(answers), answers.useful_count), (4, 4))

    def test_wrong_place(self) -> None:
        """Who names a peer in a wrong place does not keep the right one from being heard."""
        answers = QueryHits(50)
        right = replace(found(1, "a"), udp=9_001)
        for wrong in (found(1, "a", host="10.6.6.6"), found(1, "a"), replace(found(1, "a"), udp=6)):
            answers.add(hit(wrong), "liar")
        self.assertEqual(answers.add(hit(right), "honest"), [right])

    def test_answers_everything(self) -> None:
        """One neighbour that answers everything is half of enough at most, and takes no more room than enough."""
        answers = QueryHits(50)
        for number in range(1_000):
            answers.add(hit(found(number, "a", "b", "c")), "liar")
        self.assertEqual((len(answers), answers.useful_count), (50, 25))
        for number in range(1_000, 1_010):
            answers.add(hit(found(number, "a")), "honest")
        self.assertEqual(answers.useful_count, 35)

    def test_own(self) -> None:
        """What this super peer's own weak peers have counts in full, and is not counted again."""
        answers = QueryHits(4)
        own = [found(1, "a", "b", "c"), found(2)]
        self.assertEqual(answers.add_own(own), own)
        self.assertEqual(answers.add(hit(*own), "x"), [])
        self.assertEqual((len(answers), answers.useful_count), (4, 4))

    def test_one_is_enough(self) -> None:
        """Where one hit is enough, that of one neighbour is."""
        answers = QueryHits(1)
        answers.add(hit(found(1)), "x")
        self.assertEqual(answers.useful_count, 1)
