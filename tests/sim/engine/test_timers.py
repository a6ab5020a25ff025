"""Timers of a machine: as Twisted's, but by the clock of that machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_bazaar.sim.engine.hosts import Host, Network

_CALLS: dict[str, Callable[[Any], object]] = {
    "active": lambda call: call.active(),
    "cancel": lambda call: call.cancel(),
    "reset": lambda call: call.reset(5),
    "delay": lambda call: call.delay(5),
    "getTime": lambda call: call.getTime(),
}
_NUMBERS = st.integers(0, 12)
_STEPS = st.one_of(
    st.tuples(st.just("set"), st.just(0), _NUMBERS),
    st.tuples(st.sampled_from(["cancel", "reset", "delay"]), _NUMBERS, _NUMBERS),
    st.tuples(st.just("advance"), st.just(0), _NUMBERS),
)


def machine() -> Host:
    """A machine alone."""
    return Network(1).add_host("alone")


def pass_time(host: Host, seconds: float) -> None:
    """Let time go on."""
    timeline = host.network.timeline
    timeline.run_until(timeline.now + seconds)


def outcome(what: Callable[[], object]) -> object:
    """What comes of a call: what it returns, or the class of what it raises."""
    try:
        return what()
    except Exception as error:
        return type(error)


class TimerTests(SynchronousTestCase):
    """One timer."""

    def test_interface(self) -> None:
        """A timer is what Twisted calls a delayed call."""
        self.assertTrue(verifyObject(IDelayedCall, machine().callLater(1, int)))

    def test_every_state(self) -> None:
        """In every state every call does what it does with Twisted's clock, and leaves the same state."""
        for state in ("pending", "called", "cancelled"):
            for name, call in _CALLS.items():
                results = []
                for clock, go_on in ((machine(), pass_time), (Clock(), _advance)):
                    rung: list[float] = []
                    timer = clock.callLater(2, lambda rung=rung, clock=clock: rung.append(clock.seconds()))
                    if state == "cancelled":
                        timer.cancel()
                    go_on(clock, 3.0 if state == "called" else 1.0)  # type: ignore[arg-type] # each with its own
                    told = outcome(lambda call=call, timer=timer: call(timer))  # type: ignore[misc] # mypy
                    after = (timer.active(), len(clock.getDelayedCalls()), timer.getTime())
                    go_on(clock, 10.0)  # type: ignore[arg-type] # each with its own
                    results.append((told, after, rung))
                with self.subTest(state=state, call=name):
                    self.assertEqual(results[0], results[1])

    def test_arguments(self) -> None:
        """A timer hands on what it was given."""
        host, got = machine(), list[object]()
        host.callLater(1, lambda *args, **kwargs: got.append((args, kwargs)), 1, two=2)
        pass_time(host, 1)
        self.assertEqual(got, [((1,), {"two": 2})])

    def test_past(self) -> None:
        """As with Twisted's reactor, a timer cannot be set for the past."""
        self.assertRaises(AssertionError, machine().callLater, -0.1, int)

    def test_order(self) -> None:
        """Timers due at one instant ring in the order in which they were set."""
        host, rung = machine(), list[int]()
        for number in range(50):
            host.callLater(1.0, rung.append, number)
        pass_time(host, 1.0)
        self.assertEqual(rung, list(range(50)))

    def test_raises(self) -> None:
        """A timer whose call raises has rung; the others ring."""
        host, rung = machine(), list[str]()
        failing = host.callLater(1, lambda: 1 / 0)
        host.callLater(1, rung.append, "next")
        pass_time(host, 1)
        self.assertEqual((len(self.flushLoggedErrors(ZeroDivisionError)), rung, failing.active()), (1, ["next"], False))

    def test_cancel_while_ringing(self) -> None:
        """A timer may cancel another that is due at the same instant."""
        host, rung = machine(), list[str]()
        host.callLater(1, lambda: second.cancel())
        second = host.callLater(1, rung.append, "second")
        pass_time(host, 2)
        self.assertEqual(rung, [])

    @given(st.lists(_STEPS, max_size=40))
    def test_like_clock(self, steps: list[tuple[str, int, int]]) -> None:
        """Whatever is set, put off, brought forward and cancelled rings when it does with Twisted's clock."""
        told = []
        for clock, go_on in ((machine(), pass_time), (Clock(), _advance)):
            rung: list[tuple[float, int]] = []
            timers: list[Any] = []
            for what, which, number in steps:
                if what == "set":
                    ring = lambda which, rung=rung, clock=clock: rung.append((clock.seconds(), which))  # noqa: E731
                    timers.append(clock.callLater(number, ring, len(timers)))
                elif what == "advance":
                    go_on(clock, float(number))  # type: ignore[arg-type] # each with its own
                elif which < len(timers) and timers[which].active():
                    getattr(timers[which], what)(*() if what == "cancel" else (number,))
            go_on(clock, 1000.0)  # type: ignore[arg-type] # each with its own
            told.append(sorted(rung))
        self.assertEqual(told[0], told[1])


def _advance(clock: Clock, seconds: float) -> None:
    """Let time go on in Twisted's clock, which jumps over what is set on the way."""
    clock.advance(0)
    for _ in range(int(seconds)):
        clock.advance(1)


class HeapTests(SynchronousTestCase):
    """What timers cost."""

    def test_cancelled(self) -> None:
        """Timers that are set and cancelled do not pile up."""
        host = machine()
        for _ in range(100_000):
            host.callLater(3600, int).cancel()
        self.assertLess(len(host.network.timeline), 10_000)
        self.assertEqual(host.getDelayedCalls(), [])

    def test_put_off(self) -> None:
        """A timer that is put off again and again stands on the heap once."""
        host, rung = machine(), list[float]()
        timer = host.callLater(10, lambda: rung.append(host.seconds()))
        for _ in range(1000):
            pass_time(host, 1)
            timer.reset(10)
        self.assertEqual((len(host.network.timeline), rung), (1, []))
        pass_time(host, 20)
        self.assertEqual(rung, [1010.0])

    def test_brought_forward(self) -> None:
        """A timer that is brought forward again and again does not pile up, and rings once."""
        host, rung = machine(), list[float]()
        timer = host.callLater(100_000, lambda: rung.append(host.seconds()))
        for number in range(50_000):
            timer.reset(99_999 - number)
        self.assertLess(len(host.network.timeline), 10_000)
        pass_time(host, 200_000)
        self.assertEqual(rung, [50_000.0])


class SkewTests(SynchronousTestCase):
    """Timers go by a clock that may be wrong."""

    def setUp(self) -> None:
        """A machine, and what rings on it."""
        self.host = machine()
        self.rung: list[float] = []

    def set(self, delay: float) -> Any:
        """Set a timer that keeps the true time at which it rings."""
        return self.host.callLater(delay, lambda: self.rung.append(round(self.host.network.timeline.now, 6)))

    def test_new(self) -> None:
        """By a clock that is twice too fast a timer rings in half the time."""
        self.host.skew_clock(2.0)
        self.set(10)
        pass_time(self.host, 20)
        self.assertEqual((self.rung, self.host.seconds()), ([5.0], 40.0))

    def test_pending_gets_faster(self) -> None:
        """A timer that is set already goes by the clock as it goes now."""
        self.set(10)
        pass_time(self.host, 4)
        self.host.skew_clock(2.0)
        pass_time(self.host, 20)
        self.assertEqual(self.rung, [7.0])

    def test_pending_gets_slower(self) -> None:
        """The same when the clock gets slower, and when it is right again."""
        timer = self.set(10)
        pass_time(self.host, 4)
        self.host.skew_clock(0.5)
        pass_time(self.host, 4)
        self.host.skew_clock(1.0)
        self.assertEqual((timer.getTime(), self.host.seconds()), (10.0, 6.0))
        pass_time(self.host, 20)
        self.assertEqual(self.rung, [12.0])

    @given(st.lists(st.tuples(st.floats(0.001, 1000), st.floats(0, 100), st.floats(0, 300)), min_size=1, max_size=8))
    def test_never_early(self, steps: list[tuple[float, float, float]]) -> None:
        """However the clock goes, when a timer rings the clock shows its time or more, so that it is not set again."""
        host, early = machine(), list[float]()
        for rate, wait_s, delay_s in steps:
            host.skew_clock(rate)
            pass_time(host, wait_s)
            due = host.seconds() + delay_s
            host.callLater(delay_s, lambda due=due: early.append(host.seconds() - due))
        pass_time(host, 1_000_000)
        self.assertEqual((len(early), [by for by in early if by < 0]), (len(steps), []))
