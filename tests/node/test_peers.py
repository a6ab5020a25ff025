"""Who is linked, which of two links stays, who has been heard of, and where a node can be reached."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from twisted_bazaar.errors import AlreadyLinked, NoSlots, PeerError, ReachedItself
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.control import PROTOCOL_VERSION, ThisIsMe
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.link_table import LinkTable
from twisted_bazaar.node.links.link import Link
from twisted_bazaar.node.node import Node
from twisted_bazaar.node.peers import Known, Peers, address_of
from twisted_bazaar.security.links.link_security import InTheClear
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address, Peer
from twisted_bazaar.wire.codec import Codec

bounded = examples(100)

LOOPBACK = ("127.0.0.1", "127.8.9.10", "::1")
ELSEWHERE = ("192.0.2.7", "10.0.0.7", "2001:db8::7")


def address(host: str | None, seen_host: str, port: int = 9001) -> Address:
    """The address of a node that says it has this host, on a connection from that one."""
    return address_of(ThisIsMe(id=1, port=port, key="ab" * 32, host=host), seen_host)


OWN_KEY = "55" * 32
LOWER_KEY = "11" * 32
GREATER_KEY = "99" * 32


def peer(id: int, key: str = LOWER_KEY, port: int = 9001) -> Peer:
    """A node elsewhere."""
    return Peer(id, key, Address("192.0.2.7", port))


class PeersTestCase(SynchronousTestCase):
    """The peers of a node with room for two."""

    def setUp(self) -> None:
        """Nobody is linked."""
        self.peers = Peers(OWN_KEY, max_links=2, known_cap=64, known_s=600.0)
        machine = SimulatedNetwork().host()
        key = KeyPair.generate(random.Random(1))
        self.owner = LinkTable(
            Node(machine, random.Random(1), key), machine, key, Limits(), Codec(), None, InTheClear()
        )

    def link(self, other: Peer, *, dialled: bool) -> Link:
        """A link to a node, not yet in use."""
        made = Link(self.owner, dialled=dialled)
        made.peer = other
        return made

    def linked(self, other: Peer, *, dialled: bool) -> Link:
        """A link to a node, taken into use."""
        made = self.link(other, dialled=dialled)
        self.assertIsNone(self.peers.add(made, other))
        return made


class AdmissionTests(PeersTestCase):
    """Who may be linked."""

    def refusal(
        self,
        other: Peer,
        *,
        dialled: bool = False,
        named: bool = False,
        version: int = PROTOCOL_VERSION,
        seen: str = "192.0.2.7",
    ) -> type[PeerError] | None:
        """Why a node that greets node 1 may not be linked."""
        link = self.link(other, dialled=dialled)
        link.is_named = named
        try:
            self.peers.admit(link, other, version, own_id=1, seen_host=seen)
        except PeerError as error:
            return type(error)
        return None

    def test_room(self) -> None:
        """Strangers are taken while there is room; who is linked may come back even when there is none."""
        self.assertEqual((self.refusal(peer(2)), self.peers.is_full), (None, False))
        for id in (2, 3):
            self.linked(peer(id), dialled=False)
        self.assertEqual((self.refusal(peer(4)), self.peers.is_full), (NoSlots, True))
        self.assertIsNone(self.refusal(peer(2)))

    def test_reserved(self) -> None:
        """A slot that is kept for a neighbour that the user named is for nobody else, whoever dialled."""
        self.peers.reserved = 1
        self.assertEqual((self.refusal(peer(2)), self.peers.is_full), (None, False))
        self.linked(peer(2), dialled=False)
        self.assertEqual((self.refusal(peer(3)), self.peers.is_full), (NoSlots, True))
        self.assertEqual(self.refusal(peer(3), dialled=True), NoSlots)
        self.assertIsNone(self.refusal(peer(3), dialled=True, named=True))

    def test_named(self) -> None:
        """A named neighbour that dials gets the slot that is kept for it; who only claims its address does not."""
        self.peers.reserved = 1
        self.linked(peer(2), dialled=False)
        self.peers.named[object()] = peer(3).address
        self.assertEqual((self.refusal(peer(3)), self.refusal(peer(3), seen="192.0.2.8")), (None, NoSlots))

    def test_full(self) -> None:
        """A node that is full takes nobody, not even whom it dials."""
        for id in (2, 3):
            self.linked(peer(id), dialled=False)
        self.assertEqual(self.refusal(peer(4), dialled=True), NoSlots)

    def test_strangers(self) -> None:
        """Nobody is taken with another version, this node's key, its id, or the id of a linked node."""
        self.linked(peer(2), dialled=False)
        self.assertEqual(
            [
                self.refusal(peer(3), version=1),
                self.refusal(peer(3, OWN_KEY)),
                self.refusal(peer(1, GREATER_KEY)),
                self.refusal(peer(2, GREATER_KEY)),
            ],
            [PeerError, ReachedItself, PeerError, PeerError],
        )

    def test_linked_already(self) -> None:
        """A greeting on a link that would not be kept is refused at once, if the other end dialled."""
        self.linked(peer(2, LOWER_KEY), dialled=True)
        self.linked(peer(3, GREATER_KEY), dialled=True)
        refusals = [self.refusal(peer(2, LOWER_KEY)), self.refusal(peer(3, GREATER_KEY))]
        self.assertEqual(refusals, [AlreadyLinked, None])
        self.assertIsNone(self.refusal(peer(2, LOWER_KEY), dialled=True))


class FairnessTests(PeersTestCase):
    """No machine keeps all others out."""

    def setUp(self) -> None:
        """Let there be room for four, and links from one machine in all of it, whatever they say of themselves."""
        super().setUp()
        self.peers = self.room_for_four()
        self.first, *_, self.last = [self.come(id, "192.0.2.66") for id in (2, 3, 4, 5)]

    def room_for_four(self, **how: bool) -> Peers:
        """The peers of another node."""
        return Peers(OWN_KEY, max_links=4, known_cap=64, known_s=600.0, **how)

    def from_host(self, id: int, host: str) -> Peer:
        """A node that a link leads to a host for, and that says it were somewhere else."""
        return Peer(id, LOWER_KEY, Address(f"10.0.0.{id}", 9001), seen_host=host)

    def come(self, id: int, host: str, *, dialled: bool = False) -> Link:
        """A link from a host."""
        return self.linked(self.from_host(id, host), dialled=dialled)

    def loser(self, id: int, host: str, *, dialled: bool = False) -> Link | None:
        """Who has to go for a newcomer from a host."""
        other = self.from_host(id, host)
        return self.peers.admit(self.link(other, dialled=dialled), other, PROTOCOL_VERSION, own_id=1, seen_host=host)

    def test_youngest_goes(self) -> None:
        """The youngest from where most come from goes for a newcomer from where fewer do."""
        self.assertIs(self.loser(9, "192.0.2.5"), self.last)

    def test_same_host(self) -> None:
        """Nobody goes for one more from the same machine, nor for one that would then have as many."""
        with self.assertRaises(NoSlots):
            self.loser(9, "192.0.2.66")
        for old, new in ((self.first, 10), (self.last, 11)):
            self.peers.remove(old)
            self.come(new, "192.0.2.5")
        with self.assertRaises(NoSlots):
            self.loser(9, "192.0.2.5")

    def test_network(self) -> None:
        """Who has one IPv6 address has all of its network."""
        self.peers = self.room_for_four()
        *_, last = [self.come(id, f"2001:db8::{id}") for id in (2, 3, 4, 5)]
        with self.assertRaises(NoSlots):
            self.loser(9, "2001:db8::9")
        self.assertIs(self.loser(9, "2001:db8:0:1::9"), last)

    def test_chosen_ones_stay(self) -> None:
        """What this node dialled, and whom the user named, stays."""
        self.peers = self.room_for_four()
        stranger = self.come(2, "192.0.2.66")
        self.come(3, "192.0.2.66", dialled=True)
        self.come(4, "192.0.2.66").is_named = True
        named = Peer(5, LOWER_KEY, Address("192.0.2.66", 9005), seen_host="192.0.2.66")
        self.linked(named, dialled=False)
        self.peers.named[object()] = named.address
        self.assertIs(self.loser(9, "192.0.2.5"), stranger)
        self.peers.remove(stranger)
        self.come(6, "192.0.2.66", dialled=True)
        with self.assertRaises(NoSlots):
            self.loser(9, "192.0.2.5")

    def test_dialled(self) -> None:
        """Nobody goes for one that this node dials: it can dial another."""
        with self.assertRaises(NoSlots):
            self.loser(9, "192.0.2.5", dialled=True)

    def test_where_there_is_room_for_all(self) -> None:
        """A tracker refuses who comes when it is full."""
        self.peers = self.room_for_four(is_fair=False)
        for id in (2, 3, 4, 5):
            self.come(id, "192.0.2.66")
        with self.assertRaises(NoSlots):
            self.loser(9, "192.0.2.5")


class TwoLinksTests(PeersTestCase):
    """Of two links to one node one stays in use."""

    def test_dialled_from_both_ends(self) -> None:
        """The link that the greater key dialled stays, whichever came first."""
        for key, ours_stays in ((LOWER_KEY, True), (GREATER_KEY, False)):
            other = peer(2, key)
            for first_is_ours in (True, False):
                self.peers.links.clear()
                first = self.linked(other, dialled=first_is_ours)
                second = self.link(other, dialled=not first_is_ours)
                kept, gone = (first, second) if ours_stays == first_is_ours else (second, first)
                self.assertIs(self.peers.add(second, other), gone)
                self.assertEqual(self.peers.links, {2: kept})

    def test_both_from_the_other_end(self) -> None:
        """Of two that the other end dialled the later stays, and the earlier is to be retired."""
        first = self.linked(peer(2), dialled=False)
        second = self.link(peer(2), dialled=False)
        self.assertIs(self.peers.add(second, peer(2)), first)
        self.assertEqual(self.peers.links, {2: second})
        self.assertEqual((self.peers.remove(first), self.peers.links), (False, {2: second}))

    def test_both_from_this_end(self) -> None:
        """Of two that this end dialled none is retired: when the one in use goes, the other takes over."""
        first, second = (self.linked(peer(2), dialled=True) for _ in range(2))
        self.assertEqual(self.peers.links, {2: second})
        self.assertEqual((self.peers.remove(second), self.peers.links), (False, {2: first}))
        self.assertEqual((self.peers.remove(first), self.peers.links), (True, {}))

    def test_the_spare_goes_first(self) -> None:
        """When the one that is not in use goes, it does not come back."""
        first, second = (self.linked(peer(2), dialled=True) for _ in range(2))
        self.assertEqual((self.peers.remove(first), self.peers.links), (False, {2: second}))
        self.assertEqual((self.peers.remove(second), self.peers.links), (True, {}))

    def test_a_spare_is_for_its_own_node(self) -> None:
        """A second link to one node does not stand in for a link to another."""
        first, second = (self.linked(peer(2), dialled=True) for _ in range(2))
        other = self.linked(peer(3), dialled=True)
        self.assertEqual((self.peers.remove(other), self.peers.links), (True, {2: second}))
        self.assertEqual((self.peers.remove(second), self.peers.links), (False, {2: first}))

    def test_a_spare_at_another_address(self) -> None:
        """A second link to one node stands in for the first, though the node told another address on it."""
        first, second = (self.linked(peer(2, port=port), dialled=True) for port in (9001, 0))
        self.assertEqual((self.peers.remove(second), self.peers.links), (False, {2: first}))

    def test_a_spare_of_another_key(self) -> None:
        """A link to one that had the same id with another key does not stand in."""
        _, second = (self.linked(peer(2, key), dialled=True) for key in (LOWER_KEY, GREATER_KEY))
        self.assertEqual((self.peers.remove(second), self.peers.links), (True, {}))


class KnownTests(PeersTestCase):
    """Nodes heard of, for when the tracker is away."""

    def test_latest_first(self) -> None:
        """Those that are not linked are named, the one heard of last first."""
        for id, now in ((2, 1.0), (3, 2.0), (4, 3.0), (2, 4.0)):
            self.peers.note_seen(peer(id), "10.0.0.9", now)
        self.linked(peer(3), dialled=True)
        self.assertEqual(
            self.peers.unlinked(5.0),
            [
                Known(id=2, address=peer(2).address, key=LOWER_KEY, heard_at=4.0),
                Known(id=4, address=peer(4).address, key=LOWER_KEY, heard_at=3.0),
            ],
        )

    def test_first_hand(self) -> None:
        """What somebody says of a node does not replace what is known of it at first hand."""
        elsewhere = Address("198.51.100.5", 22)
        self.peers.note_hearsay(2, elsewhere, 9, 1.0)
        self.assertEqual(self.peers.unlinked(1.0), [Known(2, elsewhere, None, 1.0)])
        self.peers.note_seen(peer(2), "10.0.0.9", 2.0)
        self.peers.note_hearsay(2, elsewhere, 9, 3.0)
        self.assertEqual(self.peers.unlinked(3.0), [Known(2, peer(2).address, LOWER_KEY, 2.0)])

    def test_liar(self) -> None:
        """Who greets under the id of an absent node, with another key, takes nothing from what is known of that."""
        self.peers.note_seen(peer(2), "10.0.0.9", 1.0)
        for port in (1, 2):
            self.peers.note_seen(Peer(2, GREATER_KEY, Address("198.51.100.5", port)), "198.51.100.5", 1.0 + port)
        self.assertEqual(
            self.peers.unlinked(4.0),
            [
                Known(2, Address("198.51.100.5", 2), GREATER_KEY, 3.0),
                Known(2, peer(2).address, LOWER_KEY, 1.0),
            ],
        )

    def test_hearsay(self) -> None:
        """Of what is only said of a node the latest counts."""
        for port in (1, 2):
            self.peers.note_hearsay(2, Address("198.51.100.5", port), 9, float(port))
        self.assertEqual(self.peers.unlinked(3.0), [Known(2, Address("198.51.100.5", 2), None, 2.0)])

    def test_not_listening(self) -> None:
        """Who takes no connections is not remembered."""
        self.peers.note_seen(peer(2, port=0), "10.0.0.9", 1.0)
        self.assertEqual(self.peers.unlinked(1.0), [])

    def test_forgotten(self) -> None:
        """Who has not been heard of for long is forgotten."""
        self.peers.note_seen(peer(2), "10.0.0.9", 1.0)
        self.assertEqual([len(self.peers.unlinked(now)) for now in (600.9, 601.0)], [1, 0])

    def test_a_talker(self) -> None:
        """One that names many nodes pushes out nobody that others are known by."""
        self.peers.note_seen(peer(2), "10.0.0.9", 1.0)
        for id in range(100, 200):
            self.peers.note_hearsay(id, Address("10.0.0.1", 9), 9, 2.0)
        known = [known.id for known in self.peers.unlinked(3.0)]
        self.assertEqual((known[-1], len(known)), (2, 64 // 8 + 1))


class AddressTests(SynchronousTestCase):
    """What others are told of where a node listens."""

    def test_as_seen(self) -> None:
        """A node that names no host has the one its connection comes from, and the port it names."""
        for seen in (*LOOPBACK, *ELSEWHERE):
            self.assertEqual(address(None, seen), Address(seen, 9001))

    def test_as_named(self) -> None:
        """A node that names another host is believed."""
        for seen in (*LOOPBACK, *ELSEWHERE):
            self.assertEqual(address("198.51.100.5", seen), Address("198.51.100.5", 9001))
            self.assertEqual(address("2001:db8::5", seen), Address("2001:db8::5", 9001))

    def test_loopback(self) -> None:
        """A node that listens on loopback is reached from its own machine; for others it takes no connections."""
        for host in LOOPBACK:
            self.assertEqual([address(host, seen) for seen in LOOPBACK], [Address(host, 9001)] * 3)
            self.assertEqual([address(host, seen) for seen in ELSEWHERE], [Address(seen, 0) for seen in ELSEWHERE])

    def test_loopback_in_disguise(self) -> None:
        """What leads to the reader's own machine is loopback, however it is written."""
        for host in ("::ffff:127.0.0.1", "::ffff:7f00:1", "0.0.0.0", "::", "::ffff:0.0.0.0"):
            self.assertEqual(address(host, "192.0.2.7"), Address("192.0.2.7", 0), host)

    def test_takes_no_connections(self) -> None:
        """Port 0 stays 0: the node does not listen."""
        self.assertEqual(address(None, "192.0.2.7", 0), Address("192.0.2.7", 0))

    @bounded
    @given(st.none() | st.ip_addresses().map(str), st.ip_addresses().map(str), st.integers(0, 65535))
    def test_any(self, host: str | None, seen: str, port: int) -> None:
        """The host is one of the two; the port is the named one, or 0."""
        found = address(host, seen, port)
        self.assertIn(found.host, {host, seen} - {None})
        self.assertIn(found.port, {port, 0})

    def test_as_text(self) -> None:
        """As text an IPv6 host stands in brackets."""
        self.assertEqual(str(Address("192.0.2.7", 9001)), "192.0.2.7:9001")
        self.assertEqual(str(Address("2001:db8::7", 9001)), "[2001:db8::7]:9001")
