"""The interface of a store: what the books of a sale ask of whatever keeps them.

A store runs transactions, one after another, each wholly or not at all. What a transaction may do to a
seller's book stands in L{SalesBook}, and to a buyer's in L{PurchaseBook}: they read and write rows, and every
rule about these is with those who use them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred

from twisted_bazaar.trade.order import OrderRecord
from twisted_bazaar.values.sale import Deal, StockLevel

T = TypeVar("T")
Book = TypeVar("Book", covariant=True)
OrderKey = tuple[str, str]


class SalesBook(Protocol):
    """A seller's book in one transaction."""

    def deals(self, keys: Collection[OrderKey]) -> Mapping[OrderKey, Deal]:
        """Those of some orders, by buyer's key and id, that were answered before."""

    def closed(self, quotes: Collection[str]) -> set[str]:
        """Those of some quotes, by id, about which a no is kept."""

    def closed_until_ms(self, seller: str) -> int:
        """Until when the quotes of a seller have been given up for good; 0 at first."""

    def levels(self, items: Collection[str] | None = None) -> dict[str, StockLevel]:
        """The counts of some items, or of all, in the order of their names.

        Nobody else can change them until the transaction has ended.
        """

    def counts(self, items: Collection[str] | None = None) -> dict[str, StockLevel]:
        """The same, only to be looked at: others may change them meanwhile."""

    def latest(self, id_prefix: str, most: int) -> Sequence[Deal]:
        """Deals whose order id begins in a certain way, the latest first."""

    def add_deals(self, deals: Sequence[Deal]) -> None:
        """Remember answers to orders that were not answered before."""

    def sell(self, item: str, quantity: int) -> None:
        """Count units as sold that were in stock.

        @raise StorageError: there are not so many, against all expectation.
        """

    def set_level(self, level: StockLevel) -> None:
        """Enter the count and price of an item, which may be a new one."""

    def close_until(self, seller: str, until_ms: int) -> None:
        """Give up the quotes of a seller that are valid until an instant or less, and forget every no about them.

        An instant before the one up to which they are given up already changes nothing.
        """


@frozen
class WantRow:
    """Something that a buyer wants, as its book has it.

    @ivar number: counts up from 1.
    @ivar quantity: units, in all.
    @ivar is_open: whether it is still to be pursued.
    @ivar label: what it is for, in the buyer's words; empty if nothing was said.
    """

    number: int
    item: str
    quantity: int
    is_open: bool
    label: str = ""


class PurchaseBook(Protocol):
    """A buyer's book in one transaction."""

    def wants(self) -> Sequence[WantRow]:
        """The wants that are open, in the order of their numbers."""

    def next_number(self) -> int:
        """The number of the next want."""

    def put_want(self, want: WantRow) -> None:
        """Enter a want, or what has changed of it."""

    def put(self, record: OrderRecord) -> None:
        """Enter an order, or what has changed of it."""

    def open_orders(self) -> Sequence[OrderRecord]:
        """The orders without an answer, in the order in which they were entered."""

    def orders_of(self, want: int) -> Sequence[OrderRecord]:
        """The orders for one want, in the order in which they were entered."""

    def latest(self, id_prefix: str, most: int) -> Sequence[OrderRecord]:
        """Orders whose id begins in a certain way, the latest first."""


class IStore(Protocol[Book]):
    """Keeps one book."""

    def open(self, reactor: Any) -> None:
        """Begin; what is run before the book is open waits.

        @param reactor: time, timers and threads.
        """

    def run_transaction(self, work: Callable[[Book], T]) -> Deferred[T]:
        """Do something as one transaction; fires when it is as safe as this store makes anything.

        What C{work} raises undoes all it has done, and comes out again.

        @param work: may be called in another thread, and more than once.
        @raise StorageError: the book cannot be read or written; nothing was done.
        """

    def close(self) -> Deferred[None]:
        """End when everything begun is done; fires then."""
