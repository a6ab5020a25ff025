"""Who probably keeps what stands at a place, by what one node knows without asking anybody. Sans-IO.

On a ring that is not large a node knows nearly everybody, and need not look for them. How far its knowledge goes it
sees from how close its own successors stand: where those that it knows are much farther apart, it does not know all.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from twisted_bazaar.discovery.ring.circle import Circle
from twisted_bazaar.discovery.ring.dead import Dead
from twisted_bazaar.discovery.ring.fingers import Fingers
from twisted_bazaar.discovery.ring.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.membership import Membership
from twisted_bazaar.discovery.ring.named import host_of

# The second node after a place is farther than so many mean distances once in 2,000 times, if places are random.
_FARTHEST: Final = 10


class Likely:
    """Whom one node knows, near and far, in the order of the ring."""

    def __init__(self, ring: Ring, membership: Membership, fingers: Fingers, dead: Dead) -> None:
        self._ring = ring
        self._membership = membership
        self._fingers = fingers
        self._dead = dead
        # The node itself and its neighbours, and what that was made of.
        self._near = Circle(membership.own.id, ring)
        self._made_of: tuple[object, ...] = ()

    def holders(self, place: int, now: float, most: int) -> tuple[Contact, ...]:
        """The first nodes at a place and after it as far as they are known, one of each host, and none that is taken
        for dead.

        @param most: how many at most.
        @return: none if there probably are others between them, and if one host is behind all.
        """
        membership, ring = self._membership, self._ring
        successors = membership.successors
        if not membership.is_member or not successors:
            return ()
        likely = self._first(place, now, most)
        if len(likely) < 2:
            return ()
        if len(successors) < membership.most:
            # The list goes once round: these are all there are.
            return likely
        apart = ring.distance(membership.own.id, successors[-1].id) / len(successors)
        return likely if ring.distance(place, likely[1].id) <= _FARTHEST * apart else ()

    def _first(self, place: int, now: float, most: int) -> tuple[Contact, ...]:
        by_host: dict[Hashable, Contact] = {}
        for contact in self._neighbours().from_place(place, self._fingers.circle):
            host = host_of(contact)
            if host not in by_host and not self._dead.has(contact, now):
                by_host[host] = contact
                if len(by_host) == most:
                    break
        return tuple(by_host.values())

    def _neighbours(self) -> Circle:
        membership = self._membership
        made_of = (membership.predecessor, membership.successors)
        if made_of != self._made_of:
            own, before = membership.own, () if membership.predecessor is None else (membership.predecessor,)
            self._near = Circle(own.id, self._ring, (*before, *membership.successors, own))
            self._made_of = made_of
        return self._near
