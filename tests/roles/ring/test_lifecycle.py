"""A role's stay on a ring: it is told once when it cannot go on, and leaves whatever becomes of that."""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.rpc.test_messages import contact
from twisted_bazaar.errors import LinkClosed, UsageError
from twisted_bazaar.roles.ring.lifecycle import RingLifecycle
from twisted_bazaar.testing import FakeNode
from twisted_bazaar.values.joining import JoinObserver


@define
class HandMember:
    """A member that a test plays; it is what is kept as well, and its repair."""

    joining: Deferred[None] = field(factory=Deferred)
    displaced: Deferred[Any] = field(factory=Deferred)
    leaving: Deferred[None] = field(factory=Deferred)
    joined_by: list[Any] = field(factory=list)
    observer: JoinObserver = field(factory=JoinObserver)
    started: int = 0
    stopped: int = 0

    @property
    def member(self) -> Any:
        """The member."""
        return HandPlace(self)

    def start(self, node: Any) -> None:
        """Begin to keep, or to repair."""
        self.started += 1

    def stop(self) -> None:
        """End repair."""
        self.stopped += 1


@define
class HandPlace:
    """The place of a member that a test plays."""

    by: HandMember

    @property
    def observer(self) -> JoinObserver:
        """Told how it joins."""
        return self.by.observer

    @property
    def displaced(self) -> Deferred[Any]:
        """Fires when another has its place."""
        return self.by.displaced

    def start(self, node: Any, join: Any) -> Deferred[None]:
        """Join."""
        self.by.joined_by.append(join)
        return self.by.joining

    def stop(self) -> Deferred[None]:
        """Leave."""
        return self.by.leaving


class StayTests(SynchronousTestCase):
    """One stay."""

    def setUp(self) -> None:
        """Begin it."""
        self.node = FakeNode()
        self.hand: Any = HandMember()
        self.joined: list[None] = []
        self.lifecycle = RingLifecycle(self.hand, self.hand, "tcp:127.0.0.1:9300")
        self.lifecycle.start(self.node, lambda: self.joined.append(None))

    def refusals(self) -> list[str]:
        """Why it was refused."""
        return [details["why"] for event, details in self.node.reports if event == "ring-refused"]

    def test_joins(self) -> None:
        """It joins where it is told to; whoever wants to know is told when it has."""
        self.assertIsInstance(self.hand.joined_by[0], TCP4ClientEndpoint)
        self.assertEqual((self.joined, self.hand.started), ([], 2))
        self.hand.joining.callback(None)
        self.assertEqual(self.joined, [None])
        self.assertNoResult(self.lifecycle.finished)

    def test_refused(self) -> None:
        """Who cannot join says why, and is done."""
        self.hand.joining.errback(UsageError("no such ring"))
        self.assertEqual((self.refusals(), self.joined), (["no such ring"], []))
        self.assertEqual(self.successResultOf(self.lifecycle.finished), 1)

    def test_stopped_before(self) -> None:
        """Who is stopped before it has joined is not refused."""
        self.hand.joining.errback(LinkClosed("this node stops"))
        self.assertEqual(self.refusals(), [])
        self.assertNoResult(self.lifecycle.finished)

    def test_displaced(self) -> None:
        """Who loses its place to another says so, and is done; it is so once, whatever comes after."""
        self.hand.displaced.callback(contact(1))
        self.assertEqual(self.successResultOf(self.lifecycle.finished), 1)
        self.hand.joining.errback(UsageError("no such ring"))
        self.assertEqual(len(self.refusals()), 2)

    def test_leaves(self) -> None:
        """Repair ends when it has left, and not before: what is here is handed over by it."""
        leaving = self.lifecycle.stop()
        self.assertEqual(self.hand.stopped, 0)
        self.hand.leaving.callback(None)
        self.successResultOf(leaving)
        self.assertEqual(self.hand.stopped, 1)

    def test_leaving_fails(self) -> None:
        """If leaving fails that is logged, and the rest ends all the same."""
        self.hand.leaving = fail(ZeroDivisionError())
        self.successResultOf(self.lifecycle.stop())
        self.assertEqual((self.hand.stopped, len(self.flushLoggedErrors(ZeroDivisionError))), (1, 1))
