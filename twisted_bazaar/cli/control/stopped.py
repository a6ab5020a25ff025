"""A node that does not run, and can be asked what its books say all the same.

What is asked changes nothing of them. Only a recount does, which needs the node not to run.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from twisted_bazaar.cli.control.client import (
    NotThere,
    OwnedNode,
    RunningNode,
    chosen_node,
    directories_of_user,
    named_node,
)
from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.errors import StorageError, UsageError
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.state import KEY, StateDirectory
from twisted_bazaar.trade.ledger import recount
from twisted_bazaar.trade.listing import row_of_purchase, row_of_sale, row_of_stock
from twisted_bazaar.trade.stores.sqlite import PURCHASES, SALES
from twisted_bazaar.trade.stores.sqlite_books import SqliteSales
from twisted_bazaar.trade.stores.sqlite_file import BookFile, FileKind, as_storage_error
from twisted_bazaar.trade.stores.store import PurchaseBook, SalesBook
from twisted_bazaar.values.sale import StockLevel

_Kind = TypeVar("_Kind")
_Rows = list[dict[str, Any]]

# As many as a node that runs lists, and shows of those that begin alike.
_MOST: Final = 1000
_MOST_ALIKE: Final = 10


def _stock(book: SalesBook) -> _Rows:
    return [row_of_stock(level) for level in book.counts().values()]


def _sales(book: SalesBook) -> _Rows:
    return list(map(row_of_sale, book.latest("", _MOST)))


def _sale(book: SalesBook, **wish: str) -> _Rows:
    return [row_of_sale(deal, with_receipt=True) for deal in book.latest(wish["id"], _MOST_ALIKE)]


def _purchases(book: PurchaseBook) -> _Rows:
    return list(map(row_of_purchase, book.latest("", _MOST)))


def _purchase(book: PurchaseBook, **wish: str) -> _Rows:
    return [row_of_purchase(record, with_receipt=True) for record in book.latest(wish["id"], _MOST_ALIKE)]


_Reader = Callable[..., _Rows]
_READERS: Final[Mapping[str, Sequence[tuple[FileKind[Any], _Reader]]]] = {
    "stock.list": [(SALES, _stock)],
    "orders": [(SALES, _sales), (PURCHASES, _purchases)],
    "order": [(SALES, _sale), (PURCHASES, _purchase)],
}


class StoppedNode(OwnedNode):
    """A node that does not run."""

    def knows(self, command: str) -> bool:
        """Whether it has a book that answers a command."""
        return any(True for _ in self._books(command))

    def rows(self, command: str, kind: type[_Kind], **wishes: Any) -> list[_Kind]:
        """What its books answer to a command, as the node would.

        @raise NotThere: one of them cannot be read.
        """
        rows: _Rows = []
        for path, book_kind, read in self._books(command):
            try:
                with BookFile(path, book_kind).read() as book:
                    rows += read(book, **wishes)
            except StorageError as error:
                raise NotThere(str(error)) from None
        return msgspec.convert(rows, list[kind])  # type: ignore[valid-type] # mypy reads it as a name

    def recount(self, counted: Mapping[str, int], now: float) -> list[StockLevel]:
        """Enter what really is on the shelf of a seller; what was not counted is not there.

        @param now: seconds since 1970.
        @raise NotThere: it is no seller with a book of its own and a key, or it runs.
        """
        path = self.directory / SALES.file_name
        if RunningNode(self.name, self.directory).runs():
            raise NotThere(f"the seller in {self.directory} runs: end it first, count, and start it after that")
        if not path.is_file():
            raise NotThere(f"{path}: there is no such file; bring it back first, or name another node with --name")
        if not (self.directory / KEY).exists():
            raise NotThere(f"{self.directory / KEY}: there is no such file; bring it back too, or it is another seller")
        state = None
        try:
            state = StateDirectory(self.directory)
            seller = state.key(random.Random()).public
            with closing(BookFile(path, SALES).connect()) as connection:
                connection.execute("BEGIN IMMEDIATE")
                levels = recount(SqliteSales(connection), seller, counted, int(now * 1000))
                connection.execute("COMMIT")
        except (UsageError, StorageError) as error:
            raise NotThere(str(error)) from None
        except sqlite3.Error as error:
            raise NotThere(str(as_storage_error(path, error))) from None
        finally:
            if state is not None:
                state.close()
        return levels

    def _books(self, command: str) -> Iterator[tuple[Path, FileKind[Any], _Reader]]:
        for kind, read in _READERS[command]:
            path = self.directory / kind.file_name
            if path.is_file():
                yield path, kind, read


def stopped_seller(options: OptionValues) -> StoppedNode:
    """The seller that the command line names, or the only one that has a book here.

    @raise UserError: it is not one.
    """
    node = named_node(options)
    if node is not None:
        return StoppedNode(node.name, node.directory, node.option)
    having = [path for path in directories_of_user() if (path / SALES.file_name).is_file()]
    if len(having) != 1:
        names = f"several have books here: {', '.join(path.name for path in having)}" if having else "none has one here"
        raise UserError(f"which seller? {names}; choose one with --name or --state")
    return StoppedNode(having[0].name, having[0], f" --name {having[0].name}")


def node_or_books(options: OptionValues, command: str, what: str) -> RunningNode | StoppedNode:
    """The node that the command line names, or its books if it does not run; if it names none, the only such node.

    One that runs comes before those that do not.

    @param options: those of C{WHICH_NODE} are among them.
    @param command: what it is going to be asked: one that books can answer.
    @param what: what people call such a node.
    @raise UserError: it is not one.
    """
    try:
        node = chosen_node(options, command, what)
        if node.runs():
            return node
        stopped = StoppedNode(node.name, node.directory, node.option)
        if not stopped.knows(command):
            return node
    except NotThere:
        having = stopped_nodes(command)
        if not having:
            raise
        if len(having) > 1:
            names = ", ".join(node.name for node in having)
            raise UserError(f"no {what} runs, and several have books here: {names}; choose one with --name") from None
        [stopped] = having
    tell_stopped(stopped)
    return stopped


def stopped_nodes(command: str, running: Sequence[OwnedNode] = ()) -> list[StoppedNode]:
    """The nodes of this user that have books which answer a command.

    @param running: those that are asked themselves, and are left out.
    """
    paths = [path for path in directories_of_user() if path not in {node.directory for node in running}]
    nodes = [StoppedNode(path.name, path, f" --name {path.name}") for path in paths]
    return [node for node in nodes if node.knows(command)]


def tell_stopped(node: StoppedNode) -> None:
    """Say whose books are read."""
    click.echo(f"node {node.name}, which does not run; from its books:", err=True)
