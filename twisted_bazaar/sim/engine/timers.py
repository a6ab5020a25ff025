"""Timers of a simulated machine: they go by its clock, also when that is wrong.

A timer stands on the heap once. When it is put off it stays where it is and looks again when its old
time has come, so that one that is put off with every message costs nothing more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet import error
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from twisted_bazaar.sim.engine.interfaces import Host

# No entry on the heap is this old.
_NEVER: Final = -1.0


@implementer(IDelayedCall)
class DelayedCall:
    """A call that a machine makes later, as the C{DelayedCall} of Twisted's reactor."""

    __slots__ = ("_args", "_at", "_call", "_due", "_host", "_kwargs", "_over")

    def __init__(
        self, host: Host, delay: float, call: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._host = host
        self._call: Callable[..., object] | None = call
        self._args = args
        self._kwargs = kwargs
        self._over: type[ValueError] | None = None
        # By the clock of the host; when that will be, by true time, is where it stands on the heap.
        self._due = host.seconds() + delay
        self._at = _NEVER
        host.timers[self] = None
        self.queue()

    def __repr__(self) -> str:
        return f"<timer of {self._host.name}: {self._call!r}>"

    def getTime(self) -> float:
        """When it is due, by the clock of its host."""
        return self._due

    def cancel(self) -> None:
        """Let it not happen.

        @raise AlreadyCalled: it has happened.
        @raise AlreadyCancelled: it was cancelled before.
        """
        self._check()
        self._over = error.AlreadyCancelled
        self._host.timers.pop(self, None)
        self.abandon()

    def reset(self, secondsFromNow: float) -> None:
        """Let it happen so long from now."""
        self._check()
        self._move(self._host.seconds() + secondsFromNow)

    def delay(self, secondsLater: float) -> None:
        """Let it happen so much later."""
        self._check()
        self._move(self._due + secondsLater)

    def active(self) -> bool:
        """Whether it is still to happen."""
        return self._over is None

    def queue(self) -> None:
        """Stand on the heap where it is due by the clock as that goes now, unless it does so earlier anyway."""
        if self._call is None:
            return
        timeline = self._host.network.timeline
        at = self._host.true_time(self._due)
        if self._at >= timeline.now:
            if self._at <= at:
                return
            timeline.note_cancelled()
        self._at = at
        timeline.at(at, _ring, self)

    def abandon(self) -> None:
        """Never ring: it was cancelled, or its program is gone."""
        self._at = _NEVER
        self._call, self._args, self._kwargs = None, (), {}
        self._host.network.timeline.note_cancelled()

    def is_spent_at(self, when: float) -> bool:
        """Whether an entry on the heap counts no more."""
        return when != self._at

    def fire(self) -> None:
        """Its time may have come."""
        host = self._host
        if host.network.timeline.now != self._at:
            return
        self._at = _NEVER
        if host.is_paused:
            host.backlog.append((DelayedCall.queue, self))
            return
        if host.seconds() < self._due:
            self.queue()
            return
        call, args, kwargs = self._call, self._args, self._kwargs
        assert call is not None, "a timer that still rings has something to do"
        self._over = error.AlreadyCalled
        self._call, self._args, self._kwargs = None, (), {}
        host.timers.pop(self, None)
        call(*args, **kwargs)

    def _check(self) -> None:
        if self._over is not None:
            raise self._over()

    def _move(self, due: float) -> None:
        # One that is of an ended program, and so of no host any more, stays where it is.
        self._due = due
        if self in self._host.timers:
            self.queue()


def _ring(timer: DelayedCall) -> None:
    timer.fire()
