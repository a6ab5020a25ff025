"""Promises of one connection, tested in the simulator with the other end played by hand."""

from __future__ import annotations

import gc
import json
from collections import Counter
from itertools import pairwise
from weakref import ref

from twisted.trial.unittest import SynchronousTestCase

from tests.node.cases import LinkTestCase
from tests.raw_peer import accept, connect, link
from twisted_bazaar.node.links.states import Stage
from twisted_bazaar.node.node import Node
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.framing import frame

PINGS = frame(b'{"type":"ping"}') * 10_000


class HandshakeTests(LinkTestCase):
    """Two nodes say who they are before anything else."""

    def test_answered(self) -> None:
        """Who accepts says nothing until greeted, and then answers with its own greeting."""
        peer = connect(self.network, self.node)
        self.assertEqual(peer.received, [])
        peer.greet(77)
        self.network.run(0.05)
        [answer] = peer.received
        _, port = self.network.where(self.node)
        self.assertEqual(answer, {"type": "thisisme", "id": self.node.id, "port": port, "key": answer["key"]})
        self.assertRegex(answer["key"], "^[0-9a-f]{64}$")
        self.assertEqual(self.linked_ids(), [77])

    def test_silence_is_warned_then_closed(self) -> None:
        """After 10 s without a greeting comes notim, after 2 s more the end."""
        peer = connect(self.network, self.node)
        self.network.run(9.8)
        self.assertEqual(peer.received, [])
        self.network.run(0.7)
        self.assertEqual([m["code"] for m in peer.of_type("error")], ["notim"])
        self.assertFalse(peer.is_closed)
        self.network.run(2.1)
        self.assertTrue(peer.is_closed)

    def test_a_tracker_that_is_silent(self) -> None:
        """A node that waits 10 s for its tracker's thisisyou says notiy; after 2 s more it closes, and tries again."""
        self.network.tracker_address, peers = accept(self.network, 9000)
        self.network.add_node()
        self.network.run(10.5)
        [tracker] = peers
        self.assertEqual([m["type"] for m in tracker.received], ["thisisme", "error"])
        self.assertEqual((tracker.received[1]["code"], tracker.is_closed), ("notiy", False))
        self.network.run(3)
        self.assertEqual([peer.is_closed for peer in peers], [True, False])

    def test_a_node_that_is_silent(self) -> None:
        """A node that waits for the greeting of one it dialled says notim."""
        address, peers = accept(self.network)
        self.node.try_hold_link(88, address, self)
        self.network.run(10.5)
        self.assertEqual([m.get("code") for m in peers[0].received], [None, "notim"])

    def test_late_greeting_counts(self) -> None:
        """A greeting that notim brought forth opens the link."""
        peer = connect(self.network, self.node)
        self.network.run(10.5)
        peer.greet(77)
        self.network.run(5)
        self.assertEqual(self.linked_ids(), [77])
        self.assertFalse(peer.is_closed)

    def test_second_greeting_of_the_same_node_changes_nothing(self) -> None:
        """The answer to a notim may cross the first greeting."""
        peer = link(self.network, self.node, 77)
        peer.greet(77, key=f"{77:064x}")
        self.network.run(1)
        self.assertFalse(peer.is_closed)
        self.assertEqual(self.linked_ids(), [77])

    def test_a_link_cannot_change_its_owner(self) -> None:
        """Another key on an open link ends it."""
        peer = link(self.network, self.node, 77)
        peer.greet(78, key="cd" * 32)
        self.network.run(1)
        self.assertTrue(peer.is_closed)

    def test_nothing_is_taken_before_the_greeting(self) -> None:
        """A search from somebody unknown is refused."""
        peer = connect(self.network, self.node)
        peer.tell("search", id=1, item="apple", returnPath=[77])
        self.network.run(0.1)
        self.assertEqual([(m["code"], m["about"]) for m in peer.of_type("error")], [("wtf", "search")])

    def test_only_trackers_give_ids(self) -> None:
        """A node greeted with -1 says that it is none."""
        peer = connect(self.network, self.node)
        peer.greet(-1)
        self.network.run(0.1)
        self.assertEqual([m["code"] for m in peer.received], ["wtf"])
        self.assertTrue(peer.is_closed)

    def test_other_version(self) -> None:
        """A node of another protocol version is refused with both versions named."""
        peer = connect(self.network, self.node)
        peer.greet(77, version=1)
        self.network.run(0.1)
        self.assertEqual(peer.received[0]["info"], "protocol version 1; this node speaks 2")
        self.assertTrue(peer.is_closed)

    def test_taken_id(self) -> None:
        """An id that is linked under another key, or this node's own, is refused."""
        link(self.network, self.node, 77)
        for taken in (77, self.node.id):
            peer = link(self.network, self.node, taken, key="cd" * 32)
            self.assertEqual([m["code"] for m in peer.received], ["wtf"])
            self.assertTrue(peer.is_closed)
        self.assertEqual(self.linked_ids(), [77])

    def test_dialler_repeats_its_greeting_on_notim(self) -> None:
        """A node that gets notim sends its thisisme again, and no more than that."""
        address, peers = accept(self.network)
        self.node.try_hold_link(88, address, self)
        self.network.run(1)
        [peer] = peers
        peer.tell("error", code="notim")
        self.network.run(1)
        self.assertEqual([m["type"] for m in peer.received], ["thisisme", "thisisme"])
        peer.greet(88, key=f"{88:064x}")
        self.network.run(1)
        self.assertEqual(self.linked_ids(), [88])


class LivenessTests(LinkTestCase):
    """A silent link is tested, a dead one dropped."""

    def test_ping_after_silence(self) -> None:
        """Pings come at 30 and 60 s of silence; at 90 s the link is cut."""
        peer = link(self.network, self.node, 77)
        self.network.run(29.5)
        self.assertEqual(peer.of_type("ping"), [])
        self.network.run(1)
        self.assertEqual(len(peer.of_type("ping")), 1)
        self.network.run(58)
        self.assertEqual((len(peer.of_type("ping")), peer.is_closed), (2, False))
        self.network.run(2)
        self.assertTrue(peer.is_closed)
        self.assertEqual(self.linked_ids(), [])

    def test_pong_keeps_it(self) -> None:
        """Whoever answers pings is never dropped."""
        peer = link(self.network, self.node, 77)
        for _ in range(20):
            self.network.run(15)
            for _ in peer.of_type("ping"):
                peer.tell("pong")
            peer.received.clear()
        self.assertEqual(self.linked_ids(), [77])

    def test_ping_is_answered_once_and_pong_never(self) -> None:
        """Pings cannot loop."""
        peer = link(self.network, self.node, 77)
        peer.received.clear()
        peer.tell("pong")
        peer.tell("ping")
        self.network.run(1)
        self.assertEqual(peer.received, [{"type": "pong"}])

    def test_a_quick_pace(self) -> None:
        """Nodes that ping each other every 2.5 s, long before a greeting would be late, stay linked from the start."""
        pace = {"ping_s": 2.5, "silence_s": 7.5, "min_links": 0}
        node, other = (self.network.add_node(**pace) for _ in range(2))
        self.network.run_until(lambda: node.id > 0 and other.id > 0)
        node.try_hold_link(other.id, Address(*self.network.where(other)), self)
        self.network.run_until(node.peers)
        first = node._linked[other.id]
        for _ in range(60):
            self.network.run(1)
            self.assertIs(node._linked.get(other.id), first)

    def test_two_nodes_stay_linked_quietly(self) -> None:
        """Between two real nodes an idle hour costs two pings and two pongs a minute at the most."""
        other = self.network.add_node()
        self.network.run_until(lambda: other.peers())
        before = len(self.network.traffic)
        self.network.run(600)
        kinds = [m.wire_name for _, to, m in self.network.traffic[before:] if to in (self.node.id, other.id)]
        self.assertLessEqual(kinds.count("ping"), 2 * 20 + 2 * 20)
        self.assertEqual(self.linked_ids(), [other.id])


class ClosingTests(LinkTestCase):
    """A link ends politely if it can, and ends in any case."""

    def test_dc(self) -> None:
        """dc closes the connection and is not answered."""
        peer = link(self.network, self.node, 77)
        peer.received.clear()
        peer.tell("dc")
        self.network.run(0.1)
        self.assertEqual((peer.received, peer.is_closed, self.linked_ids()), ([], True, []))

    def test_stop_says_goodbye(self) -> None:
        """A node that stops says dc to all and closes every socket."""
        peer = link(self.network, self.node, 77)
        stopping = self.node.stop()
        self.network.run(0.1)
        self.assertEqual(peer.received[-1], {"type": "dc"})
        self.assertTrue(peer.is_closed)
        self.successResultOf(stopping)

    def test_stop_does_not_wait_for_who_does_not_read(self) -> None:
        """After two seconds of grace the connection is cut."""
        peer = link(self.network, self.node, 77)
        peer.transport.pauseProducing()
        # More answers than fit on the way.
        peer.transport.write(frame(b'{"type":"ping"}') * 10_000)
        self.network.run(1)
        stopping = self.node.stop()
        self.network.run(1.5)
        self.assertNoResult(stopping)
        self.network.run(0.7)
        self.successResultOf(stopping)
        # Who does not read hears of it when it does.
        peer.transport.resumeProducing()
        self.network.run(0.1)
        self.assertTrue(peer.is_closed)

    def test_nothing_is_left(self) -> None:
        """When all have stopped there is no timer and no socket."""
        link(self.network, self.node, 77)
        connect(self.network, self.node)
        self.network.stop_all()
        self.assertEqual(self.network.left(), [])


class LimitTests(LinkTestCase):
    """What one peer can make a node do is bounded."""

    def test_no_frames_any_more(self) -> None:
        """What follows good frames and is none ends the link at once, even if it comes in the same piece."""
        peer = link(self.network, self.node, 77)
        peer.transport.write(frame(b'{"type":"pong"}') + b"GET / HTTP/1.1")
        self.network.run(0.1)
        self.assertTrue(peer.is_closed)

    def test_large_frames_only_after_the_greeting(self) -> None:
        """Before the greeting a frame has at most 4 KiB, after it 64 KiB."""
        ping = json.dumps({"type": "ping", "filler": "x" * 5000}).encode()
        stranger = connect(self.network, self.node)
        stranger.sendString(ping)
        self.network.run(0.1)
        self.assertTrue(stranger.is_closed)
        peer = link(self.network, self.node, 77)
        peer.sendString(ping)
        self.network.run(0.1)
        self.assertEqual(len(peer.of_type("pong")), 1)
        peer.sendString(b" " * (64 * 1024 + 1))
        self.network.run(0.1)
        self.assertTrue(peer.is_closed)

    def test_large_frame_in_one_piece_with_the_greeting(self) -> None:
        """Which limit holds does not depend on how the stream is cut."""
        peer = connect(self.network, self.node)
        greeting = json.dumps({"type": "thisisme", "id": 77, "port": 0, "key": "ab" * 32}).encode()
        ping = json.dumps({"type": "ping", "filler": "x" * 5000}).encode()
        peer.transport.write(frame(greeting) + frame(ping))
        self.network.run(0.1)
        self.assertEqual([m["type"] for m in peer.received], ["thisisme", "pong"])

    def test_two_that_wait_for_each_other(self) -> None:
        """Two that have left very much unread of each other, both, do not wait until one is cut off."""
        other = self.network.add_node(near=[self.node], min_links=0)
        self.network.run(3)
        ends = [(self.node, other), (other, self.node)]
        links = [one._linked[two.id] for one, two in ends]
        said = Error(code="wtf", info="x" * 500)
        for one, two in ends:
            for _ in range(5_000):
                one.send(said, (one.id, two.id))
        self.assertGreater(min(each.held_bytes for each in links), 1 << 20)
        self.network.run(8)
        self.assertEqual([(each.held_bytes, each.stage) for each in links], [(0, Stage.OPEN)] * 2)
        self.assertEqual([one._linked[two.id] for one, two in ends], links)

    def test_unfinished_frame(self) -> None:
        """A frame that has begun ends within 20 s, however steadily its bytes drip."""
        peer = link(self.network, self.node, 77)
        peer.transport.write(b"1000:")
        for _ in range(19):
            self.network.run(1)
            peer.transport.write(b"x")
        self.assertFalse(peer.is_closed)
        self.network.run(1.5)
        self.assertTrue(peer.is_closed)

    def test_malformed_messages(self) -> None:
        """Each is answered with what was wrong; ten a minute are borne, the next ends the link."""
        peer = link(self.network, self.node, 77)
        for _ in range(10):
            peer.tell("search", id="five", item="apple", returnPath=[77])
        self.network.run(0.1)
        self.assertEqual(
            peer.of_type("error"),
            [{"type": "error", "code": "wtf", "info": "search.id: expected int, got str", "about": "search"}] * 10,
        )
        self.assertFalse(peer.is_closed)
        peer.tell("search", id="five", item="apple", returnPath=[77])
        self.network.run(0.1)
        self.assertTrue(peer.is_closed)

    def test_malformed_messages_are_forgotten(self) -> None:
        """Ten now and ten a minute later are no reason to end a link."""
        peer = link(self.network, self.node, 77)
        for _ in range(3):
            for _ in range(10):
                peer.tell("reply", id=-1, item="apple")
            self.network.run(61)
        self.assertFalse(peer.is_closed)

    def test_unknown_messages(self) -> None:
        """A newer neighbour is answered wtf, not more than ten times a minute, and stays."""
        peer = link(self.network, self.node, 77)
        for number in range(50):
            peer.tell(f"new{number}")
        self.network.run(0.2)
        self.assertEqual({m["code"] for m in peer.of_type("error")}, {"wtf"})
        self.assertEqual(len(peer.of_type("error")), 10)
        self.assertFalse(peer.is_closed)

    def test_errors_are_never_answered(self) -> None:
        """Not even those that cannot be read."""
        peer = link(self.network, self.node, 77)
        peer.received.clear()
        peer.tell("error", code="wtf", info="what?", about="search")
        peer.tell("error", code=5)
        peer.tell("error")
        peer.tell("error", code="wrongway", path=[1, 2, 3])
        peer.tell("pong", id=[])
        self.network.run(0.1)
        self.assertEqual(peer.received, [])

    def test_frames_in_one_turn(self) -> None:
        """A link is served 200 frames, then the others have their turn."""
        flooding = link(self.network, self.node, 77)
        quiet = link(self.network, self.node, 78)
        self.network.traffic.clear()
        flooding.transport.write(frame(b'{"type":"ping"}') * 1000)
        quiet.tell("ping")
        self.network.run(0.2)
        order = [to for _, to, message in self.network.traffic if message.wire_name == "pong"]
        self.assertEqual((order.count(77), order.count(78)), (1000, 1))
        self.assertEqual(order.index(78), 200)

    def test_a_peer_that_does_not_read(self) -> None:
        """Searches are no longer passed to it once a megabyte is unsent, and others get them still."""
        node = self.network.add_node(silence_s=1000)
        self.network.run_until(lambda: node.id > 0)
        deaf, hearing, asking = (link(self.network, node, id) for id in (77, 78, 79))
        deaf.transport.pauseProducing()
        # As many a second as one neighbour may send, with names of 100 letters.
        total = 0
        for _ in range(400):
            for _ in range(33):
                total += 1
                asking.tell("search", id=total, item="x" * 100, returnPath=[79], ttl=3)
            self.network.run(1.1)
            hearing.tell("pong")
        self.assertEqual(len(hearing.of_type("search")), total)
        self.assertLess(unsent_by(self.network, node), (1 << 20) + (1 << 17))
        self.assertGreater(unsent_by(self.network, node), 1 << 19)
        self.assertIn(77, [peer.id for peer in node.peers()])

    def test_a_peer_that_asks_and_does_not_read(self) -> None:
        """Once a quarter of a megabyte is unsent it is answered no more, and after 90 s it is cut off."""
        peer = link(self.network, self.node, 77)
        peer.transport.pauseProducing()
        for _ in range(80):
            peer.transport.write(PINGS)
            self.network.run(1)
        self.assertLess(unsent_by(self.network, self.node), (1 << 18) + (1 << 10))
        self.assertFalse(peer.is_closed)
        self.network.run(30)
        self.assertEqual(self.linked_ids(), [])
        self.assertEqual(unsent_by(self.network, self.node), 0)

    def test_a_peer_that_reads_again(self) -> None:
        """It is answered all that it asked, in time or late, and nobody takes it for dead meanwhile."""
        peer = link(self.network, self.node, 77)
        for _ in range(3):
            peer.received.clear()
            peer.transport.pauseProducing()
            # What is on the way back holds some, what is unsent some, and what is unread the rest.
            for _ in range(6):
                peer.transport.write(PINGS)
            self.network.run(80)
            peer.transport.resumeProducing()
            self.network.run(2)
            self.assertEqual(len(peer.of_type("pong")), 60_000)
        self.assertEqual(self.linked_ids(), [77])

    def test_a_frame_that_was_not_read(self) -> None:
        """A frame is not late for the time in which its rest was not read."""
        peer = link(self.network, self.node, 77)
        peer.transport.pauseProducing()
        ping = frame(b'{"type":"ping"}')
        peer.transport.write(PINGS * 6 + ping[:9])
        self.network.run(1)
        peer.transport.write(ping[9:])
        self.network.run(60)
        peer.transport.resumeProducing()
        self.network.run(1)
        self.assertEqual(len(peer.of_type("pong")), 60_001)
        self.assertFalse(peer.is_closed)


class ManyLinksTests(SynchronousTestCase):
    """What all links together can make a node do in one turn is bounded."""

    def setUp(self) -> None:
        """A node with very many links."""
        self.network = SimulatedNetwork()
        self.network.add_tracker(Tracker())
        self.node = self.network.add_node(max_links=300, all_frames_a_turn=500)
        self.network.run_until(lambda: self.node.id > 0)
        self.bursting = [link(self.network, self.node, id) for id in range(1000, 1250)]
        self.quiet = link(self.network, self.node, 77)
        self.network.traffic.clear()

    def test_burst(self) -> None:
        """All send 400 frames at once: no turn takes more than its limit, nobody is cut off, all are answered."""
        turn = self.node._links.turn
        begun: list[int] = []
        go_on = turn._next

        def count() -> None:
            begun.append(len(self.network.traffic))
            go_on()

        self.patch(turn, "_turn", Timer(turn._clock, count))
        for peer in self.bursting:
            peer.transport.write(frame(b'{"type":"ping"}') * 400)
        self.quiet.tell("ping")
        self.network.run(1)
        taken = [later - earlier for earlier, later in pairwise([0, *begun, len(self.network.traffic)])]
        self.assertLessEqual(max(taken), 500)
        self.assertGreater(max(taken), 400)
        self.assertEqual({len(peer.of_type("pong")) for peer in self.bursting}, {400})
        # Everybody has had some before anybody has much.
        order = [to for _, to, _ in self.network.traffic]
        self.assertLess(order.index(77), 4 * 500)
        self.assertLess(max(Counter(order[: order.index(1249)]).values()), 250)
        self.assertEqual(len(self.node.peers()), 251)

    def test_quiet_among_them(self) -> None:
        """Who asks one thing while all others have a backlog is answered in the turn in which it asks."""
        for peer in self.bursting:
            peer.transport.write(frame(b'{"type":"ping"}') * 400)
        turn = self.node._links.turn
        self.network.run_until(lambda: turn.waiting)
        waiting = turn.waiting
        before = len(self.network.traffic)
        self.node._linked[77].dataReceived(frame(b'{"type":"ping"}'))
        self.assertGreaterEqual(waiting, 1)
        self.assertEqual([to for _, to, _ in self.network.traffic[before:]], [77])

    def test_none_of_them_reads(self) -> None:
        """What is unsent stays below some hundred kilobytes a link."""
        for peer in self.bursting[:40]:
            peer.transport.pauseProducing()
        for _ in range(6):
            for peer in self.bursting[:40]:
                peer.transport.write(PINGS)
            self.network.run(1)
        self.quiet.tell("ping")
        self.network.run(0.1)
        self.assertEqual(len(self.quiet.of_type("pong")), 1)
        unsent = [len(end.unsent) for end in self.network.host_of(self.node).transports]
        self.assertLess(max(unsent), (1 << 18) + (1 << 10))
        self.assertGreater(sum(size > 1 << 16 for size in unsent), 30)

    def test_all_together(self) -> None:
        """All links hold no more than the cap for all; who reads loses nothing, and nothing is held of who is gone."""
        node = self.network.add_node(max_links=300, all_links_bytes=2 << 20)
        self.network.run_until(lambda: node.id > 0)
        quiet = link(self.network, node, 77)
        deaf = [link(self.network, node, id) for id in range(2000, 2040)]
        for peer in deaf:
            peer.transport.pauseProducing()
        most = 0
        for _ in range(6):
            for peer in deaf:
                if not peer.is_closed:
                    peer.transport.write(PINGS)
            self.network.run(1)
            most = max(most, node.held_bytes)
        self.assertLessEqual(most, 2 << 20)
        self.assertGreater(most, 1 << 20)
        quiet.tell("ping")
        self.network.run(0.1)
        self.assertEqual(len(quiet.of_type("pong")), 1)
        for peer in deaf:
            peer.transport.abortConnection()
        self.network.run(1)
        self.assertEqual(({peer.id for peer in node.peers()} & set(range(2000, 2040)), node.held_bytes), (set(), 0))

    def test_gone(self) -> None:
        """A link that is gone, and what it held, is let go of at once: no garbage is left to be collected."""
        for number, end in enumerate(
            (
                lambda peer: peer.transport.abortConnection(),
                lambda peer: peer.tell("dc"),
                lambda peer: peer.transport.write(b"nonsense"),
            )
        ):
            gone = self.network.add_node(max_links=300)
            self.network.run_until(lambda gone=gone: gone.id > 0)
            peer = link(self.network, gone, 77 + number)
            references = [
                ref(each) for each in gone._links._all if each.peer is not None and each.peer.id == 77 + number
            ]
            self.assertEqual(len(references), 1)
            gc.collect()
            gc.disable()
            self.addCleanup(gc.enable)
            end(peer)
            self.network.run(1)
            self.assertEqual([each() for each in references], [None], number)


def unsent_by(network: SimulatedNetwork, node: Node) -> int:
    """The most that is unsent on one link of a node."""
    return max(len(end.unsent) for end in network.host_of(node).transports)
