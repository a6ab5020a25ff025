"""Nodes in the order of the ring."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.rings import SMALL, contact
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.sorted_contacts import SortedContacts

identifiers = st.lists(st.integers(0, SMALL.size - 1), max_size=12)


def nodes(found: list[int], key: str) -> list[Contact]:
    """Nodes at places."""
    return [contact(identifier, key=key) for identifier in found]


class CircleTests(SynchronousTestCase):
    """One that begins at any place."""

    @given(st.integers(0, SMALL.size - 1), identifiers, identifiers, st.integers(0, SMALL.size - 1))
    def test_with_more(self, start: int, first: list[int], more: list[int], identifier: int) -> None:
        """With more it is as if it had been made of all, the later before the earlier; and stays itself what it was."""
        circle = SortedContacts(start, SMALL, nodes(first, "aa"))
        before = list(circle.from_identifier(identifier))
        larger = circle.with_more(nodes(more, "bb"))
        anew = SortedContacts(start, SMALL, [*nodes(first, "aa"), *nodes(more, "bb")])
        self.assertEqual(list(larger.from_identifier(identifier)), list(anew.from_identifier(identifier)))
        self.assertEqual(list(circle.from_identifier(identifier)), before)

    @given(st.integers(0, SMALL.size - 1), identifiers, st.integers(0, SMALL.size - 1))
    def test_from_place(self, start: int, found: list[int], identifier: int) -> None:
        """All come, each once, in the order in which one meets them going up; wherever it begins."""
        circle = SortedContacts(start, SMALL, nodes(found, "aa"))
        expected = sorted(set(found), key=lambda each: SMALL.distance(identifier, each))
        self.assertEqual([each.id for each in circle.from_identifier(identifier)], expected)
        for each in dict.fromkeys(found):
            circle.remove(contact(each, key="aa"))
        self.assertEqual(list(circle.from_identifier(identifier)), [])
