"""Predecessors that ping this node because it is one of their successors. Sans-IO.

In a classroom that is how a node knows its two predecessors, and whom to tell when it goes.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring


class PingingPredecessors:
    """The nearest nodes that have pinged this one lately.

    @param own: the identifier of this node.
    @param most: how many there are to be; others farther away are forgotten.
    @param lifetime_s: for how long who has asked counts.
    """

    def __init__(self, own: int, ring: Ring, most: int, lifetime_s: float) -> None:
        self._own = own
        self._ring = ring
        self._most = most
        self._lifetime_s = lifetime_s
        self._asked: dict[Contact, float] = {}

    def on_ping(self, contact: Contact, now: float) -> None:
        """Somebody has asked."""
        is_known = contact in self._asked
        self._asked[contact] = now
        if is_known:
            return
        near = self.recent(now)
        self._asked = {each: self._asked[each] for each in near}

    def discard(self, contact: Contact) -> None:
        """Somebody has gone."""
        self._asked.pop(contact, None)

    def recent(self, now: float) -> Sequence[Contact]:
        """Who has asked lately, the nearest first."""
        fresh = [each for each, asked in self._asked.items() if now - asked < self._lifetime_s]
        return sorted(fresh, key=lambda each: self._ring.distance(each.id, self._own))[: self._most]
