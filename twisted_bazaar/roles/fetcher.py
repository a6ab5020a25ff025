"""The fetcher: a node that fetches files and serves what it has of them, for commands and for sharers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.errors import UsageError
from twisted_bazaar.files.content import IContent, IPart, IShare
from twisted_bazaar.files.download.resumable_file import ResumableFile
from twisted_bazaar.files.download.swarm import Receipt
from twisted_bazaar.files.partial import PartContent
from twisted_bazaar.files.upload.connection import UploadConnection
from twisted_bazaar.files.upload.uploads import Uploads
from twisted_bazaar.interfaces import ICatalogue, INode, Opening, Openings
from twisted_bazaar.role import Role
from twisted_bazaar.roles.fetching import Fetch
from twisted_bazaar.roles.rates import parse_rate
from twisted_bazaar.settings.option import Option, whole_number
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FoundFile, SharedFile

OpenPart = Callable[[str, str, bool], Awaitable[IPart]]
"""Opens a part for a name and a digest; the last says whether a file of that name may be replaced."""

USUAL_SLOTS: Final = 4
_MOST_SLOTS: Final = 1000
UPLOAD_SLOTS: Final = Option(
    "upload-slots",
    "How many uploads go on at once; others wait for their turn.",
    "N",
    f"{USUAL_SLOTS}",
    read=whole_number(1, _MOST_SLOTS),
)
UPLOAD_RATE: Final = Option(
    "upload-rate",
    "Bytes a second for all uploads together, such as 500K or 2M.",
    "RATE",
    shown="no limit",
    read=parse_rate,
)
# A file that has come is served from where it came to; each of these is held open.
_MOST_FINISHED: Final = 64


def parts_in(directory: Path) -> Callable[[INode], OpenPart]:
    """Parts that become files of a directory."""

    def on_disk_of(node: INode) -> OpenPart:
        async def open_part(name: str, digest: str, overwrite: bool) -> IPart:
            return await ResumableFile.open(node.clock, directory, name, digest, overwrite=overwrite)

        return open_part

    return on_disk_of


@implementer(IShare)
class Fetcher(Role):
    """Fetches files by what a catalogue knows, and serves what it has of them.

    @param catalogue: finds files, and lets others find these.
    @param open_part: makes the place for a file that is fetched.
    @param slots: how many uploads go on at once.
    @param rate: how many bytes a second all uploads may take together; None for as many as there are.
    @ivar catalogue: the same.
    @ivar joined: fires when there is somebody to ask for the first time.
    @ivar uploads: what is served; there from L{start} on.
    """

    log: Final = Logger()

    def __init__(
        self,
        catalogue: ICatalogue,
        open_part: Callable[[INode], OpenPart],
        *,
        slots: int = USUAL_SLOTS,
        rate: int | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.joined: Deferred[None] = Deferred()
        self._opening = open_part
        self._slots = slots
        self._rate = rate
        self._under_way: dict[str, Fetch] = {}
        self._wanted: set[str] = set()
        self._finished: dict[str, Fetch] = {}
        self._awaited: dict[Fetch, Deferred[None]] = {}
        self._is_stopped = False

    def start(self, node: INode) -> None:
        """Begin to serve."""
        super().start(node)
        self._open_part = self._opening(node)
        self.uploads: Uploads = Uploads(
            node.clock,
            node.rng,
            self,
            slots=self._slots,
            rate=self._rate,
            changed=self.catalogue.set_load,
            on_changed_file=self.changed_while_served,
        )
        self.openings: Openings = {
            message: self._telling(opening) for message, opening in self.uploads.openings.items()
        }

    def stop(self) -> Deferred[None]:
        """End all downloads and uploads; what there is of a file stays."""
        self._is_stopped = True
        ended = [self.cancel(fetch) for fetch in self.under_way()]
        ending = gatherResults(ended).addCallback(lambda _: self.uploads.stop())
        return ending.addCallback(lambda _: self._close_all())

    def content(self, digest: str) -> IContent | None:
        """The content of a file that is being fetched, or has been; None if there is none."""
        fetch = self._under_way.get(digest) or self._finished.get(digest)
        if fetch is None or fetch.part.manifest is None:
            return None
        return PartContent(fetch.part)

    async def begin(
        self,
        found: FoundFile,
        ended: Callable[[Fetch], object],
        *,
        overwrite: bool = False,
        give_up_s: float | None = None,
        open_part: OpenPart | None = None,
        **wishes: Any,
    ) -> Fetch:
        """Begin to fetch a file.

        @param ended: called once when it has come to its end, whatever that is.
        @param overwrite: whether a file of its name may be replaced.
        @param give_up_s: how long to go on without anybody who has it; None for ever.
        @param open_part: opens the place for it; as for others if not given.
        @param wishes: what else L{Fetch} is to know.
        @raise UsageError: it is being fetched already, or must not be put there.
        @raise StorageError: it cannot be put there.
        """
        if found.digest in self._wanted:
            raise UsageError(f"{found.name} is being fetched already")
        self._wanted.add(found.digest)
        try:
            part = await (open_part or self._open_part)(found.name, found.digest, overwrite)
        except BaseException:
            self._wanted.discard(found.digest)
            raise
        if self._is_stopped:
            await part.close()
            raise UsageError("this node is stopping")
        fetch = Fetch(self.node, self.catalogue, found, part, self.publish, **wishes)
        self._under_way[found.digest] = fetch
        fetching = fetch.start(give_up_s)
        fetching.addBoth(self._end, fetch).addCallback(lambda _: ended(fetch))
        fetching.addErrback(lambda failure: self.log.failure("the end of a download could not be handled", failure))
        return fetch

    def under_way(self) -> Sequence[Fetch]:
        """The downloads that go on now."""
        return list(self._under_way.values())

    def cancel(self, fetch: Fetch) -> Deferred[None]:
        """End a download; fires when nothing of it is under way any more. What there is of the file stays."""
        over = self._awaited[fetch] = Deferred[None]()
        fetch.stop().addErrback(lambda failure: self.log.failure("a download was not stopped", failure))
        return over

    def publish(self, added: Sequence[SharedFile], removed: Sequence[str]) -> None:
        """Change the files of this node that others can find."""
        self.catalogue.publish(added, removed)

    def changed_while_served(self, digest: str) -> None:
        """A file is not what it was any more; whoever fetched it has been told."""

    def opened(self, digest: str, host: str) -> None:
        """Somebody would fetch something from here."""

    def uploaded(self, digest: str, host: str, sent_bytes: int) -> None:
        """Somebody has fetched something from here, and is gone."""

    def completed(self, fetch: Fetch) -> Deferred[None]:
        """A file is whole and in its place. It is served from there, until there are too many like it."""
        before = self._finished.pop(fetch.found.digest, None)
        self._finished[fetch.found.digest] = fetch
        if before is None and len(self._finished) > _MOST_FINISHED:
            before = self._finished.pop(next(iter(self._finished)))
        if before is None:
            return succeed(None)
        if before.found.name != fetch.found.name:
            self.stop_serving(before)
        return before.part.close()

    def close_finished(self, is_over: Callable[[Fetch], bool]) -> Deferred[None]:
        """Serve some of the files that have come no more: while they are open, they take room even if deleted."""
        over = [fetch for fetch in self._finished.values() if is_over(fetch)]
        for fetch in over:
            del self._finished[fetch.found.digest]
        return gatherResults([fetch.part.close() for fetch in over]).addCallback(lambda _: None)

    def stop_serving(self, fetch: Fetch) -> None:
        """A file that has come is served from here no more."""
        self.publish([], [fetch.found.name])

    def _telling(self, opening: Opening) -> Opening:
        """The same, which tells of what was sent when the connection is gone."""

        def opened(message: Any, address: Address) -> IProtocol | None:
            stream = opening(message, address)
            if isinstance(stream, UploadConnection):
                gone = stream.gone

                def tell() -> None:
                    gone()
                    if stream.sent_bytes:
                        self.uploaded(stream.digest, stream.host, stream.sent_bytes)

                stream.gone = tell
                self.opened(stream.digest, stream.host)
            return stream

        return opened

    def _end(self, result: Receipt | Failure, fetch: Fetch) -> Deferred[None]:
        if isinstance(result, Failure):
            # What is being written comes to its end first.
            ending = fetch.stop().addCallback(lambda _: fetch.part.close())
        else:
            ending = self.completed(fetch)
        return ending.addBoth(self._forget, fetch)

    def _forget(self, result: object, fetch: Fetch) -> object:
        self._wanted.discard(fetch.found.digest)
        self._under_way.pop(fetch.found.digest, None)
        over = self._awaited.pop(fetch, None)
        if over is not None:
            over.callback(None)
        return result

    def _close_all(self) -> Deferred[None]:
        finished, self._finished = self._finished, {}
        closing = [fetch.part.close() for fetch in finished.values()]
        return gatherResults(closing).addCallback(lambda _: None)
