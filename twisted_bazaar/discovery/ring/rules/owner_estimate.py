"""One-hop estimate of the owners of a key, from one node's routing table and the density of nodes. Sans-IO.

On a ring that is not large a node knows nearly everybody, and need not look for them. How far its knowledge goes it
sees from how close nodes stand that come one after another: where those that it knows are much farther apart, it does
not know all. Its own successors are few, and may by chance stand several times as close as all do in the mean; so it
takes the median of its own list and of those that others have told it, one of each host.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from statistics import median
from typing import Final

from twisted_bazaar.discovery.ring.rules.fingers import Fingers
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.recently_failed import RecentlyFailed
from twisted_bazaar.discovery.ring.rules.sorted_contacts import SortedContacts
from twisted_bazaar.discovery.ring.rules.stabilization import Stabilization
from twisted_bazaar.discovery.ring.rules.unverified_contacts import host_of

# The second node after an identifier is farther than so many mean distances once in 2,000 times, if identifiers are
# random.
_FARTHEST: Final = 10
# Whose lists are remembered: as many as make a good median.
_LISTS: Final = 32


class OwnerEstimate:
    """Estimates owners from all contacts of one node, near and far."""

    __slots__ = ("_apart", "_failed", "_farthest", "_fingers", "_known", "_made_of", "_ring", "_stabilization")

    def __init__(self, ring: Ring, stabilization: Stabilization, fingers: Fingers, failed: RecentlyFailed) -> None:
        self._ring = ring
        self._stabilization = stabilization
        self._fingers = fingers
        self._failed = failed
        # All of them and the node itself; how far after an identifier the second may stand, if there are no others
        # between; and what both were made of.
        self._known = SortedContacts(stabilization.own.id, ring)
        self._farthest = 0.0
        self._made_of: tuple[object, ...] = ()
        # How far apart nodes stand, by what each host has told, the latest last.
        self._apart: OrderedDict[Hashable, float] = OrderedDict()

    def on_successors(self, contact: Contact, successors: Sequence[Contact]) -> None:
        """A member has told who comes after it."""
        far = self._ring.distance(contact.id, successors[-1].id) if successors else 0
        if not far:
            return
        host, apart = host_of(contact), far / len(successors)
        if self._apart.get(host) != apart:
            self._apart[host] = apart
            self._made_of = ()
        self._apart.move_to_end(host)
        if len(self._apart) > _LISTS:
            self._apart.popitem(last=False)

    def likely_owners(self, identifier: int, now: float, most: int) -> tuple[Contact, ...]:
        """The first nodes at an identifier and after it as far as they are known, one of each host, and none that is
        taken for dead.

        @param most: how many at most.
        @return: none if there probably are others between them, and if one host is behind all.
        """
        stabilization = self._stabilization
        successors = stabilization.successors
        if not successors or not stabilization.is_member:
            return ()
        made_of = (self._fingers.changes, stabilization.predecessor, successors)
        if made_of != self._made_of:
            self._make()
            self._made_of = made_of
        failed = None if self._failed.is_empty(now) else self._failed
        # Nearly always none of the first is to be left out.
        likely = self._usable(self._known.from_identifier(identifier, most), failed, now, most)
        if len(likely) < most:
            likely = self._usable(self._known.from_identifier(identifier), failed, now, most)
        if len(likely) < 2 or self._ring.distance(identifier, likely[1].id) > self._farthest:
            return ()
        return tuple(likely)

    def _usable(
        self, contacts: Iterable[Contact], failed: RecentlyFailed | None, now: float, most: int
    ) -> list[Contact]:
        """The first of some nodes that are not taken for dead, one of each host."""
        first = list[Contact]()
        hosts = set[Hashable]()
        for contact in contacts:
            if failed is not None and failed.has(contact, now):
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
        stabilization, ring = self._stabilization, self._ring
        own, successors = stabilization.own, stabilization.successors
        before = () if stabilization.predecessor is None else (stabilization.predecessor,)
        self._known = self._fingers.sorted.with_more((*before, *successors, own))
        if len(successors) < stabilization.most:
            # The list goes once round: these are all there are.
            self._farthest = ring.size
            return
        apart = ring.distance(own.id, successors[-1].id) / len(successors)
        self._farthest = _FARTHEST * median((apart, *self._apart.values()))
