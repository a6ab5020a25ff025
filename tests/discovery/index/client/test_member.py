"""Promises of a peer of an index server: leases, lists that come to agree whatever is lost, and questions."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests import examples
from twisted_bazaar.discovery.index.client.member import ANSWER_S, IndexMember
from twisted_bazaar.discovery.index.directory.directory import LEASE_S, MOST_A_PEER, Directory
from twisted_bazaar.discovery.index.messages import (
    Busy,
    FindFiles,
    FindSellers,
    FindSources,
    FoundFiles,
    FoundSellers,
    FoundSources,
    Hit,
    Listed,
    Renew,
    Seller,
    Source,
    TooMany,
    Update,
)
from twisted_bazaar.errors import LinkClosed, NotNow, PeerError
from twisted_bazaar.interfaces import ICatalogue, IRole
from twisted_bazaar.testing import FakeNode, deliver
from twisted_bazaar.values.addresses import Address, Peer
from twisted_bazaar.values.files import FileQuery, FileSource, FoundFile, Page, SharedFile
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import TRACKER_ID, Message

DIGEST: Final = "ab" * 32


def shared(name: str, size: int = 1, is_whole: bool = True) -> SharedFile:
    """A file that is shared."""
    return SharedFile(name, size, DIGEST, is_whole)


class MemberTestCase(SynchronousTestCase):
    """A member whose server is played by hand."""

    def setUp(self) -> None:
        """Start one whose server is not there."""
        self.node = FakeNode(id=1)
        self.member = IndexMember()
        self.member.start(self.node)
        self.addCleanup(self.member.stop)

    def join(self) -> None:
        """Link it to its server."""
        self.node.link(TRACKER_ID)
        self.member.tracker_joined()

    def part(self) -> None:
        """Take its link away."""
        self.node.linked.clear()
        self.member.tracker_left()

    def said(self, *kinds: type[Message]) -> list[Any]:
        """What it has said since last asked: messages of some kinds, or all."""
        sent, self.node.sent = self.node.sent, []
        return [message for message, _ in sent if not kinds or type(message) in kinds]

    def only(self, kind: type[Message]) -> Any:
        """The one message of a kind that it has said."""
        [message] = self.said(kind)
        return message

    def answer(self, message: Message) -> None:
        """Let the server say something."""
        deliver(self.member, message, 1, TRACKER_ID)

    def has(self, asked: Any, mark: int, most: int = MOST_A_PEER, lease: int = 45) -> None:
        """Let the server answer what it has."""
        self.answer(Listed(id=asked.id, mark=mark, most=most, lease=lease))

    def take(self, *updates: Update) -> None:
        """Let the server take parts."""
        for update in updates:
            self.has(update, update.mark)

    def begin(self) -> None:
        """Link it to a server that knows nothing of it."""
        self.join()
        self.has(self.only(Renew), 0)


class ListTests(MemberTestCase):
    """What it lets others find."""

    def test_stranger(self) -> None:
        """A tracker knows no lists: questions are refused at once, and nothing more is said to it; a server is."""
        self.join()
        waiting = self.member.search(FileQuery())
        renew = self.only(Renew)
        self.answer(Error.telling(PeerError("nobody here takes 'renew'"), renew))
        self.failureResultOf(waiting, LinkClosed)
        self.failureResultOf(self.member.search(FileQuery()), LinkClosed)
        self.node.clock.pump([1] * 60)
        self.assertEqual((self.said(), self.member.is_with_stranger), ([], True))
        self.part()
        self.join()
        self.answer(Error.telling(NotNow("later"), self.only(Renew)))
        self.assertFalse(self.member.is_with_stranger)

    def test_interfaces(self) -> None:
        """It is a role and a catalogue."""
        verifyObject(IRole, self.member)
        verifyObject(ICatalogue, self.member)

    def test_told_when_linked(self) -> None:
        """What was published before there was a link is told when there is one, and the server has said what it has."""
        self.member.publish([shared("a")], [])
        self.member.publish_goods(["apple"])
        self.join()
        renewal = self.only(Renew)
        self.assertEqual(renewal.mark, 0)
        self.assertFalse(self.member.is_in_sync)
        self.has(renewal, 0)
        update = self.only(Update)
        self.assertEqual(([file.name for file in update.add], update.offer), (["a"], ("apple",)))
        self.take(update)
        self.assertTrue(self.member.is_in_sync)

    def test_few_under_way(self) -> None:
        """Of a long list a few parts are under way, and the next goes when one is answered."""
        self.begin()
        self.member.publish([shared(f"{number:05}") for number in range(5000)], [])
        parts = self.said(Update)
        self.assertEqual(len(parts), 4)
        self.take(parts[0])
        self.assertEqual(len(self.said(Update)), 1)

    def test_differences(self) -> None:
        """Later only changes are told."""
        self.begin()
        self.member.publish([shared(f"{number}") for number in range(100)], [])
        self.take(self.only(Update))
        self.member.publish([shared("7", 2)], ["8"])
        update = self.only(Update)
        self.assertEqual(([(file.name, file.size) for file in update.add], update.remove), ([("7", 2)], ("8",)))

    def test_renewed(self) -> None:
        """Its list is renewed three times in a lease, however long the server says that is."""
        for lease, each in ((45, 15), (6, 2), (0, 1), (2**53, 20)):
            self.begin()
            self.node.clock.pump([1] * 20)
            self.has(self.said(Renew)[-1], 0, lease=lease)
            times = []
            for _ in range(400):
                self.node.clock.advance(0.25)
                times += [self.node.clock.seconds() for _ in self.said(Renew)]
            gaps = {after - before for before, after in pairwise(times[1:])}
            self.assertEqual(gaps, {each})
            self.part()

    def test_renewed_though_not_answered(self) -> None:
        """A question without an answer is asked again."""
        self.join()
        self.only(Renew)
        self.node.clock.advance(15)
        self.has(self.only(Renew), 0)
        self.member.publish([shared("a")], [])
        self.only(Update)

    def test_link_lost(self) -> None:
        """Over a new link it says which list is meant, and tells only what the server has not got."""
        self.begin()
        self.member.publish([shared("a")], [])
        first = self.only(Update)
        self.take(first)
        self.member.publish([shared("b")], [])
        self.only(Update)
        self.part()
        self.node.clock.advance(100)
        self.assertEqual(self.said(), [])
        self.join()
        renewal = self.only(Renew)
        self.assertEqual(renewal.mark, first.mark)
        self.has(renewal, first.mark)
        again = self.only(Update)
        self.assertEqual((again.base, [file.name for file in again.add]), (first.mark, ["b"]))

    def test_more_than_known(self) -> None:
        """A list that the server had taken before the link was lost is meant too."""
        self.begin()
        self.member.publish([shared("a")], [])
        update = self.only(Update)
        self.part()
        self.join()
        self.has(self.only(Renew), update.mark)
        self.assertEqual(self.only(Renew).mark, update.mark)

    def test_forgotten(self) -> None:
        """A server that has lost its memory is told everything, as soon as it says so."""
        self.begin()
        self.member.publish([shared("a")], [])
        self.take(self.only(Update))
        self.node.clock.advance(15)
        self.has(self.only(Renew), 0)
        update = self.only(Update)
        self.assertEqual((update.base, len(update.add)), (0, 1))

    def test_refused(self) -> None:
        """A list that is refused is not told over and over, but again with the next renewal; and the user is told."""
        self.begin()
        self.member.publish([shared("a")], [])
        for fault in (TooMany("no room"), NotNow("not now")):
            self.answer(Error.telling(fault, self.only(Update)))
            self.assertEqual(self.said(), [])
            self.member.publish([shared("b")], [])
            self.node.clock.advance(14.9)
            self.assertEqual(self.said(), [])
            self.node.clock.advance(0.1)
            self.has(self.only(Renew), 0)
        self.take(self.only(Update))
        self.assertTrue(self.member.is_in_sync)

    def test_renewal_refused(self) -> None:
        """A server that cannot look into its directory is asked again with the next renewal."""
        self.join()
        self.member.publish([shared("a")], [])
        self.answer(Error.telling(NotNow("not now"), self.only(Renew)))
        self.node.clock.advance(15)
        self.has(self.only(Renew), 0)
        self.only(Update)

    def test_no_storm(self) -> None:
        """A server that has something else than four parts under way build on causes one new list, not ever more."""
        self.begin()
        self.member.publish([shared(f"{number:05}") for number in range(5000)], [])
        parts = self.said(Update)
        self.node.clock.advance(15)
        renewal = self.only(Renew)
        for asked in (*parts, renewal):
            self.has(asked, 4711)
        self.assertEqual([update.base == 0 for update in self.said(Update)], [True, False, False, False])

    def test_never_answered(self) -> None:
        """A part that was lost without a word is told again after the next renewal."""
        self.begin()
        self.member.publish([shared("a")], [])
        self.only(Update)
        self.node.clock.advance(15)
        self.has(self.only(Renew), 0)
        self.only(Update)

    def test_load(self) -> None:
        """A load that changes is told at once, but not more than once a second."""
        self.begin()
        self.node.clock.advance(2)
        self.member.set_load(1)
        self.node.clock.advance(0)
        self.assertEqual(self.only(Renew).load, 1)
        for load in (2, 3, 4):
            self.member.set_load(load)
            self.node.clock.advance(0.25)
        self.assertEqual(self.said(), [])
        self.node.clock.advance(0.25)
        self.assertEqual(self.only(Renew).load, 4)
        self.member.set_load(4)
        self.node.clock.advance(5)
        self.assertEqual(self.said(), [])

    def test_load_before_link(self) -> None:
        """A load from before there was a link is told with the first word."""
        self.member.set_load(3)
        self.join()
        self.assertEqual(self.only(Renew).load, 3)

    def test_others_do_not_speak_for_the_server(self) -> None:
        """Answers from anybody else are nothing."""
        self.begin()
        self.member.publish([shared("a")], [])
        update = self.only(Update)
        deliver(self.member, Listed(id=update.id, mark=4711, most=5, lease=45), 1, 7)
        deliver(self.member, Error.telling(TooMany("no"), update), 1, 7)
        self.assertEqual(self.said(), [])
        self.take(update)
        self.assertTrue(self.member.is_in_sync)

    def test_stop(self) -> None:
        """When it is stopped nothing is left."""
        self.begin()
        self.member.set_load(1)
        asking = self.member.search(FileQuery(name="a"))
        self.member.stop()
        self.failureResultOf(asking, LinkClosed)
        self.failureResultOf(self.member.search(FileQuery(name="a")), LinkClosed)
        self.assertEqual(self.node.clock.getDelayedCalls(), [])


class QuestionTests(MemberTestCase):
    """What it asks."""

    def test_search(self) -> None:
        """A question has every part of the query, and its answer becomes a page."""
        self.begin()
        asking = self.member.search(FileQuery("a", "b", DIGEST, "c", 7))
        asked = self.only(FindFiles)
        self.assertEqual((asked.name, asked.words, asked.digest, asked.after, asked.most), ("a", "b", DIGEST, "c", 7))
        self.assertIsNone(asked.owner)
        hit = Hit(name="a", size=1, digest=DIGEST, sources=2, partial=3)
        self.answer(FoundFiles(id=asked.id, files=(hit,), total=9, next="d"))
        self.assertEqual(self.successResultOf(asking), Page([FoundFile("a", 1, DIGEST, 2, 3)], 9, "d"))

    def test_beginning(self) -> None:
        """The beginning of a digest is asked for as it is, and so is the node of which files are meant."""
        self.begin()
        self.member.search(FileQuery(digest=DIGEST[:12], owner="7")).addErrback(lambda _: None)
        asked = self.only(FindFiles)
        self.assertEqual((asked.digest, asked.owner), (DIGEST[:12], "7"))

    def test_impossible(self) -> None:
        """What no file can be is not asked: the answer is that there is none."""
        self.begin()
        queries = [FileQuery(name=""), FileQuery(words=""), FileQuery(name="x" * 10_000), FileQuery(words="x" * 10_000)]
        queries += [
            FileQuery(digest=DIGEST[:11]),
            FileQuery(owner=""),
            FileQuery(owner="node"),
            FileQuery(owner="1" * 65),
        ]
        for query in (*queries, FileQuery(digest="xyz"), FileQuery(digest="")):
            self.assertEqual(self.successResultOf(self.member.search(query)), Page((), 0))
        self.assertEqual(list(self.successResultOf(self.member.sources("../x"))), [])
        self.assertEqual(self.said(), [])

    def test_most(self) -> None:
        """However many are wanted, the question stays within what a server takes."""
        self.begin()
        for most, asked in ((0, 1), (-5, 1), (10**9, 1000)):
            self.member.search(FileQuery(most=most)).addErrback(lambda _: None)
            self.assertEqual(self.only(FindFiles).most, asked)

    def test_sources(self) -> None:
        """Sources come in the order of the answer, without this node."""
        self.begin()
        asking = self.member.sources(DIGEST)
        own = self.node.key.public
        named = [("f" * 64, False, 0), (own, True, 1), ("e" * 64, True, 2)]
        sources = tuple(Source(id=5, key=k, host="10.0.0.1", port=7, whole=w, load=load) for k, w, load in named)
        self.answer(FoundSources(id=self.only(FindSources).id, sources=sources))
        address = Address("10.0.0.1", 7)
        expected = [FileSource(5, "f" * 64, address, False, 0), FileSource(5, "e" * 64, address, True, 2)]
        self.assertEqual(self.successResultOf(asking), expected)

    def test_datagrams(self) -> None:
        """Where a source takes datagrams is passed on to those who fetch."""
        self.begin()
        asking = self.member.sources(DIGEST)
        source = Source(id=5, key="e" * 64, host="10.0.0.1", port=7, udp=9)
        self.answer(FoundSources(id=self.only(FindSources).id, sources=(source,)))
        self.assertEqual(self.successResultOf(asking), [FileSource(5, "e" * 64, Address("10.0.0.1", 7), udp=9)])

    def test_sellers(self) -> None:
        """Sellers are sought in this node's bazaar."""
        self.begin()
        named: list[Peer] = []
        asking = self.member.sellers("apple", None, named.extend)
        asked = self.only(FindSellers)
        self.assertEqual((asked.item, asked.seller, asked.bazaar), ("apple", None, self.node.bazaar))
        seller = Seller(id=5, key="e" * 64, host="10.0.0.1", port=7)
        self.answer(FoundSellers(id=asked.id, sellers=(seller,)))
        self.assertIsNone(self.successResultOf(asking))
        self.assertEqual(named, [Peer(5, "e" * 64, Address("10.0.0.1", 7))])

    def test_waits_for_link(self) -> None:
        """A question waits a little for the server, and is asked again over a new link."""
        asking = self.member.search(FileQuery(name="a"))
        self.join()
        first = self.only(FindFiles)
        self.part()
        self.join()
        again = self.only(FindFiles)
        self.assertEqual(again, first)
        self.answer(FoundFiles(id=again.id))
        self.successResultOf(asking)

    def test_no_answer(self) -> None:
        """A server that says nothing is given up, with a word on what to do."""
        self.begin()
        asking = self.member.search(FileQuery(name="a"))
        self.node.clock.advance(ANSWER_S)
        self.assertIn("--index", str(self.failureResultOf(asking, LinkClosed).value))
        self.answer(FoundFiles(id=self.only(FindFiles).id))

    def test_wrong_answer(self) -> None:
        """The answer to another kind of question is none."""
        self.begin()
        asking = self.member.search(FileQuery(name="a"))
        asked = self.only(FindFiles)
        self.answer(FoundSources(id=asked.id))
        self.answer(FoundFiles(id=asked.id + 1))
        self.assertNoResult(asking)
        self.answer(FoundFiles(id=asked.id))
        self.successResultOf(asking)
        self.answer(FoundFiles(id=asked.id))

    def test_refused(self) -> None:
        """A refusal fails the question with what it says, in a form that a terminal can be shown."""
        self.begin()
        for fault in (Busy("slowly"), NotNow("later"), PeerError("a\x1b[31mb")):
            asking = self.member.search(FileQuery(name="a"))
            self.answer(Error.telling(fault, self.only(FindFiles)))
            failure = self.failureResultOf(asking, type(fault))
            self.assertNotIn("\x1b", str(failure.value))


class Server:
    """A server with a real directory, and a link on which things are late or lost.

    @ivar now: its time.
    """

    def __init__(self, member: IndexMember, node: FakeNode) -> None:
        self.member, self.node = member, node
        self.peer = Peer(1, node.key.public, Address("10.0.0.1", 9001))
        self.now = 0.0
        self.directory = Directory()
        self.is_linked = False
        self.is_failing = False
        self.coming: deque[Message] = deque()
        self.going: deque[Message] = deque()
        self.left_behind: deque[Message] = deque()

    def link(self) -> None:
        """Have a new link; what is on an old one may still arrive here, but no answer to it there."""
        self.cut()
        self.is_linked = True
        self.node.link(TRACKER_ID)
        self.member.tracker_joined()

    def cut(self) -> None:
        """Cut the link."""
        if self.is_linked:
            self.gather()
            self.left_behind, self.coming, self.going = self.coming, deque(), deque()
            self.is_linked = False
            self.node.linked.clear()
            self.member.tracker_left()
            self.directory.peer_left(self.peer.key, self.now)

    def restart(self) -> None:
        """Lose everything."""
        self.cut()
        self.left_behind.clear()
        self.directory = Directory()

    def gather(self) -> None:
        """Have what the member has sent on the way."""
        sent, self.node.sent = self.node.sent, []
        self.coming.extend(message for message, _ in sent)

    def take(self) -> None:
        """Let one message arrive here."""
        self.gather()
        if self.coming:
            self.going.append(self.answer_to(self.coming.popleft()))

    def take_late(self) -> None:
        """Let one arrive that was on a link which is gone."""
        if self.left_behind:
            self.answer_to(self.left_behind.popleft())

    def give(self) -> None:
        """Let one answer arrive there."""
        if self.going:
            deliver(self.member, self.going.popleft(), 1, TRACKER_ID)

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.directory.expire(self.now)
        self.node.clock.advance(seconds)

    def answer_to(self, message: Any) -> Message:
        """What a server does."""
        if self.is_failing:
            return Error.telling(NotNow("not now"), message)
        if isinstance(message, Renew):
            mark = self.directory.renew(self.peer, message.mark, message.load, self.now)
        else:
            mark = self.directory.update(self.peer, message, self.now)
        return Listed(id=message.id, mark=mark, most=self.directory.most_a_peer, lease=int(LEASE_S))

    def listed(self) -> dict[str, tuple[int, bool]]:
        """What others find of the member."""
        asker = Peer(2, "f" * 64, Address("10.0.0.2", 9001))
        steps = self.directory.find(FileQuery(most=1000), asker)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return {file.name: (file.size, bool(file.sources)) for file in end.value.files}

    def sold(self, items: str) -> set[str]:
        """Which of some goods others find there."""
        asker = Peer(2, "f" * 64, Address("10.0.0.2", 9001))
        return {item for item in items if self.directory.sellers("bazaar", item, None, 5, asker)}


NAMES: Final = "abcdef"
STEPS: Final = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from(NAMES), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("withdraw"), st.sampled_from(NAMES)),
    st.tuples(st.just("goods"), st.sets(st.sampled_from(NAMES))),
    st.tuples(st.sampled_from(["take", "take", "give", "give", "link", "cut", "restart", "take_late"])),
    st.tuples(st.just("fail"), st.booleans()),
    st.tuples(st.just("pass_time"), st.sampled_from([0.5, 10.0, 50.0, 400.0])),
)


class ConvergenceTests(SynchronousTestCase):
    """A member and a real directory over a link that fails."""

    @examples(300)
    @given(st.lists(STEPS, max_size=40))
    def test_agree(self, steps: list[Any]) -> None:
        """Whatever was lost, late, refused or forgotten: when things work again, the server has exactly the list."""
        node, member = FakeNode(id=1), IndexMember()
        member.start(node)
        server = Server(member, node)
        files: dict[str, tuple[int, bool]] = {}
        goods: set[str] = set()
        for name, *about in steps:
            if name == "publish":
                file, size, is_whole = about
                files[file] = (size, is_whole)
                member.publish([shared(file, size, is_whole)], [])
            elif name == "withdraw":
                files.pop(about[0], None)
                member.publish([], about)
            elif name == "goods":
                goods = about[0]
                member.publish_goods(sorted(goods))
            elif name == "fail":
                [server.is_failing] = about
            else:
                getattr(server, name)(*about)
        server.is_failing = False
        if not server.is_linked:
            server.link()
        while server.left_behind:
            server.take_late()
        for _ in range(3):
            self.settle(server)
            server.pass_time(16.0)
        self.assertLess(self.settle(server), 5)
        self.assertTrue(member.is_in_sync)
        self.assertEqual((server.listed(), server.sold(NAMES)), (files, goods))
        member.stop()

    def settle(self, server: Server) -> int:
        """Let everything arrive; returns how many messages that were."""
        count = 0
        while True:
            server.gather()
            server.node.clock.advance(0)
            if not server.coming and not server.going:
                return count
            server.take()
            server.give()
            count += 1
            self.assertLess(count, 100, "they never come to an end")
