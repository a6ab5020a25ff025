"""Hedged requests: asks some of several nodes that can all answer, and one more for each that takes long or fails.

So who has just died costs the time of one late answer, and not the time until it is certain that there will be none.
Nobody is taken for dead for being late; whoever is asked goes on being asked.

Source: Dean and Barroso, "The tail at scale" (CACM 2013), hedged requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.errors import PeerError
from twisted_bazaar.system.limited_log import limited_logger

T = TypeVar("T")

Ask = Callable[[Contact, Callable[[T], None], Callable[[Exception], None], Callable[[], None]], object]
"""Asks one node; takes what to call with its answer, with why there is none, and if it takes long."""


class HedgedRequests(Generic[T]):
    """A request to several nodes, of which some answers are wanted.

    @param contacts: who may be asked, in this order.
    @param wanted: how many answers are.
    @param ask: asks one; a L{PeerError} is no answer, and any other error is logged.
    @param on_answer: called with each answer that comes before it is over.
    @param is_patient: whether it waits for those that take long when there is nobody left to ask in their place.
    @ivar asked: who has been asked.
    @ivar answers: what has come.
    """

    __slots__ = (
        *("_ask", "_is_patient", "_missed", "_on_answer", "_open", "_over", "_rest", "_wanted"),
        *("answers", "asked"),
    )

    log: Final = limited_logger(__name__)

    def __init__(
        self,
        contacts: Sequence[Contact],
        wanted: int,
        ask: Ask[T],
        on_answer: Callable[[T], None] | None = None,
        *,
        is_patient: bool = True,
    ) -> None:
        self.asked: list[Contact] = []
        self.answers: dict[Contact, T] = {}
        self._rest = list(contacts)
        self._wanted = wanted
        self._ask = ask
        self._on_answer = on_answer
        self._is_patient = is_patient
        self._open: set[Contact] = set()
        self._missed: set[Contact] = set()
        # None when it is over, and before it has begun.
        self._over: Deferred[None] | None = None

    async def run(self) -> None:
        """Ask, until all that is wanted has come, or all that can come, or L{end} is called."""
        over = self._over = Deferred(self._stop)
        for _ in range(self._wanted):
            self._ask_next()
        self._settle()
        await over

    def end(self) -> None:
        """Wait for no more."""
        self._rest.clear()
        over, self._over = self._over, None
        if over is not None:
            over.callback(None)

    # Inside.

    def _stop(self, _: object) -> None:
        """Nobody wants to know any more."""
        self._over = None
        self._rest.clear()

    def _ask_next(self) -> None:
        if not self._rest:
            return
        contact = self._rest.pop(0)
        self.asked.append(contact)
        self._open.add(contact)
        take, fail = partial(self._take, contact), partial(self._on_failure, contact)
        self._ask(contact, take, fail, partial(self._on_late, contact))

    def _on_late(self, contact: Contact) -> None:
        """Ask another in place of one, once."""
        if contact not in self._missed and contact in self._open and self._over is not None:
            self._missed.add(contact)
            self._ask_next()
            self._settle()

    def _take(self, contact: Contact, answer: T) -> None:
        self._open.discard(contact)
        if self._over is None:
            return
        self.answers[contact] = answer
        if self._on_answer is not None:
            self._on_answer(answer)
        self._settle()

    def _on_failure(self, contact: Contact, error: Exception) -> None:
        self._on_late(contact)
        self._open.discard(contact)
        if not isinstance(error, PeerError):
            self.log.failure("a hedged request failed", Failure(error))
        self._settle()

    def _settle(self) -> None:
        if len(self.answers) < self._wanted:
            waiting = self._open if self._is_patient else self._open - self._missed
            if waiting or self._rest:
                return
        self.end()
