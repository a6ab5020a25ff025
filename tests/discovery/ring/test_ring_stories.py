"""Whole rings of memberships, in any order of events: what Zave proves, and that rings which were split heal.

C{RING_STORIES} in the environment asks for more stories than are told each time.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests import slow
from tests.discovery.ring.rings import World, contact, stories
from twisted_bazaar.discovery.ring.rules.actions import Action, NodeState, Ping, Seek
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.invariant import faults
from twisted_bazaar.discovery.ring.rules.stabilization import Stabilization

STORIES: Final = int(os.environ.get("RING_STORIES", "150"))
EVENTS: Final = 300
QUIET: Final = 12


def churned(rng: random.Random, make: type[Stabilization] = Stabilization) -> tuple[World, list[str]]:
    """A ring with a base, while nodes come and go, and after that; and what was wrong with it first."""
    world = World(rng, rng.choice((2, 3, 4)), make=make)
    identifiers = rng.sample(range(256), rng.randrange(world.most + 1, world.most + 8))
    world.begin(identifiers)
    world.base = tuple(contact(identifier) for identifier in rng.sample(identifiers, world.most + 1))
    chance = rng.choice((0.02, 0.05, 0.15))
    for _ in range(EVENTS):
        world.churn(256, chance)
        if found := world.faults():
            return world, found
    return world, settled(world, QUIET)


def settled(world: World, rounds: int) -> list[str]:
    """What is wrong after so many quiet rounds; if it is nothing earlier, that will do."""
    for _ in range(rounds):
        world.rounds(1)
        if not world.faults() and not world.flaws():
            return []
        # Those who are lost are asked seldom; in between nothing happens.
        world.now += 10.0 * world.rng.random()
    return world.faults() + world.flaws()


def split(rng: random.Random, make: type[Stabilization] = Stabilization) -> World:
    """Two ideal rings out of one, on machines that could not reach each other for a while and now can."""
    world = World(rng, rng.choice((2, 3, 4)), make=make)
    identifiers = rng.sample(range(256), rng.randrange(6, 30))
    world.begin(identifiers)
    if rng.random() < 0.5:
        sides = {contact(identifier): rng.random() < 0.5 for identifier in identifiers}
    else:
        middle = rng.randrange(2, len(identifiers) - 1)
        sides = {contact(identifier): index < middle for index, identifier in enumerate(sorted(identifiers))}
    world.is_parted = lambda one, other: sides[one] != sides[other]
    world.rounds(20)
    world.is_parted = lambda one, other: False
    return world


class StoriesTests(SynchronousTestCase):
    """Rings that hold."""

    @slow
    def test_churn(self) -> None:
        """While nodes join, die and quit, the invariant holds after every event; when it is quiet, all is ideal.

        There is a base of one more than a list holds, and nobody loses a whole list at once.
        """
        events = 0
        for number, rng in enumerate(stories(STORIES)):
            world, wrong = churned(rng)
            events += world.events
            self.assertEqual(wrong, [], f"story {number}")
            self.assertTrue(all(len(each.successors) == world.most for each in world.members()))
        self.assertGreater(events, EVENTS * STORIES)

    def test_small(self) -> None:
        """A ring grows from one node, however many join at once: it is one, in order, all the time."""
        for number, rng in enumerate(stories(STORIES)):
            world = World(rng, rng.choice((2, 3, 8)))
            world.make_node(contact(rng.randrange(256))).begin()
            for identifier in rng.sample(range(256), rng.randrange(1, 12)):
                if contact(identifier) not in world.nodes:
                    world.join(identifier, rng.choice([each.node for each in world.members()]))
                for _ in range(rng.choice((0, 1, 5, 20))):
                    world.step()
                    self.assertEqual(list(faults(world.ring, world.members(), world.most, ())), [], f"story {number}")
            self.assertEqual(settled(world, QUIET), [], f"story {number}")

    def test_shrinking(self) -> None:
        """A ring shrinks to one node, which then is alone; and grows again."""
        for number, rng in enumerate(stories(STORIES)):
            world = World(rng, 3)
            world.begin(rng.sample(range(256), 6))
            while len(world.nodes) > 1:
                node = rng.choice(list(world.nodes))
                (world.die if rng.random() < 0.5 else world.quit)(node)
                self.assertEqual(settled(world, QUIET), [], f"story {number}")
            world.join(300 % 256, next(iter(world.nodes))) if contact(44) not in world.nodes else None
            self.assertEqual(settled(world, QUIET), [], f"story {number}")

    def test_split(self) -> None:
        """Two rings that were one find each other, and are one again in a few rounds."""
        for number, rng in enumerate(stories(STORIES)):
            world = split(rng)
            self.assertEqual(settled(world, 10), [], f"story {number}")

    def test_met(self) -> None:
        """Two rings that never were one grow together as soon as one node of one hears of one of the other."""
        for number, rng in enumerate(stories(STORIES)):
            world = World(rng, 3)
            identifiers = rng.sample(range(256), 20)
            world.begin(identifiers[:10])
            world.begin(identifiers[10:])
            one, other = contact(identifiers[0]), contact(identifiers[10])
            world.do(one, [Ping(other)])
            for _ in range(3):
                world.do(one, [Seek(other.id, other)])
                world.rounds(1)
            self.assertEqual(settled(world, 25), [], f"story {number}")

    def test_false_alarms(self) -> None:
        """Nodes that are taken for dead while they live are back where they were, once they are heard again."""
        for number, rng in enumerate(stories(STORIES)):
            world = World(rng, rng.choice((2, 3, 8)))
            world.begin(rng.sample(range(256), rng.randrange(6, 30)))
            world.loss = rng.choice((0.05, 0.2, 0.4))
            for _ in range(EVENTS):
                world.step()
            world.loss = 0.0
            self.assertEqual(settled(world, 20), [], f"story {number}")

    def test_too_many_deaths(self) -> None:
        """Even after half of all nodes die at once, and some have lost their whole list, all is ideal in the end."""
        for number, rng in enumerate(stories(STORIES)):
            world = World(rng, rng.choice((2, 3, 4)))
            world.begin(rng.sample(range(256), rng.randrange(16, 40)))
            for node in rng.sample(list(world.nodes), len(world.nodes) // 2):
                world.die(node)
            self.assertEqual(settled(world, 60), [], f"story {number}")

    def test_sudden_deaths(self) -> None:
        """After r - 1 neighbours die at once, one round makes the ring whole, and r rounds every list."""
        for number, rng in enumerate(stories(STORIES)):
            world = World(rng, 4)
            world.begin(rng.sample(range(256), 12))
            order = sorted(world.nodes, key=lambda node: node.id)
            start = rng.randrange(12)
            for step in range(3):
                world.die(order[(start + step) % 12])
            self.assertEqual(world.faults(), [], f"story {number}")
            world.rounds(1)
            before = order[start - 1]
            self.assertEqual(world.nodes[before].successors[0], order[(start + 3) % 12], f"story {number}")
            self.assertEqual(settled(world, 4), [], f"story {number}")

    def test_quit(self) -> None:
        """When one quits, its neighbours are each other's at once, without waiting for a round."""
        for rng in stories(STORIES):
            world = World(rng, 3)
            world.begin(rng.sample(range(256), 8))
            order = sorted(world.nodes, key=lambda node: node.id)
            world.quit(order[3])
            world.arrive()
            self.assertEqual(world.nodes[order[2]].successors, (order[4], order[5], order[6]))
            self.assertEqual(world.nodes[order[4]].predecessor, order[2])


class _AdoptsUnasked(Stabilization):
    """Believes its successor about who stands between them, and asks that one for a list later."""

    def on_pong(self, standing: NodeState, now: float) -> Sequence[Action]:
        steps = super().on_pong(standing, now)
        between = standing.predecessor
        if between is not None and self.is_member and self._follows(between):
            self.successors = (between,)
        return steps


class _NeverLetsGo(Stabilization):
    """Does not care who has failed."""

    def on_failure(self, contact: Contact, now: float) -> Sequence[Action]:
        return () if self.is_member else super().on_failure(contact, now)


class _JoinsAnywhere(Stabilization):
    """Joins where it asks first, without looking for its place."""

    def on_pong(self, standing: NodeState, now: float) -> Sequence[Action]:
        if self.is_member:
            return super().on_pong(standing, now)
        self.is_member = True
        self.successors = self._fitted((standing.node, *standing.successors))
        return (Ping(standing.node),)


class _KeepsOldList(Stabilization):
    """Takes a new successor, and does not take its list."""

    def _adopt(self, standing: NodeState, now: float) -> None:
        if not self.successors or self._follows(standing.node):
            self.successors = self._fitted((standing.node, *self.successors))


class _TakesAnyPredecessor(Stabilization):
    """Takes everybody who asks for its predecessor."""

    def _rectify(self, contact: Contact, now: float, *, comes_next: bool) -> Sequence[Action]:
        self.predecessor, self._heard = contact, now
        return ()


class _NeverRectifies(Stabilization):
    """Learns from its successor only."""

    def _rectify(self, contact: Contact, now: float, *, comes_next: bool) -> Sequence[Action]:
        return ()


class _KeepsDeadPredecessor(Stabilization):
    """Never asks whether its predecessor lives."""

    def _drop(self, contact: Contact) -> Sequence[Action]:
        before = self.predecessor
        steps = super()._drop(contact)
        self.predecessor = before
        return steps


class _ComesRound(Stabilization):
    """Takes a list as it comes, even if it comes round."""

    def _fitted(self, contacts: object) -> tuple[Contact, ...]:
        return tuple(contacts)[: self.most]  # type: ignore[arg-type]


class _LooksFarAhead(Stabilization):
    """Takes whoever answers for its first successor, near or not."""

    def _follows(self, contact: Contact) -> bool:
        return contact.id != self.own.id and contact not in self.successors[:1]


class _SkipsAhead(Stabilization):
    """When its first successor has failed, it takes the one after the next."""

    def _drop(self, contact: Contact) -> Sequence[Action]:
        steps = super()._drop(contact)
        self.successors = self.successors[1:] or self.successors
        return steps


class _Forgets(Stabilization):
    """Does not remember who is lost, and looks for nobody."""

    def stabilize(self, now: float) -> Sequence[Action]:
        self._reconnect.__init__()  # type: ignore[misc]
        return [step for step in super().stabilize(now) if not isinstance(step, Seek)]


class PlantedTests(SynchronousTestCase):
    """The stories show what is wrong, if it is: most of these were in Chord as it was published, or nearly."""

    def assert_caught(self, make: type[Stabilization], *kinds: str) -> None:
        """A ring of such nodes breaks in a way of one of these kinds, in one of the first stories."""
        for rng in stories(60):
            try:
                _, wrong = churned(rng, make)
            except AssertionError as error:
                wrong = [str(error)]
            if any(kind in fault for fault in wrong for kind in kinds):
                return
        self.fail("nothing was seen")

    def test_adopts_unasked(self) -> None:
        """Taking a successor that may be dead is seen."""
        self.assert_caught(_AdoptsUnasked, "has no successor that lives")

    def test_never_lets_go(self) -> None:
        """Keeping the dead is seen."""
        self.assert_caught(_NeverLetsGo, "is followed by")

    def test_joins_anywhere(self) -> None:
        """Joining at another's place is seen."""
        self.assert_caught(_JoinsAnywhere, "is left out")

    def test_keeps_old_list(self) -> None:
        """Not taking the successor's list is seen."""
        self.assert_caught(_KeepsOldList, "has no successor that lives", "is followed by")

    def test_takes_any_predecessor(self) -> None:
        """Taking every predecessor is seen."""
        self.assert_caught(_TakesAnyPredecessor, "comes after")

    def test_never_rectifies(self) -> None:
        """Reconciling without rectifying is seen."""
        self.assert_caught(_NeverRectifies, "is followed by", "comes after", "questions without end")

    def test_keeps_dead_predecessor(self) -> None:
        """Keeping a dead predecessor is seen."""
        self.assert_caught(_KeepsDeadPredecessor, "comes after", "is followed by")

    def test_comes_round(self) -> None:
        """A list that comes round is seen."""
        world = World(next(stories(1)), 4, make=_ComesRound)
        world.begin([1, 2, 3])
        self.assertIn("1 has successors twice, or out of order: 2 3 1 2", settled(world, 5))

    def test_looks_far_ahead(self) -> None:
        """Taking one that is not nearer is seen."""
        self.assert_caught(_LooksFarAhead, "is left out", "rings", "more than once")

    def test_skips_ahead(self) -> None:
        """Leaving out the one that comes next is seen."""
        self.assert_caught(_SkipsAhead, "is left out", "has no successor that lives")

    def test_forgets(self) -> None:
        """Not looking for the lost is seen: rings stay split."""
        worlds = [split(rng, _Forgets) for rng in stories(5)]
        self.assertTrue(any("there are 2 rings" in settled(world, 20) for world in worlds))
