"""Promises of deadlines: each is met, none costs a timer of its own, and nothing is left of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.ring.rpc.timers import NEVER, Timers

MOMENT_S = 0.01


@define(eq=False)
class Thing:
    """Something with a deadline."""

    name: str
    due: float = NEVER


class CountingClock(Clock):
    """A clock that knows how many timers were set."""

    timers = 0

    def callLater(self, when: float, what: Callable[..., object], *arguments: Any, **options: Any) -> Any:
        """Set a timer."""
        self.timers += 1
        return super().callLater(when, what, *arguments, **options)


class DeadlinesTests(SynchronousTestCase):
    """Some things, and when their time is over."""

    def setUp(self) -> None:
        """Have nothing yet."""
        self.clock = CountingClock()
        self.things: dict[str, Thing] = {}
        self.over: list[tuple[str, float]] = []
        self.at_end: Callable[[Thing], None] = self.end
        self.deadlines = Timers(self.clock, self.things.values(), lambda thing: self.at_end(thing))

    def end(self, thing: Thing) -> None:
        """The time of something is over."""
        self.over.append((thing.name, self.clock.seconds()))
        self.things.pop(thing.name)

    def name(self, name: str, at: float) -> Thing:
        """Let something have a deadline."""
        thing = self.things.setdefault(name, Thing(name))
        thing.due = at
        self.deadlines.wake_by(at)
        return thing

    @given(st.lists(st.tuples(st.floats(0.0, 0.3), st.floats(0.0, 2.0)), max_size=30))
    def test_met(self, named: list[tuple[float, float]]) -> None:
        """Whenever and in whatever order they are named, each is met, once, not before its time and hardly after it."""
        self.setUp()
        deadlines = {}
        for number, (pause_s, wait_s) in enumerate(named):
            deadlines[str(number)] = self.clock.seconds() + wait_s
            self.name(str(number), deadlines[str(number)])
            self.clock.pump([0.001] * round(pause_s * 1_000))
        self.clock.pump([0.001] * 2_100)
        self.assertEqual(sorted(name for name, _ in self.over), sorted(deadlines))
        for name, at in self.over:
            self.assertTrue(deadlines[name] - 1e-9 <= at <= deadlines[name] + MOMENT_S, (name, deadlines[name], at))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_timers(self) -> None:
        """What needs its deadline no longer has cost no timer: there is one, which is set a few times a second."""
        for number in range(1_000):
            self.name(str(number), self.clock.seconds() + 0.1)
            self.clock.advance(0.0009)
            self.assertLessEqual(len(self.clock.getDelayedCalls()), 1)
            del self.things[str(number)]
        self.assertLessEqual(self.clock.timers, 15)
        self.clock.pump([0.01] * 20)
        self.assertEqual((self.over, self.clock.getDelayedCalls()), ([], []))

    def test_many_at_once(self) -> None:
        """However many come one right after the other, they are not looked through for each of them."""
        for number in range(1_000):
            self.name(str(number), 1.0 + number / 1_000_000)
        self.clock.pump([0.0001] * 10_500)
        self.assertEqual((len(self.over), self.clock.timers), (1_000, 2))

    def test_another_deadline(self) -> None:
        """Of two deadlines of one thing the later named counts, be it earlier or later."""
        self.name("sooner", 2.0)
        self.name("sooner", 1.0)
        self.name("later", 1.0)
        self.name("later", 2.0)
        self.clock.pump([0.5] * 6)
        self.assertEqual(self.over, [("sooner", 1.0), ("later", 2.0)])

    def test_ended_by_another(self) -> None:
        """What is ended when the time of another is over is not called, though its own is over at the same moment."""
        first, second = self.name("first", 1.0), self.name("second", 1.0)

        def end(thing: Thing) -> None:
            self.over.append((thing.name, 1.0))
            first.due = second.due = NEVER

        self.at_end = end
        self.clock.advance(1.0)
        self.assertEqual(self.over, [("first", 1.0)])

    def test_failing(self) -> None:
        """What fails at its deadline costs the others nothing, and is not called again."""
        broken = self.name("broken", 1.0)
        self.name("sound", 1.0)

        def fail(thing: Thing) -> None:
            if thing is broken:
                raise ZeroDivisionError
            self.end(thing)

        self.at_end = fail
        self.assertRaises(ZeroDivisionError, self.clock.advance, 1.0)
        self.clock.pump([0.01] * 20)
        self.assertEqual([name for name, _ in self.over], ["sound"])

    def test_named_meanwhile(self) -> None:
        """What is named when the time of another is over is met too."""
        again = [2.0, 3.0]

        def end(thing: Thing) -> None:
            self.over.append((thing.name, self.clock.seconds()))
            if again:
                self.name(thing.name, again.pop(0))
            else:
                del self.things[thing.name]

        self.at_end = end
        self.name("thing", 1.0)
        self.clock.pump([0.5] * 10)
        self.assertEqual(self.over, [("thing", 1.0), ("thing", 2.0), ("thing", 3.0)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """When they are stopped there is no timer, and nothing is called."""
        self.name("thing", 1.0)
        self.deadlines.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(2.0)
        self.assertEqual(self.over, [])
