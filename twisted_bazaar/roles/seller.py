"""The seller: found by flooding, sells from a ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python import usage
from twisted.python.failure import Failure

from twisted_bazaar.bounded import Ration
from twisted_bazaar.discovery.flood.search import FloodAnswers
from twisted_bazaar.errors import StorageError, UsageError
from twisted_bazaar.interfaces import Answer, ILedger, INode, Order, Origin, Peer, Sale, Settlement
from twisted_bazaar.node.control import Error
from twisted_bazaar.plugin import Role
from twisted_bazaar.roles.goods import parse_goods
from twisted_bazaar.trade.ledger import MemoryLedger, Supply
from twisted_bazaar.trade.messages import Buy, BuyOK
from twisted_bazaar.trade.shelf import Shelf
from twisted_bazaar.wire.message import Routed

# Anybody can order what is not there, as often as they like.
_REFUSALS_TOLD_A_MINUTE: Final = 5


class Options(usage.Options):
    """The options of a seller."""

    def opt_stock(self, goods: str) -> None:
        """What to sell: ITEM, ITEM=QUANTITY or ITEM=QUANTITY@PRICE, the price for one in minor units."""
        self.setdefault("stock", []).append(goods)


class Seller(Role):
    """Answers searches for what it has, and orders for it.

    @ivar ledger: the book of its stock and sales.
    @ivar shelf: what it offers, and what it holds back for whom; there from L{start} on.
    """

    log = Logger()

    def __init__(self, ledger: ILedger) -> None:
        self.ledger = ledger
        self._refusals_told = Ration(_REFUSALS_TOLD_A_MINUTE)
        self._faults_told = Ration(_REFUSALS_TOLD_A_MINUTE)

    def start(self, node: INode) -> None:
        """Put the goods on the shelf."""
        super().start(node)
        self.shelf = Shelf(self.ledger, node.clock)
        self._answers = FloodAnswers(node, self.shelf)
        self.receives = {**self._answers.receives, Buy: self._buy_received}

    def stop(self) -> Deferred[None]:
        """Take no more orders; the last count goes into the journal."""
        self._answers.stop()
        return self.ledger.levels().addCallback(self._report_levels)

    def peer_left(self, peer: Peer) -> None:
        """Who has gone needs nothing held back."""
        self.shelf.reservations.release_all(peer.id)

    def _buy_received(self, buy: Buy, origin: Origin) -> None:
        order = Order(origin.id, buy.id, buy.item, buy.quantity, buy.price)
        settling = self.shelf.settle(order).addCallbacks(self._answer, self._not_settled, (origin,))
        settling.addErrback(lambda failure: self.log.failure("an order was not settled", failure))

    def _not_settled(self, failure: Failure) -> None:
        """Say nothing to the buyer, who asks again; nothing has been decided."""
        failure.trap(StorageError)
        if self._faults_told.admit(self.node.clock.seconds()) is not None:
            self.log.error("no order can be settled: {reason}", reason=failure.getErrorMessage())

    def _answer(self, settlement: Settlement, origin: Origin) -> None:
        answer = settlement.answer
        order = answer.order
        reply: Routed
        if isinstance(answer, Sale):
            reply = BuyOK(item=order.item, id=order.id, quantity=order.quantity, price=order.price)
        else:
            reply = Error(code=answer.code, info=answer.reason, about="buy", id=order.id)
        if not settlement.is_repeat:
            self._report(answer, origin)
        for route in (origin.route, *self.node.routes_to(origin.id)):
            if self.node.send(reply, route):
                break

    def _report(self, answer: Answer, origin: Origin) -> None:
        order = answer.order
        details: dict[str, Any] = {
            "item": order.item,
            "quantity": order.quantity,
            "buyer": order.buyer,
            "order": order.id,
        }
        sentence: str | None
        if isinstance(answer, Sale):
            sentence = "sold {quantity} {item} to node {buyer}"
            self.node.report("sold", sentence, price=order.price, route=origin.route, **details)
            return
        untold = self._refusals_told.admit(self.node.clock.seconds())
        if untold is None:
            sentence = None
        else:
            sentence = "refused node {buyer}: {reason}" + (f" ({untold} more not told)" if untold else "")
        self.node.report("refused", sentence, reason=answer.reason, **details)

    def _report_levels(self, levels: Any) -> None:
        for level in levels:
            self.node.report(
                "stock",
                "{item}: {supplied} supplied, {in_stock} in stock, {sold} sold",
                item=level.item,
                supplied=level.supplied,
                in_stock=level.in_stock,
                sold=level.sold,
            )


def make_role(options: Mapping[str, Any]) -> Seller:
    """Make a seller from its options.

    @raise UsageError: the stock is missing, cannot be read, or names an item twice.
    """
    supplies: dict[str, Supply] = {}
    for text in options.get("stock", ()):
        item, quantity, price = parse_goods(text, "--stock")
        if item in supplies:
            raise UsageError(f"--stock names {item!r} twice")
        supplies[item] = Supply(quantity, price)
    if not supplies:
        raise UsageError("a seller needs goods: add --stock apple=5")
    return Seller(MemoryLedger(supplies))
