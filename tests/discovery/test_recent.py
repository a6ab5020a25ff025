"""What was found for the last questions is kept for a while, and never much of it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.recent import Recent


class RecentTests(SynchronousTestCase):
    """Findings that are lists of hits."""

    def test_kept(self) -> None:
        """What was found is there for two minutes, and what is found later for the same question takes its place."""
        recent: Recent[list[int]] = Recent(100)
        recent.put("a", [1], 0.0)
        recent.put("b", [2], 1.0)
        recent.put("a", [3], 2.0)
        self.assertEqual([recent.get(each, 2.0) for each in "abc"], [[3], [2], None])
        self.assertEqual([recent.get(each, 121.5) for each in "ab"], [[3], None])

    def test_few_hits(self) -> None:
        """However many questions bring very much, no more hits are kept than are for one, and the last are."""
        recent: Recent[list[int]] = Recent(100)
        for number in range(16):
            recent.put(number, [0] * 40, float(number))
            self.assertLessEqual(len(recent), 100)
        self.assertEqual([recent.get(each, 16.0) is not None for each in range(16)], [False] * 14 + [True] * 2)
        recent.put("large", [0] * 100, 16.0)
        self.assertEqual((len(recent), recent.get(15, 16.0)), (100, None))
        recent.put("too large", [0] * 101, 17.0)
        self.assertEqual((len(recent), recent.get("large", 17.0)), (101, None))

    def test_few_questions(self) -> None:
        """Of many questions that bring little, those of the last are kept."""
        recent: Recent[list[int]] = Recent(100)
        for number in range(30):
            recent.put(number, [0], float(number))
        self.assertEqual(len(recent), 16)
