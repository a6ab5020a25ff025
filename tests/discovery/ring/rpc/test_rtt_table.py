"""Promises of what is known of addresses: who is there, who has answered lately, and how long to wait."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.nets import RingTestCase
from tests.discovery.ring.rpc.test_messages import ENVELOPE, OWN, RING, contact
from twisted_bazaar.discovery.ring.rpc.contact_encoding import ContactEncoder
from twisted_bazaar.discovery.ring.rpc.messages import RingPing, RingQuit
from twisted_bazaar.discovery.ring.rpc.rtt_table import FIRST_WAIT_S, LEAST_WAIT_S, LONGEST_WAIT_S, RttEntry, RttTable
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.values.addresses import Address

OTHER = contact(1)
WHERE = OTHER.address


def ping(by: Contact, **changes: object) -> RingPing:
    """What a node says."""
    cards = ContactEncoder(by, RING)
    return RingPing(**ENVELOPE | {"source": cards.own_text, "origin": cards.own_card} | changes)


class SenderTests(SynchronousTestCase):
    """Who has sent a message from an address: as cards say, whatever was said from there before."""

    def setUp(self) -> None:
        """Have an address from which one node has spoken."""
        self.cards, self.site = ContactEncoder(contact(0, host="0.0.0.0"), RING), RttEntry(WHERE)
        self.assertEqual(self.site.sender_of(ping(OTHER), self.cards), OTHER)

    def test_others(self) -> None:
        """Another node at the same address is another sender, and the first is itself again afterwards."""
        for each in (contact(2), OTHER, Contact(5, OTHER.key, WHERE, OTHER.port), OTHER):
            expected = Contact(each.id, each.key, WHERE, each.port)
            self.assertEqual(self.site.sender_of(ping(each), self.cards), expected)

    def test_nobody(self) -> None:
        """What was sent on, or names another place, has no sender, and what comes after it has."""
        on_behalf = ContactEncoder(contact(3), RING).write(contact(2))
        for message in (ping(OTHER, source=RING.to_wire(5)), ping(OTHER, origin=on_behalf), ping(OTHER, source="2a")):
            self.assertIsNone(self.site.sender_of(message, self.cards))
            self.assertEqual(self.site.sender_of(ping(OTHER), self.cards), OTHER)

    def test_becomes(self) -> None:
        """Who learns where it is itself forgets whom it took for itself before."""
        self.assertEqual(self.site.sender_of(ping(OWN), self.cards), self.cards.own)
        self.cards.become(contact(0, host="10.9.9.9"))
        self.assertEqual(self.site.sender_of(ping(OWN), self.cards), contact(0, host=WHERE.host))


class ShownTests(SynchronousTestCase):
    """Who has answered lately."""

    def setUp(self) -> None:
        """Let one have answered, which counts for 20 s."""
        self.sites = RttTable()
        self.answer(OTHER, 0.0)

    def answer(self, contact: Contact, now: float) -> None:
        """Let one answer."""
        site = self.sites.at(contact.address, now)
        site.note_answer(contact, now, 20.0)
        self.sites.remember(site, now)

    def shown(self, now: float, where: Address = WHERE) -> Contact | None:
        """Who has answered lately from an address."""
        return self.sites.at(where, now).shown_at(now)

    def test_counts(self) -> None:
        """It counts for so long, at that address alone."""
        self.assertEqual([self.shown(now) for now in (0.0, 19.9, 20.0)], [OTHER, OTHER, None])
        self.assertIsNone(self.shown(0.0, contact(2).address))

    def test_begins_anew(self) -> None:
        """Who begins anew counts nobody who has answered before; how long answers take is still known."""
        self.sites.on_answer(self.sites.at(WHERE, 0.0), 0.3, 0.0)
        before = self.sites.wait_s(self.sites.at(WHERE, 0.0))
        self.sites.forget_shown(1.0)
        self.assertEqual((self.shown(1.0), self.sites.wait_s(self.sites.at(WHERE, 1.0))), (None, before))
        self.assertNotEqual(before, FIRST_WAIT_S)

    def test_in_use(self) -> None:
        """Who answers on and on is remembered for all that time, and ten minutes of silence longer at most."""
        for now in range(0, 3_600, 15):
            self.assertEqual(self.shown(now + 14.9), OTHER, now)
            self.answer(OTHER, now + 15.0)
        self.assertIsNotNone(self.sites.known(WHERE, 3_600 + 599))
        self.assertIsNone(self.sites.known(WHERE, 3_600 + 601))

    def test_crowd_on_the_same_host(self) -> None:
        """Who goes on answering is remembered, however many others on its host answer once."""
        for port in range(1, 10_000):
            self.answer(Contact(port, OTHER.key, Address(WHERE.host, 10_000 + port), 0), port / 50)
            if port % 250 == 0:
                self.assertEqual(self.shown(port / 50), OTHER)
                self.answer(OTHER, port / 50)

    def test_strangers(self) -> None:
        """Whoever only speaks, from however many hosts, or is only asked, makes nobody forgotten."""
        for number in range(10_000):
            stranger = Address(f"10.{number // 250}.{number % 250}.1", 9_001)
            self.sites.at(stranger, 1.0).sender_of(ping(contact(2)), ContactEncoder(OWN, RING))
            self.assertIsNone(self.sites.known(stranger, 1.0))
        self.assertEqual(self.shown(2.0), OTHER)

    def test_two_questions(self) -> None:
        """Of two that were asked at once, before anything was known, both answers count."""
        first, second = self.sites.at(contact(3).address, 0.0), self.sites.at(contact(3).address, 0.0)
        for each, seconds in ((first, 1.0), (second, 0.2)):
            self.sites.on_answer(each, seconds, 0.0)
        self.assertGreater(self.sites.wait_s(self.sites.at(contact(3).address, 0.0)), 1.0)


class AnsweringTests(RingTestCase):
    """A member that one other answers now and then."""

    def test_last_answer(self) -> None:
        """Who has answered lately counts for 15 s from its last answer on, whatever it was asked before."""
        member = self.members[self.add()]
        self.network.run(1.0)
        sites = member._requests.sites
        for other, is_at_hand in ((contact(1), True), (contact(2), False)):
            for wait_s in (0.0, 3.0, 6.0, 9.0, 12.0):
                self.network.run(wait_s)
                last, where = self.network.seconds(), other.address
                site = sites.at(where, last) if is_at_hand else None
                self.assertTrue(member._incarnation.maintenance.on_answer(other, site))
                shown = [sites.at(where, last + after_s).shown_at(last + after_s) for after_s in (14.9, 15.1)]
                self.assertEqual(shown, [other, None], (wait_s, is_at_hand))

    def test_is_back(self) -> None:
        """Who has not answered, or has gone, and answers again later is known as before, at once."""
        member = self.members[self.add()]
        self.network.run(1.0)
        incarnation, sites, other = member._incarnation, member._requests.sites, contact(1)
        maintenance, responder = incarnation.maintenance, incarnation.responder
        farewell = RingQuit(
            **ENVELOPE | {"source": RING.to_wire(other.id), "origin": ContactEncoder(other, RING).own_card}
        )
        for wait_s in (1.0, 20.0):
            for lose in (lambda: maintenance.on_failure(other), lambda: responder.on_quit(farewell, other)):
                self.assertTrue(maintenance.on_answer(other, sites.at(other.address, self.network.seconds())))
                self.assertIn(other, member.table.fingers)
                self.network.run(wait_s)
                site = sites.at(other.address, self.network.seconds())
                lose()
                self.assertNotIn(other, member.table.fingers)
                self.assertTrue(member.table.failed.has(other, self.network.seconds()))
                self.assertTrue(maintenance.on_answer(other, site))
                self.assertIn(other, member.table.fingers)
                self.assertFalse(member.table.failed.has(other, self.network.seconds()))


class WaitTests(SynchronousTestCase):
    """How long to wait."""

    def setUp(self) -> None:
        """Know nothing."""
        self.sites = RttTable()

    def learn(self, *seconds: float) -> None:
        """Let answers take so long."""
        for each in seconds * 50:
            self.sites.on_answer(self.sites.at(WHERE, 0.0), each, 0.0)

    def wait_s(self, address: Address = WHERE) -> float:
        """How long an answer is waited for."""
        return self.sites.wait_s(self.sites.at(address, 0.0))

    def test_nothing_known(self) -> None:
        """Of nobody is known how long it takes: that is a while."""
        self.assertEqual(self.wait_s(), FIRST_WAIT_S)

    def test_nobody_is_usual(self) -> None:
        """Who is asked again and again does not make what its answers take the usual: others may be farther."""
        self.learn(0.3)
        before, near = self.wait_s(contact(2).address), contact(1)
        site = self.sites.at(near.address, 0.0)
        site.note_answer(near, 0.0, 15.0)
        self.sites.remember(site, 0.0)
        for _ in range(1_000):
            self.sites.on_answer(self.sites.at(near.address, 0.0), 0.001, 0.0)
        self.assertGreater(self.wait_s(contact(2).address), 0.8 * before)
        self.assertEqual(self.wait_s(near.address), LEAST_WAIT_S)

    def test_adapts(self) -> None:
        """The wait follows what answers take, within bounds."""
        for seconds, least, most in (
            (0.0005, LEAST_WAIT_S, LEAST_WAIT_S),
            (0.3, 0.3, 0.35),
            (9.0, LONGEST_WAIT_S, LONGEST_WAIT_S),
        ):
            self.learn(seconds)
            wait_s = self.wait_s()
            self.assertTrue(least <= wait_s <= most, (seconds, wait_s))

    def test_jitter(self) -> None:
        """Who answers now sooner, now later is waited for longer."""
        self.learn(0.05, 0.25)
        self.assertGreater(self.wait_s(), 0.25)

    def test_others(self) -> None:
        """Of whom nothing is known is guessed by the others, with time for its cookie."""
        self.learn(0.2)
        wait_s = self.wait_s(Address("10.0.0.77", 9_001))
        self.assertTrue(0.4 <= wait_s <= 0.5, wait_s)
