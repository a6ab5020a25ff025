"""The files that a node of a ring keeps for others: fetched when an entry asks for them, and deleted with the last that
does.

Each is called by its digest, in a folder of its own. How much room there is for whom is the business of L{Quota}. A
file that could not be got a few times has no room any more; it is tried now and then all the same, and has room when
somebody begins to serve it.
"""

from __future__ import annotations

import os
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.unverified_contacts import host_of
from twisted_bazaar.discovery.ring.storage.entry import Entry, EntryKey
from twisted_bazaar.errors import BazaarError, FileChanged, StorageError
from twisted_bazaar.files.chunks import CHUNK_BYTES, Manifest
from twisted_bazaar.files.content import IContent
from twisted_bazaar.files.disk import opened_file, opened_folder, signature_of
from twisted_bazaar.files.download.resumable_file import ResumableFile
from twisted_bazaar.files.sharing.hashing import StillChanging, hash_file
from twisted_bazaar.files.sharing.scan import Sighting
from twisted_bazaar.files.sharing.shared import SharedContent
from twisted_bazaar.roles.ring.quota import Quota
from twisted_bazaar.system.limited_log import limited_logger

# Repair is not to swamp what people do.
_AT_ONCE: Final = 4
# So that one host that serves nothing does not hold up what others send.
_OF_HOST: Final = 2
# So often it is tried with room of its own; a try without anybody takes half a minute.
_TRIES_WITH_ROOM: Final = 3
_AGAIN_S: Final = (2.0, 5.0, 15.0, 60.0)
_MOST_TOLD: Final = 8


class KeptPart(ResumableFile):
    """A file on its way to be kept, which may be no longer than its owner has said.

    @ivar sizes: how long owners say that it is; one of them may lie.
    @ivar take_room: says whether there is room for it, and takes that.
    """

    sizes: frozenset[int] = frozenset()
    take_room: Callable[[], bool] = staticmethod(lambda: True)

    def begin(self, manifest: Manifest) -> Deferred[None]:
        """Take a manifest, if it is of the right length."""
        if manifest.size not in self.sizes:
            return fail(StorageError(f"no owner has asked for a file of {manifest.size} bytes to be kept"))
        if not self.take_room():
            return fail(StorageError("there is no room for the file now"))
        return super().begin(manifest)


class KeptFiles:
    """The files of one node.

    @param folder: where they are, from when the first is asked for.
    @param limit_bytes: how many bytes all of them may have.
    @param has: whether all of one is there, as far as whoever serves it knows.
    @param get: gets one, and fires when it has come or cannot be got now.
    @param drop: told of one that is needed no longer; ends getting it, and fires when it may be deleted.
    @param deleted: told when one has been deleted.
    @param tell: tells a node that one has come.
    @ivar room: how much there is, and who has it.
    """

    log: Final = limited_logger(__name__)

    def __init__(
        self,
        folder: os.PathLike[str],
        limit_bytes: int,
        has: Callable[[str], bool],
        get: Callable[[Entry], Awaitable[None]],
        drop: Callable[[str], Deferred[None]],
        deleted: Callable[[], object],
        tell: Callable[[Contact, str], object],
    ) -> None:
        self._folder = folder
        self.room: Quota = Quota(limit_bytes)
        self._has, self._get, self._drop, self._deleted, self._tell = has, get, drop, deleted, tell
        self._wanted: dict[str, dict[EntryKey, Entry]] = {}
        self._sources: dict[str, OrderedDict[Contact, None]] = {}
        # On whose word a file is kept.
        self._hosts: dict[str, Hashable | None] = {}
        # By host what is to be got, with how often that has failed; the host whose turn it is first.
        self._waiting: OrderedDict[Hashable | None, dict[str, int]] = OrderedDict()
        self._getting: dict[str, Hashable | None] = {}
        self._again: dict[str, IDelayedCall] = {}
        self._awaited: dict[str, list[Deferred[None]]] = {}
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

    @property
    def folder(self) -> Path:
        """Where they are."""
        return Path(self._folder)

    def __len__(self) -> int:
        return len(self._wanted)

    @property
    def whole(self) -> int:
        """How many of them are here, and not on their way."""
        return sum(self._has(digest) for digest in self._wanted)

    def being_got(self, digest: str) -> Deferred[None] | None:
        """Fires when the try to get a file that is under way has ended, well or not; None if there is none."""
        if digest not in self._getting:
            return None
        waiting: Deferred[None] = Deferred()
        self._awaited.setdefault(digest, []).append(waiting)
        return waiting

    @property
    def size_bytes(self) -> int:
        """How many bytes all of them have, with those to come for which there is room."""
        return self.room.size_bytes

    @property
    def limit_bytes(self) -> int:
        """How many they may have."""
        return self.room.limit_bytes

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

    def has_room(self, entry: Entry, source: Contact | None) -> bool:
        """Whether the file of an entry could be kept."""
        digest, host = entry.kept.digest, None if source is None else host_of(source)
        return digest is None or self.room.fits(digest, entry.kept.owner, entry.kept.size, host)

    def take_room(self, digest: str) -> bool:
        """Somebody serves a file: see that there is room for it, as there may not be any more."""
        if digest not in self.room:
            longest = self._longest(digest)
            if longest is None or not self.room.fits(digest, longest.kept.owner, longest.kept.size, None):
                return False
            self._charge(digest)
        return True

    def keep(self, entry: Entry, source: Contact | None) -> None:
        """Get the file of an entry, and keep it."""
        digest = entry.kept.digest
        assert digest is not None, "it is about a file"
        wanted = self._wanted.setdefault(digest, {})
        is_new = entry.key not in wanted
        wanted[entry.key] = entry
        self._hosts.setdefault(digest, None if source is None else host_of(source))
        if is_new or digest in self.room:
            # The same entry again does not get the room again that was given back.
            self._charge(digest)
        sources = self._sources.setdefault(digest, OrderedDict())
        if source is not None:
            is_new = is_new or source not in sources
            sources[source] = None
            if len(sources) > _MOST_TOLD:
                sources.popitem(last=False)
        if is_new and digest in self._again:
            # There may be somebody now who serves it.
            self._again.pop(digest).cancel()
        if not self._has(digest) and digest not in self._getting and digest not in self._again:
            self._wait(digest, 0)

    def let_go(self, entry: Entry) -> None:
        """An entry needs its file no longer."""
        digest = entry.kept.digest
        entries = self._wanted.get(digest or "")
        if digest is None or entries is None or entries.pop(entry.key, None) is None:
            return
        if digest in self.room:
            self._charge(digest)
        if entries:
            return
        del self._wanted[digest]
        self._sources.pop(digest, None)
        host = self._hosts.pop(digest, None)
        if self._waiting.get(host, {}).pop(digest, None) is not None and not self._waiting[host]:
            del self._waiting[host]
        timer = self._again.pop(digest, None)
        if timer is not None:
            timer.cancel()
        dropping = self._drop(digest).addCallback(lambda _: self._delete(digest))
        dropping.addErrback(
            lambda failure: self.log.failure("a file that is kept no longer could not be deleted", failure)
        )

    # Inside.

    def _charge(self, digest: str) -> None:
        """Charge for a file whoever says that it is longest, of all that want it."""
        longest = self._longest(digest)
        if longest is None:
            self.room.give_back(digest)
        else:
            host = None if self._has(digest) else self._hosts.get(digest)
            self.room.take(digest, longest.kept.owner, longest.kept.size, host)

    def _longest(self, digest: str) -> Entry | None:
        return max(self._wanted.get(digest, {}).values(), key=lambda entry: entry.kept.size, default=None)

    def _delete(self, digest: str) -> Deferred[None] | None:
        if digest in self._wanted or self._is_stopped:
            return None
        path = self.folder / digest
        deleting = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), path.unlink, True)
        return deleting.addCallback(lambda _: self._deleted()).addCallback(lambda _: None)

    def _go_on(self) -> None:
        while len(self._getting) < _AT_ONCE and not self._is_stopped:
            digest = self._next()
            if digest is None:
                return
            host = self._hosts.get(digest)
            failures = self._waiting[host].pop(digest)
            self._waiting.move_to_end(host)
            if not self._waiting[host]:
                del self._waiting[host]
            entry = self.entry_of(digest)
            if entry is None:
                continue
            self._getting[digest] = host
            getting = Deferred.fromCoroutine(_awaited(self._get(entry)))
            getting.addErrback(self._not_got)
            getting.addCallback(self._got, digest, failures).addCallback(self._tell_tried, digest)

    def _next(self) -> str | None:
        """The next to get: of the host of which fewest are got now, and not of one of which enough are."""
        busy = Counter(host for host in self._getting.values() if host is not None)
        host = min(self._waiting, key=busy.__getitem__, default=None)
        return None if host not in self._waiting or busy[host] >= _OF_HOST else next(iter(self._waiting[host]))

    def _wait(self, digest: str, failures: int) -> None:
        self._waiting.setdefault(self._hosts.get(digest), {}).setdefault(digest, failures)
        self._go_on()

    def _not_got(self, failure: Failure) -> None:
        if not failure.check(BazaarError):
            self.log.failure("keeping a file for its owner failed", failure)

    def _got(self, _: object, digest: str, failures: int) -> None:
        self._getting.pop(digest, None)
        if self._is_stopped:
            return
        if digest in self._wanted:
            if self._has(digest):
                self.room.has_come(digest)
                for contact in self.sources_of(digest):
                    self._tell(contact, digest)
            else:
                if failures + 1 >= _TRIES_WITH_ROOM:
                    self.room.give_back(digest)
                wait_s = _AGAIN_S[min(failures, len(_AGAIN_S) - 1)]
                self._again[digest] = self._reactor.callLater(wait_s, self._try_again, digest, failures + 1)
        self._go_on()

    def _tell_tried(self, _: object, digest: str) -> None:
        for waiting in self._awaited.pop(digest, ()):
            waiting.callback(None)

    def _try_again(self, digest: str, failures: int) -> None:
        del self._again[digest]
        if digest in self._wanted and not self._has(digest) and digest not in self._getting:
            self._wait(digest, failures)


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


async def copy_into(reactor: Any, content: IContent, part: ResumableFile) -> None:
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
