"""Lookups by datagram: asks whom a lookup wants asked, and gives it the answers (Chord, 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.rpc.messages import RingFind, RingFound, RingMessage
from twisted_bazaar.discovery.ring.rpc.requests import Requests, Witness
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.lookup import MOST_STARTS, Found, Lookup, Until
from twisted_bazaar.discovery.ring.rules.lookup_reply import LookupReply
from twisted_bazaar.discovery.ring.rules.routing_table import RoutingTable
from twisted_bazaar.discovery.ring.rules.settings import Settings
from twisted_bazaar.errors import PeerError
from twisted_bazaar.system.limited_log import limited_logger

# Who has been late once is asked twice more in so many times what it was waited for at first.
_TIMES_LATE: Final = 2.7


class LookupDriver:
    """Sends the requests of one lookup.

    @param lookup: whom to ask.
    @param witness: told who has answered, and who has not.
    @ivar found: fires when it is over, once; never fails. To cancel it ends the search.
    """

    log: Final = limited_logger(__name__)

    def __init__(
        self,
        identifier: int,
        lookup: Lookup,
        requests: Requests,
        witness: Witness,
    ) -> None:
        self.found: Deferred[Found] = Deferred(self._cancelled)
        self._identifier = identifier
        self._lookup = lookup
        self._requests = requests
        self._witness = witness
        self._clock = requests.clock
        self._timers: list[IDelayedCall] = []
        self._is_asking = False
        self._is_cancelled = False

    def ask_next(self) -> None:
        """Ask whoever is to be asked now."""
        if self._is_asking or self._is_cancelled:
            # Somebody has failed at once; or nobody wants to know any more.
            return
        self._is_asking = True
        while contacts := self._lookup.next_contacts():
            for contact in contacts:
                self._ask(contact)
        self._is_asking = False
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
        identifier = self._requests.cards.ring.to_wire(self._identifier)
        answer = self._requests.ask(
            contact, partial(RingFind, place=identifier), late=partial(self._on_late, contact, asked_at)
        )
        answer.addCallbacks(self._on_found, self._on_failure, callbackArgs=(contact,), errbackArgs=(contact,))
        answer.addErrback(lambda failure: self.log.failure("the answer to a lookup could not be used", failure))

    def _on_late(self, contact: Contact, asked_at: float) -> None:
        if self.found.called:
            # Who else is waited for does not matter any more.
            return
        now = self._clock.seconds()
        # Each wait is somewhat longer than the last.
        self._timers.append(self._clock.callLater(_TIMES_LATE * (now - asked_at), self._on_overdue, contact))
        self._lookup.on_late(contact)
        self.ask_next()

    def _on_overdue(self, contact: Contact) -> None:
        self._lookup.on_overdue(contact)
        self.ask_next()

    def _on_found(self, message: RingMessage, contact: Contact) -> None:
        if not isinstance(message, RingFound):
            self._lookup.on_failure(contact)
        else:
            read_all = self._requests.cards.read_all
            where = contact.address
            predecessor = () if message.predecessor is None else read_all((message.predecessor,), where)
            self._witness.on_answer(contact)
            self._lookup.on_reply(
                LookupReply(
                    contact,
                    read_all(message.before, where),
                    read_all(message.after, where),
                    predecessor[0] if predecessor else None,
                    read_all(message.beyond, where),
                )
            )
        self.ask_next()

    def _on_failure(self, failure: Failure, contact: Contact) -> None:
        failure.trap(PeerError)
        self._witness.on_failure(contact)
        self._lookup.on_failure(contact)
        self.ask_next()


class Lookups:
    """The lookups of one node.

    @param table: whom it begins with.
    @param witness: told who has answered, and who has not.
    """

    __slots__ = ("_now", "_requests", "_settings", "_table", "_witness")

    def __init__(self, requests: Requests, settings: Settings, table: RoutingTable, witness: Witness) -> None:
        self._requests = requests
        self._now: Callable[[], float] = requests.clock.seconds
        self._settings = settings
        self._table = table
        self._witness = witness

    def find(
        self,
        identifier: int,
        start: LookupReply | None = None,
        *,
        is_wary: bool | None = None,
        until: Until = "answered",
    ) -> Deferred[Found]:
        """Look for who is responsible for an identifier; fires when that is over, and never fails.

        @param start: whom to begin with, if not with those that this node knows best.
        @param is_wary: whether no single node is believed who is responsible; as its settings say, if not given.
        @param until: when the lookup ends at the soonest; but for the usual, the first holder may be dead.
        """
        if start is None:
            start = self._table.reply(identifier, self._now(), MOST_STARTS)
        settings = self._settings
        wary = settings.is_wary if is_wary is None else is_wary
        alpha, most_asked = settings.alpha, settings.most_asked
        lookup = Lookup(
            identifier, self._table.ring, start, alpha=alpha, most_asked=most_asked, is_wary=wary, until=until
        )
        driver = LookupDriver(identifier, lookup, self._requests, self._witness)
        driver.ask_next()
        return driver.found

    def likely_owners(self, identifier: int, most: int) -> Sequence[Contact]:
        """The owners of an identifier, as far as this node knows without asking; nobody if others may well be there."""
        return self._table.owners.likely_owners(identifier, self._now(), most) if self._settings.has_fingers else ()
