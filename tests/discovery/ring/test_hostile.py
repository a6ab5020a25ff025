"""What a ring promises while somebody does it harm: forged words, made-up nodes, floods, replays, silence.

The attacks are in L{attacks}. Each promise that rests on one rule has a copy without that rule here, which breaks it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import Any

from attrs import evolve
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.attacks import (
    Chameleon,
    Crowd,
    Glutton,
    Mute,
    Older,
    hearsay,
    json_like,
    owned,
    send,
    slanders,
    stores,
)
from tests.discovery.ring.keepers import entry as unsigned
from tests.discovery.ring.keeping_nets import KeepingTestCase
from tests.discovery.ring.nets import key_pair
from tests.discovery.ring.tables import Net
from tests.raw_datagram import RawSocket
from twisted_bazaar.discovery.ring.member.member import RingMember
from twisted_bazaar.discovery.ring.rpc.messages import RingMessage, RingPing
from twisted_bazaar.discovery.ring.rpc.per_host_limit import Awaited
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.lookup import MOST_ASKED, Lookup
from twisted_bazaar.discovery.ring.rules.lookup_reply import LookupReply
from twisted_bazaar.discovery.ring.rules.settings import CLASSIC
from twisted_bazaar.discovery.ring.rules.stabilization import Stabilization
from twisted_bazaar.discovery.ring.storage import store
from twisted_bazaar.discovery.ring.storage.entry import TOMBSTONE_S, VALUE_BYTES, VALUES, Entry
from twisted_bazaar.discovery.ring.storage.messages import RingKept, RingRequest
from twisted_bazaar.discovery.ring.storage.store import NEAR_SHARES, SHARES, Outcome, Store
from twisted_bazaar.errors import UsageError
from twisted_bazaar.node.node import Node
from twisted_bazaar.rate_limit import RateLimits
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.message import LARGEST_INTEGER


class HostileTestCase(KeepingTestCase):
    """A ring, and one that does it harm.

    @ivar count: how many nodes the ring has.
    @ivar ringed: its nodes.
    """

    count = 8

    def setUp(self) -> None:
        """Have a ring."""
        super().setUp()
        self.ringed = self.ring(self.count)
        self.network.run(1.0)

    def tearDown(self) -> None:
        """No node has met with an error of its own."""
        faults = [node.datagrams.counts["faults"] for node in self.ringed]
        self.assertEqual(faults, [0] * len(faults))
        self.network.stop_all()

    def join_as(self, member: RingMember, number: int) -> Node:
        """Let one that is not what it seems come in."""
        node = self.add(self.ringed[0], member=member, key=key_pair(number))
        self.until_joined([node])
        self.until_ideal()
        return node

    def ask_for(self, name: str, asker: Node | None = None) -> list[bytes]:
        """The values of a name, however long it takes."""
        found: list[Any] = self.result(self.dht(asker or self.ringed[0]).get(VALUES, name), 120.0)
        return [holding.entry.kept.value for holding in found]


class ComingTests(HostileTestCase):
    """Those who would come in where they cannot."""

    def test_taken(self) -> None:
        """Who would join at the place of another is refused, and the ring stays as it was."""
        identifier = self.members[self.ringed[3]].own.id
        double = self.add(self.ringed[0], ring_id=identifier, key=key_pair(900))
        self.network.run(10.0)
        failure = self.roles[double].refusal
        assert failure is not None
        failure.trap(UsageError)
        self.assertEqual(self.flaws(), [])

    def test_dead_address(self) -> None:
        """Who would join by an address where nobody is goes on trying, is no member, and can be stopped."""
        lonely = self.add(Address("10.9.9.9", 9_001), key=key_pair(901))
        self.network.run(60.0)
        self.assertFalse(self.members[lonely].is_member)
        self.assertIsNone(self.roles[lonely].refusal)
        self.network.stop(lonely)

    def test_itself(self) -> None:
        """Who would join by itself is told so, and is no member."""
        machine = self.network.host()
        alone = self.add(Address(machine.addresses[0], 9_001), key=key_pair(902), host=machine)
        self.network.run(20.0)
        self.assertFalse(self.members[alone].is_member)


class MuteTestCase(HostileTestCase):
    """A ring, and a node that is no member, says anything and answers nothing.

    @ivar mute: that node.
    """

    def setUp(self) -> None:
        """Have them."""
        super().setUp()
        self.mute = self.network.add_node(Mute(), udp=True, key=key_pair(666), min_links=0)


class SlanderTests(MuteTestCase):
    """Words about others."""

    def test_about_others(self) -> None:
        """Forged pings, farewells, updates and reports of death about others change nobody's neighbours at any time."""
        members = self.living()
        ring = members[0].ring
        ghost = Contact(12345, key_pair(9_999).public, Address("10.99.0.1", 9_001), 9_001)
        liar = Contact(777, key_pair(666).public, self.network.where_datagrams(self.mute), 0)
        for _ in range(10):
            for member in members:
                to = self.seen(member)
                for other in members:
                    if other is member:
                        continue
                    victim = self.seen(other)
                    for make, own in slanders(victim):
                        send(self.mute, ring, make, own, to)
                        send(self.mute, ring, make, liar, to, origin=own)
                    for make in hearsay(ring, victim, ghost):
                        send(self.mute, ring, make, liar, to)
            self.network.run(0.5)
            self.assertEqual(self.flaws(), [])
        self.network.run(10.0)
        self.assertEqual(self.flaws(), [])
        self.assertEqual(self.events("ring-dead") + self.events("ring-left"), [])

    def usurp(self, victim: Node, seconds: float) -> set[Contact | None]:
        """Ask a node over and over as who stands right before it, answering nothing; returns its predecessors."""
        member = self.members[victim]
        near = Contact((member.own.id - 1) % member.ring.size, key_pair(666).public, Address("10.0.0.9", 9_001))
        seen = set()
        for _ in range(int(seconds / 0.25)):
            send(self.mute, member.ring, partial(RingPing, next=True), near, self.seen(member))
            self.network.run(0.25)
            seen.add(member.stabilization.predecessor)
        return seen

    def test_mute_predecessor(self) -> None:
        """Who asks over and over from right before a node, and answers nothing, is never taken for its predecessor."""
        victim = self.ringed[2]
        before = self.members[victim].stabilization.predecessor
        self.assertEqual(self.usurp(victim, 20.0), {before})

    def test_planted_mute_predecessor(self) -> None:
        """One that believes whoever asks is robbed of what belongs to it."""
        victim = self.ringed[2]
        member, is_near = self.members[victim], Stabilization.is_near
        self.patch(
            Stabilization, "is_near", lambda self, contact: self is member.stabilization or is_near(self, contact)
        )
        self.assertGreater(len(self.usurp(victim, 2.0)), 1)

    def test_ghosts(self) -> None:
        """Names of nodes that never were do not make those forgotten who were lost."""
        member = self.members[self.ringed[0]]
        lost = member.stabilization._reconnect
        missing = replace(self.contact(self.ringed[1]))
        lost.add(missing, self.network.seconds())
        for number in range(500):
            ghost = Contact(number, key_pair(1).public, Address(f"10.7.{number // 250}.{number % 250}", 9_001))
            member._incarnation.maintenance.on_failure(ghost)
        self.assertIn(missing, lost)
        for number in range(500):
            lost.add(Contact(number, "aa", Address("10.7.7.7", number)), self.network.seconds())
        self.assertIn(missing, lost)
        self.assertLessEqual(len(lost), 64)


class ClaimantsTests(MuteTestCase):
    """One that asks under ever new names, and answers nothing, so that it is asked itself under each of them."""

    def names_asked(self) -> int:
        """It asks as 500 nodes within 5 s; under how many names it is asked, each of which is waited for meanwhile."""
        member, rng, asked = self.members[self.ringed[0]], random.Random(self.id()), set[str]()
        self.mute.datagrams.register_receivers({RingPing: lambda message, address, key: asked.add(message.destination)})
        for _ in range(50):
            for _ in range(10):
                own = Contact(rng.randrange(member.ring.size), key_pair(666).public, Address("10.0.0.9", 9_001))
                send(self.mute, member.ring, RingPing, own, self.seen(member))
            self.network.run(0.1)
        return len(asked)

    def test_few_at_a_time(self) -> None:
        """Only 32 of them are waited for at a time, each for a second or so."""
        self.assertIn(self.names_asked(), range(32, 201))
        self.assertEqual(self.flaws(), [])

    def test_planted_all(self) -> None:
        """One that waits for whoever asks waits for all of them."""
        self.patch(Awaited, "takes", lambda self, contact: True)
        self.assertGreater(self.names_asked(), 250)


class OnBehalfTests(MuteTestCase):
    """Questions for others."""

    def test_not_answered_to_others(self) -> None:
        """What is asked as if for another is answered to nobody: nothing is passed on, so nothing goes round."""
        self.put(self.ringed[0], "x", b"1")
        members = self.living()
        liar = Contact(777, key_pair(666).public, self.network.where_datagrams(self.mute), 0)
        victim = self.contact(self.ringed[5])
        heard: list[RingMessage] = []
        kept: list[Contact] = []
        digest = "ab" * 32
        self.dht(self.ringed[1]).watch_whole(digest, kept.append)
        role = self.members[self.ringed[5]]
        for kind in list(role.datagrams):
            role.datagrams[kind] = partial(_note, heard, role.datagrams[kind], liar.id)
        self.ringed[5].datagrams.register_receivers(role.datagrams)
        for member in (each for each in members if each is not role):
            for make in (partial(RingRequest, space=VALUES, name="x"), partial(RingKept, digest=digest), RingPing):
                send(self.mute, member.ring, make, liar, self.seen(member), origin=victim)
        self.network.run(2.0)
        self.assertEqual(heard, [])
        self.assertEqual(kept, [])


def _note(heard: list[Any], take: Any, stranger: int, message: Any, address: Any, key: str | None) -> None:
    if message.stamp == 1:
        heard.append(message)
    take(message, address, key)


class ClaimTestCase(HostileTestCase):
    """Nodes that claim what is not theirs."""

    def attack(self, how_many: int) -> list[Chameleon]:
        """Something is kept; then some come in, behave for a while, and begin to lie."""
        for number in range(6):
            self.put(self.ringed[number], f"n{number}", b"%d" % number)
        liars = [Chameleon() for _ in range(how_many)]
        for number, liar in enumerate(liars):
            self.join_as(liar, 667 + number)
        for liar in liars:
            liar.others = tuple(self.seen(other) for other in liars if other is not liar)
        self.network.run(10.0)
        for liar in liars:
            liar.is_honest = False
        return liars

    def right(self, count: int = 12) -> int:
        """Of so many lookups by honest nodes, how many find who is responsible, of the honest."""
        rng = random.Random(self.id())
        honest = [self.members[node] for node in self.ringed]
        ring, right = self.members_ring(), 0
        for _ in range(count):
            identifier = rng.randrange(ring.size)
            true = min((self.seen(each) for each in honest), key=lambda contact: ring.distance(identifier, contact.id))
            found = self.result(rng.choice(honest).lookups.find(identifier), 60.0)
            self.assertLessEqual(found.asked, MOST_ASKED)
            right += bool(found.holders) and found.holders[0] == true
        return right

    def assert_all_found(self) -> None:
        """What was kept is found."""
        found = [self.ask_for(f"n{number}", self.ringed[-1]) for number in range(6)]
        self.assertEqual(found, [[b"%d" % number] for number in range(6)])


class ClaimTests(ClaimTestCase):
    """On a ring of nine, where all are neighbours of all."""

    def test_one(self) -> None:
        """One that is whoever it is asked for, and claims every place, captures little more than its own, and hides
        nothing that is kept."""
        [liar] = self.attack(1)
        self.assertGreaterEqual(self.right(), 10)
        self.assertGreater(liar.lies, 0)
        self.network.run(10.0)
        self.assert_all_found()

    def test_two(self) -> None:
        """Two that name each other lead up to half of the lookups astray, and hide nothing that is kept."""
        self.attack(2)
        self.assertGreaterEqual(self.right(), 6)
        self.network.run(10.0)
        self.assert_all_found()


class EclipseTests(ClaimTestCase):
    """The same on a larger ring: a node that is somebody else for each who asks comes to stand next to many.

    What is shown is one ring, one seed and one minute. It is no bound on what such a node can do when it goes on.
    """

    count = 24

    def test_one(self) -> None:
        """After half a minute most lookups still end at who is responsible, and everybody finds what is kept."""
        [liar] = self.attack(1)
        self.network.run(30.0)
        self.assertGreaterEqual(self.right(40), 34)
        self.assertGreater(liar.lies, 0)
        for asker in self.ringed[::6]:
            found = [self.ask_for(f"n{number}", asker) for number in range(6)]
            self.assertEqual(found, [[b"%d" % number] for number in range(6)])

    def test_two(self) -> None:
        """Two such on two hosts: every lookup ends, and nothing that is found is forged."""
        self.attack(2)
        self.network.run(30.0)
        self.right(20)
        for number in range(6):
            self.assertIn(self.ask_for(f"n{number}", self.ringed[-1]), ([], [b"%d" % number]))


class StormTests(ClaimTestCase):
    """Answers that lead to questions."""

    def storm(self, seconds: float) -> float:
        """How often in a second one is asked that names somebody nearer in every answer, for each of the honest."""
        [liar] = self.attack(1)
        self.network.run(5.0)
        before = liar.lies
        self.network.run(seconds)
        return (liar.lies - before) / seconds / len(self.ringed)

    def test_no_storm(self) -> None:
        """Who names somebody nearer in every answer is not asked at once each time."""
        self.assertLess(self.storm(10.0), 2 * 40 + 10)

    def test_planted_storm(self) -> None:
        """Without restraint it is asked as often as it answers."""
        self.patch(RateLimits, "allow", lambda self, host, now: True)
        self.assertGreater(self.storm(1.0), 500)


class ClassicClaimTests(HostileTestCase):
    """The ring of the classroom, where the first word counts, and one that claims what is not its own.

    @ivar liar: it.
    """

    settings = CLASSIC
    limits = {"replicas": 2}

    def add(self, by: Node | Address | None = None, **options: Any) -> Node:
        """Start a node; each has a place of its own."""
        if "member" not in options:
            options.setdefault("ring_id", 10 + 30 * len(self.roles))
        return super().add(by, **options)

    def until_ideal(self, most_s: float = 300.0) -> float:
        """Rounds take longer there."""
        return super().until_ideal(most_s)

    def right(self, identifiers: Iterable[int]) -> int:
        """How many places each lookup of one honest node finds the holder of, of the honest and the liar."""
        looking = self.members[self.ringed[0]]
        found = [
            (identifier, self.result(looking.lookups.find(identifier), 600.0).holders) for identifier in identifiers
        ]
        return sum(bool(holders) and holders[0] == self.holder(identifier) for identifier, holders in found)

    def test_claims(self) -> None:
        """One that claims every place captures all lookups that come by it, and no others; the neighbours of all stay
        as they are, and nothing is forged."""
        for number in range(6):
            self.put(self.ringed[number], f"n{number}", b"%d" % number)
        liar = Glutton(settings=CLASSIC, ring_id=55)
        self.join_as(liar, 667)
        # Seen from the one at 10, all that is beyond the liar comes by it, and nothing before it.
        before, beyond = range(11, 56, 4), range(56, 220, 4)
        self.assertEqual((self.right(before), self.right(beyond)), (len(before), 0))
        self.assertGreater(liar.lies, 0)
        self.network.run(300.0)
        self.assertEqual(self.flaws(), [])
        for number in range(6):
            heard = self.ask_for(f"n{number}", self.ringed[-1])
            self.assertIn(heard, ([], [b"%d" % number]))


class WaryTests(SynchronousTestCase):
    """Lookups among those who lie."""

    def capture(self, hosts: int, identities: int, seed: int, make: Any = None) -> tuple[int, int]:
        """How many of a hundred lookups end at a liar, and the most questions: among 500 nodes some are identities of
        liars on so many hosts, and name others of these for every place."""
        rng = random.Random(seed)
        net = Net.of(rng, 500)
        liars = rng.sample(net.nodes, identities)
        # What they are known as, everywhere.
        elsewhere = [Address(f"10.66.0.{index % hosts}", 1) for index in range(identities)]
        alias = {node: replace(node, address=where) for node, where in zip(liars, elsewhere, strict=True)}
        _rename(net, alias)
        for node in alias.values():
            net.liars[node] = partial(_claim_all, node, list(alias.values()), net.ring)
        honest = [node for node in net.nodes if node not in net.liars]
        captured, most = 0, 0
        for _ in range(100):
            identifier = rng.randrange(net.ring.size)
            true = net.holder(identifier)
            if true in net.liars:
                continue
            found = net.look_up(rng.choice(honest), identifier)
            most = max(most, found.asked)
            captured += not found.holders or found.holders[0] != true
        return captured, most

    def test_one_host(self) -> None:
        """One host captures nothing as one node, nor as ten, and some as a tenth of all."""
        self.assertEqual([self.capture(1, count, 5)[0] for count in (1, 10)], [0, 0])
        captured, most = self.capture(1, 50, 5)
        self.assertLess(captured, 15)
        self.assertLess(most, MOST_ASKED)

    def test_several_hosts(self) -> None:
        """Ten hosts that name each other capture nothing among five hundred; a tenth of all capture about as much."""
        self.assertEqual(self.capture(10, 10, 5)[0], 0)
        self.assertLess(self.capture(50, 50, 5)[0], 20)

    def test_on_and_on(self) -> None:
        """A way that goes nearer and nearer without end is given up after so many questions."""
        ring = Ring()
        identifier = ring.size // 2

        def next_to(node: Contact) -> Contact:
            distance = ring.distance(node.id, identifier)
            return Contact((identifier - max(1, distance * 9 // 10)) % ring.size, "66", Address("10.66.0.1", 1))

        start = Contact(1, "66", Address("10.66.0.1", 1))
        lookup = Lookup(identifier, ring, LookupReply(Contact(0, "aa", Address("10.0.0.1", 1)), (start,)))
        asked = 0
        while not lookup.is_over:
            for node in lookup.next_contacts():
                asked += 1
                lookup.on_reply(LookupReply(node, (next_to(node),)))
        self.assertLessEqual(asked, MOST_ASKED)
        self.assertEqual(lookup.found.holders, ())


def _rename(net: Net, alias: dict[Contact, Contact]) -> None:
    net.nodes = [alias.get(node, node) for node in net.nodes]
    for table in (net.neighbours, net.fingers, net.known_dead):
        for node, other in alias.items():
            table[other] = table.pop(node)
    for rules in net.neighbours.values():
        rules.own = alias.get(rules.own, rules.own)
        rules.successors = tuple(alias.get(each, each) for each in rules.successors)
        if rules.predecessor is not None:
            rules.predecessor = alias.get(rules.predecessor, rules.predecessor)
    for fingers in net.fingers.values():
        for part in fingers._slots.values():
            part.held = [alias.get(each, each) for each in part.held]
        fingers.sorted.contacts = [alias.get(each, each) for each in fingers.sorted.contacts]
        fingers._held = {alias.get(each, each) for each in fingers._held}


def _claim_all(own: Contact, friends: list[Contact], ring: Ring, identifier: int) -> LookupReply:
    after = sorted(friends, key=lambda each: ring.distance(identifier, each.id))[:8]
    before = sorted(friends, key=lambda each: ring.distance(each.id, identifier))[:4]
    if after[0] == own:
        return LookupReply(own, tuple(before), tuple(after), before[0])
    return LookupReply(own, tuple(before), tuple(after), None)


class FloodTests(SynchronousTestCase):
    """Entries without end."""

    def fill(self, *, is_near: bool, most: int = 4_096, tries: int = 20_000) -> tuple[Store, int]:
        """One host sends as many entries as it can, each of another owner; what was there stays."""
        store = Store(Ring().key_of, most=most)
        before = [unsigned(f"kept{number}", 1_000_000, 1) for number in range(20)]
        for each in before:
            store.put(each, 0.0, by="10.0.0.1")
        kept = 0
        for number in range(tries):
            outcome = store.put(unsigned(f"n{number}", number, 1), 0.0, by="10.66.0.1", is_near=is_near)
            kept += outcome is Outcome.KEPT
        self.assertEqual([store.get(each.key, 0.0) for each in before], before)
        return store, kept

    def test_a_stranger(self) -> None:
        """One host has its share, however many owners it makes up, and pushes out nobody."""
        _, kept = self.fill(is_near=False)
        self.assertEqual(kept, 4_096 // SHARES)

    def test_a_neighbour(self) -> None:
        """A neighbour has a larger share, and no more."""
        _, kept = self.fill(is_near=True)
        self.assertEqual(kept, 4_096 // NEAR_SHARES)

    def test_planted_unlimited_host(self) -> None:
        """A store that does not charge hosts is filled by one of them, and lets go of what others have."""

        class Unlimited(Store):
            def _may_send(self, by: Any, more: int, size: int) -> bool:
                return True

        store = Unlimited(Ring().key_of, most=100)
        for number in range(3):
            store.put(unsigned(f"kept{number}", 1_000_000, 1), 0.0, by="10.0.0.1")
        for number in range(200):
            store.put(unsigned(f"n{number}", number, 1), 0.0, by="10.66.0.1")
        self.assertLess(sum(each.kept.owner.endswith("f4240") for each in store), 3)

    def test_bytes(self) -> None:
        """It has its share of the bytes, too."""
        store = Store(Ring().key_of, most_bytes=80_000)
        long = {"value": bytes(VALUE_BYTES)}
        for number in range(200):
            store.put(unsigned(f"n{number}", number, 1, **long), 0.0, by="10.66.0.1")
        self.assertLessEqual(store.size_bytes, 80_000 // SHARES)

    def test_room_comes_back(self) -> None:
        """What has gone is charged to nobody any more."""
        store = Store(Ring().key_of, most=80)
        for round_ in range(3):
            for number in range(30):
                store.put(unsigned(f"n{number}", number, 1, lifetime=60), 100.0 * round_, by="10.66.0.1")
            self.assertEqual(len(store), 10)
            store.expire(100.0 * round_ + 61.0)
            self.assertEqual(len(store), 0)

    def test_one_name(self) -> None:
        """Of very many owners under one name whoever asks for some is given these, in the order of their tags."""
        store = Store(Ring().key_of)
        for number in range(1_000):
            store.put(unsigned("same", number, 1), 0.0)
        tags = sorted(each.tag for each in store)
        walked = [entry.tag for entry in store.by_tag(VALUES, "same", 0.0, 17, tags[500])]
        self.assertEqual(walked, tags[500:517])


class CrowdedNameTests(MuteTestCase):
    """One name, and one host that puts under it very many entries of owners that it has made up."""

    def crowd_out(self, count: int = 400) -> list[bytes]:
        """Put something, and so many of others, which all are listed before it; returns what is heard."""
        asker = self.ringed[0]
        right = owned(0, "x", value=b"right")
        makers = (owned(number, "x") for number in range(1, 100_000))
        crowd = list(islice((entry for entry in makers if entry.tag < right.tag), count))
        liar = Contact(777, key_pair(666).public, self.network.where_datagrams(self.mute), 0)
        members = [self.members[node] for node in self.right_ones("x")]
        for number, entry in enumerate(crowd):
            # Each of the four is given others, and hands them on.
            for make in stores(entry):
                member = members[number % len(members)]
                send(self.mute, member.ring, make, liar, self.seen(member))
            self.network.run(0.01)
        for node in self.right_ones("x"):
            self.dht(node).keep(right, None)
        self.network.run(70.0)
        return self.ask_for("x", asker)

    def test_one_host(self) -> None:
        """What others have put there is heard all the same, and most of the crowd is not kept."""
        heard = self.crowd_out()
        self.assertIn(b"right", heard)
        self.assertLess(len(heard), 256)

    def test_planted_unlimited_names(self) -> None:
        """Without that limit nothing but the crowd is heard."""
        self.patch(store, "OF_NAME", 1 << 30)
        self.assertNotIn(b"right", self.crowd_out())

    def test_known_owner(self) -> None:
        """Who knows the owner is shown its entry in whatever crowd; so an owner always finds and changes its own."""
        self.patch(store, "OF_NAME", 1 << 30)
        self.crowd_out()
        entry = owned(0, "x", value=b"right")
        keepers = self.right_ones("x")
        asker = next(node for node in self.ringed if node not in keepers)
        for node in keepers:
            make = partial(RingRequest, space=VALUES, name="x", tag=entry.tag_text)
            fetching = self.dht(asker).fetch(self.contact(node), make)
            self.assertEqual(self.result(fetching)[0], entry)


class ReplayTests(HostileTestCase):
    """What was said before, said again by others."""

    count = 5

    def replay(self, entry: Entry, left: int | None = None) -> list[str]:
        """Somebody has all nodes keep an entry; returns what they say."""
        liar = self.members[self.ringed[0]]
        outcomes = []
        for node in self.ringed[1:]:
            asking = [liar.requests.ask(self.contact(node), make) for make in stores(entry, left)]
            outcomes += [self.result(each).outcome for each in asking]
        return outcomes

    def newest(self, name: str) -> Entry:
        """An entry as it is kept."""
        return self.dht(self.having(name)[0]).store.entries_of(VALUES, name, self.network.seconds())[0]

    def test_older(self) -> None:
        """An older version that its owner once signed takes nobody's place."""
        self.put(self.ringed[1], "x", b"old")
        old = self.newest("x")
        self.put(self.ringed[1], "x", b"new")
        self.replay(old)
        self.assertEqual(self.ask_for("x", self.ringed[2]), [b"new"])

    def test_deleted(self) -> None:
        """What was deleted stays so against replays, for as long as a tombstone is kept; with left=1, too."""
        self.put(self.ringed[1], "x", b"old")
        old = self.newest("x")
        self.delete(self.ringed[1], "x")
        tombstone = self.newest("x")
        self.replay(tombstone, left=1)
        self.network.run(5.0)
        self.replay(old)
        self.assertEqual(self.ask_for("x", self.ringed[2]), [])
        first = self.dht(self.right_ones("x")[0]).store
        self.assertEqual(first.put(old, self.network.seconds() + TOMBSTONE_S - 60.0), Outcome.OLDER)

    def test_after_a_tombstone(self) -> None:
        """When its tombstone has gone, who has kept an old entry can bring it back: that is not promised."""
        store = Store(Ring().key_of)
        old, gone = unsigned("x", 1, 1), unsigned("x", 1, 2, deleted=True)
        store.put(old, 0.0)
        store.put(gone, 1.0)
        self.assertEqual(store.put(old, TOMBSTONE_S + 2.0), Outcome.KEPT)

    def test_others_names(self) -> None:
        """The last version there can be is of use for an entry of one's own only."""
        self.put(self.ringed[1], "x", b"right")
        self.replay(owned(666, "x", version=LARGEST_INTEGER, value=b"wrong"))
        self.assertEqual(set(self.ask_for("x", self.ringed[2])), {b"right", b"wrong"})
        self.put(self.ringed[1], "x", b"newer")
        self.assertEqual(set(self.ask_for("x", self.ringed[2])), {b"newer", b"wrong"})

    def test_what_cannot_be(self) -> None:
        """Texts that are too long, no JSON, not signed, or signed by another are refused."""
        right = owned(5, "x").text
        wrong = [
            "",
            "x" * 700,
            "\ud7ff" * 300,
            right[:-3],
            right + " ",
            right.replace(key_pair(5).public, key_pair(6).public),
            json.dumps(json.loads(right), indent=1),
        ]
        for text in wrong:
            fake = owned(5, "x")
            object.__setattr__(fake, "text", text)
            self.assertNotIn("kept", self.replay(fake), text)
        self.assertEqual(sum(len(self.dht(node).store) for node in self.ringed), 0)


class LyingKeepersTests(HostileTestCase):
    """Those to whom something belongs."""

    count = 6

    def first(self, name: str) -> Node:
        """The node that a name belongs to."""
        return self.right_ones(name)[0]

    def refit(self, node: Node) -> None:
        """Have its node take what it takes now."""
        node.datagrams.register_receivers(self.members[node].datagrams)

    def asker(self, name: str) -> Node:
        """One that is not to keep what has a name."""
        return next(node for node in self.ringed if node not in self.right_ones(name))

    def put_through_a_liar(self) -> int:
        """Put something while one that keeps it claims to have the last version; returns the version it gets."""
        asker = self.asker("x")
        liar = Older(self.members[self.first("x")])
        self.refit(self.first("x"))
        self.result(self.dht(asker).put(VALUES, "x", b"1"), 60.0)
        self.assertGreater(liar.lies, 0)
        return self.dht(asker)._versions[VALUES, "x"]

    def test_older(self) -> None:
        """Who says that it has a newer version and cannot show it does not make its owner use up its versions."""
        self.assertLess(self.put_through_a_liar(), LARGEST_INTEGER // 2)

    def test_planted_older(self) -> None:
        """An owner that believes it can never change its entry again."""

        async def believe(entry: Entry, copies: Any) -> int:
            return max((copy.version for copy in copies if copy.outcome == "older"), default=0)

        self.dht(self.asker("x"))._newest_shown = believe  # type: ignore[method-assign]
        self.assertEqual(self.put_through_a_liar(), LARGEST_INTEGER)

    def crowd(self, *, answers: bool) -> float:
        """Ask while the one to which something belongs lists what it cannot show; returns how long it took."""
        asker = self.asker("x")
        self.put(asker, "x", b"right")
        liar = Crowd(self.members[self.first("x")], answers=answers)
        self.refit(self.first("x"))
        before = self.network.seconds()
        self.assertEqual(self.ask_for("x", asker), [b"right"])
        self.assertGreater(liar.lies, 0)
        return self.network.seconds() - before

    def test_crowd(self) -> None:
        """Who lists very much that it cannot show hides nothing, and costs a moment."""
        self.assertLess(self.crowd(answers=True), 5.0)

    def test_mute_crowd(self) -> None:
        """The same when it does not answer any more."""
        self.assertLess(self.crowd(answers=False), 15.0)

    def test_quick(self) -> None:
        """Who lists what it cannot show, quicker than anybody else, hides nothing."""
        asker = self.asker("x")
        self.put(asker, "x", b"right")
        first = self.first("x")
        Crowd(self.members[first], answers=True)
        self.refit(first)
        here = self.network.host_of(asker).name
        for node in self.right_ones("x")[1:]:
            ways = self.network.network.ways
            ways.change(self.network.host_of(node).name, here, evolve(ways.usual, latency_s=0.2))
        self.assertEqual(self.ask_for("x", asker), [b"right"])


class RubbishTests(HostileTestCase):
    """Whatever comes."""

    count = 4

    def test_anything(self) -> None:
        """Objects that look like messages, by the thousand, change nothing, and nobody meets with an error."""
        self.put(self.ringed[0], "x", b"1")
        rng = random.Random(1)
        kinds = sorted(str(kind.__struct_config__.tag) for kind in self.members[self.ringed[0]].datagrams)
        sock = RawSocket(self.network, self.ringed[2], port=4_000)
        cookie = sock.cookie(self.network)
        for _ in range(3_000):
            sock.put(json.dumps(json_like(rng, kinds, cookie)).encode()[:1_200])
            if rng.random() < 0.1:
                sock.put(rng.randbytes(rng.randrange(1, 1_200)))
            self.network.run(0.002)
        self.network.run(5.0)
        self.assertEqual(self.flaws(), [])
        self.assertEqual(self.ask_for("x"), [b"1"])


class PartingTests(HostileTestCase):
    """One ring becomes two, and one again."""

    count = 12

    def part(self, seconds: float, *machines: Any) -> tuple[list[Node], list[Node], Any]:
        """Part the ring in halves for a while; some machines go with the first."""
        halves = self.ringed[::2], self.ringed[1::2]
        names = [*(self.network.host_of(node).name for node in halves[0]), *(each.name for each in machines)]
        cut = self.network.network.ways.cut(names)
        self.network.run(seconds)
        return *halves, cut

    def test_both_sides(self) -> None:
        """What was stored in either half, before or meanwhile, is found from both when they are one again."""
        self.put(self.ringed[0], "before", b"0")
        one, other, cut = self.part(30.0)
        self.put(one[1], "one", b"1")
        self.put(other[1], "other", b"2")
        self.network.network.ways.heal(cut)
        self.until_ideal(90.0)
        self.network.run(150.0)
        for asker in (one[2], other[2]):
            found = [self.ask_for(name, asker) for name in ("before", "one", "other")]
            self.assertEqual(found, [[b"0"], [b"1"], [b"2"]])

    def come_twice(self) -> list[Node]:
        """Let two come to one place while the ring is parted, and the ring be one again; returns them."""
        machine = self.network.host()
        one, other, cut = self.part(30.0, machine)
        identifier = 1 << 60
        twins = [
            self.add(one[0], ring_id=identifier, key=key_pair(801), host=machine),
            self.add(other[0], ring_id=identifier, key=key_pair(802)),
        ]
        self.until_joined(twins)
        self.network.run(10.0)
        self.network.network.ways.heal(cut)
        self.network.run(120.0)
        return twins

    def test_a_place_claimed_twice(self) -> None:
        """When two have come to the same place meanwhile, the one with the lower key keeps it; the other hears of it,
        and the ring is whole when it has gone."""
        keeping, going = sorted(self.come_twice(), key=lambda node: node.key.public)
        self.assertNoResult(self.members[keeping].displaced)
        self.assertEqual(self.successResultOf(self.members[going].displaced), self.contact(keeping))
        self.network.stop(going)
        self.until_ideal()
        found = {self.result(member.lookups.find(1 << 60)).holders[0] for member in self.living()}
        self.assertEqual(found, {self.contact(keeping)})

    def test_planted_twins(self) -> None:
        """Without asking who is named at the place of a node, neither hears of the other, and both are there for
        ever."""
        self.patch(Stabilization, "_is_twin", lambda self, contact, now: False)
        twins = self.come_twice()
        self.assertTrue(all(self.members[node].is_member for node in twins))
        for node in twins:
            self.assertNoResult(self.members[node].displaced)
