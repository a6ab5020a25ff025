"""Finding goods by an index, on both sides: who is named, who is asked, and what is answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.trade.cases import quote
from twisted_bazaar.discovery.index.client.quote_messages import Inquiry, Quotation
from twisted_bazaar.discovery.index.client.search import (
    ANSWER_S,
    ASKED_AT_ONCE,
    INQUIRIES_A_MINUTE,
    LINK_WITH_OFFER_S,
    LINK_WITHOUT_OFFER_S,
    LOOK_AGAIN_S,
    MOST_ASKED,
    REACH_S,
    IndexAnswers,
    IndexSearch,
)
from twisted_bazaar.errors import LinkClosed, StorageError
from twisted_bazaar.identity.signed import Envelope
from twisted_bazaar.interfaces import IAnswers, IDiscovery, IOffers
from twisted_bazaar.testing import FakeNode
from twisted_bazaar.values.addresses import Address, Origin, Peer
from twisted_bazaar.values.sale import Offer, ShelfQuote

# Whoever finds verifies nothing: that is for who orders.
QUOTE: Final = quote()
PRESENCE: Final = quote(id="f" * 32)


def peer(node_id: int, host: str = "10.0.0.9", key: str | None = None) -> Peer:
    """A seller as an index names it."""
    return Peer(node_id, key or f"{node_id:064x}", Address(host, 9000 + node_id % 1000))


@define
class FakeIndex:
    """An index whose answers the test writes.

    @ivar named: what it answers; None while it does not.
    @ivar asked: what it was asked: an item and a key.
    @ivar published: what it was told, each time.
    """

    named: Sequence[Peer] | None = ()
    asked: list[tuple[str | None, str | None]] = field(factory=list)
    waiting: list[tuple[Deferred[None], Callable[[Sequence[Peer]], None]]] = field(factory=list)
    published: list[Sequence[str]] = field(factory=list)
    is_down: bool = False

    def publish_goods(self, items: Sequence[str]) -> None:
        """Keep what is to be found."""
        self.published.append(items)

    def sellers(
        self, item: str | None, seller_key: str | None, found: Callable[[Sequence[Peer]], None]
    ) -> Deferred[None]:
        """Name those that the test wants to be named."""
        self.asked.append((item, seller_key))
        if self.is_down:
            return fail(LinkClosed("nobody is there"))
        if self.named is None:
            answer: Deferred[None] = Deferred()
            self.waiting.append((answer, found))
            return answer
        found(self.named)
        return succeed(None)


@define
class HangingNode(FakeNode):
    """A node whose tries to reach others end when the test says so, or never."""

    tries: list[tuple[int, Deferred[bool]]] = field(factory=list)

    def try_hold_link(self, node_id: int, address: Address, holder: Any) -> Deferred[bool]:
        """Try for ever."""
        self.tries.append((node_id, Deferred()))
        return self.tries[-1][1]


class IndexSearchTestCase(SynchronousTestCase):
    """Node 1 looks for two apples; the index names nodes 7 and 8, which can be reached."""

    def setUp(self) -> None:
        """Nobody is linked."""
        self.node: FakeNode = FakeNode(id=1, reachable={7, 8})
        self.index = FakeIndex([peer(7), peer(8)])
        self.search = IndexSearch(self.node, self.index)

    def find(
        self, accept: Callable[[Offer], bool] = lambda offer: True, seller: str | None = None
    ) -> Deferred[Sequence[Offer]]:
        """Begin to look."""
        return self.search.find("apple", 2, accept, seller)

    def asked(self) -> list[int]:
        """Who was asked, in the order of their ids."""
        return sorted(route[1] for _, route in self.node.sent)

    def answer(self, node_id: int, quantity: int = 2, quote: Envelope | None = QUOTE, **keys: Any) -> Offer:
        """Let an answer to the newest inquiry come; returns the offer that it makes."""
        inquiry: Any = self.node.sent[-1][0]
        message = Quotation(id=inquiry.id, item=keys.pop("item", "apple"), quantity=quantity, quote=quote, **keys)
        self.search.receives[Quotation](message, Origin(node_id, (1, node_id)))
        return Offer(node_id, "apple", quantity, message.price, inquiry.id, (1, node_id), quote)

    def later(self, seconds: float) -> None:
        """Let time pass, bit by bit."""
        self.node.clock.pump([0.1] * round(seconds * 10))


class IndexSearchTests(IndexSearchTestCase):
    """Whom it asks, and what it makes of the answers."""

    def test_interface(self) -> None:
        """It is a way to find things."""
        self.assertTrue(verifyObject(IDiscovery, self.search))

    def test_asks_sellers(self) -> None:
        """Each seller that the index names is asked for what is wanted, over a direct link."""
        self.find()
        self.assertEqual(self.index.asked, [("apple", None)])
        self.assertEqual(self.asked(), [7, 8])
        messages: list[Any] = [message for message, _ in self.node.sent]
        self.assertEqual({(m.item, m.quantity, m.seller, m.bazaar) for m in messages}, {("apple", 2, None, "bazaar")})

    def test_all_answered(self) -> None:
        """When all have answered it is over at once: the best first."""
        finding = self.find()
        dear = self.answer(7, price=120)
        self.assertNoResult(finding)
        cheap = self.answer(8, price=90)
        self.assertEqual((self.successResultOf(finding), len(self.search)), ([cheap, dear], 0))

    def test_gathers(self) -> None:
        """When one has offered something the others have a moment left."""
        finding = self.find()
        offer = self.answer(7)
        self.node.clock.advance(0.29)
        self.assertNoResult(finding)
        self.node.clock.advance(0.02)
        self.assertEqual(self.successResultOf(finding), [offer])
        self.answer(8)
        self.assertEqual([details["seller"] for _, details in self.node.reports], [7])

    def test_nobody(self) -> None:
        """Where the index names nobody, nothing is found, at once."""
        self.index.named = []
        self.assertEqual(self.successResultOf(self.find()), [])

    def test_nothing_left(self) -> None:
        """Who has nothing says so, and costs no waiting."""
        finding = self.find()
        self.answer(7, quote=None)
        self.answer(8, quote=None)
        self.assertEqual((self.successResultOf(finding), self.node.reports), ([], []))

    def test_asked_as_named(self) -> None:
        """Each seller is asked as soon as it is named, and it is over when no more are named and all have answered."""
        self.index.named = None
        finding = self.find()
        [(all_named, found)] = self.index.waiting
        found([peer(7)])
        self.assertEqual(self.asked(), [7])
        self.answer(7, quote=None)
        found([peer(7), peer(8)])
        self.assertEqual(self.asked(), [7, 8])
        self.answer(8, quote=None)
        self.assertNoResult(finding)
        all_named.callback(None)
        self.assertEqual(self.successResultOf(finding), [])

    def test_over_before_all_are_named(self) -> None:
        """When enough has been offered nobody else is waited for, and who is named after that is not asked."""
        self.index.named = None
        finding = self.find()
        [(all_named, found)] = self.index.waiting
        found([peer(7)])
        offer = self.answer(7)
        self.later(0.4)
        self.assertEqual(self.successResultOf(finding), [offer])
        found([peer(8)])
        self.assertEqual(self.asked(), [7])
        self.assertTrue(all_named.called, "the question is under way")

    def test_most_asked_in_all(self) -> None:
        """However often somebody is named, no more are asked than of one long list."""
        self.index.named = None
        self.node.reachable = {*range(10, 10 + 4 * MOST_ASKED)}
        self.find()
        [(_, found)] = self.index.waiting
        for first in range(10, 10 + 4 * MOST_ASKED, 8):
            found([peer(node_id) for node_id in range(first, first + 8)])
            for message, route in self.node.sent[-8:]:
                self.search.receives[Quotation](
                    Quotation(id=message.id, item="apple"),  # type: ignore[attr-defined] # only inquiries
                    Origin(route[1], route),
                )
        self.assertEqual(len(self.asked()), MOST_ASKED)

    def test_of_no_use(self) -> None:
        """An offer of no use is none: it ends nothing."""
        finding = self.find(lambda offer: offer.seller == 8)
        self.answer(7)
        self.later(2)
        offer = self.answer(8)
        self.assertEqual(self.successResultOf(finding), [offer])

    def test_another_item(self) -> None:
        """An answer about something else than was asked for is no offer."""
        finding = self.find()
        self.answer(7, item="pear")
        offer = self.answer(8)
        self.assertEqual(self.successResultOf(finding), [offer])

    def test_not_asked(self) -> None:
        """An answer by who was not asked is nothing, and a second one neither."""
        finding = self.find()
        self.answer(9)
        offer = self.answer(7)
        self.answer(7, price=1)
        self.later(0.4)
        self.assertEqual(self.successResultOf(finding), [offer])

    def test_silent_sellers(self) -> None:
        """Who does not answer is waited for, and no longer than for ever."""
        finding = self.find()
        self.later(ANSWER_S - 0.1)
        self.assertNoResult(finding)
        self.later(0.2)
        self.assertEqual(self.successResultOf(finding), [])

    def test_out_of_reach(self) -> None:
        """Whom no link can be made to hides nobody else."""
        self.node.reachable = {8}
        finding = self.find()
        self.assertEqual(self.asked(), [8])
        offer = self.answer(8)
        self.assertEqual(self.successResultOf(finding), [offer])

    def test_dead_machines(self) -> None:
        """A try to reach a seller ends after a while; so many are under way at once and no more, each once."""
        self.node = HangingNode(id=1)
        self.index.named = [peer(node_id) for node_id in range(10, 30)]
        self.search = IndexSearch(self.node, self.index)
        finding = self.find()
        self.assertEqual(len(self.node.tries), ASKED_AT_ONCE)
        self.later(REACH_S + 0.1)
        self.assertEqual(len(self.node.tries), 2 * ASKED_AT_ONCE)
        self.later(2 * REACH_S + 1)
        self.assertEqual((self.successResultOf(finding), sorted(n for n, _ in self.node.tries)), ([], [*range(10, 30)]))

    def test_most_asked(self) -> None:
        """Of very many sellers some are asked, each time others: not everybody asks the same."""
        many = {node_id: peer(node_id) for node_id in range(10, 10 + 2 * MOST_ASKED)}
        self.index.named = list(many.values())
        self.node.reachable = set(many)
        asked = []
        for _ in range(2):
            self.node.sent.clear()
            finding = self.find()
            while not finding.called:
                for message, route in self.node.sent:
                    self.search.receives[Quotation](
                        Quotation(id=message.id, item="apple"),  # type: ignore[attr-defined] # only inquiries
                        Origin(route[1], route),
                    )
            asked.append(self.asked())
        self.assertEqual([len(each) for each in asked], [MOST_ASKED, MOST_ASKED])
        self.assertNotEqual(*asked)

    def test_not_itself(self) -> None:
        """Who sells what it wants does not ask itself."""
        self.index.named = [peer(2, key=self.node.key.public), peer(7)]
        self.node.reachable.add(2)
        self.find()
        self.assertEqual(self.asked(), [7])

    def test_stop(self) -> None:
        """Stopped, it says what has come so far, and leaves nothing behind."""
        finding = self.find()
        offer = self.answer(7)
        self.search.stop()
        self.assertEqual((self.successResultOf(finding), self.node.clock.getDelayedCalls()), ([offer], []))

    def test_cancelled(self) -> None:
        """Who looks may stop waiting, at any moment; stopping finds nothing left then."""
        for named, is_offered in ((None, False), ([peer(7), peer(8)], False), ([peer(7), peer(8)], True)):
            self.index.named = named
            finding = self.find()
            if is_offered:
                self.answer(7)
            finding.cancel()
            self.failureResultOf(finding)
            self.assertEqual(len(self.search), 0)
            self.search.stop()
            self.assertEqual(self.node.clock.getDelayedCalls(), [])


class LinkTests(IndexSearchTestCase):
    """The links that are made to ask."""

    def released_after(self) -> list[tuple[int, float]]:
        """Which links are released, and when; a minute is looked at."""
        found: list[tuple[int, float]] = []
        for _ in range(600):
            self.node.clock.advance(0.1)
            found += [(node_id, round(self.node.clock.seconds())) for node_id in self.node.released]
            self.node.released.clear()
        return sorted(found)

    def test_released(self) -> None:
        """The link to who has offered something is kept as long as a reservation, the others for a moment."""
        self.find()
        self.answer(7)
        self.answer(8, quote=None)
        without_s = LINK_WITHOUT_OFFER_S + REACH_S
        self.assertEqual(self.released_after(), [(7, LINK_WITH_OFFER_S), (8, without_s)])

    def test_link_of_others(self) -> None:
        """A link that was there before is not released: it is there for another reason."""
        self.node.link(7)
        self.find()
        self.answer(7)
        self.assertEqual([node_id for node_id, _ in self.released_after()], [8])

    def test_late_link(self) -> None:
        """A link that comes when nobody waits for it any more is released too."""
        self.node = HangingNode(id=1)
        self.search = IndexSearch(self.node, self.index)
        self.find()
        self.assertEqual([node_id for node_id, _ in self.released_after()], [7, 8])

    def test_used_again(self) -> None:
        """A link that is of use again is kept for longer, not shorter."""
        self.find()
        self.answer(7)
        self.answer(8, quote=None)
        self.later(20)
        self.find()
        self.answer(7, quote=None)
        self.answer(8, quote=None)
        times = dict(self.released_after())
        self.assertEqual(times[7], LINK_WITH_OFFER_S)


class ReturnTests(IndexSearchTestCase):
    """The way back to one seller, when an order has got no answer."""

    def test_only_that_one(self) -> None:
        """The index is asked for one key, whatever it sells now; nobody else is asked, whomever it names."""
        self.find(seller=peer(7).key)
        self.assertEqual((self.index.asked, self.asked()), ([(None, peer(7).key)], [7]))
        inquiry: Any = self.node.sent[0][0]
        self.assertEqual(inquiry.seller, peer(7).key)

    def test_presence(self) -> None:
        """Its signed word that it is there is handed on, with the way it has come."""
        seen: list[Offer] = []
        finding = self.find(lambda offer: bool(seen.append(offer)), seller=peer(7).key)
        offer = self.answer(7, quantity=1, quote=PRESENCE)
        self.assertEqual((seen, self.successResultOf(finding)), ([offer], []))

    def test_index_is_down(self) -> None:
        """While the index is down, sellers are looked for where they were."""
        self.find()
        self.node.sent.clear()
        self.index.is_down = True
        self.find(seller=peer(7).key)
        self.assertEqual(self.asked(), [7])
        self.node.sent.clear()
        self.find()
        self.assertEqual(self.asked(), [7, 8])
        self.node.sent.clear()
        self.search.find("pear", 1, lambda offer: True)
        self.assertEqual(self.asked(), [])

    def test_index_has_forgotten(self) -> None:
        """An index that has just been started need not know the seller yet."""
        self.find()
        self.node.sent.clear()
        self.index.named = []
        self.find(seller=peer(7).key)
        self.assertEqual(self.asked(), [7])

    def test_asked_once(self) -> None:
        """A seller that is named in two places is asked once."""
        self.find()
        self.node.sent.clear()
        self.index.named = [peer(7, "10.0.0.5")]
        self.find(seller=peer(7).key)
        self.assertEqual(self.asked(), [7])

    def test_moved(self) -> None:
        """A seller that is elsewhere now is tried in both places."""
        self.find()
        self.node = HangingNode(id=1)
        self.search._node = self.node
        self.index.named = [peer(9, "10.0.0.5", key=peer(7).key)]
        self.find(seller=peer(7).key)
        self.assertEqual(sorted(node_id for node_id, _ in self.node.tries), [7, 9])


@implementer(IOffers)
@define
class FakeShelf:
    """A shelf with what the test has put there.

    @ivar has: what it quotes, by item.
    """

    has: dict[str, ShelfQuote] = field(factory=dict)
    fault: Exception | None = None
    asked: list[tuple[str, int, Origin]] = field(factory=list)

    def items(self) -> Deferred[Sequence[str]]:
        """The names of all it has."""
        return succeed(list(self.has)) if self.fault is None else fail(self.fault)

    def presence(self, search_id: int) -> Envelope:
        """A word that is signed in a real one."""
        return PRESENCE

    def quote(self, item: str, quantity: int, buyer: Origin) -> Deferred[ShelfQuote | None]:
        """What there is."""
        self.asked.append((item, quantity, buyer))
        return succeed(self.has.get(item)) if self.fault is None else fail(self.fault)


class IndexAnswersTests(SynchronousTestCase):
    """Node 1 has five apples; node 7 is linked to it."""

    def setUp(self) -> None:
        """It is not published yet."""
        self.node = FakeNode(id=1)
        self.node.link(7)
        self.index = FakeIndex()
        self.shelf = FakeShelf({"apple": ShelfQuote(2, 120, QUOTE)})
        self.answers = IndexAnswers(self.node, self.index, self.shelf)

    def ask(self, item: str = "apple", **keys: Any) -> list[Any]:
        """Let an inquiry come; returns what is answered."""
        self.node.sent.clear()
        self.answers.receives[Inquiry](Inquiry(id=40, item=item, **keys), Origin(7, (1, 7)))
        return [message for message, route in self.node.sent if route == (1, 7)]

    def test_interfaces(self) -> None:
        """It answers, from a shelf."""
        self.assertTrue(verifyObject(IAnswers, self.answers))
        self.assertTrue(verifyObject(IOffers, self.shelf))

    def test_quotes(self) -> None:
        """What there is for who asks is answered, with the quote."""
        answer = self.ask(quantity=3)
        self.assertEqual(answer, [Quotation(id=40, item="apple", quantity=2, price=120, quote=QUOTE)])
        self.assertEqual(self.shelf.asked, [("apple", 3, Origin(7, (1, 7)))])

    def test_nothing(self) -> None:
        """Who asks gets an answer, also where there is nothing: another bazaar, another item, a book that is shut."""
        nothing = [Quotation(id=40, item="apple")]
        self.assertEqual(self.ask("pear"), [Quotation(id=40, item="pear")])
        self.assertEqual(self.ask(bazaar="another"), nothing)
        self.shelf.fault = StorageError("the disk is gone")
        self.assertEqual(self.ask(), nothing)

    def test_fault_of_ours(self) -> None:
        """A fault of ours is told of in the log, and costs that one answer."""
        self.shelf.fault = RuntimeError("a planted fault")
        self.assertEqual(self.ask(), [Quotation(id=40, item="apple")])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_presence(self) -> None:
        """Who looks for this very seller hears that it is there, and who looks for another does not."""
        self.assertEqual(self.ask(seller=self.node.key.public), [Quotation(id=40, item="apple", quote=PRESENCE)])
        self.assertEqual(self.ask(seller="09" * 32), [Quotation(id=40, item="apple")])
        self.assertEqual(self.shelf.asked, [])

    def test_who_asks_too_often(self) -> None:
        """Nobody can have more quotes made in a minute than that; in the next there are some again."""
        for _ in range(INQUIRIES_A_MINUTE):
            self.ask()
        self.assertIsNone(self.ask()[0].quote)
        self.node.clock.advance(61)
        self.assertIsNotNone(self.ask()[0].quote)

    def test_publishes(self) -> None:
        """What is on the shelf is published when it changes, sold out or not, and is looked at now and then."""
        self.answers.offers_changed()
        self.assertEqual(self.index.published, [["apple"]])
        self.answers.offers_changed()
        self.assertEqual(len(self.index.published), 1)
        self.shelf.has["pear"] = ShelfQuote(1, None, QUOTE)
        self.node.clock.advance(LOOK_AGAIN_S)
        self.assertEqual(self.index.published[1:], [["apple", "pear"]])

    def test_book_out_of_order(self) -> None:
        """A book that cannot be read is looked into again."""
        self.shelf.fault = StorageError("the disk is gone")
        self.answers.offers_changed()
        self.shelf.fault = None
        self.node.clock.advance(LOOK_AGAIN_S)
        self.assertEqual(self.index.published, [["apple"]])

    def test_stop(self) -> None:
        """Stopped, it answers and publishes no more."""
        self.answers.offers_changed()
        self.answers.stop()
        self.shelf.has["pear"] = ShelfQuote(1, None, QUOTE)
        self.answers.offers_changed()
        self.assertEqual((self.ask(), len(self.index.published)), ([], 1))
        self.assertEqual(self.node.clock.getDelayedCalls(), [])
