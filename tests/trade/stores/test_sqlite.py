"""The store in SQLite: what is in its file, whatever happens to the disk, the process or the program."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.trade.books import (
    HeldThreads,
    InlineReactor,
    InlineThreads,
    make_deal,
    make_folder,
    make_order,
    make_quote,
    make_record,
    order_on,
    withdrawal_on,
)
from twisted_bazaar.errors import SoldOut, StorageError, UsageError
from twisted_bazaar.trade.order import OrderState
from twisted_bazaar.trade.schema import forms_of, read_steps
from twisted_bazaar.trade.stores.sqlite import PURCHASES, SALES, SqliteStore, Threads
from twisted_bazaar.trade.stores.sqlite_books import SqliteSales
from twisted_bazaar.trade.stores.sqlite_file import FileKind
from twisted_bazaar.trade.stores.store import PurchaseBook, SalesBook, WantRow
from twisted_bazaar.values.sale import Outcome, StockLevel

APPLES: Final = StockLevel("apple", 1000, 1000, 0, 0, None)
NOBODY: Final = 65_534
Work = Callable[[Any], object]


def sql(*texts: str) -> Work:
    """A transaction of code that goes past the book."""

    def work(book: Any) -> None:
        for text in texts:
            book._execute(text)

    return work


def fail(book: object) -> None:
    """A transaction that cannot be."""
    raise SoldOut("never mind")


def apples_sold(book: SalesBook) -> int:
    """How many apples are sold."""
    return book.levels(["apple"])["apple"].sold


class Case(SynchronousTestCase):
    """A directory with a book of apples."""

    def setUp(self) -> None:
        """Nothing is open."""
        self.folder = make_folder(self)
        self.path = self.folder / "ledger.sqlite"

    def open(
        self, path: Path | None = None, kind: FileKind[Any] = SALES, make_threads: Callable[[], Threads] = InlineThreads
    ) -> SqliteStore:
        """A store that is open, and closed with the test."""
        store = SqliteStore(path or self.path, kind, make_threads)
        store.open(InlineReactor())
        self.addCleanup(store.close)
        return store

    def do(self, store: SqliteStore, work: Work) -> Any:
        """What comes of a transaction."""
        return self.successResultOf(store.run_transaction(work))

    def error_of(self, deferred: Deferred[object]) -> str:
        """What a transaction says that has failed because of the book."""
        return str(self.failureResultOf(deferred, StorageError).value)

    def refusal_of(self, path: Path, kind: FileKind[Any] = SALES, store: SqliteStore | None = None) -> str:
        """What is said of a file that is refused: before there is a reactor, and after, the same."""
        store = store or SqliteStore(path, kind, InlineThreads)
        said = str(self.assertRaises(UsageError, store.check))
        store.open(InlineReactor())
        self.assertEqual(self.error_of(store.run_transaction(lambda book: None)), said)
        self.successResultOf(store.close())
        self.assertNotIn("\n", said)
        self.assertEqual(said[: len(f"{path}: ")], f"{path}: ")
        return said.removeprefix(f"{path}: ")

    def close(self, store: SqliteStore) -> None:
        """Close it."""
        self.successResultOf(store.close())

    def make_book(self, *works: Work) -> None:
        """Leave a book with apples, closed."""
        store = self.open()
        self.do(store, lambda book: book.set_level(APPLES))
        for work in works:
            self.do(store, work)
        self.close(store)

    def copy_as_left(self, name: str) -> Path:
        """A copy of the files as a process would leave them that is killed now."""
        copy = self.folder / name
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{self.path}{suffix}", f"{copy}{suffix}")
        return copy

    def files(self) -> dict[str, bytes]:
        """All that is in the directory."""
        return {file.name: file.read_bytes() for file in self.folder.iterdir()}

    def forms(self, *more: str) -> FileKind[SalesBook]:
        """A ledger of a later program, whose forms change more."""
        folder = make_folder(self)
        for number, text in enumerate([*read_steps(forms_of("ledger")), *more], 1):
            (folder / f"{number}.sql").write_text(text, encoding="utf-8")
        return evolve(SALES, forms=folder)


class TracedKind:
    """A kind of book that tells what its connection is asked to do."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.connections: list[sqlite3.Connection] = []
        self.kind = evolve(SALES, make_book=self._make_book)

    def commits(self) -> int:
        """How many transactions were ended well."""
        return self.said.count("COMMIT")

    def _make_book(self, connection: sqlite3.Connection) -> SqliteSales:
        connection.set_trace_callback(self.said.append)
        self.connections.append(connection)
        return SqliteSales(connection)


class GroupTests(Case):
    """What comes while a transaction is under way shares the next one."""

    def setUp(self) -> None:
        """A book whose thread stands still."""
        super().setUp()
        self.make_book()
        self.threads = HeldThreads()
        self.traced = TracedKind()
        self.store = self.open(kind=self.traced.kind, make_threads=lambda: self.threads)
        # Else what is left when the test ends would wait for ever.
        self.addCleanup(lambda: [self.threads.go_on() for _ in range(9)])
        self.threads.go_on()

    def test_shared(self) -> None:
        """Many that wait together are one transaction; those that come when it has begun are the next one."""
        first = self.store.run_transaction(lambda book: book.sell("apple", 1))
        group = [self.store.run_transaction(lambda book: book.sell("apple", 1)) for _ in range(50)]
        self.threads.go_on()
        self.assertEqual(self.traced.commits(), 1)
        self.successResultOf(first)
        for done in group:
            self.assertNoResult(done)
        self.threads.go_on()
        self.assertEqual(self.traced.commits(), 2)
        for done in group:
            self.successResultOf(done)

    def test_told_after_the_commit(self) -> None:
        """Nobody hears of anything before it is committed."""
        self.store.run_transaction(lambda book: book.sell("apple", 1))
        self.threads.go_on()
        commits_when_told: list[int] = []
        for _ in range(3):
            self.store.run_transaction(lambda book: book.sell("apple", 1)).addCallback(
                lambda result: commits_when_told.append(self.traced.commits())
            )
        self.assertEqual(commits_when_told, [])
        self.threads.go_on()
        self.threads.go_on()
        self.assertEqual(commits_when_told, [2, 3, 3])

    def test_next_begins_first(self) -> None:
        """The next transaction begins before anybody hears of the one before."""
        begun: list[bool] = []
        first = self.store.run_transaction(lambda book: None)
        self.store.run_transaction(lambda book: None)
        first.addCallback(lambda result: begun.append(bool(self.threads._calls)))
        self.threads.go_on()
        self.assertEqual(begun, [True])

    def test_bad_one_fails_alone(self) -> None:
        """If one of a group raises, it fails, and the others are done all the same."""
        for bad, error in (
            (fail, SoldOut),
            (lambda book: book.sell("apple", 10_000), StorageError),
            (lambda book: book.set_level(evolve(APPLES, sold=-1)), StorageError),
            (sql("SELECT nonsense"), StorageError),
            (lambda book: book._execute("SELECT ?", (object(),)), StorageError),
        ):
            before = self.sold()
            self.store.run_transaction(lambda book: None)
            works: list[Work] = [lambda book: book.sell("apple", 1)] * 3
            group = [self.store.run_transaction(work) for work in (*works, bad, *works)]
            self.threads.go_on()
            self.threads.go_on()
            self.failureResultOf(group.pop(3), error)
            for done in group:
                self.successResultOf(done)
            self.assertEqual(self.sold(), before + 6)

    def test_order(self) -> None:
        """Transactions are done in the order in which they came."""
        done = [self.store.run_transaction(lambda book: book.sell("apple", 1) or apples_sold(book)) for _ in range(600)]
        for _ in range(9):
            self.threads.go_on()
        self.assertEqual([self.successResultOf(each) for each in done], list(range(1, 601)))

    def test_close(self) -> None:
        """A book is closed when all that was begun is done; whoever comes later is told."""
        done = [self.store.run_transaction(lambda book: book.sell("apple", 1)) for _ in range(3)]
        closed = [self.store.close(), self.store.close()]
        self.assertEqual(self.error_of(self.store.run_transaction(lambda book: None)), "the book is closed")
        for _ in range(3):
            for each in closed:
                self.assertNoResult(each)
            self.threads.go_on()
        for each in (*done, *closed, self.store.close()):
            self.successResultOf(each)
        self.assertEqual(self.do(self.open(), apples_sold), 3)

    def sold(self) -> int:
        """How many apples are sold."""
        sold = self.store.run_transaction(apples_sold)
        self.threads.go_on()
        count: int = self.successResultOf(sold)
        return count


class LifeTests(Case):
    """A book is opened, closed, and opened again."""

    def test_before_it_is_open(self) -> None:
        """What is run before the book is open waits for that."""
        store = SqliteStore(self.path, SALES, InlineThreads)
        done = store.run_transaction(lambda book: book.set_level(APPLES))
        self.assertNoResult(done)
        store.open(InlineReactor())
        self.successResultOf(done)
        self.close(store)

    def test_never_opened(self) -> None:
        """What waits for a book that is closed without having been open fails; there is no file."""
        store = SqliteStore(self.path, SALES, InlineThreads)
        done = store.run_transaction(lambda book: None)
        self.close(store)
        self.assertEqual(self.error_of(done), "the book was never opened")
        self.assertEqual(self.files(), {})

    def test_closed(self) -> None:
        """When a book is closed, all of it is in one file, and none but that is left."""
        deal = make_deal(make_order())
        self.make_book(lambda book: book.add_deals([deal]))
        self.assertEqual(list(self.files()), [self.path.name])
        store = self.open()
        self.assertEqual(self.do(store, lambda book: book.levels()), {"apple": APPLES})
        self.assertEqual(dict(self.do(store, lambda book: book.deals([deal.order.key]))), {deal.order.key: deal})

    def test_killed(self) -> None:
        """What was told is there again after the process was killed at any moment."""
        store = self.open()
        self.do(store, lambda book: book.set_level(APPLES))
        for count in range(1, 40):
            self.do(store, lambda book: book.sell("apple", 1))
            copy = self.copy_as_left(f"copy{count}")
            SqliteStore(copy, SALES).check()
            again = self.open(copy)
            self.assertEqual(self.do(again, apples_sold), count)
            self.close(again)

    def test_safe(self) -> None:
        """The settings are those with which nothing told is lost when the machine loses its power."""
        names = ("journal_mode", "synchronous", "locking_mode", "foreign_keys")
        ask: Work = lambda book: [book._execute(f"PRAGMA {name}").fetchone()[0] for name in names]  # noqa: E731
        self.assertEqual(self.do(self.open(), ask), ["wal", 2, "exclusive", 1])

    def test_check_makes_nothing(self) -> None:
        """To look at a book changes nothing, whether there is one or not."""
        SqliteStore(self.path, SALES).check()
        self.assertEqual(self.files(), {})
        self.make_book()
        before = self.files()
        SqliteStore(self.path, SALES).check()
        self.assertEqual(self.files(), before)

    def test_empty_file(self) -> None:
        """An empty file becomes a book: a process may have been killed when it had just begun to make it."""
        self.path.touch()
        self.make_book()
        self.assertEqual(self.do(self.open(), lambda book: book.levels()), {"apple": APPLES})

    def test_marks(self) -> None:
        """The kinds of books have marks of their own, which their files bear."""
        self.assertNotEqual(SALES.application_id, PURCHASES.application_id)
        for kind in (SALES, PURCHASES):
            path = self.folder / kind.name
            self.close(self.open(path, kind))
            self.assertEqual(path.read_bytes()[68:72], kind.application_id.to_bytes(4, "big"))

    def test_searched_by_index(self) -> None:
        """What is asked for each order is found by an index, however long the book is."""
        traced = TracedKind()
        store = self.open(kind=traced.kind)
        order = make_order()

        def ask(book: SalesBook) -> None:
            book.set_level(APPLES)
            book.deals([order.key])
            book.closed([order.quote])
            book.close_until(order.seller, 5)
            book.levels(["apple"])
            book.sell("apple", 1)
            book.latest("ab", 5)

        self.do(store, ask)
        plans = [
            step[3]
            for text in set(traced.said)
            if text.startswith(("SELECT", "UPDATE", "DELETE"))
            for step in self.do(store, lambda book, text=text: book._execute(f"EXPLAIN QUERY PLAN {text}").fetchall())
        ]
        self.assertGreaterEqual(len(plans), 6)
        self.assertEqual([plan for plan in plans if plan.startswith("SCAN")], [])


class RefusedFileTests(Case):
    """What is not a book that this program can keep is refused in one line, and stays as it is."""

    def assert_refused(self, path: Path, reason: str, kind: FileKind[Any] = SALES) -> None:
        """It is refused, and nothing in the directory has changed."""
        before = self.files()
        self.assertIn(reason, self.refusal_of(path, kind))
        self.assertEqual(self.files(), before)

    def test_newer(self) -> None:
        """A book that a newer version wrote."""
        self.close(self.open(kind=self.forms("CREATE TABLE fashion (x INTEGER) STRICT")))
        self.assert_refused(
            self.path,
            "a newer version of twisted_bazaar wrote it (form 2, and this one knows 1); use that version",
        )

    def test_newer_and_killed(self) -> None:
        """A book that a newer version was writing when it was killed: its log stays too."""
        newer = self.forms("CREATE TABLE fashion (x INTEGER) STRICT")
        self.make_book()
        store = self.open(kind=newer)
        self.do(store, lambda book: book.sell("apple", 1))
        copy = self.copy_as_left("copy")
        self.close(store)
        self.assertEqual(copy.read_bytes()[60:64], b"\0\0\0\1", "the log alone says that it is newer")
        self.assert_refused(copy, "a newer version")
        self.assertEqual(self.do(self.open(copy, newer), apples_sold), 1)

    def test_other_kind(self) -> None:
        """A book of the other kind."""
        self.make_book()
        self.assert_refused(self.path, "it is a database, but not a book of orders of a bazaar", PURCHASES)
        path = self.folder / "orders.sqlite"
        self.close(self.open(path, PURCHASES))
        self.assert_refused(path, "it is a database, but not a ledger of a bazaar")

    def test_other_database(self) -> None:
        """A database of another program."""
        connection = sqlite3.connect(self.path)
        connection.execute("CREATE TABLE t (x)")
        connection.close()
        self.assert_refused(self.path, "it is a database, but not a ledger")

    def test_no_database(self) -> None:
        """Something else."""
        for content in (b"x", b"no database at all, but something of some length\n" * 100):
            self.path.write_bytes(content)
            self.assert_refused(self.path, "it is not a database")

    def test_no_file(self) -> None:
        """A directory, and a file in a directory that does not exist."""
        self.path.mkdir()
        self.assertIn("it is not a file", self.refusal_of(self.path))
        missing = self.folder / "missing"
        self.assertIn(f"there is no directory {missing}", self.refusal_of(missing / "ledger.sqlite"))

    def test_lost(self) -> None:
        """A log without its book: to make a new book would throw away what is in the log."""
        Path(f"{self.path}-wal").write_bytes(b"sales")
        self.assert_refused(self.path, "ledger.sqlite-wal has sales of a book that is gone; bring it back")

    def test_planted(self) -> None:
        """A book, or what SQLite keeps beside it, that is a link or has a second name: it would be written there."""
        secret = self.folder / "secret"
        secret.write_bytes(b"secret" * 1000)
        for suffix in ("", "-wal", "-shm", "-journal"):
            self.make_book()
            planted = self.path.with_name(self.path.name + suffix)
            planted.unlink(missing_ok=True)
            planted.symlink_to(secret)
            self.assert_refused(self.path, "it is a symbolic link")
            planted.unlink()
            planted.hardlink_to(secret)
            self.assert_refused(self.path, "it has a second name elsewhere (a hard link); put a copy in its place")
            planted.unlink()
            self.path.unlink(missing_ok=True)
            self.assertEqual(secret.read_bytes(), b"secret" * 1000)

    def test_planted_before_it_is_opened(self) -> None:
        """A link that is put there after the check, and before the book is opened, is not followed."""
        secret = self.folder / "secret"
        secret.write_bytes(b"")
        store = SqliteStore(self.path, SALES, InlineThreads)
        store.check()
        self.path.symlink_to(secret)
        self.assertIn("it is a symbolic link", self.failure_of_opening(store))
        self.assertEqual(secret.read_bytes(), b"")

    def test_of_somebody_else(self) -> None:
        """A book that somebody else has put there."""
        if os.geteuid():
            self.skipTest("only root can give files to others")
        self.make_book()
        os.chown(self.path, NOBODY, -1)
        self.assert_refused(self.path, "it belongs to ")

    def failure_of_opening(self, store: SqliteStore[Any]) -> str:
        """What is said when something is asked of a book that cannot be opened."""
        store.open(InlineReactor())
        said = str(self.failureResultOf(store.run_transaction(apples_sold), StorageError).value)
        self.successResultOf(store.close())
        return said

    def test_not_writable(self) -> None:
        """A file, or a directory, in which this user may not write."""
        self.make_book()
        self.folder.chmod(0o755)
        # It reads its forms now; where this package is, another user may not look.
        store = SqliteStore(self.path, SALES, InlineThreads)
        if os.geteuid() == 0:
            os.seteuid(NOBODY)
            self.addCleanup(os.seteuid, 0)
        else:
            self.folder.chmod(0o555)
            self.addCleanup(self.folder.chmod, 0o755)
        self.assertIn("files cannot be written in its directory", self.refusal_of(self.path, store=store))
        self.doCleanups()
        self.setUp()
        self.make_book()
        self.path.chmod(0o444)
        store = SqliteStore(self.path, SALES, InlineThreads)
        if os.geteuid() == 0:
            os.chown(self.path, NOBODY, -1)
            self.folder.chmod(0o777)
            os.seteuid(NOBODY)
            self.addCleanup(os.seteuid, 0)
        self.assertIn("it cannot be written", self.refusal_of(self.path, store=store))

    def test_damaged_and_killed(self) -> None:
        """A book with a bad page, which is looked for after a process was killed: it goes on with no such book."""
        store = self.open()
        self.do(store, lambda book: book.add_deals([make_deal(make_order()) for _ in range(200)]))
        self.close(store)
        store = self.open()
        self.do(store, lambda book: book.set_level(APPLES))
        copy = self.copy_as_left("copy")
        with copy.open("r+b") as file:
            file.seek(8192 * 20)
            file.write(os.urandom(8192))
        before = self.files()
        again = self.open(copy)
        for _ in range(2):
            said = self.error_of(again.run_transaction(lambda book: book.levels()))
            self.assertIn("it is damaged; move it away with its -wal, and bring back a copy", said)
        self.close(again)
        self.assertEqual(self.files(), before)


class GoneTests(Case):
    """A file that is taken away from a book that is open."""

    def test_gone(self) -> None:
        """Nothing is acknowledged any more that nobody would find; when the file is back, the book goes on."""
        for take_away in (self.remove, self.replace):
            self.setUp()
            store = self.open()
            self.do(store, lambda book: book.set_level(APPLES))
            kept = self.path.with_name("kept")
            kept.hardlink_to(self.path)
            take_away()
            self.assertIn("moved or removed", self.error_of(store.run_transaction(lambda book: book.sell("apple", 1))))
            kept.replace(self.path)
            self.do(store, lambda book: book.sell("apple", 1))
            self.close(store)

    def remove(self) -> None:
        """Take it away."""
        self.path.unlink()

    def replace(self) -> None:
        """Put another in its place."""
        self.remove()
        self.path.write_bytes(b"")


class UpgradeTests(Case):
    """A book of an older version is brought into the newest form."""

    def test_upgrade(self) -> None:
        """One form after another; what was in the book is still there."""
        deal = make_deal(make_order())
        self.make_book(lambda book: book.add_deals([deal]))
        newer = self.forms(
            "ALTER TABLE stock ADD COLUMN place TEXT; CREATE TABLE fashion (x INTEGER) STRICT",
            "INSERT INTO fashion VALUES (7); UPDATE stock SET place = 'here'",
        )
        store = self.open(kind=newer)
        self.assertEqual(list(self.do(store, lambda book: book.latest("", 9))), [deal])
        self.assertEqual(self.do(store, lambda book: book.levels()), {"apple": APPLES})
        read: Work = lambda book: book._execute("SELECT place, x FROM stock, fashion").fetchall()  # noqa: E731
        self.assertEqual(self.do(store, read), [("here", 7)])
        self.close(store)
        self.assertEqual(self.path.read_bytes()[60:64], b"\0\0\0\3")

    def test_upgrade_fails(self) -> None:
        """A form that cannot be reached changes nothing: the book stays in the one before, and can be used in it."""
        self.make_book()
        good, bad = "CREATE TABLE fashion (x INTEGER) STRICT", "CREATE TABLE more (x); INSERT INTO nowhere VALUES (1)"
        store = self.open(kind=self.forms(good, bad))
        for _ in range(2):
            self.assertIn("no such table: nowhere", self.error_of(store.run_transaction(lambda book: book.levels())))
        self.close(store)
        self.assertEqual(self.path.read_bytes()[60:64], b"\0\0\0\2")
        store = self.open(kind=self.forms(good))
        self.assertEqual(self.do(store, lambda book: book.levels()), {"apple": APPLES})
        names: Work = lambda book: book._execute("SELECT 1 FROM sqlite_schema WHERE name = 'more'").fetchall()  # noqa: E731
        self.assertEqual(self.do(store, names), [])

    def test_numbers(self) -> None:
        """Forms are read in the order of their numbers; one that is missing is noticed."""
        folder = make_folder(self)
        for number in (10, *range(1, 10)):
            (folder / f"{number}.sql").write_text(f"form {number}", encoding="utf-8")
        self.assertEqual(list(read_steps(folder)), [f"form {number}" for number in range(1, 11)])
        (folder / "4.sql").unlink()
        self.assertRaises(ValueError, read_steps, folder)


class BadDiskTests(Case):
    """A disk that is full or fails costs what was asked for then, and nothing that was told before."""

    def setUp(self) -> None:
        """A book with apples."""
        super().setUp()
        self.make_book()
        self.traced = TracedKind()
        self.store = self.open(kind=self.traced.kind)
        self.deals = [make_deal(make_order()) for _ in range(60)]

    def sell_and_keep(self, book: SalesBook) -> None:
        """Something that needs space."""
        book.sell("apple", 1)
        book.add_deals(self.deals)

    def test_full(self) -> None:
        """On a full disk nothing is half done, what is there can be read, and it goes on when there is space."""
        [connection] = self.traced.connections
        [(pages,)] = connection.execute("PRAGMA page_count")
        connection.execute(f"PRAGMA max_page_count = {pages + 3}")
        for _ in range(3):
            self.assertIn(
                "ledger.sqlite: the disk is full", self.error_of(self.store.run_transaction(self.sell_and_keep))
            )
            self.assertEqual(self.do(self.store, lambda book: book.levels()), {"apple": APPLES})
            self.assertEqual(list(self.do(self.store, lambda book: book.latest("", 99))), [])
        connection.execute("PRAGMA max_page_count = 100000")
        self.do(self.store, self.sell_and_keep)
        self.assertEqual(self.do(self.store, apples_sold), 1)
        self.assertEqual(len(self.traced.connections), 1)

    def test_failing(self) -> None:
        """After the disk has failed the file is opened anew, and has all that was told and nothing else."""
        self.do(self.store, lambda book: book.sell("apple", 5))
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (os.stat(f"{self.path}-wal").st_size, limits[1]))
        try:
            errors = [self.error_of(self.store.run_transaction(self.sell_and_keep)) for _ in range(2)]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        self.assertEqual([error.partition(": ")[2] for error in errors], ["disk I/O error"] * 2)
        self.assertEqual(self.do(self.store, lambda book: (apples_sold(book), len(book.latest("", 99)))), (5, 0))
        self.do(self.store, self.sell_and_keep)
        self.assertEqual(self.do(self.store, lambda book: (apples_sold(book), len(book.latest("", 99)))), (6, 60))
        self.assertGreater(len(self.traced.connections), 1)

    def test_damaged_statement(self) -> None:
        """A statement that cannot be read any more is the book's fault, not the peer's."""
        self.do(self.store, lambda book: book.add_deals(self.deals[:1]))
        self.do(self.store, sql("DROP TRIGGER answers_are_final", "UPDATE deals SET answer = x'00'"))
        said = self.error_of(self.store.run_transaction(lambda book: book.latest("", 9)))
        self.assertIn("the book is damaged", said)

    def test_damaged_page(self) -> None:
        """A bad page that is met is told as damage, and nothing more is answered from that book."""
        self.do(self.store, lambda book: book.add_deals(self.deals))
        self.close(self.store)
        with self.path.open("r+b") as file:
            file.seek(8192)
            file.write(os.urandom(8192 * 5))
        store = self.open()
        for _ in range(2):
            said = self.error_of(store.run_transaction(lambda book: (book.levels(), book.latest("", 99))))
            self.assertIn("it is damaged; move it away", said)


class BadCodeTests(Case):
    """The database itself refuses what must never be, whatever a program asks of it."""

    def test_sales(self) -> None:
        """Counts that do not add up, a second answer, a second no about a quote, a sale that is lost."""
        quote = make_quote()
        sold, refused = make_deal(make_order()), make_deal(order_on(quote), Outcome.REFUSED, "soldout")
        self.make_book(lambda book: book.add_deals([sold, refused]))
        store = self.open()
        before = self.do(store, lambda book: (book.levels(), book.latest("", 9)))
        works: list[Work] = [
            *(
                lambda book, change=change: book.set_level(evolve(APPLES, **change))
                for change in (
                    {"in_stock": 1001},
                    {"in_stock": 1001, "sold": -1},
                    {"in_stock": 1001, "withdrawn": -1},
                    {"in_stock": -1, "sold": 1001},
                    {"supplied": 999},
                    {"price": -1},
                    {"sold": "many"},
                )
            ),
            lambda book: book.add_deals([make_deal(withdrawal_on(make_quote()))]),
            lambda book: book.add_deals([make_deal(evolve(make_order(), quantity=0))]),
            lambda book: book.add_deals([sold]),
            lambda book: book.add_deals([make_deal(sold.order, Outcome.CANCELLED)]),
            lambda book: book.add_deals([make_deal(order_on(quote), Outcome.REFUSED)]),
            sql("UPDATE deals SET outcome = 'cancelled'"),
            sql("UPDATE deals SET outcome = 'perhaps'"),
            sql("UPDATE deals SET answer = x''"),
            sql("DELETE FROM deals"),
            sql("UPDATE stock SET in_stock = in_stock - 1"),
            sql("UPDATE stock SET in_stock = in_stock - 2000, sold = sold + 2000"),
            sql("INSERT INTO stock VALUES (NULL, 0, 0, 0, 0, NULL)"),
        ]
        for number, work in enumerate(works):
            self.assertNotEqual(self.error_of(store.run_transaction(work)), "", number)
            self.assertEqual(self.do(store, lambda book: (book.levels(), book.latest("", 9))), before, number)

    def test_purchases(self) -> None:
        """An order for no want, an answer that changes, a state that is none."""
        store = self.open(kind=PURCHASES)
        record = make_record(1, state=OrderState.CONFIRMED)

        def enter(book: PurchaseBook) -> None:
            book.put(record)
            book.put_want(WantRow(1, "apple", 1, True))

        self.do(store, enter)
        works: list[Work] = [
            lambda book: book.put(make_record(2)),
            lambda book: book.put(evolve(record, state=OrderState.PENDING)),
            lambda book: book.put(evolve(record, state=OrderState.REFUSED)),
            sql("UPDATE orders SET state = 'perhaps'"),
            lambda book: book.put_want(WantRow(0, "apple", 1, True)),
        ]
        for number, work in enumerate(works):
            self.assertNotEqual(self.error_of(store.run_transaction(work)), "", number)
            self.assertEqual(list(self.do(store, lambda book: book.latest("", 9))), [record])
