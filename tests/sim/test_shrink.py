"""From a large run that fails to a small one, with failures that are made up."""

from __future__ import annotations

import random
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.sim.market.run import MarketRun
from twisted_bazaar.sim.market.scenario import MarketScenario, PurchaseEntry
from twisted_bazaar.sim.scenario import FaultEntry
from twisted_bazaar.sim.scenario_file import read_file, read_scenario, write_file
from twisted_bazaar.sim.shrink import Attempt, Shrinking, fewest_that


def large() -> MarketScenario:
    """A scenario with much in it, all of it named."""
    drawn = MarketScenario(
        nodes=60,
        sellers=4,
        buyers=8,
        for_="4m",
        loss=0.02,
        churn=0.1,
        sessions="weibull:0.6",
        bandwidth=1e6,
        faults_a_minute=15.0,
        seed=7,
    )
    return MarketRun(drawn, checks=()).fixed()


LARGE = large()
PAUSE = FaultEntry(kind="pause", at="20s", for_="10s", nodes=["relay-9", "relay-31", "tracker"])
WITH_PAUSE = LARGE.evolve(faults=[*LARGE.faults, PAUSE])


def has_pause_of(scenario: MarketScenario, name: str) -> bool:
    """Whether a node stands still in the twentieth second."""
    return any(fault.kind == "pause" and fault.at == "20s" and name in fault.nodes for fault in scenario.faults)


class FewestTests(SynchronousTestCase):
    """Parts of which some are needed."""

    def test_needed(self) -> None:
        """What is left is what is needed, in its order."""
        for needed in ([], [0], [99], [3, 50, 98], list(range(100))):
            fewest = fewest_that(lambda parts, needed=needed: set(needed) <= set(parts), range(100))
            self.assertEqual(list(fewest), needed)

    def test_effort(self) -> None:
        """For a few parts out of many few tries are enough."""
        tries: list[int] = []

        def fails(parts: object) -> bool:
            tries.append(1)
            return {17, 600} <= set(parts)  # type: ignore[call-overload]

        fewest_that(fails, range(1000))
        self.assertLess(len(tries), 60)


class ShrinkingTests(SynchronousTestCase):
    """Failures that depend on something in a large scenario."""

    def shrink(
        self, fails: Callable[[MarketScenario], bool], scenario: MarketScenario = WITH_PAUSE, most_runs: int = 1000
    ) -> MarketScenario:
        """Shrink, and keep what was tried."""
        self.attempts: list[Attempt[MarketScenario]] = []
        self.shrinking = Shrinking(scenario, fails, self.attempts.append, most_runs)
        return self.shrinking.run()

    def test_always(self) -> None:
        """Where nothing is needed next to nothing is left: one that buys, one that sells."""
        smallest = self.shrink(lambda scenario: True)
        wanted = MarketScenario(nodes=2, sellers=1, buyers=1, wants=0, for_="1s", latency="20ms", seed=7)
        self.assertEqual(smallest, wanted)

    def test_one_fault(self) -> None:
        """Of a hundred things the one that is needed is left, and as many nodes as it takes."""
        smallest = self.shrink(lambda scenario: has_pause_of(scenario, "relay-9"))
        only = FaultEntry(kind="pause", at="20s", for_="10s", nodes=["relay-9"])
        wanted = MarketScenario(
            nodes=11, sellers=1, buyers=1, wants=0, for_="21s", latency="20ms", seed=7, faults=[only]
        )
        self.assertEqual(smallest, wanted)

    def test_faults_move(self) -> None:
        """Where it matters what goes wrong and not with whom, it goes wrong with a node that is left."""
        smallest = self.shrink(lambda scenario: any(fault.kind == "pause" for fault in scenario.faults))
        [fault] = smallest.faults
        self.assertTrue(set(fault.nodes) <= set(smallest.names()))
        self.assertEqual((len(fault.nodes), smallest.nodes - smallest.sellers - smallest.buyers <= 1), (1, True))

    def test_purchases(self) -> None:
        """Of forty purchases the two that are needed are left, and the buyers that make them."""

        def fails(scenario: MarketScenario) -> bool:
            buyers = [purchase.buyer for purchase in scenario.purchases]
            return buyers.count("buyer-3") >= 2

        smallest = self.shrink(fails)
        self.assertEqual([purchase.buyer for purchase in smallest.purchases], ["buyer-3", "buyer-3"])
        self.assertEqual((smallest.buyers, smallest.faults), (3, []))

    def test_settings(self) -> None:
        """What makes a run special is left where it is needed, and only there."""
        smallest = self.shrink(lambda scenario: scenario.churn > 0 and scenario.nodes >= 20)
        self.assertEqual((smallest.churn, smallest.sessions, smallest.nodes), (0.1, "weibull:0.6", 20))
        self.assertEqual((smallest.loss, smallest.bandwidth, smallest.latency), (0.0, 0.0, "20ms"))

    def test_settling_stays(self) -> None:
        """The time that wants may take is never cut: with less of it anything fails."""
        self.shrink(lambda scenario: True)
        self.assertEqual({attempt.scenario.settle for attempt in self.attempts}, {LARGE.settle})

    def test_later_first(self) -> None:
        """What comes after the failure goes before anything else: to leave it out changes nothing before."""
        self.shrink(lambda scenario: has_pause_of(scenario, "relay-9"))
        first = self.attempts[0].scenario
        self.assertEqual((first.faults, first.purchases), ([], []))
        shorter = next(attempt.scenario for attempt in self.attempts if attempt.fails)
        last = max(entry.at_s for entry in (*shorter.faults, *shorter.purchases))
        before = [fault for fault in WITH_PAUSE.faults if fault.at_s <= last]
        self.assertEqual(
            shorter, WITH_PAUSE.evolve(faults=before, purchases=[each for each in LARGE.purchases if each.at_s <= last])
        )

    def test_needs_everything(self) -> None:
        """Where nothing can be left out the scenario stays as it is."""
        self.assertEqual(self.shrink(lambda scenario: False), WITH_PAUSE)

    def test_bounded(self) -> None:
        """There are no more runs than allowed, and what was reached until then counts."""
        for most_runs in (0, 1, 20):
            smallest = self.shrink(lambda scenario: has_pause_of(scenario, "relay-9"), most_runs=most_runs)
            self.assertEqual((self.shrinking.runs, len(self.attempts)), (most_runs, most_runs))
            failing = [WITH_PAUSE, *(attempt.scenario for attempt in self.attempts if attempt.fails)]
            self.assertEqual(smallest, failing[-1])

    def test_tells(self) -> None:
        """Each try is told with its number, and nothing is tried twice."""
        self.shrink(lambda scenario: has_pause_of(scenario, "relay-31") and scenario.buyers > 2)
        self.assertEqual([attempt.number for attempt in self.attempts], list(range(1, len(self.attempts) + 1)))
        self.assertEqual(len({write_file(attempt.scenario) for attempt in self.attempts}), len(self.attempts))

    @given(st.integers(0, 2**32), st.floats(0, 0.9))
    def test_possible(self, seed: int, share: float) -> None:
        """Whatever fails, all that is tried can be, smaller than what it comes from, and outlives a file."""
        rng = random.Random(seed)
        few = LARGE.evolve(faults=LARGE.faults[::10], purchases=LARGE.purchases[::10])
        smallest = self.shrink(lambda scenario: rng.random() < share, few, 60)
        for attempt in self.attempts:
            settings = read_file(write_file(attempt.scenario).encode(), "here")
            self.assertEqual(read_scenario(MarketScenario, settings), attempt.scenario)
            self.assertLessEqual(len(attempt.scenario.faults), len(few.faults))
            self.assertLessEqual(attempt.scenario.nodes, few.nodes)
        self.assertIn(smallest, [few, *(attempt.scenario for attempt in self.attempts if attempt.fails)])

    def test_nobody_sells(self) -> None:
        """A scenario with nobody to leave out can be shrunk too."""
        purchase = PurchaseEntry(buyer="buyer-1", at="2s", item="item-1")
        scenario = MarketScenario(
            nodes=1, sellers=0, buyers=1, wants=0, for_="3s", latency="20ms", purchases=[purchase]
        )
        self.assertEqual(self.shrink(lambda s: bool(s.purchases), scenario), scenario)
