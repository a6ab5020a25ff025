"""A seller's goods as the network sees them: what can be offered now, and the answers to orders."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.identity.signed import Envelope, seal
from twisted_bazaar.interfaces import ILedger, INode, IOffers
from twisted_bazaar.trade.contract import (
    ID_BYTES,
    QUOTE_S,
    Presence,
    Quote,
    make_answer,
    read_purchase,
    read_quote,
    read_withdrawal,
)
from twisted_bazaar.trade.reservations import Reservations
from twisted_bazaar.values.addresses import Origin
from twisted_bazaar.values.sale import Order, Outcome, Settlement, ShelfQuote, StockLevel, Verdict

_QUOTES_REMEMBERED: Final = 4_096


@implementer(IOffers)
class Offers:
    """The stock of one seller.

    @param ledger: the book that decides.
    @param node: the node that it is offered by.
    """

    def __init__(self, ledger: ILedger, node: INode) -> None:
        self._ledger = ledger
        self._node = node
        self.reservations: Reservations = Reservations()
        # Quotes that need not be verified when they come back: this seller has just made them.
        # Known by what they hash to: what was signed of a long name takes as much again as its terms.
        self._quotes: FairTable[bytes, Quote] = FairTable(_QUOTES_REMEMBERED, QUOTE_S)

    def items(self) -> Deferred[Sequence[str]]:
        """The names of all it has, and of what it has none left of."""
        return self._ledger.levels().addCallback(lambda levels: [level.item for level in levels])

    def quote(self, item: str, quantity: int, buyer: Origin) -> Deferred[ShelfQuote | None]:
        """Quote a buyer what there is, held back for it for a while; fires with None for nothing."""

        def offer(terms: tuple[StockLevel | None, int]) -> ShelfQuote | None:
            now = self._node.clock.seconds()
            level, closed_until_ms = terms
            if level is None:
                return None
            free = level.in_stock - self.reservations.held_for_others(item, buyer.id, now)
            if free <= 0:
                return None
            self.reservations.hold(item, buyer.id, buyer.route[1], quantity, level.in_stock, now)
            # After a clock that ran ahead the book has given up all quotes that end before its time.
            valid_until_ms = max(int(now * 1000), closed_until_ms) + int(QUOTE_S * 1000)
            return self._state(level, min(quantity, free), valid_until_ms, buyer)

        return self._ledger.terms(item, self._node.key.public).addCallback(offer)

    def presence(self, search_id: int) -> Envelope:
        """A signed word that the search with this id has come here."""
        node = self._node
        return seal(node.key, Presence(node.bazaar, node.key.public, search_id))

    def read(self, statement: Envelope, *, is_withdrawal: bool) -> Order:
        """Verify what a buyer has signed, and read the order in it.

        @raise Forged: it does not hold, or is not about a quote of this seller.
        """
        return (read_withdrawal if is_withdrawal else read_purchase)(statement, self._terms_of)

    def settle(self, order: Order, buyer: Origin) -> Deferred[Settlement]:
        """Decide an order; what was held for the buyer is no longer held when it has bought."""
        reservations, item, quantity = self.reservations, order.item, order.quantity

        def settled(settlement: Settlement) -> Settlement:
            reservations.settle(item, buyer.id, quantity, is_sold=settlement.deal.outcome is Outcome.SOLD)
            return settlement

        def failed(failure: Failure) -> Failure:
            reservations.settle(item, buyer.id, quantity, is_sold=False)
            return failure

        kept_back = reservations.kept_back(item, buyer.id, self._node.clock.seconds())
        reservations.order(item, buyer.id, quantity)
        return self._ledger.settle(order, kept_back, self._seal).addCallbacks(settled, failed)

    def _state(self, level: StockLevel, quantity: int, valid_until_ms: int, buyer: Origin) -> ShelfQuote:
        """Sign what is offered."""
        node = self._node
        terms = Quote(
            bazaar=node.bazaar,
            seller=node.key.public,
            id=node.rng.randbytes(ID_BYTES).hex(),
            item=level.item,
            quantity=quantity,
            valid_until=valid_until_ms,
            price=level.price,
        )
        statement = seal(node.key, terms)
        self._quotes.put(_hash_of(statement), terms, buyer.route[1], node.clock.seconds())
        return ShelfQuote(quantity, level.price, statement)

    def _terms_of(self, statement: Envelope) -> Quote:
        known = self._quotes.get(_hash_of(statement), self._node.clock.seconds())
        return known or read_quote(statement, self._node.bazaar, self._node.key.public)

    def _seal(self, order: Order, verdict: Verdict) -> Envelope:
        return make_answer(self._node.key, self._node.bazaar, order, verdict)


def _hash_of(statement: Envelope) -> bytes:
    """A hash that no other statement has, nor the same statement with another signature."""
    return sha256(statement.encode()).digest()
