"""Who probably keeps what stands at a place, by what one node knows without asking anybody. Sans-IO.

On a ring that is not large a node knows nearly everybody, and need not look for them. How far its knowledge goes it
sees from how close its own successors stand: where those that it knows are much farther apart, it does not know all.
Its few successors may by chance stand twice as close as all do in the mean. So where those that it knows are nearly as
many as there seem to be, it goes by how far apart these stand.
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
# Eight nodes stand closer together than all do by so many times, or more, once in 20 times.
_BY_CHANCE: Final = 2


class Likely:
    """Whom one node knows, near and far, in the order of the ring."""

    __slots__ = ("_dead", "_farthest", "_fingers", "_known", "_made_of", "_membership", "_ring")

    def __init__(self, ring: Ring, membership: Membership, fingers: Fingers, dead: Dead) -> None:
        self._ring = ring
        self._membership = membership
        self._fingers = fingers
        self._dead = dead
        # All of them and the node itself; how far after a place the second may stand, if there are no others between;
        # and what both were made of.
        self._known = Circle(membership.own.id, ring)
        self._farthest = 0.0
        self._made_of: tuple[object, ...] = ()

    def holders(self, place: int, now: float, most: int) -> tuple[Contact, ...]:
        """The first nodes at a place and after it as far as they are known, one of each host, and none that is taken
        for dead.

        @param most: how many at most.
        @return: none if there probably are others between them, and if one host is behind all.
        """
        membership, fingers = self._membership, self._fingers
        if not membership.is_member or not membership.successors:
            return ()
        made_of = (fingers.changes, membership.predecessor, membership.successors)
        if made_of != self._made_of:
            self._make()
            self._made_of = made_of
        likely = self._first(place, now, most)
        if len(likely) < 2 or self._ring.distance(place, likely[1].id) > self._farthest:
            return ()
        return tuple(likely)

    def _first(self, place: int, now: float, most: int) -> list[Contact]:
        dead = None if self._dead.is_empty(now) else self._dead
        first = list[Contact]()
        hosts = set[Hashable]()
        for contact in self._known.from_place(place):
            if dead is not None and dead.has(contact, now):
                continue
            # On this machine each node counts as a host.
            if not contact.address.is_local:
                host = host_of(contact)
                if host in hosts:
                    continue
                hosts.add(host)
            first.append(contact)
            if len(first) == most:
                break
        return first

    def _make(self) -> None:
        membership, ring = self._membership, self._ring
        own, successors = membership.own, membership.successors
        before = () if membership.predecessor is None else (membership.predecessor,)
        self._known = self._fingers.circle.with_more((*before, *successors, own))
        if len(successors) < membership.most:
            # The list goes once round: these are all there are.
            self._farthest = ring.size
            return
        apart = ring.distance(own.id, successors[-1].id) / len(successors)
        known_apart = ring.size / (len(self._fingers) + 1)
        if known_apart <= _BY_CHANCE * apart:
            apart = known_apart
        self._farthest = _FARTHEST * apart
