"""What one node decides, whatever it hears."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.discovery.ring.rings import SMALL, contact
from twisted_bazaar.discovery.ring.rules.actions import Action, NodeState, Seek
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.stabilization import Stabilization

thorough = examples(300)


class AnythingTests(SynchronousTestCase):
    """Whatever it hears."""

    @thorough
    @given(st.integers(0, 2**32), st.integers(1, 4))
    def test_anything(self, seed: int, most: int) -> None:
        """A node's list is in order, no longer than it may be, and without itself; and few steps come of anything."""
        rng = random.Random(seed)
        node = Stabilization(contact(100), SMALL, most)
        node.begin()

        def somebody() -> Contact:
            return contact(rng.randrange(256), rng.choice(("", "", "", "another")))

        def somehow() -> NodeState:
            before = rng.choice((None, somebody()))
            following = tuple(somebody() for _ in range(rng.randrange(5)))
            return NodeState(somebody(), before, following, rng.random() < 0.9)

        def something(now: float) -> Sequence[Action]:
            match rng.randrange(8):
                case 0:
                    return node.on_pong(somehow(), now)
                case 1:
                    return node.on_ping(somebody(), now)
                case 2:
                    return node.on_failure(rng.choice((somebody(), *node.successors)), now)
                case 3:
                    return node.on_update(somebody(), now)
                case 4:
                    return node.on_death_report(somebody())
                case 5:
                    return node.on_quit(somehow(), now)
                case 6:
                    return node.on_lookup_done(Seek(5, rng.choice((None, somebody()))), somebody(), [somebody()], now)
            return node.stabilize(now)

        for now in range(60):
            steps = something(float(now))
            self.assertLessEqual(len(steps), 6)
            distances = [SMALL.distance(100, each.id) for each in node.successors]
            self.assertEqual(distances, sorted(set(distances) - {0}))
            self.assertLessEqual(len(distances), most)
            self.assertTrue(node.is_member)
            self.assertTrue(node.predecessor is None or node.predecessor.id != 100)
