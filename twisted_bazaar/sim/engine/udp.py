"""UDP between simulated machines: datagrams that get lost, come twice, and overtake each other."""

from __future__ import annotations

import errno
from os import strerror
from typing import Any, Final

from twisted.internet import error
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort, IUDPTransport
from twisted.logger import Logger
from zope.interface import implementer

from twisted_bazaar.sim.engine.interfaces import Host
from twisted_bazaar.sim.engine.names import ANY, InternetAddress, is_v6

log: Final = Logger()

LARGEST_DATAGRAM: Final = 65_507
# How much later a datagram may come that others overtake, in latencies of its way.
_OVERTAKEN: Final = 3.0
# What waits before a narrow way for longer is dropped, as by a router.
_LONGEST_QUEUE_S: Final = 1.0
# What the kernel keeps for a program that does not read, as on Linux.
_KEPT_BYTES: Final = 212_992

Where = tuple[str, int]


@implementer(IListeningPort, IUDPTransport)
class UDPPort:
    """One UDP socket.

    @param most: longer datagrams are cut to this many bytes when they are read, as Twisted does.
    """

    def __init__(self, host: Host, address: InternetAddress, protocol: Any, most: int) -> None:
        self._host = host
        self._address = address
        self._protocol = protocol
        self._most = most
        self._connected_to: Where | None = None
        self._kept_bytes = 0

    def startListening(self) -> None:
        """Begin.

        @raise CannotListenError: the port is taken.
        """
        own = self._address
        for host, port in self._host.udp_ports:
            if port == own.port and (host == own.host or host in ANY or own.host in ANY):
                raise error.CannotListenError(own.host, port, OSError(errno.EADDRINUSE, strerror(errno.EADDRINUSE)))
        self._host.udp_ports[own.host, own.port] = self
        self._protocol.makeConnection(self)

    def stopListening(self) -> Deferred[None]:
        """Close; fires in a moment, when the port is free again."""
        if not self._is_open:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._host.call_soon(lambda: self._stop(stopped))
        return stopped

    def loseConnection(self) -> None:
        """Close."""
        self.stopListening()

    def getHost(self) -> InternetAddress:
        """Where it listens."""
        return self._address

    def connect(self, host: str, port: int) -> None:
        """Talk with one address only.

        @raise RuntimeError: it is connected already.
        @raise InvalidAddressError: the host is not an IP address.
        """
        if self._connected_to is not None:
            raise RuntimeError("already connected, reconnecting is not currently supported")
        if not isIPAddress(host) and not isIPv6Address(host):
            raise error.InvalidAddressError(host, "not an IPv4 or IPv6 address.")
        self._connected_to = (host, port)

    def setBroadcastAllowed(self, enabled: bool) -> None:
        """There is no broadcast here."""

    def getBroadcastAllowed(self) -> bool:
        """There is no broadcast here."""
        return False

    def write(self, packet: bytes, addr: Where | None = None) -> None:
        """Send one datagram.

        @raise MessageLengthError: it is too large.
        @raise InvalidAddressError: the host is not an IP address of the family of this socket.
        @raise RuntimeError: the socket is closed.
        """
        if not self._is_open:
            raise RuntimeError("the socket is closed")
        if self._connected_to is None:
            assert addr is not None, "a datagram needs an address"
            target = addr
            self._check(target[0])
        else:
            assert addr in (None, self._connected_to), "it is connected to another address"
            target = self._connected_to
        if len(packet) > LARGEST_DATAGRAM:
            raise error.MessageLengthError("message too long")
        host = self._host
        host.bytes_sent += len(packet)
        source = host.source_towards(target[0]) if self._address.host in ANY else self._address.host
        if source is None:
            raise OSError(errno.ENETUNREACH, strerror(errno.ENETUNREACH))
        self._send(bytes(packet), (source, self._address.port), target)

    def receive(self, packet: bytes, sender: Where) -> None:
        """Take a datagram that has come."""
        if not self._is_open or (self._connected_to is not None and sender != self._connected_to):
            return
        if not self._host.is_paused:
            self._read((packet, sender))
        elif self._kept_bytes + len(packet) <= _KEPT_BYTES:
            self._kept_bytes += len(packet)
            self._host.run_when_resumed(lambda: self._read_kept(packet, sender))

    def port_unreachable(self, other: Where) -> None:
        """Nobody listens where a datagram went; only a connected socket hears of it."""
        if self._is_open and self._connected_to == other:
            self._protocol.connectionRefused()

    @property
    def _is_open(self) -> bool:
        return self._host.udp_ports.get((self._address.host, self._address.port)) is self

    def _stop(self, stopped: Deferred[None]) -> None:
        if self._is_open:
            del self._host.udp_ports[self._address.host, self._address.port]
            self._protocol.doStop()
        stopped.callback(None)

    def _check(self, host: str) -> None:
        if not isIPAddress(host) and not isIPv6Address(host):
            raise error.InvalidAddressError(host, "write() only accepts IP addresses, not hostnames")
        if is_v6(host) != is_v6(self._address.host):
            own, other = ("IPv4", "IPv6") if is_v6(host) else ("IPv6", "IPv4")
            raise error.InvalidAddressError(host, f"{own} port write() called with {other} address")

    def _send(self, packet: bytes, sender: Where, target: Where) -> None:
        host, network = self._host, self._host.network
        other = network.host_at(target[0], host)
        way = network.ways.conditions(host.name, other.name)
        rng, now = network.rng, network.timeline.now
        for _ in range(2 if way.duplication and rng.random() < way.duplication else 1):
            if way.loss and rng.random() < way.loss:
                continue
            delay_s = way.latency_s
            if way.reordering and rng.random() < way.reordering:
                delay_s *= 1 + rng.random() * _OVERTAKEN
            if way.bytes_a_second:
                if network.ways.passed_at(host.name, other.name, 0, now) - now > _LONGEST_QUEUE_S:
                    continue
                delay_s += network.ways.passed_at(host.name, other.name, len(packet), now) - now
            network.timeline.at(now + delay_s, _arrive, (host, other, sender, target, packet))

    def _read_kept(self, packet: bytes, sender: Where) -> None:
        self._kept_bytes -= len(packet)
        if self._is_open:
            self._read((packet, sender))

    def _read(self, letter: tuple[bytes, Where]) -> None:
        packet, sender = letter
        self._host.bytes_received += len(packet)
        try:
            self._protocol.datagramReceived(packet[: self._most], sender)
        except Exception:
            log.failure("a protocol raised")


def _arrive(letter: tuple[Host, Host, Where, Where, bytes]) -> None:
    source, target, sender, address, packet = letter
    network = source.network
    if not network.reaches(source, target):
        return
    port = target.udp_port_at(*address)
    if port is not None:
        port.receive(packet, sender)
    else:
        back_s = network.ways.conditions(target.name, source.name).latency_s
        network.timeline.at(network.timeline.now + back_s, _bounce, (source, target, sender, address))


def _bounce(letter: tuple[Host, Host, Where, Where]) -> None:
    """The sender hears that nobody takes its datagram."""
    source, target, sender, address = letter
    asker = source.udp_port_at(*sender)
    if asker is not None and source.network.reaches(target, source):
        source.run_when_resumed(lambda: asker.port_unreachable(address))
