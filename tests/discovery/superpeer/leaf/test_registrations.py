"""Whatever super peers do, a weak peer keeps at most two, leaks no link, and has two when two would take it."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from twisted_bazaar.discovery.superpeer.leaf.leaf import Leaf
from twisted_bazaar.discovery.superpeer.leaf.registrations import KEPT, MEET_S
from twisted_bazaar.discovery.superpeer.messages import Other, Register, Registered, Unregister
from twisted_bazaar.errors import LinkClosed, PeerError, Unreachable
from twisted_bazaar.testing import FakeNode, deliver
from twisted_bazaar.values.addresses import Address, Peer
from twisted_bazaar.wire.error import Error

COUNT: Final = 5


class World:
    """Some super peers that the test plays, and a weak peer that was given the first two.

    @ivar mood: what each does when it is met: takes it, is full, says nothing, is gone, or hangs before the link.
    @ivar gone_as: why one that is gone cannot be met.
    """

    def __init__(self) -> None:
        self.node = HangingNode(self)
        self.peers = [
            Peer(10 + number, f"{10 + number:064x}", Address(f"10.0.0.{10 + number}", 9200)) for number in range(COUNT)
        ]
        self.mood = ["take"] * COUNT
        self.gone_as: PeerError = LinkClosed("nobody is there")
        self.registered: set[int] = set()
        self.leaf = Leaf([each.address for each in self.peers[:2]])
        self.leaf.start(self.node)

    def settle(self, seconds: float) -> None:
        """Let time pass, and super peers answer."""
        for _ in range(round(seconds * 4)):
            self.node.clock.advance(0.25)
            self.answer()
            assert len(self.leaf.registered_with) <= KEPT, "it keeps too many"
            assert len({peer.id for peer in self.leaf.registered_with}) == len(self.leaf.registered_with), (
                "it keeps one twice"
            )

    def answer(self) -> None:
        """Let super peers answer what they were told."""
        while self.node.sent:
            sent, self.node.sent = self.node.sent, []
            for message, route in sent:
                if isinstance(message, Unregister):
                    self.registered.discard(route[1])
                if isinstance(message, Register):
                    self.register(message, route[1])
            self.node.clock.advance(0)

    def register(self, message: Register, node_id: int) -> None:
        """Let one answer a registration."""
        mood = self.mood[node_id - 10]
        if mood not in ("take", "full"):
            return
        if mood == "take":
            self.registered.add(node_id)
        deliver(self.leaf, self.word(message.id, mood == "take"), 1, node_id)

    def word(self, number: int, is_taken: bool) -> Registered:
        """What each says: it names all."""
        others = tuple(Other(each.id, each.address.host, each.address.port, 5) for each in self.peers)
        return Registered(id=number, taken=is_taken, most=9, others=others)

    def lose(self, number: int) -> None:
        """Let a link to one go, if there is one."""
        for peer in [peer for peer in self.node.linked if peer.id == 10 + number]:
            self.close(peer)

    def close(self, peer: Peer) -> None:
        """A link is gone, and what was on it."""
        self.node.linked.remove(peer)
        self.node.sent = [(message, route) for message, route in self.node.sent if route[1] != peer.id]
        self.registered.discard(peer.id)
        self.leaf.peer_left(peer)

    def set_mood(self, number: int, mood: str) -> None:
        """Have one do something else from now on; one that is gone has no links."""
        self.mood[number] = mood
        if mood == "gone":
            self.lose(number)

    def turn_away(self, number: int) -> None:
        """Let one say that it takes this node no more, or never did."""
        self.registered.discard(10 + number)
        if any(peer.id == 10 + number for peer in self.node.linked):
            deliver(self.leaf, self.word(0, False), 1, 10 + number)

    def wake(self, number: int) -> None:
        """Let those who hang come after all."""
        waiting, self.node.hanging = self.node.hanging, []
        for peer, answer in waiting:
            self.node.arrive(peer, answer)


class HangingNode(FakeNode):
    """A node whose super peers are as the world says, and which closes what is released."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.hanging: list[tuple[Peer, Deferred[Peer]]] = []

    def hold_link(self, where: Any, holder: Any) -> Deferred[Peer]:
        """Make a link as its mood is."""
        [peer] = [peer for peer in self.world.peers if peer.address == where]
        answer: Deferred[Peer] = Deferred()
        mood = self.world.mood[peer.id - 10]
        if mood == "hang":
            self.hanging.append((peer, answer))
        elif mood == "gone":
            answer.errback(self.world.gone_as)
        else:
            self.arrive(peer, answer)
        return answer

    def arrive(self, peer: Peer, answer: Deferred[Peer]) -> None:
        """A link is made."""
        if peer not in self.linked:
            self.linked.append(peer)
        answer.callback(peer)

    def release_link(self, node_id: int, holder: Any) -> None:
        """Close a link."""
        super().release_link(node_id, holder)
        for peer in [peer for peer in self.linked if peer.id == node_id]:
            self.world.close(peer)


NUMBERS: Final = st.integers(0, COUNT - 1)
STEPS: Final = st.one_of(
    st.tuples(st.just("set_mood"), NUMBERS, st.sampled_from(["take", "full", "silent", "gone", "hang"])),
    st.tuples(st.sampled_from(["lose", "turn_away", "wake"]), NUMBERS),
    st.tuples(st.just("settle"), st.sampled_from([0.25, 1.0, 5.0])),
)


class AnythingTests(SynchronousTestCase):
    """Any series of faults."""

    @examples(100)
    @given(st.lists(STEPS, max_size=30), st.sets(NUMBERS, min_size=2, max_size=COUNT))
    def test_two_in_the_end(self, steps: list[Any], taking: set[int]) -> None:
        """When two or more take it, it is at two soon, registered nowhere else, and no other link is left."""
        world = World()
        # Whoever it meets first names all others.
        world.settle(1)
        for name, *about in steps:
            getattr(world, name)(*about)
        for number in range(COUNT):
            world.set_mood(number, "take" if number in taking else "gone")
        world.wake(0)
        world.settle(100)
        moored = {peer.id for peer in world.leaf.registered_with}
        self.assertEqual(len(moored), KEPT)
        self.assertTrue(moored <= {10 + number for number in taking})
        self.assertEqual((world.registered, {peer.id for peer in world.node.linked}), (moored, moored))
        world.leaf.stop()
        world.answer()
        self.assertEqual((world.registered, world.node.clock.getDelayedCalls()), (set(), []))

    def test_late_link(self) -> None:
        """A link that comes when nobody waits for it any more is released."""
        world = World()
        world.mood = ["hang", "gone", "gone", "gone", "gone"]
        world.settle(MEET_S + 0.5)
        world.wake(0)
        self.assertEqual(world.node.linked, [])
        world.leaf.stop()


class ReasonTests(SynchronousTestCase):
    """Why those that the user gave do not take a weak peer."""

    def setUp(self) -> None:
        """Let both be there."""
        self.world = World()

    def reasons(self, number: int) -> list[tuple[str, str]]:
        """What was reported of one."""
        reports = self.world.node.reports
        return [
            (details["why"], details["reason"])
            for event, details in reports
            if event == "not_moored" and details["given"] == number
        ]

    def test_told_apart(self) -> None:
        """It has no room, or it says nothing; each is reported when it is new, and not at each try."""
        self.world.mood[:] = ["full", "silent", "full", "full", "full"]
        self.world.settle(60)
        self.assertEqual(self.reasons(0), [("full", "it has no room")])
        self.assertEqual(self.reasons(1), [("silent", "nobody has answered within 3 s")])

    def test_no_super_peer(self) -> None:
        """Who does not know what to do with a registration is no super peer; that is not waited for."""
        self.world.mood[:] = ["silent"] * COUNT
        self.world.node.clock.advance(0.1)
        peer = self.world.peers[0]
        deliver(self.world.leaf, Error.telling(PeerError("nobody here takes 'register'"), "register"), 1, peer.id)
        self.assertEqual(self.reasons(0), [("stranger", "nobody here takes 'register'")])
        self.assertIn(peer.id, self.world.node.released)

    def test_alone(self) -> None:
        """Who is taken by none of those that the user gave says which these are, and why they cannot be reached."""
        self.world.mood[:] = ["gone", "full", *["gone"] * (COUNT - 2)]
        self.world.gone_as = Unreachable("{somewhere}", "Connection refused {0}")
        self.world.settle(60)
        [told] = [
            sentence.format(**details)
            for (event, details), sentence in zip(self.world.node.reports, self.world.node.sentences, strict=True)
            if event == "alone" and sentence is not None
        ]
        places = [str(peer.address) for peer in self.world.peers[:2]]
        self.assertEqual(
            told,
            f"no super peer accepts this node ({places[0]}: Connection refused {{0}}, {places[1]}); see that one runs, "
            "and that --super is right; trying again until one does",
        )
