"""Promises of the common node: floods pass once, paths are kept to, errors end where they are."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.node.cases import NodeTestCase
from tests.raw_peer import accept, link
from tests.trade.cases import purchase
from twisted_bazaar.discovery.flood.messages import Reply, Search
from twisted_bazaar.errors import UsageError
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.node import Node
from twisted_bazaar.role import Role
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address, Origin
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import Message


class Listener(Role):
    """Keeps every message of the classes it claims."""

    def __init__(self, *classes: type[Message]) -> None:
        self.heard: list[tuple[Any, Origin]] = []
        self.receives = {cls: lambda message, origin: self.heard.append((message, origin)) for cls in classes}


class FloodTests(NodeTestCase):
    """A search is passed on once, to everybody else."""

    def test_passed_on(self) -> None:
        """To every link it did not come from, with this node on the return path and a lower TTL."""
        self.search(self.a, returnPath=[9, 71], host="10.1.1.1", port=99)
        passed = {
            "type": "search",
            "id": 5,
            "returnPath": [9, 71, self.me],
            "ttl": 3,
            "host": "10.1.1.1",
            "port": 99,
            "item": "apple",
        }
        heard = self.heard()
        [label] = heard[1][0].pop("flows")
        self.assertEqual((heard[2][0].pop("flows"), heard), ([label], [[], [passed], [passed]]))

    def test_flow_labels(self) -> None:
        """A label more says from which host it came: the same for all from one host, and what came before stays."""
        for number, (peer, flows) in enumerate([(self.a, [7]), (self.a, [8]), (self.b, [])]):
            self.search(peer, id=number, returnPath=[9, 71 if peer is self.a else 72], flows=flows)
        first, second, third = (message["flows"] for message in self.heard()[2])
        self.assertEqual((len(first), first[0], second), (2, 7, [8, first[1]]))
        self.assertEqual((len(third), third[0] == first[1]), (1, False))

    def test_origin_has_no_flow(self) -> None:
        """Labels before the origin, or more of them than nodes, are dropped."""
        self.search(self.a, id=1, flows=[7, 8])
        self.search(self.a, id=2, returnPath=[9, 71], flows=[6, 7, 8])
        first, second = (message["flows"] for message in self.heard()[1])
        self.assertEqual((len(first), len(second), second[0]), (1, 2, 8))

    def test_once(self) -> None:
        """However often and from wherever it comes."""
        self.search(self.a, returnPath=[9, 71])
        self.search(self.a, returnPath=[9, 71])
        self.search(self.b, returnPath=[9, 72])
        self.search(self.c, returnPath=[9, 8, 73])
        self.assertEqual([len(messages) for messages in self.heard()], [0, 1, 1])

    def test_same_id_of_another_origin(self) -> None:
        """Ids are told apart by who chose them."""
        self.search(self.a, returnPath=[9, 71])
        self.search(self.a, returnPath=[10, 71])
        self.assertEqual([len(messages) for messages in self.heard()], [0, 2, 2])

    def test_ends(self) -> None:
        """With a TTL of 1 or 0 it goes no further."""
        self.search(self.a, id=1, ttl=1)
        self.search(self.a, id=2, ttl=0)
        self.assertEqual(self.heard(), [[], [], []])

    def test_ttl_is_clamped(self) -> None:
        """A TTL of a million counts as 16."""
        self.search(self.a, ttl=1_000_000)
        self.assertEqual([message["ttl"] for message in self.heard()[1]], [15])

    def test_full_return_path(self) -> None:
        """A search goes no further than a reply can come back: 16 nodes in all."""
        self.search(self.a, id=1, returnPath=[*range(1001, 1015), 71])
        self.assertEqual(self.heard(), [[], [], []])
        self.search(self.a, id=2, returnPath=[*range(1001, 1014), 71])
        self.assertEqual([len(messages) for messages in self.heard()], [0, 1, 1])

    def test_loop(self) -> None:
        """A search that has passed here is dropped, even with an id not seen."""
        self.search(self.a, returnPath=[9, self.me, 71])
        self.assertEqual(self.heard(), [[], [], []])

    def test_not_to_whom_it_has_passed(self) -> None:
        """A neighbour on the return path has it already."""
        self.search(self.a, returnPath=[72, 71])
        self.assertEqual([len(messages) for messages in self.heard()], [0, 0, 1])

    def test_first_neighbour_fills_in_the_host(self) -> None:
        """An origin cannot name an address of somebody else: its neighbour says what it sees."""
        self.search(self.a, host="10.6.6.6", port=22)
        [message] = self.heard()[1]
        self.assertEqual((message.get("host"), message.get("port")), (self.node.peers()[0].address.host, None))

    def test_forged_return_path(self) -> None:
        """A return path that does not end with who sent it is refused, and a loop in it too."""
        self.search(self.a, returnPath=[9, 72])
        self.search(self.a, returnPath=[9, 71, 9, 71])
        self.search(self.a, returnPath=list(range(1000)))
        to_a, to_b, _ = self.heard()
        self.assertEqual([(m["code"], m["about"]) for m in to_a], [("wrongway", "search")] * 3)
        self.assertEqual(to_b, [])

    def test_says_what_was_not_sent(self) -> None:
        """What cannot go is not sent, and the log says what it was and why."""
        hello, reply = Error(code="wtf"), Reply(item="pear", id=1)
        flood = self.node.new_flood(Search, item="pear")
        tries = [
            (hello, (self.me, 79), "error for node 79 was not sent: there is no link to node 79"),
            (reply, (self.me, 79, 71), "reply for node 71 was not sent: there is no link to node 79"),
            (
                hello,
                (71, self.me),
                f"error for node {self.me} was not sent: a route begins with this node and ends with",
            ),
            (flood, (self.me, 71, 9), "search for node 9 was not sent: Search is not Routed, and goes over one link"),
            (reply, (self.me, 71, *range(100, 115)), "reply for node 114 was not sent: a path has at most 16 nodes"),
        ]
        for message, route, expected in tries:
            with capturedLogs() as logged:
                self.assertFalse(self.node.send(message, route))
            [line] = [formatEvent(event) for event in logged]
            self.assertTrue(line.startswith(expected), line)
        with capturedLogs() as logged:
            self.assertTrue(self.node.send(reply, (self.me, 71)))
        self.assertEqual(logged, [])

    def test_own_searches_have_their_share(self) -> None:
        """However many searches come, a third of the capacity is kept for this node's own."""
        for id in range(200):
            self.search(self.a, id=id)
        self.forget()
        self.network.run(0.01)
        sent = [self.node.flood(Search(id=id, return_path=(self.me,), item="pear")) for id in range(30)]
        self.assertEqual(sum(count > 0 for count in sent), 50 - 33)
        self.assertIn(len([m for m in self.heard()[1] if m["item"] == "apple"]), range(33, 38))


class FairnessTests(NodeTestCase):
    """What a search costs is charged to the neighbour that brought it."""

    limits = {"seen_ids": 16, "searches_a_second": 48}

    def test_memory(self) -> None:
        """A neighbour that makes up searches makes this node forget none that another brought."""
        self.search(self.b, id=1, returnPath=[9, 72])
        self.heard()
        for id in range(100, 130):
            self.search(self.a, id=id, returnPath=[id, 71])
        self.heard()
        self.forget()
        self.search(self.c, id=1, returnPath=[9, 73])
        self.assertEqual(self.heard(), [[], [], []])

    def test_budget(self) -> None:
        """However much one neighbour asks, what another asks is passed on."""
        for first, pears in ((0, 9), (1000, 9), (2000, 5)):
            self.forget()
            for id in range(first, first + 200):
                self.search(self.a, id=id)
            self.network.run(0.01)
            for id in range(first, first + pears):
                self.search(self.b, id=id, item="pear", returnPath=[72])
            self.network.run(1.0)
        passed = [message["item"] for message in self.c.of_type("search")]
        self.assertEqual((passed.count("pear"), len(passed) > 20), (5, True))


class PathTests(NodeTestCase):
    """A message with a path goes along it and nowhere else."""

    def test_passed_to_the_next(self) -> None:
        """Only the next on the path gets it, unchanged."""
        message = {"type": "reply", "path": [9, 71, self.me, 72, 10], "item": "apple", "id": 3}
        self.a.tell(**message)
        self.assertEqual(self.heard(), [[], [message], []])

    def test_signed(self) -> None:
        """What is signed is passed on byte for byte: a relay reads it, and writes the same again."""
        order = json.loads(purchase().encode())
        message = {"type": "buy", "path": [9, 71, self.me, 72, 10], "id": 3, "order": order}
        self.a.tell(**message)
        self.assertEqual(self.heard(), [[], [message], []])

    def test_wrongway(self) -> None:
        """A node not on the path, first on it, or not reached from the one before says wrongway."""
        for path in ([71, 72], [self.me, 71], [71, 9, self.me, 72], [71, 72, 73], [71, self.me, 71], list(range(99))):
            self.a.tell("reply", path=path, item="apple", id=3)
            to_a, to_b, to_c = self.heard()
            self.assertEqual([(m["code"], m["about"]) for m in to_a], [("wrongway", "reply")], path)
            self.assertEqual((to_b, to_c), ([], []))
            self.forget()

    def test_noroute(self) -> None:
        """With the next hop gone and no other way, the sender is told which hop is gone."""
        self.a.tell("reply", path=[9, 71, self.me, 10], item="apple", id=3)
        self.assertEqual(
            self.heard(),
            [
                [
                    {
                        "type": "error",
                        "path": [self.me, 71, 9],
                        "code": "noroute",
                        "info": "this node has no link to node 10, and knows no other way",
                        "about": "reply",
                        "id": 3,
                        "hop": 10,
                    }
                ],
                [],
                [],
            ],
        )

    def test_detour(self) -> None:
        """With the next hop gone, another way that is known is taken."""
        self.search(self.c, returnPath=[10, 12, 73], id=4)
        self.heard()
        self.forget()
        self.a.tell("reply", path=[9, 71, self.me, 11, 10], item="apple", id=3)
        [message] = self.heard()[2]
        self.assertEqual(message["path"], [9, 71, self.me, 73, 12, 10])

    def test_detour_never_turns_back(self) -> None:
        """A way through a node that the message has passed is none."""
        self.search(self.a, returnPath=[10, 71], id=4)
        self.heard()
        self.forget()
        self.b.tell("reply", path=[71, 72, self.me, 11, 10], item="apple", id=3)
        self.assertEqual([m["code"] for m in self.heard()[1]], ["noroute"])

    def test_error_without_a_way(self) -> None:
        """An error that cannot go on is dropped: errors are never answered."""
        self.a.tell("error", code="soldout", path=[71, self.me, 10], id=3)
        self.a.tell("error", code="wtf", path=[71, self.me], id=3)
        self.assertEqual(self.heard(), [[], [], []])

    def test_nobody_takes_it(self) -> None:
        """What no role claims is answered wtf, along the path it came by."""
        self.a.tell("reply", path=[9, 71, self.me], item="apple", id=3)
        self.b.tell("reply", item="apple", id=4)
        to_a, to_b, _ = self.heard()
        self.assertEqual([(m["code"], m["path"], m["id"]) for m in to_a], [("wtf", [self.me, 71, 9], 3)])
        self.assertEqual([(m["code"], m.get("path"), m["id"]) for m in to_b], [("wtf", None, 4)])


class RoutesTests(NodeTestCase):
    """Paths are learnt from traffic."""

    def test_learnt(self) -> None:
        """A link comes first, then the shortest paths; those over links that are gone do not count."""
        self.search(self.a, returnPath=[10, 5, 71], id=1)
        self.search(self.b, returnPath=[10, 72], id=2)
        self.c.tell("reply", path=[10, 6, 7, 73, self.me], item="apple", id=3)
        self.network.run(0.1)
        self.assertEqual(
            list(self.node.routes_to(10)), [(self.me, 72, 10), (self.me, 71, 5, 10), (self.me, 73, 7, 6, 10)]
        )
        self.b.transport.loseConnection()
        self.network.run(0.1)
        self.assertEqual(list(self.node.routes_to(10)), [(self.me, 71, 5, 10), (self.me, 73, 7, 6, 10)])
        self.assertEqual(list(self.node.routes_to(71)), [(self.me, 71)])

    def test_noroute_is_learnt_from(self) -> None:
        """A path over a hop that is reported gone is forgotten."""
        self.search(self.a, returnPath=[10, 5, 71], id=1)
        self.a.tell("error", code="noroute", path=[71, self.me], hop=5)
        self.network.run(0.1)
        self.assertEqual(list(self.node.routes_to(10)), [])

    def test_send_needs_the_first_link(self) -> None:
        """A message cannot go along a route whose first link is not there."""
        reply = Reply(item="apple", id=1)
        self.assertEqual(
            [self.node.send(reply, route) for route in ((self.me, 99), (self.me, 71), (self.me, 72, 10))],
            [False, True, True],
        )
        to_a, to_b, _ = self.heard()
        self.assertEqual(to_a, [{"type": "reply", "item": "apple", "id": 1}])
        self.assertEqual(to_b, [{"type": "reply", "path": [self.me, 72, 10], "item": "apple", "id": 1}])


class ReachTests(NodeTestCase):
    """A direct link on a stranger's word."""

    def test_neighbour_elsewhere(self) -> None:
        """An address where a neighbour or the tracker is known to be is not dialled: that link stays."""
        other = self.network.add_node(near=[self.node], min_links=1)
        self.network.run(1)
        tracker = self.network.tracker_address
        assert tracker is not None
        for address in (Address(*self.network.where(other)), tracker):
            self.assertEqual(self.successResultOf(self.node.try_hold_link(4711, address, self)), False)
            self.node.release_link(4711, self)
        self.network.run(1)
        self.assertIn(other.id, [peer.id for peer in self.node.peers()])

    def test_release(self) -> None:
        """A link made by reach goes when it is released; one that was there stays."""
        other = self.network.add_node(min_links=0)
        self.network.run(1)
        self.node.release_link(71, self)
        reaching = self.node.try_hold_link(other.id, Address(*self.network.where(other)), self)
        self.network.run(1)
        self.assertTrue(self.successResultOf(reaching))
        self.assertEqual({71, other.id} - {peer.id for peer in self.node.peers()}, set())
        self.node.release_link(other.id, self)
        self.network.run(1)
        self.assertEqual({71, other.id} & {peer.id for peer in self.node.peers()}, {71})

    def test_late_link(self) -> None:
        """A link that comes when nobody waits for it any more can still be released."""
        other = self.network.add_node(min_links=0)
        self.network.run(1)
        self.node.try_hold_link(other.id, Address(*self.network.where(other)), self).addErrback(
            lambda failure: None
        ).cancel()
        self.network.run(1)
        self.assertIn(other.id, [peer.id for peer in self.node.peers()])
        self.node.release_link(other.id, self)
        self.network.run(1)
        self.assertNotIn(other.id, [peer.id for peer in self.node.peers()])

    def test_somebody_else(self) -> None:
        """Who turns out to be another than expected is let go again."""
        other = self.network.add_node(min_links=0)
        self.network.run(1)
        reaching = self.node.try_hold_link(4711, Address(*self.network.where(other)), self)
        self.network.run(3)
        self.assertFalse(self.successResultOf(reaching))
        self.assertNotIn(other.id, [peer.id for peer in self.node.peers()])


class RoleTests(NodeTestCase):
    """Roles get what they claim."""

    def setUp(self) -> None:
        """Carry a role."""
        self.role = self.listener = Listener(Search, Reply, Error)
        super().setUp()

    def test_search_comes_with_the_way_back(self) -> None:
        """A search is handed to the role that claims it, and passed on all the same."""
        self.search(self.a, returnPath=[9, 71])
        self.assertEqual([len(messages) for messages in self.heard()], [0, 1, 1])
        [(message, origin)] = self.listener.heard
        self.assertEqual((message.item, origin), ("apple", Origin(9, (self.me, 71, 9))))

    def test_last_on_the_path(self) -> None:
        """A routed message is handled by the last on its path."""
        self.a.tell("reply", path=[9, 71, self.me], item="apple", id=3)
        self.b.tell("reply", item="apple", id=4)
        self.network.run(0.1)
        self.assertEqual(
            [(m.id, origin) for m, origin in self.listener.heard],
            [(3, Origin(9, (self.me, 71, 9))), (4, Origin(72, (self.me, 72)))],
        )

    def test_errors(self) -> None:
        """An error meant for this node reaches its role."""
        self.a.tell("error", path=[9, 71, self.me], code="soldout", id=3)
        self.network.run(0.1)
        self.assertEqual([(m.code, o.id) for m, o in self.listener.heard], [("soldout", 9)])

    def test_a_fault_of_ours_costs_one_link(self) -> None:
        """A role that raises loses the link the message came by; the others stay."""

        def fail(message: Search, origin: Origin) -> None:
            raise RuntimeError("a planted fault")

        self.node._forwarding.register_receivers({Search: fail}, ())
        self.search(self.a)
        self.network.run(0.1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual([self.a.is_closed, self.b.is_closed, self.c.is_closed], [True, False, False])


class ClaimTests(SynchronousTestCase):
    """Two roles of one node do not quarrel."""

    def test_two_claims(self) -> None:
        """Two roles that take one class of message are refused at start, and named."""
        network = SimulatedNetwork()
        with self.assertRaises(UsageError) as caught:
            network.add_node(Listener(Search), Listener(Search))
        self.assertEqual(str(caught.exception), "Listener and Listener both take Search; run them as two nodes")

    def test_errors_go_to_all(self) -> None:
        """Both roles of a node may listen to errors."""
        network = SimulatedNetwork()
        network.add_tracker(Tracker())
        first, second = Listener(Error), Listener(Error, Search)
        node = network.add_node(first, second)
        network.run_until(lambda: node.id > 0)
        link(network, node, 71).tell("error", code="soldout")
        network.run(0.1)
        self.assertEqual([len(first.heard), len(second.heard)], [1, 1])


class Unstoppable(Role):
    """A role that cannot stop."""

    def __init__(self, stop: Callable[[], Deferred[None]]) -> None:
        self.stop = stop


class Lingering(Unstoppable):
    """One that has more to do before."""

    stop_s = 25.0


class StopTests(SynchronousTestCase):
    """A node that stops leaves, whatever its roles do."""

    def test_roles_that_do_not_stop(self) -> None:
        """A role that raises or fails when it is to stop is logged; the node says dc and closes all the same."""

        def raising() -> Deferred[None]:
            raise RuntimeError("a planted fault")

        for stop in (raising, lambda: fail(RuntimeError("a planted fault"))):
            network = SimulatedNetwork()
            network.add_tracker(Tracker())
            node = network.add_node(Unstoppable(stop))
            network.run_until(lambda node=node: node.id > 0)
            peer = link(network, node, 71)
            stopping = node.stop()
            network.run(0.1)
            self.successResultOf(stopping)
            self.assertEqual((peer.received[-1], peer.is_closed), ({"type": "dc"}, True))
            self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_waits_for_all(self) -> None:
        """It leaves when the slowest of its roles has stopped, though another raises at once."""

        def raising() -> Deferred[None]:
            raise RuntimeError("a planted fault")

        network = SimulatedNetwork()
        network.add_tracker(Tracker())
        machine = network.host()
        slow = Unstoppable(lambda: deferLater(machine, 1.0))
        node = network.add_node(Unstoppable(raising), slow, host=machine)
        network.run_until(lambda: node.id > 0)
        peer = link(network, node, 71)
        peer.received.clear()
        stopping = node.stop()
        network.run(0.9)
        self.assertNoResult(stopping)
        self.assertEqual(peer.received, [])
        network.run(0.2)
        self.successResultOf(stopping)
        self.assertEqual((peer.received, peer.is_closed), ([{"type": "dc"}], True))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_takes_its_time(self) -> None:
        """A role that never stops is waited for as long as it says, and 5 s if it says nothing."""
        for role, least_s in ((Unstoppable(Deferred), 4.9), (Lingering(Deferred), 24.9)):
            network = SimulatedNetwork()
            node = network.add_node(role)
            stopping = node.stop()
            network.run(least_s)
            self.assertNoResult(stopping)
            network.run(3.0)
            self.successResultOf(stopping)
            self.assertEqual(len(self.flushLoggedErrors(defer.TimeoutError)), 1)

    def test_hurries(self) -> None:
        """Told to hurry, it waits for no role any more, and that is no fault."""
        network = SimulatedNetwork()
        node = network.add_node(Lingering(Deferred))
        stopping = node.stop()
        network.run(1.0)
        node.stop_now()
        network.run(3.0)
        self.successResultOf(stopping)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_nothing_left(self) -> None:
        """When it says that it has stopped there is no timer, port or connection of it, nor a try to make one."""
        network = SimulatedNetwork()
        network.add_tracker(Tracker())
        for _ in range(5):
            network.add_node()
        network.run(5)
        network.nodes[-1].try_hold_link(4711, Address("10.9.9.9", 9000), self)
        stopped: list[None] = []
        for node in network.nodes:
            # Not the network's stop: it would end what the node left.
            node.stop().addCallback(stopped.append)
        network.run_until(lambda: len(stopped) == 6)
        self.assertEqual(network.left(), [])


class ReportTests(SynchronousTestCase):
    """What roles have to tell."""

    def test_report(self) -> None:
        """Everything enters the journal; the log has what there is a sentence for."""
        journal: list[tuple[str, Mapping[str, Any]]] = []
        rng = random.Random(1)
        node = Node(SimulatedNetwork().host(), rng, KeyPair.generate(rng), journal=lambda *entry: journal.append(entry))
        with capturedLogs() as logged:
            node.report("sold", "sold {item}", item="apple")
            node.report("sought", None, item="pear")
        self.assertEqual(journal, [("sold", {"item": "apple"}), ("sought", {"item": "pear"})])
        self.assertEqual([formatEvent(event) for event in logged], ["sold apple"])

    def test_of_a_role(self) -> None:
        """What a role reports is logged under the name of its module, and enters the journal of its node."""
        journal: list[tuple[str, Mapping[str, Any]]] = []
        rng = random.Random(1)
        role = Role()
        node = Node(
            SimulatedNetwork().host(), rng, KeyPair.generate(rng), [role], journal=lambda *entry: journal.append(entry)
        )
        started = Deferred.fromCoroutine(node.start(None))
        self.assertIsNone(self.successResultOf(started))
        with capturedLogs() as logged:
            role.node.report("sold", "sold {item}", item="apple")
        self.assertEqual(journal, [("sold", {"item": "apple"})])
        [event] = logged
        self.assertEqual((event["log_namespace"], formatEvent(event)), (Role.__module__, "sold apple"))
        self.assertIsNone(self.successResultOf(node.stop()))


class FormerIdTests(SynchronousTestCase):
    """A node that was 4711 when it last ran, and knows a neighbour."""

    def setUp(self) -> None:
        """Start it on a tracker that is played by hand, and says nothing yet."""
        self.network = SimulatedNetwork()
        self.network.add_tracker(Tracker())
        self.neighbour = self.network.add_node(min_links=0)
        self.network.run_until(lambda: self.neighbour.id > 0)
        address, trackers = accept(self.network, 9000)
        machine = self.network.host()
        rng = random.Random(1)
        self.joined: list[Mapping[str, Any]] = []
        self.node = Node(
            machine,
            rng,
            KeyPair.generate(rng),
            former_id=4711,
            tracker=TCP4ClientEndpoint(machine, address.host, address.port),
            neighbours=[TCP4ClientEndpoint(machine, *self.network.where(self.neighbour))],
            journal=lambda event, details: self.joined.append(details),
        )
        self.successResultOf(Deferred.fromCoroutine(self.node.start(None)))
        self.network.run(0.1)
        [self.tracker] = trackers

    def number(self, id: int) -> None:
        """Let the tracker give it an id."""
        self.tracker.tell("thisisyou", id=id, host="10.0.0.9", port=0)
        self.network.run(5)

    def linked(self) -> list[int]:
        """As whom its neighbour knows it."""
        return [peer.id for peer in self.neighbour.peers()]

    def test_asks_for_it(self) -> None:
        """It greets the tracker with the id it had."""
        self.assertEqual([(message["type"], message["id"]) for message in self.tracker.received], [("thisisme", 4711)])

    def test_without_the_tracker(self) -> None:
        """Before the tracker has answered it is linked to the neighbour under that id."""
        self.assertEqual((self.linked(), self.joined), ([4711], []))

    def test_keeps_it(self) -> None:
        """When the tracker agrees it stays who it is, and so does its link."""
        link = self.neighbour._linked[4711]
        self.number(4711)
        self.assertEqual((self.node.id, self.joined), (4711, [{"id": 4711}]))
        self.assertEqual(self.neighbour._linked, {4711: link})

    def test_takes_another(self) -> None:
        """When the tracker gives another id it takes that one, and is linked to its neighbour as that one."""
        self.number(99)
        self.assertEqual((self.node.id, self.joined, self.linked()), (99, [{"id": 99}], [99]))
