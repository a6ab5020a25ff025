"""A node that does not run, and may be asked what its books say all the same; nothing of them is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from attrs import frozen

from twisted_bazaar.cli.control.client import NotThere
from twisted_bazaar.errors import StorageError
from twisted_bazaar.trade.listing import row_of_purchase, row_of_sale, row_of_stock
from twisted_bazaar.trade.stores.sqlite import PURCHASES, SALES
from twisted_bazaar.trade.stores.sqlite_file import BookFile, FileKind
from twisted_bazaar.trade.stores.store import PurchaseBook, SalesBook

_Kind = TypeVar("_Kind")
_Rows = list[dict[str, Any]]

# As many as a node that runs lists, and shows of those that begin alike.
_MOST: Final = 1000
_MOST_ALIKE: Final = 10


def _stock(book: SalesBook) -> _Rows:
    return [row_of_stock(level) for level in book.counts().values()]


def _sales(book: SalesBook, id: str | None = None) -> _Rows:
    deals = book.latest(id or "", _MOST if id is None else _MOST_ALIKE)
    return [row_of_sale(deal, with_receipt=id is not None) for deal in deals]


def _purchases(book: PurchaseBook, id: str | None = None) -> _Rows:
    records = book.latest(id or "", _MOST if id is None else _MOST_ALIKE)
    return [row_of_purchase(record, with_receipt=id is not None) for record in records]


_READERS: Final[Mapping[str, Mapping[FileKind[Any], Callable[..., _Rows]]]] = {
    "stock.list": {SALES: _stock},
    "orders": {SALES: _sales, PURCHASES: _purchases},
    "order": {SALES: _sales, PURCHASES: _purchases},
}


@frozen
class StoppedNode:
    """A node that does not run.

    @ivar name: what its operator calls it.
    @ivar directory: where it keeps its state.
    @ivar option: the words that name it on a command line; none where that is not needed.
    """

    name: str
    directory: Path
    option: str = ""

    def knows(self, command: str) -> bool:
        """Whether it has a book that answers a command."""
        return any(True for _ in self._books(command))

    def rows(self, command: str, kind: type[_Kind], **wishes: Any) -> list[_Kind]:
        """What its books answer to a command, as the node would.

        @raise NotThere: one of them cannot be read.
        """
        rows: _Rows = []
        for path, book_kind in self._books(command):
            try:
                with BookFile(path, book_kind).read() as book:
                    rows += _READERS[command][book_kind](book, **wishes)
            except StorageError as error:
                raise NotThere(str(error)) from None
        return msgspec.convert(rows, list[kind])  # type: ignore[valid-type] # mypy reads it as a name

    def _books(self, command: str) -> Iterator[tuple[Path, FileKind[Any]]]:
        for kind in _READERS.get(command, ()):
            path = self.directory / kind.file_name
            if path.is_file():
                yield path, kind
