"""Rarest first: which chunk to ask a source for, by chance among equals (BEP 3). Sans-IO.

Sets of chunks are whole numbers with one bit a chunk, as in L{twisted_bazaar.files.chunks.Holdings.to_bytes} read
with the highest byte first: a set of a million chunks is met with another in some microseconds.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from twisted_bazaar.files.chunks import Holdings


def packed_bits(count: int) -> int:
    """The number of bits in the set of the chunks of a file, the spare ones included."""
    return -(-count // 8) * 8


def all_of(count: int) -> int:
    """The set of all chunks of a file."""
    return ((1 << count) - 1) << (packed_bits(count) - count)


def set_of(count: int, chunks: Iterable[int]) -> int:
    """The set of some chunks."""
    packed = bytearray(packed_bits(count) // 8)
    for chunk in chunks:
        packed[chunk >> 3] |= 0x80 >> (chunk & 7)
    return int.from_bytes(packed, "big")


class Picker:
    """Knows what is missing, what has been asked for, and how many sources of a part of the file have each chunk.

    Sources that have the whole are not counted: they make no chunk rarer than another. As long as there are
    no others, chunks are picked in their order, which is kindest to disks.

    @param holdings: what is there already.
    @param rng: decides among equally rare chunks.
    """

    def __init__(self, holdings: Holdings, rng: random.Random) -> None:
        self.count: int = holdings.count
        self._rng = rng
        self._last = packed_bits(self.count) - 1
        self._missing = all_of(self.count) & ~int.from_bytes(holdings.to_bytes(), "big")
        self._asked = 0
        # By how many have it, the sets of chunks.
        self._levels = [all_of(self.count)]
        self._partials = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is missing."""
        return not self._missing

    @property
    def unrequested(self) -> int:
        """The number of chunks that are missing and that nobody has been asked for."""
        return (self._missing & ~self._asked).bit_count()

    def source_joined(self, has: int) -> None:
        """A source of a part of the file is there."""
        self._partials += 1
        self.source_grown(has)

    def source_grown(self, has: int) -> None:
        """Such a source has some chunks that it had not before."""
        for level in range(len(self._levels) - 1, -1, -1):
            moved = self._levels[level] & has
            if moved:
                if level + 1 == len(self._levels):
                    self._levels.append(0)
                self._levels[level] ^= moved
                self._levels[level + 1] |= moved

    def source_left(self, has: int) -> None:
        """Such a source is gone.

        @param has: all that it had.
        """
        self._partials -= 1
        for level in range(1, len(self._levels)):
            moved = self._levels[level] & has
            self._levels[level] ^= moved
            self._levels[level - 1] |= moved
        while len(self._levels) > 1 and not self._levels[-1]:
            self._levels.pop()

    def is_useful(self, has: int | None) -> bool:
        """Whether a source has anything that is missing; None for one that has the whole."""
        return bool(self._missing if has is None else self._missing & has)

    def can_pick(self, has: int | None) -> bool:
        """Whether L{pick} would give anything."""
        wanted = self._missing & ~self._asked
        return bool(wanted if has is None else wanted & has)

    def pick(self, has: int | None, *, in_turn: bool = True) -> int | None:
        """The chunk to ask a source for next; it counts as asked for from now on.

        @param has: what the source has; None for the whole.
        @param in_turn: whether equally rare ones may be taken in their order.
        @return: None when it has nothing that is missing and not asked for.
        """
        wanted = self._missing & ~self._asked
        if has is not None:
            wanted &= has
        for level in self._levels:
            some = wanted & level
            if some:
                place = some.bit_length() - 1 if in_turn and not self._partials else self._any_of(some)
                self._asked |= 1 << place
                return self._last - place
        return None

    def pick_from(self, chunks: Iterable[int], has: int | None) -> int | None:
        """The first of some chunks that is missing, not asked for, and in a set; it counts as asked for."""
        wanted = self._missing & ~self._asked
        for chunk in chunks:
            bit = 1 << (self._last - chunk)
            if wanted & bit and self.holds(has, chunk):
                self._asked |= bit
                return chunk
        return None

    def holds(self, chunks: int | None, chunk: int) -> bool:
        """Whether a chunk is in a set; everything is in None."""
        return chunks is None or bool(chunks >> (self._last - chunk) & 1)

    def is_missing(self, chunk: int) -> bool:
        """Whether a chunk has not come yet."""
        return bool(self._missing >> (self._last - chunk) & 1)

    def chunk_received(self, chunk: int) -> None:
        """A chunk is there."""
        bit = 1 << (self._last - chunk)
        self._missing &= ~bit
        self._asked &= ~bit

    def request_dropped(self, chunk: int) -> None:
        """A chunk that was asked for does not come."""
        self._asked &= ~(1 << (self._last - chunk))

    def _any_of(self, some: int) -> int:
        """The place of one of the bits that are set, by chance: the next one below a random place."""
        below = some & ((1 << self._rng.randrange(1, some.bit_length() + 1)) - 1)
        return (below or some).bit_length() - 1
