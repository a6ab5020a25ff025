"""Sharers and fetchers in a simulation: production roles over the disks of simulated machines.

A getter is what a person does with one: it looks for a file by its name, chooses the one that is meant, fetches it,
and when nobody has served it for a while, tries again later. What it has it shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError
from twisted_bazaar.files.content import IContent, IPart
from twisted_bazaar.files.download.progress import Receipt
from twisted_bazaar.files.messages import Fetch as FetchMessage
from twisted_bazaar.interfaces import ICatalogue, INode, Openings
from twisted_bazaar.roles.fetcher import Fetcher, OpenPart
from twisted_bazaar.roles.fetching import Fetch, SeveralFound, choose
from twisted_bazaar.sim.engine.hosts import Host
from twisted_bazaar.sim.files.library import Library, Original
from twisted_bazaar.sim.files.part_files import DiskPart, OwnFile, whole_files
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileSource, FoundFile, SharedFile

# How long a getter goes on without anybody who serves it, and how long it waits then.
GIVE_UP_S: Final = 20.0
_AGAIN_S: Final = 5.0
# How much of a digest whoever wants a file was told besides its name.
_DIGITS_TOLD: Final = 16


class DiskSharer(Fetcher):
    """Shares files from the disk of a simulated machine, and fetches others to it.

    @param originals: the files that it has from the beginning.
    @param wanted: those that it is to get, and more can be named by L{want}.
    @ivar library: all files that there are.
    @ivar wanted: what it is to get, or has got.
    @ivar own: what it shares that is whole, by digest.
    """

    def __init__(
        self,
        catalogue: ICatalogue,
        host: Host,
        library: Library,
        originals: Sequence[Original] = (),
        wanted: Iterable[Original] = (),
    ) -> None:
        super().__init__(catalogue, self._parts)
        self._host = host
        self.library = library
        self.wanted: dict[Original, None] = dict.fromkeys(wanted)
        self._is_leaving = False
        self._obtaining: dict[str, Deferred[None]] = {}
        self.own: dict[str, IContent] = {each.manifest.digest: OwnFile(host, each) for each in originals}

    def start(self, node: INode) -> None:
        """Share what is on the disk, and go on with what is wanted.

        @raise OSError: the disk fails.
        """
        super().start(node)
        self.openings: Openings = {FetchMessage: self._opened}
        for digest in whole_files(self._host.disk):
            part = DiskPart(self._host, self.library, digest)
            part.load()
            self.own[digest] = part  # type: ignore[assignment] # a part that is whole is all that a content is
        self.catalogue.publish([self._shared(digest) for digest in self.own], [])
        for original in list(self.wanted):
            self.want(original)

    def stop(self) -> Deferred[None]:
        """Want nothing any more, and end all that is under way."""
        self._is_leaving = True
        for obtaining in list(self._obtaining.values()):
            obtaining.cancel()
        return super().stop()

    def content(self, digest: str) -> IContent | None:
        """What there is of a file."""
        return self.own.get(digest) or super().content(digest)

    def want(self, original: Original) -> None:
        """Get a file, sooner or later."""
        self.wanted[original] = None
        digest = original.manifest.digest
        if not self._is_leaving and digest not in self.own and digest not in self._obtaining:
            obtaining = self._obtaining[digest] = Deferred.fromCoroutine(self._obtain(original))
            obtaining.addErrback(lambda failure: failure.trap(CancelledError))
            obtaining.addErrback(lambda failure: self.log.failure("a file is wanted no more", failure))

    def _shared(self, digest: str) -> SharedFile:
        manifest = self.own[digest].manifest
        original = self.library.with_digest(digest)
        return SharedFile(digest if original is None else original.title, manifest.size, digest)

    def _parts(self, node: INode) -> OpenPart:
        async def open_part(name: str, digest: str, overwrite: bool) -> IPart:
            return await DiskPart.open(self._host, self.library, digest)

        return open_part

    def _opened(self, fetch: FetchMessage, address: Address) -> IProtocol | None:
        self.node.report("asked", None, digest=fetch.digest, host=address.host)
        return self.uploads.open(fetch, address)

    # What somebody does who wants a file.

    async def _obtain(self, original: Original) -> None:
        while True:
            try:
                fetch = await self._fetch(original)
                outcome: object = fetch.outcome
            except BazaarError as error:
                outcome = error
            if not isinstance(outcome, Failure | BazaarError):
                return
            reason = outcome.getErrorMessage() if isinstance(outcome, Failure) else str(outcome)
            self.node.report("not-fetched", None, digest=original.manifest.digest, reason=reason)
            await deferLater(self._host, _AGAIN_S, lambda: None)

    async def _fetch(self, original: Original) -> Fetch:
        found = await self._find(original)
        ended: Deferred[Fetch] = Deferred()
        self.node.report("fetching", None, digest=found.digest)
        await self.begin(found, ended.callback, give_up_s=GIVE_UP_S, told=self._tell_of(found.digest))
        return await ended

    async def _find(self, original: Original) -> FoundFile:
        """The file that is meant: of several, the one that most have."""
        try:
            return await choose(self.catalogue, original.title, original.manifest.digest[:_DIGITS_TOLD])
        except SeveralFound as several:
            return max(several.files, key=lambda file: (file.sources, file.partial))

    def _tell_of(self, digest: str) -> Any:
        def tell(event: str, details: Mapping[str, Any]) -> None:
            # In a trace, C{node} is who reports.
            told = {"source" if name == "node" else name: value for name, value in details.items()}
            self.node.report(f"source-{event}", None, digest=digest, **told)

        return tell

    def completed(self, fetch: Fetch) -> Deferred[None]:
        """A file has come: it is shared from now on."""
        receipt = fetch.outcome
        assert isinstance(receipt, Receipt), "it has come"
        self.own[fetch.found.digest] = fetch.part  # type: ignore[assignment] # as above
        self.node.report(
            "fetched",
            None,
            digest=receipt.digest,
            size=receipt.size,
            seconds=receipt.seconds,
            resumed=receipt.resumed_bytes,
            sources=[_row_of(source, size) for source, size in receipt.by_source.items()],
        )
        return super().completed(fetch)


def _row_of(source: FileSource, size: int) -> dict[str, Any]:
    return {"key": source.key, "bytes": size, "whole": source.is_whole}
