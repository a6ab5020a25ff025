"""Whole networks under everything that can go wrong, for one seed of each kind; in C{make test-all} for a few more.

C{make soak SEEDS=1000} makes as many runs as one likes.
"""

from __future__ import annotations

from typing import Final

import pytest
from twisted.trial.unittest import SynchronousTestCase

from tests import THOROUGH
from tests.sim.seeds import FILES, KINDS, MARKETS, RINGS, run_seed

SEEDS: Final = range(1, 7 if THOROUGH else 2)

# Runs that showed a fault, and show it again when it is put back: of which kind, and with what seed.
ONCE_BROKEN: Final[tuple[tuple[str, int], ...]] = (
    # An order to a seller that no way led to any more was never asked for again.
    ("recovery", 5),
    ("recovery", 14),
    ("narrow", 38),
    # A node that stopped while it dialled went on dialling.
    ("storm", 1),
    # A source that had believed two manifests of one file took those who asked for either for one crowd.
    ("repair", 20),
    # A node that was told to stop twice waited for its uploads for ever.
    ("repair", 123),
    # A download stood in the line of a source for ever that was gone.
    ("repair", 166),
    # A node that had come back was left out by who still took it for dead.
    ("churning", 39),
    # Of several that came at once one gave on what it had before it got what it was to give on.
    ("churning", 35),
    # Who left while its neighbours died handed over to the dead alone.
    ("churning", 40),
    # A search that nobody waited for any more left its timers when its node stopped.
    ("churning", 155),
)


class SeedTests(SynchronousTestCase):
    """The promises of markets, of networks that share files and of super peers hold."""

    def assert_kept(self, kind: str, seed: int) -> None:
        """One run breaks no promise, and something is looked for in it."""
        report = run_seed(kind, seed)
        self.assertEqual(report.violations, [], f"{kind}, seed {seed}")
        sought = "search" if kind in MARKETS else "findfiles" if kind in FILES else "query"
        sought = "ringfind" if kind in RINGS else sought
        self.assertGreater(report.messages[sought], 0)

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

    def test_quiet(self) -> None:
        """Where files are shared, and nothing fails."""
        for seed in SEEDS:
            self.assert_kept("quiet", seed)

    def test_liars(self) -> None:
        """Where every other sharer lies."""
        for seed in SEEDS:
            self.assert_kept("liars", seed)

    def test_crowd(self) -> None:
        """Where many fetch the same few files at once."""
        for seed in SEEDS:
            self.assert_kept("crowd", seed)

    def test_outages(self) -> None:
        """Where files are shared and faults never end."""
        for seed in SEEDS:
            self.assert_kept("outages", seed)

    def test_repair(self) -> None:
        """Where faults end, and then every file that somebody has is fetched."""
        for seed in SEEDS:
            self.assert_kept("repair", seed)

    def test_still(self) -> None:
        """Where super peers search, and nobody comes or goes."""
        for seed in SEEDS:
            self.assert_kept("still", seed)

    def test_restless(self) -> None:
        """Where nobody stays for long."""
        for seed in SEEDS:
            self.assert_kept("restless", seed)

    def test_full(self) -> None:
        """Where super peers have hardly room for all."""
        for seed in SEEDS:
            self.assert_kept("full", seed)

    def test_broken(self) -> None:
        """Where faults befall super peers and weak peers, and end."""
        for seed in SEEDS:
            self.assert_kept("broken", seed)

    def test_besieged(self) -> None:
        """Where they never end."""
        for seed in SEEDS:
            self.assert_kept("besieged", seed)

    def test_joining(self) -> None:
        """Where nodes join a ring, one after the other."""
        for seed in SEEDS:
            self.assert_kept("joining", seed)

    def test_dying(self) -> None:
        """Where many nodes of a ring die at once."""
        for seed in SEEDS:
            self.assert_kept("dying", seed)

    def test_churning(self) -> None:
        """Where they come and go."""
        for seed in SEEDS:
            self.assert_kept("churning", seed)

    def test_splitting(self) -> None:
        """Where a ring is split, and grows together."""
        for seed in SEEDS:
            self.assert_kept("splitting", seed)

    @pytest.mark.slow
    def test_once_broken(self) -> None:
        """Where a promise was broken once."""
        for kind, seed in ONCE_BROKEN:
            self.assert_kept(kind, seed)

    def test_all_kinds(self) -> None:
        """Each kind of run has its test."""
        self.assertEqual({f"test_{kind}" for kind in KINDS} - set(dir(self)), set())
