"""Pings nodes for their state (Chord, stabilize): nobody twice at a time, and few of one host.

A node that has joined pings. One that has not asks to join, which is answered in the same way, and by which nobody
takes it for a neighbour.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Final, Protocol

from twisted_bazaar.discovery.ring.member.ping_state import PingState, Told
from twisted_bazaar.discovery.ring.rpc.messages import NO_MARK, RingJoin, RingMessage, RingPing, RingPong
from twisted_bazaar.discovery.ring.rpc.per_host_limit import Awaited, host_of, per_host_limit
from twisted_bazaar.discovery.ring.rpc.requests import Make, Requests
from twisted_bazaar.discovery.ring.rules.actions import NodeState
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.settings import Settings
from twisted_bazaar.discovery.ring.rules.stabilization import Stabilization

_PINGS_A_ROUND: Final = 40
_AWAITED_AT_A_HOST: Final = 32


class Pinging(Protocol):
    """Receives the outcome of a ping."""

    def on_pong(self, state: NodeState, *, is_news: bool) -> bool:
        """A node has said how it stands; whether that counts.

        @param is_news: whether it has said all of it, and not only that all is as before.
        """

    def on_no_pong(self, contact: Contact) -> None:
        """A node has not said how it stands, though it was asked as often as that is done."""


class Pinger:
    """Sends the pings of one node, and reads the pongs.

    @param stabilization: its neighbours.
    @param pings: what was said last in answer to pings.
    """

    __slots__ = ("_awaited", "_limit", "_now", "_pings", "_requests", "_retries", "_ring", "_stabilization")

    def __init__(self, requests: Requests, stabilization: Stabilization, pings: PingState, settings: Settings) -> None:
        self._requests = requests
        self._ring = requests.cards.ring
        self._now: Callable[[], float] = requests.clock.seconds
        self._stabilization = stabilization
        self._pings = pings
        self._retries = settings.pings
        self._awaited = Awaited(_AWAITED_AT_A_HOST)
        self._limit = per_host_limit(_PINGS_A_ROUND, settings.round_s)

    def ping(self, contact: Contact, by: Pinging) -> None:
        """Ask a node how it stands, unless it is being asked, or too many of its host were.

        @param by: told what it says.
        """
        stabilization = self._stabilization
        if not self._awaited.takes(contact):
            return
        if stabilization.is_member and not self._limit.allow(host_of(contact.address), self._now()):
            return
        self._awaited.add(contact)
        question: Make = RingJoin
        told: Told | None = None
        if stabilization.is_member:
            told = self._pings.last_said(contact)
            question = partial(RingPing, next=stabilization.comes_next(contact), mark=told[0] if told else NO_MARK)
        came, failed = partial(self.take_pong, contact, told, by), partial(self._on_failure, contact, by)
        self._requests.question(contact, question, came, failed, partial(self._on_late, contact, by), self._retries)

    def take_pong(self, contact: Contact, told: Told | None, by: Pinging, message: RingMessage) -> None:
        """A node has answered.

        @param told: what was kept of it when it was asked.
        @param by: told what it says.
        """
        self._awaited.discard(contact)
        state: NodeState | None = None
        if isinstance(message, RingPong) and message.bits == self._ring.bits:
            state = self._pings.read_pong(message, contact, told)
        if not isinstance(message, RingPong) or state is None:
            by.on_no_pong(contact)
            return
        is_news = not message.same
        if by.on_pong(state, is_news=is_news) and is_news and self._stabilization.is_near(contact):
            self._pings.keep(message.mark, state)

    def keep_only(self, contacts: Collection[Contact | None]) -> None:
        """Forget what all but some have said."""
        self._pings.keep_only(contacts)

    # Inside.

    def _on_failure(self, contact: Contact, by: Pinging, _: Exception) -> None:
        self._awaited.discard(contact)
        by.on_no_pong(contact)

    def _on_late(self, contact: Contact, by: Pinging) -> None:
        """A successor takes long: ping the one after it already, for neighbours on the ring may die together."""
        successors = self._stabilization.successors
        if self._stabilization.is_member and contact in successors[:-1]:
            self.ping(successors[successors.index(contact) + 1], by)
