"""Looking for places on the ring: asks whom a lookup wants asked, and gives it the answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.rpc.messages import RingFind, RingFound, RingMessage
from twisted_bazaar.discovery.ring.rpc.requests import Requests
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.lookup import Found, Lookup
from twisted_bazaar.discovery.ring.rules.lookup_reply import LookupReply
from twisted_bazaar.errors import PeerError
from twisted_bazaar.system.limited_log import limited_logger

# Who has been late once is asked twice more in so many times what it was waited for at first.
_TIMES_LATE: Final = 2.7


class LookupDriver:
    """One lookup, and its questions.

    @param lookup: whom to ask.
    @param answered: called with whoever has answered.
    @param failed: called with whoever has not.
    @ivar found: fires when it is over, once; never fails. To cancel it ends the search.
    """

    log: Final = limited_logger(__name__)

    def __init__(
        self,
        place: int,
        lookup: Lookup,
        asking: Requests,
        answered: Callable[[Contact], object],
        failed: Callable[[Contact], None],
    ) -> None:
        self.found: Deferred[Found] = Deferred(self._cancelled)
        self._place = place
        self._lookup = lookup
        self._asking = asking
        self._answered = answered
        self._failed = failed
        self._clock = asking.clock
        self._timers: list[IDelayedCall] = []
        self._is_going = False
        self._is_cancelled = False

    def go(self) -> None:
        """Ask whoever is to be asked now."""
        if self._is_going or self._is_cancelled:
            # Somebody has failed at once; or nobody wants to know any more.
            return
        self._is_going = True
        while contacts := self._lookup.next():
            for contact in contacts:
                self._ask(contact)
        self._is_going = False
        if self._lookup.is_over and not self.found.called:
            self._cancel_timers()
            self.found.callback(self._lookup.found)

    def _cancelled(self, _: object) -> None:
        self._is_cancelled = True
        self._cancel_timers()

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            if timer.active():
                timer.cancel()

    def _ask(self, contact: Contact) -> None:
        asked_at = self._clock.seconds()
        place = self._asking.cards.ring.text(self._place)
        answer = self._asking.ask(
            contact, partial(RingFind, place=place), late=partial(self._is_late, contact, asked_at)
        )
        answer.addCallbacks(self._take, self._take_failure, callbackArgs=(contact,), errbackArgs=(contact,))
        answer.addErrback(lambda failure: self.log.failure("the answer to a lookup could not be used", failure))

    def _is_late(self, contact: Contact, asked_at: float) -> None:
        if self.found.called:
            # Who else is waited for does not matter any more.
            return
        now = self._clock.seconds()
        # Each wait is somewhat longer than the last.
        self._timers.append(self._clock.callLater(_TIMES_LATE * (now - asked_at), self._is_overdue, contact))
        self._lookup.late(contact)
        self.go()

    def _is_overdue(self, contact: Contact) -> None:
        self._lookup.overdue(contact)
        self.go()

    def _take(self, message: RingMessage, contact: Contact) -> None:
        if not isinstance(message, RingFound):
            self._lookup.failed(contact)
        else:
            read_all = self._asking.cards.read_all
            where = contact.address
            predecessor = () if message.predecessor is None else read_all((message.predecessor,), where)
            self._answered(contact)
            self._lookup.answered(
                LookupReply(
                    contact,
                    read_all(message.before, where),
                    read_all(message.after, where),
                    predecessor[0] if predecessor else None,
                    read_all(message.beyond, where),
                )
            )
        self.go()

    def _take_failure(self, failure: Failure, contact: Contact) -> None:
        failure.trap(PeerError)
        self._failed(contact)
        self._lookup.failed(contact)
        self.go()
