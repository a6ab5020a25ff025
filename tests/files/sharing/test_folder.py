"""The shared folder, from what is on the disk to what others are told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from tests.files.disk_cases import FolderCase, HeldReactor, InlineReactor, digest_of, manifest_of
from twisted_bazaar.errors import FileChanged
from twisted_bazaar.files.content import IShare
from twisted_bazaar.files.disk import Signature
from twisted_bazaar.files.sharing import folder as folder_module
from twisted_bazaar.files.sharing.folder import Folder, HashingProgress, HashMemory
from twisted_bazaar.system.private_files import PrivateDirectory
from twisted_bazaar.values.files import SharedFile

Change = tuple[list[str], list[str]]


class SharedFolderCase(FolderCase):
    """A folder that is shared, in inline threads and virtual time."""

    def setUp(self) -> None:
        """Nothing is shared yet."""
        super().setUp()
        self.reactor = InlineReactor()
        self.changes: list[Change] = []
        self.offered: dict[str, SharedFile] = {}
        self.progress: list[HashingProgress] = []

    def changed(self, added: Sequence[SharedFile], removed: Sequence[str]) -> None:
        """Take what others are told, and keep the sum of it."""
        self.changes.append(([file.name for file in added], list(removed)))
        for name in removed:
            del self.offered[name]
        self.offered.update({file.name: file for file in added})

    def share(self, path: Path | None = None, memory: HashMemory | None = None) -> Folder:
        """Share the folder."""
        shared = Folder(self.reactor, path or self.folder, memory, self.changed, self.progress.append, watched=False)
        self.addCleanup(shared.stop)
        shared.start()
        return shared

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.reactor.pump([0.05] * round(seconds / 0.05))

    def told(self) -> list[Change]:
        """What others were told since this was last asked."""
        changes, self.changes = self.changes, []
        return changes


class OfferingTests(SharedFolderCase):
    """What others are told is what is on the disk, within seconds."""

    def test_offered(self) -> None:
        """A file is offered when it has settled, with what it is known by; it can be read."""
        self.put("a", b"apple")
        shared = self.share()
        verifyObject(IShare, shared)
        self.wait(2.0)
        self.assertEqual(self.told(), [])
        self.wait(1.0)
        self.assertEqual(self.offered, {"a": SharedFile("a", 5, digest_of(b"apple"))})
        self.assertEqual(shared.files(), [*self.offered.values()])
        content = shared.content(digest_of(b"apple"))
        assert content is not None, "it is offered"
        self.assertEqual(self.successResultOf(content.read(0)), b"apple")
        self.assertIsNone(shared.content(digest_of(b"pear")))

    def test_every_change(self) -> None:
        """New files, overwritten, renamed and deleted ones are right within five seconds, without any event."""
        for name in "abcd":
            self.put(name, name.encode(), at_s=1_000_000_000.5)
        shared = self.share()
        self.wait(5.0)
        self.told()
        self.put("a", b"other", at_s=1_000_000_001)
        self.put("new", b"")
        (self.folder / "b").unlink()
        (self.folder / "c").rename(self.folder / "moved")
        self.wait(5.0)
        self.assertEqual(self.told(), [([], ["a", "b", "c"]), (["moved"], []), (["new", "a"], [])])
        expected = {"a": b"other", "d": b"d", "moved": b"c", "new": b""}
        self.assertEqual(
            self.offered, {name: SharedFile(name, len(text), digest_of(text)) for name, text in expected.items()}
        )
        self.assertEqual({file.name for file in shared.files()}, {*expected})

    def test_half_written(self) -> None:
        """A file that is being written is not offered, however long that takes."""
        self.share()
        for n in range(30):
            self.put("a", bytes(n))
            self.wait(1.0)
        self.assertEqual(self.told(), [])
        self.wait(4.0)
        self.assertEqual(self.offered["a"].size, 29)

    def test_kept_open(self) -> None:
        """A file that somebody still has open for writing is not offered, and it is said why."""
        shared = self.share()
        with (self.folder / "a").open("wb"):
            self.wait(10.0)
            self.assertEqual((self.told(), shared.left_out()), ([], {"a": "it is being written"}))
        self.wait(5.0)
        self.assertEqual((self.told(), shared.left_out()), ([(["a"], [])], {}))

    def test_two_of_one_content(self) -> None:
        """Two names of one content are two offers; the content is there as long as either is."""
        self.put("a")
        self.put("b")
        shared = self.share()
        self.wait(3.0)
        self.assertEqual({*self.offered}, {"a", "b"})
        (self.folder / "a").unlink()
        self.wait(2.0)
        content = shared.content(digest_of(b"content"))
        assert content is not None, "it is offered"
        self.assertEqual(self.successResultOf(content.read(0)), b"content")
        (self.folder / "b").unlink()
        self.wait(2.0)
        self.assertIsNone(shared.content(digest_of(b"content")))

    def test_changes_while_served(self) -> None:
        """When a read finds another file, it is withdrawn at once, and offered anew as what it is."""
        self.put("a")
        shared = self.share()
        self.wait(3.0)
        old = shared.content(digest_of(b"content"))
        assert old is not None, "it is offered"
        self.told()
        self.put("a", b"changed", at_s=1_000_000_001)
        self.failureResultOf(old.read(0), FileChanged)
        self.assertEqual(self.told(), [([], ["a"])])
        self.wait(4.0)
        self.assertEqual(self.offered["a"].digest, digest_of(b"changed"))
        self.failureResultOf(old.read(0), FileChanged)
        self.wait(4.0)
        self.assertEqual(self.told(), [(["a"], [])])

    def test_left_out(self) -> None:
        """What is not offered is told to whoever asks, with the reason; it is not hashed."""
        (self.folder / "link").symlink_to("/etc/passwd")
        shared = self.share()
        self.wait(3.0)
        self.assertEqual(shared.left_out(), {"link": "a link; links are not followed"})

    def test_unreadable(self) -> None:
        """What cannot be read is not offered, why is said, and it is tried again."""
        from twisted_bazaar.files.sharing import hashing

        def fail(*arguments: object) -> None:
            raise OSError(13, "Permission denied")

        real = hashing.hash_file
        self.patch(hashing, "hash_file", fail)
        self.put("a")
        shared = self.share()
        self.wait(10.0)
        self.assertEqual(shared.left_out(), {"a": "it cannot be read: Permission denied"})
        self.patch(hashing, "hash_file", real)
        self.wait(35.0)
        self.assertEqual((shared.left_out(), {*self.offered}), ({}, {"a"}))

    def test_who_is_told_fails(self) -> None:
        """A fault in whoever is told is logged, and the next change is told of."""
        shared = self.share()
        self.put("a")
        self.patch(shared, "_changed", None)
        self.wait(4.0)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.patch(shared, "_changed", self.changed)
        self.put("b")
        self.wait(4.0)
        self.assertEqual(self.told(), [(["b"], [])])


class ComingAndGoingTests(SharedFolderCase):
    """The folder itself, and the process, may come and go."""

    def test_folder_gone(self) -> None:
        """When the folder goes, its files are withdrawn and it is said why; when it comes back they are offered."""
        self.put("a")
        shared = self.share()
        self.wait(3.0)
        self.told()
        self.folder.rename(self.root / "moved")
        self.wait(2.0)
        self.assertEqual((self.told(), shared.fault), ([([], ["a"])], f"{self.folder}: No such file or directory"))
        (self.root / "moved").rename(self.folder)
        self.wait(2.0)
        self.assertEqual((self.told(), shared.fault), ([(["a"], [])], None))

    def test_not_there_yet(self) -> None:
        """A folder need not be there at first."""
        shared = self.share(self.root / "later")
        self.wait(3.0)
        self.assertIsNotNone(shared.fault)
        self.folder.rename(self.root / "later")
        (self.root / "later" / "a").write_bytes(b"content")
        self.wait(5.0)
        self.assertEqual({*self.offered}, {"a"})

    def test_link_to_folder(self) -> None:
        """A link that the user gives is followed once; where it leads later does not matter."""
        self.put("a")
        (self.outside / "secret").write_bytes(b"secret")
        link = self.root / "link"
        link.symlink_to(self.folder)
        self.share(link)
        link.unlink()
        link.symlink_to(self.outside)
        self.wait(5.0)
        self.assertEqual({*self.offered}, {"a"})

    def test_restart(self) -> None:
        """After a restart what has not changed is offered without hashing it again, and what has is not."""
        from twisted_bazaar.files.sharing import hashing

        state = PrivateDirectory.open(self.outside, "--state")
        self.addCleanup(state.close)
        self.put("a", b"apple")
        self.put("b", b"pear")
        first = self.share(memory=HashMemory(state))
        self.wait(3.0)
        self.successResultOf(first.stop())
        self.told()
        self.put("b", b"plum", at_s=1_000_000_001)
        hashed: list[str] = []
        real = hashing.hash_file

        def hash_file(file: int, seen: object, *arguments: object) -> object:
            hashed.append(seen.name)  # type: ignore[attr-defined]
            return real(file, seen, *arguments)  # type: ignore[arg-type]

        self.patch(hashing, "hash_file", hash_file)
        self.share(memory=HashMemory(state))
        self.wait(0.5)
        self.assertEqual(self.told(), [(["a"], [])])
        self.wait(3.0)
        self.assertEqual((self.told(), hashed), ([(["b"], [])], ["b"]))
        self.assertEqual(self.offered["b"].digest, digest_of(b"plum"))

    def test_stop(self) -> None:
        """When it has stopped nothing is under way, told of or offered; who waits for a look is let go."""
        self.put("a")
        self.reactor = reactor = HeldReactor()
        shared = self.share()
        waiting = shared.refresh()
        stopping: Deferred[None] = shared.stop()
        self.successResultOf(waiting)
        self.assertNoResult(stopping)
        reactor.work()
        self.successResultOf(stopping)
        self.wait(5.0)
        self.assertEqual((self.told(), reactor.getDelayedCalls(), shared.files()), ([], [], []))
        self.successResultOf(shared.refresh())

    def test_refresh(self) -> None:
        """Who asks for a look has what it found when it is over."""
        shared = self.share()
        self.wait(1.0)
        self.put("a")
        signature = Signature.of((self.folder / "a").stat())
        adopting = shared.adopt("a", signature, manifest_of(b"content"))
        self.wait(0.3)
        self.successResultOf(adopting)
        self.assertEqual(self.told(), [(["a"], [])])


class ManyTests(SharedFolderCase):
    """Very many files at once."""

    def test_portions(self) -> None:
        """Many changes are taken in by portions, with other things between."""
        self.patch(folder_module, "_AT_ONCE", 10)
        for n in range(95):
            self.put(f"{n}")
        self.share()
        self.wait(5.0)
        self.assertEqual(len(self.offered), 95)
        self.told()
        for n in range(95):
            (self.folder / f"{n}").unlink()
        self.wait(2.0)
        self.assertEqual([len(removed) for _, removed in self.told()], [10] * 9 + [5])

    def test_progress(self) -> None:
        """How far hashing is, is told now and then, and that it is done."""
        self.put("a", b"apple")
        self.reactor = reactor = HeldReactor()
        shared = self.share()
        while not shared.hashing.files_left:
            reactor.work_once()
            self.wait(0.05)
        self.wait(1.0)
        reactor.work()
        self.wait(1.0)
        self.assertEqual(self.progress[0], HashingProgress(1, 0, 5))
        self.assertEqual(self.progress[-1], HashingProgress(0, 0, 0))
        self.assertEqual(len(self.progress), 5)
