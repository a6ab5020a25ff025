"""Exponential backoff with jitter: how long to wait before the next try. Sans-IO."""

from __future__ import annotations

import random
from typing import Final

JITTER: Final = 0.25
"""Each delay is spread evenly over this share of itself, either way, where nobody says otherwise."""


class Backoff:
    """Delays that grow from try to try, with jitter, up to a ceiling.

    @param rng: the source of the jitter.
    @param first_s: the first delay, before jitter.
    @param most_s: the ceiling, before jitter.
    @param factor: by how much each delay is longer than the one before.
    @param jitter: each delay is spread evenly over this share of itself, either way.
    """

    def __init__(
        self, rng: random.Random, first_s: float, most_s: float, *, factor: float = 1.6, jitter: float = JITTER
    ) -> None:
        self._rng = rng
        self._first_s = first_s
        self._most_s = most_s
        self._factor = factor
        self._jitter = jitter
        self._next_s = first_s

    def delay(self) -> float:
        """Seconds to wait now; the next answer is longer."""
        delay_s = self._next_s
        self._next_s = min(self._most_s, delay_s * self._factor)
        return delay_s * self._rng.uniform(1 - self._jitter, 1 + self._jitter)

    def reset(self) -> None:
        """Begin again with the first delay: something worked."""
        self._next_s = self._first_s
