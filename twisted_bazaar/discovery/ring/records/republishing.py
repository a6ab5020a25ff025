"""Republishing: puts the records of a node into the ring, again before they expire, and deletes them (Kademlia, 2.5).

What is put lasts for some time only, so that whoever dies is forgotten. Who has very much puts it at the same pace as
others, and for longer.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import count
from math import ceil
from typing import Any, Final

from attrs import define
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.member.member import RingMember
from twisted_bazaar.discovery.ring.records.own_records import OwnRecords
from twisted_bazaar.discovery.ring.records.records import PROVIDERS, SELLERS, WORDS, RecordKey
from twisted_bazaar.discovery.ring.storage.dht_client import DhtClient
from twisted_bazaar.discovery.ring.storage.entry import LONGEST_LIFETIME_S
from twisted_bazaar.discovery.ring.storage.replication import Pacing
from twisted_bazaar.errors import PeerError
from twisted_bazaar.interfaces import INode
from twisted_bazaar.system.limited_log import limited_logger

LIFETIME_S: Final = 1_800.0
# Each is a search for an identifier, and an entry to four nodes.
PUTS_A_SECOND: Final = 20.0
WITHDRAWING_S: Final = 3.0
_AT_ONCE: Final = 8
# So many times as long as it takes to put all of them does each last at least.
_ROUNDS: Final = 8
_AGAIN_S: Final = (2.0, 10.0, 60.0, 300.0)
_JITTER: Final = 0.1
# Who is gone is to be offered no more; that its files are still listed does less harm.
_FIRST_WITHDRAWN: Final = (SELLERS, PROVIDERS, WORDS)


@define
class _Posted:
    """The state of one record.

    @ivar due: when it is to be put the next time, or deleted.
    @ivar failures: how often that has come to nothing, one time after another.
    @ivar is_there: whether there may be something of it in the ring.
    @ivar until: when the last of that is forgotten by itself.
    @ivar is_under_way: whether it is being put, or deleted.
    @ivar has_changed: whether it has become another since that was begun.
    """

    due: float
    failures: int = 0
    is_there: bool = False
    until: float = 0.0
    is_under_way: bool = False
    has_changed: bool = False


def lifetime_of(records: int) -> int:
    """For how many seconds a record is to last, if there are so many."""
    return int(min(LONGEST_LIFETIME_S, max(LIFETIME_S, _ROUNDS * records / PUTS_A_SECOND)))


class Republisher:
    """Republishes the records of one node.

    @param member: the node on its ring.
    @param dht: has them kept.
    @param own: says what they are to be.
    """

    log: Final = limited_logger(__name__)

    def __init__(self, member: RingMember, dht: DhtClient, own: OwnRecords) -> None:
        self._member = member
        self._dht = dht
        self._own = own
        self._posted: dict[RecordKey, _Posted] = {}
        self._order: list[tuple[float, int, RecordKey]] = []
        self._numbers = count()
        self._pacing = Pacing(PUTS_A_SECOND)
        self._under_way: dict[RecordKey, Deferred[None]] = {}
        self._timer: IDelayedCall | None = None
        self._node: INode | None = None
        self._is_stopped = False
        self._is_going = False
        self._awaits_ring = False

    @property
    def waiting(self) -> int:
        """How many records are not there yet as they are to be."""
        return sum(not each.is_there or each.is_under_way or each.failures > 0 for each in self._posted.values())

    def start(self, node: INode) -> None:
        """Begin; what is to be found is put when this node is on the ring."""
        self._node = node
        self._member.watch(self._neighbours_changed)
        self.update(self._own)

    def update(self, keys: Iterable[RecordKey]) -> None:
        """Some records are to be others than they were."""
        if self._node is None:
            return
        now = self._now()
        # Sets come in another order in each process, and a simulation is to be the same in all.
        for key in sorted(keys):
            posted = self._posted.get(key)
            if posted is None:
                posted = self._posted[key] = _Posted(now)
            posted.failures = 0
            posted.has_changed = posted.is_under_way
            if not posted.is_under_way:
                self._enter(key, posted, now)
        self._go()

    def withdraw(self) -> Deferred[None]:
        """Delete all of it, as far as there is time for that; fires when it is over."""
        return Deferred.fromCoroutine(self._withdraw())

    def stop(self) -> None:
        """Put nothing any more."""
        self._is_stopped = True
        self._cancel_timer()
        for doing in list(self._under_way.values()):
            doing.cancel()

    # Inside.

    def _enter(self, key: RecordKey, posted: _Posted, due: float) -> None:
        posted.due = due
        heappush(self._order, (due, next(self._numbers), key))

    def _go(self) -> None:
        """Do what is due now, and see that the rest is done later."""
        if self._is_stopped or self._is_going or self._node is None:
            # What is put at once, by a node that is alone, goes on with the next here.
            return
        self._cancel_timer()
        self._is_going = True
        try:
            wait_s = self._begin_due()
        finally:
            self._is_going = False
        if wait_s is not None:
            self._timer = self._node.clock.callLater(wait_s, self._go)

    def _neighbours_changed(self) -> None:
        if self._awaits_ring and not self._is_stopped:
            self._awaits_ring = False
            self._cancel_timer()
            # Whoever tells this is to be done first.
            self._timer = self._clock().callLater(0, self._go)

    def _begin_due(self) -> float | None:
        """Begin with as many as may be under way; returns when to look again, if not when one of them is done, or
        this node has joined."""
        self._awaits_ring = not self._member.is_member
        if self._awaits_ring:
            return None
        while self._order and len(self._under_way) < _AT_ONCE:
            due, _, key = self._order[0]
            now = self._now()
            posted = self._posted.get(key)
            is_old = posted is None or posted.is_under_way or posted.due != due
            if not is_old and due > now:
                return due - now
            heappop(self._order)
            if posted is None or is_old:
                continue
            if not posted.is_there and self._own.value_of(key) is None:
                # It has gone before it was put.
                del self._posted[key]
                continue
            self._begin(key, posted, self._pacing.wait_s(0, now))
        return None

    def _begin(self, key: RecordKey, posted: _Posted, wait_s: float) -> None:
        posted.is_under_way, posted.has_changed = True, False
        doing = self._under_way[key] = Deferred.fromCoroutine(self._do(key, posted, wait_s))
        doing.addErrback(self._not_done, posted)
        doing.addCallback(lambda _: self._done(key, posted))

    async def _do(self, key: RecordKey, posted: _Posted, wait_s: float) -> None:
        """Put a record as it is to be now, or delete it."""
        if wait_s > 0:
            await self._wait(wait_s)
        posted.has_changed = False
        space, name = key
        value = self._own.value_of(key)
        lifetime = lifetime_of(len(self._own))
        if value is not None:
            posted.is_there = True
            try:
                await self._dht.put(space, name, value, lifetime=lifetime)
            finally:
                posted.until = max(posted.until, self._now() + lifetime)
        elif posted.is_there:
            await self._delete(key, posted)
            posted.is_there = False
        posted.failures = 0

    def _delete(self, key: RecordKey, posted: _Posted) -> Deferred[Any]:
        """Delete a record, for as long as somebody who does not hear of that could go on keeping it."""
        left_s = max(LIFETIME_S, posted.until - self._now())
        return self._dht.delete(*key, lifetime=min(LONGEST_LIFETIME_S, ceil(left_s)))

    def _not_done(self, failure: Failure, posted: _Posted) -> None:
        posted.failures += 1
        if not failure.check(PeerError, CancelledError):
            self.log.failure("what this node has could not be told in the ring", failure)

    def _done(self, key: RecordKey, posted: _Posted) -> None:
        del self._under_way[key]
        posted.is_under_way = False
        if self._is_stopped or self._node is None:
            return
        now = self._now()
        if posted.has_changed:
            self._enter(key, posted, now)
        elif posted.failures:
            self._enter(key, posted, now + _AGAIN_S[min(posted.failures, len(_AGAIN_S)) - 1])
        elif not posted.is_there:
            del self._posted[key]
        else:
            lifetime = lifetime_of(len(self._own))
            self._enter(key, posted, now + lifetime / 2 * self._node.rng.uniform(1 - _JITTER, 1 + _JITTER))
        self._go()

    async def _withdraw(self) -> None:
        self.stop()
        keys = [key for space in _FIRST_WITHDRAWN for key, each in self._posted.items() if key[0] == space]
        keys = [key for key in keys if self._posted[key].is_there]
        over = self._now() + WITHDRAWING_S
        for first in range(0, len(keys), _AT_ONCE):
            left_s = over - self._now()
            if left_s <= 0:
                return
            deleting = [self._delete(key, self._posted[key]) for key in keys[first : first + _AT_ONCE]]
            doing: Deferred[Any] = DeferredList(deleting, consumeErrors=True)
            clock = self._clock()
            await doing.addTimeout(left_s, clock, onTimeoutCancel=lambda result, timeout_s: None)

    async def _wait(self, seconds: float) -> None:
        waited: Deferred[None] = Deferred(lambda _: timer.cancel())
        timer = self._clock().callLater(seconds, waited.callback, None)
        await waited

    def _clock(self) -> IReactorTime:
        assert self._node is not None, "it has begun"
        return self._node.clock

    def _cancel_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _now(self) -> float:
        return float(self._clock().seconds())
