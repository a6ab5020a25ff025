"""How measures are taken: rounds that take turns, and the median of their ratios."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.harness import LEAST_ROUNDS, Load, Measure, constant, figure, once, row_of, take
from benchmarks.peers import Peer
from benchmarks.report import Row

THERE = Peer("a peer")
MISSING = Peer("another", debian=("no-such-package",), programs=("no-such-program",))


def measure(**changes: Any) -> Measure:
    """A measure of something."""
    usual: dict[str, Any] = {"name": "pears", "unit": "pears a second", "goal": 2, "peer": THERE}
    return Measure(**{**usual, "ours": constant(6.0), "theirs": constant(2.0), **changes})


class Script:
    """Loads whose figures are given, and the order in which they are run."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def load(self, name: str, *figures: float | Mapping[str, float]) -> Load:
        """A load that gives one figure after the other."""
        left = iter(figures)

        def run() -> float | Mapping[str, float]:
            self.ran.append(name)
            return next(left)

        return Load(run)

    def figure(self, name: str, *figures: float) -> Any:
        """The same for a load of one figure."""
        load: Callable[[], Any] = self.load(name, *figures).run
        return figure(load)


class StatisticsTests(SynchronousTestCase):
    """What comes of the figures of all rounds."""

    def test_rates(self) -> None:
        """The ratio is the median of those of the rounds, and not that of the medians."""
        row = row_of(measure(), [10.0, 20.0, 90.0, 40.0, 50.0], [1.0, 10.0, 10.0, 8.0, 5.0])
        # The ratios are 10, 2, 9, 5, 10.
        self.assertEqual((row.ours, row.peer, row.ratio, row.quartiles), (40.0, 8.0, 9.0, (5.0, 10.0)))

    def test_costs(self) -> None:
        """Where less is better the ratio is the other way round, and more is better for us all the same."""
        row = row_of(measure(is_cost=True), [1.0, 2.0, 4.0, 5.0, 8.0], [8.0, 8.0, 8.0, 8.0, 8.0])
        self.assertEqual((row.ours, row.peer, row.ratio, row.quartiles), (4.0, 8.0, 2.0, (1.6, 4.0)))

    def test_digits(self) -> None:
        """Six digits of each number are kept, however small it is."""
        row = row_of(measure(), [2 / 3e6] * 5, [1 / 3e6] * 5)
        self.assertEqual((row.ours, row.peer, row.ratio), (6.66667e-07, 3.33333e-07, 2.0))

    def test_one_of_many(self) -> None:
        """One that failed of ten thousand is seen in the ratio."""
        row = row_of(measure(), [10_199], [10_200])
        self.assertEqual((row.ratio, row.quartiles), (0.999902, None))

    def test_unequal(self) -> None:
        """Figures of different rounds are not held against each other."""
        self.assertRaises(ValueError, row_of, measure(), [1.0, 2.0], [1.0])


class RoundsTests(SynchronousTestCase):
    """Who is run when."""

    def setUp(self) -> None:
        """No load has run yet."""
        self.script = Script()

    def test_turns(self) -> None:
        """Each round runs both, in the other order than the one before."""
        pears = measure(
            ours=self.script.figure("ours", *range(1, 6)), theirs=self.script.figure("theirs", *range(1, 6))
        )
        [row] = take([pears])
        self.assertEqual("".join(name[0] for name in self.script.ran), "ottoottoot")
        self.assertEqual((row.ratio, row.quartiles, row.rounds), (1.0, (1.0, 1.0), 5))

    def test_shared_loads(self) -> None:
        """A load that several measures share is run once a round, and each has its own figure of it."""
        load = self.script.load("both", *({"a": n, "b": 2 * n} for n in range(1, 6)))
        rows = take([measure(name="a", ours=load["a"]), measure(name="b", ours=load["b"])])
        self.assertEqual((len(self.script.ran), [row.ours for row in rows]), (5, [3.0, 6.0]))

    def test_prepare(self) -> None:
        """What is to be there is made before each round."""
        pears = measure(ours=self.script.figure("ours", *range(1, 6)))
        take([pears], prepare=lambda number: self.script.ran.append(str(number)))
        self.assertEqual(self.script.ran, ["0", "ours", "1", "ours", "2", "ours", "3", "ours", "4", "ours"])

    def test_too_few(self) -> None:
        """Fewer rounds than five are refused."""
        self.assertRaises(ValueError, take, [measure()], LEAST_ROUNDS - 1)

    def test_once(self) -> None:
        """What is the same each time is taken once, and has no quartiles."""
        [row] = once([measure(ours=self.script.figure("ours", 6.0))])
        self.assertEqual((self.script.ran, row.ratio, row.quartiles, row.rounds), (["ours"], 3.0, None, 1))


class MissingPeerTests(SynchronousTestCase):
    """A peer that is not installed."""

    def test_null_row(self) -> None:
        """Ours is measured, the peer is not run, and the row says how to install it."""
        script = Script()
        [row] = take([measure(peer=MISSING, theirs=script.figure("theirs"))])
        self.assertEqual((row.ours, row.peer, row.ratio, row.quartiles, script.ran), (6.0, None, None, None, []))
        self.assertEqual(row.install, "apt-get install --yes --no-install-recommends no-such-package")

    def test_nothing_without_it(self) -> None:
        """Where ours needs what the peer brings neither is run."""
        script = Script()
        [row] = take([measure(peer=MISSING, ours=script.figure("ours"), needs_peer=True)])
        self.assertEqual((row.ours, row.peer, row.ratio, script.ran), (None, None, None, []))

    def test_beside_others(self) -> None:
        """Other measures of the same load keep their ratios."""
        ours = constant(6.0)
        rows = take([measure(ours=ours, peer=MISSING), measure(name="apples", ours=ours)])
        self.assertEqual([row.ratio for row in rows], [None, 3.0])


class NameTests(SynchronousTestCase):
    """What a measure is called."""

    def test_no_remarks(self) -> None:
        """Plain words with hyphens between; no remarks in brackets, no capitals."""
        for name in ("sim-events (checks off)", "", "Sim", "sim_events", "-sim", "sim-", "sim events"):
            self.assertRaises(ValueError, evolve, measure(), name=name)
        self.assertIsInstance(row_of(measure(name="ring-lookup-2"), [1.0], [1.0]), Row)
