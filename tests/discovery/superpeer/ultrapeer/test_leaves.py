"""The weak peers of a super peer: who is taken, what is believed of them, and what is known when they have gone."""

from __future__ import annotations

from typing import Any, Final

from attrs import evolve

from tests.discovery.superpeer.fakes import SuperPeerTestCase, place
from tests.discovery.superpeer.nets import digest_of, slots_of
from twisted_bazaar.discovery.index.directory.directory import MOST_A_PEER
from twisted_bazaar.discovery.index.messages import MOST_IN_UPDATE, File, Listed, Renew, Update
from twisted_bazaar.discovery.superpeer.messages import (
    MOST_TABLE_BITS,
    QueryHit,
    Register,
    Registered,
    SuperHello,
    Table,
    Unregister,
)
from twisted_bazaar.discovery.superpeer.qrp.tables import OwnTable, RouteTable, hash_of
from twisted_bazaar.errors import PeerError
from twisted_bazaar.values.addresses import Address, Peer

LEAVES: Final = 3


class RegistrationTests(SuperPeerTestCase):
    """Who is taken."""

    options = {"leaves": LEAVES}

    def registered(self, node_id: int) -> list[bool]:
        """What a weak peer was told of whether it is taken."""
        return [message.taken for message in self.told(node_id, Registered)]

    def test_taken(self) -> None:
        """Who registers is taken while there is room, and told who else is there."""
        self.neighbour(1, port=9001, room=7)
        self.weak_peer(10)
        [answer] = self.told(10, Registered)
        self.assertEqual((answer.id, answer.taken, answer.most), (1, True, LEAVES))
        self.assertEqual([(other.id, other.host, other.room) for other in answer.others], [(501, "10.8.0.1", 7)])

    def test_full(self) -> None:
        """Past the limit nobody is taken: who comes is pointed to others."""
        self.neighbour(1, port=9001, room=7)
        for number in range(LEAVES + 2):
            self.weak_peer(10 + number)
        self.assertEqual(sorted(self.role.leaves.registrants), [10, 11, 12])
        self.assertEqual((self.registered(13), self.role.counters.turned_away), ([False], 2))
        self.assertEqual([other.id for other in self.told(13, Registered)[0].others], [501])
        self.assertEqual(self.role.leaves.room, 0)

    def test_told_once(self) -> None:
        """Who asks again and again is told of once a minute, and others all the same."""
        for number in range(LEAVES + 2):
            self.weak_peer(10 + number)
        for turn in range(3):
            self.hear(13, Register(id=2 + turn))
        self.assertEqual([told["id"] for told in self.reported("full")], [13, 14])
        self.node.clock.advance(60)
        self.hear(13, Register(id=9))
        self.assertEqual([told["id"] for told in self.reported("full")], [13, 14, 13])

    def reported(self, event: str) -> list[dict[str, Any]]:
        """What was reported of one kind."""
        return [details for kind, details in self.node.reports if kind == event]

    def test_room_again(self) -> None:
        """When somebody goes, with or without a word, there is room again."""
        peers = [self.weak_peer(10 + number) for number in range(LEAVES)]
        self.unlink(peers[0])
        self.hear(11, Unregister())
        self.assertEqual(self.role.leaves.room, 2)
        self.weak_peer(20)
        self.assertEqual(self.registered(20), [True])

    def test_twice(self) -> None:
        """Who registers twice is one weak peer, and keeps its place and its list."""
        self.weak_peer(10, "a film")
        self.weak_peer(11)
        self.hear(10, Register(id=5))
        self.assertEqual((self.registered(10), list(self.role.leaves.registrants)), ([True, True], [10, 11]))
        self.ask(11)
        self.assertEqual(self.names(11), ["a film"])

    def test_one_host(self) -> None:
        """No single machine takes all the room: its youngest goes for one from elsewhere, and is told so."""
        for number in range(LEAVES):
            self.weak_peer(10 + number, "a film", host="10.0.0.66")
        self.weak_peer(20, host="10.0.0.5")
        self.assertEqual((self.registered(20), self.registered(12)), ([True], [True, False]))
        self.weak_peer(21, host="10.0.0.66")
        self.assertEqual((self.registered(21), sorted(self.role.leaves.registrants)), ([False], [10, 11, 20]))

    def test_same_key(self) -> None:
        """Who comes by a new link under another id takes its own old place."""
        old = self.weak_peer(10, "a film")
        new = Peer(12, old.key, old.address)
        self.node.linked.append(new)
        self.role.peer_joined(new)
        self.hear(12, Register(id=1))
        self.assertEqual(list(self.role.leaves.registrants), [12])

    def test_key_of_another(self) -> None:
        """Who registers under the key of another takes its place; the other hears so at once, and can go elsewhere."""
        old = self.weak_peer(10, "a film")
        thief = Peer(12, old.key, Address("10.0.0.66", 4000))
        self.node.linked.append(thief)
        self.role.peer_joined(thief)
        self.hear(12, Register(id=7))
        self.assertEqual((self.registered(10), self.registered(12)), ([True, False], [True]))
        self.assertEqual([message.id for message in self.told(10, Registered)], [1, 1])

    def test_one_network(self) -> None:
        """A machine with many addresses, or one that says it is at many, counts as one."""
        for number in range(LEAVES):
            peer = Peer(10 + number, f"{10 + number:064x}", Address(f"10.7.0.{number}", 4000))
            peer = evolve(peer, seen_host=f"2001:db8::{number}")
            self.node.linked.append(peer)
            self.role.peer_joined(peer)
            self.hear(peer.id, Register(id=1))
        self.weak_peer(20)
        self.assertEqual((self.registered(20), self.registered(12)), ([True], [True, False]))

    def test_gone_before_it_is_heard(self) -> None:
        """A word of who has left by another link is nothing."""
        self.hear(99, Register(id=1))
        self.assertEqual((self.node.sent, len(self.role.leaves)), ([], 0))

    def test_news(self) -> None:
        """When other super peers come or go, all weak peers are told; when only their room changes, nobody is."""
        self.weak_peer(10)
        self.neighbour(1, port=9001, room=7)
        self.node.clock.advance(1.1)
        news = self.told(10, Registered)[-1]
        self.assertEqual((news.id, news.taken, [other.id for other in news.others]), (1, True, [501]))
        count = len(self.told(10, Registered))
        self.neighbour(1, port=9001, room=0)
        self.node.clock.advance(1.1)
        self.assertEqual(len(self.told(10, Registered)), count)
        self.leave(1)
        self.node.clock.advance(1.1)
        self.assertEqual(self.told(10, Registered)[-1].others, ())

    def test_log(self) -> None:
        """That nobody is taken any more is logged, but not as often as strangers like."""
        for number in range(LEAVES + 30):
            self.weak_peer(10 + number)
        logged = [sentence for sentence in self.node.sentences if sentence and "there is room" in sentence]
        self.assertEqual(len(logged), 5)


class ListTests(SuperPeerTestCase):
    """What weak peers list."""

    def test_listed(self) -> None:
        """Changes of a list and renewals are answered as an index server answers them."""
        self.weak_peer(10, "a film")
        self.hear(10, Renew(id=3, mark=1, load=4))
        marks = [(message.id, message.mark) for message in self.told(10, Listed)]
        self.assertEqual(marks, [(2, 1), (3, 1)])

    def test_load(self) -> None:
        """How busy it says it is stands in hits."""
        self.weak_peer(10, "a film")
        self.weak_peer(11)
        self.hear(10, Renew(id=3, mark=1, load=4))
        self.ask(11)
        [hit] = self.told(11, QueryHit)
        self.assertEqual([each.load for each in hit.found], [4])

    def test_not_registered(self) -> None:
        """Who has not registered lists nothing, and is told why."""
        self.node.link(10)
        for message in (Update(id=2, base=0, mark=1), Renew(id=3), Table(base=0, version=1)):
            with self.assertRaises(PeerError) as caught:
                self.hear(10, message)
            self.assertEqual(caught.exception.code, "notregistered")
        self.assertEqual(self.node.sent, [])

    def test_million_names(self) -> None:
        """Who lists a million names is told that it is too many, when that is so; what it had is kept."""
        self.weak_peer(10, "a film")
        mark = 1
        while not self.codes(10):
            files = tuple(
                File(name=f"{mark}-{number}", size=1, digest=digest_of("x")) for number in range(MOST_IN_UPDATE)
            )
            self.hear(10, Update(id=2, base=mark, mark=mark + 1, add=files))
            self.node.clock.advance(0)
            mark += 1
        self.assertEqual(self.codes(10), ["toomany"])
        self.assertTrue(MOST_A_PEER // 2 < self.role.leaves.directory.counts.entries <= MOST_A_PEER)
        budget = self.role.leaves.directory.budget
        self.assertLessEqual(budget.used, budget.most_a_peer)

    def test_gone(self) -> None:
        """Nothing of who has gone, or unregistered, is found."""
        peer = self.weak_peer(10, "a film")
        self.weak_peer(11, "another film")
        self.weak_peer(12)
        self.unlink(peer)
        self.hear(11, Unregister())
        self.ask(12)
        self.assertEqual((self.names(12), [end.hits for end in self.ends(12)]), ([], [0]))


class TableTests(SuperPeerTestCase):
    """Tables of weak peers."""

    def setUp(self) -> None:
        """Have one neighbour that hears of the table."""
        super().setUp()
        self.neighbour(1)

    @property
    def own(self) -> OwnTable:
        """The table that neighbours are told."""
        return self.role.leaves.table

    def has(self, word: str) -> bool:
        """Whether a word is in the table that neighbours are told."""
        heard = RouteTable()
        for part in self.own.changes_since(0, 1_100):
            heard.apply_part(part)
        return heard.may_have([hash_of(f"w:{word}")])

    def test_merged(self) -> None:
        """The words of all weak peers are in the table, as long as one has them."""
        first, second = self.weak_peer(10), self.weak_peer(11)
        self.table(10, ["holiday film"])
        self.table(11, ["another film"])
        self.assertTrue(self.has("holiday") and self.has("another") and self.has("film"))
        self.unlink(first)
        self.node.clock.advance(0)
        self.assertEqual((self.has("holiday"), self.has("film")), (False, True))
        self.unlink(second)
        self.node.clock.advance(0)
        self.assertEqual(len(self.own), 0)

    def test_told(self) -> None:
        """Neighbours are told of a change."""
        self.node.clock.advance(3)
        version = self.sent(SuperHello)[-1][0].version
        self.neighbour(1, have=version)
        self.weak_peer(10)
        self.table(10, ["holiday film"])
        self.node.clock.advance(3)
        [(told, address)] = self.sent(Table)
        self.assertEqual((told.base, told.version, address), (version, self.own.version, place(1)))

    def test_another_width(self) -> None:
        """A table that cannot be merged is refused."""
        self.weak_peer(10)
        with self.assertRaises(PeerError):
            self.hear(10, Table(base=0, version=1, bits=16))

    def test_rubbish(self) -> None:
        """Slots that are none are refused, and change nothing."""
        self.weak_peer(10)
        self.hear(10, Table(base=0, version=1, bits=MOST_TABLE_BITS, on="****"))
        self.node.clock.advance(0)
        self.assertEqual((self.codes(10), len(self.own)), (["wtf"], 0))

    def test_many_at_once(self) -> None:
        """Who sends tables faster than they are entered is told to wait; no turn is spent on all of them."""
        self.weak_peer(10)
        slots = slots_of([str(number) for number in range(30_000)])
        with self.assertRaises(PeerError) as caught:
            for version in range(1, 100):
                self.hear(10, Table(base=0, version=version, bits=MOST_TABLE_BITS, on=slots))
        self.assertEqual(caught.exception.code, "busy")
        for _ in range(100):
            self.node.clock.advance(0)
        self.assertTrue(29_000 < len(self.own) < 30_001)

    def test_room_for_words(self) -> None:
        """Words take room like lists: past a share they are refused, and they give it back when their peer goes."""
        budget = self.role.leaves.directory.budget
        budget.charge("somebody else", budget.total - budget.used - (1 << 16))
        peer = self.weak_peer(10)
        before = budget.used
        slots = slots_of([str(number) for number in range(30_000)])
        self.hear(10, Table(base=0, version=1, bits=MOST_TABLE_BITS, on=slots))
        for _ in range(100):
            self.node.clock.advance(0)
        self.assertEqual((self.codes(10), len(self.own)), (["toomany"], 0))
        self.unlink(peer)
        self.node.clock.advance(0)
        self.assertLessEqual(budget.used, before)

    def test_gone_while_entered(self) -> None:
        """Who leaves while its table is entered leaves nothing of it."""
        peer = self.weak_peer(10)
        self.weak_peer(11)
        self.table(11, ["a film"])
        kept = len(self.own)
        slots = slots_of([str(number) for number in range(30_000)])
        for version in range(1, 4):
            self.hear(10, Table(base=0, version=version, bits=MOST_TABLE_BITS, on=slots))
        self.unlink(peer)
        for _ in range(30):
            self.node.clock.advance(0)
        self.assertEqual(len(self.own), kept)

    def test_comes_and_goes(self) -> None:
        """Who registers and leaves without end has one table at most that is taken out yet, and leaves no work else."""
        peer = self.weak_peer(10)
        slots = slots_of([str(number) for number in range(30_000)])
        for number in range(1, 100):
            self.hear(10, Register(id=number))
            if 10 in self.role.leaves.registrants:
                self.hear(10, Table(base=0, version=number, bits=MOST_TABLE_BITS, on=slots))
            self.hear(10, Unregister())
        self.assertEqual([message.taken for message in self.told(10, Registered)], [True] * 2 + [False] * 98)
        self.assertEqual(self.role.leaves.room, self.role.leaves.most - 1)
        for _ in range(30):
            self.node.clock.advance(0)
        self.assertEqual((len(self.own), self.role.leaves.room), (0, self.role.leaves.most))
        self.hear(10, Register(id=100))
        self.assertTrue(self.told(10, Registered)[-1].taken)
        self.unlink(peer)
        before = len(self.node.clock.getDelayedCalls())
        for node_id in range(20, 120):
            self.unlink(self.weak_peer(node_id))
        self.assertEqual(len(self.node.clock.getDelayedCalls()), before)
        self.assertEqual(self.role.leaves.room, self.role.leaves.most)
