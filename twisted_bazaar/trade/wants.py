"""The list of wants in a buyer's book: a want outlives the process, and counts what was bought for it."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve
from twisted.internet.defer import Deferred, DeferredLock

from twisted_bazaar.trade.order import OrderRecord
from twisted_bazaar.trade.stores.store import IStore, PurchaseBook, WantRow


class WantList:
    """The wants of one run of a buyer.

    @param store: keeps the buyer's book.
    """

    def __init__(self, store: IStore[PurchaseBook]) -> None:
        self._store = store
        self._taken_up: set[int] = set()
        self._finding = DeferredLock()

    def find(self, item: str, quantity: int, label: str = "") -> Deferred[tuple[WantRow, Sequence[OrderRecord]]]:
        """A want for an item: one that is open and not taken up yet, now for so many, or a new one; and its orders.

        @param label: what it is for. Only one for the same is the same want.
        @raise StorageError: the book cannot be written now.
        """

        def find(book: PurchaseBook) -> tuple[WantRow, Sequence[OrderRecord]]:
            alike = [want.number for want in book.wants() if (want.item, want.label) == (item, label)]
            left = [number for number in alike if number not in self._taken_up]
            want = WantRow(left[0] if left else book.next_number(), item, quantity, is_open=True, label=label)
            book.put_want(want)
            return want, book.orders_of(want.number)

        def take_up(found: tuple[WantRow, Sequence[OrderRecord]]) -> tuple[WantRow, Sequence[OrderRecord]]:
            self._taken_up.add(found[0].number)
            return found

        # One after another: each is to see what the one before has taken.
        finding: Deferred[tuple[WantRow, Sequence[OrderRecord]]] = self._finding.run(
            lambda: self._store.run_transaction(find).addCallback(take_up)
        )
        return finding

    def close(self) -> Deferred[None]:
        """Count the wants that were taken up as done: to want the same again is a new want.

        @raise StorageError: the book cannot be written now.
        """

        def close(book: PurchaseBook) -> None:
            for want in book.wants():
                if want.number in self._taken_up:
                    book.put_want(evolve(want, is_open=False))

        return self._store.run_transaction(close)
