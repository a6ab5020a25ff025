"""Searches: of weak peers of one's own, and of those of others that pass by; and how hits find back."""

from __future__ import annotations

import tracemalloc
from itertools import permutations
from typing import Any, Final

from tests.discovery.superpeer.fakes import SuperPeerTestCase, found_at, place, query_id
from tests.discovery.superpeer.nets import NetTestCase, digest_of
from tests.weighing import weighing
from twisted_bazaar.discovery.index.scheduling.pending import QUESTIONS_AT_ONCE
from twisted_bazaar.discovery.superpeer.messages import Query, QueryEnd, QueryHit, SuperHello
from twisted_bazaar.discovery.superpeer.ultrapeer.query_control import MOST_UNDER_WAY, SEARCH_BYTES
from twisted_bazaar.discovery.superpeer.ultrapeer.query_hits import HIT_BYTES, QueryHits
from twisted_bazaar.node.datagrams.datagram_socket import check_fits
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.node import Node
from twisted_bazaar.sim.engine.network_conditions import Conditions
from twisted_bazaar.wire.message import LARGEST_INTEGER, LARGEST_TTL

ROUND_S: Final = 0.3
MOST_S: Final = 10.0
ROUGH: Final = Conditions(latency_s=0.02, loss=0.2, duplication=0.1, reordering=0.2)


class OwnSearchTests(SuperPeerTestCase):
    """What a weak peer asks its super peer."""

    def test_own_lists(self) -> None:
        """What other weak peers of the same super peer have is told at once; there is nobody else to be asked."""
        self.weak_peer(10, "a film", "a song")
        self.weak_peer(11, "my film")
        self.ask(11)
        [hit] = self.told(11, QueryHit)
        self.assertEqual([(each.id, each.port, each.host) for each in hit.found], [(10, 9010, "10.0.0.9")])
        self.assertEqual(self.names(11), ["a film"])
        self.assertEqual(self.ends(11), [QueryEnd(id=query_id(1), hits=1, reached_all=True)])

    def test_ways_to_ask(self) -> None:
        """Files are found by name, words and digest."""
        self.weak_peer(10, "Holiday film.mp4")
        self.weak_peer(11)
        asked = ({"name": "Holiday film.mp4"}, {"words": "FILM holi"}, {"digest": digest_of("Holiday film.mp4")})
        for number, what in enumerate(asked):
            self.ask(11, number, **{"words": None, **what})
        self.ask(11, 9, words=None, name="holiday film.mp4")
        self.assertEqual([end.hits for end in self.ends(11)], [1, 1, 1, 0])

    def test_same_machine(self) -> None:
        """Who is on the super peer's own machine is named without a host."""
        self.weak_peer(10, "a film", host="127.0.0.1")
        self.weak_peer(11)
        self.ask(11)
        [hit] = self.told(11, QueryHit)
        self.assertEqual([each.host for each in hit.found], [None])

    def test_common_word(self) -> None:
        """Of a word that many files have, as many are named as are enough, and different ones first."""
        names = [f"film {number}" for number in range(100)]
        for number in range(20):
            self.weak_peer(10 + number, *names)
        self.node.clock.pump([0.1] * 30)
        self.weak_peer(99)
        self.ask(99, results=40)
        self.assertEqual((len(self.names(99)), len(set(self.names(99)))), (40, 5))
        self.ask(99, 2, words=None, digest=digest_of("film 7"))
        self.assertEqual(self.ends(99)[-1].hits, 20)

    def test_long_search(self) -> None:
        """What takes long takes turns: nobody else waits for it, and who wants too much of it is told so."""
        self.weak_peer(10, *(f"film {number}" for number in range(1_000)))
        self.weak_peer(11)
        self.weak_peer(12)
        self.node.clock.pump([0.1] * 30)
        self.ask(11, words="film x")
        self.ask(12, words=None, name="film 3")
        self.assertEqual((self.ends(11), [end.hits for end in self.ends(12)]), ([], [1]))
        for number in range(2, 102):
            self.ask(11, number, words="film x")
        self.assertTrue(0 < len(self.codes(11)) == len(self.ends(11)) < 100)
        for _ in range(1_000):
            self.node.clock.advance(0)
        self.assertEqual((len(self.ends(11)), set(self.codes(11))), (101, {"busy"}))

    def test_leaves_meanwhile_at_home(self) -> None:
        """Nobody is told of who has left while it was looked for, nor is who has asked and left."""
        gone = self.weak_peer(10, *(f"film {number}" for number in range(1_000)))
        asker = self.weak_peer(11)
        self.weak_peer(12)
        self.node.clock.pump([0.1] * 30)
        for node_id in (11, 12):
            self.ask(node_id, words="film 99", results=1_000)
        self.unlink(gone)
        self.unlink(asker)
        for _ in range(100):
            self.node.clock.advance(0)
        self.assertEqual((self.ends(11), [end.hits for end in self.ends(12)]), ([], [0]))

    def test_policy_is_a_cap(self) -> None:
        """A super peer looks for no more than it is told is enough, however many a weak peer wants."""
        self.begin(results=5)
        self.weak_peer(10, *(f"film {number}" for number in range(50)))
        self.weak_peer(11)
        self.ask(11, results=1_000)
        self.assertEqual(len(self.names(11)), 5)

    def test_asked_far(self) -> None:
        """What is not there is asked of neighbours, with how far it goes."""
        self.neighbour(1)
        self.weak_peer(10)
        self.ask(10, words="holiday film", results=7)
        [(query, address)] = self.sent(Query)
        self.assertEqual((query.id, query.words, query.results, address), (query_id(1), "holiday film", 7, place(1)))
        self.assertEqual((query.reach, query.ttl, query.hops), (1, 1, 0))
        self.assertEqual(self.ends(10), [])

    def test_longest(self) -> None:
        """The longest questions there are go into a datagram, and so find an end."""
        one, many = "\U0001d11e", LARGEST_TTL
        longest = (
            {"words": one * 255},
            {"name": one * 255},
            {"item": one * 128, "bazaar": one * 64},
            {"words": '"' * 255},
        )
        for what in longest:
            query = Query(id=query_id(1), results=1_000, reach=many, ttl=many, hops=many, **what)
            check_fits(query, Limits().datagram_bytes)
        for what in ({"words": "a\1"}, {"name": "\n"}, {"item": "a", "bazaar": "\0"}):
            self.assertRaises(ValueError, Query, id=query_id(1), **what)

    def test_enough_at_home(self) -> None:
        """When there is enough at home nobody else is asked."""
        self.neighbour(1)
        self.weak_peer(10, "a film")
        self.weak_peer(11)
        self.ask(11, results=1)
        self.assertEqual((self.sent(Query), len(self.ends(11))), ([], 1))

    def test_hits_as_they_come(self) -> None:
        """Hits are told when they come, each once, and the end says how many there were."""
        self.neighbour(1)
        self.weak_peer(10)
        self.ask(10)
        self.hear_from(1, self.hit(1, found_at(7, "a film")))
        self.hear_from(1, self.hit(1, found_at(7, "a film"), found_at(8, "a film")))
        told = [[each.id for each in hit.found] for hit in self.told(10, QueryHit)]
        self.assertEqual((told, self.ends(10)), ([[7], [8]], []))
        self.node.clock.pump([0.1] * 50)
        self.assertEqual([end.hits for end in self.ends(10)], [2])

    def test_enough(self) -> None:
        """When enough has come it is over, and what comes later is told nobody."""
        self.neighbour(1)
        self.neighbour(2)
        self.weak_peer(10)
        self.ask(10, results=4)
        for number in (1, 2):
            self.hear_from(number, self.hit(1, *(found_at(10 * number + each, "a film") for each in range(3))))
        self.assertEqual((len(self.ends(10)), len(self.role.searches)), (1, 0))
        self.hear_from(1, self.hit(1, found_at(99, "a film")))
        self.assertEqual((self.role.counters.hits_late, self.role.counters.hits), (1, 6))

    def test_answers_everything(self) -> None:
        """A neighbour that answers everything does not keep a search from going on, nor tell without end."""
        for number in range(6):
            self.neighbour(1 + number)
        self.weak_peer(10)
        self.ask(10, results=10)
        for _, address in self.sent(Query)[:1]:
            liar = int(address.host.rpartition(".")[2])
            for number in range(300):
                self.hear_from(liar, self.hit(1, *(found_at(1_000 + 50 * number + each, "x") for each in range(50))))
        self.assertEqual((len(self.names(10)), self.ends(10)), (10, []))
        self.node.clock.advance(ROUND_S)
        self.assertTrue(self.sent(Query))

    def test_all_have_answered(self) -> None:
        """When all that were asked have said that it is over, the next round begins; after the last it is over."""
        self.neighbour(1)
        self.neighbour(2, neighbours=6)
        self.weak_peer(10)
        self.ask(10)
        for round_ in range(2):
            [(first, _), (query, _)] = self.sent(Query)
            self.assertEqual((first.reach, len(self.ends(10))), ((1, 4)[round_], 0))
            for number in (1, 1, 2):
                self.assertEqual((self.sent(Query), self.ends(10)), ([], []))
                self.hear_from(number, QueryEnd(id=query.id, reach=query.reach))
        self.assertEqual([(end.hits, end.reached_all) for end in self.ends(10)], [(0, True)])
        self.assertEqual(len(self.role.searches), 0)

    def test_ends(self) -> None:
        """However little comes, a search ends."""
        for number in range(6):
            self.neighbour(1 + number, neighbours=6)
        self.weak_peer(10)
        self.ask(10)
        for _ in range(int(MOST_S * 10)):
            self.node.clock.advance(0.1)
            for number in range(6):
                self.neighbour(1 + number, neighbours=6)
        self.assertEqual([(end.hits, end.reached_all) for end in self.ends(10)], [(0, True)])

    def test_who_does_not_read(self) -> None:
        """For who does not read what it was told nothing more is kept or asked, and it is over."""
        for number in range(6):
            self.neighbour(1 + number, neighbours=6)
        self.weak_peer(10)
        for number in (1, 2):
            self.ask(10, number)
        self.sent(Query)
        self.node.behind.add(10)
        self.hear_from(1, self.hit(1, found_at(7, "a film")))
        self.assertEqual((self.told(10, QueryHit), len(self.role.searches)), ([], 1))
        self.node.clock.pump([0.1] * 50)
        self.assertEqual((self.sent(Query), len(self.role.searches)), ([], 0))
        self.assertEqual([end.reached_all for end in self.ends(10)], [False, False])
        self.assertEqual(self.role.searches.budget.used, 0)

    def test_bounded_in_bytes(self) -> None:
        """What searches keep is bounded, with a share for each host; past that one is told, and others are not."""
        self.neighbour(1)
        budget = self.role.searches.budget
        budget.total = 16 * SEARCH_BYTES
        for number in range(10):
            self.weak_peer(10 + number, host="10.0.0.9")
            self.ask(10 + number, number)
        self.assertEqual([len(self.codes(10 + number)) for number in range(10)], [0] * 10)
        self.weak_peer(20, host="10.0.0.9")
        self.ask(20, 20)
        self.assertEqual((self.codes(20), len(self.ends(20)), len(self.role.searches)), (["busy"], 1, 10))
        self.weak_peer(21, host="10.0.0.8")
        self.ask(21, 21)
        self.assertEqual((self.codes(21), self.ends(21)), ([], []))
        # Hits count too: a search that has no room for them is over.
        self.hear_from(1, self.hit(3, *(found_at(number, "a film") for number in range(1, 41))))
        self.assertEqual(([end.reached_all for end in self.ends(13)], len(self.role.searches)), ([False], 10))
        self.assertEqual(budget.used, 10 * SEARCH_BYTES)
        self.node.clock.pump([0.1] * 50)
        self.assertEqual((budget.used, len(self.role.searches)), (0, 0))

    def test_weight(self) -> None:
        """A hit takes no more memory than it is charged, however long its names are."""
        with weighing():
            for count in (50, 150, 700, 1_500):
                before, _ = tracemalloc.get_traced_memory()
                answers = QueryHits(1_000_000)
                for number in range(count):
                    answers.add(self.hit(1, found_at(number, f"{number}" * 60)), place(1))
                after, _ = tracemalloc.get_traced_memory()
                self.assertLess(after - before, SEARCH_BYTES + HIT_BYTES * len(answers))
                del answers

    def test_switched_off(self) -> None:
        """Without dynamic querying a search goes as far as it may at once, to all; both can be switched meanwhile."""
        for number in range(6):
            self.neighbour(1 + number)
        self.weak_peer(10)
        self.role.dynamic_querying = False
        self.ask(10)
        sent = self.sent(Query)
        self.assertEqual((len(sent), {query.reach for query, _ in sent}), (6, {4}))
        self.role.dynamic_querying = True
        self.ask(10, 2)
        sent = self.sent(Query)
        self.assertEqual((len(sent), {query.reach for query, _ in sent}), (4, {1}))

    def test_leaves_meanwhile(self) -> None:
        """Nothing goes on for who has left."""
        self.neighbour(1)
        peer = self.weak_peer(10)
        self.ask(10)
        self.unlink(peer)
        self.assertEqual(len(self.role.searches), 0)
        self.node.clock.pump([0.5] * 10)
        self.assertEqual(self.ends(10), [])

    def test_not_registered(self) -> None:
        """Who has not registered is told so, and that the search is over."""
        self.node.link(10)
        self.ask(10)
        self.assertEqual((self.codes(10), self.ends(10)), (["notregistered"], [QueryEnd(id=query_id(1))]))

    def test_without_end(self) -> None:
        """Who asks without end is told that it is too much; others are answered."""
        self.weak_peer(10)
        self.weak_peer(11)
        for number in range(QUESTIONS_AT_ONCE + 5):
            self.ask(10, number)
        self.assertEqual(self.codes(10), ["busy"] * 5)
        self.assertEqual(len(self.ends(10)), QUESTIONS_AT_ONCE + 5)
        self.ask(11)
        self.assertEqual(self.codes(11), [])

    def test_at_once(self) -> None:
        """Only so many searches of one weak peer are under way at once."""
        self.neighbour(1)
        self.weak_peer(10)
        for number in range(MOST_UNDER_WAY + 3):
            self.ask(10, number)
        self.assertEqual((self.codes(10), len(self.role.searches)), (["busy"] * 3, MOST_UNDER_WAY))

    def test_replayed(self) -> None:
        """A query that is under way is asked no second time; one that is over is asked under another id."""
        self.neighbour(1)
        self.weak_peer(10)
        self.ask(10)
        self.ask(10)
        self.assertEqual(len(self.sent(Query)), 1)
        self.node.clock.pump([0.1] * 50)
        self.sent(Query)
        self.neighbour(1)
        self.ask(10)
        [(query, _)] = self.sent(Query)
        self.assertNotEqual(query.id, query_id(1))
        self.hear_from(1, QueryHit(id=query.id, answer=1, found=(found_at(7, "a film"),)))
        self.assertEqual(self.told(10, QueryHit)[-1].id, query_id(1))

    def test_stopped(self) -> None:
        """A super peer that stops ends what is under way, and leaves no timer."""
        self.neighbour(1)
        self.weak_peer(10)
        self.ask(10)
        self.successResultOf(self.role.stop())
        self.assertEqual((len(self.ends(10)), self.node.clock.getDelayedCalls()), (1, []))


class PassingTests(SuperPeerTestCase):
    """What is done with searches of others."""

    def setUp(self) -> None:
        """Have three neighbours."""
        super().setUp()
        for number in (1, 2, 3):
            self.neighbour(number)

    def query(self, number: int = 1, reach: int = 4, hops: int = 0, **keys: Any) -> Query:
        """A query that comes from a neighbour."""
        what: dict[str, Any] = {"words": "film", "reach": reach, "ttl": reach - hops, "hops": hops, **keys}
        return Query(id=query_id(number), **what)

    def test_passed_on(self) -> None:
        """A query goes on to all but whom it came from, one link less far."""
        self.hear_from(1, self.query())
        sent = self.sent(Query)
        self.assertEqual([address for _, address in sent], [place(2), place(3)])
        self.assertEqual({(query.reach, query.ttl, query.hops) for query, _ in sent}, {(4, 3, 1)})
        self.assertEqual(self.role.counters.forwarded, 2)

    def test_last_link(self) -> None:
        """On its last link a query goes nowhere on: who has passed it on is told at once that it is over."""
        self.hear_from(1, self.query(reach=1))
        datagrams = [each for each in self.node.datagrams if not isinstance(each[0], SuperHello)]
        self.assertEqual(datagrams, [(QueryEnd(id=query_id(1), reach=1), place(1))])

    def test_over(self) -> None:
        """When it is over for all to whom it was passed on it is over here, and the hits that came are counted."""
        self.hear_from(1, self.query())
        self.hear_from(2, QueryEnd(id=query_id(1), reach=4, parts=1))
        self.hear_from(3, QueryEnd(id=query_id(1), reach=4))
        self.assertEqual(self.sent(QueryEnd), [])
        self.hear_from(2, self.hit(1, found_at(7, "a film")))
        self.assertEqual(self.sent(QueryEnd), [(QueryEnd(id=query_id(1), reach=4, parts=1), place(1))])

    def test_answered(self) -> None:
        """What a weak peer has is told to whom the query came from."""
        self.weak_peer(10, "a film", host="127.0.0.1")
        self.hear_from(1, self.query())
        [(hit, address)] = self.sent(QueryHit)
        self.assertEqual((hit.id, address), (query_id(1), place(1)))
        self.assertEqual([(each.id, each.host) for each in hit.found], [(10, None)])

    def test_once(self) -> None:
        """A query is answered once and passed on once, however often and by whatever way it comes."""
        self.weak_peer(10, "a film")
        for number in (1, 2, 3, 1):
            self.hear_from(number, self.query())
        datagrams = self.node.datagrams
        self.assertEqual(sum(isinstance(message, Query) for message, _ in datagrams), 2)
        self.assertEqual(sum(isinstance(message, QueryHit) for message, _ in datagrams), 1)
        self.assertEqual(self.role.counters.repeated, 3)

    def test_farther(self) -> None:
        """A round that goes farther is passed on, and not answered again."""
        self.weak_peer(10, "a film")
        self.hear_from(1, self.query(reach=1))
        self.hear_from(1, self.query(reach=3))
        datagrams = self.node.datagrams
        self.assertEqual(sum(isinstance(message, Query) for message, _ in datagrams), 2)
        self.assertEqual(sum(isinstance(message, QueryHit) for message, _ in datagrams), 1)

    def test_farther_from_deeper(self) -> None:
        """A round that comes from who is deeper is passed to it too, and not from who is as deep, which is told."""
        for hops, to in ((2, [place(2), place(3)]), (1, [place(3)])):
            self.hear_from(1, self.query(hops, reach=1))
            self.sent(Query)
            self.hear_from(2, self.query(hops, reach=3, hops=hops))
            datagrams = self.node.datagrams
            self.assertEqual([address for message, address in datagrams if isinstance(message, Query)], to)
            ends = [(message, address) for message, address in self.sent(QueryEnd)]
            told = [(QueryEnd(id=query_id(1), reach=3), place(2))]
            self.assertEqual(ends, told if hops == 1 else [])

    def test_million(self) -> None:
        """A TTL or a reach of a million counts as the largest, also if it grows each time."""
        for more in range(1_000):
            far = 1_000_000 + more
            self.hear_from(1, Query(id=query_id(1), words="film", reach=far, ttl=far))
        sent = self.sent(Query)
        self.assertEqual((len(sent), {query.ttl for query, _ in sent}), (2, {15}))
        self.hear_from(1, Query(id=query_id(2), words="film", ttl=LARGEST_INTEGER))
        self.assertEqual({query.ttl for query, _ in self.sent(Query)}, {15})
        self.hear_from(1, Query(id=query_id(3), words="film", ttl=5, hops=LARGEST_INTEGER))
        self.assertEqual(self.sent(Query), [])

    def test_strangers(self) -> None:
        """Who is no neighbour is neither answered nor helped on."""
        self.weak_peer(10, "a film")
        self.hear_from(9, self.query())
        self.hear_from(9, self.hit(1, found_at(7, "a film")))
        self.assertEqual([message for message, _ in self.node.datagrams if not isinstance(message, SuperHello)], [])

    def test_long_answer(self) -> None:
        """An answer that does not fit into a datagram comes in parts that each say something."""
        self.weak_peer(10, *(f"film {number}" for number in range(40)))
        self.hear_from(1, self.query(results=40))
        hits = [hit for hit, _ in self.sent(QueryHit)]
        names = {file.name for hit in hits for each in hit.found for file in each.files}
        self.assertEqual((len(names), [hit.part for hit in hits]), (40, list(range(len(hits)))))
        self.assertTrue(len(hits) > 1 and len({hit.answer for hit in hits}) == 1)

    def test_way_back(self) -> None:
        """Hits go back to where the query came from; where they came from is filled in."""
        self.hear_from(1, self.query())
        self.sent(Query)
        self.hear_from(2, self.hit(1, found_at(7, "a film", host=None), found_at(8, "a film", host="10.5.0.1")))
        [(hit, address)] = self.sent(QueryHit)
        self.assertEqual((address, [each.host for each in hit.found]), (place(1), ["10.8.0.2", "10.5.0.1"]))

    def test_this_machine(self) -> None:
        """Nobody is sent to this machine, or to its own, by somebody elsewhere."""
        self.hear_from(1, self.query())
        self.hear_from(2, self.hit(1, found_at(7, "a film", host="127.0.0.1"), found_at(8, "b", host="::")))
        [(hit, _)] = self.sent(QueryHit)
        self.assertEqual([each.host for each in hit.found], ["10.8.0.2", "10.8.0.2"])

    def test_no_room_for_hosts(self) -> None:
        """A hit that is too long once it says where everybody is is dropped and counted, and is no fault of ours."""
        self.hear_from(1, self.query())
        found = tuple(found_at(number, f"a film {number}", host=None) for number in range(4))
        self.hear_from(2, self.hit(1, *found, found_at(9, "f" * 50, host=None)))
        self.assertEqual((self.sent(QueryHit), self.role.counters.hits_dropped), ([], 1))

    def test_way_back_gone(self) -> None:
        """When the way back is gone, hits go by another; when there is none, they are dropped and counted."""
        self.hear_from(1, self.query())
        self.hear_from(2, self.query())
        self.leave(1)
        self.sent(Query)
        self.hear_from(3, self.hit(1, found_at(7, "a film")))
        self.assertEqual([address for _, address in self.sent(QueryHit)], [place(2)])
        self.leave(2)
        self.hear_from(3, self.hit(1, found_at(8, "a film")))
        self.assertEqual((self.sent(QueryHit), self.role.counters.hits_dropped), ([], 1))

    def test_no_way_round(self) -> None:
        """Who got the query from here, or later, is no way back: hits do not run in circles."""
        self.hear_from(1, self.query(hops=1))
        self.hear_from(2, self.query(hops=2))
        self.leave(1)
        self.hear_from(3, self.hit(1, found_at(7, "a film")))
        self.assertEqual((self.sent(QueryHit), self.role.counters.hits_dropped), ([], 1))

    def test_unknown(self) -> None:
        """Hits for a query that nobody has asked are dropped and counted."""
        self.hear_from(1, self.hit(5, found_at(7, "a film")))
        self.assertEqual((self.sent(QueryHit), self.role.counters.hits_dropped), ([], 1))

    def test_masses(self) -> None:
        """One neighbour does not have hits without end passed on for one query."""
        self.hear_from(1, self.query())
        for number in range(3_000):
            self.hear_from(2, self.hit(1, found_at(number, "a film")))
        self.assertEqual(len(self.sent(QueryHit)), 1_024)
        self.assertEqual(self.role.counters.hits_dropped, 3_000 - 1_024)

    def test_queries_without_end(self) -> None:
        """What is remembered of queries is bounded, whoever asks."""
        for number in range(20_000):
            self.hear_from(1, self.query(number, reach=1))
        self.assertTrue(len(self.role.searches.paths) <= 8_192)

    def test_words_that_fit_nothing(self) -> None:
        """A question without a word in it is answered with nothing."""
        self.weak_peer(10, "a film")
        self.hear_from(1, self.query(words="..."))
        self.assertEqual(self.sent(QueryHit), [])


class RowTests(NetTestCase):
    """Three super peers in a row."""

    def setUp(self) -> None:
        """Start them."""
        super().setUp()
        self.first, self.middle, self.last = self.row(3)

    def test_two_links_away(self) -> None:
        """What a weak peer has is found over two links, and who has it can be reached."""
        self.weak_peer(self.last, "holiday film.mp4", goods=["apple"])
        seeker = self.weak_peer(self.first)
        self.settle()
        self.assertEqual(self.ask(seeker, words="holi"), ["holiday film.mp4"])
        [hit] = seeker.of_type("queryhit")
        [found] = hit["found"]
        self.assertEqual(found["port"], 4000)
        self.assertEqual(len(self.ask(seeker, item="apple")), 1)
        self.assertEqual(self.end_of(seeker)["reachedAll"], True)

    def test_over_when_all_have_answered(self) -> None:
        """A search with its only answer ends when all that were asked have answered, not when their time is up."""
        self.weak_peer(self.last, "holiday film.mp4")
        seeker = self.weak_peer(self.first)
        self.settle()
        for words, found in (("holiday", ["holiday film.mp4"]), ("nothing", [])):
            self.assertEqual(self.ask(seeker, most_s=ROUND_S, words=words), found)
            self.assertEqual(self.end_of(seeker)["reachedAll"], True)

    def test_datagrams(self) -> None:
        """Where a weak peer takes datagrams, as it said when it greeted, is named near and far, with what it has."""
        self.weak_peer(self.last, "song", udp=4001)
        askers = [self.weak_peer(node) for node in (self.last, self.first)]
        self.settle()
        for asker in askers:
            self.ask(asker, name="song")
            [hit] = asker.of_type("queryhit")
            self.assertEqual([(each["port"], each["udp"]) for each in hit["found"]], [(4000, 4001)])

    def test_too_far(self) -> None:
        """A search goes no farther than its TTL."""
        self.weak_peer(self.last, "holiday film.mp4")
        seeker = self.weak_peer(self.first)
        self.settle()
        self.roles[self.first].policy.ttl = 1
        self.assertEqual(self.ask(seeker, words="holiday"), [])

    def test_last_link(self) -> None:
        """A query goes on its last link only where the word may be; without query routing it goes anyway."""
        seeker = self.weak_peer(self.first)
        self.weak_peer(self.middle, "holiday film.mp4")
        self.settle()
        self.roles[self.first].policy.ttl = 2
        before = self.queries
        self.assertEqual(self.ask(seeker, words="holiday"), ["holiday film.mp4"])
        routed = self.queries - before
        for role in self.roles.values():
            role.query_routing = False
        before = self.queries
        self.assertEqual(self.ask(seeker, words="holiday"), ["holiday film.mp4"])
        self.assertTrue(routed < self.queries - before)

    def test_new_word(self) -> None:
        """A word that is listed is in reach of others as soon as tables have told it."""
        seeker = self.weak_peer(self.first)
        self.assertEqual(self.ask(seeker, words="holiday"), [])
        self.weak_peer(self.last, "holiday film.mp4")
        self.settle()
        self.assertEqual(self.ask(seeker, words="holiday"), ["holiday film.mp4"])

    def test_middle_dies(self) -> None:
        """When the one in the middle is gone, searches end all the same, and those at home go on."""
        self.weak_peer(self.last, "holiday film.mp4")
        self.weak_peer(self.first, "holiday song")
        seeker = self.weak_peer(self.first)
        self.settle()
        self.network.crash(self.middle)
        began_at = self.network.seconds()
        self.assertEqual(self.ask(seeker, words="holiday"), ["holiday song"])
        # Who is silent is waited for as long as each round has.
        self.assertGreater(self.network.seconds() - began_at, 4 * ROUND_S)

    def test_nothing_left(self) -> None:
        """Super peers that stop leave nothing."""
        seeker = self.weak_peer(self.first)
        self.begin(seeker, words="holiday")
        self.network.stop_all()
        self.assertEqual(self.network.left(), [])


class LoopTests(NetTestCase):
    """Nets with more than one way."""

    def ring(self, length: int, **options: Any) -> list[Node]:
        """A ring in which each is also linked to the one after the next."""
        nodes = [self.super_peer(**options) for _ in range(length)]
        places = [self.network.where_datagrams(node) for node in nodes]
        for place_of, role in enumerate(self.roles.values()):
            role.neighbours.start([places[(place_of + step) % length] for step in (1, 2)])
        self.settle()
        return nodes

    def test_ring(self) -> None:
        """In a net full of loops a search ends: each is asked once by each neighbour at most, and answers once."""
        nodes = self.ring(9, ttl=16, dynamic_querying=False, query_routing=False)
        for node in nodes:
            self.weak_peer(node, "holiday film.mp4")
        seeker = self.weak_peer(nodes[0])
        self.settle()
        before = self.queries
        self.assertEqual(len(self.ask(seeker, words="holiday")), 9)
        self.assertTrue(self.queries - before <= 9 * 4)
        self.assertEqual(sum(role.counters.answered for role in self.roles.values()), 8)

    def test_rounds(self) -> None:
        """With dynamic querying what is everywhere costs few queries, and what is rare is found all the same."""
        nodes = self.ring(9, ttl=4, results=4)
        for node in nodes:
            self.weak_peer(node, "holiday film.mp4")
        self.weak_peer(nodes[4], "rare song.mp3")
        seeker = self.weak_peer(nodes[0])
        self.settle()
        before = self.queries
        self.assertTrue(len(self.ask(seeker, words="holiday")) >= 4)
        self.assertTrue(self.queries - before <= 4)
        self.assertEqual(self.ask(seeker, words="rare"), ["rare song.mp3"])

    def test_way_back_leaves(self) -> None:
        """When the one by which a query came leaves before the hits do, they come by another."""
        first = self.super_peer()
        ways = [self.super_peer(first), self.super_peer(first)]
        meeting = self.super_peer(*ways)
        last = self.super_peer(meeting)
        self.weak_peer(last, "holiday film.mp4")
        seeker = self.weak_peer(first)
        self.settle()
        asked = self.begin(seeker, words="holiday")
        paths = self.roles[meeting].searches.paths
        self.network.run_until(lambda: len(paths.next_hops(asked, self.network.seconds())) == 2)
        came_by = paths.next_hops(asked, self.network.seconds())[0]
        self.assertEqual(self.roles[meeting].counters.hits_forwarded, 0)
        self.network.stop(next(way for way in ways if self.network.where_datagrams(way) == came_by))
        self.network.run_until(lambda: self.is_over(seeker, asked))
        self.assertEqual(self.found(seeker, asked), ["holiday film.mp4"])

    def test_loss(self) -> None:
        """With every fifth datagram lost most searches find what there is, and all end."""
        nodes = self.ring(5, ttl=3)
        self.weak_peer(nodes[2], "holiday film.mp4")
        seeker = self.weak_peer(nodes[0])
        self.settle()
        machines = [self.network.host_of(node).name for node in nodes]
        for one, other in permutations(machines, 2):
            self.network.network.ways.change(one, other, ROUGH)
        found = [bool(self.ask(seeker, words="holiday")) for _ in range(20)]
        self.assertTrue(sum(found) >= 12, found)
