"""Simulated machines, each a reactor, on one network in virtual time.

A L{Host} offers what programs ask of Twisted's reactor: time, timers, TCP, UDP and threads. It can
lose its power, stand still, or have a clock that is wrong. Nothing here reads the wall clock or the
global source of chance.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final

from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IConnector,
    IDelayedCall,
    IListeningPort,
    IReactorFromThreads,
    IReactorInThreads,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.sim.conditions import Conditions, Draw, Ways
from twisted_bazaar.sim.disk import Disk
from twisted_bazaar.sim.tcp import Connector, Port, Transport
from twisted_bazaar.sim.timeline import Timeline
from twisted_bazaar.sim.udp import UDPPort

log = Logger()

_FIRST_FREE_PORT: Final = 49_152
_PORTS: Final = 65_536
_ANY: Final = ("0.0.0.0", "::")
_LOOPBACK: Final = ("127.0.0.1", "::1")
# A job in a thread waits this long for its turn, and its result as long to be noticed.
_THREAD_S: Final = 0.0005


class Network:
    """Machines and the ways between them.

    @param seed: decides everything that chance decides.
    @param usual: what ways are like unless they are changed.
    @param latency: draws the latency of each pair of hosts, instead of that of C{usual}.
    @param cut_share: the share of pieces of a TCP stream that arrive cut in two.
    @ivar timeline: the time of all of them.
    @ivar rng: the source of chance for what happens on the way.
    """

    def __init__(
        self, seed: object, usual: Conditions | None = None, latency: Draw | None = None, cut_share: float = 0.05
    ) -> None:
        self.seed = seed
        self.timeline = Timeline()
        self.rng = random.Random(f"{seed}/network")
        self.ways = Ways(seed, usual or Conditions(), latency)
        self.cut_share = cut_share
        self.hosts: dict[str, Host] = {}
        self._hosts_at: dict[str, Host] = {}
        self._nowhere = Host(self, "nowhere", is_up=False)

    def add_host(self, name: str, *addresses: str) -> Host:
        """A new machine.

        @param addresses: its IP addresses; one of its own if none is given.
        """
        number = len(self.hosts) + 1
        host = Host(self, name, *(addresses or (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",)))
        self.hosts[name] = host
        self._hosts_at.update(dict.fromkeys(host.addresses, host))
        return host

    def host_at(self, address: str, asker: Host) -> Host:
        """Which machine an address leads to; one that is never up if there is none."""
        if address in _LOOPBACK:
            return asker
        return self._hosts_at.get(address, self._nowhere)

    def reaches(self, source: Host, target: Host) -> bool:
        """Whether what one host sends gets to another now."""
        return target.is_up and not (self.ways.cuts and self.ways.is_cut(source.name, target.name))


@implementer(IDelayedCall)
class Timer:
    """Something that a host will do."""

    __slots__ = ("_args", "_at", "_call", "_due_at", "_epoch", "_host", "_kwargs", "is_spent")

    def __init__(
        self, host: Host, delay: float, call: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._host = host
        self._epoch = host.epoch
        self._call = call
        self._args = args
        self._kwargs = kwargs
        self.is_spent = False
        self._set(delay)

    def __repr__(self) -> str:
        return f"<timer of {self._host.name}: {self._call!r}>"

    def getTime(self) -> float:
        """When it is due, by the clock of its host."""
        return self._host.own_time(self._at)

    def cancel(self) -> None:
        """Let it not happen.

        @raise AlreadyCalled: it has happened.
        @raise AlreadyCancelled: it was cancelled before.
        """
        self._check()
        self._spend()
        self._host.network.timeline.spend()

    def reset(self, secondsFromNow: float) -> None:
        """Let it happen so long from now."""
        self._check()
        self._set(secondsFromNow)

    def delay(self, secondsLater: float) -> None:
        """Let it happen so much later."""
        self._check()
        self._set(self.getTime() - self._host.seconds() + secondsLater)

    def active(self) -> bool:
        """Whether it is still to happen."""
        return not self.is_spent

    def _check(self) -> None:
        if self.is_spent:
            raise error.AlreadyCancelled() if self._call is _nothing else error.AlreadyCalled()

    def _spend(self) -> None:
        self.is_spent = True
        self._call, self._args, self._kwargs = _nothing, (), {}
        if self._epoch == self._host.epoch:
            self._host.timers.pop(self, None)

    def _set(self, delay: float) -> None:
        host = self._host
        timeline = host.network.timeline
        self._at = timeline.now + max(0.0, delay) / host.clock_rate
        host.timers[self] = None
        timeline.at(self._at, _ring, self)

    def _ring(self) -> None:
        host = self._host
        if self.is_spent or self._epoch != host.epoch or host.network.timeline.now < self._at:
            return
        if host.is_paused:
            host.backlog.append((_ring, self))
            return
        call, args, kwargs = self._call, self._args, self._kwargs
        self.is_spent = True
        host.timers.pop(self, None)
        call(*args, **kwargs)


def _ring(timer: Timer) -> None:
    timer._ring()


def _nothing() -> None:
    """What a cancelled timer does."""


@implementer(IReactorTime, IReactorTCP, IReactorUDP, IReactorInThreads, IReactorFromThreads)
class Host:
    """One machine, and the reactor of the program on it.

    @ivar epoch: how often it has lost its power; what is of an earlier epoch is gone.
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
        self.is_up = is_up
        self.is_paused = False
        self.epoch = 0
        self.disk = Disk()
        self.backlog: list[tuple[Callable[[Any], object], Any]] = []
        self.timers: dict[Timer, None] = {}
        self.ports: dict[tuple[str, int], Port] = {}
        self.udp_ports: dict[tuple[str, int], UDPPort] = {}
        self.transports: dict[Transport, None] = {}
        self.bytes_sent = 0
        self.bytes_received = 0
        self.clock_rate = 1.0
        self._clock_base = (0.0, 0.0)
        self.storage_s = 0.002
        self._next_port = _FIRST_FREE_PORT

    @property
    def address(self) -> str:
        """Its first IP address."""
        return self.addresses[0]

    # Time.

    def seconds(self) -> float:
        """The time by the clock of this host."""
        return self.own_time(self.network.timeline.now)

    def own_time(self, at: float) -> float:
        """What the clock of this host shows at an instant."""
        since, shown = self._clock_base
        return shown + (at - since) * self.clock_rate

    def skew_clock(self, rate: float) -> None:
        """Let the clock go faster or slower from now on; it never jumps, as a monotonic clock must not."""
        self._clock_base = (self.network.timeline.now, self.seconds())
        self.clock_rate = rate

    def callLater(self, delay: float, callable: Callable[..., object], *args: Any, **kwargs: Any) -> Timer:  # noqa: A002
        """Do something later, by the clock of this host."""
        return Timer(self, delay, callable, args, kwargs)

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """The timers that are still to ring."""
        return list(self.timers)

    # TCP.

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> IListeningPort:
        """Take connections."""
        listening = Port(self, self._own_address("TCP", interface or "0.0.0.0", port), factory)
        listening.startListening()
        return listening

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> IConnector:
        """Connect; only to addresses, as there are no names here."""
        connector = Connector(self, _address("TCP", host, port), factory, timeout)
        connector.connect()
        return connector

    def port_at(self, address: IPv4Address | IPv6Address) -> Port | None:
        """Who takes connections at an address of this host."""
        for host in (address.host, *_ANY):
            port = self.ports.get((host, address.port))
            if port is not None:
                return port
        return None

    def address_towards(self, other: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
        """A free address of this host, of the same family, to connect from."""
        if other.host in _LOOPBACK:
            return _address("TCP", other.host, self.free_port())
        is_v6 = ":" in other.host
        own = [address for address in self.addresses if (":" in address) == is_v6]
        return _address("TCP", own[0] if own else self.addresses[0], self.free_port())

    def free_port(self) -> int:
        """A port that nobody has had lately."""
        port = self._next_port
        self._next_port = port + 1 if port + 1 < _PORTS else _FIRST_FREE_PORT
        return port

    # UDP.

    def listenUDP(self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192) -> IListeningPort:
        """Take datagrams."""
        listening = UDPPort(self, self._own_address("UDP", interface or "0.0.0.0", port), protocol, maxPacketSize)
        listening.startListening()
        return listening

    def udp_port_at(self, host: str, port: int) -> UDPPort | None:
        """Who takes datagrams at an address of this host."""
        for each in (host, *_ANY):
            taker = self.udp_ports.get((each, port))
            if taker is not None:
                return taker
        return None

    # Threads: a job is done at one instant, and its result comes at a later one, so that power can go in between.

    def getThreadPool(self) -> Host:
        """Itself: jobs for threads are done by the host."""
        return self

    def suggestThreadPoolSize(self, size: int) -> None:
        """There are as many threads as jobs."""

    def callInThread(self, callable: Callable[..., object], *args: Any, **kwargs: Any) -> None:  # noqa: A002
        """Do a job that takes its time."""
        self.callInThreadWithCallback(None, callable, *args, **kwargs)

    def callFromThread(self, callable: Callable[..., object], *args: Any, **kwargs: Any) -> None:  # noqa: A002
        """Hand something from a job to the program."""
        self.soon(lambda: callable(*args, **kwargs))

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
                self.later(_THREAD_S, lambda: onResult(succeeded, result))
            elif not succeeded:
                log.failure("a job in a thread raised", failure=result)

        self.later(_THREAD_S + self.network.rng.random() * self.storage_s, work)

    # What happens to the machine.

    def soon(self, call: Callable[[], object]) -> None:
        """Do something at this instant, after what is being done."""
        self.later(0.0, call)

    def later(self, delay_s: float, call: Callable[[], object]) -> None:
        """Do something later by true time, unless the power goes before."""
        epoch = self.epoch
        timeline = self.network.timeline
        timeline.at(timeline.now + delay_s, self._do, (epoch, call))

    def run(self, call: Callable[[], object]) -> None:
        """Do something now, or as soon as the program goes on."""
        self._do((self.epoch, call))

    def crash(self) -> None:
        """Lose the power: nothing is said to anybody, and what was not synced is gone."""
        self.is_up = False
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
            transport.forsake()
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

    def _own_address(self, kind: str, interface: str, port: int) -> IPv4Address | IPv6Address:
        if interface not in (*_ANY, *_LOOPBACK, *self.addresses):
            raise error.CannotListenError(interface, port, OSError("Cannot assign requested address"))
        return _address(kind, interface, port or self.free_port())


def _address(kind: str, host: str, port: int) -> IPv4Address | IPv6Address:
    family = IPv6Address if ip_address(host).version == 6 else IPv4Address
    return family(kind, host, port)  # type: ignore[arg-type]
