"""Members of a ring that keep files: stored, requested, deleted, and there when nodes come and go."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.configured import context_of, typed
from tests.discovery.ring.nets import key_pair
from tests.files.cases import MIB, file_of
from tests.files.download.test_liars import Liar, pieces
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.storage.compared_ranges import COMPARE_S
from twisted_bazaar.discovery.ring.storage.entry import FILES, TOMBSTONE_S, Kept, sign_entry
from twisted_bazaar.errors import StorageError, TransferFailed, UsageError
from twisted_bazaar.files.chunks import CHUNK_BYTES, Manifest
from twisted_bazaar.files.download.resumable_file import ResumableFile
from twisted_bazaar.files.download.source import Source
from twisted_bazaar.files.memory import MemoryContent, manifest_of
from twisted_bazaar.files.messages import Fetch
from twisted_bazaar.files.udp import Transfer
from twisted_bazaar.files.window import Settings
from twisted_bazaar.interfaces import INode
from twisted_bazaar.node.node import Node
from twisted_bazaar.plugin import find_role
from twisted_bazaar.roles.fetching import NotFound
from twisted_bazaar.roles.ring.entries import EntryMemory
from twisted_bazaar.roles.ring_peer import OPTIONS, RingPeer, make_role, read_place
from twisted_bazaar.sim.engine.hosts import Host
from twisted_bazaar.state import StateDirectory
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
        # A node whose power goes leaves its directory, and a process that goes on does not look for it.
        temporary = self.place / "temporary"
        temporary.mkdir()
        self.patch(tempfile, "tempdir", str(temporary))
        self.peers: dict[Node, RingPeer] = {}
        self.made = 0

    def tearDown(self) -> None:
        """Nothing is left."""
        self.network.stop_all()
        self.network.run(15.0)
        self.assertEqual(self.network.left(), [])

    def add(
        self,
        by: Node | None = None,
        machine: Host | None = None,
        make: Callable[..., RingPeer] = RingPeer,
        transfer: Transfer | None = None,
        **options: Any,
    ) -> Node:
        """Start a node, on a machine of its own if no other is said."""
        self.made += 1
        join = None if by is None else Address(*self.network.where(by))
        peer = make(join, **options)
        node = self.network.add_node(
            peer, udp=True, min_links=0, key=key_pair(self.made), host=machine, transfer=transfer
        )
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
            counts = [len(member.stabilization.successors) for member in members]
            most = members[0].settings.successors
            return all(count >= min(most, len(members) - 1) for count in counts) and all(
                member.stabilization.predecessor is not None for member in members
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
        identifier = peer.dht.store.identifier_of_name(name)
        distance = peer.member.ring.distance
        near = sorted(self.network.nodes, key=lambda node: distance(identifier, self.peers[node].member.own.id))
        return near[: peer.dht.replicas + 1]

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

    def test_a_slow_disk(self) -> None:
        """One that is alone, and whose disk takes a minute for a file, still says that it keeps it."""
        [node] = self.ring(1)
        folder = self.peers[node].folder
        adopt = folder.adopt

        async def slowly(part: ResumableFile) -> None:
            await deferLater(node.clock, 60.0)
            await adopt(part)

        self.patch(folder, "adopt", slowly)
        row = self.ask(node, "ring.store", path=self.write("paper", PAPER))
        self.assertEqual((len(row["copies"]), self.keeping(PAPER)), (1, {node}))

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

    def test_twice_at_once(self) -> None:
        """Who asks for a file that is on its way is refused, and what is on its way comes by the name it goes by."""
        nodes = self.ring(7)
        digest = manifest_of(LARGE).digest
        for name in ("paper", "again"):
            self.ask(nodes[0], "ring.store", path=self.write("paper", LARGE), name=name)
        [asking, *_] = [node for node in nodes[1:] if node not in self.keeping(LARGE)]
        peer, folder = self.peers[asking], str(self.place)
        outcome: list[Any] = []
        first = peer.commands["ring.request"]({"name": "paper", "folder": folder, "file": "one"})
        self.assertRaises(UsageError, self.ask, asking, "ring.request", name="again", folder=folder, file="two")
        peer.catalogue.sources(digest).addCallback(outcome.extend)
        self.network.run(1.0)
        self.assertNotEqual(outcome, [])
        self.network.run_until(lambda: first.called, 60.0)
        self.assertEqual(Path(self.successResultOf(first)["path"]).read_bytes(), LARGE)

    def test_asked_again(self) -> None:
        """Who asks again for a file that is on its way to the same place waits with who asked first."""
        nodes = self.ring(7)
        self.ask(nodes[0], "ring.store", path=self.write("paper", LARGE))
        [asking, *_] = [node for node in nodes[1:] if node not in self.keeping(LARGE)]
        wishes = {"name": "paper", "folder": str(self.place), "file": "one"}
        first, again = (self.peers[asking].commands["ring.request"](dict(wishes)) for _ in range(2))
        self.network.run_until(lambda: first.called and again.called, 60.0)
        row = self.successResultOf(first)
        self.assertEqual(row, self.successResultOf(again))
        self.assertEqual((Path(row["path"]).read_bytes(), row["sources"] != {}), (LARGE, True))

    def test_while_it_comes_to_be_kept(self) -> None:
        """Who asks a node for a file that comes there to be kept has a copy of it when it has come."""
        nodes = self.ring(4)
        digest = manifest_of(LARGE).digest
        storing = self.peers[nodes[0]].commands["ring.store"]({"path": self.write("paper", LARGE)})
        keeper = self.peers[nodes[2]]
        self.network.run_until(lambda: keeper.transfers.under_way(), 10.0)
        self.assertEqual((keeper.kept.whole, len(keeper.kept), keeper.kept.has(digest)), (0, 1, False))
        self.assertEqual(self.fetch(nodes[2], "paper"), LARGE)
        self.assertEqual((keeper.kept.whole, keeper.kept.has(digest)), (1, True))
        self.network.run_until(lambda: storing.called, 60.0)
        self.successResultOf(storing)

    def test_let_go_while_it_is_requested(self) -> None:
        """Who has kept a file, and lets go of it just when it is requested there, fetches it from the others."""
        nodes = self.ring(7)
        self.ask(nodes[0], "ring.store", path=self.write("paper", PAPER))
        keeper = next(node for node in self.right_ones("paper") if node != nodes[0])
        (self.peers[keeper].folder.path / manifest_of(PAPER).digest).unlink()
        self.assertEqual(self.fetch(keeper, "paper"), PAPER)

    def test_a_slow_way(self) -> None:
        """A file is stored, and waited for, over a way on which a piece of it is under way for a minute."""
        nodes = self.ring(3, transfer=Transfer(Settings(window=1, mss=35, drop=0.05), comes_first=True))
        row = self.ask(nodes[0], "ring.store", path=self.write("paper", PAPER))
        self.assertEqual((len(row["copies"]), self.keeping(PAPER)), (3, set(nodes)))

    def test_too_long(self) -> None:
        """What is too long, or empty, is refused in words."""
        [node] = self.ring(1)
        for wishes, told in (
            ({"name": "x" * 256, "value": ""}, "name: takes at most 255 characters"),
            ({"name": "", "value": ""}, "name: takes at least 1 character"),
            ({"name": "x", "value": "x" * 1025}, "value: takes at most 1,024 characters"),
        ):
            with self.assertRaises(UsageError) as caught:
                self.ask(node, "ring.put", **wishes)
            self.assertEqual(str(caught.exception), told)

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
        self.assertEqual([each for peer in self.peers.values() if (each := peer.folder.path / digest).exists()], [])

    def test_two_of_one_content(self) -> None:
        """What two have stored under two names stays for the other when one deletes it, and goes with the last."""
        nodes = self.ring(4)
        self.ask(nodes[0], "ring.store", path=self.write("a", PAPER), name="one")
        self.ask(nodes[1], "ring.store", path=self.write("b", PAPER), name="two")
        self.ask(nodes[0], "ring.delete", name="one")
        self.network.run(5.0)
        self.assertEqual(self.keeping(PAPER), set(nodes))
        self.ask(nodes[1], "ring.delete", name="two")
        self.network.run(5.0)
        self.assertEqual(self.keeping(PAPER), set())

    def test_two_names_of_one_owner(self) -> None:
        """What one node has stored under two names it goes on serving until it has deleted both."""
        nodes = self.ring(3)
        digest, offered = manifest_of(PAPER).digest, self.peers[nodes[0]].offered
        path = self.write("a", PAPER)
        for name in ("one", "two"):
            self.ask(nodes[0], "ring.store", path=path, name=name)
        self.ask(nodes[0], "ring.delete", name="one")
        self.assertIn(digest, offered)
        self.ask(nodes[0], "ring.delete", name="two")
        self.assertNotIn(digest, offered)

    def test_replaced_by_another(self) -> None:
        """A name that has another content now keeps the one it had from nothing when that is deleted elsewhere."""
        nodes = self.ring(3)
        first, second = self.write("a", PAPER), self.write("b", LARGE)
        for path, name in ((first, "one"), (first, "two"), (second, "one")):
            self.ask(nodes[0], "ring.store", path=path, name=name)
        self.ask(nodes[0], "ring.delete", name="two")
        offered = self.peers[nodes[0]].offered
        self.assertNotIn(manifest_of(PAPER).digest, offered)
        self.assertIn(manifest_of(LARGE).digest, offered)

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

    def test_comes_back_to_its_owner(self) -> None:
        """Who has stored a file and deleted it since gets it from those that keep it, when it comes to be one."""
        self.ring(6)
        storer = self.others("paper")[0]
        path = self.write("paper", PAPER)
        self.ask(storer, "ring.store", path=path)
        Path(path).unlink()
        for node in [node for node in self.network.nodes if node != storer][:3]:
            self.network.stop(node)
            self.network.run(8.0)
        self.assertEqual(self.keeping(PAPER), set(self.network.nodes))
        self.assertEqual(self.fetch(storer, "paper"), PAPER)

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

    def test_sweeps(self) -> None:
        """A node that keeps nothing on the disk for longer than it runs removes what killed ones left, when it starts,
        and what it had itself when it has gone."""
        temporary = self.place / "temporary"
        left = temporary / "bazaar-ephemeral-left"
        left.mkdir()
        (left / "file").write_bytes(PAPER)
        [node] = self.ring(1)
        self.assertEqual(os.listdir(temporary), [self.peers[node].folder.path.name])
        self.network.stop(node)
        self.network.run(10.0)
        self.assertEqual(os.listdir(temporary), [])

    def test_a_taken_place(self) -> None:
        """A node whose place is taken says so, and its process ends."""
        first = self.add(ring_id=5)
        self.network.run(1.0)
        second = self.add(first, ring_id=5)
        self.network.run(20.0)
        self.assertEqual(self.successResultOf(self.peers[second].finished), 1)
        self.assertFalse(self.peers[second].member.is_member)
        self.assertRaises(UsageError, self.ask, second, "ring.find", name="x")

    def test_a_place_kept_by_another(self) -> None:
        """Of two that came to one place in two rings that become one the other says so too, and its process ends."""
        one, other = self.ring(2)
        machine = self.network.host()
        cut = self.network.network.ways.cut([self.network.host_of(other).name, machine.name])
        self.network.run(20.0)
        twins = [self.add(one, ring_id=5), self.add(other, ring_id=5, machine=machine)]
        self.network.run(20.0)
        self.network.network.ways.heal(cut)
        self.network.run(90.0)
        keeping, going = sorted(twins, key=lambda node: node.key.public)
        self.assertNoResult(self.peers[keeping].finished)
        self.assertEqual(self.successResultOf(self.peers[going].finished), 1)
        [refusal] = self.network.events_of("ring-refused")
        self.assertIn("keeps it; begin anew with another --ring-id", refusal["why"])
        self.network.stop(going)
        self.until_ideal()


class HandoverTests(PeersTestCase):
    """Who leaves hands its files over to those who take them."""

    def among(self, replicas: int, *full: int) -> list[Node]:
        """A ring of six on which a file is at the second and those after it; some have no room for it."""
        nodes: list[Node] = []
        for number in range(6):
            by = nodes[0] if nodes else None
            room = {"keep_bytes": 1_000} if number in full else {}
            nodes.append(self.add(by, ring_id=number << 61, replicas=replicas, **room))
            self.network.run(0.1)
        self.until_ideal()
        self.name = next(each for n in range(1_000) if self.right_ones(each := f"paper{n}")[0] == nodes[1])
        self.ask(nodes[5], "ring.store", path=self.write("paper", PAPER), name=self.name)
        self.assertEqual(self.keeping(PAPER), {nodes[n] for n in range(1, 2 + replicas) if n not in full})
        self.network.crash(nodes[5])
        self.network.run(5.0)
        return nodes

    def test_refused(self) -> None:
        """What the next has no room for goes to the one after it."""
        nodes = self.among(1, 2)
        self.network.stop(nodes[1])
        self.network.run(8.0)
        self.assertEqual(self.keeping(PAPER), {nodes[3]})
        self.assertEqual(self.fetch(nodes[4], self.name), PAPER)

    def test_dead(self) -> None:
        """What the next does not take because it has just died goes to the one after it."""
        nodes = self.among(0)
        self.network.crash(nodes[2])
        self.network.stop(nodes[1])
        self.network.run(25.0)
        self.assertEqual(self.keeping(PAPER), {nodes[3]})
        self.assertEqual(self.fetch(nodes[4], self.name), PAPER)
        self.assertEqual(self.network.events_of("ring-not-handed-over"), [])

    def test_in_place(self) -> None:
        """When it goes, as many have it as are to, though one of them has just died."""
        nodes = self.among(2)
        self.network.crash(nodes[2])
        self.network.stop(nodes[1])
        self.network.run_until(lambda: self.network.events_of("ring-quit"), 30.0)
        self.assertLessEqual({nodes[3], nodes[4]}, self.keeping(PAPER))

    def test_nobody(self) -> None:
        """Where nobody has room that is told, and not waited for."""
        nodes = self.among(0, 0, 2, 3, 4)
        self.network.stop(nodes[1])
        self.network.run(5.0)
        self.assertEqual([each["name"] for each in self.network.events_of("ring-not-handed-over")], [self.name])


class LiarsTests(PeersTestCase):
    """Those that serve what they should not."""

    def spoil(self, node: Node, content: bytes) -> None:
        """Let a node serve something else in place of a file."""
        wrong = bytes([content[0] ^ 1]) + content[1:]
        fake = Manifest(manifest_of(content).digest, len(content), manifest_of(wrong).chunk_digests)
        transfers = self.peers[node].transfers
        right = transfers.content
        transfers.content = (  # type: ignore[method-assign]
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
        peer.offered.offer("paper", content)  # type: ignore[arg-type]
        peer.dht.put(FILES, "paper", digest=manifest_of(PAPER).digest, size=10, file="paper")
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

    def promise(self, liar: Node, *sizes: int) -> list[str]:
        """Have the first node keep files that nobody has, each of an owner of its own; returns what it says."""
        first = self.network.nodes[0]
        outcomes = []
        for number, size in enumerate(sizes):
            key = key_pair(7_000 + number)
            about = Kept(
                space=FILES,
                name=f"none{number}",
                owner=key.public,
                version=1,
                digest=f"{number:064x}",
                size=size,
                file="x",
            )
            sending: Deferred[Any] = self.peers[liar].dht.send(self.contact(first), sign_entry(key, about))
            self.network.run_until(lambda sending=sending: sending.called, 10.0)
            outcomes.append(self.successResultOf(sending).outcome)
        return outcomes

    def contact(self, node: Node) -> Contact:
        """A node, as others know it."""
        own = self.peers[node].member.own
        return Contact(own.id, own.key, self.network.where_datagrams(node), own.port)

    def test_reserved(self) -> None:
        """Made-up owners of one host reserve no more than its share, whoever else stores does so meanwhile, and what
        cannot be fetched has no room after a while."""
        nodes = self.ring(3, keep_bytes=1_000_000)
        self.assertEqual(self.promise(nodes[1], 500_000, 500_000, 1), ["kept", "full", "full"])
        row = self.ask(nodes[2], "ring.store", path=self.write("paper", PAPER))
        self.assertEqual(len(row["copies"]), 3)
        self.network.run(180.0)
        # One more try is on its way at most; nobody serves it, so it has no room either.
        self.assertEqual(self.peers[nodes[0]].kept.size_bytes, len(PAPER))
        self.assertEqual(self.fetch(nodes[1], "paper"), PAPER)

    def test_many_promises(self) -> None:
        """Very many files that nobody has hold up those of others for no more than a moment."""
        nodes = self.ring(3, keep_bytes=1_000_000)
        self.assertEqual(set(self.promise(nodes[1], *[100] * 60)), {"kept"})
        before = self.network.seconds()
        row = self.ask(nodes[2], "ring.store", path=self.write("paper", PAPER))
        self.assertEqual(len(row["copies"]), 3)
        self.assertLess(self.network.seconds() - before, 10.0)


class Mean(RingPeer):
    """A member that says of every file that it has it, and serves none as it should.

    @cvar every_s: after how long each byte of a file goes out; None for never.
    @ivar asked: how often it was asked for one.
    """

    every_s: float | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.asked = 0
        self.contents: dict[str, bytes] = {}
        self.kept.has = lambda digest: True  # type: ignore[method-assign]

    def start(self, node: INode) -> None:
        super().start(node)
        self.openings = {Fetch: self._open}

    def _open(self, fetch: Fetch, address: Address) -> Protocol:
        self.asked += 1
        return _Miser(self.node.clock, self.contents[fetch.digest], self.every_s)


class Trickling(Mean):
    """One that serves a byte a second."""

    every_s = 1.0


class _Miser(Protocol):
    """A connection by which hardly anything comes."""

    transport: Any

    def __init__(self, clock: Any, content: bytes, every_s: float | None) -> None:
        self.heard = b""
        self._liar = Liar(content)
        self._liar.on_want = self._trickle  # type: ignore[method-assign]
        self._clock, self._every_s = clock, every_s
        self._is_over = False

    def connectionMade(self) -> None:
        for answer in self._liar.on_fetch({}):
            self.transport.write(answer)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        self._liar(self, data)  # type: ignore[arg-type] # it has what is wanted of one

    def connectionLost(self, reason: Any = None) -> None:
        self._is_over = True

    def _trickle(self, message: dict[str, Any]) -> list[bytes | None]:
        if self._every_s is not None:
            chunk = message["chunk"] * CHUNK_BYTES
            self._write(pieces(message["chunk"], self._liar.content[chunk : chunk + CHUNK_BYTES]))
        return []

    def _write(self, rest: bytes) -> None:
        if rest and not self._is_over:
            self.transport.write(rest[:1])
            self._clock.callLater(self._every_s, self._write, rest[1:])


class MisersTests(PeersTestCase):
    """Those who say that they have a file, and do not serve it."""

    def among(self, make: type[Mean], count: int) -> tuple[list[Node], list[Mean]]:
        """A ring where, of the four that are to keep a file, so many serve none; returns the nodes, and those."""
        nodes = [self.add(ring_id=0)]
        self.network.run(0.1)
        for number in range(1, 8):
            is_mean = number <= count
            nodes.append(self.add(nodes[0], make=make if is_mean else RingPeer, ring_id=number << 61))
        self.until_ideal()
        names = (f"paper{number}" for number in range(1_000))
        self.name = next(each for each in names if self.right_ones(each) == nodes[1:5])
        misers = [peer for peer in self.peers.values() if isinstance(peer, Mean)]
        for peer in misers:
            peer.contents[manifest_of(PAPER).digest] = PAPER
        return nodes, misers

    def rob(self, make: type[Mean], count: int) -> tuple[Node, list[Mean]]:
        """Store a file with such a ring, and end who has stored it; returns who may ask for it, and those that serve
        none."""
        nodes, misers = self.among(make, count)
        row = self.ask(nodes[6], "ring.store", path=self.write("paper", PAPER), name=self.name)
        self.assertEqual(len(row["copies"]), 4)
        self.network.crash(nodes[6])
        return nodes[0], misers

    def storing(self, node: Node) -> list[Any]:
        """Begin to store a file from somewhere; returns where its outcome will be. All are asked to keep it soon."""
        outcome: list[Any] = []
        wishes = {"path": self.write("paper", PAPER), "name": self.name}
        self.peers[node].commands["ring.store"](wishes).addBoth(outcome.append)
        self.network.run(0.3)
        self.assertEqual(outcome, [])
        return outcome

    def tell(self, by: Node, to: Node) -> None:
        """Let one say to another that all of the file has come to it."""
        self.peers[by].dht.tell_whole(self.peers[to].member.own, manifest_of(PAPER).digest)

    def test_told_again(self) -> None:
        """Who says again and again that it has a file does not end the wait for those to which it has not come."""
        nodes, _ = self.among(Mean, 3)
        outcome = self.storing(nodes[6])
        for _ in range(3):
            for miser in nodes[1:4]:
                self.tell(miser, nodes[6])
            self.network.run(0.1)
        self.assertNotIn(nodes[4], self.keeping(PAPER))
        self.network.run_until(lambda: outcome, 120.0)
        self.assertEqual(len(outcome[0]["copies"]), 4)
        self.assertIn(nodes[4], self.keeping(PAPER))

    def test_told_by_others(self) -> None:
        """Who says that it has a file, and is not to keep it, makes nobody wait longer for a keeper that is gone."""
        nodes, _ = self.among(Mean, 3)
        outcome = self.storing(nodes[6])
        self.network.kill(nodes[4])
        for other in (nodes[0], nodes[5], nodes[7]):
            self.network.run(9.0)
            self.tell(other, nodes[6])
        self.assertEqual(len(outcome[0]["copies"]), 3)

    def test_silent(self) -> None:
        """Where one keeper is honest, the file comes from it, whatever the others say that they have."""
        asker, misers = self.rob(Mean, 3)
        self.assertEqual(self.fetch(asker, self.name), PAPER)
        self.assertTrue(any(peer.asked for peer in misers))

    def test_trickling(self) -> None:
        """So it does where the others serve a byte a second."""
        asker, misers = self.rob(Trickling, 3)
        self.assertEqual(self.fetch(asker, self.name), PAPER)
        self.assertTrue(any(peer.asked for peer in misers))

    def assert_given_up(self, make: type[Mean]) -> None:
        """With a ring of such keepers the request ends, and says why; nothing is left in the folder."""
        asker, _ = self.rob(make, 4)
        failure = self.assertRaises(TransferFailed, self.fetch, asker, self.name)
        self.assertIn("nobody has served it", str(failure))
        [folder] = self.place.glob("fetched-*")
        self.assertEqual([path.name for path in folder.iterdir() if not path.name.startswith(".")], [])

    def test_nobody_else(self) -> None:
        """Where all of them serve nothing, the request ends, and says why."""
        self.assert_given_up(Mean)

    def test_nobody_else_trickling(self) -> None:
        """So it does where all serve a byte a second."""
        self.assert_given_up(Trickling)

    def test_planted_patience(self) -> None:
        """With downloads that are patient with whoever is connected a request goes on and on."""
        asker, _ = self.rob(Mean, 4)
        self.patch(Source, "check", lambda self, now: None)
        folder = str(self.place / "fetched")
        Path(folder).mkdir()
        asking = self.peers[asker].commands["ring.request"]({"name": self.name, "folder": folder})
        self.network.run(600.0)
        self.assertNoResult(asking)
        asking.addErrback(lambda failure: None)


class ClassicTests(PeersTestCase):
    """The ring of the classroom."""

    def test_numbers(self) -> None:
        """A file that is called by a number is with the node at that place or after it, and with its successors."""
        nodes = []
        for ring_id in (2, 60, 120, 200):
            peer = make_role(typed(OPTIONS, "--classic", "--ring-id", str(ring_id)), context_of())
            peer.lifecycle.join = Address(*self.network.where(nodes[0])) if nodes else None
            node = self.network.add_node(peer, udp=True, min_links=0, key=key_pair(ring_id))
            self.peers[node] = peer
            nodes.append(node)
            self.network.run(1.0)
        self.network.run(60.0)
        self.ask(nodes[0], "ring.store", path=self.write("2012.pdf", PAPER), name="2012")
        # 2012 mod 256.
        self.assertEqual(self.peers[nodes[0]].dht.store.identifier_of_name("2012"), 220)
        self.assertEqual(self.keeping(PAPER), {nodes[0], nodes[1], nodes[2]})
        self.assertEqual(self.fetch(nodes[3], "2012"), PAPER)


class OptionsTests(SynchronousTestCase):
    """What can be written on the command line."""

    def made(self, *words: str) -> RingPeer:
        """The role of a command line."""
        return make_role(typed(OPTIONS, *words), context_of())

    def test_nothing_made(self) -> None:
        """A member that does not run yet has made no directory."""
        with tempfile.TemporaryDirectory() as identifier:
            self.patch(tempfile, "tempdir", identifier)
            self.made()
            self.assertEqual(os.listdir(identifier), [])

    def test_nothing_swept(self) -> None:
        """One that is only made has not looked for what killed processes left either."""
        with tempfile.TemporaryDirectory() as identifier:
            self.patch(tempfile, "tempdir", identifier)
            left = Path(identifier) / "bazaar-ephemeral-left"
            left.mkdir()
            self.made()
            self.assertEqual(os.listdir(identifier), [left.name])

    def test_usual(self) -> None:
        """Without options it begins a ring of 64 bits with eight successors and three replicas."""
        peer = self.made()
        self.assertEqual((peer.member.ring.bits, peer.member.settings.successors, peer.dht.replicas), (64, 8, 3))
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
            self.assertRaises(UsageError, make_role, typed(OPTIONS, *words), context_of())

    def test_ranges(self) -> None:
        """A number that cannot be is answered with those that can."""
        for name, text, told in (
            ("bits", "0", "from 3 to 160"),
            ("bits", "1000", "from 3 to 160"),
            ("successors", "0", "from 1 to 32"),
            ("replicas", "-1", "from 0 to 32"),
            ("replicas", "9", "from 0 to 8"),
            ("replicas", "9" * 5000, "from 0 to 32"),
        ):
            with self.assertRaises(UsageError) as caught:
                make_role(typed(OPTIONS, f"--{name}", text), context_of())
            self.assertEqual(str(caught.exception), f"--{name} {text!r}: takes a whole number {told}")

    def test_places(self) -> None:
        """A place is a number, or what a large ring writes; digits that could be both are a number."""
        for text, bits, identifier in (
            ("42", 8, 42),
            ("0x2a", 8, 42),
            ("28e0681f3a249409", 64, 0x28E0681F3A249409),
            ("0x2a", 64, 42),
            ("1234567812345678", 64, 1234567812345678),
            ("0x1234567812345678", 64, 0x1234567812345678),
        ):
            self.assertEqual(read_place(text, bits), identifier, text)
        for text, bits in (
            ("2a", 8),
            ("ff", 4),
            ("28e0681f3a24940", 64),
            ("0x28e0681f3a2494099", 64),
            ("", 64),
            ("-1", 64),
        ):
            self.assertRaises(UsageError, read_place, text, bits)

    def test_found(self) -> None:
        """It comes in by the door of all roles."""
        self.assertIs(find_role("ring_peer").options(), OPTIONS)
