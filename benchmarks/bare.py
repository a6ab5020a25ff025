"""The peers of the benchmarks that need a server: the least that Twisted can do, in processes of their own.

C{python -m benchmarks.bare echo} answers each netstring with its JSON read and written again.
C{python -m benchmarks.bare udp} does so with each datagram. C{python -m benchmarks.bare accept} takes connections
and says nothing. All print their port as their first line; C{accept} goes on to print how many connections it has
taken, at each C{REPORTED_EVERY}.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted.internet import reactor as _reactor
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.protocols.basic import NetstringReceiver

REPORTED_EVERY: Final = 50
BACKLOG: Final = 1024

reactor: Any = _reactor


class JsonEcho(NetstringReceiver):
    """Reads each message and writes it back, as somebody with only Twisted and C{json} would."""

    def connectionMade(self) -> None:
        """Send small frames at once, as a link does."""
        transport: Any = self.transport
        transport.setTcpNoDelay(True)

    def stringReceived(self, string: bytes) -> None:
        """Answer one message."""
        self.sendString(json.dumps(json.loads(string)).encode())  # type: ignore[no-untyped-call]  # Twisted's


class JsonDatagramEcho(DatagramProtocol):
    """Reads each datagram and sends it back, likewise."""

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Answer one datagram."""
        transport: Any = self.transport
        transport.write(json.dumps(json.loads(datagram)).encode(), addr)


class Silent(Protocol):
    """A connection that says nothing and is only counted."""

    taken = 0

    def connectionMade(self) -> None:
        """Count it."""
        Silent.taken += 1
        if Silent.taken % REPORTED_EVERY == 0:
            print(Silent.taken, flush=True)


def main(kind: str) -> None:
    """Serve until killed."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    port = _SERVERS[kind]()
    print(port.getHost().port, flush=True)
    reactor.run()


def _listen(protocol: type[Protocol]) -> Any:
    return reactor.listenTCP(0, Factory.forProtocol(protocol), backlog=BACKLOG, interface="127.0.0.1")


_SERVERS: Final[Mapping[str, Callable[[], Any]]] = {
    "echo": lambda: _listen(JsonEcho),
    "accept": lambda: _listen(Silent),
    "udp": lambda: reactor.listenUDP(0, JsonDatagramEcho(), interface="127.0.0.1"),
}


if __name__ == "__main__":
    main(sys.argv[1])
