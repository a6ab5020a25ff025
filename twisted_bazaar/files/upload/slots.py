"""Who is served and who waits, when more ask than can be served at once. Sans-IO.

Whoever waits longest is next, among those from the host that has the fewest slots: more connections from one
host get no more. A turn ends after some chunks or some seconds if somebody waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from attrs import define

_TURN_CHUNKS: Final = 8
_TURN_S: Final = 10.0

T = TypeVar("T", bound=Hashable)


@define
class _Turn:
    host: str
    since: float
    chunks: int = 0


class Slots(Generic[T]):
    """A number of slots, and the line before them.

    @param count: how many there are.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._turns: dict[T, _Turn] = {}
        self._line: dict[T, str] = {}

    @property
    def busy(self) -> int:
        """How many are served or wait."""
        return len(self._turns) + len(self._line)

    @property
    def has_line(self) -> bool:
        """Whether somebody waits."""
        return bool(self._line)

    def serves(self, asker: T) -> bool:
        """Whether somebody has a slot."""
        return asker in self._turns

    def waits(self, asker: T) -> bool:
        """Whether somebody stands in line."""
        return asker in self._line

    def enter(self, asker: T, host: str) -> None:
        """Stand in line, at its end; who stands there or is served stays as it is."""
        if asker not in self._turns:
            self._line.setdefault(asker, host)

    def leave(self, asker: T) -> None:
        """Give up the slot or the place in the line."""
        self._turns.pop(asker, None)
        self._line.pop(asker, None)

    def ahead(self, asker: T) -> int:
        """How many stand before somebody in the line."""
        return list(self._line).index(asker)

    def fill(self, now: float) -> list[T]:
        """Give out the slots that are free; returns to whom."""
        given: list[T] = []
        while self._line and len(self._turns) < self._count:
            held = Counter(turn.host for turn in self._turns.values())
            asker = min(self._line, key=lambda each: held[self._line[each]])
            self._turns[asker] = _Turn(self._line.pop(asker), now)
            given.append(asker)
        return given

    def sent(self, asker: T) -> None:
        """A chunk has been sent to somebody who has a slot."""
        if asker in self._turns:
            self._turns[asker].chunks += 1

    def is_over(self, asker: T, now: float) -> bool:
        """Whether somebody has had its turn, and others wait."""
        turn = self._turns[asker]
        return bool(self._line) and (turn.chunks >= _TURN_CHUNKS or now - turn.since >= _TURN_S)
