"""Which ways lead to which nodes. Sans-IO.

Paths are learnt from passing traffic. For each node the shortest few are kept; a link of its own
needs none. The router only knows and answers; the node sends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.errors import WrongWay
from twisted_bazaar.interfaces import Route
from twisted_bazaar.wire.message import LONGEST_PATH, Routed

_ROUTES_KEPT: Final = 3


class Router:
    """The paths one node knows.

    @param is_linked: whether this node has a link to the node of an id.
    @param cap: to how many nodes paths are remembered.
    @param lifetime_s: for how long.
    """

    def __init__(self, is_linked: Callable[[int], bool], cap: int, lifetime_s: float) -> None:
        self._is_linked = is_linked
        self._routes: FairTable[int, tuple[Route, ...]] = FairTable(cap, lifetime_s)

    def __len__(self) -> int:
        return len(self._routes)

    def learn(self, route: Route, now: float) -> None:
        """Remember a way, charged to the neighbour it goes through.

        @param route: this node first, the node it leads to last; at least three ids.
        """
        target = route[-1]
        known = self._routes.get(target, now)
        if known is not None:
            if route in known or (len(known) == _ROUTES_KEPT and len(route) >= len(known[-1])):
                return
            known = tuple(sorted((*known, route), key=len)[:_ROUTES_KEPT])
        self._routes.put(target, known or (route,), route[1], now)

    def routes_to(self, node_id: int, own_id: int, now: float) -> Sequence[Route]:
        """All usable ways to a node, a direct link first, then the shortest."""
        direct = [(own_id, node_id)] if self._is_linked(node_id) else []
        known = self._routes.get(node_id, now) or ()
        return [*direct, *(route for route in known if self._is_linked(route[1]))]

    def forget_hop(self, before: int, after: int, now: float) -> None:
        """Drop every path that goes from one node to another: that link is gone."""
        for target, routes in self._routes.items(now):
            kept = tuple(route for route in routes if (before, after) not in pairwise(route))
            if not kept:
                self._routes.discard(target)
            elif len(kept) < len(routes):
                self._routes.put(target, kept, kept[0][1], now)

    def detours(self, travelled: Route, target: int, now: float) -> list[Route]:
        """Paths for a message whose next hop is gone.

        @param travelled: the path so far, this node last.
        @return: whole paths that begin with it, end at the target, pass no node twice and are short
            enough to send; the shortest first.
        """
        return [
            path
            for route in self.routes_to(target, travelled[-1], now)
            if len(path := (*travelled, *route[1:])) <= LONGEST_PATH and len(set(path)) == len(path)
        ]


def position_on_path(message: Routed, own_id: int, came_from: int) -> int:
    """Where a node stands on the path of a message that a neighbour handed to it.

    @raise WrongWay: it does not stand there, or not right after that neighbour.
    """
    path = message.path or ()
    try:
        position = path.index(own_id)
    except ValueError:
        raise WrongWay(message.wire_name, "path", f"node {own_id} is not on it") from None
    if position == 0 or path[position - 1] != came_from:
        raise WrongWay(message.wire_name, "path", f"it does not lead from node {came_from} to {own_id}")
    return position
