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
    states = {state.node: state for state in members}
    first = {node: _first_living(state, states) for node, state in states.items()}
    for node, successor in first.items():
        if successor is None:
            yield f"{node.id:x} has no successor that lives"
    for state in states.values():
        yield from _list_faults(ring, state)
    yield from _circle_faults(ring, first)
    skipped = _skipped(ring, states)
    if base is not None:
        yield from (f"{node.id:x} of the base is left out" for node in base if node in skipped)
    elif len(states) - len(skipped) < min(most + 1, len(states)):
        yield f"only {len(states) - len(skipped)} nodes are left out by nobody"


def flaws(ring: Ring, members: Iterable[NodeState], most: int) -> Iterator[str]:
    """In what a ring is not ideal: where somebody does not have exactly the neighbours that it should."""
    states = sorted(members, key=lambda state: state.node.id)
    nodes = [state.node for state in states]
    length = min(most, len(nodes) - 1)
    for place, state in enumerate(states):
        following = tuple(nodes[(place + step) % len(nodes)] for step in range(1, length + 1))
        if state.successors != following:
            yield f"{state.node.id:x} is followed by {_ids(following)}, and says by {_ids(state.successors)}"
        before = nodes[place - 1] if len(nodes) > 1 else None
        if state.predecessor != before:
            yield f"{state.node.id:x} comes after {_ids([before])}, and says after {_ids([state.predecessor])}"


def _first_living(state: NodeState, living: Collection[Contact]) -> Contact | None:
    """The nearest successor that lives; one that knows of none is its own, and a ring by itself."""
    if not state.successors:
        return state.node
    return next((contact for contact in state.successors if contact in living), None)


def _list_faults(ring: Ring, state: NodeState) -> Iterator[str]:
    """What is wrong with one list of successors: a repeat, or one that is not in order."""
    own = state.node.id
    distances = [ring.distance(own, contact.id) for contact in state.successors]
    if not all(one < other for one, other in pairwise([0, *distances])):
        yield f"{own:x} has successors twice, or out of order: {_ids(state.successors)}"


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


def _skipped(ring: Ring, states: Mapping[Contact, NodeState]) -> set[Contact]:
    """The members that somebody's list leaves out."""
    nodes = sorted(states, key=lambda node: node.id)
    places = [node.id for node in nodes]
    skipped = set[Contact]()
    for state in states.values():
        for low, high in pairwise((state.node, *state.successors)):
            start = bisect_left(places, (low.id + 1) % ring.size)
            for step in range(len(nodes)):
                node = nodes[(start + step) % len(nodes)]
                if not ring.is_between(low.id, node.id, high.id):
                    break
                skipped.add(node)
    return skipped


def _ids(contacts: Iterable[Contact | None]) -> str:
    return " ".join("nobody" if contact is None else f"{contact.id:x}" for contact in contacts) or "nobody"
