"""Who has the work of a handshake done, when very many want it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.node.datagrams.sealed.handshake_share import (
    FIRST_A_SECOND,
    MORE_A_SECOND,
    OF_HOST_A_SECOND,
    UNPROVEN_A_SECOND,
    HandshakeShare,
)

SECONDS = 20
TICKS = 100
# All are forgotten after ten seconds, and have had their first handshake again some seconds later.
FORGOTTEN_AGAIN_S = 13


class HandshakeShareTests(SynchronousTestCase):
    """What is allowed in some seconds."""

    def setUp(self) -> None:
        """Have a node's."""
        self.share = HandshakeShare()

    def allowed(self, hosts: int) -> int:
        """How many are, in all, when so many hosts ask without a pause; and somebody new each second, who is."""
        count = 0
        for tick in range(SECONDS * TICKS):
            now = 1_000 + tick / TICKS
            for host in range(hosts):
                name = f"198.51.{host // 250}.{host % 250}"
                is_refused = self.share.is_spent(name, now)
                is_allowed = self.share.allow(name, now)
                self.assertFalse(is_refused and is_allowed)
                count += is_allowed
            if tick % TICKS == TICKS // 2 and tick > FORGOTTEN_AGAIN_S * TICKS:
                self.assertTrue(self.share.allow(f"192.0.2.{tick // TICKS}", now))
        return count

    def test_in_all(self) -> None:
        """However many ask, so many are allowed in a second, and somebody new is among them."""
        self.assertLessEqual(self.allowed(300), (FIRST_A_SECOND + MORE_A_SECOND) * (SECONDS + 1))

    def test_of_a_host(self) -> None:
        """One host has no more than its own; an IPv6 network of 64 bits is one."""
        # It is forgotten every ten seconds, and has what it has at once anew.
        most = OF_HOST_A_SECOND * (SECONDS + 2 + SECONDS // 10)
        self.assertLessEqual(self.allowed(1), most)
        asked = [self.share.allow(f"2001:db8::{n:x}", 5_000 + n / 1_000) for n in range(1_000)]
        self.assertLessEqual(sum(asked), 2 * OF_HOST_A_SECOND + 1)

    def test_unproven(self) -> None:
        """Who has shown no cookie takes nothing from who has."""
        asked = [self.share.allow_unproven(1_000 + n / 1_000) for n in range(1_000)]
        self.assertLessEqual(sum(asked), 2 * UNPROVEN_A_SECOND)
        self.assertTrue(self.share.allow("192.0.2.1", 1_001))
