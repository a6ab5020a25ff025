"""Fingers (Chord, 4.3): contacts at exponentially growing distances, so that lookups take few hops. Sans-IO.

The way round the ring is cut into octaves, each twice as long as the one before, and each octave into parts. Of each
part one node is looked for, and others that have answered are kept as well, up to a number: to take its place, and so
that on a ring that is not large nearly everybody is known. Nodes that have been there for long stay for long, so
whoever lives keeps its part. Nearer than the last successor no fingers are needed. One host can be as many nodes as it
likes, so of one only few are known; but for the machine that this node is on.

Source: Stoica and others, "Chord" (ToN 2003), whose table has one part an octave; as many in each as in Maymounkov and
Mazieres, "Kademlia" (IPTPS 2002).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from typing import Final

from attrs import Factory, define

from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.recently_failed import RecentlyFailed
from twisted_bazaar.discovery.ring.rules.sorted_contacts import SortedContacts
from twisted_bazaar.values.addresses import network_of

PARTS: Final = 4
REFRESH_S: Final = 120.0
# A part that is empty is looked into this much sooner.
_SOONER: Final = 4
# One in which nothing changes is looked into ever more seldom, in the end by this much.
_MOST_SELDOM: Final = 4
# It is another ring when the nodes stand so many times as close together as before, or as far apart.
_OTHER_SCALE: Final = 1.5
_NEVER: Final = float("inf")
HELD: Final = 16
_MOST_OF_A_HOST: Final = 4

_Slot = tuple[int, int]


def _host_of(contact: Contact) -> Hashable:
    return contact if contact.address.is_local else network_of(contact.address.host)


@define
class _Part:
    """The contacts in one part of an octave.

    @ivar held: who stands there, the one that has been known longest first.
    @ivar before: who stood there when that was seen last.
    @ivar due: when it is to be looked into again.
    @ivar wait_s: how long it is to be left alone after the next look.
    """

    held: list[Contact] = Factory(list)
    before: list[Contact] = Factory(list)
    due: float = 0.0
    wait_s: float = 0.0


class Fingers:
    """The finger table of one node.

    @param own: its identifier.
    @param parts: into how many parts each octave is cut; a power of two. More parts make fewer steps.
    @param failed: who has not answered lately.
    @param refresh_s: how often each part is looked into.
    @ivar sorted: all of them, from its identifier on.
    @ivar changes: how often they have become others.
    """

    __slots__ = (
        *("_own", "_ring", "_parts", "_failed", "_refresh_s", "sorted", "changes", "_slots", "_held", "_by_host"),
        *("_scale", "_next_due", "_settled"),
    )

    def __init__(
        self,
        own: int,
        ring: Ring,
        parts: int = PARTS,
        *,
        failed: RecentlyFailed | None = None,
        refresh_s: float = REFRESH_S,
    ) -> None:
        self._own = own
        self._ring = ring
        self._parts = parts
        self._failed = RecentlyFailed() if failed is None else failed
        self._refresh_s = refresh_s
        self.sorted: SortedContacts = SortedContacts(own, ring)
        self.changes: int = 0
        self._slots: dict[_Slot, _Part] = {}
        self._held: set[Contact] = set()
        self._by_host: Counter[Hashable] = Counter()
        # How far the successors went when all parts were last to be looked into anew.
        self._scale = ring.size
        # When the next part is to be looked into, while this is as it was: how often they have changed, and how far
        # the successors go.
        self._next_due = 0.0
        self._settled = (0, 0)

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, contact: object) -> bool:
        return contact in self._held

    def __iter__(self) -> Iterator[Contact]:
        return (contact for part in self._slots.values() for contact in part.held)

    def has_room(self, contact: Contact) -> bool:
        """Whether a node would be kept that stands where nobody is known."""
        part = self._slots.get(self._slot_of(contact.id))
        return (part is None or len(part.held) < HELD) and self._by_host[_host_of(contact)] < _MOST_OF_A_HOST

    def learn(self, contact: Contact) -> bool:
        """Note that a node lives, which has answered. Whether it is kept."""
        if contact in self._held:
            return True
        if contact.id == self._own:
            return False
        held = self._slots.setdefault(self._slot_of(contact.id), _Part()).held
        for index, each in enumerate(held):
            if each.id == contact.id:
                if each.key != contact.key and (self._ring.is_of_key(each) or not self._ring.is_of_key(contact)):
                    # Anybody can name any identifier: it belongs to whose key has it stand there, or to who came first.
                    return False
                # It has moved: who answers counts.
                self._forget(each)
                held[index] = contact
                break
        else:
            if not self.has_room(contact):
                return False
            held.append(contact)
        self._held.add(contact)
        self._by_host[_host_of(contact)] += 1
        self.sorted.add(contact)
        self.changes += 1
        return True

    def remove(self, contact: Contact) -> None:
        """Let go of a node that has not answered; whoever is next in its part takes its place."""
        if contact in self._held:
            self._slots[self._slot_of(contact.id)].held.remove(contact)
            self._forget(contact)
            self.sorted.remove(contact)
            self.changes += 1

    def _forget(self, contact: Contact) -> None:
        self._held.discard(contact)
        host = _host_of(contact)
        self._by_host[host] -= 1
        if not self._by_host[host]:
            del self._by_host[host]

    def closest_preceding(self, identifier: int, now: float, most: int) -> list[Contact]:
        """Whom to ask about an identifier: those before it, the last first, but not who is taken for dead."""
        contacts = self.sorted.contacts
        found = list[Contact]()
        for index in range(self._before(identifier) - 1, -1, -1):
            contact = contacts[index]
            if not self._failed.has(contact, now):
                found.append(contact)
                if len(found) == most:
                    break
        return found

    def following(self, identifier: int, now: float, most: int) -> list[Contact]:
        """Those after an identifier, the nearest first, but not who is taken for dead."""
        start = self._before((identifier + 1) % self._ring.size)
        after = self.sorted.contacts[start : start + most]
        return [contact for contact in after if not self._failed.has(contact, now)]

    def _before(self, identifier: int) -> int:
        """How many are met on the way up to an identifier; to its own that is all of them."""
        return len(self.sorted.contacts) if identifier == self._own else self.sorted.index(identifier)

    def next_refresh(self, successors: Sequence[Contact], now: float, rng: random.Random) -> int | None:
        """An identifier to look for now, so that the fingers stay right; None when there is nothing to do.

        Whoever is found is learnt by having answered. To be called every second or so. A part in which nothing changes
        is looked into ever more seldom.

        @param successors: the successors of this node.
        """
        nearest = self._ring.distance(self._own, successors[-1].id) if successors else self._ring.size
        if now < self._next_due and self._settled == (self.changes, nearest):
            return None
        if not self._scale / _OTHER_SCALE < nearest < self._scale * _OTHER_SCALE:
            # It has become another ring: what was looked into for long in vain may be full now.
            self._scale = nearest
            for part in self._slots.values():
                part.wait_s = 0.0
        self._settled = (self.changes, nearest)
        parts = [(slot, self._part_at(slot, now, rng)) for slot in self._wanted(nearest)]
        due = [(slot, part) for slot, part in parts if part.due <= now]
        if not due:
            self._next_due = min((part.due for _, part in parts), default=_NEVER)
            return None
        # There may be more of them.
        self._next_due = now
        # The farthest first: they save the most.
        slot, part = due[-1]
        part.due = now + part.wait_s * rng.uniform(0.75, 1.25)
        part.wait_s = min(2 * part.wait_s, _MOST_SELDOM * self._refresh_s)
        return (self._own + self._start_of(slot)) % self._ring.size

    def _wanted(self, nearest: int) -> Iterator[_Slot]:
        """The parts that are farther than the successors, the nearest first."""
        for octave in range(nearest.bit_length() - 1, self._ring.bits):
            for part in range(min(self._parts, 1 << octave)):
                if self._start_of((octave, part)) >= nearest:
                    yield octave, part

    def _part_at(self, slot: _Slot, now: float, rng: random.Random) -> _Part:
        part = self._slots.get(slot)
        if part is None:
            part = self._slots[slot] = _Part()
        if part.held != part.before or not part.wait_s:
            part.wait_s = self._refresh_s if part.held else self._refresh_s / _SOONER
            if not part.due:
                # Learnt by the way: no hurry.
                part.due = now + part.wait_s * rng.random() if part.held else 0.0
            else:
                due = now + part.wait_s * rng.uniform(0.75, 1.25)
                part.due = min(part.due, due) if part.before else due
            part.before = [*part.held]
        return part

    def _slot_of(self, identifier: int) -> _Slot:
        distance = self._ring.distance(self._own, identifier)
        octave = distance.bit_length() - 1
        parts = min(self._parts, 1 << octave)
        return octave, (distance - (1 << octave)) * parts >> octave

    def _start_of(self, slot: _Slot) -> int:
        octave, part = slot
        return (1 << octave) + (part << octave) // min(self._parts, 1 << octave)
