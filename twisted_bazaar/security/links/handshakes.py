"""The handshakes of a node: how much of each turn of the reactor goes to those who have proven nothing yet.

A handshake costs a millisecond or so, and strangers may begin as many as they have connections. So there is a budget
of time for all of them in one turn. What of them comes when it is used up waits, is not read from meanwhile, and has
its turn by fair queueing over hosts: who comes for the first time goes before those who knock without end. Who has
proven a key waits for nobody here.

Where time stands still within a turn, as in a simulation, nobody waits.
"""

from __future__ import annotations

from typing import Final, Protocol

from twisted.internet.interfaces import IReactorTime

from twisted_bazaar.security.links.fair_queue import FairQueue
from twisted_bazaar.timer import Timer

TIME_S: Final = 0.005


class Stranger(Protocol):
    """A connection whose other end has proven nothing yet."""

    @property
    def host(self) -> str:
        """The host that it leads to; the same for as long as it waits."""

    def shake_hands(self) -> None:
        """Go on with the handshake; what fails, fails for this connection alone."""


class Handshakes:
    """The budget of one turn of the reactor after the other.

    @param clock: the source of time and timers.
    @param time_s: time in a turn.
    """

    def __init__(self, clock: IReactorTime, time_s: float = TIME_S) -> None:
        self._clock = clock
        self._time_s = self._left_s = time_s
        self._waiting: FairQueue[Stranger] = FairQueue()
        self._turn = Timer(clock, self._next)

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def take(self, stranger: Stranger) -> bool:
        """Let a connection on which something has come shake hands, now or in its turn; returns whether it has to wait.

        It must not be read from until then.
        """
        if not self._turn.is_set:
            self._turn.set(0)
        if self._left_s > 0 and not self._waiting:
            self._serve(stranger)
            return False
        self._waiting.enqueue(stranger)
        return True

    def dequeue(self, stranger: Stranger) -> None:
        """It waits no more, if it did."""
        self._waiting.dequeue(stranger)

    def _serve(self, stranger: Stranger) -> float:
        began = self._clock.seconds()
        try:
            stranger.shake_hands()
        finally:
            took_s = self._clock.seconds() - began
            self._left_s -= took_s
        return took_s

    def _next(self) -> None:
        """A turn begins."""
        self._left_s = self._time_s
        if not self._waiting:
            self._waiting.clear()
            return
        self._turn.set(0)
        while self._left_s > 0 and self._waiting.serve_next(self._serve):
            pass
