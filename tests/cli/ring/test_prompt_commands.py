"""The prompt of C{bazaar ring}, as it is talked to, by a peer of a simulated classroom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from tests.files.cases import file_of
from tests.roles.test_ring_peer import PeersTestCase
from twisted_bazaar.cli.ring.prompt_commands import RingPrompt
from twisted_bazaar.cli.terminal.prompt import Prompt
from twisted_bazaar.discovery.ring.rules.settings import CLASSIC
from twisted_bazaar.node.node import Node
from twisted_bazaar.roles.ring_peer import RingPeer
from twisted_bazaar.values.addresses import Address

PAPER = file_of(3000)


class TypedPrompt(Prompt):
    """A prompt at which some lines are typed."""

    def __init__(self, lines: list[str | None]) -> None:
        super().__init__("> ")
        self._typed = lines

    async def ask(self) -> str | None:
        """The next of them."""
        return self._typed.pop(0)

    @contextmanager
    def opened(self, reactor: object) -> Iterator[None]:
        """There is no terminal."""
        yield


class RingTalkTests(PeersTestCase):
    """Words are understood, and done."""

    def setUp(self) -> None:
        """Have a ring of three, and a directory for files."""
        super().setUp()
        self.said: list[str] = []
        self.directory = self.place / "files"
        self.directory.mkdir()

    def classroom(self) -> list[Node]:
        """Three peers."""
        nodes = [self.add(ring_id=3, settings=CLASSIC, replicas=2)]
        for number in (60, 230):
            self.network.run(1.0)
            nodes.append(self.add(nodes[0], ring_id=number, settings=CLASSIC, replicas=2))
        self.until_ideal()
        return nodes

    def talk(self, node: Node, *, strict: bool = False) -> RingPrompt:
        """Somebody to talk to."""
        return RingPrompt(self.peers[node], self.directory, self.said.append, node.clock, strict=strict)

    def tell(self, talk: RingPrompt, *lines: str | None) -> int | None:
        """Type some lines; returns the exit status, if the last ends it."""
        status: int | None = None
        for line in lines:
            outcome: list[int | Failure | None] = []
            Deferred.fromCoroutine(talk.run_line(line)).addBoth(outcome.append)
            self.network.run_until(lambda done=outcome: done, 60.0)
            [given] = outcome
            if isinstance(given, Failure):
                given.raiseException()
            assert not isinstance(given, Failure)
            status = given
        return status

    def words(self) -> list[str]:
        """What was said since last asked, without blanks that only align."""
        said, self.said[:] = [" ".join(line.split()) for line in self.said], []
        return said

    def test_never_on_the_ring(self) -> None:
        """A pipe that ends before there was a ring ends with status 1, after it was said why."""
        peer = RingPeer(Address("10.200.0.1", 1))
        node = self.network.add_node(peer, udp=True, min_links=0)
        self.peers[node] = peer
        self.assertEqual(self.tell(self.talk(node, strict=True), None), 1)
        self.assertEqual(self.words(), ["this peer has not come on the ring"])
        self.assertEqual(self.tell(self.talk(node, strict=True), "status", None), 1)
        self.assertIn("is not on the ring yet", self.words()[0])
        self.assertEqual(self.tell(self.talk(node), None), 0)

    def test_store_and_request(self) -> None:
        """A file called by its number is stored and comes to another peer, which says where it is."""
        nodes = self.classroom()
        (self.directory / "2012.pdf").write_bytes(PAPER)
        self.tell(self.talk(nodes[0]), "store 2012")
        [stored] = self.words()
        self.assertRegex(stored, r"^2012 is stored, 2\.93 KiB, digest [0-9a-f]{12}; kept by 3 nodes: 230, 3, 60$")
        self.tell(self.talk(nodes[1]), "request 2012")
        told, path = self.words()
        self.assertIn("2012: 2.93 KiB, it was here already", told)
        self.assertEqual(path, str(self.directory / "received_file_2012_60.pdf"))
        self.assertEqual(Path(path).read_bytes(), PAPER)

    def test_interrupted_request(self) -> None:
        """Ctrl-C stops a request with its download and says what is kept; with nothing under way it says how to end."""
        node = self.classroom()[2]
        talk, operator = self.talk(node), self.peers[node].operator
        row = {"kind": "request", "path": "/tmp/x", "name": "2012", "size": 4096, "bytes": 1024}
        cancelled: list[str] = []
        self.patch(operator, "request", lambda *asked: Deferred())
        self.patch(operator, "transfers", lambda: [{**row, "name": "other"}, {**row, "kind": "store"}, row])
        self.patch(operator, "cancel", lambda path: succeed(cancelled.append(path)))
        talk.on_interrupt()
        [said] = self.words()
        self.assertIn("nothing is under way; quit leaves the ring", said)
        prompt = TypedPrompt(["request 2012", None])
        ended: list[object] = []
        Deferred.fromCoroutine(talk.run(prompt, node.clock)).addBoth(ended.append)
        self.network.run(1.0)
        self.assertEqual((ended, self.words()), ([], []))
        talk.on_interrupt()
        self.network.run(1.0)
        self.assertEqual(self.words(), ["the request of 2012 is stopped: 1.00 KiB of 4.00 KiB are kept"])
        self.assertEqual((cancelled, ended), (["/tmp/x"], [0]))

    def test_store_by_a_name(self) -> None:
        """A file is stored by its own name, or another; blanks in it need no quotes, and may have some."""
        nodes = self.classroom()
        talk = self.talk(nodes[0])
        for name in ("my file.txt", "other.txt"):
            (self.directory / name).write_bytes(name.encode())
        self.tell(talk, "store my file.txt", 'store "other.txt" notes', "find notes", "find my file.txt", "find x")
        told = self.words()
        self.assertTrue(told[0].startswith("my file.txt is stored"), told)
        self.assertTrue(told[1].startswith("notes is stored"), told)
        self.assertTrue(told[2].startswith("other.txt: 9 bytes, 3 copies"), told)
        self.assertTrue(told[3].startswith("my file.txt: 11 bytes"), told)
        self.assertEqual(told[4], "nobody has stored a file as 'x'")

    def test_values(self) -> None:
        """Small texts are put, shown and deleted."""
        nodes = self.classroom()
        self.tell(self.talk(nodes[0]), "put greeting hello there", "put x")
        self.assertEqual(self.words(), ["greeting is kept by 3 nodes", "put what? write put NAME VALUE"])
        self.tell(self.talk(nodes[1]), "get greeting", "delete greeting")
        told = self.words()
        self.assertEqual(told[0], "hello there")
        self.assertIn("only its owner deletes it", told[1])
        self.tell(self.talk(nodes[0]), "delete greeting", "get greeting")
        self.assertEqual(self.words(), ["greeting is deleted", "nobody has put anything there as 'greeting'"])

    def test_list(self) -> None:
        """What was stored and put from a peer is listed, with its copies."""
        nodes = self.classroom()
        talk = self.talk(nodes[0])
        (self.directory / "2012.pdf").write_bytes(PAPER)
        self.tell(talk, "list", "store 2012", "put greeting hello")
        self.assertEqual(self.words()[0], "nothing was stored or put from here")
        self.tell(talk, "list")
        told = ["2012: file, 2.93 KiB, copies: 3 of 3", "greeting: text, 5 bytes, copies: 3 of 3"]
        self.assertEqual(self.words(), told)
        self.tell(self.talk(nodes[1]), "list")
        self.assertEqual(self.words(), ["nothing was stored or put from here"])

    def test_status(self) -> None:
        """It is told where the peer stands, and who pings it."""
        nodes = self.classroom()
        self.network.run(10.0)
        self.tell(self.talk(nodes[0]), "status")
        self.assertEqual(self.words()[:4], ["place 3", "predecessor 230", "pinged by 230, 60", "successors 60, 230"])

    def test_wrong_words(self) -> None:
        """A wrong word gets a hint, and the talk goes on."""
        talk = self.talk(self.add(settings=CLASSIC))
        self.assertIsNone(self.tell(talk, "reqest 1", "frobnicate", "request", "store", "", "# nothing"))
        self.assertEqual(
            self.words(),
            [
                "there is no 'reqest'; did you mean request?",
                "there is no 'frobnicate'; the words are store, request, delete, find, put, get, list, status, help, "
                "die, quit",
                "request what? write request NAME",
                "store what? write store FILE, or store FILE NAME",
            ],
        )

    def test_help(self) -> None:
        """Each word is explained, and can be completed."""
        talk = self.talk(self.add(settings=CLASSIC))
        self.tell(talk, "help")
        words = [line.split()[0] for line in self.words()]
        self.assertEqual(words, [line.strip() for line in talk.completions()])

    def test_not_joined(self) -> None:
        """What needs the ring waits for it, and says so if that takes too long."""
        talk = self.talk(self.add(ring_id=3, settings=CLASSIC))
        self.tell(talk, "find x")
        self.assertEqual(self.words(), ["nobody has stored a file as 'x'"])
        gone = self.add(ring_id=4)
        self.network.run(1.0)
        lonely = self.add(gone, ring_id=5)
        self.network.crash(gone)
        self.tell(self.talk(lonely), "find x")
        self.assertRegex(self.words()[0], "this peer is not on the ring yet")

    def test_end(self) -> None:
        """What went wrong is in the status at the end of a pipe, and not at that of a talk."""
        node = self.add(settings=CLASSIC)
        self.assertEqual(self.tell(self.talk(node), "nothing", "quit"), 0)
        self.assertEqual(self.tell(self.talk(node, strict=True), "nothing", None), 1)
        self.assertEqual(self.tell(self.talk(node, strict=True), "status", "exit"), 0)

    def test_die(self) -> None:
        """A peer that is to die ends at once: it hands nothing over, and tells nobody."""
        nodes = self.classroom()
        talk = self.talk(nodes[0])
        self.assertFalse(talk.is_dead)
        self.assertEqual(self.tell(talk, "die"), 0)
        self.assertTrue(talk.is_dead)
        self.assertEqual(self.words(), ["this peer is dead: it hands nothing over, and the others are not told"])
        self.assertEqual(self.tell(self.talk(nodes[1], strict=True), "nothing", "die"), 1)
