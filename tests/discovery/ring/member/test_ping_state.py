"""Promises of pongs: what has not changed is not said again, and neighbours are known as well as if it were."""

from __future__ import annotations

from functools import partial
from typing import Any

from msgspec.structs import replace

from tests.discovery.ring.member.test_member import RING, MemberTestCase, contact
from tests.discovery.ring.nets import RingTestCase
from twisted_bazaar.discovery.ring.member.member import RingMember
from twisted_bazaar.discovery.ring.member.ping_state import PingState
from twisted_bazaar.discovery.ring.rpc.contact_encoding import ContactEncoder
from twisted_bazaar.discovery.ring.rpc.messages import NO_MARK, RingMessage, RingPing, RingPong
from twisted_bazaar.discovery.ring.rules.actions import NodeState
from twisted_bazaar.values.addresses import Address

MARK = "0123456789ab"


class MarkTests(MemberTestCase):
    """What a mark stands for."""

    def pong(self, standing: NodeState, known: str = NO_MARK) -> Any:
        """What the one at 100 answers, standing so."""
        make = PingState(ContactEncoder(standing.node, RING)).pong(standing, known)
        return make(source="64", destination="1", stamp=1, origin=ContactEncoder(standing.node, RING).own_card)

    def test_another_for_each(self) -> None:
        """Those who stand in another way have another mark, whatever it is that differs; the same have the same."""
        own, before, after = contact(100), contact(50), (contact(150), contact(200))
        moved = replace(contact(150), address=Address("10.0.9.9", 9_100))
        standings = [
            NodeState(own),
            NodeState(own, before),
            NodeState(own, None, (before,)),
            NodeState(own, before, after),
            NodeState(own, before, after[::-1]),
            NodeState(own, before, after[:1]),
            NodeState(own, before, (moved, after[1])),
        ]
        marks = [self.pong(standing).mark for standing in standings]
        self.assertEqual(len(set(marks)), len(marks))
        self.assertEqual([self.pong(standing).mark for standing in standings], marks)

    def test_same(self) -> None:
        """Who shows the mark is told nothing else; who shows another, or none, is told all of it."""
        standing = NodeState(contact(100), contact(50), (contact(150),))
        whole = self.pong(standing)
        short = self.pong(standing, whole.mark)
        self.assertEqual((whole.same, len(whole.successors)), (False, 1))
        self.assertEqual((short.same, short.predecessor, short.successors), (True, None, ()))
        self.assertEqual(self.pong(standing, MARK), whole)

    def test_no_member(self) -> None:
        """Who is no member says so each time."""
        pong = self.pong(NodeState(contact(100), is_member=False))
        self.assertEqual((pong.mark, pong.same, pong.member), (NO_MARK, False, False))


class AnsweringTests(MemberTestCase):
    """A member that is asked over and over."""

    def test_until_it_changes(self) -> None:
        """It says how it stands, then that all is as before, and all of it again when a neighbour has come."""
        self.begin()
        self.say(contact(50), RingPing)
        self.pong(contact(50), contact(150), before=contact(150))
        self.live(contact(50), contact(150), seconds=3.0)
        self.node.datagrams.clear()
        self.say(contact(50), RingPing)
        [whole] = self.said(contact(50), RingPong)
        self.say(contact(50), partial(RingPing, mark=whole.mark))
        [short] = self.said(contact(50), RingPong)
        self.assertEqual((short.same, short.successors), (True, ()))
        self.live(contact(50), contact(120), contact(150), seconds=3.0)
        self.node.datagrams.clear()
        self.say(contact(50), partial(RingPing, mark=whole.mark))
        [changed] = self.said(contact(50), RingPong)
        self.assertEqual((changed.same, [card.udp for card in changed.successors][:1]), (False, [9_100]))
        self.assertNotEqual(changed.mark, whole.mark)


class AskingTests(MemberTestCase):
    """A member that asks over and over; it is at 100, after it come those at 150 and 200."""

    def setUp(self) -> None:
        """Be on the ring, and know both."""
        super().setUp()
        self.begin()
        self.say(contact(50), RingPing)
        self.pong(contact(50), contact(150), before=contact(200))
        self.live(contact(50), contact(150), contact(200), seconds=3.0)
        self.node.datagrams.clear()

    def asked(self) -> RingPing:
        """The next question to the one at 150; the others answer theirs."""
        for _ in range(40):
            self.node.clock.advance(0.05)
            for identifier, following in ((50, (150, 200)), (200, (50, 150))):
                self.pong(contact(identifier), *map(contact, following))
            self.say(contact(50), RingPing)
            for question in self.said(contact(150), RingPing):
                return question
        raise AssertionError("it is not asked")

    def answer(self, question: RingPing, **said: Any) -> None:
        """The one at 150 answers."""
        self.say(contact(150), partial(RingPong, bits=8, **said), question.source, question.stamp)

    def whole(self, question: RingPing, *successors: int, mark: str = MARK) -> None:
        """It says all of it."""
        cards = ContactEncoder(contact(150), RING)
        after = cards.write_all(map(contact, successors))
        self.answer(question, predecessor=cards.write(contact(100)), successors=after, mark=mark)

    def test_mark_is_shown(self) -> None:
        """The mark of what was said last is shown, and that of nothing if nothing was said with one."""
        question = self.asked()
        self.assertEqual(question.mark, NO_MARK)
        self.whole(question, 200, 50)
        question = self.asked()
        self.assertEqual(question.mark, MARK)
        self.whole(question, 200, 50, mark="1")
        question = self.asked()
        self.assertEqual(question.mark, "1")
        self.whole(question, 200, 50, mark=NO_MARK)
        self.assertEqual(self.asked().mark, NO_MARK)

    def test_same_is_as_if_said_again(self) -> None:
        """What is as before counts as what was said: a successor forgotten meanwhile is taken from it again."""
        self.whole(self.asked(), 200, 50)
        self.answer(self.asked(), same=True)
        self.assertEqual(self.neighbours(), (50, [150, 200, 50]))
        question = self.asked()
        self.member.stabilization.successors = (contact(150),)
        self.answer(question, same=True)
        self.assertEqual(self.neighbours(), (50, [150, 200, 50]))

    def test_same_to_no_mark(self) -> None:
        """Who says so to one that has shown no mark has not answered."""
        self.answer(self.asked(), same=True)
        self.assertEqual(self.neighbours(), (50, [200, 50]))

    def test_kept_of_neighbours_only(self) -> None:
        """What was said by who is no neighbour any more is forgotten."""
        self.whole(self.asked(), 200, 50)
        question = self.asked()
        self.assertEqual(question.mark, MARK)
        # It dies, and comes back.
        for _ in range(80):
            self.asked_others()
        self.assertNotIn(150, self.neighbours()[1])
        self.say(contact(150), RingPing)
        self.assertEqual(self.asked().mark, NO_MARK)

    def asked_others(self) -> None:
        """A moment in which the one at 150 is mute."""
        self.node.clock.advance(0.05)
        for identifier, following in ((50, (200,)), (200, (50,))):
            self.pong(contact(identifier), *map(contact, following))
        self.say(contact(50), RingPing)
        self.said(contact(150))


class Listener(RingMember):
    """A member that notes the pongs that come to it.

    @ivar came: those.
    """

    def __init__(self) -> None:
        super().__init__()
        self.came: list[RingPong] = []
        for kind in (RingPing, RingPong):
            self.datagrams[kind] = partial(self.hear, self.datagrams[kind])

    def hear(self, take: Any, message: RingMessage, address: Address, key: str | None) -> None:
        """Take a message."""
        if isinstance(message, RingPong):
            self.came.append(message)
        take(message, address, key)


class Plain(Listener):
    """One that knows nothing of marks."""

    def hear(self, take: Any, message: Any, address: Address, key: str | None) -> None:
        """Take a message as it was before there were any."""
        super().hear(take, message.evolve(mark=NO_MARK), address, key)


class RingOfBothTests(RingTestCase):
    """Members that know of marks, and members that do not."""

    def tearDown(self) -> None:
        """Stop all."""
        self.network.stop_all()

    def test_plain(self) -> None:
        """They make one ring, and heal it when some die; who knows nothing of marks is told all of it each time."""
        plain = Plain()
        nodes = [self.add(member=plain)]
        self.network.run(0.1)
        nodes += [self.add(nodes[0], member=RingMember() if number % 2 else Plain()) for number in range(11)]
        self.until_joined(nodes)
        self.until_ideal()
        for node in (nodes[3], nodes[4], nodes[8]):
            self.network.crash(node)
        self.until_ideal()
        self.assertGreater(len(plain.came), 1)
        self.assertFalse(any(pong.same for pong in plain.came))

    def test_at_rest(self) -> None:
        """On a ring at rest nothing is said twice."""
        listener = Listener()
        nodes = [self.add(member=listener)]
        self.network.run(0.1)
        nodes += [self.add(nodes[0]) for _ in range(5)]
        self.until_joined(nodes)
        self.until_ideal()
        self.network.run(2.0)
        listener.came.clear()
        self.network.run(5.0)
        self.assertGreater(len(listener.came), 5)
        self.assertTrue(all(pong.same for pong in listener.came))
