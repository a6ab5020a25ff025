"""The values of a sale: offers, quotes, orders, and what becomes of them. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from attrs import frozen

from twisted_bazaar.identity.signed import Envelope
from twisted_bazaar.values.addresses import Route


@frozen
class Offer:
    """An offer: what one seller said it would sell.

    @ivar seller: the id of the node that answered.
    @ivar quantity: how many it offers, at least 1.
    @ivar price: for one unit, in minor units; None when it names none.
    @ivar search_id: the search it answers.
    @ivar route: the way to the seller.
    @ivar quote: the same, signed; None when only the way to the seller was asked for. Nothing of it has been
        verified yet.
    """

    seller: int
    item: str
    quantity: int
    price: int | None
    search_id: int
    route: Route
    quote: Envelope | None = None


@frozen
class ShelfQuote:
    """A quote of a shelf for one buyer.

    @ivar quantity: units held for the buyer or free, at least 1.
    @ivar price: for one unit, in minor units; None when none is asked.
    @ivar statement: the same, signed by the seller.
    """

    quantity: int
    price: int | None
    statement: Envelope


@frozen
class Supply:
    """A seller's initial supply of one item.

    @ivar quantity: units, 0 or more.
    @ivar price: for one unit, in minor units; None when none is asked.
    """

    quantity: int
    price: int | None = None


def at_price(price: int | None) -> str:
    """The words for the price of a unit in a sentence for the log, with a place for it; empty if there is none."""
    return "" if price is None else " at {price}"


class Outcome(Enum):
    """The outcome of an order."""

    SOLD = "sold"
    REFUSED = "refused"
    CANCELLED = "cancelled"


@frozen
class Order:
    """An order for a seller's book to decide: a purchase, or that a purchase is not to be.

    @ivar buyer: the key of who orders; with C{id} it names the order for ever.
    @ivar id: 32 hexadecimal digits.
    @ivar seller: the key of the seller whose quote it is about.
    @ivar quote: the id of that quote.
    @ivar valid_until_ms: when, by the seller's clock, the quote ends.
    @ivar quantity: units; 0 for a purchase that is taken back.
    @ivar price: for one unit, as quoted; None for goods without a price.
    @ivar is_withdrawal: whether the buyer takes the purchase back.
    @ivar statement: what the buyer has signed.
    """

    buyer: str
    id: str
    seller: str
    quote: str
    valid_until_ms: int
    item: str
    quantity: int
    price: int | None
    is_withdrawal: bool
    statement: Envelope

    @property
    def key(self) -> tuple[str, str]:
        """The key that names it for ever: the buyer and its order id."""
        return self.buyer, self.id


@frozen
class Verdict:
    """A seller's decision about an order that it has not answered before.

    @ivar code: why it is refused, for programs; empty when it is not.
    @ivar reason: the same for people.
    @ivar is_kept: whether the book has to remember it. It need not if it would come to the same verdict at any
        later time.
    """

    outcome: Outcome
    code: str = ""
    reason: str = ""
    is_kept: bool = True


@frozen
class Deal:
    """An order and the final answer to it.

    @ivar answer: what the seller has signed.
    @ivar decided_at_ms: when, by the seller's clock.
    """

    order: Order
    outcome: Outcome
    code: str
    reason: str
    answer: Envelope
    decided_at_ms: int = 0


@frozen
class Settlement:
    """A ledger's answer to an order.

    @ivar is_repeat: whether the same was said to this order before.
    """

    deal: Deal
    is_repeat: bool


@frozen
class StockLevel:
    """The count of one item. Always: supplied = in_stock + sold + withdrawn.

    @ivar price: for one unit, in minor units; None when it is given without one.
    """

    item: str
    supplied: int
    in_stock: int
    sold: int
    withdrawn: int
    price: int | None


Seal = Callable[[Order, Verdict], Envelope]
"""Makes the signed answer to an order."""
