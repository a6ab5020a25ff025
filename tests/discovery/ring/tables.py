"""A network of nodes that answer questions about places, as if their tables had just been made. Pure."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any

from tests.discovery.ring.rings import contact
from twisted_bazaar.discovery.ring.rules.fingers import PARTS, Fingers
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.lookup import MOST_STARTS, Found, Lookup
from twisted_bazaar.discovery.ring.rules.lookup_reply import LookupReply, reply_for
from twisted_bazaar.discovery.ring.rules.recently_failed import RecentlyFailed
from twisted_bazaar.discovery.ring.rules.stabilization import Stabilization

USUAL = Ring()


class Net:
    """Many nodes with fresh tables.

    @ivar nodes: all of them, in order.
    @ivar dead: those that do not answer.
    @ivar liars: what those nodes say that do not tell the truth; they may be none of the nodes.
    """

    def __init__(
        self, rng: random.Random, identifiers: Iterable[int], ring: Ring = USUAL, most: int = 8, parts: int = PARTS
    ) -> None:
        self.rng = rng
        self.ring = ring
        self.nodes = [contact(identifier) for identifier in sorted(identifiers)]
        self.identifiers = [node.id for node in self.nodes]
        self.dead = set[Contact]()
        self.liars: dict[Contact, Callable[[int], LookupReply]] = {}
        self.neighbours = dict[Contact, Stabilization]()
        self.fingers = dict[Contact, Fingers]()
        self.known_dead = dict[Contact, RecentlyFailed]()
        count = len(self.nodes)
        for index, node in enumerate(self.nodes):
            dead = self.known_dead[node] = RecentlyFailed()
            made = self.neighbours[node] = Stabilization(node, ring, most, failed=dead)
            made.begin()
            length = min(most, count - 1)
            made.successors = tuple(self.nodes[(index + step) % count] for step in range(1, length + 1))
            made.predecessor = self.nodes[index - 1] if count > 1 else None
            self.fingers[node] = self._fingers(node, made, dead, parts)

    @classmethod
    def of(cls, rng: random.Random, count: int, most: int = 8, parts: int = PARTS) -> Net:
        """So many nodes anywhere."""
        return cls(rng, {rng.randrange(USUAL.size) for _ in range(count)}, most=most, parts=parts)

    def _fingers(self, node: Contact, made: Stabilization, dead: RecentlyFailed, parts: int) -> Fingers:
        """A table for which everything has been looked up once."""
        fingers = Fingers(node.id, self.ring, max(1, parts), failed=dead)
        while parts and (identifier := fingers.next_refresh(made.successors, 1.0, self.rng)) is not None:
            fingers.learn(self.holder(identifier))
        return fingers

    def holder(self, identifier: int) -> Contact:
        """Who is responsible for a place, of those that live."""
        return self.holders(identifier, 1)[0]

    def holders(self, identifier: int, count: int) -> list[Contact]:
        """Who keeps what belongs to a place, of those that live."""
        start = bisect_left(self.identifiers, identifier)
        found = list[Contact]()
        for step in range(len(self.nodes)):
            node = self.nodes[(start + step) % len(self.nodes)]
            if node not in self.dead:
                found.append(node)
            if len(found) == count:
                break
        return found

    def kill(self, share: float) -> None:
        """Such a share of the nodes dies at once."""
        self.dead.update(self.rng.sample(self.nodes, round(share * len(self.nodes))))

    def living(self) -> list[Contact]:
        """Those that live, in order."""
        return [node for node in self.nodes if node not in self.dead]

    def answer(self, node: Contact, identifier: int, most: int = 4) -> LookupReply:
        """What one says."""
        if node in self.liars:
            return self.liars[node](identifier)
        return reply_for(
            identifier, self.ring, self.neighbours[node], self.fingers[node], self.known_dead[node], 1.0, most
        )

    def lookup(self, by: Contact, identifier: int, **settings: Any) -> Lookup:
        """A search that has not begun."""
        return Lookup(identifier, self.ring, self.answer(by, identifier, MOST_STARTS), **settings)

    def go_on(self, lookup: Lookup, identifier: int) -> list[Contact]:
        """One round: all who are to be asked answer, or do not. Who was asked."""
        asked = lookup.next_contacts()
        for node in asked:
            if node in self.liars or (node in self.neighbours and node not in self.dead):
                lookup.on_reply(self.answer(node, identifier))
            else:
                lookup.on_failure(node)
        return asked

    def look_up(self, by: Contact, identifier: int, **settings: Any) -> Found:
        """Look for a place."""
        lookup = self.lookup(by, identifier, **settings)
        while not lookup.is_over:
            self.go_on(lookup, identifier)
        return lookup.found
