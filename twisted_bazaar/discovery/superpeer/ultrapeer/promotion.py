"""Promotion: a leaf is asked to become a super peer when there are too few (Gnutella: ultrapeer election)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.discovery.superpeer.messages import MOST_OTHERS, Lead, Place
from twisted_bazaar.discovery.superpeer.neighbours.neighbour import Neighbour
from twisted_bazaar.discovery.superpeer.ultrapeer.leaves import Leaves, Registrant
from twisted_bazaar.interfaces import INode
from twisted_bazaar.values.addresses import Address

# As long as so much room is left, nobody is asked.
_LEAST_ROOM: Final = 0.1
_BETWEEN_S: Final = 60.0
# Who was asked and leads nobody is not asked again for a while.
_ASKED: Final = 256
_ASKED_S: Final = 600.0


class Promotion:
    """Asks one at a time, and not many in a row: the first may be enough.

    @param neighbours: the super peers that there are.
    """

    def __init__(self, node: INode, leaves: Leaves, neighbours: Callable[[], Sequence[Neighbour]]) -> None:
        self._node = node
        self._leaves = leaves
        self._neighbours = neighbours
        self._next_at = float("-inf")
        self._asked: FairTable[str, bool] = FairTable(_ASKED, _ASKED_S, shares=1)

    def consider(self) -> None:
        """Ask the leaf that has been there longest, of those that are able, if there is too little room."""
        now = self._node.clock.seconds()
        leaves = self._leaves
        if now < self._next_at or not leaves.is_open or leaves.room > leaves.most * _LEAST_ROOM:
            return
        neighbours = self._neighbours()
        room = sum(neighbour.room for neighbour in neighbours)
        if room > _LEAST_ROOM * (room + sum(neighbour.leaves for neighbour in neighbours)):
            return
        able = next((each for each in leaves.registrants.values() if self._is_able(each, now)), None)
        if able is None:
            return
        self._next_at = now + _BETWEEN_S
        self._asked.put(able.peer.key, True, None, now)
        elsewhere = f"the {len(neighbours)} it knows have room for {room}" if neighbours else "it knows no others"
        why = f"a super peer has {len(leaves)} of {leaves.most} weak peers, and {elsewhere}"
        places = tuple(_place(neighbour.address) for neighbour in neighbours[:MOST_OTHERS] if _is_for(able, neighbour))
        self._node.send(Lead(why=why, neighbours=places), able.route)
        self._node.report("asked_to_lead", "asked node {leaf} to be a super peer: {why}", leaf=able.peer.id, why=why)

    def _is_able(self, registrant: Registrant, now: float) -> bool:
        if not registrant.may_lead or not registrant.udp_port or not registrant.peer.address.port:
            return False
        return not self._asked.get(registrant.peer.key, now)


def _is_for(registrant: Registrant, neighbour: Neighbour) -> bool:
    """Whether a leaf gets to a neighbour at the address that this super peer has for it."""
    return registrant.peer.address.is_local or not neighbour.address.is_local


def _place(address: Address) -> Place:
    return Place(host=address.host, port=address.port)
