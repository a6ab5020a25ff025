"""Records of who has what: what is written, what is read, and what a node's own are to be."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.index.words import words_of
from twisted_bazaar.discovery.ring.records.own_records import OwnRecords
from twisted_bazaar.discovery.ring.records.records import (
    MOST_PAGES,
    PROVIDERS,
    SELLERS,
    WORDS,
    RecordKey,
    provider_key,
    read_page,
    read_provided,
    seller_key,
    word_key,
    words_for,
    write_page,
    write_provided,
)
from twisted_bazaar.discovery.ring.rules.identifiers import is_number
from twisted_bazaar.discovery.ring.storage.entry import VALUE_BYTES, check_name
from twisted_bazaar.values.files import SharedFile
from twisted_bazaar.wire.files import check_file_name
from twisted_bazaar.wire.goods import BAZAAR

DIGEST = "a1" * 32


def file(name: str = "paper one.pdf", number: int = 1, size: int = 7, *, is_whole: bool = True) -> SharedFile:
    """A file; another content for each number."""
    return SharedFile(name, size, f"{number:064x}", is_whole)


def listed(own: OwnRecords) -> dict[str, set[SharedFile]]:
    """The files under each word, as whoever asks reads them: as many pages as the first says."""
    found: dict[str, set[SharedFile]] = {}
    for word in {name.rpartition(" ")[0] for space, name in own if space == WORDS}:
        first = own.value_of(word_key(word))
        assert first is not None, word
        pages = [own.value_of(word_key(word, number)) or b"" for number in range(read_page(first).pages)]
        found[word] = {each for page in pages for each in read_page(page).files}
    return found


class FormTests(SynchronousTestCase):
    """What stands in a record."""

    def test_provided(self) -> None:
        """What is written of a file is read again."""
        for shared in (file(), file(is_whole=False), file('\u00e4 "b"\U0001f600', size=0)):
            self.assertEqual(read_provided(shared.digest, write_provided(shared)), shared)

    def test_page(self) -> None:
        """What is written on a page is read again, and how many pages there are."""
        files = [file(), file("two.pdf", 2, is_whole=False)]
        page = read_page(write_page(files, 3))
        self.assertEqual((list(page.files), page.pages), (files, 3))

    def test_rubbish(self) -> None:
        """What cannot be is nothing; a name that leads out of a folder costs that file."""
        for value in (b"", b"\xff", b"[]", b"{}", b'{"name":"../x","size":1}', b'{"name":"x","size":-1}'):
            self.assertIsNone(read_provided(DIGEST, value), value)
        for value in (b"", b"\xff", b"[]", b'{"files":[["x",1]]}', b'{"files":[],"pages":17}', b'{"pages":0}'):
            page = read_page(value)
            self.assertEqual((list(page.files), page.pages), ([], 1), value)
        self.assertEqual(list(read_page(write_page([file("../x"), file()])).files), [file()])

    def test_nested(self) -> None:
        """What is nested as deeply as there is room for is nothing, and costs who reads it no more than that."""
        value = b'{"x":' + b"[" * (VALUE_BYTES - 5)
        self.assertIsNone(read_provided(DIGEST, value))
        self.assertEqual((list(read_page(value).files), read_page(value).pages), ([], 1))

    @given(st.binary(max_size=200))
    def test_anything(self, value: bytes) -> None:
        """Whatever stands there, reading it raises nothing."""
        read_provided(DIGEST, value)
        read_page(value)

    def test_seller(self) -> None:
        """An item is another in another bazaar, and however long its name is, that of its entry is not."""
        self.assertNotEqual(seller_key("a", "b"), seller_key("b", "b"))
        space, name = seller_key(BAZAAR, "\U0001f600" * 128)
        self.assertEqual((space, len(name)), (SELLERS, 64))

    @given(st.text(min_size=1, max_size=255))
    def test_names(self, name: str) -> None:
        """Under whatever words a file is, entries can be called so, and none is a number of a classroom."""
        try:
            check_file_name(name)
        except ValueError:
            return
        words = words_for(name)
        self.assertTrue(words)
        for word in words:
            for page in (0, MOST_PAGES - 1):
                _, entry = word_key(word, page)
                check_name(entry)
                self.assertFalse(is_number(entry))

    def test_long_word(self) -> None:
        """A word for which an entry's name has no room is cut, and all who look for it cut it alike."""
        name = "a" * 255
        [word] = words_for(name)
        self.assertTrue(name.startswith(word))
        self.assertLess(len(word), 255)
        check_name(word_key(word, MOST_PAGES - 1)[1])

    def test_no_words(self) -> None:
        """A name without a word is found by itself."""
        self.assertEqual(words_of("!!!"), [])
        self.assertNotEqual(words_for("!!!"), words_for("???"))


class OwnRecordsTests(SynchronousTestCase):
    """What one node is to be found by."""

    def setUp(self) -> None:
        """Have nothing yet."""
        self.own = OwnRecords(BAZAAR)

    def test_file(self) -> None:
        """A file stands under its content and under each of its words."""
        changed = self.own.change_files([file()], [])
        keys = {provider_key(file().digest), *(word_key(word) for word in ("paper", "one", "pdf"))}
        self.assertEqual((changed, set(self.own), len(self.own)), (keys, keys, 4))
        self.assertEqual(read_provided(file().digest, self.own.value_of(provider_key(file().digest)) or b""), file())
        self.assertEqual(listed(self.own), {word: {file()} for word in ("paper", "one", "pdf")})

    def test_same_again(self) -> None:
        """What is said again changes nothing."""
        self.own.change_files([file()], [])
        self.assertEqual(self.own.change_files([file()], []), set())
        self.assertEqual(self.own.change_files([], ["another"]), set())

    def test_removed(self) -> None:
        """What is removed leaves nothing, and its records are said to change."""
        before = self.own.change_files([file()], [])
        self.assertEqual(self.own.change_files([], [file().name]), before)
        self.assertEqual((list(self.own), len(self.own)), ([], 0))
        self.assertEqual([self.own.value_of(key) for key in before], [None] * 4)

    def test_replaced(self) -> None:
        """A name with another content is another file."""
        self.own.change_files([file()], [])
        self.own.change_files([file(number=2)], [])
        self.assertIsNone(self.own.value_of(provider_key(file().digest)))
        self.assertEqual(listed(self.own)["paper"], {file(number=2)})

    def test_two_names(self) -> None:
        """One content under two names is there until both are gone; the whole one counts."""
        self.own.change_files([file("a", is_whole=False), file("b")], [])
        key = provider_key(file().digest)
        self.assertEqual(read_provided(file().digest, self.own.value_of(key) or b""), file("b"))
        self.own.change_files([], ["b"])
        self.assertEqual(read_provided(file().digest, self.own.value_of(key) or b""), file("a", is_whole=False))
        self.own.change_files([], ["a"])
        self.assertIsNone(self.own.value_of(key))

    def test_goods(self) -> None:
        """Goods stand under their names; of a new list only the difference changes."""
        apple, pear = seller_key(BAZAAR, "apple"), seller_key(BAZAAR, "pear")
        self.assertEqual(self.own.set_items(["apple"]), {apple})
        self.assertEqual(self.own.set_items(["apple", "pear"]), {pear})
        self.assertEqual(self.own.set_items(["pear"]), {apple})
        self.assertEqual((self.own.value_of(apple), self.own.value_of(pear), list(self.own)), (None, b"", [pear]))

    def test_pages(self) -> None:
        """More files than fit stand on further pages, none of which is too long."""
        files = [file(f"paper {number:03}", number) for number in range(60)]
        self.own.change_files(files, [])
        pages = [key for key in self.own if key[1].startswith("paper ")]
        self.assertGreater(len(pages), 3)
        self.assertEqual(listed(self.own)["paper"], set(files))
        for key in self.own:
            self.assertLessEqual(len(self.own.value_of(key) or b""), VALUE_BYTES)

    def test_little_changes(self) -> None:
        """One file more changes its own records, one page, and at most the first page besides."""
        self.own.change_files([file(f"paper {number:03}", number) for number in range(60)], [])
        changed = self.own.change_files([file("paper new", 77)], [])
        self.assertLessEqual(len(changed), 4)

    def test_too_many(self) -> None:
        """Of very many files with one word some stand under their other words only; all have their own record."""
        files = [file(f"{number:05}.jpg", number) for number in range(2_000)]
        self.own.change_files(files, [])
        self.assertEqual(len([key for key in self.own if key[1].startswith("jpg ")]), MOST_PAGES)
        self.assertEqual(len([key for key in self.own if key[0] == PROVIDERS]), 2_000)
        self.assertEqual(listed(self.own)["01999"], {files[-1]})
        self.own.change_files([], [each.name for each in files])
        self.assertEqual((list(self.own), len(self.own)), ([], 0))

    def test_anything(self) -> None:
        """Whatever comes and goes, each file stands under its words, and every change is told of."""
        rng = random.Random(7)
        there: dict[str, SharedFile] = {}
        seen: dict[RecordKey, bytes | None] = {}
        for _ in range(300):
            number = rng.randrange(40)
            name = f"{'long ' * number}word {number}"
            removed = [name] if rng.random() < 0.45 else []
            added = [] if removed else [file(name, rng.randrange(9), is_whole=rng.random() < 0.5)]
            changed = self.own.change_files(added, removed)
            for each in removed:
                there.pop(each, None)
            there.update((each.name, each) for each in added)
            for key in {*self.own, *seen}:
                value = self.own.value_of(key)
                if seen.get(key) != value:
                    self.assertIn(key, changed)
                seen[key] = value
            found = listed(self.own)
            for each in there.values():
                for word in words_for(each.name):
                    self.assertIn(each, found[word])
            self.assertEqual(len(self.own), len(list(self.own)))
