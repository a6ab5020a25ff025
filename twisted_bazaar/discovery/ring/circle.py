"""Nodes in the order of the ring, as they come when one goes up from a place. Sans-IO."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from twisted_bazaar.discovery.ring.identifiers import Contact, Ring


class Circle:
    """Some nodes, no two of one place.

    @param start: the place that it begins and ends at.
    @ivar contacts: the nodes, by how far they are from there.
    """

    def __init__(self, start: int, ring: Ring, contacts: Iterable[Contact] = ()) -> None:
        self._start = start
        self._ring = ring
        self.contacts: list[Contact] = []
        self._distances: list[int] = []
        for contact in contacts:
            self.add(contact)

    def add(self, contact: Contact) -> None:
        """Take in a node, in place of who has been at its place."""
        distance = self._ring.distance(self._start, contact.id)
        index = bisect_left(self._distances, distance)
        if index < len(self._distances) and self._distances[index] == distance:
            self.contacts[index] = contact
        else:
            self._distances.insert(index, distance)
            self.contacts.insert(index, contact)

    def remove(self, contact: Contact) -> None:
        """Let go of a node that is there."""
        index = self.index(contact.id)
        del self._distances[index], self.contacts[index]

    def index(self, place: int) -> int:
        """Which of the nodes is the first at a place or after it; how many there are, if none is before the end."""
        return bisect_left(self._distances, self._ring.distance(self._start, place))

    def from_place(self, place: int, other: Circle) -> Iterator[Contact]:
        """Those of this and of another with the same start, once round from a place; who is in both comes twice."""
        here, there = self.index(place), other.index(place)
        yield from self._merged(here, len(self.contacts), other, there, len(other.contacts))
        yield from self._merged(0, here, other, 0, there)

    def _merged(self, index: int, end: int, other: Circle, index2: int, end2: int) -> Iterator[Contact]:
        contacts, contacts2 = self.contacts, other.contacts
        distances, distances2 = self._distances, other._distances
        while index < end or index2 < end2:
            if index2 >= end2 or (index < end and distances[index] <= distances2[index2]):
                yield contacts[index]
                index += 1
            else:
                yield contacts2[index2]
                index2 += 1
