"""The registration of a leaf with one super peer: what it is told, and when."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from twisted_bazaar.discovery.index.client.list_sync import ListSync, Warn
from twisted_bazaar.discovery.index.messages import Listed
from twisted_bazaar.discovery.superpeer.leaf.own_table import LeafTable
from twisted_bazaar.discovery.superpeer.messages import NO_TABLE, Found
from twisted_bazaar.errors import PeerError
from twisted_bazaar.interfaces import INode
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Address, Peer
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import Message

# A folder that is being filled changes many times a second.
TABLE_EVERY_S: Final = 1.0
# What fits into a frame.
_MOST_TABLE_BYTES: Final = 60_000


class Registration:
    """One super peer that has taken this node, from then until the link is gone.

    @param peer: the super peer.
    @param words: what this node has.
    @param load: how many downloads this node serves now.
    @ivar since: when it took this node.
    @ivar refusal: why it has refused a question, until it says that the question is over.
    """

    def __init__(self, node: INode, peer: Peer, words: LeafTable, load: int, warn: Warn) -> None:
        self._node = node
        self.peer = peer
        self._words = words
        self.since: float = node.clock.seconds()
        self.refusal: PeerError | None = None
        self.enrolment: ListSync = ListSync(node, words.new_listing(), self.send, warn, f"super peer {peer.id}")
        self.enrolment.set_load(load)
        self._told = NO_TABLE
        self._telling = Timer(node.clock, self._tell_table)

    @property
    def is_in_sync(self) -> bool:
        """Whether it has the list and the table."""
        return self.enrolment.is_in_sync and self._words.is_settled and self._told == self._words.table.version

    def start(self) -> None:
        """Tell it what this node has."""
        self.enrolment.server_joined()
        self._tell_table()

    def link_lost(self) -> None:
        """The super peer is gone: end what is under way with it."""
        self.enrolment.server_left()
        self._telling.cancel()

    def table_changed(self) -> None:
        """Tell it the new table, soon."""
        if not self._telling.is_set:
            self._telling.set(TABLE_EVERY_S)

    def listed_received(self, answer: Listed) -> None:
        """Take its word on what it has of the list."""
        self.enrolment.listed_received(answer)

    def error_received(self, error: Error) -> None:
        """Take its word that it has refused something."""
        self.enrolment.error_received(error)

    def with_host(self, found: Found) -> Found | None:
        """A hit that it has told, with a host; None if nobody can be there.

        A leaf on its own machine it names without, for it cannot know what that machine is called here.
        """
        host = self.peer.address.host
        if found.host is None:
            return replace(found, host=host)
        is_strange = Address(found.host, found.port).is_local and not self.peer.address.is_local
        # This machine is not to be made to dial itself.
        return None if is_strange else found

    def send(self, message: Message) -> bool:
        """Send it a message; returns whether it could go."""
        return self._node.send(message, (self._node.id, self.peer.id))

    def _tell_table(self) -> None:
        for table in self._words.table.changes_since(self._told, _MOST_TABLE_BYTES):
            self.send(table)
            self._told = table.version


def place_told_by(peer: Peer, host: str, port: int) -> Address:
    """The address of a place that a super peer has named: a local one is on that super peer's machine."""
    named = Address(host, port)
    return Address(peer.address.host, port) if named.is_local and not peer.address.is_local else named
