"""The super peer as a role: its options, promotion, and what its operator can ask."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.configured import context_of, typed
from tests.discovery.superpeer.fakes import SuperPeerTestCase, place
from tests.discovery.superpeer.nets import NetTestCase
from tests.raw_peer import link
from twisted_bazaar.discovery.superpeer.messages import Lead, Query, Register, Registered, SuperHello
from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import IRole
from twisted_bazaar.plugin import find_role
from twisted_bazaar.roles.super_peer import KIND, OPTIONS, SuperPeer, make_role
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.testing import FakeNode, deliver, deliver_datagram
from twisted_bazaar.values.addresses import Address, Peer
from twisted_bazaar.wire.message import NO_ID

MINUTE_S = 60.0


def made(*words: str) -> SuperPeer:
    """The role that a command line makes."""
    return make_role(typed(OPTIONS, *words), context_of())


class OptionTests(SynchronousTestCase):
    """What can be said on a command line."""

    def begun(self, *words: str) -> tuple[SuperPeer, FakeNode]:
        """A role that a command line makes, on a node."""
        role, node = made(*words), FakeNode()
        role.start(node)
        return role, node

    def test_found(self) -> None:
        """It is found by its name."""
        self.assertIs(find_role("super_peer").options(), OPTIONS)

    def test_usual(self) -> None:
        """What is in force when nothing is said."""
        role, _ = self.begun()
        policy = role.policy
        self.assertEqual((policy.ttl, policy.results, role.leaves.most, role.neighbours.degree), (4, 50, 300, 6))
        self.assertTrue(policy.query_routing and policy.dynamic_querying and role.neighbours.tells_tables)

    def test_said(self) -> None:
        """All of it can be said."""
        words = "--ttl 7 --leaves 20 --results 9 --degree 30 --no-query-routing --no-dynamic-querying"
        role, _ = self.begun(*words.split())
        policy = role.policy
        self.assertEqual((policy.ttl, policy.results, role.leaves.most, role.neighbours.degree), (7, 9, 20, 30))
        self.assertFalse(role.query_routing or role.dynamic_querying or role.neighbours.tells_tables)

    def test_neighbours(self) -> None:
        """Neighbours are greeted where they are said to be."""
        _, node = self.begun("--neighbour", "127.0.0.1:9201", "--neighbour=[::1]:9202")
        node.clock.advance(0.1)
        greeted = {address for message, address in node.datagrams if isinstance(message, SuperHello)}
        self.assertEqual(greeted, {Address("127.0.0.1", 9201), Address("::1", 9202)})

    def test_cannot_be_read(self) -> None:
        """What cannot be read is refused in a line that says what is possible."""
        for words, part in (
            (["--ttl", "17"], "takes a whole number from 1 to 16"),
            (["--ttl", "0"], "takes a whole number from 1 to 16"),
            (["--ttl", "-1"], "takes a whole number from 1 to 16"),
            (["--results", "9" * 5000], "takes a whole number from 1 to 1,000"),
            (["--ttl", "x"], "--ttl"),
            (["--leaves", "0"], "--leaves"),
            (["--results", "1001"], "1 to 1,000"),
            (["--degree", "65"], "0 to 64"),
            (["--neighbour", "9201"], "HOST:PORT"),
            (["--neighbour", "example.org:9201"], "IP address"),
            (["--neighbour", "127.0.0.1:0"], "HOST:PORT"),
            (["--neighbour", "127.0.0.1:65536"], "HOST:PORT"),
            (["--neighbour", "127.0.0.1:"], "HOST:PORT"),
            (["--neighbour", "0.0.0.0:9201"], "no single machine"),
            (["--neighbour", "[::]:9201"], "no single machine"),
            (["--neighbour", "[::ffff:0.0.0.0]:9201"], "no single machine"),
            (["--neighbour", "224.0.0.1:9201"], "no single machine"),
            (["--neighbour", "[ff02::1]:9201"], "no single machine"),
            (["--neighbour", "255.255.255.255:9201"], "no single machine"),
        ):
            with self.assertRaises(UsageError) as caught:
                made(*words)
            self.assertIn(part, str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))


class RoleTests(SuperPeerTestCase):
    """What a node with it is."""

    def test_interfaces(self) -> None:
        """Its node needs nobody for an id, and its operator can ask it things."""
        self.assertTrue(self.role.is_self_numbered and verifyObject(IRole, self.role))
        self.assertEqual(list(self.role.commands), ["status"])
        self.assertEqual(self.role.kind, KIND)

    def test_status(self) -> None:
        """It tells how many weak peers and neighbours it has, and what it has done."""
        self.neighbour(1)
        self.weak_peer(10, "a film")
        self.weak_peer(11)
        self.ask(11)
        status = self.successResultOf(self.role.commands["status"]({}))
        expected = {"role": "super_peer", "leaves": 2, "most": 300, "neighbours": ["10.8.0.1:9200"], "files": 1}
        self.assertEqual({name: status[name] for name in expected}, expected)
        self.assertEqual((status["searches"], status["asked"], status["hits"]), (1, 1, 1))

    def test_no_datagrams(self) -> None:
        """One that takes no datagrams says so, and serves its weak peers all the same."""
        self.node, self.role = FakeNode(udp_port=0), SuperPeer([place(1)])
        self.role.start(self.node)
        self.weak_peer(10, "a film")
        self.weak_peer(11)
        self.ask(11)
        self.node.clock.advance(5)
        self.assertEqual((self.names(11), self.node.datagrams), (["a film"], []))

    def test_waits_for_its_id(self) -> None:
        """With a tracker it begins when that has given it an id."""
        self.node, self.role = FakeNode(id=NO_ID), SuperPeer([place(1)])
        self.role.start(self.node)
        self.node.clock.advance(5)
        self.weak_peer(10)
        self.assertEqual((self.node.datagrams, [message.taken for message in self.told(10, Registered)]), ([], [False]))
        self.node.id = 77
        self.role.tracker_joined()
        self.node.clock.advance(0.1)
        self.assertEqual([(hello.id, address) for hello, address in self.sent(SuperHello)], [(77, place(1))])
        self.role.tracker_joined()
        self.weak_peer(11)
        self.assertEqual([message.taken for message in self.told(11, Registered)], [True])

    def test_linked_ones(self) -> None:
        """Super peers that it has links to are asked to be its neighbours, if they take datagrams."""
        for number, kind, udp_port in ((1, KIND, 9200), (2, None, 9200), (3, KIND, 0)):
            peer = Peer(number + 1, f"{number:064x}", Address(f"10.8.0.{number}", 4000), kind, udp_port)
            self.node.linked.append(peer)
            self.role.peer_joined(peer)
        self.node.clock.pump([0.1] * 50)
        self.assertEqual({address for _, address in self.node.datagrams}, {place(1)})

    def test_goes(self) -> None:
        """When it stops it says so to its neighbours, and leaves no timer."""
        self.neighbour(1)
        self.weak_peer(10, "a film")
        self.sent(SuperHello)
        self.successResultOf(self.role.stop())
        self.assertEqual([hello.leaving for hello, _ in self.sent(SuperHello)], [True])
        self.assertEqual(self.node.clock.getDelayedCalls(), [])

    def test_after_the_end(self) -> None:
        """What comes after it has stopped is harmless."""
        self.neighbour(1)
        peer = self.weak_peer(10, "a film")
        self.successResultOf(self.role.stop())
        self.ask(10)
        self.hear_from(1, Query(id="ab" * 16, words="film", reach=3, ttl=3))
        self.unlink(peer)
        self.assertEqual(self.node.clock.getDelayedCalls(), [])


class PromotionTests(SuperPeerTestCase):
    """A weak peer that is able is asked when there are too few super peers."""

    options = {"leaves": 10}

    def able(self, node_id: int, host: str = "10.0.0.9") -> Peer:
        """A weak peer that would lead."""
        return self.weak_peer(node_id, may_lead=True, udp=9300, host=host)

    def fill(self, count: int, first: int = 50) -> None:
        """Let weak peers come that would not."""
        for number in range(count):
            self.weak_peer(first + number)

    def asked(self) -> list[int]:
        """Who has been asked to lead."""
        return [route[-1] for message, route in self.node.sent if isinstance(message, Lead)]

    def test_asked(self) -> None:
        """The one that has been there for longest is asked when nine of ten places are taken; the log says why."""
        self.fill(1)
        self.able(20)
        self.able(10)
        self.fill(5, 60)
        self.assertEqual(self.asked(), [])
        self.fill(1, 70)
        self.assertEqual(self.asked(), [20])
        [lead] = self.told(20, Lead)
        self.assertIn("9 of 10", lead.why)
        self.assertIn("asked_to_lead", [event for event, _ in self.node.reports])

    def test_room_elsewhere(self) -> None:
        """Nobody is asked while neighbours have room; when they have none, the one who leads gets to know them."""
        self.neighbour(1, room=50, leaves=250)
        self.able(20)
        self.fill(9)
        self.assertEqual(self.asked(), [])
        self.neighbour(1, room=0, leaves=300)
        self.node.clock.advance(1.1)
        self.assertEqual(self.asked(), [20])
        [lead] = self.told(20, Lead)
        self.assertEqual([(each.host, each.port) for each in lead.neighbours], [(place(1).host, place(1).port)])

    def test_stopped(self) -> None:
        """Nobody is asked by a super peer that stops."""
        peers = [self.able(20), self.able(21)]
        self.successResultOf(self.role.stop())
        for peer in peers:
            self.unlink(peer)
        self.assertEqual(self.asked(), [])

    def test_one_a_minute(self) -> None:
        """Only one is asked a minute, and nobody twice in a row."""
        self.able(20)
        self.able(21)
        self.fill(20)
        self.assertEqual(self.asked(), [20])
        self.node.clock.advance(MINUTE_S + 1)
        self.fill(1, 90)
        self.assertEqual(self.asked(), [20, 21])
        self.node.clock.advance(MINUTE_S + 1)
        self.fill(1, 95)
        self.assertEqual(self.asked(), [20, 21])

    def test_not_able(self) -> None:
        """Who would not lead, or cannot be reached, is not asked."""
        self.weak_peer(20, may_lead=True)
        self.weak_peer(21, udp=9300)
        peer = Peer(22, f"{22:064x}", Address("10.0.0.9", 0))
        self.node.linked.append(peer)
        self.role.peer_joined(peer)
        self.hear(22, Register(id=1, may_lead=True, udp=9300))
        self.fill(10)
        self.assertEqual(self.asked(), [])

    def test_local_neighbours(self) -> None:
        """Nobody elsewhere is told of neighbours on this machine."""
        hello = SuperHello(id=500, key="ef" * 32, leaves=9, room=0)
        deliver_datagram(self.role, hello, Address("127.0.0.1", 9400))
        self.able(20)
        self.able(21, host="127.0.0.1")
        self.fill(8)
        self.node.clock.advance(MINUTE_S / 20)
        deliver_datagram(self.role, hello, Address("127.0.0.1", 9400))
        leads = [message for message, _ in self.node.sent if isinstance(message, Lead)]
        self.assertEqual([lead.neighbours for lead in leads], [()])


class DormantTests(SynchronousTestCase):
    """One that is no super peer until it is told to be."""

    def setUp(self) -> None:
        """Start it."""
        self.node, self.role = FakeNode(), SuperPeer.dormant(leaves=5)
        self.role.start(self.node)

    def answers(self, node_id: int) -> list[Any]:
        """Register, and hear what is said."""
        self.role.peer_joined(self.node.link(node_id))
        deliver(self.role, Register(id=1), 1, node_id)
        return [message.taken for message, route in self.node.sent if route[-1] == node_id]

    def test_dormant(self) -> None:
        """It takes nobody, says nothing, and is not to be found as one."""
        deliver_datagram(self.role, SuperHello(id=500, key="ef" * 32), place(1))
        self.node.clock.advance(10)
        self.assertEqual((self.answers(10), self.node.datagrams, self.role.kind), ([False], [], None))
        self.assertFalse(self.role.is_leading)

    def test_leads(self) -> None:
        """From then on it takes weak peers and greets those it was told of; the log says why."""
        self.role.lead("there are too few", [place(1)])
        self.node.clock.advance(0.1)
        self.assertEqual((self.answers(10), self.role.kind), ([True], KIND))
        self.assertIn(place(1), [address for _, address in self.node.datagrams])
        self.assertEqual(self.node.reports[0], ("led", {"why": "there are too few"}))

    def test_twice(self) -> None:
        """Being told again changes nothing."""
        for _ in range(2):
            self.role.lead("there are too few", [place(1)])
        self.assertEqual(len([event for event, _ in self.node.reports if event == "led"]), 1)

    def test_never_began(self) -> None:
        """One that never led stops like any other."""
        self.successResultOf(self.role.stop())
        self.assertEqual(self.node.clock.getDelayedCalls(), [])


class EndTests(NetTestCase):
    """Every query over a link that has an id ends once, whatever is wrong with it."""

    def test_malformed(self) -> None:
        """One that is malformed has an error that names it, and then its end; one without an id has an error."""
        peer = self.weak_peer(self.super_peer(), "a song")
        for number, wrong in enumerate(
            ({}, {"words": "a", "item": "b"}, {"words": 5}, {"name": "x\n"}, {"results": 0})
        ):
            query_id = f"{number:032x}"
            peer.tell("query", **{"id": query_id, **wrong})
            self.network.run(0.1)
            error, end = peer.received[-2:]
            self.assertEqual((error["code"], error["about"], error["query"]), ("wtf", "query", query_id))
            self.assertEqual(end, {"type": "queryend", "id": query_id})
        for wrong in ({}, {"id": 5, "words": "song"}, {"id": "5", "words": "song"}, {"id": "A" * 32, "words": "song"}):
            peer.tell("query", **wrong)
            self.network.run(0.1)
            self.assertEqual((peer.received[-1]["type"], "query" in peer.received[-1]), ("error", False))
        self.assertEqual(len(peer.of_type("queryend")), 5)

    def test_why(self) -> None:
        """The error says what is wrong, under the key where it is."""
        peer = self.weak_peer(self.super_peer())
        for wrong in ({"words": "a", "item": "b"}, {"name": "x\n"}, {"words": "a", "results": 0}):
            peer.tell("query", id="0" * 32, **wrong)
        self.network.run(0.1)
        peer.tell("table", base=0, version=9, bits=20, on="AA==", off="?")
        self.network.run(0.5)
        self.assertEqual(
            [error["info"] for error in peer.of_type("error")],
            [
                "query: exactly one of name, words, digest, item and seller is given",
                "query.name: a control character in it",
                "query.results: expected int >= 1",
                "table.off: Only base64 data is allowed",
            ],
        )

    def test_before_registering(self) -> None:
        """Who has not registered is told which query that was, and its end."""
        peer = link(self.network, self.super_peer(), 77)
        peer.tell("query", id="ab" * 16, words="song")
        self.network.run(0.1)
        error, end = peer.received[-2:]
        self.assertEqual((error["code"], error["query"], end["id"]), ("notregistered", "ab" * 16, "ab" * 16))


class TrackerTests(NetTestCase):
    """Super peers that find each other through a tracker."""

    def test_found(self) -> None:
        """Those that know nothing but a tracker become neighbours, and search each other."""
        self.network.add_tracker(Tracker())
        nodes = [self.super_peer() for _ in range(3)]
        self.network.run_until(lambda: all(len(role.neighbours.linked) == 2 for role in self.roles.values()))
        self.weak_peer(nodes[2], "holiday film.mp4")
        seeker = self.weak_peer(nodes[0])
        self.settle()
        self.assertEqual(self.ask(seeker, words="holiday"), ["holiday film.mp4"])

    def test_promoted(self) -> None:
        """One that has become a super peer is named by the tracker as one."""
        self.network.add_tracker(Tracker())
        able = SuperPeer.dormant(degree=0)
        promoted = self.network.add_node(able, udp=True)
        node = self.super_peer()
        self.settle()
        self.assertEqual(len(self.roles[node].neighbours.linked), 0)
        able.lead("there are too few")
        self.network.run(40)
        self.assertEqual([each.id for each in self.roles[node].neighbours.linked.values()], [promoted.id])
        late = self.super_peer(degree=2)
        self.network.run_until(lambda: len(self.roles[late].neighbours.linked) == 2)
