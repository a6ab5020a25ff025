"""Promises of questions: asked again, given up in time, answered by whom they were for, and nothing left of them."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.rpc.test_messages import ENVELOPE, OWN, RING, contact
from twisted_bazaar.discovery.ring.rpc.contact_encoding import ContactEncoder
from twisted_bazaar.discovery.ring.rpc.messages import (
    MOST_SUCCESSORS,
    RingExit,
    RingFind,
    RingJoin,
    RingMessage,
    RingPing,
    RingPong,
    RingQuit,
)
from twisted_bazaar.discovery.ring.rpc.requests import Requests
from twisted_bazaar.discovery.ring.rpc.rtt_table import RttEntry
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.settings import RetryLimits
from twisted_bazaar.errors import LinkClosed, UsageError
from twisted_bazaar.testing import FakeNode
from twisted_bazaar.values.addresses import Address

OTHER = contact(1)
WHERE = OTHER.address


class AskingTestCase(SynchronousTestCase):
    """The questions of one node; the others are played by hand."""

    def setUp(self) -> None:
        """Have a node."""
        self.node = FakeNode()
        self.asking = Requests(self.node, ContactEncoder(OWN, RING))
        self.addCleanup(lambda: self.assertEqual(self.node.clock.getDelayedCalls(), []))
        self.addCleanup(self.asking.stop)

    def ask(self, **options: Any) -> Deferred[RingMessage]:
        """Ask the other how it stands."""
        return self.asking.ask(OTHER, RingPing, **options)

    def said(self) -> list[RingMessage]:
        """What was sent to the other."""
        return [message for message, address in self.node.datagrams if address == WHERE]  # type: ignore[misc]

    def pong(self, question: RingMessage, by: Contact = OTHER, address: Address = WHERE) -> RingMessage:
        """Let an answer come."""
        origin = ContactEncoder(by, RING).write(by)
        answer = RingPong(
            source=RING.to_wire(by.id), destination=question.source, stamp=question.stamp, origin=origin, bits=64
        )
        self.asking.on_answer(answer, address)
        return answer

    def pass_time(self, seconds: float, step_s: float = 0.01) -> None:
        """Let time pass in small steps."""
        for _ in range(round(seconds / step_s)):
            self.node.clock.advance(step_s)

    def learn(self, seconds: float = 0.001, times: int = 20) -> None:
        """Let answers take so long, until that is known."""
        for _ in range(times):
            answer = self.ask()
            self.node.clock.advance(seconds)
            self.pong(self.said()[-1])
            self.successResultOf(answer)
        self.node.datagrams.clear()


class AskingTests(AskingTestCase):
    """Questions and answers."""

    def test_question(self) -> None:
        """A question says from whom, for whom and by whom it is, and each has another stamp."""
        for _ in range(2):
            self.ask().addErrback(lambda failure: failure.trap(LinkClosed))
        first, second = self.said()
        expected = RingPing(**ENVELOPE | {"stamp": first.stamp})
        self.assertEqual((first, second), (expected, expected.evolve(stamp=first.stamp + 1)))

    def test_answer(self) -> None:
        """The answer is what has the same stamp, and comes from where it was asked."""
        answer = self.ask()
        [question] = self.said()
        self.pong(question, address=Address("10.6.6.6", 9_001))
        self.pong(question.evolve(stamp=question.stamp + 1))
        self.assertNoResult(answer)
        expected = self.pong(question)
        self.assertEqual(self.successResultOf(answer), expected)
        # It comes twice.
        self.pong(question)

    def test_somebody_else(self) -> None:
        """Who answers with another key or at another place is not who was asked: that one is not there."""
        for impostor in (contact(2), Contact(5, OTHER.key, WHERE, OTHER.port)):
            answer = self.ask()
            self.pong(self.said()[-1], by=impostor)
            self.failureResultOf(answer, LinkClosed)

    def test_anybody(self) -> None:
        """Where nobody is known, whoever is there answers."""
        answer = self.asking.ask_at(WHERE, RingJoin)
        [question] = self.said()
        self.assertEqual(question.destination, "")
        expected = self.pong(question, by=contact(2))
        self.assertEqual(self.successResultOf(answer), expected)

    def test_asked_again(self) -> None:
        """What is not answered is asked again, the same, and after some times given up."""
        self.learn()
        answer = self.ask()
        self.pass_time(1.2)
        self.failureResultOf(answer, LinkClosed)
        first = self.said()[0]
        self.assertEqual(self.said(), [first] * RetryLimits().tries)

    def test_second_try(self) -> None:
        """One lost datagram is no loss."""
        self.learn()
        answer = self.ask()
        self.pass_time(0.15)
        self.pong(self.said()[-1])
        self.successResultOf(answer)
        self.pass_time(2.0)
        self.assertEqual(len(self.said()), 2)

    def asked_after_slow(self) -> int:
        """How often one is asked in 0.6 s whose first and only answer took 0.4 s."""
        self.learn(0.4, times=1)
        answer = self.ask()
        self.pass_time(0.6)
        times = len(self.said())
        self.pong(self.said()[-1])
        self.successResultOf(answer)
        return times

    def test_first_contact(self) -> None:
        """What the first answer takes that has to wait for cookies is not taken for what answers take."""
        self.patch(FakeNode, "has_validated", lambda node, address: False)
        self.assertEqual(self.asked_after_slow(), 2)

    def test_second_contact(self) -> None:
        """What one takes is that has the cookie."""
        self.assertEqual(self.asked_after_slow(), 1)

    def test_fixed_wait(self) -> None:
        """With a wait that is set, as in a classroom, every try takes as long: seven times seven seconds."""
        self.learn()
        answer = self.ask(retries=RetryLimits(tries=7, wait_s=7.0))
        self.pass_time(48.5, 0.1)
        self.assertNoResult(answer)
        self.pass_time(1.5, 0.1)
        self.failureResultOf(answer, LinkClosed)
        self.assertEqual(len(self.said()), 7)

    def test_late(self) -> None:
        """That an answer takes long is said once, and it may still come."""
        self.learn()
        calls: list[str] = []
        answer = self.ask(late=lambda: calls.append("late"))
        self.pass_time(0.5)
        self.assertEqual(calls, ["late"])
        self.pong(self.said()[-1])
        self.successResultOf(answer)

    def test_ended_by_another(self) -> None:
        """Who is no longer asked since another is late is not late itself, though it was asked at the same moment."""
        self.learn()
        calls: list[str] = []
        first = self.ask(late=lambda: second.cancel())
        second = self.ask(late=lambda: calls.append("late"))
        second.addErrback(lambda failure: failure.trap(CancelledError))
        self.pass_time(0.5)
        self.assertEqual(calls, [])
        first.addErrback(lambda failure: failure.trap(LinkClosed))

    def test_stood_still(self) -> None:
        """A node that stood still itself gives those that it asked another chance."""
        self.learn()
        answer = self.ask(retries=RetryLimits(tries=1))
        self.node.clock.advance(60.0)
        self.assertNoResult(answer)
        self.pass_time(1.0)
        self.failureResultOf(answer, LinkClosed)

    def test_always_behind(self) -> None:
        """A node that stands still over and over asks twice as often at most, and then gives up."""
        self.learn()
        answer = self.ask()
        for _ in range(3 * RetryLimits().tries):
            self.node.clock.advance(5.0)
        self.failureResultOf(answer, LinkClosed)
        self.assertEqual(len(self.said()), 2 * RetryLimits().tries)

    def test_stop(self) -> None:
        """Who is stopped waits for nobody, asks no more, and says no more."""
        answer = self.ask()
        self.asking.stop()
        self.failureResultOf(answer, LinkClosed)
        self.failureResultOf(self.ask(), LinkClosed)
        self.asking.tell(OTHER, RingExit)
        self.assertEqual(len(self.said()), 1)

    def test_cancel(self) -> None:
        """Who does not want to know any more asks no more."""
        answer = self.ask()
        answer.cancel()
        self.failureResultOf(answer)
        self.pass_time(3.0)
        self.assertEqual(len(self.said()), 1)

    def test_witness(self) -> None:
        """Who wants to know is told who answers and who does not; if that goes wrong the asker is told all the same."""
        told = list[tuple[str, Contact]]()
        sites = list[RttEntry]()

        class Watching:
            """Notes what it is told, and fails."""

            def on_answer(self, contact: Contact, site: RttEntry | None = None) -> None:
                told.append(("answered", contact))
                sites.append(site)
                raise RuntimeError

            def on_failure(self, contact: Contact) -> None:
                told.append(("failed", contact))
                raise RuntimeError

        first, second = self.ask(witness=Watching()), self.ask(witness=Watching())
        before, after = self.said()
        self.assertRaises(RuntimeError, self.pong, before)
        self.assertRaises(RuntimeError, self.pong, after, by=contact(2))
        self.successResultOf(first)
        self.failureResultOf(second, LinkClosed)
        self.assertEqual(told, [("answered", OTHER), ("failed", OTHER)])
        self.assertEqual([site.address for site in sites], [WHERE])

    def test_witness_ends_it(self) -> None:
        """One that has the question ended does no harm."""

        class Ending:
            """Wants no answer any more."""

            def on_answer(self, contact: Contact, site: RttEntry | None = None) -> None:
                answer.cancel()

            def on_failure(self, contact: Contact) -> None:
                answer.cancel()

        answer = self.ask(witness=Ending())
        self.pong(self.said()[-1])
        self.failureResultOf(answer, CancelledError)

    def test_too_long(self) -> None:
        """What does not fit is sent with less in it, if something can be left out; else the asker is told."""
        crowd = ContactEncoder(OWN, RING).write_all(contact(number) for number in range(1, MOST_SUCCESSORS))
        self.asking.tell(OTHER, partial(RingQuit, successors=crowd))
        [message] = self.said()
        assert isinstance(message, RingQuit)
        self.assertTrue(8 <= len(message.successors) < len(crowd), len(message.successors))
        self.assertEqual(message.successors, crowd[: len(message.successors)])
        too_long = partial(RingFind, place="f" * 2_000)
        self.failureResultOf(self.asking.ask(OTHER, too_long), UsageError)
        self.assertRaises(UsageError, self.asking.tell, OTHER, too_long)
