"""What is asked of nodes that do not run is read from their books, of which nothing is changed."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import time
from pathlib import Path

from attrs import evolve

from tests.cli.cases import ORDER_ID, sale
from tests.cli.operated import OperatedCase
from tests.trade.books import make_record
from twisted_bazaar.cli.control.stopped import StoppedNode
from twisted_bazaar.state import StateDirectory
from twisted_bazaar.trade.contract import QUOTE_S
from twisted_bazaar.trade.schema import forms_of, read_steps
from twisted_bazaar.trade.stores.sqlite import PURCHASES, SALES
from twisted_bazaar.trade.stores.sqlite_books import SqlitePurchases, SqliteSales
from twisted_bazaar.trade.stores.sqlite_file import BookFile
from twisted_bazaar.trade.stores.store import WantRow
from twisted_bazaar.values.sale import StockLevel


class StoppedCase(OperatedCase):
    """A user whose nodes do not run."""

    def open_ledger(self, name: str = "seller") -> sqlite3.Connection:
        """Write the book of a seller, as one that runs does; returns its connection, which is open."""
        self.add(name, None)
        connection = BookFile(self.root / name / "ledger.sqlite", SALES).connect()
        book = SqliteSales(connection)
        book.set_level(StockLevel("apple", 5, 5, 0, 0, 40))
        book.add_deals([sale()])
        book.sell("apple", 2)
        return connection

    def write_orders(self, name: str = "buyer") -> None:
        """Write the book of a buyer."""
        self.add(name, None)
        connection = BookFile(self.root / name / "orders.sqlite", PURCHASES).connect()
        book = SqlitePurchases(connection)
        book.put_want(WantRow(1, "apple", 3, True))
        book.put(make_record())
        connection.close()

    def content(self) -> dict[Path, bytes]:
        """All files of all nodes."""
        return {path: path.read_bytes() for path in self.root.rglob("*") if path.is_file()}


class StoppedTests(StoppedCase):
    """Nodes that have ended, in one way or the other."""

    def test_ended(self) -> None:
        """Stock, orders and receipts are shown, and it is said that the node does not run."""
        self.open_ledger().close()
        before = self.content()
        result = self.bazaar("stock", "list")
        self.assertEqual(result.stderr, "node seller, which does not run; from its books:\n")
        self.assertIn("apple 40 3 2 0 5", [" ".join(line.split()) for line in result.stdout.splitlines()])
        self.assertEqual(self.told("orders")[2].split()[:4], [ORDER_ID[:12], "sold", "2", "apple"])
        self.assertIn("The receipt, which anybody can check:", self.told("orders", ORDER_ID[:4]))
        self.assertEqual(self.content(), before)
        self.told("orders", ORDER_ID[:4], "--receipt", "r.json", "--name", "seller")
        self.assertEqual(self.told("verify", "r.json")[0], "r.json: it holds. It proves:")
        self.assert_ends(1, "no order begins with ff; bazaar orders lists them", "orders", "ff", "--name", "seller")

    def test_killed(self) -> None:
        """What a node that was killed has left in its log counts, and stays there."""
        connection = self.open_ledger()
        shutil.copytree(self.root / "seller", self.root / "killed")
        connection.close()
        before = self.content()
        [row] = json.loads(self.bazaar("stock", "list", "--json", "--name", "killed").stdout)
        self.assertEqual((row["in_stock"], row["sold"]), (3, 2))
        self.assertEqual(self.content(), before)

    def test_one_that_runs_first(self) -> None:
        """A node that runs is asked before the books of others; where only books are left and several, one is named."""
        self.open_ledger().close()
        self.write_orders()
        several = "no buyer or seller runs, and several have books here: buyer, seller; choose one with --name"
        self.assert_ends(2, several, "orders")
        self.assertEqual(self.told("orders", "--name", "buyer")[2].split()[1:4], ["pending", "1", "apple"])
        self.add_seller("open")
        result = self.bazaar("orders")
        self.assertEqual((result.stdout, result.stderr), ("no orders yet\n", "node open:\n"))

    def test_order(self) -> None:
        """An order is looked for in the books of those that do not run, if none that runs has it."""
        self.open_ledger().close()
        self.write_orders()
        self.add_seller("open")
        result = self.bazaar("orders", ORDER_ID[:4], "--json")
        self.assertEqual(result.stderr, "node seller, which does not run; from its books:\n", result)
        none = "no order begins with 0123 at any of open, buyer, seller; bazaar orders --name NAME lists those of one"
        self.assert_ends(1, none, "orders", "0123")

    def test_nothing_changes(self) -> None:
        """What changes a book asks a node that runs, and so does what a book does not know."""
        self.open_ledger().close()
        self.assert_ends(2, "no node runs in .*", "stock", "add", "apple=1", "--name", "seller")
        self.assert_ends(2, "no node runs in .*", "cancel", ORDER_ID, "--name", "seller")
        self.add("relay", None)
        self.assert_ends(2, "no node runs in .*", "orders", "--name", "relay")

    def test_recount(self) -> None:
        """A recount enters what is there, of all items, and makes every quote void that was handed out before."""
        connection = self.open_ledger()
        SqliteSales(connection).set_level(StockLevel("pear", 4, 4, 0, 0, None))
        connection.close()
        recount = ("stock", "recount", "apple=1", "--name", "seller")
        self.assert_ends(2, ".*/key: there is no such file; bring it back too, or it is another seller", *recount)
        directory = StateDirectory(self.root / "seller")
        key = directory.key(random.Random(1)).public
        self.assert_ends(2, "another node uses .*", *recount)
        directory.close()
        self.assert_ends(2, "'plum': the book does not know it; .*", "stock", "recount", "plum=1")
        self.assert_ends(2, "apple: how many of it are there[?] write apple=QUANTITY", "stock", "recount", "apple")
        before = time.time() * 1000
        self.assertEqual(
            self.told(*recount),
            [
                "apple: recounted; 1 in stock at 40, 2 sold, 2 withdrawn",
                "pear: recounted; 0 in stock, 0 sold, 4 withdrawn",
            ],
        )
        with BookFile(self.root / "seller" / "ledger.sqlite", SALES).read() as book:
            self.assertGreaterEqual(book.closed_until_ms(key), before + QUOTE_S * 1000)
        self.assertEqual(
            self.told("stock", "recount", "apple=6", "pear=0")[0],
            "apple: recounted; 6 in stock at 40, 2 sold, 2 withdrawn",
        )
        self.add("shop", None)
        self.assert_ends(
            2, ".*ledger.sqlite: there is no such file; .*", "stock", "recount", "apple=6", "--name", "shop"
        )
        self.add_seller("shop")
        self.assert_ends(2, "the seller in .* runs: end it first, .*", "stock", "recount", "apple=6", "--name", "shop")

    def test_unreadable(self) -> None:
        """A book that is damaged, or of a newer version, is told in one line."""
        connection = self.open_ledger()
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        newer = ".*ledger.sqlite: a newer version of twisted_bazaar wrote it .*"
        result = self.bazaar("stock", "list")
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        self.assertRegex(result.stderr.splitlines()[-1], newer)
        (self.root / "seller" / "ledger.sqlite").write_bytes(b"x" * 9000)
        self.assertEqual(self.bazaar("orders").exit_code, 2)

    def test_older_form(self) -> None:
        """A book of an older form is read as the newest has it, and keeps its own."""
        self.open_ledger().close()
        folder = Path("forms")
        folder.mkdir()
        steps = [*read_steps(forms_of("ledger")), "UPDATE stock SET price = price + 1"]
        for number, text in enumerate(steps, 1):
            (folder / f"{number}.sql").write_text(text)
        before = self.content()
        with BookFile(self.root / "seller" / "ledger.sqlite", evolve(SALES, forms=folder)).read() as book:
            self.assertEqual(book.counts()["apple"].price, 41)
        self.assertEqual(self.content(), before)
        [row] = StoppedNode("seller", self.root / "seller").rows("stock.list", dict)
        self.assertEqual(row["price"], 40)
