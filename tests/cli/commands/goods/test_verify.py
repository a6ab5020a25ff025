"""C{bazaar verify}, as it is typed: what holds, what does not, and what is no receipt."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
from attrs import evolve

from tests.cli.cases import BUYER, ORDER_ID, SELLER, deal_for, order_for, quote_for, receipt_of, row_of, sale
from tests.cli.operated import OperatedCase
from twisted_bazaar.identity.signed import seal
from twisted_bazaar.trade.contract import Answer, Receipt
from twisted_bazaar.values.sale import Outcome, Verdict


class VerifyCase(OperatedCase):
    """A user with a file, and no node."""

    def write(self, stated: Any) -> None:
        """Write the file."""
        Path("r.json").write_text(json.dumps(stated))

    def assert_broken(self, stated: Any, expected: str) -> None:
        """What is stated does not hold, which is said in one line."""
        self.write(stated)
        self.assert_ends(1, f"r.json: it does not hold: {expected}", "verify", "r.json")


class HoldingTests(VerifyCase):
    """Receipts that hold."""

    def test_sold(self) -> None:
        """Everything that is proven is told, and by whom it was signed."""
        self.write(receipt_of(sale()))
        seller, buyer = SELLER.public[:16], BUYER.public[:16]
        self.assertEqual(
            self.told("verify", "r.json"),
            [
                "r.json: it holds. It proves:",
                "bazaar bazaar",
                f"order {ORDER_ID}",
                f"buyer {BUYER.public}",
                f"seller {SELLER.public}",
                "item apple",
                "quantity 2",
                "price 40 each, 80 in all",
                "outcome sold",
                f"1. the seller {seller} offered up to 2 apple at 40 each, until 2027-01-15 08:00:00+00:00",
                f"2. the buyer {buyer} ordered 2 apple on that offer",
                f"3. the seller {seller} answered: sold",
                "Each is signed with the key of who says it. Whose these keys are, it does not say.",
            ],
        )

    def test_other_outcomes(self) -> None:
        """A refusal is proven with its reason, a cancellation without a quantity; goods need no price."""
        self.write(receipt_of(sale(quote_for(price=None), 1, Verdict(Outcome.REFUSED, "soldout", "0 left"))))
        told = self.told("verify", "r.json")
        self.assertEqual(told[6:9], ["quantity 1", "price none", "outcome refused (0 left)"])
        self.write(receipt_of(sale(verdict=Verdict(Outcome.CANCELLED))))
        told = self.told("verify", "r.json")
        self.assertEqual(told[5:8], ["item apple", "price 40 each", "outcome cancelled"])

    def test_row(self) -> None:
        """The output of bazaar orders ID --json holds as well, from a file or from the standard input."""
        for row in (row_of(sale()), row_of(sale(verdict=Verdict(Outcome.CANCELLED)))):
            self.assertIn("-: it holds. It proves:", self.told("verify", "-", stdin=json.dumps(row).encode()))
        bought = {**row, "side": "purchase", "other": SELLER.public, "quantity": 2}
        self.assertIn("-: it holds. It proves:", self.told("verify", "-", stdin=json.dumps(bought).encode()))

    def test_no_control_characters(self) -> None:
        """What a seller writes into its answer does not move the cursor."""
        self.write(receipt_of(sale(verdict=Verdict(Outcome.REFUSED, "no", "\x1b[2J\r\u202e"))))
        self.assertIn("outcome refused (\ufffd[2J\ufffd\ufffd)", self.told("verify", "r.json"))


class BrokenTests(VerifyCase):
    """Receipts that do not hold: status 1, and one line that says where."""

    def test_one_letter(self) -> None:
        """No letter of a payload or a signature can be another."""
        for envelope in ("order", "answer"):
            stated = receipt_of(sale())
            name = "purchase" if envelope == "order" else "answer"
            payload = base64.b64decode(stated[envelope]["payload"]).replace(b'"quantity":2', b'"quantity":3')
            changed = {**stated[envelope], "payload": base64.b64encode(payload).decode()}
            self.assert_broken({**stated, envelope: changed}, f"{name}: the signature does not hold")
            [signature] = stated[envelope]["signatures"]
            for key in ("keyid", "sig"):
                value = signature[key]
                other = {**signature, key: ("0" if value[0] != "0" else "1") + value[1:]}
                changed = {**stated[envelope], "signatures": [other]}
                self.assert_broken({**stated, envelope: changed}, f"{name}: the signature does not hold")

    def test_parts_of_others(self) -> None:
        """An answer to another order, or to the same with other words, proves nothing."""
        other = receipt_of(sale(order_id="0" * 32))
        more = receipt_of(sale(quantity=1))
        for answer in (other["answer"], more["answer"]):
            self.assert_broken({**receipt_of(sale()), "answer": answer}, "answer: it is about another order")

    def test_exchanged(self) -> None:
        """What is signed as one kind is not taken for another."""
        stated = receipt_of(sale())
        exchanged = {"order": stated["answer"], "answer": stated["order"]}
        self.assert_broken(exchanged, "purchase: it is signed as 'application/vnd.twisted-bazaar.answer.json'")

    def test_answer_with_other_words(self) -> None:
        """A seller that answers another quantity or price than was ordered has not said yes to the order."""
        for change in ({"quantity": 1}, {"price": 50}, {"price": None}, {"item": "pear"}):
            deal = sale()
            answer = msgspec.structs.replace(deal.answer.open(Answer), **change)
            stated = receipt_of(evolve(deal, answer=seal(SELLER, answer)))
            self.assert_broken(stated, "answer: .* other goods than the order")

    def test_more_than_offered(self) -> None:
        """An order for more than was offered is none, whatever the seller answers."""
        few, many = quote_for(quantity=2), quote_for(quantity=3)
        order = deal_for(many, order_for(many, 3)).order
        statement = order_for(few, 3)
        answer = msgspec.structs.replace(sale().answer.open(Answer), quantity=3)
        stated = msgspec.to_builtins(Receipt(statement, seal(SELLER, answer)))
        self.assertEqual(order.quantity, 3)
        self.assert_broken(stated, "purchase: 2 were quoted, no more")

    def test_parts_missing(self) -> None:
        """A receipt that lacks a part does not hold."""
        stated = receipt_of(sale())
        self.assert_broken({"order": stated["order"]}, "Object missing required field `answer`")
        self.assert_broken({**stated, "order": 5}, "Expected `object`, got `int` .*")
        unsigned = {**stated["answer"], "signatures": []}
        self.assert_broken({**stated, "answer": unsigned}, "Expected `array` of length .*")

    def test_words_around(self) -> None:
        """What stands around a receipt, unsigned, has to be what it proves."""
        row = row_of(sale())
        for key, value in (("item", "pear"), ("quantity", 3), ("price", 1), ("other", "0" * 64), ("state", "refused")):
            self.assert_broken({**row, key: value}, f"{key}: .* stands around what is signed, and .* in it")


class NoReceiptTests(VerifyCase):
    """What is no receipt: status 2."""

    def test_unreadable(self) -> None:
        """It is refused in one line, whatever it is."""
        for text, expected in (
            (b"", "it is not JSON, and so no receipt"),
            (b"\xff\xfe", "it is not JSON, and so no receipt"),
            (b"[" * 100_000, "it is not JSON, and so no receipt"),
            (b"[]", "there is no receipt in it"),
            (b"{}", "there is no receipt in it"),
            (b'{"receipt": null}', "there is no receipt in it: the order has no answer of its seller"),
            (b'{"receipt": {}, "id": 5}', "it is no order: .*"),
            (b" " * (1 << 20) + b"{}", "over 1,048,576 bytes; that is no receipt"),
        ):
            Path("r.json").write_bytes(text)
            self.assert_ends(2, f"r.json: {expected}", "verify", "r.json")
            self.assert_ends(2, f"the standard input: {expected}", "verify", "-", stdin=text)

    def test_no_file(self) -> None:
        """A file that cannot be read is refused, with its name."""
        self.assert_ends(2, "nowhere: No such file or directory", "verify", "nowhere")
        self.assert_ends(2, ".: Is a directory", "verify", ".")
        self.assert_ends(2, "Missing argument 'FILE'; see --help", "verify")
