"""Promises of slots, of rounds, and of the limit on the rate: everybody gets a fair share."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.files.upload.pace import Pace
from twisted_bazaar.files.upload.rounds import Round
from twisted_bazaar.files.upload.slots import Slots


class SlotTests(SynchronousTestCase):
    """Who is served and who waits."""

    def test_first_come(self) -> None:
        """Slots go to those who came first; the others wait in line."""
        slots: Slots[str] = Slots(2)
        for asker in "abcd":
            slots.enter(asker, asker)
        self.assertEqual(slots.fill(0), ["a", "b"])
        self.assertEqual((slots.ahead("c"), slots.ahead("d"), slots.busy), (0, 1, 4))
        slots.leave("a")
        self.assertEqual(slots.fill(1), ["c"])
        self.assertTrue(slots.serves("c") and slots.waits("d"))

    def test_no_more_for_more_connections(self) -> None:
        """A host with many connections has no more slots than another with one, as soon as that asks."""
        slots: Slots[str] = Slots(2)
        for number in range(9):
            slots.enter(f"x{number}", "x")
        self.assertEqual(slots.fill(0), ["x0", "x1"])
        slots.enter("y", "y")
        slots.leave("x0")
        self.assertEqual(slots.fill(0), ["y"])

    def test_turns(self) -> None:
        """A turn ends after 8 chunks or 10 s, if anybody waits."""
        slots: Slots[str] = Slots(1)
        slots.enter("a", "a")
        slots.fill(0)
        for _ in range(9):
            slots.sent("a")
        self.assertFalse(slots.is_over("a", 100))
        slots.enter("b", "b")
        self.assertTrue(slots.is_over("a", 1))
        slots.leave("a")
        slots.fill(1)
        slots.enter("a", "a")
        self.assertFalse(slots.is_over("b", 10.9))
        self.assertTrue(slots.is_over("b", 11))


class RoundTests(SynchronousTestCase):
    """Each chunk for one."""

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=40), st.integers(0, 20))
    def test_once(self, steps: list[tuple[int, int]], count: int) -> None:
        """No chunk is given twice unless it was given back and nobody was sent it; each is given, or was sent."""
        chunks = Round(count)
        given_out: set[int] = set()
        sent: set[int] = set()
        for kind, number in steps:
            if kind == 0 and given_out:
                back = min(given_out)
                given_out.discard(back)
                chunks.give_back([back])
                given_out |= {back} & sent
            elif kind == 1 and number < count:
                chunks.note(number)
                given_out.add(number)
                sent.add(number)
            else:
                taken = chunks.take(number)
                self.assertFalse(given_out & set(taken))
                given_out |= set(taken)
        given_out |= set(chunks.take(count))
        self.assertEqual(given_out, set(range(count)))


class PaceTests(SynchronousTestCase):
    """So many bytes a second, and the same for all."""

    def send(self, rate: int, senders: int, seconds: int) -> tuple[Counter[int], Clock]:
        """Let some send as much as they may; returns what each has sent."""
        clock = Clock()
        pace = Pace(clock, rate)
        sent: Counter[int] = Counter()
        size = pace.piece_bytes(1 << 19)

        def go(number: int) -> None:
            sent[number] += size
            ask(number)

        def ask(number: int) -> None:
            while pace.take(size, ready[number]):
                sent[number] += size

        ready = [lambda number=number: go(number) for number in range(senders)]
        for number in range(senders):
            ask(number)
        for _ in range(seconds * 20):
            clock.advance(0.05)
        for each in ready:
            pace.forget(each)
        return sent, clock

    def test_rate(self) -> None:
        """Over time it is what was asked for, and each has the same share."""
        for rate in (5_000, 300_000, 20 << 20):
            sent, clock = self.send(rate, 5, 20)
            self.assertLess(abs(sent.total() / (20 * rate) - 1), 0.03)
            self.assertLess(max(sent.values()), 1.1 * min(sent.values()) + (1 << 19))
            self.assertEqual(clock.getDelayedCalls(), [])

    def test_idle_time_is_no_credit(self) -> None:
        """Who was silent for long may not send it all at once."""
        clock = Clock()
        pace = Pace(clock, 1000)
        clock.advance(1000)
        taken = 0
        while pace.take(100, lambda: None):
            taken += 100
        self.assertLessEqual(taken, 300)

    def test_no_limit(self) -> None:
        """Without a rate nobody waits."""
        pace = Pace(Clock(), None)
        self.assertTrue(all(pace.take(1 << 19, lambda: None) for _ in range(1000)))
        self.assertEqual(pace.piece_bytes(77), 77)
