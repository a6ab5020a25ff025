"""Promises of the whole market, with real nodes in the simulator."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.node.node import Node
from twisted_bazaar.roles.buyer import Buyer
from twisted_bazaar.roles.seller import Seller
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.roles.want import Want
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.trade.contract import Receipt, check_receipt
from twisted_bazaar.values.sale import Outcome, Supply


class MarketTests(SynchronousTestCase):
    """Buyers and sellers who know each other only through others."""

    def setUp(self) -> None:
        """Start a network with a tracker."""
        self.network = SimulatedNetwork(seed=3)
        self.network.add_tracker(Tracker())

    def chain(self, length: int) -> list[Node]:
        """Relays in a row, each linked to the one before."""
        relays: list[Node] = []
        for _ in range(length):
            relays.append(self.network.add_node(near=relays[-1:], min_links=0))
        return relays

    def sold(self) -> list[tuple[str, int]]:
        """Every sale so far: item and quantity."""
        return [(event["item"], event["quantity"]) for event in self.network.events_of("sold")]

    def test_direct(self) -> None:
        """A seller that can connect to the buyer does: the sale goes over a link of its own."""
        relays = self.chain(2)
        self.network.add_node(Seller({"apple": Supply(5)}), near=relays[:1], min_links=0)
        buyer = Buyer([Want("apple", 2)])
        node = self.network.add_node(buyer, near=relays[1:], min_links=0)
        self.network.run_until(lambda: buyer.bag)
        [record] = buyer.bag
        [bought] = self.network.events_of("bought")
        self.assertEqual((len(bought["route"]), record.quantity), (2, 2))
        self.assertIn((record.seller_node, record.seller), [(peer.id, peer.key) for peer in node.peers()])

    def test_through_five_relays(self) -> None:
        """Where no direct connection is possible, search, reply and sale go along the path."""
        relays = self.chain(5)
        self.network.add_node(Seller({"apple": Supply(5, 120)}), near=relays[:1], max_links=1)
        buyer = Buyer([Want("apple", 2)])
        node = self.network.add_node(buyer, near=relays[-1:], max_links=1, listening=False)
        self.network.run_until(lambda: buyer.bag)
        [route] = [bought["route"] for bought in self.network.events_of("bought")]
        self.assertEqual(route[1:-1], tuple(relay.id for relay in reversed(relays)))
        self.assertEqual(route[0], node.id)
        [sold] = self.network.events_of("sold")
        self.assertEqual((sold["route"], sold["quantity"]), (tuple(reversed(route)), 2))
        # No relay has changed what was said: the receipt holds.
        [record] = buyer.bag
        asked, _, answer = check_receipt(Receipt(record.statement, record.answer))
        self.assertEqual((asked.buyer, answer.outcome), (node.key.public, Outcome.SOLD))

    def test_each_node_forwards_a_search_once(self) -> None:
        """In a ring with many chords no node sends one search to one link twice."""
        nodes = [self.network.add_node() for _ in range(30)]
        self.network.run(15)
        self.network.traffic.clear()
        self.network.add_node(Buyer([Want("nothing", 1)]))
        self.network.run(15)
        sent = Counter((by, to, m.id) for by, to, m in self.network.traffic if m.wire_name == "search")
        self.assertEqual(set(sent.values()), {1})
        self.assertTrue({node.id for node in nodes} & {by for by, _, _ in sent})

    def test_relay_dies_between_offer_and_order(self) -> None:
        """When a relay on the path dies, the order finds another way."""
        left, right = (self.network.add_node(min_links=0) for _ in range(2))
        seller = Seller({"apple": Supply(5)})
        self.network.add_node(seller, near=[left, right], min_links=2, max_links=2)
        buyer = Buyer([Want("apple", 1)], gather_s=2.0)
        self.network.add_node(buyer, near=[left, right], min_links=2, max_links=2, listening=False)
        self.network.run_until(lambda: any(m.wire_name == "reply" for _, _, m in self.network.traffic))
        self.network.run(0.5)
        replied_by = [by for by, _, m in self.network.traffic if m.wire_name == "reply"][-1]
        self.network.kill(left if left.id == replied_by else right)
        self.network.run_until(lambda: buyer.bag, 30)
        self.assertEqual(self.sold(), [("apple", 1)])

    def test_tracker_dies(self) -> None:
        """Trading goes on without the tracker."""
        relays = self.chain(3)
        self.network.add_node(Seller({"apple": Supply(5)}), near=relays[:1], max_links=1)
        buyer = Buyer([Want("apple", 1)], gather_s=1.0)
        self.network.add_node(buyer, near=relays[-1:], max_links=1)
        self.network.run_until(lambda: any(m.wire_name == "search" for _, _, m in self.network.traffic))
        self.network.kill(self.network.nodes[0])
        self.network.run_until(lambda: buyer.bag)
        self.assertEqual(self.sold(), [("apple", 1)])

    def test_seller_that_arrives_late(self) -> None:
        """A buyer waits for goods that are not there yet."""
        relays = self.chain(2)
        buyer = Buyer([Want("apple", 1)])
        self.network.add_node(buyer, near=relays[:1], min_links=1)
        self.network.run(100)
        self.assertEqual(self.sold(), [])
        self.network.add_node(Seller({"apple": Supply(1)}), near=relays[1:], min_links=1)
        self.network.run_until(lambda: buyer.bag, 30)
        self.assertEqual(self.sold(), [("apple", 1)])

    def test_race(self) -> None:
        """Thirty buyers race for twelve pieces of two sellers: twelve are sold, the count adds up."""
        relays = [self.network.add_node() for _ in range(10)]
        self.network.run(10)
        for _ in range(2):
            self.network.add_node(Seller({"apple": Supply(6)}))
        buyers = [Buyer([Want("apple", 1)]) for _ in range(30)]
        for buyer in buyers:
            self.network.add_node(buyer)
        self.network.run(200)
        bought = sum(record.quantity for buyer in buyers for record in buyer.bag)
        self.network.stop_all()
        counts = self.network.events_of("stock")
        self.assertEqual(bought, 12)
        self.assertEqual(
            [(c["supplied"], c["in_stock"] + c["sold"] + c["withdrawn"]) for c in counts], [(6, 6), (6, 6)]
        )
        self.assertEqual(sum(c["sold"] for c in counts), 12)
        self.assertEqual(len(relays), 10)
        self.assertEqual(self.network.left(), [])
