"""Who has not answered lately, and who is lost."""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.rings import contact
from twisted_bazaar.discovery.ring.rules.recently_failed import RecentlyFailed
from twisted_bazaar.discovery.ring.rules.reconnect_candidates import REMEMBERED_S, ReconnectCandidates

one, two, three = contact(1), contact(2), contact(3)


class DeadTests(SynchronousTestCase):
    """The short memory."""

    def test_for_a_while(self) -> None:
        """A node is taken for dead for a while, or until it shows itself."""
        dead = RecentlyFailed(10.0)
        dead.add(one, 0.0)
        dead.add(two, 5.0)
        self.assertEqual([dead.has(one, now) for now in (0.0, 9.9, 10.0)], [True, True, False])
        self.assertEqual(dead.living((one, two, three), 11.0), (one, three))
        dead.discard(two)
        dead.discard(three)
        self.assertEqual(dead.living((one, two, three), 9.0), (two, three))

    def test_lately(self) -> None:
        """Those can be told apart that were found dead a short time ago."""
        dead = RecentlyFailed(10.0)
        dead.add(one, 0.0)
        dead.add(two, 4.0)
        self.assertEqual(dead.living((one, two, three), 6.0, 5.0), (one, three))
        self.assertEqual(dead.living((one, two, three), 6.0, 20.0), (three,))
        self.assertTrue(dead.has(one, 6.0))

    def test_again(self) -> None:
        """Who fails again is remembered for the whole time again."""
        dead = RecentlyFailed(10.0)
        dead.add(one, 0.0)
        dead.add(one, 8.0)
        self.assertTrue(dead.has(one, 17.0))

    def test_moved(self) -> None:
        """Who is back at another address is somebody else."""
        dead = RecentlyFailed()
        dead.add(contact(1, port=5), 0.0)
        self.assertFalse(dead.has(contact(1, port=6), 0.0))

    def test_bounded(self) -> None:
        """It does not grow without end, and the old go by themselves."""
        dead = RecentlyFailed(10.0, cap=3)
        for identifier in range(10):
            dead.add(contact(identifier), float(identifier))
        self.assertEqual([identifier for identifier in range(10) if dead.has(contact(identifier), 9.0)], [7, 8, 9])
        dead.add(contact(11), 100.0)
        self.assertEqual(len(dead), 1)


class LostTests(SynchronousTestCase):
    """The long memory."""

    def test_ever_more_seldom(self) -> None:
        """One that is lost is asked after 4 s, then after twice as long each time, at most every 5 minutes, for 2 h."""
        lost = ReconnectCandidates()
        lost.add(one, 0.0)
        asked = [second for second in range(int(REMEMBERED_S) + 1_000) if lost.next_due(float(second)) is not None]
        self.assertEqual(asked[:6], [4, 12, 28, 60, 124, 252])
        self.assertEqual({later - earlier for earlier, later in pairwise(asked[7:])}, {300})
        self.assertTrue(asked[-1] < REMEMBERED_S)
        self.assertEqual(len(lost), 0)

    def test_found(self) -> None:
        """One that is found is lost no more, and that is told once."""
        lost = ReconnectCandidates()
        lost.add(one, 0.0)
        self.assertEqual([lost.discard(one), lost.discard(one), lost.next_due(100.0)], [True, False, None])

    def test_turns(self) -> None:
        """One is asked at a time; failing again does not make it come sooner."""
        lost = ReconnectCandidates()
        for each in (one, two):
            lost.add(each, 0.0)
        self.assertEqual(lost.next_due(5.0), one)
        lost.add(one, 5.0)
        self.assertEqual([lost.next_due(5.0), lost.next_due(5.0)], [two, None])

    def test_bounded(self) -> None:
        """It does not grow without end: the first that were lost are forgotten."""
        lost = ReconnectCandidates(cap=2)
        for each in (one, two, three):
            lost.add(each, 0.0)
        self.assertEqual([one in lost, two in lost, three in lost, len(lost)], [False, True, True, 2])
