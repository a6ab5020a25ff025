"""The table of peers: who is linked to a node, and whom it has heard of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from attrs import frozen
from msgspec.structs import replace
from twisted.internet.interfaces import IStreamClientEndpoint

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.errors import AlreadyLinked, NoSlots, PeerError, ReachedItself
from twisted_bazaar.node.control import PROTOCOL_VERSION, ThisIsMe
from twisted_bazaar.node.links.link import Link
from twisted_bazaar.values.addresses import Address, Peer


@frozen
class Known:
    """A node that this one has heard of.

    @ivar key: its public key; None until it has been linked to this node.
    @ivar heard_at: when it was last heard of, in seconds.
    """

    id: int
    address: Address
    key: str | None
    heard_at: float


class Peers:
    """The open links of one node by the id of their other end, and the nodes it has heard of.

    @param own_key: this node's public key.
    @param max_links: past it strangers are refused.
    @param known_cap: how many nodes are remembered that are not linked.
    @param known_s: for how long.
    @param is_fair: whether somebody has to go for a newcomer when all links are taken; where there is room for all
        that the system lets a process have, looking for whom would take too long.
    @ivar links: the one link in use to each node.
    @ivar named: where the nodes are that the user named, by endpoint, once they have been connected to.
    @ivar reserved: slots that are kept for those of them that are missing.
    """

    def __init__(self, own_key: str, max_links: int, known_cap: int, known_s: float, *, is_fair: bool = True) -> None:
        self._own_key = own_key
        self._max_links = max_links
        self._is_fair = is_fair
        self.links: dict[int, Link] = {}
        self.named: dict[IStreamClientEndpoint, Address] = {}
        self.reserved = 0
        self._second_links: list[Link] = []
        # By id and key: nobody has to prove an id, so who greets under that of another is another that is heard of.
        self._known: FairTable[tuple[int, str | None], Known] = FairTable(known_cap, known_s)

    @property
    def is_full(self) -> bool:
        """Whether no stranger can be linked any more."""
        return len(self.links) >= self._most_strangers

    def admit(self, link: Link, peer: Peer, version: int, own_id: int, seen_host: str) -> Link | None:
        """Decide whether a node that has greeted may be linked.

        @param seen_host: where its connection leads to.
        @return: the link that is to be closed for it, if there was no room.
        @raise PeerError: it may not.
        """
        if version != PROTOCOL_VERSION:
            raise PeerError(f"protocol version {version}; this node speaks {PROTOCOL_VERSION}")
        if peer.key == self._own_key:
            raise ReachedItself("this node reached itself")
        old = self.links.get(peer.id)
        if peer.id == own_id or (old is not None and old.peer is not None and old.peer.key != peer.key):
            raise PeerError(f"the id {peer.id} belongs to another node")
        if old is None:
            most = self._max_links if self.is_user_named(link, peer, seen_host) else self._most_strangers
            if len(self.links) < most:
                return None
            loser = self._youngest_of_many(peer) if self._is_fair and not link.dialled else None
            if loser is None or len(self.links) > most:
                raise NoSlots("no slots available")
            return loser
        if not link.dialled and not self._replaces(link, old, peer.key):
            # Who dialled has sent nothing yet but its greeting.
            raise AlreadyLinked("a link is open already", own_id)
        return None

    def is_user_named(self, link: Link, peer: Peer, seen_host: str) -> bool:
        """Whether a link leads to a node that the user named."""
        # What it says of itself is not enough: it must come from there too.
        return link.is_named or (peer.address.host == seen_host and peer.address in self.named.values())

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
            if second.peer is not None and (second.peer.id, second.peer.key) == (link.peer.id, link.peer.key):
                self._second_links.remove(second)
                self.links[link.peer.id] = second
                return False
        return True

    def note_seen(self, peer: Peer, seen_host: str, now: float) -> None:
        """Remember a node that is or was linked, for when the tracker is away, beside others that said the same id.

        @param seen_host: where its connection comes from, which the entry is charged to: it could name any host.
        """
        if peer.address.port:
            self._known.put((peer.id, peer.key), Known(peer.id, peer.address, peer.key, now), seen_host, now)

    def note_hearsay(self, node_id: int, address: Address, teller: int, now: float) -> None:
        """Remember a node that somebody named; what is known of it at first hand stays."""
        self._known.put((node_id, None), Known(node_id, address, None, now), teller, now)

    def unlinked(self, now: float) -> Sequence[Known]:
        """The nodes heard of that are not linked, the one last heard of first."""
        known_here = [known for _, known in self._known.items(now) if known.id not in self.links]
        at_first_hand = {known.id for known in known_here if known.key is not None}
        entries = [known for known in known_here if known.key is not None or known.id not in at_first_hand]
        return sorted(entries, key=lambda known: known.heard_at, reverse=True)

    @property
    def _most_strangers(self) -> int:
        return max(1, self._max_links - self.reserved)

    def _youngest_of_many(self, newcomer: Peer) -> Link | None:
        """The link that goes for a newcomer: the youngest from where most come from, if that is many more than its own.

        So no machine keeps all others out. What this node dialled, and who was named, stays.
        """
        charged = Counter(link.peer.network for link in self.links.values() if link.peer is not None)
        busiest, count = charged.most_common(1)[0] if charged else ("", 0)
        if count <= charged[newcomer.network] + 1:
            return None
        for link in reversed(self.links.values()):
            peer = link.peer
            if peer is None or peer.network != busiest or link.dialled:
                continue
            if not self.is_user_named(link, peer, peer.seen_host):
                return link
        return None

    def _replaces(self, new: Link, old: Link, peer_key: str) -> bool:
        """Whether a new link to a node is kept and the old one closed. Both ends decide alike.

        Of two that were dialled from different ends, the one dialled by the greater key stays. Of
        two from the same end the later stays: the earlier may be a leftover of a crash.
        """
        if new.dialled == old.dialled:
            return True
        return (self._own_key > peer_key) == new.dialled


def address_of(greeting: ThisIsMe, seen_host: str) -> Address:
    """The address at which a node can be reached.

    @param seen_host: the host its connection came from. It counts unless the node names another. A
        node on another machine that listens on loopback only cannot be reached: its port is 0.
    """
    seen = Address(seen_host, greeting.port)
    if greeting.host is None:
        return seen
    named = Address(greeting.host, greeting.port)
    return replace(seen, port=0) if named.is_local and not seen.is_local else named
