"""Staying with the neighbours that the user named, when both ends do."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from tests.watched_host import watched_host
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address

LOWER, GREATER = sorted((KeyPair.generate(random.Random(seed)) for seed in (1, 2)), key=lambda key: key.public)


class ComeTogetherTests(SynchronousTestCase):
    """Neighbours that the user named find to each other in the end."""

    def setUp(self) -> None:
        """A tracker."""
        self.network = SimulatedNetwork()
        self.tracker = self.network.add_tracker(Tracker())

    def test_mutual_neighbours_that_are_full(self) -> None:
        """Two that name each other, each with a slot kept and no other free, must come together."""
        machines = [self.network.host() for _ in range(2)]
        away = self.network.add_node(host=machines[1], min_links=0)
        self.network.kill(away)
        first = self.network.add_node(host=machines[0], near=[away], min_links=0, max_links=3)
        self.network.run(1)
        for _ in range(2):
            self.network.add_node(near=[first], min_links=0)
        self.network.run(2)
        second = self.network.add_node(host=machines[1], near=[first], min_links=0, max_links=3)
        machines[0].pause()
        self.network.run(0.05)
        for _ in range(2):
            self.network.add_node(near=[second], min_links=0)
        self.network.run(4)
        machines[0].resume()
        self.network.run(300)
        self.assertIn(second.id, [peer.id for peer in first.peers()])

    def test_refused_for_a_dead_link(self) -> None:
        """Who is refused as linked because the other has not noticed its crash must try again."""
        neighbour = self.network.add_node(key=GREATER, min_links=0)
        for _ in range(3):
            self.network.add_node(min_links=0)
        self.network.run(2)
        machine = watched_host(self.network)
        node = self.network.add_node(host=machine, key=LOWER, min_links=0)
        self.network.run(1)
        neighbour._links.dial(Address(*self.network.where(node)))
        self.network.run(1)
        self.network.crash(node)
        self.network.run(3)
        node = self.network.add_node(host=machine, key=LOWER, near=[neighbour])
        self.network.run(600)
        self.assertIn(neighbour.id, [peer.id for peer in node.peers()])
