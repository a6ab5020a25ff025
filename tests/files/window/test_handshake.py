"""Who is let in."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.files.window import Handshake, Settings
from twisted_bazaar.files.window.handshake import SLOT_S, not_here, refusal
from twisted_bazaar.files.window.segment import (
    ACK,
    HEAD_BYTES,
    OPEN,
    RST,
    STRANGE,
    SYN,
    Segment,
    decode,
    decode_name,
    encode,
    encode_name,
)

HERE = ("10.0.0.1", 4000)
NAME = encode_name(b"stranger", 1000)


def segment(flags: int, to: bytes, payload: bytes) -> Segment:
    """One that has come."""
    found = decode(encode(flags, to, 0, 0, 0, 0, 0, 0, payload))
    assert found is not None
    return found


class OpeningTests(SynchronousTestCase):
    """The three steps."""

    def setUp(self) -> None:
        self.opening = Handshake(b"secret", Settings())

    def given(self, now: float) -> bytes:
        """The id that is given in the second step."""
        answer = self.opening.answer(segment(SYN, bytes(8), NAME), HERE, now)
        assert answer is not None
        found = decode(answer)
        assert found is not None
        self.assertEqual((found.to, found.flags), (b"stranger", SYN | ACK))
        name = decode_name(found.payload)
        assert name is not None
        return name[0]

    def test_right(self) -> None:
        """Who shows the id that it was given, from where it was given, is let in; for a slot or two."""
        third = segment(OPEN, self.given(100.0), NAME)
        for later_s in (0.0, SLOT_S - 1):
            self.assertEqual(self.opening.accept(third, HERE, 100.0 + later_s), (b"stranger", 1000))
        self.assertEqual(self.opening.accept(third, HERE, 100.0 + 2 * SLOT_S), None)

    def test_wrong(self) -> None:
        """From elsewhere, under another name, or of another node, it is worth nothing."""
        given = self.given(100.0)
        third = segment(OPEN, given, NAME)
        self.assertEqual(self.opening.accept(third, ("10.0.0.1", 4001), 100.0), None)
        self.assertEqual(self.opening.accept(third, ("10.0.0.2", 4000), 100.0), None)
        other = segment(OPEN, given, encode_name(b"somebody", 1000))
        self.assertEqual(self.opening.accept(other, HERE, 100.0), None)
        self.assertEqual(Handshake(b"other", Settings()).accept(third, HERE, 100.0), None)

    def test_nameless(self) -> None:
        """Who does not say who it is gets no answer."""
        syn = segment(SYN, bytes(8), b"short")
        self.assertEqual((self.opening.answer(syn, HERE, 0.0), refusal(syn)), (None, None))
        self.assertEqual(self.opening.accept(segment(OPEN, bytes(8), b""), HERE, 0.0), None)

    def test_refusals(self) -> None:
        """Refusals have no more than a head."""
        syn = segment(SYN, bytes(8), NAME)
        refused = refusal(syn)
        assert refused is not None
        found = decode(refused)
        assert found is not None
        self.assertEqual((found.flags, found.to, len(refused)), (RST, b"stranger", HEAD_BYTES))
        strange = decode(not_here(segment(ACK, b"nobodyis", b"hello")))
        assert strange is not None
        self.assertEqual((strange.flags, strange.to), (RST | STRANGE, b"nobodyis"))
