"""Promises of a weak peer: two super peers, what they are told, and questions."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.discovery.superpeer.cases import DIGEST, OTHER_DIGEST, found, shared
from twisted_bazaar.discovery.index.messages import Listed, Renew, Update
from twisted_bazaar.discovery.superpeer.leaf.leaf import Leaf
from twisted_bazaar.discovery.superpeer.leaf.pending_queries import SEARCH_S, WAIT_S
from twisted_bazaar.discovery.superpeer.leaf.registrations import ALONE_S, TRY_ANOTHER_S
from twisted_bazaar.discovery.superpeer.messages import (
    Found,
    Lead,
    Other,
    Place,
    Query,
    QueryEnd,
    QueryHit,
    Register,
    Registered,
    Table,
    Unregister,
)
from twisted_bazaar.discovery.superpeer.qrp.tables import RouteTable, hash_of, tokens_of_file, tokens_of_item
from twisted_bazaar.errors import LinkClosed, PeerError, WholeDigestsOnly
from twisted_bazaar.interfaces import ICatalogue, IRole
from twisted_bazaar.testing import FakeNode, deliver
from twisted_bazaar.values.addresses import Address, Peer, Whereabouts
from twisted_bazaar.values.files import FileQuery, FileSource, FoundFile, Page
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import NO_ID, Message

A: Final = Address("10.0.0.7", 9200)
B: Final = Address("10.0.0.8", 9200)
C: Final = Address("10.0.0.9", 9200)
AT: Final = {A: 7, B: 8, C: 9}


def super_peer(address: Address) -> Peer:
    """The super peer at an address."""
    return Peer(AT[address], f"{AT[address]:064x}", address, "super_peer", address.port)


class LeafTestCase(SynchronousTestCase):
    """A weak peer whose super peers are played by hand: 7, 8 and 9 are there, and it was given 7 and 8."""

    given: tuple[Any, ...] = (A, B)
    node_id = 1

    def setUp(self) -> None:
        """Start it."""
        self.node = FakeNode(id=self.node_id)
        self.node.present = {address: super_peer(address) for address in AT}
        self.led: list[tuple[str, list[Address]]] = []
        self.leaf = self.make()
        self.leaf.start(self.node)
        self.addCleanup(self.leaf.stop)

    def make(self) -> Leaf:
        """The weak peer."""
        return Leaf(self.given)

    def later(self, seconds: float) -> None:
        """Let time pass, bit by bit."""
        self.node.clock.pump([0.1] * round(seconds * 10))

    def said(self, *kinds: type[Message]) -> list[tuple[Any, int]]:
        """What it has said since last asked, and to whom: messages of some kinds. The others are forgotten."""
        sent, self.node.sent = self.node.sent, []
        return [(message, route[1]) for message, route in sent if type(message) in kinds]

    def answer(self, node_id: int, message: Message) -> None:
        """Let a node say something."""
        deliver(self.leaf, message, self.node.id, node_id)

    def register(self, *, taken: bool = True, others: tuple[Other, ...] = ()) -> list[int]:
        """Let those who were asked answer; returns their ids."""
        self.node.clock.advance(0)
        asked = self.said(Register)
        for message, node_id in asked:
            self.answer(node_id, Registered(id=message.id, taken=taken, most=300, others=others))
        self.node.clock.advance(0)
        return sorted(node_id for _, node_id in asked)

    def lose(self, node_id: int) -> None:
        """Let a super peer die."""
        [peer] = [peer for peer in self.node.linked if peer.id == node_id]
        self.node.linked.remove(peer)
        self.node.present = {where: there for where, there in self.node.present.items() if there.id != node_id}
        self.leaf.peer_left(peer)

    def moored(self) -> list[int]:
        """Which super peers have taken it."""
        return sorted(peer.id for peer in self.leaf.registered_with)

    def events(self, name: str) -> list[str | None]:
        """The sentence of each event of a name."""
        pairs = zip(self.node.reports, self.node.sentences, strict=True)
        return [sentence for (event, _), sentence in pairs if event == name]


class MooringTests(LeafTestCase):
    """Which super peers it keeps."""

    def test_interfaces(self) -> None:
        """It is a role and a catalogue, its node's id follows from its key, and it can be asked how it does."""
        for interface in (IRole, ICatalogue):
            verifyObject(interface, self.leaf)
        self.assertTrue(self.leaf.is_self_numbered)
        self.assertEqual(list(self.leaf.commands), ["status"])

    def test_two(self) -> None:
        """It has two super peers take it."""
        self.assertEqual(self.register(), [7, 8])
        self.assertEqual(self.moored(), [7, 8])
        self.later(60)
        self.assertEqual((len(self.node.met), self.said(Register)), (2, []))
        status = self.successResultOf(self.leaf.commands["status"]({}))
        self.assertEqual(status["role"], "leaf")
        self.assertIn({"id": 7, "address": str(A)}, status["super_peers"])

    def test_not_before_it_has_an_id(self) -> None:
        """While a tracker has still to give it an id, nobody is asked."""
        self.node.id = NO_ID
        self.later(5)
        self.assertEqual(self.node.met, [])
        self.node.id = 1
        self.leaf.tracker_joined()
        self.assertEqual(self.register(), [7, 8])

    def test_replaced(self) -> None:
        """When one dies, another one that was named takes its place, at once."""
        self.register(others=(Other(9, C.host, C.port, 5),))
        self.lose(7)
        self.assertEqual(self.register(), [9])
        self.assertEqual(self.moored(), [8, 9])

    def test_itself(self) -> None:
        """It does not look for itself, though it is all that is named when one dies."""
        self.register(others=(Other(self.node.id, "10.0.0.1", 9001, 5),))
        self.lose(7)
        self.later(60)
        self.assertNotIn(Address("10.0.0.1", 9001), self.node.met)

    def test_named_at_home(self) -> None:
        """One that is named as if it were on this machine is on that of who names it."""
        self.node.present[Address(A.host, 9300)] = super_peer(C)
        self.node.present.pop(B)
        self.register(others=(Other(9, "127.0.0.1", 9300, 5),))
        self.assertEqual(self.register(), [9])
        self.assertTrue(all(not where.is_local for where in self.node.met if isinstance(where, Address)))

    def test_full(self) -> None:
        """One that has no room is let go, those that it names are asked, and it is asked again after a while."""
        self.node.present.pop(B)
        self.register(taken=False, others=(Other(9, C.host, C.port, 5),))
        self.assertEqual(self.node.released, [7])
        self.assertEqual(self.register(), [9])
        self.assertEqual(self.moored(), [9])
        self.node.met.clear()
        self.later(60)
        self.assertIn(A, self.node.met)
        self.assertLess(len(self.node.met), 20)

    def test_all_full(self) -> None:
        """While all are full they are asked now and then, and not by everybody at the same time."""
        self.node.present.pop(B)
        asked = 0
        for _ in range(600):
            asked += len(self.register(taken=False))
            self.node.clock.advance(0.1)
        self.assertTrue(10 < asked < 25, asked)

    def test_says_no_later(self) -> None:
        """One that says later that it takes this node no more is replaced."""
        self.register(others=(Other(9, C.host, C.port, 5),))
        self.answer(7, Registered(id=0, taken=False, most=300))
        self.assertEqual(self.node.released, [7])
        self.assertEqual(self.register(), [9])

    def test_forgotten(self) -> None:
        """One that says that it does not know this node is asked again."""
        self.register()
        forgotten = Error(code="notregistered", about="renew")
        for route in ((1, 55), (1, 55, 7)):
            deliver(self.leaf, forgotten, *route)
        self.assertEqual(self.moored(), [7, 8])
        self.answer(7, forgotten)
        self.assertEqual(self.moored(), [8])
        self.later(2)
        self.assertEqual(self.register(), [7])

    def test_silent(self) -> None:
        """Those that do not answer to a registration hold up nobody else, and may answer late."""
        self.node.named = [Whereabouts(9, C)]
        self.node.clock.advance(0)
        silent = {node_id: message for message, node_id in self.said(Register)}
        self.assertEqual(sorted(silent), [7, 8])
        self.later(TRY_ANOTHER_S + 0.1)
        self.assertEqual(self.register(), [9])
        self.answer(7, Registered(id=silent[7].id, taken=True, most=300))
        self.assertEqual(self.moored(), [7, 9])

    def test_one_too_many(self) -> None:
        """When two are tried for one place, the one that answers last is left."""
        self.node.present.pop(B)
        self.node.clock.advance(0)
        self.node.named = [Whereabouts(9, C)]
        [(to_7, _)] = self.said(Register)
        self.leaf.tracker_joined()
        self.node.clock.advance(0)
        [(to_9, _)] = self.said(Register)
        self.node.present[B] = super_peer(B)
        self.later(1.5)
        [(to_8, _)] = self.said(Register)
        for node_id, message in ((7, to_7), (9, to_9), (8, to_8)):
            self.answer(node_id, Registered(id=message.id, taken=True, most=300))
        self.assertEqual((self.moored(), self.node.released), ([7, 9], [8]))
        self.assertEqual([node_id for _, node_id in self.said(Unregister)], [8])

    def test_same_twice(self) -> None:
        """A super peer that is given twice under two addresses is one."""
        self.node.present = {A: super_peer(A), B: super_peer(A)}
        self.assertEqual(self.register(), [7])
        self.later(60)
        self.assertEqual((self.moored(), self.said(Register), self.node.released), ([7], [], []))

    def test_tracker(self) -> None:
        """While one is missing a tracker is asked for others than those it has."""
        self.node.present.pop(B)
        self.register()
        self.node.named = [Whereabouts(1, A), Whereabouts(9, C)]
        self.leaf.tracker_joined()
        self.later(3)
        self.assertEqual(self.node.asked[-1], ("super_peer", (7,)))
        self.assertEqual(self.register(), [9])
        asked = len(self.node.asked)
        self.later(60)
        self.assertEqual(len(self.node.asked), asked)

    def test_tracker_is_asked_at_once(self) -> None:
        """However seldom a tracker has been asked lately, when a super peer dies it is asked at once."""
        self.node.present.pop(B)
        self.register()
        self.later(300)
        self.node.named = [Whereabouts(9, C)]
        self.lose(7)
        self.assertEqual(self.register(), [9])

    def test_alone(self) -> None:
        """When there is none it says so once, and once when there is one again."""
        present, self.node.present = self.node.present, {}
        self.later(ALONE_S + 0.2)
        [sentence] = self.events("alone")
        self.assertIn("--super", sentence or "")
        self.later(30)
        self.assertEqual(len(self.events("alone")), 1)
        self.node.present = present
        self.later(6)
        self.register()
        said = [sentence for sentence in self.events("moored") if sentence]
        self.assertEqual(len(said), 1)
        self.lose(7)
        self.later(5)
        self.assertEqual((len(self.events("alone")), [each for each in self.events("moored") if each]), (1, said))
        self.lose(8)
        self.later(ALONE_S + 0.2)
        self.assertEqual(len(self.events("alone")), 2)

    def test_alone_is_quick(self) -> None:
        """However long there was none, one that is there again is found within 10 s."""
        present, self.node.present = self.node.present, {}
        self.later(600)
        tries = len(self.node.met)
        self.assertLess(tries, 600)
        self.node.present = present
        self.later(7)
        self.assertEqual(self.register(), [7, 8])

    def test_stop(self) -> None:
        """It says that it leaves, and leaves nothing behind."""
        self.register()
        self.leaf.publish([shared("a")], [])
        asking = self.leaf.search(FileQuery(name="a"))
        self.leaf.stop()
        self.assertEqual(sorted(node_id for _, node_id in self.said(Unregister)), [7, 8])
        self.failureResultOf(asking, LinkClosed)
        self.failureResultOf(self.leaf.search(FileQuery(name="a")), LinkClosed)
        self.assertEqual(self.node.clock.getDelayedCalls(), [])

    def test_stop_while_trying(self) -> None:
        """A try under way leaves nothing behind either."""
        self.node.clock.advance(0)
        self.leaf.stop()
        self.assertEqual(self.node.clock.getDelayedCalls(), [])

    def test_others_do_not_speak_for_it(self) -> None:
        """An answer from anybody but who was asked is nothing, and names nobody."""
        self.node.clock.advance(0)
        asked = self.said(Register)
        for message, _ in asked:
            self.answer(55, Registered(id=message.id, taken=True, most=300, others=(Other(9, C.host, C.port, 5),)))
        self.assertEqual(self.moored(), [])
        self.later(60)
        self.assertNotIn(C, self.node.met)


class AbleTests(LeafTestCase):
    """One that would be a super peer itself."""

    def make(self) -> Leaf:
        """The weak peer."""
        return Leaf(self.given, lead=lambda why, others: self.led.append((why, list(others))))

    def test_lead(self) -> None:
        """It says so, and leads when a super peer of its asks it to; nobody else can make it."""
        self.node.clock.advance(0)
        registers = self.said(Register)
        self.assertEqual({(message.may_lead, message.udp) for message, _ in registers}, {(True, self.node.udp_port)})
        message = Lead(why="full\x1b", neighbours=(Place("10.0.0.3", 9300),))
        self.answer(7, message)
        self.assertEqual(self.led, [])
        for register, node_id in registers:
            self.answer(node_id, Registered(id=register.id, taken=True, most=300))
        self.answer(7, message)
        self.assertEqual(self.led, [("full\N{REPLACEMENT CHARACTER}", [A, Address("10.0.0.3", 9300)])])

    def test_asked_from_elsewhere(self) -> None:
        """A super peer on another machine cannot have this one greet its own machine's programs."""
        self.node.clock.advance(0)
        (register, node_id), *_ = self.said(Register)
        self.answer(node_id, Registered(id=register.id, taken=True, most=300))
        host = self.leaf.registered_with[0].address.host
        self.answer(node_id, Lead(why="full", neighbours=(Place("127.0.0.1", 22), Place("::1", 9300))))
        [(_, places)] = self.led
        self.assertEqual(places[-2:], [Address(host, 22), Address(host, 9300)])

    def test_not_able(self) -> None:
        """One that takes no datagrams cannot be one."""
        self.node.udp_port = 0
        self.node.clock.advance(0)
        self.assertEqual({message.may_lead for message, _ in self.said(Register)}, {False})


class TellingTests(LeafTestCase):
    """What its super peers are told."""

    def setUp(self) -> None:
        """It has a file and an apple."""
        super().setUp()
        self.leaf.publish([shared("red song")], [])
        self.leaf.publish_goods(["apple"])

    def table(self, *tables: Table) -> RouteTable:
        """What some parts of a table come to."""
        route = RouteTable(20)
        for table in tables:
            route.apply_part(table)
        return route

    def maybe(self, route: RouteTable, *tokens: str) -> bool:
        """Whether everything is there, by a table."""
        return route.may_have([hash_of(token) for token in tokens])

    def take_all(self) -> dict[int, list[Message]]:
        """Let both super peers take what they are told; returns that."""
        told: dict[int, list[Message]] = {7: [], 8: []}
        while self.node.sent:
            for message, node_id in self.said(Renew, Update, Table):
                told[node_id].append(message)
                mark = message.mark if isinstance(message, Update) else 0
                if not isinstance(message, Table):
                    self.answer(node_id, Listed(id=message.id, mark=mark, most=1000, lease=45))
        return told

    def begin(self) -> dict[int, list[Message]]:
        """Have both take it, and all that it tells them."""
        self.node.clock.advance(0)
        asked = self.said(Register)
        for message, node_id in asked:
            self.answer(node_id, Registered(id=message.id, taken=True, most=300))
        return self.take_all()

    def test_all(self) -> None:
        """Each is told the whole list and the words."""
        self.assertFalse(self.leaf.is_in_sync)
        for messages in self.begin().values():
            [update] = [message for message in messages if isinstance(message, Update)]
            self.assertEqual(([file.name for file in update.add], update.offer), (["red song"], ("apple",)))
            route = self.table(*(message for message in messages if isinstance(message, Table)))
            self.assertTrue(self.maybe(route, *tokens_of_file("red song", DIGEST)))
            self.assertTrue(self.maybe(route, *tokens_of_item("bazaar", "apple")))
            self.assertFalse(self.maybe(route, *tokens_of_file("blue song", DIGEST)))
        self.assertTrue(self.leaf.is_in_sync)

    def test_differences(self) -> None:
        """Later only changes are told; those of the table at most once a second."""
        before = self.begin()
        self.leaf.publish([shared("blue song", OTHER_DIGEST)], ["red song"])
        self.leaf.publish_goods([])
        self.assertFalse(self.leaf.is_in_sync)
        told = self.take_all()
        self.assertEqual([type(message) for message in told[7]], [Update] * len(told[7]))
        self.later(1.1)
        later = self.take_all()
        for node_id in (7, 8):
            [table] = later[node_id]
            assert isinstance(table, Table)
            self.assertNotEqual(table.base, 0)
            route = self.table(*(each for each in before[node_id] if isinstance(each, Table)), table)
            self.assertTrue(self.maybe(route, *tokens_of_file("blue song", OTHER_DIGEST)))
            self.assertFalse(self.maybe(route, *tokens_of_file("red song", DIGEST)))
            self.assertFalse(self.maybe(route, *tokens_of_item("bazaar", "apple")))
        self.assertTrue(self.leaf.is_in_sync)

    def test_a_new_one(self) -> None:
        """One that takes the place of another is told everything that there is then."""
        self.begin()
        self.leaf.publish([shared("green song")], [])
        self.lose(7)
        self.node.present[A] = super_peer(A)
        self.later(2)
        self.said()
        self.node.named = [Whereabouts(9, C)]
        self.leaf.tracker_joined()
        self.node.clock.advance(0)
        for message, node_id in self.said(Register):
            self.answer(node_id, Registered(id=message.id, taken=True, most=300))
        [renew, *_] = [message for message, _ in self.said(Renew, Table)]
        new = next(peer.id for peer in self.leaf.registered_with if peer.id != 8)
        self.answer(new, Listed(id=renew.id, mark=0, most=1000, lease=45))
        [(update, node_id)] = self.said(Update)
        self.assertEqual((update.base, {file.name for file in update.add}), (0, {"red song", "green song"}))

    def test_load(self) -> None:
        """Both are told how much this node has to do; who comes later too."""
        self.leaf.set_load(3)
        told = self.begin()
        self.assertEqual([[m.load for m in told[each] if isinstance(m, Renew)] for each in (7, 8)], [[3], [3]])
        self.later(2)
        self.leaf.set_load(4)
        self.later(0.1)
        self.assertEqual(sorted((m.load, node_id) for m, node_id in self.said(Renew)), [(4, 7), (4, 8)])

    def test_many_files(self) -> None:
        """The words of very many files are found bit by bit, and then told."""
        self.begin()
        self.leaf.publish([shared(f"file {number}") for number in range(1000)], [])
        self.assertFalse(self.leaf.is_in_sync)
        self.node.clock.pump([0] * 10)
        self.later(1.1)
        self.take_all()
        self.assertTrue(self.leaf.is_in_sync)

    def test_refused(self) -> None:
        """What one super peer refuses it is not told over and over, and the other is told all the same."""
        self.begin()
        self.leaf.publish([shared("blue song")], [])
        for update, node_id in self.said(Update):
            if node_id == 7:
                self.answer(7, Error(code="toomany", about="update", id=update.id))
            else:
                self.answer(8, Listed(id=update.id, mark=update.mark, most=1000, lease=45))
        self.later(1.1)
        self.assertEqual(sorted(node_id for _, node_id in self.said(Table, Update)), [7, 8])
        self.assertFalse(self.leaf.is_in_sync)


class QuestionTests(LeafTestCase):
    """What it asks, and what it makes of the answers."""

    def setUp(self) -> None:
        """Both super peers have taken it."""
        super().setUp()
        self.register()
        self.said()

    def asked(self) -> tuple[Any, int]:
        """The one question that it has asked, and of whom."""
        [pair] = self.said(Query)
        return pair

    def hit(self, node_id: int, query: Query, *hits: Found) -> None:
        """Let a super peer tell of hits."""
        self.answer(node_id, QueryHit(id=query.id, answer=1, found=hits))

    def end(self, node_id: int, query: Query) -> None:
        """Let a super peer say that it is over."""
        self.answer(node_id, QueryEnd(id=query.id, hits=1, reached_all=True))

    def test_search(self) -> None:
        """One super peer is asked; hits are put together, and the end mark ends it at once."""
        asking = self.leaf.search(FileQuery(words="song"))
        query, asked = self.asked()
        self.assertEqual((query.words, query.results, query.reach, query.ttl, query.hops), ("song", 50, 0, 0, 0))
        self.hit(asked, query, found(5, "a song"))
        self.hit(asked, query, found(6, "a song"), found(6, "b song"))
        self.hit(asked, query, found(6, "a song"), found(6, "b song"))
        self.assertNoResult(asking)
        self.end(asked, query)
        files = [FoundFile("a song", 1, DIGEST, 2), FoundFile("b song", 1, DIGEST, 1)]
        self.assertEqual(self.successResultOf(asking), Page(files, 2))

    def test_keys(self) -> None:
        """A question has one thing to look for, the one that says most; the rest is seen to here."""
        for query, key in (
            (FileQuery("a", "b", DIGEST), "digest"),
            (FileQuery(name="a", words="b"), "name"),
            (FileQuery(words="b"), "words"),
        ):
            self.leaf.search(query).addErrback(lambda _: None)
            asked, _ = self.asked()
            given = {"digest": asked.digest, "name": asked.name, "words": asked.words}
            self.assertEqual({name for name, value in given.items() if value is not None}, {key})

    def test_impossible(self) -> None:
        """What no file can be is not asked; a list of everything there is not."""
        queries = [FileQuery(name=""), FileQuery(words="..."), FileQuery(name="x" * 10_000), FileQuery(digest="xyz")]
        for query in queries:
            self.assertEqual(self.successResultOf(self.leaf.search(query)), Page((), 0))
        self.assertEqual(self.successResultOf(self.leaf.sources("../x")), ())
        self.failureResultOf(self.leaf.search(FileQuery()), PeerError)
        # It is by a hash of the whole digest that they know who may have a file.
        self.failureResultOf(self.leaf.search(FileQuery(digest=DIGEST[:12])), WholeDigestsOnly)
        self.assertEqual(self.said(Query), [])

    def test_next_page(self) -> None:
        """The next page is of what was found; when that is forgotten it is asked for again."""
        asking = self.leaf.search(FileQuery(words="song", most=1))
        query, asked = self.asked()
        self.hit(asked, query, found(5, "a song", "b song"))
        self.end(asked, query)
        page = self.successResultOf(asking)
        self.assertEqual(([file.name for file in page.files], page.total), (["a song"], 2))
        following = FileQuery(words="song", most=1, after=page.next)
        page = self.successResultOf(self.leaf.search(following))
        self.assertEqual(([file.name for file in page.files], page.next), (["b song"], None))
        self.failureResultOf(self.leaf.search(FileQuery(words="song", after="rubbish")), PeerError)
        self.assertEqual(self.said(Query), [])
        self.later(130)
        self.said()
        asking = self.leaf.search(following)
        query, asked = self.asked()
        self.hit(asked, query, found(5, "a song", "b song"))
        self.end(asked, query)
        self.assertEqual([file.name for file in self.successResultOf(asking).files], ["b song"])

    def test_sources(self) -> None:
        """Who has a file is known as soon as the search ends; a host that is left out is that of the super peer."""
        asking = self.leaf.sources(DIGEST)
        query, asked = self.asked()
        self.assertEqual(query.digest, DIGEST)
        seen_here = replace(found(6, "b", host=None), udp=9001)
        self.hit(asked, query, found(5, "a", load=2), seen_here, found(4, "c", digest=OTHER_DIGEST))
        self.end(asked, query)
        host = A.host if asked == 7 else B.host
        expected = [
            FileSource(6, f"{6:064x}", Address(host, 9000), udp=9001),
            FileSource(5, f"{5:064x}", Address("10.0.0.5", 9000), load=2),
        ]
        self.assertEqual(self.successResultOf(asking), expected)

    def test_first_sources(self) -> None:
        """Who fetches hears of the first sources a moment after they come, and not when the search is over."""
        asking = self.leaf.sources(DIGEST)
        query, asked = self.asked()
        self.later(0.3)
        self.hit(asked, query, found(5, "a"))
        self.later(0.1)
        self.hit(asked, query, found(6, "b"))
        self.assertNoResult(asking)
        self.later(0.15)
        self.assertEqual([source.id for source in self.successResultOf(asking)], [5, 6])
        self.end(asked, query)

    def test_no_longer_asked(self) -> None:
        """Who stops waiting for sources leaves nothing behind."""
        asking = self.leaf.sources(DIGEST)
        query, asked = self.asked()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.hit(asked, query, found(5, "a"))

    def test_loopback(self) -> None:
        """A super peer elsewhere cannot have this machine dial itself."""
        asking = self.leaf.sources(DIGEST)
        query, asked = self.asked()
        self.hit(asked, query, found(5, "a", host="127.0.0.1"), found(5, "a", host="::1"))
        self.end(asked, query)
        self.assertEqual(self.successResultOf(asking), [])

    def test_sellers(self) -> None:
        """Sellers are named as they come, in this node's bazaar; this node is not among them."""
        named: list[Peer] = []
        asking = self.leaf.sellers("apple", None, named.extend)
        query, asked = self.asked()
        self.assertEqual((query.item, query.seller, query.bazaar), ("apple", None, self.node.bazaar))
        own = Found(id=1, key=self.node.key.public, port=9000, host="10.0.0.1")
        self.hit(asked, query, found(5), own)
        seller = Peer(5, f"{5:064x}", Address("10.0.0.5", 9000))
        self.assertEqual(named, [seller])
        self.assertNoResult(asking)
        self.end(asked, query)
        self.assertIsNone(self.successResultOf(asking))

    def test_one_seller(self) -> None:
        """Where one seller is wanted, others are not named."""
        named: list[Peer] = []
        asking = self.leaf.sellers(None, f"{5:064x}", named.extend)
        query, asked = self.asked()
        self.assertEqual((query.item, query.seller), (None, f"{5:064x}"))
        self.hit(asked, query, found(5), found(6))
        self.end(asked, query)
        self.successResultOf(asking)
        self.assertEqual([peer.id for peer in named], [5])

    def test_time_is_up(self) -> None:
        """A search without an end mark ends by itself: with what has come, or with a failure if nothing has."""
        one = self.leaf.search(FileQuery(words="song"))
        query, asked = self.asked()
        other = self.leaf.search(FileQuery(words="tune"))
        self.hit(asked, query, found(5, "a song"))
        self.node.clock.advance(SEARCH_S)
        self.assertEqual(len(self.successResultOf(one).files), 1)
        self.failureResultOf(other, LinkClosed)

    def test_asked_dies(self) -> None:
        """When the one that was asked dies, the other is asked the same under a new id, and no hit counts twice."""
        asking = self.leaf.search(FileQuery(words="song"))
        query, asked = self.asked()
        self.hit(asked, query, found(5, "a song"))
        self.lose(asked)
        again, other = self.asked()
        self.assertEqual((again.evolve(id=query.id), {asked, other}), (query, {7, 8}))
        self.assertNotEqual(again.id, query.id)
        self.hit(other, query, found(4, "d song"))
        self.hit(other, again, found(5, "a song"), found(6, "b song"))
        self.end(other, again)
        files = [FoundFile("a song", 1, DIGEST, 1), FoundFile("b song", 1, DIGEST, 1)]
        self.assertEqual(self.successResultOf(asking).files, files)

    def test_both_die(self) -> None:
        """When nobody is left a question waits for one, and ends with what has come."""
        asking = self.leaf.search(FileQuery(words="song"))
        query, asked = self.asked()
        self.hit(asked, query, found(5, "a song"))
        self.lose(asked)
        self.asked()
        [other] = self.moored()
        self.lose(other)
        self.node.clock.advance(WAIT_S)
        self.assertEqual(len(self.successResultOf(asking).files), 1)

    def test_refused(self) -> None:
        """When one refuses the other is asked; when both do, that is the answer."""
        asking = self.leaf.search(FileQuery(words="song"))
        for _ in range(2):
            self.assertNoResult(asking)
            query, asked = self.asked()
            self.answer(asked, Error(code="busy", about="query", info="too much\x1b"))
            self.answer(asked, QueryEnd(id=query.id))
        self.assertEqual(str(self.failureResultOf(asking, PeerError).value), "too much\N{REPLACEMENT CHARACTER}")

    def test_refused_once(self) -> None:
        """A refusal says nothing of the next question, whoever is asked that."""
        first = self.leaf.search(FileQuery(words="song"))
        query, asked = self.asked()
        self.answer(asked, Error(code="busy", about="query"))
        self.answer(asked, QueryEnd(id=query.id))
        later = [first, *(self.leaf.search(FileQuery(words="tune")) for _ in range(10))]
        queries = self.said(Query)
        self.assertEqual({node_id for _, node_id in queries}, {7, 8})
        for query, asked in queries:
            self.answer(asked, QueryEnd(id=query.id))
        self.assertEqual([self.successResultOf(each) for each in later], [Page([], 0)] * 11)

    def test_not_asked(self) -> None:
        """Hits and ends from others than who was asked, and for what was not asked, are nothing."""
        asking = self.leaf.search(FileQuery(words="song"))
        query, asked = self.asked()
        for node_id, message in ((15 - asked, query), (55, query), (asked, query.evolve(id="f" * 32))):
            self.hit(node_id, message, found(5, "a song"))
            self.end(node_id, message)
        self.assertNoResult(asking)
        self.end(asked, query)
        self.assertEqual(self.successResultOf(asking), Page([], 0))

    def test_flood_of_hits(self) -> None:
        """However many hits come, so many are looked at and no more; the end mark still counts."""
        heard: list[Found] = []
        asking = self.leaf.query({"words": "song"}, heard.extend)
        query, asked = self.asked()
        for number in range(300):
            self.hit(asked, query, found(5 + number, *(f"song {each}" for each in range(100))))
        self.assertEqual(sum(len(each.files) for each in heard), 5_000)
        self.end(asked, query)
        self.assertTrue(self.successResultOf(asking))

    def test_flood_of_one(self) -> None:
        """Who has answered too much takes nothing from the one that is asked when it is gone."""
        asking = self.leaf.search(FileQuery(words="song"))
        query, asked = self.asked()
        for number in range(100):
            self.hit(asked, query, found(5 + number, *(f"rubbish {each}" for each in range(100))))
        self.lose(asked)
        query, asked = self.asked()
        self.hit(asked, query, found(5, "a song"))
        self.end(asked, query)
        self.assertEqual(self.successResultOf(asking).total, 1)

    def test_cancelled(self) -> None:
        """Who asks may stop waiting; what comes then is nothing."""
        asking = self.leaf.search(FileQuery(words="song"))
        query, asked = self.asked()
        asking.cancel()
        self.failureResultOf(asking)
        self.hit(asked, query, found(5, "a song"))
        self.end(asked, query)


class WaitingTests(LeafTestCase):
    """Questions while there is no super peer."""

    def test_waits(self) -> None:
        """A question waits a little for a super peer."""
        asking = self.leaf.search(FileQuery(words="song"))
        self.node.clock.advance(WAIT_S - 1)
        self.node.clock.advance(0)
        for message, node_id in self.said(Register):
            self.answer(node_id, Registered(id=message.id, taken=True, most=300))
        [(query, asked)] = self.said(Query)
        self.answer(asked, QueryEnd(id=query.id))
        self.assertEqual(self.successResultOf(asking), Page([], 0))

    def test_nobody(self) -> None:
        """It fails then, with a word on what to do."""
        asking = self.leaf.sources(DIGEST)
        self.later(WAIT_S + 0.1)
        self.assertIn("--super", str(self.failureResultOf(asking, LinkClosed).value))
