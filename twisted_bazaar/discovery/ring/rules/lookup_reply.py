"""The reply to a lookup: the contacts that a node knows round an identifier. Sans-IO."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from twisted_bazaar.discovery.ring.rules.fingers import Fingers
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.recently_failed import RecentlyFailed
from twisted_bazaar.discovery.ring.rules.stabilization import Stabilization

MOST_BEFORE: Final = 4
MOST_BEYOND: Final = 2


@frozen
class LookupReply:
    """The reply of one node to a lookup.

    @ivar node: itself.
    @ivar before: nodes it knows between itself and the identifier, the nearest to the identifier first.
    @ivar after: its successors at the identifier and after it, the nearest first; none if its list does not go so far.
        One that is responsible itself comes first here.
    @ivar predecessor: the node before it.
    @ivar beyond: nodes after the identifier, and after that list, that it happens to know: if all who should be there
        have died at once, somebody may live who comes next.
    """

    node: Contact
    before: tuple[Contact, ...] = ()
    after: tuple[Contact, ...] = ()
    predecessor: Contact | None = None
    beyond: tuple[Contact, ...] = ()


def reply_for(
    identifier: int,
    ring: Ring,
    stabilization: Stabilization,
    fingers: Fingers,
    failed: RecentlyFailed,
    now: float,
    most: int = MOST_BEFORE,
) -> LookupReply:
    """The reply of a node, from its routing table."""
    own, successors = stabilization.own, failed.living(stabilization.successors, now)
    if stabilization.is_responsible(identifier):
        before = () if stabilization.predecessor is None else (stabilization.predecessor,)
        return LookupReply(own, before, (own, *successors), stabilization.predecessor)
    near = [contact for contact in reversed(successors) if ring.is_between(own.id, contact.id, identifier)]
    if len(near) < len(successors):
        # The identifier is in reach of the list: no finger is nearer. A list that is not full goes all the way round.
        after = successors[len(near) :]
        beyond: tuple[Contact, ...] = ()
        if len(stabilization.successors) < stabilization.most:
            after = (*after, own, *reversed(near))
        else:
            beyond = tuple(fingers.following(successors[-1].id, now, MOST_BEYOND))
        return LookupReply(own, tuple(near[:most]), after, stabilization.predecessor, beyond)
    far = [each for each in fingers.closest_preceding(identifier, now, most) if each not in near]
    known = sorted((*far, *near[:most]), key=lambda contact: ring.distance(contact.id, identifier))
    return LookupReply(
        own, tuple(known[:most]), (), stabilization.predecessor, tuple(fingers.following(identifier, now, MOST_BEYOND))
    )
