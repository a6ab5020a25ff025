"""A seller's book in PostgreSQL.

So several processes, on several machines, sell from one stock. The server decides nothing: it locks, keeps and
checks, and the rules are those of any other seller's book.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred

from twisted_bazaar.database.postgresql import PATIENCE_S, Database, Kind
from twisted_bazaar.trade.schema import forms_of, read_steps
from twisted_bazaar.trade.stores.postgres_books import PostgresSales
from twisted_bazaar.trade.stores.store import SalesBook

T = TypeVar("T")

_FORMS_LOCK: Final = 0x627A6C67_666F726D


class PostgresStore:
    """Keeps a seller's book in a database.

    @param url: C{postgresql://user:password@host:port/database}; where a password is missing, libpq's ways to
        one are tried.
    @param patience_s: seconds until a server that does not answer is given up.
    @raise UsageError: psycopg is not installed, or the URL is none.
    """

    def __init__(self, url: str, patience_s: float = PATIENCE_S) -> None:
        kind = Kind("book", "twisted_bazaar", _FORMS_LOCK, read_steps(forms_of("postgres")))
        self._database = Database(url, kind, patience_s)

    def check(self) -> None:
        """See whether the database can be used, before there is a reactor.

        @raise UsageError: it cannot; the text says why.
        """
        self._database.check()

    def open(self, reactor: Any) -> None:
        """Begin; what is run before the book is open waits."""
        self._database.open(reactor)

    def run_transaction(self, work: Callable[[SalesBook], T]) -> Deferred[T]:
        """Do something as one transaction; fires when the server has it on its disk."""

        def work_on(connection: Any) -> T:
            book = PostgresSales(connection)
            result = work(book)
            book.send()
            return result

        return self._database.run(work_on)

    def close(self) -> Deferred[None]:
        """End when everything begun is done; fires then."""
        return self._database.close()
