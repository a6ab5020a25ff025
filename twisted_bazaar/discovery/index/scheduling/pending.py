"""Backpressure on requests: nothing is computed for a peer that does not read its answers, and what waits is bounded.

A few requests of each peer are under way at a time; the others wait here, bounded in number and in bytes, and so does
whatever comes from a peer that is behind with reading. Works with any kind of directory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from sys import getsizeof
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred

from twisted_bazaar.byte_budget import MIB, ByteBudget, Room
from twisted_bazaar.discovery.index.messages import Busy, Update
from twisted_bazaar.rate_limit import RateLimits
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.wire.message import Message

# What a peer may have under way: each answer may be 64 KiB that it does not read.
MOST_UNDER_WAY: Final = 4
MOST_WAITING: Final = 64
MOST_WAITING_BYTES: Final = 1 * MIB
MOST_BYTES: Final = 32 * MIB
LOOK_AGAIN_S: Final = 0.02
QUESTIONS_A_SECOND: Final = 100
QUESTIONS_AT_ONCE: Final = 500
# More than there are links.
_MOST_PEERS: Final = 65_536

# The longest question, with what stands around it, and what an entry of a list weighs besides its name.
_QUESTION_BYTES: Final = 2_048
_ENTRY_BYTES: Final = 256
_NAME_BYTES: Final = 16

Begin = Callable[[], Deferred[Any]]


@define(eq=False)
class _Queue:
    """The requests of one peer.

    @ivar under_way: how many have begun and are not answered.
    @ivar waiting: what begins each of the others, and what it weighs.
    @ivar size_bytes: what these weigh together.
    @ivar is_gone: whether nobody waits for answers any more.
    """

    peer: Peer
    under_way: int = 0
    waiting: deque[tuple[int, Begin]] = field(factory=deque)
    size_bytes: int = 0
    is_gone: bool = False


def limit_of_questions() -> RateLimits[str]:
    """A limit on what peers ask, by their keys: so much at once, and then so much a second."""
    return RateLimits(_MOST_PEERS, QUESTIONS_AT_ONCE, 1 / QUESTIONS_A_SECOND)


class PendingRequests:
    """Begins requests in order, as soon as their peer has room for the answers.

    @param reactor: time and timers.
    @param is_behind: whether a peer is behind with reading what it was answered.
    """

    def __init__(self, reactor: Any, is_behind: Callable[[Peer], bool]) -> None:
        self._is_behind = is_behind
        self._budget = ByteBudget(MOST_BYTES)
        self._queues: dict[str, _Queue] = {}
        self._looking = Timer(reactor, self._look)

    @property
    def size_bytes(self) -> int:
        """The weight of all requests that wait."""
        return self._budget.used

    def submit(self, peer: Peer, request: Message, begin: Begin) -> None:
        """Begin a request of a peer, now or later.

        @param begin: begins it; its Deferred fires when the answer has been sent.
        @raise Busy: too much of this peer, of its host or of all is waiting.
        """
        queue = self._queues.get(peer.key)
        is_behind = self._is_behind(peer)
        if queue is None:
            if not is_behind:
                answering = begin()
                if not answering.called:
                    queue = self._queues[peer.key] = _Queue(peer, 1)
                    answering.addBoth(self._answered, queue)
                return
            queue = self._queues[peer.key] = _Queue(peer)
        if not queue.waiting and not is_behind and queue.under_way < MOST_UNDER_WAY:
            self._begin(queue, begin)
            return
        size_bytes = weight_of_request(request)
        if len(queue.waiting) >= MOST_WAITING or queue.size_bytes + size_bytes > MOST_WAITING_BYTES:
            raise Busy(f"{len(queue.waiting)} requests are waiting; ask again when they are answered")
        if self._budget.room_for(peer.network, size_bytes) is not Room.YES:
            self._end_if_empty(queue)
            raise Busy("too many requests of your host are waiting; ask again a little later")
        self._budget.charge(peer.network, size_bytes)
        queue.size_bytes += size_bytes
        queue.waiting.append((size_bytes, begin))
        if is_behind:
            self._look_later()

    def forget(self, peer: Peer) -> None:
        """A peer has gone: what waits is not begun any more."""
        queue = self._queues.pop(peer.key, None)
        if queue is not None:
            queue.is_gone = True
            queue.waiting.clear()
            self._budget.charge(queue.peer.network, -queue.size_bytes)

    def stop(self) -> None:
        """Begin nothing more."""
        for queue in list(self._queues.values()):
            self.forget(queue.peer)
        self._looking.cancel()

    # Inside.

    def _begin(self, queue: _Queue, begin: Begin) -> None:
        queue.under_way += 1
        begin().addBoth(self._answered, queue)

    def _answered(self, result: object, queue: _Queue) -> None:
        queue.under_way -= 1
        if not queue.is_gone:
            self._go_on(queue)

    def _go_on(self, queue: _Queue) -> None:
        """Begin what there is room for."""
        while queue.waiting and queue.under_way < MOST_UNDER_WAY:
            if self._is_behind(queue.peer):
                self._look_later()
                return
            size_bytes, begin = queue.waiting.popleft()
            queue.size_bytes -= size_bytes
            self._budget.charge(queue.peer.network, -size_bytes)
            self._begin(queue, begin)
        self._end_if_empty(queue)

    def _end_if_empty(self, queue: _Queue) -> None:
        if not queue.waiting and not queue.under_way and self._queues.get(queue.peer.key) is queue:
            del self._queues[queue.peer.key]

    def _look_later(self) -> None:
        if not self._looking.is_set:
            self._looking.set(LOOK_AGAIN_S)

    def _look(self) -> None:
        """See who has read what it was answered."""
        for queue in list(self._queues.values()):
            if queue.waiting and not queue.is_gone:
                self._go_on(queue)


def weight_of_request(request: Message) -> int:
    """The weight of a request while it waits, in bytes."""
    if not isinstance(request, Update):
        return _QUESTION_BYTES
    texts = (*(file.name for file in request.add), *request.remove, *request.offer, *request.withdraw)
    return _QUESTION_BYTES + _ENTRY_BYTES * len(request.add) + sum(getsizeof(text) + _NAME_BYTES for text in texts)
