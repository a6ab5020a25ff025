"""Max-min fair shares of a rate, by hierarchical fair queueing: who asks for little does not feel who asks for much.

A flow is a path of keys, the nearest first: the host that a search comes from, the neighbour, then the same for each
node that it has passed before. At each key there is a round robin of what comes next (compare Bennett and Zhang,
Hierarchical packet fair queueing, 1996). So a share holds from end to end: what one node grants a neighbour is shared
out among those for whom that neighbour passes searches on, however much more it would have let through itself. Who
forges the far end of a path divides its own share and nobody else's.

Inside a round a flow that begins comes before those that have waited for longer (RFC 8290, 4.2): who asks now and then
waits for no one. When too many wait, the flow with the most of them loses its oldest (longest queue drop; RFC 8290,
4.1.1).

Sans-IO.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

from twisted_bazaar.values.addresses import network_of
from twisted_bazaar.wire.message import Flooded

FLOW_LABELS: Final = "flow labels"
"""The purpose of the secret that labels of flows follow from; see L{KeyPair.secret_for}."""

_ROUNDING: Final = 1e-6
_UNLABELLED: Final = -1
_LABEL_BYTES: Final = 2

T = TypeVar("T")

_waiting: Final = attrgetter("waiting")


class TokenBucket:
    """A token bucket: so many a second on average, and a second's worth at once after quiet.

    @param a_second: tokens that come in a second; 0 or more.
    """

    __slots__ = ("_a_second", "_at", "_most", "_tokens")

    def __init__(self, a_second: float) -> None:
        self._a_second = a_second
        self._most = self._tokens = max(1.0, a_second)
        self._at = float("-inf")

    def take(self, now: float) -> bool:
        """Take a token; False if there is none.

        @param now: seconds.
        """
        if now > self._at:
            self._tokens = min(self._most, self._tokens + (now - self._at) * self._a_second)
            self._at = now
        # What is a token but for rounding is one.
        if self._tokens < 1.0 - _ROUNDING:
            return False
        self._tokens -= 1.0
        return True

    def put_back(self) -> None:
        """A token that was taken was not needed."""
        self._tokens += 1.0

    def ready_at(self) -> float:
        """The time at which there is a token, in seconds."""
        return self._at + max(0.0, 1.0 - self._tokens) / self._a_second


class FairShare(Generic[T]):
    """Max-min fair shares, by flow, of the searches that a node passes on in a second.

    Nothing waits as long as there is room. A third of the rate is kept for the node's own searches; they may have what
    the others leave, as long as nobody waits.

    @param a_second: searches a second, the node's own included; 1 or more.
    @param most_waiting: how many may wait.
    @param wait_s: who has waited for longer is dropped.
    """

    def __init__(self, a_second: float, most_waiting: int, wait_s: float) -> None:
        for_others = max(1, int(a_second * 2 // 3))
        self._others = TokenBucket(for_others)
        self._own = TokenBucket(a_second - for_others)
        self._most_waiting = max(1, most_waiting)
        self._wait_s = wait_s
        self._flows: _Flow[T] = _Flow()

    def __len__(self) -> int:
        """The number of searches that wait."""
        return self._flows.waiting

    def admit(self, now: float) -> bool:
        """Whether one that comes now may pass at once; if not, L{enqueue} it.

        @param now: seconds.
        """
        return not self._flows.waiting and self._others.take(now)

    def admit_own(self, now: float) -> bool:
        """Whether the node may send one more search of its own."""
        return self._own.take(now) or (not self._flows.waiting and self._others.take(now))

    def enqueue(self, flow: Sequence[Hashable], item: T, now: float) -> None:
        """Queue a search. If too many wait already, the flow with the most of them loses its oldest.

        @param flow: the keys of what it belongs to, the widest first.
        """
        self._flows.append(flow, (now + self._wait_s, item))
        if self._flows.waiting > self._most_waiting:
            self._flows.drop_oldest_of_longest()

    def next(self, now: float, is_over: Callable[[T], bool]) -> T | None:
        """Take the one whose turn it is; None if nobody waits or there is no room yet.

        @param is_over: whether one that has waited is of no use any more; it costs nothing.
        """
        while self._flows.waiting:
            if not self._others.take(now):
                return None
            until, item = self._flows.pop()
            if now <= until and not is_over(item):
                return item
            self._others.put_back()
        # Whose turn it was is of no interest when nobody waits.
        self._flows = _Flow()
        return None

    def next_at(self) -> float:
        """The time at which there is room for the next that waits, in seconds."""
        return self._others.ready_at()

    def clear(self) -> None:
        """Drop all that wait."""
        self._flows = _Flow()


class _Flow(Generic[T]):
    """The queue under one key: at the end of a path a queue, before it a round robin of flows.

    @param key: it.
    @ivar waiting: how many wait here in all.
    """

    __slots__ = ("_begun", "_is_turn_of_begun", "_key", "_queue", "_rest", "waiting")

    def __init__(self, key: Hashable = None) -> None:
        self._key = key
        self.waiting = 0
        self._queue: deque[tuple[float, T]] | None = None
        # Flows in the order of their turns: those that have begun since they were last served, and the rest. One that
        # was served and is empty stays until its next turn, so that it does not come first again in the same round.
        self._begun: dict[Hashable, _Flow[T]] = {}
        self._rest: dict[Hashable, _Flow[T]] = {}
        self._is_turn_of_begun = True

    def append(self, flow: Sequence[Hashable], entry: tuple[float, T]) -> None:
        """Put one at the end of the queue of a flow."""
        inner = self
        for key in flow:
            inner.waiting += 1
            following = inner._begun.get(key) or inner._rest.get(key)
            if following is None:
                following = inner._begun[key] = _Flow(key)
            inner = following
        inner.waiting += 1
        if inner._queue is None:
            inner._queue = deque()
        inner._queue.append(entry)

    def pop(self) -> tuple[float, T]:
        """Take the one whose turn it is."""
        self.waiting -= 1
        if self._queue is not None:
            return self._queue.popleft()
        # They take turns: flows that begin without end starve nobody.
        is_begun = (bool(self._begun) and self._is_turn_of_begun) or not self._drop_empty()
        self._is_turn_of_begun = not is_begun
        ring = self._begun if is_begun else self._rest
        key = next(iter(ring))
        flow = self._rest[key] = ring.pop(key)
        entry = flow.pop()
        if not flow.waiting:
            flow._begun.clear()
            flow._rest.clear()
        return entry

    def drop_oldest_of_longest(self) -> None:
        """Drop the oldest of the flow with the most waiting."""
        self.waiting -= 1
        if self._queue is not None:
            self._queue.popleft()
            return
        ring, flow = self._longest()
        flow.drop_oldest_of_longest()
        if ring is self._begun and not flow.waiting:
            del ring[flow._key]

    def _longest(self) -> tuple[dict[Hashable, _Flow[T]], _Flow[T]]:
        """The flow with the most waiting, and the ring that it is in."""
        if not self._rest or not self._begun:
            ring = self._rest or self._begun
            return ring, max(ring.values(), key=_waiting)
        begun, other = (max(ring.values(), key=_waiting) for ring in (self._begun, self._rest))
        is_begun = begun.waiting > other.waiting
        if begun.waiting == other.waiting:
            # One of those that have more waiting together: the others are the fewer.
            is_begun = sum(map(_waiting, self._begun.values())) > sum(map(_waiting, self._rest.values()))
        return (self._begun, begun) if is_begun else (self._rest, other)

    def _drop_empty(self) -> bool:
        """Whether one of the rest is next, when those whose round is over are gone."""
        while self._rest:
            key, flow = next(iter(self._rest.items()))
            if flow.waiting:
                return True
            del self._rest[key]
        return False


class FlowLabels:
    """Names the hosts that floods come from to other nodes, without telling them (compare RFC 6437, 3).

    Ids cost nothing, and one host can have many links. So a node that passes floods on says by a label which of them
    come from one host. Only it can make its labels, so nobody chooses to share another's.

    @param secret: of this node.
    """

    def __init__(self, secret: bytes) -> None:
        def label(host: str) -> int:
            network = network_of(host).encode()
            return int.from_bytes(blake2b(network, key=secret, digest_size=_LABEL_BYTES).digest(), "big")

        # Nearly all searches come from the same few hosts.
        self.of: Callable[[str], int] = lru_cache(maxsize=1024)(label)


def flow_of(message: Flooded, network: str) -> Sequence[Hashable]:
    """The flow that a flood belongs to: by host and node, from the neighbour back to the origin.

    @param network: where the neighbour's link comes from.
    """
    labels = list(message.flows)
    label: Any = network
    keys: list[Any] = []
    for node_id in reversed(message.return_path):
        keys += (label, node_id)
        label = labels.pop() if labels else _UNLABELLED
    # What a node asks for itself is one flow among those that it passes on.
    keys.append(None)
    return keys
