"""One timer for many deadlines."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from twisted_bazaar.node.links.deadlines import Deadlines

NEVER = float("inf")

bounded = examples(150)


class StrictClock(Clock):
    """A clock that takes no more than a real reactor does."""

    def callLater(self, when: float, what: Callable[..., object], *args: object, **kwargs: object) -> IDelayedCall:
        """Refuse times that a reactor refuses."""
        assert 0 <= when < NEVER, f"a timer in {when} s"
        return super().callLater(when, what, *args, **kwargs)


@define(eq=False)
class Thing:
    """Something that is due at given times; C{looked} is when it was asked, C{done} when it was due."""

    due: list[float]
    looked: list[float] = field(factory=list)
    done: list[float] = field(factory=list)

    def check(self, now: float) -> float:
        """Do what is due."""
        self.looked.append(now)
        while self.due and self.due[0] <= now:
            self.done.append(self.due.pop(0))
        return self.due[0] if self.due else NEVER


class WatchTests(SynchronousTestCase):
    """Things are looked at when one of them is due."""

    def setUp(self) -> None:
        self.clock = StrictClock()
        self.things: list[Thing] = []
        self.watch = Deadlines(self.clock, self.things)

    def advance_to(self, now: float) -> None:
        """Let time pass."""
        self.clock.advance(now - self.clock.seconds())

    def test_in_time(self) -> None:
        """A thing is looked at when its deadline comes, and not before."""
        thing = Thing([5.0])
        self.things.append(thing)
        self.watch.schedule_check(5.0)
        self.advance_to(4.999)
        self.assertEqual(thing.looked, [])
        self.advance_to(5.0)
        self.assertEqual((thing.looked, thing.done), ([5.0], [5.0]))

    def test_next(self) -> None:
        """After a look the earliest of all next deadlines counts."""
        first, second = Thing([5.0, 9.0, 30.0]), Thing([7.0, 8.0])
        self.things += [first, second]
        self.watch.schedule_check(5.0)
        self.clock.pump([1.0] * 40)
        self.assertEqual((first.looked, first.done), ([5.0, 7.0, 8.0, 9.0, 30.0], [5.0, 9.0, 30.0]))
        self.assertEqual((second.looked, second.done), (first.looked, [7.0, 8.0]))

    def test_asleep(self) -> None:
        """While nothing has a deadline there is no timer; a new deadline sets it again."""
        thing = Thing([])
        self.things.append(thing)
        self.watch.schedule_check(NEVER)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.watch.schedule_check(5.0)
        self.clock.advance(100.0)
        self.assertEqual((thing.looked, self.clock.getDelayedCalls()), ([100.0], []))
        self.watch.schedule_check(150.0)
        self.advance_to(150.0)
        self.assertEqual(thing.looked, [100.0, 150.0])

    def test_earlier_wins(self) -> None:
        """An earlier deadline moves the look forward; a later one does not put it off."""
        thing = Thing([])
        self.things.append(thing)
        for at in (20.0, 10.0, 15.0, 30.0, 10.0):
            self.watch.schedule_check(at)
        self.assertEqual([call.getTime() for call in self.clock.getDelayedCalls()], [10.0])
        self.clock.pump([1.0] * 40)
        self.assertEqual(thing.looked, [10.0])

    def test_overdue(self) -> None:
        """What is due already is looked at as soon as the reactor turns, never from within the call."""
        thing = Thing([3.0])
        self.things.append(thing)
        self.clock.advance(50.0)
        self.watch.schedule_check(3.0)
        self.assertEqual(thing.looked, [])
        self.clock.advance(0)
        self.assertEqual((thing.looked, thing.done), ([50.0], [3.0]))

    def test_stop(self) -> None:
        """A stopped watch leaves no timer, and can be stopped again; a new deadline wakes it."""
        thing = Thing([])
        self.things.append(thing)
        self.watch.schedule_check(5.0)
        self.watch.stop()
        self.watch.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(10.0)
        self.watch.schedule_check(20.0)
        self.clock.advance(10.0)
        self.assertEqual(thing.looked, [20.0])

    def test_ten_thousand(self) -> None:
        """Any number of things, and of deadlines named, costs one timer."""
        self.things += [Thing([float(number % 97)]) for number in range(10_000)]
        for thing in self.things:
            self.watch.schedule_check(thing.due[0])
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.pump([1.0] * 100)
        self.assertEqual([thing for thing in self.things if thing.due or len(thing.done) != 1], [])

    def test_come_and_gone(self) -> None:
        """The things there are when a look begins are looked at, though they come and go meanwhile."""
        things, watch = self.things, self.watch

        class Ending(Thing):
            def check(self, now: float) -> float:
                things.remove(self)
                things.append(Thing([now + 5.0]))
                watch.schedule_check(now + 5.0)
                return super().check(now)

        ending = [Ending([5.0]), Ending([5.0]), Ending([5.0])]
        things += ending
        watch.schedule_check(5.0)
        self.clock.advance(5.0)
        self.assertEqual([thing.looked for thing in ending], [[5.0]] * 3)
        self.assertEqual([thing.looked for thing in things], [[]] * 3)
        self.clock.advance(5.0)
        self.assertEqual([thing.done for thing in things], [[10.0]] * 3)

    def test_named_within_a_look(self) -> None:
        """A deadline named during a look counts beside those that the things return."""
        watch = self.watch

        class Naming(Thing):
            def check(self, now: float) -> float:
                if now < 6.0:
                    watch.schedule_check(7.0)
                return super().check(now)

        thing, other = Naming([5.0, 20.0]), Thing([9.0])
        self.things += [thing, other]
        watch.schedule_check(5.0)
        self.clock.pump([1.0] * 30)
        self.assertEqual(thing.looked, [5.0, 7.0, 9.0, 20.0])

    @bounded
    @given(st.lists(st.lists(st.integers(1, 50).map(float), max_size=5).map(sorted), max_size=5))
    def test_any_deadlines(self, deadlines: list[list[float]]) -> None:
        """Every deadline is met when it comes, there is never more than one timer, and none at the end."""
        clock = StrictClock()
        things = [Thing(list(due)) for due in deadlines]
        watch = Deadlines(clock, things)
        for due in deadlines:
            if due:
                watch.schedule_check(due[0])
        for now in range(1, 51):
            self.assertLessEqual(len(clock.getDelayedCalls()), 1)
            clock.advance(1.0)
            self.assertEqual([t.done for t in things], [[at for at in due if at <= now] for due in deadlines])
        self.assertEqual(clock.getDelayedCalls(), [])
        looks = {at for due in deadlines for at in due}
        self.assertEqual([t.looked for t in things], [sorted(looks)] * len(things))

    def test_one_fails(self) -> None:
        """A fault in one thing does not end the watch over the others."""

        class Faulty(Thing):
            def check(self, now: float) -> float:
                raise ZeroDivisionError

        good = Thing([5.0, 9.0])
        self.things += [Faulty([]), good]
        self.watch.schedule_check(5.0)
        for _ in range(10):
            with contextlib.suppress(ZeroDivisionError):
                self.clock.advance(1.0)
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(good.done, [5.0, 9.0])
