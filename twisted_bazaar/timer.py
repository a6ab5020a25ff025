"""A timer: one call in the future, which is set, moved and cancelled."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Timer:
    """Calls something once, when it is time. Whatever is done to it may be done twice.

    It may be set again by what it calls.

    @param clock: the only source of time.
    @param action: what is called.
    """

    __slots__ = ("_action", "_call", "_clock")

    def __init__(self, clock: IReactorTime, action: Callable[[], object]) -> None:
        self._clock = clock
        self._action = action
        self._call: IDelayedCall | None = None

    @property
    def is_set(self) -> bool:
        """Whether the call is still to come."""
        return self._call is not None

    @property
    def due(self) -> float | None:
        """The time of the call, in seconds of the clock; None if it is not set."""
        return None if self._call is None else self._call.getTime()

    def set(self, delay_s: float) -> None:
        """Call in so many seconds from now, and not when it was to be before."""
        # Not `reset`: to move one forward, Twisted's reactors look through all calls that there are.
        self.cancel()
        self._call = self._clock.callLater(delay_s, self._fire)

    def set_earlier(self, delay_s: float) -> None:
        """Call in so many seconds from now, unless it is to be earlier."""
        if self._call is None or self._call.getTime() > self._clock.seconds() + delay_s:
            self.set(delay_s)

    def cancel(self) -> None:
        """Do not call."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _fire(self) -> None:
        self._call = None
        self._action()
