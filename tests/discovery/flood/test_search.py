"""Finding by flooding, on both sides: rounds and offers, searches and replies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.raw_peer import link
from tests.trade.cases import quote
from twisted_bazaar.discovery.flood.messages import Reply, Search
from twisted_bazaar.discovery.flood.search import FloodAnswers, FloodSearch
from twisted_bazaar.errors import StorageError
from twisted_bazaar.identity.signed import Envelope
from twisted_bazaar.interfaces import IDiscovery, INode, IOffers
from twisted_bazaar.role import Role
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.testing import FakeNode, SimulatedNetwork
from twisted_bazaar.values.addresses import Address, Origin, Route
from twisted_bazaar.values.sale import Offer, ShelfQuote

KEY: Final = "09" * 32
# Whoever finds verifies nothing: that is for who orders.
QUOTE: Final = quote()
PRESENCE: Final = quote(id="f" * 32)


class FloodSearchTests(SynchronousTestCase):
    """Node 1 looks for two apples."""

    def setUp(self) -> None:
        """Be linked to node 7."""
        self.node = FakeNode(id=1)
        self.node.link(7)
        self.search = FloodSearch(self.node)

    def find(self, accept: Callable[[Offer], bool] = lambda offer: True) -> Deferred[Sequence[Offer]]:
        """Begin to look."""
        return self.search.find("apple", 2, accept)

    def reply(self, *route: int, price: int | None = None, item: str = "apple", round: int = -1) -> Offer:
        """Let a reply to the newest search come, or to one before; returns the offer that it makes."""
        asked = self.node.flooded[round]
        message = Reply(item=item, id=asked.id, price=price, quantity=2, quote=QUOTE)
        self.search.receives[Reply](message, Origin(route[-1], route))
        return Offer(route[-1], item, 2, price, asked.id, route, QUOTE)

    def found(self, finding: Deferred[Sequence[Offer]]) -> Sequence[Offer]:
        """What was found when the time for collecting is over."""
        self.node.clock.advance(0.31)
        return self.successResultOf(finding)

    def test_interface(self) -> None:
        """It is a way to find things."""
        self.assertTrue(verifyObject(IDiscovery, self.search))

    def test_growing_reach(self) -> None:
        """Rounds reach 2, 4 and 7 links far, 1, 2 and 4 s long, each with an id of its own; then nothing was found."""
        finding = self.find()
        begun: list[float] = []
        while not finding.called:
            if len(self.node.flooded) > len(begun):
                begun.append(round(self.node.clock.seconds()))
            self.node.clock.advance(0.1)
        asked: list[Any] = self.node.flooded
        self.assertEqual(
            [(search.ttl, search.item, search.quantity) for search in asked], [(ttl, "apple", 2) for ttl in (2, 4, 7)]
        )
        self.assertEqual((begun, round(self.node.clock.seconds())), ([0, 1, 3], 7))
        self.assertEqual(len({search.id for search in asked}), 3)
        self.assertEqual((self.successResultOf(finding), self.node.clock.getDelayedCalls()), ([], []))

    def test_one_seller(self) -> None:
        """Whoever looks for one seller says so in every round."""
        finding = self.search.find("apple", 2, lambda offer: True, KEY)
        self.node.clock.pump([0.1] * 75)
        asked: list[Any] = self.node.flooded
        self.assertEqual(([search.seller for search in asked], self.successResultOf(finding)), ([KEY] * 3, []))

    def test_collects(self) -> None:
        """A cheaper offer that comes a moment after the first is found too, and stands before it."""
        finding = self.find()
        dear = self.reply(1, 7, price=120)
        self.node.clock.advance(0.2)
        self.assertNoResult(finding)
        cheap = self.reply(1, 7, 8, price=90)
        self.node.clock.advance(0.11)
        self.assertEqual((self.successResultOf(finding), self.node.clock.getDelayedCalls()), ([cheap, dear], []))

    def test_time_to_collect(self) -> None:
        """How long it collects is said by who looks."""
        self.search = FloodSearch(self.node, gather_s=2.0)
        finding = self.find()
        first = self.reply(1, 7)
        self.node.clock.advance(1.9)
        second = self.reply(1, 7, 8)
        self.node.clock.advance(0.11)
        self.assertEqual((self.successResultOf(finding), len(self.node.flooded)), ([first, second], 1))

    def test_another_item(self) -> None:
        """A reply about something else than was asked for is no offer."""
        finding = self.find()
        self.reply(1, 7, item="pear")
        offer = self.reply(1, 7, 8)
        self.assertEqual(self.found(finding), [offer])

    def test_not_asked_for(self) -> None:
        """A reply to no search, or to one that is over, is nothing."""
        finding = self.find()
        self.reply(1, 7)
        self.found(finding)
        self.reply(1, 7, 8)
        self.search.receives[Reply](Reply(item="apple", id=3), Origin(7, (1, 7)))
        self.assertEqual([event for event, _ in self.node.reports], ["offered"])

    def test_round_before(self) -> None:
        """A reply to an earlier round of the same search counts."""
        finding = self.find()
        self.node.clock.advance(1.5)
        offer = self.reply(1, 7, round=0)
        self.assertEqual(self.found(finding), [offer])

    def test_shortest_way(self) -> None:
        """A seller that answers by several ways makes one offer, by the shortest."""
        finding = self.find()
        self.reply(1, 7, 8, 9)
        short = self.reply(1, 6, 9)
        self.reply(1, 5, 4, 9)
        self.assertEqual(self.found(finding), [short])
        self.assertEqual([details["seller"] for _, details in self.node.reports], [9])

    def test_cancelled(self) -> None:
        """Who looks may stop waiting, before and after the first offer; nothing is left of the search then."""
        for is_offered in (False, True):
            finding = self.find()
            if is_offered:
                self.reply(1, 7)
            finding.cancel()
            self.failureResultOf(finding)
            self.search.stop()
            self.assertEqual(self.node.clock.getDelayedCalls(), [])

    def test_of_no_use(self) -> None:
        """Offers that are of no use do not end the search: it goes on as if they had not come."""
        finding = self.find(lambda offer: offer.seller != 7)
        for _ in range(31):
            self.reply(1, 7)
            self.node.clock.advance(0.1)
        offer = self.reply(1, 7, 8)
        self.assertEqual(len(self.node.flooded), 3)
        self.assertEqual(self.found(finding), [offer])

    def test_many_offers(self) -> None:
        """However many reply, or one makes up, 64 offers are kept."""
        finding = self.find()
        offers = [self.reply(1, 7, seller) for seller in range(100, 300)]
        self.assertEqual(self.found(finding), offers[:64])

    def test_stop(self) -> None:
        """A search that is broken off gives what has come so far, and leaves no timer."""
        finding, other = self.find(), self.find()
        offer = self.reply(1, 7)
        self.search.stop()
        self.assertEqual((self.successResultOf(finding), self.successResultOf(other)), ([], [offer]))
        self.assertEqual(self.node.clock.getDelayedCalls(), [])


@implementer(IOffers)
@define
class Pears:
    """A shelf with pears and nothing else.

    @ivar asked: who was given a quote, or none.
    @ivar is_failing: whether its book cannot be read now.
    """

    asked: list[Origin] = field(factory=list)
    is_failing: bool = False

    def presence(self, search_id: int) -> Envelope:
        """A signed word."""
        return PRESENCE

    def quote(self, item: str, quantity: int, buyer: Origin) -> Deferred[ShelfQuote | None]:
        """Two pears at 120."""
        self.asked.append(buyer)
        if self.is_failing:
            return fail(StorageError("the disk is full"))
        return succeed(ShelfQuote(2, 120, QUOTE) if item == "pear" else None)


class _SlowNode(FakeNode):
    """A node whose direct connections neither come nor fail."""

    def try_hold_link(self, node_id: int, address: Address, holder: Any) -> Deferred[bool]:
        return Deferred()


class FloodAnswersTests(SynchronousTestCase):
    """Node 1, linked to node 7, has pears."""

    reply = Reply(item="pear", id=40, quantity=2, price=120, quote=QUOTE)

    def setUp(self) -> None:
        """Be linked to node 7."""
        self.begin(FakeNode(id=1))

    def begin(self, node: FakeNode) -> None:
        """Answer through a node."""
        self.node = node
        node.link(7)
        self.shelf = Pears()
        self.answers = FloodAnswers(node, self.shelf)

    def search(self, *route: int, item: str = "pear", **keys: Any) -> None:
        """Let a search come from the last node of a route."""
        search = Search(id=40, return_path=tuple(reversed(route[1:])), item=item, **keys)
        self.answers.receives[Search](search, Origin(route[-1], route))

    def ways(self) -> list[Route]:
        """The ways that replies took since last asked; each says the same."""
        sent, self.node.sent = self.node.sent, []
        self.assertEqual([message for message, _ in sent], [self.reply] * len(sent))
        return [route for _, route in sent]

    def test_what_there_is(self) -> None:
        """A search for what is on the shelf is answered, one for anything else is not."""
        self.search(1, 7)
        self.search(1, 7, item="plum")
        self.assertEqual(self.ways(), [(1, 7)])

    def test_wanted_itself(self) -> None:
        """A search for this node is answered whatever is on its shelf; nothing is taken from there, or signed."""
        for item in ("pear", "plum"):
            self.search(1, 7, 9, item=item, quantity=5, seller=self.node.key.public)
        replies = [(Reply(item=item, id=40, quantity=1, quote=PRESENCE), (1, 7, 9)) for item in ("pear", "plum")]
        self.assertEqual((self.node.sent, self.shelf.asked), (replies, []))

    def test_another_is_wanted(self) -> None:
        """A search for another node is not answered by one that has the item, and takes nothing from its shelf."""
        self.search(1, 7, 9, seller=KEY)
        self.assertEqual((self.ways(), self.shelf.asked), ([], []))

    def test_another_bazaar(self) -> None:
        """A search for sellers of another bazaar is not answered, whoever is wanted; nothing is taken for it."""
        for seller in (None, self.node.key.public):
            self.search(1, 7, 9, bazaar="elsewhere", seller=seller)
        self.assertEqual((self.ways(), self.shelf.asked), ([], []))

    def test_storage(self) -> None:
        """While the book cannot be read there is nothing to offer; that is no fault of ours. Later there is."""
        self.shelf.is_failing = True
        self.search(1, 7)
        self.assertEqual((self.ways(), self.flushLoggedErrors()), ([], []))
        self.shelf.is_failing = False
        self.search(1, 7)
        self.assertEqual(self.ways(), [(1, 7)])

    def test_along_the_path(self) -> None:
        """When the buyer cannot be reached directly, or says not where, the reply goes back along the path."""
        self.search(1, 7, 8, 9, host="10.0.0.5", port=4000)
        self.search(1, 7, 8, 9)
        self.assertEqual(self.ways(), [(1, 7, 8, 9)] * 2)

    def test_directly(self) -> None:
        """When a direct connection can be made, the reply goes over it; the link is let go after 30 s."""
        self.node.reachable = {9}
        self.search(1, 7, 8, 9, host="10.0.0.5", port=4000)
        self.assertEqual(self.ways(), [(1, 9)])
        self.node.clock.advance(29)
        self.assertEqual(self.node.released, [])
        self.node.clock.advance(2)
        self.assertEqual(self.node.released, [9])

    def test_asks_again(self) -> None:
        """A buyer that asks again has its direct link for another 30 s."""
        self.node.reachable = {9}
        for wait_s in (20, 29, 2):
            self.assertEqual(self.node.released, [])
            if wait_s != 2:
                self.search(1, 7, 8, 9, host="10.0.0.5", port=4000)
            self.node.clock.advance(wait_s)
        self.assertEqual(self.node.released, [9])

    def test_buyer_behind_a_firewall(self) -> None:
        """A direct connection that neither comes nor fails is not waited for longer than a second."""
        self.begin(_SlowNode(id=1))
        self.search(1, 7, 8, 9, host="10.0.0.5", port=4000)
        self.node.clock.advance(0.9)
        self.assertEqual(self.ways(), [])
        self.node.clock.advance(0.2)
        self.assertEqual(self.ways(), [(1, 7, 8, 9)])

    def test_another_way(self) -> None:
        """When the way a search came by is gone, the reply takes another that is known."""
        self.node.routes = {9: [(1, 5, 9), (1, 7, 6, 9)]}
        self.search(1, 4, 9)
        self.assertEqual(self.ways(), [(1, 7, 6, 9)])

    def test_stop(self) -> None:
        """Who stops leaves no timer."""
        self.node.reachable = {9}
        self.search(1, 7, 8, 9, host="10.0.0.5", port=4000)
        self.answers.stop()
        self.assertEqual(self.node.clock.getDelayedCalls(), [])


class _PearSeller(Role):
    """Answers from a shelf with pears."""

    def start(self, node: INode) -> None:
        super().start(node)
        self._answers = FloodAnswers(node, Pears())
        self.receives = self._answers.receives


class PassedOnTests(SynchronousTestCase):
    """Node 71 sends a search to a node with pears, which is linked to node 72 too."""

    def test_for_one_seller(self) -> None:
        """A search for one seller is passed on as it is, by that one and by others."""
        network = SimulatedNetwork()
        network.add_tracker(Tracker())
        node = network.add_node(_PearSeller())
        network.run_until(lambda: node.id > 0)
        asking, other = (link(network, node, id) for id in (71, 72))
        search = {"type": "search", "item": "pear", "quantity": 2}
        for number, seller in enumerate((node.key.public, KEY)):
            asking.received.clear()
            other.received.clear()
            asking.tell(**search, id=number, returnPath=[71], ttl=4, seller=seller)
            network.run(0.1)
            seen = {"id": number, "returnPath": [71, node.id], "ttl": 3, "host": node.peers()[0].address.host}
            for message in other.received:
                del message["flows"]
            self.assertEqual(other.received, [{**search, **seen, "seller": seller}])
            self.assertEqual([reply["id"] for reply in asking.of_type("reply")], [number] * (seller == node.key.public))
