"""Floods end: each is known once it has passed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.node.routing.duplicate_filter import DuplicateFilter


class DuplicateFilterTests(SynchronousTestCase):
    """Each flood is known once it has passed."""

    def test_passes_once(self) -> None:
        """A flood is new until it is added, and known from then on, from whichever link it comes again."""
        seen = DuplicateFilter(64, 600.0)
        self.assertFalse(seen.knows(1, 5, 0.0))
        seen.add(1, 5, "A", 0.0)
        seen.add(1, 5, "B", 1.0)
        self.assertEqual((seen.knows(1, 5, 1.0), len(seen)), (True, 1))

    def test_origin_and_id(self) -> None:
        """Origin and id together tell floods apart: nobody spends the ids of another."""
        seen = DuplicateFilter(64, 600.0)
        seen.add(1, 5, "A", 0.0)
        self.assertEqual(
            [seen.knows(*flood, 0.0) for flood in ((1, 5), (2, 5), (1, 6), (5, 1))], [True, False, False, False]
        )

    def test_expiry(self) -> None:
        """A flood is forgotten after its time."""
        seen = DuplicateFilter(64, 600.0)
        seen.add(1, 5, "A", 10.0)
        self.assertEqual([seen.knows(1, 5, now) for now in (10.0, 609.9, 610.0)], [True, True, False])

    def test_no_link_drives_it(self) -> None:
        """A link that floods pushes out its own floods, an eighth of the table at most, and none of the others'."""
        seen = DuplicateFilter(64, 600.0)
        for link in range(7):
            for number in range(8):
                seen.add(link, number, link, 0.0)
        for number in range(10_000):
            seen.add(99, number, "noisy", 0.0)
        self.assertTrue(all(seen.knows(link, number, 0.0) for link in range(7) for number in range(8)))
        self.assertEqual(
            [number for number in range(10_000) if seen.knows(99, number, 0.0)], list(range(9_992, 10_000))
        )
        self.assertEqual(len(seen), 64)
