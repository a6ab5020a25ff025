"""Places on the ring."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from twisted_bazaar.discovery.ring.rules.identifiers import LARGEST_NUMBER, Ring

thorough = examples(500)
rings = st.integers(3, 160).map(Ring)
tiny = Ring(3)


def way(low: int, high: int) -> list[int]:
    """The places after C{low}, one by one, up to C{high}; at least one step is made."""
    identifiers = [(low + 1) % tiny.size]
    while identifiers[-1] != high:
        identifiers.append((identifiers[-1] + 1) % tiny.size)
    return identifiers


class RingTests(SynchronousTestCase):
    """The arithmetic of a circle, against walking it."""

    def test_bits(self) -> None:
        """A ring has 3 to 160 bits."""
        for bits in (-1, 0, 2, 161):
            self.assertRaises(ValueError, Ring, bits)
        self.assertEqual((Ring(3).size, Ring(160).size, Ring()), (8, 1 << 160, Ring(64)))

    def test_walked(self) -> None:
        """Distance and both kinds of between are what a walk upwards meets, for all places of a small ring."""
        for low in range(tiny.size):
            for high in range(tiny.size):
                met = way(low, high)
                self.assertEqual(tiny.distance(low, high), len(met) % tiny.size)
                for identifier in range(tiny.size):
                    case = (low, identifier, high)
                    self.assertEqual(tiny.is_within(*case), identifier in met, case)
                    self.assertEqual(tiny.is_between(*case), identifier in met[:-1], case)

    @thorough
    @given(rings, st.data())
    def test_turned(self, ring: Ring, data: st.DataObject) -> None:
        """No place is special: turning the ring changes nothing."""
        identifiers = st.integers(0, ring.size - 1)
        low, identifier, high, by = (data.draw(identifiers) for _ in range(4))
        turned = [(each + by) % ring.size for each in (low, identifier, high)]
        self.assertEqual(ring.is_between(low, identifier, high), ring.is_between(*turned))
        self.assertEqual(ring.is_within(low, identifier, high), ring.is_within(*turned))
        self.assertEqual(ring.distance(low, high), ring.distance(turned[0], turned[2]))

    @thorough
    @given(rings, st.data())
    def test_one_side(self, ring: Ring, data: st.DataObject) -> None:
        """Of two different places, a third is within one way from one to the other, and not within the other."""
        identifiers = st.integers(0, ring.size - 1)
        one, other, identifier = data.draw(identifiers), data.draw(identifiers), data.draw(identifiers)
        if one != other:
            self.assertNotEqual(ring.is_within(one, identifier, other), ring.is_within(other, identifier, one))
            self.assertEqual(ring.distance(one, other) + ring.distance(other, one), ring.size)


class PlaceTests(SynchronousTestCase):
    """Where nodes and keys are."""

    def test_hashed(self) -> None:
        """Nodes and keys are at the first bits of a SHA-256 of the key's bytes, or of the name's UTF-8."""
        whole = int(hashlib.sha256(b"\x0a" * 32).hexdigest(), 16)
        for bits in (3, 8, 64, 127, 160):
            self.assertEqual(Ring(bits).id_of_key("0a" * 32), whole >> (256 - bits))
            self.assertEqual(Ring(bits).key_of(b"\x0a" * 32), whole >> (256 - bits))
        self.assertEqual(Ring().key_of("Grüße"), Ring().key_of("Grüße".encode()))

    def test_classroom(self) -> None:
        """A number of up to four digits is at itself, modulo the size of the ring."""
        self.assertEqual([Ring(8).classroom_key(number) for number in (0, 2012, LARGEST_NUMBER)], [0, 220, 15])
        for number in (-1, 10_000):
            self.assertRaises(ValueError, Ring(8).classroom_key, number)

    def test_checked(self) -> None:
        """A place is on the ring, or it is refused."""
        self.assertEqual([Ring(8).check(identifier) for identifier in (0, 255)], [0, 255])
        for identifier in (-1, 256):
            self.assertRaises(ValueError, Ring(8).check, identifier)


class TextTests(SynchronousTestCase):
    """Places on the wire."""

    @thorough
    @given(rings, st.data())
    def test_there_and_back(self, ring: Ring, data: st.DataObject) -> None:
        """A place is one text, and that text is the place; texts sort as places do."""
        one, other = data.draw(st.integers(0, ring.size - 1)), data.draw(st.integers(0, ring.size - 1))
        self.assertEqual(ring.from_wire(ring.to_wire(one)), one)
        self.assertEqual(len(ring.to_wire(one)), ring.digits)
        self.assertEqual(ring.to_wire(one) < ring.to_wire(other), one < other)

    def test_examples(self) -> None:
        """As many digits as the ring needs, lower case."""
        self.assertEqual(
            [Ring(8).to_wire(10), Ring(9).to_wire(10), Ring(64).to_wire(10)], ["0a", "00a", "000000000000000a"]
        )

    def test_refused(self) -> None:
        """Nothing else is a place."""
        for text in ("", "a", "0A", "00a", " a", "+a", "0x", "1_", "٣٤", "g0"):
            self.assertRaises(ValueError, Ring(8).from_wire, text)
        self.assertRaises(ValueError, Ring(9).from_wire, "200")

    @thorough
    @given(st.text(max_size=4) | st.text("013afAF_ +", min_size=3, max_size=3))
    def test_anything(self, text: str) -> None:
        """Whatever is read is what would be written."""
        try:
            identifier = Ring(10).from_wire(text)
        except ValueError:
            return
        self.assertEqual(Ring(10).to_wire(identifier), text)
