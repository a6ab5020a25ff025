"""The index server: what it answers, whom it believes, and that nobody holds it up."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.configured import context_of, typed
from tests.raw_peer import RawPeer, connect
from twisted_bazaar.discovery.index.client.member import IndexMember
from twisted_bazaar.discovery.index.directory.directory import Counts, Directory
from twisted_bazaar.discovery.index.directory.leases import KEPT_S
from twisted_bazaar.discovery.index.directory.memory import MemoryDirectory
from twisted_bazaar.discovery.index.messages import MOST_IN_UPDATE, FindFiles, Renew, Update
from twisted_bazaar.discovery.index.scheduling.pending import QUESTIONS_AT_ONCE
from twisted_bazaar.errors import LinkClosed, StorageError, UsageError
from twisted_bazaar.interfaces import IRegistrar
from twisted_bazaar.node.node import Node
from twisted_bazaar.roles.index_server import OPTIONS, IndexServer, make_role
from twisted_bazaar.testing import FakeNode, SimulatedNetwork, deliver
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.values.files import FileQuery, FileSource, Page, SharedFile
from twisted_bazaar.wire.error import Error

# The least and the most times for which a dead peer may be named.
DEAD_S: Final = 60.0
BACK_S: Final = 30.0


def digest_of(name: str) -> str:
    """The digest of a file that has its name as content."""
    return hashlib.sha256(name.encode()).hexdigest()


def shared(name: str) -> SharedFile:
    """A file that has its name as content."""
    return SharedFile(name, len(name), digest_of(name))


class ServerTestCase(SynchronousTestCase):
    """A server on a simulated machine."""

    most_a_peer = 1_000

    def setUp(self) -> None:
        """Start it."""
        self.network = SimulatedNetwork()
        self.server = self.start_server()

    def start_server(self) -> Node:
        """Start a server that knows nothing, where the one before was."""
        self.role = IndexServer(MemoryDirectory(Directory(most_a_peer=self.most_a_peer)), verbose=True)
        address = self.network.tracker_address
        if address is None:
            return self.network.add_tracker(self.role)
        return self.network.add_node(
            self.role, host=self.network.host(address.host), port=address.port, max_links=1_000
        )

    def result(self, deferred: Deferred[Any], most_s: float = 10.0) -> Any:
        """What comes of something."""
        results: list[Any] = []
        deferred.addBoth(results.append)
        self.network.run_until(lambda: results, most_s)
        return results[0]


class PlainPeerTests(ServerTestCase):
    """A peer that is played by hand."""

    def join(self, key: int = 1, host: str | None = None, port: int = 4000) -> RawPeer:
        """Greet the server."""
        peer = connect(self.network, self.server, host)
        peer.greet(-1, key=f"{key:064x}", port=port)
        self.network.run(0.05)
        return peer

    def ask(self, peer: RawPeer, type: str, **keys: Any) -> dict[str, Any]:
        """Say something, and hear the answer."""
        peer.received.clear()
        peer.tell(type, id=7, **keys)
        self.network.run(0.05)
        [answer] = peer.received
        self.assertEqual(answer["id"], 7)
        return answer

    def add(self, peer: RawPeer, name: str, **keys: Any) -> dict[str, Any]:
        """Add a file."""
        return self.ask(peer, "addfile", **{"name": name, "size": 3, "digest": digest_of(name), **keys})

    def find(self, peer: RawPeer, **keys: Any) -> list[str]:
        """Ask for files."""
        return [each["name"] for each in self.ask(peer, "findfiles", **keys).get("files", ())]

    def sources(self, peer: RawPeer, name: str) -> list[tuple[str, int]]:
        """Ask where a file is to be had."""
        told = self.ask(peer, "findsources", digest=digest_of(name)).get("sources", ())
        return [(each["host"], each["port"]) for each in told]

    def test_datagrams(self) -> None:
        """Where somebody takes datagrams, as it said when it greeted, is named with what it has."""
        peer, other = (connect(self.network, self.server, host) for host in ("10.7.0.1", "10.7.0.2"))
        peer.greet(-1, key=f"{1:064x}", port=4000, udp=4001)
        other.greet(-1, key=f"{2:064x}", port=4000)
        self.network.run(0.05)
        self.add(peer, "a")
        [source] = self.ask(other, "findsources", digest=digest_of("a"))["sources"]
        self.assertEqual((source["port"], source["udp"]), (4000, 4001))

    def test_interfaces(self) -> None:
        """It hands out numbers, and its operator can ask it things."""
        self.assertTrue(verifyObject(IRegistrar, self.role))
        self.assertEqual(list(self.role.commands), ["status", "members"])

    def test_commands_of_the_paper(self) -> None:
        """Add and remove a file, each acknowledged; search by exact name; list all."""
        peer, other = self.join(1, "10.7.0.1"), self.join(2, "10.7.0.2", 4002)
        answers = [self.add(peer, "tale.txt"), self.add(peer, "song.ogg"), self.add(other, "song.ogg")]
        self.assertEqual([answer["type"] for answer in answers], ["listed"] * 3)
        self.assertEqual(self.find(other, name="song.ogg"), ["song.ogg"])
        self.assertEqual(self.find(other), ["song.ogg", "tale.txt"])
        self.assertEqual(self.sources(other, "tale.txt"), [("10.7.0.1", 4000)])
        self.assertEqual(self.ask(peer, "removefile", name="tale.txt")["type"], "listed")
        self.assertEqual((self.find(other), self.sources(other, "tale.txt")), (["song.ogg"], []))

    def test_does_not_read(self) -> None:
        """Nothing is looked up for who does not read its answers, until it has read them; then all is answered."""
        peer = self.join(1, "10.7.0.1")
        for first in range(0, 1_000, 100):
            files = [
                {"name": f"{'x' * 200} {number}", "size": 3, "digest": digest_of("a")}
                for number in range(first, first + 100)
            ]
            self.ask(peer, "update", base=first, mark=first + 100, add=files)
        asked: list[FileQuery] = []
        find = self.role.directory.find

        def counted(query: FileQuery, asker: Peer) -> Deferred[Page]:
            asked.append(query)
            return find(query, asker)

        self.role.directory.find = counted  # type: ignore[method-assign]
        peer.received.clear()
        peer.transport.pauseProducing()
        for number in range(60):
            peer.tell("findfiles", id=number, most=1_000)
        self.network.run(5)
        self.assertLess(len(asked), 30)
        peer.transport.resumeProducing()
        self.network.run(5)
        self.assertEqual([answer["id"] for answer in peer.received], list(range(60)))

    def test_number(self) -> None:
        """It gives each peer a number, and the same again to who comes back with its key."""
        peer, other = self.join(1), self.join(2)
        numbers = [each.of_type("thisisyou")[0]["id"] for each in (peer, other)]
        self.assertEqual(len(set(numbers)), 2)
        peer.transport.loseConnection()
        self.network.run(1)
        self.assertEqual(self.join(1).of_type("thisisyou")[0]["id"], numbers[0])

    def test_terms(self) -> None:
        """An answer says what one peer may list, and for how long a list is believed."""
        answer = self.ask(self.join(), "renew", load=3)
        self.assertEqual(answer, {"type": "listed", "id": 7, "mark": 0, "most": 1_000, "lease": 45})

    def test_link_gone(self) -> None:
        """A peer whose link closes is in no answer from then on."""
        peer, other = self.join(1, "10.7.0.1"), self.join(2)
        self.add(peer, "a")
        peer.transport.loseConnection()
        self.network.run(0.05)
        self.assertEqual((self.find(other), self.sources(other, "a")), ([], []))

    def test_dies_without_a_word(self) -> None:
        """A peer that dies without a word is out of the answers within a minute; one that renews is not."""
        peer, other, living = self.join(1, "10.7.0.1"), self.join(2), self.join(3, "10.7.0.3")
        for each in (peer, living):
            self.add(each, "a")
        began = self.network.seconds()
        self.network.host("10.7.0.1").pause()
        while self.network.seconds() - began < DEAD_S - 1:
            self.ask(living, "renew")
            self.network.run(5)
        self.assertEqual(self.sources(other, "a"), [("10.7.0.3", 4000)])

    def test_address(self) -> None:
        """A source is named where it says others reach it, or where its connection comes from, or not at all."""
        asker = self.join(9)
        for key, named, port in ((1, None, 4001), (2, "192.0.2.7", 4002), (3, None, 0), (4, "127.0.0.1", 4004)):
            peer = connect(self.network, self.server, f"10.7.0.{key}")
            peer.greet(-1, key=f"{key:064x}", port=port, **({} if named is None else {"host": named}))
            self.network.run(0.05)
            self.add(peer, "a")
        self.assertEqual(sorted(self.sources(asker, "a")), [("10.7.0.1", 4001), ("192.0.2.7", 4002)])

    def test_bad_names(self) -> None:
        """Names that lead elsewhere, or that two people could read differently, are refused and change nothing."""
        peer = self.join()
        for name in ("..", "/etc/passwd", "a/b", "a\\b", "", "x" * 10_000, "a\u202eb", "a\x00b", "e\u0301", "\ud800"):
            peer.received.clear()
            peer.tell("addfile", id=7, name=name, size=1, digest=digest_of("a"))
            self.network.run(7.0)
            told = [(each["type"], each.get("code")) for each in peer.received]
            self.assertEqual(told, [("error", "wtf")], ascii(name))
        self.assertEqual(self.find(peer), [])

    def test_bad_numbers(self) -> None:
        """Sizes, digests and marks that are none are refused."""
        peer = self.join()
        for keys in (
            {"size": -1},
            {"size": 2**53 + 1},
            {"size": "3"},
            {"size": 1.5},
            {"digest": "ab"},
            {"digest": "AB" * 32},
        ):
            peer.received.clear()
            peer.tell("addfile", **{"id": 7, "name": "a", "size": 1, "digest": digest_of("a"), **keys})
            self.network.run(7.0)
            self.assertEqual([each.get("about") for each in peer.received], ["addfile"], keys)
        self.assertEqual(self.find(peer), [])

    def test_only_its_own(self) -> None:
        """Nobody can change another's list: not by its number, nor by its marks."""
        peer, other = self.join(1), self.join(2)
        mark = self.add(peer, "a")["mark"]
        self.ask(other, "removefile", name="a")
        self.ask(other, "update", base=mark, mark=5, remove=["a"])
        self.ask(other, "update", base=0, mark=5)
        self.assertEqual(self.find(peer), ["a"])

    def test_too_many(self) -> None:
        """Who lists more than one peer may is told the number."""
        peer = self.join()
        size = 500
        for first in range(0, self.most_a_peer, size):
            names = [f"{number}" for number in range(first, first + size)]
            add = [{"name": name, "size": 1, "digest": digest_of(name)} for name in names]
            self.ask(peer, "update", base=first, mark=first + size, add=add)
        answer = self.add(peer, "one more")
        self.assertEqual((answer["code"], answer["about"], "1,000" in answer["info"]), ("toomany", "addfile", True))
        self.assertEqual(self.ask(peer, "findfiles", most=1)["total"], 1_000)

    def test_too_many_questions(self) -> None:
        """Who asks without end is told to ask less; others are answered."""
        peer, other = self.join(1), self.join(2)
        peer.received.clear()
        for number in range(QUESTIONS_AT_ONCE + 50):
            peer.tell("findfiles", id=number, name="a")
        self.network.run(0.3)
        self.assertEqual(len(peer.received), QUESTIONS_AT_ONCE + 50)
        self.assertGreater(len([each for each in peer.received if each.get("code") == "busy"]), 10)
        self.assertEqual(self.find(other), [])

    def test_long_pages(self) -> None:
        """A page never is longer than a message may be, however long the names are."""
        peer = self.join()
        rest = '\N{SNOWMAN}"' * 50
        names = [f"{number:03}{rest}" for number in range(400)]
        for first in range(0, 400, 100):
            add = [{"name": name, "size": 2**53, "digest": digest_of(name)} for name in names[first : first + 100]]
            self.ask(peer, "update", base=first, mark=first + 100, add=add)
        found: list[str] = []
        after: dict[str, str] = {}
        while len(found) < 400:
            answer = self.ask(peer, "findfiles", most=1000, **after)
            self.assertEqual(answer["type"], "foundfiles")
            found += [each["name"] for each in answer["files"]]
            after = {"after": answer["next"]} if "next" in answer else {}
        self.assertEqual((found, after), (names, {}))

    def test_no_page(self) -> None:
        """What was no page's end is refused."""
        answer = self.ask(self.join(), "findfiles", after="nonsense")
        self.assertEqual((answer["code"], answer["about"]), ("wtf", "findfiles"))

    def test_carries_nothing_else(self) -> None:
        """What is no business of an index server it does not take."""
        peer = self.join()
        peer.received.clear()
        peer.tell("nodereq")
        peer.tell("search", id=1, item="apple", returnPath=[1])
        self.network.run(0.1)
        self.assertEqual([each["code"] for each in peer.received], ["wtf", "wtf"])

    def test_told(self) -> None:
        """With --verbose it tells who comes and goes; else the log has nothing of what strangers do."""
        told = []
        for verbose in (True, False):
            node, role = FakeNode(id=0), IndexServer(verbose=verbose)
            role.start(node)
            peer = node.link(5)
            role.peer_joined(peer)
            role.peer_left(peer)
            self.successResultOf(role.stop())
            told.append([sentence is None for sentence in node.sentences])
        self.assertEqual(told, [[False, False], [True, True]])


class MembersTests(ServerTestCase):
    """Peers that are nodes."""

    most_a_peer = 5_000

    def add(self, *files: SharedFile, host: str | None = None, **keys: Any) -> tuple[IndexMember, Node]:
        """Start a node that shares some files."""
        member = IndexMember()
        machine = None if host is None else self.network.host(host)
        node = self.network.add_node(member, min_links=0, host=machine, **keys)
        member.publish(files, [])
        return member, node

    def until_told(self, *members: IndexMember) -> None:
        """Wait until the server has all their lists."""
        self.network.run_until(lambda: all(member.is_in_sync for member in members))

    def search(self, member: IndexMember, **query: Any) -> Page:
        """Look for files."""
        page: Page = self.result(member.search(FileQuery(**query)))
        return page

    def sellers(self, member: IndexMember, item: str | None, key: str | None) -> list[Peer]:
        """Who is named for an item, or under a key."""
        named: list[Peer] = []
        self.result(member.sellers(item, key, named.extend))
        return named

    def sources(self, member: IndexMember, name: str) -> Sequence[int]:
        """The ids of those who have a file."""
        sources: Sequence[FileSource] = self.result(member.sources(digest_of(name)))
        return [source.id for source in sources]

    def updates(self) -> list[Update]:
        """What parts of lists were sent since last asked."""
        sent = [message for _, _, message in self.network.traffic if isinstance(message, Update)]
        self.network.traffic.clear()
        return sent

    def test_found(self) -> None:
        """What one shares another finds, with where it is to be had; and nobody is a source of its own."""
        one, node = self.add(shared("a song"), host="10.8.0.1")
        two, _ = self.add(shared("a tale"))
        self.until_told(one, two)
        self.assertEqual([file.name for file in self.search(two, words="a").files], ["a song", "a tale"])
        self.assertEqual((self.sources(two, "a song"), self.sources(one, "a song")), ([node.id], []))

    def test_only_what_has_changed(self) -> None:
        """What has changed is sent, and nothing else, also over a new link; what is lost on the way is sent again."""
        member, node = self.add(*(shared(f"{number}") for number in range(3_000)))
        other, _ = self.add()
        self.until_told(member, other)
        self.assertEqual(sum(len(update.add) for update in self.updates()), 3_000)
        member.publish([shared("new")], ["7"])
        self.until_told(member)
        [update] = self.updates()
        self.assertEqual(([each.name for each in update.add], update.remove), (["new"], ("7",)))
        for end in self.network.host_of(node).transports:
            end.abortConnection()
        # This goes out on a link that is dead already.
        member.publish([shared("newer")], [])
        self.network.run(0.05)
        member.publish([], ["8"])
        self.until_told(member)
        lost, told = self.updates()
        self.assertEqual([each.name for each in lost.add], ["newer"])
        self.assertEqual(([each.name for each in told.add], told.remove), (["newer"], ("8",)))
        self.assertEqual(self.search(other, most=1).total, 3_000)

    def test_long_list(self) -> None:
        """A long list goes in parts that fit, a few at a time, and does not keep others from their answers."""
        other, _ = self.add(shared("other"))
        self.until_told(other)
        member, _ = self.add(*(shared(f"{'x' * 80} {number}") for number in range(5_000)))
        asked = [
            member_waits for _ in range(3) if (member_waits := self.result(other.search(FileQuery(name="other")), 0.5))
        ]
        self.assertEqual([page.total for page in asked], [1, 1, 1])
        self.until_told(member)
        updates = self.updates()
        self.assertLessEqual(max(len(update.add) for update in updates), MOST_IN_UPDATE)
        self.assertEqual(self.search(other, most=1).total, 5_001)

    def test_too_long_a_list(self) -> None:
        """Of a list that is too long as much is listed as may be; when something is removed there is room for more."""
        member, _ = self.add(*(shared(f"{number:05}") for number in range(5_500)))
        other, _ = self.add()
        self.until_told(member, other)
        self.assertEqual(self.search(other, most=1).total, 5_000)
        member.publish([], [f"{number:05}" for number in range(300)])
        self.until_told(member)
        self.assertEqual(self.search(other, most=1).total, 5_000)

    def test_server_back(self) -> None:
        """A server that was killed knows everybody again within half a minute of being back."""
        members = [self.add(shared(f"{number}"))[0] for number in range(5)]
        self.until_told(*members)
        self.network.kill(self.server)
        self.network.run(60)
        waiting = members[0].search(FileQuery())
        members[1].publish([shared("while it was away")], ["1"])
        self.assertIsInstance(self.result(waiting).value, LinkClosed)
        self.server = self.start_server()
        began = self.network.seconds()
        self.network.run_until(lambda: all(member.is_in_sync for member in members), BACK_S)
        self.assertLess(self.network.seconds() - began, BACK_S)
        names = [file.name for file in self.search(members[0]).files]
        self.assertEqual(names, ["0", "2", "3", "4", "while it was away"])

    def test_peer_back(self) -> None:
        """A peer that was restarted with another folder has what is in it now, and nothing from before."""
        member, node = self.add(shared("old"), shared("both"))
        other, _ = self.add()
        self.until_told(member, other)
        self.network.kill(node)
        self.network.run(1)
        self.assertEqual(self.search(other).total, 0)
        again, _ = self.add(shared("new"), shared("both"), key=node.key)
        self.until_told(again)
        self.assertEqual([file.name for file in self.search(other).files], ["both", "new"])

    def test_peer_gone_for_long(self) -> None:
        """The server does not keep the list of who has gone for ever."""
        member, node = self.add(shared("a"), host="10.8.0.1")
        self.until_told(member)
        self.network.crash(node)
        self.network.run(KEPT_S + DEAD_S + 100)
        counts: Counts = self.successResultOf(self.role.directory.counts())
        self.assertEqual((counts.files, counts.entries), (0, 0))

    def test_dead_peer(self) -> None:
        """A peer whose machine has lost its power is out of the answers within a minute."""
        member, node = self.add(shared("a"), host="10.8.0.1")
        other, _ = self.add()
        self.until_told(member, other)
        self.network.crash(node)
        self.network.run(DEAD_S - 2)
        self.assertEqual((self.search(other).total, self.sources(other, "a")), (0, []))

    def test_load(self) -> None:
        """Who serves fewer downloads is named first, a moment after it has said so."""
        pairs = [self.add(shared("a")) for _ in range(3)]
        asker, _ = self.add()
        self.until_told(asker, *(member for member, _ in pairs))
        for (member, _), load in zip(pairs, (5, 1, 3), strict=True):
            member.set_load(load)
        self.network.run(2)
        ids = [node.id for _, node in pairs]
        self.assertEqual(self.sources(asker, "a"), [ids[1], ids[2], ids[0]])

    def test_goods(self) -> None:
        """Who sells something is found by its name and by its seller's key."""
        seller, node = self.add()
        other, _ = self.add()
        seller.publish_goods(["apple", "pear"])
        self.until_told(seller, other)
        for item, key in (("apple", None), (None, node.key.public)):
            self.assertEqual([each.id for each in self.sellers(other, item, key)], [node.id])
        seller.publish_goods(["pear"])
        self.until_told(seller)
        self.assertEqual(self.sellers(other, "apple", None), [])

    def test_nothing_left(self) -> None:
        """When all have stopped there are no timers, ports or connections."""
        self.until_told(self.add(shared("a"))[0])
        self.network.stop_all()
        self.assertEqual(self.network.left(), [])


class _BrokenDirectory(MemoryDirectory):
    """A directory whose database is down."""

    def renew(self, peer: Any, mark: int, load: int) -> Deferred[int]:
        """Fail."""
        return fail(StorageError("secret/host: connection refused"))

    def find(self, query: FileQuery, asker: Any) -> Deferred[Page]:
        """Fail."""
        return fail(StorageError("secret/host: connection refused"))

    def leave(self, peer: Any) -> Deferred[None]:
        """Fail."""
        return fail(StorageError("secret/host: connection refused"))


class FailingDirectoryTests(SynchronousTestCase):
    """A server whose directory cannot be read or written."""

    def test_asked_again(self) -> None:
        """Who asks is told to ask later, and nothing of the database; the server goes on."""
        node, server = FakeNode(id=0), IndexServer(_BrokenDirectory())
        server.start(node)
        server.peer_joined(node.link(5))
        for message in (Renew(id=1), FindFiles(id=2)):
            deliver(server, message, 0, 5)
        errors = [message for message, _ in node.sent if isinstance(message, Error)]
        self.assertEqual([(error.code, error.id) for error in errors], [("notnow", 1), ("notnow", 2)])
        self.assertNotIn("secret", "".join(error.info for error in errors))
        server.peer_left(node.linked[0])
        self.successResultOf(server.stop())

    def test_who_has_left(self) -> None:
        """What comes late, from who has left, is not answered."""
        node, server = FakeNode(id=0), IndexServer()
        server.start(node)
        peer = node.link(5)
        server.peer_joined(peer)
        server.peer_left(peer)
        deliver(server, Renew(id=1), 0, 5)
        self.assertEqual(node.sent, [])
        self.successResultOf(server.stop())


class OperatorTests(ServerTestCase):
    """What its operator can ask."""

    def test_status(self) -> None:
        """How much it knows."""
        member = IndexMember()
        self.network.add_node(member, min_links=0)
        member.publish([shared("a song"), shared("a tale")], [])
        member.publish_goods(["apple"])
        self.network.run_until(lambda: member.is_in_sync)
        self.network.run(1)
        status = self.successResultOf(self.role.commands["status"]({}))
        self.assertEqual(status.pop("role"), "index_server")
        self.assertEqual(status, {"peers": 1, "files": 2, "entries": 3, "goods": 1, "words": 3})


class OptionsTests(SynchronousTestCase):
    """Its command line."""

    def make(self, *words: str) -> IndexServer:
        """Make a server."""
        return make_role(typed(OPTIONS, *words), context_of())

    def test_usual(self) -> None:
        """In memory, 100,000 entries a peer, 45 s."""
        directory = self.make().directory
        self.assertEqual((directory.most_a_peer, directory.lease_s), (100_000, 45.0))

    def test_chosen(self) -> None:
        """What is chosen counts."""
        directory = self.make("--most-files-a-peer", "7", "--lease", "20").directory
        self.assertEqual((directory.most_a_peer, directory.lease_s), (7, 20.0))

    def test_refused(self) -> None:
        """What cannot be is refused in a sentence that names the option."""
        for option, value in (
            ("--most-files-a-peer", "0"),
            ("--most-files-a-peer", "many"),
            ("--list-memory", "0"),
            ("--list-memory", "1.5"),
            ("--lease", "2"),
            ("--lease", "56"),
            ("--lease", "nan"),
            ("--directory", "mysql://somewhere"),
        ):
            error = self.assertRaises(UsageError, self.make, option, value)
            self.assertIn(option, str(error))
