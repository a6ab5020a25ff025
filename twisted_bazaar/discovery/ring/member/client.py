"""A client of a ring, which asks its members and never becomes one: what lives as long as one command.

It comes in by a member, as those do who join, and looks for its identifier to get to know others; it takes none. It
keeps nothing for anybody, answers nobody who looks up an identifier, and asks by no message by which a member would
take it for a neighbour.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar, Final

from twisted.internet.defer import CancelledError, Deferred, succeed

from twisted_bazaar.discovery.ring.member.joining import BootstrapNode, Met, Where
from twisted_bazaar.discovery.ring.member.lookup_driver import Lookups
from twisted_bazaar.discovery.ring.member.ring_node import RingNode, Service
from twisted_bazaar.discovery.ring.rpc.messages import RingMessage
from twisted_bazaar.discovery.ring.rpc.requests import Requests, Witness
from twisted_bazaar.discovery.ring.rules.actions import JoinRefused
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.lookup import MOST_STARTS, Found, Until
from twisted_bazaar.discovery.ring.rules.lookup_reply import LookupReply
from twisted_bazaar.discovery.ring.rules.routing_table import RoutingTable
from twisted_bazaar.discovery.ring.rules.settings import USUAL, Settings
from twisted_bazaar.errors import PeerError, UsageError
from twisted_bazaar.interfaces import INode
from twisted_bazaar.values.joining import JoinObserver

# Some in each direction, so that it does not depend on one.
_LOOKED_AROUND: Final = 4


class ClientLookups(Lookups):
    """The lookups of a client. If it knows nobody who lives, it meets a member first, as it did when it came in.

    @param meet: meets a member.
    """

    __slots__ = ("_meet",)

    def __init__(
        self,
        requests: Requests,
        settings: Settings,
        table: RoutingTable,
        witness: Witness,
        meet: Callable[[], Awaitable[Met]],
    ) -> None:
        super().__init__(requests, settings, table, witness)
        self._meet = meet

    def find(
        self,
        identifier: int,
        start: LookupReply | None = None,
        *,
        is_wary: bool | None = None,
        until: Until = "answered",
    ) -> Deferred[Found]:
        """Look for who is responsible for an identifier; fires when that is over, and never fails."""
        find = partial(super().find, identifier, is_wary=is_wary, until=until)
        if start is not None:
            return find(start)
        known = self._known(identifier)
        meeting: Deferred[Sequence[Contact]]
        meeting = succeed(known) if known else Deferred.fromCoroutine(self._meet_again())

        def look(contacts: Sequence[Contact]) -> Deferred[Found]:
            # It has no identifier itself, so all are before any identifier, but for one that stands there.
            there = tuple(contact for contact in contacts if contact.id == identifier)
            return find(LookupReply(self._table.stabilization.own, tuple(contacts), beyond=there))

        return meeting.addCallback(look)

    def _known(self, identifier: int) -> Sequence[Contact]:
        """The members from which a search for an identifier begins best, and who have not died lately."""
        table, now = self._table, self._now()
        living = [contact for contact in table.fingers if not table.failed.has(contact, now)]
        return sorted(living, key=lambda contact: table.ring.distance(contact.id, identifier))[:MOST_STARTS]

    async def _meet_again(self) -> Sequence[Contact]:
        try:
            met = await self._meet()
        except (PeerError, UsageError, CancelledError):
            return ()
        self._witness.on_answer(met.contact)
        return (met.contact,)


class RingClient(RingNode):
    """A client: it asks members, and answers nothing that would make it one."""

    __slots__ = ("_bootstrap", "_has_met", "_lookups")

    is_client: ClassVar[bool] = True
    _bootstrap: BootstrapNode
    _lookups: ClientLookups

    def __init__(
        self, settings: Settings = USUAL, ring_id: int | None = None, observer: JoinObserver | None = None
    ) -> None:
        super().__init__(settings, ring_id, observer)
        self._has_met = False

    @property
    def can_ask(self) -> bool:
        """Whether it has met a member."""
        return self._is_open and self._has_met

    @property
    def lookups(self) -> Lookups:
        """What finds who is responsible for an identifier."""
        return self._lookups

    def serve(self, services: Mapping[type[RingMessage], Service], answers: Sequence[type[RingMessage]] = ()) -> None:
        """Take answers; it does nothing for others."""
        super().serve({}, answers)

    def start(self, node: INode, join: Where | None = None) -> Deferred[None]:
        """Meet the members of a ring.

        @param join: where one of them takes links; there has to be one.
        @return: fires when that one has answered.
        @raise UsageError: it is of no use to try again.
        @raise LinkClosed: it was stopped before.
        """
        assert join is not None, "a client begins no ring"
        return self._start(node, partial(self._come_in, join))

    # Inside.

    def _come_in(self, join: Where, began: Deferred[None]) -> None:
        self._bootstrap = BootstrapNode(self._node, self._requests, self.ring, join)
        self._join(self._bootstrap, began)

    def _become(self, own: Contact) -> None:
        super()._become(own)
        table, maintenance = self._incarnation.table, self._incarnation.maintenance
        self._lookups = ClientLookups(self._requests, self.settings, table, maintenance, self._meet)

    async def _meet(self) -> Met:
        return await self._bootstrap.meet()

    async def _enter(self, met: Met) -> Contact | None:
        """Get to know a member, and by it some others."""
        self._incarnation.maintenance.stop()
        self._become(met.own)
        self._incarnation.maintenance.on_answer(met.contact)
        for part in range(_LOOKED_AROUND):
            identifier = (self.own.id + part * self.ring.size // _LOOKED_AROUND) % self.ring.size
            await self.lookups.find(identifier, is_wary=False)
        self._has_met = True
        return None

    def _entered(self) -> None:
        self._node.report("ring-visited", None, members=len(self._incarnation.table.fingers))
        self.observer.joined("by the ring")

    async def _say_goodbye(self) -> None:
        """Nobody takes it for a neighbour."""

    def _on_refused(self, step: JoinRefused) -> None:
        """It never joins."""

    def _on_changed(self) -> None:
        """It has no neighbours."""
