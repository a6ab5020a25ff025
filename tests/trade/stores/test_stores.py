"""The stores that need no server, each held to the promises of all."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.trade.books import (
    InlineReactor,
    InlineThreads,
    PurchasesContract,
    SalesContract,
    make_deal,
    make_folder,
    make_order,
)
from twisted_bazaar.errors import StorageError
from twisted_bazaar.trade.stores.memory import MemoryPurchases, MemorySales, MemoryStore
from twisted_bazaar.trade.stores.sqlite import PURCHASES, SALES, SqliteStore


class StoreCase(SynchronousTestCase):
    """A store that is open."""

    def setUp(self) -> None:
        """Open it."""
        self.reactor = InlineReactor()
        self.store = self.make_store()
        self.store.open(self.reactor)
        self.addCleanup(lambda: self.successResultOf(self.store.close()))

    def result_of(self, deferred: Deferred[object]) -> object:
        """What has come of it already."""
        return self.successResultOf(deferred)

    def failure_of(self, deferred: Deferred[object], kind: type[Exception]) -> Exception:
        """How it has failed already."""
        error: Exception = self.failureResultOf(deferred, kind).value
        return error


class MemorySalesTests(SalesContract, StoreCase):
    """A seller's book in memory."""

    def make_store(self) -> MemoryStore[MemorySales]:
        """A new one."""
        return MemoryStore(MemorySales())


class MemoryPurchasesTests(PurchasesContract, StoreCase):
    """A buyer's book in memory."""

    def make_store(self) -> MemoryStore[MemoryPurchases]:
        """A new one."""
        return MemoryStore(MemoryPurchases())


class SqliteSalesTests(SalesContract, StoreCase):
    """A seller's book in a file."""

    def make_store(self) -> SqliteStore:
        """A new one."""
        return SqliteStore(make_folder(self) / "book.sqlite", SALES, InlineThreads)

    def test_second_answer(self) -> None:
        """The database itself refuses a second answer to an order."""
        deal = make_deal(make_order())
        self.keep(deal)
        self.failure_of(self.store.run_transaction(lambda book: book.add_deals([deal])), StorageError)


class SqlitePurchasesTests(PurchasesContract, StoreCase):
    """A buyer's book in a file."""

    def make_store(self) -> SqliteStore:
        """A new one."""
        return SqliteStore(make_folder(self) / "book.sqlite", PURCHASES, InlineThreads)
