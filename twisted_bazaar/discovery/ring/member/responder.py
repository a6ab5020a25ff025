"""Answers the requests of other nodes (ping, find, quit), and follows up what they report about each other.

A report about another node is only a reason to ping that one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from twisted_bazaar.discovery.ring.member.contact_verification import ContactVerification
from twisted_bazaar.discovery.ring.member.maintenance import Maintenance
from twisted_bazaar.discovery.ring.member.ping_state import PingState
from twisted_bazaar.discovery.ring.member.ring_events import RingEvents
from twisted_bazaar.discovery.ring.rpc.messages import (
    RingAbrupt,
    RingExit,
    RingFind,
    RingFound,
    RingJoin,
    RingPing,
    RingQuit,
    RingUpdate,
    Seen,
)
from twisted_bazaar.discovery.ring.rpc.requests import Requests
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.lookup_reply import LookupReply
from twisted_bazaar.discovery.ring.rules.routing_table import RoutingTable
from twisted_bazaar.rate_limit import RateLimits
from twisted_bazaar.values.addresses import Address, network_of

# So many words about others are followed up that come from one host in a minute.
_HEARSAY_A_MINUTE: Final = 60
_TALKERS: Final = 1_024


class Responder:
    """Answers other nodes on behalf of one.

    @param table: whom this node knows.
    @param pings: how this node says that it stands.
    @param maintenance: pings whoever is spoken of, and is told what follows for the neighbours.
    @param verification: asks back whoever looks up an identifier and is not known.
    """

    __slots__ = (
        *("_requests", "_now", "_cards", "_table", "_stabilization", "_pings", "_events", "_maintenance"),
        *("_verification", "_hearsay"),
    )

    def __init__(
        self,
        requests: Requests,
        table: RoutingTable,
        pings: PingState,
        events: RingEvents,
        maintenance: Maintenance,
        verification: ContactVerification,
    ) -> None:
        self._requests = requests
        self._now: Callable[[], float] = requests.clock.seconds
        self._cards = requests.cards
        self._table = table
        self._stabilization = table.stabilization
        self._pings = pings
        self._events = events
        self._maintenance = maintenance
        self._verification = verification
        self._hearsay: RateLimits[str] = RateLimits.a_minute(_TALKERS, _HEARSAY_A_MINUTE)

    def on_join(self, message: RingJoin, address: Address, key: str | None) -> None:
        """Somebody who has not joined asks how this node stands, be it of this ring or of another."""
        pong = self._pings.pong(self._stabilization.state)
        self._requests.answer(message, address, key, partial(pong, you=Seen(address.host, address.port)))

    def on_ping(self, message: RingPing, sender: Contact) -> None:
        """A member asks how this node stands."""
        stabilization, now = self._stabilization, self._now()
        pong = self._pings.pong(stabilization.state, message.mark)
        self._requests.answer(message, sender.address, sender.key, pong)
        self._events.ping_received(sender)
        if stabilization.is_near(sender) or self._requests.sites.has_shown(sender, now):
            self._table.callers.on_ping(sender, now)
            self._maintenance.perform(stabilization.on_ping(sender, now, comes_next=message.next))
        elif stabilization.is_member:
            # It counts when it answers: else one that is mute could be the predecessor, and what belongs here be lost.
            self._maintenance.ping(sender)

    def on_hearsay(self, message: RingUpdate | RingAbrupt, sender: Contact) -> None:
        """Somebody says of another that it lives, or that it does not answer; that one is asked."""
        now = self._now()
        if not self._hearsay.allow(network_of(sender.address.host), now):
            return
        for about in self._cards.read_all((message.about,), sender.address):
            if isinstance(message, RingUpdate):
                self._maintenance.perform(self._stabilization.on_update(about, now))
            else:
                self._maintenance.perform(self._stabilization.on_death_report(about))

    def on_quit(self, message: RingQuit, sender: Contact) -> None:
        """Somebody goes."""
        now = self._now()
        if self._stabilization.is_near(sender):
            self._events.neighbour_left(sender)
        self._table.callers.discard(sender)
        self._requests.sites.forget_shown_by(sender, now)
        self._table.fingers.remove(sender)
        state = self._pings.read_state(message, sender)
        self._requests.answer(message, sender.address, sender.key, RingExit)
        self._maintenance.perform(self._stabilization.on_quit(state, now))

    def on_find(self, message: RingFind, sender: Contact) -> None:
        """Somebody looks up an identifier."""
        table = self._table
        try:
            identifier = table.ring.from_wire(message.place)
        except ValueError:
            return
        is_member = table.stabilization.is_member
        answer = table.reply(identifier, self._now()) if is_member else LookupReply(table.stabilization.own)
        self._events.lookup_answered(identifier, sender, answer)
        write_all, before = self._cards.write_all, answer.predecessor
        found = partial(
            RingFound,
            before=write_all(answer.before),
            after=write_all(answer.after),
            beyond=write_all(answer.beyond),
            predecessor=None if before is None else self._cards.write(before),
        )
        self._requests.answer(message, sender.address, sender.key, found)
        self._verification.verify(sender)
