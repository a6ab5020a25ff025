"""Promises of restraint: no host is asked without end how its nodes stand."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.ring.restraint import Restraint
from twisted_bazaar.values.addresses import Address


class RestraintTests(SynchronousTestCase):
    """Three questions in two seconds."""

    def setUp(self) -> None:
        """Have asked nobody."""
        self.restraint = Restraint(3, 2.0)

    def admitted(self, count: int, now: float, host: str = "10.0.0.1") -> int:
        """How many of some questions to nodes of a host may be asked."""
        return sum(self.restraint.admits(Address(host, 9_000 + number), now) for number in range(count))

    def test_most(self) -> None:
        """No more go to one host, whatever nodes it has; another host counts for itself."""
        self.assertEqual([self.admitted(2, 0.0), self.admitted(5, 1.9)], [2, 1])
        self.assertEqual(self.admitted(5, 1.9, "10.0.0.2"), 3)

    def test_again(self) -> None:
        """Two seconds after the first of them so many may go again."""
        self.admitted(2, 0.0)
        self.admitted(2, 1.0)
        self.assertEqual([self.admitted(5, 2.0), self.admitted(5, 3.9), self.admitted(5, 4.0)], [3, 0, 3])

    def test_here(self) -> None:
        """On this machine each address counts as a host."""
        self.assertEqual(self.admitted(5, 0.0, "127.0.0.1"), 5)
