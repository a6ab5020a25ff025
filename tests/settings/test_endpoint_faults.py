"""What is wrong in an endpoint is named, with the text to write instead where that can be told."""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.errors import UsageError
from twisted_bazaar.settings.endpoints import client_endpoint, server_endpoint

SUCH = "write one such as tcp:127.0.0.1:9000"
OWN = "write one such as tcp:9001, or none"


class EndpointFaultTests(SynchronousTestCase):
    """Endpoints that cannot be."""

    def test_client(self) -> None:
        """Where to connect to: tcp: or the port is missing, or the port is none; and what is no endpoint at all."""
        for text, fault in (
            ("localhost:9000", "tcp: is missing; write tcp:localhost:9000"),
            ("192.0.2.7:9000", "tcp: is missing; write tcp:192.0.2.7:9000"),
            ("[::1]:9000", "tcp: is missing; write tcp:\\:\\:1:9000"),
            ("::1:9000", "tcp: is missing; write tcp:\\:\\:1:9000"),
            ("tcp:192.0.2.7", f"the port is missing; {SUCH}"),
            ("tcp:host=192.0.2.7", f"the port is missing; {SUCH}"),
            ("tcp:192.0.2.7:99999", f"'99999' is not a port; {SUCH}"),
            ("tcp:192.0.2.7:port=http", f"'http' is not a port; {SUCH}"),
            ("tcp:192.0.2.7:0x10", f"'0x10' is not a port; {SUCH}"),
            ("tcp", f"not an endpoint; {SUCH}"),
            ("9000", f"not an endpoint; {SUCH}"),
            ("smell:of:9", f"not an endpoint; {SUCH}"),
            ("ssl:443", f"it cannot be made on this machine; {SUCH}"),
            ("a b:9000", f"not an endpoint; {SUCH}"),
            ("", f"not an endpoint; {SUCH}"),
        ):
            with self.assertRaises(UsageError, msg=text) as caught:
                client_endpoint(MemoryReactorClock(), text, "--tracker")
            self.assertEqual(str(caught.exception), f"--tracker {text!r}: {fault}")

    def test_server(self) -> None:
        """Where to listen: the same, and an address where the port is to stand first."""
        for text, fault in (
            ("9000", "tcp: is missing; write tcp:9000, or none"),
            ("127.0.0.1:9000", "tcp: is missing; write tcp:9000:interface=127.0.0.1"),
            ("tcp:127.0.0.1:9000", "the port stands first; write tcp:9000:interface=127.0.0.1"),
            ("[::1]:9000", "tcp: is missing; write tcp6:9000:interface=\\:\\:1"),
            ("tcp", f"the port is missing; {OWN}"),
            ("tcp:interface=127.0.0.1", f"the port is missing; {OWN}"),
            ("tcp:nine", f"'nine' is not a port; {OWN}"),
            ("tcp:99999", f"'99999' is not a port; {OWN}"),
            ("tcp:9000:colour=red", f"not an endpoint; {OWN}"),
            ("ssl:443", f"it cannot be made on this machine; {OWN}"),
            ("x", f"not an endpoint; {OWN}"),
            ("", f"not an endpoint; {OWN}"),
        ):
            with self.assertRaises(UsageError, msg=text) as caught:
                server_endpoint(MemoryReactorClock(), text)
            self.assertEqual(str(caught.exception), f"--listen {text!r}: {fault}")

    def test_what_it_says_can_be(self) -> None:
        """What is to be written instead is an endpoint."""
        for text in ("tcp:localhost:9000", "tcp:\\:\\:1:9000"):
            self.assertIsNotNone(client_endpoint(MemoryReactorClock(), text, "--tracker"))
        for text in ("tcp:9000:interface=127.0.0.1", "tcp6:9000:interface=\\:\\:1"):
            self.assertIsNotNone(server_endpoint(MemoryReactorClock(), text))
