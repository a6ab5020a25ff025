"""An ideal ring: each node with the right neighbours and fingers from the beginning. Sans-IO.

As in the simulations of Stoica and others, "Chord" (ToN 2003), which begin with a ring that is right.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping

from twisted_bazaar.discovery.ring.rules.actions import InitialNeighbours
from twisted_bazaar.discovery.ring.rules.fingers import PARTS
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring


def initial_neighbours_of(
    ring: Ring, contacts: Iterable[Contact], successors: int
) -> Mapping[Contact, InitialNeighbours]:
    """The initial neighbours of each of these nodes.

    @param successors: how many nodes after itself each knows.
    """
    order = sorted(contacts, key=lambda contact: contact.id)
    identifiers = [contact.id for contact in order]
    count = len(order)
    following = min(successors, count - 1)
    initial_neighbours = {}
    for index, contact in enumerate(order):
        after = tuple(order[(index + step) % count] for step in range(1, following + 1))
        known = _known(ring, contact, after, order, identifiers)
        initial_neighbours[contact] = InitialNeighbours(order[index - 1] if count > 1 else None, after, known)
    return initial_neighbours


def _known(
    ring: Ring, own: Contact, after: tuple[Contact, ...], order: list[Contact], identifiers: list[int]
) -> tuple[Contact, ...]:
    """Whom a node finds that looks for the beginning of each part of its fingers."""
    nearest = ring.distance(own.id, after[-1].id) if after else ring.size
    known = dict[Contact, None]()
    for octave in range(nearest.bit_length() - 1, ring.bits):
        parts = min(PARTS, 1 << octave)
        for part in range(parts):
            start = (1 << octave) + (part << octave) // parts
            if start >= nearest:
                known[order[bisect_left(identifiers, (own.id + start) % ring.size) % len(order)]] = None
    known.pop(own, None)
    return tuple(known)
