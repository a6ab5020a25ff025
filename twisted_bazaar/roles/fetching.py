"""One download: which file is meant, who has it, and getting it while new sources come and old ones go.

It is the same however sources are found and wherever the bytes go.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError, PeerError, UsageError, WholeDigestsOnly
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.files.content import IPart
from twisted_bazaar.files.download.swarm import Download, DownloadStatus, Receipt
from twisted_bazaar.interfaces import ICatalogue, INode
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.files import FileQuery, FileSource, FoundFile, SharedFile, is_beginning

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_BEGINNING: Final = re.compile(r"[0-9a-f]{1,64}")
# When sources are asked for again, in seconds after the last time; the last of them for ever.
_ASK_AGAIN_S: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
_MOST_ALIKE: Final = 5

Publish = Callable[[Sequence[SharedFile], Sequence[str]], None]


class NotFound(BazaarError):
    """Nobody has what is wanted; the text may name what is like it."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.NOT_FOUND


class SeveralFound(UsageError):
    """One name, or the beginning of a digest, stands for several files.

    @param what: what is true of all of them.
    @ivar files: all of them.
    """

    def __init__(self, what: str, files: Sequence[FoundFile]) -> None:
        self.files = files
        super().__init__(f"{len(files)} different files {what}; choose one by its digest")


def is_digest(text: str) -> bool:
    """Whether what is wanted is named by its content."""
    return _DIGEST.fullmatch(text.lower()) is not None


def read_beginning(digest: str) -> str:
    """The beginning of a digest, as somebody types it.

    @raise UsageError: it is none.
    """
    lower = digest.lower()
    if lower and not _BEGINNING.fullmatch(lower):
        raise UsageError(f"{digest!r} is not the beginning of a digest: write up to 64 of the characters 0-9 and a-f")
    return lower


async def choose(catalogue: ICatalogue, wanted: str, beginning: str = "") -> FoundFile:
    """The one file that is meant.

    @param wanted: its whole name, its digest, or enough of the beginning of that.
    @param beginning: how its digest begins, to choose among files of one name.
    @raise NotFound: nobody has it.
    @raise SeveralFound: it can be several.
    @raise PeerError: nobody can be asked, or who is asked says no.
    """
    name = unicodedata.normalize("NFC", wanted)
    beginning = read_beginning(beginning)
    by_digest = is_digest(wanted)
    cannot: PeerError | None = None
    if is_beginning(wanted.lower()):
        found: Sequence[FoundFile] = ()
        try:
            found = (await catalogue.search(FileQuery(digest=wanted.lower()))).files
        except WholeDigestsOnly as error:
            cannot = error
        contents = _by_content(found, beginning)
        if len(contents) > 1:
            raise SeveralFound(f"have digests that begin with {wanted.lower()}", list(contents.values()))
        if contents:
            return contents.popitem()[1]
        # Files may be called after the digest of something.
    contents = _by_content((await catalogue.search(FileQuery(name=name))).files, beginning)
    if len(contents) > 1:
        raise SeveralFound(f"are called {name!r}", list(contents.values()))
    if contents:
        return contents.popitem()[1]
    if cannot is not None:
        raise cannot
    what = f"a file called {name!r}" + (f" whose digest begins with {beginning}" if beginning else "")
    if by_digest:
        raise NotFound(f"nobody has the file {wanted.lower()[:16]}...")
    alike = [] if beginning else (await catalogue.search(FileQuery(words=name, most=_MOST_ALIKE))).files
    hint = f"; there is {', '.join(file.name for file in alike)}" if alike else ""
    raise NotFound(f"nobody has {what}{hint}")


def _by_content(found: Sequence[FoundFile], beginning: str) -> dict[str, FoundFile]:
    """By digest, each content that was found; of one that goes by several names, that which most have.

    @param beginning: how its digest begins.
    """
    contents: dict[str, FoundFile] = {}
    for file in found:
        if file.digest.startswith(beginning):
            # Who lies about the size of a file does not make it another.
            best = contents.setdefault(file.digest, file)
            contents[file.digest] = max(best, file, key=lambda each: (each.sources, each.partial))
    return contents


def _anybody(source: FileSource) -> bool:
    return True


class Fetch:
    """One file on its way here.

    @param catalogue: knows who has it.
    @param found: the file.
    @param part: where the bytes go; it is left open, and readable, when the download has ended.
    @param publish: tells others what this node has of it meanwhile, and at the end that it has it all.
    @param accept: from whom it may come.
    @param told: called with a word and details when a source is found, or dropped, and the like.
    @ivar found: the file.
    @ivar part: what there is of it.
    @ivar outcome: None while it is under way; then what came from whom, or why it failed.
    """

    log: Final = Logger()

    def __init__(
        self,
        node: INode,
        catalogue: ICatalogue,
        found: FoundFile,
        part: IPart,
        publish: Publish,
        *,
        accept: Callable[[FileSource], bool] = _anybody,
        told: Callable[[str, Any], object] | None = None,
    ) -> None:
        self._node = node
        self._catalogue = catalogue
        self.found = found
        self.part = part
        self._publish = publish
        self._accept = accept
        self._offered = False
        self._asked = 0
        self._is_over = False
        self._next = Timer(node.clock, self._ask)
        self._unwatch: Callable[[], None] = lambda: None
        self.outcome: Receipt | Failure | None = None
        self._download = Download(
            node.clock,
            node.rng,
            part,
            node.connection_endpoint,
            own_key=node.key.public,
            on_event=told,
            stream_to=node.stream_endpoint,
            streams_first=node.streams_first,
        )

    def start(self, give_up_s: float | None = None) -> Deferred[Receipt]:
        """Begin.

        @param give_up_s: how long to go on without anybody who can be asked for a chunk; None for ever.
        @return: fires with what came from whom when the file is whole and in its place; fails with
            C{CancelledError} when it is stopped.
        @raise TransferFailed: there was nobody for too long.
        @raise StorageError: the disk is full, or fails.
        """
        self._unwatch = self.part.watch(lambda chunk: self._offer_part())
        if self.part.manifest is not None and len(self.part.holdings):
            self._offer_part()
        fetching = self._download.start(give_up_s)
        fetching.addBoth(self._end)
        if not self._is_over:
            self._ask()
        return fetching

    def stop(self) -> Deferred[None]:
        """End it; what is there stays, to go on with another time."""
        self._settle()
        return self._download.stop()

    def status(self) -> DownloadStatus:
        """The progress of the download, and its sources."""
        return self._download.status()

    def _ask(self) -> None:
        """Ask who has the file, now and again."""
        asking = self._catalogue.sources(self.found.digest)
        asking.addCallbacks(self._take, lambda failure: failure.trap(PeerError))
        asking.addErrback(lambda failure: self.log.failure("asking for sources failed", failure))
        asking.addCallback(lambda _: self._ask_later())

    def _take(self, sources: Sequence[FileSource]) -> None:
        if not self._is_over:
            self._download.add_sources([source for source in sources if self._accept(source)])

    def _ask_later(self) -> None:
        if not self._is_over:
            delay = _ASK_AGAIN_S[min(self._asked, len(_ASK_AGAIN_S) - 1)]
            self._asked += 1
            self._next.set(delay)

    def _offer_part(self) -> None:
        """Offer the part to others, if that was not done yet."""
        if not self._offered:
            self._offered = True
            self._publish([self._shared(is_whole=False)], [])

    def _shared(self, *, is_whole: bool) -> SharedFile:
        # What was found is what somebody says; of what is on the disk the size is known.
        size = self.found.size if self.part.manifest is None else self.part.manifest.size
        return SharedFile(self.found.name, size, self.found.digest, is_whole)

    def _end(self, result: Receipt | Failure) -> Receipt | Failure:
        self.outcome = result
        if not isinstance(result, Failure):
            # In place of what was offered until now.
            self._offered = False
            self._publish([self._shared(is_whole=True)], [])
        self._settle()
        return result

    def _settle(self) -> None:
        """Stop asking for sources, and stop offering the part."""
        self._is_over = True
        self._unwatch()
        self._unwatch = lambda: None
        self._next.cancel()
        if self._offered:
            self._offered = False
            self._publish([], [self.found.name])
