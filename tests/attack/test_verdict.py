"""Whether an attack was withstood is decided by its bounds and its control alone."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from tests.attack.verdict import Bounds, Figures, Waits, control_failed, judge

# Nothing is looked at but what a test asks for.
NOTHING = Bounds(wait_s=None, share_answered=None, peak_bytes=None, log_bytes=None, held_bytes=None)
CALM = Waits((0.01, 0.02, 0.03))


class WaitsTests(SynchronousTestCase):
    """What is said of a client's waits."""

    def test_unanswered(self) -> None:
        """A question that was given up counts as a wait of at least so long."""
        waits = Waits((0.1, 0.3), (5.0,))
        self.assertEqual((waits.count, waits.median_s, waits.worst_s), (3, 0.3, 5.0))
        self.assertEqual(waits.share_answered, 2 / 3)

    def test_none(self) -> None:
        """Who asks nothing waits for nothing."""
        self.assertEqual((Waits().median_s, Waits().worst_s, Waits().share_answered), (None, None, None))

    def test_together(self) -> None:
        """Waits of two runs are those of both."""
        self.assertEqual(Waits((1.0,), (2.0,)) + Waits((3.0,)), Waits((1.0, 3.0), (2.0,)))


class WaitTests(SynchronousTestCase):
    """How long an honest client may wait."""

    bounds = evolve(NOTHING, wait_s=0.25)

    def test_bound(self) -> None:
        """A wait up to the bound is kept, a longer one is not, during the attack or after it."""
        self.assertEqual(judge(self.bounds, Figures(before=CALM, during=Waits((0.25,)), after=Waits((0.25,)))), ())
        during, after = judge(self.bounds, Figures(before=CALM, during=Waits((0.26,)), after=Waits((0.3,))))
        self.assertEqual(during, "a wait of 260 ms during, at most 250 ms")
        self.assertEqual(after, "a wait of 300 ms after, at most 250 ms")

    def test_control(self) -> None:
        """Where the control waits long too, three times as long is kept, and no more."""
        slow = Waits((0.2,))
        self.assertEqual(judge(self.bounds, Figures(before=slow, during=Waits((0.6,)))), ())
        self.assertEqual(len(judge(self.bounds, Figures(before=slow, during=Waits((0.61,))))), 1)

    def test_no_answer(self) -> None:
        """A question without an answer is a wait for as long as it was waited for."""
        self.assertEqual(len(judge(self.bounds, Figures(before=CALM, during=Waits((), (5.0,))))), 1)


class AnsweredTests(SynchronousTestCase):
    """How many questions have to be answered."""

    def test_share(self) -> None:
        """Fourteen of fifteen are enough where so many are asked for; thirteen are not."""
        bounds = evolve(NOTHING, share_answered=14 / 15)
        self.assertEqual(judge(bounds, Figures(before=CALM, during=Waits((0.1,) * 14, (1.0,)))), ())
        self.assertEqual(
            judge(bounds, Figures(before=CALM, during=Waits((0.1,) * 13, (1.0,) * 2))),
            ("13 of 15 questions answered during",),
        )

    def test_few(self) -> None:
        """Where any may be lost, one of few may; where none may, none."""
        one_of_five = Figures(before=CALM, during=Waits((0.1,) * 4, (1.0,)))
        self.assertEqual(judge(evolve(NOTHING, share_answered=14 / 15), one_of_five), ())
        self.assertEqual(len(judge(evolve(NOTHING, share_answered=1.0), one_of_five)), 1)

    def test_control(self) -> None:
        """Where the control loses some, as many may be lost."""
        bounds = evolve(NOTHING, share_answered=1.0)
        half = Waits((0.1,), (1.0,))
        self.assertEqual(judge(bounds, Figures(before=half, during=half, after=half)), ())

    def test_failed_control(self) -> None:
        """A control without any answer says nothing of an attack."""
        self.assertTrue(control_failed(Figures(before=Waits((), (5.0,)))))
        self.assertFalse(control_failed(Figures(before=Waits((0.1,), (5.0,)))))
        self.assertFalse(control_failed(Figures()))


class BytesTests(SynchronousTestCase):
    """How much memory and log an attack may cost."""

    seen = Figures(memory_before=100_000_000, memory_peak=150_000_000, memory_after=120_000_000)

    def test_peak(self) -> None:
        """The peak is measured from before the attack, and the control's own growth counts three times."""
        self.assertEqual(judge(evolve(NOTHING, peak_bytes=50_000_000), self.seen), ())
        bounds = evolve(NOTHING, peak_bytes=49_999_999)
        self.assertEqual(judge(bounds, self.seen), ("memory +50.0 MB at the peak, at most +50.0 MB",))
        self.assertEqual(judge(bounds, evolve(self.seen, control_bytes=20_000_000)), ())

    def test_kept(self) -> None:
        """What is left afterwards has a bound of its own."""
        bounds = evolve(NOTHING, kept_bytes=5_000_000)
        self.assertEqual(judge(bounds, self.seen), ("memory +20.0 MB afterwards, at most +5.0 MB",))

    def test_again(self) -> None:
        """A second run is measured from the end of the first, whatever the control has cost."""
        bounds = evolve(NOTHING, again_bytes=5_000_000)
        self.assertEqual(judge(bounds, self.seen), ())
        seen = evolve(self.seen, memory_again=126_000_000, control_bytes=50_000_000)
        self.assertEqual(judge(bounds, seen), ("memory +6.0 MB by a second run, at most +5.0 MB",))

    def test_held(self) -> None:
        """What links hold afterwards is nothing, where the daemon says what it is."""
        held = evolve(NOTHING, held_bytes=0)
        self.assertEqual(judge(held, Figures(held_bytes=0)), ())
        self.assertEqual(judge(held, Figures()), ())
        self.assertEqual(judge(held, Figures(held_bytes=1_200)), ("links that hold 1,200 bytes afterwards, at most 0",))

    def test_log(self) -> None:
        """The log has a bound that no control loosens."""
        bounds = evolve(NOTHING, log_bytes=1000)
        self.assertEqual(judge(bounds, Figures(log_bytes=1000)), ())
        self.assertEqual(judge(bounds, Figures(log_bytes=1001)), ("a log of 1,001 bytes, at most 1,000",))

    def test_turn(self) -> None:
        """A turn of the reactor that is too long is told, where there is a bound."""
        self.assertEqual(judge(NOTHING, Figures(turn_s=1.0)), ())
        bounds = evolve(NOTHING, turn_s=0.05)
        self.assertEqual(judge(bounds, Figures(turn_s=0.06)), ("a turn of 60 ms, at most 50 ms",))

    def test_wrong(self) -> None:
        """Whatever else was seen to be wrong is told as it is."""
        self.assertEqual(judge(Bounds(), Figures(wrong=("a file was written over",))), ("a file was written over",))
