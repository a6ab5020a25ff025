"""Promises of the tracker: unique ids, remembered ids, random other nodes, and nothing else."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.configured import context_of, typed
from tests.raw_peer import RawPeer, connect, link
from twisted_bazaar.node.control import NodeRequest
from twisted_bazaar.roles.tracker import OPTIONS, Tracker, make_role
from twisted_bazaar.testing import FakeNode, SimulatedNetwork, deliver
from twisted_bazaar.values.addresses import Address


class TrackerTests(SynchronousTestCase):
    """A tracker asked by hand."""

    def setUp(self) -> None:
        """Start one."""
        self.network = SimulatedNetwork()
        self.role = Tracker(verbose=True)
        self.tracker = self.network.add_tracker(self.role)

    def join(
        self, id: int = -1, key: int = 1, host: str | None = None, port: int = 4000, **keys: object
    ) -> tuple[RawPeer, int]:
        """Greet it; returns the peer and the id it got."""
        peer = connect(self.network, self.tracker, host)
        peer.greet(id, key=f"{key:064x}", port=port, **keys)
        self.network.run(0.05)
        return peer, peer.received[0]["id"]

    def ask(self, peer: RawPeer, *have: int, **keys: object) -> dict[str, object]:
        """Ask for another node."""
        peer.received.clear()
        peer.tell("nodereq", have=list(have), **keys)
        self.network.run(0.05)
        [answer] = peer.of_type("nodereply")
        return answer

    def test_answer(self) -> None:
        """A greeting with -1 is answered with an id and the address that the tracker sees."""
        peer = connect(self.network, self.tracker, "10.7.7.7")
        peer.greet(-1, port=4000)
        self.network.run(0.05)
        [answer] = peer.received
        self.assertEqual(answer, {"type": "thisisyou", "id": answer["id"], "host": "10.7.7.7", "port": 4000})

    def test_unique(self) -> None:
        """A hundred nodes have a hundred ids, all positive."""
        ids = {self.join(key=key)[1] for key in range(100)}
        self.assertEqual(len(ids), 100)
        self.assertTrue(all(0 < id < 2**31 for id in ids))

    def test_same_key_same_id(self) -> None:
        """A node that comes back with its key gets its id, whether it was seen leaving or not."""
        peer, id = self.join()
        self.assertEqual(self.join()[1], id)
        peer.transport.loseConnection()
        self.network.run(100)
        self.assertEqual(self.join()[1], id)

    def test_claimed_id(self) -> None:
        """A tracker without memory believes the id a node says it had."""
        self.assertEqual(self.join(id=4711)[1], 4711)

    def test_claimed_id_of_another(self) -> None:
        """Nobody gets an id that another key holds, or held a while ago."""
        peer, id = self.join(key=1)
        self.assertNotEqual(self.join(id=id, key=2)[1], id)
        peer.tell("dc")
        self.network.run(10)
        self.assertNotEqual(self.join(id=id, key=3)[1], id)

    def test_names_another(self) -> None:
        """A node that asks gets one it does not have, never itself, and in the end none."""
        asker, _own = self.join(key=1)
        others = {self.join(key=key)[1] for key in range(2, 6)}
        have: list[int] = []
        for _ in range(4):
            answer = self.ask(asker, *have)
            have.append(int(str(answer["id"])))
            self.assertEqual(answer["port"], 4000)
        self.assertEqual(set(have), others)
        self.assertEqual(self.ask(asker, *have), {"type": "nodereply"})

    def test_who_has_left_asks(self) -> None:
        """A node whose link was replaced, and the new one closed, gets no answer by the old one, and no fault."""
        old, _ = self.join()
        new, _ = self.join()
        new.tell("dc")
        self.network.run(0.05)
        self.assertEqual((list(self.tracker.peers()), old.is_closed), ([], False))
        old.received.clear()
        old.tell("nodereq")
        old.tell("ping")
        self.network.run(0.05)
        self.assertEqual(old.received, [{"type": "pong"}])

    def test_names_at_random(self) -> None:
        """Askers are spread over the nodes."""
        asker, _ = self.join(key=1)
        for key in range(2, 12):
            self.join(key=key)
        named = {str(self.ask(asker)["id"]) for _ in range(60)}
        self.assertGreater(len(named), 6)

    def test_names_nobody_who_left(self) -> None:
        """A node that closed is no longer named, nor one that went silent."""
        asker, _ = self.join(key=1)
        leaving, _ = self.join(key=2)
        leaving.transport.loseConnection()
        _silent, _ = self.join(key=3)
        for _ in range(5):
            self.network.run(20)
            asker.tell("ping")
        self.assertEqual(self.ask(asker), {"type": "nodereply"})

    def test_names_nobody_who_cannot_be_reached(self) -> None:
        """Not those that do not listen, and not those on the tracker's loopback to others."""
        asker, _ = self.join(key=1)
        self.join(key=2, port=0)
        self.join(key=3, host="127.0.0.1")
        self.assertEqual(self.ask(asker), {"type": "nodereply"})
        local, _ = self.join(key=4, host="127.0.0.1")
        self.assertEqual(self.ask(local)["host"] in ("127.0.0.1", asker.transport.getHost().host), True)

    def test_names_by_kind(self) -> None:
        """Who asks for a kind gets nodes that say they are of it, with their port for datagrams; others get none."""
        asker, _ = self.join(key=1)
        _, plain = self.join(key=2)
        bakers = {self.join(key=key, kind="baker", udp=50 + key)[1]: 50 + key for key in (3, 4)}
        self.assertEqual({self.ask(asker, kind="baker")["id"] for _ in range(20)}, set(bakers))
        answer = self.ask(asker, *list(bakers)[:1], kind="baker")
        id = list(bakers)[1]
        host = asker.transport.getHost().host
        self.assertEqual(
            {key: value for key, value in answer.items() if key != "host"},
            {"type": "nodereply", "id": id, "port": 4000, "kind": "baker", "udp": bakers[id]},
        )
        self.assertNotEqual(answer["host"], host)
        self.assertEqual({self.ask(asker)["id"] for _ in range(20)}, {plain})
        self.assertEqual(self.ask(asker, kind="smith"), {"type": "nodereply", "kind": "smith"})
        self.assertEqual(self.ask(asker, *bakers, kind="baker"), {"type": "nodereply", "kind": "baker"})

    def test_forgets_kinds(self) -> None:
        """Of a kind that nobody is of any more nothing is left, and who comes back as another is named as that."""
        asker, _ = self.join(key=1)
        for number in range(50):
            peer, id = self.join(key=2, kind=f"kind-{number}")
            self.assertEqual(self.ask(asker, kind=f"kind-{number}")["id"], id)
            if number % 2:
                peer.tell("dc")
                self.network.run(0.1)
        self.assertEqual([self.ask(asker, kind=f"kind-{number}").get("id") for number in (0, 1, 48, 49)], [None] * 4)
        self.assertEqual(len(self.role._open), 1)

    def test_local_kinds(self) -> None:
        """Of those on the tracker's own machine of one kind and of others each is named to whom it may be."""
        local, _ = self.join(key=1, host="127.0.0.1")
        far, _ = self.join(key=2)
        _, near_baker = self.join(key=3, host="127.0.0.1", kind="baker")
        self.assertEqual(self.ask(far, kind="baker").get("id"), None)
        self.assertEqual(self.ask(local, kind="baker").get("id"), near_baker)
        _, far_baker = self.join(key=4, kind="baker")
        self.assertEqual(self.ask(far, kind="baker").get("id"), far_baker)
        self.assertEqual({self.ask(local, kind="baker")["id"] for _ in range(30)}, {near_baker, far_baker})

    def test_carries_nothing(self) -> None:
        """Searches and sales are not its business: it says so, and passes nothing on."""
        sender, own = self.join(key=1)
        listener, other = self.join(key=2)
        for peer in (sender, listener):
            peer.received.clear()
        sender.tell("search", id=1, item="apple", returnPath=[own])
        sender.tell("reply", id=2, item="apple", path=[own, other])
        self.network.run(0.1)
        self.assertEqual([(m["code"], m["about"]) for m in sender.received], [("wtf", "search"), ("wrongway", "reply")])
        self.assertEqual(listener.received, [])

    def test_verbose(self) -> None:
        """With --verbose each event is told."""
        asker, id = self.join(key=1)
        self.ask(asker)
        asker.tell("dc")
        self.network.run(1)
        told = [(event, details.get("id")) for _, event, details in self.network.events if event != "listening"]
        self.assertEqual(told, [("joined", id), ("asked", None), ("left", id)])

    def test_quiet(self) -> None:
        """Without --verbose none of it is told."""
        self.tracker = self.network.add_node(Tracker(), port=9000, max_links=1000)
        asker, _ = self.join(key=1)
        self.network.events.clear()
        self.ask(asker)
        self.join(key=2)
        asker.tell("dc")
        self.network.run(1)
        self.assertEqual(self.network.events, [])

    def test_nodes_do_not_mistake_it(self) -> None:
        """A node that dials a tracker as if it were a node notices."""
        node = self.network.add_node(near=[self.tracker])
        self.network.run(5)
        self.assertEqual(list(node.peers()), [])


class NotATrackerTests(SynchronousTestCase):
    """A node taken for a tracker."""

    def test_noticed(self) -> None:
        """A node that is told to use another node as its tracker waits for a real one."""
        network = SimulatedNetwork()
        network.add_tracker(Tracker())
        relay = network.add_node()
        network.run(1)
        network.tracker_address = Address(*network.where(relay))
        lost = network.add_node()
        network.run(30)
        self.assertEqual((lost.id, len(relay.peers())), (-1, 0))
        link(network, relay, 5)


class OptionsTests(SynchronousTestCase):
    """What the command line may ask for."""

    def test_verbose(self) -> None:
        """A tracker tells what happens if it is to, and says nothing by itself."""
        told = []
        for words in ([], ["--verbose"], ["-v"]):
            node, tracker = FakeNode(id=0), make_role(typed(OPTIONS, *words), context_of())
            tracker.start(node)
            peer = node.link(5)
            tracker.peer_joined(peer)
            deliver(tracker, NodeRequest(), 0, 5)
            tracker.peer_left(peer)
            told.append([event for event, _ in node.reports])
        self.assertEqual(told, [[], ["joined", "asked", "left"], ["joined", "asked", "left"]])
