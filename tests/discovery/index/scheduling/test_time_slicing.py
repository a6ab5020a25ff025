"""Turns: nobody waits for what others have begun, and everything is done in its order."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.index.directory.test_memory import TurningClock
from twisted_bazaar.discovery.index.messages import Busy
from twisted_bazaar.discovery.index.scheduling.fair_queue import CREDIT_S, MOST_BEGUN, MOST_WAITING, FairQueue
from twisted_bazaar.discovery.index.scheduling.time_slicing import STEPS_A_TURN, TURN_S, TimeSlicer
from twisted_bazaar.errors import LinkClosed

# What a step of slow work takes: a turn has time for all that it may do.
STEP_S: Final = 0.001


class BusyReactor:
    """A reactor on which work takes time, and turns are one after the other all the same.

    @ivar spent_s: what work has taken.
    """

    spent_s = 0.0

    def __init__(self, clock: TurningClock) -> None:
        self.callLater = clock.callLater
        self._clock = clock

    def seconds(self) -> float:
        """The time."""
        return float(self._clock.seconds()) + self.spent_s


class TurnsTests(SynchronousTestCase):
    """Works of several owners."""

    def setUp(self) -> None:
        """Nothing is done yet."""
        self.clock = TurningClock()
        self.reactor = BusyReactor(self.clock)
        self.turns = TimeSlicer(self.reactor)
        self.done: list[str] = []

    def work(self, name: str, steps: int) -> Generator[None, None, str]:
        """Something in steps."""
        for _ in range(steps):
            self.done.append(name)
            yield
        return name

    def do(self, owner: str, steps: int, name: str = "") -> Deferred[str]:
        """Have it be done."""
        return self.turns.submit(owner, self.work(name or owner, steps))

    def test_at_once(self) -> None:
        """What takes one step is done at once."""
        self.assertEqual(self.successResultOf(self.do("a", 0)), "a")

    def test_in_turn(self) -> None:
        """Owners take turns, a step each, and each one's works keep their order."""
        works = [self.do("a", 3, "a1"), self.do("a", 1, "a2"), self.do("b", 3)]
        while not all(work.called for work in works):
            self.clock.turn()
        self.assertEqual(self.done, ["a1", "b", "a1", "b", "a1", "b", "a2"])
        self.assertEqual([self.successResultOf(work) for work in works], ["a1", "a2", "b"])

    def test_by_host(self) -> None:
        """A host with fifty owners has no more of the time than one with a single one."""
        for number in range(50):
            self.turns.submit(f"many {number}", self.work("many", 100), "a host")
        self.turns.submit("one", self.work("one", 100), "another")
        self.done.clear()
        while self.done.count("one") < 80:
            self.clock.turn()
        self.assertLess(abs(self.done.count("many") - self.done.count("one")), 10)

    def test_after_a_pause(self) -> None:
        """Who asks now and then comes before hosts that never pause, however many these are."""
        slow = self.slow_work
        for number in range(50):
            self.turns.submit(f"busy {number}", slow("busy", 1_000))
        for _ in range(200):
            self.clock.turn()
        self.done.clear()
        short = self.turns.submit("seldom", slow("seldom", 10))
        turns = 0
        while not short.called:
            self.clock.turn()
            turns += 1
        self.assertLessEqual(turns, 1 + 10 // STEPS_A_TURN)

    def test_no_credit_without_end(self) -> None:
        """Who begins after a pause is ahead for so long only, however long the pause was."""
        slow = self.slow_work
        for number in range(4):
            self.turns.submit(f"busy {number}", slow("busy", 10_000))
        for _ in range(2_000):
            self.clock.turn()
        self.done.clear()
        self.turns.submit("new", slow("new", 10_000))
        for _ in range(100):
            self.clock.turn()
        credit = CREDIT_S / STEP_S
        self.assertLess(self.done.count("new"), credit + (len(self.done) - credit) / 5 + 5)

    def test_a_crowd_of_new_hosts(self) -> None:
        """Who has asked before waits for fifty new hosts, each a little ahead, for one step of each and no more."""
        for _ in range(20):
            self.successResultOf(self.turns.submit("known", self.question()))
            self.clock.turn()
        for number in range(50):
            self.turns.submit(f"new {number}", self.slow_work("new", 1_000))
        waited = []
        for _ in range(10):
            turns = 0
            question = self.turns.submit("known", self.question())
            while not question.called:
                self.clock.turn()
                turns += 1
            waited.append(turns)
            self.clock.turn()
        self.assertLessEqual(waited[0], 2 + 4 * 50 // 3 // STEPS_A_TURN)
        self.assertLessEqual(max(waited[1:]), 1)

    def question(self) -> Generator[None, None, None]:
        """Something in a single step."""
        self.reactor.spent_s += STEP_S
        return
        yield

    def test_a_crowd_that_asks_anew(self) -> None:
        """Who has a long search done has its share, however many hosts each ask a short question again and again."""
        self.turns.submit("long", self.slow_work("long", 1_000))
        for _ in range(300):
            for number in range(50):
                if not self.turns.is_waiting(f"short {number}"):
                    self.turns.submit(f"short {number}", self.slow_work("short", 1))
            self.clock.turn()
        self.assertGreater(self.done.count("long"), len(self.done) // 220)

    def test_begun_at_once(self) -> None:
        """Of one host no more works have begun at a time than a number: each keeps what it has found."""
        for number in range(100):
            self.turns.submit(number, self.work(f"{number}", 5), "a host")
        most = 0
        for _ in range(200):
            self.clock.turn()
            begun = {name for name in set(self.done) if self.done.count(name) < 5}
            most = max(most, len(begun))
        self.assertEqual(most, MOST_BEGUN)
        self.assertEqual(len(self.done), 500)

    def slow_work(self, name: str, steps: int) -> Generator[None, None, str]:
        """Something in steps that each take some milliseconds."""
        for _ in range(steps):
            self.done.append(name)
            self.reactor.spent_s += STEP_S
            yield
        return name

    def test_steps_in_a_turn(self) -> None:
        """In one turn there are so many steps for what waits, and as many for what comes."""
        for number in range(20):
            self.do(f"{number}", 5)
        self.assertEqual(len(self.done), STEPS_A_TURN)
        self.clock.turn()
        self.assertEqual(len(self.done), 2 * STEPS_A_TURN)
        for number in range(20, 40):
            self.do(f"{number}", 5)
        self.assertEqual(len(self.done), 3 * STEPS_A_TURN)

    def test_long_steps(self) -> None:
        """A turn ends early when its steps take long: what comes over the links is looked at in between."""

        def long_work() -> Generator[None, None, None]:
            for _ in range(20):
                self.reactor.spent_s += 10 * STEP_S
                yield

        for number in range(20):
            self.turns.submit(f"{number}", long_work())
        most_s = 0.0
        for _ in range(50):
            before = self.reactor.spent_s
            self.clock.turn()
            most_s = max(most_s, self.reactor.spent_s - before)
        self.assertLessEqual(most_s, TURN_S + 10 * STEP_S)

    def test_many_in_one_turn(self) -> None:
        """What would be done at once waits for the next turn if too much has come in this one."""
        works = [self.do(f"{number}", 0) for number in range(STEPS_A_TURN + 2)]
        self.assertEqual([work.called for work in works], [True] * STEPS_A_TURN + [False] * 2)
        self.clock.turn()
        self.assertEqual([work.called for work in works], [True] * (STEPS_A_TURN + 2))
        self.clock.turn()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_busy(self) -> None:
        """Who wants too much at once is told; others are not concerned."""
        works = [self.do("a", 3) for _ in range(MOST_WAITING)]
        self.failureResultOf(self.do("a", 1), Busy)
        self.assertEqual(self.successResultOf(self.do("b", 0)), "b")
        while not works[-1].called:
            self.clock.turn()
        self.assertEqual(self.successResultOf(self.do("a", 0)), "a")

    def test_faults(self) -> None:
        """What fails fails alone, in its first step or later."""

        def fail(steps: int) -> Generator[None, None, Any]:
            yield from self.work("x", steps)
            raise ValueError("no")

        works = [self.turns.submit("a", fail(0)), self.turns.submit("b", fail(2)), self.do("b", 2)]
        for _ in range(5):
            self.clock.turn()
        for work in works[:2]:
            self.failureResultOf(work, ValueError)
        self.assertEqual(self.successResultOf(works[2]), "b")

    def test_done_from_within(self) -> None:
        """Who gets an answer may ask the next, or stop everything."""
        again = self.do("a", 1).addCallback(lambda _: self.do("a", 1, "again"))
        for _ in range(3):
            self.clock.turn()
        self.assertEqual(self.successResultOf(again), "again")
        stopped = self.do("a", 1).addCallback(lambda _: self.turns.stop())
        waiting = self.do("a", 1)
        self.clock.turn()
        self.successResultOf(stopped)
        self.failureResultOf(waiting, LinkClosed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped(self) -> None:
        """When it stops, who waits is told, and nothing is left."""
        waiting = [self.do("a", 3), self.do("a", 0)]
        self.turns.stop()
        for each in (*waiting, self.do("b", 0)):
            self.failureResultOf(each, LinkClosed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_gone(self) -> None:
        """What waits of an owner that has gone is not done; others' is, and what the same one wants later."""
        waiting = [self.do("a", 3), self.do("a", 3), self.do("b", 1)]
        done = len(self.done)
        self.turns.forget("a")
        self.turns.forget("never there")
        for _ in range(5):
            self.clock.turn()
        for work in waiting[:2]:
            self.assertNoResult(work)
        self.assertEqual(self.successResultOf(waiting[2]), "b")
        self.assertNotIn("a", self.done[done:])
        self.assertEqual(self.successResultOf(self.do("a", 0)), "a")


class FairQueueTests(SynchronousTestCase):
    """Whose turn it is where a single turn may take long."""

    def test_credit(self) -> None:
        """Who begins after a pause is ahead of fifty hosts that never pause, for as long as a few searches take."""
        queue: FairQueue[str] = FairQueue()
        for number in range(50):
            queue.put(f"busy {number}", "work")

        def serve() -> object:
            owner, _ = queue.next()
            queue.charge(queue.end_turn(owner, is_done=False), CREDIT_S / 10)
            return owner

        for _ in range(1_000):
            serve()
        queue.put("seldom", "work")
        served = [serve() for _ in range(60)]
        self.assertEqual(served[:9], 9 * ["seldom"])
        self.assertLess(served.count("seldom"), 15)
