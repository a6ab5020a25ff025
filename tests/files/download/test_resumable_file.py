"""A download on the disk: begun, gone on with, finished; and whatever comes between."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from zope.interface.verify import verifyObject

from tests.files.disk_cases import FolderCase, HeldReactor, InlineReactor, digest_of, manifest_of, pieces_of, some_bytes
from twisted_bazaar.errors import AlreadyThere, StorageError, UsageError, WrongWhole
from twisted_bazaar.files.chunks import CHUNK_BYTES, Manifest
from twisted_bazaar.files.content import IPart
from twisted_bazaar.files.download import part_file
from twisted_bazaar.files.download.part_file import hidden_names
from twisted_bazaar.files.download.resumable_file import ResumableFile

CONTENT = some_bytes(4 * CHUNK_BYTES + 11)
MANIFEST = manifest_of(CONTENT)
PIECES = pieces_of(CONTENT)
PART, JOURNAL = hidden_names("a", MANIFEST.digest)


class PartCase(FolderCase):
    """Downloads into a folder, in inline threads."""

    def setUp(self) -> None:
        """Nothing is open."""
        super().setUp()
        self.reactor = InlineReactor()

    def opening(self, name: str = "a", digest: str = MANIFEST.digest, **options: bool) -> Any:
        """Take up a download."""
        return ResumableFile.open(self.reactor, self.folder, name, digest, **options)

    def open(self, name: str = "a", digest: str = MANIFEST.digest, **options: bool) -> ResumableFile:
        """A download that is taken up."""
        part: ResumableFile = self.successResultOf(self.opening(name, digest, **options))
        self.addCleanup(part.close)
        return part

    def begun(self, chunks: Sequence[int] = (), **options: bool) -> ResumableFile:
        """A download that has some chunks."""
        part = self.open(**options)
        self.successResultOf(part.set_manifest(MANIFEST))
        for chunk in chunks:
            self.assertTrue(self.successResultOf(part.write(chunk, PIECES[chunk])))
        return part

    def listed(self) -> set[str]:
        """What is in the folder."""
        return {*os.listdir(self.folder)}

    def opened(self) -> list[str]:
        """What this process has open in the folder."""
        descriptors = Path("/proc/self/fd")
        found = []
        for each in descriptors.iterdir() if descriptors.is_dir() else ():
            with contextlib.suppress(OSError):
                # That with which they are listed is closed already.
                found.append(os.readlink(each))
        return [path for path in found if path.startswith(str(self.folder))]

    def close(self, part: ResumableFile) -> None:
        """Let go of it."""
        self.successResultOf(part.close())


class FetchingTests(PartCase):
    """From the first chunk to the file in its place."""

    def test_finished(self) -> None:
        """In whatever order the chunks come: the file is in its place, whole, and nothing hidden is left."""
        for order in (range(5), [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
            part = self.begun(order)
            verifyObject(IPart, part)
            self.assertEqual(self.listed(), {PART, JOURNAL})
            self.successResultOf(part.finish())
            self.assertEqual((self.listed(), part.path.read_bytes()), ({"a"}, CONTENT))
            self.assertEqual(self.successResultOf(part.read(3)), PIECES[3])
            # Many that are served on may be open; not what nobody needs any more.
            self.assertEqual([path for path in self.opened() if JOURNAL in path], [])
            self.close(part)
            self.assertEqual(self.listed(), {"a"})
            part.path.unlink()

    def test_any_buffer(self) -> None:
        """A chunk may come in any kind of memory."""
        part = self.begun()
        for chunk, kind in enumerate((bytes, bytearray, memoryview, bytearray, memoryview)):
            self.assertTrue(self.successResultOf(part.write(chunk, kind(PIECES[chunk]))))
        self.successResultOf(part.finish())
        self.assertEqual(part.path.read_bytes(), CONTENT)

    def test_wrong_chunks(self) -> None:
        """A chunk that is not right is not written, and changes nothing."""
        part = self.begun([0])
        for wrong in (b"", PIECES[1][:-1], PIECES[1] + b"x", PIECES[2], bytes(CHUNK_BYTES)):
            self.assertFalse(self.successResultOf(part.write(1, wrong)))
        self.assertFalse(self.successResultOf(part.write(0, PIECES[1])))
        self.assertEqual((list(part.holdings), self.successResultOf(part.read(0))), ([0], PIECES[0]))
        self.failureResultOf(part.read(1), StorageError)
        self.failureResultOf(part.finish(), StorageError)

    def test_empty(self) -> None:
        """An empty file is a file."""
        part = self.open(digest=digest_of(b""))
        self.successResultOf(part.set_manifest(manifest_of(b"")))
        self.successResultOf(part.finish())
        self.close(part)
        self.assertEqual((self.listed(), (self.folder / "a").read_bytes()), ({"a"}, b""))

    def test_watched(self) -> None:
        """Who watches is told of each chunk once."""
        part = self.begun()
        seen: list[int] = []
        end = part.watch(seen.append)
        for chunk in (3, 1, 3):
            self.successResultOf(part.write(chunk, PIECES[chunk]))
        end()
        end()
        self.successResultOf(part.write(0, PIECES[0]))
        self.assertEqual(seen, [3, 1])

    def test_long_name(self) -> None:
        """The longest names that there can be have hidden ones beside them, in any script."""
        for name in ("a" * 255, "ü" * 127, "語" * 85):
            part = self.open(name)
            self.successResultOf(part.set_manifest(MANIFEST))
            self.assertTrue(all(hidden.startswith(".") for hidden in self.listed()), self.listed())
            for chunk, piece in enumerate(PIECES):
                self.successResultOf(part.write(chunk, piece))
            self.successResultOf(part.finish())
            self.close(part)
            self.assertEqual(self.listed(), {name})
            (self.folder / name).unlink()

    def test_signature(self) -> None:
        """A finished file is known by its signature."""
        part = self.begun(range(5))
        self.successResultOf(part.finish())
        assert part.signature is not None, "it is finished"
        self.assertEqual((part.signature.size, part.signature.inode), (len(CONTENT), (self.folder / "a").stat().st_ino))


class ResumingTests(PartCase):
    """What is there is not fetched again, and what only seems to be is."""

    def test_resumed(self) -> None:
        """What was there is there, and the download ends as if nothing had been."""
        self.close(self.begun([0, 1, 4]))
        part = self.open()
        self.assertEqual((list(part.holdings), part.manifest), ([0, 1, 4], MANIFEST))
        self.assertEqual(part.resumed_bytes, 2 * CHUNK_BYTES + 11)
        self.successResultOf(part.set_manifest(MANIFEST))
        for chunk in (3, 2):
            self.successResultOf(part.write(chunk, PIECES[chunk]))
        self.successResultOf(part.finish())
        self.assertEqual(part.path.read_bytes(), CONTENT)

    def test_chunks_count_by_their_bytes(self) -> None:
        """Bytes that never came to the disk, or that somebody changed, are fetched again; nothing else is."""
        self.close(self.begun(range(5)))
        with (self.folder / PART).open("r+b") as stream:
            stream.seek(CHUNK_BYTES + 5)
            stream.write(bytes(3))
            stream.truncate(4 * CHUNK_BYTES)
        part = self.open()
        self.assertEqual(list(part.holdings), [0, 2, 3])

    def test_damaged_journal(self) -> None:
        """Whatever becomes of the journal, all that is there counts once a manifest is known."""
        self.close(self.begun([0, 3]))
        whole = (self.folder / JOURNAL).read_bytes()
        flipped = whole[:100] + bytes([whole[100] ^ 1]) + whole[101:]
        for damaged in (flipped, b"", whole[:-1], whole[:50], b"x" + whole, bytes(len(whole)), whole + b"x"):
            (self.folder / JOURNAL).write_bytes(damaged)
            part = self.open()
            self.assertEqual((part.manifest, part.resumed_bytes), (None, 0))
            self.successResultOf(part.set_manifest(MANIFEST))
            self.assertEqual(list(part.holdings), [0, 3])
            self.close(part)

    def test_nothing_left_behind(self) -> None:
        """A download that never had anything leaves nothing."""
        self.close(self.open())
        self.assertEqual(self.listed(), set())
        self.close(self.begun())
        self.assertEqual(self.listed(), set())

    def test_removed(self) -> None:
        """A download can be given up."""
        part = self.begun([0])
        self.failureResultOf(ResumableFile.remove(self.reactor, self.folder, "a", MANIFEST.digest), UsageError)
        self.close(part)
        self.successResultOf(ResumableFile.remove(self.reactor, self.folder, "a", MANIFEST.digest))
        self.assertEqual(self.listed(), set())

    def test_between_two_steps(self) -> None:
        """A process that was killed while the file got its place has finished it."""
        self.close(self.begun(range(5)))
        os.link(self.folder / PART, self.folder / "a")
        self.failureResultOf(self.opening(), AlreadyThere)
        self.assertEqual(self.listed(), {"a"})

    def test_one_at_a_time(self) -> None:
        """Two cannot be at one download."""
        part = self.begun([0])
        failure = self.failureResultOf(self.opening(), UsageError)
        self.assertIn("another process is fetching it", str(failure.value))
        self.close(part)
        self.open()


class LyingTests(PartCase):
    """Manifests that are not true."""

    def lie(self, content: bytes) -> Manifest:
        """A manifest that says that the file is made of something else."""
        told = manifest_of(content)
        return Manifest(MANIFEST.digest, told.size, told.chunk_digests)

    def test_wrong_whole(self) -> None:
        """Chunks that fit a lie do not make the file; with the truth, those that fit that too are kept."""
        false = CONTENT[:CHUNK_BYTES] + bytes(CHUNK_BYTES) + CONTENT[2 * CHUNK_BYTES :]
        part = self.open()
        self.successResultOf(part.set_manifest(self.lie(false)))
        for chunk, piece in enumerate(pieces_of(false)):
            self.assertTrue(self.successResultOf(part.write(chunk, piece)))
        self.failureResultOf(part.finish(), WrongWhole)
        self.assertEqual(self.listed(), {PART, JOURNAL})
        self.assertTrue(part.holdings.is_whole)
        self.successResultOf(part.set_manifest(MANIFEST))
        self.assertEqual(list(part.holdings), [0, 2, 3, 4])
        self.successResultOf(part.write(1, PIECES[1]))
        self.successResultOf(part.finish())
        self.assertEqual(part.path.read_bytes(), CONTENT)

    def test_lies_about_size(self) -> None:
        """A lie about the size, in either direction, costs nothing of what is there."""
        part = self.begun([0, 4])
        for size in (0, 5, CHUNK_BYTES, len(CONTENT) + 5 * CHUNK_BYTES):
            if size:
                self.successResultOf(part.set_manifest(self.lie(bytes(size))))
                self.assertEqual(list(part.holdings), [])
            self.close(part)
            part = self.open()
            self.successResultOf(part.set_manifest(MANIFEST))
            self.assertEqual(list(part.holdings), [0, 4])
        for chunk in (1, 2, 3):
            self.successResultOf(part.write(chunk, PIECES[chunk]))
        self.successResultOf(part.finish())
        self.assertEqual(part.path.read_bytes(), CONTENT)

    def test_too_large(self) -> None:
        """A size that no disk has is refused, with what there is, before anything is written."""
        part = self.begun([0])
        self.patch(part_file, "_BLOCK_BYTES", -(1 << 50))
        failure = self.failureResultOf(part.set_manifest(self.lie(bytes(7))), StorageError)
        self.assertRegex(str(failure.value), r"a: [0-9,]+ bytes more are needed, and [0-9,]+ are free there$")
        self.assertEqual((list(part.holdings), part.manifest), ([0], MANIFEST))

    def test_room_that_is_taken(self) -> None:
        """What is there of the file need not be free again."""
        part = self.begun([0, 1, 2])
        free = os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_frsize
        with self.assertRaises(StorageError):
            part._landing.check_room(free + 64 * CHUNK_BYTES)

    def test_other_file(self) -> None:
        """A manifest of another file is refused."""
        self.failureResultOf(self.open().set_manifest(manifest_of(b"other")), StorageError)

    def test_changed_behind_our_back(self) -> None:
        """Nobody is called a liar because somebody here changed the part file; what is changed is fetched again."""
        self.close(self.begun(range(4)))
        part = self.open()
        part._whole._next = 0
        self.successResultOf(part.write(4, PIECES[4]))
        part._whole._hash.update(b"as if other bytes had been read")
        with (self.folder / PART).open("r+b") as stream:
            stream.write(b"changed")
        failure = self.failureResultOf(part.finish(), StorageError)
        self.assertIn("somebody has changed 1 chunks", str(failure.value))
        self.successResultOf(part.write(0, PIECES[0]))
        self.successResultOf(part.finish())
        self.assertEqual(part.path.read_bytes(), CONTENT)

    def test_changed_memory(self) -> None:
        """Whoever changes what it gave only makes the file be read again."""
        part = self.begun(range(5))
        part._whole._hash.update(b"as if it had been changed")
        self.successResultOf(part.finish())
        self.assertEqual(part.path.read_bytes(), CONTENT)


class TargetTests(PartCase):
    """What is at the target already."""

    def refusal(self, name: str = "a", **options: bool) -> str:
        """Why a download cannot be taken up."""
        return str(self.failureResultOf(self.opening(name, **options), UsageError).value)

    def test_already_there(self) -> None:
        """The very file is there: that is said, with or without the wish to overwrite, and nothing is left."""
        self.put("a", CONTENT)
        for overwrite in (False, True):
            self.failureResultOf(self.opening(overwrite=overwrite), AlreadyThere)
            self.assertEqual(self.listed(), {"a"})

    def test_other_there(self) -> None:
        """Another file is not overwritten, and it is said what to do."""
        path = self.put("a", b"mine")
        self.assertEqual(
            self.refusal(), f"{path} is another file; --overwrite replaces it, --as gives this one another name"
        )
        self.assertEqual((self.listed(), path.read_bytes()), ({"a"}, b"mine"))

    def test_overwrites(self) -> None:
        """Another file is replaced for who wants it, when the new one is whole and not before."""
        path = self.put("a", b"mine")
        part = self.begun(range(5), overwrite=True)
        self.assertEqual(path.read_bytes(), b"mine")
        self.successResultOf(part.finish())
        self.assertEqual((self.listed(), path.read_bytes()), ({"a"}, CONTENT))

    def test_comes_meanwhile(self) -> None:
        """A file that comes there meanwhile is not overwritten; all chunks stay, and it can be tried again."""
        part = self.begun(range(5))
        path = self.put("a", b"mine")
        failure = self.failureResultOf(part.finish(), StorageError)
        self.assertIn("another file has come there", str(failure.value))
        self.assertEqual((self.listed(), path.read_bytes()), ({"a", PART, JOURNAL}, b"mine"))
        path.unlink()
        self.successResultOf(part.finish())
        self.assertEqual((self.listed(), path.read_bytes()), ({"a"}, CONTENT))

    def test_no_hard_links(self) -> None:
        """Where there are no hard links the file gets its place too, and replaces nothing."""

        def link(*arguments: object, **named: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        self.patch(part_file.os, "link", link)
        part = self.begun(range(5))
        path = self.put("a", b"mine")
        self.failureResultOf(part.finish(), StorageError)
        self.assertEqual(path.read_bytes(), b"mine")
        path.unlink()
        self.successResultOf(part.finish())
        self.assertEqual((self.listed(), path.read_bytes()), ({"a"}, CONTENT))

    def test_folder_there(self) -> None:
        """A folder of that name is not touched."""
        (self.folder / "a").mkdir()
        for overwrite in (False, True):
            self.assertIn("is a folder", self.refusal(overwrite=overwrite))
            self.assertEqual(self.listed(), {"a"})

    def test_no_folder(self) -> None:
        """Where there is no folder, it is said."""
        self.folder.rmdir()
        self.assertEqual(self.refusal(), f"{self.folder}: No such file or directory; choose another folder with -o")

    def test_names(self) -> None:
        """Names that lead elsewhere, hide, or deceive are refused."""
        for name in ("..", ".", "", "../a", "/etc/passwd", "a/b", "a\\b", "a\0", ".bashrc", "a\u202eb", "a" * 10_000):
            self.assertIn("choose another name, with --as", self.refusal(name))
        self.assertEqual(self.listed(), set())

    @given(
        st.text(st.characters() | st.sampled_from("/.\\\0"), max_size=20)
        | st.sampled_from(("a/b", "a/../b", "./a", "../a")),
        st.booleans(),
    )
    def test_any_name(self, name: str, overwrite: bool) -> None:
        """Whatever the name, what is written lies in the folder."""
        digest = digest_of(b"x")
        opening = ResumableFile.open(self.reactor, self.folder, name, digest, overwrite=overwrite)
        if isinstance(getattr(opening, "result", None), ResumableFile):
            part: ResumableFile = self.successResultOf(opening)
            self.successResultOf(part.set_manifest(manifest_of(b"x")))
            self.successResultOf(part.write(0, b"x"))
            self.successResultOf(part.finish())
            self.close(part)
            self.assertEqual(self.listed(), {name})
            (self.folder / name).unlink()
        else:
            self.failureResultOf(opening, UsageError)
        self.assertEqual(self.listed(), set())
        self.assertEqual({*os.listdir(self.root)}, {"folder", "outside"})
        self.assertEqual(os.listdir(self.outside), [])


class PlantedTests(PartCase):
    """What somebody else puts into the folder."""

    def setUp(self) -> None:
        """A file that is nobody's business."""
        super().setUp()
        self.secret = self.outside / "secret"
        self.secret.write_bytes(b"secret")

    def assert_untouched(self) -> None:
        """Nothing outside has changed."""
        self.assertEqual((os.listdir(self.outside), self.secret.read_bytes()), (["secret"], b"secret"))

    def test_hidden_links(self) -> None:
        """Links, of either kind, in the place of what is hidden are not followed, nor removed."""
        for name in (PART, JOURNAL):
            for plant in (Path.symlink_to, Path.hardlink_to):
                plant(self.folder / name, self.secret)
                failure = self.failureResultOf(self.opening(), UsageError)
                self.assertIn(f"{name} is in the way", str(failure.value))
                self.assertEqual(self.listed(), {name})
                (self.folder / name).unlink()
        self.assert_untouched()

    def test_target_link(self) -> None:
        """A link in the place of the target is another file; to overwrite it does not follow it."""
        path = self.folder / "a"
        path.symlink_to(self.secret)
        self.failureResultOf(self.opening(), UsageError)
        part = self.begun(range(5), overwrite=True)
        self.successResultOf(part.finish())
        self.assertFalse(path.is_symlink())
        self.assertEqual(path.read_bytes(), CONTENT)
        self.assert_untouched()

    def test_target_link_to_same(self) -> None:
        """A link to the very file is not the file."""
        self.secret.write_bytes(CONTENT)
        (self.folder / "a").symlink_to(self.secret)
        self.failureResultOf(self.opening(), UsageError)

    def test_swapped_while_fetched(self) -> None:
        """What is put in the place of the part file while it is open is not written to, nor taken for it."""
        part = self.begun(range(4))
        (self.folder / PART).unlink()
        (self.folder / PART).symlink_to(self.secret)
        self.failureResultOf(part.write(4, PIECES[4]), StorageError)
        self.assert_untouched()
        self.assertEqual(self.listed(), {PART, JOURNAL})

    def test_swapped_at_the_end(self) -> None:
        """What is put in the place of the part file at the last moment never becomes the target."""
        for overwrite in (False, True):
            part = self.begun(range(5), overwrite=overwrite)
            (self.folder / PART).rename(self.folder / "kept")
            (self.folder / PART).write_bytes(b"false")
            self.failureResultOf(part.finish(), StorageError)
            self.assertNotIn("a", self.listed())
            self.close(part)
            for name in self.listed():
                (self.folder / name).unlink()

    def test_folder_swapped(self) -> None:
        """Once open, the folder is the folder, wherever its path leads."""
        part = self.begun(range(5))
        self.folder.rename(self.root / "moved")
        self.folder.symlink_to(self.outside)
        self.successResultOf(part.finish())
        self.assertEqual((self.root / "moved" / "a").read_bytes(), CONTENT)
        self.assert_untouched()


class FailingDiskTests(PartCase):
    """Disks that are full, fail, or go."""

    def assert_goes_on(self, part: ResumableFile) -> None:
        """What was there is there, and the download can be finished."""
        for chunk in part.holdings.missing():
            self.successResultOf(part.write(chunk, PIECES[chunk]))
        self.successResultOf(part.finish())
        self.assertEqual((self.listed(), part.path.read_bytes()), ({"a"}, CONTENT))

    def test_full(self) -> None:
        """A full disk is told of in a line, and costs only the chunk that did not fit."""
        part = self.begun([0, 1])
        real = part_file.pwrite_full

        def write(file: int, content: bytes, offset: int) -> None:
            real(file, content[:1000], offset)
            raise OSError(28, "No space left on device")

        self.patch(part_file, "pwrite_full", write)
        failure = self.failureResultOf(part.write(2, PIECES[2]), StorageError)
        self.assertEqual(str(failure.value), f"{self.folder / 'a'}: No space left on device")
        self.patch(part_file, "pwrite_full", real)
        self.assertEqual(list(part.holdings), [0, 1])
        self.assert_goes_on(part)

    def test_journal_cannot_be_read(self) -> None:
        """Who cannot take up a download lets go of it: another try finds it unlocked, and all that was there."""
        self.close(self.begun([0, 1]))
        real = part_file.pread_full

        def read(file: int, size: int, offset: int) -> bytes:
            raise OSError(5, "Input/output error")

        self.patch(part_file, "pread_full", read)
        failure = self.failureResultOf(self.opening(), StorageError)
        self.assertIn("Input/output error", str(failure.value))
        self.patch(part_file, "pread_full", real)
        part = self.open()
        self.assertEqual(part.resumed_bytes, 2 * CHUNK_BYTES)
        self.assert_goes_on(part)

    def test_large_journal(self) -> None:
        """A journal that somebody has made huge is not read into memory; the chunks stay."""
        self.close(self.begun([0, 1]))
        os.truncate(self.folder / JOURNAL, 1 << 40)
        part = self.open()
        self.assertIsNone(part.manifest)
        self.successResultOf(part.set_manifest(MANIFEST))
        self.assertEqual(list(part.holdings), [0, 1])
        self.assert_goes_on(part)

    def test_no_place(self) -> None:
        """Where there are no hard links, and the file cannot be given its place, nothing stands there."""
        part = self.begun(range(5))
        real = os.replace

        def refuse(*arguments: object, **named: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        self.patch(part_file.os, "link", refuse)
        self.patch(part_file.os, "replace", refuse)
        self.failureResultOf(part.finish(), StorageError)
        self.assertEqual(self.listed(), {PART, JOURNAL})
        self.patch(part_file.os, "replace", real)
        self.assert_goes_on(part)

    def test_closed_while_it_is_read(self) -> None:
        """Nothing is read any more when it is closed, whatever it was waiting for."""
        self.close(self.begun(range(4)))
        self.reactor = HeldReactor()
        opening = self.opening()
        parts: list[ResumableFile] = []
        real = ResumableFile._take

        async def take(part: ResumableFile, manifest: Manifest) -> None:
            parts.append(part)
            await real(part, manifest)

        self.patch(ResumableFile, "_take", take)
        while not parts:
            self.reactor.work_once()
        closing = parts[0].close()
        self.reactor.work_once()
        jobs_after = [job[0][1] for job in self.reactor._jobs]
        self.reactor.work()
        self.successResultOf(closing)
        self.failureResultOf(opening, StorageError)
        self.assertEqual(jobs_after, [parts[0]._close_blocking])

    def test_cannot_sync(self) -> None:
        """A file that cannot be made safe does not get its place; all chunks stay."""
        part = self.begun(range(5))
        real = os.fsync

        def fsync(file: int) -> None:
            raise OSError(5, "Input/output error")

        self.patch(part_file.os, "fsync", fsync)
        self.failureResultOf(part.finish(), StorageError)
        self.assertEqual(self.listed(), {PART, JOURNAL})
        self.patch(part_file.os, "fsync", real)
        self.assert_goes_on(part)

    def test_removed(self) -> None:
        """When somebody removes the part file, or the folder, it is told of at the next chunk."""
        part = self.begun([0])
        for name in self.listed():
            (self.folder / name).unlink()
        self.folder.rmdir()
        failure = self.failureResultOf(part.write(1, PIECES[1]), StorageError)
        self.assertIn("has been removed", str(failure.value))
        self.failureResultOf(part.finish(), StorageError)

    def test_closed(self) -> None:
        """What comes after it was closed fails, and nothing is left open."""
        before = len(os.listdir("/proc/self/fd"))
        part = self.begun([0])
        self.close(part)
        self.failureResultOf(part.write(1, PIECES[1]), StorageError)
        self.failureResultOf(part.read(0), StorageError)
        self.close(part)
        self.put("b", b"mine")
        self.failureResultOf(self.opening("b"), UsageError)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
