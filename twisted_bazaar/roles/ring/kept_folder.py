"""The folder of a node of a ring for the files that it keeps for others, each called by its digest."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.internet.threads import deferToThreadPool

from twisted_bazaar.errors import StorageError
from twisted_bazaar.files.chunks import Manifest
from twisted_bazaar.files.content import IContent
from twisted_bazaar.files.download.resumable_file import ResumableFile
from twisted_bazaar.files.partial import PartContent
from twisted_bazaar.files.sharing.folder import Folder, HashMemory
from twisted_bazaar.state import StateDirectory
from twisted_bazaar.system.ephemeral import EphemeralDirectory, remove_leftovers

KEPT_FOLDER: Final = "ring"
HASHES_FILE: Final = "ring-hashes"
# What is kept comes and goes by this node alone; somebody may tidy up behind its back.
_LOOKED_EVERY_S: Final = 30.0
# A file that has come is served from where it came to; each of these is held open.
_MOST_HELD: Final = 64


def _always() -> bool:
    return True


class KeptPart(ResumableFile):
    """A file on its way to be kept, which may be no longer than its owner has said.

    @ivar sizes: how long owners say that it is; one of them may lie.
    @ivar reserve_room: says whether there is room for it, and takes that.
    """

    sizes: frozenset[int] = frozenset()
    reserve_room: Callable[[], bool] = staticmethod(_always)

    def set_manifest(self, manifest: Manifest) -> Deferred[None]:
        """Take a manifest, if it is of the right length."""
        if manifest.size not in self.sizes:
            return fail(StorageError(f"{manifest.size} bytes, of which no owner has spoken"))
        if not self.reserve_room():
            return fail(StorageError("there is no room for it now"))
        return super().set_manifest(manifest)


class KeptFolder:
    """The folder of one node: in its state directory, or for as long as its process lives.

    @param state: where what it keeps outlives the process; None for nowhere.
    """

    def __init__(self, state: StateDirectory | None) -> None:
        place: EphemeralDirectory | Path = EphemeralDirectory() if state is None else state.folder(KEPT_FOLDER)
        self._place: os.PathLike[str] = place
        self._ephemeral = place if isinstance(place, EphemeralDirectory) else None
        self._memory = HashMemory(None if state is None else state.files, HASHES_FILE)
        self._folder: Folder | None = None
        self._held: OrderedDict[str, KeptPart] = OrderedDict()

    def start(self, reactor: Any) -> None:
        """Make it if it is for this process alone, remove what such processes left that were killed, and look into it.

        @param reactor: time, timers and threads.
        @raise UsageError: there cannot be one.
        """
        self._reactor = reactor
        if self._ephemeral is not None:
            # Both block. Nobody is linked yet who would wait for that.
            remove_leftovers()
            self._ephemeral.open()
        self._folder = Folder(
            reactor, self.path, self._memory, lambda added, removed: None, watched=False, every_s=_LOOKED_EVERY_S
        )
        self._folder.start()

    def stop(self) -> Deferred[None]:
        """Serve nothing from it any more; fires when nothing of it is under way."""
        held, self._held = self._held, OrderedDict()
        closing = gatherResults([part.close() for part in held.values()])
        return closing.addCallback(lambda _: self._stop_looking())

    def remove(self) -> Deferred[None]:
        """Remove it, if it is for this process alone; to be called when it has stopped."""
        return succeed(None) if self._ephemeral is None else self._in_thread(self._ephemeral.close)

    @property
    def path(self) -> Path:
        """The path of the folder; if it is for this process alone, from when it has started."""
        return Path(self._place)

    def has(self, digest: str) -> bool:
        """Whether all of a file is here."""
        return self.content(digest) is not None

    def content(self, digest: str) -> IContent | None:
        """All of a file, if it is here."""
        held = self._held.get(digest)
        content = None if self._folder is None else self._folder.content(digest)
        return content or (None if held is None else PartContent(held))

    async def open_part(
        self, digest: str, sizes: frozenset[int], reserve_room: Callable[[], bool] = _always
    ) -> KeptPart:
        """Open the place for a file that is to be kept.

        @param sizes: how long it may be.
        @param reserve_room: says whether there is room for it, and takes that.
        @raise AlreadyThere: it is there.
        @raise StorageError: it cannot be put there.
        """
        part = await KeptPart.open(self._reactor, self.path, digest, digest, overwrite=True)
        part.sizes, part.reserve_room = sizes, reserve_room
        return part

    def adopt(self, part: KeptPart) -> Deferred[None]:
        """A file has come, whole: it is served from now on."""
        assert self._folder is not None, "it was opened here"
        assert part.signature is not None, "it is whole"
        assert part.manifest is not None, "it is whole"
        return self._folder.adopt(part.digest, part.signature, part.manifest)

    def hold(self, part: KeptPart) -> Deferred[None]:
        """A file has come, and is open: it is served even if somebody tidies up here, until there are too many such.

        @return: fires when the one is closed that is held no longer for it.
        """
        before = self._held.pop(part.digest, None)
        self._held[part.digest] = part
        if before is None and len(self._held) > _MOST_HELD:
            _, before = self._held.popitem(last=False)
        return succeed(None) if before is None else before.close()

    def release(self, digest: str) -> Deferred[None]:
        """Hold a file no more: while it is open, it takes room even if deleted."""
        held = self._held.pop(digest, None)
        return succeed(None) if held is None else held.close()

    def delete(self, digest: str) -> Deferred[None]:
        """Delete a file, if it is there."""
        deleting = self._in_thread((self.path / digest).unlink, True)
        return deleting.addCallback(lambda _: self.refresh())

    def refresh(self) -> Deferred[None]:
        """Look into the folder: something has come, or gone."""
        assert self._folder is not None, "it has started"
        return self._folder.refresh()

    # Inside.

    def _stop_looking(self) -> Deferred[None]:
        return succeed(None) if self._folder is None else self._folder.stop()

    def _in_thread(self, work: Callable[..., Any], *args: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work, *args)
