"""The parts of a node on a ring that are made anew with each of its tries to join."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from twisted_bazaar.discovery.ring.member.contact_verification import ContactVerification
from twisted_bazaar.discovery.ring.member.maintenance import Maintenance
from twisted_bazaar.discovery.ring.member.ping_state import PingState
from twisted_bazaar.discovery.ring.member.pinger import Pinger
from twisted_bazaar.discovery.ring.member.responder import Responder
from twisted_bazaar.discovery.ring.member.ring_events import RingEvents
from twisted_bazaar.discovery.ring.rpc.requests import Requests, WitnessedRequests
from twisted_bazaar.discovery.ring.rules.actions import JoinRefused
from twisted_bazaar.discovery.ring.rules.routing_table import RoutingTable
from twisted_bazaar.discovery.ring.rules.settings import Settings
from twisted_bazaar.interfaces import INode


@frozen
class Incarnation:
    """One incarnation of a node: complete, and with an empty routing table.

    @ivar table: whom it knows.
    @ivar maintenance: keeps the table right.
    @ivar verification: asks back who asks and is not known.
    @ivar responder: answers others.
    @ivar requests: asks others, and tells the maintenance who answers.
    """

    table: RoutingTable
    maintenance: Maintenance
    verification: ContactVerification
    responder: Responder
    requests: WitnessedRequests

    @classmethod
    def begin(
        cls,
        node: INode,
        requests: Requests,
        settings: Settings,
        refused: Callable[[JoinRefused], None],
        changed: Callable[[], None],
    ) -> Incarnation:
        """Make the parts of a node, each complete before the next.

        @param requests: asks others in the name of what the node is now.
        @param refused: called when the rules say that there is no joining, or no staying.
        @param changed: called when the node has joined, or its predecessor or its successors are not what they were.
        """
        ring = requests.cards.ring
        table = RoutingTable.empty(requests.cards.own, ring, settings)
        pings = PingState(requests.cards)
        events = RingEvents(node, ring, tells_all=settings.tells_all)
        pinger = Pinger(requests, table.stabilization, pings, settings)
        maintenance = Maintenance(node, requests, settings, table, pinger, events, refused, changed)
        verification = ContactVerification(
            node, requests, table, maintenance.on_verified, is_closed=not settings.has_fingers
        )
        responder = Responder(requests, table, pings, events, maintenance, verification)
        witnessed = WitnessedRequests(requests, maintenance)
        return cls(table, maintenance, verification, responder, witnessed)
