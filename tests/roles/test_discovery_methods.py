"""The seam between finding and obtaining: buyer and seller work by whatever way they are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.configured import context_of, typed
from tests.roles.cases import key_of
from tests.trade.cases import FailingStore, quote
from twisted_bazaar.errors import UsageError
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.interfaces import IAnswers, ICatalogue, IDiscovery, IDiscoveryMethod, INode, IOffers, IRole
from twisted_bazaar.plugin import loaded_methods
from twisted_bazaar.roles import buyer, seller
from twisted_bazaar.roles.buyer import Buyer
from twisted_bazaar.roles.discovery.chosen import method_named
from twisted_bazaar.roles.discovery.flood import FloodMethod
from twisted_bazaar.roles.discovery.index import IndexMethod
from twisted_bazaar.roles.discovery.method import DiscoveryMethod
from twisted_bazaar.roles.discovery.ring import RingMethod
from twisted_bazaar.roles.discovery.superpeer import SuperPeerMethod
from twisted_bazaar.roles.seller import Seller
from twisted_bazaar.roles.super_peer import SuperPeer
from twisted_bazaar.roles.want import Want
from twisted_bazaar.testing import FakeNode
from twisted_bazaar.trade.messages import Buy
from twisted_bazaar.trade.stores.memory import MemorySales
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.joining import Asked
from twisted_bazaar.values.sale import Offer, Supply
from twisted_bazaar.wire.error import Error


@implementer(IDiscovery)
@define
class HandSearch:
    """A search whose offers the test makes."""

    gather_s: float
    receives: Mapping[Any, Any] = field(factory=dict)
    asked: list[tuple[str, int, str | None]] = field(factory=list)
    found: list[Deferred[Sequence[Offer]]] = field(factory=list)

    def find(
        self, item: str, quantity: int, accept: Callable[[Offer], bool], seller: str | None = None
    ) -> Deferred[Sequence[Offer]]:
        """Keep what is looked for."""
        self.asked.append((item, quantity, seller))
        self.found.append(Deferred())
        return self.found[-1]

    def stop(self) -> None:
        """Nothing is under way."""


@implementer(IAnswers)
@define
class HandAnswers:
    """Counts how often the shelf is to be looked at."""

    shelf: IOffers
    receives: Mapping[Any, Any] = field(factory=dict)
    changes: int = 0

    def offers_changed(self) -> None:
        """Count."""
        self.changes += 1

    def stop(self) -> None:
        """There is nothing to end."""


@implementer(IDiscoveryMethod)
@define
class HandWay:
    """A way of finding that the test plays."""

    name: str = "hand"
    asked: Asked | None = None
    needs_links: bool = False
    gives_ids: bool = True
    is_with_stranger: bool = False
    registrar: None = None
    nobody_asked: str | None = None
    finds_files: bool = False
    finds_goods: bool = True
    lists_everything: bool = False
    limits: Mapping[str, Any] = field(factory=dict)
    roles: Sequence[IRole] = ()
    searches: list[HandSearch] = field(factory=list)
    shelves: list[HandAnswers] = field(factory=list)

    def make_discovery(self, node: INode, gather_s: float) -> IDiscovery:
        """What looks for goods."""
        self.searches.append(HandSearch(gather_s))
        return self.searches[-1]

    def make_answers(self, node: INode, shelf: IOffers) -> IAnswers:
        """What lets a shelf be found."""
        self.shelves.append(HandAnswers(shelf))
        return self.shelves[-1]

    def make_catalogue(self) -> ICatalogue | None:
        """There is none."""
        return None


class WaysTests(SynchronousTestCase):
    """The ways that there are."""

    def test_interfaces(self) -> None:
        """Each is a way, by its own name, and gives what looks for goods and what answers."""
        methods = loaded_methods()
        self.assertEqual([method.name for method in methods], ["flood", "index", "ring", "superpeer"])
        for method in methods:
            way, node = method(), FakeNode()
            self.assertTrue(verifyObject(IDiscoveryMethod, way))
            self.assertIs(method_named(way.name), method)
            self.assertEqual((way.finds_files, way.finds_goods), (way.make_catalogue() is not None, True))
            for role in way.roles:
                self.assertTrue(verifyObject(IRole, role))
            shelf: Any = None
            self.assertTrue(verifyObject(IDiscovery, way.make_discovery(node, 0.3)))
            self.assertTrue(verifyObject(IAnswers, way.make_answers(node, shelf)))
        self.assertTrue(verifyObject(IDiscoveryMethod, HandWay()))

    def test_no_goods(self) -> None:
        """By a way that says nothing of goods, who buys or sells is refused before anything begins."""

        class FilesOnly(DiscoveryMethod):
            name = "files-only"

        self.assertFalse(FilesOnly().finds_goods)
        for role, words in ((buyer, ("--want", "apple")), (seller, ("--stock", "apple=1"))):
            options = typed(role.OPTIONS, *words)
            refused = self.assertRaises(UsageError, role.make_role, options, context_of(FilesOnly()))
            line = "goods are not found by --via files-only; choose another way, such as --via flood"
            self.assertEqual(str(refused), line)

    def test_files(self) -> None:
        """By an index or super peers files are found, not by flooding; what finds them is a role of the node."""
        self.assertIsNone(FloodMethod().make_catalogue())
        for method in (IndexMethod, SuperPeerMethod):
            way = method()
            self.assertTrue(verifyObject(ICatalogue, way.make_catalogue()))
            self.assertEqual([way.make_catalogue()], list(way.roles))
        ring = RingMethod()
        self.assertTrue(verifyObject(ICatalogue, ring.make_catalogue()))
        self.assertEqual([role.search for role in ring.roles], [ring.make_catalogue()])

    def test_super_peers(self) -> None:
        """A node that finds by super peers has its id from its key, and knows those that it was given."""
        node = FakeNode()
        way = SuperPeerMethod([Address("10.0.0.7", 9200)])
        self.assertFalse(way.gives_ids)
        for role in way.roles:
            self.assertTrue(role.is_self_numbered)
            role.start(node)
        node.clock.advance(0)
        self.assertEqual(node.met, [Address("10.0.0.7", 9200)])
        for role in way.roles:
            self.successResultOf(role.stop())
        self.assertEqual(node.clock.getDelayedCalls(), [])

    def test_may_lead(self) -> None:
        """One that may lead carries a super peer that does nothing until a super peer asks it to."""
        way = SuperPeerMethod(may_lead=True)
        leaf, dormant = way.roles
        self.assertIs(leaf, way.make_catalogue())
        self.assertIsInstance(dormant, SuperPeer)
        self.assertIsNone(dormant.kind)
        self.assertFalse(set(leaf.receives) & set(dormant.receives) - {Error})

    def test_unknown(self) -> None:
        """A way that there is not is named, with those that there are."""
        with self.assertRaises(UsageError) as caught:
            method_named("smoke")
        self.assertEqual(str(caught.exception), "--via 'smoke': write one of flood, index, ring, superpeer")


class BuyerTests(SynchronousTestCase):
    """A buyer of two apples, by a way that the test plays."""

    def begin(self, *, once_s: float | None = None, **about: Any) -> Buyer:
        """Start it."""
        self.way = HandWay(**about)
        self.node = FakeNode(id=1)
        role = Buyer([Want("apple", 2)], gather_s=0.7, once_s=once_s, discovery=self.way)
        role.start(self.node)
        [self.search] = self.way.searches
        self.assertEqual(self.search.gather_s, 0.7)
        return role

    def test_finds_by_it(self) -> None:
        """It asks when its tracker is there, orders where the way leads, and looks again for what is missing."""
        role = self.begin()
        self.assertEqual(self.search.asked, [])
        role.tracker_joined()
        self.assertEqual(self.search.asked, [("apple", 2, None)])
        self.node.link(7)
        statement = quote(key_of(7), quantity=1, price=3)
        self.search.found[-1].callback([Offer(7, "apple", 1, 3, 40, (1, 7), statement)])
        [(order, route)] = self.node.sent
        self.assertIsInstance(order, Buy)
        self.assertEqual(route, (1, 7))

    def test_needs_links(self) -> None:
        """By a way over neighbours it waits for one; a tracker alone is of no use."""
        role = self.begin(needs_links=True, gives_ids=False)
        role.tracker_joined()
        self.assertEqual(self.search.asked, [])
        role.peer_joined(self.node.link(7))
        self.assertEqual(len(self.search.asked), 1)

    def test_super_peers(self) -> None:
        """Where ids come from keys it waits for somebody to ask; a tracker alone is of no use."""
        role = self.begin(gives_ids=False)
        role.tracker_joined()
        self.assertEqual(self.search.asked, [])
        role.peer_joined(self.node.link(7))
        self.assertEqual(len(self.search.asked), 1)

    def test_nobody_to_ask(self) -> None:
        """With C{--once} it ends with 4 if there was no super peer all the time, and with 3 if there was one."""
        for is_there, expected in ((False, ExitStatus.UNREACHED), (True, ExitStatus.NOT_FOUND)):
            role = self.begin(gives_ids=False, nobody_asked="nobody was there", once_s=20.0)
            if is_there:
                role.peer_joined(self.node.link(7))
                role.peer_left(self.node.link(7))
            self.node.clock.pump([1] * 20)
            self.assertEqual(self.successResultOf(role.finished), expected)
            nobody = [about for event, about in self.node.reports if event == "nobody_asked"]
            self.assertEqual(len(nobody), not is_there)
        role = self.begin(once_s=20.0)
        self.node.clock.pump([1] * 20)
        self.assertEqual(self.successResultOf(role.finished), ExitStatus.NOT_FOUND)

    def test_stranger(self) -> None:
        """With C{--once} it ends with 7 where what gives ids cannot be asked, such as a tracker for an index server."""
        for is_stranger, expected in ((True, ExitStatus.UNREACHED), (False, ExitStatus.NOT_FOUND)):
            role = self.begin(is_with_stranger=is_stranger, nobody_asked="nobody was there", once_s=20.0)
            role.tracker_joined()
            self.node.clock.pump([1] * 20)
            self.assertEqual(self.successResultOf(role.finished), expected)

    def test_seeks_by_it(self) -> None:
        """A seller that does not answer is looked for by its key."""
        role = self.begin()
        role.tracker_joined()
        self.node.link(7)
        self.search.found[-1].callback([Offer(7, "apple", 2, 3, 40, (1, 7), quote(key_of(7), quantity=2, price=3))])
        self.node.clock.pump([0.5] * 60)
        self.assertIn(("apple", 2, key_of(7).public), self.search.asked)

    def test_option(self) -> None:
        """C{make_role} takes the way of the node."""
        way = HandWay()
        buyer.make_role(typed(buyer.OPTIONS, "--want", "apple"), context_of(way)).start(FakeNode())
        self.assertEqual(len(way.searches), 1)


class SellerTests(SynchronousTestCase):
    """A seller of apples, by a way that the test plays."""

    def setUp(self) -> None:
        """Start it."""
        self.way = HandWay()
        self.store = FailingStore(MemorySales())
        self.role = Seller({"apple": Supply(5)}, self.store, discovery=self.way)

    def start(self) -> HandAnswers:
        """Start it; returns what answers for it."""
        self.node = FakeNode(id=1)
        self.role.start(self.node)
        [answers] = self.way.shelves
        return answers

    def test_tells_of_its_goods(self) -> None:
        """The way may look at the shelf when the goods are on it."""
        answers = self.start()
        self.assertEqual((answers.changes, self.successResultOf(answers.shelf.items())), (1, ["apple"]))

    def test_book_out_of_order(self) -> None:
        """While the book cannot be written there is nothing to look at; then there is."""
        self.store.is_failing = True
        answers = self.start()
        self.assertEqual(answers.changes, 0)
        self.store.is_failing = False
        self.node.clock.advance(10)
        self.assertEqual(answers.changes, 1)
        self.assertEqual(self.successResultOf(answers.shelf.items()), ["apple"])

    def test_goods_that_come_later(self) -> None:
        """What the operator adds is told of at once."""
        answers = self.start()
        self.successResultOf(self.role.commands["stock.add"]({"item": "pear", "quantity": 2}))
        self.assertEqual(answers.changes, 2)
        self.assertEqual(sorted(self.successResultOf(answers.shelf.items())), ["apple", "pear"])

    def test_sold_out(self) -> None:
        """What is sold out or withdrawn stays known: buyers may have to find the way back."""
        answers = self.start()
        self.successResultOf(self.role.commands["stock.withdraw"]({"item": "apple", "quantity": 5}))
        self.assertEqual(self.successResultOf(answers.shelf.items()), ["apple"])

    def test_option(self) -> None:
        """C{make_role} takes the way of the node."""
        way = HandWay()
        seller.make_role(typed(seller.OPTIONS, "--stock", "apple"), context_of(way)).start(FakeNode())
        self.assertEqual(len(way.shelves), 1)
