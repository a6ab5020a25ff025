"""Promises of a search under way: it goes on while one takes long, and ends once, whatever happens."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.rpc.test_messages import OWN, RING, contact
from twisted_bazaar.discovery.ring.member.lookup_driver import LookupDriver
from twisted_bazaar.discovery.ring.rpc.contact_encoding import ContactEncoder
from twisted_bazaar.discovery.ring.rpc.messages import RingExit, RingFind, RingFound
from twisted_bazaar.discovery.ring.rpc.requests import Requests
from twisted_bazaar.discovery.ring.rpc.rtt_table import RttEntry
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.lookup import Lookup
from twisted_bazaar.discovery.ring.rules.lookup_reply import LookupReply
from twisted_bazaar.testing import FakeNode

OTHERS = sorted((contact(number) for number in range(1, 8)), key=lambda each: RING.distance(OWN.id, each.id))
PLACE = OTHERS[5].id
HOLDER, BEFORE = OTHERS[5], OTHERS[4]


class SearchTests(SynchronousTestCase):
    """One search; those that it asks are played by hand."""

    def setUp(self) -> None:
        """Know three nodes, and look for a place with one question at a time."""
        self.node = FakeNode()
        self.asking = Requests(self.node, ContactEncoder(OWN, RING))
        lookup = Lookup(PLACE, RING, LookupReply(OWN, tuple(reversed(OTHERS[:3]))), alpha=1, is_wary=False)
        self.answered: list[Contact] = []
        self.failed: list[Contact] = []
        self.search = LookupDriver(PLACE, lookup, self.asking, self)
        self.addCleanup(lambda: self.assertEqual(self.node.clock.getDelayedCalls(), []))
        self.addCleanup(self.asking.stop)
        self.search.ask_next()

    def on_answer(self, contact: Contact, site: RttEntry | None = None) -> None:
        """Note who has answered."""
        self.answered.append(contact)

    def on_failure(self, contact: Contact) -> None:
        """Note who has not."""
        self.failed.append(contact)

    def asked(self) -> list[Contact]:
        """Who was asked, each once."""
        addresses = dict.fromkeys(address for _, address in self.node.datagrams)
        return [each for address in addresses for each in OTHERS if each.address == address]

    def answer(self, by: Contact, before: tuple[Contact, ...] = (), after: tuple[Contact, ...] = ()) -> None:
        """Let somebody answer."""
        cards = ContactEncoder(by, RING)
        question = next(message for message, address in self.node.datagrams if address == by.address)
        assert isinstance(question, RingFind)
        found = RingFound(
            source=RING.to_wire(by.id),
            destination=question.source,
            stamp=question.stamp,
            origin=cards.write(by),
            before=cards.write_all(before),
            after=cards.write_all(after),
        )
        self.asking.on_answer(found, by.address)

    def pass_time(self, seconds: float) -> None:
        """Let time pass in small steps."""
        for _ in range(round(seconds / 0.01)):
            self.node.clock.advance(0.01)

    def test_finds(self) -> None:
        """It asks the nearest, then whom that one names, and ends with who says that it is responsible."""
        self.assertEqual(self.asked(), [OTHERS[2]])
        self.answer(OTHERS[2], before=(BEFORE,))
        self.answer(BEFORE, after=(HOLDER, OTHERS[6]))
        self.assertNoResult(self.search.found)
        self.answer(HOLDER, before=(BEFORE,), after=(HOLDER, OTHERS[6]))
        found = self.successResultOf(self.search.found)
        self.assertEqual((found.holders[0], found.before, found.hops), (HOLDER, BEFORE, 3))
        self.assertEqual(self.answered, [OTHERS[2], BEFORE, HOLDER])

    def test_goes_on_while_one_is_late(self) -> None:
        """While one takes long another is asked; its answer still counts when it comes."""
        self.pass_time(0.6)
        self.assertEqual(self.asked()[:2], [OTHERS[2], OTHERS[1]])
        self.assertEqual(self.failed, [])
        self.answer(OTHERS[2], before=(BEFORE,))
        self.pass_time(0.7)
        self.assertIn(BEFORE, self.asked())

    def test_dead(self) -> None:
        """Who does not answer is said to have failed; the search goes round it."""
        self.pass_time(0.6)
        self.answer(OTHERS[1], before=(BEFORE,))
        self.answer(BEFORE, after=(HOLDER,))
        self.answer(HOLDER, after=(HOLDER,))
        self.assertEqual(self.successResultOf(self.search.found).holders[0], HOLDER)
        self.pass_time(10.0)
        self.assertEqual(self.failed, [OTHERS[2]])

    def test_overdue(self) -> None:
        """Who is late for the third time is not waited for if another claims the place, be that sure or not."""
        lookup = Lookup(PLACE, RING, LookupReply(OWN, (BEFORE, OTHERS[2])), alpha=2)
        search = LookupDriver(PLACE, lookup, self.asking, self)
        self.node.datagrams.clear()
        search.ask_next()
        self.answer(BEFORE, after=(HOLDER,))
        self.pass_time(0.3)
        self.answer(HOLDER, after=(HOLDER,))
        self.pass_time(0.5)
        self.assertNoResult(search.found)
        self.pass_time(1.2)
        self.assertEqual(self.successResultOf(search.found).holders, (HOLDER,))
        self.assertNotIn(OTHERS[2], self.failed)

    def test_late_after_the_end(self) -> None:
        """Who is late when the search is over leaves no timer behind."""
        lookup = Lookup(PLACE, RING, LookupReply(OWN, (BEFORE, OTHERS[2])), alpha=2, is_wary=False)
        search = LookupDriver(PLACE, lookup, self.asking, self)
        self.node.datagrams.clear()
        search.ask_next()
        self.answer(BEFORE, after=(HOLDER,))
        self.answer(HOLDER, after=(HOLDER,))
        self.successResultOf(search.found)
        # The questions that are left; no search waits for anything but these.
        self.pass_time(0.6)
        self.asking.stop()
        self.assertEqual(self.node.clock.getDelayedCalls(), [])

    def test_nobody(self) -> None:
        """If nobody answers, nobody is found."""
        self.pass_time(30.0)
        self.assertEqual(self.successResultOf(self.search.found).holders, ())
        self.assertEqual(self.failed, [OTHERS[2], OTHERS[1], OTHERS[0]])

    def test_stopped(self) -> None:
        """When the node stops, the search ends with what there is."""
        self.asking.stop()
        self.assertEqual(self.successResultOf(self.search.found).holders, ())

    def test_cancelled(self) -> None:
        """A search that nobody wants any more asks nobody else, and leaves no timer behind."""
        self.pass_time(0.6)
        asked = self.asked()
        self.search.found.cancel()
        self.failureResultOf(self.search.found, CancelledError)
        self.answer(OTHERS[1], before=(BEFORE,))
        self.assertEqual(self.asked(), asked)

    def test_other_answer(self) -> None:
        """An answer to something else is none."""
        question = self.node.datagrams[0][0]
        assert isinstance(question, RingFind)
        cards = ContactEncoder(OTHERS[2], RING)
        strange = RingExit(
            source=RING.to_wire(OTHERS[2].id), destination="", stamp=question.stamp, origin=cards.write(OTHERS[2])
        )
        self.asking.on_answer(strange, OTHERS[2].address)
        self.assertEqual(self.asked(), [OTHERS[2], OTHERS[1]])
