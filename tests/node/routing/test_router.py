"""Paths: learnt, remembered, and followed."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from twisted_bazaar.discovery.flood.messages import Reply
from twisted_bazaar.errors import WrongWay
from twisted_bazaar.node.routing.router import Router, position_on_path
from twisted_bazaar.values.addresses import Route
from twisted_bazaar.wire.message import LONGEST_PATH

ME = 1
LIFETIME_S = 600.0

bounded = examples(200)

ways = st.lists(st.integers(2, 9), min_size=2, max_size=6, unique=True).map(lambda rest: (ME, *rest))
links = st.sets(st.integers(2, 9))


def router_with(links: set[int], routes: list[Route] = (), cap: int = 64) -> Router:  # type: ignore[assignment]
    """A router of node 1 that has these links and has learnt these routes at time 0."""
    router = Router(links, cap, LIFETIME_S)
    for route in routes:
        router.learn(route, 0.0)
    return router


class LearningTests(SynchronousTestCase):
    """What a router remembers of the paths that pass it."""

    def test_nothing_known(self) -> None:
        """There is no way to a node nobody has heard of."""
        self.assertEqual(router_with({2}).routes_to(9, ME, 0.0), [])

    def test_direct(self) -> None:
        """A link needs no path, and comes before all paths."""
        router = router_with({2, 9}, [(1, 2, 9)])
        self.assertEqual(router.routes_to(9, ME, 0.0), [(1, 9), (1, 2, 9)])

    def test_shortest_first(self) -> None:
        """Of several paths the shorter are tried before the longer, in whatever order they were learnt."""
        routes = [(1, 2, 3, 4, 9), (1, 4, 9), (1, 3, 2, 9)]
        expected = [(1, 4, 9), (1, 3, 2, 9), (1, 2, 3, 4, 9)]
        self.assertEqual(router_with({2, 3, 4}, routes).routes_to(9, ME, 0.0), expected)

    def test_one_through_each(self) -> None:
        """Through each neighbour the shortest path is kept, in whatever order they were learnt."""
        routes = [(1, 2, 5, 6, 9), (1, 2, 5, 9), (1, 3, 5, 9), (1, 2, 9), (1, 3, 9), (1, 2, 6, 9), (1, 4, 5, 6, 7, 9)]
        expected = [(1, 2, 9), (1, 3, 9), (1, 4, 5, 6, 7, 9)]
        for learnt in (routes, routes[::-1]):
            self.assertEqual(sorted(router_with({2, 3, 4}, learnt).routes_to(9, ME, 0.0)), expected)

    def test_once(self) -> None:
        """A path that passes often is remembered once."""
        self.assertEqual(router_with({2}, [(1, 2, 9)] * 5).routes_to(9, ME, 0.0), [(1, 2, 9)])

    def test_only_along_links(self) -> None:
        """A path whose first link is gone is not offered, and is again when the link is back."""
        links = {2, 3}
        router = router_with(links, [(1, 2, 9), (1, 3, 4, 9)])
        links.remove(2)
        self.assertEqual(router.routes_to(9, ME, 0.0), [(1, 3, 4, 9)])
        links.add(2)
        self.assertEqual(router.routes_to(9, ME, 0.0), [(1, 2, 9), (1, 3, 4, 9)])

    def test_expiry(self) -> None:
        """A path is forgotten when its time is over."""
        router = router_with({2}, [(1, 2, 9)])
        self.assertEqual(router.routes_to(9, ME, LIFETIME_S - 1), [(1, 2, 9)])
        self.assertEqual(router.routes_to(9, ME, LIFETIME_S), [])

    def test_bounded(self) -> None:
        """The table has a cap, and no neighbour fills it for the others."""
        router = router_with({2, 3}, [(1, 3, 9), (1, 3, 8)], cap=32)
        for stranger in range(100, 1_100):
            router.learn((1, 2, stranger), 0.0)
        self.assertLessEqual(len(router), 32)
        self.assertEqual([router.routes_to(node, ME, 0.0) for node in (9, 8)], [[(1, 3, 9)], [(1, 3, 8)]])
        self.assertEqual(router.routes_to(1_099, ME, 0.0), [(1, 2, 1_099)])

    def test_no_theft(self) -> None:
        """A neighbour that claims a way to a node, and then floods, costs others nothing that they taught."""
        router = router_with({2, 3}, [(1, 2, 9), (1, 3, 4, 9)], cap=32)
        for stranger in range(100, 200):
            router.learn((1, 3, stranger), 0.0)
        self.assertIn((1, 2, 9), router.routes_to(9, ME, 0.0))

    @bounded
    @given(st.lists(ways, max_size=30), links, st.integers(2, 9), st.integers(1, 20))
    def test_any_history(self, routes: list[Route], links: set[int], target: int, cap: int) -> None:
        """Whatever was learnt, ways begin here, end there, start with a link, and come shortest first."""
        router = router_with(links, routes, cap)
        found = router.routes_to(target, ME, 0.0)
        self.assertEqual([(way[0], way[-1], way[1] in links) for way in found], [(ME, target, True)] * len(found))
        self.assertEqual(list(found), sorted(found, key=len))
        self.assertEqual(len(found), len(set(found)))
        self.assertEqual({way for way in found if len(way) > 2} - set(routes), set())
        self.assertEqual((ME, target) in found, target in links)


class ForgettingTests(SynchronousTestCase):
    """What happens when a link elsewhere turns out to be gone."""

    def test_every_path_over_it(self) -> None:
        """Every path over that link is dropped, and no other."""
        routes = [(1, 2, 3, 9), (1, 2, 9), (1, 4, 2, 3, 8), (1, 3, 2, 7)]
        router = router_with({2, 3, 4}, routes)
        router.forget_hop(2, 3, 2, 0.0)
        self.assertEqual(
            {node: router.routes_to(node, ME, 0.0) for node in (9, 8, 7)}, {9: [(1, 2, 9)], 8: [], 7: [(1, 3, 2, 7)]}
        )

    @bounded
    @given(st.lists(ways, max_size=20), st.integers(1, 9), st.integers(2, 9))
    def test_any_history(self, routes: list[Route], before: int, after: int) -> None:
        """Afterwards no path leads over it, and those that did not are as they were."""
        links = set(range(2, 10))
        router = router_with(links, routes)
        expected = {
            node: [
                way for way in router.routes_to(node, ME, 0.0) if len(way) == 2 or (before, after) not in pairwise(way)
            ]
            for node in links
        }
        router.forget_hop(before, after, 2, 0.0)
        self.assertEqual({node: list(router.routes_to(node, ME, 0.0)) for node in links}, expected)

    def test_nothing_known(self) -> None:
        """Forgetting what was never known changes nothing."""
        router = router_with({2}, [(1, 2, 9)])
        router.forget_hop(5, 6, 2, 0.0)
        self.assertEqual(router.routes_to(9, ME, 0.0), [(1, 2, 9)])


class DetourTests(SynchronousTestCase):
    """Another way for a message whose next hop is gone."""

    def test_direct_first(self) -> None:
        """The rest of the path is replaced, by a direct link before all."""
        router = router_with({3, 9}, [(1, 3, 9)])
        self.assertEqual(router.detours((7, 6, 1), 9, 0.0), [(7, 6, 1, 9), (7, 6, 1, 3, 9)])

    def test_no_loop(self) -> None:
        """A way back over a node that the message has passed is no detour."""
        router = router_with({3, 6}, [(1, 6, 5, 9), (1, 3, 9)])
        self.assertEqual(router.detours((7, 6, 1), 9, 0.0), [(7, 6, 1, 3, 9)])

    def test_not_too_long(self) -> None:
        """A path that nobody would take any more is no detour."""
        travelled = tuple(range(100, 100 + LONGEST_PATH - 3))
        router = router_with({3, 4, 9}, [(1, 3, 9), (1, 4, 5, 9)])
        found = router.detours((*travelled, 1), 9, 0.0)
        self.assertEqual(found, [(*travelled, 1, 9), (*travelled, 1, 3, 9)])
        self.assertEqual([len(path) for path in found], [LONGEST_PATH - 1, LONGEST_PATH])

    @bounded
    @given(
        st.lists(ways, max_size=20),
        links,
        st.lists(st.integers(2, 20), max_size=14, unique=True),
        st.integers(2, 9),
    )
    def test_any_history(self, routes: list[Route], links: set[int], passed: list[int], target: int) -> None:
        """Whatever was learnt, a detour is a path that every node on it can take, and begins as travelled."""
        router = router_with(links, routes)
        travelled = (*passed, ME)
        for path in router.detours(travelled, target, 0.0):
            self.assertEqual((path[: len(travelled)], path[-1]), (travelled, target))
            self.assertIn(path[len(travelled)], links)
            self.assertLessEqual(len(path), LONGEST_PATH)
            self.assertEqual(len(set(path)), len(path))


class PositionTests(SynchronousTestCase):
    """A message on a path is taken only from the node before, on a path that leads here."""

    def test_every_pair(self) -> None:
        """On a path of four, each node takes it from the one before it and from nobody else."""
        message = Reply(item="a", id=1, path=(4, 5, 6, 7))
        taken = {}
        for own_id in range(3, 9):
            for came_from in range(3, 9):
                try:
                    taken[own_id, came_from] = position_on_path(message, own_id, came_from)
                except WrongWay as error:
                    self.assertEqual((error.message, error.key, error.code), ("reply", "path", "wrongway"))
        self.assertEqual(taken, {(5, 4): 1, (6, 5): 2, (7, 6): 3})

    def test_no_path(self) -> None:
        """A message without a path leads nowhere."""
        self.assertRaises(WrongWay, position_on_path, Reply(item="a", id=1), 5, 4)
