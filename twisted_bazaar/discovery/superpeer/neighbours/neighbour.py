"""A super peer that is linked to this one by datagrams: what it says of itself, and what it has been told. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from attrs import Factory, define, frozen

from twisted_bazaar.discovery.superpeer.messages import SuperHello
from twisted_bazaar.discovery.superpeer.qrp.sync import TableSync
from twisted_bazaar.discovery.superpeer.qrp.tables import RouteTable
from twisted_bazaar.rate_limit import RateLimit
from twisted_bazaar.values.addresses import Address

# No super peer has more neighbours that count: how far a search has to go is worked out from this.
MOST_DEGREE: Final = 1000


class Entry(IntEnum):
    """The way in which somebody became a neighbour; the greater, the more it is worth."""

    CAME = 0
    FOUND = 1
    GIVEN = 2


@frozen
class Standing:
    """The state of a super peer, as it says itself.

    @ivar leaves: how many leaves it has.
    @ivar room: how many more it would take.
    @ivar port: where it takes links; 0 if nowhere.
    @ivar host: the host of that; none for the one that its datagrams come from.
    """

    leaves: int
    room: int
    port: int = 0
    host: str | None = None


@define(eq=False)
class Neighbour:
    """A super peer that is linked to this one.

    @ivar address: where it takes datagrams.
    @ivar hello: the last greeting that came from it.
    @ivar telling: what it has of this super peer's table.
    @ivar parts_limit: how many parts of its own table it may tell.
    @ivar route: its own table, as far as it has told.
    @ivar pending_bytes: what is taken by what it has not told all of.
    @ivar linked_at: when it became a neighbour.
    @ivar heard_at: when something came from it last.
    @ivar greeted_at: when it was greeted last.
    @ivar hello_due: when it is to be greeted next.
    """

    address: Address
    entry: Entry
    hello: SuperHello
    telling: TableSync
    parts_limit: RateLimit
    linked_at: float
    heard_at: float
    greeted_at: float
    hello_due: float
    route: RouteTable = Factory(RouteTable)
    pending_bytes: int = 0

    @property
    def id(self) -> int:
        """Its node id."""
        return self.hello.id

    @property
    def key(self) -> str:
        """Its public key, as it says; where datagrams are sealed it has proven it."""
        return self.hello.key

    @property
    def leaves(self) -> int:
        """The number of its leaves."""
        return self.hello.leaves

    @property
    def room(self) -> int:
        """The number of leaves that it would still take."""
        return self.hello.room

    @property
    def degree(self) -> int:
        """The number of its neighbours, of which this super peer is one."""
        return max(1, min(self.hello.neighbours, MOST_DEGREE))

    @property
    def link(self) -> Address | None:
        """The address where it takes links; None if nowhere, or nowhere that can be reached from here."""
        if not self.hello.port:
            return None
        named = Address(self.hello.host or self.address.host, self.hello.port)
        return None if named.is_local and not self.address.is_local else named

    def may_have(self, hashes: Iterable[int]) -> bool:
        """Whether it may have what has all these hashes: yes, as long as it has not told what it has."""
        return self.route.may_have(hashes)
