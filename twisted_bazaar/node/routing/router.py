"""Source routing: paths learnt from passing traffic, and detours round a hop that is gone. Sans-IO.

Paths are learnt from passing traffic; a link of its own needs none. The router only knows and answers;
the node sends.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Final

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.errors import WrongWay
from twisted_bazaar.values.addresses import Route
from twisted_bazaar.wire.message import LONGEST_PATH, Routed

_REFRESHES: Final = 8


class Router:
    """The paths one node knows: for each node the shortest through each neighbour.

    A path is charged to the neighbour it goes through, so none can push out what others taught.

    @param linked: the ids of the neighbours; a live collection.
    @param cap: how many paths are remembered.
    @param lifetime_s: for how long.
    """

    def __init__(self, linked: Collection[int], cap: int, lifetime_s: float) -> None:
        self._linked = linked
        # What was learnt as long ago as this is entered anew, so that it does not expire while it is in use.
        self._fresh_s = lifetime_s / _REFRESHES
        self._routes: FairTable[tuple[int, int], tuple[Route, float]] = FairTable(cap, lifetime_s)
        # Looked up when a path is wanted: to go through all paths at each piece of bad news would let a
        # neighbour stall the reactor with news.
        self._broken: FairTable[tuple[int, int], float] = FairTable(cap, lifetime_s)

    def __len__(self) -> int:
        return len(self._routes)

    def learn(self, route: Route, now: float) -> None:
        """Remember a way.

        @param route: this node first, the node it leads to last; at least three ids.
        """
        key = (route[-1], route[1])
        known = self._routes.get(key, now)
        if known is not None and self._is_whole(*known, now):
            if len(route) > len(known[0]):
                return
            if route == known[0] and now - known[1] < self._fresh_s:
                return
        self._routes.put(key, (route, now), route[1], now)

    def clear(self) -> None:
        """Forget everything: this node has another id now, and all paths began with the old one."""
        self._routes.expire(float("inf"))

    def routes_to(self, node_id: int, own_id: int, now: float) -> Sequence[Route]:
        """All usable ways to a node, a direct link first, then the shortest."""
        direct = [(own_id, node_id)] if node_id in self._linked else []
        known = (self._routes.get((node_id, neighbour), now) for neighbour in self._linked)
        whole = (entry[0] for entry in known if entry is not None and self._is_whole(*entry, now))
        return [*direct, *sorted(whole, key=len)]

    def forget_hop(self, before: int, after: int, neighbour: int, now: float) -> None:
        """Use no path any more that goes from one node to another and was learnt before now.

        @param neighbour: who brought the news, which it is charged to.
        """
        self._broken.put((before, after), now, neighbour, now)

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

    def _is_whole(self, route: Route, learnt_at: float, now: float) -> bool:
        """Whether no hop of a path has been reported gone since it was learnt."""
        if not len(self._broken):
            return True
        breaks = (self._broken.get(hop, now) for hop in pairwise(route))
        return all(broken_at is None or broken_at < learnt_at for broken_at in breaks)


def position_on_path(message: Routed, own_id: int, came_from: int) -> int:
    """The index of a node on the path of a message that a neighbour handed to it.

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
