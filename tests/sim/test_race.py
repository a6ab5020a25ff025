"""Whoever races for too few goods is told how it ended, and nothing is sold that is not there."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tests import THOROUGH
from tests.sim.race import Race


def faults_of(seed: int, buyers: int, stock: int, relays: int) -> list[str]:
    """Run a race; what was not as it should be."""
    race = Race(seed, buyers, stock, relays)
    race.run()
    return race.faults()


class RaceTests(SynchronousTestCase):
    """A tenth of all packets is lost, half of the relays says all twice, a fifth leaves, the seller dies half way."""

    def race(self, seed: int, buyers: int, stock: int, relays: int) -> None:
        """Run one, and see that all is as it should be."""
        self.assertEqual(faults_of(seed, buyers, stock, relays), [], f"seed {seed}")

    @pytest.mark.slow
    @pytest.mark.timeout(900)
    def test_thousand(self) -> None:
        """A thousand buyers race for a hundred pieces: a hundred are sold, and everybody knows how it ended."""
        # In a process of its own: of what it takes, 300 MB, Python gives hardly anything back to the system.
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            faults = process.submit(faults_of, 1, buyers=1000, stock=100, relays=20).result()
        self.assertEqual(faults, [])

    def test_many_seeds(self) -> None:
        """So it is for every seed."""
        for seed in range(2, 12 if THOROUGH else 3):
            self.race(seed, buyers=100, stock=10, relays=10)
