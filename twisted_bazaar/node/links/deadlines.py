"""Deadlines of all links of a node, on one timer.

Links name deadlines; the watch wakes at the earliest, asks every link, and sleeps again. A link that
hears something moves its deadline without telling anybody, so traffic costs no timers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, Protocol

from twisted.internet.interfaces import IReactorTime

from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.timer import Timer

log: Final = limited_logger(__name__)

_TICK_S: Final = 0.25
_LOOKS_A_TURN: Final = 500


class Watched(Protocol):
    """Something with a deadline."""

    def check(self, now: float) -> float:
        """Do what is due; return the time of the next deadline, infinity for none."""


class Deadlines:
    """Wakes a set of things at their deadlines, give or take a moment.

    @param clock: the source of time and timers.
    @param watched: the things; a live collection, copied at each look.
    """

    def __init__(self, clock: IReactorTime, watched: Iterable[Watched]) -> None:
        self._clock = clock
        self._watched = watched
        self._at = float("inf")
        self._looked_at = float("-inf")
        self._to_look_at: deque[Watched] = deque()
        self._timer = Timer(clock, self._wake)

    def schedule_check(self, at: float) -> None:
        """Look at everything at this time, or a quarter of a second later if there was a look just before."""
        at = max(at, self._looked_at + _TICK_S)
        if at >= self._at:
            return
        self._at = at
        if not self._to_look_at:
            self._timer.set(max(0.0, at - self._clock.seconds()))

    def stop(self) -> None:
        """Look no more, until the next deadline is named."""
        self._at = float("inf")
        self._to_look_at.clear()
        self._timer.cancel()

    def _wake(self) -> None:
        """Look at some, of those that are left or of all, and leave the rest for the next turn of the reactor."""
        now = self._clock.seconds()
        if not self._to_look_at:
            self._at = float("inf")
            self._looked_at = now
            self._to_look_at.extend(self._watched)
        for _ in range(min(_LOOKS_A_TURN, len(self._to_look_at))):
            thing = self._to_look_at.popleft()
            try:
                at = thing.check(now)
            except Exception:
                log.failure("{thing} raised an error at its deadline", thing=thing)
            else:
                self._at = min(self._at, max(at, self._looked_at + _TICK_S))
        if self._to_look_at:
            self._timer.set(0.0)
        elif self._at < float("inf"):
            self._timer.set(max(0.0, self._at - now))
