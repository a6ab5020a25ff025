"""The ledger, a seller's book: every rule about stock and orders, over a store that keeps it.

An order is decided, counted and written in one transaction, and nobody hears of it before that is
safe. Orders that arrive while one transaction is under way share the next one, so that a busy seller
waits for its disk once for many of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from attrs import evolve, frozen
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.byte_budget import MIB
from twisted_bazaar.errors import SoldOut, StorageError, UsageError
from twisted_bazaar.interfaces import ILedger
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.trade.contract import QUOTE_S
from twisted_bazaar.trade.order import decide
from twisted_bazaar.trade.stores.store import IStore, SalesBook
from twisted_bazaar.values.sale import Deal, Order, Outcome, Seal, Settlement, StockLevel, Supply
from twisted_bazaar.wire.message import LARGEST_INTEGER

# So many orders share a transaction at most: those that come later are not to wait for too many.
_MOST_AT_ONCE: Final = 512
# So many wait at most, while the disk or the server does not answer: those that come then are told to ask again.
_MOST_WAITING: Final = 2_048
# And so much, with those that are being written: a buyer may sign 16 KB of what nobody reads, and wait with that.
MOST_WAITING_BYTES: Final = 16 * MIB
# What an order takes besides what its buyer signed.
_ORDER_BYTES: Final = 4_096
# Every no about quotes that ended so long ago is forgotten. No order can still arrive on one of them, since
# an order is judged by the same clock that the quote was made by.
_FORGET_AFTER_MS: Final = 60_000
_FORGET_EVERY_MS: Final = 60_000

# So long after they were made all quotes are over, also those of a seller that had given up later ones.
_QUOTES_MS: Final = 2 * int(QUOTE_S * 1000)

T = TypeVar("T")


@frozen
class _Waiting:
    """An order that is to be settled in the next transaction."""

    order: Order
    kept_back: int
    seal: Seal
    done: Deferred[Settlement]


@implementer(ILedger)
class Ledger:
    """The book of one seller.

    @param store: what keeps it.
    @ivar fault: why the book could not be read or written when it was last tried; None if it could.
    """

    log: Final = limited_logger(__name__)

    def __init__(self, store: IStore[SalesBook]) -> None:
        self._store = store
        self.fault: str | None = None
        self._reading = 0
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0
        self._is_settling = False
        # Fires when no order waits any more, for whoever waits for that.
        self._settled: Deferred[None] | None = None
        self._forgotten_at_ms = 0

    def start(self, reactor: Any) -> None:
        """Open the book; what is asked of it before it is open waits."""
        self._clock = reactor
        self._store.open(reactor)

    def stop(self) -> Deferred[None]:
        """Close the book when everything asked of it is done."""
        if self._is_settling and self._settled is None:
            self._settled = Deferred()
        if self._settled is None:
            return self._store.close()
        return self._settled.addCallback(lambda _: self._store.close())

    def settle(self, order: Order, kept_back: int, seal: Seal) -> Deferred[Settlement]:
        """Decide an order once and for all; fires when the answer is safe."""
        size_bytes = _ORDER_BYTES + len(order.statement.payload)
        if len(self._waiting) >= _MOST_WAITING or self._waiting_bytes + size_bytes > MOST_WAITING_BYTES:
            return fail(StorageError("too many orders wait for the book; try again"))
        waiting = _Waiting(order, kept_back, seal, Deferred())
        self._waiting_bytes += size_bytes
        waiting.done.addBoth(self._answered, size_bytes)
        self._waiting.append(waiting)
        if not self._is_settling:
            self._settle_next()
        return waiting.done

    def terms(self, item: str, seller: str) -> Deferred[tuple[StockLevel | None, int]]:
        """The count of one item, and after which instant a quote of it has to end."""
        if self._reading >= _MOST_WAITING:
            return fail(StorageError("too many searches wait for the book; try again"))
        self._reading += 1
        asking = self._read(lambda book: (book.counts([item]).get(item), book.closed_until_ms(seller)))
        return asking.addBoth(self._has_read)

    def levels(self) -> Deferred[Sequence[StockLevel]]:
        """The count of every item."""
        return self._read(lambda book: list(book.counts().values()))

    def stock(self, supplies: Mapping[str, Supply]) -> Deferred[Sequence[StockLevel]]:
        """Enter what a seller begins with; fires with the count of what was there before.

        What was there keeps its count, and its price where none is given.
        """

        def enter(book: SalesBook) -> Sequence[StockLevel]:
            before = book.levels(supplies)
            for item, supply in supplies.items():
                level = before.get(item) or StockLevel(item, supply.quantity, supply.quantity, 0, 0, None)
                book.set_level(evolve(level, price=level.price if supply.price is None else supply.price))
            return list(before.values())

        return self._run(enter)

    def supply(self, item: str, quantity: int, price: int | None = None) -> Deferred[StockLevel]:
        """Add units to an item, which may be a new one."""

        def add(book: SalesBook) -> StockLevel:
            level = book.levels([item]).get(item) or StockLevel(item, 0, 0, 0, 0, None)
            if level.supplied + quantity > LARGEST_INTEGER:
                raise UsageError(f"{item!r}: there cannot be more than {LARGEST_INTEGER} in all")
            level = evolve(
                level,
                supplied=level.supplied + quantity,
                in_stock=level.in_stock + quantity,
                price=level.price if price is None else price,
            )
            book.set_level(level)
            return level

        return self._run(add)

    def withdraw(self, item: str, quantity: int) -> Deferred[StockLevel]:
        """Take units out that are not to be sold."""

        def take(book: SalesBook) -> StockLevel:
            level = book.levels([item]).get(item)
            if level is None or level.in_stock < quantity:
                raise SoldOut(f"{0 if level is None else level.in_stock} of {item!r} in stock, {quantity} to withdraw")
            level = evolve(level, in_stock=level.in_stock - quantity, withdrawn=level.withdrawn + quantity)
            book.set_level(level)
            return level

        return self._run(take)

    def deals(self, id_prefix: str = "", most: int = 1000) -> Deferred[Sequence[Deal]]:
        """Orders that were answered, the latest first."""
        return self._read(lambda book: book.latest(id_prefix, most))

    def _read(self, work: Callable[[SalesBook], T]) -> Deferred[T]:
        """Read from the book. That this works does not say that it can be written."""
        return self._store.run_transaction(work).addErrback(self._failed)

    def _run(self, work: Callable[[SalesBook], T]) -> Deferred[T]:
        """Change something in the book."""
        return self._store.run_transaction(work).addCallbacks(self._done, self._failed)

    def _done(self, result: T) -> T:
        if self.fault is not None:
            self.fault = None
            self.log.info("the book can be written again: orders are settled")
        return result

    def _failed(self, failure: Failure) -> Failure:
        """Say what is wrong with the book, once for each thing."""
        reason = failure.getErrorMessage()
        if failure.check(StorageError) and reason != self.fault:
            self.fault = reason
            self.log.error("the book cannot be read or written, so no order can be settled: {reason}", reason=reason)
        return failure

    def _answered(self, result: T, size_bytes: int) -> T:
        self._waiting_bytes -= size_bytes
        return result

    def _has_read(self, result: T) -> T:
        self._reading -= 1
        return result

    def _settle_next(self) -> None:
        """Settle what waits, and then what has come meanwhile."""
        batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
        self._is_settling = bool(batch)
        if batch:
            self._settle(batch)
        elif self._settled is not None:
            settled, self._settled = self._settled, None
            settled.callback(None)

    def _settle(self, batch: Sequence[_Waiting]) -> None:
        """Settle some in one transaction."""
        now_ms = int(self._clock.seconds() * 1000)
        is_time_to_forget = now_ms - self._forgotten_at_ms >= _FORGET_EVERY_MS

        def settle(book: SalesBook) -> list[Settlement]:
            if is_time_to_forget:
                for seller in {waiting.order.seller for waiting in batch}:
                    book.close_until(seller, now_ms - _FORGET_AFTER_MS)
            return settle_batch(book, batch, now_ms)

        def settled(settlements: list[Settlement]) -> None:
            if is_time_to_forget:
                self._forgotten_at_ms = now_ms
            # The next transaction begins before the answers of this one go out.
            self._settle_next()
            for waiting, settlement in zip(batch, settlements, strict=True):
                waiting.done.callback(settlement)

        def not_settled(failure: Failure) -> None:
            if len(batch) > 1 and failure.check(StorageError) is None:
                # One of them is at fault, and is not to cost the others their answers.
                for waiting in batch:
                    self._settle([waiting])
                return
            self._settle_next()
            for waiting in batch:
                waiting.done.errback(failure)

        self._run(settle).addCallbacks(settled, not_settled)


def recount(book: SalesBook, seller: str, counted: Mapping[str, int], now_ms: int) -> list[StockLevel]:
    """Enter what really is there of all items, after a book came back that does not know of some sales.

    What was not counted is not there. No quote that was handed out before is sold on any more: somebody may have bought
    on it what the book has forgotten.

    @param seller: the public key of whose book it is.
    @param counted: the units of each item that are there; no item that the book does not know.
    @raise UsageError: the book does not know an item, or it would have supplied more than there can be.
    """
    levels = book.levels()
    for item in counted:
        if item not in levels:
            raise UsageError(f"{item!r}: the book does not know it; bazaar stock add enters it when the seller runs")
    new = []
    for item, level in levels.items():
        there = counted.get(item, 0)
        more, fewer = max(0, there - level.in_stock), max(0, level.in_stock - there)
        if level.supplied + more > LARGEST_INTEGER:
            raise UsageError(f"{item!r}: there cannot be more than {LARGEST_INTEGER} in all")
        level = evolve(level, supplied=level.supplied + more, in_stock=there, withdrawn=level.withdrawn + fewer)
        book.set_level(level)
        new.append(level)
    book.close_until(seller, max(now_ms, book.closed_until_ms(seller)) + _QUOTES_MS)
    return new


def settle_batch(book: SalesBook, batch: Sequence[_Waiting], now_ms: int) -> list[Settlement]:
    """Decide orders one after another, and write all that comes of it."""
    # First of all, since whoever has them has them alone: what is read after that, nobody is about to change. An
    # earlier try of the same order may still be under way elsewhere, by a process that has been killed.
    levels = book.levels(sorted({waiting.order.item for waiting in batch}))
    known = dict(book.deals({waiting.order.key for waiting in batch}))
    closed = book.closed({waiting.order.quote for waiting in batch})
    sellers = {waiting.order.seller for waiting in batch}
    closed_until_ms = {seller: book.closed_until_ms(seller) for seller in sellers}
    before = dict(levels)
    new: list[Deal] = []
    settlements: list[Settlement] = []
    for waiting in batch:
        order = waiting.order
        deal = known.get(order.key)
        if deal is not None:
            settlements.append(Settlement(deal, is_repeat=True))
            continue
        level = levels.get(order.item)
        verdict = decide(
            order,
            level,
            waiting.kept_back,
            now_ms,
            is_closed=order.quote in closed,
            closed_until_ms=closed_until_ms[order.seller],
        )
        deal = Deal(order, verdict.outcome, verdict.code, verdict.reason, waiting.seal(order, verdict), now_ms)
        settlements.append(Settlement(deal, is_repeat=False))
        if verdict.outcome is Outcome.SOLD and level is not None:
            levels[order.item] = evolve(
                level, in_stock=level.in_stock - order.quantity, sold=level.sold + order.quantity
            )
        elif verdict.is_kept:
            closed.add(order.quote)
        elif order.quote not in closed:
            # It was told that its time is over, so it must be over for good, even if the clock goes back.
            closed_until_ms[order.seller] = max(closed_until_ms[order.seller], order.valid_until_ms)
        if verdict.is_kept:
            new.append(deal)
            known[order.key] = deal
    book.add_deals(new)
    for item, level in levels.items():
        if level.sold > before[item].sold:
            book.sell(item, level.sold - before[item].sold)
    for seller, until_ms in closed_until_ms.items():
        if until_ms > book.closed_until_ms(seller):
            book.close_until(seller, until_ms)
    return settlements
