"""The promises about what a node takes of its machine: memory, timers, sockets; and about the code itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.node.links.link import Link
from twisted_bazaar.sim.cluster import Cluster, Member
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.wire.message import Message


class TablesAreBounded(Check):
    """No peer makes memory grow without bound."""

    promise = "every table stays under its cap"

    _EVERY_S: ClassVar[float] = 10.0

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._next_at = 0.0

    def on_second(self) -> None:
        """Look at every table of every node, now and then."""
        if self.now < self._next_at:
            return
        self._next_at = self.now + self._EVERY_S
        for member in self.cluster.running():
            assert member.node is not None, "it runs"
            links = len(member.node.peers())
            self.expect(links <= member.programme.limits.max_links, f"{member.name} has {links} links")
            for name, table in tables_in([member.node, *member.roles]):
                self.expect(len(table) <= table.cap, f"{member.name}: {len(table)} of {table.cap} entries in {name}")


def tables_in(roots: list[object]) -> Iterator[tuple[str, FairTable[Any, Any]]]:
    """Every bounded table that our own objects hold, with its name."""
    met: set[int] = set()
    to_see: list[object] = list(roots)
    while to_see:
        thing = to_see.pop()
        if id(thing) in met or isinstance(thing, Link):
            continue
        met.add(id(thing))
        for name, value in vars(thing).items():
            if isinstance(value, FairTable):
                yield f"{type(thing).__name__}.{name.lstrip('_')}", value
            elif type(value).__module__.startswith("twisted_bazaar.") and hasattr(value, "__dict__"):
                to_see.append(value)


class NothingLeft(Check):
    """A node that has stopped is gone."""

    promise = "no timer and no socket is left when a node has stopped"

    def on_stop(self, member: Member) -> None:
        """Look at its machine."""
        host = member.host
        # A connection that nobody has accepted yet is the kernel's.
        accepted = [transport for transport in host.transports if transport.protocol is not None]
        left = [*host.timers, *accepted, *host.ports, *host.udp_ports]
        self.expect(not left, f"{member.name} has stopped and left {left[:5]}")


class NoFaultOfOurs(Check):
    """The code never fails by itself."""

    promise = "no fault of our own is logged"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        globalLogPublisher.addObserver(self._logged)  # type: ignore[arg-type] # any callable will do

    def on_message(self, member: Member, peer: Peer | None, message: Message) -> None:
        """One thing more that went well."""
        self.expect(True, "")

    def on_end(self) -> None:
        """Listen no more."""
        globalLogPublisher.removeObserver(self._logged)  # type: ignore[arg-type] # as above

    def _logged(self, event: Mapping[str, Any]) -> None:
        if event.get("log_level") is LogLevel.critical:
            failure = event.get("log_failure")
            cause = "" if failure is None else f": {failure.getErrorMessage()}"
            self.expect(False, f"{formatEvent(dict(event))}{cause}")
