"""A resumable file: a download of this node, whose checked chunks are kept on disk until it is whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from twisted.internet.defer import Deferred, DeferredList, fail, succeed
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from twisted_bazaar.errors import AlreadyThere, StorageError, WrongWhole
from twisted_bazaar.files.chunks import Holdings, Manifest
from twisted_bazaar.files.content import IPart
from twisted_bazaar.files.disk import Signature
from twisted_bazaar.files.download.final_digest import WholeDigest
from twisted_bazaar.files.download.part_file import PartFile

Content = bytes | bytearray | memoryview


@implementer(IPart)
class ResumableFile:
    """Keeps the chunks of a download in a hidden file beside its target, until it is whole.

    @ivar digest: what the whole must hash to.
    @ivar manifest: what it is made of, as far as is known.
    @ivar holdings: which chunks are there.
    @ivar path: where the file will be.
    @ivar resumed_bytes: what was there already when it was opened.
    @ivar signature: of the file in its place; None before L{finish}.
    """

    def __init__(self, reactor: Any, landing: PartFile) -> None:
        self.digest: str = landing.digest
        self.manifest: Manifest | None = None
        self.holdings: Holdings = Holdings(0)
        self.path: Path = landing.path
        self.resumed_bytes = 0
        self.signature: Signature | None = None
        self._reactor = reactor
        self._landing = landing
        self._whole = WholeDigest(reactor, self.holdings, self._read_into_blocking)
        self._watchers: list[Callable[[int], object]] = []
        self._under_way: set[Deferred[Any]] = set()
        self._is_closed = False

    @classmethod
    def open(cls, reactor: Any, directory: Path, name: str, digest: str, *, overwrite: bool = False) -> Deferred[Self]:
        """Take up a download, where it was left if it was begun before.

        @param reactor: threads.
        @param directory: where the file is to be.
        @param name: what it is to be called there.
        @param overwrite: whether another file of that name may be replaced.
        @raise AlreadyThere: it is there already, the very same.
        @raise UsageError: it cannot be put there, or another process is at it; the text says what to do.
        @raise StorageError: the disk fails.
        """
        return Deferred.fromCoroutine(cls._open(reactor, directory, name, digest, overwrite))

    @classmethod
    async def _open(cls, reactor: Any, directory: Path, name: str, digest: str, overwrite: bool) -> Self:
        pool = reactor.getThreadPool()
        landing = await deferToThreadPool(reactor, pool, lambda: PartFile(directory, name, digest, overwrite=overwrite))
        part = cls(reactor, landing)
        try:
            manifest = await part._in_thread(landing.read_manifest)
            if manifest is not None:
                await part._take(manifest)
                part.resumed_bytes = manifest.size_of_all(part.holdings)
        except Exception:
            # Its lock would keep everybody out until this process ends.
            await part.close()
            raise
        return part

    @staticmethod
    def remove(reactor: Any, directory: Path, name: str, digest: str) -> Deferred[None]:
        """Remove what is there of a download that is not to go on.

        @raise UsageError: it is going on.
        """

        def remove() -> None:
            try:
                landing = PartFile(directory, name, digest, overwrite=True)
            except AlreadyThere:
                # With that, nothing hidden is left.
                return
            try:
                landing.remove()
            finally:
                landing.close()

        return deferToThreadPool(reactor, reactor.getThreadPool(), remove)

    def set_manifest(self, manifest: Manifest) -> Deferred[None]:
        """Take a manifest, in place of any before; of what is there, what fits it is kept."""
        if manifest == self.manifest:
            return succeed(None)
        return Deferred.fromCoroutine(self._begin(manifest))

    def write(self, chunk: int, content: Content) -> Deferred[bool]:
        """Check a chunk and keep it; what is not right is not written."""
        manifest = self.manifest
        assert manifest is not None, "it has begun"
        is_new = chunk not in self.holdings
        writing = self._in_thread(self._write_blocking, manifest, chunk, content, is_new)
        return writing.addCallback(self._written, manifest, chunk)

    def read(self, chunk: int) -> Deferred[bytes]:
        """One chunk that is there."""
        if chunk not in self.holdings:
            return fail(StorageError(f"{self.path}: chunk {chunk} is not there"))
        return self._in_thread(self._read_blocking, chunk)

    def watch(self, grown: Callable[[int], object]) -> Callable[[], None]:
        """Call back for each chunk that comes in. Returns a function that ends this."""

        def watcher(chunk: int) -> object:
            return grown(chunk)

        def end() -> None:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

        self._watchers.append(watcher)
        return end

    def finish(self) -> Deferred[None]:
        """Check the whole, and put it in its place."""
        return Deferred.fromCoroutine(self._finish())

    def close(self) -> Deferred[None]:
        """Close the file; what is there stays, to go on with another time. Where there is nothing, nothing is left."""
        if self._is_closed:
            return succeed(None)
        self._is_closed = True
        return Deferred.fromCoroutine(self._close())

    async def _begin(self, manifest: Manifest) -> None:
        if manifest.digest != self.digest:
            raise StorageError(f"{self.path}: a manifest of another file")
        await self._idle()
        await self._in_thread(self._landing.make_room, manifest.size)
        await self._in_thread(self._landing.write_manifest, manifest)
        await self._take(manifest)

    async def _take(self, manifest: Manifest) -> None:
        """Go by a manifest from now on, with what is there."""
        await self._whole.stop()
        holdings = await self._in_thread(self._held_blocking, manifest)
        if self._is_closed:
            # What would read it from now on could find another file behind the same descriptor.
            raise StorageError(f"{self.path}: it is closed")
        self.manifest = manifest
        self.holdings = holdings
        self._whole = WholeDigest(self._reactor, self.holdings, self._read_into_blocking)
        self._whole.hash_next()

    def _written(self, is_right: bool, manifest: Manifest, chunk: int) -> bool:
        if is_right and manifest is self.manifest and self.holdings.add(chunk):
            for watcher in list(self._watchers):
                watcher(chunk)
            self._whole.hash_next()
        return is_right

    async def _finish(self) -> None:
        manifest = self.manifest
        assert manifest is not None, "it has begun"
        await self._idle()
        if not self.holdings.is_whole:
            raise StorageError(f"{self.path}: it is not whole yet")
        if await self._whole.digest() != self.digest:
            # Before anybody is called a liar: it is what is on the disk that counts.
            await self._take(manifest)
            missing = manifest.count - len(self.holdings)
            if missing:
                raise StorageError(f"{self.path}: somebody has changed {missing} chunks of what was fetched")
            if await self._whole.digest() != self.digest:
                raise WrongWhole(f"{self.path}: the chunks fit their manifest, and the whole does not fit its digest")
        self.signature = await self._in_thread(self._landing.move_into_place, manifest.size)

    async def _close(self) -> None:
        await self._whole.stop()
        await self._idle()
        await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._close_blocking)

    def _close_blocking(self) -> None:
        try:
            if self.signature is None:
                with self._landing.told():
                    self._landing.remove_unused()
        finally:
            self._landing.close()

    def _held_blocking(self, manifest: Manifest) -> Holdings:
        holdings = Holdings(manifest.count)
        for chunk in self._landing.held_chunks(manifest, lambda: not self._is_closed):
            holdings.add(chunk)
        return holdings

    def _write_blocking(self, manifest: Manifest, chunk: int, content: Content, is_new: bool) -> bool:
        if not manifest.fits(chunk, content):
            return False
        if is_new:
            self._landing.write(chunk, content)
        return True

    def _read_blocking(self, chunk: int) -> bytes:
        assert self.manifest is not None, "a chunk of it is there"
        return self._landing.read(chunk, self.manifest.size_of(chunk))

    def _read_into_blocking(self, chunk: int, room: memoryview) -> memoryview:
        assert self.manifest is not None, "a chunk of it is there"
        part = room[: self.manifest.size_of(chunk)]
        self._landing.read_into(chunk, part)
        return part

    def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        if self._is_closed:
            return fail(StorageError(f"{self.path}: it is closed"))
        doing: Deferred[Any] = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), function, *arguments)
        ended: Deferred[None] = Deferred()
        self._under_way.add(ended)

        def end(result: Any) -> Any:
            self._under_way.discard(ended)
            ended.callback(None)
            return result

        return doing.addBoth(end)

    async def _idle(self) -> None:
        """Wait until no thread is at it."""
        while self._under_way:
            await DeferredList(list(self._under_way))
