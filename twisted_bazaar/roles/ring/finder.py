"""The role of a node that finds by a ring: as a member of it, or as a client.

A member keeps for others what they have said about files and goods, but no files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IStreamClientEndpoint

from twisted_bazaar.discovery.ring.member.client import RingClient
from twisted_bazaar.discovery.ring.member.member import RingMember
from twisted_bazaar.discovery.ring.member.ring_node import RingNode
from twisted_bazaar.discovery.ring.records.search import RingSearch
from twisted_bazaar.discovery.ring.rules.settings import USUAL, Settings
from twisted_bazaar.discovery.ring.storage.dht_client import DhtClient
from twisted_bazaar.discovery.ring.storage.repair import Repair
from twisted_bazaar.discovery.ring.storage.replication import USUAL_REPLICAS
from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import Command, DatagramReceivers, INode
from twisted_bazaar.role import Role
from twisted_bazaar.roles.ring.lifecycle import RingLifecycle
from twisted_bazaar.roles.ring.options import hash_function
from twisted_bazaar.roles.ring.status import ring_status
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.joining import JoinObserver
from twisted_bazaar.values.needs import UdpNeed

# It hands over no files, so it needs less time for that than who keeps some.
_LEAVING_S: Final = 8.0
_CLOSING_S: Final = 3.0


class RingFinder(Role):
    """Finds by a ring, and is found by it.

    @param join: where a member listens, as an endpoint or as the text of one; None to begin a ring.
    @param replicas: on how many nodes everything is besides the one that it belongs to.
    @param is_client: whether it only asks.
    @param observer: told how it joins.
    @ivar finished: fires with 1 if it cannot join, or another keeps its identifier.
    @ivar lifecycle: how it comes and goes.
    @ivar member: its place among the others.
    @ivar search: what is found by it.
    """

    is_self_numbered = True
    needs_neighbours = False
    log: Final = limited_logger(__name__)
    udp_need: UdpNeed | None = UdpNeed(
        no_udp="--via ring goes by datagrams; write a port, or leave out --udp for any that is free"
    )
    stop_s: float = _LEAVING_S + _CLOSING_S

    def __init__(
        self,
        join: IStreamClientEndpoint | Address | str | None = None,
        *,
        settings: Settings = USUAL,
        replicas: int = USUAL_REPLICAS,
        is_client: bool = False,
        observer: JoinObserver | None = None,
    ) -> None:
        if is_client and join is None:
            raise UsageError("--via ring: say where a member of the ring listens, with --join tcp:HOST:PORT")
        settings = evolve(settings, leaving_s=_LEAVING_S)
        self.is_stop_and_wait: bool = not settings.has_fingers
        member = None if is_client else RingMember(settings, observer=observer)
        self.member: RingNode = RingClient(settings, observer=observer) if member is None else member
        is_classic = not settings.has_fingers
        self.dht: DhtClient = DhtClient(
            self.member, replicas=replicas, identifier_of_name=hash_function(self.member.ring, is_classic)
        )
        self.search: RingSearch = RingSearch(self.dht, member)
        self.lifecycle: RingLifecycle = RingLifecycle(
            self.dht, None if member is None else Repair(member, self.dht), join
        )
        self.finished: Deferred[int] = self.lifecycle.finished
        self.datagrams: DatagramReceivers = self.member.datagrams
        self.commands: Mapping[str, Command] = {"status": self._status, "ring.status": self._ring_status}

    def start(self, node: INode) -> None:
        """Begin, or join, the ring."""
        super().start(node)
        self.lifecycle.start(node)
        self.search.start(node)

    def stop(self) -> Deferred[None]:
        """Withdraw what is to be found here, hand over what is kept, and leave."""
        return self.lifecycle.stop().addCallback(lambda _: self.search.stop())

    def _ring_status(self, _request: Mapping[str, Any]) -> Deferred[Any]:
        return succeed({"role": "ring", **ring_status(self.member), "entries": len(self.dht.store)})

    def _status(self, _request: Mapping[str, Any]) -> Deferred[Any]:
        if not self.member.can_ask:
            return succeed({"role": "ring", "joined": False})
        told: Callable[[int], str] = self.member.ring.display
        status = {"role": "ring", "joined": True, "place": told(self.member.own.id), "untold": self.search.unpublished}
        if not self.member.is_client:
            stabilization = self.member.stabilization
            before = stabilization.predecessor
            status |= {
                "predecessor": None if before is None else str(before.address),
                "successors": [str(contact.address) for contact in stabilization.successors],
                "kept": len(self.dht.store),
            }
        return succeed(status)
