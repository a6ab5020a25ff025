"""Endpoints as logs name them."""

from __future__ import annotations

from twisted.internet.endpoints import clientFromString
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.values.addresses import text_of_endpoint


class EndpointTests(SynchronousTestCase):
    """A line in the log says where, in the words of the command line."""

    def test_text(self) -> None:
        """An endpoint is named as it is written on a command line, without what is usual."""
        reactor = MemoryReactorClock()
        for written, told in (
            ("tcp:127.0.0.1:9000", "tcp:127.0.0.1:9000"),
            ("tcp:host=market.example:port=9000:timeout=3", "tcp:market.example:9000"),
            (r"tcp:\:\:1:9000", "tcp:[::1]:9000"),
            ("unix:/run/node.sock", "unix:/run/node.sock"),
        ):
            self.assertEqual(text_of_endpoint(clientFromString(reactor, written)), told)

    def test_strange(self) -> None:
        """Of an endpoint of somebody else's making no more is told than that it is one."""
        self.assertEqual(text_of_endpoint(object()), "an endpoint")
