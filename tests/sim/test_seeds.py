"""Whole markets under everything that can go wrong, for a fixed number of seeds.

C{make soak SEEDS=1000} makes as many runs as one likes.
"""

from __future__ import annotations

from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.sim.seeds import KINDS, run_seed

SEEDS: Final = range(1, 7)

# Runs that showed a fault, and show it again when it is put back: of which kind, and with what seed.
ONCE_BROKEN: Final[tuple[tuple[str, int], ...]] = (
    # An order to a seller that no way led to any more was never asked for again.
    ("recovery", 5),
    ("recovery", 14),
    ("narrow", 38),
    # A node that stopped while it dialled went on dialling.
    ("storm", 1),
)


class SeedTests(SynchronousTestCase):
    """The promises of the market hold."""

    def assert_kept(self, kind: str, seed: int) -> None:
        """One run breaks no promise, and buys something."""
        report = run_seed(kind, seed)
        self.assertEqual(report.violations, [], f"{kind}, seed {seed}")
        self.assertGreater(report.messages["search"], 0)

    def test_calm(self) -> None:
        """Where nothing fails."""
        for seed in SEEDS:
            self.assert_kept("calm", seed)

    def test_scarce(self) -> None:
        """Where there is too little for all."""
        for seed in SEEDS:
            self.assert_kept("scarce", seed)

    def test_storm(self) -> None:
        """Where faults never end."""
        for seed in SEEDS:
            self.assert_kept("storm", seed)

    def test_recovery(self) -> None:
        """Where faults end, and then every want that can be met is met."""
        for seed in SEEDS:
            self.assert_kept("recovery", seed)

    def test_narrow(self) -> None:
        """Where ways are slow and narrow and lose packets."""
        for seed in SEEDS:
            self.assert_kept("narrow", seed)

    def test_once_broken(self) -> None:
        """Where a promise was broken once."""
        for kind, seed in ONCE_BROKEN:
            self.assert_kept(kind, seed)

    def test_all_kinds(self) -> None:
        """Each kind of run has its test."""
        self.assertEqual({f"test_{kind}" for kind in KINDS} - set(dir(self)), set())
