"""Members of a ring that keep files: stored, requested, deleted, and there when nodes come and go."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.ring.nets import key_pair
from tests.files.cases import MIB, file_of
from twisted_bazaar.discovery.ring.entry import FILES, TOMBSTONE_S, Kept, sign_entry
from twisted_bazaar.discovery.ring.replicas import COMPARE_S
from twisted_bazaar.errors import StorageError, UsageError
from twisted_bazaar.files.chunks import Manifest
from twisted_bazaar.files.memory import MemoryContent, manifest_of
from twisted_bazaar.node.node import Node
from twisted_bazaar.plugin import find_role
from twisted_bazaar.roles.fetching import NotFound
from twisted_bazaar.roles.ring_entries import EntryMemory
from twisted_bazaar.roles.ring_peer import Options, RingPeer, make_role, place_of
from twisted_bazaar.state import STATE, StateDirectory
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address

PAPER = file_of(300_000)
LARGE = file_of(2 * MIB + 5)


class PeersTestCase(SynchronousTestCase):
    """Rings of nodes that keep files, on simulated machines with a real disk."""

    def setUp(self) -> None:
        """Have a place for files."""
        self.network = SimulatedNetwork()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.place = Path(directory.name)
        self.peers: dict[Node, RingPeer] = {}
        self.made = 0

    def tearDown(self) -> None:
        """Nothing is left."""
        self.network.stop_all()
        self.network.run(15.0)
        self.assertEqual(self.network.left(), [])

    def add(self, by: Node | None = None, **options: Any) -> Node:
        """Start a node."""
        self.made += 1
        join = None if by is None else Address(*self.network.where(by))
        peer = RingPeer(join, **options)
        node = self.network.add_node(peer, udp=True, min_links=0, key=key_pair(self.made))
        self.peers[node] = peer
        return node

    def ring(self, count: int, **options: Any) -> list[Node]:
        """A ring at rest."""
        nodes = [self.add(**options)]
        self.network.run(0.1)
        for _ in range(count - 1):
            nodes.append(self.add(nodes[0], **options))
        self.until_ideal()
        return nodes

    def until_ideal(self) -> None:
        """Let time pass until all know whom they should."""

        def is_ideal() -> bool:
            members = [self.peers[node].member for node in self.network.nodes]
            if not all(member.is_member for member in members):
                return False
            counts = [len(member.membership.successors) for member in members]
            most = members[0].settings.successors
            return all(count >= min(most, len(members) - 1) for count in counts) and all(
                member.membership.predecessor is not None for member in members
            )

        self.network.run_until(is_ideal if len(self.network.nodes) > 1 else lambda: True, 60.0)
        self.network.run(2.0)

    def write(self, name: str, content: bytes) -> str:
        """A file of somebody."""
        path = self.place / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return str(path)

    def ask(self, node: Node, command: str, **wishes: Any) -> Any:
        """Ask as the operator does."""
        outcome: list[Any] = []
        doing: Deferred[Any] = self.peers[node].commands[command](wishes)
        doing.addBoth(outcome.append)
        self.network.run_until(lambda: outcome, 120.0)
        if isinstance(outcome[0], Failure):
            outcome[0].raiseException()
        return outcome[0]

    def fetch(self, node: Node, name: str, **wishes: Any) -> bytes:
        """Request a file; returns what has come."""
        folder = self.place / f"fetched-{len(list(self.place.iterdir()))}"
        folder.mkdir()
        row = self.ask(node, "ring.request", name=name, folder=str(folder), **wishes)
        return Path(row["path"]).read_bytes()

    def right_ones(self, name: str) -> list[Node]:
        """Those that are to keep what has a name, the one to which it belongs first."""
        peer = self.peers[self.network.nodes[0]]
        place = place_of(peer.member.ring, peer.is_classic, name)
        distance = peer.member.ring.distance
        near = sorted(self.network.nodes, key=lambda node: distance(place, self.peers[node].member.own.id))
        return near[: peer.keeping.replicas + 1]

    def keeping(self, content: bytes) -> set[Node]:
        """Those that keep a file."""
        digest = manifest_of(content).digest
        return {node for node in self.network.nodes if self.peers[node].kept.has(digest)}

    def others(self, name: str) -> list[Node]:
        """Those that are not to keep what has a name."""
        return [node for node in self.network.nodes if node not in self.right_ones(name)]


class FilesTests(PeersTestCase):
    """Files that go round."""

    def test_store_and_request(self) -> None:
        """A stored file is with all that are to keep it, and anybody fetches it, whole, when the one who has stored it
        has gone."""
        nodes = self.ring(7)
        storer = self.others("paper")[0]
        row = self.ask(storer, "ring.store", path=self.write("paper.pdf", PAPER), name="paper")
        self.assertEqual((row["size"], len(row["copies"])), (len(PAPER), 4))
        self.assertEqual(self.keeping(PAPER), set(self.right_ones("paper")))
        self.network.crash(storer)
        for node in nodes:
            if node != storer:
                self.assertEqual(self.fetch(node, "paper"), PAPER)

    def test_sizes(self) -> None:
        """Empty files and those of several chunks go round too."""
        nodes = self.ring(3)
        for name, content in (("empty", b""), ("large", LARGE)):
            self.ask(nodes[0], "ring.store", path=self.write(name, content))
            self.assertEqual(self.fetch(nodes[1], name), content)

    def test_alone(self) -> None:
        """One that is alone keeps its own."""
        [node] = self.ring(1)
        self.ask(node, "ring.store", path=self.write("paper", PAPER))
        self.assertEqual(self.fetch(node, "paper"), PAPER)
        self.assertEqual(self.keeping(PAPER), {node})

    def test_not_there(self) -> None:
        """What nobody has stored is not found, and a file that is not there not stored."""
        nodes = self.ring(2)
        self.assertRaises(NotFound, self.ask, nodes[0], "ring.request", name="nothing")
        self.assertRaises(StorageError, self.ask, nodes[0], "ring.store", path=str(self.place / "nothing"))

    def test_not_over_another(self) -> None:
        """What is there by the same name stays, unless it may be replaced."""
        nodes = self.ring(2)
        self.ask(nodes[0], "ring.store", path=self.write("paper", PAPER))
        self.write("mine/paper", b"mine")
        folder = str(self.place / "mine")
        self.assertRaises(UsageError, self.ask, nodes[1], "ring.request", name="paper", folder=folder)
        self.assertEqual((self.place / "mine/paper").read_bytes(), b"mine")
        self.ask(nodes[1], "ring.request", name="paper", folder=folder, overwrite=True)
        self.assertEqual((self.place / "mine/paper").read_bytes(), PAPER)

    def test_delete(self) -> None:
        """Its owner deletes it, and nobody else: it is not found then, and not kept."""
        nodes = self.ring(4)
        self.ask(nodes[0], "ring.store", path=self.write("paper", PAPER))
        self.assertRaises(UsageError, self.ask, nodes[1], "ring.delete", name="paper")
        self.ask(nodes[0], "ring.delete", name="paper")
        self.assertRaises(NotFound, self.ask, nodes[2], "ring.request", name="paper")
        self.network.run(5.0)
        self.assertEqual(self.keeping(PAPER), set())
        digest = manifest_of(PAPER).digest
        self.assertEqual([each for peer in self.peers.values() if (each := peer.kept.folder / digest).exists()], [])

    def test_two_of_one_name(self) -> None:
        """Files of two owners under one name are both found; one is chosen by its digest."""
        nodes = self.ring(4)
        self.ask(nodes[0], "ring.store", path=self.write("a/paper", PAPER))
        self.ask(nodes[1], "ring.store", path=self.write("b/paper", LARGE))
        rows = self.ask(nodes[2], "ring.find", name="paper")
        self.assertEqual([row["digest"] for row in rows], [manifest_of(LARGE).digest, manifest_of(PAPER).digest])
        self.assertRaises(UsageError, self.ask, nodes[2], "ring.request", name="paper")
        for content in (PAPER, LARGE):
            self.assertEqual(self.fetch(nodes[2], "paper", digest=manifest_of(content).digest[:8]), content)

    def test_values(self) -> None:
        """Small texts go round without any file."""
        nodes = self.ring(3)
        self.ask(nodes[0], "ring.put", name="greeting", value="hello")
        [row] = self.ask(nodes[2], "ring.get", name="greeting")
        self.assertEqual((row["value"], row["owner"]), ("hello", nodes[0].key.public))


class ComingAndGoingTests(PeersTestCase):
    """Nodes come and go."""

    def test_deaths(self) -> None:
        """As many as there are replicas die at once, and it is fetched; soon as many have it as before."""
        self.ring(8)
        storer = self.others("paper")[0]
        self.ask(storer, "ring.store", path=self.write("paper", PAPER))
        self.ask(storer, "ring.delete", name="paper")
        self.ask(storer, "ring.store", path=self.write("paper", LARGE))
        for node in self.right_ones("paper")[:3]:
            self.network.crash(node)
        self.network.crash(storer)
        self.assertEqual(
            self.fetch(self.others("paper")[0] if self.others("paper") else self.network.nodes[0], "paper"), LARGE
        )
        self.network.run_until(lambda: set(self.right_ones("paper")) <= self.keeping(LARGE), 2 * COMPARE_S)

    def test_quits_one_after_another(self) -> None:
        """All but two leave, one after another: it is always there."""
        nodes = self.ring(6)
        self.ask(nodes[0], "ring.store", path=self.write("paper", PAPER))
        for node in nodes[:4]:
            self.network.stop(node)
            self.network.run(8.0)
            self.assertEqual(self.fetch(self.network.nodes[-1], "paper"), PAPER)

    def test_joins(self) -> None:
        """Who comes gets the files that belong to it."""
        nodes = self.ring(2)
        self.ask(nodes[0], "ring.store", path=self.write("paper", PAPER))
        for _ in range(4):
            self.add(nodes[0])
        self.until_ideal()
        self.network.run_until(lambda: set(self.right_ones("paper")) <= self.keeping(PAPER), 2 * COMPARE_S)

    def test_started_again(self) -> None:
        """A node that is started again has what it kept, without fetching it; the ring need not have it."""
        state = StateDirectory(self.place / "state")
        self.addCleanup(state.close)
        node = self.add(state=state)
        self.network.run(1.0)
        self.ask(node, "ring.store", path=self.write("paper", PAPER))
        self.network.run(10.0)
        self.network.stop(node)
        self.network.run(10.0)
        self.made -= 1
        again = self.add(state=state)
        self.network.run(10.0)
        self.assertEqual(self.fetch(again, "paper"), PAPER)

    def test_away_for_too_long(self) -> None:
        """What a node kept that was away for so long that deletions may be forgotten does not come back."""
        state = StateDirectory(self.place / "state")
        self.addCleanup(state.close)
        key = key_pair(1)
        memory = EntryMemory(state)
        entry = sign_entry(key, Kept(space="value", name="x", owner=key.public, version=1))
        memory.keep([(entry, float("inf")), (entry, 60.0)], 1000.0)
        self.assertEqual(memory.recall(1010.0), [[(entry, float("inf")), (entry, 50.0)]])
        self.assertEqual(memory.recall(1000.0 + TOMBSTONE_S), [])
        for rubbish in ("", "x", "1000\nnan", "1000\n1 {}", "1000\n1 " + entry.text[:-1], "\u0661"):
            state.keep("ring-entries", rubbish)
            self.assertEqual(memory.recall(1010.0), [])

    def test_a_taken_place(self) -> None:
        """A node whose place is taken says so, and its process ends."""
        first = self.add(ring_id=5)
        self.network.run(1.0)
        second = self.add(first, ring_id=5)
        self.network.run(20.0)
        self.assertEqual(self.successResultOf(self.peers[second].finished), 1)
        self.assertFalse(self.peers[second].member.is_member)
        self.assertRaises(UsageError, self.ask, second, "ring.find", name="x")


class LiarsTests(PeersTestCase):
    """Those that serve what they should not."""

    def spoil(self, node: Node, content: bytes) -> None:
        """Let a node serve something else in place of a file."""
        wrong = bytes([content[0] ^ 1]) + content[1:]
        fake = Manifest(manifest_of(content).digest, len(content), manifest_of(wrong).chunk_digests)
        peer = self.peers[node]
        right = peer.content
        peer.content = (  # type: ignore[method-assign]
            lambda digest: MemoryContent(fake, wrong) if digest == fake.digest else right(digest)
        )

    def test_wrong_content(self) -> None:
        """All but one of those that keep a file serve another: it costs tries, and the right one comes."""
        self.ring(7)
        storer = self.others("paper")[0]
        self.ask(storer, "ring.store", path=self.write("paper", PAPER))
        for node in self.right_ones("paper")[:3]:
            self.spoil(node, PAPER)
        self.network.crash(storer)
        self.assertEqual(self.fetch(self.others("paper")[0], "paper"), PAPER)

    def test_a_lie_about_the_size(self) -> None:
        """A file that is longer than its owner says is kept by nobody."""
        nodes = self.ring(3)
        peer = self.peers[nodes[0]]
        content = MemoryContent(manifest_of(PAPER), PAPER)
        peer.offered[manifest_of(PAPER).digest] = content  # type: ignore[assignment]
        peer.keeping.put(FILES, "paper", digest=manifest_of(PAPER).digest, size=10, file="paper")
        self.network.run(20.0)
        self.assertEqual(self.keeping(PAPER), set())
        # Another, who says what is right, is not hindered by it.
        self.ask(nodes[1], "ring.store", path=self.write("paper", PAPER))
        self.assertEqual(self.keeping(PAPER), set(nodes))

    def test_no_room(self) -> None:
        """A node keeps no more than it was told, and of one owner no more than half of that."""
        nodes = self.ring(3, keep_bytes=1_000_000)
        self.ask(nodes[0], "ring.store", path=self.write("one", file_of(450_000)))
        with self.assertRaises(Exception) as caught:
            self.ask(nodes[0], "ring.store", path=self.write("two", file_of(100_000)))
        self.assertIn("room", str(caught.exception))
        self.ask(nodes[1], "ring.store", path=self.write("three", file_of(450_001)))
        self.assertEqual([self.peers[node].kept.size_bytes for node in nodes], [900_001] * 3)


class ClassicTests(PeersTestCase):
    """The ring of the classroom."""

    def test_numbers(self) -> None:
        """A file that is called by a number is with the node at that place or after it, and with its successors."""
        options = Options()
        options.parseOptions(["--classic"])
        nodes = []
        for ring_id in (2, 60, 120, 200):
            peer = make_role({**options, "ring-id": str(ring_id)})
            peer._join = Address(*self.network.where(nodes[0])) if nodes else None
            node = self.network.add_node(peer, udp=True, min_links=0, key=key_pair(ring_id))
            self.peers[node] = peer
            nodes.append(node)
            self.network.run(1.0)
        self.network.run(60.0)
        self.ask(nodes[0], "ring.store", path=self.write("2012.pdf", PAPER), name="2012")
        # 2012 mod 256.
        self.assertEqual(place_of(self.peers[nodes[0]].member.ring, True, "2012"), 220)
        self.assertEqual(self.keeping(PAPER), {nodes[0], nodes[1], nodes[2]})
        self.assertEqual(self.fetch(nodes[3], "2012"), PAPER)


class OptionsTests(SynchronousTestCase):
    """What can be written on the command line."""

    def made(self, *words: str) -> RingPeer:
        """The role of a command line."""
        options = Options()
        options.parseOptions(words)
        peer = make_role(options)
        self.addCleanup(peer._borrowed.rmdir if peer._borrowed else None)
        return peer

    def test_usual(self) -> None:
        """Without options it begins a ring of 64 bits with eight successors and three replicas."""
        peer = self.made()
        self.assertEqual((peer.member.ring.bits, peer.member.settings.successors, peer.keeping.replicas), (64, 8, 3))
        self.assertEqual((peer.kept.limit_bytes, peer.is_classic), (1 << 30, False))

    def test_classic(self) -> None:
        """The ring of the classroom has 256 places and two successors."""
        peer = self.made("--classic", "--replicas", "1", "--ring-id", "42")
        self.assertEqual((peer.member.ring.bits, peer.member.settings.successors, peer.is_classic), (8, 2, True))

    def test_refused(self) -> None:
        """What cannot be is refused, with what to write instead."""
        for words in (
            ["--join", "nowhere"],
            ["--bits", "2"],
            ["--bits", "many"],
            ["--ring-id", "-1"],
            ["--classic", "--ring-id", "256"],
            ["--successors", "0"],
            ["--successors", "33"],
            ["--replicas", "9"],
            ["--keep-bytes", "much"],
        ):
            options = Options()
            options.parseOptions(words)
            self.assertRaises(UsageError, make_role, options)

    def test_found(self) -> None:
        """It comes in by the door of all roles."""
        self.assertIs(find_role("ring_peer").options, Options)
        self.assertNotIn(STATE, Options())
