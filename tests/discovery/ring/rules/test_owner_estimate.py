"""Promises of guessing who keeps what stands at a place: the nearest that are known, if others are not likely."""

from __future__ import annotations

from attrs import evolve
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.keeping_nets import KeepingTestCase
from tests.discovery.ring.rings import SMALL, contact
from twisted_bazaar.discovery.ring.rules.actions import InitialNeighbours
from twisted_bazaar.discovery.ring.rules.fingers import Fingers
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.owner_estimate import OwnerEstimate
from twisted_bazaar.discovery.ring.rules.recently_failed import RecentlyFailed
from twisted_bazaar.discovery.ring.rules.settings import USUAL
from twisted_bazaar.discovery.ring.rules.stabilization import Stabilization


class LikelyTests(SynchronousTestCase):
    """A node at 0 of a ring of 256, whose two successors stand 4 apart, and which knows others farther away."""

    def likely(
        self,
        identifier: int,
        *known: int,
        most: int = 4,
        dead: int | None = None,
        same_host: tuple[int, ...] = (),
        heard: tuple[tuple[int, ...], ...] = (),
    ) -> list[int]:
        """Where those are that it takes for the holders.

        @param heard: who has told what comes after it: its place, and theirs.
        """
        gone = RecentlyFailed()
        stabilization = Stabilization(contact(0), SMALL, 2, failed=gone)
        stabilization.begin(InitialNeighbours(contact(252), (contact(4), contact(8)), ()))
        fingers = Fingers(0, SMALL, failed=gone)
        for each in known:
            fingers.learn(self.moved(each) if each in same_host else contact(each))
        if dead is not None:
            gone.add(contact(dead), 0.0)
        likely = OwnerEstimate(SMALL, stabilization, fingers, gone)
        likely.likely_owners(identifier, 1.0, most)
        for teller, *after in heard:
            by = self.moved(teller) if teller in same_host else contact(teller)
            likely.on_successors(by, [contact(each) for each in after])
        return [each.id for each in likely.likely_owners(identifier, 1.0, most)]

    def moved(self, identifier: int) -> Contact:
        """A node that is on the machine of another."""
        return replace(contact(identifier), address=replace(contact(100).address, port=identifier))

    def test_nearest(self) -> None:
        """They are the first at a place and after it, once round if need be: fingers, successors and itself."""
        self.assertEqual(self.likely(100, 90, 100, 105, 110, 120, 130), [100, 105, 110, 120])
        self.assertEqual(self.likely(101, 90, 100, 105, 110, 120, most=2), [105, 110])
        self.assertEqual(self.likely(250, 100), [252, 0, 4, 8])

    def test_far(self) -> None:
        """Where those that it knows stand far apart there are others that it does not know, so nobody is."""
        self.assertEqual(self.likely(100, 105, 110), [105, 110, 252, 0])
        self.assertEqual(self.likely(100, 105, 200), [])

    def test_close_together(self) -> None:
        """The two successors may by chance stand closer together than all do: others count as much as they."""
        lists = ((20, 28, 36), (60, 66, 74))
        for heard, expected in (((), []), (lists[:1], []), (lists, [105, 170])):
            self.assertEqual(self.likely(100, 105, 170, most=2, heard=heard), expected, heard)
        self.assertEqual(self.likely(100, 105, 182, most=2, heard=lists), [])

    def test_liar(self) -> None:
        """One host that tells of nodes far apart, or of nothing, counts once, however many nodes it is."""
        far = (20, 120, 220)
        self.assertEqual(self.likely(100, 105, 170, most=2, heard=((30, 34, 38), far, far, far, (40,))), [])
        lists = ((20, 28, 36), (60, 68, 76), (220, 228, 236))
        for crowd in (
            [(identifier, identifier) for identifier in range(40, 60)],
            [(identifier, identifier + 1) for identifier in range(150, 200)],
        ):
            heard, same_host = (*lists, *crowd), tuple(identifier for identifier, _ in crowd)
            guess = self.likely(100, 105, 170, most=2, heard=heard, same_host=same_host)
            self.assertEqual(guess, [105, 170], crowd)

    def test_old_lists(self) -> None:
        """What was told long ago counts no more."""
        lists = tuple((identifier, identifier + 8) for identifier in range(32, 32 + 64))
        newer = tuple((identifier, identifier + 4) for identifier in range(100, 132))
        self.assertEqual(self.likely(100, 105, 170, most=2, heard=lists), [105, 170])
        self.assertEqual(self.likely(100, 105, 170, most=2, heard=(*lists, *newer)), [])

    def test_dead(self) -> None:
        """Who is taken for dead is none of them."""
        self.assertEqual(self.likely(100, 105, 110, 120, dead=105, most=2), [110, 120])

    def test_one_host(self) -> None:
        """One host has no more than one of them, however many nodes it is."""
        self.assertEqual(self.likely(100, 101, 102, 103, 120, same_host=(101, 102, 103), most=2), [101, 120])

    def test_no_member(self) -> None:
        """Who is no member guesses nothing."""
        nobody = OwnerEstimate(SMALL, Stabilization(contact(0), SMALL, 2), Fingers(0, SMALL), RecentlyFailed())
        self.assertEqual(nobody.likely_owners(1, 0.0, 4), ())

    def test_changes(self) -> None:
        """Who comes and who goes counts at once."""
        gone = RecentlyFailed()
        stabilization = Stabilization(contact(0), SMALL, 2, failed=gone)
        stabilization.begin(InitialNeighbours(contact(252), (contact(4), contact(8)), ()))
        fingers = Fingers(0, SMALL, failed=gone)
        likely = OwnerEstimate(SMALL, stabilization, fingers, gone)
        self.assertEqual(likely.likely_owners(245, 1.0, 2), (contact(252), contact(0)))
        fingers.learn(contact(248))
        self.assertEqual(likely.likely_owners(245, 1.0, 2), (contact(248), contact(252)))
        fingers.remove(contact(248))
        stabilization.on_failure(contact(252), 1.0)
        self.assertEqual(likely.likely_owners(245, 1.0, 2), (contact(0), contact(4)))


class CrowdedTests(KeepingTestCase):
    """A ring on which by chance one node and its successors stand side by side, and all others far from each other."""

    settings = evolve(USUAL, bits=16, successors=4)
    identifiers = (1_000, 1_001, 1_002, 1_003, 1_004, *range(8_000, 64_000, 7_000))

    def test_guesses(self) -> None:
        """It knows from the lists of others that this is chance, and guesses right who keeps what all over the ring."""
        asker = self.add(ring_id=self.identifiers[0])
        self.network.run(0.1)
        nodes = [asker, *(self.add(asker, ring_id=identifier) for identifier in self.identifiers[1:])]
        self.until_joined(nodes)
        self.until_ideal()
        for number in range(30):
            self.put(asker, f"{number}", b"here")
        for identifier in range(9_000, 50_000, 7_000):
            guessed = self.members[asker].lookups.likely_owners(identifier, 2)
            self.assertEqual(guessed[:1], (self.holder(identifier),), identifier)
