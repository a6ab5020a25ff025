"""Repair: without haste, and whatever others say."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.attacks import send
from tests.discovery.ring.keepers import entry
from tests.discovery.ring.keeping_nets import KeepingRole, KeepingTestCase
from tests.discovery.ring.nets import key_pair
from twisted_bazaar.discovery.ring.rpc.contact_encoding import ContactEncoder
from twisted_bazaar.discovery.ring.rpc.messages import RingFind, RingPing, RingQuit
from twisted_bazaar.discovery.ring.rules.identifiers import MOST_BITS, Contact, Ring
from twisted_bazaar.discovery.ring.rules.settings import Settings
from twisted_bazaar.discovery.ring.storage.compared_ranges import COMPARE_S, ComparedRanges
from twisted_bazaar.discovery.ring.storage.entry import TAG_BITS, VALUES, Kept, sign_entry
from twisted_bazaar.discovery.ring.storage.fragments import fragment, name_of
from twisted_bazaar.discovery.ring.storage.messages import (
    MOST_LISTED,
    PART_CHARS,
    Listed,
    Marked,
    RingCompare,
    RingCompared,
    RingRequest,
    RingStore,
    RingTransfer,
)
from twisted_bazaar.discovery.ring.storage.store import Store
from twisted_bazaar.node.datagrams.datagram_socket import check_fits
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.node import Node
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.message import LARGEST_INTEGER


class PacingTests(KeepingTestCase):
    """How fast it goes."""

    def test_without_haste(self) -> None:
        """Who joins gets a thousand entries at no more than the pace, and gets them all."""
        nodes = self.ring(2)
        now = self.network.seconds()
        for number in range(1000):
            one = sign_entry(
                key_pair(number % 20),
                Kept(space=VALUES, name=f"n{number}", owner=key_pair(number % 20).public, version=1),
            )
            for node in nodes:
                self.dht(node).store.put(one, now)
        newcomer = self.add(nodes[0])
        self.until_joined([newcomer])
        before = len(self.network.datagrams)
        self.network.run(1.0)
        stores = [each for each in self.network.datagrams[before:] if isinstance(each[2], RingStore)]
        self.assertLess(len(stores), 2 * 450)
        self.assertLess(len(self.dht(newcomer).store), 1000)
        self.network.run_until(lambda: len(self.dht(newcomer).store) == 1000, 20.0)

    def test_at_rest(self) -> None:
        """Where nothing changes, next to nothing is said, however much there is."""
        nodes = self.ring(4)
        for number in range(30):
            self.put(nodes[0], f"n{number}", b"x")
        self.network.run(COMPARE_S)
        before = len(self.network.datagrams)
        self.network.run(4 * COMPARE_S)
        said = [each[2] for each in self.network.datagrams[before:]]
        self.assertEqual([each for each in said if isinstance(each, RingStore)], [])
        compared = [each for each in said if isinstance(each, RingCompare)]
        # Each with three followers, once a minute or so.
        self.assertLess(len(compared), 4 * 3 * 7)

    def note_looks(self, watched: Store, looks: list[float]) -> None:
        """Note when a store is looked into for what is over."""
        expire = Store.expire

        def note(store: Store, now: float, *most: int) -> None:
            if store is watched:
                looks.append(now)
            expire(store, now, *most)

        self.patch(Store, "expire", note)

    def test_looks_seldom(self) -> None:
        """Where nothing is due a node looks seldom; what does not live long is let go of in time nevertheless."""
        nodes = self.ring(4)
        self.network.run(COMPARE_S)
        store, looks = self.dht(nodes[0]).store, list[float]()
        self.note_looks(store, looks)
        self.network.run(COMPARE_S / 2)
        self.assertLess(len(looks), 15)
        owner, now = key_pair(0), self.network.seconds()
        for number, lifetime in enumerate((12, 33)):
            kept = Kept(space=VALUES, name=f"n{number}", owner=owner.public, version=1, lifetime=lifetime)
            store.put(sign_entry(owner, kept), now)
        for lifetime, left in ((12, 1), (33, 0)):
            self.network.run(now + lifetime - 0.1 - self.network.seconds())
            self.assertEqual(len(store), left + 1)
            self.network.run(0.5)
            self.assertEqual(len(store), left)

    def test_roused(self) -> None:
        """After a long rest neighbours that have changed are compared with within a second."""
        nodes = self.ring(4)
        self.network.run(2 * COMPARE_S)
        for _ in range(6):
            self.until_joined([self.add(nodes[0])])
            before = len(self.network.datagrams)
            self.network.run(1.0)
            said = [each[2] for each in self.network.datagrams[before:]]
            self.assertGreater(len([each for each in said if isinstance(each, RingCompare)]), 3)
            self.network.run(COMPARE_S / 2)

    def test_restless_neighbour(self) -> None:
        """Who goes and comes all the time does not keep a node from looking after what it keeps."""
        nodes = self.ring(5)
        victim = self.members[nodes[0]]
        looks = list[float]()
        self.note_looks(self.dht(nodes[0]).store, looks)
        before = next(each for each in self.members.values() if each.own == victim.stabilization.predecessor)
        for _ in range(100):
            before._requests.tell(self.contact(nodes[0]), RingQuit)
            before._requests.tell(self.contact(nodes[0]), partial(RingPing, next=True))
            self.network.run(0.1)
        self.assertGreater(len(looks), 5)


class HandedOnTests(KeepingTestCase):
    """What comes from behind."""

    def test_to_where_it_belongs(self) -> None:
        """What one that follows hands on goes from node to node, back to where it belongs."""
        self.ring(6)
        self.network.run(2.0)
        owner = self.right_ones("x")[0]
        around = self.network.nodes
        ahead = [node for node in around if node not in self.right_ones("x")]
        here = next(node for node in ahead if self.members[node].stabilization.successors[0] != self.members[owner].own)
        follower = self.members[here].stabilization.successors[0]
        sender = next(node for node in around if self.members[node].own == follower)
        one = sign_entry(key_pair(50), Kept(space=VALUES, name="x", owner=key_pair(50).public, version=1))
        self.result(self.dht(sender).send(self.contact(here), one))
        self.assertEqual(self.having("x"), [here])
        self.network.run(10.0)
        self.assertIn(owner, self.having("x"))


class LiarsTests(KeepingTestCase):
    """What strangers can say."""

    def test_nonsense(self) -> None:
        """Spans that are not on the ring, parts that are not there and things sent for others change nothing."""
        nodes = self.ring(3)
        self.put(nodes[0], "x", b"1")
        asker, asked = self.members[nodes[0]], self.contact(nodes[1])
        entry = next(iter(self.dht(nodes[0]).store))
        beyond = "f" * 33
        for make in (
            partial(RingCompare, low=beyond, high=beyond, total="0" * 32),
            partial(RingRequest),
            partial(RingStore, whole=name_of("x"), part=3, parts=2, text="x"),
        ):
            asker._requests.tell(asked, make)
        self.assertEqual(self.result(asker.requests.ask(asked, partial(RingRequest, position=beyond))).parts, 0)
        answer = self.result(asker.requests.ask(asked, partial(RingRequest, space=VALUES, name="x", tag="0" * 16)))
        self.assertEqual(answer.parts, 0)
        store = partial(RingStore, whole=name_of("x"), text=entry.text[:PART_CHARS])
        answer = self.result(asker.requests.ask(asked, store))
        self.assertEqual(answer.outcome, "refused")
        self.assertEqual(self.get(nodes[2], "x"), [b"1"])

    def test_sent_for_others(self) -> None:
        """What somebody sends on, as if another had begun it, is not kept: that one would be charged for it."""
        nodes = self.ring(3)
        liar, asked, other = self.contact(nodes[0]), self.contact(nodes[1]), self.contact(nodes[2])
        key = nodes[0].key
        text = sign_entry(key, Kept(space=VALUES, name="x", owner=key.public, version=1)).text
        make, ring = partial(RingStore, whole=name_of(text), text=text), self.members[nodes[0]].ring
        send(nodes[0], ring, make, liar, asked, origin=other)
        self.network.run(5.0)
        self.assertEqual(self.having("x"), [])
        # It is only for that: said in its own name it is kept.
        send(nodes[0], ring, make, liar, asked)
        self.network.run(5.0)
        self.assertNotEqual(self.having("x"), [])

    def test_one_that_wants_all(self) -> None:
        """A node that claims the whole ring gets nothing by it but numbers, and makes others keep no more."""
        nodes = self.ring(3)
        self.put(nodes[0], "x", b"1")
        asker = self.members[nodes[0]]
        zero = "0" * 32
        make = partial(RingCompare, low=zero, high=zero, total="0" * 32, own=True)
        answer = self.result(asker.requests.ask(self.contact(nodes[1]), make))
        assert isinstance(answer, RingCompared)
        self.assertEqual((answer.same, len(answer.marked)), (False, 1))

    def test_repair_goes_on(self) -> None:
        """A neighbour that answers nonsense to comparisons costs nobody else anything."""
        nodes = self.ring(5)
        role = self.roles[nodes[1]]
        assert isinstance(role, KeepingRole)
        role.member.serve(
            {RingCompare: lambda message, contact, reply: reply(partial(RingCompared, same=False, until="f" * 56))}
        )
        self.put(nodes[0], "x", b"1")
        self.network.run(2 * COMPARE_S)
        newcomer = self.add(nodes[0])
        self.until_joined([newcomer])
        self.until_ideal()
        self.network.run(COMPARE_S)
        right = [node for node in self.right_ones("x") if node != nodes[1]]
        self.assertLessEqual(set(right), set(self.having("x")))


class GivingBackTests(KeepingTestCase):
    """Entries that only nodes have which are not to have them."""

    def setUp(self) -> None:
        """Have a ring of eight, and an entry that only the last one before its place has."""
        super().setUp()
        ring = Ring()
        identifier = ring.key_of("x")
        nodes = [self.add(ring_id=(identifier + (1 << 60)) % ring.size)]
        for number in range(2, 9):
            nodes.append(self.add(nodes[0], ring_id=(identifier + (number << 60)) % ring.size))
        self.until_joined(nodes)
        self.until_ideal()
        self.network.run(5.0)
        self.nodes, self.last = nodes, nodes[-1]
        owner = key_pair(0)
        self.one = sign_entry(owner, Kept(space=VALUES, name="x", owner=owner.public, version=1))
        self.dht(self.last).store.put(self.one, self.network.seconds())

    def claim(self, by: int, first: int, to: Node | None = None) -> None:
        """A node compares with another, usually the last, all that belongs to it, as if that were what follows a
        third."""
        low, high = (self.members[self.nodes[number]].own.id for number in (first, by))
        compare = partial(RingCompare, low=f"{low:016x}{'f' * 16}", high=f"{high:016x}{'f' * 16}", total="0" * 32)
        asked = self.contact(to or self.last)
        self.result(self.members[self.nodes[by]].requests.ask(asked, partial(compare, own=True)))

    def are_right(self) -> bool:
        """Whether all have it that are to have it, and nobody else."""
        return set(self.having("x")) == set(self.nodes[:4])

    def test_soon(self) -> None:
        """It is soon where it belongs when a node before compares less than it did: others have come between."""
        self.network.run(20.0)
        self.assertEqual(self.having("x"), [self.last])
        self.claim(6, 7)
        self.claim(6, 5)
        self.network.run_until(self.are_right, 20.0)
        self.assertEqual((self.flaws(), self.faults()), ([], []))

    def test_many(self) -> None:
        """Many are there soon too."""
        store, now = self.dht(self.last).store, self.network.seconds()
        for number in range(1, 64):
            owner = key_pair(number)
            store.put(sign_entry(owner, Kept(space=VALUES, name="x", owner=owner.public, version=1)), now)
        self.claim(6, 7)
        self.claim(6, 5)
        self.network.run_until(lambda: len(store) == 0, 20.0)
        self.assertEqual(len(self.dht(self.nodes[0]).store), 64)

    def test_made_to_offer(self) -> None:
        """Who claims the whole ring and gives it up makes a node offer nothing that is to be there, though its owner
        has not compared with that node yet; and little is looked up for it."""
        now, keeper = self.network.seconds(), self.nodes[3]
        self.dht(self.last).store.drop(self.one.key)
        for number in range(64):
            owner = key_pair(number)
            one = sign_entry(owner, Kept(space=VALUES, name="x", owner=owner.public, version=1))
            for node in self.nodes[:4]:
                self.dht(node).store.put(one, now)
        role = self.roles[keeper]
        assert isinstance(role, KeepingRole)
        role.repair.replication.compared_ranges = ComparedRanges()
        for first in (7, 5):
            self.claim(6, first, keeper)
        before = len(self.network.datagrams)
        self.network.run(10.0)
        said = [message for by, _, message in self.network.datagrams[before:] if by == keeper.id]
        self.assertEqual([each for each in said if isinstance(each, RingStore)], [])
        self.assertLess(len([each for each in said if isinstance(each, RingFind)]), 40)
        self.assertEqual(len(self.dht(keeper).store), 64)

    def test_found_at_the_last(self) -> None:
        """What an owner finds at the last of those that follow it is soon at the others too."""
        self.dht(self.nodes[3]).store.put(self.one, self.network.seconds())
        owner = self.roles[self.nodes[0]]
        assert isinstance(owner, KeepingRole)
        owner.repair.replication.sync_all_now()
        self.network.run_until(lambda: set(self.nodes[:4]) <= set(self.having("x")), 10.0)


class SizesTests(SynchronousTestCase):
    """Every message goes into a datagram, on the largest ring too."""

    def test_all_fit(self) -> None:
        """At their longest they fit."""
        ring = Ring(MOST_BITS)
        own = Contact(ring.size - 1, key_pair(1).public, Address("10.0.0.1", 65535), 65535)
        base: dict[str, Any] = {
            "source": ring.to_wire(own.id),
            "destination": ring.to_wire(own.id),
            "stamp": LARGEST_INTEGER,
            "origin": ContactEncoder(own, ring).write(own),
        }
        position = "f" * ((MOST_BITS + TAG_BITS) // 4)
        text = fragment(entry("x").text * 20)[0].replace("'", '"')
        envelope = ('"' * 24 + "x" * PART_CHARS)[:PART_CHARS]
        self.assertLessEqual(len(text), PART_CHARS)
        marked = Marked(position, LARGEST_INTEGER)
        listed = Listed("f" * 16, LARGEST_INTEGER, True, True)
        most = KeepingSizes.marks(MOST_BITS)
        for message in (
            RingStore(**base, whole="f" * 32, part=5, parts=6, text=envelope, left=604_800),
            RingRequest(**base, space="s" * 16, name='"' * 255, after="f" * 16, tag="f" * 16, part=5),
            RingTransfer(**base, parts=6, text=envelope, left=604_800),
            RingTransfer(**base, listed=(listed,) * MOST_LISTED, more=True),
            RingCompare(**base, low=position, high=position, total="f" * 32, own=True),
            RingCompared(**base, same=False, marked=(marked,) * most, until=position),
        ):
            check_fits(message, Limits().datagram_bytes)


class KeepingSizes(KeepingTestCase):
    """How much a real node puts into an answer."""

    @staticmethod
    def marks(bits: int) -> int:
        """How many marks one answer has on a ring of so many bits."""
        from twisted_bazaar.discovery.ring.member.member import RingMember

        return KeepingRole(RingMember(Settings(bits=bits))).repair._marks
