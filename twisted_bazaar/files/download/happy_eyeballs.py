"""Happy eyeballs (RFC 8305): a source is reached by connection, by stream over datagrams, or by the quicker.

A firewall that swallows what it does not let through looks like a long way, so the second way does not wait for the
first to fail: that has a head start, as addresses have in RFC 8305.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileSource

# Longer than a connection takes to anywhere, and much less than until it is given up.
HEAD_START_S: Final = 3.0


class ConnectTo(Protocol):
    """Gives what connects to an address; see L{INode.connection_endpoint}."""

    def __call__(
        self, address: Address, key: str | None = None, timeout_s: float | None = None
    ) -> IStreamClientEndpoint:
        """An endpoint for a connection to an address, whose node has a key."""


class StreamTo(Protocol):
    """Says where a stream over datagrams can be opened; see L{INode.stream_endpoint}."""

    def __call__(
        self, address: Address, key: str | None = None, timeout_s: float | None = None
    ) -> IStreamClientEndpoint | None:
        """An endpoint for a stream to an address; None if there can be none."""


class HappyEyeballs:
    """The ways to sources.

    @param clock: the time.
    @param connect_to: what makes connections.
    @param connect_s: how long to try each way.
    @param stream_to: where streams can be opened; None for nowhere.
    @param streams_first: whether they are tried before connections.
    """

    def __init__(
        self,
        clock: Any,
        connect_to: ConnectTo,
        connect_s: float,
        stream_to: StreamTo | None = None,
        *,
        streams_first: bool = False,
    ) -> None:
        self._clock = clock
        self._connect_to = connect_to
        self._connect_s = connect_s
        self._stream_to = stream_to
        self._streams_first = streams_first

    def endpoint_for(self, source: FileSource) -> IStreamClientEndpoint | None:
        """The way to a source; None if there is none."""
        ways: list[IStreamClientEndpoint] = []
        if source.address.port:
            ways.append(self._connect_to(source.address, source.key or None, self._connect_s))
        if source.udp and self._stream_to is not None:
            stream = self._stream_to(Address(source.address.host, source.udp), source.key or None, self._connect_s)
            if stream is not None:
                ways.insert(0 if self._streams_first else len(ways), stream)
        if not ways:
            return None
        return ways[0] if len(ways) == 1 else HeadStart(self._clock, ways)


@implementer(IStreamClientEndpoint)
class HeadStart:
    """Several endpoints of one node, of which each has a head start before the next; the first that leads there wins.

    @param clock: the time.
    @param endpoints: at least one.
    """

    def __init__(self, clock: Any, endpoints: Sequence[IStreamClientEndpoint]) -> None:
        self._clock = clock
        self._endpoints = endpoints

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; fires with the protocol, or fails as the last has."""
        return _Race(self._clock, self._endpoints, protocolFactory).won


class _Race:
    """One try to connect.

    @ivar won: fires with the protocol of the first.
    """

    def __init__(self, clock: Any, endpoints: Sequence[IStreamClientEndpoint], factory: IProtocolFactory) -> None:
        self.won: Deferred[IProtocol] = Deferred(lambda _: self._end())
        self._waiting = list(endpoints)
        self._factory = factory
        self._running: list[Deferred[IProtocol]] = []
        self._timer = Timer(clock, self._start)
        self._is_over = False
        self._start()

    def _start(self) -> None:
        """Start the next endpoint."""
        self._timer.cancel()
        connecting = self._waiting.pop(0).connect(self._factory)
        self._running.append(connecting)
        if self._waiting:
            self._timer.set(HEAD_START_S)
        connecting.addCallbacks(self._connected, self._failed, callbackArgs=(connecting,), errbackArgs=(connecting,))

    def _connected(self, protocol: IProtocol, connecting: Deferred[IProtocol]) -> None:
        self._running.remove(connecting)
        if not self._is_over:
            self._end()
            self.won.callback(protocol)

    def _failed(self, failure: Failure, connecting: Deferred[IProtocol]) -> None:
        self._running.remove(connecting)
        if self._is_over:
            # It has been cancelled, or was too late.
            return
        is_fault = not failure.check(ConnectError, OSError)
        if not is_fault and self._waiting:
            # Nobody is there, or lets nobody in.
            self._start()
        elif is_fault or not self._running:
            self._end()
            self.won.errback(failure)

    def _end(self) -> None:
        """Try no more."""
        self._is_over = True
        self._timer.cancel()
        for connecting in list(self._running):
            connecting.cancel()
