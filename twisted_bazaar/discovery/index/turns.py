"""Time slicing: work in steps, some in each turn of the reactor, shared by fair queueing over hosts, then owners.

The host whose work has taken the least time comes next (virtual time, as in start-time fair queueing: Goyal, Vin and
Cheng, 1996), and its owners take turns. Who begins after a pause is a little ahead of those who never pause: a question
now and then waits for nobody. So a long search holds up nobody, and who asks much waits for itself only, however many
keys and links it has.

Three of four steps are for the host that has had least since it began to wait (least attained service: Nuyens and
Wierman, 2008). Else a crowd of new hosts, each a little ahead, would together be far ahead of one who has asked before.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Generator, Hashable
from typing import Any, Final, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from twisted_bazaar.discovery.index.messages import Busy
from twisted_bazaar.errors import LinkClosed

# A step is some milliseconds. So many are for what waits, and as many for what comes.
STEPS_A_TURN: Final = 4
MOST_WAITING: Final = 64
# Each work that has begun keeps what it has found: so many of one host, then one ends before the next begins.
MOST_BEGUN: Final = 16
# So far ahead of others is who begins after a pause: as much as a few long searches take.
CREDIT_S: Final = 0.25
# Of so many steps one is for who has had least of all.
_FAIR_STEPS: Final = 4
# What a step takes at least and at most, whatever the clock says: it may stand still, or jump.
_STEP_S: Final = (0.0001, 0.1)
# Of so many hosts without work it is known how much they have had.
_MOST_KNOWN: Final = 1_024

T = TypeVar("T")


@define(eq=False)
class _Work:
    steps: Generator[None, None, Any]
    done: Deferred[Any]


@define(eq=False)
class _Host:
    """What waits of one host.

    @ivar served_s: its virtual time: how long its work has taken.
    @ivar began_s: what that was when it began to wait.
    @ivar queues: by owner; who has waited longest comes first.
    @ivar begun: those whose first work has begun and not ended, in the same order.
    """

    served_s: float
    began_s: float
    queues: OrderedDict[Hashable, deque[_Work]] = field(factory=OrderedDict)
    begun: OrderedDict[Hashable, None] = field(factory=OrderedDict)

    @property
    def attained_s(self) -> float:
        """How long its work has taken since it began to wait, as far as that counts."""
        return min(self.served_s - self.began_s, CREDIT_S)

    @property
    def next_owner(self) -> Hashable:
        """Whose turn it is."""
        return next(iter(self.begun if len(self.begun) >= MOST_BEGUN else self.queues))

    def end_turn(self, owner: Hashable, *, is_done: bool) -> None:
        """An owner has had its turn, and its work may be done by that."""
        queue = self.queues.pop(owner)
        self.begun.pop(owner, None)
        if is_done:
            queue.popleft()
        else:
            self.begun[owner] = None
        if queue:
            self.queues[owner] = queue


class Turns:
    """Shares the turns of a reactor.

    @param reactor: time and timers.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._waiting: dict[Hashable, _Host] = {}
        self._host_of: dict[Hashable, Hashable] = {}
        # How much time others have had, as far as it matters: the oldest first.
        self._served: OrderedDict[Hashable, float] = OrderedDict()
        self._now_s = 0.0
        self._steps = 0
        self._left = STEPS_A_TURN
        self._next: IDelayedCall | None = None
        self._is_stopped = False

    def do(self, owner: Hashable, steps: Generator[None, None, T], host: Hashable = None) -> Deferred[T]:
        """Do something for an owner, after everything else of its; at once if there is nothing and time for it.

        @param host: whom the time is charged to; the owner itself if not given. It stays the same while anything of
            this owner's is waiting.
        @raise Busy: too much of this owner's is waiting.
        """
        if self._is_stopped:
            return fail(LinkClosed("the index server stops"))
        host = self._host_of.get(owner, owner if host is None else host)
        waiting = self._waiting.get(host)
        queue = None if waiting is None else waiting.queues.get(owner)
        if queue is not None and len(queue) >= MOST_WAITING:
            return fail(Busy(f"{MOST_WAITING} questions are waiting; ask again when they are answered"))
        self._call_later()
        work = _Work(steps, Deferred())
        has_begun = waiting is None and self._left > 0
        if waiting is None:
            begin_s = self._begin_at(host)
            waiting = _Host(begin_s, begin_s)
            if has_begun:
                self._left -= 1
                done, result = self._step(work, waiting)
                if done is not None:
                    self._keep(host, waiting.served_s)
                    return fail(result) if isinstance(result, Failure) else succeed(result)
            self._waiting[host] = waiting
        if queue is None:
            queue = waiting.queues[owner] = deque()
            self._host_of[owner] = host
            if has_begun:
                waiting.begun[owner] = None
        queue.append(work)
        return work.done

    def is_waiting(self, owner: Hashable) -> bool:
        """Whether something of an owner's is to be done yet."""
        return owner in self._host_of

    def forget(self, owner: Hashable) -> None:
        """An owner has gone: what waits of its own is not done any more, and nobody waits for what comes of it."""
        host = self._host_of.pop(owner, None)
        if host is None:
            return
        waiting = self._waiting[host]
        queue = waiting.queues.pop(owner)
        waiting.begun.pop(owner, None)
        self._end_if_empty(host, waiting)
        for work in queue:
            work.steps.close()

    def stop(self) -> None:
        """Do nothing more; who waits for something is told."""
        self._is_stopped = True
        if self._next is not None:
            self._next.cancel()
            self._next = None
        hosts, self._waiting = self._waiting, {}
        self._host_of.clear()
        for waiting in hosts.values():
            for queue in waiting.queues.values():
                for work in queue:
                    work.steps.close()
                    work.done.errback(LinkClosed("the index server stops"))

    # Inside.

    def _call_later(self) -> None:
        if self._next is None:
            self._next = self._reactor.callLater(0, self._turn)

    def _turn(self) -> None:
        self._next = None
        self._left = STEPS_A_TURN
        for _ in range(STEPS_A_TURN):
            if not self._waiting:
                return
            host, waiting = self._next_host()
            owner = waiting.next_owner
            done, result = self._step(waiting.queues[owner][0], waiting)
            waiting.end_turn(owner, is_done=done is not None)
            if owner not in waiting.queues:
                del self._host_of[owner]
                self._end_if_empty(host, waiting)
            self._call_later()
            if done is not None:
                done.callback(result)

    def _next_host(self) -> tuple[Hashable, _Host]:
        """Whose turn it is: who has had least of all, every fourth time, or else least since it began to wait."""
        self._steps += 1
        least = min(self._waiting.items(), key=lambda each: each[1].served_s)
        self._now_s = max(self._now_s, least[1].served_s)
        if self._steps % _FAIR_STEPS:
            return min(self._waiting.items(), key=lambda each: (each[1].attained_s, each[1].served_s))
        return least

    def _begin_at(self, host: Hashable) -> float:
        """The virtual time at which a host begins: where it ended, but no more than its credit ahead of others."""
        return max(self._served.pop(host, 0.0), self._now_s - CREDIT_S)

    def _end_if_empty(self, host: Hashable, waiting: _Host) -> None:
        if not waiting.queues:
            del self._waiting[host]
            self._keep(host, waiting.served_s)

    def _keep(self, host: Hashable, served_s: float) -> None:
        """Remember how much time a host has had that has no work now."""
        self._served[host] = served_s
        if len(self._served) > _MOST_KNOWN:
            self._served.popitem(last=False)

    def _step(self, work: _Work, waiting: _Host) -> tuple[Deferred[Any] | None, Any]:
        """Do a step; returns what is to be told, and with what, if it was the last."""
        began = self._reactor.seconds()
        try:
            next(work.steps)
        except StopIteration as end:
            return work.done, end.value
        except Exception:
            return work.done, Failure()
        else:
            return None, None
        finally:
            least, most = _STEP_S
            waiting.served_s += min(max(self._reactor.seconds() - began, least), most)
