"""Handover: a member that leaves sees that those who stay have the files that belong to it.

All who are to have a file afterwards are asked to keep it, and others in place of those who refuse or do not answer,
until they have it. The member waits for that as long as it waits for anything before it leaves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, DeferredList

from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.storage.dht_client import DhtClient
from twisted_bazaar.discovery.ring.storage.entry import Entry
from twisted_bazaar.discovery.ring.storage.repair import Repair
from twisted_bazaar.discovery.ring.storage.replica_server import Copy
from twisted_bazaar.errors import PeerError
from twisted_bazaar.interfaces import INode
from twisted_bazaar.roles.ring.kept_files import KeptFiles
from twisted_bazaar.roles.ring.kept_folder import KeptFolder
from twisted_bazaar.roles.ring.transfers import RingTransfers

_AT_ONCE: Final = 8
# After how long those are asked again that have not said that they have it.
_AGAIN_S: Final = 2.0
# So often somebody is asked who does not answer; the ring takes as long to see that one is dead.
_TRIES: Final = 3
# Once somebody has a file, the others may take so long without any of it going out.
_STALLED_S: Final = 6.0


@define
class _Takers:
    """The nodes that stay, and how far they are with one file.

    @ivar whole: those that have all of it.
    @ivar out: those that do not take it, or do not answer.
    """

    whole: set[Contact] = field(factory=set)
    out: set[Contact] = field(factory=set)
    _failures: dict[Contact, int] = field(factory=dict)

    def note(self, contact: Contact, copy: Copy | None) -> None:
        """Take what one has answered; None for nothing."""
        if copy is None or copy.outcome == "lost":
            failures = self._failures[contact] = self._failures.get(contact, 0) + 1
            if failures >= _TRIES:
                self.out.add(contact)
        elif copy.is_whole:
            self.whole.add(contact)
        elif not copy.is_kept:
            self.out.add(contact)


class FileHandover:
    """Hands the files of one node over to its successors.

    @param dht: sends entries, and hears who has got their files.
    @param repair: knows what belongs to this node.
    @param kept: the files that it is to keep.
    @param folder: those that have come.
    @param transfers: serves them.
    """

    _node: INode

    def __init__(
        self, dht: DhtClient, repair: Repair, kept: KeptFiles, folder: KeptFolder, transfers: RingTransfers
    ) -> None:
        self._dht = dht
        self._repair = repair
        self._kept = kept
        self._folder = folder
        self._transfers = transfers

    def start(self, node: INode) -> None:
        """Tell a node's journal what could not be handed over."""
        self._node = node

    def hand_over(self) -> Deferred[Any]:
        """See that those who stay have what belongs here; fires when they have, or it cannot be brought to them."""
        entries = [entry for digest in self._kept.digests() if (entry := self._kept.entry_of(digest)) is not None]
        left = deque(entry for entry in entries if self._repair.is_own(entry))
        workers = [Deferred.fromCoroutine(self._hand_over_some(left)) for _ in range(min(_AT_ONCE, len(left)))]
        return DeferredList(workers, fireOnOneErrback=False, consumeErrors=True)

    async def _hand_over_some(self, left: deque[Entry]) -> None:
        try:
            while left:
                await self._hand_over_one(left.popleft())
        except CancelledError:
            # There is no more time.
            while left:
                self._not_handed_over(left.popleft())
            raise

    async def _hand_over_one(self, entry: Entry) -> None:
        digest, takers = entry.kept.digest or "", _Takers()
        end = self._dht.watch_whole(digest, takers.whole.add)
        was_alone = not self._successors()
        try:
            await self._until_taken(entry, digest, takers)
        finally:
            end()
            # Who has died since has it no more.
            if not was_alone and self._folder.has(digest) and not takers.whole.intersection(self._successors()):
                self._not_handed_over(entry)

    async def _until_taken(self, entry: Entry, digest: str, takers: _Takers) -> None:
        """Ask those that are to have a file to keep it, until all of them have it."""
        clock = self._node.clock
        progress: tuple[int, int] | None = None
        stalled_at = 0.0
        asked: dict[Contact, float] = {}
        while self._folder.has(digest) and (missing := self._missing(takers)):
            now = clock.seconds()
            due = [contact for contact in missing if now >= asked.get(contact, now) + (contact in asked) * _AGAIN_S]
            asked.update(dict.fromkeys(due, now))
            await self._ask(entry, due, takers)
            now, before = clock.seconds(), progress
            progress = (self._transfers.uploads.gone_bytes(digest), len(takers.whole))
            if progress != before:
                stalled_at = now + _STALLED_S
            if takers.whole and now >= stalled_at:
                return
            if self._missing(takers) == missing:
                await self._news(digest)

    async def _ask(self, entry: Entry, contacts: Sequence[Contact], takers: _Takers) -> None:
        """Ask some to keep a file; those that have it, or do not take it, are known afterwards."""
        sending = [self._dht.send(contact, entry) for contact in contacts]
        results: list[tuple[bool, Any]] = await DeferredList(sending, consumeErrors=True)
        for contact, (is_done, result) in zip(contacts, results, strict=True):
            if is_done:
                takers.note(contact, result)
            elif result.check(PeerError):
                takers.note(contact, None)
            else:
                # There is no more time, or it is a fault of this node.
                result.raiseException()

    async def _news(self, digest: str) -> None:
        """Wait until somebody has all of a file, or it is time to ask again."""
        come: Deferred[None] = Deferred()
        end = self._dht.watch_whole(digest, partial(_fire, come))
        try:
            await come.addTimeout(_AGAIN_S, self._node.clock, onTimeoutCancel=lambda result, timeout_s: None)
        finally:
            end()

    def _missing(self, takers: _Takers) -> list[Contact]:
        """Those that are to have a file when this node has left, and have it not yet."""
        takes = [contact for contact in self._successors() if contact not in takers.out]
        return [contact for contact in takes[: max(1, self._dht.replicas)] if contact not in takers.whole]

    def _successors(self) -> Sequence[Contact]:
        return self._dht.member.stabilization.successors

    def _not_handed_over(self, entry: Entry) -> None:
        self._node.report("ring-not-handed-over", None, name=entry.kept.name)


def _fire(waiting: Deferred[None], _: object) -> None:
    if not waiting.called:
        waiting.callback(None)
