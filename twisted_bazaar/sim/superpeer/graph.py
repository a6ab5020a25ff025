"""A random regular graph: each super peer has as many neighbours as every other, chosen by chance. Sans-IO.

It begins as a ring in which everybody is linked to those next to it, of which links are exchanged in pairs, so that
everybody keeps as many as it has.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

_EXCHANGES_A_LINK: Final = 10


def random_regular_graph(nodes: int, degree: int, rng: random.Random) -> list[Sequence[int]]:
    """The neighbours of each node, by number.

    With an odd degree and an odd number of nodes one more or less than the degree cannot be helped: each has one less.
    """
    degree = min(degree, nodes - 1)
    if nodes % 2 and degree % 2:
        degree -= 1
    links = [(node, (node + step) % nodes) for step in range(1, degree // 2 + 1) for node in range(nodes)]
    if degree % 2:
        links += [(node, node + nodes // 2) for node in range(nodes // 2)]
    near: list[set[int]] = [set() for _ in range(nodes)]
    for one, other in links:
        near[one].add(other)
        near[other].add(one)
    for _ in range(_EXCHANGES_A_LINK * len(links)):
        first, second = rng.randrange(len(links)), rng.randrange(len(links))
        (one, other), (third, fourth) = links[first], links[second]
        if rng.random() < 0.5:
            third, fourth = fourth, third
        if len({one, other, third, fourth}) < 4 or third in near[one] or fourth in near[other]:
            continue
        for left, right in ((one, other), (third, fourth)):
            near[left].remove(right)
            near[right].remove(left)
        for left, right in ((one, third), (other, fourth)):
            near[left].add(right)
            near[right].add(left)
        links[first], links[second] = (one, third), (other, fourth)
    return [sorted(neighbours) for neighbours in near]
