"""Requests that wait: nothing is computed for who does not read, and what waits is bounded."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.index.directory.directories import file, peer
from twisted_bazaar.discovery.index.messages import Busy, FindFiles, Update
from twisted_bazaar.discovery.index.scheduling.pending import (
    LOOK_AGAIN_S,
    MOST_BYTES,
    MOST_UNDER_WAY,
    MOST_WAITING,
    MOST_WAITING_BYTES,
    QUESTIONS_A_SECOND,
    QUESTIONS_AT_ONCE,
    PendingRequests,
    limit_of_questions,
)
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.wire.message import Message

QUESTION = FindFiles(id=1)
LONG = Update(id=1, base=0, mark=1, add=tuple(file(f"{'x' * 200} {number}") for number in range(200)))


class PendingTests(SynchronousTestCase):
    """Requests of several peers."""

    def setUp(self) -> None:
        """Nobody has asked anything."""
        self.clock = Clock()
        self.behind: set[Peer] = set()
        self.pending = PendingRequests(self.clock, self.behind.__contains__)
        self.begun: list[str] = []
        self.answers: list[Deferred[Any]] = []

    def ask(self, who: Peer, name: str = "", message: Message = QUESTION, *, at_once: bool = False) -> None:
        """Ask something that is answered at once, or when the test says so."""

        def begin() -> Deferred[Any]:
            self.begun.append(name)
            answer: Deferred[Any] = succeed(None) if at_once else Deferred()
            if not at_once:
                self.answers.append(answer)
            return answer

        self.pending.submit(who, message, begin)

    def fill(self, who: Peer, message: Message = QUESTION) -> int:
        """Ask until it is too much; returns how many were taken."""
        for number in range(10_000):
            try:
                self.ask(who, message=message)
            except Busy:
                return number
        raise AssertionError("there is no end")

    def test_at_once(self) -> None:
        """Who reads is answered at once, and waits for nothing."""
        for number in range(200):
            self.ask(peer(1), f"{number}", at_once=True)
        self.assertEqual((len(self.begun), self.pending.size_bytes, self.clock.getDelayedCalls()), (200, 0, []))

    def test_not_read(self) -> None:
        """Nothing is begun for who does not read; when it has read, all is, in its order."""
        self.behind.add(peer(1))
        for number in range(10):
            self.ask(peer(1), f"{number}", at_once=True)
        self.ask(peer(2), "another's", at_once=True)
        self.clock.pump([LOOK_AGAIN_S] * 5)
        self.assertEqual(self.begun, ["another's"])
        self.behind.clear()
        self.clock.advance(LOOK_AGAIN_S)
        self.assertEqual(self.begun[1:], [f"{number}" for number in range(10)])
        self.assertEqual((self.pending.size_bytes, self.clock.getDelayedCalls()), (0, []))

    def test_stops_reading_meanwhile(self) -> None:
        """Who stops reading between two answers waits with what is left."""
        for number in range(8):
            self.ask(peer(1), f"{number}")
        self.assertEqual(len(self.begun), MOST_UNDER_WAY)
        self.behind.add(peer(1))
        for answer in list(self.answers):
            answer.callback(None)
        self.assertEqual(len(self.begun), MOST_UNDER_WAY)
        self.behind.clear()
        self.clock.advance(LOOK_AGAIN_S)
        self.assertEqual(self.begun, [f"{number}" for number in range(8)])

    def test_few_under_way(self) -> None:
        """So many are under way at once; each that is answered lets the next begin."""
        for number in range(8):
            self.ask(peer(1), f"{number}")
        self.assertEqual(self.begun, [f"{number}" for number in range(MOST_UNDER_WAY)])
        self.answers[2].callback(None)
        self.assertEqual(len(self.begun), MOST_UNDER_WAY + 1)

    def test_bounded_in_number(self) -> None:
        """So many wait, and who asks more is told; others are not concerned."""
        self.assertEqual(self.fill(peer(1)), MOST_UNDER_WAY + MOST_WAITING)
        self.ask(peer(2), "another's")
        self.assertIn("another's", self.begun)

    def test_bounded_in_bytes(self) -> None:
        """Long ones are as bounded as many."""
        self.behind.add(peer(1))
        taken = self.fill(peer(1), LONG)
        self.assertTrue(0 < taken < 20)
        self.assertLessEqual(self.pending.size_bytes, MOST_WAITING_BYTES)

    def test_bounded_for_a_host(self) -> None:
        """However many peers a host has, so much of theirs waits, and others still have room."""
        crowd = [peer(number, "10.0.0.7") for number in range(1, 60)]
        others = [peer(number) for number in range(60, 65)]
        self.behind.update(crowd, others)
        for each in crowd:
            self.fill(each, LONG)
        self.assertLessEqual(self.pending.size_bytes, MOST_BYTES * 5 // 8)
        for each in others:
            self.assertGreater(self.fill(each, LONG), 0)

    def test_gone(self) -> None:
        """What waits of who has gone is not begun, and gives its room back, whatever is answered later."""
        for number in range(8):
            self.ask(peer(1), f"{number}")
        self.pending.forget(peer(1))
        self.pending.forget(peer(2))
        for answer in list(self.answers):
            answer.callback(None)
        self.clock.advance(1)
        self.assertEqual((len(self.begun), self.pending.size_bytes), (MOST_UNDER_WAY, 0))
        # The same comes back, and what was under way before has nothing to say in it.
        self.ask(peer(1), "again", at_once=True)
        self.assertEqual(self.begun[-1], "again")

    def test_stopped(self) -> None:
        """When it stops nothing begins, and no timer is left."""
        self.behind.add(peer(1))
        self.ask(peer(1))
        self.pending.stop()
        self.assertEqual((self.begun, self.clock.getDelayedCalls(), self.pending.size_bytes), ([], [], 0))


class QuestionLimitTests(SynchronousTestCase):
    """How much each peer may ask."""

    def setUp(self) -> None:
        """Nobody has asked yet."""
        self.limits = limit_of_questions()

    def asked(self, key: str, now: float) -> int:
        """How many questions of one are answered, if it asks without end."""
        count = 0
        while self.limits.allow(key, now):
            count += 1
        return count

    def test_spent(self) -> None:
        """Each may ask so much at once, and then so much a second, whatever others ask."""
        self.assertEqual([self.asked(key, 0.0) for key in "aba"], [QUESTIONS_AT_ONCE, QUESTIONS_AT_ONCE, 0])
        self.assertEqual(self.asked("a", 1.0), QUESTIONS_A_SECOND)
        self.assertEqual(self.asked("a", 1_000.0), QUESTIONS_AT_ONCE)

    def test_clock_set_back(self) -> None:
        """A clock that goes back gives nothing, and takes nothing."""
        self.asked("a", 10.0)
        self.assertEqual(self.asked("a", 5.0), 0)
        self.assertEqual(self.asked("a", 6.0), QUESTIONS_A_SECOND)
