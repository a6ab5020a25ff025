"""Envelopes: what was signed is what is read, to the bit, and nothing else opens."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Annotated, ClassVar, Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from twisted_bazaar.errors import Forged, MalformedMessage, WireError
from twisted_bazaar.identity.keys import KeyPair, PublicKey, is_signed_by
from twisted_bazaar.identity.signed import (
    LONGEST_PAYLOAD_BYTES,
    Envelope,
    Signature,
    Statement,
    _what_is_signed,
    read_envelope,
    seal,
)
from twisted_bazaar.trade.contract import Answer, Purchase, Quote, Receipt, Withdrawal, check_receipt
from twisted_bazaar.trade.messages import Buy
from twisted_bazaar.wire.codec import Codec

bounded = examples(200)

# Written once, by this code; each line is an envelope whose bytes never change.
GOLDEN: Final = Path(__file__).parent / "golden_envelopes.jsonl"
KEY: Final = KeyPair.from_seed(bytes(range(32)))
OTHER: Final = KeyPair.from_seed(bytes(32))


class Note(Statement):
    """Something to sign."""

    kind: ClassVar[str] = "note"

    author: PublicKey
    text: Annotated[str, Meta(max_length=1000)]

    @property
    def signer(self) -> str:
        return self.author


class Letter(Note):
    """Something else, with the same words."""

    kind: ClassVar[str] = "letter"


NOTE: Final = Note(KEY.public, "Grüße, 世界 \U0001f34e")
SEALED: Final = seal(KEY, NOTE)


def with_signature(envelope: Envelope, keyid: str | None = None, sig: bytes | None = None) -> Envelope:
    """The same with another signature."""
    [signature] = envelope.signatures
    signature = Signature(signature.keyid if keyid is None else keyid, signature.sig if sig is None else sig)
    return Envelope(envelope.payload, envelope.payload_type, (signature,))


class PreAuthenticationTests(SynchronousTestCase):
    """What is signed is as DSSE has it."""

    def test_example(self) -> None:
        """The example of the specification."""
        signed = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        self.assertEqual(_what_is_signed("http://example.com/HelloWorld", b"hello world"), signed)

    def test_bytes(self) -> None:
        """Lengths count bytes."""
        self.assertEqual(_what_is_signed("ä", "世".encode()), "DSSEv1 2 ä 3 世".encode())
        self.assertEqual(_what_is_signed("", b""), b"DSSEv1 0  0 ")

    @bounded
    @given(st.text(max_size=9), st.binary(max_size=9), st.text(max_size=9), st.binary(max_size=9))
    def test_one_to_one(self, one: str, first: bytes, other: str, second: bytes) -> None:
        """No two pairs of type and payload have the same bytes."""
        is_same = _what_is_signed(one, first) == _what_is_signed(other, second)
        self.assertEqual(is_same, (one, first) == (other, second))

    def test_no_room_to_move(self) -> None:
        """Nothing can be moved from the type to the payload."""
        self.assertNotEqual(_what_is_signed("a 1 b", b"c"), _what_is_signed("a", b"1 b 1 c"))


class EnvelopeTests(SynchronousTestCase):
    """What is sealed opens as what it is, and as nothing else."""

    def assert_forged(self, envelope: Envelope, kind: type[Statement] = Note, words: str = "") -> None:
        """It does not open, and the text says why."""
        self.assertIn(words, str(self.assertRaises(Forged, envelope.open, kind)))

    def test_round_trip(self) -> None:
        """What was sealed is read, after any way through bytes."""
        self.assertEqual(SEALED.open(Note), NOTE)
        again = read_envelope(SEALED.encode())
        self.assertEqual((again, again.open(Note), again.encode()), (SEALED, NOTE, SEALED.encode()))

    @bounded
    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=100), st.binary(min_size=32, max_size=32))
    def test_any_words(self, text: str, seed: bytes) -> None:
        """Any words come back, signed with any key; the same words are the same bytes."""
        key = KeyPair.from_seed(seed)
        note = Note(key.public, text)
        envelope = seal(key, note)
        self.assertEqual(read_envelope(envelope.encode()).open(Note), note)
        self.assertEqual(seal(key, note).encode(), envelope.encode())
        self.assertEqual(read_envelope(envelope.encode()).encode(), envelope.encode())

    def test_its_json(self) -> None:
        """It has the keys of DSSE; payload and signature are base64."""
        plain = json.loads(SEALED.encode())
        [signature] = SEALED.signatures
        expected = {
            "payload": b64encode(SEALED.payload).decode(),
            "payloadType": "application/vnd.twisted-bazaar.note+json",
            "signatures": [{"keyid": KEY.public, "sig": b64encode(signature.sig).decode()}],
        }
        self.assertEqual(plain, expected)
        self.assertEqual(json.loads(SEALED.payload), {"author": KEY.public, "text": NOTE.text})

    def test_checked_by_others(self) -> None:
        """Who has the key and DSSE's rule can check it without this package's envelopes."""
        plain = json.loads(SEALED.encode())
        [signature] = SEALED.signatures
        pae = b"DSSEv1 %d %b %d %b"
        name = plain["payloadType"].encode()
        signed = pae % (len(name), name, len(SEALED.payload), SEALED.payload)
        self.assertTrue(is_signed_by(KEY.public, signed, signature.sig))

    def test_every_bit_of_the_payload(self) -> None:
        """With any bit of the payload changed, a byte more or a byte less, it does not open."""
        for position in range(len(SEALED.payload)):
            for bit in range(8):
                payload = bytearray(SEALED.payload)
                payload[position] ^= 1 << bit
                self.assert_forged(Envelope(bytes(payload), SEALED.payload_type, SEALED.signatures))
        for payload in (SEALED.payload + b" ", b" " + SEALED.payload, SEALED.payload[:-1], b""):
            self.assert_forged(Envelope(payload, SEALED.payload_type, SEALED.signatures), words="does not hold")

    def test_every_bit_of_the_signature(self) -> None:
        """With any bit of the signature changed, or of another length, it does not open."""
        [signature] = SEALED.signatures
        for position in range(64):
            for bit in range(8):
                sig = bytearray(signature.sig)
                sig[position] ^= 1 << bit
                self.assert_forged(with_signature(SEALED, sig=bytes(sig)), words="does not hold")
        for sig in (b"", signature.sig[:-1], signature.sig + b"\0", bytes(64)):
            self.assert_forged(with_signature(SEALED, sig=sig), words="does not hold")

    def test_every_digit_of_the_key(self) -> None:
        """With any digit of the key changed it does not open."""
        for position in range(64):
            digit = "0" if KEY.public[position] != "0" else "1"
            self.assert_forged(with_signature(SEALED, keyid=KEY.public[:position] + digit + KEY.public[position + 1 :]))
        for keyid in ("", KEY.public[:-2], KEY.public + "00"):
            self.assert_forged(with_signature(SEALED, keyid=keyid))
        for keyid in ("z" * 64, KEY.public.upper(), " " * 64, KEY.public[:-2] + "  ", "\uff10" * 64, KEY.public[:-1]):
            with self.assertRaises(ValueError):
                with_signature(SEALED, keyid=keyid)

    def test_every_letter_of_the_type(self) -> None:
        """With any letter of the type changed it does not open."""
        name = SEALED.payload_type
        for position in range(len(name)):
            changed = name[:position] + "\0" + name[position + 1 :]
            self.assert_forged(Envelope(SEALED.payload, changed, SEALED.signatures), words="it is signed as")

    def test_another_kind(self) -> None:
        """A statement is not taken for one of another kind that has the same words."""
        self.assert_forged(SEALED, Letter, "it is signed as")
        renamed = Envelope(SEALED.payload, Letter.payload_type(), SEALED.signatures)
        self.assert_forged(renamed, Letter, "does not hold")

    def test_kinds_of_a_sale(self) -> None:
        """Of the statements of a sale none is taken for another; each kind has a name of its own."""
        kinds = (Quote, Purchase, Withdrawal, Answer)
        self.assertEqual(len({kind.payload_type() for kind in kinds}), 4)
        golden = dict(zip(("quote", "purchase", "withdrawal", "answer"), GoldenTests.envelopes(), strict=True))
        for name, envelope in golden.items():
            for kind in kinds:
                if kind.kind == name:
                    envelope.open(kind)
                else:
                    self.assert_forged(envelope, kind, "it is signed as")
                    renamed = Envelope(envelope.payload, kind.payload_type(), envelope.signatures)
                    self.assert_forged(renamed, kind, "does not hold")

    def test_in_anothers_name(self) -> None:
        """What is signed with another key than that of who speaks does not open."""
        self.assert_forged(seal(OTHER, NOTE), words="speaks for")

    def test_signed_nonsense(self) -> None:
        """A good signature under what is no statement opens nothing, however deep it is nested."""
        deep = b"[" * 4000 + b"]" * 4000
        for payload in (
            *(b"", b"{}", b"null", b"[]", b"\xff", b'{"author":1,"text":""}', deep, b'{"author":' + deep + b"}"),
            json.dumps({"author": KEY.public, "text": "x" * 1001}).encode(),
            json.dumps({"author": KEY.public.upper(), "text": ""}).encode(),
        ):
            signature = Signature(KEY.public, KEY.sign(_what_is_signed(Note.payload_type(), payload)))
            self.assert_forged(Envelope(payload, Note.payload_type(), (signature,)))

    def test_never_written_anew(self) -> None:
        """What another program wrote in other bytes opens as it is, and stays as it is."""
        payload = b' { "text" : "hi" , "later":[15,null], "author" : "%b" }\n' % KEY.public.encode()
        signature = Signature(KEY.public, KEY.sign(_what_is_signed(Note.payload_type(), payload)))
        envelope = Envelope(payload, Note.payload_type(), (signature,))
        self.assertEqual(envelope.open(Note), Note(KEY.public, "hi"))
        self.assertEqual(read_envelope(envelope.encode()).payload, payload)

    def test_read_in_one_way_only(self) -> None:
        """What two readers could take for two different things is forged, below keys that a statement has not, too."""
        for more in ('"text":"ha"', '"later":[{"a":1,"a":1}]', '"later":[1.5]', '"later":"\\ud800"', '"later":9e1'):
            payload = b'{"text":"hi","author":"%b",%b}' % (KEY.public.encode(), more.encode())
            signature = Signature(KEY.public, KEY.sign(_what_is_signed(Note.payload_type(), payload)))
            self.assertRaises(Forged, Envelope(payload, Note.payload_type(), (signature,)).open, Note)

    @bounded
    @given(st.data())
    def test_damaged(self, data: st.DataObject) -> None:
        """With bytes of its JSON changed, lost or put in it does not open, or says the same still."""
        whole = SEALED.encode()
        start = data.draw(st.integers(0, len(whole)))
        end = data.draw(st.integers(start, min(len(whole), start + 4)))
        damaged = whole[:start] + data.draw(st.binary(max_size=4)) + whole[end:]
        try:
            said = read_envelope(damaged).open(Note)
        except Forged:
            return
        self.assertEqual(said, NOTE)


class HostileTests(SynchronousTestCase):
    """Whatever a stranger sends for an envelope, in a file or in a message."""

    def hostile(self) -> list[bytes]:
        """Envelopes that are none."""
        good = json.loads(SEALED.encode())
        [signature] = good["signatures"]
        deep = b"[" * 100_000 + b"]" * 100_000
        changed = [
            {"signatures": []},
            {"signatures": [signature] * 2},
            {"signatures": signature},
            {"signatures": None},
            {"payload": b64encode(bytes(LONGEST_PAYLOAD_BYTES + 1)).decode()},
            {"payload": "A" * 4_000_000},
            {"payload": "not base64!"},
            {"payload": "e30"},
            {"payload": 1},
            {"payload": {}},
            {"payloadType": "x" * 129},
            {"payloadType": None},
            {"signatures": [{**signature, "sig": "A" * 87}]},
            {"signatures": [{**signature, "sig": b64encode(bytes(63)).decode()}]},
            {"signatures": [{**signature, "sig": b64encode(bytes(65)).decode()}]},
            {"signatures": [{**signature, "keyid": "0" * 63}]},
            {"signatures": [{**signature, "keyid": KEY.public.upper()}]},
            {"signatures": [{"sig": signature["sig"]}]},
            {"signatures": [{"keyid": signature["keyid"]}]},
        ]
        missing = [{key: value for key, value in good.items() if key != name} for name in good]
        whole = [json.dumps({**good, **change}).encode() for change in changed]
        whole += [json.dumps(each).encode() for each in missing]
        nested = SEALED.encode()[:-1] + b',"more":' + deep + b"}"
        return [*whole, b"", b"null", b"[]", b'""', b"1", b"{", b"\xff", deep, nested, SEALED.encode()[:-1]]

    def test_in_a_file(self) -> None:
        """It is refused as forged, and raises nothing else; nor is it decoded if it is too large."""
        for text in self.hostile():
            self.assertRaises(Forged, read_envelope, text)
        self.assertEqual(read_envelope(b"  " + SEALED.encode() + b"\n"), SEALED)

    def test_in_a_message(self) -> None:
        """It makes the message malformed: the link says so, and no role ever sees it."""
        codec = Codec([Buy])
        for text in self.hostile():
            error = self.assertRaises(WireError, codec.decode, b'{"type":"buy","id":1,"order":%b}' % text)
            self.assertIsInstance(error, MalformedMessage)

    def test_largest(self) -> None:
        """The largest payload that is taken is taken."""
        largest = Envelope(bytes(LONGEST_PAYLOAD_BYTES), "x", SEALED.signatures)
        self.assertEqual(read_envelope(largest.encode()), largest)
        self.assertRaises(Forged, largest.open, Note)


class GoldenTests(SynchronousTestCase):
    """Envelopes that were written when the format was settled: old receipts hold for ever."""

    @staticmethod
    def envelopes() -> list[Envelope]:
        """Quote, purchase, withdrawal, and the answer to the purchase."""
        return [read_envelope(line) for line in GOLDEN.read_bytes().splitlines()]

    def test_written(self) -> None:
        """The same statements by the same keys are the same bytes today."""
        said = Quote(
            bazaar="bazaar",
            seller=KEY.public,
            id="00112233445566778899aabbccddeeff",
            item="Äpfel, reif",
            quantity=12,
            valid_until=1_750_000_000_000,
            price=120,
        )
        quote = seal(KEY, said)
        order_id = "ffeeddccbbaa99887766554433221100"
        purchase = seal(OTHER, Purchase("bazaar", OTHER.public, order_id, "Äpfel, reif", 3, quote))
        withdrawal = seal(OTHER, Withdrawal("bazaar", OTHER.public, order_id, quote))
        golden = GOLDEN.read_bytes().splitlines()
        answer = msgspec.structs.replace(
            self.envelopes()[3].open(Answer), bazaar="bazaar", seller=KEY.public, buyer=OTHER.public, order=order_id
        )
        written = [quote, purchase, withdrawal, seal(KEY, answer)]
        self.assertEqual([envelope.encode() for envelope in written], golden)

    def test_read(self) -> None:
        """They hold, and together they are a receipt."""
        quote, purchase, withdrawal, answer = self.envelopes()
        asked, terms, said = check_receipt(Receipt(purchase, answer))
        self.assertEqual((asked, terms, said), (purchase.open(Purchase), quote.open(Quote), answer.open(Answer)))
        self.assertEqual((said.outcome.value, said.quantity, terms.price), ("sold", 3, 120))
        self.assertEqual(withdrawal.open(Withdrawal).id, said.order)
