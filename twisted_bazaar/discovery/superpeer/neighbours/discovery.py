"""Neighbour discovery: finds more super peers while there are too few, by the tracker, links or former neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from twisted_bazaar.backoff import Backoff
from twisted_bazaar.discovery.superpeer.neighbours.contacts import NEVER, Contacts
from twisted_bazaar.interfaces import INode
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.values.addresses import Address, Whereabouts

KIND: Final = "super_peer"
_SOON_S: Final = 0.1
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
# Fewer than a tracker reads.
_MOST_NAMED: Final = 200


class NeighbourDiscovery:
    """Asks for one super peer after the other, with pauses that grow while it is in vain.

    @param contacts: where those that are named are to be greeted.
    @param have: tells the ids of those that are neighbours now.
    @param is_linked: whether there is a neighbour at an address.
    @param changed: called when C{due}, or that of the contacts, has changed by itself.
    @ivar due: when to ask next; never, while an answer has to come first, or nobody is wanted.
    """

    log: Final = limited_logger(__name__)

    def __init__(
        self,
        node: INode,
        contacts: Contacts,
        have: Callable[[], Sequence[int]],
        is_linked: Callable[[Address], bool],
        changed: Callable[[], None],
    ) -> None:
        self.due: float = NEVER
        self._node = node
        self._contacts = contacts
        self._have = have
        self._is_linked = is_linked
        self._changed = changed
        self._pause = Backoff(node.rng, _FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        self._is_asking = False

    def ask_soon(self, now: float) -> None:
        """Ask for another soon: there may be too few neighbours."""
        if not self._is_asking:
            self.due = min(self.due, now + _SOON_S)

    def ask_later(self, now: float) -> None:
        """Ask for another later: a super peer that was named cannot be had as a neighbour."""
        if not self._is_asking:
            self.due = min(self.due, now + self._pause.delay())

    def ask_next(self, now: float) -> None:
        """Ask for another: one that was named is a neighbour now, and there may be more."""
        self._pause.reset()
        self.ask_soon(now)

    def ask_if_due(self, wanted: int, now: float) -> None:
        """Ask the tracker for another super peer, if it is time to.

        @param wanted: how many are wanted, besides the neighbours there are.
        """
        if now < self.due or self._is_asking:
            return
        self.due = NEVER
        if wanted <= self._contacts.tried_count:
            return
        self._is_asking = True
        have = [self._node.id, *self._have(), *self._contacts.avoided(now)][:_MOST_NAMED]
        asking = self._node.ask_tracker_for(KIND, have)
        asking.addCallback(self._named)
        asking.addErrback(lambda failure: self.log.failure("asking the tracker for another super peer failed", failure))

    def _named(self, named: Whereabouts | None) -> None:
        self._is_asking = False
        now = float(self._node.clock.seconds())
        named = named or self._linked_one(now)
        if named is None:
            # Perhaps the tracker is away, and somebody is back who was a neighbour.
            node_id, address = None, self._contacts.remembered(now)
        else:
            node_id = named.id
            address = Address(named.address.host, named.udp_port) if named.udp_port else None
        if address is not None and not self._is_linked(address) and self._contacts.find(address, node_id, now):
            self.due = now + _SOON_S
        else:
            if node_id is not None:
                self._contacts.avoid(node_id, now)
            self.due = now + self._pause.delay()
        self._changed()

    def _linked_one(self, now: float) -> Whereabouts | None:
        """One of those that say over a link that they are super peers: whoever was a leaf knows no others."""
        known = {*self._have(), *self._contacts.avoided(now)}
        near = [peer for peer in self._node.peers() if peer.kind == KIND and peer.udp_port and peer.id not in known]
        if not near:
            return None
        peer = self._node.rng.choice(near)
        return Whereabouts(peer.id, peer.address, peer.udp_port)
