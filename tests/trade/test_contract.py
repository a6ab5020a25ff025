"""The statements of a sale: what each binds, and every way in which one does not hold."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.trade.cases import (
    BUYER,
    SELLER,
    STRANGER,
    VALID_UNTIL_MS,
    hex_id,
    order,
    purchase,
    quote,
    seal_answer,
    taken_back,
    terms,
    terms_of,
    withdrawal,
)
from twisted_bazaar.errors import Forged
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.identity.signed import Envelope, Statement, seal
from twisted_bazaar.node.node import BAZAAR
from twisted_bazaar.trade.contract import (
    Answer,
    Purchase,
    Receipt,
    Withdrawal,
    check_receipt,
    digest_of,
    make_answer,
    read_offer,
    read_purchase,
    read_quote,
    read_withdrawal,
)
from twisted_bazaar.trade.order import decide
from twisted_bazaar.values.sale import Offer, Order, Outcome, Verdict

OTHER_BAZAAR = "elsewhere"
SOLD = Verdict(Outcome.SOLD)


def changed(envelope: Envelope, kind: type[Statement], key: KeyPair, **changes: Any) -> Envelope:
    """The same statement with other words, signed anew."""
    return seal(key, replace(envelope.open(kind), **changes))


class ContractTestCase(SynchronousTestCase):
    """With a way to say that something does not hold."""

    def assert_forged(self, words: str, read: Any, *arguments: Any) -> None:
        """It does not hold, and the text says why."""
        error = self.assertRaises(Forged, read, *arguments)
        self.assertIn(words, str(error))


class QuoteTests(ContractTestCase):
    """What a seller would sell."""

    def test_comes_back(self) -> None:
        """A seller knows its own quote again by its signature: it need not remember it."""
        self.assertEqual(read_quote(quote(), BAZAAR, SELLER.public), terms())

    def test_another_seller(self) -> None:
        """A quote of another seller is none of this one's, and a quote in another's name is nobody's."""
        self.assert_forged("made by another seller", read_quote, quote(STRANGER), BAZAAR, SELLER.public)
        self.assert_forged("speaks for", read_quote, seal(STRANGER, terms(SELLER)), BAZAAR, SELLER.public)

    def test_another_bazaar(self) -> None:
        """A quote for another bazaar is worth nothing in this one."""
        self.assert_forged("for the bazaar", read_quote, quote(bazaar=OTHER_BAZAAR), BAZAAR, SELLER.public)

    def test_another_kind(self) -> None:
        """What is signed as something else is no quote."""
        for statement in (purchase(), withdrawal(), seal_answer(order(), SOLD)):
            self.assert_forged("it is signed as", read_quote, statement, BAZAAR, SELLER.public)

    def test_limits(self) -> None:
        """A quote whose words are out of range is none, though its signature holds."""
        for wrong in (
            *({"quantity": 0}, {"quantity": 2**53 + 1}, {"price": -1}, {"valid_until": -1}, {"id": "A" * 32}),
            *({"id": "a" * 31}, {"bazaar": ""}, {"bazaar": "b" * 65}, {"quantity": 1.5}, {"price": "40"}),
        ):
            self.assertRaises(Forged, read_quote, quote(**wrong), BAZAAR, SELLER.public)
        for name in ("", "a\n", "A\u0308", "\u202eelppa", "a" * 129):
            self.assertRaises(ValueError, terms, item=name)


class OfferTests(ContractTestCase):
    """What a reply says is what its quote says."""

    offer = Offer(9, "apple", 9, 40, 1, (1, 9), quote())

    def test_holds(self) -> None:
        """The quote in an offer is read from it."""
        self.assertEqual(read_offer(self.offer, BAZAAR), terms())

    def test_none(self) -> None:
        """An offer without a quote binds nobody."""
        self.assert_forged("there is none", read_offer, evolve(self.offer, quote=None), BAZAAR)

    def test_something_else(self) -> None:
        """Item, quantity and price are those of the quote, whoever has changed them."""
        for change in ({"item": "pear"}, {"quantity": 8}, {"quantity": 10}, {"price": 39}, {"price": None}):
            self.assert_forged("something else than the reply", read_offer, evolve(self.offer, **change), BAZAAR)

    def test_another_bazaar(self) -> None:
        """A quote for another bazaar is no offer here."""
        self.assert_forged("for the bazaar", read_offer, evolve(self.offer, quote=quote(bazaar=OTHER_BAZAAR)), BAZAAR)

    def test_unsigned(self) -> None:
        """A quote in the name of another is none."""
        self.assert_forged("speaks for", read_offer, evolve(self.offer, quote=seal(STRANGER, terms(SELLER))), BAZAAR)


class PurchaseTests(ContractTestCase):
    """What a buyer orders is what a seller has quoted."""

    def test_order(self) -> None:
        """The order is of the purchase, and its price and its time are of the quote."""
        statement = purchase(7, quantity=3)
        expected = Order(
            buyer=BUYER.public,
            id=hex_id(7),
            seller=SELLER.public,
            quote=hex_id(1),
            valid_until_ms=VALID_UNTIL_MS,
            item="apple",
            quantity=3,
            price=40,
            is_withdrawal=False,
            statement=statement,
        )
        self.assertEqual(read_purchase(statement, terms_of), expected)
        self.assertEqual(expected.key, (BUYER.public, hex_id(7)))

    def test_withdrawal(self) -> None:
        """A purchase that is taken back is named by the same key, and is for nothing."""
        statement = withdrawal(7)
        self.assertEqual(
            read_withdrawal(statement, terms_of),
            evolve(read_purchase(purchase(7), terms_of), quantity=0, is_withdrawal=True, statement=statement),
        )

    def test_same_bytes(self) -> None:
        """Who signs the same again writes the same bytes."""
        self.assertEqual((purchase(7), withdrawal(7)), (purchase(7), withdrawal(7)))

    def test_as_much_as_quoted(self) -> None:
        """The whole of what was quoted can be ordered, and one piece more cannot."""
        self.assertEqual(read_purchase(purchase(quantity=9), terms_of).quantity, 9)
        self.assert_forged("9 were quoted, no more", read_purchase, purchase(quantity=10), terms_of)

    def test_another_item(self) -> None:
        """What was not quoted cannot be ordered."""
        pear = changed(purchase(), Purchase, BUYER, item="pear")
        self.assert_forged("'pear' was not quoted", read_purchase, pear, terms_of)

    def test_another_bazaar(self) -> None:
        """A statement for another bazaar than its quote is worth nothing, and so is one on a quote for another."""
        for statement, kind, read in (
            (purchase(), Purchase, read_purchase),
            (withdrawal(), Withdrawal, read_withdrawal),
        ):
            elsewhere = changed(statement, kind, BUYER, bazaar=OTHER_BAZAAR)
            self.assert_forged("for the bazaar", read, elsewhere, terms_of)
            again = changed(elsewhere, kind, BUYER, quote=quote(bazaar=OTHER_BAZAAR))
            self.assert_forged("for the bazaar", read, again, terms_of)

    def test_another_sellers_quote(self) -> None:
        """A seller takes orders on its own quotes only."""
        own = lambda envelope: read_quote(envelope, BAZAAR, SELLER.public)  # noqa: E731
        self.assert_forged("made by another seller", read_purchase, purchase(on=quote(STRANGER)), own)
        self.assert_forged("made by another seller", read_withdrawal, withdrawal(on=quote(STRANGER)), own)

    def test_in_anothers_name(self) -> None:
        """Nobody orders, or takes back, for somebody else."""
        stolen = changed(purchase(), Purchase, STRANGER)
        self.assert_forged("speaks for", read_purchase, stolen, terms_of)
        self.assert_forged("speaks for", read_withdrawal, changed(withdrawal(), Withdrawal, STRANGER), terms_of)

    def test_another_kind(self) -> None:
        """A purchase is not taken for a withdrawal, nor the other way round, nor anything else for either."""
        for statement in (quote(), withdrawal(), seal_answer(order(), SOLD)):
            self.assert_forged("it is signed as", read_purchase, statement, terms_of)
        for statement in (quote(), purchase(), seal_answer(order(), SOLD)):
            self.assert_forged("it is signed as", read_withdrawal, statement, terms_of)

    def test_no_quote_in_it(self) -> None:
        """A purchase of a purchase is none."""
        self.assert_forged(
            "quote: it is signed as", read_purchase, changed(purchase(), Purchase, BUYER, quote=purchase()), terms_of
        )


class AnswerTests(ContractTestCase):
    """A seller's final word."""

    def test_says(self) -> None:
        """An answer names bazaar, seller, buyer, order and the very bytes that it answers."""
        asked = order(7, quantity=3)
        answer = make_answer(SELLER, BAZAAR, asked, Verdict(Outcome.REFUSED, "soldout", "0 left"))
        expected = Answer(
            bazaar=BAZAAR,
            seller=SELLER.public,
            buyer=BUYER.public,
            order=hex_id(7),
            digest=digest_of(purchase(7, quantity=3)),
            outcome=Outcome.REFUSED,
            item="apple",
            quantity=3,
            price=40,
            code="soldout",
            reason="0 left",
        )
        self.assertEqual(answer.open(Answer), expected)
        self.assertNotEqual(digest_of(purchase(7)), digest_of(purchase(7, quantity=3)))

    def test_any_name_of_goods(self) -> None:
        """A refusal can be read whatever the goods are called, in as many characters as a name can have."""
        for item in ("a" * 128, "\U0001f34e" * 128, "'\"" * 64, "\ue000" * 128, "\U000f0000" * 128):
            asked = order(quantity=2, item=item)
            verdict = decide(asked, None, 0, 0, is_closed=False, closed_until_ms=0)
            self.assertEqual(seal_answer(asked, verdict).open(Answer).item, item)


class ReceiptTests(ContractTestCase):
    """A statement of a buyer and the seller's answer to it, which anybody can check."""

    def receipt(self, asked: Order, outcome: Outcome, **changes: Any) -> Receipt:
        """An order and its answer; something in the answer may be said otherwise."""
        answer = seal_answer(asked, Verdict(outcome))
        return Receipt(asked.statement, changed(answer, Answer, SELLER, **changes) if changes else answer)

    def test_holds(self) -> None:
        """What was asked, on which quote, and what was answered, for a sale, a refusal and a cancelled order."""
        for asked, kind, outcome in (
            (order(7, 3), Purchase, Outcome.SOLD),
            (order(7, 3), Purchase, Outcome.REFUSED),
            (order(7, 3), Purchase, Outcome.CANCELLED),
            (taken_back(7), Withdrawal, Outcome.CANCELLED),
            (taken_back(7), Withdrawal, Outcome.REFUSED),
        ):
            receipt = self.receipt(asked, outcome)
            self.assertEqual(check_receipt(receipt), (asked.statement.open(kind), terms(), receipt.answer.open(Answer)))
            self.assertTrue(receipt.is_about_order())

    def test_answer_to_another(self) -> None:
        """An answer to another order, another buyer, other words or in another bazaar is none to this one."""
        for changes in (
            *({"order": hex_id(8)}, {"buyer": STRANGER.public}, {"bazaar": OTHER_BAZAAR}, {"digest": "0" * 64}),
            {"digest": digest_of(purchase(7, 2))},
        ):
            self.assert_forged("about another order", check_receipt, self.receipt(order(7, 3), Outcome.SOLD, **changes))
        mixed = Receipt(withdrawal(7), seal_answer(order(7, 3), SOLD))
        self.assert_forged("about another order", check_receipt, mixed)
        self.assertFalse(mixed.is_about_order())

    def test_another_seller(self) -> None:
        """Only who has made the quote answers."""
        answer = make_answer(STRANGER, BAZAAR, order(7, 3), SOLD)
        self.assert_forged("not by the seller", check_receipt, Receipt(purchase(7, 3), answer))
        signed = changed(seal_answer(order(7, 3), SOLD), Answer, STRANGER)
        self.assert_forged("speaks for", check_receipt, Receipt(purchase(7, 3), signed))

    def test_bad_order(self) -> None:
        """A purchase that asks for what was not quoted makes no receipt, whatever was answered."""
        for statement in (
            purchase(7, 10),
            changed(purchase(7), Purchase, BUYER, item="pear"),
            changed(purchase(7), Purchase, STRANGER),
            changed(purchase(7), Purchase, BUYER, bazaar=OTHER_BAZAAR),
            changed(purchase(7), Purchase, BUYER, quote=seal(STRANGER, terms())),
            quote(),
            seal_answer(order(7), SOLD),
        ):
            said = evolve(order(7, 1), statement=statement)
            self.assertRaises(Forged, check_receipt, Receipt(statement, seal_answer(said, SOLD)))

    def test_sold_on_a_withdrawal(self) -> None:
        """A seller that says sold to a withdrawal has sold nothing: there is no purchase to show for it."""
        self.assertRaises(Forged, check_receipt, self.receipt(taken_back(7), Outcome.SOLD))

    def test_other_goods(self) -> None:
        """An answer that speaks of other goods, another count or another price than the order does not hold."""
        for changes in ({"item": "pear"}, {"quantity": 1}, {"price": 39}, {"price": None}):
            self.assertRaises(Forged, check_receipt, self.receipt(order(7, 3), Outcome.SOLD, **changes))

    def test_swapped(self) -> None:
        """An answer is no order, and an order no answer."""
        whole = self.receipt(order(7), Outcome.SOLD)
        self.assertRaises(Forged, check_receipt, Receipt(whole.answer, whole.order))
        self.assertRaises(Forged, check_receipt, Receipt(whole.order, whole.order))
        self.assertRaises(Forged, check_receipt, Receipt(whole.answer, whole.answer))

    def test_any_byte(self) -> None:
        """With any byte of payload or signature changed nothing holds any more."""
        whole = self.receipt(order(7), Outcome.SOLD)
        for name in ("order", "answer"):
            envelope = getattr(whole, name)
            [signature] = envelope.signatures
            for position in range(0, len(envelope.payload), 7):
                payload = bytearray(envelope.payload)
                payload[position] ^= 1
                damaged = Envelope(bytes(payload), envelope.payload_type, envelope.signatures)
                self.assertRaises(Forged, check_receipt, replace(whole, **{name: damaged}))
            for position in range(64):
                sig = bytearray(signature.sig)
                sig[position] ^= 1
                damaged = Envelope(
                    envelope.payload, envelope.payload_type, (type(signature)(signature.keyid, bytes(sig)),)
                )
                self.assertRaises(Forged, check_receipt, replace(whole, **{name: damaged}))
