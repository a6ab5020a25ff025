"""Promises of restraint: no host is asked without end how its nodes stand, and few of them at a time."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.ring.rpc.per_host_limit import Awaited, host_of, per_host_limit
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.values.addresses import Address


class RestraintTests(SynchronousTestCase):
    """Three questions in two seconds."""

    def setUp(self) -> None:
        """Have asked nobody."""
        self.restraint = per_host_limit(3, 2.0)

    def admitted(self, count: int, now: float, host: str = "10.0.0.1") -> int:
        """How many of some questions to nodes of a host may be asked."""
        return sum(self.restraint.allow(host_of(Address(host, 9_000 + number)), now) for number in range(count))

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


class AwaitedTests(SynchronousTestCase):
    """Two of a host at a time."""

    def setUp(self) -> None:
        """Wait for nobody."""
        self.awaited = Awaited(2)

    def asked(self, contact: Contact) -> bool:
        """Ask somebody if that may be; returns whether it may."""
        takes = self.awaited.takes(contact)
        if takes:
            self.awaited.add(contact)
        return takes

    def test_most(self) -> None:
        """A third of the same host is not asked until one of the two is not waited for any more; of another it is."""
        first, second, third = (Contact(number, "ab", Address("10.0.0.1", number)) for number in (1, 2, 3))
        self.assertEqual([self.asked(each) for each in (first, second, third)], [True, True, False])
        self.assertTrue(self.asked(Contact(4, "ab", Address("10.0.0.2", 1))))
        self.awaited.discard(third)
        self.assertFalse(self.asked(third))
        self.awaited.discard(first)
        self.assertTrue(self.asked(third))

    def test_once(self) -> None:
        """Nobody is asked twice at a time."""
        contact = Contact(1, "ab", Address("10.0.0.1", 1))
        self.assertEqual([self.asked(contact), self.asked(contact)], [True, False])

    def test_nothing_left(self) -> None:
        """Hosts where nobody is waited for take no room, however many there were."""
        contacts = [Contact(number, "ab", Address(f"10.0.{number}.1", 1)) for number in range(200)]
        for contact in contacts:
            self.asked(contact)
            self.awaited.discard(contact)
        self.assertEqual((len(self.awaited), len(self.awaited.hosts)), (0, 0))
