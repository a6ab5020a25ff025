"""Books in SQLite, a file each.

All of a book's transactions run in one thread of its own, over the only connection there is. What arrives while
one is under way shares the next, so that a busy book waits for its disk once for many. Nobody is told of
anything before it is on the disk.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from twisted_bazaar.errors import StorageError
from twisted_bazaar.trade.schema import forms_of
from twisted_bazaar.trade.stores.sqlite_books import SqlitePurchases, SqliteSales
from twisted_bazaar.trade.stores.sqlite_file import BookFile, FileKind, as_storage_error, code_of
from twisted_bazaar.trade.stores.store import PurchaseBook, SalesBook

T = TypeVar("T")
Book = TypeVar("Book")
Work = Callable[[Book], Any]

SALES: Final[FileKind[SalesBook]] = FileKind("ledger", "ledger.sqlite", 0x627A6C67, forms_of("ledger"), SqliteSales)
PURCHASES: Final[FileKind[PurchaseBook]] = FileKind(
    "book of orders", "orders.sqlite", 0x627A6F72, forms_of("orders"), SqlitePurchases
)

# So much shares a transaction at most: what comes later is not to wait for too much.
_MOST_AT_ONCE: Final = 256
# After these the connection is as good as before. 0 is what has no code: Python found it, and not SQLite.
_HARMLESS: Final = frozenset(
    {
        0,
        *(sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_FULL),
        *(sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE),
    }
)


class Threads(Protocol):
    """The threads in which the transactions of a book run."""

    def start(self) -> None:
        """Begin."""

    def callInThread(self, func: Callable[..., object], *arguments: Any) -> None:
        """Call something there, after everything before it."""

    def stop(self) -> None:
        """End when everything has been called."""


def one_thread() -> Threads:
    """A thread of a book's own."""
    return ThreadPool(1, 1, "book")


@frozen
class _Waiting:
    """Work for the next transaction."""

    work: Work[Any]
    done: Deferred[Any]


class SqliteStore(Generic[Book]):
    """Keeps a book in a file.

    @param path: the file; it is made if it is not there.
    @param make_threads: makes what the transactions run in.
    """

    def __init__(self, path: Path, kind: FileKind[Book], make_threads: Callable[[], Threads] = one_thread) -> None:
        self._file = BookFile(path, kind)
        self._session = _Session(path, kind, self._file)
        self._make_threads = make_threads
        self._threads: Threads | None = None
        self._waiting: list[_Waiting] = []
        self._is_busy = False
        self._closings: list[Deferred[None]] | None = None

    def check(self) -> None:
        """See whether the file can be used, before there is a reactor; changes nothing of it.

        @raise UsageError: it cannot, and will not by itself; the text says what to do.
        """
        # If it cannot be looked at now, that is found out again when something is asked for, and told then.
        with contextlib.suppress(sqlite3.Error):
            self._file.check()

    def open(self, reactor: Any) -> None:
        """Begin; what is run before the book is open waits."""
        self._reactor = reactor
        self._threads = self._make_threads()
        self._threads.start()
        # The file is claimed now. If that fails, whoever asks for something is told.
        self._begin([])

    def run_transaction(self, work: Callable[[Book], T]) -> Deferred[T]:
        """Do something as one transaction; fires when it is on the disk."""
        if self._closings is not None:
            return fail(StorageError("the book is closed"))
        waiting = _Waiting(work, Deferred())
        self._waiting.append(waiting)
        if self._threads is not None and not self._is_busy:
            self._begin_next()
        return waiting.done

    def close(self) -> Deferred[None]:
        """End when everything begun is done; fires then. No log is left beside the file."""
        if self._threads is None:
            self._closings = []
            unopened, self._waiting = self._waiting, []
            for waiting in unopened:
                waiting.done.errback(StorageError("the book was never opened"))
            return succeed(None)
        closed: Deferred[None] = Deferred()
        if self._closings is not None:
            self._closings.append(closed)
            return closed
        self._closings = [closed]
        if not self._is_busy:
            self._end()
        return closed

    def _begin_next(self) -> None:
        batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
        self._begin(batch)

    def _begin(self, batch: Sequence[_Waiting]) -> None:
        assert self._threads is not None, "it is open"
        self._is_busy = True
        self._threads.callInThread(self._transact, batch)

    def _transact(self, batch: Sequence[_Waiting]) -> None:
        """In the thread: do all of a batch."""
        results = self._session.run([waiting.work for waiting in batch])
        self._reactor.callFromThread(self._finish, batch, results)

    def _finish(self, batch: Sequence[_Waiting], results: Sequence[Any]) -> None:
        self._is_busy = False
        # The next transaction begins before anybody hears of this one.
        if self._waiting:
            self._begin_next()
        elif self._closings is not None:
            self._end()
        for waiting, result in zip(batch, results, strict=True):
            waiting.done.callback(result)

    def _end(self) -> None:
        assert self._threads is not None, "it is open"
        self._is_busy = True
        self._threads.callInThread(self._disconnect)

    def _disconnect(self) -> None:
        """In the thread: close the file."""
        self._session.close()
        self._reactor.callFromThread(self._ended)

    def _ended(self) -> None:
        assert self._threads is not None, "it was open"
        self._threads.stop()
        closings, self._closings = self._closings or [], []
        self._threads = None
        for closed in closings:
            closed.callback(None)


class _Session(Generic[Book]):
    """The session of a book in its thread.

    @ivar _is_suspect: whether something has gone wrong that could have damaged the file.
    """

    def __init__(self, path: Path, kind: FileKind[Book], file: BookFile[Book]) -> None:
        self._path = path
        self._kind = kind
        self._file = file
        self._connection: sqlite3.Connection | None = None
        self._is_suspect = False

    def run(self, works: Sequence[Work[Book]]) -> list[Any]:
        """Do all of this in one transaction; if one fails, each in one of its own.

        @return: what came of each; a failure if that is what came.
        """
        try:
            self._connect()
            return self._transact(works)
        except BaseException as error:
            self._roll_back(error)
            if self._connection is not None and len(works) > 1:
                return [result for work in works for result in self.run([work])]
            return [self._failure(error) for _ in works]

    def close(self) -> None:
        """Write the log into the file, and close it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self) -> None:
        if self._connection is None:
            self._connection = self._file.connect(is_suspect=self._is_suspect)
            self._is_suspect = False
            self._book = self._kind.make_book(self._connection)

    def _transact(self, works: Sequence[Work[Book]]) -> list[Any]:
        if not works:
            return []
        assert self._connection is not None, "it is connected"
        self._connection.execute("BEGIN IMMEDIATE")
        results = [work(self._book) for work in works]
        if not self._file.is_still_there():
            raise StorageError(f"{self._path}: it was moved or removed; bring it back, or start anew")
        self._connection.execute("COMMIT")
        return results

    def _roll_back(self, error: BaseException) -> None:
        """Take back everything since the last commit; a connection that may be broken is given up."""
        connection = self._connection
        if connection is None:
            return
        is_broken = isinstance(error, sqlite3.Error) and code_of(error) not in _HARMLESS
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            is_broken = True
        if is_broken:
            self._is_suspect = True
            # If that fails too, it is opened anew all the same, and what stands in the log counts.
            with contextlib.suppress(sqlite3.Error):
                self.close()

    def _failure(self, error: BaseException) -> Failure:
        if not isinstance(error, sqlite3.Error):
            return Failure(error)
        told = as_storage_error(self._path, error)
        told.__cause__ = error
        return Failure(told)
