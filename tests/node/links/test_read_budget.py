"""What all links together may read in one turn of the reactor."""

from __future__ import annotations

from attrs import define, field
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.node.links.read_budget import ReadBudget


@define(eq=False)
class Asking:
    """Something with frames to be read, each of which takes some time."""

    turn: ReadBudget
    clock: Clock
    frames: int
    frame_s: float = 0.0
    host: str = "192.0.2.1"
    is_greeted: bool = True
    served: list[int] = field(factory=list)

    def read_frames(self, now: float, most: int) -> None:
        """Take what may be taken, and wait with the rest."""
        took = 0
        while took < most and self.frames and (granted := self.turn.take(self.clock.rightNow, most - took)):
            granted, given = min(granted, self.frames), granted
            self.turn.put_back(given - granted)
            self.frames -= granted
            took += granted
            self.clock.rightNow += granted * self.frame_s
        self.served.append(took)
        if self.frames:
            self.turn.enqueue(self)


class Failing(Asking):
    """One that fails."""

    def read_frames(self, now: float, most: int) -> None:
        """Fail."""
        raise ZeroDivisionError


class TurnTests(SynchronousTestCase):
    """The budget is kept, and shared."""

    def setUp(self) -> None:
        """A budget of 500 frames and 20 ms."""
        self.clock = Clock()
        self.turn = ReadBudget(self.clock, 500, 0.02)

    def asking(self, count: int, frames: int, frame_s: float = 0.0) -> list[Asking]:
        """Some that wait."""
        asking = [Asking(self.turn, self.clock, frames, frame_s) for _ in range(count)]
        for each in asking:
            self.turn.enqueue(each)
        return asking

    def next_turn(self) -> None:
        """What a real reactor does: what is called later now is called in the turn that follows."""
        calls, self.clock.calls = self.clock.calls, []
        for call in calls:
            call.called = 1
            call.func(*call.args, **call.kw)

    def test_quiet(self) -> None:
        """A few messages set no timer, and many set one for some."""
        for number in range(15):
            self.assertTrue(self.turn.take_one(float(number)))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        set_ = 0
        for number in range(1000):
            self.assertTrue(self.turn.take_one(float(number)))
            set_ += len(self.clock.getDelayedCalls())
            self.next_turn()
        self.assertLess(set_, 1000 / 15)

    def test_long_messages(self) -> None:
        """Nor does a message that comes in several pieces, or is longer than most."""
        for _ in range(15):
            self.turn.put_back(self.turn.take(0.0, 200) - 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_frames(self) -> None:
        """After 500 frames in one turn there is no more, and in the next turn there is again."""
        for _ in range(3):
            self.assertEqual(sum(self.turn.take_one(0.0) for _ in range(600)), 500)
            self.assertEqual(self.turn.take(0.0, 5), 0)
            self.next_turn()

    def test_time(self) -> None:
        """After 20 ms there is no more, however few frames there were."""
        admitted = 0
        while self.turn.take_one(self.clock.seconds()) and admitted < 500:
            admitted += 1
            self.clock.rightNow += 0.001
        # The first sixteen are not timed.
        self.assertLessEqual(admitted, 16 + 20)
        self.next_turn()
        self.assertTrue(self.turn.take_one(self.clock.seconds()))

    def test_clock_between_frames(self) -> None:
        """Nobody is granted so many at once that it passes the time by much."""
        self.assertEqual(self.turn.take(0.0, 200), 32)

    def test_shares(self) -> None:
        """The more wait, the less each gets at a time, and all get the same."""
        for count, share in ((1, 375), (5, 75), (1000, 4)):
            self.turn = ReadBudget(self.clock, 500, 0.02)
            asking = self.asking(count, 500)
            self.next_turn()
            self.assertIn(sum(sum(each.served) for each in asking), range(375, 375 + share))
            self.assertEqual({each.served[0] for each in asking if each.served}, {share})

    def test_in_their_order(self) -> None:
        """Nobody gets a second share before all have had one, whatever theirs take."""
        cheap, dear = self.asking(20, 1000), self.asking(5, 1000, 0.004)
        for _ in range(50):
            self.next_turn()
            rounds = [len(each.served) for each in cheap + dear]
            self.assertLessEqual(max(rounds) - min(rounds), 1)
        self.assertGreater(min(rounds), 4)

    def test_hosts_in_their_order(self) -> None:
        """A host with a thousand links is served no more often than one with a single link."""
        many = self.asking(1000, 1000, 0.0001)
        single = Asking(self.turn, self.clock, 1000, 0.0001, host="192.0.2.2")
        self.turn.enqueue(single)
        for _ in range(10):
            self.next_turn()
        together = sum(sum(each.served) for each in many)
        self.assertGreater(together, 500)
        self.assertAlmostEqual(sum(single.served), together, delta=40)

    def test_costly_frames(self) -> None:
        """Fifty whose frames take long each have a slice of the time: who comes after them waits for 50 ms, not 250."""
        self.turn = ReadBudget(self.clock, 2_000, 0.02)
        for number in range(50):
            self.turn.enqueue(Asking(self.turn, self.clock, 1_000, 0.000_2, host=f"192.0.2.{number}"))
        last = Asking(self.turn, self.clock, 1, host="198.51.100.7")
        self.turn.enqueue(last)
        began = self.clock.rightNow
        while last.frames:
            self.next_turn()
        self.assertLess(self.clock.rightNow - began, 0.06)

    def test_who_asks_little(self) -> None:
        """Who asks now and then comes before twenty hosts that never pause, however long one frame of theirs takes."""
        for number in range(20):
            self.turn.enqueue(Asking(self.turn, self.clock, 100_000, 0.012, host=f"192.0.2.{number}"))
        for _ in range(5):
            for _ in range(40):
                self.next_turn()
            rare = Asking(self.turn, self.clock, 1, host="198.51.100.7")
            self.turn.enqueue(rare)
            began = self.clock.rightNow
            while rare.frames:
                self.next_turn()
            self.assertLess(self.clock.rightNow - began, 0.03)

    def test_time_is_shared(self) -> None:
        """Hosts that wait have equal times, whatever their frames take; none waits for ever."""
        hosts = [Asking(self.turn, self.clock, 100_000, 0.001 * n, host=f"192.0.2.{n}") for n in (1, 2, 5, 10)]
        for each in hosts:
            self.turn.enqueue(each)
        for _ in range(400):
            self.next_turn()
        times = [sum(each.served) * each.frame_s for each in hosts]
        self.assertGreater(min(times), 0.9 * max(times))

    def test_strangers(self) -> None:
        """Who is linked waits for none of a thousand strangers, and they go on all the same."""
        strangers = [
            Asking(self.turn, self.clock, 2, 0.000_4, host=f"192.0.{n // 250}.{n % 250}", is_greeted=False)
            for n in range(1_000)
        ]
        for each in strangers:
            self.turn.enqueue(each)
        for _ in range(10):
            linked = Asking(self.turn, self.clock, 1, 0.000_4, host="198.51.100.7")
            self.turn.enqueue(linked)
            self.next_turn()
            self.assertTrue(linked.served)
        self.assertGreater(sum(len(each.served) for each in strangers), 50)

    def test_those_that_left(self) -> None:
        """A crowd that waited and left takes nobody's turn."""
        left = [Asking(self.turn, self.clock, 1, host=f"192.0.{n // 250}.{n % 250}") for n in range(1_000)]
        for each in left:
            self.turn.enqueue(each)
        for each in left:
            self.turn.dequeue(each)
        waits = Asking(self.turn, self.clock, 1, host="198.51.100.7")
        self.turn.enqueue(waits)
        self.next_turn()
        self.assertEqual(waits.served, [1])

    def test_newcomers(self) -> None:
        """Who was served before waits for newcomers that come without end no longer than for others."""
        regular = Asking(self.turn, self.clock, 100_000, 0.001, host="198.51.100.7")
        self.turn.enqueue(regular)
        for n in range(2_000):
            for m in range(8):
                self.turn.enqueue(Asking(self.turn, self.clock, 1, 0.002, host=f"2001:db8::{n:x}:{m}"))
            self.next_turn()
        self.assertGreater(len(regular.served), 200)

    def test_greets(self) -> None:
        """Nobody waits in two places: who becomes known while it waits leaves the strangers."""
        stranger = Asking(self.turn, self.clock, 2, is_greeted=False)
        self.turn.enqueue(stranger)
        self.turn.dequeue(stranger)
        stranger.is_greeted = True
        self.turn.enqueue(stranger)
        self.next_turn()
        self.next_turn()
        self.assertEqual(stranger.served, [2])

    def test_fails(self) -> None:
        """One that fails when its turn comes costs the others of its host nothing."""
        failing, other = Failing(self.turn, self.clock, 10), Asking(self.turn, self.clock, 10)
        for each in (failing, other):
            self.turn.enqueue(each)
        self.assertRaises(ZeroDivisionError, self.next_turn)
        self.next_turn()
        self.assertEqual(other.frames, 0)

    def test_leaves(self) -> None:
        """Who waits no more is not served, and who says twice that it waits is served once."""
        stays, goes = self.asking(2, 10)
        self.turn.enqueue(stays)
        self.turn.dequeue(goes)
        self.turn.dequeue(goes)
        self.next_turn()
        self.assertEqual((stays.served, goes.served), ([10], []))

    def test_waiting_leave_a_part(self) -> None:
        """Those that wait leave a quarter of the frames, and of the time, to those that come."""
        self.asking(3, 10_000)
        for _ in range(4):
            self.next_turn()
            self.assertEqual(sum(self.turn.take_one(self.clock.seconds()) for _ in range(600)), 125)
        self.turn = ReadBudget(self.clock, 500, 0.02)
        self.asking(3, 10_000, 0.0001)
        for _ in range(4):
            began = self.clock.seconds()
            self.next_turn()
            self.assertLess(self.clock.seconds() - began, 0.02)
            self.assertTrue(self.turn.take_one(self.clock.seconds()))

    def test_stop(self) -> None:
        """Nothing is left of it."""
        [asking] = self.asking(1, 10)
        self.turn.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(1)
        self.assertEqual(asking.served, [])
