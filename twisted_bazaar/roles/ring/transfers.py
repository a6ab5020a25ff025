"""The transfers of a member of a ring: files that it fetches, and files that others fetch from it."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred

from twisted_bazaar.discovery.ring.storage.entry import Kept
from twisted_bazaar.files.content import IContent, IPart
from twisted_bazaar.interfaces import INode
from twisted_bazaar.roles.fetcher import Fetcher, OpenPart
from twisted_bazaar.roles.fetching import Fetch
from twisted_bazaar.roles.ring.catalogue import RingCatalogue
from twisted_bazaar.roles.ring.kept_files import KeptFiles
from twisted_bazaar.roles.ring.kept_folder import KeptFolder, KeptPart
from twisted_bazaar.roles.ring.offered import Offered
from twisted_bazaar.roles.ring.upload_events import UploadEvents
from twisted_bazaar.values.files import FoundFile

_GIVE_UP_S: Final = 30.0


class RingTransfers(Fetcher):
    """Fetches and serves the files of one node.

    @param kept: which files it keeps for others.
    @param folder: where those are.
    @param offered: what was stored from here.
    @param events: told what others fetch.
    @param options: what else L{Fetcher} is to know.
    """

    def __init__(
        self,
        catalogue: RingCatalogue,
        kept: KeptFiles,
        folder: KeptFolder,
        offered: Offered,
        events: UploadEvents,
        **options: Any,
    ) -> None:
        super().__init__(catalogue, self._opener, **options)
        self._kept = kept
        self._folder = folder
        self._offered = offered
        self._events = events

    async def fetch_to_keep(self, kept: Kept) -> None:
        """Fetch a file that is to be kept; ends when it has come, or cannot be got now.

        @param kept: what an entry says about it.
        @raise AlreadyThere: it is there.
        @raise StorageError: it cannot be put there.
        """
        assert kept.digest is not None, "it is about a file"
        ended: Deferred[Fetch] = Deferred()
        found = FoundFile(kept.digest, kept.size, kept.digest, 1)
        await self.begin(found, ended.callback, overwrite=True, give_up_s=_GIVE_UP_S)
        await ended

    def end_keeping(self, digest: str) -> Deferred[None]:
        """A file is to be kept no longer: end fetching it, or holding it; fires when it may be deleted."""
        for fetch in self.under_way():
            if fetch.found.digest == digest and isinstance(fetch.part, KeptPart):
                return self.cancel(fetch)
        return self._folder.release(digest)

    # What is served: IShare.

    def content(self, digest: str) -> IContent | None:
        """The content of a file: kept, about to be kept, or stored from here; None if there is none."""
        return self._folder.content(digest) or self._offered.get(digest) or super().content(digest)

    def changed_while_served(self, digest: str) -> None:
        """A file that was stored from here is not what it was any more; whoever keeps it has it still."""
        self._offered.forget(digest)

    def opened(self, digest: str, host: str) -> None:
        """Somebody would fetch a file from here."""
        self._events.upload_begun(digest, host)

    def uploaded(self, digest: str, host: str, sent_bytes: int) -> None:
        """Somebody has fetched something from here, and is gone."""
        self._events.upload_ended(digest, host, sent_bytes)

    def completed(self, fetch: Fetch) -> Deferred[None]:
        """A file has come; one that is to be kept is served from now on."""
        part = fetch.part
        if not isinstance(part, KeptPart):
            return super().completed(fetch)
        # What was requested from here before, and is open at its place, is served from the folder now.
        closing = self.close_finished(lambda each: each.found.digest == part.digest)
        closing.addCallback(lambda _: self._folder.hold(part))
        return closing.addCallback(lambda _: self._folder.adopt(part))

    # Inside.

    def _opener(self, node: INode) -> OpenPart:
        """Opens the place for a file that is kept for others: it is called by its digest."""

        async def open_part(name: str, digest: str, overwrite: bool) -> IPart:
            return await self._folder.open_part(
                digest, self._kept.sizes_of(digest), partial(self._kept.reserve_room, digest)
            )

        return open_part
