"""Books on the disk of a simulated machine: what they were told outlives a crash.

A line for each transaction, with all that it has changed, synced before anybody hears of it.
"""

from __future__ import annotations

import pickle
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.threads import deferToThreadPool

from twisted_bazaar.errors import StorageError
from twisted_bazaar.sim.engine.hosts import Host
from twisted_bazaar.trade.stores.memory import Change, MemoryBook

T = TypeVar("T")
AnyBook = TypeVar("AnyBook", bound=MemoryBook)


class DiskStore(Generic[AnyBook]):
    """Keeps a book that is as durable as the disk it stands on.

    @param host: the machine with the disk.
    @param file: the name of the file on it.
    @param make_book: makes an empty book.
    @ivar book: what the machine sees of the book now.
    """

    def __init__(self, host: Host, file: str, make_book: Callable[[], AnyBook]) -> None:
        self._host = host
        self._file = file
        self._make_book = make_book
        self._one_by_one = DeferredLock()
        self._is_read = False
        self.book: AnyBook = make_book()

    def open(self, reactor: Any) -> None:
        """The first transaction reads what the disk holds, and if it fails the next one does."""

    def run_transaction(self, work: Callable[[AnyBook], T]) -> Deferred[T]:
        """Do something as one transaction; it is on the disk when this fires."""
        return self._transact(lambda: self._write(work))

    def close(self) -> Deferred[None]:
        """End when everything begun is done."""
        return self._one_by_one.run(succeed, None)

    def synced_book(self) -> AnyBook:
        """The book that a crash at this instant would leave."""
        return book_on(self._host.disk.synced(self._file), self._make_book)

    def _transact(self, work: Callable[[], T]) -> Deferred[T]:
        host = self._host
        transacting: Deferred[T] = self._one_by_one.run(deferToThreadPool, host, host.getThreadPool(), work)
        return transacting

    def _write(self, work: Callable[[AnyBook], T]) -> T:
        """Write and sync what a transaction has changed; what cannot be synced is taken back."""
        disk = self._host.disk
        book = self.book
        try:
            before = disk.read(self._file)
            if not self._is_read:
                book = self.book = book_on(before, self._make_book)
                self._is_read = True
            result = work(book)
            if book.changes:
                disk.append(self._file, b64encode(pickle.dumps(book.changes)) + b"\n")
                try:
                    disk.sync(self._file)
                except OSError:
                    disk.roll_back(self._file, before)
                    raise
        except OSError as error:
            book.roll_back()
            raise StorageError(str(error)) from error
        except BaseException:
            book.roll_back()
            raise
        book.commit()
        return result


def book_on(content: bytes, make_book: Callable[[], AnyBook]) -> AnyBook:
    """The book that the content of a file makes."""
    book = make_book()
    for line in content.splitlines():
        changes: list[Change] = pickle.loads(b64decode(line))
        for change in changes:
            book.apply(change)
    return book
