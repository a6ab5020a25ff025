"""Nodes whose connections are sealed, on simulated machines."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from tests.raw_peer import RawPeer
from tests.security.sealed_pair import DIALLER, MALLORY
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.node import Node
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.security.links.link_security import Sealed
from twisted_bazaar.sim.stand_in_session import UsedNonces, stand_in_sessions
from twisted_bazaar.testing import SimulatedNetwork


class SealedNodeTests(SynchronousTestCase):
    """A node that proves who links to it."""

    def setUp(self) -> None:
        """Have a tracker and a node."""
        self.network = SimulatedNetwork(sealed=True)
        self.addCleanup(self.network.stop_all)
        self.tracker = self.network.add_tracker(Tracker())
        self.node = self.network.add_node(min_links=0)
        self.network.run(2.0)

    def connect(self, node: Node, key: KeyPair) -> RawPeer:
        """A peer played by hand, which proves a key."""
        peer = RawPeer()
        factory: Any = Factory()
        factory.noisy, factory.buildProtocol = False, lambda addr: peer
        host = self.network.host()
        security = Sealed(host, stand_in_sessions(key, random.Random(1), UsedNonces()))
        security.seal_client(TCP4ClientEndpoint(host, *self.network.where(node)), node.key.public).connect(factory)
        self.network.run(0.5)
        return peer

    def test_own_key(self) -> None:
        """Who greets under the key that it has proven is linked."""
        peer = self.connect(self.node, DIALLER)
        peer.greet(77, DIALLER.public)
        self.network.run(0.5)
        self.assertEqual([linked.key for linked in self.node.peers()], [DIALLER.public])

    def test_other_key(self) -> None:
        """Who greets under another is told so, and cut off: at a node, and at a tracker."""
        for node in (self.node, self.tracker):
            before = [linked.key for linked in node.peers()]
            peer = self.connect(node, MALLORY)
            peer.greet(77, DIALLER.public)
            self.network.run(0.5)
            self.assertEqual([error["code"] for error in peer.of_type("error")], ["wtf"])
            self.assertIn("not the one that was proven", peer.of_type("error")[0]["info"])
            self.assertTrue(peer.is_closed)
            self.assertEqual([linked.key for linked in node.peers()], before)

    def test_in_the_open(self) -> None:
        """Who does not seal gets an error, and the end; it is not linked."""
        plain = SimulatedNetwork(sealed=True)
        self.addCleanup(plain.stop_all)
        node = plain.add_node(min_links=0)
        peer = RawPeer()
        factory: Any = Factory()
        factory.noisy, factory.buildProtocol = False, lambda addr: peer
        TCP4ClientEndpoint(plain.host(), *plain.where(node)).connect(factory)
        plain.run(0.1)
        peer.greet(77, DIALLER.public)
        plain.run(0.5)
        self.assertEqual([error["code"] for error in peer.of_type("error")], ["sealed"])
        self.assertIn("leave out --plain", peer.of_type("error")[0]["info"])
        self.assertTrue(peer.is_closed)
        self.assertEqual(node.peers(), [])

    def test_silent(self) -> None:
        """Who connects and proves nothing is cut off after as long as who does not greet."""
        peer = RawPeer()
        factory: Any = Factory()
        factory.noisy, factory.buildProtocol = False, lambda addr: peer
        TCP4ClientEndpoint(self.network.host(), *self.network.where(self.node)).connect(factory)
        self.network.run(11.0)
        self.assertFalse(peer.is_closed)
        self.network.run(2.0)
        self.assertEqual((peer.is_closed, peer.received), (True, []))
