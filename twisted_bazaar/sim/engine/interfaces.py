"""The interfaces of a simulated machine and its network for their parts."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Protocol

from twisted.python.failure import Failure

from twisted_bazaar.sim.engine.names import InternetAddress
from twisted_bazaar.sim.engine.network_conditions import Ways
from twisted_bazaar.sim.engine.timeline import Timeline


class Network(Protocol):
    """Machines and the ways between them."""

    @property
    def timeline(self) -> Timeline:
        """The time of all of them."""

    @property
    def rng(self) -> random.Random:
        """The source of chance for what happens on the way."""

    @property
    def ways(self) -> Ways:
        """What the way between two machines is like."""

    @property
    def cut_share(self) -> float:
        """The share of the segments of a TCP stream that arrive cut in two."""

    def host_at(self, address: str, asker: Any) -> Host:
        """Which machine an address leads to."""

    def reaches(self, source: Any, target: Any) -> bool:
        """Whether what one machine sends gets to another now."""


class Host(Protocol):
    """One machine; see L{twisted_bazaar.sim.engine.hosts.Host} for what its attributes mean."""

    name: str
    is_up: bool
    is_paused: bool
    epoch: int
    outages: int
    backlog: list[tuple[Callable[[Any], object], Any]]
    timers: dict[Any, None]
    ports: dict[tuple[str, int], Any]
    udp_ports: dict[tuple[str, int], Any]
    transports: dict[Any, None]
    bytes_sent: int
    bytes_received: int

    @property
    def network(self) -> Network:
        """The network that it is on."""

    def seconds(self) -> float:
        """The time by its clock."""

    def true_time(self, shown: float) -> float:
        """When its clock shows a time."""

    def callLater(self, delay: float, callable: Callable[..., object], *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        """Do something after a while, by its clock."""

    def call_soon(self, call: Callable[[], object]) -> None:
        """Do something in the next turn."""

    def run_when_resumed(self, call: Callable[[], object]) -> None:
        """Do something now, or when its program goes on."""

    def address_towards(self, other: InternetAddress, bound_to: tuple[str, int] | None = None) -> InternetAddress:
        """The address and port that a connection to another has at this end."""

    def source_towards(self, host: str) -> str | None:
        """From which of its addresses it sends to another; None if it cannot."""

    def port_at(self, address: InternetAddress) -> Any:
        """Who takes connections at an address."""

    def udp_port_at(self, host: str, port: int) -> Any:
        """Who takes datagrams at an address."""


class StreamEnd(Protocol):
    """One end of a connection, as the streams of bytes between both ends see it."""

    connected: bool

    @property
    def host(self) -> Host:
        """The machine that it is on."""

    @property
    def far(self) -> StreamEnd | None:
        """The other end."""

    @property
    def unsent(self) -> bytes | bytearray:
        """What is written and not under way."""

    def receive(self, data: bytes) -> None:
        """Bytes have come."""

    def receive_end(self) -> None:
        """The other end sends nothing more."""

    def lose_connection(self) -> None:
        """The other end does not answer any more."""

    def reset_connection(self) -> None:
        """The other end has broken the connection off."""

    def pump(self) -> None:
        """There is room for more."""


class ConnectionWatcher(Protocol):
    """Somebody who hears of the end of a connection that it has made."""

    def connection_lost(self, reason: Failure) -> None:
        """It has ended."""
