"""What tests of files on the disk need: folders, contents, and a reactor that is its own thread."""

from __future__ import annotations

import hashlib
import os
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.files.chunks import CHUNK_BYTES, Manifest, chunk_count

Content = TypeVar("Content", bytes, memoryview)
# A moment when no file was written yet.
LONG_AGO_S: Final = 1_000_000_000


class InlineReactor(Clock):
    """A clock whose threads do at once what they are given.

    @ivar in_thread: called before each job, as if it came between.
    """

    def __init__(self) -> None:
        super().__init__()
        self.in_thread: Callable[[], object] = lambda: None

    def getThreadPool(self) -> InlineReactor:
        """Itself."""
        return self

    def callFromThread(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call it."""
        function(*arguments)

    def callInThreadWithCallback(
        self, on_result: Callable[[bool, Any], object], function: Callable[..., Any], *arguments: Any, **named: Any
    ) -> None:
        """Call it, and say how it ended."""
        self.in_thread()
        try:
            result = function(*arguments, **named)
        except Exception:
            on_result(False, Failure())
        else:
            on_result(True, result)


class HeldReactor(InlineReactor):
    """A clock whose threads are busy until a test says otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs: list[tuple[Any, ...]] = []

    def callInThreadWithCallback(self, *job: Any, **named: Any) -> None:
        """Do it later."""
        self._jobs.append((job, named))

    def work(self) -> None:
        """Do what is waiting, and what comes of it, until nothing is left."""
        while self._jobs:
            self.work_once()

    def work_once(self) -> None:
        """Do the first thing that is waiting."""
        if self._jobs:
            job, named = self._jobs.pop(0)
            super().callInThreadWithCallback(*job, **named)


class FolderCase(SynchronousTestCase):
    """A test with two folders: one to be used, and one that is nobody's business."""

    def setUp(self) -> None:
        """Make them; they are gone with the test."""
        super().setUp()
        root = tempfile.TemporaryDirectory(prefix="bazaar-")
        self.addCleanup(root.cleanup)
        self.root = Path(root.name)
        self.folder = self.root / "folder"
        self.outside = self.root / "outside"
        self.folder.mkdir()
        self.outside.mkdir()

    def put(self, name: str, content: bytes = b"content", at_s: float = LONG_AGO_S) -> Path:
        """Have a file with a content, written at a time."""
        path = self.folder / name
        path.write_bytes(content)
        os.utime(path, (at_s, at_s))
        return path


def some_bytes(size: int, seed: int = 0) -> bytes:
    """So many bytes, of which no two parts are alike."""
    return random.Random(seed).randbytes(size)


def digest_of(content: bytes) -> str:
    """What a file with this content is known by."""
    return hashlib.sha256(content).hexdigest()


def pieces_of(content: Content) -> list[Content]:
    """Its chunks."""
    return [content[n * CHUNK_BYTES : (n + 1) * CHUNK_BYTES] for n in range(chunk_count(len(content)))]


def manifest_of(content: bytes) -> Manifest:
    """What is true of a content."""
    # A view, for a copy of each piece would take as much again.
    digests = b"".join(hashlib.sha256(piece).digest() for piece in pieces_of(memoryview(content)))
    return Manifest(digest_of(content), len(content), digests)
