"""A worker that does one thing at a time, each of which waits for a database, by fair queueing over hosts.

For what waits for a database: who has much of it done there waits for itself only; see
L{twisted_bazaar.discovery.index.scheduling.fair_queue}.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

from attrs import define
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed

from twisted_bazaar.discovery.index.messages import Busy
from twisted_bazaar.discovery.index.scheduling.fair_queue import FairQueue
from twisted_bazaar.errors import LinkClosed

# What something takes at least, whatever the clock says.
_LEAST_S: Final = 0.0001

T = TypeVar("T")


@define(eq=False)
class _Work:
    begin: Callable[[], Deferred[Any]]
    done: Deferred[Any]


class Worker:
    """Does one thing at a time.

    @param reactor: tells the time.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._queue: FairQueue[_Work] = FairQueue()
        self._is_at_work = self._is_beginning = False
        self._idle: Deferred[None] = succeed(None)
        self._is_stopped = False

    def submit(self, owner: Hashable, begin: Callable[[], Deferred[T]], host: Hashable = None) -> Deferred[T]:
        """Run work for an owner, after all earlier work of the same owner.

        @param begin: begins it; the next thing begins when its Deferred fires.
        @param host: whom the time is charged to; the owner itself if not given.
        @raise Busy: too much of this owner's is waiting.
        """
        if self._is_stopped:
            return fail(LinkClosed("the index server is stopping"))
        work = _Work(begin, Deferred())
        try:
            self._queue.put(owner, work, host)
        except Busy:
            return fail()
        self._go_on()
        return work.done

    def forget(self, owner: Hashable) -> None:
        """Drop the work of an owner that has gone: what waits is not begun, and nobody waits for results."""
        self._queue.forget(owner)

    def stop(self) -> Deferred[None]:
        """Begin nothing more, and tell who waits; fires when what has begun is done."""
        self._is_stopped = True
        for work in self._queue.clear():
            work.done.errback(LinkClosed("the index server is stopping"))
        return self._idle

    def _go_on(self) -> None:
        """Begin what comes next, and so on, as long as each is done at once."""
        if self._is_beginning:
            return
        self._is_beginning = True
        while not self._is_at_work and self._queue:
            owner, work = self._queue.next()
            host = self._queue.end_turn(owner, is_done=True)
            self._is_at_work = True
            self._idle = Deferred()
            working = maybeDeferred(work.begin)
            working.addBoth(self._end, work, host, self._reactor.seconds())
        self._is_beginning = False

    def _end(self, result: Any, work: _Work, host: Hashable, began_s: float) -> None:
        self._queue.charge(host, max(self._reactor.seconds() - began_s, _LEAST_S))
        self._is_at_work = False
        idle = self._idle
        # Who is told may want the next thing, or stop everything.
        work.done.callback(result)
        idle.callback(None)
        self._go_on()
