"""Handover: a member that leaves sees that the node after it has the files that belong to it."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import CancelledError, Deferred

from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.storage.dht_client import DhtClient
from twisted_bazaar.discovery.ring.storage.entry import Entry
from twisted_bazaar.discovery.ring.storage.repair import Repair
from twisted_bazaar.errors import PeerError
from twisted_bazaar.interfaces import INode
from twisted_bazaar.roles.ring.kept_files import KeptFiles
from twisted_bazaar.roles.ring.kept_folder import KeptFolder


class FileHandover:
    """Hands the files of one node over to its successor.

    @param dht: sends entries, and hears who has got their files.
    @param repair: knows what belongs to this node.
    @param kept: the files that it is to keep.
    @param folder: those that have come.
    """

    _node: INode

    def __init__(self, dht: DhtClient, repair: Repair, kept: KeptFiles, folder: KeptFolder) -> None:
        self._dht = dht
        self._repair = repair
        self._kept = kept
        self._folder = folder

    def start(self, node: INode) -> None:
        """Tell a node's journal what could not be handed over."""
        self._node = node

    def hand_over(self) -> Deferred[None]:
        """See that the next node has what belongs here; fires when it has, or cannot be brought to."""
        entries = [entry for digest in self._kept.digests() if (entry := self._kept.entry_of(digest)) is not None]
        entries = [entry for entry in entries if self._repair.is_own(entry)]
        followers = self._dht.member.stabilization.successors[:1]
        return Deferred.fromCoroutine(self._hand_over_all(entries, followers))

    async def _hand_over_all(self, entries: Sequence[Entry], followers: Sequence[Contact]) -> None:
        for contact in followers:
            for entry in entries:
                try:
                    await self._hand_over_one(entry, contact)
                except (PeerError, CancelledError):
                    # There are others who have it, if there were any.
                    self._node.report("ring-not-handed-over", None, name=entry.kept.name)
                    return

    async def _hand_over_one(self, entry: Entry, contact: Contact) -> None:
        digest = entry.kept.digest or ""
        whole: Deferred[None] = Deferred()

        def on_whole(by: Contact) -> None:
            if by == contact and not whole.called:
                whole.callback(None)

        end = self._dht.watch_whole(digest, on_whole)
        try:
            copy = await self._dht.send(contact, entry)
            if copy.is_kept and not copy.is_whole and self._folder.has(digest):
                await whole
        finally:
            end()
