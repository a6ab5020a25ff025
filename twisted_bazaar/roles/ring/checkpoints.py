"""Checkpoints of a node's store: writes its entries to disk now and then, and reads them back at the next start.

What the lines say is the business of L{EntryMemory}.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredLock, succeed
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.storage.replica_server import ReplicaServer
from twisted_bazaar.roles.ring.entries import EntryMemory
from twisted_bazaar.timer import Timer

T = TypeVar("T")
SAVE_S: Final = 5.0
# The disk has other things to do.
_SAVED_A_SECOND: Final = 1 << 20
_NEVER: Final = -1


class Checkpoints:
    """Writes the checkpoints of one node.

    @param dht: what is kept.
    @param memory: where it is written; None for nowhere.
    """

    log: Final = Logger()

    def __init__(self, dht: ReplicaServer, memory: EntryMemory | None) -> None:
        self._dht = dht
        self._memory = memory
        self._reactor: Any = None
        # Two threads would write one file.
        self._lock = DeferredLock()
        self._timer: Timer | None = None
        self._recalling: Deferred[None] | None = None
        self._saved = _NEVER
        self._is_recalled = self._is_failing = self._is_stopped = False

    def start(self, reactor: Any) -> None:
        """Keep again what was kept when this node ran last, and from then on write down what there is."""
        if self._memory is None or self._is_stopped:
            return
        self._reactor = reactor
        self._timer = Timer(reactor, self._save_soon)
        self._recalling = Deferred.fromCoroutine(self._recall(self._memory))
        self._recalling.addErrback(self._not_recalled).addCallback(lambda _: self._start_saving())

    def stop(self) -> Deferred[None]:
        """Write down what there is; fires when nothing is written any more, and never fails."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._recalling is not None:
            self._recalling.cancel()
        return self._save()

    async def _recall(self, memory: EntryMemory) -> None:
        clock = self._reactor
        for entries in await self._in_thread(partial(memory.recall, clock.seconds())):
            for entry, left_s in entries:
                self._dht.keep(entry, None, left_s)
            # Others are to have their turn.
            await deferLater(clock, 0, lambda: None)

    def _not_recalled(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("the entries in the state directory could not be read", failure)

    def _start_saving(self) -> None:
        self._recalling = None
        if not self._is_stopped:
            self._is_recalled = True
            self._save_later()

    def _save_later(self) -> None:
        if self._timer is not None and not self._is_stopped:
            self._timer.set(max(SAVE_S, self._dht.store.size_bytes / _SAVED_A_SECOND))

    def _save_soon(self) -> None:
        self._save().addCallback(lambda _: self._save_later())

    def _save(self) -> Deferred[None]:
        if not self._is_recalled:
            # What is here is less than what is written down.
            return succeed(None)
        return self._lock.run(self._write).addCallbacks(self._written, self._not_written)

    def _write(self) -> Deferred[None]:
        store, now = self._dht.store, self._reactor.seconds()
        if self._memory is None or self._saved == store.changes:
            return succeed(None)
        self._saved = store.changes
        return self._in_thread(partial(self._memory.keep, [(each, store.ttl_s(each, now)) for each in store], now))

    def _written(self, _: None) -> None:
        self._is_failing = False

    def _not_written(self, failure: Failure) -> None:
        self._saved = _NEVER
        if not self._is_failing:
            # A disk that is full stays so for a while.
            self.log.failure("the entries could not be written to the state directory", failure)
        self._is_failing = True

    def _in_thread(self, work: Callable[[], T]) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)
