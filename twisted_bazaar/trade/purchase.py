"""The buyer's side of a sale: order, ask again until there is an answer, and believe only the seller.

An order is sent along the best route. While no answer comes it is sent again with the same id, ever
more rarely, each time along the next route. It ends with the seller's answer and in no other way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from twisted_bazaar.backoff import Backoff
from twisted_bazaar.bounded import Ration
from twisted_bazaar.errors import NoRoute, PeerError, SoldOut, WrongWay
from twisted_bazaar.interfaces import INode, Order, Origin, Route
from twisted_bazaar.trade.messages import Buy, BuyOK
from twisted_bazaar.trade.order import OrderLife, OrderRecord, OrderState, order_life
from twisted_bazaar.wire.message import LARGEST_INTEGER

_FIRST_REPEAT_S: Final = 1.0
_LONGEST_REPEAT_S: Final = 30.0
_TRIES_BEFORE_DOUBT: Final = 3
_ODD_TOLD_A_MINUTE: Final = 5
# Who hears a search for a seller can make up any number of ways to it.
_ROUTES_BETWEEN_REPEATS: Final = 8


@define
class _OpenOrder:
    record: OrderRecord
    life: OrderLife
    route: Route
    backoff: Backoff
    done: Deferred[OrderRecord]
    repeat: IDelayedCall | None = None
    was_sent: bool = False
    tries: int = 0
    tried: set[Route] = field(factory=set)


class Purchases:
    """The open orders of one buyer.

    @param node: the node it speaks through.
    @param seek: called with an order that goes unanswered, to look for another way to its seller.
    """

    def __init__(self, node: INode, seek: Callable[[OrderRecord], object]) -> None:
        self._node = node
        self._seek = seek
        self._open: dict[int, _OpenOrder] = {}
        self._odd_told = Ration(_ODD_TOLD_A_MINUTE)

    def __len__(self) -> int:
        return len(self._open)

    def order(self, seller: int, item: str, quantity: int, price: int | None, route: Route) -> Deferred[OrderRecord]:
        """Order from a seller.

        @param price: what the seller asked for one piece.
        @param route: the way to try first.
        @return: fires with the record when it is confirmed or refused; never before that.
        """
        order_id = self._node.rng.randrange(LARGEST_INTEGER)
        record = OrderRecord(Order(self._node.id, order_id, item, quantity, price), seller)
        backoff = Backoff(self._node.rng, _FIRST_REPEAT_S, _LONGEST_REPEAT_S, factor=2.0)
        opened = _OpenOrder(record, order_life(record), route, backoff, Deferred())
        self._open[order_id] = opened
        ways = [route, *self._node.routes_to(seller)]
        if not any(self._send(opened, way) for way in ways):
            # Nothing has left this node, so nothing can have been sold.
            record.refusal = (NoRoute.code, f"there is no way to node {seller} any more")
            opened.life.refuse()
            self._finish(opened)
        return opened.done

    def unanswered(self) -> list[OrderRecord]:
        """The orders of which nobody knows yet how they ended."""
        return [opened.record for opened in self._open.values()]

    def seller_found(self, seller: int, route: Route) -> None:
        """Ask again along a route by which a seller was just heard of, each once between two repeats."""
        for opened in list(self._open.values()):
            if opened.record.seller == seller:
                self._try(opened, route)

    def stop(self) -> None:
        """Send nothing more. What is open stays open: no answer is not a no."""
        for opened in self._open.values():
            if opened.repeat is not None and opened.repeat.active():
                opened.repeat.cancel()

    def confirmed(self, message: BuyOK, origin: Origin) -> None:
        """The seller says yes."""
        opened = self._of_seller(message.id, origin)
        if opened is None:
            return
        order = opened.record.order
        if (message.item, message.quantity) != (order.item, order.quantity):
            if self._odd_told.admit(self._node.clock.seconds()) is None:
                return
            self._node.report(
                "odd",
                "node {seller} confirmed {quantity} {item!r}, which is not what was ordered",
                seller=origin.id,
                quantity=message.quantity,
                item=message.item,
            )
            return
        opened.life.confirm()
        self._finish(opened)

    def failed(self, message: Any, origin: Origin) -> None:
        """An error came that may be about an order."""
        if message.id is None or message.id not in self._open:
            return
        if message.code in (NoRoute.code, WrongWay.code):
            self._detour(self._open[message.id])
        elif message.code in (SoldOut.code, PeerError.code):
            opened = self._of_seller(message.id, origin)
            if opened is not None:
                opened.record.refusal = (message.code, message.reason)
                opened.life.refuse()
                self._finish(opened)

    def _of_seller(self, order_id: int, origin: Origin) -> _OpenOrder | None:
        """An open order, if it was this node that it went to: nobody else may answer it."""
        opened = self._open.get(order_id)
        if opened is None or opened.record.seller != origin.id:
            return None
        return opened

    def _finish(self, opened: _OpenOrder) -> None:
        del self._open[opened.record.order.id]
        if opened.repeat is not None and opened.repeat.active():
            opened.repeat.cancel()
        opened.done.callback(opened.record)

    def _send(self, opened: _OpenOrder, route: Route) -> bool:
        """Hand the order to a link and set the time to repeat it; returns whether the link was there."""
        order = opened.record.order
        message = Buy(item=order.item, id=order.id, quantity=order.quantity, price=order.price)
        is_sent = self._node.send(message, route)
        if is_sent:
            opened.route = route
            opened.tried.add(route)
            opened.was_sent = True
        if opened.was_sent and (opened.repeat is None or not opened.repeat.active()):
            opened.repeat = self._node.clock.callLater(opened.backoff.delay(), self._repeat, opened)
        return is_sent

    def _repeat(self, opened: _OpenOrder) -> None:
        opened.tried.clear()
        # A try that finds no way counts too: there may be one to be found.
        opened.tries += 1
        if opened.tries == _TRIES_BEFORE_DOUBT:
            opened.life.doubt()
            self._node.report(
                "unknown",
                "no answer from node {seller} to order {id}; asking again",
                seller=opened.record.seller,
                id=opened.record.order.id,
            )
        if opened.tries >= _TRIES_BEFORE_DOUBT:
            self._seek(opened.record)
        self._send(opened, self._next_route(opened))

    def _detour(self, opened: _OpenOrder) -> None:
        """The way just tried leads nowhere: take another at once, each one once between two repeats."""
        for route in self._node.routes_to(opened.record.seller):
            if self._try(opened, route):
                return

    def _try(self, opened: _OpenOrder, route: Route) -> bool:
        """Send an order along a route by which it was not sent since the last repeat; returns whether it was now."""
        if route in opened.tried or len(opened.tried) >= _ROUTES_BETWEEN_REPEATS:
            return False
        return self._send(opened, route)

    def _next_route(self, opened: _OpenOrder) -> Route:
        """Another route than the last, if there is one; a direct link before all."""
        routes = self._node.routes_to(opened.record.seller)
        if not routes:
            return opened.route
        if len(routes[0]) == 2 and routes[0] != opened.route:
            return routes[0]
        position = routes.index(opened.route) + 1 if opened.route in routes else 0
        return routes[position % len(routes)]


def is_sold(record: OrderRecord) -> bool:
    """Whether the goods of an order are the buyer's."""
    return record.state is OrderState.CONFIRMED
