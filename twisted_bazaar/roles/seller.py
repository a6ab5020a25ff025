"""The seller: is found, and sells from a ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import Forged, NotNow, StorageError, UsageError
from twisted_bazaar.interfaces import Command, IDiscoveryMethod, ILedger, INode
from twisted_bazaar.plugin import RoleContext
from twisted_bazaar.rate_limit import RateLimit
from twisted_bazaar.role import Role
from twisted_bazaar.roles.commands.trade import SalesCommands
from twisted_bazaar.roles.discovery.flood import FloodMethod
from twisted_bazaar.roles.discovery.method import no_goods
from twisted_bazaar.roles.goods import parse_goods
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.state import StateDirectory
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.timer import Timer
from twisted_bazaar.trade.ledger import Ledger
from twisted_bazaar.trade.messages import Buy, BuyNo, BuyOK, Cancel, handle_of
from twisted_bazaar.trade.offers import Offers
from twisted_bazaar.trade.stores.memory import MemorySales, MemoryStore
from twisted_bazaar.trade.stores.sqlite import SALES, SqliteStore
from twisted_bazaar.trade.stores.store import IStore, SalesBook
from twisted_bazaar.values.addresses import Origin, Peer
from twisted_bazaar.values.sale import Deal, Outcome, Settlement, StockLevel, Supply, at_price
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import Message

# A seller of thousands in a second has them all in its book.
_SALES_TOLD_A_MINUTE: Final = 600
# Anybody can order what is not there, as often as they like.
_REFUSALS_TOLD_A_MINUTE: Final = 5
_STOCK_AGAIN_S: Final = 5.0
# Says which book a seller has.
_BOOK_FILE: Final = "book"


OPTIONS: Final = (
    Option(
        "stock",
        "What to sell: ITEM, ITEM=QUANTITY or ITEM=QUANTITY@PRICE, the price for one in minor units. Of what the "
        "ledger has already, only the price is changed.",
        "GOODS",
        is_many=True,
    ),
    Option(
        "ledger",
        "Where the books are: postgresql://..., to share one stock.",
        "URL",
        shown="a file of its own",
    ),
)
"""The options of a seller."""
EXAMPLE: Final = "--stock apple=5"


class Seller(Role):
    """Answers searches for what it has, and orders for it.

    @param supplies: what it begins with, as far as it is not in the book yet.
    @param store: keeps the book; one in memory if not given.
    @param opened: called when the book has been written for the first time.
    @param discovery: what it is found by; flooding if not given.
    @ivar store: what keeps the book.
    @ivar ledger: the book of its stock and sales.
    @ivar shelf: what it offers, and what it holds back for whom; there from L{start} on.
    """

    log: Final = limited_logger(__name__)
    # For what its owner causes: none of it is left out, however much there is.
    _own_log = Logger(__name__)

    def __init__(
        self,
        supplies: Mapping[str, Supply],
        store: IStore[SalesBook] | None = None,
        opened: Callable[[], object] = lambda: None,
        discovery: IDiscoveryMethod | None = None,
    ) -> None:
        self._discovery = discovery or FloodMethod()
        self._opened = opened
        self.store: IStore[SalesBook] = store or MemoryStore(MemorySales())
        self.ledger: ILedger = Ledger(self.store)
        self._supplies = supplies
        self._sales_told = RateLimit.a_minute(_SALES_TOLD_A_MINUTE)
        self._refusals_told = RateLimit.a_minute(_REFUSALS_TOLD_A_MINUTE)
        self._is_stopped = False

    def start(self, node: INode) -> None:
        """Put the goods on the shelf."""
        super().start(node)
        self.ledger.start(node.clock)
        self.shelf: Offers = Offers(self.ledger, node)
        self._answers = self._discovery.make_answers(node, self.shelf)
        self.receives: Mapping[type[Message], Callable[[Any, Origin], None]] = {
            **self._answers.receives,
            Buy: partial(self._order_received, is_withdrawal=False),
            Cancel: partial(self._order_received, is_withdrawal=True),
        }
        self.commands: Mapping[str, Command] = SalesCommands(node, self.ledger, self._answers.offers_changed).commands
        self._stocking = Timer(node.clock, self._put_on_shelf)
        self._put_on_shelf()

    def stop(self) -> Deferred[None]:
        """Take no more orders; the last count goes into the journal."""
        self._is_stopped = True
        self._answers.stop()
        self._stocking.cancel()
        counting = self.ledger.levels().addCallbacks(self._report_levels, lambda failure: failure.trap(StorageError))
        return counting.addBoth(lambda _: self.ledger.stop())

    def peer_left(self, peer: Peer) -> None:
        """Release what is held back for a node that has gone."""
        self.shelf.reservations.release_all(peer.id)

    def _put_on_shelf(self) -> None:
        """Enter what there is to begin with; while the book cannot be written, again and again."""
        stocking = self.ledger.stock(self._supplies)
        stocking.addCallbacks(self._report_known, self._stock_later)
        stocking.addErrback(
            lambda failure: self.log.failure("the goods of --stock could not be entered in the book", failure)
        )

    def _report_known(self, known: Sequence[StockLevel]) -> None:
        try:
            self._opened()
        except OSError as error:
            self.log.warn("the name of the book cannot be kept in the state directory: {reason}", reason=error.strerror)
        self._answers.offers_changed()
        for level in known:
            self._own_log.info(
                "{item}: {in_stock} in stock and {sold} sold, as the book says; bazaar stock add {item}=... adds more",
                item=level.item,
                in_stock=level.in_stock,
                sold=level.sold,
            )

    def _stock_later(self, failure: Failure) -> None:
        failure.trap(StorageError)
        if not self._is_stopped:
            self._stocking.set(_STOCK_AGAIN_S)

    def _order_received(self, message: Buy | Cancel, origin: Origin, *, is_withdrawal: bool) -> None:
        try:
            order = self.shelf.read(message.order, is_withdrawal=is_withdrawal)
        except Forged as error:
            self.node.send(Error.telling(error, message), origin.route)
            return
        settling = self.shelf.settle(order, origin)
        asked = (message, origin)
        settling.addCallbacks(self._answer, self._not_settled, callbackArgs=asked, errbackArgs=asked)
        settling.addErrback(
            lambda failure: self.log.failure("order {order} could not be settled", failure, order=order.id)
        )

    def _not_settled(self, failure: Failure, message: Buy | Cancel, origin: Origin) -> None:
        """Say that it is not the time; nothing has been decided."""
        failure.trap(StorageError)
        self.node.send(Error.telling(NotNow("the book cannot be written; ask again"), message), origin.route)

    def _answer(self, settlement: Settlement, message: Buy | Cancel, origin: Origin) -> None:
        deal = settlement.deal
        if not settlement.is_repeat:
            self._report(deal, origin)
        answer_class = BuyOK if deal.outcome is Outcome.SOLD else BuyNo
        answer = answer_class(id=handle_of(deal.order.id), answer=deal.answer)
        for route in (origin.route, *self.node.routes_to(origin.id)):
            if self.node.send(answer, route):
                break

    def _report(self, deal: Deal, origin: Origin) -> None:
        order = deal.order
        details: dict[str, Any] = {
            "item": order.item,
            "quantity": order.quantity,
            "buyer": origin.id,
            "buyer_key": order.buyer,
            "order": order.id,
        }
        if deal.outcome is Outcome.SOLD:
            sold = f"sold {{quantity}} {{item}}{at_price(order.price)}, order {{order:.12}}, to node {{buyer}}"
            sentence = self._told(self._sales_told, sold)
            self.node.report("sold", sentence, price=order.price, route=origin.route, **details)
            return
        if deal.outcome is Outcome.CANCELLED:
            self.node.report("cancelled", None, **details)
            return
        sentence = self._told(self._refusals_told, "refused {quantity} {item} to node {buyer}: {reason}")
        self.node.report("refused", sentence, reason=deal.reason, **details)

    def _told(self, limit: RateLimit, sentence: str) -> str | None:
        """A sentence for the log, as long as there have not been too many of its kind; None if there have."""
        if not limit.allow(self.node.clock.seconds()):
            return None
        return sentence + (f" ({limit.suppressed} more not told)" if limit.suppressed else "")

    def _report_levels(self, levels: Sequence[StockLevel]) -> None:
        for level in levels:
            self.node.report(
                "stock",
                "{item}: {supplied} supplied, {in_stock} in stock, {sold} sold, {withdrawn} withdrawn",
                item=level.item,
                supplied=level.supplied,
                in_stock=level.in_stock,
                sold=level.sold,
                withdrawn=level.withdrawn,
            )


def make_role(options: OptionValues, context: RoleContext) -> Seller:
    """Make a seller from its options.

    @raise UsageError: goods are not found in its way, the stock cannot be read or names an item twice, or the books
        cannot be used.
    """
    if not context.discovery.finds_goods:
        raise no_goods(context.discovery.name)
    supplies: dict[str, Supply] = {}
    for text in options["stock"]:
        item, quantity, price = parse_goods(text, "--stock")
        if item in supplies:
            raise UsageError(f"--stock names {item!r} twice")
        supplies[item] = Supply(quantity, price)
    url: str | None = options["ledger"]
    state = context.state
    store = _store_for(url, state, supplies)

    def keep_name() -> None:
        if state is not None and store is not None:
            state.keep(_BOOK_FILE, _name_of_book(url))

    return Seller(supplies, store, keep_name, context.discovery)


def _name_of_book(url: str | None) -> str:
    """The name that tells the book of a seller from another; without its password."""
    return SALES.file_name if url is None else url.rpartition("@")[2].partition("?")[0].removeprefix("postgresql://")


def _check_book(state: StateDirectory, name: str) -> None:
    """See that it is the book that this seller has sold from: in another it would sell the same once more.

    @raise UsageError: it is another, or it is gone.
    """
    before = state.recall(_BOOK_FILE)
    mark = state.path / _BOOK_FILE
    if before is not None and before != name:
        raise UsageError(f"this seller's book is {before}, not {name}; remove {mark} to begin a new one all the same")
    book = state.path / SALES.file_name
    if before == SALES.file_name and not book.exists():
        raise UsageError(
            f"{book}: the book of this seller is missing; put it back, or remove {mark} to begin a new one"
        )


def _store_for(
    url: str | None, state: StateDirectory | None, supplies: Mapping[str, Supply]
) -> IStore[SalesBook] | None:
    """The store that keeps the book; None for a book in memory."""
    if state is not None:
        _check_book(state, _name_of_book(url))
    if url is not None:
        if not url.startswith(("postgresql://", "postgres://")):
            raise UsageError("--ledger: write postgresql://USER@HOST/DATABASE, or leave it out for a file of its own")
        if state is None:
            raise UsageError("--ledger with --ephemeral: a seller that loses its key could not answer its orders again")
        from twisted_bazaar.trade.stores.postgres import PostgresStore

        return PostgresStore(url)
    if state is not None:
        store = SqliteStore(state.path / SALES.file_name, SALES)
        store.check()
        return store
    if not supplies:
        raise UsageError("a seller that keeps nothing needs goods to begin with: add --stock apple=5")
    return None
