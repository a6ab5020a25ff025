"""The page on orders, held against the code: its tables, its dialogues, its test vectors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from attrs import evolve

from tests.docs.pages import MARKET, TRADE, PageTests, blocks, dialogue, section, table_with, word, words
from tests.docs.test_specification import own_codec
from twisted_bazaar.errors import Forged
from twisted_bazaar.identity.keys import KeyPair, is_signed_by
from twisted_bazaar.identity.signed import Envelope, Statement, read_envelope, seal
from twisted_bazaar.trade import ledger as ledger_module
from twisted_bazaar.trade import purchase as purchase_module
from twisted_bazaar.trade.contract import (
    QUOTE_S,
    Answer,
    Presence,
    Purchase,
    Quote,
    Receipt,
    Withdrawal,
    check_receipt,
    make_answer,
    make_purchase,
    make_withdrawal,
    read_presence,
    read_purchase,
    read_quote,
    read_withdrawal,
)
from twisted_bazaar.trade.messages import handle_of
from twisted_bazaar.trade.order import OrderRecord, OrderState, order_life
from twisted_bazaar.trade.stores.memory import MemorySales
from twisted_bazaar.values.sale import Offer, Order, Outcome, StockLevel, Verdict

P: Final = 2**255 - 19
D: Final = -121665 * pow(121666, -1, P) % P
KINDS: Final[dict[str, type[Statement]]] = {cls.payload_type(): cls for cls in (Quote, Purchase, Withdrawal, Answer)}
VALID_UNTIL_MS: Final = 1_767_225_600_000
SEARCH: Final = 2_546_119_353_500_988


def envelopes_in(value: Any) -> Iterator[Envelope]:
    """Every envelope in a value read from JSON, and those in their payloads."""
    if isinstance(value, dict) and "payloadType" in value:
        envelope = msgspec.convert(value, Envelope)
        yield envelope
        yield from envelopes_in(json.loads(envelope.payload))
    elif isinstance(value, dict):
        for each in value.values():
            yield from envelopes_in(each)


def messages(text: str) -> list[tuple[str, str, Any]]:
    """The messages of a dialogue: who says it, to whom, and what."""
    return [
        (speaker, hearer, own_codec().decode(data.partition(b":")[2][:-1])) for speaker, hearer, data in dialogue(text)
    ]


def shown(envelope: Envelope) -> Any:
    """A statement as a dialogue shows it: without the quote in it."""
    return {key: value for key, value in json.loads(envelope.payload).items() if key != "quote"}


class Trading:
    """The seller and the buyer of the test vectors, and what they state."""

    def __init__(self) -> None:
        rows = table_with(section(TRADE, "Test vectors"), "Who", "Seed")
        self.keys = {row["Who"]: KeyPair.from_seed(bytes.fromhex(word(row["Seed"]))) for row in rows}
        self.public = {row["Who"]: word(row["Public key"]) for row in rows}
        self.seller, self.buyer = self.keys["seller"], self.keys["buyer"]
        self.terms = self.terms_of(bytes(range(16)).hex())
        self.quote = seal(self.seller, self.terms)
        self.order_id = bytes(range(16, 32)).hex()
        self.purchase = make_purchase(self.buyer, self.order_id, self.quote, self.terms, 2)
        self.withdrawal = make_withdrawal(self.buyer, self.order_id, self.quote, "bazaar")

    def terms_of(self, quote_id: str) -> Quote:
        """What the seller quotes."""
        return Quote("bazaar", self.seller.public, quote_id, "Äpfel", 5, VALID_UNTIL_MS, 120)

    def order(self, statement: Envelope) -> Order:
        """A statement of the buyer as the seller's book gets it."""
        read = read_withdrawal if statement.payload_type == Withdrawal.payload_type() else read_purchase
        return read(statement, lambda quote: read_quote(quote, "bazaar", self.seller.public))

    def answer(self, statement: Envelope, outcome: Outcome, code: str = "", reason: str = "") -> Envelope:
        """What the seller answers."""
        return self.seal(self.order(statement), Verdict(outcome, code, reason))

    def seal(self, order: Order, verdict: Verdict) -> Envelope:
        """Sign an answer."""
        return make_answer(self.seller, "bazaar", order, verdict)


def point_of(form: bytes) -> tuple[int, int]:
    """The point of edwards25519 that stands in its 32 bytes (RFC 8032, 5.1.3), in whatever form."""
    number = int.from_bytes(form, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - square) % P == 0
    return (P - x if x % 2 != sign else x) % P, y % P


def order_of(form: bytes) -> int:
    """How often a point is added to itself until it is the neutral element."""
    first = x, y = point_of(form)
    order = 1
    while (x, y) != (0, 1):
        # The addition law of RFC 8032, 5.1.4, in affine coordinates.
        (a, b), both = first, D * x * y * first[0] * first[1]
        x, y = (x * b + y * a) * pow(1 + both, -1, P) % P, (y * b + x * a) * pow(1 - both, -1, P) % P
        order += 1
        assert order <= 8
    return order


def forms_of(point: bytes) -> Iterator[bytes]:
    """The forms in which libraries read a point: as it is written, with a larger y, with the sign bit of an x of 0."""
    number = int.from_bytes(point, "little")
    sign, y = number >> 255 << 255, number & ((1 << 255) - 1)
    for larger in (y, y + P):
        if larger < 1 << 255:
            yield (larger | sign).to_bytes(32, "little")
            if point_of(point)[0] == 0:
                yield (larger | sign ^ 1 << 255).to_bytes(32, "little")


class VectorTests(PageTests):
    """The test vectors, and what is worked out by hand."""

    def setUp(self) -> None:
        """Make everybody who takes part."""
        self.trading = Trading()

    def test_keys(self) -> None:
        """The seeds give these public keys."""
        true = {who: key.public for who, key in self.trading.keys.items()}
        self.assert_tells(section(TRADE, "Test vectors"), self.trading.public, true)

    def test_envelopes(self) -> None:
        """The statements of the vectors, made anew, are those on the page to the last byte."""
        trading = self.trading
        made = [
            trading.quote,
            trading.purchase,
            trading.withdrawal,
            trading.answer(trading.purchase, Outcome.SOLD),
            trading.answer(trading.purchase, Outcome.REFUSED, "soldout", "1 left of 'Äpfel', 2 ordered"),
            trading.answer(trading.withdrawal, Outcome.CANCELLED),
            seal(trading.seller, Presence("bazaar", trading.seller.public, SEARCH)),
        ]
        text = section(TRADE, "Test vectors")
        said = {f"vector {number}": block for number, block in enumerate(blocks(text, "json"), 1)}
        true = (f"{each.payload.decode()}\n{each.encode().decode()}\n" for each in made)
        self.assert_tells(text, said, {f"vector {number}": each for number, each in enumerate(true, 1)})

    def test_what_is_signed(self) -> None:
        """The bytes shown in hexadecimal are those that the signature of the quote holds for."""
        text = section(TRADE, "What is signed")
        [block] = blocks(text, "hex")
        signed = bytes.fromhex(block)
        quote = self.trading.quote
        kind, payload = quote.payload_type.encode(), quote.payload
        self.assertEqual(signed, b"DSSEv1 " + b"%d %b %d " % (len(kind), kind, len(payload)) + payload)
        [signature] = quote.signatures
        self.assertTrue(is_signed_by(signature.keyid, signed, signature.sig))
        self.assert_says(text, f"has {len(payload)} bytes", f"these {len(signed)} bytes")

    def test_refused(self) -> None:
        """Each signature in the table holds or does not, as it says."""
        rows = table_with(section(TRADE, "Test vectors"), "Holds", "Key")
        said = [row["Holds"] == "yes" for row in rows]
        self.assertEqual(said.count(True), 1)
        true = [is_signed_by(word(row["Key"]), b"x", bytes.fromhex(word(row["Signature"]))) for row in rows]
        self.assertEqual(true, said)

    def test_small_order(self) -> None:
        """The points in the table are all that give the neutral element when multiplied by 8; none is a key, or half of
        a signature, in any form."""
        rows = table_with(section(TRADE, "Keys"), "Point", "Order")
        points = {bytes.fromhex(word(row["Point"])): int(row["Order"]) for row in rows}
        self.assertEqual(sorted(points.values()), [1, 2, 4, 4, 8, 8, 8, 8])
        for point, order in points.items():
            self.assertEqual(order_of(point), order)
            for form in forms_of(point):
                # S = 0, and R = -kA, which for a key of small order is one of these points.
                for half in points:
                    self.assertFalse(is_signed_by(form.hex(), b"x", half + bytes(32)))
                    self.assertFalse(is_signed_by(form.hex(), b"x", form + bytes(32)))
                own = self.trading.seller
                self.assertFalse(is_signed_by(own.public, b"x", form + own.sign(b"x")[32:]))

    def test_presence(self) -> None:
        """The presence of the vectors is one of that seller, for that search alone."""
        *_, block = blocks(section(TRADE, "Test vectors"), "json")
        presence = read_envelope(block.splitlines()[1].encode())
        offer = Offer(7, "apple", 1, None, SEARCH, (1, 7), presence)
        read_presence(offer, "bazaar", self.trading.seller.public)
        for wrong in (evolve(offer, search_id=SEARCH + 1), evolve(offer, quote=self.trading.quote)):
            self.assertRaises(Forged, read_presence, wrong, "bazaar", self.trading.seller.public)

    def test_handle(self) -> None:
        """The order of the vectors has the handle that the page says."""
        order_id, handle = self.trading.order_id, handle_of(self.trading.order_id)
        self.assert_says(section(TRADE, "The handle"), f"The order `{order_id}` has the handle {handle}.")
        vectors = section(TRADE, "Test vectors")
        self.assert_says(vectors, f"The order `id` is `{order_id}`, and its handle is {handle}.")


class RuleTests(PageTests):
    """What the page says of sellers and buyers."""

    def test_seller(self) -> None:
        """A seller decides as each row of the table says."""
        for row in table_with(section(TRADE, "How a seller decides"), "Book", "Quote"):
            for statement in ("buy", "cancel"):
                if row[f"`{statement}`"]:
                    self.assert_decided(row, statement)

    def assert_decided(self, row: dict[str, str], statement: str) -> None:
        """One cell of the table is what a seller's book says."""
        trading = Trading()
        asked = trading.order(trading.purchase if statement == "buy" else trading.withdrawal)
        cell = row[f"`{statement}`"]
        book = MemorySales()
        book.set_level(StockLevel("Äpfel", 9, 1 if "if not" in cell else 9, 8 if "if not" in cell else 0, 0, 120))
        first = None
        if row["Book"] == "has an answer":
            [first] = self.settle(book, trading, asked)
        elif row["Quote"] == "ended":
            other = make_withdrawal(trading.buyer, "f" * 32, trading.quote, "bazaar")
            self.settle(book, trading, trading.order(other))
        before = (dict(book.answered), dict(book.refused), dict(book.given_up), dict(book.stock))
        now_ms = VALID_UNTIL_MS if row["Quote"] == "over" else VALID_UNTIL_MS - 1
        [settled] = self.settle(book, trading, asked, now_ms)
        after = (dict(book.answered), dict(book.refused), dict(book.given_up), dict(book.stock))
        if first is not None:
            self.assertEqual((settled.deal.answer, settled.is_repeat), (first.deal.answer, True))
        else:
            deal = settled.deal
            self.assertEqual([each for each in (deal.outcome.value, deal.code) if each], words(cell), cell)
        into = row["Into the book"]
        self.assertEqual(before == after, into == "nothing", f"{row}")
        changed = [old != new for old, new in zip(before, after, strict=True)]
        true = {
            "nothing": [False, False, False, False],
            "the answer, and the units as sold": [True, False, False, True],
            "the answer; the quote is ended": [True, True, False, False],
            "all quotes up to the `validUntil` of this one are given up": [False, False, True, False],
        }
        self.assertEqual(changed, true[into], f"{row}, {statement}")

    def settle(self, book: MemorySales, trading: Trading, order: Order, now_ms: int = VALID_UNTIL_MS - 1) -> Any:
        """Let a book decide an order."""
        waiting: Any = ledger_module._Waiting(order, 0, trading.seal, None)  # type: ignore[arg-type]
        return ledger_module.settle_batch(book, [waiting], now_ms)

    def test_buyer(self) -> None:
        """An order moves from state to state as the table says."""
        table = table_with(section(TRADE, "How a buyer orders"), "What happens")
        happenings = {
            "an answer `sold`": "mark_sold",
            "an answer `refused`": "mark_refused",
            "an answer `cancelled`": "mark_cancelled",
            "three repeats without an answer": "mark_in_doubt",
            "the program starts again": "mark_in_doubt",
        }
        self.assertEqual([row["What happens"] for row in table][:-1], list(happenings))
        for row in table[:-1]:
            happening = happenings[row["What happens"]]
            for name, ways in (("pending", ()), ("unknown", ("mark_in_doubt",))):
                said = name if row[name] == "nothing" else row[name]
                self.assertEqual(self.state_after(*ways, happening), OrderState(said))
            self.assertEqual(row["the other three"], "nothing")
            for ending in ("mark_sold", "mark_refused", "mark_cancelled"):
                self.assertEqual(self.state_after(ending, happening), self.state_after(ending))
        states = [row["State"] for row in table_with(section(TRADE, "How a buyer orders"), "State")]
        self.assertEqual(states, [state.value for state in OrderState])

    def state_after(self, *happenings: str) -> OrderState:
        """Where an order stands after all this."""
        trading = Trading()
        record = self.record(trading)
        life = order_life(record)
        for happening in happenings:
            getattr(life, happening)()
        return record.state

    def record(self, trading: Trading) -> OrderRecord:
        """The order of the test vectors, taken back."""
        record = OrderRecord("", 1, trading.seller.public, 2, "Äpfel", 2, 120, trading.purchase, 0.0)
        record.id, record.withdrawal = trading.order_id, trading.withdrawal
        return record

    def test_answers(self) -> None:
        """What a buyer takes for an answer is what the table says."""
        trading = Trading()
        record = self.record(trading)
        other = make_purchase(trading.buyer, trading.order_id, trading.quote, trading.terms, 3)
        columns = {
            "`digest` is that of your purchase": trading.purchase,
            "`digest` is that of your withdrawal": trading.withdrawal,
            "any other": other,
        }
        for row in table_with(section(TRADE, "How a buyer orders"), "`outcome`"):
            outcome = Outcome(word(row["`outcome`"]))
            for column, statement in columns.items():
                answer = trading.answer(statement, outcome)
                try:
                    purchase_module._read_answer(answer, record, trading.buyer.public)
                    read = "confirmed" if outcome is Outcome.SOLD else outcome.value
                except Exception as error:
                    read = "no answer" if type(error).__name__ == "Forged" else repr(error)
                self.assertEqual(read, row[column], f"{outcome} {column}")

    def test_times(self) -> None:
        """The times and numbers in the sentences are those of the code."""
        first, most = purchase_module._FIRST_REPEAT_S, purchase_module._LONGEST_REPEAT_S
        numerals = {3: "three", 8: "eight"}
        told = {
            "The quote": (f"quotes for {QUOTE_S:g} s",),
            "How a seller decides": (f"whose quote ended {ledger_module._FORGET_AFTER_MS // 1000} s ago",),
            "How a buyer orders": (
                f"after {first:g} s, then {2 * first:g} s, {4 * first:g} s and so on, at most {most:g} s apart",
                f"After {numerals[purchase_module._TRIES_BEFORE_DOUBT]} repeats without an answer",
                f"at most {numerals[purchase_module._ROUTES_BETWEEN_REPEATS]} between two repeats",
            ),
        }
        for title, sentences in told.items():
            self.assert_says(section(TRADE, title), *sentences)


class DialogueTests(PageTests):
    """The dialogues of both pages."""

    def test_signatures(self) -> None:
        """Every envelope in a dialogue opens, and so do those in their payloads."""
        opened: list[type[Statement]] = []
        for page in (MARKET, TRADE):
            for _, _, data in dialogue(page):
                for envelope in envelopes_in(json.loads(data.partition(b":")[2][:-1])):
                    kind = KINDS[envelope.payload_type]
                    envelope.open(kind)
                    opened.append(kind)
        self.assertEqual(set(opened), set(KINDS.values()))

    def test_direct(self) -> None:
        """The client gets what it asks for, the same again when it repeats, and the same no for what it took back."""
        said = messages(section(TRADE, "A dialogue"))
        quotes = [message.quote for _, _, message in said if message.wire_name == "reply"]
        [buy, again, late] = (message for _, _, message in said if message.wire_name == "buy")
        [cancel] = (message for _, _, message in said if message.wire_name == "cancel")
        [yes, yes_again] = (message for _, _, message in said if message.wire_name == "buyOK")
        [no, no_again] = (message for _, _, message in said if message.wire_name == "buyNO")
        self.assertEqual((buy, yes, no), (again, yes_again, no_again))
        self.assertEqual([each.order.open(Purchase).quote for each in (buy, late)], quotes)
        for asked, answer, outcome in ((buy, yes, Outcome.SOLD), (cancel, no, Outcome.CANCELLED)):
            statement, _, told = check_receipt(Receipt(asked.order, answer.answer))
            self.assertEqual(told.outcome, outcome)
            self.assertEqual((asked.id, answer.id), (handle_of(statement.id),) * 2)
        self.assertEqual(late.order.open(Purchase).id, cancel.order.open(Withdrawal).id)
        text = blocks(section(TRADE, "A dialogue"), "json")
        told = [json.loads(line) for block in text for line in block.splitlines()]
        self.assertEqual(told, [shown(each) for each in (quotes[0], buy.order, yes.answer, cancel.order, no.answer)])

    def test_relay(self) -> None:
        """The order and its answer pass the relay unchanged, and the answer comes back along the same nodes."""
        said = messages(section(TRADE, "A dialogue over a relay"))
        self.assertEqual(
            [(speaker, hearer, message.wire_name) for speaker, hearer, message in said],
            [
                ("client", "relay", "buy"),
                ("relay", "seller", "buy"),
                ("seller", "relay", "buyOK"),
                ("relay", "client", "buyOK"),
            ],
        )
        [sent, passed, answered, brought] = (message for _, _, message in said)
        self.assertEqual((sent, answered), (passed, brought))
        self.assertEqual(sent.path, answered.path[::-1])
        _, quote, answer = check_receipt(Receipt(sent.order, answered.answer))
        self.assertEqual(answer.outcome, Outcome.SOLD)
        [found] = {
            message.quote.open(Quote)
            for _, _, message in messages(section(MARKET, "A dialogue over a relay"))
            if message.wire_name == "reply"
        }
        self.assertEqual(quote, found)

    def test_begins_as_in_the_other_page(self) -> None:
        """The dialogue on orders goes on where that of the market ends."""
        [*market, _, _] = dialogue(section(MARKET, "A dialogue, direct"))
        self.assertEqual(list(dialogue(section(TRADE, "A dialogue")))[: len(market)], market)

    def test_answers_are_envelopes_of_dsse(self) -> None:
        """An envelope of a vector is read as one that stands in a file."""
        [_, text] = blocks(section(TRADE, "Test vectors"), "json")[3].splitlines()
        self.assertEqual(read_envelope(text.encode()).open(Answer).outcome, Outcome.SOLD)
