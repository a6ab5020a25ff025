"""Nodes of a simulated ring: each is a member, and keeps small values.

That is all of a member of a ring but its files: these need folders on a disk and threads, of which ten thousand nodes
in one process have too many, and how they travel is the scenario C{files}.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.discovery.ring.member.member import RingMember
from twisted_bazaar.discovery.ring.rules.actions import InitialNeighbours
from twisted_bazaar.discovery.ring.rules.settings import Settings
from twisted_bazaar.discovery.ring.storage.dht_client import DhtClient
from twisted_bazaar.discovery.ring.storage.repair import Repair
from twisted_bazaar.errors import LinkClosed
from twisted_bazaar.interfaces import DatagramReceivers, INode
from twisted_bazaar.role import Role
from twisted_bazaar.values.addresses import Address

_CONNECT_S = 5.0


class SimulatedPeer(Role):
    """A member of a ring that keeps small values.

    @param join: where a member takes links; None to begin a ring.
    @param initial: its neighbours on a ring that is begun by many at once.
    @ivar member: its place among the others.
    @ivar dht: what it keeps.
    """

    is_self_numbered = True

    log: Final = Logger()

    def __init__(
        self,
        settings: Settings,
        replicas: int,
        join: IStreamClientEndpoint | None = None,
        initial: InitialNeighbours | None = None,
    ) -> None:
        self.member: RingMember = RingMember(settings)
        self.dht: DhtClient = DhtClient(self.member, replicas=replicas)
        self.datagrams: DatagramReceivers = self.member.datagrams
        self._repair = Repair(self.member, self.dht)
        self._join = join
        self._initial = initial

    def start(self, node: INode) -> None:
        """Begin."""
        super().start(node)
        self.dht.start(node)
        self._repair.start(node)
        self.member.start(node, self._join, self._initial).addErrback(self._not_joined)

    def stop(self) -> Deferred[None]:
        """Hand over what is here, and leave."""
        return self.member.stop().addCallback(lambda _: self._repair.stop())

    def _not_joined(self, failure: Failure) -> None:
        if not failure.check(LinkClosed):
            self.log.failure("a node could not join", failure)


@implementer(IStreamClientEndpoint)
class AnyMember:
    """Leads to some member that runs, another each time: who wants to join has heard of several.

    @param others: where the others listen that run now.
    """

    def __init__(self, reactor: Any, others: Callable[[], Sequence[Address]], rng: random.Random) -> None:
        self._reactor = reactor
        self._others = others
        self._rng = rng

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect to one of them."""
        others = self._others()
        if not others:
            return fail(ConnectError(string="nobody is there"))
        address = self._rng.choice(others)
        endpoint = TCP4ClientEndpoint(self._reactor, address.host, address.port, timeout=_CONNECT_S)
        connecting: Deferred[IProtocol] = endpoint.connect(protocolFactory)
        return connecting
