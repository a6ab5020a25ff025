"""What one node decides, by what it hears. Whole rings of them are in C{test_ring_stories}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.rings import SMALL, contact
from twisted_bazaar.discovery.ring.rules.actions import Action, Hint, JoinRefused, NodeState, Ping, Report, Seek
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.recently_failed import RecentlyFailed
from twisted_bazaar.discovery.ring.rules.reconnect_candidates import FIRST_WAIT_S
from twisted_bazaar.discovery.ring.rules.stabilization import LISTS_S, LOOK_ROUND_S, Stabilization

# Long before the next look round is due.
SOON = 1.0


def nodes(*identifiers: int) -> tuple[Contact, ...]:
    """Nodes at places."""
    return tuple(contact(identifier) for identifier in identifiers)


def standing(identifier: int, *following: int, before: int | None = None, is_member: bool = True) -> NodeState:
    """How a node stands."""
    return NodeState(contact(identifier), None if before is None else contact(before), nodes(*following), is_member)


class Case(SynchronousTestCase):
    """A node at 100 that keeps three successors: 110, 120, 130, and comes after 90."""

    def setUp(self) -> None:
        self.dead = RecentlyFailed(10.0)
        self.node = Stabilization(contact(100), SMALL, 3, failed=self.dead, silence_s=3.0)
        self.node.begin()
        self.node.successors = nodes(110, 120, 130)
        self.node.on_ping(contact(90), 0.0, comes_next=True)
        self.node.stabilize(0.0)

    def assert_neighbours(self, before: int | None, *following: int) -> None:
        """These are its neighbours now."""
        expected = None if before is None else contact(before)
        self.assertEqual((self.node.predecessor, self.node.successors), (expected, nodes(*following)))


class JoiningTests(SynchronousTestCase):
    """How a node comes in."""

    def setUp(self) -> None:
        self.node = Stabilization(contact(100), SMALL, 3)

    def test_first(self) -> None:
        """The first of a ring is responsible for everything."""
        self.assertFalse(self.node.is_responsible(5))
        self.node.begin()
        self.assertTrue(self.node.is_responsible(5))
        self.assertEqual(self.node.state, NodeState(contact(100)))
        self.assertEqual(self.node.stabilize(0.0), [Seek(101)])
        self.assertEqual(self.node.farewell_recipients(), ())

    def test_second(self) -> None:
        """Who joins by one that is alone comes after it; and that one learns of it by being asked."""
        self.assertEqual(self.node.join(contact(50)), (Ping(contact(50)),))
        self.assertEqual(self.node.on_pong(standing(50), 0.0), (Ping(contact(50)),))
        self.assertEqual(self.node.state, standing(100, 50))
        first = Stabilization(contact(50), SMALL, 3)
        first.begin()
        self.assertEqual(first.on_ping(contact(100), 0.0), [Ping(contact(100))])
        self.assertEqual(first.on_pong(standing(100, 50), 0.0), [])
        self.assertEqual(first.state, standing(50, 100, before=100))

    def test_place(self) -> None:
        """Who joins goes from node to node until its place is behind one of them, and takes that one's list."""
        self.node.join(contact(200))
        self.assertEqual(self.node.on_pong(standing(200, 220, 40, 60), 0.0), (Ping(contact(60)),))
        self.assertEqual(self.node.on_pong(standing(60, 90, 120, 200), 0.0), (Ping(contact(90)),))
        self.assertFalse(self.node.is_member)
        self.assertEqual(self.node.on_pong(standing(90, 120, 200, 220), 0.0), (Ping(contact(120)), Ping(contact(90))))
        self.assertEqual(self.node.state, standing(100, 120, 200, 220))

    def test_taken(self) -> None:
        """A place that is taken is refused, but only by who has it."""
        self.node.join(contact(90))
        other = contact(100, "another")
        self.assertEqual(self.node.on_pong(NodeState(contact(90), None, (other,)), 0.0), (Ping(other),))
        self.assertEqual(self.node.on_pong(NodeState(other), 0.0), (JoinRefused(other),))

    def test_taken_by_the_dead(self) -> None:
        """A place is free again when who had it does not answer: the one before is asked anew."""
        self.node.join(contact(90))
        other = contact(100, "another")
        self.node.on_pong(NodeState(contact(90), None, (other, contact(120))), 0.0)
        self.assertEqual(self.node.on_failure(other, 0.0), (Ping(contact(90)),))
        self.node.on_pong(NodeState(contact(90), None, (other, contact(120))), 0.0)
        self.assertEqual(self.node.state, standing(100, 120))

    def test_back(self) -> None:
        """A node that begins anew is not in its own way."""
        self.node.join(contact(90))
        self.node.on_pong(standing(90, 100, 120, 130), 0.0)
        self.assertEqual(self.node.state, standing(100, 120, 130))

    def test_dead_on_the_way(self) -> None:
        """Who does not answer is gone round; if the first does not, or knows only the dead, there is no joining."""
        self.node.join(contact(60))
        self.node.on_pong(standing(60, 80, 90, 120), 0.0)
        self.assertEqual(self.node.on_failure(contact(90), 0.0), (Ping(contact(60)),))
        self.assertEqual(self.node.on_pong(standing(60, 80, 90, 120), 0.0), (Ping(contact(80)),))
        self.node.on_failure(contact(80), 0.0)
        self.node.on_failure(contact(120), 0.0)
        self.assertEqual(self.node.on_pong(standing(60, 80, 90, 120), 0.0), (JoinRefused(),))
        self.assertEqual(self.node.on_failure(contact(60), 0.0), (JoinRefused(),))
        self.assertEqual(Stabilization(contact(1), SMALL).on_failure(contact(2), 0.0), (JoinRefused(),))

    def test_not_a_member(self) -> None:
        """Nobody is joined by who has not joined; and who has not joined takes part in nothing."""
        self.node.join(contact(60))
        self.assertEqual(self.node.on_pong(standing(60, is_member=False), 0.0), (JoinRefused(),))
        self.assertEqual(self.node.on_ping(contact(60), 0.0), ())
        self.assertEqual(self.node.on_update(contact(60), 0.0), ())
        self.assertEqual(self.node.stabilize(0.0), ())
        self.assertEqual(self.node.on_quit(standing(60), 0.0), ())
        self.assertEqual(self.node.state, standing(100, is_member=False))

    def test_no_walk_without_end(self) -> None:
        """Who is led on and on gives up."""
        node = Stabilization(contact(0), Ring(64))
        steps = node.join(contact(1))
        for _ in range(2_000):
            if steps == (JoinRefused(),):
                return
            step = steps[0]
            assert isinstance(step, Ping)
            steps = node.on_pong(NodeState(step.to, None, (contact(step.to.id + 1),)), 0.0)
        self.fail("it goes on")


class StabilisingTests(Case):
    """What comes of asking successors."""

    def test_round(self) -> None:
        """In each round the first successor is asked; one that keeps more in view asks more."""
        self.assertEqual(self.node.stabilize(SOON), [Ping(contact(110))])
        classic = Stabilization(contact(100), SMALL, 2, asks=2)
        classic.begin()
        classic.successors = nodes(110, 120)
        self.assertEqual(classic.stabilize(0.0)[:2], [Ping(contact(110)), Ping(contact(120))])

    def test_near(self) -> None:
        """The predecessor and the successors are its neighbours, and nobody else."""
        near = [identifier for identifier in range(0, 256, 5) if self.node.is_near(contact(identifier))]
        self.assertEqual(near, [90, 110, 120, 130])

    def test_list(self) -> None:
        """Its list is taken, behind itself; as long as the own may be, and not farther than round."""
        self.node.on_pong(standing(110, 115, 120, 125, before=100), SOON)
        self.assert_neighbours(90, 110, 115, 120)
        self.node.on_pong(standing(110, 90, 100, 110, before=100), SOON)
        self.assert_neighbours(90, 110, 90)

    def test_between(self) -> None:
        """One that lies between is asked first, and taken when it has answered."""
        self.assertEqual(self.node.on_pong(standing(110, 120, 130, before=105), SOON), [Ping(contact(105))])
        self.assert_neighbours(90, 110, 120, 130)
        self.node.on_pong(standing(105, 110, 120, 130, before=100), SOON)
        self.assert_neighbours(90, 105, 110, 120)

    def test_between_and_dead(self) -> None:
        """One that lies between and does not answer is not taken, and not asked again for a while."""
        self.node.on_pong(standing(110, 120, 130, before=105), SOON)
        self.node.on_failure(contact(105), SOON)
        self.assertEqual(self.node.on_pong(standing(110, 120, 130, before=105), 2.0), [])
        self.node.on_ping(contact(90), 20.0)
        self.assertEqual(self.node.on_pong(standing(110, 120, 130, before=105), 20.0), [Ping(contact(105))])

    def test_several_between(self) -> None:
        """Of several that lie between, the nearest is asked; and of several before."""
        self.assertEqual(
            self.node.on_pong(standing(110, 104, 107, 93, 97, before=106), SOON),
            [Ping(contact(104)), Ping(contact(97))],
        )

    def test_back_to_life(self) -> None:
        """Who answers is not dead."""
        self.node.on_failure(contact(120), SOON)
        self.node.on_pong(standing(120, 130), 2.0)
        self.assertFalse(self.dead.has(contact(120), 2.0))

    def test_second(self) -> None:
        """What a farther successor says makes the rest of the list right."""
        self.node.on_pong(standing(120, 125, 130, 140, before=110), SOON)
        self.assert_neighbours(90, 110, 120, 125)

    def test_stranger(self) -> None:
        """What others say makes no difference to the list, but they may name somebody nearer."""
        self.assertEqual(
            self.node.on_pong(standing(200, 210, 105, before=95), SOON), [Ping(contact(105)), Ping(contact(95))]
        )
        self.assert_neighbours(90, 110, 120, 130)

    def test_known_dead(self) -> None:
        """Who is known to be dead is not taken from a list."""
        self.node.on_failure(contact(120), SOON)
        self.node.on_pong(standing(110, 120, 130, 140, before=100), SOON)
        self.assert_neighbours(90, 110, 130, 140)

    def test_dead_and_back(self) -> None:
        """Who died longer ago than lists name the dead has come back: it is taken, and asked; if in vain, it goes."""
        listed = standing(110, 120, 130, 140, before=100)
        self.node.on_failure(contact(120), SOON)
        for now in (SOON + LISTS_S / 2, SOON + LISTS_S + 1):
            self.node.on_ping(contact(90), now)
            steps = self.node.on_pong(listed, now)
        self.assertEqual(steps, [Ping(contact(120))])
        self.assert_neighbours(90, 110, 120, 130)
        self.node.on_failure(contact(120), 8.0)
        self.node.on_pong(listed, 9.0)
        self.assert_neighbours(90, 110, 130, 140)

    def test_disorder(self) -> None:
        """A list is taken as far as it is in order."""
        self.node.on_pong(standing(110, 120, 115, 130, before=100), SOON)
        self.assert_neighbours(90, 110, 120)

    def test_began_anew(self) -> None:
        """A successor that has to join again is a successor no more."""
        self.assertEqual(
            self.node.on_pong(standing(110, is_member=False), SOON),
            [Report(contact(90), contact(110)), Ping(contact(120))],
        )

    def test_look_round(self) -> None:
        """Now and then it looks whether others know somebody between it and its successor."""
        self.assertNotIn(Seek(101), self.node.stabilize(LOOK_ROUND_S - 1))
        self.assertIn(Seek(101), self.node.stabilize(LOOK_ROUND_S))
        self.assertNotIn(Seek(101), self.node.stabilize(LOOK_ROUND_S + 1))
        self.assertEqual(
            self.node.on_lookup_done(Seek(101), contact(95), nodes(105, 107), 61.0),
            [Ping(contact(95)), Ping(contact(105))],
        )


class RectifyingTests(Case):
    """Who comes before."""

    def test_nearer(self) -> None:
        """Whoever asks from nearer is the predecessor, and what is before it is not this node's any more."""
        self.assertTrue(self.node.is_responsible(91))
        self.node.on_ping(contact(95), SOON)
        self.assert_neighbours(95, 110, 120, 130)
        self.assertEqual(
            [self.node.is_responsible(identifier) for identifier in (91, 95, 96, 100, 101)],
            [False, False, True, True, False],
        )

    def test_farther(self) -> None:
        """Who asks from farther away is not, while the predecessor asks too."""
        self.assertEqual(self.node.on_ping(contact(80), SOON), [])
        self.assert_neighbours(90, 110, 120, 130)

    def test_silent(self) -> None:
        """A predecessor that has been silent is asked; if it does not answer, the next who asks is the one."""
        self.assertEqual(self.node.on_ping(contact(80), 4.0), [Ping(contact(90))])
        self.assertIn(Ping(contact(90)), self.node.stabilize(4.0))
        self.assertEqual(self.node.on_failure(contact(90), 5.0), ())
        self.assert_neighbours(None, 110, 120, 130)
        self.node.on_ping(contact(80), 6.0, comes_next=True)
        self.assert_neighbours(80, 110, 120, 130)

    def test_none(self) -> None:
        """Without a predecessor no more is this node's than before; only who says that it comes next is one."""
        self.node.on_failure(contact(90), SOON)
        self.node.on_ping(contact(60), SOON)
        self.node.on_pong(standing(110, 120, 130), SOON)
        self.node.on_pong(standing(60, 70, 80), SOON)
        self.assert_neighbours(None, 110, 120, 130)
        self.assertEqual(
            [self.node.is_responsible(identifier) for identifier in (61, 90, 91, 100)], [False, False, True, True]
        )
        self.node.on_pong(standing(80, 100, 110), SOON)
        self.assert_neighbours(80, 110, 120, 130)
        self.assertTrue(self.node.is_responsible(81))

    def test_is_there(self) -> None:
        """A predecessor that answers stays."""
        self.node.on_pong(standing(90, 100, 110), 4.0)
        self.assertEqual(self.node.on_ping(contact(80), 5.0), [])

    def test_ahead(self) -> None:
        """Who asks and lies between this node and its successor is asked, and so comes in."""
        self.assertEqual(self.node.on_ping(contact(105), SOON), [Ping(contact(105))])

    def test_same_place(self) -> None:
        """Somebody at a neighbour's place is nobody while that one answers, and takes over when it does not."""
        for identifier in (90, 110):
            other = contact(identifier, "another")
            self.assertEqual(self.node.on_ping(other, SOON), (Ping(contact(identifier)),))
            self.assertEqual(self.node.on_pong(NodeState(other), SOON), (Ping(contact(identifier)),))
            self.assert_neighbours(90, 110, 120, 130)
        self.node.on_failure(contact(90), SOON)
        self.node.on_ping(contact(90, "another"), SOON, comes_next=True)
        self.assertEqual(self.node.predecessor, contact(90, "another"))

    def test_own_place(self) -> None:
        """Somebody at this node's own place is no neighbour, and names none."""
        other = contact(100, "another")
        self.assertEqual(self.node.on_ping(other, SOON), (Ping(other),))
        self.assertEqual(self.node.on_pong(NodeState(other, None, nodes(105)), SOON), ())
        self.assert_neighbours(90, 110, 120, 130)


class FailingTests(Case):
    """What comes of deaths."""

    def test_first(self) -> None:
        """When the first successor fails, the next takes its place and is asked at once; who is before is told."""
        self.assertEqual(
            self.node.on_failure(contact(110), SOON), [Report(contact(90), contact(110)), Ping(contact(120))]
        )
        self.assert_neighbours(90, 120, 130)

    def test_other(self) -> None:
        """When another fails, it goes; and strangers make no difference."""
        self.assertEqual(self.node.on_failure(contact(130), SOON), [Report(contact(90), contact(130))])
        self.assertEqual(self.node.on_failure(contact(200), SOON), ())
        self.assert_neighbours(90, 110, 120)

    def test_all(self) -> None:
        """When all have failed, who is before is asked, and others are looked for."""
        for identifier in (110, 120):
            self.node.on_failure(contact(identifier), SOON)
        self.assertEqual(
            self.node.on_failure(contact(130), SOON), [Report(contact(90), contact(130)), Ping(contact(90)), Seek(101)]
        )
        self.assertIn(Ping(contact(90)), self.node.stabilize(2.0))
        self.node.on_pong(standing(90, 100, 110, 120), 2.0)
        self.assert_neighbours(90, 90)

    def test_told(self) -> None:
        """That somebody is dead is not believed: a neighbour is asked, others are no concern."""
        for identifier in (90, 110, 130):
            self.assertEqual(self.node.on_death_report(contact(identifier)), (Ping(contact(identifier)),))
        self.assertEqual(self.node.on_death_report(contact(200)), ())
        self.assert_neighbours(90, 110, 120, 130)

    def test_told_alive(self) -> None:
        """That somebody lives is not believed: it is asked, if it would be a neighbour."""
        self.assertEqual(self.node.on_update(contact(105), SOON), (Ping(contact(105)),))
        self.assertEqual(self.node.on_update(contact(95), SOON), (Ping(contact(95)),))
        for identifier in (115, 80, 100):
            self.assertEqual(self.node.on_update(contact(identifier), SOON), ())
        self.node.on_failure(contact(105), SOON)
        self.assertEqual(self.node.on_update(contact(105), 2.0), ())

    def test_lost(self) -> None:
        """One that was lost is asked again after a while; when it is back where it was, all is as before."""
        self.node.on_failure(contact(110), SOON)
        due = SOON + FIRST_WAIT_S
        self.node.on_ping(contact(90), due)
        self.assertIn(Ping(contact(110)), self.node.stabilize(due))
        self.assertEqual(self.node.on_pong(standing(110, 120, 130, before=100), due), [])
        self.assert_neighbours(90, 110, 120, 130)

    def asked_again(self, identifier: int) -> int:
        """How often a node is asked again that answers each time that it is no member, in half a minute or so."""
        asked, now = list[Action](), SOON
        for _ in range(8):
            self.node.on_pong(standing(identifier, is_member=False), now)
            now += FIRST_WAIT_S
            self.node.on_ping(contact(90), now)
            asked += self.node.stabilize(now)
        return asked.count(Ping(contact(identifier)))

    def test_lost_while_it_joins(self) -> None:
        """A neighbour that has begun anew, and has not joined when it is asked, is asked again, more and more seldom:
        it may join another ring."""
        self.assertEqual(self.asked_again(110), 3)

    def test_lost_before_it_joins(self) -> None:
        """The same holds for one that did not answer before."""
        self.node.on_failure(contact(110), SOON)
        self.assertEqual(self.asked_again(110), 3)

    def test_no_member(self) -> None:
        """A stranger that is no member is not asked again."""
        self.assertEqual(self.asked_again(200), 0)

    def test_lost_elsewhere(self) -> None:
        """One that was lost and lives, but not near, is looked for: if nobody knows it, there are two rings."""
        lost = contact(200)
        self.node.on_failure(lost, SOON)
        self.assertEqual(self.node.on_pong(standing(200, 210, 220, before=190), 2.0), [Seek(200, lost)])
        self.assertEqual(self.node.on_pong(standing(200, 210, 220, before=190), 2.0), [])
        sought = Seek(200, lost)
        self.assertEqual(self.node.on_lookup_done(sought, contact(180), nodes(200, 220), 2.0), ())
        self.assertEqual(
            self.node.on_lookup_done(sought, contact(180), nodes(220), 2.0),
            [Hint(lost, contact(180)), Hint(contact(180), lost), Hint(lost, contact(220)), Hint(contact(220), lost)],
        )

    def test_lost_asks(self) -> None:
        """One that was lost and asks is asked back."""
        self.node.on_failure(contact(200), SOON)
        self.assertEqual(self.node.on_ping(contact(200), 2.0), [Ping(contact(200))])


class TwinTests(Case):
    """Two at one place, as there may be when two rings have become one."""

    def setUp(self) -> None:
        """Have a node whose key is in the middle."""
        super().setUp()
        self.node = self.member(contact(100, "77"))

    def member(self, own: Contact, ring: Ring = SMALL) -> Stabilization:
        """A member."""
        node = Stabilization(own, ring, 3, failed=self.dead)
        node.begin()
        node.successors = nodes(110, 120, 130)
        return node

    def test_named(self) -> None:
        """Another that is named at its place is asked, by whomever and however it is named; itself is not."""
        twin, same = contact(100, "11"), contact(100, "77", 2)
        for node, expected in ((twin, True), (same, False)):
            steps = (
                self.node.on_pong(NodeState(contact(110), node, nodes(120, 130)), SOON),
                self.node.on_pong(NodeState(contact(90), None, (node, *nodes(110, 120))), SOON),
                self.node.on_ping(node, SOON),
                self.node.on_update(node, SOON),
                self.node.on_lookup_done(Seek(101), node, nodes(110), SOON),
            )
            self.assertEqual([Ping(node) in each for each in steps], [expected] * 5)

    def test_dead(self) -> None:
        """One that does not answer is not asked again and again."""
        twin = contact(100, "11")
        self.node.on_failure(twin, SOON)
        self.assertNotIn(Ping(twin), self.node.on_pong(NodeState(contact(110), twin), SOON))

    def test_lower_key(self) -> None:
        """Of two of one kind the one with the lower key keeps the place, and the other gives way, when it answers."""
        lower, higher = contact(100, "11"), contact(100, "99")
        self.assertEqual(self.node.on_pong(NodeState(higher), SOON), ())
        self.assertEqual(self.node.on_pong(NodeState(lower), SOON), (JoinRefused(lower),))
        self.assertEqual(self.node.on_pong(NodeState(lower, is_member=False), SOON), ())
        self.assertEqual(self.node.on_pong(NodeState(contact(100, "77", 2)), SOON), ())

    def test_chosen(self) -> None:
        """Who stands where its key has it stand gives way to nobody who has chosen the place, and those do to it."""
        ring = Ring(64)
        key = "99"
        identifier = ring.id_of_key(key)
        of_key, chosen = contact(identifier, key), contact(identifier, "11")
        self.assertEqual(self.member(of_key, ring).on_pong(NodeState(chosen), SOON), ())
        self.assertEqual(self.member(chosen, ring).on_pong(NodeState(of_key), SOON), (JoinRefused(of_key),))


class LeavingTests(Case):
    """Going with a word."""

    def test_farewells(self) -> None:
        """Who is before and who is after are told."""
        self.assertEqual(self.node.farewell_recipients(), nodes(90, 110))

    def test_successor(self) -> None:
        """When the first successor goes, the next is asked at once, and whom it names is not taken unasked."""
        steps = self.node.on_quit(standing(110, 115, 120, before=100), SOON)
        self.assertEqual(steps, [Ping(contact(120)), Ping(contact(115))])
        self.assert_neighbours(90, 120, 130)

    def test_predecessor(self) -> None:
        """When the predecessor goes, the one before it is asked."""
        self.assertEqual(self.node.on_quit(standing(90, 100, 110, before=85), SOON), [Ping(contact(85))])
        self.assert_neighbours(None, 110, 120, 130)

    def test_stranger(self) -> None:
        """When a stranger goes, whom it names is no concern."""
        self.assertEqual(list(self.node.on_quit(standing(200, 105, before=95), SOON)), [])


class NoNewsTests(Case):
    """The same answer over and over, of which nothing comes."""

    def setUp(self) -> None:
        """Hear it twice."""
        super().setUp()
        self.first = standing(110, 120, 130, 140, before=100)
        for _ in range(2):
            self.assertEqual(tuple(self.node.on_pong(self.first, 0.0)), ())

    def test_silence(self) -> None:
        """The predecessor that has been silent is asked all the same."""
        self.assertEqual(tuple(self.node.on_pong(self.first, 3.0)), (Ping(contact(90)),))

    def test_forgotten(self) -> None:
        """It counts anew when the own neighbours have changed."""
        self.node.on_death_report(contact(120))
        self.node.on_failure(contact(120), 0.0)
        self.assert_neighbours(90, 110, 130)
        self.node.on_pong(self.first, 0.0)
        self.assert_neighbours(90, 110, 130, 140)
        self.node.on_pong(self.first, 20.0)
        self.assert_neighbours(90, 110, 120, 130)

    def test_nearer(self) -> None:
        """Somebody nearer whom it names is asked each time, until that one has answered or failed."""
        named = standing(110, 120, 130, before=105)
        for _ in range(3):
            self.assertEqual(tuple(self.node.on_pong(named, 0.0)), (Ping(contact(105)),))
        self.node.on_failure(contact(105), 0.0)
        self.assertEqual(tuple(self.node.on_pong(named, 1.0)), ())
        self.assertIn(Ping(contact(105)), self.node.on_pong(named, 11.0))

    def test_lost(self) -> None:
        """One that is far away, and says the same as before it was lost, is looked for."""
        far = standing(200, 210, before=190)
        for _ in range(2):
            self.assertEqual(tuple(self.node.on_pong(far, 0.0)), ())
        self.node.on_failure(contact(200), 0.0)
        self.assertIn(Seek(200, contact(200)), self.node.on_pong(far, 20.0))
