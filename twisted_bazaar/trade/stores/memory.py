"""Books in memory: as durable as the process. What is ephemeral and what is simulated is kept in them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, maybeDeferred, succeed

from twisted_bazaar.errors import StorageError
from twisted_bazaar.trade.order import OrderRecord
from twisted_bazaar.trade.stores.store import OrderKey, WantRow
from twisted_bazaar.values.sale import Deal, Outcome, StockLevel

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

Change = tuple[str, Any, Any]
"""A table, a key, and the value that stands there now; None if none does."""


class MemoryBook:
    """Tables whose changes can be told, and taken back.

    @ivar changes: what has changed since this was last emptied.
    """

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self._before: list[Change] = []

    def commit(self) -> None:
        """Make the changes final."""
        self.changes, self._before = [], []

    def roll_back(self) -> None:
        """Take back everything since the last commit."""
        for change in reversed(self._before):
            self.apply(change)
        self.commit()

    def apply(self, change: Change) -> None:
        """Make a change that was told of."""
        name, key, value = change
        table = getattr(self, name)
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value

    def _set(self, name: str, key: Any, value: Any) -> None:
        self._before.append((name, key, getattr(self, name).get(key)))
        self.apply((name, key, value))
        self.changes.append((name, key, value))


class MemorySales(MemoryBook):
    """A seller's book."""

    def __init__(self) -> None:
        super().__init__()
        self.stock: dict[str, StockLevel] = {}
        self.answered: dict[OrderKey, Deal] = {}
        self.refused: dict[str, OrderKey] = {}
        self.given_up: dict[str, int] = {}

    def deals(self, keys: Collection[OrderKey]) -> Mapping[OrderKey, Deal]:
        """Those of some orders that were answered before."""
        return {key: self.answered[key] for key in keys if key in self.answered}

    def closed(self, quotes: Collection[str]) -> set[str]:
        """Those of some quotes about which a no is kept."""
        return {quote for quote in quotes if quote in self.refused}

    def closed_until_ms(self, seller: str) -> int:
        """Until when the quotes of a seller have been given up for good."""
        return self.given_up.get(seller, 0)

    def levels(self, items: Collection[str] | None = None) -> dict[str, StockLevel]:
        """The counts of some items, or of all."""
        names = self.stock if items is None else [item for item in items if item in self.stock]
        return {name: self.stock[name] for name in sorted(names)}

    counts = levels

    def latest(self, id_prefix: str, most: int) -> Sequence[Deal]:
        """Deals whose order id begins in a certain way, the latest first."""
        found = (deal for deal in reversed(self.answered.values()) if deal.order.id.startswith(id_prefix))
        return list(islice(found, most))

    def add_deals(self, deals: Sequence[Deal]) -> None:
        """Remember answers."""
        for deal in deals:
            if deal.order.key in self.answered:
                raise StorageError(f"order {deal.order.id} has an answer, which is final")
            if deal.outcome is not Outcome.SOLD and deal.order.quote in self.refused:
                raise StorageError(f"an order on the quote {deal.order.quote} has been refused already")
            self._set("answered", deal.order.key, deal)
            if deal.outcome is not Outcome.SOLD:
                self._set("refused", deal.order.quote, deal.order.key)

    def sell(self, item: str, quantity: int) -> None:
        """Count units as sold that were in stock."""
        level = self.stock.get(item)
        if level is None or level.in_stock < quantity:
            raise StorageError(f"there are no {quantity} of {item!r} to be sold")
        self.set_level(evolve(level, in_stock=level.in_stock - quantity, sold=level.sold + quantity))

    def set_level(self, level: StockLevel) -> None:
        """Enter the count and price of an item."""
        self._set("stock", level.item, level)

    def close_until(self, seller: str, until_ms: int) -> None:
        """Give up the quotes of a seller that are valid until an instant or less."""
        if until_ms <= self.closed_until_ms(seller):
            return
        self._set("given_up", seller, until_ms)
        for quote, key in list(self.refused.items()):
            order = self.answered[key].order
            if order.seller == seller and order.valid_until_ms <= until_ms:
                self._set("refused", quote, None)
                self._set("answered", key, None)


class MemoryPurchases(MemoryBook):
    """A buyer's book."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: dict[int, WantRow] = {}
        self.ordered: dict[str, OrderRecord] = {}

    def wants(self) -> Sequence[WantRow]:
        """The wants that are open."""
        return [want for want in self.wanted.values() if want.is_open]

    def next_number(self) -> int:
        """The number of the next want."""
        return len(self.wanted) + 1

    def put_want(self, want: WantRow) -> None:
        """Enter a want, or what has changed of it."""
        self._set("wanted", want.number, want)

    def put(self, record: OrderRecord) -> None:
        """Enter an order, or what has changed of it."""
        self._set("ordered", record.id, evolve(record))

    def open_orders(self) -> Sequence[OrderRecord]:
        """The orders without an answer."""
        return [evolve(record) for record in self.ordered.values() if not record.state.is_final]

    def orders_of(self, want: int) -> Sequence[OrderRecord]:
        """The orders for one want."""
        return [evolve(record) for record in self.ordered.values() if record.want == want]

    def latest(self, id_prefix: str, most: int) -> Sequence[OrderRecord]:
        """Orders whose id begins in a certain way, the latest first."""
        found = (evolve(record) for record in reversed(self.ordered.values()) if record.id.startswith(id_prefix))
        return list(islice(found, most))


AnyBook = TypeVar("AnyBook", bound=MemoryBook)


@define
class MemoryStore(Generic[AnyBook]):
    """Keeps a book for as long as the process lives.

    @ivar book: what it keeps.
    """

    book: AnyBook = field()

    def open(self, reactor: Any) -> None:
        """There is nothing to open."""

    def run_transaction(self, work: Callable[[AnyBook], T]) -> Deferred[T]:
        """Do something at once."""
        return maybeDeferred(self._transact, work)

    def close(self) -> Deferred[None]:
        """There is nothing to close."""
        return succeed(None)

    def _transact(self, work: Callable[[AnyBook], T]) -> T:
        try:
            result = work(self.book)
        except BaseException:
            self.book.roll_back()
            raise
        self.book.commit()
        return result
