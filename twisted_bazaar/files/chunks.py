"""Chunks and manifests: the size and digest of each chunk of a file, and which of them are there (BEP 3). Sans-IO.

A file is known by the SHA-256 of the whole. That says nothing about its parts, so whoever has it gives a
manifest, the SHA-256 of each chunk. A manifest is only believed until the whole is there: if that does not hash to
what was asked for, the manifest was a lie, and so was everybody who gave it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property
from typing import Final, Self

from attrs import field, frozen

CHUNK_BYTES: Final = 1 << 20
DIGEST_BYTES: Final = 32
EMPTY_DIGEST: Final = hashlib.sha256(b"").hexdigest()

# A million chunks are packed within a turn of the reactor by what turns digits to numbers.
_TO_DIGITS: Final = bytes.maketrans(b"\x00\x01", b"01")
_FROM_DIGITS: Final = bytes.maketrans(b"01", b"\x00\x01")


def chunk_count(size: int) -> int:
    """The number of chunks of a file of this size; an empty file has none."""
    return -(-size // CHUNK_BYTES)


@frozen
class Manifest:
    """The parts of a file, as somebody states them: its size, its digest and those of its chunks.

    @ivar digest: of the whole, 64 hexadecimal digits.
    @ivar size: in bytes.
    @ivar chunk_digests: those of all chunks, 32 bytes each, in their order.
    @raise ValueError: there are not as many digests as the size needs.
    """

    digest: str
    size: int
    chunk_digests: bytes = field(repr=False)

    def __attrs_post_init__(self) -> None:
        expected = chunk_count(self.size) * DIGEST_BYTES
        if len(self.chunk_digests) != expected:
            raise ValueError(f"a manifest of {len(self.chunk_digests)} bytes, where {self.size} bytes need {expected}")
        if not self.size and self.digest != EMPTY_DIGEST:
            raise ValueError("an empty file with the digest of another")

    @property
    def count(self) -> int:
        """The number of chunks."""
        return chunk_count(self.size)

    @cached_property
    def root(self) -> str:
        """SHA-256 over all chunk digests: two manifests are the same if size and root are."""
        return hashlib.sha256(self.chunk_digests).hexdigest()

    def size_of(self, chunk: int) -> int:
        """The bytes of one chunk; all have 1 MiB but the last."""
        return min(CHUNK_BYTES, self.size - chunk * CHUNK_BYTES)

    def size_of_all(self, holdings: Holdings) -> int:
        """The bytes of all chunks that are there."""
        last = self.count - 1
        short = CHUNK_BYTES - self.size_of(last) if last in holdings else 0
        return len(holdings) * CHUNK_BYTES - short

    def digest_of(self, chunk: int) -> bytes:
        """The digest that a chunk must have, 32 bytes."""
        return self.chunk_digests[chunk * DIGEST_BYTES : (chunk + 1) * DIGEST_BYTES]

    def fits(self, chunk: int, content: bytes | bytearray | memoryview) -> bool:
        """Whether these bytes are the chunk."""
        return len(content) == self.size_of(chunk) and hashlib.sha256(content).digest() == self.digest_of(chunk)


class Holdings:
    """The chunks of a file that somebody has.

    @param count: how many the file has.
    @param is_whole: whether all are there.
    """

    __slots__ = ("_bits", "_held", "count")

    def __init__(self, count: int, *, is_whole: bool = False) -> None:
        self.count: int = count
        self._bits = bytearray((b"\x01" if is_whole else b"\x00") * count)
        self._held = count if is_whole else 0

    def __len__(self) -> int:
        return self._held

    def __contains__(self, chunk: int) -> bool:
        return 0 <= chunk < self.count and bool(self._bits[chunk])

    def __iter__(self) -> Iterator[int]:
        return (chunk for chunk, bit in enumerate(self._bits) if bit)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return self._held == self.count

    def missing(self) -> Iterator[int]:
        """The chunks that are not there."""
        return (chunk for chunk, bit in enumerate(self._bits) if not bit)

    def next_missing(self, chunk: int) -> int | None:
        """The first chunk that is not there, from one on."""
        found = self._bits.find(0, chunk)
        return None if found < 0 else found

    def add(self, chunk: int) -> bool:
        """Enter a chunk; returns whether it is new."""
        if self._bits[chunk]:
            return False
        self._bits[chunk] = 1
        self._held += 1
        return True

    def discard(self, chunk: int) -> None:
        """Take a chunk out if it is in."""
        if self._bits[chunk]:
            self._bits[chunk] = 0
            self._held -= 1

    def to_bytes(self) -> bytes:
        """One bit a chunk, the first chunk in the highest bit of the first byte; spare bits are 0."""
        size = -(-self.count // 8)
        return (int(self._bits.translate(_TO_DIGITS) or b"0", 2) << 8 * size - self.count).to_bytes(size, "big")

    @classmethod
    def from_bytes(cls, count: int, packed: bytes) -> Self:
        """Read what L{to_bytes} wrote.

        @raise ValueError: it is for another number of chunks.
        """
        if len(packed) != -(-count // 8) or (count % 8 and packed[-1] & (0xFF >> count % 8)):
            raise ValueError(f"{len(packed)} bytes for {count} chunks")
        holdings = cls(count)
        digits = f"{int.from_bytes(packed, 'big'):0{8 * len(packed)}b}".encode()
        holdings._bits = bytearray(digits.translate(_FROM_DIGITS)[:count])
        holdings._held = holdings._bits.count(1)
        return holdings
