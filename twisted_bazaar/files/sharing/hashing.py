"""Hashes the files of a folder in threads, a few at a time, small ones first.

A file that is not the same after it was read as before has no digest; it is left to whoever looks into the folder.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import Any, Final

from attrs import define, frozen
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from twisted_bazaar.files.chunks import CHUNK_BYTES, DIGEST_BYTES, Manifest, chunk_count
from twisted_bazaar.files.disk import is_being_written, opened_file, opened_folder, signature_of
from twisted_bazaar.files.sharing.remembered import HashMemory
from twisted_bazaar.files.sharing.scan import Sighting

_AT_ONCE: Final = 2
# A turn in a thread costs more than hashing a small file.
_TURN_FILES: Final = 64
_TURN_BYTES: Final = 16 << 20


class StillChanging(Exception):
    """A file is being written."""


@frozen
class HashingProgress:
    """The progress of hashing.

    @ivar files_left: how many are not done, with those under way.
    @ivar bytes_done: of what was to be hashed since there was last nothing left.
    @ivar bytes_total: the same, with what is left.
    """

    files_left: int = 0
    bytes_done: int = 0
    bytes_total: int = 0


@frozen
class Hashed:
    """The outcome of hashing a file.

    @ivar manifest: None if it was not to be.
    @ivar reason: why not.
    @ivar is_changing: whether it was, so that it is soon worth another look.
    """

    seen: Sighting
    manifest: Manifest | None = None
    reason: str | None = None
    is_changing: bool = False


@define(eq=False)
class _Turn:
    """Some files that one thread hashes.

    @ivar bytes_done: written in the thread, read outside.
    @ivar is_stopped: written outside, read in the thread.
    """

    files: Sequence[Sighting]
    bytes_done: int = 0
    is_stopped: bool = False


class HashQueue:
    """The files of a folder that are to be hashed.

    @param reactor: threads.
    @param folder: where the files are.
    @param memory: keeps what comes of it.
    @param hashed: is called with what came of some of them; not for those that were dropped.
    """

    log: Final = Logger()

    def __init__(
        self, reactor: Any, folder: Path, memory: HashMemory, hashed: Callable[[Sequence[Hashed]], object]
    ) -> None:
        self._reactor = reactor
        self._folder = folder
        self._memory = memory
        self._hashed = hashed
        self._waiting: dict[str, Sighting] = {}
        # A heap, by size; with files that wait no more, too.
        self._line: list[tuple[int, int, Sighting]] = []
        self._numbers = count()
        self._under_way: dict[str, Sighting] = {}
        self._turns: dict[_Turn, Deferred[None]] = {}
        self._total = self._done = 0
        self._is_stopped = False

    @property
    def progress(self) -> HashingProgress:
        """The progress of hashing."""
        left = len(self._waiting) + sum(len(turn.files) for turn in self._turns)
        done = self._done + sum(turn.bytes_done for turn in self._turns)
        return HashingProgress(left, done, max(self._total, done))

    def add(self, files: Iterable[Sighting]) -> None:
        """Have files hashed."""
        for seen in files:
            self._waiting[seen.name] = seen
            heappush(self._line, (seen.signature.size, next(self._numbers), seen))
            self._total += seen.signature.size
        self._go_on()

    def remove(self, names: Iterable[str]) -> None:
        """Files are no longer what they were; what is under way ends by itself."""
        for name in names:
            self._under_way.pop(name, None)
            seen = self._waiting.pop(name, None)
            if seen is not None:
                self._total -= seen.signature.size

    def stop(self) -> Deferred[None]:
        """End; fires when no thread is at it any more."""
        self._is_stopped = True
        self._waiting.clear()
        for turn in self._turns:
            turn.is_stopped = True
        return DeferredList(list(self._turns.values())).addCallback(lambda _: None)

    def _go_on(self) -> None:
        while self._waiting and len(self._turns) < _AT_ONCE and not self._is_stopped:
            files = self._next_files()
            if files:
                self._begin(_Turn(files))
        if not self._waiting and not self._turns:
            self._line.clear()
            self._total = self._done = 0

    def _begin(self, turn: _Turn) -> None:
        done: Deferred[None] = Deferred()
        self._turns[turn] = done
        turning = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._hash, turn)
        turning.addCallbacks(self._turn_done, self._turn_failed, callbackArgs=(turn,), errbackArgs=(turn,))
        turning.addErrback(lambda failure: self.log.failure("files that were hashed could not be offered", failure))
        turning.addBoth(lambda _: done.callback(None))

    def _next_files(self) -> list[Sighting]:
        files: list[Sighting] = []
        size = 0
        while self._line and len(files) < _TURN_FILES:
            if files and size + self._line[0][0] > _TURN_BYTES:
                break
            _, _, seen = heappop(self._line)
            if self._waiting.get(seen.name) == seen:
                del self._waiting[seen.name]
                self._under_way[seen.name] = seen
                files.append(seen)
                size += seen.signature.size
        return files

    def _turn_done(self, results: Sequence[Hashed], turn: _Turn) -> None:
        self._turns.pop(turn, None)
        self._done += sum(seen.signature.size for seen in turn.files)
        # What was dropped meanwhile is something else by now, or nothing.
        current = [result for result in results if self._under_way.get(result.seen.name) == result.seen]
        for result in current:
            del self._under_way[result.seen.name]
        if not self._is_stopped:
            self._go_on()
            self._hashed(current)

    def _turn_failed(self, failure: Any, turn: _Turn) -> None:
        self.log.failure("hashing {names} failed", failure, names=", ".join(seen.name for seen in turn.files))
        self._turn_done([Hashed(seen, reason="hashing it failed") for seen in turn.files], turn)

    def _hash(self, turn: _Turn) -> list[Hashed]:
        """In a thread: hash the files of a turn."""
        results = []
        # Read into the same memory again and again: new memory for each chunk costs as much as the reading.
        buffer = bytearray(CHUNK_BYTES)

        def advanced(size: int) -> bool:
            turn.bytes_done += size
            return not turn.is_stopped

        for seen in turn.files:
            if turn.is_stopped:
                break
            try:
                with opened_folder(self._folder) as folder, opened_file(folder, seen.real_name) as file:
                    manifest = hash_file(file, seen, buffer, advanced)
            except (StillChanging, FileNotFoundError):
                results.append(Hashed(seen, reason="it is being written", is_changing=True))
            except OSError as error:
                results.append(Hashed(seen, reason=f"it cannot be read: {error.strerror}"))
            else:
                self._memory.put(seen.name, seen.signature, manifest)
                results.append(Hashed(seen, manifest))
        return results


def hash_file(file: int, seen: Sighting, buffer: bytearray, advanced: Callable[[int], bool]) -> Manifest:
    """Hash an open file: its manifest.

    @param file: open.
    @param seen: what it was when it was last looked at.
    @param buffer: room for a chunk.
    @param advanced: told of bytes that have been hashed; says whether to go on.
    @raise StillChanging: it is no longer what it was, or is being written; or it was not to go on.
    @raise OSError: it cannot be read.
    """
    if signature_of(file) != seen.signature or is_being_written(file):
        raise StillChanging
    size = seen.signature.size
    whole = hashlib.sha256()
    chunk_digests = bytearray(DIGEST_BYTES * chunk_count(size))
    window = memoryview(buffer)
    for chunk in range(chunk_count(size)):
        at = chunk * CHUNK_BYTES
        content = window[: min(CHUNK_BYTES, size - at)]
        if os.preadv(file, [content], at) != len(content):
            raise StillChanging
        chunk_digests[chunk * DIGEST_BYTES : (chunk + 1) * DIGEST_BYTES] = hashlib.sha256(content).digest()
        whole.update(content)
        # Whether it has changed is asked each time, so that nobody hashes for hours what has long been something else.
        if signature_of(file) != seen.signature or not advanced(len(content)):
            raise StillChanging
    if signature_of(file) != seen.signature:
        raise StillChanging
    return Manifest(whole.hexdigest(), size, bytes(chunk_digests))
