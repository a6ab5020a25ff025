"""The contract of a sale: quote, purchase, withdrawal, answer, receipt, each signed by its author. Sans-IO.

A L{Quote} is the seller's: this item, at this price, so many, until then. A L{Purchase} is the buyer's, on
a quote; it carries the quote whole, so a seller need not remember which ones it gave. A L{Withdrawal} is
the buyer's too: that purchase is not to be. An L{Answer} is the seller's, and final. A purchase and the
answer to it make a L{Receipt}, which anybody can check.

Each names the bazaar it belongs to and the keys of those it binds, so that it is worth nothing anywhere
else. How envelopes keep them as they were written: L{twisted_bazaar.identity.signed}.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta

from twisted_bazaar.errors import Forged
from twisted_bazaar.identity.keys import KeyPair, PublicKey
from twisted_bazaar.identity.signed import Envelope, Statement, seal
from twisted_bazaar.values.sale import Offer, Order, Outcome, Verdict
from twisted_bazaar.wire.goods import Bazaar, Count, ItemName, Price, check_item_name
from twisted_bazaar.wire.message import LARGEST_INTEGER, MessageId

ID_BYTES: Final = 16
# How long a quote is good. So long a seller remembers whom it has refused.
QUOTE_S: Final = 120.0
LONGEST_QUOTE_BYTES: Final = 8_192
_OTHER_ORDER: Final = "answer: it is about another order"

ContractId = Annotated[str, Meta(min_length=32, max_length=32, pattern=r"^[0-9a-f]*\Z")]
Digest = Annotated[str, Meta(min_length=64, max_length=64, pattern=r"^[0-9a-f]*\Z")]
Milliseconds = Annotated[int, Meta(ge=0, le=LARGEST_INTEGER)]
Code = Annotated[str, Meta(max_length=64)]
Reason = Annotated[str, Meta(max_length=512)]


class BySeller(Statement):
    """A statement by a seller."""

    bazaar: Bazaar
    seller: PublicKey

    @property
    def signer(self) -> str:
        """The seller."""
        return self.seller


class ByBuyer(Statement):
    """A statement by a buyer about an order.

    @ivar id: with the buyer's key it names the order for ever.
    """

    bazaar: Bazaar
    buyer: PublicKey
    id: ContractId

    @property
    def signer(self) -> str:
        """The buyer."""
        return self.buyer


class Quote(BySeller):
    """A quote: what a seller would sell, and its price.

    @ivar quantity: the most that one purchase on this quote may be for.
    @ivar price: for one unit in minor units; None for goods without a price.
    @ivar id: chosen at random by the seller.
    @ivar valid_until: by the seller's clock, in milliseconds; past it the quote is worth nothing.
    """

    kind: ClassVar[str] = "quote"

    id: ContractId
    item: ItemName
    quantity: Count
    valid_until: Milliseconds
    price: Price | None = None

    def __post_init__(self) -> None:
        check_item_name(self.item)


class Presence(BySeller):
    """A seller says that a search for it has come to it.

    @ivar search: the id of the search.
    """

    kind: ClassVar[str] = "presence"

    search: MessageId


class Purchase(ByBuyer):
    """A buyer orders: with its key this id names the order for ever.

    @ivar quote: what the seller has stated, as it has stated it.
    """

    kind: ClassVar[str] = "purchase"

    item: ItemName
    quantity: Count
    quote: Envelope


class Withdrawal(ByBuyer):
    """A buyer takes a purchase back, which the seller may or may not have seen yet."""

    kind: ClassVar[str] = "withdrawal"

    quote: Envelope


class Answer(BySeller):
    """A seller's final answer to an order.

    @ivar order: the id of the purchase.
    @ivar digest: SHA-256 of the statement that was answered, a purchase or a withdrawal, in hexadecimal.
    @ivar outcome: C{sold}, C{refused} or C{cancelled}.
    @ivar price: for one unit.
    @ivar code: why it is refused, for programs.
    @ivar reason: the same for people.
    """

    kind: ClassVar[str] = "answer"

    buyer: PublicKey
    order: ContractId
    digest: Digest
    outcome: Outcome
    item: ItemName
    quantity: Annotated[int, Meta(ge=0, le=LARGEST_INTEGER)]
    price: Price | None = None
    code: Code = ""
    reason: Reason = ""


class Receipt(msgspec.Struct, frozen=True, rename="camel"):
    """A statement of a buyer and the seller's answer to it, for anybody to check.

    @ivar order: the L{Purchase}, or the L{Withdrawal}, that was answered.
    """

    order: Envelope
    answer: Envelope

    def is_about_order(self) -> bool:
        """Whether the answer is to this very statement; both are taken to be signed."""
        return self.answer.open(Answer).digest == digest_of(self.order)


def read_offer(offer: Offer, bazaar: str) -> Quote:
    """The quote in an offer.

    @raise Forged: it is not what the offer says, not signed by who it names, or for another bazaar.
    """
    if offer.quote is None:
        raise Forged("quote: there is none")
    quote = _open_quote(offer.quote)
    _expect(quote.bazaar == bazaar, f"quote: it is for the bazaar {quote.bazaar!r}")
    same = (quote.item, quote.quantity, quote.price) == (offer.item, offer.quantity, offer.price)
    _expect(same, "quote: it says something else than the reply")
    return quote


def read_presence(offer: Offer, bazaar: str, seller: str) -> None:
    """See that an answer to the search for a seller is by that seller.

    @raise Forged: it is not.
    """
    if offer.quote is None:
        raise Forged("presence: there is none")
    presence = offer.quote.open(Presence)
    said = (presence.bazaar, presence.seller, presence.search)
    _expect(said == (bazaar, seller, offer.search_id), "presence: it is another seller's, or of another search")


def make_purchase(key: KeyPair, order_id: str, quote: Envelope, terms: Quote, quantity: int) -> Envelope:
    """A buyer's order on a quote, signed.

    @param terms: what the quote says.
    """
    return seal(key, Purchase(terms.bazaar, key.public, order_id, terms.item, quantity, quote))


def make_withdrawal(key: KeyPair, order_id: str, quote: Envelope, bazaar: str) -> Envelope:
    """A buyer's word that an order is not to be, signed."""
    return seal(key, Withdrawal(bazaar, key.public, order_id, quote))


def read_purchase(statement: Envelope, terms_of: Callable[[Envelope], Quote]) -> Order:
    """Verify a purchase, and read the order in it.

    @param terms_of: reads and verifies the quote that it is about.
    @raise Forged: a signature does not hold, or it asks for what the quote does not say.
    """
    purchase = statement.open(Purchase)
    terms = terms_of(purchase.quote)
    _expect(purchase.bazaar == terms.bazaar, f"purchase: it is for the bazaar {purchase.bazaar!r}")
    _expect(purchase.item == terms.item, f"purchase: {purchase.item!r} was not quoted")
    _expect(purchase.quantity <= terms.quantity, f"purchase: {terms.quantity} were quoted, no more")
    return _order(purchase, terms, purchase.quantity, statement)


def read_withdrawal(statement: Envelope, terms_of: Callable[[Envelope], Quote]) -> Order:
    """Verify a withdrawal, and read the order that it takes back.

    @param terms_of: reads and verifies the quote that it is about.
    @raise Forged: a signature does not hold.
    """
    withdrawal = statement.open(Withdrawal)
    terms = terms_of(withdrawal.quote)
    _expect(withdrawal.bazaar == terms.bazaar, f"withdrawal: it is for the bazaar {withdrawal.bazaar!r}")
    return _order(withdrawal, terms, 0, statement)


def read_quote(statement: Envelope, bazaar: str, seller: str) -> Quote:
    """A quote that comes back to the seller that is to have made it.

    @raise Forged: it was made by another, or for another bazaar.
    """
    quote = _open_quote(statement)
    _expect(quote.bazaar == bazaar, f"quote: it is for the bazaar {quote.bazaar!r}")
    _expect(quote.seller == seller, f"quote: it was made by another seller, {quote.seller[:16]}")
    return quote


def make_answer(key: KeyPair, bazaar: str, order: Order, verdict: Verdict) -> Envelope:
    """A seller's answer to an order, signed."""
    answer = Answer(
        bazaar=bazaar,
        seller=key.public,
        buyer=order.buyer,
        order=order.id,
        digest=digest_of(order.statement),
        outcome=verdict.outcome,
        item=order.item,
        quantity=order.quantity,
        price=order.price,
        code=verdict.code,
        reason=verdict.reason,
    )
    return seal(key, answer)


def digest_of(statement: Envelope) -> str:
    """The digest by which an answer names the statement that it answers."""
    return sha256(statement.payload).hexdigest()


def check_receipt(receipt: Receipt) -> tuple[Purchase | Withdrawal, Quote, Answer]:
    """Check everything about a receipt that can be checked by anybody: that it holds together.

    @return: what was asked, on which quote, and what was answered.
    @raise Forged: it does not hold; the text says where.
    """
    asked: Purchase | Withdrawal
    if receipt.order.payload_type == Withdrawal.payload_type():
        asked = receipt.order.open(Withdrawal)
    else:
        asked = receipt.order.open(Purchase)
    quote = read_quote(asked.quote, asked.bazaar, _open_quote(asked.quote).seller)
    answer = receipt.answer.open(Answer)
    if isinstance(asked, Purchase):
        read_purchase(receipt.order, lambda envelope: quote)
    _expect(answer.seller == quote.seller, "answer: it is not by the seller who made the quote")
    _expect((answer.bazaar, answer.buyer, answer.order) == (asked.bazaar, asked.buyer, asked.id), _OTHER_ORDER)
    check_answer(answer, receipt.order, asked.quantity if isinstance(asked, Purchase) else 0, quote)
    return asked, quote, answer


def check_answer(answer: Answer, asked: Envelope, quantity: int, terms: Quote) -> None:
    """See that an answer is to a statement, and speaks of the same goods.

    @param quantity: what was asked for; 0 for a withdrawal.
    @raise Forged: it is to another, or says something else.
    """
    _expect(answer.digest == digest_of(asked), _OTHER_ORDER)
    said = (answer.item, answer.quantity, answer.price)
    _expect(said == (terms.item, quantity, terms.price), "answer: it speaks of other goods than the order")
    _expect(answer.outcome is not Outcome.SOLD or quantity > 0, "answer: nothing can be sold by a withdrawal")


def _order(statement: Purchase | Withdrawal, terms: Quote, quantity: int, envelope: Envelope) -> Order:
    return Order(
        buyer=statement.buyer,
        id=statement.id,
        seller=terms.seller,
        quote=terms.id,
        valid_until_ms=terms.valid_until,
        item=terms.item,
        quantity=quantity,
        price=terms.price,
        is_withdrawal=isinstance(statement, Withdrawal),
        statement=envelope,
    )


def _open_quote(statement: Envelope) -> Quote:
    """A quote, if it leaves room for the order that is to carry it."""
    if len(statement.payload) > LONGEST_QUOTE_BYTES:
        raise Forged(f"quote: {len(statement.payload)} bytes; at most {LONGEST_QUOTE_BYTES} are taken")
    return statement.open(Quote)


def _expect(is_so: bool, fault: str) -> None:
    if not is_so:
        raise Forged(fault)
