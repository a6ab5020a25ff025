"""Twisted's endpoints on simulated machines."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, clientFromString, connectProtocol, serverFromString
from twisted.internet.error import (
    CannotListenError,
    ConnectError,
    ConnectingCancelledError,
    ConnectionRefusedError,
    DNSLookupError,
    TimeoutError,
)
from twisted.internet.protocol import Factory

from tests.sim.cases import Listener, NetworkTestCase


class EndpointTests(NetworkTestCase):
    """Endpoints made from the strings that the command line takes."""

    def connect_by(self, server: str, client: str) -> tuple[Any, Any]:
        """Listen and connect as two strings say; returns both ends."""
        ends: list[Listener] = []

        def make() -> Listener:
            ends.append(Listener())
            return ends[-1]

        listening = serverFromString(self.b, server).listen(Factory.forProtocol(make))  # type: ignore[arg-type] # makes one
        port: Any = self.successResultOf(listening)
        connecting = clientFromString(self.a, client.format(self.b.address, port.getHost().port)).connect(
            Factory.forProtocol(Listener)
        )
        self.assertNoResult(connecting)
        self.run_for(1)
        return self.successResultOf(connecting), ends[0]

    def test_strings(self) -> None:
        """Both ends of a connection come about from C{tcp:} strings, and talk."""
        for server in ("tcp:4000", "tcp:0", f"tcp:4001:interface={self.b.address}", "tcp:4002:backlog=1"):
            near, far = self.connect_by(server, "tcp:{}:{}:timeout=5")
            near.transport.write(b"hello")
            self.run_for(1)
            far.transport.write(b"hello!")
            far.transport.loseConnection()
            self.run_for(1)
            with self.subTest(server=server):
                self.assertEqual((far.received, near.received, near.ended[0]), (b"hello", b"hello!", "ConnectionDone"))

    def test_v6(self) -> None:
        """The same by IPv6."""
        self.a, self.b = self.network.add_host("c", "fd00::1"), self.network.add_host("d", "fd00::2")
        near, far = self.connect_by("tcp6:4000", r"tcp:fd00\:\:2:4000")
        self.assertEqual((near.transport.getPeer().host, far.transport.getPeer().host), ("fd00::2", "fd00::1"))

    def test_bound(self) -> None:
        """A client says where it calls from."""
        self.a = self.network.add_host("c", "10.9.0.1", "10.9.0.2")
        _, far = self.connect_by("tcp:4000", "tcp:{}:{}:bindAddress=10.9.0.2")
        self.assertEqual(far.transport.getPeer().host, "10.9.0.2")

    def test_errors(self) -> None:
        """Each way to fail has the error that it has with Twisted's reactor, and none is raised at once."""
        self.network.add_host("dead", "10.9.0.9").crash()
        for where, error in (
            (f"tcp:{self.b.address}:1", ConnectionRefusedError),
            ("tcp:10.9.0.9:1:timeout=5", TimeoutError),
            ("tcp:bazaar.example:1", DNSLookupError),
            (r"tcp:fd00\:\:1:1", ConnectError),
        ):
            connecting = clientFromString(self.a, where).connect(Factory.forProtocol(Listener))
            self.assertNoResult(connecting)
            self.run_for(10)
            with self.subTest(where=where):
                self.failureResultOf(connecting, error)

    def test_cancel(self) -> None:
        """A call that is cancelled fails at once, and leaves nothing at either end."""
        self.listen()
        connecting = clientFromString(self.a, f"tcp:{self.b.address}:4000").connect(Factory.forProtocol(Listener))
        self.run_for(0.2)
        connecting.cancel()
        self.failureResultOf(connecting, ConnectingCancelledError)
        self.run_for(1)
        self.assertEqual((self.a.timers, self.a.transports, self.b.transports), ({}, {}, {}))

    def test_taken(self) -> None:
        """A port that is taken cannot be listened on."""
        self.listen()
        listening = serverFromString(self.b, "tcp:4000").listen(Factory.forProtocol(Listener))
        self.failureResultOf(listening, CannotListenError)

    def test_host_name_endpoint(self) -> None:
        """An endpoint that looks names up finds addresses, and no names."""
        self.listen()
        found = connectProtocol(HostnameEndpoint(self.a, self.b.address, 4000), Listener())
        unknown = connectProtocol(HostnameEndpoint(self.a, "bazaar.example", 4000), Listener())
        self.run_for(1)
        self.assertIsInstance(self.successResultOf(found), Listener)
        self.failureResultOf(unknown, DNSLookupError)
