"""C{bazaar orders} and C{bazaar cancel}, as they are typed, over the books of a seller and a buyer."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from twisted.internet.defer import succeed

from tests.cli.cases import BUYER, DECIDED_AT_MS, ORDER_ID, SELLER, quote_for, receipt_of, row_of, sale
from tests.cli.operated import OperatedCase, OperatedNode
from twisted_bazaar.identity.signed import seal
from twisted_bazaar.system.local_time import local_time
from twisted_bazaar.trade.contract import make_answer, read_purchase, read_withdrawal
from twisted_bazaar.trade.messages import Answered, BuyNo, BuyOK, handle_of
from twisted_bazaar.values.addresses import Origin
from twisted_bazaar.values.sale import Offer, Order, Outcome, Verdict

ALIKE = ORDER_ID[:5] + "b" * 27


class SaleTests(OperatedCase):
    """A seller that tells of some orders."""

    def tell(self, *rows: dict[str, object]) -> None:
        """Let the node tell of orders."""

        def find(request: dict[str, str]) -> object:
            return succeed([row for row in rows if str(row["id"]).startswith(request["id"])])

        short = [{key: value for key, value in row.items() if key != "receipt"} for row in rows]
        self.add("seller", OperatedNode({"orders": lambda request: succeed(short), "order": find}))

    def test_list(self) -> None:
        """Each order stands in a line, with as much of id and key as tells it from others."""
        refusal = Verdict(Outcome.REFUSED, "soldout", "0 left")
        self.tell(
            row_of(sale(quote_for(price=None))),
            row_of(sale(quantity=1, verdict=refusal, order_id=ALIKE)),
            row_of(sale(verdict=Verdict(Outcome.CANCELLED), order_id="0" * 32)),
        )
        key, at = BUYER.public[:8], local_time(DECIDED_AT_MS / 1000)
        self.assertEqual(
            [line for line in self.told("orders") if not line.startswith("──")],
            [
                "order state goods price with ordered at",
                f"6aaaaaaaaaaa sold 2 apple - {key} {at}",
                f"6aaaabbbbbbb refused 1 apple 40 {key} {at}",
                f"000000000000 cancelled apple 40 {key} {at}",
            ],
        )
        self.assertEqual(
            [row["id"] for row in json.loads(self.bazaar("orders", "--json").stdout)], [ORDER_ID, ALIKE, "0" * 32]
        )

    def test_none(self) -> None:
        """That there are none is said."""
        self.tell()
        self.assertEqual(self.told("orders"), ["no orders yet"])
        self.assert_ends(1, "no order begins with 6a; bazaar orders lists them", "orders", "6a")

    def test_one(self) -> None:
        """One is shown with who signed what, and how to hand that on."""
        self.tell(row_of(sale()))
        seller, buyer = SELLER.public[:16], BUYER.public[:16]
        told = self.told("orders", "6A", "--name", "seller")
        self.assertEqual(
            told[:-2],
            [
                f"order {ORDER_ID}",
                "side sale",
                "state sold",
                "goods 2 apple, price 40 each",
                f"buyer {BUYER.public}",
                "The receipt, which anybody can check:",
                f"1. the seller {seller} offered up to 2 apple at 40 each, until 2027-01-15 08:00:00+00:00",
                f"2. the buyer {buyer} ordered 2 apple on that offer",
                f"3. the seller {seller} answered: sold",
                "All of it is signed with the keys of those who say it, and holds. To hand it on:",
            ],
        )
        self.assertTrue(told[-2].endswith("bazaar orders 6aaaaaaaaaaa --receipt receipt.json --name seller"), told)

    def test_refused_and_cancelled(self) -> None:
        """What was refused is shown with why, what was taken back as that; what never left its node has no receipt."""
        refusal = row_of(sale(verdict=Verdict(Outcome.REFUSED, "soldout", "0 left\x1b[2J")))
        never_sent = {**row_of(sale(order_id="1" * 32)), "side": "purchase", "state": "cancelled", "receipt": None}
        self.tell(refusal, row_of(sale(verdict=Verdict(Outcome.CANCELLED), order_id="0" * 32)), never_sent)
        refused, cancelled, unsent = (self.told("orders", beginning) for beginning in "601")
        self.assertIn("state refused: 0 left\ufffd[2J", refused)
        self.assertIn(f"3. the seller {SELLER.public[:16]} answered: refused (0 left\ufffd[2J)", refused)
        self.assertIn(f"2. the buyer {BUYER.public[:16]} took back the order on that offer", cancelled)
        self.assertEqual(unsent[-1], "There is no receipt: it never left this node, so the seller was not asked.")

    def test_ambiguous(self) -> None:
        """A beginning that fits several is told with them, and with status 1."""
        self.tell(row_of(sale()), row_of(sale(order_id=ALIKE, quantity=1)))
        both = rf"{ORDER_ID} \(sale of 2 apple\), {ALIKE} \(sale of 1 apple\)"
        self.assert_ends(1, f"several orders begin with 6aaaa: {both}; write more of it", "orders", "6aaaa")
        self.assertIn("quantity", self.bazaar("orders", "6aaaab", "--json").stdout)

    def test_json(self) -> None:
        """The whole row, with its receipt."""
        row = row_of(sale())
        self.tell(row)
        self.assertEqual(json.loads(self.bazaar("orders", "6", "--json").stdout), row)

    def test_receipt(self) -> None:
        """A receipt is written to a new file, and to no other; where it cannot be, nothing is left."""
        row = row_of(sale())
        self.tell(row)
        self.assertIn(
            "the receipt of order 6aaaaaaaaaaa is in r.json", self.told("orders", "6", "--receipt", "r.json")[0]
        )
        self.assertEqual(json.loads(Path("r.json").read_bytes()), row["receipt"])
        taken = "--receipt r.json: there is such a file already; choose another"
        self.assert_ends(2, taken, "orders", "6", "--receipt", "r.json")
        self.assert_ends(2, "--receipt no/r: No such file or directory", "orders", "6", "--receipt", "no/r")
        self.patch(os, "fsync", lambda descriptor: self._full())
        self.assert_ends(2, "--receipt new: No space left on device", "orders", "6", "--receipt", "new")
        self.assertFalse(Path("new").exists())

    def _full(self) -> None:
        raise OSError(28, "No space left on device")

    def test_receipt_that_does_not_hold(self) -> None:
        """A node that tells of a sale that is not signed is not believed."""
        row = row_of(sale())
        self.tell({**row, "receipt": receipt_of(sale(order_id=ALIKE)) | {"answer": row["receipt"]["answer"]}})
        result = self.bazaar("orders", "6")
        self.assertEqual(result.exit_code, 1)
        self.assertIn("bazaar orders: the receipt does not hold: answer: it is about another order", result.stderr)

    def test_bad_options(self) -> None:
        """What cannot be an id is refused, and so are options that do not go together."""
        for id in ("xyz", "", "a" * 33, "-5"):
            self.assert_ends(2, "(ID: takes the 32 hexadecimal digits .*|No such option.*)", "orders", id)
        self.assert_ends(2, "--receipt: of which order\\? write its ID", "orders", "--receipt", "r.json")
        self.assert_ends(2, "--json and --receipt: give one of them", "orders", "6", "--json", "--receipt", "r.json")

    def test_strange_rows(self) -> None:
        """A node of another version is told, whatever it tells of."""
        self.tell({**row_of(sale()), "quantity": "many"})
        self.assert_ends(2, "what answers in .* is no node, or one of another version", "orders")
        self.assert_ends(1, "this node tells of orders in another form; .*", "orders", "6")
        self.tell({**row_of(sale()), "ordered_at": 1e300, "item": "\x1b[2J", "other": "\r"})
        told = self.bazaar("orders").stdout
        self.assertIn("\ufffd[2J", told)
        self.assertNotRegex(told, "[\x1b\r]")


class SeveralTests(OperatedCase):
    """Several nodes of one user: an id says which of them is meant."""

    def add_seller_of(self, name: str, *order_ids: str) -> None:
        """Let there be a seller that tells of some orders."""
        rows = [row_of(sale(order_id=order_id)) for order_id in order_ids]

        def find(request: dict[str, str]) -> object:
            return succeed([row for row in rows if str(row["id"]).startswith(request["id"])])

        self.add(name, OperatedNode({"orders": lambda request: succeed(rows), "order": find}))

    def test_holder(self) -> None:
        """The one that has the order is asked, and named."""
        self.add_seller_of("east")
        self.add_seller_of("west", ORDER_ID)
        result = self.bazaar("orders", "6a", "--json")
        self.assertEqual((json.loads(result.stdout)["id"], result.stderr), (ORDER_ID, "node west:\n"))
        self.assert_ends(2, "several nodes here can be asked: east, west; choose one with --name", "orders")

    def test_several_or_none(self) -> None:
        """Where several have it, or none, that is said: one is to be named."""
        self.add_seller_of("east", ORDER_ID, "1" * 32)
        self.add_seller_of("west", ALIKE)
        several = "several nodes here have an order that begins with 6aaaa: east, west; choose one with --name"
        self.assert_ends(2, several, "orders", "6aaaa")
        self.assertEqual(self.bazaar("orders", "6aaaab").stderr, "node west:\n")
        none = "no order begins with ff at any of east, west; bazaar orders --name NAME lists those of one"
        self.assert_ends(1, none, "orders", "ff")

    def test_cancel(self) -> None:
        """An order is taken back by the buyer that has it."""
        _, purchases = self.add_buyer("ann")
        self.add_buyer("ben")
        offer = Offer(7, "apple", 2, 40, 1, (1, 7), seal(SELLER, quote_for()))
        record = purchases.prepare(1, offer, 2)
        purchases.order(record, offer.route)
        result = self.bazaar("cancel", record.id[:8])
        self.assertEqual((result.exit_code, result.stderr), (5, "node ann:\n"))
        none = "no order begins with 0123 at any of ann, ben; bazaar orders --name NAME lists those of one"
        self.assert_ends(1, none, "cancel", "0123")


class PurchaseTests(OperatedCase):
    """A buyer with one order that has no answer yet."""

    def setUp(self) -> None:
        """Let it order."""
        super().setUp()
        self.node, self.purchases = self.add_buyer()
        self.terms = quote_for()
        offer = Offer(7, "apple", 2, 40, 1, (1, 7), seal(SELLER, self.terms))
        self.record = self.purchases.prepare(1, offer, 2)
        self.purchases.order(self.record, offer.route)

    def answer(self, outcome: Outcome) -> None:
        """Let the seller answer what it was sent last."""
        sent, _ = self.node.sent[-1]
        read = read_withdrawal if outcome is Outcome.CANCELLED else read_purchase
        order: Order = read(sent.order, lambda envelope: self.terms)
        answer = make_answer(
            SELLER, "bazaar", order, Verdict(outcome, reason="" if outcome is Outcome.SOLD else "late")
        )
        kind: type[Answered] = BuyOK if outcome is Outcome.SOLD else BuyNo
        self.purchases.answer_received(kind(id=handle_of(order.id), answer=answer), Origin(7, (1, 7)))

    def test_open(self) -> None:
        """It is listed with its time, and shown without a receipt."""
        [_, _, line] = self.told("orders")
        self.assertRegex(line, rf"{self.record.id[:12]} pending 2 apple 40 {SELLER.public[:8]} \d+-01-01 \d\d:.*")
        told = self.told("orders", self.record.id)
        self.assertEqual(told[-1], "There is no receipt yet: the seller has not answered. It is asked until it does.")
        no_receipt = "There is no receipt yet: .*"
        self.assert_ends(1, no_receipt, "orders", self.record.id, "--receipt", "r.json")
        self.assertFalse(Path("r.json").exists())

    def test_cancelled(self) -> None:
        """An order that its seller gives up is cancelled: status 0. Asked once more, it is the same."""
        self.node.clock.callLater(1, lambda: self.answer(Outcome.CANCELLED))
        [line] = self.told("cancel", self.record.id[:6])
        self.assertEqual(
            line, f"order {self.record.id[:12]} of 2 apple: cancelled; nothing was sold, and nothing will be"
        )
        self.assertEqual(self.told("cancel", self.record.id[:6]), [line])
        other = "0" if self.record.id[0] != "0" else "1"
        unknown = f"no order begins with {other}; bazaar orders shows how each stands"
        self.assert_ends(1, unknown, "cancel", other)

    def test_too_late(self) -> None:
        """One that was sold meanwhile stays sold: status 1, each time; the list says that it was too late."""
        self.node.clock.callLater(1, lambda: self.answer_first(Outcome.SOLD))
        sold = f"order {self.record.id[:12]} of 2 apple: the seller had sold it already; it is yours"
        for _ in range(2):
            self.assert_ends(1, sold, "cancel", self.record.id)
        self.assertIn("confirmed (taken back too late)", self.told("orders")[2])

    def test_refused(self) -> None:
        """One that was refused meanwhile was never had: status 0."""
        self.node.clock.callLater(1, lambda: self.answer_first(Outcome.REFUSED))
        [line] = self.told("cancel", self.record.id)
        self.assertTrue(line.endswith("the seller had refused it; nothing was sold (late)"), line)

    def answer_first(self, outcome: Outcome) -> None:
        """Let the seller answer the order itself, which it has got before the withdrawal."""
        self.node.sent.append(self.node.sent[0])
        self.answer(outcome)

    def test_no_answer(self) -> None:
        """Where the seller says nothing, it is said that it goes on being asked: status 5."""
        result = self.bazaar("cancel", self.record.id[:4], "--name", "buyer")
        self.assertEqual(result.exit_code, 5)
        see = f"bazaar orders {self.record.id[:12]} --name buyer"
        self.assertIn(f"the seller has not answered; it is asked until it does, and {see} tells\n", result.stdout)
        self.assertIn("(taken back)", self.told("orders")[2])
        self.assertTrue(re.fullmatch("[0-9a-f]{32}", self.record.id))
