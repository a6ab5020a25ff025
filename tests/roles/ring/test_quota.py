"""The room for files of others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.weighing import weight_of
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.storage.entry import FILE_BYTES, FILES, Entry, Kept
from twisted_bazaar.roles.ring.file_keeper import FileKeeper
from twisted_bazaar.roles.ring.kept_files import KeptFiles
from twisted_bazaar.roles.ring.quota import Quota
from twisted_bazaar.values.addresses import Address


class RoomTests(SynchronousTestCase):
    """A thousand bytes."""

    def setUp(self) -> None:
        """Have them."""
        self.room = Quota(1_000)

    def reserve(self, host: str | None, *sizes: int) -> list[bool]:
        """Take room for files, each of an owner of its own, as far as there is some."""
        taken = []
        for size in sizes:
            name = f"{self.room.size_bytes}-{size}"
            taken.append(self.room.fits(name, name, size, host))
            if taken[-1]:
                self.room.reserve(name, name, size, host)
        return taken

    def test_owner(self) -> None:
        """An owner has half, and no more."""
        self.room.reserve("one", "owner", 400, None)
        self.assertEqual([self.room.fits("two", "owner", size, None) for size in (100, 101)], [True, False])
        self.assertTrue(self.room.fits("two", "other", 500, None))

    def test_host(self) -> None:
        """A host has a quarter of what has not come, of however many owners, or a single file."""
        self.assertEqual(self.reserve("a", 100, 100, 100, 50), [True, True, False, True])
        self.assertEqual(self.reserve("b", 500, 1), [True, False])

    def test_come(self) -> None:
        """What has come counts for its host no more, and its room is used."""
        self.room.reserve("one", "owner", 400, "a")
        self.assertFalse(self.room.fits("two", "other", 300, "a"))
        self.room.confirm("one")
        self.assertTrue(self.room.fits("two", "other", 300, "a"))
        self.assertEqual(self.room.size_bytes, 400)

    def test_given_back(self) -> None:
        """Room that is given back is there for others; twice is no more than once."""
        self.room.reserve("one", "owner", 500, "a")
        for _ in range(2):
            self.room.release("one")
            self.assertEqual((self.room.size_bytes, "one" in self.room), (0, False))
        self.assertEqual(self.reserve("a", 250), [True])

    def test_longer(self) -> None:
        """Who says that a file is longer is charged for all of it, in place of who was; a shorter one fits."""
        self.room.reserve("one", "owner", 300, "a")
        self.assertTrue(self.room.fits("one", "another", 200, "b"))
        self.room.reserve("one", "another", 500, "b")
        self.assertEqual(self.room.size_bytes, 500)
        self.assertTrue(self.room.fits("two", "owner", 500, "a"))

    @examples(200)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["fitting", "come", "back"]),
                st.sampled_from("abcd"),
                st.sampled_from("xy"),
                st.integers(0, 700),
                st.sampled_from(["h", "i", None]),
            ),
            max_size=40,
        )
    )
    def test_model(self, steps: list[tuple[str, str, str, int, str | None]]) -> None:
        """Whatever happens, no more is taken than there is, and no owner has more than half."""
        room, taken = Quota(1_000), dict[str, tuple[str, int]]()
        for step, digest, owner, size, host in steps:
            if step == "fitting" and room.fits(digest, owner, size, host):
                if size > taken.get(digest, ("", -1))[1]:
                    # Of several that want a file who says that it is longest is charged.
                    room.reserve(digest, owner, size, host)
                    taken[digest] = (owner, size)
            elif step == "come":
                room.confirm(digest)
            elif step == "back":
                room.release(digest)
                taken.pop(digest, None)
            self.assertEqual(room.size_bytes, sum(each for _, each in taken.values()))
            self.assertLessEqual(room.size_bytes, 1_000)
            for each in "xy":
                self.assertLessEqual(sum(many for who, many in taken.values() if who == each), 500)


class FileWeightTests(SynchronousTestCase):
    """What is known of files that are to be got."""

    def test_weight(self) -> None:
        """For each it takes no more than its entry is charged for that, though as many have told of it as are kept."""
        contacts = [Contact(place, f"{place:064x}", Address(f"10.0.0.{place}", 1)) for place in range(8)]
        keys = [f"{number:064x}" for number in range(350)]
        entries = [
            Entry(Kept(space=FILES, name=key, owner=key, version=1, digest=key, size=1, file="f"), "") for key in keys
        ]

        def told() -> tuple[KeptFiles, FileKeeper]:
            nothing: Any = SimpleNamespace(has=lambda digest: False)
            files = KeptFiles(1 << 40, nothing)
            keeper = FileKeeper(files, nothing, nothing, nothing, nothing)
            for entry in entries:
                for contact in contacts:
                    files.keep(entry, contact)
            return files, keeper

        self.assertLess(weight_of(told) / len(entries), FILE_BYTES)
