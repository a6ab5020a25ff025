"""Which numbers have come: each counts once, in any order, within a window (compare RFC 4303, 3.4.3). Sans-IO."""

from __future__ import annotations

from typing import Final

WINDOW: Final = 2048
_PLACE: Final = WINDOW - 1
"""The bits of a number that say which place it has; the window is a power of two."""


class ReplayWindow:
    """The numbers of datagrams that have come, as far back as the window goes."""

    __slots__ = ("_highest", "_seen")

    def __init__(self) -> None:
        self._highest = -1
        # For each number of the window, at its place, whether it has come.
        self._seen = bytearray(WINDOW)

    def is_new(self, number: int) -> bool:
        """Whether a number has not come, and is not too old to know."""
        age = self._highest - number
        return age < 0 or (age < WINDOW and not self._seen[number & _PLACE])

    def mark(self, number: int) -> None:
        """A number that was new has come, and what bore it is proven."""
        highest = self._highest
        if number > highest:
            if number - highest >= WINDOW:
                self._seen = bytearray(WINDOW)
            else:
                for skipped in range(highest + 1, number):
                    self._seen[skipped & _PLACE] = 0
            self._highest = number
        self._seen[number & _PLACE] = 1
