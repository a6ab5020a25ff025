"""Looking for a place."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from statistics import mean
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.rings import SMALL, contact
from tests.discovery.ring.tables import USUAL, Net
from twisted_bazaar.discovery.ring.rules.fingers import Fingers
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.lookup import ALPHA, MOST_ASKED, Lookup
from twisted_bazaar.discovery.ring.rules.lookup_reply import LookupReply, reply_for
from twisted_bazaar.discovery.ring.rules.recently_failed import RecentlyFailed
from twisted_bazaar.discovery.ring.rules.stabilization import Stabilization

LOOKUPS: Final = 300


def nodes(*identifiers: int) -> tuple[Contact, ...]:
    """Nodes at places."""
    return tuple(contact(identifier) for identifier in identifiers)


def answer(
    identifier: int, before: tuple[int, ...] = (), after: tuple[int, ...] = (), predecessor: int | None = None
) -> LookupReply:
    """What a node says."""
    return LookupReply(
        contact(identifier), nodes(*before), nodes(*after), None if predecessor is None else contact(predecessor)
    )


class AnswerTests(SynchronousTestCase):
    """What a node at 100 knows about a place."""

    def setUp(self) -> None:
        self.dead = RecentlyFailed()
        self.node = Stabilization(contact(100), SMALL, 3, failed=self.dead)
        self.node.begin()
        self.node.successors, self.node.predecessor = nodes(110, 120, 130), contact(90)
        self.fingers = Fingers(100, SMALL, failed=self.dead)
        for identifier in (135, 150, 200, 240):
            self.fingers.learn(contact(identifier))

    def answer(self, identifier: int) -> LookupReply:
        """What it says."""
        return reply_for(identifier, SMALL, self.node, self.fingers, self.dead, 0.0)

    def test_own(self) -> None:
        """What it is responsible for itself."""
        expected = answer(100, (90,), (100, 110, 120, 130), 90)
        self.assertEqual([self.answer(identifier) for identifier in (91, 100)], [expected, expected])

    def test_near(self) -> None:
        """What its list reaches: who is before, and who is after, and some who are beyond."""
        beyond = nodes(135, 150)
        self.assertEqual(self.answer(101), LookupReply(contact(100), (), nodes(110, 120, 130), contact(90), beyond))
        self.assertEqual(self.answer(120), LookupReply(contact(100), nodes(110), nodes(120, 130), contact(90), beyond))
        self.assertEqual(self.answer(130), LookupReply(contact(100), nodes(120, 110), nodes(130), contact(90), beyond))

    def test_far(self) -> None:
        """What it does not: the nearest before it, by fingers and by the list."""
        beyond = nodes(150, 200)
        self.assertEqual(
            self.answer(140), LookupReply(contact(100), nodes(135, 130, 120, 110), (), contact(90), beyond)
        )
        self.assertEqual(self.answer(90).before, nodes(240, 200, 150, 135))

    def test_dead(self) -> None:
        """Those who are taken for dead are not named."""
        for identifier in (120, 135):
            self.dead.add(contact(identifier), 0.0)
        self.assertEqual(self.answer(140).before, nodes(130, 110))
        self.assertEqual(self.answer(115).after, nodes(130))

    def test_whole_ring(self) -> None:
        """On a ring that is shorter than a list, all follow, round to those before the place."""
        self.node.successors = nodes(110, 90)
        self.assertEqual(self.answer(105).after, nodes(110, 90, 100))
        self.assertEqual(self.answer(80), answer(100, (110,), (90, 100, 110), 90))

    def test_alone(self) -> None:
        """One that is alone is responsible for everything."""
        self.node.successors, self.node.predecessor = (), None
        lookup = Lookup(5, SMALL, self.answer(5))
        self.assertTrue(lookup.is_over)
        found = lookup.found
        self.assertEqual((found.holders, found.hops, found.asked, found.is_sure), (nodes(100), 0, 0, True))


class LookupTests(SynchronousTestCase):
    """One search for 150, by a node at 0."""

    def test_own_list(self) -> None:
        """Whom the own list names has only to show that it lives."""
        lookup = Lookup(150, SMALL, answer(0, (140,), (160, 170)))
        self.assertIn(contact(160), lookup.next_contacts())
        self.assertFalse(lookup.is_over)
        lookup.on_reply(answer(160, (140,), (160, 170), 140))
        found = lookup.found
        self.assertTrue(lookup.is_over)
        self.assertEqual((found.holders, found.before, found.hops), (nodes(160, 170), contact(0), 1))

    def test_steps(self) -> None:
        """The nearest are asked, several at once, and those whom they name; the last names who it is, who answers."""
        lookup = Lookup(150, SMALL, answer(0, (100, 60, 30)))
        self.assertEqual(lookup.next_contacts(), list(nodes(100, 60, 30)))
        self.assertEqual(lookup.next_contacts(), [])
        lookup.on_reply(answer(100, (140, 130)))
        self.assertEqual(lookup.next_contacts(), [contact(140)])
        lookup.on_reply(answer(60, (140, 110)))
        lookup.on_reply(answer(140, (), (160, 170)))
        self.assertIn(contact(160), lookup.next_contacts())
        lookup.on_reply(answer(160, (140,), (160, 170, 180), 140))
        found = lookup.found
        self.assertEqual((found.holders, found.before, found.hops), (nodes(160, 170, 180), contact(140), 3))

    def test_one_way_is_not_enough(self) -> None:
        """Whom one node alone has led to is asked round first, unless that is not wanted."""
        for is_wary in (True, False):
            lookup = Lookup(150, SMALL, answer(0, (100, 60, 30)), is_wary=is_wary)
            lookup.next_contacts()
            lookup.on_reply(answer(100, (), (151,)))
            self.assertEqual(lookup.next_contacts(), [contact(151)])
            lookup.on_reply(answer(151, (), (151,)))
            self.assertEqual(lookup.is_over, not is_wary)
            if is_wary:
                lookup.on_reply(answer(60, (140, 130)))
                lookup.on_reply(answer(30, (140, 130)))
                self.assertEqual(lookup.next_contacts(), list(nodes(140, 130)))
                lookup.on_reply(answer(140, (), (160, 170)))
                lookup.on_reply(answer(130, (140,), (160, 170)))
                self.assertEqual(lookup.next_contacts(), [contact(160)])
                lookup.on_reply(answer(160, (140,), (160, 170), 140))
                self.assertTrue(lookup.is_over)
                self.assertEqual((lookup.found.holders, lookup.found.is_sure), (nodes(160, 170, 151), True))

    def test_nearer_one(self) -> None:
        """One that has joined just now is found by who comes after it."""
        lookup = Lookup(150, SMALL, answer(0, (140,), (160, 170)))
        lookup.next_contacts()
        lookup.on_reply(answer(160, (), (), 155))
        self.assertEqual(lookup.next_contacts(), list(nodes(155, 140)))
        lookup.on_reply(answer(155, (140,), (155, 160), 140))
        lookup.on_reply(answer(140, (), (160, 170)))
        self.assertTrue(lookup.is_over)
        self.assertEqual(lookup.found.holders, nodes(155, 160, 170))

    def test_no_more_than_needed(self) -> None:
        """While who is named by two ways is asked nobody else is; if it takes long, others are."""
        lookup = Lookup(150, SMALL, answer(0, (140, 130, 120)))
        lookup.next_contacts()
        lookup.on_reply(answer(140, (148,), (160, 170)))
        lookup.on_reply(answer(130, (), (160, 170)))
        lookup.on_late(contact(120))
        self.assertEqual(lookup.next_contacts(), list(nodes(160)))
        lookup.on_late(contact(160))
        self.assertEqual(lookup.next_contacts(), list(nodes(170, 148)))

    def test_side_by_side(self) -> None:
        """Several that stand side by side and are dead are asked in turn as each takes long, not as each fails."""
        lookup = Lookup(150, SMALL, answer(0, (140, 130)))
        lookup.next_contacts()
        for before in (140, 130):
            lookup.on_reply(answer(before, (), (160, 170, 180)))
        for identifier in (160, 170):
            self.assertIn(contact(identifier), lookup.next_contacts())
            lookup.on_late(contact(identifier))
        self.assertIn(contact(180), lookup.next_contacts())
        lookup.on_reply(answer(180, (), (), 170))
        self.assertFalse(lookup.is_over)
        lookup.on_failure(contact(160))
        lookup.on_failure(contact(170))
        while asked := lookup.next_contacts():
            for each in asked:
                lookup.on_failure(each)
        self.assertEqual((lookup.is_over, lookup.found.holders[:1]), (True, nodes(180)))

    def test_overdue_side_by_side(self) -> None:
        """Who has been asked several times is not waited for once another that follows claims the place."""
        lookup = Lookup(150, SMALL, answer(0, (140, 130)))
        lookup.next_contacts()
        for before in (140, 130):
            lookup.on_reply(answer(before, (), (160, 170)))
        lookup.next_contacts()
        lookup.on_late(contact(160))
        lookup.next_contacts()
        lookup.on_reply(answer(170, (140,), (170, 180)))
        lookup.next_contacts()
        self.assertFalse(lookup.is_over)
        lookup.on_overdue(contact(160))
        while asked := lookup.next_contacts():
            for each in asked:
                lookup.on_failure(each)
        self.assertEqual((lookup.is_over, lookup.found.holders[:1]), (True, nodes(170)))

    def test_until_named(self) -> None:
        """Who wants only names asks nobody who is named by two ways, and does not take one that one way names."""
        for by, is_over in ((130, True), (140, False)):
            lookup = Lookup(150, SMALL, answer(0, (140, 130)), until="named")
            self.assertEqual(lookup.next_contacts(), list(nodes(140, 130)))
            lookup.on_reply(answer(140, (), (160, 170)))
            self.assertFalse(lookup.is_over)
            lookup.on_reply(answer(by, (), (160, 170)))
            self.assertEqual(lookup.is_over, is_over)
            self.assertEqual(lookup.found.holders, nodes(160, 170) if is_over else ())

    def test_until_named_denied(self) -> None:
        """Who was named by one way is asked, and not taken if it says that it is not responsible."""
        lookup = Lookup(150, SMALL, answer(0, (140,)), until="named")
        lookup.next_contacts()
        lookup.on_reply(answer(140, (), (160,)))
        self.assertEqual(lookup.next_contacts(), list(nodes(160)))
        lookup.on_reply(answer(160, (), (), 155))
        self.assertFalse(lookup.is_over)
        self.assertEqual(lookup.next_contacts(), list(nodes(155)))

    def test_until_late(self) -> None:
        """Who does not want to wait takes who is responsible when that one takes long, or has said so."""
        for until, is_over in (("late", True), ("answered", False)):
            lookup = Lookup(150, SMALL, answer(0, (), (160, 170)), until=until)  # type: ignore[arg-type]
            lookup.next_contacts()
            self.assertFalse(lookup.is_over)
            lookup.on_late(contact(160))
            self.assertEqual(lookup.is_over, is_over)
            self.assertEqual(lookup.found.holders, nodes(160, 170) if is_over else ())

    def test_dead_holder(self) -> None:
        """When the first is dead, the next is the one."""
        lookup = Lookup(150, SMALL, answer(0, (), (160, 170)))
        self.assertEqual(lookup.next_contacts(), [contact(160)])
        lookup.on_failure(contact(160))
        self.assertEqual(lookup.next_contacts(), [contact(170)])
        lookup.on_reply(answer(170, (), (), 160))
        self.assertTrue(lookup.is_over)
        self.assertEqual(lookup.found.holders, nodes(170))

    def test_nobody(self) -> None:
        """When all are dead, nobody is found."""
        lookup = Lookup(150, SMALL, answer(0, (140, 130), (160,)))
        while not lookup.is_over:
            for each in lookup.next_contacts():
                lookup.on_failure(each)
        found = lookup.found
        self.assertEqual((found.holders, found.hops, found.asked, found.is_sure), ((), 0, 3, False))

    def test_overdue(self) -> None:
        """Who does not answer is not waited for to the end once another claims the place, but by who puts there."""
        for until, is_over in (("answered", True), ("named", True), ("late", False)):
            lookup = Lookup(150, SMALL, answer(0, (140, 130)), until=until)  # type: ignore[arg-type]
            self.assertEqual(lookup.next_contacts(), list(nodes(140, 130)))
            lookup.on_late(contact(130))
            lookup.on_overdue(contact(130))
            lookup.on_reply(answer(140, (), (160, 170)))
            self.assertFalse(lookup.is_over, until)
            self.assertEqual(lookup.next_contacts()[:1], list(nodes(160)))
            lookup.on_reply(answer(160, (140,), (160, 170)))
            while asked := lookup.next_contacts():
                for each in asked:
                    lookup.on_failure(each)
            self.assertEqual(lookup.is_over, is_over, until)
            self.assertEqual((lookup.found.holders[0], lookup.found.is_sure), (contact(160), False))
            lookup.on_failure(contact(130))
            self.assertTrue(lookup.is_over)

    def test_overdue_without_a_claim(self) -> None:
        """As long as nobody claims the place whoever is late is waited for."""
        lookup = Lookup(150, SMALL, answer(0, (140,)))
        lookup.next_contacts()
        lookup.on_late(contact(140))
        lookup.on_overdue(contact(140))
        self.assertEqual(lookup.next_contacts(), [])
        self.assertFalse(lookup.is_over)

    def test_late(self) -> None:
        """One that takes long makes room for others, and may still answer; it is waited for when nobody else knows."""
        lookup = Lookup(150, SMALL, answer(0, (140, 130, 120, 110)), alpha=1)
        self.assertEqual(lookup.next_contacts(), [contact(140)])
        lookup.on_late(contact(140))
        for each in (130, 120, 110):
            self.assertEqual(lookup.next_contacts(), [contact(each)])
            lookup.on_failure(contact(each))
        self.assertEqual((lookup.next_contacts(), lookup.is_over), ([], False))
        lookup.on_reply(answer(140, (), (160,)))
        self.assertEqual(lookup.next_contacts(), [contact(160)])
        lookup.on_late(contact(160))
        lookup.on_failure(contact(160))
        self.assertTrue(lookup.is_over)

    def test_unasked(self) -> None:
        """Who was not asked, or has answered, says nothing."""
        lookup = Lookup(150, SMALL, answer(0, (140, 130, 120, 110)))
        lookup.next_contacts()
        for _ in range(2):
            lookup.on_reply(answer(110, (), (155,)))
            lookup.on_reply(answer(99, (), (155,)))
        lookup.on_reply(answer(140, (), (160,)))
        lookup.on_reply(answer(140, (), (151,)))
        self.assertEqual(lookup.next_contacts(), [contact(160)])

    def test_not_nearer(self) -> None:
        """Those who are named and do not come nearer are not asked."""
        lookup = Lookup(150, SMALL, answer(0, (140, 100)))
        self.assertEqual(lookup.next_contacts(), list(nodes(140, 100)))
        lookup.on_reply(answer(140, (100, 90, 140, 139)))
        lookup.on_reply(answer(100, (99, 150, 155, 0)))
        self.assertEqual((lookup.next_contacts(), lookup.is_over), ([], True))

    def test_disorder(self) -> None:
        """Who is named after the place is taken as far as the list is in order."""
        lookup = Lookup(150, SMALL, answer(0, (140, 130)), is_wary=False)
        lookup.next_contacts()
        lookup.on_reply(answer(140, (), (160, 170, 165, 155)))
        lookup.next_contacts()
        lookup.on_reply(answer(160, (), (160, 170)))
        self.assertEqual(lookup.found.holders, nodes(160, 170))

    def test_so_far(self) -> None:
        """When there are no questions left, who has answered comes before who is only said to be there."""
        lookup = Lookup(150, SMALL, answer(0, (140, 130), (160, 170)), most_asked=1)
        self.assertEqual(lookup.next_contacts(), [contact(160)])
        lookup.on_reply(answer(160, (), (), 155))
        self.assertEqual((lookup.next_contacts(), lookup.is_over), ([], True))
        self.assertEqual((lookup.found.holders, lookup.found.is_sure), (nodes(160, 155, 170), False))

    def test_no_more(self) -> None:
        """The last questions are fewer than could be asked at once."""
        lookup = Lookup(150, SMALL, answer(0, (140, 130, 120, 110, 100)), most_asked=4)
        self.assertEqual(len(lookup.next_contacts()), 3)
        lookup.on_failure(contact(140))
        self.assertEqual(lookup.next_contacts(), [contact(110)])
        lookup.on_failure(contact(130))
        self.assertEqual(lookup.next_contacts(), [])

    def test_bounded(self) -> None:
        """However far it is said to be, there are so many questions and no more."""
        lookup = Lookup(0, USUAL, LookupReply(contact(1), nodes(2, 3, 4)))
        asked = 0
        while not lookup.is_over:
            picked = lookup.next_contacts()
            self.assertLessEqual(len(picked), ALPHA)
            asked += len(picked)
            for each in picked:
                lookup.on_reply(LookupReply(each, nodes(*(each.id + step for step in range(1, 5)))))
        self.assertEqual(asked, MOST_ASKED)


class NetTests(SynchronousTestCase):
    """Searches in whole networks."""

    def test_hops(self) -> None:
        """With fresh tables the right one is found, in fewer steps than half of log2 N and one."""
        for count in (16, 64, 256, 1_000):
            rng = random.Random(count)
            net = Net.of(rng, count)
            hops = 0
            for _ in range(LOOKUPS):
                identifier = rng.randrange(USUAL.size)
                found = net.look_up(rng.choice(net.nodes), identifier)
                self.assertEqual(list(found.holders[:4]), net.holders(identifier, 4))
                self.assertTrue(found.is_sure)
                hops += found.hops
            self.assertLess(2.0 * hops / LOOKUPS, 0.5 * math.log2(count) + 1)

    def test_small(self) -> None:
        """On small rings everybody is found, and all others follow."""
        for count in (1, 2, 3, 5, 9, 10):
            rng = random.Random(count)
            net = Net(rng, rng.sample(range(256), count), SMALL)
            for identifier in range(256):
                found = net.look_up(rng.choice(net.nodes), identifier)
                self.assertEqual(list(found.holders), net.holders(identifier, 8), (count, identifier))

    def test_classroom(self) -> None:
        """Without fingers, and with two successors, a search goes round the whole ring."""
        rng = random.Random(1)
        net = Net(rng, rng.sample(range(256), 40), SMALL, most=2, parts=0)
        for identifier in range(256):
            found = net.look_up(rng.choice(net.nodes), identifier, is_wary=False, most_asked=512)
            self.assertEqual(found.holders[0], net.holder(identifier))

    def test_deaths(self) -> None:
        """Right after 30 % of the nodes have died at once, before any repair, no search fails."""
        rng = random.Random(30)
        net = Net.of(rng, 1_000)
        net.kill(0.3)
        living = net.living()
        for _ in range(LOOKUPS):
            identifier = rng.randrange(USUAL.size)
            self.assertEqual(net.look_up(rng.choice(living), identifier).holders[:1], (net.holder(identifier),))

    def test_whole_lists_dead(self) -> None:
        """Even who comes after eight dead in a row is mostly found."""
        found = 0
        for seed in range(20):
            rng = random.Random(seed)
            net = Net.of(rng, 300)
            start = rng.randrange(300)
            net.dead.update(net.nodes[(start + step) % 300] for step in range(8))
            identifier = net.nodes[(start + rng.randrange(8)) % 300].id
            found += net.look_up(rng.choice(net.living()), identifier).holders[:1] == (net.holder(identifier),)
        self.assertGreaterEqual(found, 19)


def claims_all(liar: Contact) -> Callable[[int], LookupReply]:
    """It is responsible itself, whatever is looked for."""
    return lambda identifier: LookupReply(liar, (), (liar,))


def names_the_dead(liar: Contact) -> Callable[[int], LookupReply]:
    """Those who are responsible are nodes that there are not."""
    return lambda identifier: LookupReply(
        liar, (), tuple(contact((identifier + step) % USUAL.size, "gone") for step in range(8))
    )


class LiarTests(SynchronousTestCase):
    """Nodes that do not tell the truth cost questions, and not more."""

    def right(self, net: Net, most_asked: float, lookups: int = LOOKUPS) -> float:
        """The share of searches by the honest, for what the honest hold, that find it; so many are asked at most."""
        honest = [node for node in net.nodes if node not in net.liars]
        right = asked = 0
        for _ in range(lookups):
            identifier = net.rng.choice(honest).id - net.rng.randrange(2)
            found = net.look_up(net.rng.choice(honest), identifier)
            right += found.holders[:1] == (net.holder(identifier),)
            asked += found.asked
        self.assertLess(asked / lookups, most_asked)
        return right / lookups

    def net(self, liars: int, lie: Callable[[Contact], Callable[[int], LookupReply]], seed: int = 30) -> Net:
        """A network of 300, some of them liars."""
        rng = random.Random(seed)
        net = Net.of(rng, 300)
        net.liars.update((node, lie(node)) for node in rng.sample(net.nodes, liars))
        return net

    def accomplice(self, net: Net, liar: Contact) -> Callable[[int], LookupReply]:
        """One of its own is responsible, and that one says so too."""

        def lie(identifier: int) -> LookupReply:
            other = contact((identifier + 1) % USUAL.size, f"with {liar.id}")
            net.liars[other] = lambda identifier: LookupReply(other, (), (other,))
            return LookupReply(liar, (), (other,))

        return lie

    def led_on(self, net: Net, liar: Contact) -> Callable[[int], LookupReply]:
        """Ever nearer ones of its own are to be asked, who know ever nearer ones."""

        def lie(identifier: int, start: int = liar.id, node: Contact = liar) -> LookupReply:
            far = USUAL.distance(start, identifier)
            others = [contact((identifier - (far >> step)) % USUAL.size, f"with {liar.id}") for step in (4, 3, 2, 1)]
            for other in others:
                net.liars[other] = lambda identifier, other=other: lie(identifier, other.id, other)  # type: ignore[misc]
            return LookupReply(node, tuple(others))

        return lie

    def test_claims_all(self) -> None:
        """Many who claim every place."""
        shares = [self.right(self.net(30, claims_all, seed), 15) for seed in range(4)]
        self.assertGreaterEqual(mean(shares), 0.95)

    def test_names_the_dead(self) -> None:
        """Many who name nodes that there are not."""
        self.assertEqual(self.right(self.net(30, names_the_dead), 20), 1.0)

    def test_accomplices(self) -> None:
        """Many who each name an accomplice of their own."""
        net = self.net(0, claims_all)
        net.liars.update((node, self.accomplice(net, node)) for node in net.rng.sample(net.nodes, 30))
        self.assertGreaterEqual(self.right(net, 20), 0.97)

    def test_led_on(self) -> None:
        """Many who lead on and on."""
        net = self.net(0, claims_all)
        net.liars.update((node, self.led_on(net, node)) for node in net.rng.sample(net.nodes, 30))
        self.assertGreaterEqual(self.right(net, 12), 0.97)

    def test_unwary(self) -> None:
        """That it is wariness which helps is seen without it."""
        net = self.net(0, claims_all)
        net.liars.update((node, self.accomplice(net, node)) for node in net.rng.sample(net.nodes, 30))
        honest = [node for node in net.nodes if node not in net.liars]
        wrong = 0
        for _ in range(LOOKUPS):
            identifier = net.rng.choice(honest).id
            found = net.look_up(net.rng.choice(honest), identifier, is_wary=False, alpha=1)
            wrong += found.holders[:1] != (net.holder(identifier),)
        self.assertGreater(wrong, 0.1 * LOOKUPS)
