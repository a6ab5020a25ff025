"""Simulated machines, each a reactor, on one network in virtual time.

A L{Host} offers what programs ask of Twisted's reactor: time, timers, TCP, UDP and threads. It can
lose its power, stand still, or have a clock that is wrong. Nothing here reads the wall clock or the
global source of chance.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Container, Iterator
from math import ulp
from os import strerror
from typing import Any, Final

from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import (
    IConnector,
    IDelayedCall,
    IListeningPort,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorThreads,
    IReactorTime,
    IReactorUDP,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.sim.engine.disk import Disk
from twisted_bazaar.sim.engine.handshake import Connector, Port
from twisted_bazaar.sim.engine.names import ANY, LOOPBACK, AddressResolver, InternetAddress, is_v6, make_address
from twisted_bazaar.sim.engine.network_conditions import Conditions, Draw, Ways
from twisted_bazaar.sim.engine.tcp import Transport
from twisted_bazaar.sim.engine.timeline import Timeline
from twisted_bazaar.sim.engine.timers import DelayedCall
from twisted_bazaar.sim.engine.udp import UDPPort

log: Final = Logger()

_FIRST_FREE_PORT: Final = 49_152
_PORTS: Final = 65_536
# A job in a thread waits this long for its turn, and its result as long to be noticed.
_THREAD_S: Final = 0.0005


class Network:
    """Machines and the ways between them.

    @param seed: decides everything that chance decides.
    @param usual: what ways are like unless they are changed.
    @param latency: draws the latency of each pair of hosts, instead of that of C{usual}.
    @param cut_share: the share of the segments of a TCP stream that arrive cut in two.
    @ivar timeline: the time of all of them.
    @ivar rng: the source of chance for what happens on the way.
    """

    def __init__(
        self, seed: object, usual: Conditions | None = None, latency: Draw | None = None, cut_share: float = 0.05
    ) -> None:
        self.seed = seed
        self.timeline: Timeline = Timeline()
        self.rng: random.Random = random.Random(f"{seed}/network")
        self.ways: Ways = Ways(seed, usual or Conditions(), latency)
        self.cut_share = cut_share
        self.hosts: dict[str, Host] = {}
        self._hosts_at: dict[str, Host] = {}
        self._nowhere = Host(self, "nowhere", is_up=False)

    def add_host(self, name: str, *addresses: str) -> Host:
        """A new machine.

        @param addresses: its IP addresses; one of its own if none is given.
        @raise ValueError: its name or an address of it is taken, or an address is none.
        """
        number = len(self.hosts) + 1
        own = addresses or (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",)
        host = Host(self, name, *(make_address("TCP", address, 0).host for address in own))
        for address in host.addresses:
            if name in self.hosts or address in self._hosts_at:
                raise ValueError(f"{name} at {address} is there already")
        self.hosts[name] = host
        self._hosts_at.update(dict.fromkeys(host.addresses, host))
        return host

    def host_at(self, address: str, asker: Host) -> Host:
        """Which machine an address leads to; one that is never up if there is none."""
        if address in LOOPBACK:
            return asker
        return self._hosts_at.get(address, self._nowhere)

    def reaches(self, source: Host, target: Host) -> bool:
        """Whether what one host sends gets to another now."""
        return target.is_up and not (self.ways.cuts and self.ways.is_cut(source.name, target.name))


@implementer(IReactorTime, IReactorTCP, IReactorUDP, IReactorThreads, IReactorPluggableNameResolver)
class Host:
    """One machine, and the reactor of the program on it.

    @ivar epoch: how often its program has ended; what is of an earlier epoch is gone.
    @ivar outages: how often it has lost its power.
    @ivar is_up: whether it has power.
    @ivar is_paused: whether its program stands still, while its kernel goes on.
    @ivar backlog: what waits for the program to go on.
    @ivar timers: those that are still to ring.
    @ivar ports: who takes TCP connections, by address and port.
    @ivar udp_ports: the same for datagrams.
    @ivar transports: its ends of open connections.
    @ivar disk: what outlives a loss of power, if it was synced.
    @ivar clock_rate: how fast its clock goes; 1 is right.
    @ivar storage_s: how long a job in a thread takes, at most.
    """

    def __init__(self, network: Network, name: str, *addresses: str, is_up: bool = True) -> None:
        self.network = network
        self.name = name
        self.addresses = addresses
        self.is_up: bool = is_up
        self.is_paused: bool = False
        self.epoch: int = 0
        self.outages: int = 0
        self.disk: Disk = Disk()
        self.backlog: list[tuple[Callable[[Any], object], Any]] = []
        self.timers: dict[DelayedCall, None] = {}
        self.ports: dict[tuple[str, int], Port] = {}
        self.udp_ports: dict[tuple[str, int], UDPPort] = {}
        self.transports: dict[Transport, None] = {}
        self.bytes_sent = 0
        self.bytes_received = 0
        self.clock_rate: float = 1.0
        self._clock_base = (0.0, 0.0)
        self._clock_is_right = True
        self.storage_s: float = 0.002
        self.nameResolver: Any = AddressResolver()
        self._next_port = _FIRST_FREE_PORT

    @property
    def address(self) -> str:
        """Its first IP address."""
        return self.addresses[0]

    # Time.

    def seconds(self) -> float:
        """The time by the clock of this host."""
        now = self.network.timeline.now
        return now if self._clock_is_right else self.own_time(now)

    def own_time(self, at: float) -> float:
        """What the clock of this host shows at an instant."""
        since, shown = self._clock_base
        return shown + (at - since) * self.clock_rate

    def true_time(self, shown: float) -> float:
        """The first instant, not before now, at which the clock of this host shows a time."""
        since, base = self._clock_base
        at = max(self.network.timeline.now, since + (shown - base) / self.clock_rate)
        step = ulp(at)
        while self.own_time(at) < shown:
            at += step
            step *= 2
        return at

    def skew_clock(self, rate: float) -> None:
        """Let the clock go faster or slower from now on; it never jumps, as a monotonic clock must not."""
        self._clock_base = (self.network.timeline.now, self.seconds())
        self._clock_is_right = False
        self.clock_rate = rate
        for timer in self.timers:
            timer.queue()

    def callLater(self, delay: float, callable: Callable[..., object], *args: Any, **kwargs: Any) -> DelayedCall:  # noqa: A002
        """Do something later, by the clock of this host."""
        assert delay >= 0, f"{delay} is not greater than or equal to 0 seconds"
        return DelayedCall(self, delay, callable, args, kwargs)

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """The timers that are still to ring."""
        return list(self.timers)

    # TCP.

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> IListeningPort:
        """Take connections."""
        listening = Port(self, self._own_address("TCP", interface, port), factory, backlog)
        listening.startListening()
        return listening

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float | None = 30, bindAddress: Any = None
    ) -> IConnector:
        """Connect; only to addresses, as there are no names here."""
        try:
            address = make_address("TCP", host, port)
        except ValueError:
            # A name, which fails when it is looked up.
            address = IPv4Address("TCP", host, port)
        connector = Connector(self, address, factory, timeout, bindAddress)
        connector.connect()
        return connector

    def port_at(self, address: InternetAddress) -> Port | None:
        """Who takes connections at an address of this host."""
        return next((self.ports[host, address.port] for host in _takers(address.host, address.port, self.ports)), None)

    def address_towards(self, other: InternetAddress, bound_to: tuple[str, int] | None = None) -> InternetAddress:
        """An address of this host to connect from, of the same family.

        @param bound_to: the host and port of it, where they matter; a host of C{""} and a port of 0 do not.
        @raise ConnectError: there is none, or the other is none.
        """
        try:
            host = make_address("TCP", other.host, 0).host
        except ValueError:
            raise error.DNSLookupError(f"no results for hostname lookup: {other.host}") from None
        bound, port = bound_to or ("", 0)
        if bound and bound not in ANY and (bound not in (*LOOPBACK, *self.addresses) or is_v6(bound) != is_v6(host)):
            raise error.ConnectBindError(errno.EADDRNOTAVAIL, strerror(errno.EADDRNOTAVAIL))
        source = bound if bound and bound not in ANY else self.source_towards(host)
        if source is None:
            raise error.getConnectError((errno.ENETUNREACH, strerror(errno.ENETUNREACH)))
        return make_address("TCP", source, port or self.free_port())

    def source_towards(self, host: str) -> str | None:
        """The address that what is sent to another carries; None if this host has none of that family."""
        if host in LOOPBACK:
            return host
        return next((address for address in self.addresses if is_v6(address) == is_v6(host)), None)

    def free_port(self) -> int:
        """A port that nobody has had lately."""
        taken = {port for _, port in (*self.ports, *self.udp_ports)}
        while True:
            port = self._next_port
            self._next_port = port + 1 if port + 1 < _PORTS else _FIRST_FREE_PORT
            if port not in taken:
                return port

    # UDP.

    def listenUDP(self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192) -> IListeningPort:
        """Take datagrams."""
        listening = UDPPort(self, self._own_address("UDP", interface, port), protocol, maxPacketSize)
        listening.startListening()
        return listening

    def udp_port_at(self, host: str, port: int) -> UDPPort | None:
        """Who takes datagrams at an address of this host."""
        return next((self.udp_ports[each, port] for each in _takers(host, port, self.udp_ports)), None)

    # Names.

    def installNameResolver(self, resolver: Any) -> Any:
        """Look names up elsewhere from now on; returns who did so before."""
        before, self.nameResolver = self.nameResolver, resolver
        return before

    # Threads: a job is done at one instant, and its result comes at a later one, so that power can go in between.

    def getThreadPool(self) -> Any:
        """Itself: jobs for threads are done by the host."""
        return self

    def suggestThreadPoolSize(self, size: int) -> None:
        """There are as many threads as jobs."""

    def callInThread(self, callable: Callable[..., object], *args: Any, **kwargs: Any) -> None:  # noqa: A002
        """Do a job that takes its time."""
        self.callInThreadWithCallback(None, callable, *args, **kwargs)

    def callFromThread(self, callable: Callable[..., object], *args: Any, **kwargs: Any) -> None:  # noqa: A002
        """Hand something from a job to the program."""
        self.call_soon(lambda: callable(*args, **kwargs))

    def callInThreadWithCallback(
        self, onResult: Callable[[bool, Any], object] | None, func: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        """Do a job, and say how it ended."""

        def work() -> None:
            try:
                succeeded, result = True, func(*args, **kwargs)
            except Exception:
                succeeded, result = False, Failure()
            if onResult is not None:
                self.call_later(_THREAD_S, lambda: onResult(succeeded, result))
            elif not succeeded:
                log.failure("a job in a thread raised", failure=result)

        self.call_later(_THREAD_S + self.network.rng.random() * self.storage_s, work)

    # What happens to the machine.

    def call_soon(self, call: Callable[[], object]) -> None:
        """Do something at this instant, after what is being done."""
        self.call_later(0.0, call)

    def call_later(self, delay_s: float, call: Callable[[], object]) -> None:
        """Do something later by true time, unless the power goes before."""
        epoch = self.epoch
        timeline = self.network.timeline
        timeline.at(timeline.now + delay_s, self._do, (epoch, call))

    def run_when_resumed(self, call: Callable[[], object]) -> None:
        """Do something now, or as soon as the program goes on."""
        self._do((self.epoch, call))

    def crash(self) -> None:
        """Lose the power: nothing is said to anybody, and what was not synced is gone."""
        self.is_up = False
        self.outages += 1
        self._end_program()
        self.disk.crash()

    def kill(self) -> None:
        """End the program at once; the kernel closes its connections, and files keep all that was written."""
        self._end_program()

    def power_up(self) -> None:
        """Have power again; starting a program is left to whoever does this."""
        self.is_up = True

    def pause(self) -> None:
        """Let the program stand still."""
        self.is_paused = True

    def resume(self) -> None:
        """Let the program go on with what has waited for it."""
        self.is_paused = False
        backlog, self.backlog = self.backlog, []
        timeline = self.network.timeline
        for call, argument in backlog:
            timeline.at(timeline.now, call, argument)

    def _end_program(self) -> None:
        for transport in self.transports:
            transport.abandon()
        for timer in self.timers:
            timer.abandon()
        self.epoch += 1
        self.backlog.clear()
        self.timers.clear()
        self.ports.clear()
        self.udp_ports.clear()
        self.transports.clear()
        self.is_paused = False

    def _do(self, what: tuple[int, Callable[[], object]]) -> None:
        epoch, call = what
        if epoch != self.epoch or not self.is_up:
            return
        if self.is_paused:
            self.backlog.append((self._do, what))
        else:
            call()

    def _own_address(self, kind: str, interface: str, port: int) -> InternetAddress:
        host = interface or ANY[0]
        try:
            address = make_address(kind, host, port or self.free_port())
        except ValueError:
            raise error.CannotListenError(interface, port, OSError(f"{interface} is not an IP address")) from None
        if address.host not in (*ANY, *LOOPBACK, *self.addresses):
            reason = OSError(errno.EADDRNOTAVAIL, strerror(errno.EADDRNOTAVAIL))
            raise error.CannotListenError(interface, port, reason)
        return address


def _takers(host: str, port: int, ports: Container[tuple[str, int]]) -> Iterator[str]:
    """Where what is meant for an address is taken: there, or on all addresses; one of all of IPv6 takes IPv4 too."""
    for each in (host, *(ANY[1:] if is_v6(host) else ANY)):
        if (each, port) in ports:
            yield each
