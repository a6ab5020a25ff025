"""What lists are charged, against what they take in memory."""

from __future__ import annotations

import gc
import random
import tracemalloc
from collections.abc import Callable

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tests import THOROUGH
from tests.discovery.index.directory.directories import peer
from tests.weighing import weighing
from twisted_bazaar.byte_budget import MIB, ByteBudget
from twisted_bazaar.discovery.index.directory.directory import Directory
from twisted_bazaar.discovery.index.messages import Update

RNG = random.Random(7)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
HAN = [chr(code) for code in range(0x20000, 0x2A6D0)]
USUAL = ["".join(RNG.choices(LETTERS, k=RNG.randint(3, 9))) for _ in range(3_000)]


def word(size: int, letters: str = LETTERS) -> str:
    """A word that nobody else has."""
    return "".join(RNG.choices(letters, k=size))


def a_file(name: str) -> dict[str, object]:
    """A file of a content that nobody else has."""
    return {"name": name, "size": RNG.randrange(2**40), "digest": f"{RNG.getrandbits(256):064x}"}


FILES: dict[str, Callable[[], str]] = {
    "a word": lambda: word(8),
    "usual words": lambda: " ".join(RNG.sample(USUAL, 5)) + ".mp3",
    "a long word": lambda: word(255),
    "made-up words": lambda: " ".join(word(7) for _ in range(32))[:255],
    "short made-up words": lambda: " ".join(word(4) for _ in range(32)),
    "Cyrillic words": lambda: " ".join(word(4, CYRILLIC) for _ in range(28)),
    "words of a letter that takes four bytes": lambda: "-".join(RNG.choices(HAN, k=50)),
    "letters that unfold": lambda: f"{word(20)}-" + "\ufdfa" * 70,
    "words that others have, too": lambda: f"{word(3, 'abcdefg')} " * 8 + word(8),
}
ITEMS: dict[str, Callable[[], str]] = {
    "goods": lambda: word(8),
    "long goods": lambda: "".join(RNG.choices(HAN, k=128)),
}


class WeightTests(SynchronousTestCase):
    """Directories full of one kind of entry each."""

    # Dicts have just grown, and are emptiest.
    counts = (1_370,)
    # A file takes much longer than a piece of goods.
    file_counts = counts if THOROUGH else (345,)

    def measured(self, updates: list[bytes], *, is_anew: bool = False) -> tuple[int, int]:
        """What a list takes that comes in these updates, and what it is charged.

        @param is_anew: whether each is of another peer.
        """
        with weighing():
            directory = Directory(budget=ByteBudget(1_024 * MIB))
            before, _ = tracemalloc.get_traced_memory()
            for number, update in enumerate(updates):
                # Texts come from the wire: no two are one object.
                owner = peer(number if is_anew else 0, f"10.0.{number >> 8}.{number & 255}" if is_anew else "10.0.0.1")
                directory.update(owner, msgspec.json.decode(update, type=Update), 0.0)
            del update, owner
            while directory.has_backlog:
                directory.run_backlog()
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
            return after - before, directory.budget.used

    def updates(self, key: str, entries: list[object], bazaar: str = "bazaar", at_once: int = 200) -> list[bytes]:
        """One list after another, each on the one before."""
        portions = [entries[first : first + at_once] for first in range(0, len(entries), at_once)]
        return [
            msgspec.json.encode(
                {"type": "update", "id": 1, "base": mark, "mark": mark + 1, key: portion, "bazaar": bazaar}
            )
            for mark, portion in enumerate(portions)
        ]

    def check(self, name: str, updates: list[bytes], most: float, *, is_anew: bool = False) -> None:
        """A charge covers what is taken, and is not far beyond it."""
        taken, charged = self.measured(updates, is_anew=is_anew)
        self.assertGreaterEqual(charged, taken, f"{name}: {taken:,} bytes taken, {charged:,} charged")
        self.assertLessEqual(charged, most * taken, f"{name}: {taken:,} bytes taken, {charged:,} charged")

    def test_files(self) -> None:
        """Files of any kind take no more than they are charged, and at least a quarter of it."""
        for name, make in FILES.items():
            for count in self.file_counts:
                self.check(name, self.updates("add", [a_file(make()) for _ in range(count)]), 4.0)

    def test_goods(self) -> None:
        """So do goods."""
        for name, make in ITEMS.items():
            for count in self.counts:
                self.check(name, self.updates("offer", [make() for _ in range(count)]), 3.0)

    def test_bazaars(self) -> None:
        """So do goods that each belong to a bazaar of their own."""
        updates = []
        for mark in range(690):
            bazaar = "".join(RNG.choices(HAN, k=64))
            change = {"type": "update", "id": 1, "base": mark, "mark": mark + 1, "offer": [word(8)], "bazaar": bazaar}
            updates.append(msgspec.json.encode(change))
        self.check("bazaars", updates, 2.0)

    def test_peers(self) -> None:
        """So do peers with a single file or item each."""
        for key, entries in (
            ("add", [a_file(word(8)) for _ in range(690)]),
            ("offer", [word(8) for _ in range(690)]),
        ):
            updates = []
            for entry in entries:
                updates += self.updates(key, [entry])
            self.check(f"peers that {key}", updates, 2.5, is_anew=True)

    def test_usual_files_fit(self) -> None:
        """Half of the memory of an index server, which is one peer's, has room for a hundred thousand usual files."""
        _, charged = self.measured(self.updates("add", [a_file(FILES["usual words"]()) for _ in range(1_000)]))
        self.assertLess(100 * charged, Directory().budget.most_a_peer)
