"""Why a connection could not be made, as logs tell it."""

from __future__ import annotations

from twisted.internet.error import ConnectionRefusedError, DNSLookupError, TimeoutError, getConnectError
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.system.connection_errors import reason_of


class ReasonTests(SynchronousTestCase):
    """The reason of a connection that could not be made."""

    def test_system(self) -> None:
        """What the operating system says is told once, and nothing around it."""
        self.assertEqual(reason_of(getConnectError((111, "Connection refused"))), "Connection refused")
        self.assertEqual(reason_of(getConnectError((113, "No route to host"))), "No route to host")

    def test_timeout(self) -> None:
        """Nobody who has not set a timeout is told that it was the user's."""
        self.assertEqual(reason_of(TimeoutError()), "no answer in time")

    def test_others(self) -> None:
        """What the system has no word for is told as Twisted tells it, without a full stop."""
        self.assertEqual(reason_of(ConnectionRefusedError()), "Connection was refused by other side")
        self.assertEqual(reason_of(DNSLookupError("no results")), "DNS lookup failed: no results")
