"""The disk of a machine: what was synced outlives a crash, and nothing else does."""

from __future__ import annotations

import errno
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.sim.engine.disk import Disk


class DiskTests(SynchronousTestCase):
    """One disk."""

    def setUp(self) -> None:
        """An empty disk."""
        self.disk = Disk()

    def assert_fails(self, number: int, *calls: Callable[[], object]) -> None:
        """Check that each of these fails with an error number."""
        for call in calls:
            with self.assertRaises(OSError) as caught:
                call()
            self.assertEqual(caught.exception.errno, number)

    def test_files(self) -> None:
        """A file holds what was written; one that was not written is empty."""
        self.disk.write("a", b"one")
        self.disk.append("a", b"two")
        self.disk.append("b", b"three")
        self.disk.write("b", b"3")
        self.assertEqual([self.disk.read(name) for name in "abc"], [b"onetwo", b"3", b""])
        self.assertEqual(self.disk.used_bytes, 7)

    def test_crash(self) -> None:
        """A crash leaves each file as it was when it was last synced."""
        for name in ("a", "b"):
            self.disk.write(name, b"old")
            self.disk.sync("a")
        self.disk.append("a", b"er")
        self.assertEqual((self.disk.synced("a"), self.disk.synced("b")), (b"old", b""))
        self.disk.crash()
        self.assertEqual((self.disk.read("a"), self.disk.read("b")), (b"old", b""))

    def test_sync_of_nothing(self) -> None:
        """A file that does not exist can be synced, and still does not exist."""
        self.disk.sync("a")
        self.disk.crash()
        self.assertEqual((self.disk.read("a"), self.disk.used_bytes), (b"", 0))

    def test_full(self) -> None:
        """On a full disk nothing grows and nothing is half written; it can be read, synced and made smaller."""
        self.disk.write("a", b"12345")
        self.disk.fill()
        self.assert_fails(
            errno.ENOSPC,
            lambda: self.disk.append("a", b"6"),
            lambda: self.disk.write("b", b"6"),
            lambda: self.disk.write("a", b"123456"),
        )
        self.disk.sync("a")
        self.disk.write("a", b"123")
        self.disk.write("b", b"45")
        self.assertEqual([self.disk.read(name) for name in "ab"], [b"123", b"45"])
        self.disk.make_room()
        self.disk.append("a", b"45")
        self.assertEqual(self.disk.read("a"), b"12345")

    def test_failing(self) -> None:
        """On a failing disk nothing can be read, written or synced; what was there is there when it works again."""
        self.disk.write("a", b"one")
        self.disk.is_failing = True
        self.assert_fails(
            errno.EIO,
            lambda: self.disk.read("a"),
            lambda: self.disk.write("a", b""),
            lambda: self.disk.append("a", b""),
            lambda: self.disk.sync("a"),
        )
        self.disk.is_failing = False
        self.assertEqual((self.disk.read("a"), self.disk.synced("a")), (b"one", b""))

    def test_undo(self) -> None:
        """What could not be synced can be taken back, even while the disk fails."""
        self.disk.write("a", b"one")
        self.disk.is_failing = True
        self.disk.roll_back("a", b"")
        self.disk.is_failing = False
        self.assertEqual(self.disk.read("a"), b"")

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["write", "append", "sync", "crash"]), st.sampled_from("ab"), st.binary(max_size=3)
            )
        )
    )
    def test_like_a_model(self, steps: list[tuple[str, str, bytes]]) -> None:
        """Whatever is written, synced and lost, a file holds what two tables say."""
        disk, seen, synced = Disk(), dict.fromkeys("ab", b""), dict.fromkeys("ab", b"")
        for what, name, data in steps:
            if what == "crash":
                disk.crash()
                seen = dict(synced)
            elif what == "sync":
                disk.sync(name)
                synced[name] = seen[name]
            else:
                getattr(disk, what)(name, data)
                seen[name] = data if what == "write" else seen[name] + data
            self.assertEqual(
                [(disk.read(each), disk.synced(each)) for each in "ab"], [(seen[each], synced[each]) for each in "ab"]
            )
