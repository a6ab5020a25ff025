"""The files that a node of a ring keeps for others: fetched when an entry asks for them, and deleted with the last that
does.

Each is called by its digest, in a folder of its own. What an owner says about the size of a file is all that it may
take, and no owner may take more than half of what there is.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.entry import Entry, EntryKey
from twisted_bazaar.discovery.ring.identifiers import Contact
from twisted_bazaar.errors import BazaarError, FileChanged, StorageError
from twisted_bazaar.files.chunks import CHUNK_BYTES, Manifest
from twisted_bazaar.files.content import IContent
from twisted_bazaar.files.disk import opened_file, opened_folder, signature_of
from twisted_bazaar.files.download.part import PartFile
from twisted_bazaar.files.sharing.hashing import StillChanging, hash_file
from twisted_bazaar.files.sharing.scan import Sighting
from twisted_bazaar.files.sharing.shared import SharedContent

# Repair is not to swamp what people do.
_AT_ONCE: Final = 2
_AGAIN_S: Final = (2.0, 5.0, 15.0, 60.0)
_MOST_TOLD: Final = 8
# No owner takes more than this part of what there is.
_OWNERS: Final = 2


class KeptPart(PartFile):
    """A file on its way to be kept, which may be no longer than its owner has said.

    @ivar sizes: how long owners say that it is; one of them may lie.
    """

    sizes: frozenset[int] = frozenset()

    def begin(self, manifest: Manifest) -> Deferred[None]:
        """Take a manifest, if it is of the right length."""
        if manifest.size not in self.sizes:
            return fail(StorageError(f"{manifest.size} bytes, of which no owner has spoken"))
        return super().begin(manifest)


class KeptFiles:
    """The files of one node.

    @param folder: where they are.
    @param limit_bytes: how many bytes all of them may have.
    @param has: whether all of one is there, as far as whoever serves it knows.
    @param get: gets one, and fires when it has come or cannot be got now.
    @param drop: told of one that is needed no longer; ends getting it, and fires when it may be deleted.
    @param tell: tells a node that one has come.
    @ivar size_bytes: how many all of them have, with those to come.
    """

    log = Logger()

    def __init__(
        self,
        folder: Path,
        limit_bytes: int,
        has: Callable[[str], bool],
        get: Callable[[Entry], Awaitable[None]],
        drop: Callable[[str], Deferred[None]],
        tell: Callable[[Contact, str], object],
    ) -> None:
        self.folder = folder
        self.size_bytes = 0
        self.limit_bytes = limit_bytes
        self._has, self._get, self._drop, self._tell = has, get, drop, tell
        self._wanted: dict[str, dict[EntryKey, Entry]] = {}
        self._sources: dict[str, OrderedDict[Contact, None]] = {}
        self._by_owner: dict[str, int] = {}
        # Who is charged for a file, and for how much: of all that want it, the one that says it is longest.
        self._paid: dict[str, tuple[str, int]] = {}
        self._waiting: OrderedDict[str, int] = OrderedDict()
        self._getting: set[str] = set()
        self._again: dict[str, IDelayedCall] = {}
        self._is_stopped = True

    def start(self, reactor: Any) -> None:
        """Begin to get what is wanted."""
        self._reactor = reactor
        self._is_stopped = False
        self._go_on()

    def stop(self) -> None:
        """Get no more."""
        self._is_stopped = True
        for timer in self._again.values():
            timer.cancel()
        self._again.clear()

    def __len__(self) -> int:
        return len(self._wanted)

    def digests(self) -> list[str]:
        """What all that are wanted must hash to."""
        return list(self._wanted)

    def entry_of(self, digest: str) -> Entry | None:
        """An entry about a file that is kept."""
        return next(iter(self._wanted.get(digest, {}).values()), None)

    def sizes_of(self, digest: str) -> frozenset[int]:
        """How long owners say that a file is."""
        return frozenset(entry.kept.size for entry in self._wanted.get(digest, {}).values())

    def sources_of(self, digest: str) -> list[Contact]:
        """Who has sent entries about a file."""
        return list(self._sources.get(digest, ()))

    # What the ring calls.

    def has(self, digest: str) -> bool:
        """Whether all of a file is here."""
        return self._has(digest)

    def has_room(self, entry: Entry) -> bool:
        """Whether the file of an entry could be kept."""
        digest, size = entry.kept.digest, entry.kept.size
        _, paid = self._paid.get(digest or "", ("", -1))
        if digest is None or size <= paid:
            return True
        owned = self._by_owner.get(entry.kept.owner, 0)
        more = size - max(0, paid)
        return self.size_bytes + more <= self.limit_bytes and owned + size <= self.limit_bytes // _OWNERS

    def keep(self, entry: Entry, source: Contact | None) -> None:
        """Get the file of an entry, and keep it."""
        digest = entry.kept.digest
        assert digest is not None, "it is about a file"
        self._wanted.setdefault(digest, {})[entry.key] = entry
        self._charge(digest)
        if source is not None:
            sources = self._sources.setdefault(digest, OrderedDict())
            sources[source] = None
            if len(sources) > _MOST_TOLD:
                sources.popitem(last=False)
        if not self._has(digest) and digest not in self._getting:
            self._waiting.setdefault(digest, 0)
            self._go_on()

    def let_go(self, entry: Entry) -> None:
        """An entry needs its file no longer."""
        digest = entry.kept.digest
        entries = self._wanted.get(digest or "")
        if digest is None or entries is None or entries.pop(entry.key, None) is None:
            return
        self._charge(digest)
        if entries:
            return
        del self._wanted[digest]
        self._sources.pop(digest, None)
        self._waiting.pop(digest, None)
        timer = self._again.pop(digest, None)
        if timer is not None:
            timer.cancel()
        dropping = self._drop(digest).addCallback(lambda _: self._delete(digest))
        dropping.addErrback(lambda failure: self.log.failure("a file was not deleted", failure))

    # Inside.

    def _charge(self, digest: str) -> None:
        """Charge for a file whoever says that it is longest."""
        owner, size = self._paid.pop(digest, ("", 0))
        if owner:
            self._add(owner, -size)
        longest = max(self._wanted[digest].values(), key=lambda entry: entry.kept.size, default=None)
        if longest is not None:
            self._paid[digest] = (longest.kept.owner, longest.kept.size)
            self._add(longest.kept.owner, longest.kept.size)

    def _add(self, owner: str, size: int) -> None:
        self.size_bytes += size
        self._by_owner[owner] = self._by_owner.get(owner, 0) + size
        if not self._by_owner[owner]:
            del self._by_owner[owner]

    def _delete(self, digest: str) -> Deferred[None] | None:
        if digest in self._wanted or self._is_stopped:
            return None
        path = self.folder / digest
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), path.unlink, True)

    def _go_on(self) -> None:
        while self._waiting and len(self._getting) < _AT_ONCE and not self._is_stopped:
            digest, failures = self._waiting.popitem(last=False)
            entry = self.entry_of(digest)
            if entry is None:
                continue
            self._getting.add(digest)
            getting = Deferred.fromCoroutine(_awaited(self._get(entry)))
            getting.addErrback(self._not_got)
            getting.addCallback(self._got, digest, failures)

    def _not_got(self, failure: Failure) -> None:
        if not failure.check(BazaarError):
            self.log.failure("a file could not be kept", failure)

    def _got(self, _: object, digest: str, failures: int) -> None:
        self._getting.discard(digest)
        if self._is_stopped:
            return
        if digest in self._wanted:
            if self._has(digest):
                for contact in self.sources_of(digest):
                    self._tell(contact, digest)
            else:
                wait_s = _AGAIN_S[min(failures, len(_AGAIN_S) - 1)]
                self._again[digest] = self._reactor.callLater(wait_s, self._try_again, digest, failures + 1)
        self._go_on()

    def _try_again(self, digest: str, failures: int) -> None:
        del self._again[digest]
        if digest in self._wanted and not self._has(digest) and digest not in self._getting:
            self._waiting[digest] = failures
            self._go_on()


async def _awaited(doing: Awaitable[None]) -> None:
    await doing


def offer_blocking(reactor: Any, path: Path) -> SharedContent:
    """In a thread: hash a file, so that it can be served as long as it stays what it is.

    @raise StorageError: it cannot be read, or is being written.
    """
    try:
        with opened_folder(path.parent) as folder, opened_file(folder, path.name) as file:
            seen = Sighting(path.name, path.name, signature_of(file))
            manifest = hash_file(file, seen, bytearray(CHUNK_BYTES), lambda size: True)
    except StillChanging:
        raise FileChanged(f"{path} is being written") from None
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from None
    return SharedContent(reactor, path.parent, seen, manifest, lambda seen: None)


async def copy_into(reactor: Any, content: IContent, part: PartFile) -> None:
    """Make a file of what is on this machine already.

    @raise AlreadyThere: it is there.
    @raise StorageError: it cannot be read or written.
    """
    manifest = content.manifest
    try:
        await part.begin(manifest)
        for chunk in range(manifest.count):
            if not await part.write(chunk, await content.read(chunk)):
                raise FileChanged(f"{part.path.name} is not what it was")
        await part.finish()
    except BaseException:
        await part.close()
        raise


def make_folder(path: Path) -> Path:
    """A folder that only its owner can look into.

    @raise OSError: there cannot be one.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(os.path.realpath(path))
