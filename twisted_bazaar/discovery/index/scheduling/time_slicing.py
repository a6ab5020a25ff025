"""Time slicing: work in steps, some in each turn of the reactor, shared by fair queueing over hosts, then owners.

So a long search holds up nobody; see L{twisted_bazaar.discovery.index.scheduling.fair_queue} for whose turn it is.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable
from typing import Any, Final, TypeVar

from attrs import define
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from twisted_bazaar.discovery.index.messages import Busy
from twisted_bazaar.discovery.index.scheduling.fair_queue import FairQueue
from twisted_bazaar.errors import LinkClosed
from twisted_bazaar.timer import Timer

# A step is a millisecond, or some. So many are for what waits, and as many for what comes; fewer if they take long, so
# that what has come over the links meanwhile is looked at.
STEPS_A_TURN: Final = 16
TURN_S: Final = 0.015
# One of so many steps is for who has had least of all.
FAIR_STEP: Final = 4
# What a step takes at least and at most, whatever the clock says: it may stand still, or jump.
_STEP_S: Final = (0.0001, 0.1)

T = TypeVar("T")


@define(eq=False)
class _Work:
    steps: Generator[None, None, Any]
    done: Deferred[Any]


class TimeSlicer:
    """Shares the turns of a reactor.

    @param reactor: time and timers.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._queue: FairQueue[_Work] = FairQueue(FAIR_STEP)
        self._left = STEPS_A_TURN
        self._next = Timer(reactor, self._turn)
        self._is_stopped = False

    def submit(self, owner: Hashable, steps: Generator[None, None, T], host: Hashable = None) -> Deferred[T]:
        """Run work for an owner, after all earlier work of the same owner; at once if there is none, and time for it.

        @param host: whom the time is charged to; the owner itself if not given. It stays the same while anything of
            this owner's is waiting.
        @raise Busy: too much of this owner's is waiting.
        """
        if self._is_stopped:
            return fail(LinkClosed("the index server is stopping"))
        work = _Work(steps, Deferred())
        try:
            is_first = self._queue.put(owner, work, host)
        except Busy:
            return fail()
        self._call_later()
        if is_first and self._left > 0:
            self._left -= 1
            done, result = self._step(owner, work)
            if done is not None:
                return fail(result) if isinstance(result, Failure) else succeed(result)
        return work.done

    def is_waiting(self, owner: Hashable) -> bool:
        """Whether work of an owner waits."""
        return self._queue.is_waiting(owner)

    def forget(self, owner: Hashable) -> None:
        """Drop the work of an owner that has gone: what waits is not done, and nobody waits for results."""
        for work in self._queue.forget(owner):
            work.steps.close()

    def stop(self) -> None:
        """Run no more work; what waits fails with L{LinkClosed}."""
        self._is_stopped = True
        self._next.cancel()
        for work in self._queue.clear():
            work.steps.close()
            work.done.errback(LinkClosed("the index server is stopping"))

    # Inside.

    def _call_later(self) -> None:
        if not self._next.is_set:
            self._next.set(0)

    def _turn(self) -> None:
        self._left = STEPS_A_TURN
        end = self._reactor.seconds() + TURN_S
        for number in range(STEPS_A_TURN):
            if not self._queue or (number and self._reactor.seconds() > end):
                return
            done, result = self._step(*self._queue.next())
            self._call_later()
            if done is not None:
                done.callback(result)

    def _step(self, owner: Hashable, work: _Work) -> tuple[Deferred[Any] | None, Any]:
        """Do a step; returns what is to be told, and with what, if it was the last."""
        began = self._reactor.seconds()
        done: Deferred[Any] | None = work.done
        result: Any = None
        try:
            next(work.steps)
            done = None
        except StopIteration as end:
            result = end.value
        except Exception:
            result = Failure()
        least, most = _STEP_S
        took_s = min(max(self._reactor.seconds() - began, least), most)
        self._queue.charge(self._queue.end_turn(owner, is_done=done is not None), took_s)
        return done, result
