"""One timer for all links of a node.

Links name deadlines; the watch wakes at the earliest, asks every link, and sleeps again. A link that
hears something moves its deadline without telling anybody, so traffic costs no timers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

log = Logger()


class Watched(Protocol):
    """Something with a deadline."""

    def check(self, now: float) -> float:
        """Do what is due; return the time of the next deadline, infinity for none."""


class Watch:
    """Wakes a set of things at their deadlines.

    @param clock: the source of time and timers.
    @param watched: the things; a live collection, copied at each look.
    """

    def __init__(self, clock: IReactorTime, watched: Iterable[Watched]) -> None:
        self._clock = clock
        self._watched = watched
        self._at = float("inf")
        self._call: IDelayedCall | None = None

    def wake_by(self, at: float) -> None:
        """Look at everything at this time or earlier."""
        if at >= self._at:
            return
        self.stop()
        self._at = at
        self._call = self._clock.callLater(max(0.0, at - self._clock.seconds()), self._look)

    def stop(self) -> None:
        """Look no more, until the next deadline is named."""
        self._at = float("inf")
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _look(self) -> None:
        self._call = None
        self._at = float("inf")
        now = self._clock.seconds()
        for thing in list(self._watched):
            try:
                at = thing.check(now)
            except Exception:
                log.failure("{thing} failed at its deadline", thing=thing)
            else:
                self.wake_by(at)
