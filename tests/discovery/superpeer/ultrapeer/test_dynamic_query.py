"""How far a search goes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from twisted_bazaar.discovery.superpeer.ultrapeer.dynamic_query import LONGEST_S, MOST_PROBED, DynamicQuery, Round

thorough = examples(300)


def reaches(rounds: DynamicQuery, *hits: int) -> list[int]:
    """Over how many links the rounds of a search go that has found so much before each."""
    gone = []
    for found in hits:
        following = rounds.next(found, 0.0)
        if following is None:
            break
        gone.append(following.reach)
    return gone


class RoundsTests(SynchronousTestCase):
    """The rounds of a search."""

    def test_probe(self) -> None:
        """First a few neighbours are asked; what they have tells how far to go."""
        for hits, reach in ((0, 6), (1, 4), (10, 2), (40, 1), (50, None)):
            rounds = DynamicQuery(6, 50, 6, 6.0, 0.0)
            self.assertEqual(rounds.next(0, 0.0), Round(1, MOST_PROBED, 0.3))
            rounds.probe_done(4, 0)
            following = rounds.next(hits, 0.3)
            self.assertEqual(None if following is None else following.reach, reach)
            self.assertEqual(rounds.reached_all, reach == 6)

    def test_whole(self) -> None:
        """A search goes on from round to round until there is enough, or nobody is left."""
        rounds = DynamicQuery(4, 50, 6, 6.0, 0.0)
        self.assertEqual(reaches(rounds, 0, 40, 41, 42, 43), [1, 1, 2, 3, 4])
        self.assertTrue(rounds.reached_all)
        rounds = DynamicQuery(4, 50, 6, 6.0, 0.0)
        self.assertEqual(reaches(rounds, 0, 40, 50), [1, 1])
        self.assertFalse(rounds.reached_all)

    def test_enough_at_once(self) -> None:
        """When this super peer's own weak peers have enough, nobody is asked."""
        rounds = DynamicQuery(4, 50, 6, 6.0, 0.0)
        self.assertEqual((rounds.next(50, 0.0), rounds.reached_all), (None, False))

    def test_known(self) -> None:
        """Neighbours whose tables say that they have nothing count as asked: the next round goes farther."""
        rounds = DynamicQuery(4, 50, 30, 30.0, 0.0)
        rounds.next(0, 0.0)
        rounds.probe_done(2, 28)
        self.assertEqual(reaches(rounds, 5), [2])
        rounds = DynamicQuery(1, 50, 30, 30.0, 0.0)
        rounds.next(0, 0.0)
        rounds.probe_done(0, 30)
        self.assertEqual((rounds.reached_all, rounds.next(0, 0.0)), (True, None))

    def test_nobody(self) -> None:
        """Without neighbours, or with a search that is to go nowhere, there are no rounds."""
        for is_dynamic in (True, False):
            for ttl, neighbours in ((4, 0), (0, 6)):
                rounds = DynamicQuery(ttl, 50, neighbours, 6.0, 0.0, is_dynamic=is_dynamic)
                self.assertEqual((rounds.next(0, 0.0), rounds.reached_all), (None, True))

    def test_plain(self) -> None:
        """Without dynamic querying there is one round, to all, as far as it may go."""
        rounds = DynamicQuery(4, 50, 30, 30.0, 0.0, is_dynamic=False)
        self.assertEqual(rounds.next(0, 0.0), Round(4, None, 1.2))
        self.assertEqual((rounds.next(0, 1.2), rounds.reached_all), (None, True))

    def test_far_enough(self) -> None:
        """No search goes much farther than a great neighbourhood."""
        for degree, farthest in ((6.0, 6), (30.0, 3), (200.0, 2), (1.0, 16), (0.0, 16)):
            self.assertEqual(reaches(DynamicQuery(16, 50, max(1, int(degree)), degree, 0.0), 0, 0), [1, farthest])

    def test_time(self) -> None:
        """A search is over when its time is, and no round waits any longer."""
        rounds = DynamicQuery(16, 50, 1, 2.0, 100.0)
        self.assertEqual(rounds.next(0, 100.0), Round(1, MOST_PROBED, 0.3))
        following = rounds.next(0, 109.0)
        assert following is not None
        self.assertAlmostEqual(following.wait_s, 1.0)
        rounds = DynamicQuery(16, 50, 1, 2.0, 100.0)
        rounds.next(0, 100.0)
        self.assertEqual((rounds.next(0, 100.0 + LONGEST_S), rounds.reached_all), (None, False))

    @thorough
    @given(
        st.integers(0, 16),
        st.integers(1, 1_000),
        st.integers(0, 100),
        st.floats(0, 1_000),
        st.booleans(),
        st.lists(st.integers(0, 100), min_size=40, max_size=40),
    )
    def test_ends(
        self, ttl: int, results: int, neighbours: int, degree: float, is_dynamic: bool, found: list[int]
    ) -> None:
        """Rounds end, go farther each time but after the probe, never farther than they may, and wait 10 s in all."""
        rounds = DynamicQuery(ttl, results, neighbours, degree, 50.0, is_dynamic=is_dynamic)
        now, hits, gone = 50.0, 0, list[Round]()
        for more in found:
            following = rounds.next(hits, now)
            if following is None:
                break
            gone.append(following)
            now += following.wait_s
            hits += more
        whole = [each.reach for each in gone if each.most is None]
        self.assertEqual(whole, sorted(set(whole)))
        self.assertTrue(all(1 <= each.reach <= ttl and each.wait_s > 0 for each in gone))
        self.assertLessEqual(len(gone), ttl + 1)
        self.assertLessEqual(now, 50.0 + LONGEST_S + 1e-6)
        self.assertTrue(hits >= results or rounds.reached_all or now >= 50.0 + LONGEST_S - 1e-6)
