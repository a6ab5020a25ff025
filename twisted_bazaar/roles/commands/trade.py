"""Commands over the control socket of a seller or a buyer: stock, orders, cancel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from twisted.internet.defer import Deferred, succeed

from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import Command, ILedger, INode
from twisted_bazaar.roles.commands.requests import read_request
from twisted_bazaar.trade.listing import row_of_purchase, row_of_sale, row_of_stock
from twisted_bazaar.trade.order import OrderRecord
from twisted_bazaar.trade.purchase import Purchases
from twisted_bazaar.values.sale import StockLevel
from twisted_bazaar.wire.goods import Count, ItemName, Price, check_item_name

_MOST_LISTED: Final = 1000
# The beginning of an id may fit several orders; so many are shown.
_MOST_ALIKE: Final = 10
# How long who takes an order back waits for the seller's answer.
_TAKE_BACK_S: Final = 5.0


class _Goods(msgspec.Struct, frozen=True):
    """Some units of an item.

    @ivar price: for one, from now on; None to leave it as it is.
    """

    item: ItemName
    quantity: Count
    price: Price | None = None

    def __post_init__(self) -> None:
        check_item_name(self.item)


_BeginningOfId = Annotated[str, Meta(pattern=r"^[0-9a-f]{1,32}\Z")]


class _List(msgspec.Struct, frozen=True):
    """A list of orders.

    @ivar most: no more than these, the latest.
    """

    most: Annotated[int, Meta(ge=1, le=_MOST_LISTED)] = _MOST_LISTED


class _One(msgspec.Struct, frozen=True):
    """One order.

    @ivar id: its id, or the beginning of it.
    """

    id: _BeginningOfId


class SalesCommands:
    """Answers the operator about a seller's stock and orders.

    @param stocked: called when there may be goods that were not there before.
    @ivar commands: by name, what can be asked.
    """

    def __init__(self, node: INode, ledger: ILedger, stocked: Callable[[], object] = lambda: None) -> None:
        self._node = node
        self._ledger = ledger
        self._stocked = stocked
        self.commands: Mapping[str, Command] = {
            "status": self._tell_status,
            "stock.add": self._add,
            "stock.withdraw": self._withdraw,
            "stock.list": self._list_stock,
            "orders": self._list_orders,
            "order": self._show_order,
        }

    def _tell_status(self, request: Mapping[str, Any]) -> Deferred[Any]:
        return succeed({"role": "seller", "fault": self._ledger.fault})

    def _add(self, request: Mapping[str, Any]) -> Deferred[Any]:
        goods = read_request(request, _Goods)
        adding = self._ledger.supply(goods.item, goods.quantity, goods.price)
        return adding.addCallback(self._added, goods)

    def _added(self, level: StockLevel, goods: _Goods) -> dict[str, Any]:
        self._stocked()
        return self._changed(level, "supplied", goods)

    def _withdraw(self, request: Mapping[str, Any]) -> Deferred[Any]:
        goods = read_request(request, _Goods)
        return self._ledger.withdraw(goods.item, goods.quantity).addCallback(self._changed, "withdrawn", goods)

    def _changed(self, level: StockLevel, what: str, goods: _Goods) -> dict[str, Any]:
        self._node.report(what, "{quantity} {item} " + what, item=goods.item, quantity=goods.quantity)
        return row_of_stock(level)

    def _list_stock(self, request: Mapping[str, Any]) -> Deferred[Any]:
        return self._ledger.levels().addCallback(lambda levels: [row_of_stock(level) for level in levels])

    def _list_orders(self, request: Mapping[str, Any]) -> Deferred[Any]:
        listing = self._ledger.deals("", read_request(request, _List).most)
        return listing.addCallback(lambda deals: [row_of_sale(deal) for deal in deals])

    def _show_order(self, request: Mapping[str, Any]) -> Deferred[Any]:
        finding = self._ledger.deals(read_request(request, _One).id, _MOST_ALIKE)
        return finding.addCallback(lambda deals: [row_of_sale(deal, with_receipt=True) for deal in deals])


class PurchasesCommands:
    """Answers the operator about a buyer's orders.

    @ivar commands: by name, what can be asked.
    """

    def __init__(self, node: INode, purchases: Purchases) -> None:
        self._node = node
        self._purchases = purchases
        self.commands: Mapping[str, Command] = {
            "status": self._tell_status,
            "orders": self._list_orders,
            "order": self._show_order,
            "cancel": self._take_back,
        }

    def _tell_status(self, request: Mapping[str, Any]) -> Deferred[Any]:
        return succeed({"role": "buyer", "open_orders": len(self._purchases), "fault": self._purchases.fault})

    def _list_orders(self, request: Mapping[str, Any]) -> Deferred[Any]:
        listing = self._purchases.orders("", read_request(request, _List).most)
        return listing.addCallback(lambda records: [row_of_purchase(record) for record in records])

    def _show_order(self, request: Mapping[str, Any]) -> Deferred[Any]:
        finding = self._purchases.orders(read_request(request, _One).id, _MOST_ALIKE)
        return finding.addCallback(lambda records: [row_of_purchase(record, with_receipt=True) for record in records])

    def _take_back(self, request: Mapping[str, Any]) -> Deferred[Any]:
        """Take back an open order; tells after a moment how it stands, whether the seller has answered or not.

        Of one that was answered before, it tells the answer.
        """
        asked = read_request(request, _One)
        alike = [record for record in self._purchases.unanswered() if record.id.startswith(asked.id)]
        if not alike:
            return self._purchases.orders(asked.id, _MOST_ALIKE).addCallback(_answered_before, asked.id)
        if len(alike) > 1:
            raise UsageError(f"{len(alike)} open orders begin with {asked.id}; bazaar orders shows how each stands")
        [record] = alike
        answered: Deferred[Any] = Deferred()
        # Who asked may stop waiting; what was begun goes on.
        self._purchases.take_back(record.id).addBoth(answered.callback)
        answered.addTimeout(_TAKE_BACK_S, self._node.clock, lambda result, timeout: record)
        return answered.addCallback(lambda _: row_of_purchase(record))


def _answered_before(records: Sequence[OrderRecord], id_prefix: str) -> dict[str, Any]:
    """The one order that is meant, as it stands; none of them is open.

    @raise UsageError: there is none, or several.
    """
    if len(records) != 1:
        raise UsageError(
            f"{'several orders begin' if records else 'no order begins'} with {id_prefix}; bazaar orders shows how "
            "each stands"
        )
    return row_of_purchase(records[0])
