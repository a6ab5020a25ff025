"""Promises of one connection, tested over a network in memory with the other end played by hand."""

from __future__ import annotations

import json
from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from tests.raw_peer import KEY, connect, link
from twisted_bazaar.interfaces import Address, Peer
from twisted_bazaar.node.life import Event, Stage
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.testing import MemoryNetwork
from twisted_bazaar.wire.framing import frame


class LinkTestCase(SynchronousTestCase):
    """A node with an id, and a network to reach it by."""

    def setUp(self) -> None:
        """Start a tracker and one node."""
        self.network = MemoryNetwork()
        self.network.add_tracker(Tracker())
        self.node = self.network.add_node()
        self.network.run_until(lambda: self.node.id > 0)

    def linked_ids(self) -> list[int]:
        """Who is linked to the node."""
        return [peer.id for peer in self.node.peers()]


class HandshakeTests(LinkTestCase):
    """Two nodes say who they are before anything else."""

    def test_answered(self) -> None:
        """Who accepts says nothing until greeted, and then answers with its own greeting."""
        peer = connect(self.network, self.node)
        self.assertEqual(peer.received, [])
        peer.greet(77)
        self.network.run(0.05)
        [answer] = peer.received
        host, port = self.network.where(self.node)
        self.assertEqual(
            answer, {"type": "thisisme", "id": self.node.id, "port": port, "host": host, "key": answer["key"]}
        )
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
        peer.greet(77, version=2)
        self.network.run(0.1)
        self.assertEqual(peer.received[0]["info"], "protocol version 2; this node speaks 1")
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
        listening = self.network.host()
        peers = []

        from twisted.internet.protocol import Factory

        from tests.raw_peer import RawPeer

        class Accepting(Factory):
            noisy = False

            def buildProtocol(self, addr: object) -> RawPeer:
                peers.append(RawPeer())
                return peers[-1]

        listening.listenTCP(5000, Accepting())
        self.node.reach(88, Address(listening.host, 5000))
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
        self.network.run(29.5, 0.1)
        self.assertEqual(peer.of_type("ping"), [])
        self.network.run(1, 0.1)
        self.assertEqual(len(peer.of_type("ping")), 1)
        self.network.run(58, 0.1)
        self.assertEqual((len(peer.of_type("ping")), peer.is_closed), (2, False))
        self.network.run(2, 0.1)
        self.assertTrue(peer.is_closed)
        self.assertEqual(self.linked_ids(), [])

    def test_pong_keeps_it(self) -> None:
        """Whoever answers pings is never dropped."""
        peer = link(self.network, self.node, 77)
        for _ in range(20):
            self.network.run(15, 0.5)
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

    def test_two_nodes_stay_linked_quietly(self) -> None:
        """Between two real nodes an idle hour costs two pings and two pongs a minute at the most."""
        other = self.network.add_node()
        self.network.run_until(lambda: other.peers())
        before = len(self.network.traffic)
        self.network.run(600, 0.5)
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
        stopping = self.node.stop()
        self.network.run(1.5)
        self.assertNoResult(stopping)
        self.network.run(0.7)
        self.successResultOf(stopping)
        self.assertTrue(peer.is_closed)

    def test_nothing_is_left(self) -> None:
        """When all have stopped there is no timer and no socket."""
        link(self.network, self.node, 77)
        connect(self.network, self.node)
        self.network.stop_all()
        self.assertEqual((self.network.clock.getDelayedCalls(), self.network.open_ends), ([], {}))


class LimitTests(LinkTestCase):
    """What one peer can make a node do is bounded."""

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
                peer.tell("buy", id=-1, item="apple")
            self.network.run(61, 0.1)
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
        deaf, hearing, asking = (link(self.network, self.node, id) for id in (77, 78, 79))
        deaf.transport.pauseProducing()
        # As many a second as one neighbour may send, with names of 100 letters.
        total = 0
        for _ in range(400):
            for _ in range(33):
                total += 1
                asking.tell("search", id=total, item="x" * 100, returnPath=[79], ttl=3)
            self.network.run(1.1, 0.3)
            hearing.tell("pong")
            deaf.tell("pong")
        unsent = max(len(end._unsent) for end in self.network.open_ends)
        self.assertEqual(len(hearing.of_type("search")), total)
        self.assertLess(unsent, (1 << 20) + (1 << 17))
        self.assertGreater(unsent, 1 << 19)
        self.assertIn(77, self.linked_ids())

    def test_a_peer_that_asks_and_does_not_read(self) -> None:
        """Answers pile up to four megabytes; then the link is cut."""
        peer = link(self.network, self.node, 77)
        peer.transport.pauseProducing()
        ping = frame(b'{"type":"ping"}') * 10_000
        for _ in range(40):
            peer.transport.write(ping)
            self.network.run(1)
        self.assertTrue(peer.is_closed)


class OneLinkTests(LinkTestCase):
    """Two nodes have one link, however it came about."""

    def test_both_dial_at_once(self) -> None:
        """Exactly one link is left, and it is the same at both ends."""
        for seed in range(12):
            network = MemoryNetwork(seed)
            network.add_tracker(Tracker())
            a, b = (network.add_node(min_links=1) for _ in range(2))
            network.run_until(lambda a=a, b=b: a.peers() and b.peers())
            # Whatever the bootstrap did, both dial again at the same moment.
            for dialling, other in ((a, b), (b, a)):
                dialling._links.dial(Address(*network.where(other))).addErrback(lambda failure: None)
            network.run(1)
            ends = [end for end in network.open_ends if 9000 not in (end.getPeer().port, end.getHost().port)]
            self.assertEqual(len(ends), 2)
            self.assertEqual([[p.id for p in n.peers()] for n in (a, b)], [[b.id], [a.id]])
            self.assertIs(a._linked[b.id].transport.far_end, b._linked[a.id].transport)

    def test_the_later_of_two_from_one_end(self) -> None:
        """A node that comes back before its old connection is known dead is not turned away."""
        old = link(self.network, self.node, 77)
        new = link(self.network, self.node, 77)
        self.assertEqual(old.received[-1], {"type": "dc"})
        self.network.run(2.5)
        self.assertEqual((old.is_closed, new.is_closed), (True, False))
        self.assertEqual(self.linked_ids(), [77])

    def test_itself(self) -> None:
        """A node that dials itself notices."""
        from twisted_bazaar.errors import LinkClosed, PeerError

        dialling = self.node._links.dial(Address(*self.network.where(self.node)))
        self.network.run(0.5)
        self.failureResultOf(dialling, PeerError, LinkClosed)
        self.assertEqual(self.linked_ids(), [])


class SlotTests(LinkTestCase):
    """A node has as many links as it wants."""

    def test_noslots(self) -> None:
        """Past the maximum a stranger is accepted, told so, and closed; who is linked may come back."""
        for id in range(101, 109):
            link(self.network, self.node, id)
        stranger = link(self.network, self.node, 109)
        self.assertEqual(stranger.received, [{"type": "error", "code": "noslots", "info": "no slots available"}])
        self.assertTrue(stranger.is_closed)
        self.assertFalse(link(self.network, self.node, 101).is_closed)
        self.assertEqual(len(self.node.peers()), 8)

    def test_silent_connections_do_not_lock_others_out(self) -> None:
        """Of 500 silent connections 64 are kept, and a node that greets is linked all the same."""
        silent = [connect(self.network, self.node, "10.9.9.9") for _ in range(200)]
        self.assertEqual(sum(not peer.is_closed for peer in silent), 64)
        self.assertFalse(link(self.network, self.node, 77).is_closed)
        self.assertEqual(self.linked_ids(), [77])

    def test_the_noisiest_host_loses(self) -> None:
        """A host with many silent connections cannot push out another's."""
        other = connect(self.network, self.node, "10.8.8.8")
        for _ in range(200):
            connect(self.network, self.node, "10.9.9.9")
        self.assertFalse(other.is_closed)


class LifeTests(LinkTestCase):
    """Every event in every stage leads where the table says."""

    NEXT = {
        (Stage.GREETING, Event.GREETED): Stage.OPEN,
        (Stage.GREETING, Event.LATE): Stage.OVERDUE,
        (Stage.GREETING, Event.ENDED): Stage.CLOSING,
        (Stage.OVERDUE, Event.GREETED): Stage.OPEN,
        (Stage.OVERDUE, Event.LATE): Stage.CLOSING,
        (Stage.OVERDUE, Event.ENDED): Stage.CLOSING,
        (Stage.OPEN, Event.RETIRED): Stage.LEAVING,
        (Stage.OPEN, Event.ENDED): Stage.CLOSING,
        (Stage.LEAVING, Event.ENDED): Stage.CLOSING,
        **{(stage, Event.LOST): Stage.CLOSED for stage in Stage},
    }
    WAYS = {
        Stage.GREETING: [],
        Stage.OVERDUE: [Event.LATE],
        Stage.OPEN: [Event.GREETED],
        Stage.LEAVING: [Event.GREETED, Event.RETIRED],
        Stage.CLOSING: [Event.ENDED],
        Stage.CLOSED: [Event.LOST],
    }

    def test_every_pair(self) -> None:
        """What is not in the table changes nothing, and nothing raises."""
        for (stage, way), event in product(self.WAYS.items(), Event):
            connect(self.network, self.node)
            tested = list(self.node._links._all)[-1]
            tested.peer = Peer(77, KEY, Address("10.0.0.9", 0))
            for step in way:
                tested._happen(step)
            self.assertEqual(tested.stage, stage)
            tested._happen(event)
            self.assertEqual(tested.stage, self.NEXT.get((stage, event), stage), (stage, event))
            tested.transport.abortConnection()
            self.network.run(0.1)
        self.assertEqual(self.linked_ids(), [])
