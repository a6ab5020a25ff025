"""The invariants of a ring: at every moment, and of one that has been quiet (Zave, 2017). Sans-IO.

For tests and for the simulator: they see all nodes at once, which no node does.

Source: Zave, "How to make Chord correct" (arXiv 1502.06461) and "Reasoning about identifier spaces" (TSE 2017). What
she proves holds while at least C{most + 1} members, the base, stay; and while nobody loses all its successors at once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise

from twisted_bazaar.discovery.ring.rules.actions import NodeState
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring


def faults(
    ring: Ring, members: Iterable[NodeState], most: int, base: Collection[Contact] | None = None
) -> Iterator[str]:
    """In what a ring is broken.

    @param members: all nodes that have joined and live.
    @param most: how many successors each keeps.
    @param base: nodes that have been members all along; if not given, any that nobody leaves out will do, as long as
        there are enough. A ring that has never had C{most + 1} members in peace has no base: then empty.
    """
    standings = {standing.node: standing for standing in members}
    first = {node: _first_living(standing, standings) for node, standing in standings.items()}
    for node, successor in first.items():
        if successor is None:
            yield f"{node.id:x} has no successor that lives"
    for standing in standings.values():
        yield from _list_faults(ring, standing)
    yield from _circle_faults(ring, first)
    skipped = _skipped(ring, standings)
    if base is not None:
        yield from (f"{node.id:x} of the base is left out" for node in base if node in skipped)
    elif len(standings) - len(skipped) < min(most + 1, len(standings)):
        yield f"only {len(standings) - len(skipped)} nodes are left out by nobody"


def flaws(ring: Ring, members: Iterable[NodeState], most: int) -> Iterator[str]:
    """In what a ring is not ideal: where somebody does not have exactly the neighbours that it should."""
    standings = sorted(members, key=lambda standing: standing.node.id)
    nodes = [standing.node for standing in standings]
    length = min(most, len(nodes) - 1)
    for place, standing in enumerate(standings):
        following = tuple(nodes[(place + step) % len(nodes)] for step in range(1, length + 1))
        if standing.successors != following:
            yield f"{standing.node.id:x} is followed by {_ids(following)}, and says by {_ids(standing.successors)}"
        before = nodes[place - 1] if len(nodes) > 1 else None
        if standing.predecessor != before:
            yield f"{standing.node.id:x} comes after {_ids([before])}, and says after {_ids([standing.predecessor])}"


def _first_living(standing: NodeState, living: Collection[Contact]) -> Contact | None:
    """The nearest successor that lives; one that knows of none is its own, and a ring by itself."""
    if not standing.successors:
        return standing.node
    return next((contact for contact in standing.successors if contact in living), None)


def _list_faults(ring: Ring, standing: NodeState) -> Iterator[str]:
    """What is wrong with one list of successors: a repeat, or one that is not in order."""
    own = standing.node.id
    distances = [ring.distance(own, contact.id) for contact in standing.successors]
    if not all(one < other for one, other in pairwise([0, *distances])):
        yield f"{own:x} has successors twice, or out of order: {_ids(standing.successors)}"


def _circle_faults(ring: Ring, first: Mapping[Contact, Contact | None]) -> Iterator[str]:
    """Whether there is one ring, in order, and a way from everybody to it."""
    circles = list[list[Contact]]()
    seen = dict[Contact, int]()
    for turn, start in enumerate(first):
        way = list[Contact]()
        node: Contact | None = start
        while node is not None and node not in seen:
            seen[node] = turn
            way.append(node)
            node = first[node]
        if node is not None and seen[node] == turn:
            circles.append(way[way.index(node) :])
    if len(circles) != 1 and first:
        yield f"there are {len(circles)} rings"
    for circle in circles:
        length = sum(ring.distance(one.id, other.id) for one, other in pairwise([*circle, circle[0]]))
        if length > ring.size:
            yield f"a ring goes round more than once: {_ids(circle)}"


def _skipped(ring: Ring, standings: Mapping[Contact, NodeState]) -> set[Contact]:
    """The members that somebody's list leaves out."""
    nodes = sorted(standings, key=lambda node: node.id)
    places = [node.id for node in nodes]
    skipped = set[Contact]()
    for standing in standings.values():
        for low, high in pairwise((standing.node, *standing.successors)):
            start = bisect_left(places, (low.id + 1) % ring.size)
            for step in range(len(nodes)):
                node = nodes[(start + step) % len(nodes)]
                if not ring.is_between(low.id, node.id, high.id):
                    break
                skipped.add(node)
    return skipped


def _ids(contacts: Iterable[Contact | None]) -> str:
    return " ".join("nobody" if contact is None else f"{contact.id:x}" for contact in contacts) or "nobody"
