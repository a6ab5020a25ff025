"""Who is linked to a super peer and does not register has to go."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.superpeer.fakes import SuperPeerTestCase, place
from tests.raw_peer import RawPeer, connect, link
from twisted_bazaar.discovery.superpeer.messages import Register, SuperHello, Unregister
from twisted_bazaar.discovery.superpeer.ultrapeer.unregistered import REGISTER_WITHIN_S
from twisted_bazaar.roles.super_peer import KIND, SuperPeer
from twisted_bazaar.testing import SimulatedNetwork, deliver_datagram
from twisted_bazaar.values.addresses import Address, Peer

LEAVES = 3


class VisitorTests(SuperPeerTestCase):
    """One super peer, and who comes."""

    options = {"leaves": LEAVES}

    def come(self, node_id: int) -> Peer:
        """Let somebody be linked who says nothing."""
        peer = self.node.link(node_id)
        self.role.peer_joined(peer)
        return peer

    def gone(self) -> list[int]:
        """Who has been sent away."""
        return [node_id for node_id, _ in self.node.dismissed]

    def test_silent(self) -> None:
        """Who has not registered in ten seconds has to go, and is told why; who has may stay."""
        self.come(10)
        self.node.clock.advance(1)
        self.weak_peer(11)
        self.node.clock.advance(REGISTER_WITHIN_S - 1.1)
        self.assertEqual(self.gone(), [])
        self.node.clock.pump([1.0] * 60)
        self.assertEqual(self.gone(), [10])
        [(_, why)] = self.node.dismissed
        self.assertEqual((why.code, "within 10 s" in str(why)), ("notregistered", True))

    def test_not_taken(self) -> None:
        """Who was not taken and stays has to go, and so does who has unregistered."""
        for number in range(LEAVES + 1):
            self.weak_peer(10 + number)
        self.node.clock.advance(5)
        self.hear(10, Unregister())
        self.node.clock.advance(6)
        self.assertEqual(self.gone(), [13])
        self.node.clock.advance(5)
        self.assertEqual(self.gone(), [13, 10])

    def test_late(self) -> None:
        """Who registers at last, in time, may stay."""
        self.come(10)
        self.node.clock.advance(REGISTER_WITHIN_S - 0.1)
        self.hear(10, Register(id=1))
        self.node.clock.advance(60)
        self.assertEqual(self.gone(), [])

    def test_super_peer(self) -> None:
        """A super peer that is a neighbour may be linked too; one that only says that it is one may not."""
        for number in (1, 2):
            peer = Peer(500 + number, f"{500 + number:064x}", Address(f"10.8.0.{number}", 4000), KIND)
            self.node.linked.append(peer)
            self.role.peer_joined(peer)
        for _ in range(6):
            deliver_datagram(self.role, SuperHello(id=501, key=f"{501:064x}"), place(1))
            self.node.clock.advance(2)
        self.assertEqual(self.gone(), [502])

    def test_no_timer_left(self) -> None:
        """When all have left, or it stops, nothing is waited for."""
        before = len(self.node.clock.getDelayedCalls())
        peers = [self.come(number) for number in (10, 11)]
        for peer in peers:
            self.unlink(peer)
        self.assertEqual(len(self.node.clock.getDelayedCalls()), before)
        self.come(12)
        self.successResultOf(self.role.stop())
        self.come(13)
        self.assertEqual(self.node.clock.getDelayedCalls(), [])


class IdleLinksTests(SynchronousTestCase):
    """One machine with so many links that nobody else finds room."""

    def setUp(self) -> None:
        """Fill all links of a super peer from one machine."""
        self.network = SimulatedNetwork()
        self.node = self.network.add_node(SuperPeer(leaves=4), udp=True, min_links=0, max_links=6)
        self.greedy: list[RawPeer] = []
        for number in range(101, 107):
            peer = connect(self.network, self.node, "10.9.9.9")
            peer.greet(number, key=f"{number:064x}")
            self.greedy.append(peer)
        self.network.run(0.1)

    def test_another_comes(self) -> None:
        """One from elsewhere is taken at once."""
        other = link(self.network, self.node, 77)
        other.tell("register", id=1)
        self.network.run(0.1)
        self.assertEqual([message["taken"] for message in other.of_type("registered")], [True])
        self.assertEqual(sum(peer.is_closed for peer in self.greedy), 1)

    def test_idle_ones_go(self) -> None:
        """Those that greet, answer pings and never register are gone after ten seconds, and told why."""
        for _ in range(11):
            for peer in self.greedy:
                if not peer.is_closed:
                    peer.tell("pong")
            self.network.run(1.0)
        self.assertEqual([peer.is_closed for peer in self.greedy], [True] * 6)
        self.assertEqual({peer.of_type("error")[-1]["code"] for peer in self.greedy}, {"notregistered"})
