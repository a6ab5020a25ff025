"""Opening budgets: how much of each turn of the reactor goes into opening what came sealed.

A handshake costs a millisecond or so, and strangers may begin as many as they have connections; a record of one byte
costs as much as one of many. So there is a budget of time for all connections in one turn, and a smaller one for those
whose other end has proven nothing yet. Those that were answered have one of their own: who has got so far is not held
up by all that only begin. What comes when it is used up waits, is not read on meanwhile, and has its turn by fair
queueing over hosts: who comes for the first time goes before those who knock without end.

Where time stands still within a turn, as in a simulation, nobody waits.
"""

from __future__ import annotations

from typing import Final, Protocol

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from twisted_bazaar.security.links.fair_queue import FairQueue
from twisted_bazaar.timer import Timer

_FOR_STRANGERS_S: Final = 0.005
_OF_A_HANDSHAKE_S: Final = 0.001
_FOR_ANSWERED_S: Final = 0.005
_FOR_PROVEN_S: Final = 0.02


class Unopened(Protocol):
    """A connection on which something has come."""

    @property
    def host(self) -> str:
        """The host that it leads to; the same for as long as it waits."""

    def open(self) -> None:
        """Open what has come, and hand it on; what fails, fails for this connection alone."""


class OpeningBudget:
    """The budget of one turn of the reactor after the other.

    @param clock: the source of time and timers.
    @param time_s: time in a turn.
    @param most_charged_s: so much of what one step took is charged to its host at most: a machine that others use may
        hold up this process just then, and the host would wait until all others have had as much.
    """

    def __init__(self, clock: IReactorTime, time_s: float, most_charged_s: float) -> None:
        self._clock = clock
        self._most_charged_s = most_charged_s
        self._time_s = self._left_s = time_s
        self._waiting: FairQueue[Unopened] = FairQueue()
        self._turn = Timer(clock, self._next)

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def take(self, connection: Unopened) -> bool:
        """Have what has come on a connection opened, now or in its turn; returns whether it has to wait.

        It must not be read from until then.
        """
        if not self._turn.is_set:
            self._turn.set(0)
        if self._left_s > 0 and not self._waiting:
            self._serve(connection)
            return False
        self._waiting.enqueue(connection)
        return True

    def dequeue(self, connection: Unopened) -> None:
        """It waits no more, if it did."""
        self._waiting.dequeue(connection)

    def _serve(self, connection: Unopened) -> float:
        began = self._clock.seconds()
        try:
            connection.open()
        finally:
            took_s = self._clock.seconds() - began
            self._left_s -= took_s
        return min(took_s, self._most_charged_s)

    def _next(self) -> None:
        """A turn begins."""
        self._left_s = self._time_s
        if not self._waiting:
            self._waiting.clear()
            return
        self._turn.set(0)
        while self._left_s > 0 and self._waiting.serve_next(self._serve):
            pass


@frozen
class OpeningBudgets:
    """Both budgets of a node.

    @ivar strangers: for those who begin.
    @ivar answered: for those to whom this end has proven its key, and who have to prove theirs.
    @ivar proven: for the others.
    """

    strangers: OpeningBudget
    answered: OpeningBudget
    proven: OpeningBudget

    @classmethod
    def of(cls, clock: IReactorTime) -> OpeningBudgets:
        """The usual ones."""
        return cls(
            OpeningBudget(clock, _FOR_STRANGERS_S, _OF_A_HANDSHAKE_S),
            OpeningBudget(clock, _FOR_ANSWERED_S, _OF_A_HANDSHAKE_S),
            OpeningBudget(clock, _FOR_PROVEN_S, _FOR_PROVEN_S),
        )
