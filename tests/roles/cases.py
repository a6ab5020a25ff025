"""What tests of the buyer begin with: its fake node, and sellers played by hand."""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from tests.trade.cases import BUYER, FailingStore, answer_to, quote
from twisted_bazaar.discovery.flood.messages import Reply
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.roles.buyer import Buyer
from twisted_bazaar.roles.want import Want
from twisted_bazaar.testing import FakeNode, deliver
from twisted_bazaar.trade.contract import Purchase, Quote
from twisted_bazaar.trade.messages import Buy, Cancel
from twisted_bazaar.trade.stores.memory import MemoryPurchases
from twisted_bazaar.values.sale import Outcome
from twisted_bazaar.wire.error import Error


def key_of(node_id: int) -> KeyPair:
    """The key of the seller at a node."""
    return KeyPair.from_seed(b"%032d" % node_id)


@define
class TellingNode(FakeNode):
    """A node that keeps which events stay out of the log, and what is said of the others."""

    quiet: list[tuple[str, dict[str, Any]]] = field(factory=list)
    words: dict[str, str] = field(factory=dict)

    def report(self, event: str, sentence: str | None, **details: Any) -> None:
        """Keep an event."""
        super().report(event, sentence, **details)
        if sentence is None:
            self.quiet.append((event, details))
        else:
            self.words[event] = sentence


class BuyerTestCase(SynchronousTestCase):
    """A buyer on a fake node, linked to node 7."""

    def setUp(self) -> None:
        """Have an empty book."""
        self.store: Any = FailingStore(MemoryPurchases())

    def begin(self, *wants: Want, is_linked: bool = True, **options: Any) -> Buyer:
        """Start a buyer, or start it again on the same book."""
        self.node = TellingNode(id=1, key=BUYER)
        self.buyer = Buyer(wants or [Want("apple", 1)], self.store, **options)
        self.buyer.start(self.node)
        # A seller that is linked would be told of every order at once.
        if is_linked:
            self.buyer.peer_joined(self.node.link(7))
        return self.buyer

    def offer(
        self, *route: int, price: int | None = None, quantity: int = 1, item: str = "apple", **about: Any
    ) -> None:
        """Let a reply to the newest search come; what is given beside is about its quote."""
        statement = quote(key_of(route[-1]), **{"item": item, "quantity": quantity, "price": price, **about})
        reply = Reply(item=item, id=self.node.flooded[-1].id, price=price, quantity=quantity, quote=statement)
        deliver(self.buyer, reply, *route)

    def gathered(self) -> None:
        """Let the time for collecting offers pass."""
        self.node.clock.advance(0.31)

    def said(self) -> list[tuple[Buy | Cancel, tuple[int, ...]]]:
        """What it ordered and took back since last asked."""
        sent, self.node.sent = self.node.sent, []
        return [(message, route) for message, route in sent if isinstance(message, Buy | Cancel)]

    def orders(self) -> list[tuple[Buy, tuple[int, ...]]]:
        """What it ordered since last asked."""
        return [(message, route) for message, route in self.said() if isinstance(message, Buy)]

    def answer(self, asked: Buy | Cancel, outcome: Outcome, *route: int, code: str = "", reason: str = "") -> None:
        """Let the seller at the end of a route answer."""
        deliver(self.buyer, answer_to(asked, outcome, code, reason, key_of(route[-1])), *route)

    def confirm(self, order: Buy, *route: int) -> None:
        """Let a buyOK come."""
        self.answer(order, Outcome.SOLD, *route)

    def refuse(self, order: Buy, *route: int, code: str = "soldout", reason: str = "") -> None:
        """Let a refusal come."""
        self.answer(order, Outcome.REFUSED, *route, code=code, reason=reason)

    def error(self, order: Buy, code: str, *route: int) -> None:
        """Let an error about an order come."""
        deliver(self.buyer, Error(code=code, id=order.id, about="buy"), *route)

    def buy(self, *route: int, quantity: int = 1, item: str = "apple") -> None:
        """Let it find and buy from the last node of a route."""
        self.offer(*route, quantity=quantity, item=item)
        self.gathered()
        [(order, way)] = self.orders()
        self.confirm(order, *way)

    def bag(self) -> list[tuple[int, int]]:
        """What it has bought: seller and quantity."""
        return [(record.seller_node, record.quantity) for record in self.buyer.bag]

    def events(self) -> list[str]:
        """What it reported."""
        return [event for event, _ in self.node.reports]


def ordered(message: Buy) -> Purchase:
    """What an order says."""
    return message.order.open(Purchase)


def price_of(message: Buy) -> int | None:
    """At which price it is ordered."""
    return ordered(message).quote.open(Quote).price
