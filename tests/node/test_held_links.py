"""Links that roles ask for: by id and address, by address alone, or by an endpoint."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.trial.unittest import SynchronousTestCase

from tests.node.cases import LinkTestCase
from tests.raw_peer import accept, link
from twisted_bazaar.errors import LinkClosed, NoSlots, PeerError, ReachedItself
from twisted_bazaar.identity.keys import own_id
from twisted_bazaar.node.held_links import VAIN_DIALS_A_SECOND
from twisted_bazaar.node.node import Node
from twisted_bazaar.role import Role
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address, Peer


class Numbered(Role):
    """A role whose node needs no tracker; it keeps who joined and left."""

    is_self_numbered = True

    kind = "numbered"

    def __init__(self) -> None:
        self.joined: list[Peer] = []
        self.left: list[Peer] = []

    def peer_joined(self, peer: Peer) -> None:
        """Keep it."""
        self.joined.append(peer)

    def peer_left(self, peer: Peer) -> None:
        """Keep it."""
        self.left.append(peer)


class MeetTests(SynchronousTestCase):
    """Nodes without a tracker."""

    def setUp(self) -> None:
        """Start two."""
        self.network = SimulatedNetwork()
        self.roles = [Numbered(), Numbered()]
        self.one, self.other = (self.network.add_node(role, udp=True, min_links=0) for role in self.roles)

    def at(self, node: Node) -> Address:
        """Where a node listens."""
        return Address(*self.network.where(node))

    def endpoint(self, node: Node) -> TCP4ClientEndpoint:
        """The same, as an endpoint on the machine of the first."""
        return TCP4ClientEndpoint(self.network.host_of(self.one), *self.network.where(node))

    def test_own_id(self) -> None:
        """A node whose role needs no tracker has the id that follows from its key; one with a tracker has another."""
        self.assertEqual(self.one.id, own_id(self.one.key.public))
        self.network.add_tracker(Tracker())
        third = self.network.add_node(Numbered())
        self.assertEqual(third.id, -1)
        self.network.run(1)
        self.assertTrue(0 < third.id < 2**31)

    def test_meet(self) -> None:
        """Whoever is at an address is linked, and known by what it says of itself at both ends."""
        met = self.one.hold_link(self.at(self.other), self)
        self.network.run(0.1)
        peer = Peer(self.other.id, self.other.key.public, self.at(self.other), "numbered", 9001)
        self.assertEqual((self.successResultOf(met), self.roles[0].joined), (peer, [peer]))
        peer = Peer(self.one.id, self.one.key.public, self.at(self.one), "numbered", 9001)
        self.assertEqual(self.roles[1].joined, [peer])

    def test_endpoint(self) -> None:
        """An endpoint does as well, and the second time leads to the link there is."""
        endpoint = self.endpoint(self.other)
        for _ in range(2):
            met = self.one.hold_link(endpoint, self)
            self.network.run(0.1)
            self.assertEqual(self.successResultOf(met).id, self.other.id)
        self.assertEqual(len(self.roles[1].joined), 1)

    def test_linked_already(self) -> None:
        """Who is linked already is met at once, however it came to be linked."""
        # Which of two links is kept depends on who has the greater key.
        for one, other in ((self.one, self.other), (self.other, self.one)):
            meeting = other.hold_link(self.at(one), self)
            self.network.run(0.1)
            self.successResultOf(meeting)
            self.assertEqual(self.successResultOf(one.hold_link(self.at(other), self)).id, other.id)
            met = one.hold_link(TCP4ClientEndpoint(self.network.host_of(one), *self.network.where(other)), self)
            self.network.run(3)
            self.assertEqual(self.successResultOf(met).id, other.id)
            self.assertEqual((len(one.peers()), len(self.roles[0].left), len(self.roles[1].left)), (1, 0, 0))
            one.release_link(other.id, self)
            other.release_link(one.id, self)
            self.network.run(3)
            self.assertEqual(list(one.peers()), [])
            for role in self.roles:
                role.left.clear()

    def test_both_at_once(self) -> None:
        """Two that dial each other at once have one link, and both have met the other."""
        meetings = [self.one.hold_link(self.at(self.other), self), self.other.hold_link(self.at(self.one), self)]
        self.network.run(3)
        self.assertEqual([self.successResultOf(each).id for each in meetings], [self.other.id, self.one.id])
        self.assertEqual([len(node.peers()) for node in (self.one, self.other)], [1, 1])

    def test_nobody(self) -> None:
        """Where nobody is, or can be, nobody is met."""
        host = self.network.host().addresses[0]
        for address in (Address(host, 9), Address(host, 0), self.at(self.one)):
            met = self.one.hold_link(address, self)
            self.network.run(10)
            self.failureResultOf(met, PeerError)
        self.assertEqual(list(self.one.peers()), [])

    def test_full(self) -> None:
        """Who has no room says so."""
        full = self.network.add_node(Numbered(), max_links=1)
        self.other.hold_link(self.at(full), self)
        self.network.run(0.1)
        met = self.one.hold_link(self.at(full), self)
        self.network.run(0.1)
        self.failureResultOf(met, NoSlots)

    def test_no_id(self) -> None:
        """A node without an id meets nobody."""
        nobody = self.network.add_node()
        self.failureResultOf(nobody.hold_link(self.at(self.one), self), LinkClosed)

    def test_tracker(self) -> None:
        """A tracker is not to be met, and the link to it stays."""
        tracker = self.network.add_tracker(Tracker())
        third = self.network.add_node(Numbered(), min_links=0)
        self.network.run(1)
        self.failureResultOf(third.hold_link(self.at(tracker), self), PeerError)
        self.network.run(1)
        self.assertEqual([peer.id for peer in tracker.peers()], [third.id])

    def test_itself(self) -> None:
        """Who dials itself is told so, and has no link; what others are linked by stays."""
        self.one.hold_link(self.at(self.other), self)
        self.network.run(0.1)
        for where in (self.endpoint(self.one), self.at(self.one)):
            met = self.one.hold_link(where, self)
            self.network.run(3.0)
            self.failureResultOf(met, ReachedItself)
        self.assertEqual([peer.id for peer in self.one.peers()], [self.other.id])

    def test_dialled_in_vain(self) -> None:
        """A host that was dialled in vain is left alone for a second, whoever says where; then it is dialled again."""
        host, port = self.network.where(self.other)
        nowhere = Address(host, port + 1)
        for in_vain in (VAIN_DIALS_A_SECOND - 1, VAIN_DIALS_A_SECOND):
            for number in range(in_vain):
                self.one.try_hold_link(1_000 + number, nowhere, self)
                self.network.run(0.1)
            reached = self.one.try_hold_link(self.other.id, self.at(self.other), self)
            self.network.run(0.1)
            self.assertEqual(self.successResultOf(reached), in_vain < VAIN_DIALS_A_SECOND)
            self.one.release_link(self.other.id, self)
            self.network.run(1.1)
        reached = self.one.try_hold_link(self.other.id, self.at(self.other), self)
        self.network.run(0.1)
        self.assertTrue(self.successResultOf(reached))

    def test_release(self) -> None:
        """A link that was made to meet somebody goes when it is released, and the same node can be met again."""
        for _ in range(2):
            met = self.one.hold_link(self.at(self.other), self)
            self.network.run(0.1)
            self.one.release_link(self.successResultOf(met).id, self)
            self.network.run(0.1)
            self.assertEqual(list(self.one.peers()), [])
        self.assertEqual((len(self.roles[0].joined), len(self.roles[0].left)), (2, 2))

    def test_not_ones_own(self) -> None:
        """A link that the other end made is not released by this one."""
        self.other.hold_link(self.at(self.one), self)
        self.network.run(0.1)
        self.one.hold_link(self.at(self.other), self)
        self.one.release_link(self.other.id, self)
        self.network.run(0.1)
        self.assertEqual(len(self.one.peers()), 1)

    def test_wanted_by_two(self) -> None:
        """A link that two hold stays until both have released it, whoever held it first, or releases it first."""

        def reach() -> Deferred[Any]:
            return self.one.try_hold_link(self.other.id, self.at(self.other), "reaches")

        def meet() -> Deferred[Any]:
            return self.one.hold_link(self.at(self.other), "meets")

        for pause_s, (first, second) in product((0, 0.1), ((reach, meet), (meet, reach))):
            for leaves, leaves_last in permutations(("reaches", "meets")):
                first()
                self.network.run(pause_s)
                second()
                self.network.run(0.1)
                self.assertEqual(len(self.one.peers()), 1)
                self.one.release_link(self.other.id, leaves)
                self.network.run(0.1)
                # Who asks to reach somebody that is linked has no part in that link, and does not keep it.
                stays = first is reach or not pause_s or leaves == "reaches"
                self.assertEqual(len(self.one.peers()), int(stays))
                self.one.release_link(self.other.id, leaves_last)
                self.network.run(0.1)
                self.assertEqual(list(self.one.peers()), [])

    def test_wanted_before(self) -> None:
        """Who wanted a link that has gone has no say in the next one to the same node."""
        self.one.try_hold_link(self.other.id, self.at(self.other), "reaches")
        self.network.run(0.1)
        self.network.stop(self.other)
        self.network.run(3)
        again = self.network.add_node(
            Numbered(), key=self.other.key, host=self.network.host_of(self.other), port=9002, min_links=0
        )
        met = self.one.hold_link(self.at(again), self)
        self.network.run(0.1)
        self.assertEqual(self.successResultOf(met).id, again.id)
        self.one.release_link(again.id, "reaches")
        self.network.run(0.1)
        self.assertEqual(len(self.one.peers()), 1)
        self.one.release_link(again.id, self)
        self.network.run(0.1)
        self.assertEqual(list(self.one.peers()), [])

    def test_stopped_meanwhile(self) -> None:
        """A node that stops while it dials does not end up with a link."""
        met = self.one.hold_link(self.endpoint(self.other), self)
        stopped = self.one.stop()
        self.failureResultOf(met, LinkClosed)
        self.network.run(3)
        self.successResultOf(stopped)
        self.assertEqual((list(self.one.peers()), list(self.other.peers())), ([], []))
        self.assertEqual((self.roles[0].joined, self.roles[1].joined), ([], []))


class DismissalTests(LinkTestCase):
    """A role has no use for a link."""

    def setUp(self) -> None:
        """Let a node carry one role."""
        super().setUp()
        self.node = self.network.add_node(Role())
        self.network.run_until(lambda: self.node.id > 0)

    def dismissed(self, node_id: int) -> bool:
        """Whether a link closes."""
        return self.node.dismiss_peer(node_id, PeerError("nothing to do"))

    def test_told(self) -> None:
        """Who dialled is told why, and the link closes."""
        other = link(self.network, self.node, 77)
        self.assertEqual((self.dismissed(77), self.dismissed(78)), (True, False))
        self.network.run(0.1)
        self.assertEqual(other.received[-1], {"type": "error", "code": "wtf", "info": "nothing to do"})
        self.assertTrue(other.is_closed)

    def test_own(self) -> None:
        """A link that this node made, or has met somebody over, stays."""
        address, peers = accept(self.network)
        self.node.try_hold_link(88, address, self)
        self.network.run(0.1)
        peers[0].greet(88, key=f"{88:064x}")
        link(self.network, self.node, 77, port=4000)
        [met] = [peer for peer in self.node.peers() if peer.id == 77]
        self.successResultOf(self.node.hold_link(met.address, self))
        self.assertEqual((self.dismissed(88), self.dismissed(77)), (False, False))
        self.node.release_link(77, self)
        self.assertTrue(self.dismissed(77))

    def test_several_roles(self) -> None:
        """What one role has no use for another may have."""
        self.node = self.network.add_node(Role(), Role())
        self.network.run_until(lambda: self.node.id > 0)
        link(self.network, self.node, 77)
        self.assertFalse(self.dismissed(77))
