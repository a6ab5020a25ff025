"""The file of a book: whether it is one, whether it is whole, and which form it has.

A file is looked at before it is opened for writing, so that one of a newer version, of another program, or a
damaged one stays as it is, with the C{-wal} beside it that a process leaves which did not end by itself.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, Generic, TypeVar

from attrs import frozen

from twisted_bazaar.errors import StorageError, UsageError
from twisted_bazaar.system.private_files import OWN_MODE, fault_of
from twisted_bazaar.trade.schema import read_steps

Book = TypeVar("Book")

# The first with STRICT tables.
_OLDEST_SQLITE: Final = (3, 37)
_SMALLEST_PAGE_BYTES: Final = 512
_LOCK_TIMEOUT_S: Final = 2.0
# What may be over before long: the disk is full, so that SQLite cannot even make what it needs to look.
_MAY_PASS: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_DAMAGED: Final = "it is damaged; move it away with its -wal, and bring back a copy"
_NO_DATABASE: Final = "it is not a database"
_BESIDE: Final = ("-wal", "-shm", "-journal")
_SETTINGS: Final = (
    # A sale takes some 2 KiB: with pages of 4 KiB, half of each stays empty.
    "page_size = 8192",
    "locking_mode = EXCLUSIVE",
    "synchronous = FULL",
    # On macOS a plain fsync leaves the bytes in the drive's cache.
    "fullfsync = ON",
    "checkpoint_fullfsync = ON",
    "foreign_keys = ON",
    "trusted_schema = OFF",
    "cell_size_check = ON",
)


@frozen
class FileKind(Generic[Book]):
    """A kind of book in a file.

    @ivar name: what people call it.
    @ivar file_name: what its file is called in the directory of a node.
    @ivar application_id: the mark that tells its file from others; from -2**31 to 2**31 - 1, not 0.
    @ivar forms: the folder of its forms.
    @ivar make_book: makes the book over a connection.
    """

    name: str
    file_name: str
    application_id: int
    forms: Traversable
    make_book: Callable[[sqlite3.Connection], Book]


class BookFile(Generic[Book]):
    """One file.

    @param path: where it is, or is to be.
    """

    def __init__(self, path: Path, kind: FileKind[Book]) -> None:
        self._path = path
        self._kind = kind
        self._steps = read_steps(kind.forms)

    def check(self, *, is_suspect: bool = False) -> None:
        """See whether it can be used; changes nothing of it.

        @param is_suspect: whether to read all of it, to see if it is damaged.
        @raise UsageError: it cannot; the text says what to do.
        @raise sqlite3.Error: it cannot be looked at now; later it may be.
        """
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            self._refuse(f"SQLite {sqlite3.sqlite_version} is too old; 3.37 or later is needed")
        folder = self._path.parent
        if not folder.is_dir():
            self._refuse(f"there is no directory {folder}")
        if not _may(folder, os.R_OK | os.W_OK | os.X_OK):
            self._refuse("files cannot be written in its directory")
        self._check_owners()
        if not self._path.exists():
            if self._beside("-wal").exists():
                self._refuse(f"{self._beside('-wal').name} has sales of a book that is gone; bring it back")
            return
        if not _may(self._path, os.R_OK | os.W_OK):
            self._refuse("it cannot be written")
        if self._size_bytes() and not self._is_being_made():
            if self._size_bytes() < _SMALLEST_PAGE_BYTES:
                # SQLite would take it for an empty one.
                self._refuse(_NO_DATABASE)
            with self._explained(), self._reading() as connection:
                self._check_mark(connection)
                if is_suspect or self._is_unclean():
                    self._check_pages(connection)

    def connect(self, *, is_suspect: bool = False) -> sqlite3.Connection:
        """Open it for this process alone, in the newest form; make it if it is not there.

        @raise StorageError: it cannot be used; the text says what to do.
        """
        try:
            self.check(is_suspect=is_suspect)
            return self._connect()
        except (UsageError, sqlite3.Error, OSError) as error:
            raise as_storage_error(self._path, error) from error

    def _connect(self) -> sqlite3.Connection:
        # What SQLite makes beside it has the same mode.
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, OWN_MODE)
        try:
            found = os.fstat(file)
        finally:
            # Before SQLite locks it: to close any descriptor of a file lets go of all of a process's locks of it.
            os.close(file)
        fault = fault_of(found, is_written=True)
        if fault is not None:
            self._refuse(fault)
        self._opened = found.st_dev, found.st_ino
        connection = sqlite3.connect(self._path, timeout=_LOCK_TIMEOUT_S, isolation_level=None)
        try:
            for setting in _SETTINGS:
                connection.execute(f"PRAGMA {setting}")
            # Once more, since a file that another process was making has not been looked at.
            self._check_mark(connection)
            [(mode,)] = connection.execute("PRAGMA journal_mode = WAL")
            if mode != "wal":
                self._refuse("its file system cannot hold a book")
            self._upgrade(connection)
            # SQLite opens it by its path. Nobody else can change what that leads to, unless the directory is one where
            # others may; what has another path by now is not written to.
            if not self.is_still_there():
                self._refuse("somebody else is changing files there")
        except BaseException:
            connection.close()
            raise
        return connection

    @contextlib.contextmanager
    def read(self) -> Iterator[Book]:
        """The book to be looked at only, while no process has it open; nothing of the file is changed.

        @raise StorageError: it cannot be read; the text says what to do.
        """
        try:
            self.check()
            with self._explained(), self._reading() as connection:
                _, form = self._form(connection)
                if form == len(self._steps):
                    yield self._kind.make_book(connection)
                    return
                # What reads it knows the newest form only.
                with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
                    connection.backup(copy)
                    self._upgrade(copy)
                    yield self._kind.make_book(copy)
        except (UsageError, sqlite3.Error, OSError) as error:
            raise as_storage_error(self._path, error) from error

    def is_still_there(self) -> bool:
        """Whether the file that was opened is the one that will be found when it is opened again."""
        try:
            found = self._path.lstat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._opened

    def _upgrade(self, connection: sqlite3.Connection) -> None:
        """Bring it into the newest form, one form in each transaction."""
        _, form = self._form(connection)
        for number, step in enumerate(self._steps[form:], form + 1):
            mark = f"PRAGMA application_id = {self._kind.application_id}; PRAGMA user_version = {number}"
            try:
                connection.executescript(f"BEGIN IMMEDIATE; {step}; {mark}; COMMIT")
            finally:
                if connection.in_transaction:
                    connection.rollback()

    def _check_owners(self) -> None:
        """See that it, and what SQLite keeps beside it, was put there by this user, and is no link to something else.

        SQLite opens them by their paths, follows links, and writes to what it finds.
        """
        for path in (self._path, *map(self._beside, _BESIDE)):
            try:
                fault = fault_of(path.lstat(), is_written=True)
            except FileNotFoundError:
                continue
            if fault is not None:
                self._refuse(fault if path == self._path else f"{path.name} beside it: {fault}")

    def _check_mark(self, connection: sqlite3.Connection) -> None:
        application_id, form = self._form(connection)
        if (application_id, form) == (0, 0) and not connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
            return
        if application_id != self._kind.application_id:
            self._refuse(f"it is a database, but not a {self._kind.name} of a bazaar")
        if form > len(self._steps):
            self._refuse(
                f"a newer version of twisted_bazaar wrote it (form {form}, and this one knows {len(self._steps)}); "
                "use that version"
            )

    def _check_pages(self, connection: sqlite3.Connection) -> None:
        [(finding, *_), *_] = connection.execute("PRAGMA quick_check(1)").fetchall()
        if finding != "ok":
            self._refuse(f"{_DAMAGED} ({' '.join(finding.split())})")

    def _form(self, connection: sqlite3.Connection) -> tuple[int, int]:
        [(application_id,)] = connection.execute("PRAGMA application_id")
        [(form,)] = connection.execute("PRAGMA user_version")
        return application_id, form

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that writes nothing."""
        # Without a log there is nothing to read but the file; SQLite would make a log, to read it.
        mode = "mode=ro" if self._beside("-wal").exists() else "immutable=1"
        index = self._beside("-shm")
        had_index = index.exists()
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?{mode}", uri=True, timeout=_LOCK_TIMEOUT_S, isolation_level=None
        )
        try:
            yield connection
        finally:
            connection.close()
            if not had_index:
                index.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if code_of(error) in _MAY_PASS:
                raise
            self._refuse(explain(error), error)

    def _is_unclean(self) -> bool:
        """Whether a process that did not end by itself has left a log."""
        log = self._beside("-wal")
        return log.exists() and log.stat().st_size > 0

    def _is_being_made(self) -> bool:
        """Whether a process ended while it made the file: SQLite takes that back when it opens it for writing."""
        return self._beside("-journal").exists()

    def _size_bytes(self) -> int:
        return self._path.stat().st_size

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(self._path.name + suffix)

    def _refuse(self, reason: str, cause: BaseException | None = None) -> None:
        raise UsageError(f"{self._path}: {reason}") from cause


_EXPLANATIONS: Final = {
    sqlite3.SQLITE_BUSY: "another process has it open",
    sqlite3.SQLITE_LOCKED: "another process has it open",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it cannot be written",
    sqlite3.SQLITE_PERM: "it cannot be written",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_NOTADB: _NO_DATABASE,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
}


def _may(path: Path, mode: int) -> bool:
    """Whether this process may do something with a file, as the user that it is now."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def code_of(error: sqlite3.Error) -> int:
    """The code of an error; 0 if SQLite has not said."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def explain(error: sqlite3.Error) -> str:
    """An error in words, and what to do about it."""
    text = _EXPLANATIONS.get(code_of(error))
    return f"{error}" if text is None else f"{text} ({error})"


def as_storage_error(path: Path, error: UsageError | sqlite3.Error | OSError) -> StorageError:
    """The error that users of a book get when it cannot be read or written."""
    if isinstance(error, UsageError):
        return StorageError(str(error))
    return StorageError(f"{path}: {explain(error) if isinstance(error, sqlite3.Error) else error.strerror}")
