"""A simulated machine that notes whom it connects to, and when."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IConnector

from twisted_bazaar.sim.engine.hosts import Host
from twisted_bazaar.testing import SimulatedNetwork


class WatchedHost(Host):
    """A machine whose connections are noted.

    @ivar dials: the time, host and port of each.
    """

    dials: list[tuple[float, str, int]]

    def connectTCP(self, host: str, port: int, factory: Any, *args: Any, **kwargs: Any) -> IConnector:
        """Note where to, and connect."""
        self.dials.append((self.seconds(), host, port))
        return super().connectTCP(host, port, factory, *args, **kwargs)

    def times_to(self, address: tuple[str, int]) -> list[float]:
        """When this machine connected to an address."""
        return [time for time, *dialled in self.dials if tuple(dialled) == address]


def watched_host(network: SimulatedNetwork) -> WatchedHost:
    """Another machine of a network."""
    host = network.host()
    host.__class__ = WatchedHost
    assert isinstance(host, WatchedHost)
    host.dials = []
    return host
