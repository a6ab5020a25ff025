"""UDP between simulated machines: datagrams that get lost, come twice, and overtake each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort, IUDPTransport
from twisted.logger import Logger
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted_bazaar.sim.reactor import Host

log = Logger()

LARGEST_DATAGRAM: Final = 65_507
# How much later a datagram may come that others overtake, in latencies of its way.
_OVERTAKEN: Final = 3.0


@implementer(IListeningPort, IUDPTransport)
class UDPPort:
    """One UDP socket.

    @param most: longer datagrams are cut to this many bytes when they are read, as Twisted does.
    """

    def __init__(self, host: Host, address: IPv4Address | IPv6Address, protocol: Any, most: int) -> None:
        self._host = host
        self._address = address
        self._protocol = protocol
        self._most = most
        self._connected_to: tuple[str, int] | None = None
        self._is_open = False

    def startListening(self) -> None:
        """Begin.

        @raise CannotListenError: the port is taken.
        """
        key = (self._address.host, self._address.port)
        if key in self._host.udp_ports:
            raise error.CannotListenError(*key, OSError("Address already in use"))
        self._host.udp_ports[key] = self
        self._is_open = True
        self._protocol.makeConnection(self)

    def stopListening(self) -> Deferred[None]:
        """Close."""
        if self._is_open:
            self._is_open = False
            del self._host.udp_ports[self._address.host, self._address.port]
            self._protocol.doStop()
        return succeed(None)

    def loseConnection(self) -> None:
        """Close."""
        self.stopListening()

    def getHost(self) -> IPv4Address | IPv6Address:
        """Where it listens."""
        return self._address

    def connect(self, host: str, port: int) -> None:
        """Talk with one address only.

        @raise RuntimeError: it is connected already.
        """
        if self._connected_to is not None:
            raise RuntimeError("already connected, reconnecting is not currently supported")
        self._connected_to = (host, port)

    def setBroadcastAllowed(self, enabled: bool) -> None:
        """There is no broadcast here."""

    def getBroadcastAllowed(self) -> bool:
        """There is no broadcast here."""
        return False

    def write(self, packet: bytes, addr: tuple[str, int] | None = None) -> None:
        """Send one datagram.

        @raise OSError: it is too large.
        @raise InvalidAddressError: the host is not an IP address.
        """
        target = self._connected_to or addr
        assert target is not None, "a datagram needs an address"
        if len(packet) > LARGEST_DATAGRAM:
            raise error.MessageLengthError("message too long")
        host = self._host
        network = host.network
        other = network.host_at(target[0], host)
        conditions = network.ways.conditions(host.name, other.name)
        host.bytes_sent += len(packet)
        source = host.address_towards(IPv4Address("UDP", *target)).host
        sender = (source if self._address.host in ("0.0.0.0", "::") else self._address.host, self._address.port)
        rng = network.rng
        for _ in range(2 if conditions.duplication and rng.random() < conditions.duplication else 1):
            if conditions.loss and rng.random() < conditions.loss:
                continue
            delay_s = conditions.latency_s
            if conditions.reordering and rng.random() < conditions.reordering:
                delay_s *= 1 + rng.random() * _OVERTAKEN
            if conditions.bytes_a_second:
                delay_s += len(packet) / conditions.bytes_a_second
            network.timeline.at(
                network.timeline.now + delay_s, _arrive, (host, other, sender, (target[0], target[1]), bytes(packet))
            )

    def receive(self, packet: bytes, sender: tuple[str, int]) -> None:
        """Take a datagram that has come."""
        if not self._is_open or (self._connected_to is not None and sender != self._connected_to):
            return
        self._host.bytes_received += len(packet)
        try:
            self._protocol.datagramReceived(packet[: self._most], sender)
        except Exception:
            log.failure("a protocol raised")

    def refused(self) -> None:
        """Nobody listens where the last datagram went; only a connected socket hears of it."""
        if self._is_open and self._connected_to is not None:
            self._protocol.connectionRefused()


def _arrive(letter: tuple[Host, Host, tuple[str, int], tuple[str, int], bytes]) -> None:
    source, target, sender, address, packet = letter
    if not source.network.reaches(source, target):
        return
    port = target.udp_port_at(*address)
    if port is not None:
        target.run(lambda: port.receive(packet, sender))
        return
    asker = source.udp_port_at(*sender)
    if asker is not None and target.network.reaches(target, source):
        source.run(asker.refused)
