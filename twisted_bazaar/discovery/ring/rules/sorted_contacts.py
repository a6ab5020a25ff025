"""Contacts sorted by their distance from an identifier, clockwise. Sans-IO."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring


class SortedContacts:
    """A sorted list of contacts, no two of one identifier.

    @param start: the identifier that it begins and ends at.
    @param contacts: some to begin with; of those of one identifier the last.
    @ivar contacts: the nodes, by how far they are from there.
    """

    __slots__ = ("_distances", "_ring", "_start", "contacts")

    def __init__(self, start: int, ring: Ring, contacts: Iterable[Contact] = ()) -> None:
        self._start = start
        self._ring = ring
        there = {ring.distance(start, contact.id): contact for contact in contacts}
        self._distances: list[int] = sorted(there)
        self.contacts: list[Contact] = [there[distance] for distance in self._distances]

    def with_more(self, contacts: Iterable[Contact]) -> SortedContacts:
        """A circle of these nodes and some more; of those of one identifier the last."""
        circle = SortedContacts(self._start, self._ring)
        circle._distances, circle.contacts = self._distances.copy(), self.contacts.copy()
        for contact in contacts:
            circle.add(contact)
        return circle

    def add(self, contact: Contact) -> None:
        """Take in a node, in place of who has been at its identifier."""
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

    def index(self, identifier: int) -> int:
        """The index of the first node at an identifier or after it; the number of nodes if none is before the end."""
        return bisect_left(self._distances, self._ring.distance(self._start, identifier))

    def from_identifier(self, identifier: int, most: int | None = None) -> list[Contact]:
        """All, once round from an identifier, or so many of them."""
        contacts, start = self.contacts, self.index(identifier)
        if most is not None and start + most <= len(contacts):
            return contacts[start : start + most]
        return (contacts[start:] + contacts[:start])[:most]
