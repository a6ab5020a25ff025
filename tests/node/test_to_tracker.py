"""What the roles of a node and its tracker, or what stands in for one, say to each other."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.trial.unittest import SynchronousTestCase

from tests.raw_peer import RawPeer, accept
from twisted_bazaar.discovery.index.inquiry import Inquiry, Quotation
from twisted_bazaar.errors import SoldOut
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.node import Node
from twisted_bazaar.plugin import Role
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Origin
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import TRACKER_ID


class _Asking(Role):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.receives = {Quotation: self._keep, Error: self._keep, Inquiry: self._refuse}

    def _keep(self, message: Any, origin: Origin) -> None:
        self.heard.append((message.wire_name, origin))

    def _refuse(self, message: Inquiry, origin: Origin) -> None:
        raise SoldOut("there is none")

    def tracker_joined(self) -> None:
        self.heard.append(("joined", self.node.id))

    def tracker_left(self) -> None:
        self.heard.append(("left", self.node.id))


class ToTrackerTests(SynchronousTestCase):
    """Node 5 under a tracker that is played by hand."""

    def setUp(self) -> None:
        """Let it join."""
        self.network = SimulatedNetwork()
        address, self.trackers = accept(self.network, 9000)
        machine, rng, self.role = self.network.host(), random.Random(1), _Asking()
        tracker = TCP4ClientEndpoint(machine, address.host, address.port)
        self.node = Node(machine, rng, KeyPair.generate(rng), [self.role], tracker=tracker)
        self.successResultOf(Deferred.fromCoroutine(self.node.start(None)))
        self.network.run(0.1)
        self.assertEqual((self.role.heard, self.node.send(Quotation(id=1, item="x"), (5, TRACKER_ID))), ([], False))
        self.number()

    @property
    def tracker(self) -> RawPeer:
        """The link to the tracker, at its end."""
        return self.trackers[-1]

    def number(self) -> None:
        """Let the tracker give it its id."""
        self.tracker.tell("thisisyou", id=5, host="10.0.0.9", port=0)
        self.network.run(0.1)

    def heard(self) -> list[Any]:
        """What the role was told since last asked."""
        heard, self.role.heard = self.role.heard, []
        return heard

    def test_joined_and_left(self) -> None:
        """A role hears when the tracker is there, and has given an id, and when it has gone; as often as that is."""
        self.assertEqual(self.heard(), [("joined", 5)])
        self.tracker.transport.loseConnection()
        self.network.run(0.1)
        self.assertEqual(self.heard(), [("left", 5)])
        self.assertFalse(self.node.send(Quotation(id=1, item="x"), (5, TRACKER_ID)))
        self.network.run(5)
        self.number()
        self.assertEqual(self.heard(), [("joined", 5)])

    def test_asks(self) -> None:
        """What a role sends goes over the link that there is; the answers come to who takes them."""
        self.heard()
        self.assertTrue(self.node.send(Inquiry(id=1, item="apple"), (5, TRACKER_ID)))
        self.network.run(0.1)
        self.assertEqual([message["id"] for message in self.tracker.of_type("inquiry")], [1])
        self.tracker.tell("quotation", id=1, item="apple")
        self.tracker.tell("error", code="wtf", id=1)
        self.network.run(0.1)
        origin = Origin(TRACKER_ID, (5, TRACKER_ID))
        self.assertEqual(self.heard(), [("quotation", origin), ("error", origin)])

    def test_not_asked_for(self) -> None:
        """What no role takes is nothing, and not answered; what a role refuses is."""
        self.tracker.tell("search", id=1, returnPath=[7], item="apple")
        self.tracker.tell("nodereply")
        self.tracker.tell("inquiry", id=8, item="apple")
        self.network.run(0.1)
        self.assertEqual([(error["code"], error["id"]) for error in self.tracker.of_type("error")], [("soldout", 8)])
        self.assertFalse(self.tracker.is_closed)
