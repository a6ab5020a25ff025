"""Weak peers and plain super peers on simulated machines: who is found, and how long it takes when machines die."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.superpeer.cases import DIGEST, PlainSuperPeer, shared
from twisted_bazaar.discovery.superpeer.leaf.leaf import Leaf
from twisted_bazaar.discovery.superpeer.messages import Other, Query
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.node import Node
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address, Peer
from twisted_bazaar.values.files import FileQuery

# What a weak peer's node has, and a super peer's: who is silent is dead within 8 s.
LIMITS: Final[dict[str, Any]] = {"ping_s": 2.5, "silence_s": 7.5, "min_links": 0, "max_links": 1000}
PORT: Final = 9200


class NetworkTests(SynchronousTestCase):
    """Some super peers that know each other, and weak peers that were given one or two."""

    def setUp(self) -> None:
        """There is nobody."""
        self.network = SimulatedNetwork()
        self.supers: list[tuple[PlainSuperPeer, Node]] = []
        self.keys = 0

    def key(self) -> KeyPair:
        """Another key."""
        self.keys += 1
        return KeyPair.from_seed(bytes([self.keys]) * 32)

    def add_super(self, most: int = 100) -> Address:
        """Start a super peer, which all others name from then on; returns where it is."""
        role = PlainSuperPeer(most)
        node = self.network.add_node(role, port=PORT, key=self.key(), **LIMITS)
        self.supers.append((role, node))
        places = [Other(each.id, self.network.where(each)[0], PORT, 5) for _, each in self.supers]
        for each, its_node in self.supers:
            each.others = tuple(place for place in places if place.id != its_node.id)
        return Address(*self.network.where(node))

    def add_leaf(self, *given: Address, **about: Any) -> tuple[Leaf, Node]:
        """Start a weak peer."""
        leaf = Leaf(given)
        node = self.network.add_node(leaf, key=self.key(), **{**LIMITS, **about})
        return leaf, node

    def result(self, asking: Deferred[Any]) -> Any:
        """What comes of something that takes time."""
        self.network.run_until(lambda: asking.called, 20)
        return self.successResultOf(asking)

    def until_told(self, *leaves: Leaf, moored: int = 2) -> None:
        """Let time pass until all super peers know all."""
        self.network.run_until(lambda: all(leaf.is_in_sync and len(leaf.registered_with) == moored for leaf in leaves))

    def nodes_of(self, leaf: Leaf) -> list[Node]:
        """The super peers that have taken a weak peer."""
        ids = [peer.id for peer in leaf.registered_with]
        return [node for _, node in self.supers if node.id in ids]

    def test_found(self) -> None:
        """What one weak peer has others find: files by words, their sources, goods and their seller."""
        places = [self.add_super() for _ in range(2)]
        leaf, node = self.add_leaf(*places)
        asker, _ = self.add_leaf(*places)
        leaf.publish([shared("a red song")], [])
        leaf.publish_goods(["apple"])
        self.until_told(leaf, asker)
        page = self.result(asker.search(FileQuery(words="red so")))
        self.assertEqual([(file.name, file.sources) for file in page.files], [("a red song", 1)])
        [source] = self.result(asker.sources(DIGEST))
        self.assertEqual(
            (source.id, source.key, source.address), (node.id, node.key.public, Address(*self.network.where(node)))
        )
        named: list[Peer] = []
        self.result(asker.sellers("apple", None, named.extend))
        self.result(asker.sellers(None, node.key.public, named.extend))
        self.assertEqual([peer.id for peer in named], [node.id, node.id])
        for role, _ in self.supers:
            self.assertTrue(role.maybe(node.id, Query(id="a" * 32, words="red song")))
            self.assertFalse(role.maybe(node.id, Query(id="a" * 32, words="blue song")))

    def test_super_peer_dies(self) -> None:
        """When the machine of a super peer loses its power, its weak peers are at another one within 10 s."""
        places = [self.add_super() for _ in range(4)]
        leaf, node = self.add_leaf(*places[:2])
        leaf.publish([shared("song")], [])
        self.until_told(leaf)
        dead, _ = self.nodes_of(leaf)
        self.network.crash(dead)
        began = self.network.seconds()
        self.network.run_until(
            lambda: dead.id not in [peer.id for peer in leaf.registered_with] and len(leaf.registered_with) == 2, 10
        )
        self.until_told(leaf)
        self.assertLess(self.network.seconds() - began, 10)
        holding = [role for role, each in self.supers if node.id in role.leaves and each is not dead]
        self.assertEqual(len(holding), 2)

    def test_both_die(self) -> None:
        """When both super peers die at once, it is at two others within 10 s."""
        places = [self.add_super() for _ in range(5)]
        leaf, _ = self.add_leaf(*places[:2])
        self.until_told(leaf)
        for node in self.nodes_of(leaf):
            self.network.crash(node)
        self.network.run(1)
        self.network.run_until(
            lambda: len(leaf.registered_with) == 2 and all(n in self.network.nodes for n in self.nodes_of(leaf)), 9
        )

    def test_asked_dies(self) -> None:
        """A question to a super peer whose machine dies is answered by the other one."""
        places = [self.add_super() for _ in range(2)]
        leaf, _ = self.add_leaf(*places)
        asker, _ = self.add_leaf(*places)
        leaf.publish([shared("song")], [])
        self.until_told(leaf, asker)
        for role, _ in self.supers:
            role.is_silent = True
        asking = asker.search(FileQuery(words="song"))
        self.network.run(1)
        [dead] = [node for role, node in self.supers if role.queries]
        for role, _ in self.supers:
            role.is_silent = False
        self.network.crash(dead)
        began = self.network.seconds()
        self.assertEqual(self.result(asking).total, 1)
        self.assertLess(self.network.seconds() - began, 9)

    def test_full(self) -> None:
        """Where those that were given are full, those that they name are found."""
        places = [self.add_super(most=3) for _ in range(6)]
        leaves = [self.add_leaf(*places[:2])[0] for _ in range(7)]
        self.until_told(*leaves)
        self.assertEqual(sum(len(role.leaves) for role, _ in self.supers), 14)

    def test_one_only(self) -> None:
        """With one super peer in the world it makes do with that, and takes a second when there is one."""
        first = self.add_super()
        leaf, _ = self.add_leaf(first)
        self.until_told(leaf, moored=1)
        self.network.run(60)
        dials = len([message for _, _, message in self.network.traffic if type(message).__name__ == "Register"])
        self.assertEqual(dials, 1)
        second = self.add_super()
        late, _ = self.add_leaf(second)
        self.until_told(late)

    def test_comes_later(self) -> None:
        """A super peer that starts long after its weak peers is found within 10 s, though it was sought in vain."""
        leaf, _ = self.add_leaf(Address("10.0.0.2", PORT))
        self.network.run(120)
        self.assertEqual(len(self.network.events_of("alone")), 1)
        self.assertEqual(self.network.where(self.network.nodes[0])[0], "10.0.0.1")
        self.add_super()
        self.network.run_until(lambda: leaf.registered_with, 10)
        self.assertEqual(len(self.network.events_of("alone")), 1)

    def test_leaves(self) -> None:
        """One that stops is unregistered, and found no more at once."""
        places = [self.add_super() for _ in range(2)]
        leaf, node = self.add_leaf(*places)
        asker, _ = self.add_leaf(*places)
        leaf.publish([shared("song")], [])
        self.until_told(leaf, asker)
        self.network.stop(node)
        self.network.run(0.1)
        self.assertEqual([role.unregistered for role, _ in self.supers], [[node.id], [node.id]])
        self.assertEqual(self.result(asker.search(FileQuery(words="song"))).total, 0)

    def test_itself(self) -> None:
        """A super peer that is a weak peer of others too does not take itself, whoever names it."""
        places = [self.add_super() for _ in range(2)]
        role, leaf = PlainSuperPeer(), Leaf(places)
        node = self.network.add_node(role, leaf, port=PORT, key=self.key(), **LIMITS)
        own = Other(node.id, *self.network.where(node), 5)
        for each, _ in self.supers:
            each.others = (own,)
        self.network.run(30)
        self.assertEqual((sorted(role.leaves), len(leaf.registered_with)), ([], 2))

    def test_nothing_left(self) -> None:
        """When all have stopped there are no timers, ports or connections."""
        places = [self.add_super() for _ in range(2)]
        leaf, _ = self.add_leaf(*places)
        self.add_leaf(Address("10.9.9.9", PORT))
        self.until_told(leaf)
        self.network.stop_all()
        self.assertEqual(self.network.left(), [])
