"""Promises of neighbours: who becomes one, who stays one, and that each knows the table of the other."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.superpeer.messages import MOST_TABLE_BITS, NO_TABLE, SuperHello, Table
from twisted_bazaar.discovery.superpeer.neighbours.neighbour import Entry, Standing
from twisted_bazaar.discovery.superpeer.neighbours.neighbours import LEAST_COMING, MOST_PENDING_BYTES, Neighbours
from twisted_bazaar.discovery.superpeer.qrp.slot_set import write_slots
from twisted_bazaar.discovery.superpeer.qrp.tables import OwnTable, hash_of
from twisted_bazaar.testing import FakeNode
from twisted_bazaar.values.addresses import Address, Whereabouts, network_of
from twisted_bazaar.wire.message import Message

A = Address("10.0.0.1", 9200)
B = Address("10.0.0.2", 9200)
C = Address("10.0.0.3", 9200)


def hashes(*words: str) -> list[int]:
    """The hashes of words."""
    return [hash_of(f"w:{word}") for word in words]


def key_of(number: int) -> str:
    """A key; another for each number."""
    return f"{number:064x}"


def hello(number: int = 2, **changes: object) -> SuperHello:
    """A greeting of a super peer."""
    fields = {"id": number, "key": key_of(number), "port": 9100, "room": 10, "neighbours": 6, "version": 5} | changes
    return SuperHello(**fields)  # type: ignore[arg-type]


class NeighboursTestCase(SynchronousTestCase):
    """The neighbours of one super peer, with others played by hand."""

    def setUp(self) -> None:
        """Have a super peer whose table holds one word."""
        self.node = FakeNode(id=1)
        self.table = OwnTable(began=1000)
        self.table.add(["w:apple"])
        self.changes = 0
        self.neighbours = self.make()
        self.addCleanup(lambda: self.assertEqual(self.node.clock.getDelayedCalls(), []))
        self.addCleanup(lambda: self.neighbours.stop())

    def make(self, degree: int = 6) -> Neighbours:
        """Neighbours that want so many."""
        return Neighbours(self.node, self.table, lambda: Standing(3, 7, 9100), self.note_change, degree=degree)

    def note_change(self) -> None:
        """Count that there was news of neighbours."""
        self.changes += 1

    def pass_time(self, seconds: float, step_s: float = 0.05) -> None:
        """Let time pass in small steps."""
        for _ in range(round(seconds / step_s)):
            self.node.clock.advance(step_s)

    def said(self, address: Address | None = None, kind: type[Message] = SuperHello) -> list[Message]:
        """What was sent of a kind, to an address or to all, since this was last asked."""
        taken = [
            (message, to)
            for message, to in self.node.datagrams
            if isinstance(message, kind) and (address is None or to == address)
        ]
        self.node.datagrams = [each for each in self.node.datagrams if each not in taken]
        return [message for message, _ in taken]

    def live(self, address: Address, seconds: float, number: int = 2, **changes: object) -> None:
        """Let time pass while a neighbour goes on saying hello."""
        for _ in range(round(seconds)):
            self.neighbours.hello_received(hello(number, **changes), address)
            self.pass_time(1.0)


class GreetingTests(NeighboursTestCase):
    """Greetings."""

    def test_at_its_address(self) -> None:
        """What comes from the address of a neighbour is the neighbour's if its key is proven, or nobody proves any."""
        self.neighbours.start([B])
        self.live(B, 1)
        key = hello(2).key
        self.assertEqual([neighbour.key for neighbour in self.neighbours.linked.values()], [key])
        for proven, is_its in ((None, True), (key, True), (self.node.key.public, False)):
            self.assertEqual(self.neighbours.neighbour_at(B, proven) is not None, is_its)

    def test_says_hello_first(self) -> None:
        """Who was given is greeted at once, and is no neighbour before it greets too."""
        self.neighbours.start([B])
        self.pass_time(0.1)
        self.assertEqual(
            self.said(),
            [
                SuperHello(
                    id=1,
                    key=self.node.key.public,
                    port=9100,
                    leaves=3,
                    room=7,
                    neighbours=0,
                    version=self.table.version,
                    have=NO_TABLE,
                )
            ],
        )
        self.assertEqual(self.neighbours.linked, {})
        self.neighbours.hello_received(hello(leaves=4), B)
        self.assertTrue(self.neighbours.is_neighbour(B))
        neighbour = self.neighbours.linked[B]
        self.assertEqual((neighbour.id, neighbour.key, neighbour.leaves, neighbour.room), (2, key_of(2), 4, 10))
        self.assertEqual((neighbour.entry, neighbour.link), (Entry.GIVEN, Address(B.host, 9100)))

    def test_is_greeted(self) -> None:
        """Who greets first is a neighbour at once, and greeted at once."""
        self.neighbours.start()
        self.neighbours.hello_received(hello(), B)
        self.pass_time(0.1)
        self.assertEqual(len(self.said(B)), 1)
        self.assertIs(self.neighbours.linked[B].entry, Entry.CAME)

    def test_regularly(self) -> None:
        """A neighbour is greeted at least every 2.5 s, not much more often, and three times before it misses one."""
        self.neighbours.start()
        self.neighbours.tells_tables = False
        self.live(B, 100)
        count = len(self.said(B))
        self.assertTrue(40 <= count <= 50, count)

    def test_without_id(self) -> None:
        """A node that has no id yet greets nobody."""
        self.node.id = -1
        self.neighbours.start([B])
        self.pass_time(3)
        self.assertEqual(self.said(), [])
        self.node.id = 1
        self.pass_time(5)
        self.assertNotEqual(self.said(), [])

    def test_before_start_and_after_stop(self) -> None:
        """Nothing is taken before the start, or after the stop."""
        for _ in range(2):
            self.neighbours.hello_received(hello(), B)
            self.neighbours.table_received(Table(base=0, version=1), B)
            self.neighbours.note_alive(B)
            self.neighbours.table_changed()
            self.assertEqual(self.neighbours.linked, {})
            self.neighbours.stop()
        self.assertEqual(self.node.datagrams, [])

    def test_leaves(self) -> None:
        """At the stop every neighbour is told, once."""
        self.neighbours.start()
        self.neighbours.hello_received(hello(2), B)
        self.neighbours.hello_received(hello(3), C)
        self.pass_time(0.1)
        self.said()
        self.neighbours.stop()
        self.neighbours.stop()
        told = [(to, message.leaving) for message, to in self.node.datagrams if isinstance(message, SuperHello)]
        self.assertEqual(told, [(B, True), (C, True)])

    def test_counts_its_neighbours(self) -> None:
        """A greeting says how many neighbours there are, and the median of theirs is known; lies have a limit."""
        self.neighbours.start()
        self.assertEqual(self.neighbours.usual_degree, 0)
        self.neighbours.hello_received(hello(2, neighbours=4), B)
        self.neighbours.hello_received(hello(3, neighbours=8), C)
        self.pass_time(0.1)
        self.assertEqual([message.neighbours for message in self.said(B)], [2])  # type: ignore[attr-defined]
        self.neighbours.hello_received(hello(4, neighbours=6), A)
        self.assertEqual(self.neighbours.usual_degree, 6)
        self.neighbours.hello_received(hello(2, neighbours=0), B)
        self.neighbours.hello_received(hello(3, neighbours=2**40), C)
        self.assertEqual([each.degree for each in self.neighbours.linked.values()], [1, 1000, 6])
        self.assertEqual(self.neighbours.usual_degree, 6)


class LifeTests(NeighboursTestCase):
    """Neighbours that die, leave and come back."""

    def test_silence(self) -> None:
        """A neighbour that says nothing for 7.5 s is one no more, whatever way it became one."""
        self.neighbours.start([B])
        self.neighbours.hello_received(hello(2), B)
        self.neighbours.hello_received(hello(3), C)
        self.pass_time(7.4)
        self.assertEqual(len(self.neighbours.linked), 2)
        self.pass_time(0.2)
        self.assertEqual(self.neighbours.linked, {})
        lost = [details for event, details in self.node.reports if event == "neighbour-lost"]
        self.assertEqual([(each["port"], each["why"]) for each in lost], [(9200, "silent")] * 2)

    def test_signs_of_life(self) -> None:
        """A table or anything else that comes is a sign of life as well."""
        self.neighbours.start()
        self.neighbours.hello_received(hello(), B)
        self.pass_time(7)
        self.neighbours.table_received(Table(base=0, version=1), B)
        self.pass_time(7)
        self.neighbours.note_alive(B)
        self.pass_time(7)
        self.assertTrue(self.neighbours.is_neighbour(B))

    def test_comes_back(self) -> None:
        """Who comes back after its death is a neighbour again, of whose table nothing is known."""
        self.neighbours.start([B])
        self.neighbours.hello_received(hello(), B)
        self.neighbours.table_received(Table(base=0, version=5), B)
        self.assertFalse(self.neighbours.linked[B].may_have(hashes("apple")))
        self.pass_time(8)
        self.assertFalse(self.neighbours.is_neighbour(B))
        self.neighbours.hello_received(hello(), B)
        self.assertTrue(self.neighbours.linked[B].may_have(hashes("apple")))

    def test_given_for_ever(self) -> None:
        """Who was given and is not there is greeted for ever, with pauses that grow to half a minute."""
        self.neighbours.start([B])
        self.pass_time(60)
        first = len(self.said(B))
        self.pass_time(3600, 0.5)
        later = len(self.said(B))
        self.assertTrue(6 <= first <= 12, first)
        self.assertTrue(90 <= later <= 170, later)
        self.neighbours.hello_received(hello(), B)
        self.assertTrue(self.neighbours.is_neighbour(B))
        self.pass_time(8)
        self.said(B)
        self.pass_time(10)
        self.assertTrue(len(self.said(B)) >= 3, "after a neighbour is lost the pauses begin anew")

    def test_says_goodbye(self) -> None:
        """Who says that it leaves is gone at once, and not taken back in the same moment, but soon."""
        self.neighbours.start()
        self.neighbours.hello_received(hello(), B)
        self.neighbours.hello_received(hello(3, leaving=True), B)
        self.assertTrue(self.neighbours.is_neighbour(B), "another key has nothing to say about it")
        self.neighbours.hello_received(hello(leaving=True), B)
        self.assertFalse(self.neighbours.is_neighbour(B))
        self.neighbours.hello_received(hello(), B)
        self.assertFalse(self.neighbours.is_neighbour(B))
        self.pass_time(2.6)
        self.neighbours.hello_received(hello(), B)
        self.assertTrue(self.neighbours.is_neighbour(B))

    def test_goodbye_of_a_stranger(self) -> None:
        """A goodbye of somebody unknown makes no neighbour."""
        self.neighbours.start()
        self.neighbours.hello_received(hello(leaving=True), B)
        self.assertEqual(self.neighbours.linked, {})

    def test_news(self) -> None:
        """It is told that neighbours came, went, are full or no more, or take links elsewhere: seldom, but in time."""
        self.neighbours.start()
        self.neighbours.hello_received(hello(2), B)
        self.neighbours.hello_received(hello(3), C)
        self.pass_time(0.1)
        self.assertEqual(self.changes, 1)
        self.live(B, 5)
        self.assertEqual(self.changes, 1)
        for changes in ({"room": 0}, {"room": 0, "port": 9101}, {"leaving": True}):
            before = self.changes
            self.neighbours.hello_received(hello(3), C)
            self.neighbours.hello_received(hello(2, **changes), B)
            self.pass_time(1.1)
            self.assertEqual(self.changes, before + 1, changes)

    def test_news_of_a_flapping_neighbour(self) -> None:
        """However often somebody comes and goes, or is full and is not, there is news once a second at most."""
        self.neighbours.start()
        for number in range(200):
            self.neighbours.hello_received(hello(2), B)
            self.neighbours.hello_received(hello(2, leaving=True), B)
            self.neighbours.hello_received(hello(3, room=number % 2), C)
            self.pass_time(0.05)
        self.assertTrue(self.changes <= 11, self.changes)


class IdentityTests(NeighboursTestCase):
    """One super peer counts once, and this one not at all."""

    def test_itself(self) -> None:
        """A super peer is not its own neighbour, and finding out costs it little."""
        own = hello(1, key=self.node.key.public)
        self.neighbours.start([A])
        for _ in range(60):
            self.neighbours.hello_received(own, A)
            self.pass_time(1)
        self.assertEqual(self.neighbours.linked, {})
        self.assertTrue(len(self.said(A)) <= 12)
        self.assertEqual(self.node.reports, [])

    def test_given_twice(self) -> None:
        """The same address given twice, or in another spelling, is greeted once."""
        self.neighbours.start([B, B, Address("::ffff:10.0.0.2", 9200)])
        self.pass_time(0.5)
        self.assertEqual([to for _, to in self.node.datagrams], [B])

    def test_two_addresses(self) -> None:
        """One key under two addresses is one neighbour; if the first falls silent, the second is it."""
        self.neighbours.start([B, C])
        self.neighbours.hello_received(hello(2), B)
        self.neighbours.hello_received(hello(2), C)
        self.assertEqual(list(self.neighbours.linked), [B])
        self.live(C, 9)
        self.assertEqual(list(self.neighbours.linked), [C])
        self.live(B, 9)
        self.assertEqual(list(self.neighbours.linked), [B])

    def test_two_addresses_one_table(self) -> None:
        """By whatever address a neighbour is greeted, it is told which version of its table is here."""
        self.neighbours.start([B, C])
        self.neighbours.hello_received(hello(2), B)
        self.neighbours.hello_received(hello(2), C)
        self.neighbours.table_received(Table(base=0, version=5), B)
        self.pass_time(0.5)
        self.said(C)
        self.live(B, 6)
        self.assertEqual({each.have for each in self.said(C)}, {5})  # type: ignore[attr-defined]

    def test_chosen_before_come(self) -> None:
        """Who was given takes the place of somebody who came under the same key, and keeps it."""
        self.neighbours.start([C])
        self.neighbours.hello_received(hello(2), B)
        self.neighbours.hello_received(hello(2), C)
        self.neighbours.hello_received(hello(2), B)
        self.assertEqual(list(self.neighbours.linked), [C])
        self.pass_time(0.1)
        self.assertEqual([each for each in self.said(B) if each.leaving], [])  # type: ignore[attr-defined]

    def test_another_key(self) -> None:
        """Another key under one address is another neighbour, but not over and over."""
        self.neighbours.start([B])
        self.neighbours.hello_received(hello(2), B)
        first = self.neighbours.linked[B]
        for number in range(3, 103):
            self.neighbours.hello_received(hello(number), B)
        self.assertIs(self.neighbours.linked[B], first)
        self.pass_time(7)
        self.neighbours.note_alive(B)
        self.pass_time(1)
        for number in range(3, 103):
            self.neighbours.hello_received(hello(number), B)
        self.assertEqual([each.key for each in self.neighbours.linked.values()], [key_of(3)])
        self.neighbours.hello_received(hello(2), C)
        self.assertEqual(len(self.neighbours.linked), 2, "the old key is free again")

    def test_no_id(self) -> None:
        """Who claims the id of a tracker is none."""
        self.neighbours.start()
        self.neighbours.hello_received(hello(2, id=0), B)
        self.assertEqual(self.neighbours.linked, {})

    def test_links(self) -> None:
        """Where a neighbour takes links is what it says, and nowhere if that is only on a machine of its own."""
        self.neighbours.start()
        for said, link in (
            ({}, Address(B.host, 9100)),
            ({"port": 0}, None),
            ({"host": "10.9.9.9"}, Address("10.9.9.9", 9100)),
            ({"host": "127.0.0.1"}, None),
        ):
            self.neighbours.hello_received(hello(2, **said), B)
            self.assertEqual(self.neighbours.linked[B].link, link)

    def test_many_who_came(self) -> None:
        """Whoever comes with many addresses and says that it has much room does not push out those that were chosen."""
        self.neighbours.start([A, B])
        self.neighbours.hello_received(hello(2, room=5), A)
        self.neighbours.hello_received(hello(3, room=0), B)
        for number in range(10, 40):
            self.neighbours.hello_received(hello(number, room=9_999), Address("10.0.1.1", number))
        others = self.neighbours.others()
        self.assertEqual((len(others), others[0].id, 3 in [other.id for other in others]), (16, 2, False))

    def test_others(self) -> None:
        """Others that weak peers can go to are those that take links, the ones with most room first; 16 at most."""
        self.neighbours.start()
        self.neighbours.hello_received(hello(2, port=0), B)
        for number in range(3, 33):
            self.neighbours.hello_received(hello(number, room=number % 20), Address(f"10.0.1.{number}", 9200))
        others = self.neighbours.others()
        self.assertEqual([other.room for other in others[:3]], [19, 18, 17])
        self.assertEqual((others[0].id, others[0].host, others[0].port), (19, "10.0.1.19", 9100))
        self.assertEqual(len(others), 16)


class CrowdTests(NeighboursTestCase):
    """More come than there is room for."""

    def come(self, count: int, host: str, first: int = 100) -> None:
        """Let many come from one host."""
        for number in range(first, first + count):
            self.neighbours.hello_received(hello(number), Address(host, number))

    def test_bounded(self) -> None:
        """So many may come; those that were given are taken beyond that, and nobody pushes them out."""
        self.neighbours.start([B])
        self.come(1000, "10.6.6.6")
        self.assertEqual(len(self.neighbours.linked), LEAST_COMING)
        self.neighbours.hello_received(hello(2), B)
        self.come(1000, "10.6.6.7", 5000)
        self.assertTrue(self.neighbours.is_neighbour(B))
        self.assertEqual(len(self.neighbours.linked), LEAST_COMING + 1)

    def test_fair(self) -> None:
        """When there is no room, the latest of the host with most has to go, and is told; others stay."""
        self.neighbours.start()
        self.neighbours.hello_received(hello(2), B)
        self.come(1000, "10.6.6.6")
        self.neighbours.hello_received(hello(3), C)
        self.assertTrue(self.neighbours.is_neighbour(B))
        self.assertTrue(self.neighbours.is_neighbour(C))
        gone = Address("10.6.6.6", 100 + LEAST_COMING - 2)
        self.assertFalse(self.neighbours.is_neighbour(gone))
        self.assertEqual([message.leaving for message in self.said(gone)], [True])  # type: ignore[attr-defined]
        self.come(1000, "10.6.6.6", 5000)
        self.assertTrue(self.neighbours.is_neighbour(C))

    def test_many_hosts(self) -> None:
        """Among hosts with one each, those that are there stay, and who was given is taken all the same."""
        self.neighbours.start([B])
        for number in range(100, 300):
            self.neighbours.hello_received(hello(number), Address(f"10.1.{number // 100}.{number % 100}", 9200))
        self.neighbours.hello_received(hello(2), B)
        first = list(range(100, 100 + LEAST_COMING))
        self.assertEqual([each.id for each in self.neighbours.linked.values()], [*first, 2])

    def test_more_with_a_greater_degree(self) -> None:
        """A super peer that wants many neighbours takes twice as many."""
        self.neighbours = self.make(degree=50)
        self.neighbours.start()
        self.come(1000, "10.6.6.6")
        self.assertEqual(len(self.neighbours.linked), 100)

    def test_a_flood_of_greetings(self) -> None:
        """A thousand greetings a second are answered by no more datagrams than one, and told of seldom."""
        self.neighbours.start()
        for _ in range(5000):
            self.neighbours.hello_received(hello(have=self.table.version), B)
            self.node.clock.advance(0.001)
        self.assertTrue(len(self.node.datagrams) <= 4, len(self.node.datagrams))
        for number in range(5000):
            self.neighbours.hello_received(hello(number + 10), Address(f"10.2.{number >> 8}.{number & 255}", 9200))
            self.neighbours.hello_received(hello(number + 10, leaving=True), Address(f"10.2.{number >> 8}.1", 9200))
        self.assertTrue(len(self.node.reports) < 100, len(self.node.reports))
        before = len(self.node.reports)
        self.neighbours.start([C])
        self.neighbours.hello_received(hello(3), C)
        self.assertEqual(len(self.node.reports), before + 1, "what happens to those that were given is always told")

    def test_networks(self) -> None:
        """With IPv6 all addresses of one network count as one host."""
        self.assertEqual(network_of("10.0.0.1"), "10.0.0.1")
        self.assertEqual(network_of("2001:db8::1"), network_of("2001:db8::ffff:2"))
        self.assertNotEqual(network_of("2001:db8::1"), network_of("2001:db8:0:1::1"))


class SeekingTests(NeighboursTestCase):
    """Super peers found through the tracker."""

    def named(self, number: int, udp_port: int = 9200) -> Whereabouts:
        """What the tracker says of a super peer."""
        return Whereabouts(number, Address(f"10.3.0.{number}", 9100), udp_port)

    def answer(self, number: int) -> None:
        """Let a super peer that was named greet."""
        self.neighbours.hello_received(hello(number), Address(f"10.3.0.{number}", 9200))

    def test_found(self) -> None:
        """While there are too few, more are asked for, greeted, and then there are enough."""
        self.neighbours = self.make(degree=2)
        self.node.named = [self.named(2), self.named(3), self.named(4)]
        self.neighbours.start()
        self.pass_time(0.5)
        self.assertEqual(sorted(to.host for _, to in self.node.datagrams), ["10.3.0.2", "10.3.0.3"])
        self.assertEqual(self.node.asked, [("super_peer", (1,)), ("super_peer", (1, 2))])
        for _ in range(30):
            self.answer(2)
            self.answer(3)
            self.pass_time(1)
        self.assertEqual(len(self.node.asked), 2)
        self.assertEqual({each.entry for each in self.neighbours.linked.values()}, {Entry.FOUND})

    def test_not_there(self) -> None:
        """Who is named and does not answer is greeted three times, then not asked for, and others are."""
        self.neighbours = self.make(degree=1)
        self.node.named = [self.named(2), self.named(3)]
        self.neighbours.start()
        self.pass_time(12)
        self.assertEqual(len(self.said(Address("10.3.0.2", 9200))), 3)
        self.assertEqual(self.node.asked[1], ("super_peer", (1, 2)))
        self.answer(3)
        self.assertEqual(len(self.neighbours.linked), 1)

    def test_named_twice(self) -> None:
        """Who is being tried is not tried once more under another id."""
        self.neighbours = self.make(degree=4)
        self.node.named = [self.named(2), Whereabouts(9, self.named(2).address, 9200), self.named(3)]
        self.neighbours.start()
        self.pass_time(0.9)
        self.assertEqual([to.host for _, to in self.node.datagrams], ["10.3.0.2", "10.3.0.3"])

    def test_of_no_use(self) -> None:
        """Whoever takes no datagrams, or is a neighbour already, is not greeted, and asked for less and less often."""
        self.neighbours.start()
        self.answer(2)
        self.node.named = [self.named(2), self.named(3, udp_port=0)] * 1000
        for _ in range(120):
            self.answer(2)
            self.pass_time(1)
        self.assertEqual({to.host for _, to in self.node.datagrams}, {"10.3.0.2"})
        self.assertTrue(3 <= len(self.node.asked) <= 16, len(self.node.asked))

    def test_half_are_chosen(self) -> None:
        """However many come by themselves, half of those that are wanted are found."""
        self.node.named = [self.named(number) for number in range(2, 20)]
        for number in range(100, 110):
            self.neighbours.start()
            self.neighbours.hello_received(hello(number), Address("10.6.6.6", number))
        self.pass_time(1)
        self.assertEqual(len(self.node.asked), 3)

    def test_remembers(self) -> None:
        """With no tracker to ask, those who fell silent are tried again: perhaps the network was cut."""
        self.neighbours.start()
        self.live(B, 3)
        self.pass_time(20)
        self.said(B)
        self.pass_time(60)
        self.assertNotEqual(self.said(B), [])

    def test_remembers_all_networks(self) -> None:
        """Whoever comes and falls silent at ever more addresses of one network does not have others forgotten."""
        self.neighbours.start()
        self.live(B, 3)
        self.pass_time(10)
        for number in range(300):
            self.neighbours.hello_received(hello(10 + number), Address(f"2001:db8::{number + 1:x}", 9200))
            if number % 30 == 29:
                self.pass_time(10)
        self.said()
        self.pass_time(560)
        self.assertNotEqual(self.said(B), [])

    def test_farewell(self) -> None:
        """Who has said that it leaves is not tried again."""
        self.neighbours.start()
        self.live(B, 3)
        self.neighbours.hello_received(hello(leaving=True), B)
        self.said(B)
        self.pass_time(60)
        self.assertEqual(self.said(B), [])

    def test_begins_anew(self) -> None:
        """After somebody was found, the pauses between questions begin anew."""
        self.neighbours.start()
        self.pass_time(120)
        self.node.named = [self.named(2)]
        while not self.said():
            self.pass_time(1)
        before = len(self.node.asked)
        self.answer(2)
        self.pass_time(3)
        self.assertGreaterEqual(len(self.node.asked), before + 3)

    def test_no_end_of_memory(self) -> None:
        """Who has not been there for ten minutes is forgotten."""
        self.neighbours.start()
        self.live(B, 3)
        self.pass_time(700, 0.5)
        self.said(B)
        self.pass_time(120, 0.5)
        self.assertEqual(self.said(B), [])

    def test_answer_after_the_stop(self) -> None:
        """An answer that comes when the super peer has stopped is of no use to anybody."""
        waiting: Deferred[Whereabouts | None] = Deferred()
        self.patch(FakeNode, "ask_tracker_for", lambda *_: waiting)
        self.neighbours.start()
        self.pass_time(1)
        self.neighbours.stop()
        waiting.callback(self.named(2))
        self.pass_time(1)
        self.assertEqual(self.node.datagrams, [])


class PendingTests(NeighboursTestCase):
    """Tables of which not all parts have come."""

    def begin_tables(self, address: Address, first: int, most: int) -> None:
        """Let a neighbour begin two tables, as large as can be, and end none."""
        for part in range(first, min(first + 8, most)):
            slots = write_slots(range(part << 12, (part + 1) << 12, 16))
            for version in (2, 3):
                table = Table(base=0, version=version, bits=MOST_TABLE_BITS, part=part, parts=1000, on=slots, off=slots)
                self.neighbours.table_received(table, address)

    def pending(self) -> dict[Address, int]:
        """What is kept of each."""
        return {address: each.route.pending_bytes for address, each in self.neighbours.linked.items()}

    def test_bounded(self) -> None:
        """What is kept of them is bounded over all neighbours, and those whose hosts have most begin anew."""
        self.neighbours.start()
        self.neighbours.tells_tables = False
        greedy = [Address("10.9.0.1", 1000 + number) for number in range(LEAST_COMING - 2)]
        for number, address in enumerate((B, *greedy)):
            self.neighbours.hello_received(hello(100 + number), address)
        self.begin_tables(B, 0, 1)
        honest = self.pending()[B]
        most = 0
        for first in range(0, 24, 8):
            for address in greedy:
                self.begin_tables(address, first, 24)
            most = max(most, sum(self.pending().values()))
        self.assertTrue(MOST_PENDING_BYTES / 2 < most <= MOST_PENDING_BYTES, most)
        self.assertTrue(0 < self.pending()[B] == honest)

    def test_given_back(self) -> None:
        """Who goes, or has told all, takes no room from others."""
        self.neighbours.start()
        self.neighbours.tells_tables = False
        for round in range(6):
            for number in range(8):
                address = Address(f"10.9.{number}.1", 2000 + round)
                self.neighbours.hello_received(hello(1000 * round + number + 100), address)
                self.begin_tables(address, 0, 8)
            self.assertEqual(sum(map(bool, self.pending().values())), 8, f"round {round}")
            for address in list(self.neighbours.linked):
                number = self.neighbours.linked[address].id
                self.neighbours.hello_received(hello(number, leaving=True), address)
