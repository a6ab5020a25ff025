"""Networks of super peers that hypothesis makes up."""

from __future__ import annotations

from hypothesis import strategies as st


@st.composite
def graphs(draw: st.DrawFn) -> dict[int, set[int]]:
    """Neighbours, with loops of all lengths."""
    count = draw(st.integers(2, 14))
    links: dict[int, set[int]] = {node: set() for node in range(count)}
    edges = [(node, draw(st.integers(0, node - 1))) for node in range(1, count)]
    numbers = st.integers(0, count - 1)
    for one, other in (*edges, *draw(st.lists(st.tuples(numbers, numbers), max_size=25))):
        if one != other:
            links[one].add(other)
            links[other].add(one)
    return links
