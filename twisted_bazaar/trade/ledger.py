"""The seller's book, kept in memory: it is as durable as the process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import evolve, frozen
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.interfaces import Answer, ILedger, Order, Sale, Settlement, StockLevel
from twisted_bazaar.trade.order import decide

_REFUSALS_KEPT: Final = 8_192


@frozen
class Supply:
    """What a seller starts with of one item.

    @ivar quantity: pieces, 0 or more.
    @ivar price: for one piece, in minor units; None when none is asked.
    """

    quantity: int
    price: int | None = None


@implementer(ILedger)
class MemoryLedger:
    """A ledger that forgets when its process ends.

    Sales are remembered for ever: there are no more of them than pieces. Refusals can be provoked by
    anybody, so their number is bounded.

    @param supplies: what there is, by item.
    """

    def __init__(self, supplies: Mapping[str, Supply]) -> None:
        self._levels = {
            item: StockLevel(item, supply.quantity, supply.quantity, 0, supply.price)
            for item, supply in supplies.items()
        }
        self._sales: dict[tuple[int, int], Answer] = {}
        self._refusals: FairTable[tuple[int, int], Answer] = FairTable(_REFUSALS_KEPT, float("inf"))

    def settle(self, order: Order, kept_back: int) -> Deferred[Settlement]:
        """Decide an order once and for all."""
        key = (order.buyer, order.id)
        answer = self._sales.get(key) or self._refusals.get(key, 0.0)
        is_repeat = answer is not None
        if answer is None:
            level = self._levels.get(order.item)
            answer = decide(order, level, kept_back)
            if isinstance(answer, Sale) and level is not None:
                self._levels[order.item] = evolve(
                    level, in_stock=level.in_stock - order.quantity, sold=level.sold + order.quantity
                )
                self._sales[key] = answer
            else:
                self._refusals.put(key, answer, order.buyer, 0.0)
        return succeed(Settlement(answer, is_repeat))

    def level(self, item: str) -> Deferred[StockLevel | None]:
        """The count of one item."""
        return succeed(self._levels.get(item))

    def levels(self) -> Deferred[Sequence[StockLevel]]:
        """The count of every item."""
        return succeed(list(self._levels.values()))
