"""A noisy flow drowns nobody: shares of a rate are max-min fair, and hold from end to end."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import count
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.weighing import weighing
from twisted_bazaar.node.routing.fair_share import FairShare, FlowLabels, TokenBucket, flow_of
from twisted_bazaar.wire.message import LONGEST_PATH, Flooded

RATE = 48.0
FOR_OTHERS = 32
WAIT_S = 2.0
STEP_S = 1 / 64

bounded = settings(max_examples=100)

rates = st.integers(3, 120)
asks = st.lists(
    st.tuples(
        st.sampled_from(["own", "A", "B", "C", "D"]), st.integers(1, 60), st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0])
    ),
    max_size=40,
)

Flow = Sequence[Hashable]


def flow(*keys: Hashable) -> Flow:
    """A flow; its last key stands for its origin."""
    return (*keys, None)


class Crowd:
    """Flows that each ask for so many a second, spread evenly, at one node.

    @param a_second: by flow, how many it asks for.
    @ivar passed: by flow, when each of those that passed had come, and when it passed.
    """

    def __init__(self, share: FairShare[Any], a_second: Mapping[Flow, float]) -> None:
        self.share = share
        self.passed: dict[Flow, list[tuple[float, float]]] = {flow: [] for flow in a_second}
        self.asked: Counter[Flow] = Counter()
        self._a_second = a_second
        self._step = 0

    def run(self, seconds: float) -> None:
        """Let them ask for so long."""
        until = self._step + seconds / STEP_S
        while self._step < until:
            self._step += 1
            now = self._step * STEP_S
            self.serve(now)
            for flow, a_second in self._a_second.items():
                while self.asked[flow] < int(now * a_second):
                    self.asked[flow] += 1
                    self.ask(flow, now)

    def drain(self) -> None:
        """Let nobody ask any more, and those that wait have their turns."""
        now = self._step * STEP_S
        while len(self.share):
            now = max(now, self.share.next_at())
            self.serve(now)

    def ask(self, flow: Flow, now: float) -> None:
        """Let a flow ask for one."""
        if self.share.admit(now):
            self.passed[flow].append((now, now))
        else:
            self.share.enqueue(flow, (flow, now), now)

    def serve(self, now: float) -> None:
        """Pass on what there is room for now."""
        while (served := self.share.next(now, lambda item: False)) is not None:
            flow, at = served
            self.passed[flow].append((at, now))

    def counts(self) -> list[int]:
        """How many of each flow have passed."""
        return [len(passed) for passed in self.passed.values()]

    def longest_wait(self, flow: Flow) -> float:
        """How long one of a flow has waited at most."""
        return max(passed - came for came, passed in self.passed[flow])


def share(a_second: float = RATE, most_waiting: int = 128) -> FairShare[Any]:
    """A share of a rate."""
    return FairShare(a_second, most_waiting, WAIT_S)


def crowd(a_second: Mapping[Flow, float], seconds: float) -> Crowd:
    """A crowd that has asked for so long."""
    crowd = Crowd(share(), a_second)
    crowd.run(seconds)
    crowd.drain()
    return crowd


def admitted(share: FairShare[Any], who: str, number: int, now: float) -> int:
    """How many of so many are let through at once; the rest wait."""
    passed = 0
    for _ in range(number):
        if who == "own":
            passed += share.admit_own(now)
        elif share.admit(now):
            passed += 1
        else:
            share.enqueue(flow(who), who, now)
    return passed


def served(share: FairShare[Any], now: float) -> int:
    """How many of those that wait are let through."""
    return sum(1 for _ in iter(lambda: share.next(now, lambda item: False), None))


class TokenBucketTests(SynchronousTestCase):
    """So many a second on average."""

    def test_rate(self) -> None:
        """After quiet there is a second's worth at once, then as many as have come meanwhile."""
        bucket = TokenBucket(8.0)
        taken = [sum(bucket.take(now) for _ in range(100)) for now in (0.0, 0.25, 0.26, 0.5, 1.5, 60.0)]
        self.assertEqual(taken, [8, 2, 0, 2, 8, 8])

    def test_ready_at(self) -> None:
        """It says when the next comes, and then there is one."""
        bucket = TokenBucket(10.0)
        for _ in range(100):
            at = bucket.ready_at()
            self.assertTrue(bucket.take(max(at, 0.0)))
        self.assertAlmostEqual(bucket.ready_at(), 9.1)

    def test_less_than_one_a_second(self) -> None:
        """There is a whole token even where less than one comes in a second."""
        bucket = TokenBucket(0.5)
        self.assertEqual([bucket.take(now) for now in (0.0, 1.0, 2.0, 3.0, 4.0)], [True, False, True, False, True])

    def test_clock_back(self) -> None:
        """A clock that is set back brings no tokens."""
        bucket = TokenBucket(1.0)
        self.assertEqual([bucket.take(now) for now in (5.0, 1.0, 5.0)], [True, False, False])


class RateTests(SynchronousTestCase):
    """How many pass in all, and how many are the node's own."""

    def test_alone(self) -> None:
        """One neighbour alone may use all but the third that is kept for the node itself."""
        crowd_ = Crowd(share(), {flow("A"): 1_000.0})
        crowd_.run(10.0)
        self.assertIn(sum(crowd_.counts()), range(FOR_OTHERS * 11 - 1, FOR_OTHERS * 11 + 1))

    def test_at_once(self) -> None:
        """What there is room for does not wait."""
        share_ = share()
        self.assertEqual((admitted(share_, "A", FOR_OTHERS, 0.0), len(share_)), (FOR_OTHERS, 0))

    def test_spaced(self) -> None:
        """Those that wait are passed on one by one, as room comes, and not many at once."""
        share_ = share()
        admitted(share_, "A", FOR_OTHERS + 60, 0.0)
        passed = []
        while len(share_):
            at = share_.next_at()
            passed.append(at)
            self.assertEqual(served(share_, at), 1)
        self.assertEqual([round(at * FOR_OTHERS) for at in passed], list(range(1, 61)))

    @bounded
    @given(rates, asks)
    @example(3, [("A", 60, 0.0)])
    def test_rate(self, rate: int, asks: list[tuple[str, int, float]]) -> None:
        """Over any time no more is let through than the rate, and a second's worth, whoever asks for it."""
        share_ = share(float(rate))
        now, passed = 0.0, 0
        for who, number, wait in asks:
            now += wait
            passed += served(share_, now) + admitted(share_, who, number, now)
            self.assertLessEqual(passed, rate * (now + 1.001) + 1)

    @bounded
    @given(rates, asks)
    def test_kept_for_own(self, rate: int, asks: list[tuple[str, int, float]]) -> None:
        """However the neighbours flood, a third of the rate is there for the node itself in every second."""
        share_ = share(float(rate))
        for second in range(5):
            served(share_, float(second))
            for who, number, _ in asks:
                if who != "own":
                    admitted(share_, who, number, float(second))
            self.assertGreaterEqual(admitted(share_, "own", rate, second + 0.5), rate // 3)

    def test_own_alone(self) -> None:
        """While no neighbour asks, the node itself may use all."""
        self.assertEqual(admitted(share(), "own", 1_000, 0.0), int(RATE))

    def test_kept_for_others(self) -> None:
        """However much the node itself asks for, two thirds are there for those that wait."""
        share_ = share()
        admitted(share_, "own", 1_000, 0.0)
        admitted(share_, "A", 100, 0.0)
        own = other = 0
        for step in range(1, 65):
            own += admitted(share_, "own", 100, step * STEP_S)
            other += served(share_, step * STEP_S)
        self.assertEqual((own, other), (int(RATE) - FOR_OTHERS, FOR_OTHERS))


class FairShareTests(SynchronousTestCase):
    """Who gets how much."""

    def test_max_min(self) -> None:
        """Who asks for less than an equal part gets all of it; what is left over goes in equal parts to the others."""
        asked = {flow("A"): 2.0, flow("B"): 6.0, flow("C"): 200.0, flow("D"): 1_000.0}
        crowd_ = Crowd(share(), asked)
        crowd_.run(20.0)
        before = crowd_.counts()
        crowd_.run(20.0)
        rates = [(after - first) / 20 for first, after in zip(before, crowd_.counts(), strict=True)]
        self.assertEqual([round(rate) for rate in rates], [2, 6, 12, 12])

    @bounded
    @given(st.integers(1, 8), st.integers(50, 400), st.floats(0.2, 1.0))
    def test_asks_modestly(self, noisy: int, a_second: int, part: float) -> None:
        """Beside any number that flood, who asks for no more than an equal part gets all of it."""
        quiet = flow("quiet")
        asked = {quiet: part * FOR_OTHERS / (noisy + 1), **{flow(n): float(a_second) for n in range(noisy)}}
        self.assertGreaterEqual(len(crowd(asked, 10.0).passed[quiet]), int(10.0 * asked[quiet]))

    def test_waits_for_no_one(self) -> None:
        """Who asks now and then beside seven that flood waits for two others at most."""
        quiet = flow("quiet")
        crowd_ = crowd({quiet: 0.5, **{flow(n): 200.0 for n in range(7)}}, 60.0)
        self.assertEqual((len(crowd_.passed[quiet]), crowd_.asked[quiet]), (30, 30))
        self.assertLess(crowd_.longest_wait(quiet), 3 / FOR_OTHERS)

    def test_begins_again_and_again(self) -> None:
        """Who has just been served does not come first again: asking one at a time gains nothing over a queue."""
        share_ = share()
        admitted(share_, "other", FOR_OTHERS + 60, 0.0)
        for _ in range(60):
            share_.enqueue(flow("queue"), "queue", 0.0)
        share_.enqueue(flow("one"), "one", 0.0)
        passed: Counter[str] = Counter()
        for slot in range(1, 61):
            who = share_.next(slot / FOR_OTHERS, lambda item: False)
            passed[who] += 1
            if who == "one":
                share_.enqueue(flow("one"), "one", slot / FOR_OTHERS)
        self.assertTrue(all(number in range(19, 22) for number in passed.values()), passed)

    def test_new_flows_without_end(self) -> None:
        """Flows that begin without end leave those that have begun their half."""
        share_ = share()
        old, fresh = flow("old"), count()
        passed: Counter[str] = Counter()
        for step in range(10 * FOR_OTHERS):
            now = step / FOR_OTHERS
            for who, key in (("old", old), ("fresh", flow(next(fresh))), ("fresh", flow(next(fresh)))):
                if share_.admit(now):
                    passed[who] += 1
                else:
                    share_.enqueue(key, who, now)
            while (who := share_.next(now, lambda item: False)) is not None:
                passed[who] += 1
        self.assertGreaterEqual(passed["old"], 0.45 * sum(passed.values()))

    def test_leftovers(self) -> None:
        """What the others do not use, one neighbour may."""
        crowd_ = Crowd(share(), {flow("quiet"): 5.0, flow("busy"): 200.0})
        crowd_.run(10.0)
        self.assertIn(crowd_.counts()[0], range(49, 51))
        self.assertIn(sum(crowd_.counts()), range(FOR_OTHERS * 11 - 1, FOR_OTHERS * 11 + 1))

    def test_too_old(self) -> None:
        """Who has waited for too long is dropped, and costs nothing."""
        share_ = share()
        admitted(share_, "A", FOR_OTHERS + 5, 0.0)
        share_.enqueue(flow("B"), "B", 1.0)
        self.assertEqual((share_.next(WAIT_S + 0.1, lambda item: False), served(share_, WAIT_S + 0.1)), ("B", 0))
        self.assertEqual(admitted(share_, "A", 100, WAIT_S + 0.1), FOR_OTHERS - 1)

    def test_over(self) -> None:
        """What is of no use any more when its turn comes costs nothing."""
        share_ = share()
        admitted(share_, "A", FOR_OTHERS, 0.0)
        for number in range(5):
            share_.enqueue(flow("A"), number, 0.0)
        self.assertEqual(share_.next(1 / FOR_OTHERS, lambda number: number < 4), 4)

    def test_clear(self) -> None:
        """After a clear nobody waits."""
        share_ = share()
        admitted(share_, "A", 100, 0.0)
        share_.clear()
        self.assertEqual((len(share_), served(share_, 10.0)), (0, 0))


class EndToEndTests(SynchronousTestCase):
    """Shares hold for those behind a neighbour too."""

    def test_behind_one_neighbour(self) -> None:
        """Of those that one neighbour passes searches on for, each has a share of that neighbour's."""
        quiet = flow("host R", "R", "host H", "H")
        crowd_ = crowd({quiet: 1.0, flow("host R", "R", "host A", "A"): 31.0, flow("host Q", "Q"): 1_000.0}, 30.0)
        self.assertEqual(crowd_.counts()[0], 30)

    def test_neighbours_first(self) -> None:
        """However many are behind one neighbour, another has its half."""
        alone = flow("host Q", "Q")
        asked = {alone: 15.0, **{flow("host R", "R", "host A", n): 40.0 for n in range(30)}}
        self.assertGreaterEqual(len(crowd(asked, 10.0).passed[alone]), 148)

    def test_two_relays_away(self) -> None:
        """Who asks once in two seconds behind two relays gets through beside two that flood at each of three nodes."""
        quiet = flow("R1", 1, "R2", 2, "H", 3)
        noisy = [flow("R1", 1, "R2", 2, n, n) for n in (10, 11)]
        noisy += [flow("R1", 1, n, n) for n in (20, 21)] + [flow(n, n) for n in (30, 31)]
        crowd_ = crowd({quiet: 0.5, **dict.fromkeys(noisy, 300.0)}, 60.0)
        self.assertEqual(len(crowd_.passed[quiet]), 30)
        self.assertLess(crowd_.longest_wait(quiet), 1.0)

    def test_fair_by_host(self) -> None:
        """Seven links of one host share what another host's one link has alone."""
        quiet = flow("R", 1, "host H", "H")
        asked = {quiet: 15.0, **{flow("R", 1, "host A", n): 100.0 for n in range(7)}}
        self.assertGreaterEqual(len(crowd(asked, 10.0).passed[quiet]), 148)

    def test_forged_paths(self) -> None:
        """Who makes up nodes behind itself divides its own share only."""
        quiet, forged = flow("R", 1, "H", 2), count(100)
        share_ = share()
        passed = Counter[str]()
        for step in range(20 * 64):
            now = step / 64
            entries = [("forged", flow("R", 1, "A", 3, next(forged), next(forged))) for _ in range(4)]
            if step % 64 == 32:
                entries.append(("quiet", quiet))
            for who, key in entries:
                if share_.admit(now):
                    passed[who] += 1
                else:
                    share_.enqueue(key, who, now)
            while (who := share_.next(now, lambda item: False)) is not None:
                passed[who] += 1
        self.assertEqual(passed["quiet"], 20)

    def test_of_its_own(self) -> None:
        """What a neighbour asks for itself has a share beside what it passes on."""
        own = flow("R", 1)
        crowd_ = crowd({own: 1.0, flow("R", 1, "A", 2): 100.0}, 20.0)
        self.assertEqual(crowd_.counts()[0], 20)


class MemoryTests(SynchronousTestCase):
    """What waits is bounded, whoever fills it."""

    def test_most_waiting(self) -> None:
        """So many wait at most; who has the most waiting loses its oldest."""
        share_ = share(most_waiting=16)
        admitted(share_, "own", 1_000, 0.0)
        for number in range(3):
            share_.enqueue(flow("quiet"), f"quiet {number}", 0.0)
        for number in range(1_000):
            share_.enqueue(flow("noisy"), f"noisy {number}", 0.0)
        self.assertEqual(len(share_), 16)
        left = list(iter(lambda: share_.next(WAIT_S / 2, lambda item: False), None))
        expected = [*(f"quiet {n}" for n in range(3)), *(f"noisy {n}" for n in range(987, 1_000))]
        self.assertEqual(sorted(left), sorted(expected))

    def test_memory(self) -> None:
        """Flows of the longest paths without end, all made up, take 2 MB at most; and nothing when none waits."""
        share_ = share()
        numbers = count(10**15)
        self.enterContext(weighing())
        now = 0.0
        for _ in range(5_000):
            now += 0.005
            share_.next(now, lambda item: False)
            share_.enqueue([next(numbers) for _ in range(2 * LONGEST_PATH)], None, now)
        self.assertLess(tracemalloc.get_traced_memory()[1], 2_000_000)
        served(share_, now + 2 * WAIT_S)
        self.assertLess(tracemalloc.get_traced_memory()[0], 20_000)


class FlowTests(SynchronousTestCase):
    """Which flow a flood belongs to."""

    def flow(self, *path: int, flows: tuple[int, ...] = ()) -> list[Any]:
        """The flow of a flood from a neighbour at one host."""
        return list(flow_of(Flooded(id=1, return_path=path, flows=flows), "10.0.0.1"))

    def test_neighbour(self) -> None:
        """What a neighbour asks belongs to its host and to it."""
        self.assertEqual(self.flow(5), ["10.0.0.1", 5, None])

    def test_passed_on(self) -> None:
        """What it passes on belongs to who is before it as well, each at the host that its label stands for."""
        self.assertEqual(self.flow(9, 7, 5, flows=(33, 44)), ["10.0.0.1", 5, 44, 7, 33, 9, None])

    def test_labels_that_lack(self) -> None:
        """Labels count from the nearest; where they lack, all hosts are one, and what is too much is nothing."""
        self.assertEqual(self.flow(9, 7, 5, flows=(44,)), ["10.0.0.1", 5, 44, 7, -1, 9, None])
        self.assertEqual(self.flow(7, 5, flows=(22, 33, 44)), ["10.0.0.1", 5, 44, 7, None])
        self.assertEqual(self.flow(5, flows=(44,)), ["10.0.0.1", 5, None])

    def test_labels(self) -> None:
        """A label is the same for one host, another for another, and another at another node."""
        hosts = [f"10.0.0.{n}" for n in range(50)]
        one, again, other = ([*map(FlowLabels(secret).of, hosts)] for secret in (b"one", b"one", b"other"))
        self.assertEqual((one == again, one == other, len(set(one))), (True, False, 50))
