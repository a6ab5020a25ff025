"""Repair: brings replicas to the nodes that are to have them, by anti-entropy with the neighbours.

When, with whom and how fast is decided by L{twisted_bazaar.discovery.ring.storage.replication}; here it is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.member.member import RingMember
from twisted_bazaar.discovery.ring.member.ring_node import Reply
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.storage.anti_entropy import AntiEntropy, Compared, compare
from twisted_bazaar.discovery.ring.storage.entry import TAG_BITS, Entry
from twisted_bazaar.discovery.ring.storage.messages import Marked, RingCompare, RingCompared, RingRequest
from twisted_bazaar.discovery.ring.storage.replica_server import ReplicaServer
from twisted_bazaar.discovery.ring.storage.replication import Pacing, Replication, Sync
from twisted_bazaar.discovery.ring.storage.store import EntryDigest
from twisted_bazaar.errors import LinkClosed, PeerError
from twisted_bazaar.interfaces import INode
from twisted_bazaar.system.limited_log import limited_logger

LOOK_S: Final = 0.25
# What comes without being told here, as an entry that does not live long, is not seen sooner.
_LONGEST_REST_S: Final = 5.0
_AT_ONCE: Final = 8
# As many as take some milliseconds.
_EXPIRED_AT_ONCE: Final = 512
# Who answers as slowly as it may is not to keep others waiting; what is left is done when its turn comes again.
_LONGEST_SYNC_S: Final = 60.0
# What one answer has room for, in characters; and what a position's neighbourhood in JSON takes.
_ROOM: Final = 780
_MARKED_ROOM: Final = 22


class Repair:
    """Repairs the replicas of one node and its neighbours.

    @param member: the node on its ring; it has not started yet.
    @param dht: what it keeps.
    @param pacing: how fast; as usual if not given.
    @ivar sent: how many entries it has sent to others.
    """

    log: Final = limited_logger(__name__)
    replication: Replication
    _node: INode

    def __init__(self, member: RingMember, dht: ReplicaServer, pacing: Pacing | None = None) -> None:
        self.sent: int = 0
        self._dht = dht
        self._member = member
        self._ring = member.ring
        self._digits = (self._ring.digits * 4 + TAG_BITS) // 4
        self._marks = _ROOM // (self._digits + _MARKED_ROOM)
        self._pacing = pacing or Pacing()
        self._timer: IDelayedCall | None = None
        self._under_way: Deferred[Any] | None = None
        self._is_stopped = False
        self._member.serve({RingCompare: self._compare_asked}, [RingCompared])
        self._member.watch(self._changed)
        self._member.before_leaving(self.hand_over)
        dht.watch_handovers(self._handed)
        self._owner: Contact | None = None

    def start(self, node: INode) -> None:
        """Begin."""
        self._node = node
        self._look_later()

    def stop(self) -> Deferred[None]:
        """End; fires when nothing is under way any more."""
        self._is_stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.cancel()
        return succeed(None)

    def is_own(self, entry: Entry) -> bool:
        """Whether an entry belongs to this node, as far as it knows."""
        return self._owner is not None and self.replication.is_own(self._dht.store.identifier_of(entry))

    def hand_over(self) -> Deferred[None]:
        """See that those who stay have all that is here."""
        if not self._member.is_member or self._owner is None:
            return succeed(None)
        return Deferred.fromCoroutine(self._hand_over())

    async def _hand_over(self) -> None:
        """Give what is here to all neighbours, until these are the same afterwards: some may have died meanwhile."""
        handed: tuple[Contact | None, Sequence[Contact]] | None = None
        while handed != (around := (self._member.stabilization.predecessor, self.replication.followers)):
            handed = around
            if not await self._hand_round():
                break
        self._node.report("ring-handed-over", None, entries=self.sent)

    async def _hand_round(self) -> bool:
        """Give it to all neighbours at once; returns whether there is time for more."""
        self.replication.sync_all_now()
        before = self._member.stabilization.predecessor
        others = dict.fromkeys((*self.replication.followers, *([] if before is None else [before])))
        results: list[tuple[bool, Any]] = await DeferredList(
            [Deferred.fromCoroutine(self._sync(contact, is_paced=False)) for contact in others], consumeErrors=True
        )
        failures = [result for is_done, result in results if not is_done]
        for failure in failures:
            if not failure.check(PeerError, CancelledError):
                self.log.failure("something was not handed over", failure)
        # The node may wait less than this takes: then it is cancelled.
        return not any(failure.check(CancelledError) for failure in failures)

    # As time goes by.

    def _changed(self) -> None:
        """The neighbours have changed."""
        member = self._member
        if not member.is_member:
            return
        if self._owner != member.own:
            # The identifier is known only now, or anew.
            self._owner = member.own
            self.replication = Replication(member.own, self._ring, self._dht.store, self._node.rng, self._dht.replicas)
        stabilization = member.stabilization
        self.replication.on_neighbours(stabilization.predecessor, stabilization.successors, self._now())
        self._look_sooner()

    def _handed(self, entry: Entry, by: Contact) -> None:
        if self._owner is not None:
            self.replication.on_handoff(self._dht.store.position_of(entry), by, self._now())
            self._look_sooner()

    def _look_later(self) -> None:
        """Look when something is due, but not at once."""
        if not self._is_stopped:
            self._timer = self._node.clock.callLater(self._rest_s(), self._look)

    def _look_sooner(self) -> None:
        """Something may be due sooner than when it was looked last."""
        if self._timer is not None:
            rest_s = self._rest_s()
            if self._now() + rest_s < self._timer.getTime():
                self._timer.reset(rest_s)

    def _rest_s(self) -> float:
        """How long there is nothing to do."""
        least_s = LOOK_S * self._node.rng.uniform(0.75, 1.25)
        due = self._dht.store.expires_at
        if self._owner is not None and self._member.is_member:
            due = min(due, self.replication.due)
        return max(least_s, min(due - self._now(), _LONGEST_REST_S))

    def _look(self) -> None:
        self._timer = None
        now = self._now()
        self._dht.store.expire(now, _EXPIRED_AT_ONCE)
        if self._owner is None or not self._member.is_member:
            self._look_later()
            return
        contact = self.replication.next_neighbour(now)
        if contact is not None:
            doing = Deferred.fromCoroutine(self._sync(contact))
        else:
            entry = self.replication.next_misplaced(now)
            if entry is None:
                self._look_later()
                return
            doing = Deferred.fromCoroutine(self._give_back_some(entry))
        self._under_way = doing
        doing.addErrback(self._failed)
        doing.addCallback(lambda _: self._look_later())

    def _failed(self, failure: Failure) -> None:
        self._under_way = None
        if not self._is_stopped and not failure.check(PeerError):
            self.log.failure("repair failed", failure)

    async def _sync(self, contact: Contact, *, is_paced: bool = True) -> None:
        """Make a neighbour have what it is to have."""
        until = self._now() + _LONGEST_SYNC_S
        try:
            for sync in self.replication.syncs_with(contact):
                await self._sync_span(sync, until, is_paced=is_paced)
        except PeerError:
            self.replication.on_sync_failed(contact, self._now())
            raise
        self.replication.on_synced(contact, self._now())

    async def _sync_span(self, sync: Sync, until: float, *, is_paced: bool) -> None:
        comparison = AntiEntropy(self._dht.store, sync.span, is_mutual=sync.is_own)
        while not comparison.is_over:
            self._check_time(until)
            span, total = comparison.next_span()
            if is_paced:
                await self._pace(0)
            make = partial(
                RingCompare, low=self._text(span[0]), high=self._text(span[1]), total=f"{total:032x}", own=sync.is_own
            )
            answer = await self._member.requests.ask(sync.to, make)
            if not isinstance(answer, RingCompared):
                raise LinkClosed("it answers something else")
            comparison.on_compared(self._read(answer, span[1]))
        for first in range(0, len(comparison.to_send), _AT_ONCE):
            self._check_time(until)
            sending = map(self._dht.store.entry_at, comparison.to_send[first : first + _AT_ONCE])
            await self._send(sync.to, [entry for entry in sending if entry is not None], is_paced=is_paced)
        for position in comparison.to_fetch:
            self._check_time(until)
            if is_paced:
                await self._pace(0)
            await self._fetch(sync.to, position)
        if comparison.to_fetch:
            self.replication.on_entry_received(sync.to, self._now())

    def _check_time(self, until: float) -> None:
        if self._now() > until:
            raise LinkClosed("it takes too long")

    async def _send(self, contact: Contact, entries: Sequence[Entry], *, is_paced: bool) -> None:
        if not entries:
            return
        if is_paced:
            await self._pace(sum(len(entry.text) for entry in entries), len(entries))
        store, now = self._dht.store, self._now()
        sending = [self._dht.send(contact, entry, store.ttl_s(entry, now)) for entry in entries]
        results: list[tuple[bool, Any]] = await DeferredList(sending, consumeErrors=True)
        for is_done, result in results:
            if not is_done:
                result.raiseException()
        self.sent += len(entries)

    async def _fetch(self, contact: Contact, position: int) -> None:
        """Get what a neighbour has newer."""
        make = partial(RingRequest, position=self._text(position))
        entry, left_s = await self._dht.fetch(contact, make)
        if self._dht.store.position_of(entry) != position:
            # It would have others kept here than it had named.
            raise LinkClosed("it has sent another entry than was asked for")
        self._dht.keep(entry, contact, entry.lifetime_s if left_s is None else left_s)

    async def _give_back_some(self, first: Entry) -> None:
        """Give back an entry, and a few more that are not to be here either; what fails is here still, and looked at
        again."""
        await self._give_back(first)
        for _ in range(_AT_ONCE - 1):
            entry = self.replication.next_misplaced(self._now())
            if entry is None:
                break
            await self._give_back(entry)

    async def _give_back(self, entry: Entry) -> None:
        """Give an entry to where it belongs, and drop it; if that is here too, nothing is to be done."""
        await self._pace(len(entry.text))
        store = self._dht.store
        identifier = store.identifier_of(entry)
        found = await self._member.lookups.find(identifier, until="late")
        holders = found.holders[: self._dht.replicas + 1]
        if self._member.own in holders:
            self.replication.on_rightly_here(identifier, holders[0].id)
            return
        if not holders:
            return
        copy = await self._dht.send(holders[0], entry, store.ttl_s(entry, self._now()))
        has_all = entry.kept.digest is None or copy.is_whole
        is_theirs = copy.is_kept or (copy.outcome == "older" and copy.version > entry.kept.version)
        if is_theirs and (has_all or copy.outcome == "older"):
            store.drop(entry.key)

    async def _pace(self, size_bytes: int, count: int = 1) -> None:
        wait_s = 0.0
        for _ in range(count):
            wait_s = self._pacing.wait_s(size_bytes // count, self._now())
        if wait_s > 0:
            await deferLater(self._node.clock, wait_s, lambda: None)

    # What others ask.

    def _compare_asked(self, message: RingCompare, contact: Contact, reply: Reply) -> None:
        if self._owner is None:
            return
        try:
            span = self._identifier(message.low), self._identifier(message.high)
        except ValueError:
            return
        if message.own:
            self.replication.on_range_compared(contact, span, self._now())
            self._look_sooner()
        answer = compare(self._dht.store, span, int(message.total, 16), self._marks)
        marked = tuple(Marked(self._text(mark.position), mark.version) for mark in answer.marks)
        until = None if answer.is_same else self._text(answer.until)
        reply(partial(RingCompared, same=answer.is_same, marked=marked, until=until))

    def _read(self, answer: RingCompared, end: int) -> Compared:
        try:
            marks = tuple(EntryDigest(self._identifier(mark.position), mark.version) for mark in answer.marked)
            return Compared(answer.same, marks, end if answer.until is None else self._identifier(answer.until))
        except ValueError:
            raise LinkClosed("it names what is not on this ring") from None

    def _text(self, position: int) -> str:
        return f"{position:0{self._digits}x}"

    def _identifier(self, text: str) -> int:
        """The position that a text from the wire means.

        @raise ValueError: there is none such.
        """
        position = int(text, 16)
        self._ring.check(position >> TAG_BITS)
        return position

    def _now(self) -> float:
        return float(self._node.clock.seconds())
