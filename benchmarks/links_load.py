"""The two ends of the connections that L{benchmarks.links} measures, each in a process of its own.

C{python -m benchmarks.links_load serve} listens in three ways, and prints at which ports: in the open, sealed as a node
does it, and by Twisted's own wrapper with the same certificates. C{python -m benchmarks.links_load dial PORT...} dials
them. With each line that they get, C{used} or C{bulk KIND BYTES} or C{joins COUNT}, they do that and print what came
of it; the figures are processor seconds.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from OpenSSL import SSL
from twisted.internet import reactor, stdio
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IPushProducer,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from benchmarks.bare import BACKLOG
from benchmarks.processes import LOOPBACK
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.security.links.link_security import InTheClear, LinkSecurity, Sealed
from twisted_bazaar.security.tls.contexts import TlsContexts
from twisted_bazaar.security.tls.tls_session import tls_sessions

KINDS: Final = ("plain", "sealed", "wrapper")

# As transfers between nodes have it.
_BLOCK_BYTES: Final = 256 << 10
_JOINING_AT_ONCE: Final = 16
_PATIENCE_S: Final = 20.0
_BULK: Final = b"bulk"
_DONE: Final = b"done"
_HELLO: Final = b"hello"

_CLOCK: Final[Any] = reactor


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class _Creator:
    """What Twisted's wrapper makes its connections by: our own settings."""

    def __init__(self, contexts: TlsContexts) -> None:
        self._contexts = contexts

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        return SSL.Connection(self._contexts.dialling, None)

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        return SSL.Connection(self._contexts.accepting, None)


class _Wrapper:
    """An endpoint over another, by Twisted's own wrapper."""

    def __init__(self, endpoint: Any, contexts: TlsContexts, *, is_client: bool) -> None:
        self._endpoint = endpoint
        self._creator = _Creator(contexts)
        self._is_client = is_client

    def listen(self, factory: Any) -> Any:
        return self._endpoint.listen(TLSMemoryBIOFactory(self._creator, self._is_client, factory))

    def connect(self, factory: Any) -> Any:
        return self._endpoint.connect(TLSMemoryBIOFactory(self._creator, self._is_client, factory))


class _Ways:
    """The three ways to secure connections."""

    def __init__(self) -> None:
        key = KeyPair.from_seed(os.urandom(32))
        self._contexts = TlsContexts.of(key)
        self._security: dict[str, LinkSecurity] = {
            "plain": InTheClear(),
            "sealed": Sealed(_CLOCK, tls_sessions(key)),
        }

    def server(self, kind: str, endpoint: IStreamServerEndpoint) -> Any:
        """What listens where an endpoint does."""
        if kind in self._security:
            return self._security[kind].seal_server(endpoint)
        return _Wrapper(endpoint, self._contexts, is_client=False)

    def client(self, kind: str, endpoint: IStreamClientEndpoint) -> Any:
        """What connects to where an endpoint does."""
        if kind in self._security:
            return self._security[kind].seal_client(endpoint, None)
        return _Wrapper(endpoint, self._contexts, is_client=True)


def _tune(transport: Any) -> None:
    """Have as much read and sent at once as in a transfer; the wrapper has to be asked below."""
    connection = transport if hasattr(transport, "bufferSize") else transport.transport
    transport.setTcpNoDelay(True)
    connection.bufferSize = _BLOCK_BYTES
    connection.SEND_LIMIT = _BLOCK_BYTES + 64


class Taker(Protocol):
    """Says hello; takes as many bytes as it is told that come, and says when they are all there."""

    transport: Any

    def __init__(self) -> None:
        self._left = -1

    def connectionMade(self) -> None:
        """Say hello."""
        _tune(self.transport)
        self.transport.write(_HELLO)

    def dataReceived(self, data: bytes) -> None:
        """Count what comes."""
        if self._left < 0:
            self._left = int.from_bytes(data[:8], "big")
            data = data[8:]
        self._left -= len(data)
        if not self._left:
            self.transport.write(_DONE)


@implementer(IPushProducer)
class Giver(Protocol):
    """Waits for hello, sends so many bytes and waits until they are all there.

    @param size: how many bytes; 0 for none.
    @ivar done: fires with the processor seconds that this end took for them.
    """

    transport: Any

    def __init__(self, size: int) -> None:
        self.done: Deferred[float] = Deferred()
        self._size = self._left = size
        self._block = os.urandom(_BLOCK_BYTES) if size else b""
        self._is_paused = False
        self._began = 0.0

    def connectionMade(self) -> None:
        """Wait for hello."""
        if self._size:
            _tune(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """Begin, or end."""
        if data == _HELLO and self._size:
            self._began = time.process_time()
            self.transport.write(self._size.to_bytes(8, "big"))
            self.transport.registerProducer(self, True)
            self.resumeProducing()
            return
        took_s = time.process_time() - self._began
        if self._size:
            self.transport.unregisterProducer()
        self.transport.abortConnection()
        self.done.callback(took_s)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fail if it was too early."""
        if not self.done.called:
            self.done.errback(reason)

    def pauseProducing(self) -> None:
        """Send no more for now."""
        self._is_paused = True

    def resumeProducing(self) -> None:
        """Send on."""
        self._is_paused = False
        while self._left and not self._is_paused:
            size = min(self._left, _BLOCK_BYTES)
            self._left -= size
            self.transport.write(self._block[:size])

    def stopProducing(self) -> None:
        """The connection is gone."""


class Orders(LineOnlyReceiver):
    """Does what it is told on standard input.

    @param ways: how connections are secured.
    @param ports: where the other process listens, in the order of C{KINDS}.
    """

    delimiter = b"\n"

    def __init__(self, ways: _Ways, ports: Sequence[int]) -> None:
        self._ways = ways
        self._ports = dict(zip(KINDS, ports, strict=False))

    def lineReceived(self, line: bytes) -> None:
        """Do one thing."""
        words = line.decode().split()
        Deferred.fromCoroutine(self._do(*words)).addCallbacks(lambda said: say(**said), _fail)

    def connectionLost(self, reason: object = None) -> None:
        """The benchmark is over."""
        os._exit(0)

    async def _do(self, what: str, *words: str) -> dict[str, float]:
        if what == "used":
            return {"used": time.process_time()}
        if what == "bulk":
            return {"used": await self._give(words[0], int(words[1]))}
        return {"used": await self._join(int(words[0]))}

    async def _give(self, kind: str, size: int) -> float:
        endpoint = TCP4ClientEndpoint(_CLOCK, LOOPBACK, self._ports[kind], _PATIENCE_S)
        giver = Giver(size)
        await self._ways.client(kind, endpoint).connect(_one(giver))
        return await giver.done

    async def _join(self, count: int) -> float:
        """Make sealed connections, some at once; each is there when the other end's first word has come."""
        began = time.process_time()
        left = iter(range(count))

        async def one_after_another() -> None:
            for _ in left:
                await self._give("sealed", 0)

        for each in [Deferred.fromCoroutine(one_after_another()) for _ in range(_JOINING_AT_ONCE)]:
            await each
        return time.process_time() - began


def _one(protocol: Protocol) -> Factory:
    factory = Factory.forProtocol(lambda: protocol)
    factory.noisy = False
    return factory


def say(**what: object) -> None:
    """Print one line."""
    print(json.dumps(what), flush=True)


def _fail(failure: Failure) -> None:
    say(error=failure.getErrorMessage())


async def _run(words: Sequence[str]) -> None:
    ways = _Ways()
    ports: list[int] = []
    if words[0] == "serve":
        for kind in KINDS:
            endpoint = TCP4ServerEndpoint(_CLOCK, 0, backlog=BACKLOG, interface=LOOPBACK)
            port = await ways.server(kind, endpoint).listen(Factory.forProtocol(Taker))
            ports.append(port.getHost().port)
    stdio.StandardIO(Orders(ways, [int(word) for word in words[1:]]))
    say(there=ports)


if __name__ == "__main__":
    Deferred.fromCoroutine(_run(sys.argv[1:])).addErrback(_fail)
    _CLOCK.run()
