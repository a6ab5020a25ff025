"""Who is linked to a node, and whom it has heard of."""

from __future__ import annotations

from attrs import evolve

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.errors import LinkClosed, NoSlots, PeerError
from twisted_bazaar.interfaces import Address, Peer
from twisted_bazaar.node.control import PROTOCOL_VERSION, ThisIsMe
from twisted_bazaar.node.link import Link


class Peers:
    """The open links of one node by the id of their other end, and known addresses.

    @param own_key: this node's public key.
    @param max_links: past it strangers are refused.
    @param known_cap: how many addresses are remembered.
    @param known_s: for how long.
    @ivar links: the one link in use to each node.
    """

    def __init__(self, own_key: str, max_links: int, known_cap: int, known_s: float) -> None:
        self._own_key = own_key
        self._max_links = max_links
        self.links: dict[int, Link] = {}
        self._second_links: list[Link] = []
        self.known: FairTable[int, Address] = FairTable(known_cap, known_s)

    @property
    def is_full(self) -> bool:
        """Whether no stranger can be linked any more."""
        return len(self.links) >= self._max_links

    def admit(self, link: Link, peer: Peer, version: int, own_id: int) -> None:
        """Decide whether a node that has greeted may be linked.

        @raise PeerError: it may not.
        """
        if version != PROTOCOL_VERSION:
            raise PeerError(f"protocol version {version}; this node speaks {PROTOCOL_VERSION}")
        if peer.key == self._own_key:
            raise LinkClosed("this node reached itself")
        old = self.links.get(peer.id)
        if peer.id == own_id or (old is not None and old.peer is not None and old.peer.key != peer.key):
            raise PeerError(f"the id {peer.id} belongs to another node")
        if old is None:
            if self.is_full:
                raise NoSlots("no slots available")
        elif not link.dialled and not self._replaces(link, old, peer.key):
            # Who dialled has sent nothing yet but its greeting.
            raise LinkClosed("already linked")

    def add(self, link: Link, peer: Peer) -> Link | None:
        """Take an open link into use, unless the one there is to be kept.

        @return: which of two links the caller is to retire, if there are two now. Of two that this end
            dialled the other end retires one: it knows which it saw last.
        """
        old = self.links.get(peer.id)
        if old is not None and not self._replaces(link, old, peer.key):
            return link
        self.links[peer.id] = link
        if old is not None and old.dialled and link.dialled:
            self._second_links.append(old)
            return None
        return old

    def remove(self, link: Link) -> bool:
        """Forget a link that is gone.

        @return: whether its node is no longer linked.
        """
        if link in self._second_links:
            self._second_links.remove(link)
        if link.peer is None or self.links.get(link.peer.id) is not link:
            return False
        del self.links[link.peer.id]
        for second in self._second_links:
            if second.peer == link.peer:
                self._second_links.remove(second)
                self.links[link.peer.id] = second
                return False
        return True

    def _replaces(self, new: Link, old: Link, peer_key: str) -> bool:
        """Of two links to one node, whether the new one is to be kept. Both ends decide alike.

        Of two that were dialled from different ends, the one dialled by the greater key stays. Of
        two from the same end the later stays: the earlier may be a leftover of a crash.
        """
        if new.dialled == old.dialled:
            return True
        return (self._own_key > peer_key) == new.dialled


def address_of(greeting: ThisIsMe, seen_host: str) -> Address:
    """Where a node can be reached.

    @param seen_host: the host its connection came from. It counts unless the node names another. A
        node on another machine that listens on loopback only cannot be reached: its port is 0.
    """
    seen = Address(seen_host, greeting.port)
    if greeting.host is None:
        return seen
    named = Address(greeting.host, greeting.port)
    return evolve(seen, port=0) if named.is_local and not seen.is_local else named
