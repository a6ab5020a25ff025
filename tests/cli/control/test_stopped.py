"""What is asked of nodes that do not run is read from their books, of which nothing is changed."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from pathlib import Path

from attrs import evolve

from tests.cli.cases import ORDER_ID, SELLER, sale
from tests.cli.operated import OperatedCase, OperatedNode
from tests.trade.books import make_record
from twisted_bazaar.cli.control.stopped import StoppedNode
from twisted_bazaar.roles.commands.members import members_commands
from twisted_bazaar.roles.node_ids import NodeIds
from twisted_bazaar.system.local_time import local_time
from twisted_bazaar.trade.schema import forms_of, read_steps
from twisted_bazaar.trade.stores.sqlite import PURCHASES, SALES
from twisted_bazaar.trade.stores.sqlite_books import SqlitePurchases, SqliteSales
from twisted_bazaar.trade.stores.sqlite_file import BookFile
from twisted_bazaar.trade.stores.store import WantRow
from twisted_bazaar.values.addresses import Address, Peer
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
        self.assertEqual(self.told("orders", "--name", "buyer")[2].split()[1:4], ["unknown", "1", "apple"])
        self.add_seller("open")
        result = self.bazaar("orders")
        self.assertEqual((result.stdout, result.stderr), ("no orders yet\n", "node open:\n"))

    def test_nothing_changes(self) -> None:
        """What changes a book asks a node that runs, and so does what a book does not know."""
        self.open_ledger().close()
        self.assert_ends(2, "no node runs in .*", "stock", "add", "apple=1", "--name", "seller")
        self.assert_ends(2, "no node runs in .*", "cancel", ORDER_ID, "--name", "seller")
        self.add("relay", None)
        self.assert_ends(2, "no node runs in .*", "orders", "--name", "relay")

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
        steps = [*read_steps(forms_of("ledger")), "UPDATE items SET price = price + 1"]
        for number, text in enumerate(steps, 1):
            (folder / f"{number}.sql").write_text(text)
        before = self.content()
        with BookFile(self.root / "seller" / "ledger.sqlite", evolve(SALES, forms=folder)).read() as book:
            self.assertEqual(book.counts()["apple"].price, 41)
        self.assertEqual(self.content(), before)
        [row] = StoppedNode("seller", self.root / "seller").rows("stock.list", dict)
        self.assertEqual(row["price"], 40)


class OwnNodesTests(StoppedCase):
    """C{bazaar status} without a name, and C{bazaar nodes}."""

    def note(self, name: str, *roles: str) -> float:
        """Let a node have been started; returns when."""
        (self.root / name).mkdir(parents=True, exist_ok=True)
        file = self.root / name / "roles"
        file.write_text(f"{' '.join(roles)}\n")
        return file.stat().st_mtime

    def test_all(self) -> None:
        """Status has a row for each that runs; nodes has those that are stopped, too, and no folder of anything else."""
        self.add_seller("shop")
        began = self.note("shop", "seller")
        ended = self.note("old", "buyer", "relay")
        (self.root / "cache").mkdir()
        (self.root / "shell.history").touch()
        self.add("frozen", TimeoutError("timed out"))
        shop = {"name": "shop", "roles": ["seller"], "state": "running", "address": None, "links": 0, "since": began}
        old = {"name": "old", "roles": ["buyer", "relay"], "state": "stopped", "address": None, "links": None}
        frozen = {"name": "frozen", "roles": [], "state": "silent", "address": None, "links": None, "since": None}
        rows = json.loads(self.bazaar("status", "--json").stdout)
        self.assertEqual(rows, [frozen, shop])
        rows = json.loads(self.bazaar("nodes", "--json").stdout)
        self.assertEqual(rows, [frozen, {**old, "since": ended}, shop])
        told = self.told("nodes")
        self.assertIn(f"old buyer relay stopped - - {local_time(ended)}", told)
        self.assertIn(f"shop seller running - 0 {local_time(began)}", told)

    def test_none(self) -> None:
        """That none runs is said, with how to start one; a list of none is a list."""
        self.assert_ends(2, "no node runs under .*; start one: .*twistd -n bazaar-node, or .*", "status")
        self.assertEqual(json.loads(self.bazaar("nodes", "--json").stdout), [])
        self.assertIn("no node has a directory under", self.bazaar("nodes").stderr)


class MembersTests(OperatedCase):
    """C{bazaar members}."""

    def test_members(self) -> None:
        """Who is in the network, those that joined last first, and how many of each kind."""
        ids = NodeIds(random.Random(1))
        ids.id_taken(Peer(4, "ab" * 32, Address("10.0.0.4", 9001)), 1_790_000_000.0)
        ids.id_taken(Peer(5, "cd" * 32, Address("10.0.0.5", 0), "super_peer"), 1_790_000_060.0)
        # It is linked anew, and has been there all the time.
        ids.id_taken(Peer(4, "ab" * 32, Address("10.0.0.4", 9002)), 1_790_000_100.0)
        self.add("tracker", OperatedNode(members_commands(ids, "tracker")))
        since, later = local_time(1_790_000_000.0), local_time(1_790_000_060.0)
        told = self.told("members")
        self.assertEqual(told[0], "2 members: 1 of no kind, 1 super_peer")
        self.assertEqual(
            told[-2:], [f"5 super_peer cannot be dialled cdcdcdcd {later}", f"4 - 10.0.0.4:9002 abababab {since}"]
        )
        found = json.loads(self.bazaar("members", "--json").stdout)
        self.assertEqual((found["total"], found["by_kind"]), (2, {"": 1, "super_peer": 1}))
        self.assertEqual([each["id"] for each in found["members"]], [5, 4])
        self.add("index", OperatedNode(members_commands(ids, "index server")))
        self.assert_ends(2, "several nodes here can be asked: index, tracker; choose one with --name", "members")
