"""The TCP handshake between simulated machines: ports that accept, connectors that ask.

The first packet is sent again until something comes back. A machine takes connections for a program that
stands still, up to its backlog. An answer that comes too late is reset.
"""

from __future__ import annotations

import errno
from functools import partial
from os import strerror
from typing import Any, Final, Literal

from twisted.internet import error
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConnector, IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.sim.engine.interfaces import Host
from twisted_bazaar.sim.engine.names import ANY, InternetAddress, is_v6, map_to_v6
from twisted_bazaar.sim.engine.tcp import Transport

log: Final = Logger()

# As on Linux: sent again after 1 s, twice that and so on, and given up after the sixth time.
_FIRST_RESEND_S: Final = 1.0
_LAST_RESEND_S: Final = 64.0


@implementer(IListeningPort)
class Port:
    """Takes connections on one address of a host.

    @param backlog: so many may wait for the program to take them, while it stands still.
    """

    __slots__ = ("_address", "_backlog", "_factory", "_host", "_waiting")

    def __init__(self, host: Host, address: InternetAddress, factory: Any, backlog: int) -> None:
        self._host = host
        self._address = address
        self._factory = factory
        self._backlog = backlog
        self._waiting = 0

    def startListening(self) -> None:
        """Begin.

        @raise CannotListenError: the port is taken.
        """
        own = self._address
        for host, port in self._host.ports:
            if port == own.port and (host == own.host or host in ANY or own.host in ANY):
                raise error.CannotListenError(own.host, port, OSError(errno.EADDRINUSE, strerror(errno.EADDRINUSE)))
        self._host.ports[own.host, own.port] = self
        self._factory.doStart()

    def stopListening(self) -> Deferred[None]:
        """Take no more connections; fires in a moment, when the port is free again."""
        if not self._is_listening:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._host.call_soon(lambda: self._stop(stopped))
        return stopped

    def getHost(self) -> InternetAddress:
        """Where it listens."""
        return self._address

    def admit(self, client: InternetAddress, own: InternetAddress) -> Transport | None:
        """Have the kernel take a connection, and the program soon; None if too many wait already.

        @param client: who asks.
        @param own: the address that it asks.
        """
        if self._waiting > self._backlog:
            return None
        if is_v6(self._address.host) and not is_v6(client.host):
            client, own = map_to_v6(client), map_to_v6(own)
        near = Transport(self._host, own, client)
        self._host.transports[near] = None
        self._waiting += 1
        return near

    def accept(self, near: Transport) -> None:
        """Let the program take a connection that was admitted."""
        self._waiting -= 1
        if not near.connected:
            return
        if not self._is_listening:
            near.abortConnection()
            return
        try:
            protocol = self._factory.buildProtocol(near.other)
        except Exception:
            log.failure("a factory raised")
            protocol = None
        if protocol is None:
            near.loseConnection()
        else:
            near.begin(protocol)

    @property
    def _is_listening(self) -> bool:
        return self._host.ports.get((self._address.host, self._address.port)) is self

    def _stop(self, stopped: Deferred[None]) -> None:
        if self._is_listening:
            del self._host.ports[self._address.host, self._address.port]
            self._factory.doStop()
        stopped.callback(None)


@implementer(IConnector)
class Connector:
    """Asks for a connection, as often as its factory wants.

    @param address: where to.
    @param bound_to: the host and port to connect from; any if not given.
    @param timeout_s: how long one try may take; None for as long as the kernel tries.
    @ivar state: what Twisted's connectors call the same.
    """

    __slots__ = (
        *("_address", "_bound_to", "_factory", "_host", "_is_started", "_near", "_resend_s"),
        *("_timeout", "_timeout_s", "_tries", "state"),
    )

    def __init__(
        self,
        host: Host,
        address: InternetAddress,
        factory: Any,
        timeout_s: float | None,
        bound_to: tuple[str, int] | None,
    ) -> None:
        self._host = host
        self._address = address
        self._factory = factory
        self._timeout_s = timeout_s
        self._bound_to = bound_to
        self._is_started = False
        self._near: Transport | None = None
        self._tries = 0
        self._resend_s = _FIRST_RESEND_S
        self._timeout: Any = None
        self.state: Literal["connected", "connecting", "disconnected"] = "disconnected"

    def connect(self) -> None:
        """Begin.

        @raise RuntimeError: it has begun already.
        """
        if self.state != "disconnected":
            raise RuntimeError("can't connect in this state")
        self.state = "connecting"
        self._tries += 1
        self._resend_s = _FIRST_RESEND_S
        if not self._is_started:
            self._is_started = True
            self._factory.doStart()
        host, tries = self._host, self._tries
        if self._timeout_s is not None:
            self._timeout = host.callLater(self._timeout_s, self._fail, tries, error.TimeoutError())
        try:
            own = host.address_towards(self._address, self._bound_to)
        except (error.ConnectError, error.DNSLookupError) as reason:
            failed = partial(self._fail, tries, reason)
            host.call_soon(failed)
        else:
            host.call_soon(lambda: self._knock(tries, own, host.epoch))
        self._factory.startedConnecting(self)

    def stopConnecting(self) -> None:
        """Give up.

        @raise NotConnectingError: there is nothing to give up.
        """
        if self.state != "connecting":
            raise error.NotConnectingError("we're not trying to connect")
        self._fail(self._tries, error.UserError())

    def disconnect(self) -> None:
        """Give up, or close the connection if there is one."""
        if self.state == "connecting":
            self.stopConnecting()
        elif self._near is not None:
            self._near.loseConnection()

    def getDestination(self) -> InternetAddress:
        """Where it connects to."""
        return self._address

    def connection_lost(self, reason: Failure) -> None:
        """The connection that was made is gone."""
        self._near = None
        self.state = "disconnected"
        self._factory.clientConnectionLost(self, reason)
        self._stop()

    def _is_trying(self, tries: int) -> bool:
        return self.state == "connecting" and tries == self._tries

    def _knock(self, tries: int, own: InternetAddress, epoch: int) -> None:
        """Send the first packet, and once more if nothing comes back; the kernel does, whatever the program does."""
        host = self._host
        if epoch != host.epoch or not self._is_trying(tries):
            return
        if self._resend_s > _LAST_RESEND_S:
            host.run_when_resumed(lambda: self._fail(tries, _connect_error(errno.ETIMEDOUT)))
            return
        network = host.network
        again_at = network.timeline.now + self._resend_s
        self._resend_s *= 2
        network.timeline.at(again_at, lambda _: self._knock(tries, own, epoch))
        target = network.host_at(self._address.host, host)
        way = network.ways.conditions(host.name, target.name)
        if not way.loss or network.rng.random() >= way.loss:
            network.timeline.at(network.timeline.now + way.latency_s, lambda _: self._arrive(tries, own, target, epoch))

    def _arrive(self, tries: int, own: InternetAddress, target: Host, epoch: int) -> None:
        """The first packet is at the other machine, which answers it."""
        host, network = self._host, self._host.network
        if epoch != host.epoch or not self._is_trying(tries) or not network.reaches(host, target):
            return
        back = network.ways.conditions(target.name, host.name)
        port = target.port_at(self._address)
        if port is not None and self._near is None:
            far = port.admit(own, self._address)
            if far is None:
                return
            self._near = near = Transport(host, own, self._address)
            host.transports[near] = None
            near.far, far.far = far, near
            target.run_when_resumed(lambda: port.accept(far))
        if not back.loss or network.rng.random() >= back.loss:
            is_refused = self._near is None
            network.timeline.at(
                network.timeline.now + back.latency_s, lambda _: self._hear(tries, target, epoch, is_refused)
            )

    def _hear(self, tries: int, target: Host, epoch: int, is_refused: bool) -> None:
        """An answer has come, unless the way is cut by now."""
        host = self._host
        if epoch == host.epoch and host.network.reaches(target, host):
            if is_refused:
                host.run_when_resumed(lambda: self._fail(tries, _connect_error(errno.ECONNREFUSED)))
            else:
                host.run_when_resumed(lambda: self._open(tries))

    def _open(self, tries: int) -> None:
        """The connection is made."""
        near = self._near
        if not self._is_trying(tries) or near is None:
            return
        try:
            protocol = self._factory.buildProtocol(self._address)
        except Exception:
            failure = Failure()
            log.failure("a factory raised", failure=failure)
            near.loseConnection()
            self._near = None
            self._fail(tries, error.ConnectError(string=failure))
            return
        self.state = "connected"
        self._cancel_timeout()
        near.connector = self
        if protocol is None:
            near.loseConnection()
        else:
            near.begin(protocol)

    def _fail(self, tries: int, reason: Exception) -> None:
        if not self._is_trying(tries):
            return
        self.state = "disconnected"
        self._cancel_timeout()
        near, self._near = self._near, None
        if near is not None:
            near.abortConnection()
        self._factory.clientConnectionFailed(self, Failure(reason))
        self._stop()

    def _stop(self) -> None:
        """Tell the factory that nobody uses it, unless it has begun again."""
        if self.state == "disconnected":
            self._is_started = False
            self._factory.doStop()

    def _cancel_timeout(self) -> None:
        timeout, self._timeout = self._timeout, None
        if timeout is not None and timeout.active():
            timeout.cancel()


def _connect_error(number: int) -> Exception:
    """What Twisted makes of an error number of a C{connect} call."""
    reason: Exception = error.getConnectError((number, strerror(number)))
    return reason
