"""Ranges of bytes that have come beyond the first gap: selective acknowledgement (RFC 2018). Sans-IO."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from twisted_bazaar.files.window.segment import Range


class SackRanges:
    """Ranges of offsets that neither touch nor overlap, in order.

    @ivar total: how many offsets are in them.
    """

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._ends: list[int] = []
        self.total: int = 0

    def __len__(self) -> int:
        return len(self._firsts)

    def __iter__(self) -> Iterator[Range]:
        return iter(zip(self._firsts, self._ends, strict=True))

    @property
    def last_end(self) -> int:
        """The offset after the last; 0 if there is none."""
        return self._ends[-1] if self._ends else 0

    def touches(self, first: int, end: int) -> bool:
        """Whether any of these offsets is in a range."""
        at = bisect_right(self._ends, first)
        return at < len(self._firsts) and self._firsts[at] < end

    def missing(self, first: int, end: int) -> Sequence[Range]:
        """Those of these offsets that are in no range."""
        gaps = []
        at = bisect_right(self._ends, first)
        while first < end and at < len(self._firsts) and self._firsts[at] < end:
            if self._firsts[at] > first:
                gaps.append((first, self._firsts[at]))
            first = self._ends[at]
            at += 1
        if first < end:
            gaps.append((first, end))
        return gaps

    def add(self, first: int, end: int) -> None:
        """Put offsets in."""
        low = bisect_left(self._ends, first)
        high = bisect_right(self._firsts, end)
        if low < high:
            self.total -= sum(self._ends[low:high]) - sum(self._firsts[low:high])
            first = min(first, self._firsts[low])
            end = max(end, self._ends[high - 1])
        self._firsts[low:high] = [first]
        self._ends[low:high] = [end]
        self.total += end - first

    def drop_before(self, offset: int) -> None:
        """Take out all offsets before one."""
        while self._firsts and self._firsts[0] < offset:
            first, end = self._firsts[0], self._ends[0]
            if end > offset:
                self._firsts[0] = offset
                self.total -= offset - first
                return
            del self._firsts[0], self._ends[0]
            self.total -= end - first

    def around(self, offsets: Iterable[int]) -> list[Range]:
        """The ranges in which these offsets are, in this order."""
        firsts, ends = self._firsts, self._ends
        count, seen, found = len(firsts), set(), []
        for offset in offsets:
            at = bisect_right(ends, offset)
            if at < count and at not in seen and firsts[at] <= offset:
                seen.add(at)
                found.append((firsts[at], ends[at]))
        return found
