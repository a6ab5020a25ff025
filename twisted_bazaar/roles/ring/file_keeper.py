"""Replicates files to this node: fetches those that entries ask for, and deletes them with the last such entry.

Of one host few are fetched at a time. A file that could not be got a few times has no room any more; it is tried now
and then all the same, and has room when somebody begins to serve it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.storage.dht_client import DhtClient
from twisted_bazaar.discovery.ring.storage.entry import Entry
from twisted_bazaar.errors import AlreadyThere, BazaarError, FileChanged
from twisted_bazaar.interfaces import INode
from twisted_bazaar.roles.ring.kept_files import KeptFiles
from twisted_bazaar.roles.ring.kept_folder import KeptFolder
from twisted_bazaar.roles.ring.local_files import copy_into
from twisted_bazaar.roles.ring.offered import Offered
from twisted_bazaar.roles.ring.transfers import RingTransfers
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.system.sizes import Size
from twisted_bazaar.timer import Timer

# Repair is not to swamp what people do.
_AT_ONCE: Final = 4
# So that one host that serves nothing does not hold up what others send.
_OF_HOST: Final = 2
# So often it is tried with room of its own; a try without anybody takes half a minute.
_TRIES_WITH_ROOM: Final = 3
_AGAIN_S: Final = (2.0, 5.0, 15.0, 60.0)


class FileKeeper:
    """Fetches and deletes the kept files of one node.

    @param kept: which are wanted.
    @param folder: where they are.
    @param offered: what was stored from here, and need not be fetched.
    @param transfers: fetches the others.
    @param dht: tells those that have asked for a file to be kept that it has come.
    """

    log: Final = limited_logger(__name__)
    _node: INode

    def __init__(
        self, kept: KeptFiles, folder: KeptFolder, offered: Offered, transfers: RingTransfers, dht: DhtClient
    ) -> None:
        self._kept = kept
        self._folder = folder
        self._offered = offered
        self._transfers = transfers
        self._dht = dht
        # By host what is to be got, with how often that has failed; the host whose turn it is first.
        self._waiting: OrderedDict[Hashable | None, dict[str, int]] = OrderedDict()
        self._getting: dict[str, Hashable | None] = {}
        self._again: dict[str, Timer] = {}
        self._awaited: dict[str, list[Deferred[None]]] = {}
        self._is_stopped = True
        kept.watch(self)

    def start(self, node: INode) -> None:
        """Begin to get what is wanted."""
        self._node = node
        self._is_stopped = False
        self._get_next()

    def stop(self) -> None:
        """Get no more."""
        self._is_stopped = True
        for timer in self._again.values():
            timer.cancel()
        self._again.clear()

    def being_got(self, digest: str) -> Deferred[None] | None:
        """Fires when the try to get a file that is under way has ended, well or not; None if there is none."""
        if digest not in self._getting:
            return None
        waiting: Deferred[None] = Deferred()
        self._awaited.setdefault(digest, []).append(waiting)
        return waiting

    # What is wanted: Keeper.

    def on_wanted(self, digest: str, *, is_news: bool) -> None:
        """An entry asks for a file."""
        if is_news and digest in self._again:
            # There may be somebody now who serves it.
            self._again.pop(digest).cancel()
        if not self._folder.has(digest) and digest not in self._getting and digest not in self._again:
            self._queue(digest, 0)

    def on_unwanted(self, digest: str, host: Hashable | None) -> None:
        """No entry asks for a file any more."""
        if self._waiting.get(host, {}).pop(digest, None) is not None and not self._waiting[host]:
            del self._waiting[host]
        timer = self._again.pop(digest, None)
        if timer is not None:
            timer.cancel()
        dropping = self._transfers.end_keeping(digest).addCallback(lambda _: self._delete(digest))
        dropping.addErrback(lambda failure: self.log.failure("a file was not deleted", failure))

    # Which is got next.

    def _queue(self, digest: str, failures: int) -> None:
        self._waiting.setdefault(self._kept.host_of(digest), {}).setdefault(digest, failures)
        self._get_next()

    def _get_next(self) -> None:
        while len(self._getting) < _AT_ONCE and not self._is_stopped:
            digest = self._next()
            if digest is None:
                return
            host = self._kept.host_of(digest)
            failures = self._waiting[host].pop(digest)
            self._waiting.move_to_end(host)
            if not self._waiting[host]:
                del self._waiting[host]
            entry = self._kept.entry_of(digest)
            if entry is None:
                continue
            self._getting[digest] = host
            getting = Deferred.fromCoroutine(self._get(digest, entry))
            getting.addErrback(self._log_failure, entry)
            getting.addCallback(self._on_tried, digest, failures)

    def _next(self) -> str | None:
        """The next to get: of the host of which fewest are got now, and not of one of which enough are."""
        busy = Counter(host for host in self._getting.values() if host is not None)
        host = min(self._waiting, key=busy.__getitem__, default=None)
        return None if host not in self._waiting or busy[host] >= _OF_HOST else next(iter(self._waiting[host]))

    def _on_tried(self, _: object, digest: str, failures: int) -> None:
        """A try has ended, well or not."""
        self._getting.pop(digest, None)
        if not self._is_stopped:
            if digest in self._kept:
                if self._folder.has(digest):
                    self._on_come(digest)
                else:
                    self._try_later(digest, failures + 1)
            self._get_next()
        for waiting in self._awaited.pop(digest, ()):
            waiting.callback(None)

    def _on_come(self, digest: str) -> None:
        self._kept.room.confirm(digest)
        for contact in self._kept.sources_of(digest):
            self._dht.tell_whole(contact, digest)

    def _try_later(self, digest: str, failures: int) -> None:
        if failures >= _TRIES_WITH_ROOM:
            self._kept.room.release(digest)
        timer = self._again[digest] = Timer(self._node.clock, partial(self._try_again, digest, failures))
        timer.set(_AGAIN_S[min(failures - 1, len(_AGAIN_S) - 1)])

    def _try_again(self, digest: str, failures: int) -> None:
        del self._again[digest]
        if digest in self._kept and not self._folder.has(digest) and digest not in self._getting:
            self._queue(digest, failures)

    # Getting one, and deleting one.

    async def _get(self, digest: str, entry: Entry) -> None:
        try:
            if not await self._copy_offered(digest):
                await self._transfers.fetch_to_keep(entry.kept)
        except AlreadyThere:
            await self._folder.refresh()
        if self._folder.has(digest):
            self._dht.on_whole(self._dht.member.own, digest)
            self._node.report("ring-keeps", "keeping {name}, {size}", name=entry.kept.name, size=Size(entry.kept.size))

    async def _copy_offered(self, digest: str) -> bool:
        """Make what is to be kept of what was stored from here; False if that is not here, or is not what it was."""
        here = self._offered.get(digest)
        if here is None:
            return False
        part = await self._folder.open_part(digest, self._kept.sizes_of(digest))
        try:
            await copy_into(here, part)
        except FileChanged:
            self._offered.forget(digest)
            return False
        await part.close()
        await self._folder.adopt(part)
        return True

    def _delete(self, digest: str) -> Deferred[None] | None:
        return None if digest in self._kept or self._is_stopped else self._folder.delete(digest)

    def _log_failure(self, failure: Failure, entry: Entry) -> None:
        if failure.check(BazaarError):
            reason = failure.getErrorMessage()
            self.log.warn("{name} cannot be kept now: {reason}", name=entry.kept.name, reason=reason)
        else:
            self.log.failure("a file could not be kept", failure)
