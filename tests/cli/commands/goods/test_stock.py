"""C{bazaar stock}, as it is typed."""

from __future__ import annotations

import json

from twisted.internet.defer import succeed

from tests.cli.operated import OperatedCase, OperatedNode

APPLES = {"item": "apple", "supplied": 10, "in_stock": 8, "sold": 0, "withdrawn": 2, "price": 40}


class StockTests(OperatedCase):
    """A seller with nothing on its shelf."""

    def setUp(self) -> None:
        """Start it."""
        super().setUp()
        self.ledger, _ = self.add_seller()

    def test_add(self) -> None:
        """Each item is added, at a new price where one is named, and its count is told at once."""
        self.assertEqual(
            self.told("stock", "add", "apple=10", "pear=3@120", "Äpfel"),
            [
                "apple: 10 added; 10 in stock, 0 sold, 0 withdrawn",
                "pear: 3 added; 3 in stock at 120, 0 sold, 0 withdrawn",
                "Äpfel: 1 added; 1 in stock, 0 sold, 0 withdrawn",
            ],
        )
        self.assertEqual(
            self.told("stock", "add", "apple=1@40", "pear"),
            [
                "apple: 1 added; 11 in stock at 40, 0 sold, 0 withdrawn",
                "pear: 1 added; 4 in stock at 120, 0 sold, 0 withdrawn",
            ],
        )

    def test_withdraw(self) -> None:
        """What is not to be sold is taken off the shelf; more than there is, is not, and the status is 1."""
        self.told("stock", "add", "apple=10")
        self.assertEqual(
            self.told("stock", "withdraw", "apple=2"), ["apple: 2 withdrawn; 8 in stock, 0 sold, 2 withdrawn"]
        )
        self.assert_ends(1, "8 of 'apple' in stock, 9 to withdraw", "stock", "withdraw", "apple=9")
        self.assert_ends(1, "0 of 'fig' in stock, 1 to withdraw", "stock", "withdraw", "fig")

    def test_half_done(self) -> None:
        """What was done before something was refused is told."""
        self.told("stock", "add", "apple=10")
        result = self.bazaar("stock", "withdraw", "apple=2", "fig=1", "pear")
        self.assertEqual(result.exit_code, 1)
        self.assertEqual(result.stdout, "apple: 2 withdrawn; 8 in stock, 0 sold, 2 withdrawn\n")
        self.assertTrue(result.stderr.endswith("bazaar stock withdraw: 0 of 'fig' in stock, 1 to withdraw\n"))

    def test_list(self) -> None:
        """Everything that there is, or was, is listed."""
        self.assertIn("nothing is on the shelf", self.told("stock", "list")[0])
        self.told("stock", "add", "apple=10@40", "fig=1")
        self.told("stock", "withdraw", "apple=2")
        self.assertEqual(
            self.told("stock", "list")[::2],
            ["item price in stock sold withdrawn supplied", "apple 40 8 0 2 10"],
        )
        rows = json.loads(self.bazaar("stock", "list", "--json").stdout)
        self.assertEqual(rows[0], APPLES)

    def test_bad_goods(self) -> None:
        """What cannot be goods is refused before anything is asked, in one line, with status 2."""
        for words, expected in (
            (("add", "apple=many"), "'apple=many': 'many' is not a whole number from 1 to .*"),
            (("add", "apple=0"), "'apple=0': '0' is not a whole number from 1 to .*"),
            (("add", "apple", "apple=2"), "'apple' stands twice"),
            (("add", "x" * 129), ".* item: 129 characters; 1 to 128 are taken"),
            (("withdraw", "apple=2@40"), "apple: a price changes with bazaar stock add, .*"),
            (("add",), "Missing argument .*; see --help"),
        ):
            self.assert_ends(2, expected, "stock", *words)

    def test_too_many(self) -> None:
        """More than can be counted is refused by the node."""
        self.told("stock", "add", f"apple={2**53}")
        self.assert_ends(1, "'apple': there cannot be more than 9007199254740992 in all", "stock", "add", "apple=1")


class StrangeStockTests(OperatedCase):
    """A node that tells names that no item can have."""

    def test_no_control_characters(self) -> None:
        """They do not move the cursor, in a table or in a line."""
        row = {**APPLES, "item": "a\x1b[2J\rb"}
        desk = {name: lambda request: succeed(row) for name in ("stock.add", "stock.list")}
        self.add("seller", OperatedNode(desk))
        for words in (("list",), ("add", "apple")):
            told = "\n".join(self.told("stock", *words))
            self.assertIn("a\ufffd[2J\ufffdb", told)
            self.assertNotIn("\x1b", told)
