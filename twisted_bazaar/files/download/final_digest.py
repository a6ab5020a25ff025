"""The final digest of a file: hashed while its chunks come in, in whatever order.

It runs in a thread of its own beside those that check and write chunks, and reads them from the part file when their
turn comes: mostly they have only just been written, and that costs next to nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from twisted_bazaar.errors import StorageError
from twisted_bazaar.files.chunks import CHUNK_BYTES, Holdings

_TURN_CHUNKS: Final = 8


class WholeDigest:
    """Hashes a file from its beginning as far as it is there.

    @param reactor: threads.
    @param holdings: which chunks are there.
    @param read: reads a chunk into the room that it is given, in a thread; gives that part of it.
    """

    def __init__(self, reactor: Any, holdings: Holdings, read: Callable[[int, memoryview], memoryview]) -> None:
        self._reactor = reactor
        self._holdings = holdings
        self._read = read
        self._next = 0
        self._hash = hashlib.sha256()
        self._room: memoryview | None = None
        self._turning: Deferred[None] | None = None
        self._asked: Deferred[str] | None = None
        self._is_stopped = False

    def hash_next(self) -> None:
        """Hash the next chunks, as far as they are there."""
        if self._turning is not None or self._is_stopped:
            return
        end = self._next
        while end < self._next + _TURN_CHUNKS and end in self._holdings:
            end += 1
        if end == self._next:
            self._answer()
            return
        done: Deferred[None] = Deferred()
        self._turning = done
        turning = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._turn, self._next, end)
        turning.addCallbacks(self._turned, self._failed, callbackArgs=(end, done), errbackArgs=(done,))

    def digest(self) -> Deferred[str]:
        """The digest of the whole, all of which is there; 64 hexadecimal digits.

        @raise StorageError: some of it cannot be read, or it has been stopped.
        """
        if self._is_stopped:
            return fail(StorageError("the file is closed"))
        asked: Deferred[str] = Deferred()
        self._asked = asked
        self.hash_next()
        return asked

    def stop(self) -> Deferred[None]:
        """End; fires when no thread is at it any more."""
        self._is_stopped = True
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.errback(StorageError("the file is closed"))
        return self._turn_end()

    def _turn_end(self) -> Deferred[None]:
        """Fires when no thread is at it, or one comes to an end."""
        if self._turning is None:
            return succeed(None)
        ended: Deferred[None] = Deferred()
        self._turning.addBoth(lambda _: ended.callback(None))
        return ended

    def _turn(self, begin: int, end: int) -> Any:
        """In a thread: hash some chunks; those before stay hashed if one cannot be read."""
        whole = self._hash.copy()
        if self._room is None:
            self._room = memoryview(bytearray(CHUNK_BYTES))
        for chunk in range(begin, end):
            if self._is_stopped:
                break
            whole.update(self._read(chunk, self._room))
        return whole

    def _turned(self, whole: Any, end: int, done: Deferred[None]) -> None:
        self._hash = whole
        self._next = end
        self._turning = None
        done.callback(None)
        self.hash_next()

    def _failed(self, failure: Failure, done: Deferred[None]) -> None:
        self._turning = None
        done.callback(None)
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.errback(failure)

    def _answer(self) -> None:
        if self._next == self._holdings.count and self._asked is not None:
            asked, self._asked = self._asked, None
            asked.callback(self._hash.hexdigest())
