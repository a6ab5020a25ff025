"""Nobody who floods a market with searches keeps the others from being answered, over however many relays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

from twisted.trial.unittest import SynchronousTestCase

from tests.raw_peer import RawPeer, connect
from twisted_bazaar.node.node import Node
from twisted_bazaar.roles.seller import Seller
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.sale import Supply

FLOOD_A_SECOND = 200
STEP_S = 0.05
SECONDS = 15


class StarvationTests(SynchronousTestCase):
    """A seller, two relays in a row before it, and an honest client of the far one that searches once a second."""

    def setUp(self) -> None:
        """Start them."""
        self.network = SimulatedNetwork()
        self.network.add_tracker(Tracker())
        self.near = self.network.add_node(min_links=0)
        self.far = self.network.add_node(near=[self.near], min_links=0)
        self.seller = self.network.add_node(Seller({"apple": Supply(10**9)}), near=[self.near], min_links=0)
        self.ids = count(10_000)
        self.honest, self.honest_id = self.join(self.far)

    def join(self, node: Node, host: str | None = None) -> tuple[RawPeer, int]:
        """A hand-played node, linked to another; it takes no connections."""
        peer, node_id = connect(self.network, node, host), next(self.ids)
        peer.greet(node_id, key=f"{node_id:064x}")
        self.network.run_until(lambda: peer.received)
        return peer, node_id

    def answered(self, *floods: Callable[[int], None], honest: Sequence[tuple[RawPeer, int]] = ()) -> list[int]:
        """How many of the searches of each honest client are answered while others flood.

        @param floods: each sends so many searches.
        """
        clients = honest or [(self.honest, self.honest_id)]
        for step in range(int(SECONDS / STEP_S)):
            for flood in floods:
                flood(int(FLOOD_A_SECOND * STEP_S))
            if not step % int(1 / STEP_S):
                for peer, node_id in clients:
                    peer.tell("search", id=step, returnPath=[node_id], ttl=7, item="apple")
            self.network.run(STEP_S)
        self.network.run(1.0)
        return [len({reply["id"] for reply in peer.of_type("reply")}) for peer, _ in clients]

    def flood_from(self, node: Node, host: str | None = None) -> Callable[[int], None]:
        """A node that sends searches without end."""
        peer, node_id = self.join(node, host)
        return lambda number: self.send_searches(number, peer, lambda: [node_id])

    def forging_flood_from(self, node: Node) -> Callable[[int], None]:
        """The same with made-up nodes behind it."""
        peer, node_id = self.join(node)
        return lambda number: self.send_searches(number, peer, lambda: [next(self.ids), next(self.ids), node_id])

    def send_searches(self, number: int, peer: RawPeer, path: Callable[[], list[int]]) -> None:
        """Send so many searches with ids never used before."""
        for _ in range(number):
            peer.tell("search", id=next(self.ids), returnPath=path(), ttl=7, item="apple")

    def test_one_neighbour(self) -> None:
        """One neighbour floods the same relay."""
        self.assertEqual(self.answered(self.flood_from(self.far)), [SECONDS])

    def test_many_clients(self) -> None:
        """All of four honest clients of that relay are answered."""
        clients = [self.join(self.far) for _ in range(4)]
        self.assertEqual(self.answered(self.flood_from(self.far), honest=clients), [SECONDS] * 4)

    def test_several_neighbours(self) -> None:
        """Three neighbours flood the same relay."""
        self.assertEqual(self.answered(*(self.flood_from(self.far) for _ in range(3))), [SECONDS])

    def test_several_relays(self) -> None:
        """A neighbour floods each relay, and the seller itself."""
        floods = [self.flood_from(node) for node in (self.far, self.near, self.seller)]
        self.assertEqual(self.answered(*floods), [SECONDS])

    def test_many_links_of_one_host(self) -> None:
        """The five links of one host to that relay share what one would have, while others flood all nodes."""
        host = self.network.host().addresses[0]
        floods = [self.flood_from(self.far, host) for _ in range(5)]
        floods += [self.flood_from(node) for node in (self.near, self.near, self.seller, self.seller)]
        self.assertEqual(self.answered(*floods), [SECONDS])

    def test_forged_paths(self) -> None:
        """Who floods makes up nodes that its searches have passed."""
        floods = [self.forging_flood_from(self.far), self.forging_flood_from(self.near)]
        self.assertEqual(self.answered(*floods), [SECONDS])

    def test_stopped_while_searches_wait(self) -> None:
        """A relay that stops while searches wait leaves no timer."""
        flood = self.flood_from(self.far)
        flood(FLOOD_A_SECOND)
        self.network.run(STEP_S)
        self.network.stop_all()
        self.assertEqual(self.network.left(), [])
