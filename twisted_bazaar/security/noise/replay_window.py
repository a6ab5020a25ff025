"""Which numbers have come: each counts once, in any order, within a window (compare RFC 4303, 3.4.3). Sans-IO."""

from __future__ import annotations

from typing import Final

WINDOW: Final = 2048
_ALL: Final = (1 << WINDOW) - 1


class ReplayWindow:
    """The numbers of datagrams that have come, as far back as the window goes."""

    __slots__ = ("_highest", "_seen")

    def __init__(self) -> None:
        self._highest = -1
        # Bit n says that the number n below the highest has come.
        self._seen = 0

    def is_new(self, number: int) -> bool:
        """Whether a number has not come, and is not too old to know."""
        age = self._highest - number
        return age < 0 or (age < WINDOW and not self._seen >> age & 1)

    def mark(self, number: int) -> None:
        """A number that was new has come, and what bore it is proven."""
        ahead = number - self._highest
        if ahead > 0:
            self._seen = ((self._seen << ahead) & _ALL if ahead < WINDOW else 0) | 1
            self._highest = number
        else:
            self._seen |= 1 << -ahead
