"""The sharer: offers the files of a folder, and fetches others into it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from twisted_bazaar.errors import UsageError
from twisted_bazaar.files.content import IContent
from twisted_bazaar.files.download.resumable_file import ResumableFile
from twisted_bazaar.files.sharing.folder import Folder, HashingProgress, HashMemory
from twisted_bazaar.files.sharing.shared import SharedContent
from twisted_bazaar.interfaces import Command, ICatalogue, INode
from twisted_bazaar.plugin import RoleContext
from twisted_bazaar.rate_limit import RateLimit
from twisted_bazaar.roles.commands.files import FilesCommands
from twisted_bazaar.roles.fetcher import UPLOAD_RATE, UPLOAD_SLOTS, Fetcher, parts_in
from twisted_bazaar.roles.fetching import Fetch
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.state import written_path
from twisted_bazaar.system.sizes import Size
from twisted_bazaar.values.files import SharedFile

_LOOK_S: Final = 1.0
_UPLOADS_TOLD_A_MINUTE: Final = 60
# Some milliseconds for the collector.
_FILES_SPARED: Final = 2_000
# Of so many at once each has a line of its own in the log.
_TOLD_ONE_BY_ONE: Final = 3


OPTIONS: Final = (
    Option("folder", "The folder whose files are shared; what is fetched goes there too.", "DIR"),
    UPLOAD_SLOTS,
    UPLOAD_RATE,
)
"""The options of a sharer."""
EXAMPLE: Final = "--folder ~/music --via index --index tcp:127.0.0.1:9100"


class Sharer(Fetcher):
    """Shares a folder.

    @param path: the folder.
    @param memory: what is known of its files already.
    @param progress: is told how far hashing is, now and then.
    @param watched: whether to have the system tell of what happens in the folder.
    @param options: what else L{Fetcher} is to know.
    @ivar folder: the folder; there from L{start} on.
    """

    def __init__(
        self,
        catalogue: ICatalogue,
        path: Path,
        memory: HashMemory | None = None,
        progress: Callable[[HashingProgress], object] | None = None,
        *,
        watched: bool = True,
        **options: Any,
    ) -> None:
        # Links are followed once: what was meant at the start is what is written to later.
        self.path: Path = path.resolve()
        super().__init__(catalogue, parts_in(self.path), **options)
        self._memory = memory
        self._progress = progress
        self._watched = watched
        self._fault: str | None = None
        self._uncounted = 0
        self._uploads_told = RateLimit.a_minute(_UPLOADS_TOLD_A_MINUTE)
        self._watching = LoopingCall(self._watch_folder)

    def start(self, node: INode) -> None:
        """Begin to look into the folder."""
        super().start(node)
        self.folder: Folder = Folder(
            node.clock, self.path, self._memory, self._changed, self._progress, watched=self._watched
        )
        self.commands: Mapping[str, Command] = FilesCommands(self, self.folder).commands
        self.folder.start()
        self._watching.clock = node.clock
        self._watching.start(_LOOK_S, now=False).addErrback(
            lambda failure: self.log.failure("the folder is not watched any more", failure)
        )

    def stop(self) -> Deferred[None]:
        """Offer nothing more, end all downloads and uploads."""
        if self._watching.running:
            self._watching.stop()
        return super().stop().addBoth(lambda _: self.folder.stop())

    def content(self, digest: str) -> IContent | None:
        """The content with a digest: in the folder, or on its way there; None if there is none."""
        return self.folder.content(digest) or super().content(digest)

    def publish(self, added: Sequence[SharedFile], removed: Sequence[str]) -> None:
        """Change the files that others can find; what the folder has by a name comes before what is fetched."""
        own = {file.name: file for file in self.folder.files()}
        whole = [own.get(file.name, file) for file in added]
        back = [own[name] for name in removed if name in own]
        self.catalogue.publish([*whole, *back], [name for name in removed if name not in own])

    def changed_while_served(self, digest: str) -> None:
        """A file is not what it was any more; whoever fetched it has been told, and the folder looks again."""
        self.node.report(
            "changed", "a file was changed while it was served; its digest was {digest:.12}", digest=digest
        )

    def uploaded(self, digest: str, host: str, sent_bytes: int) -> None:
        """Somebody has fetched something from the folder, and is gone."""
        content = self.folder.content(digest)
        name = content.seen.name if isinstance(content, SharedContent) else digest
        # Strangers must not be able to fill the log.
        is_told = self._uploads_told.allow(self.node.clock.seconds())
        sentence = "sent {bytes} of {name} to {host}" if is_told else None
        self.node.report("uploaded", sentence, name=name, digest=digest, host=host, bytes=Size(sent_bytes))

    def completed(self, fetch: Fetch) -> Deferred[None]:
        """Offer a file that has come from the folder from now on."""
        return super().completed(fetch).addCallback(lambda _: self._adopt(fetch))

    def _adopt(self, fetch: Fetch) -> Deferred[None]:
        part = fetch.part
        if isinstance(part, ResumableFile) and part.signature is not None and part.manifest is not None:
            # It was hashed on its way.
            return self.folder.adopt(fetch.found.name, part.signature, part.manifest)
        return self.folder.refresh()

    def _changed(self, added: Sequence[SharedFile], removed: Sequence[str]) -> None:
        again = {file.name for file in added}
        self.catalogue.publish(added, [name for name in removed if name not in again])
        self._close_gone(again.union(removed))
        self._spare_collector(len(added))
        few = len(added) <= _TOLD_ONE_BY_ONE
        for file in added:
            sentence = "sharing {name}, {size}" if few else None
            self.node.report("shared", sentence, name=file.name, size=Size(file.size), digest=file.digest)
        if not few:
            self.node.report("shared_many", "sharing {count} more files", count=len(added))
        few = len(removed) <= _TOLD_ONE_BY_ONE
        for name in removed:
            self.node.report("withdrawn", "sharing {name} no more" if few else None, name=name)
        if not few:
            self.node.report("withdrawn_many", "sharing {count} files no more", count=len(removed))

    def _spare_collector(self, more: int) -> None:
        """Exclude what is known of very many files from garbage collection.

        It would look at all of that each time, and hold up the reactor for half a second where there are 100,000.
        They are in no cycles: when they go, they go without it.
        """
        self._uncounted += more
        if self._uncounted >= _FILES_SPARED:
            self._uncounted = 0
            gc.freeze()

    def _close_gone(self, names: Set[str]) -> None:
        """Stop serving fetched files that have been removed from the folder."""
        closing = self.close_finished(
            lambda fetch: fetch.found.name in names and self.folder.content(fetch.found.digest) is None
        )
        closing.addErrback(
            lambda failure: self.log.failure("a file that was removed from the folder could not be closed", failure)
        )

    def _watch_folder(self) -> None:
        fault = self.folder.fault
        if fault == self._fault:
            return
        self._fault = fault
        if fault is None:
            self.node.report("folder_back", "the folder {folder} is back", folder=str(self.path))
        else:
            # The folder itself has told it to the log.
            self.node.report("folder_gone", None, folder=str(self.path), reason=fault)


def make_role(options: OptionValues, context: RoleContext) -> Sharer:
    """Make a sharer from its options.

    @raise UsageError: there is no such folder, an option cannot be read, or files are not found in this way.
    """
    discovery, state = context.discovery, context.state
    catalogue = discovery.make_catalogue()
    if catalogue is None:
        raise UsageError(
            f"files are not found by --via {discovery.name}: write --via index --index tcp:HOST:PORT, where an index "
            "server listens"
        )
    return Sharer(
        catalogue,
        shared_path(options["folder"], "--folder"),
        HashMemory(None if state is None else state.files),
        slots=options["upload-slots"],
        rate=options["upload-rate"],
    )


def shared_path(text: str | None, option: str) -> Path:
    """The folder that is to be shared.

    @raise UsageError: there is none; it is not made, since a slip of the pen would share nothing.
    """
    if not text:
        raise UsageError(f"{option}: write the folder whose files are to be shared")
    path = written_path(Path(text), option)
    try:
        if path.is_dir():
            # Links are followed once, and the directory that all begins in may have been removed.
            return path.resolve()
        there = path.exists()
    except (OSError, ValueError) as error:
        raise UsageError(f"{option} {text}: {getattr(error, 'strerror', None) or error}") from None
    raise UsageError(f"{option} {text}: {'this is no folder' if there else 'there is no such folder; make it first'}")
