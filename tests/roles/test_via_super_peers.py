"""Goods bought by super peers: the same buyer and seller, and a way of finding that has no centre."""

from __future__ import annotations

from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.node import Node
from twisted_bazaar.roles.buyer import Buyer
from twisted_bazaar.roles.discovery.superpeer import SuperPeerMethod
from twisted_bazaar.roles.seller import Seller
from twisted_bazaar.roles.super_peer import SuperPeer
from twisted_bazaar.roles.want import Want
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.sale import Supply

PORT: Final = 9200
LIMITS: Final[dict[str, Any]] = {"ping_s": 2.5, "silence_s": 7.5, "min_links": 0, "max_links": 400}


class MarketTests(SynchronousTestCase):
    """Two super peers that are neighbours, and nodes at one of them each."""

    def setUp(self) -> None:
        """Start the super peers."""
        self.network = SimulatedNetwork()
        self.keys = 0
        self.supers: list[Node] = []
        for _ in range(2):
            near = [Address(*self.network.where(node)) for node in self.supers]
            self.supers.append(self.add(SuperPeer(near), port=PORT, udp=True))

    def add(self, *roles: Any, **about: Any) -> Node:
        """Start a node with a key of its own."""
        self.keys += 1
        return self.network.add_node(*roles, key=KeyPair.from_seed(bytes([self.keys]) * 32), **about, **LIMITS)

    def way(self, *supers: int) -> SuperPeerMethod:
        """The way by some of the super peers."""
        return SuperPeerMethod([Address(*self.network.where(self.supers[each])) for each in supers])

    def sell(self, *supers: int) -> Node:
        """Start a seller of five apples."""
        way = self.way(*supers)
        node = self.add(*way.roles, Seller({"apple": Supply(5)}, discovery=way))
        self.network.run_until(lambda: way.leaf.is_in_sync and way.leaf.registered_with)
        return node

    def buy(self, *supers: int, quantity: int = 2) -> None:
        """Start a buyer of apples."""
        way = self.way(*supers)
        self.add(*way.roles, Buyer([Want("apple", quantity)], discovery=way))

    def bought(self) -> int:
        """How many apples have been bought."""
        return sum(details["quantity"] for details in self.network.events_of("bought"))

    def test_bought(self) -> None:
        """A seller at one super peer is found from another, and sells once."""
        self.sell(0)
        self.network.run(5)
        self.buy(1)
        self.network.run_until(self.bought, 15)
        self.network.run(10)
        self.assertEqual((self.bought(), len(self.network.events_of("sold"))), (2, 1))

    def test_super_peer_dies(self) -> None:
        """When the super peer that a buyer has asked dies, it finds the seller by the other one."""
        self.sell(0, 1)
        self.network.crash(self.supers[1])
        self.buy(0, 1)
        self.network.run_until(self.bought, 30)

    def test_seller_comes_later(self) -> None:
        """Who wants what nobody has yet goes on looking."""
        self.buy(1)
        self.network.run(20)
        self.sell(0)
        self.network.run_until(self.bought, 40)

    def test_nothing_left(self) -> None:
        """When all have stopped there are no timers, ports or connections."""
        self.sell(0)
        self.buy(1, quantity=1)
        self.network.run_until(self.bought, 15)
        self.network.stop_all()
        self.assertEqual(self.network.left(), [])
