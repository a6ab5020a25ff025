"""The files that a node of a ring is to keep: which are wanted, for whom, and who is told."""

from __future__ import annotations

from collections.abc import Hashable

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.storage.entry import FILES, Entry, Kept
from twisted_bazaar.roles.ring.kept_files import KeptFiles
from twisted_bazaar.values.addresses import Address

DIGEST = "d" * 64
SENDER = Contact(5, "5" * 64, Address("10.0.0.5", 1), 0)
OTHER = Contact(6, "6" * 64, Address("10.0.0.6", 1), 0)


def entry(owner: str, size: int = 10) -> Entry:
    """What an owner says about the file."""
    kept = Kept(space=FILES, name="paper", owner=owner * 64, version=1, digest=DIGEST, size=size, file="paper")
    return Entry(kept, "")


class KeptFilesTests(SynchronousTestCase):
    """One file, which two owners store."""

    def setUp(self) -> None:
        """Have room for some, and note what a keeper is told."""
        self.here: set[str] = set()
        self.wanted: list[tuple[str, bool]] = []
        self.unwanted: list[tuple[str, Hashable | None]] = []
        self.files = KeptFiles(1_000, self)
        self.files.watch(self)

    def has(self, digest: str) -> bool:
        """Whether it has come."""
        return digest in self.here

    def on_wanted(self, digest: str, *, is_news: bool) -> None:
        """Note it."""
        self.wanted.append((digest, is_news))

    def on_unwanted(self, digest: str, host: Hashable | None) -> None:
        """Note it."""
        self.unwanted.append((digest, host))

    def test_wanted(self) -> None:
        """Each entry makes a file wanted; news is an entry that is new, or a sender that is."""
        one = entry("a")
        for sender in (SENDER, SENDER, OTHER):
            self.files.keep(one, sender)
        self.files.keep(entry("b"), OTHER)
        self.assertEqual(self.wanted, [(DIGEST, True), (DIGEST, False), (DIGEST, True), (DIGEST, True)])
        self.assertEqual(self.files.sources_of(DIGEST), [SENDER, OTHER])
        self.assertEqual((len(self.files), self.files.whole), (1, 0))
        self.here.add(DIGEST)
        self.assertEqual((len(self.files), self.files.whole), (1, 1))

    def test_unwanted(self) -> None:
        """It is unwanted with the last entry, once, on whosever word it was kept."""
        one, other = entry("a"), entry("b")
        self.files.keep(one, SENDER)
        self.files.keep(other, OTHER)
        self.files.drop(one)
        self.assertEqual((self.unwanted, DIGEST in self.files), ([], True))
        for _ in range(2):
            self.files.drop(other)
        self.assertEqual((self.unwanted, DIGEST in self.files), ([(DIGEST, "10.0.0.5")], False))
        self.assertEqual(self.files.size_bytes, 0)

    def test_charged(self) -> None:
        """Whoever says that it is longest is charged; room that was given back is had again when somebody serves it."""
        self.files.keep(entry("a", 10), SENDER)
        self.files.keep(entry("b", 30), OTHER)
        self.assertEqual((self.files.size_bytes, self.files.sizes_of(DIGEST)), (30, {10, 30}))
        self.files.room.release(DIGEST)
        self.files.keep(entry("b", 30), OTHER)
        self.assertEqual(self.files.size_bytes, 0)
        self.assertTrue(self.files.reserve_room(DIGEST))
        self.assertEqual(self.files.size_bytes, 30)
