"""Promises of asking some of several: no more than are needed, and one more for each that is late."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.rings import contact
from twisted_bazaar.discovery.ring.rpc.hedged_requests import HedgedRequests
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.errors import LinkClosed

ONE, TWO, THREE, FOUR = ALL = [contact(number) for number in range(1, 5)]


class HedgedTests(SynchronousTestCase):
    """Two answers of four are wanted; those who are asked are played by hand."""

    def setUp(self) -> None:
        """Begin."""
        self.waiting: dict[Contact, Deferred[str]] = {}
        self.late: dict[Contact, Callable[[], None]] = {}
        self.came: list[str] = []
        self.hedged = HedgedRequests(ALL, 2, self.ask, self.came.append)
        self.over = Deferred.fromCoroutine(self.hedged.run())

    def ask(
        self,
        to: Contact,
        came: Callable[[str], None],
        failed: Callable[[Exception], None],
        late: Callable[[], None],
    ) -> None:
        """Note who is asked."""
        self.late[to] = late
        self.waiting[to] = Deferred()
        self.waiting[to].addCallbacks(came, lambda failure: failed(failure.value))

    def test_no_more_than_wanted(self) -> None:
        """If all answer in time only so many are asked as answers are wanted."""
        self.waiting[TWO].callback("two")
        self.assertNoResult(self.over)
        self.waiting[ONE].callback("one")
        self.successResultOf(self.over)
        self.assertEqual((self.hedged.asked, self.hedged.answers), ([ONE, TWO], {TWO: "two", ONE: "one"}))
        self.assertEqual(self.came, ["two", "one"])

    def test_late(self) -> None:
        """While one is late the next is asked, once, and whoever answers first counts."""
        self.late[ONE]()
        self.late[ONE]()
        self.assertEqual(self.hedged.asked, [ONE, TWO, THREE])
        self.waiting[THREE].callback("three")
        self.assertNoResult(self.over)
        self.waiting[ONE].callback("one")
        self.successResultOf(self.over)
        self.assertEqual(self.hedged.answers, {THREE: "three", ONE: "one"})

    def test_failed(self) -> None:
        """For one that fails the next is asked; for one that was late before it fails, nobody else."""
        self.waiting[ONE].errback(LinkClosed("gone"))
        self.assertEqual(self.hedged.asked, [ONE, TWO, THREE])
        self.late[TWO]()
        self.waiting[TWO].errback(LinkClosed("gone"))
        self.assertEqual(self.hedged.asked, ALL)

    def test_too_few(self) -> None:
        """If fewer answer than are wanted, it is over with those when nobody is left."""
        for each in (ONE, TWO, THREE):
            self.waiting[each].errback(LinkClosed("gone"))
        self.assertNoResult(self.over)
        self.waiting[FOUR].callback("four")
        self.successResultOf(self.over)
        self.assertEqual(self.hedged.answers, {FOUR: "four"})

    def test_nobody(self) -> None:
        """If there is nobody to ask, it is over."""
        self.successResultOf(Deferred.fromCoroutine(HedgedRequests([], 2, self.ask).run()))

    def test_ended(self) -> None:
        """When it is ended, what comes later does not count, and nobody else is asked."""
        self.hedged.end()
        self.successResultOf(self.over)
        self.late[ONE]()
        self.waiting[ONE].callback("one")
        self.waiting[TWO].errback(LinkClosed("gone"))
        self.assertEqual((self.hedged.asked, self.hedged.answers), ([ONE, TWO], {}))

    def test_stopped(self) -> None:
        """Who wants to know no more is told nothing, and nobody else is asked."""
        self.over.cancel()
        self.failureResultOf(self.over, CancelledError)
        self.late[ONE]()
        self.waiting[ONE].callback("one")
        self.assertEqual((self.hedged.asked, self.came), ([ONE, TWO], []))

    def test_own_fault(self) -> None:
        """A fault of this node is logged, and is no answer."""
        self.waiting[ONE].errback(ValueError("a bug"))
        self.waiting[TWO].callback("two")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.waiting[THREE].callback("three")
        self.successResultOf(self.over)

    def test_impatient(self) -> None:
        """Who is not patient waits for nobody that is late when there is nobody left to ask."""
        patient, self.hedged = self.over, HedgedRequests(ALL[:2], 2, self.ask, is_patient=False)
        self.over = Deferred.fromCoroutine(self.hedged.run())
        self.late[ONE]()
        self.assertNoResult(self.over)
        self.waiting[TWO].callback("two")
        self.successResultOf(self.over)
        self.assertEqual(self.hedged.answers, {TWO: "two"})
        self.assertNoResult(patient)
