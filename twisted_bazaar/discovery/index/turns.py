"""Work that is done in steps, some of them in each turn of the reactor, and every owner's in its turn.

So a long search holds up nobody, and who asks much waits for itself only.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Generator, Hashable
from typing import Any, Final, TypeVar

from attrs import define
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from twisted_bazaar.discovery.index.messages import Busy
from twisted_bazaar.errors import LinkClosed

# A step is some milliseconds. So many are for what waits, and as many for what comes.
STEPS_A_TURN: Final = 4
MOST_WAITING: Final = 64

T = TypeVar("T")


@define(eq=False)
class _Work:
    steps: Generator[None, None, Any]
    done: Deferred[Any]


class Turns:
    """Shares the turns of a reactor.

    @param reactor: time and timers.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        # Who has waited longest comes first.
        self._queues: OrderedDict[Hashable, deque[_Work]] = OrderedDict()
        self._left = STEPS_A_TURN
        self._next: IDelayedCall | None = None
        self._is_stopped = False

    def do(self, owner: Hashable, steps: Generator[None, None, T]) -> Deferred[T]:
        """Do something for an owner, after everything else of its; at once if there is nothing and time for it.

        @raise Busy: too much of this owner's is waiting.
        """
        if self._is_stopped:
            return fail(LinkClosed("the index server stops"))
        queue = self._queues.get(owner)
        if queue is not None and len(queue) >= MOST_WAITING:
            return fail(Busy(f"{MOST_WAITING} questions are waiting; ask again when they are answered"))
        self._call_later()
        if queue is None and self._left > 0:
            self._left -= 1
            try:
                next(steps)
            except StopIteration as end:
                return succeed(end.value)
            except Exception:
                return fail()
        if queue is None:
            queue = self._queues[owner] = deque()
        work = _Work(steps, Deferred())
        queue.append(work)
        return work.done

    def is_waiting(self, owner: Hashable) -> bool:
        """Whether something of an owner's is to be done yet."""
        return owner in self._queues

    def forget(self, owner: Hashable) -> None:
        """An owner has gone: what waits of its own is not done any more, and nobody waits for what comes of it."""
        for work in self._queues.pop(owner, ()):
            work.steps.close()

    def stop(self) -> None:
        """Do nothing more; who waits for something is told."""
        self._is_stopped = True
        if self._next is not None:
            self._next.cancel()
            self._next = None
        queues, self._queues = self._queues, OrderedDict()
        for queue in queues.values():
            for work in queue:
                work.steps.close()
                work.done.errback(LinkClosed("the index server stops"))

    def _call_later(self) -> None:
        if self._next is None:
            self._next = self._reactor.callLater(0, self._turn)

    def _turn(self) -> None:
        self._next = None
        self._left = STEPS_A_TURN
        for _ in range(STEPS_A_TURN):
            if not self._queues:
                return
            owner, queue = self._queues.popitem(last=False)
            done, result = self._step(queue[0])
            if done is not None:
                queue.popleft()
            if queue:
                self._queues[owner] = queue
            self._call_later()
            if done is not None:
                done.callback(result)

    def _step(self, work: _Work) -> tuple[Deferred[Any] | None, Any]:
        """Do a step; returns what is to be told, and with what, if it was the last."""
        try:
            next(work.steps)
        except StopIteration as end:
            return work.done, end.value
        except Exception:
            return work.done, Failure()
        return None, None
