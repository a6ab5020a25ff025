"""A budget in bytes: bounded, and fair between hosts."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.byte_budget import ByteBudget, Room


class ByteBudgetTests(SynchronousTestCase):
    """Who may have how much of 800 bytes."""

    def setUp(self) -> None:
        """Nobody has anything."""
        self.budget = ByteBudget(800)

    def test_alone(self) -> None:
        """One host alone has five eighths at most, and one peer half."""
        self.assertEqual((self.budget.most_a_host, self.budget.most_a_peer), (500, 400))
        self.assertIs(self.budget.room_for("a", 500), Room.YES)
        self.assertIs(self.budget.room_for("a", 501), Room.NO)
        self.budget.charge("a", 450)
        self.assertIs(self.budget.room_for("a", 51), Room.NO)

    def test_last_eighth(self) -> None:
        """Once seven eighths are used, only hosts with less than an equal part get more."""
        self.budget.charge("a", 450)
        self.budget.charge("b", 250)
        self.assertIs(self.budget.room_for("a", 1), Room.NO)
        self.assertIs(self.budget.room_for("b", 100), Room.YES)
        self.assertIs(self.budget.room_for("c", 100), Room.YES)

    def test_full(self) -> None:
        """An equal part is due to everybody, as soon as who has the most has gone for it."""
        for host, size_bytes in (("a", 450), ("b", 250), ("c", 100)):
            self.budget.charge(host, size_bytes)
        self.assertIs(self.budget.room_for("d", 200), Room.AFTER_EVICTION)
        self.assertIs(self.budget.room_for("d", 201), Room.NO)
        self.assertTrue(self.budget.must_evict_for(1))
        self.assertEqual(self.budget.heaviest(), "a")

    def test_retired(self) -> None:
        """What is let go of is nobody's, and takes memory until it is given back."""
        self.budget.charge("a", 450)
        self.budget.charge("b", 350)
        self.budget.retire("a", 450)
        self.assertEqual((self.budget.used, self.budget.held_by("a"), self.budget.heaviest()), (800, 0, "b"))
        self.assertIs(self.budget.room_for("c", 100), Room.AFTER_EVICTION)
        self.assertFalse(self.budget.must_evict_for(100))
        self.budget.release(450)
        self.assertIs(self.budget.room_for("c", 100), Room.YES)

    def test_instead(self) -> None:
        """What an owner is going to retire counts neither for it nor for all."""
        self.budget.charge("a", 450)
        self.assertIs(self.budget.room_for("a", 350, instead_of=450), Room.YES)
        self.assertIs(self.budget.room_for("a", 450, instead_of=450), Room.AFTER_EVICTION)

    def test_all_given_back(self) -> None:
        """When all is given back nothing is left, nor is anybody known."""
        self.budget.charge("a", 450)
        self.budget.charge("a", -450)
        self.assertEqual((self.budget.used, self.budget.held_by("a")), (0, 0))
        self.assertRaises(LookupError, self.budget.heaviest)
