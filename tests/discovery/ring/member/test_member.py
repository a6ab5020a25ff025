"""Promises of one member of a ring: how it comes and goes, and what it believes of what it is told."""

from __future__ import annotations

from functools import partial
from typing import Any

from attrs import evolve
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.nets import key_pair
from twisted_bazaar.discovery.ring.member.incarnation import Incarnation
from twisted_bazaar.discovery.ring.member.joining import BootstrapNode
from twisted_bazaar.discovery.ring.member.member import RingMember
from twisted_bazaar.discovery.ring.rpc.contact_encoding import ContactEncoder
from twisted_bazaar.discovery.ring.rpc.messages import (
    ANYBODY,
    Card,
    RingAbrupt,
    RingExit,
    RingFind,
    RingFound,
    RingJoin,
    RingMessage,
    RingPing,
    RingPong,
    RingQuit,
    RingUpdate,
    Seen,
)
from twisted_bazaar.discovery.ring.rpc.requests import Make, Requests
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.settings import USUAL
from twisted_bazaar.errors import LinkClosed, UsageError
from twisted_bazaar.testing import FakeNode
from twisted_bazaar.values.addresses import Address, Peer

SMALL = evolve(USUAL, bits=8, leaving_s=3.5)
RING = Ring(8)
DOOR = Address("10.0.0.2", 9_001)


def contact(identifier: int, number: int | None = None) -> Contact:
    """A node at a place, on a machine of that number."""
    return Contact(
        identifier,
        key_pair(identifier if number is None else number).public,
        Address(f"10.0.1.{identifier}", 9_100),
        9_001,
    )


class Note(RingMessage, tag="ringtestnote", kw_only=True):
    """A message of those who use the ring."""

    text: str = ""


class Thanks(RingMessage, tag="ringtestthanks", kw_only=True):
    """Its answer."""


class MemberTestCase(SynchronousTestCase):
    """One member, at 100, on a ring of 256 places; all others are played by hand."""

    def setUp(self) -> None:
        """Have a node that has not begun."""
        self.node = FakeNode(key=key_pair(1_000))
        self.member = RingMember(SMALL, ring_id=100)
        self.addCleanup(self.check_nothing_left)

    def check_nothing_left(self) -> None:
        """Stop it, and see that no timer is left."""
        stopping = self.member.stop()
        self.pass_time(3.0)
        self.successResultOf(stopping)
        self.assertEqual(self.node.clock.getDelayedCalls(), [])

    def begin(self) -> None:
        """Be the first of a ring."""
        began = self.member.start(self.node)
        self.node.clock.advance(0)
        self.successResultOf(began)

    def pass_time(self, seconds: float, step_s: float = 0.05) -> None:
        """Let time pass in small steps."""
        for _ in range(round(seconds / step_s)):
            self.node.clock.advance(step_s)

    def say(self, by: Contact, make: Make, to: str = "64", stamp: int = 5, origin: Contact | None = None) -> None:
        """Let a message come."""
        cards = ContactEncoder(by, RING)
        message = make(source=RING.to_wire(by.id), destination=to, stamp=stamp, origin=cards.write(origin or by))
        self.member.datagrams[type(message)](message, by.address, None)

    def said(self, to: Contact | Address, *kinds: type[RingMessage]) -> list[Any]:
        """What was sent to somebody since this was last asked."""
        where = to if isinstance(to, Address) else to.address
        taken = [each for each in self.node.datagrams if each[1] == where]
        self.node.datagrams = [each for each in self.node.datagrams if each not in taken]
        return [message for message, _ in taken if not kinds or isinstance(message, kinds)]

    def pong(self, by: Contact, *successors: Contact, before: Contact | None = None, is_member: bool = True) -> int:
        """Let a node answer all that it was asked; returns how often it was asked how it stands."""
        cards = ContactEncoder(by, RING)
        predecessor = None if before is None else cards.write(before)
        questions = self.said(by, RingPing, RingJoin, RingFind)
        for question in questions:
            answer: Make = partial(
                RingPong,
                bits=8,
                member=is_member,
                predecessor=predecessor,
                successors=cards.write_all(successors),
                you=Seen("10.0.0.1", 9_100) if isinstance(question, RingJoin) else None,
            )
            if isinstance(question, RingFind):
                answer = partial(RingFound, predecessor=predecessor)
            self.say(by, answer, question.source, question.stamp)
        return sum(not isinstance(question, RingFind) for question in questions)

    def live(self, *nodes: Contact, seconds: float = 1.0) -> None:
        """Let time pass while neighbours in order live, ask, and answer."""
        order = sorted([*nodes, self.member.own], key=lambda each: each.id)
        for _ in range(round(seconds / 0.05)):
            self.node.clock.advance(0.05)
            for each in nodes:
                index = order.index(each)
                following = [order[(index + step) % len(order)] for step in range(1, len(order))]
                self.pong(each, *following, before=order[index - 1])
            before = order[order.index(self.member.own) - 1]
            self.say(before, RingPing)

    def neighbours(self) -> tuple[int | None, list[int]]:
        """The places of its predecessor and its successors."""
        before, successors = self.member.stabilization.predecessor, self.member.stabilization.successors
        return None if before is None else before.id, [each.id for each in successors]

    def events(self, name: str) -> list[dict[str, Any]]:
        """What was reported under a name."""
        return [details for event, details in self.node.reports if event == name]


class ComingTests(MemberTestCase):
    """How it comes."""

    def join(self, where: Peer | None) -> Deferred[None]:
        """Join by whoever is linked."""
        if where is not None:
            self.node.present[DOOR] = where
        began = self.member.start(self.node, DOOR)
        self.node.clock.advance(0)
        return began

    def door(self, **changes: Any) -> Peer:
        """The node by which it joins: the one at 50."""
        fields = {"id": 7, "key": contact(50).key, "address": DOOR, "udp_port": 9_100} | changes
        return Peer(**fields)  # type: ignore[arg-type]

    def test_too_soon(self) -> None:
        """What comes before it has begun is dropped."""
        member = RingMember(SMALL)
        began = member.start(self.node)
        about: dict[str, Any] = {
            "source": "01",
            "destination": ANYBODY,
            "stamp": 1,
            "origin": Card("A" * 43, None, 9_001, 9_001),
        }
        for message in (RingJoin(**about), RingPing(**about), RingFind(place="01", **about)):
            member.datagrams[type(message)](message, Address("10.0.0.2", 9_001), None)
        self.assertEqual(self.node.sent, [])
        member.stop()
        self.failureResultOf(began, LinkClosed)

    def test_first(self) -> None:
        """Who joins nobody has a ring to itself, and everything belongs to it."""
        self.begin()
        self.assertTrue(self.member.is_member)
        self.assertEqual(self.neighbours(), (None, []))
        [own] = self.successResultOf(self.member.lookups.find(3)).holders
        self.assertEqual(own, self.member.own)
        self.assertEqual(self.events("ring-joined"), [{"id": "100"}])

    def test_joins(self) -> None:
        """Who joins meets a member by a link, asks it by datagram, falls in behind it, and lets the link go."""
        there = replace(contact(50), address=Address("10.0.0.2", 9_100))
        began = self.join(self.door())
        for _ in range(5):
            self.pong(there)
            self.node.clock.advance(0.01)
        self.successResultOf(began)
        self.assertEqual(self.neighbours()[1], [50])
        self.assertEqual(self.node.released, [7])
        self.assertEqual(self.member.own.address, Address("10.0.0.1", 9_100))

    def test_dead_address(self) -> None:
        """Where nobody is, it tries again, ever more seldom, and says so."""
        said, report = list[str](), FakeNode.report

        def note(node: FakeNode, event: str, sentence: str | None, **details: Any) -> None:
            if event == "ring-waits" and sentence is not None:
                said.append(sentence)
            report(node, event, sentence, **details)

        self.patch(FakeNode, "report", note)
        began = self.join(None)
        self.pass_time(60.0)
        self.assertNoResult(began)
        self.assertTrue(4 <= len(self.node.met) <= 10, len(self.node.met))
        self.assertEqual(len(self.events("ring-waits")), len(self.node.met))
        self.assertTrue(1 <= len(said) <= 2, said)
        began.addErrback(lambda failure: failure.trap(LinkClosed))

    def test_stopped_before(self) -> None:
        """Stopped before it has joined, it says so to who waits."""
        began = self.join(None)
        self.successResultOf(self.member.stop())
        self.failureResultOf(began, LinkClosed)

    def test_stopped_at_once(self) -> None:
        """So it does when it has not even begun."""
        began = self.member.start(self.node)
        self.successResultOf(self.member.stop())
        self.failureResultOf(began, LinkClosed)

    def test_silent_door(self) -> None:
        """A node that takes links and answers no datagrams is tried again too."""
        began = self.join(self.door())
        self.pass_time(20.0)
        self.assertNoResult(began)
        self.assertGreater(len(self.node.met), 1)
        began.addErrback(lambda failure: failure.trap(LinkClosed))

    def test_itself(self) -> None:
        """Who is told to join by itself is told that this cannot be."""
        self.failureResultOf(self.join(self.door(key=self.node.key.public)), UsageError)

    def test_no_datagrams(self) -> None:
        """A node that takes no datagrams is no member of any ring."""
        self.node.udp_port = 0
        self.failureResultOf(self.join(self.door()), UsageError)

    def test_other_ring(self) -> None:
        """A ring with other bits is refused, and says how many it has."""
        began = self.join(self.door())
        [question] = self.said(Address("10.0.0.2", 9_100), RingJoin)
        other = Ring(64)
        there = Contact(5, contact(50).key, Address("10.0.0.2", 9_100))
        card = ContactEncoder(there, other).write(there)
        answer = RingPong(source=other.to_wire(5), destination="64", stamp=question.stamp, origin=card, bits=64)
        self.member.datagrams[RingPong](answer, there.address, None)
        self.assertIn("64 bits, not 8; write --bits 64 to", str(self.failureResultOf(began, UsageError).value))

    def test_classroom(self) -> None:
        """Who would join a classroom with other bits is told of the option that is for all of it."""
        cards = ContactEncoder(contact(50), Ring(8))
        requests: Any = None
        door = BootstrapNode(self.node, requests, Ring(64), self.door())
        card = cards.write(contact(50))
        pong = RingPong(source=b"5", destination="8", stamp=0, origin=card, bits=8)
        error = self.assertRaises(UsageError, door._read, pong, contact(50).address)
        self.assertIn("it looks like a classroom: write --classic to join it, or --bits 8", str(error))

    def test_taken(self) -> None:
        """A place that another has is refused, once that one has answered; who it is is said."""
        there = replace(contact(50), address=Address("10.0.0.2", 9_100))
        holder = contact(100)
        began = self.join(self.door())
        for _ in range(8):
            self.pong(there, holder, before=holder)
            self.pong(holder, there, before=there)
            self.node.clock.advance(0.01)
        self.assertIn("10.0.1.100", str(self.failureResultOf(began, UsageError).value))
        self.assertFalse(self.member.is_member)

    def test_taken_by_a_dead_one(self) -> None:
        """A place whose holder does not answer is free."""
        there = replace(contact(50), address=Address("10.0.0.2", 9_100))
        holder = contact(100)
        began = self.join(self.door())
        for _ in range(800):
            self.pong(there, holder, before=holder)
            self.node.clock.advance(0.02)
            if began.called:
                break
        self.successResultOf(began)

    def test_before_it_is_a_member(self) -> None:
        """Asked before it has joined, it says that it has not."""
        began = self.join(self.door())
        self.say(contact(60), RingPing)
        [pong] = self.said(contact(60), RingPong)
        self.assertFalse(pong.member)
        began.addErrback(lambda failure: failure.trap(LinkClosed))


class StayingTests(MemberTestCase):
    """What it believes."""

    def setUp(self) -> None:
        """Be on a ring with those at 50 and 150."""
        super().setUp()
        self.begin()
        self.say(contact(50), RingPing)
        self.pong(contact(50), contact(150), before=contact(150))
        self.live(contact(50), contact(150), seconds=3.0)
        self.assertEqual(self.neighbours(), (50, [150, 50]))
        self.node.datagrams.clear()
        self.node.reports.clear()

    def test_pong(self) -> None:
        """Asked, it answers how it stands, to where it was asked, with the stamp of the question."""
        self.say(contact(50), RingPing, stamp=77)
        [pong] = self.said(contact(50), RingPong)
        cards = self.member.cards
        self.assertEqual((pong.stamp, pong.destination), (77, "32"))
        self.assertEqual(pong.predecessor, cards.write(contact(50)))
        self.assertEqual(pong.successors, cards.write_all([contact(150), contact(50)]))

    def test_wrong_destination(self) -> None:
        """What is for another that was here before is not taken."""
        self.say(contact(50), RingPing, to="65")
        self.assertEqual(self.said(contact(50), RingPong), [])

    def test_on_behalf(self) -> None:
        """Questions and farewells on behalf of another are not taken."""
        self.say(contact(66), RingPing, origin=contact(90))
        self.say(contact(66), partial(RingQuit), origin=contact(150))
        self.assertEqual((self.said(contact(66)), self.neighbours()), ([], (50, [150, 50])))

    def test_other_ring(self) -> None:
        """Who asks from a ring of other bits is told which this is; what it says counts for nothing."""
        other = Ring(64)
        there = Contact(5, contact(60).key, contact(60).address)
        card = ContactEncoder(there, other).write(there)
        for kind in (RingJoin, RingPing):
            message = kind(source=other.to_wire(5), destination="", stamp=1, origin=card)
            self.member.datagrams[kind](message, there.address, None)
        [pong] = self.said(there, RingPong)
        self.assertEqual((pong.bits, pong.destination), (8, other.to_wire(5)))
        self.assertEqual(self.neighbours(), (50, [150, 50]))

    def test_forged_update(self) -> None:
        """A word that somebody lives, who does not, costs that one's neighbours nothing but a question."""
        ghost = contact(120)
        self.say(contact(66), partial(RingUpdate, about=self.member.cards.write(ghost)))
        self.assertEqual(len(self.said(ghost, RingPing)), 1)
        self.live(contact(50), contact(150), seconds=5.0)
        self.assertEqual(self.neighbours(), (50, [150, 50]))

    def test_update(self) -> None:
        """A word that somebody lives, who does, is followed up, and then believed."""
        there = contact(120)
        self.say(contact(66), partial(RingUpdate, about=self.member.cards.write(there)))
        self.pong(there, contact(150), before=self.member.own)
        self.assertEqual(self.neighbours()[1][0], 120)

    def test_forged_abrupt(self) -> None:
        """A word that a neighbour is dead makes this node ask it, once; it lives, and stays."""
        card = self.member.cards.write(contact(150))
        for _ in range(10):
            self.say(contact(66), partial(RingAbrupt, about=card))
        self.assertEqual(self.pong(contact(150), contact(50), before=self.member.own), 1)
        self.live(contact(50), contact(150), seconds=3.0)
        self.assertEqual((self.neighbours(), self.events("ring-dead")), ((50, [150, 50]), []))

    def test_abrupt(self) -> None:
        """A word that a neighbour is dead, which is true, is found out sooner by it."""
        self.say(contact(50), partial(RingAbrupt, about=self.member.cards.write(contact(150))))
        self.live(contact(50), seconds=2.2)
        self.assertEqual(self.neighbours()[1], [50])
        self.assertEqual([event["id"] for event in self.events("ring-dead")], ["150"])

    def test_hearsay_is_rationed(self) -> None:
        """However many others one host names, only some are asked."""
        for number in range(1, 250):
            named = Contact(110 + number % 30, key_pair(number).public, Address(f"10.0.5.{number}", 1))
            self.say(contact(66), partial(RingUpdate, about=self.member.cards.write(named)))
        asked = [address for message, address in self.node.datagrams if address.host.startswith("10.0.5.")]
        self.assertLessEqual(len(asked), 60)

    def test_forged_quit(self) -> None:
        """Who takes its leave in the name of another, from elsewhere, takes nobody's leave."""
        victim = contact(150)
        forger = Contact(victim.id, victim.key, Address("10.6.6.6", 9_100), victim.port)
        self.say(forger, RingQuit)
        # And by the address of that one, which is not where it comes from.
        self.say(forger, RingQuit, origin=victim)
        self.live(contact(50), contact(150), seconds=3.0)
        self.assertEqual((self.neighbours(), self.events("ring-left")), ((50, [150, 50]), []))

    def test_forged_neighbour(self) -> None:
        """Who says it is a neighbour, from elsewhere, does not take its place while that one answers."""
        victim = contact(150)
        forger = Contact(victim.id, victim.key, Address("10.6.6.6", 9_100), victim.port)
        self.say(forger, RingPing)
        self.live(contact(50), contact(150), seconds=3.0)
        self.assertEqual(self.member.stabilization.successors[0], victim)

    def test_mute_caller(self) -> None:
        """Who asks over and over counts as a caller only when it has answered itself: a mute one drives out nobody."""
        mute = contact(90)
        for _ in range(3):
            self.say(mute, RingPing)
            self.assertNotIn(mute, self.member.pinging_predecessors)
            self.live(contact(50), contact(150), seconds=0.5)
        self.say(mute, RingPing)
        self.pong(mute, self.member.own)
        self.say(mute, RingPing)
        self.assertIn(mute, self.member.pinging_predecessors)

    def test_quit(self) -> None:
        """Who takes its own leave is let go at once, and told that it may exit."""
        self.say(
            contact(150), partial(RingQuit, successors=ContactEncoder(contact(150), RING).write_all([contact(50)]))
        )
        self.assertEqual(self.neighbours(), (50, [50]))
        self.assertEqual(len(self.said(contact(150), RingExit)), 1)
        self.assertEqual([event["id"] for event in self.events("ring-left")], ["150"])

    def test_names(self) -> None:
        """Asked for a place, it names whom it knows; on a ring that is other, nobody."""
        self.say(contact(50), partial(RingFind, place="6e"))
        [found] = self.said(contact(50), RingFound)
        cards = self.member.cards
        self.assertEqual(found.after[:2], cards.write_all([contact(150), contact(50)]))
        self.say(contact(50), partial(RingFind, place="06e"))
        self.say(contact(50), partial(RingFind, place="ff6e"))
        self.assertEqual(self.said(contact(50), RingFound), [])

    def test_dead_neighbour(self) -> None:
        """A successor that does not answer is taken for dead soon, and the next is there."""
        self.live(contact(50), seconds=2.5)
        self.assertEqual(self.neighbours()[1], [50])

    def test_wrong_answer(self) -> None:
        """A neighbour that answers something else than how it stands is none."""
        self.pass_time(0.7)
        for question in self.said(contact(150), RingPing):
            self.say(contact(150), RingExit, question.source, question.stamp)
        self.assertEqual(self.neighbours()[1], [50])

    def test_all_dead(self) -> None:
        """Who has lost everybody goes on alone."""
        self.pass_time(10.0)
        self.assertEqual(self.neighbours(), (None, []))
        self.assertTrue(self.member.is_member)


class CarryingTests(MemberTestCase):
    """What it carries for others."""

    def setUp(self) -> None:
        """Be on a ring, with something to carry."""
        super().setUp()
        self.taken: list[tuple[str, Contact]] = []
        self.member.serve({Note: self.note}, answers=[Thanks])
        self.changes = 0
        self.member.watch(self.note_change)
        self.begin()

    def note_change(self) -> None:
        """Count changes."""
        self.changes += 1

    def note(self, message: Note, by: Contact, reply: Any) -> None:
        """Keep a note, and thank for it."""
        self.taken.append((message.text, by))
        reply(Thanks)

    def test_serves(self) -> None:
        """A message of theirs is handed to them with who has sent it, and the answer goes back there."""
        self.say(contact(50), partial(Note, text="hi"), stamp=9)
        self.assertEqual(self.taken, [("hi", contact(50))])
        [thanks] = self.said(contact(50), Thanks)
        self.assertEqual((thanks.stamp, thanks.source, thanks.destination), (9, "64", "32"))

    def test_refuses_what_was_sent_on(self) -> None:
        """What comes as if another had begun it is neither taken nor answered, to whomever, and whoever it is from."""
        self.say(contact(66), partial(Note, text="hi"), origin=contact(50))
        card = ContactEncoder(contact(66), RING).write(contact(50))
        said = Note(source=RING.to_wire(50), destination="64", stamp=5, origin=card, text="hi")
        self.member.datagrams[Note](said, contact(66).address, None)
        self.assertEqual(self.taken, [])
        self.assertEqual((self.said(contact(50), Thanks), self.said(contact(66), Thanks)), ([], []))

    def test_refuses_another_source(self) -> None:
        """What is said to be from another place than that of its origin is neither taken nor answered."""
        note = partial(Note, text="hi")
        card = ContactEncoder(contact(50), RING).write(contact(50))
        message = note(source=RING.to_wire(66), destination="64", stamp=5, origin=card)
        self.member.datagrams[Note](message, contact(50).address, None)
        self.assertEqual((self.taken, self.said(contact(50), Thanks)), ([], []))

    def test_asks(self) -> None:
        """What they ask is answered; the rules are told who does not."""
        answer = self.member.requests.ask(contact(50), partial(Note, text="hi"))
        [question] = self.said(contact(50), Note)
        self.say(contact(50), Thanks, stamp=question.stamp)
        self.assertIsInstance(self.successResultOf(answer), Thanks)
        answer = self.member.requests.ask(contact(50), partial(Note, text="hi"))
        self.pass_time(4.0)
        self.failureResultOf(answer, LinkClosed)
        self.assertEqual(self.member.table.failed.living([contact(50)], self.node.clock.seconds()), ())
        self.assertNotIn(contact(50), list(self.member.table.fingers))

    def test_told_of_changes(self) -> None:
        """They are told when neighbours have changed, and only then."""
        before = self.changes
        self.say(contact(50), RingPing)
        self.pong(contact(50), before=self.member.own)
        after = self.changes
        self.assertGreater(after, before)
        self.live(contact(50), seconds=3.0)
        self.assertLessEqual(self.changes, after + 1)


class GoingTests(MemberTestCase):
    """How it goes."""

    def setUp(self) -> None:
        """Be on a ring with those at 50 and 150."""
        super().setUp()
        self.done: Deferred[None] = Deferred()
        self.member.before_leaving(lambda: self.done)
        self.begin()
        self.say(contact(50), RingPing)
        self.pong(contact(50), contact(150), before=contact(150))
        self.live(contact(50), contact(150), seconds=3.0)
        self.node.datagrams.clear()

    def test_says_farewell(self) -> None:
        """It does what is to be done, tells both neighbours of each other, and goes when they have noted it."""
        stopping = self.member.stop()
        self.assertEqual(self.said(contact(150), RingQuit), [])
        self.say(contact(50), RingPing)
        self.assertEqual(len(self.said(contact(50), RingPong)), 1)
        self.done.callback(None)
        for neighbour in (contact(50), contact(150)):
            [farewell] = self.said(neighbour, RingQuit)
            self.assertEqual(farewell.predecessor, self.member.cards.write(contact(50)))
            self.assertEqual(farewell.successors, self.member.cards.write_all([contact(150), contact(50)]))
            self.assertNoResult(stopping)
            self.say(neighbour, RingExit, stamp=farewell.stamp)
        self.successResultOf(stopping)
        self.assertFalse(self.member.is_member)
        self.assertEqual(len(self.events("ring-quit")), 1)

    def test_nobody_listens(self) -> None:
        """If nobody notes it, or what is to be done takes too long, it goes all the same."""
        stopping = self.member.stop()
        self.pass_time(6.0)
        self.successResultOf(stopping)
        self.assertEqual(len(self.flushLoggedErrors(LinkClosed)), 1)

    def test_hears_while_it_goes(self) -> None:
        """What comes in answer to earlier questions makes it ask nothing more."""
        self.pass_time(0.7)
        self.done.callback(None)
        questions = self.said(contact(150), RingPing)
        stopping = self.member.stop()
        self.said(contact(120))
        cards = ContactEncoder(contact(150), RING)
        for question in questions:
            nearer = partial(RingPong, bits=8, predecessor=cards.write(contact(120)))
            self.say(contact(150), nearer, question.source, question.stamp)
        self.assertEqual(self.said(contact(120)), [])
        self.pass_time(2.0)
        self.successResultOf(stopping)

    def test_asked_while_it_goes(self) -> None:
        """Once it has said farewell it is nobody's neighbour, and answers nothing."""
        self.done.callback(None)
        stopping = self.member.stop()
        self.said(contact(50))
        self.say(contact(50), RingPing)
        self.assertEqual(self.said(contact(50), RingPong), [])
        self.pass_time(2.0)
        self.successResultOf(stopping)


class AnewTests(SynchronousTestCase):
    """A node that begins anew, as it does with each try to join."""

    def test_late_answer(self) -> None:
        """What still comes for the try before does not keep it from learning whom it meets now."""
        node, other = FakeNode(), contact(50)
        asking = Requests(node, ContactEncoder(contact(100), RING))
        before = Incarnation.begin(node, asking, SMALL, lambda refused: None, lambda: None)
        before.maintenance.stop()
        now = Incarnation.begin(node, asking, SMALL, lambda refused: None, lambda: None)
        self.assertFalse(before.maintenance.on_answer(other))
        self.assertTrue(now.maintenance.on_answer(other))
        self.assertIn(other, now.table.fingers)
