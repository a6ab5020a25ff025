"""A shared file as a transfer reads it."""

from __future__ import annotations

import os

from zope.interface.verify import verifyObject

from tests.files.disk_cases import FolderCase, InlineReactor, manifest_of, pieces_of, some_bytes
from twisted_bazaar.errors import FileChanged, StorageError
from twisted_bazaar.files.chunks import CHUNK_BYTES
from twisted_bazaar.files.content import IContent
from twisted_bazaar.files.disk import Signature
from twisted_bazaar.files.sharing import shared
from twisted_bazaar.files.sharing.scan import Sighting
from twisted_bazaar.files.sharing.shared import SharedContent

CONTENT = some_bytes(2 * CHUNK_BYTES + 7)


class ReadingTests(FolderCase):
    """What is read is what was hashed, or nothing."""

    def setUp(self) -> None:
        """A file that has been hashed."""
        super().setUp()
        self.path = self.put("a", CONTENT)
        self.changed: list[str] = []
        seen = Sighting("offered", "a", Signature.of(self.path.stat()))
        self.content = SharedContent(
            InlineReactor(), self.folder, seen, manifest_of(CONTENT), lambda seen: self.changed.append(seen.name)
        )

    def assert_changed(self) -> None:
        """It is noticed that the file is another, and told."""
        failure = self.failureResultOf(self.content.read(1), FileChanged)
        self.assertIn("offered", str(failure.value))
        self.assertEqual(self.changed, ["offered"])

    def test_reads(self) -> None:
        """All chunks can be read; nothing is left open."""
        verifyObject(IContent, self.content)
        before = os.listdir("/proc/self/fd")
        chunks = [self.successResultOf(self.content.read(chunk)) for chunk in range(3)]
        self.assertEqual(chunks, pieces_of(CONTENT))
        self.assertTrue(self.content.holdings.is_whole)
        self.assertEqual((len(os.listdir("/proc/self/fd")), self.changed), (len(before), []))
        self.content.watch(self.fail)()

    def test_rewritten(self) -> None:
        """Another content of the same size is noticed."""
        self.put("a", bytes(len(CONTENT)), at_s=1_000_000_001)
        self.assert_changed()

    def test_replaced(self) -> None:
        """Another file of the same size and time is noticed."""
        self.put("b", bytes(len(CONTENT))).replace(self.path)
        self.assert_changed()

    def test_cut(self) -> None:
        """A file that was cut off is noticed."""
        self.put("a", CONTENT[:-1])
        self.assert_changed()

    def test_gone(self) -> None:
        """A file that is gone is noticed."""
        self.path.unlink()
        self.assert_changed()

    def test_link(self) -> None:
        """A link is not followed, even to the very file."""
        self.path.rename(self.outside / "a")
        self.path.symlink_to(self.outside / "a")
        self.assert_changed()

    def test_folder_gone(self) -> None:
        """A folder that is gone is noticed, and a link in its place is not followed."""
        self.folder.rename(self.root / "moved")
        self.folder.symlink_to(self.root / "moved")
        self.assert_changed()

    def test_changes_while_read(self) -> None:
        """A change between the first look and the reading is noticed."""
        real = shared.pread_full

        def read(*arguments: int) -> bytes:
            self.put("a", bytes(len(CONTENT)), at_s=1_000_000_001)
            return real(*arguments)

        self.patch(shared, "pread_full", read)
        self.assert_changed()

    def test_cannot_be_read(self) -> None:
        """A disk that fails does not mean that the file has changed."""

        def read(*arguments: int) -> bytes:
            raise OSError(5, "Input/output error")

        self.patch(shared, "pread_full", read)
        failure = self.failureResultOf(self.content.read(1), StorageError)
        self.assertEqual((str(failure.value), self.changed), ("offered: Input/output error", []))
