"""Start-time fair queueing of work: whose turn it is, by host first and then by owner. Sans-IO.

The host whose work has taken the least time comes next (virtual time: Goyal, Vin and Cheng, 1996), and its owners take
turns. Who begins after a pause is a little ahead of those who never pause: a question now and then waits for nobody.
So who asks much waits for itself only, however many keys and links it has.

Where turns are short, most of them are for the host that has had least since it began to wait (least attained service:
Nuyens and Wierman, 2008). Else a crowd of new hosts, each a little ahead, would together be far ahead of one who has
asked before.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from attrs import define, field

from twisted_bazaar.discovery.index.messages import Busy

MOST_WAITING: Final = 64
# Each work that has begun keeps what it has found: so many of one host, then one ends before the next begins.
MOST_BEGUN: Final = 16
# So far ahead of others is who begins after a pause: as much as a few long searches take.
CREDIT_S: Final = 0.25
# Of so many hosts without work it is known how much they have had.
_MOST_KNOWN: Final = 1_024

W = TypeVar("W")


@define(eq=False)
class _Host(Generic[W]):
    """The queue of one host.

    @ivar served_s: its virtual time: how long its work has taken.
    @ivar began_s: what that was when it began to wait.
    @ivar queues: by owner; who has waited longest comes first.
    @ivar begun: those whose first work has begun and not ended, in the same order.
    """

    served_s: float
    began_s: float
    queues: OrderedDict[Hashable, deque[W]] = field(factory=OrderedDict)
    begun: OrderedDict[Hashable, None] = field(factory=OrderedDict)

    @property
    def attained_s(self) -> float:
        """The time that its work has taken since it began to wait, as far as that counts."""
        return min(self.served_s - self.began_s, CREDIT_S)

    @property
    def next_owner(self) -> Hashable:
        """The owner whose turn it is."""
        return next(iter(self.begun if len(self.begun) >= MOST_BEGUN else self.queues))


class FairQueue(Generic[W]):
    """The queues of all hosts, and how much time each has had.

    @param fair_turn: every how manieth turn is for who has had least of all, and not least since it began to wait; 1
        where a single turn may take long.
    """

    def __init__(self, fair_turn: int = 1) -> None:
        self._fair_turn = fair_turn
        self._waiting: dict[Hashable, _Host[W]] = {}
        self._host_of: dict[Hashable, Hashable] = {}
        # How much time others have had, as far as it matters: the oldest first.
        self._served: OrderedDict[Hashable, float] = OrderedDict()
        self._now_s = 0.0
        self._turns = 0

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._waiting)

    def put(self, owner: Hashable, work: W, host: Hashable = None) -> bool:
        """Queue work after everything else of its owner; returns whether nothing of its host waited.

        @param host: whom the time is charged to; the owner itself if not given. It stays the same while anything of
            this owner's is waiting.
        @raise Busy: too much of this owner's is waiting.
        """
        host = self._host_of.get(owner, owner if host is None else host)
        waiting = self._waiting.get(host)
        is_idle = waiting is None
        if waiting is None:
            begin_s = self._begin_at(host)
            waiting = self._waiting[host] = _Host(begin_s, begin_s)
        queue = waiting.queues.get(owner)
        if queue is None:
            queue = waiting.queues[owner] = deque()
            self._host_of[owner] = host
        elif len(queue) >= MOST_WAITING:
            raise Busy(f"{MOST_WAITING} questions are waiting; ask again when they are answered")
        queue.append(work)
        return is_idle

    def is_waiting(self, owner: Hashable) -> bool:
        """Whether something of an owner's is to be done yet."""
        return owner in self._host_of

    def next(self) -> tuple[Hashable, W]:
        """The owner whose turn it is, and its work, which stays in the queue.

        @raise ValueError: nothing waits.
        """
        self._turns += 1
        waiting = min(self._waiting.values(), key=lambda each: each.served_s)
        self._now_s = max(self._now_s, waiting.served_s)
        if self._turns % self._fair_turn:
            waiting = min(self._waiting.values(), key=lambda each: (each.attained_s, each.served_s))
        owner = waiting.next_owner
        return owner, waiting.queues[owner][0]

    def end_turn(self, owner: Hashable, *, is_done: bool) -> Hashable:
        """An owner has had its turn, and its work may be done by that; returns the host to be charged."""
        host = self._host_of[owner]
        waiting = self._waiting[host]
        queue = waiting.queues.pop(owner)
        waiting.begun.pop(owner, None)
        if is_done:
            queue.popleft()
        else:
            waiting.begun[owner] = None
        if queue:
            waiting.queues[owner] = queue
        else:
            del self._host_of[owner]
            self._end_if_empty(host)
        return host

    def charge(self, host: Hashable, took_s: float) -> None:
        """A host's work has taken so many seconds."""
        waiting = self._waiting.get(host)
        if waiting is not None:
            waiting.served_s += took_s
        else:
            self._keep(host, self._begin_at(host) + took_s)

    def forget(self, owner: Hashable) -> list[W]:
        """Remove all work of an owner; returns it."""
        host = self._host_of.pop(owner, None)
        if host is None:
            return []
        waiting = self._waiting[host]
        waiting.begun.pop(owner, None)
        works = list(waiting.queues.pop(owner))
        self._end_if_empty(host)
        return works

    def clear(self) -> list[W]:
        """Remove all work; returns it."""
        works = [work for waiting in self._waiting.values() for queue in waiting.queues.values() for work in queue]
        self._waiting.clear()
        self._host_of.clear()
        return works

    def _begin_at(self, host: Hashable) -> float:
        """The virtual time at which a host begins: where it ended, but no more than its credit ahead of others."""
        return max(self._served.pop(host, 0.0), self._now_s - CREDIT_S)

    def _end_if_empty(self, host: Hashable) -> None:
        if not self._waiting[host].queues:
            self._keep(host, self._waiting.pop(host).served_s)

    def _keep(self, host: Hashable, served_s: float) -> None:
        """Remember how much time a host has had that has no work now."""
        self._served[host] = served_s
        if len(self._served) > _MOST_KNOWN:
            self._served.popitem(last=False)
