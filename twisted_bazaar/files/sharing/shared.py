"""One file of a shared folder as a transfer sees it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from twisted_bazaar.errors import FileChanged, StorageError
from twisted_bazaar.files.chunks import CHUNK_BYTES, Holdings, Manifest
from twisted_bazaar.files.content import IContent
from twisted_bazaar.files.disk import opened_file, opened_folder, pread_full, signature_of
from twisted_bazaar.files.sharing.scan import Sighting

# What opening says when there is nothing by that name, or a link, a folder or a device.
_NO_SUCH_FILE: Final = frozenset({errno.ENOENT, errno.ELOOP, errno.EINVAL, errno.ENOTDIR, errno.EISDIR, errno.ENXIO})


@implementer(IContent)
class SharedContent:
    """Reads a file as long as it is what was hashed.

    It is opened anew for each chunk, which costs little beside reading one: no file descriptors are held that others
    may need, and a name that has come to stand for something else is noticed at once.

    @param reactor: threads.
    @param folder: where the file is.
    @param changed: is called when it is found to be something else.
    @ivar seen: the file as it was when it was hashed.
    """

    def __init__(
        self, reactor: Any, folder: Path, seen: Sighting, manifest: Manifest, changed: Callable[[Sighting], object]
    ) -> None:
        self.manifest = manifest
        self.seen = seen
        self._reactor = reactor
        self._folder = folder
        self._changed = changed
        self._holdings: Holdings | None = None

    @property
    def holdings(self) -> Holdings:
        """All of it."""
        if self._holdings is None:
            self._holdings = Holdings(self.manifest.count, is_whole=True)
        return self._holdings

    def read(self, chunk: int) -> Deferred[bytes]:
        """One chunk, whole."""
        reading: Deferred[bytes] = deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), self._read, chunk, self.manifest.size_of(chunk)
        )
        return reading.addErrback(self._read_failed)

    def watch(self, grown: Callable[[int], object]) -> Callable[[], None]:
        """Nothing can come in."""
        return lambda: None

    def _read(self, chunk: int, size: int) -> bytes:
        """In a thread: read, and see before and after whether it is still what was hashed."""
        name = self.seen.name
        try:
            with opened_folder(self._folder) as folder, opened_file(folder, self.seen.real_name) as file:
                if signature_of(file) != self.seen.signature:
                    raise FileChanged(f"{name} has changed")
                content = pread_full(file, size, chunk * CHUNK_BYTES)
                if len(content) != size or signature_of(file) != self.seen.signature:
                    raise FileChanged(f"{name} has changed")
                return content
        except OSError as error:
            if error.errno in _NO_SUCH_FILE:
                raise FileChanged(f"{name} is gone") from None
            raise StorageError(f"{name}: {error.strerror}") from error

    def _read_failed(self, failure: Any) -> Any:
        if failure.check(FileChanged):
            self._changed(self.seen)
        return failure
