"""Who probably keeps what stands at a place, by what one node knows without asking anybody. Sans-IO.

On a ring that is not large a node knows nearly everybody, and need not look for them. How far its knowledge goes it
sees from how close its own successors stand: where those that it knows are much farther apart, it does not know all.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from twisted_bazaar.discovery.ring.dead import Dead
from twisted_bazaar.discovery.ring.fingers import Fingers
from twisted_bazaar.discovery.ring.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.membership import Membership
from twisted_bazaar.discovery.ring.named import host_of

# The second node after a place is farther than so many mean distances once in 2,000 times, if places are random.
_FARTHEST: Final = 10
# Some may be dead, or on the host of another.
_SPARE: Final = 4


def likely_holders(
    place: int, ring: Ring, membership: Membership, fingers: Fingers, dead: Dead, now: float, most: int
) -> tuple[Contact, ...]:
    """The first nodes after a place as far as they are known, one of each host, and none that is taken for dead.

    @param most: how many at most.
    @return: none if there probably are others between them, and if one host is behind all.
    """
    successors = membership.successors
    if not membership.is_member or not successors:
        return ()
    # What stands at the place itself is after it.
    far = fingers.beyond((place - 1) % ring.size, now, most + _SPARE)
    near = (membership.own, *dead.living(successors, now), *dead.living(_only(membership.predecessor), now))
    by_host: dict[Hashable, Contact] = {}
    for contact in sorted({*far, *near}, key=lambda each: ring.distance(place, each.id)):
        by_host.setdefault(host_of(contact), contact)
    likely = tuple(by_host.values())[:most]
    if len(likely) < 2:
        return ()
    if len(successors) < membership.most:
        # The list goes once round: these are all there are.
        return likely
    apart = ring.distance(membership.own.id, successors[-1].id) / len(successors)
    return likely if ring.distance(place, likely[1].id) <= _FARTHEST * apart else ()


def _only(contact: Contact | None) -> tuple[Contact, ...]:
    return () if contact is None else (contact,)
