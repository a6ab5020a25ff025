"""A seller's goods as the network sees them: what can be offered now, and the answers to orders."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from twisted_bazaar.interfaces import ILedger, IShelf, Order, Origin, Quote, Sale, Settlement, StockLevel
from twisted_bazaar.trade.reservations import Reservations


@implementer(IShelf)
class Shelf:
    """The stock of one seller.

    @param ledger: the book that decides.
    @param clock: the source of time.
    """

    def __init__(self, ledger: ILedger, clock: IReactorTime) -> None:
        self._ledger = ledger
        self._clock = clock
        self.reservations = Reservations()

    def quote(self, item: str, quantity: int, buyer: Origin) -> Deferred[Quote | None]:
        """What there is for a buyer, held back for it for a while; fires with None for nothing."""

        def offer(level: StockLevel | None) -> Quote | None:
            now = self._clock.seconds()
            if level is None:
                return None
            free = level.in_stock - self.reservations.held_for_others(item, buyer.id, now)
            if free <= 0:
                return None
            self.reservations.hold(item, buyer.id, buyer.route[1], quantity, level.in_stock, now)
            return Quote(min(quantity, free), level.price)

        return self._ledger.level(item).addCallback(offer)

    def settle(self, order: Order) -> Deferred[Settlement]:
        """Decide an order; what was held for the buyer is no longer held when it has bought."""

        def settled(settlement: Settlement) -> Settlement:
            if isinstance(settlement.answer, Sale):
                self.reservations.release(order.item, order.buyer)
            return settlement

        kept_back = self.reservations.held_for_others(order.item, order.buyer, self._clock.seconds())
        return self._ledger.settle(order, kept_back).addCallback(settled)
