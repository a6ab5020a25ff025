"""Files on the disk of a simulated machine: what was synced of a download outlives a crash, and it goes on from there.

It stands for L{twisted_bazaar.files.download.resumable_file}, which is for disks that there are: chunk by chunk, each
checked before it is written and synced before anybody hears of it.
"""

from __future__ import annotations

import errno
import hashlib
import struct
from collections.abc import Callable
from typing import Final, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from twisted_bazaar.errors import StorageError, UsageError, WrongWhole
from twisted_bazaar.files.chunks import Holdings, Manifest
from twisted_bazaar.files.content import IContent, IPart
from twisted_bazaar.files.memory import Grown, Watchers
from twisted_bazaar.sim.engine.disk import Disk
from twisted_bazaar.sim.engine.hosts import Host
from twisted_bazaar.sim.files.library import Library, Original

T = TypeVar("T")

_SIZE: Final = struct.Struct(">Q")
# What a file is made of, which of its chunks are there, and that it has its name.
_MANIFEST, _CHUNK, _WHOLE = "manifest", "chunk", "whole"


def _name(digest: str, *what: object) -> str:
    return "/".join(("file", digest, *map(str, what)))


def whole_files(disk: Disk) -> list[str]:
    """The digests of the files on a disk that are finished."""
    marks = (name.split("/") for name in disk.names() if name.startswith("file/") and disk.seen(name))
    return [digest for _, digest, what, *_ in marks if what == _WHOLE]


def chunk_on(disk: Disk, digest: str, chunk: int) -> bytes:
    """What its machine sees of a chunk; it can be seen while the disk fails, too."""
    return disk.seen(_name(digest, _CHUNK, chunk))


@implementer(IContent)
class OwnFile:
    """A file that was on a machine before anything began.

    @param host: whose disk it is on: while that fails nothing can be read.
    """

    def __init__(self, host: Host, original: Original) -> None:
        self._host = host
        self.original = original
        self.manifest: Manifest = original.manifest
        self.holdings: Holdings = Holdings(self.manifest.count, is_whole=True)

    def read(self, chunk: int) -> Deferred[bytes]:
        """One chunk, whole."""

        def look() -> bytes:
            self._host.disk.read("file")
            return self.original.chunk(chunk)

        return in_thread(self._host, look)

    def watch(self, grown: Grown) -> Callable[[], None]:
        """There is nothing more to come."""
        return lambda: None


@implementer(IPart)
class DiskPart:
    """A file on its way to a machine, or that has come there.

    @param host: the machine.
    @param library: has bytes that many machines have but once.
    @ivar is_finished: whether the file has its name.
    """

    def __init__(self, host: Host, library: Library, digest: str) -> None:
        self._host = host
        self._library = library
        self.digest = digest
        self.manifest: Manifest | None = None
        self.holdings: Holdings = Holdings(0)
        self.is_finished: bool = False
        self._watchers = Watchers()

    @classmethod
    async def open(cls, host: Host, library: Library, digest: str) -> DiskPart:
        """What there is of a file.

        @raise UsageError: all of it is there.
        @raise StorageError: the disk fails.
        """
        part = cls(host, library, digest)
        await in_thread(host, part.load)
        if part.is_finished:
            raise UsageError("it is there already")
        return part

    def load(self) -> None:
        """Read what is on the disk, in the present thread.

        @raise OSError: the disk fails.
        """
        disk = self._host.disk
        self.is_finished = bool(disk.read(_name(self.digest, _WHOLE)))
        described = disk.read(_name(self.digest, _MANIFEST))
        if described:
            (size,) = _SIZE.unpack_from(described)
            self._adopt(Manifest(self.digest, size, described[_SIZE.size :]))

    def set_manifest(self, manifest: Manifest) -> Deferred[None]:
        """Take a manifest, in place of any before; of what is there, what fits it is kept."""

        def note() -> None:
            self._put(_name(self.digest, _MANIFEST), _SIZE.pack(manifest.size) + manifest.chunk_digests)
            self._adopt(manifest)

        return in_thread(self._host, note)

    def write(self, chunk: int, content: bytes | bytearray | memoryview) -> Deferred[bool]:
        """Check a chunk and keep it; what is not right is not written."""
        manifest = self.manifest
        assert manifest is not None, "there is no manifest yet"

        def keep() -> bool:
            if not manifest.fits(chunk, content):
                return False
            self._put(_name(self.digest, _CHUNK, chunk), self._library.same(self.digest, chunk, bytes(content)))
            return True

        def kept(is_right: bool) -> bool:
            if is_right and self.manifest is manifest and self.holdings.add(chunk):
                self._watchers.notify(chunk)
            return is_right

        return in_thread(self._host, keep).addCallback(kept)

    def read(self, chunk: int) -> Deferred[bytes]:
        """One chunk that is there."""
        return in_thread(self._host, lambda: self._host.disk.read(_name(self.digest, _CHUNK, chunk)))

    def watch(self, grown: Grown) -> Callable[[], None]:
        """Be told of each chunk that comes in."""
        return self._watchers.add(grown)

    def finish(self) -> Deferred[None]:
        """Check the whole, and give it its name."""
        manifest = self.manifest
        assert manifest is not None, "there is no manifest yet"

        def check() -> None:
            whole = hashlib.sha256()
            for chunk in range(manifest.count):
                whole.update(self._host.disk.read(_name(self.digest, _CHUNK, chunk)))
            if whole.hexdigest() != self.digest:
                raise WrongWhole("the whole is not what was asked for")
            self._put(_name(self.digest, _WHOLE), b"yes")
            self.is_finished = True

        return in_thread(self._host, check)

    def close(self) -> Deferred[None]:
        """Let go of it; what is there stays."""
        return succeed(None)

    def _adopt(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.holdings = Holdings(manifest.count)
        for chunk in range(manifest.count):
            if manifest.fits(chunk, self._host.disk.read(_name(self.digest, _CHUNK, chunk))):
                self.holdings.add(chunk)

    def _put(self, name: str, content: bytes) -> None:
        """Write something and sync it; what cannot be synced is taken back."""
        disk = self._host.disk
        before = disk.read(name)
        disk.write(name, content)
        try:
            disk.sync(name)
        except OSError:
            disk.roll_back(name, before)
            raise


def in_thread(host: Host, work: Callable[[], T]) -> Deferred[T]:
    """Do something with a disk in a thread of its machine.

    @raise StorageError: the disk is full, or fails.
    """

    def guarded() -> T:
        try:
            return work()
        except OSError as error:
            reason = "no room on the disk" if error.errno == errno.ENOSPC else str(error.strerror)
            raise StorageError(reason) from error

    return deferToThreadPool(host, host.getThreadPool(), guarded)
