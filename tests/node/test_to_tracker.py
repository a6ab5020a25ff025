"""What the roles of a node and its tracker, or what stands in for one, say to each other."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.trial.unittest import SynchronousTestCase

from tests.raw_peer import RawPeer, accept
from twisted_bazaar.discovery.index.client.quote_messages import Inquiry, Quotation
from twisted_bazaar.errors import SoldOut
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.node import Node
from twisted_bazaar.role import Role
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address, Origin, Whereabouts
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import TRACKER_ID


class _Asking(Role):
    """Keeps what it is told."""

    kind: str | None = None

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


class ToTrackerTestCase(SynchronousTestCase):
    """Node 5 under a tracker that is played by hand."""

    limits = Limits()

    def setUp(self) -> None:
        """Let it join."""
        self.network = SimulatedNetwork()
        address, self.trackers = accept(self.network, 9000)
        machine, rng, self.role = self.network.host(), random.Random(1), _Asking()
        tracker = TCP4ClientEndpoint(machine, address.host, address.port)
        self.node = Node(machine, rng, KeyPair.generate(rng), [self.role], limits=self.limits, tracker=tracker)
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


class ToTrackerTests(ToTrackerTestCase):
    """What a role says to it, and hears of it."""

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

    def test_another_kind(self) -> None:
        """When a role is of another kind than it was, the tracker is greeted anew, by the same id."""
        self.heard()
        self.role.kind = "super_peer"
        self.node.kind_changed()
        self.network.run(2)
        self.number()
        self.assertEqual(self.heard(), [("left", 5), ("joined", 5)])
        [before], [now] = (tracker.of_type("thisisme") for tracker in self.trackers)
        self.assertEqual((before.get("kind"), now["kind"], now["id"]), (None, "super_peer", 5))
        self.tracker.transport.loseConnection()
        self.network.run(0.1)
        self.node.kind_changed()

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


class SilentTests(ToTrackerTestCase):
    """A tracker, or index server, that owes an answer."""

    limits = Limits(min_links=0)

    def test_silent(self) -> None:
        """A tracker that says nothing at all since it was asked is left within 10 s, as a silent index server is."""
        self.network.run(29)
        tracker = self.tracker
        self.node.send(Inquiry(id=1, item="x", quantity=1), (5, TRACKER_ID))
        self.network.run(9.5)
        self.assertEqual((tracker.of_type("ping"), tracker.is_closed), ([{"type": "ping"}], False))
        self.network.run(1.0)
        self.assertTrue(tracker.is_closed)

    def test_slow(self) -> None:
        """One that is long about its answer, and lives, is not."""
        self.node.send(Inquiry(id=1, item="x", quantity=1), (5, TRACKER_ID))
        self.network.run(5.5)
        self.tracker.tell("pong")
        self.network.run(25)
        self.assertFalse(self.tracker.is_closed)


class AnotherTests(ToTrackerTestCase):
    """What a role asks it for: a node of some kind."""

    # So the node asks for none itself.
    limits = Limits(min_links=0)

    def ask(self, *have: int, kind: str = "baker") -> Deferred[Whereabouts | None]:
        """Ask for one."""
        return self.node.ask_tracker_for(kind, have)

    def asked(self) -> list[dict[str, Any]]:
        """What the tracker was asked for by a role since last asked, after a moment."""
        self.network.run(0.1)
        asked = [each for each in self.tracker.of_type("nodereq") if "kind" in each]
        self.tracker.received.clear()
        return asked

    def answer(self, **keys: Any) -> None:
        """Let the tracker answer."""
        self.tracker.tell("nodereply", **keys)
        self.network.run(0.1)

    def test_named(self) -> None:
        """The tracker is asked for the kind, and not for those that are known; who it names is told."""
        asking = self.ask(7, 8)
        self.assertEqual(self.asked(), [{"type": "nodereq", "have": [5, 7, 8], "kind": "baker"}])
        self.answer(id=9, host="10.0.0.7", port=70, udp=71, kind="baker")
        self.assertEqual(self.successResultOf(asking), Whereabouts(9, Address("10.0.0.7", 70), 71))

    def test_none(self) -> None:
        """Nobody is named: that is None; so is one that is known, and one that cannot be linked."""
        for keys in (
            {},
            {"id": 9, "host": "10.0.0.7", "port": 0},
            {"id": 7, "host": "10.0.0.7", "port": 70},
            {"id": 9},
        ):
            asking = self.ask(7)
            self.asked()
            self.answer(kind="baker", **keys)
            self.assertIsNone(self.successResultOf(asking))

    def test_no_tracker(self) -> None:
        """A tracker that is not there, or goes, names nobody; the next question is put to it when it is back."""
        asking = self.ask()
        self.asked()
        self.tracker.transport.loseConnection()
        self.network.run(6)
        self.assertIsNone(self.successResultOf(asking))
        self.network.run(5)
        self.number()
        self.asked()
        asking = self.ask()
        self.assertEqual(len(self.asked()), 1)
        self.answer(id=9, host="10.0.0.7", port=70, kind="baker")
        assert self.successResultOf(asking) is not None

    def test_gone_before(self) -> None:
        """A node without a tracker does not wait for one."""
        alone = self.network.add_node()
        self.assertIsNone(self.successResultOf(alone.ask_tracker_for("baker", [])))

    def test_one_at_a_time(self) -> None:
        """Of several questions one is put at a time, so that each gets its own answer."""
        askings = [self.ask(kind=kind) for kind in ("baker", "smith")]
        self.assertEqual([each["kind"] for each in self.asked()], ["baker"])
        self.answer(id=9, host="10.0.0.7", port=70, kind="baker")
        self.assertEqual([each["kind"] for each in self.asked()], ["smith"])
        self.answer(id=10, host="10.0.0.8", port=70, kind="smith")
        named = [self.successResultOf(each) for each in askings]
        self.assertEqual([None if each is None else each.id for each in named], [9, 10])

    def test_late(self) -> None:
        """An answer that comes when nobody waits for it any more is not taken for that to another question."""
        late = self.ask(kind="baker")
        self.network.run(6)
        self.assertIsNone(self.successResultOf(late))
        asking = self.ask(kind="smith")
        self.answer(id=9, host="10.0.0.7", port=70, kind="baker")
        self.assertNoResult(asking)
        self.answer(id=10, host="10.0.0.8", port=70, kind="smith")
        self.assertEqual(self.successResultOf(asking), Whereabouts(10, Address("10.0.0.8", 70)))

    def test_stopped(self) -> None:
        """When the node stops, all who wait are told of nobody."""
        askings = [self.ask() for _ in range(3)]
        self.network.run(0.1)
        self.node.stop()
        self.assertEqual([self.successResultOf(each) for each in askings], [None] * 3)
