"""Entries: signed by their owners, and read only as they were written."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.nets import key_pair
from twisted_bazaar.discovery.ring.storage.entry import (
    LONGEST_TEXT,
    TOMBSTONE_S,
    VALUE_BYTES,
    VALUES,
    Entry,
    Kept,
    read_entry,
    sign_entry,
)
from twisted_bazaar.discovery.ring.storage.fragments import Assembly, fragment, name_of
from twisted_bazaar.discovery.ring.storage.messages import MOST_PARTS
from twisted_bazaar.errors import Forged
from twisted_bazaar.identity.signed import seal

KEY = key_pair(1)


def kept(**said: Any) -> Kept:
    """What the owner wants."""
    return Kept(**{"space": VALUES, "name": "x", "owner": KEY.public, "version": 1, **said})


class EntryTests(SynchronousTestCase):
    """One entry."""

    def test_there_and_back(self) -> None:
        """What is signed is read as it was, of whatever kind."""
        for said in (
            {},
            {"value": bytes(range(256))},
            {"deleted": True},
            {"lifetime": 60},
            {"digest": "ab" * 32, "size": 5, "file": "a b.pdf", "space": "file"},
        ):
            entry = sign_entry(KEY, kept(**said))
            self.assertEqual(read_entry(entry.text), entry)

    def test_the_longest(self) -> None:
        """The longest value under the longest name is not too long."""
        entry = sign_entry(KEY, kept(value=bytes(VALUE_BYTES), name='"' * 255, version=2**53))
        self.assertLessEqual(len(entry.text), LONGEST_TEXT)
        self.assertEqual(read_entry(entry.text), entry)
        self.assertLessEqual(len(fragment("x" * LONGEST_TEXT)), MOST_PARTS)

    def test_changed(self) -> None:
        """One changed character, anywhere, makes it worthless."""
        text = sign_entry(KEY, kept(value=b"blue")).text
        for index in range(len(text)):
            changed = text[:index] + ("B" if text[index] == "A" else "A") + text[index + 1 :]
            self.assertRaises(Forged, read_entry, changed)

    def test_written_in_another_way(self) -> None:
        """The same with other spaces, keys or order is not taken: one entry has one text."""
        text = sign_entry(KEY, kept()).text
        fields = json.loads(text)
        for other in (f" {text}", text + "\n", json.dumps(fields), json.dumps({**fields, "more": 1})):
            self.assertRaises(Forged, read_entry, other)

    def test_of_another(self) -> None:
        """Nobody signs for another."""
        text = seal(key_pair(2), kept()).encode().decode()
        self.assertRaises(Forged, read_entry, text)

    def test_rubbish(self) -> None:
        """What is no entry is refused."""
        for text in ("", "{}", "é", "[" * 5000, "x" * (LONGEST_TEXT + 1), "\ud800"):
            self.assertRaises(Forged, read_entry, text)

    def test_what_cannot_be(self) -> None:
        """An entry that contradicts itself, or has a name that misleads, is none."""
        for said in (
            {"name": "a\u202eb"},
            {"name": "a\nb"},
            {"name": "é" * 128},
            {"deleted": True, "value": b"x"},
            {"digest": "ab" * 32},
            {"file": "x"},
            {"digest": "ab" * 32, "file": "../x"},
        ):
            self.assertRaises(ValueError, kept, **said)

    def test_which_is_newer(self) -> None:
        """Of two the one with the greater version is newer; at the same, what is deleted stays so."""
        one, two = Entry(kept(), "a"), Entry(kept(version=2), "a")
        gone = Entry(kept(deleted=True), "a")
        self.assertLess(one.rank, two.rank)
        self.assertLess(one.rank, gone.rank)
        self.assertEqual((one.tag, one.fingerprint == two.fingerprint), (two.tag, False))

    def test_for_how_long(self) -> None:
        """For good, for its lifetime, or as long as what is deleted is remembered."""
        lifetimes = [Entry(kept(**said), "").lifetime_s for said in ({}, {"lifetime": 60}, {"deleted": True})]
        self.assertEqual(lifetimes, [float("inf"), 60.0, TOMBSTONE_S])


class AssemblyTests(SynchronousTestCase):
    """Texts in parts."""

    def add(self, assembly: Assembly, text: str, part: int, sender: str = "a", now: float = 0.0) -> str | None:
        """Let a part come."""
        parts = fragment(text)
        return assembly.add(name_of(text), part, len(parts), parts[part], sender, sender, now)

    def test_in_any_order(self) -> None:
        """All parts make the whole, in whatever order, and however often each comes."""
        text = "".join(chr(32 + index % 90) for index in range(3000))
        count = len(fragment(text))
        for order in (range(count), reversed(range(count))):
            assembly = Assembly()
            came = [self.add(assembly, text, part) for part in order for _ in range(2)]
            self.assertEqual((came[-1], set(came[:-2])), (text, {None}))

    def test_of_several(self) -> None:
        """What one sends does not go into what another does, and what is not what it says is nothing."""
        assembly = Assembly()
        text, other = "a" * 1000, "b" * 1000
        self.assertIsNone(self.add(assembly, text, 0))
        self.assertIsNone(self.add(assembly, text, 1, "b"))
        self.assertIsNone(assembly.add(name_of(text), 1, 2, other[720:], "a", "a", 0.0))
        self.assertIsNone(assembly.add(name_of(text), 0, 1, other, "a", "a", 0.0))
        self.assertEqual(self.add(assembly, text, 1), text)

    def test_not_for_ever(self) -> None:
        """Parts that are never completed are forgotten, and one host fills only its share."""
        assembly = Assembly()
        text = "a" * 1000
        self.add(assembly, text, 0)
        self.assertIsNone(self.add(assembly, text, 1, now=100.0))
        for number in range(5000):
            self.add(assembly, f"{number}" + text, 0, "b", 200.0)
        self.assertLessEqual(len(assembly._parts), 1024 // 8 + 2)
