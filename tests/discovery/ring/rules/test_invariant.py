"""What a broken ring is called."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.rings import SMALL, contact
from twisted_bazaar.discovery.ring.rules.actions import NodeState
from twisted_bazaar.discovery.ring.rules.invariant import faults, flaws


def standing(identifier: int, *following: int, before: int | None = None) -> NodeState:
    """How a node stands."""
    predecessor = None if before is None else contact(before)
    return NodeState(contact(identifier), predecessor, tuple(contact(each) for each in following))


class FaultsTests(SynchronousTestCase):
    """What must never be, and is seen when it is. Rings here keep two successors."""

    def assert_faults(self, members: Sequence[NodeState], *expected: str, base: Sequence[int] | None = None) -> None:
        """These are the faults, all of them."""
        kept = None if base is None else [contact(identifier) for identifier in base]
        self.assertEqual(list(faults(SMALL, members, 2, kept)), list(expected))

    def test_ideal(self) -> None:
        """In an ideal ring there is none, however small it is."""
        self.assert_faults([])
        self.assert_faults([standing(1)])
        self.assert_faults([standing(1, 2), standing(2, 1)])
        self.assert_faults([standing(1, 2, 3), standing(2, 3, 1), standing(3, 1, 2)], base=[1, 2, 3])

    def test_joining(self) -> None:
        """Nor is it one that a node is not yet known to those before it."""
        ring = [standing(1, 3, 4), standing(3, 4, 1), standing(4, 1, 3)]
        self.assert_faults([*ring, standing(2, 3, 4)], base=[1, 3, 4])

    def test_dead_successors(self) -> None:
        """Somebody has none that lives."""
        ring = [standing(1, 3, 4), standing(3, 4, 1), standing(4, 1, 3)]
        self.assert_faults(
            [*ring, standing(2, 7, 8)], "2 has no successor that lives", "only 1 nodes are left out by nobody"
        )

    def test_alone(self) -> None:
        """Each is by itself; but one that is, while others join by it, is none."""
        self.assert_faults([standing(1), standing(2)], "there are 2 rings")
        self.assert_faults([standing(1), standing(2, 1), standing(3, 1)], base=[])
        self.assert_faults([standing(1, 2)], "1 has no successor that lives", "there are 0 rings")

    def test_two_rings(self) -> None:
        """There are two."""
        ring = [standing(1, 3, 1), standing(3, 1), standing(2, 4), standing(4, 2)]
        self.assertIn("there are 2 rings", list(faults(SMALL, ring, 2)))

    def test_twice_round(self) -> None:
        """There is one, and it goes round twice."""
        ring = [standing(1, 3), standing(3, 2), standing(2, 4), standing(4, 1)]
        self.assertIn("a ring goes round more than once: 1 3 2 4", list(faults(SMALL, ring, 2)))

    def test_lists(self) -> None:
        """A list names somebody twice, comes round, or is not in order."""
        ring = [standing(1, 2, 3), standing(2, 3, 1), standing(3, 1, 2)]
        for wrong in ((2, 2), (2, 1), (3, 2)):
            self.assertIn(
                f"1 has successors twice, or out of order: {wrong[0]} {wrong[1]}",
                list(faults(SMALL, [standing(1, *wrong), *ring[1:]], 2)),
            )

    def test_left_out(self) -> None:
        """One of the base is left out by somebody's list, at its beginning or within it."""
        ring = [standing(2, 3, 4), standing(3, 4, 1), standing(4, 1, 2)]
        self.assert_faults([standing(1, 3, 4), *ring], "2 of the base is left out", base=[1, 2, 3])
        self.assert_faults([standing(1, 2, 4), *ring], "3 of the base is left out", base=[1, 2, 3])
        self.assert_faults([standing(1, 2, 4), *ring], base=[1, 2, 4])


class FlawsTests(SynchronousTestCase):
    """What is not ideal."""

    def test_flaws(self) -> None:
        """Each wrong list and each wrong predecessor is named."""
        ring = [standing(1, 2, 3, before=3), standing(2, 3, 1, before=1), standing(3, 1, 2, before=2)]
        self.assertEqual(list(flaws(SMALL, ring, 2)), [])
        self.assertEqual(list(flaws(SMALL, [standing(1)], 2)), [])
        wrong = [standing(1, 2, before=2), *ring[1:]]
        self.assertEqual(
            list(flaws(SMALL, wrong, 2)), ["1 is followed by 2 3, and says by 2", "1 comes after 3, and says after 2"]
        )
        self.assertEqual(list(flaws(SMALL, [standing(1, 2)], 2)), ["1 is followed by nobody, and says by 2"])
