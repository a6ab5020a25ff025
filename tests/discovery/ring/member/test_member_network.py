"""Promises of whole rings, on simulated machines: they form, heal, grow together, and end; and lies cost little.

The invariant of the ring is checked at the end of each.
"""

from __future__ import annotations

import random
from functools import partial
from typing import Any

from attrs import evolve
from twisted.internet.endpoints import HostnameEndpoint

from tests.discovery.ring.attacks import Glutton, Mute
from tests.discovery.ring.nets import RingTestCase, key_pair
from tests.raw_datagram import RawSocket
from twisted_bazaar.discovery.ring.member.member import RingMember
from twisted_bazaar.discovery.ring.rpc.contact_encoding import ContactEncoder
from twisted_bazaar.discovery.ring.rpc.messages import (
    RingAbrupt,
    RingMessage,
    RingPing,
    RingQuit,
    RingUpdate,
)
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.lookup import Found
from twisted_bazaar.discovery.ring.rules.settings import CLASSIC
from twisted_bazaar.errors import UsageError
from twisted_bazaar.node.node import Node
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.testing import things_of
from twisted_bazaar.values.addresses import Address

FOUND_DEAD_S = 2.0


class RingNetworkTestCase(RingTestCase):
    """Rings with more to do to them.

    @ivar is_crowded: whether nodes share a machine, so that what one has left cannot be told from what others have.
    """

    is_crowded = False

    def tearDown(self) -> None:
        """Stop all, and see that nothing is left."""
        self.assertEqual(self.faults(), [])
        self.network.stop_all()
        left = self.network.left()
        self.assertEqual([thing for host in self.network.network.hosts.values() for thing in things_of(host)], [])
        if not self.is_crowded:
            self.assertEqual(left, [])

    def chance(self) -> random.Random:
        """A source of chance."""
        return random.Random(f"{self.id()}")

    def look(self, count: int, askers: list[RingMember] | None = None) -> list[tuple[Found, Contact]]:
        """Look for places at random; returns what was found with who is responsible."""
        rng = self.chance()
        looked = []
        for _ in range(count):
            identifier = rng.randrange(self.members_ring().size)
            found = self.result(rng.choice(askers or self.living()).lookups.find(identifier))
            looked.append((found, self.holder(identifier)))
        return looked

    def right(self, looked: list[tuple[Found, Contact]]) -> int:
        """How many were right."""
        return sum(bool(found.holders) and found.holders[0].id == holder.id for found, holder in looked)

    def lose(self, share: float) -> None:
        """Let a share of all datagrams be lost."""
        for one in self.network.network.hosts:
            for other in self.network.network.hosts:
                if one != other:
                    conditions = evolve(self.network.network.ways.usual, loss=share)
                    self.network.network.ways.change(one, other, conditions)

    def until_gone(self, dead: set[int], most_s: float) -> None:
        """Let time pass until nobody has one of these as its successor."""

        def is_gone() -> bool:
            near = [each for member in self.living() for each in member.stabilization.successors[:1]]
            return all(each.id not in dead for each in near)

        self.network.run_until(is_gone, most_s)


class FormingTests(RingNetworkTestCase):
    """Rings form."""

    def test_one_by_one(self) -> None:
        """Eight that come one after the other know each other as they should, at once."""
        self.ring(8)
        self.assertLess(self.network.seconds(), 5.0)

    def test_all_at_once(self) -> None:
        """Eight that come at once do, too."""
        self.ring(8, at_once=True)
        self.assertLess(self.network.seconds(), 5.0)

    def test_fifty(self) -> None:
        """So do fifty; and whoever looks for a place finds who is responsible, in a few steps."""
        self.ring(50)
        self.assertEqual(self.right(looked := self.look(40)), 40)
        self.assertLess(sum(found.hops for found, _ in looked) / 40, 3.0)

    def test_fifty_at_once(self) -> None:
        """So do fifty that come at once."""
        self.ring(50, at_once=True)
        self.assertEqual(self.right(self.look(20)), 20)

    def test_by_anybody(self) -> None:
        """It does not matter by which member one joins, and an endpoint does as well as an address."""
        nodes = self.ring(4)
        host, port = self.network.where(nodes[2])
        machine = self.network.host()
        member = RingMember()
        endpoint = HostnameEndpoint(machine, host, port)
        self.add(endpoint, member=member, host=machine)  # type: ignore[arg-type]
        self.network.run_until(lambda: member.is_member, 5.0)
        self.until_ideal()

    def test_on_one_machine(self) -> None:
        """Nodes that share a machine tell each other apart by their ports."""
        self.is_crowded = True
        machine = self.network.host()
        first = self.add(host=machine, port=9_100)
        self.network.run(0.1)
        for number in range(1, 6):
            self.add(first, host=machine, port=9_100 + number)
        self.until_joined(self.network.nodes)
        self.until_ideal()

    def test_links_go(self) -> None:
        """Who has joined keeps no link for it."""
        nodes = self.ring(12)
        self.network.run(5.0)
        self.assertEqual(len(nodes[0].peers()), 0)

    def test_quiet_costs_little(self) -> None:
        """A ring that is quiet sends some datagrams a second, and nobody joins, dies or moves."""
        self.ring(8)
        self.network.run(60.0)
        before, events = len(self.network.datagrams), len(self.network.events)
        self.network.run(30.0)
        self.assertLess((len(self.network.datagrams) - before) / 8 / 30.0, 8.0)
        self.assertEqual(len(self.network.events), events)


class RefusalTests(RingNetworkTestCase):
    """Who does not come in."""

    def test_taken(self) -> None:
        """A place that somebody has is not given to another; nobody else notices."""
        nodes = self.ring(5)
        events = len(self.network.events_of("ring-predecessor"))
        taken = self.members[nodes[3]].own.id
        late = self.add(nodes[1], ring_id=taken)
        self.network.run_until(lambda: self.roles[late].refusal, 10.0)
        self.failed(late, "already")
        self.network.run(3.0)
        self.assertEqual((self.flaws(), len(self.network.events_of("ring-predecessor"))), ([], events))

    def failed(self, node: Node, word: str) -> None:
        """See that a node could not join, and why."""
        refusal = self.roles[node].refusal
        assert refusal is not None
        refusal.trap(UsageError)
        self.assertIn(word, str(refusal.value))
        self.assertFalse(self.members[node].is_member)

    def test_same_key(self) -> None:
        """A second node with the key of one that is there is refused."""
        nodes = self.ring(5)
        late = self.add(nodes[0], key=key_pair(3))
        self.network.run_until(lambda: self.roles[late].refusal, 10.0)
        self.failed(late, "already")
        self.network.run(3.0)
        self.assertEqual(self.flaws(), [])

    def test_comes_back(self) -> None:
        """A node that has died and is there again, at the same address, comes in at once, dead as it was taken."""
        nodes = self.ring(5)
        machine = self.network.host_of(nodes[3])
        self.network.kill(nodes[3])
        for wait_s in (0.3, 3.0):
            self.network.run(wait_s)
            again = self.add(nodes[0], key=key_pair(3), host=machine)
            self.until_joined([again], 5.0)
            self.until_ideal(10.0)
            self.network.kill(again)
        self.network.run(5.0)

    def test_one_at_an_address(self) -> None:
        """Who answers as another than the node that is at an address is not believed, whatever it was asked."""
        nodes = self.ring(5)
        member, there = self.members[nodes[0]], self.seen(self.members[nodes[1]])
        self.result(member.requests.ask(there, RingPing))
        maintenance = member._incarnation.maintenance
        site = member._requests.sites.at(there.address, self.network.seconds())
        thief = Contact(there.id + 1, key_pair(77).public, there.address, there.port)
        self.assertEqual([maintenance.on_answer(each, site) for each in (thief, there, thief)], [False, True, False])
        self.assertNotIn(thief, member.table.fingers)

    def test_comes_back_elsewhere(self) -> None:
        """So does one that is there again at another port."""
        nodes = self.ring(5)
        machine = self.network.host_of(nodes[3])
        self.network.kill(nodes[3])
        again = self.add(nodes[0], key=key_pair(3), host=machine, port=9_777)
        self.until_joined([again], 10.0)
        self.until_ideal(10.0)

    def test_dead_address(self) -> None:
        """Where nobody is, it waits until somebody is."""
        late = self.add(Address("10.77.0.1", 9_001))
        self.network.run(20.0)
        self.assertFalse(self.members[late].is_member)
        self.add(host=self.network.host("10.77.0.1"))
        self.until_joined(self.network.nodes, 60.0)
        self.until_ideal()

    def test_itself(self) -> None:
        """Told to join by itself, it gives up, and says so."""
        machine = self.network.host()
        late = self.add(Address(machine.address, 9_001), host=machine)
        self.network.run_until(lambda: self.roles[late].refusal, 10.0)
        self.failed(late, "itself")

    def test_no_member(self) -> None:
        """By a tracker, or by a node that takes no datagrams, nobody joins, and it is of no use to try again."""
        for role, word in ((Tracker(), "tracker"), (Mute(), "takes no datagrams")):
            other = self.network.add_node(role)
            late = self.add(Address(*self.network.where(other)))
            self.network.run(2.0)
            self.failed(late, word)

    def test_other_bits(self) -> None:
        """A ring of another size is refused."""
        nodes = self.ring(3)
        late = self.add(nodes[0], settings=CLASSIC)
        self.network.run_until(lambda: self.roles[late].refusal, 10.0)
        self.failed(late, "bits")


class DyingTests(RingNetworkTestCase):
    """Nodes die."""

    def test_found_soon(self) -> None:
        """A death is found by its neighbours within two seconds; soon after all know whom they should."""
        nodes = self.ring(8)
        for node in (nodes[2], nodes[5]):
            dead = self.members[node].own.id
            self.network.crash(node)
            self.until_gone({dead}, FOUND_DEAD_S)
            self.until_ideal(8.0)

    def test_two_at_once(self) -> None:
        """Two that follow each other and die at once are missed no longer than that."""
        nodes = self.ring(8)
        order = sorted(nodes, key=lambda node: self.members[node].own.id)
        dead = {self.members[node].own.id for node in order[2:4]}
        for node in order[2:4]:
            self.network.crash(node)
        self.until_gone(dead, FOUND_DEAD_S + 0.5)
        self.assertEqual(self.right(self.look(20)), 20)
        self.until_ideal(8.0)

    def test_seven_in_a_row(self) -> None:
        """A ring whose lists are eight long outlives seven that follow each other and die at once."""
        nodes = self.ring(24)
        order = sorted(nodes, key=lambda node: self.members[node].own.id)
        self.network.run(10.0)
        for node in order[3:10]:
            self.network.crash(node)
        self.until_gone({self.members[node].own.id for node in order[3:10]}, FOUND_DEAD_S + 1.0)
        self.until_ideal(20.0)

    def test_a_third_at_once(self) -> None:
        """After a third has died at once, every place is found before anything has been repaired."""
        self.ring(50)
        for node in self.chance().sample(self.network.nodes[1:], 16):
            self.network.crash(node)
        self.assertEqual(self.right(self.look(30)), 30)
        self.until_ideal(30.0)

    def test_quit(self) -> None:
        """Who goes tells its neighbours; they need not find out."""
        nodes = self.ring(8)
        order = sorted(nodes, key=lambda node: self.members[node].own.id)
        identifier = order.index(nodes[4])
        gone = self.members[nodes[4]].own.id
        self.network.stop(nodes[4])
        self.until_gone({gone}, 0.1)
        self.assertEqual(self.right(self.look(20)), 20)
        self.until_ideal(5.0)
        # Others, in whose lists it stood farther off, may not have heard of it before they asked it something.
        neighbours = (order[identifier - 1], order[(identifier + 1) % len(order)])
        self.assertEqual([node for node, event, _ in self.network.events if event == "ring-left"], [*neighbours])
        found_out = {node for node, event, _ in self.network.events if event == "ring-dead"}
        self.assertEqual(found_out.intersection(neighbours), set())

    def test_all_quit(self) -> None:
        """They can all go, down to the last, which is alone then; and others can come again."""
        nodes = self.ring(8)
        for node in nodes[1:]:
            self.network.stop(node)
            self.network.run(0.5)
        self.until_ideal(5.0)
        self.assertIsNone(self.members[nodes[0]].stabilization.predecessor)
        self.add(nodes[0])
        self.until_joined(self.network.nodes)
        self.until_ideal(5.0)

    def test_never_broken(self) -> None:
        """While nodes come, die and go, one every second or so, the invariant holds at every moment."""
        nodes = self.ring(16)
        rng = self.chance()
        for _ in range(60):
            others = [node for node in self.network.nodes if node is not nodes[0]]
            choice = rng.random()
            if choice < 0.5 and len(others) > 12:
                rng.choice([self.network.crash, self.network.stop])(rng.choice(others))
            else:
                self.add(nodes[0])
            until = self.network.seconds() + rng.uniform(0.1, 2.0)
            while self.network.seconds() < until:
                self.network.run(0.05)
                self.assertEqual(self.faults(), [])
        self.until_ideal(30.0)

    def test_all_quit_at_once(self) -> None:
        """When half of them go at once, the other half is a ring."""
        nodes = self.ring(12)
        for node in nodes[::2]:
            self.network.stop(node)
        self.until_ideal(20.0)

    def test_loss(self) -> None:
        """With every tenth datagram lost, the ring stays as it is, and every place is found."""
        self.ring(8)
        self.network.run(10.0)
        self.lose(0.1)
        self.network.run(60.0)
        self.assertEqual(self.faults(), [])
        self.assertLessEqual(len(self.events("ring-dead")), 1)
        self.assertEqual(self.right(self.look(30)), 30)

    def test_forms_in_loss(self) -> None:
        """With every tenth datagram lost, a ring forms too."""
        self.network.network.ways.usual = evolve(self.network.network.ways.usual, loss=0.1)
        self.ring(8, at_once=True)

    def test_slow_node(self) -> None:
        """A node that stands still for some seconds is let go, takes nobody for dead itself, and is taken in again."""
        nodes = self.ring(8)
        machine = self.network.host_of(nodes[3])
        machine.pause()
        self.network.run(6.0)
        paused = self.members[nodes[3]]
        machine.resume()
        self.until_ideal(20.0)
        self.assertNotIn(nodes[3], [node for node, event, _ in self.network.events if event == "ring-dead"])
        self.assertTrue(paused.is_member)


class MergingTests(RingNetworkTestCase):
    """Rings that were split."""

    def test_two_halves(self) -> None:
        """A partition makes two rings, and when it is healed they are one again."""
        nodes = self.ring(16)
        one_side = nodes[::2]
        cut = self.network.network.ways.cut([self.network.host_of(node).name for node in one_side])
        self.network.run(30.0)
        for side in (one_side, nodes[1::2]):
            members = [self.members[node] for node in side]
            self.assertEqual((self.flaws(members), self.faults(members)), ([], []))
        self.network.network.ways.heal(cut)
        self.until_ideal(60.0)
        self.assertEqual(self.right(self.look(20)), 20)

    def test_one_alone(self) -> None:
        """One that was cut off for minutes finds the others again."""
        nodes = self.ring(6)
        cut = self.network.network.ways.cut([self.network.host_of(nodes[2]).name])
        self.network.run(200.0)
        self.assertEqual(self.members[nodes[2]].stabilization.successors, ())
        self.network.network.ways.heal(cut)
        self.until_ideal(150.0)

    def test_all_others_anew(self) -> None:
        """One that outlives all others looks where it once came in, and finds the ring that began anew there."""
        nodes = self.ring(4)
        machine = self.network.host_of(nodes[0])
        for node in nodes[:3]:
            self.network.kill(node)
        self.network.run(10.0)
        fresh = self.add(host=machine, key=key_pair(77))
        self.network.run(1.0)
        self.add(fresh, key=key_pair(78))
        self.until_ideal(60.0)
        self.assertEqual(len(self.living()), 3)


class LyingTests(RingNetworkTestCase):
    """Nodes lie."""

    def setUp(self) -> None:
        """Have a ring of eight, and a node that says what it likes."""
        super().setUp()
        self.ringed = self.ring(8)
        self.liar = Mute()
        self.liar_node = self.network.add_node(self.liar, udp=True, key=key_pair(666), min_links=0)
        self.network.run(1.0)
        self.events_before = len(self.network.events)

    def lie(self, to: RingMember, make: Any, own: Contact, origin: Contact | None = None) -> None:
        """Send a forged message."""
        cards = ContactEncoder(own, to.ring)
        message: RingMessage = make(
            source=to.ring.to_wire(own.id),
            destination=to.ring.to_wire(to.own.id),
            stamp=1,
            origin=cards.write(origin or own),
        )
        self.liar_node.send_datagram(message, (self.seen(to).address,))

    def all_is_well(self) -> None:
        """See that the ring is as it was, and that nobody was taken for dead, or gone."""
        self.assertEqual(self.flaws(), [])
        self.assertEqual(self.events("ring-dead") + self.events("ring-left"), [])

    def test_about_others(self) -> None:
        """Forged updates, farewells and reports of death about others cost those nothing but some questions."""
        members = self.living()
        contacts = [self.seen(member) for member in members]
        ghost = Contact(12345, key_pair(9_999).public, Address("10.99.0.1", 9_001), 9_001)
        for _ in range(20):
            for member in members:
                for victim in contacts:
                    if victim.id != member.own.id:
                        as_victim = Contact(victim.id, victim.key, Address("10.0.0.9", 9_001), victim.port)
                        card = ContactEncoder(ghost, member.ring).write(victim)
                        self.lie(member, partial(RingQuit), as_victim)
                        self.lie(member, partial(RingQuit), as_victim, origin=victim)
                        self.lie(member, partial(RingAbrupt, about=card), as_victim)
                self.lie(
                    member, partial(RingUpdate, about=ContactEncoder(contacts[0], member.ring).write(ghost)), ghost
                )
            self.network.run(0.5)
            self.assertEqual(self.right(self.look(2)), 2)
        self.network.run(5.0)
        self.all_is_well()

    def test_in_the_name_of_others(self) -> None:
        """Who says, from elsewhere, that it is a member takes nobody's place."""
        members = self.living()
        for _ in range(20):
            for member in members:
                for other in members:
                    if other is not member:
                        victim = self.seen(other)
                        forged = Contact(victim.id, victim.key, Address("10.0.0.9", 9_001), victim.port)
                        self.lie(member, RingPing, forged)
            self.network.run(0.5)
            self.assertEqual(self.flaws(), [])
        self.all_is_well()

    def test_claims_to_be_near(self) -> None:
        """Who says that it is right before everybody, and answers nothing, is let go again."""
        for member in self.living():
            self.lie(
                member,
                RingPing,
                Contact((member.own.id - 1) % member.ring.size, key_pair(666).public, Address("10.0.0.9", 9_001)),
            )
        self.network.run(6.0)
        self.assertEqual(self.flaws(), [])

    def test_rubbish(self) -> None:
        """Rubbish from an address that has shown itself, by the thousand, changes nothing."""
        node = self.ringed[2]
        sock = RawSocket(self.network, node, port=4_000)
        cookie = sock.cookie(self.network)
        rng = self.chance()
        for _ in range(100):
            sock.put(rng.randbytes(200))
            sock.tell("ringping", cookie=cookie)
            sock.tell("ringfind", place="zz", source="00", destination="", stamp=1, origin=[], cookie=cookie)
            for kind in ("ringpong", "ringfound", "ringexit", "ringquit", "ringjoin"):
                origin = ["A" * 43, None, 1, 1]
                keys = {"bits": 64} if kind == "ringpong" else {}
                sock.tell(
                    kind,
                    source="0" * 16,
                    destination="",
                    stamp=rng.getrandbits(50),
                    origin=origin,
                    cookie=cookie,
                    **keys,
                )
            self.network.run(0.01)
        self.network.run(3.0)
        self.all_is_well()
        sock.transport.stopListening()  # type: ignore[union-attr]
        self.assertLess(sock.bytes_received, sock.bytes_sent)

    def test_claims_everything(self) -> None:
        """A member that claims every place gets those that are its own, and costs some questions."""
        glutton = Glutton()
        self.add(self.ringed[0], member=glutton, key=key_pair(667))
        more = [self.add(self.ringed[number % 8], key=key_pair(700 + number)) for number in range(24)]
        self.until_joined([*self.network.nodes[:8], *more])
        self.until_ideal()
        self.network.run(20.0)
        honest = [member for member in self.living() if member is not glutton]
        looked = self.look(40, honest)
        self.assertEqual(self.right(looked), 40)
        self.assertGreater(glutton.lies, 0)
        self.assertLess(max(found.asked for found, _ in looked), 40)


class ClassicTests(RingNetworkTestCase):
    """The ring of a classroom."""

    settings = CLASSIC

    def test_classic(self) -> None:
        """Eight with given numbers, two successors each, and no fingers: slow, but a ring, and every place is found."""
        identifiers = (2, 19, 60, 110, 140, 180, 220, 250)
        nodes = [self.add(ring_id=identifiers[0])]
        self.network.run(0.1)
        for identifier in identifiers[1:]:
            nodes.append(self.add(nodes[0], ring_id=identifier))
            self.until_joined(nodes)
        self.until_ideal(60.0)
        self.assertEqual(self.right(self.look(20)), 20)
        dead = self.members[nodes[3]].own.id
        before = self.network.seconds()
        self.network.crash(nodes[3])
        self.until_gone({dead}, 70.0)
        self.assertGreater(self.network.seconds() - before, 40.0)
        self.until_ideal(60.0)
