"""Identifiers on the circle, and the contacts that have them (Chord, 4.2). Sans-IO.

The ring is a circle of 2**bits identifiers. A node's identifier follows from its public key, that of a key from its
name; a key belongs to its successor, the first node at its identifier or after it. On the wire identifiers are
hexadecimal texts of fixed length, since they are greater than integers there may be.

Source: Stoica and others, "Chord: a scalable peer-to-peer lookup protocol" (ToN 2003).
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
from attrs import field, frozen

from twisted_bazaar.values.addresses import Address

LEAST_BITS: Final = 3
MOST_BITS: Final = 160
USUAL_BITS: Final = 64
CLASSROOM_BITS: Final = 8
LARGEST_NUMBER: Final = 9_999
_NUMBER_DIGITS: Final = len(str(LARGEST_NUMBER))
_HEX_DIGITS: Final = frozenset("0123456789abcdef")
# On rings no larger, people call identifiers by numbers.
_COUNTED_BITS: Final = 16
_SHA256_BITS: Final = 256


class Contact(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """A contact: a node's identifier, key and address.

    @ivar id: its identifier.
    @ivar key: its public key.
    @ivar address: where it takes datagrams.
    @ivar port: where on the same host it takes links; 0 if nowhere.
    """

    id: int
    key: str
    address: Address
    port: int = 0


@frozen
class Ring:
    """The identifier circle: arithmetic modulo 2**bits.

    @ivar bits: 3 to 160.
    @ivar size: how many identifiers there are.
    @ivar digits: how many hexadecimal digits the text of an identifier has.
    @raise ValueError: C{bits} is outside of that.
    """

    bits: int = USUAL_BITS
    size: int = field(init=False, repr=False, eq=False)
    digits: int = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if not LEAST_BITS <= self.bits <= MOST_BITS:
            raise ValueError(f"a ring has {LEAST_BITS} to {MOST_BITS} bits, not {self.bits}")
        object.__setattr__(self, "size", 1 << self.bits)
        object.__setattr__(self, "digits", -(-self.bits // 4))

    def distance(self, start: int, end: int) -> int:
        """How many steps upwards it is from one identifier to another; 0 for the same."""
        return (end - start) % self.size

    def is_between(self, low: int, identifier: int, high: int) -> bool:
        """Whether an identifier is met on the way up from C{low} to C{high}, both left out.

        From an identifier to itself is once round: everything but that identifier is between.
        """
        if low < high:
            return low < identifier < high
        return identifier > low or identifier < high

    def is_within(self, low: int, identifier: int, high: int) -> bool:
        """Whether an identifier is met on the way up from C{low}, left out, to C{high}, included.

        From an identifier to itself is once round: everything is within. So a node is responsible for what is
        within its predecessor and itself.
        """
        size, first = self.size, low + 1
        return (identifier - first) % size <= (high - first) % size

    def id_of_key(self, public: str) -> int:
        """Where a node stands that has a public key, given as hexadecimal digits."""
        return self._hash(bytes.fromhex(public))

    def is_of_key(self, contact: Contact) -> bool:
        """Whether a node stands where its key has it stand, and has not been given another identifier."""
        try:
            return self.id_of_key(contact.key) == contact.id
        except ValueError:
            return False

    def key_of(self, name: str | bytes) -> int:
        """Where something of a name is kept."""
        return self._hash(name.encode() if isinstance(name, str) else name)

    def classroom_key(self, number: int) -> int:
        """Where something is kept that is called by a number of at most four digits, as in a classroom.

        @raise ValueError: it is no such number.
        """
        if not 0 <= number <= LARGEST_NUMBER:
            raise ValueError(f"{number}: a number from 0 to {LARGEST_NUMBER} is wanted")
        return number % self.size

    def check(self, identifier: int) -> int:
        """The same identifier.

        @raise ValueError: there is none such on this ring.
        """
        if not 0 <= identifier < self.size:
            raise ValueError(f"{identifier}: places on this ring go from 0 to {self.size - 1}")
        return identifier

    def display(self, identifier: int) -> str:
        """An identifier as people call it: by its number on a small ring, and by its text on another."""
        return str(identifier) if self.is_classic else self.to_wire(identifier)

    @property
    def is_classic(self) -> bool:
        """Whether it is so small that people call identifiers by numbers."""
        return self.bits <= _COUNTED_BITS

    def to_wire(self, identifier: int) -> str:
        """An identifier as it stands on the wire."""
        return f"{identifier:0{self.digits}x}"

    def from_wire(self, text: str) -> int:
        """The identifier that a text from the wire means.

        @raise ValueError: it is not what L{to_wire} makes of an identifier of this ring.
        """
        if len(text) != self.digits or not _HEX_DIGITS.issuperset(text):
            raise ValueError(f"a place on this ring is written as {self.digits} hexadecimal digits")
        return self.check(int(text, 16))

    def _hash(self, content: bytes) -> int:
        return int.from_bytes(hashlib.sha256(content).digest()) >> (_SHA256_BITS - self.bits)


def is_number(name: str) -> bool:
    """Whether a name is a number as files have in a classroom, of one to four digits."""
    return name.isascii() and name.isdigit() and len(name) <= _NUMBER_DIGITS
