"""One timer for all questions of a node, however many there are.

Most are answered long before their time is over. So a question costs no timer, and leaves nothing behind when it is
answered: the one timer wakes at the earliest deadline that was named, looks at the questions there are then, and sleeps
until the earliest of those.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, Generic, Protocol, TypeVar

from twisted.internet.interfaces import IReactorTime

from twisted_bazaar.timer import Timer

NEVER: Final = float("inf")
# Between two looks at least, however many deadlines there are one after the other.
_TICK_S: Final = 0.005


class Due(Protocol):
    """Something with a deadline.

    @ivar due: when it is; L{NEVER} while it has none.
    """

    due: float


T = TypeVar("T", bound=Due)


class Timers(Generic[T]):
    """The deadlines of some things, met give or take a moment.

    @param clock: the source of time and timers.
    @param things: a live collection.
    @param over: called with each whose time is over; which then has no deadline.
    """

    __slots__ = ("_at", "_clock", "_over", "_things", "_timer")

    def __init__(self, clock: IReactorTime, things: Collection[T], over: Callable[[T], None]) -> None:
        self._clock = clock
        self._things = things
        self._over = over
        self._at = NEVER
        self._timer = Timer(clock, self._look)

    def wake_by(self, at: float) -> None:
        """Something has this deadline now."""
        if at < self._at:
            self._wake_at(at)

    def stop(self) -> None:
        """Look no more, until the next deadline is named."""
        self._wake_at(NEVER)

    def _wake_at(self, at: float) -> None:
        self._at = at
        if at < NEVER:
            self._timer.set(max(0.0, at - self._clock.seconds()))
        else:
            self._timer.cancel()

    def _look(self) -> None:
        if not self._things:
            self._at = NEVER
            return
        now = self._clock.seconds()
        # Sums of fractions may come out just below the time that was wanted.
        until = max(self._at, now)
        # What is named meanwhile is looked at afterwards.
        self._at = -NEVER
        try:
            for thing in [each for each in self._things if each.due <= until]:
                # What becomes of one may have ended another.
                if thing.due <= until:
                    thing.due = NEVER
                    self._over(thing)
        finally:
            earliest = min([each.due for each in self._things], default=NEVER)
            self._wake_at(max(earliest, now + _TICK_S))
