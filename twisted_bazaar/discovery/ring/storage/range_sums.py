"""Range sums over a sorted sequence that changes: the range digests of anti-entropy. Sans-IO.

Strangers decide how often both happens, one after the other. So neither may take as long as there are many: the numbers
lie in blocks, and of each block is known how many there are and what they weigh.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from itertools import islice
from typing import Final

_LARGEST_BLOCK: Final = 256


class RangeSums:
    """Numbers in order, each once.

    @param modulus: weights are added up modulo this.
    """

    def __init__(self, modulus: int) -> None:
        self._modulus = modulus
        self._weights: dict[int, int] = {}
        # None is empty; where each ends, how many there are in each and what they weigh stand beside.
        self._blocks: list[list[int]] = []
        self._lasts: list[int] = []
        self._sums: list[int] = []

    def __len__(self) -> int:
        return len(self._weights)

    def add(self, number: int, weight: int) -> None:
        """Put in a number that is not there."""
        self._weights[number] = weight
        if not self._blocks:
            self._blocks, self._lasts, self._sums = [[number]], [number], [weight]
            return
        index = min(bisect_left(self._lasts, number), len(self._blocks) - 1)
        block = self._blocks[index]
        insort(block, number)
        self._lasts[index] = block[-1]
        self._sums[index] = (self._sums[index] + weight) % self._modulus
        if len(block) > _LARGEST_BLOCK:
            half = len(block) // 2
            parts = [block[:half], block[half:]]
            self._blocks[index : index + 1] = parts
            self._lasts[index : index + 1] = [part[-1] for part in parts]
            self._sums[index : index + 1] = [self._weigh(part) for part in parts]

    def remove(self, number: int) -> None:
        """Take out a number that is there."""
        weight = self._weights.pop(number)
        index = bisect_left(self._lasts, number)
        block = self._blocks[index]
        del block[bisect_left(block, number)]
        if block:
            self._lasts[index] = block[-1]
            self._sums[index] = (self._sums[index] - weight) % self._modulus
        else:
            del self._blocks[index], self._lasts[index], self._sums[index]

    def rank(self, number: int) -> int:
        """How many there are up to a number, included."""
        index = bisect_right(self._lasts, number)
        before = sum(map(len, islice(self._blocks, index)))
        return before + (bisect_right(self._blocks[index], number) if index < len(self._blocks) else 0)

    def between(self, start: int, end: int) -> Iterator[int]:
        """Those of some ranks, the first included and the last left out; nothing may change meanwhile."""
        left = end - start
        for block in self._blocks:
            if start >= len(block):
                start -= len(block)
                continue
            yield from islice(block, start, start + left)
            left -= len(block) - start
            start = 0
            if left <= 0:
                return

    def sum(self, start: int, end: int) -> int:
        """What those of some ranks weigh."""
        return (self._sum_before(end) - self._sum_before(start)) % self._modulus

    def _sum_before(self, rank: int) -> int:
        total = 0
        for block, weight in zip(self._blocks, self._sums, strict=True):
            if rank < len(block):
                return total + self._weigh(block[:rank])
            total += weight
            rank -= len(block)
        return total

    def _weigh(self, numbers: list[int]) -> int:
        return sum(map(self._weights.__getitem__, numbers)) % self._modulus
