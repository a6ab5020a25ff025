"""Shortcuts across the ring."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.discovery.ring.rings import SMALL, contact
from twisted_bazaar.discovery.ring.rules.fingers import HELD, REFRESH_S, Fingers
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.recently_failed import RecentlyFailed

thorough = examples(200)


def identifiers(contacts: list[Contact]) -> list[int]:
    """Where they are."""
    return [each.id for each in contacts]


class FingersTests(SynchronousTestCase):
    """A node at 0, with four parts an octave."""

    def setUp(self) -> None:
        self.dead = RecentlyFailed(10.0)
        self.fingers = Fingers(0, SMALL, failed=self.dead)

    def learn(self, *learnt: int) -> list[bool]:
        """Which of these are kept."""
        return [self.fingers.learn(contact(identifier)) for identifier in learnt]

    def test_kept(self) -> None:
        """Of each part so many are kept, those that came first; and never itself."""
        first = range(128, 128 + HELD)
        self.assertEqual(self.learn(0, *first), [False, *(True for _ in first)])
        self.assertEqual(self.learn(159, 160, 128), [False, True, True])
        self.assertEqual(sorted(identifiers(list(self.fingers))), [*first, 160])
        self.assertEqual(len(self.fingers), HELD + 1)

    def test_preceding(self) -> None:
        """Whom to ask is who comes before a place, the last first, without the dead."""
        self.learn(3, 17, 80, 128, 200)
        self.assertEqual(identifiers(self.fingers.closest_preceding(129, 0.0, 3)), [128, 80, 17])
        self.assertEqual(identifiers(self.fingers.closest_preceding(128, 0.0, 3)), [80, 17, 3])
        self.assertEqual(identifiers(self.fingers.closest_preceding(2, 0.0, 3)), [])
        self.dead.add(contact(80), 0.0)
        self.assertEqual(identifiers(self.fingers.closest_preceding(128, 5.0, 2)), [17, 3])
        self.assertEqual(identifiers(self.fingers.closest_preceding(128, 15.0, 2)), [80, 17])
        self.assertEqual(identifiers(self.fingers.closest_preceding(0, 15.0, 2)), [200, 128])

    def test_beyond(self) -> None:
        """Others come after a place."""
        self.learn(3, 17, 80, 128, 200)
        self.assertEqual(identifiers(self.fingers.following(80, 0.0, 2)), [128, 200])
        self.assertEqual(identifiers(self.fingers.following(200, 0.0, 2)), [])
        self.dead.add(contact(17), 0.0)
        self.assertEqual(identifiers(self.fingers.following(4, 0.0, 2)), [80])

    def test_failed(self) -> None:
        """Who has failed goes, and leaves room."""
        full = range(128, 128 + HELD)
        self.learn(*full)
        for gone in (128, 155, 250, 0):
            self.fingers.remove(contact(gone))
        self.assertEqual(self.learn(157, 156), [True, False])
        self.assertEqual(sorted(identifiers(list(self.fingers))), [*full[1:], 157])

    def test_moved(self) -> None:
        """Who is back at another address is kept with that."""
        self.learn(128)
        self.assertTrue(self.fingers.learn(contact(128, port=7)))
        self.assertEqual(list(self.fingers), [contact(128, port=7)])
        self.fingers.remove(contact(128))
        self.assertEqual(len(self.fingers), 1)

    def test_taken(self) -> None:
        """A place belongs to whose key has it stand there; of others, to who came first."""
        first, later = contact(128, key="aa"), contact(128, key="bb")
        owner = contact(SMALL.id_of_key("cc"), key="cc")
        thief = contact(owner.id, key="dd")
        learnt = [self.fingers.learn(each) for each in (first, later, thief, owner, thief)]
        self.assertEqual(learnt, [True, False, True, True, False])
        self.assertEqual(set(self.fingers), {first, owner})
        self.fingers.remove(first)
        self.assertTrue(self.fingers.learn(later))

    @thorough
    @given(st.integers(3, 160), st.sampled_from([1, 2, 4, 8]), st.integers(0, 2**32))
    def test_model(self, bits: int, parts: int, seed: int) -> None:
        """Whom to ask is what sorting all that are known says, on any ring; and few are known of many."""
        rng, ring = random.Random(seed), Ring(bits)
        own = rng.randrange(ring.size)
        fingers = Fingers(own, ring, parts)
        for _ in range(200):
            identifier = rng.randrange(ring.size)
            if rng.random() < 0.8:
                fingers.learn(contact(identifier))
            else:
                fingers.remove(rng.choice(list(fingers) or [contact(identifier)]))
            # What is kept in order has to notice what changes.
            self.assertEqual(len(fingers.closest_preceding(own, 0.0, 10_000)), len(fingers))
        self.assertLessEqual(len(fingers), HELD * parts * bits)
        identifier = rng.randrange(ring.size)
        known = sorted(fingers, key=lambda each: ring.distance(each.id, identifier))
        before = [each for each in known if ring.is_between(own, each.id, identifier)]
        self.assertEqual(fingers.closest_preceding(identifier, 0.0, 5), before[:5])
        after = [each for each in reversed(known) if each not in before and each.id != identifier]
        self.assertEqual(
            fingers.following(identifier, 0.0, 3) if identifier != own else [], after[:3] if identifier != own else []
        )


class RefreshTests(SynchronousTestCase):
    """Keeping them right."""

    def setUp(self) -> None:
        self.rng = random.Random(1)
        self.fingers = Fingers(10, SMALL)

    def looked_into(self, now: float, *successors: int) -> list[int]:
        """The places that are to be looked for at once, as distances."""
        found = list[int]()
        following = [contact(identifier) for identifier in successors]
        while (identifier := self.fingers.next_refresh(following, now, self.rng)) is not None:
            found.append(SMALL.distance(10, identifier))
        return found

    def test_all(self) -> None:
        """At first each part beyond the successors is looked into, the farthest first."""
        self.assertEqual(self.looked_into(0.0, 15, 50), [224, 192, 160, 128, 112, 96, 80, 64, 56, 48, 40])
        self.assertEqual(self.looked_into(1.0, 15, 50), [])

    def test_alone(self) -> None:
        """One that is alone has nobody to look for."""
        self.assertEqual(self.looked_into(0.0), [])

    def test_again(self) -> None:
        """Each is looked into again after a while, empty ones sooner."""
        self.looked_into(0.0, 50)
        for identifier in (138, 170):
            self.fingers.learn(contact(identifier))
        sooner = self.looked_into(REFRESH_S * 1.25 / 4, 50)
        self.assertEqual(len(sooner), 9)
        self.assertFalse({128, 160} & set(sooner))
        self.fingers = Fingers(10, SMALL)
        for identifier in (138, 170):
            self.fingers.learn(contact(identifier))
        first = self.looked_into(0.0, 50)
        self.assertFalse({128, 160} & set(first))
        later = [identifier for now in range(1, int(REFRESH_S) + 1) for identifier in self.looked_into(float(now), 50)]
        self.assertTrue({128, 160} <= set(later))
        self.assertTrue(2 <= later.count(64) <= 3, later.count(64))
        self.assertEqual(later.count(128), 1)

    def times(self, identifier: int, since: int, until: int) -> list[int]:
        """When a part is looked into, given its first place as a distance."""
        return [now for now in range(since, until) for each in self.looked_into(float(now), 50) if each == identifier]

    def test_ever_more_seldom(self) -> None:
        """A part in which nothing changes is looked into ever more seldom, but never given up."""
        for identifier, first_s in ((128, REFRESH_S), (64, REFRESH_S / 4)):
            self.setUp()
            self.fingers.learn(contact(138))
            times = self.times(identifier, 0, 40 * int(REFRESH_S))
            pauses = [after - before for before, after in pairwise(times)]
            self.assertLess(pauses[0], 1.3 * first_s)
            self.assertTrue(all(3 * REFRESH_S <= each <= 5 * REFRESH_S for each in pauses[5:]), pauses)
            self.assertGreater(len(pauses[5:]), 3)

    def test_change(self) -> None:
        """When somebody has come or gone there, it is looked into as often as at first; sooner if nobody is left."""
        self.fingers.learn(contact(138))
        begin = 40 * int(REFRESH_S)
        self.times(128, 0, begin)
        self.fingers.learn(contact(140))
        [first, *_] = self.times(128, begin, begin + 2 * int(REFRESH_S))
        self.assertLessEqual(first - begin, 1.25 * REFRESH_S + 1)
        begin += 42 * int(REFRESH_S)
        self.times(128, begin - 40 * int(REFRESH_S), begin)
        for identifier in (138, 140):
            self.fingers.remove(contact(identifier))
        [first, *_] = self.times(128, begin, begin + 2 * int(REFRESH_S))
        self.assertLessEqual(first - begin, 1.25 * REFRESH_S / 4 + 1)
        # Somebody who lives there now is none to be in a hurry about.
        self.fingers.learn(contact(138))
        self.assertGreaterEqual(self.times(128, first + 1, first + 1_000)[0] - first, 0.75 * REFRESH_S)
