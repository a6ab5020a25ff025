"""Files in memory, for tests and simulations, instead of those on a disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, MutableMapping
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import deferLater
from zope.interface import implementer

from twisted_bazaar.errors import FileChanged, StorageError, WrongWhole
from twisted_bazaar.files.chunks import CHUNK_BYTES, Holdings, Manifest, chunk_count
from twisted_bazaar.files.content import IContent, IPart, IShare

Grown = Callable[[int], object]


def manifest_of(content: bytes) -> Manifest:
    """The manifest of a file with this content."""
    chunks = (content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES))
    digests = b"".join(hashlib.sha256(chunk).digest() for chunk in chunks)
    return Manifest(hashlib.sha256(content).hexdigest(), len(content), digests)


class Watchers:
    """Those who are told of each chunk that comes in."""

    def __init__(self) -> None:
        self._watchers: dict[object, Grown] = {}

    def add(self, grown: Grown) -> Callable[[], None]:
        """Tell somebody from now on; returns what ends it."""
        token = object()
        self._watchers[token] = grown
        return lambda: void(self._watchers.pop(token, None))

    def notify(self, chunk: int) -> None:
        """A chunk has come."""
        for grown in list(self._watchers.values()):
            grown(chunk)


def void(_: object) -> None:
    """Nothing."""


@implementer(IContent)
class MemoryContent:
    """A file that is served from memory.

    @param content: all of it.
    @param reactor: what its delays come from; without one everything is there at once.
    @param delay_s: how long a chunk takes to be read.
    @ivar fault: raised by each read, if set.
    @ivar reads: the chunks that were read, in that order.
    """

    def __init__(
        self, manifest: Manifest, content: bytes, *, reactor: Any = None, delay_s: float = 0.0, is_whole: bool = True
    ) -> None:
        self.manifest = manifest
        self.holdings: Holdings = Holdings(manifest.count, is_whole=is_whole)
        self.fault: StorageError | None = None
        self.reads: list[int] = []
        self._content = content
        self._reactor = reactor
        self._delay_s = delay_s
        self._watchers = Watchers()

    def read(self, chunk: int) -> Deferred[bytes]:
        """One chunk, whole."""
        self.reads.append(chunk)
        if self.fault is not None:
            return fail(self.fault)
        if chunk not in self.holdings:
            return fail(FileChanged(f"chunk {chunk} is not there"))
        content = self._content[chunk * CHUNK_BYTES : chunk * CHUNK_BYTES + self.manifest.size_of(chunk)]
        if self._reactor is None:
            return succeed(content)
        return deferLater(self._reactor, self._delay_s, lambda: content)

    def watch(self, grown: Grown) -> Callable[[], None]:
        """Call back for each chunk that comes in."""
        return self._watchers.add(grown)

    def grow(self, chunk: int) -> None:
        """Add another chunk."""
        if self.holdings.add(chunk):
            self._watchers.notify(chunk)


@implementer(IShare)
class MemoryShare:
    """Files that are shared from memory.

    @ivar contents: by digest.
    """

    def __init__(self, *contents: IContent) -> None:
        self.contents: dict[str, IContent] = {each.manifest.digest: each for each in contents}

    def content(self, digest: str) -> IContent | None:
        """The content with a digest, or None."""
        return self.contents.get(digest)


@implementer(IPart)
class MemoryPart:
    """A file on its way here, kept in memory.

    @param chunks: where chunks are kept; what was there before, with the manifest it fits.
    @param reactor: what its delays come from; without one everything is done at once.
    @param delay_s: how long a chunk takes to be written.
    @ivar room_bytes: how large a file there is room for.
    @ivar fault: raised by each write, if set.
    @ivar written: the chunks that were written, in that order.
    @ivar is_finished: whether the file is in its place.
    """

    def __init__(
        self,
        digest: str,
        manifest: Manifest | None = None,
        chunks: MutableMapping[int, bytes] | None = None,
        *,
        reactor: Any = None,
        delay_s: float = 0.0,
    ) -> None:
        self.digest = digest
        self.manifest: Manifest | None = None
        self.holdings: Holdings = Holdings(0)
        self.room_bytes = 1 << 40
        self.fault: StorageError | None = None
        self.written: list[int] = []
        self.is_finished: bool = False
        self.is_closed: bool = False
        self._chunks = {} if chunks is None else chunks
        self._reactor = reactor
        self._delay_s = delay_s
        self._watchers = Watchers()
        if manifest is not None:
            self._adopt(manifest)

    def set_manifest(self, manifest: Manifest) -> Deferred[None]:
        """Take a manifest, in place of any before; of what is there, what fits it is kept."""
        if manifest.size > self.room_bytes:
            return fail(StorageError(f"no room for {manifest.size} bytes"))
        self._adopt(manifest)
        return self._in_time(None)

    def write(self, chunk: int, content: bytes | bytearray | memoryview) -> Deferred[bool]:
        """Check a chunk and keep it; what is not right is not written."""
        assert self.manifest is not None, "there is no manifest yet"
        if self.fault is not None:
            return fail(self.fault)
        if not self.manifest.fits(chunk, content):
            return self._in_time(False)
        self._chunks[chunk] = bytes(content)
        self.written.append(chunk)

        def written(_: bool) -> bool:
            if self.holdings.add(chunk):
                self._watchers.notify(chunk)
            return True

        return self._in_time(True).addCallback(written)

    def read(self, chunk: int) -> Deferred[bytes]:
        """One chunk that is there."""
        if chunk not in self.holdings:
            return fail(StorageError(f"chunk {chunk} is not there"))
        return self._in_time(self._chunks[chunk])

    def watch(self, grown: Grown) -> Callable[[], None]:
        """Call back for each chunk that comes in."""
        return self._watchers.add(grown)

    def finish(self) -> Deferred[None]:
        """Check the whole, and put it in its place."""
        whole = hashlib.sha256()
        for chunk in self.holdings:
            whole.update(self._chunks[chunk])
        if whole.hexdigest() != self.digest:
            return fail(WrongWhole("the whole is not what was asked for"))
        self.is_finished = True
        return self._in_time(None)

    def close(self) -> Deferred[None]:
        """Close the file; what is there stays."""
        self.is_closed = True
        return succeed(None)

    def content(self) -> bytes:
        """All chunks that are there, one after another."""
        return b"".join(self._chunks[chunk] for chunk in self.holdings)

    def _adopt(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.holdings = Holdings(chunk_count(manifest.size))
        for chunk, content in self._chunks.items():
            if chunk < manifest.count and manifest.fits(chunk, content):
                self.holdings.add(chunk)

    def _in_time(self, result: Any) -> Deferred[Any]:
        if self._reactor is None:
            return succeed(result)
        return deferLater(self._reactor, self._delay_s, lambda: result)
