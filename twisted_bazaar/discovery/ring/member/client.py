"""A node that asks the members of a ring, and never becomes one: what lives as long as one command.

It comes in by a member, as those do who join, and looks for its place to get to know others; it takes none. It keeps
nothing for anybody, answers nobody who looks for a place, and asks by no message by which a member would take it for a
neighbour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from twisted.internet.defer import CancelledError, Deferred, succeed

from twisted_bazaar.discovery.ring.member.joining import Met
from twisted_bazaar.discovery.ring.member.member import RingMember, Service
from twisted_bazaar.discovery.ring.rpc.messages import RingMessage
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.lookup import MOST_STARTS, Found
from twisted_bazaar.discovery.ring.rules.lookup_reply import LookupReply
from twisted_bazaar.discovery.ring.rules.settings import USUAL, Settings
from twisted_bazaar.errors import PeerError, UsageError
from twisted_bazaar.values.joining import JoinObserver

# Some in each direction, so that it does not depend on one.
_LOOKED_AROUND: Final = 4


class RingClient(RingMember):
    """One that asks the members of a ring.

    It is started with where a member takes links; its C{start} fires when that one has answered.
    """

    __slots__ = ("_has_met",)

    is_guest: ClassVar[bool] = True

    def __init__(
        self, settings: Settings = USUAL, ring_id: int | None = None, observer: JoinObserver | None = None
    ) -> None:
        super().__init__(settings, ring_id, observer)
        self._has_met = False

    @property
    def can_ask(self) -> bool:
        """Whether it has met a member."""
        return self._is_open and self._has_met

    def serve(self, services: Mapping[type[RingMessage], Service], answers: Sequence[type[RingMessage]] = ()) -> None:
        """Take answers; it does nothing for others."""
        super().serve({}, answers)

    def find(self, place: int, **how: Any) -> Deferred[Found]:
        """Who is responsible for a place; if nobody is left whom it knows, it comes in anew."""
        known = self._known(place)
        meeting: Deferred[Sequence[Contact]]
        meeting = succeed(known) if known else Deferred.fromCoroutine(self._meet_again())

        def look(contacts: Sequence[Contact]) -> Deferred[Found]:
            # It has no place itself, so all are before any place, but for one that stands there.
            there = tuple(contact for contact in contacts if contact.id == place)
            return self._neighbourhood.find(place, LookupReply(self.own, tuple(contacts), beyond=there), **how)

        return meeting.addCallback(look)

    # Inside.

    def _known(self, place: int) -> Sequence[Contact]:
        """The members from which a search for a place begins best, and who have not died lately."""
        neighbourhood = self._neighbourhood
        now = self._node.clock.seconds()
        living = [contact for contact in neighbourhood.fingers if not neighbourhood.dead.has(contact, now)]
        return sorted(living, key=lambda contact: self.ring.distance(contact.id, place))[:MOST_STARTS]

    async def _meet_again(self) -> Sequence[Contact]:
        try:
            met = await self._door.knock()
        except (PeerError, UsageError, CancelledError):
            return ()
        self._neighbourhood.answered(met.contact)
        return (met.contact,)

    async def _enter(self, met: Met) -> Contact | None:
        """Get to know a member, and by it some others."""
        self._neighbourhood.stop()
        self.cards.become(met.own)
        self._become()
        self._neighbourhood.answered(met.contact)
        for part in range(_LOOKED_AROUND):
            place = (self.own.id + part * self.ring.size // _LOOKED_AROUND) % self.ring.size
            await self.find(place, is_wary=False)
        self._has_met = True
        return None

    def _entered(self) -> None:
        self._node.report("ring-visited", None, members=len(self._neighbourhood.fingers))
        self.observer.joined("by the ring")
