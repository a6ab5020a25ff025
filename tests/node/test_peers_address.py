"""Where a node can be reached, by what it says and by what is seen of it."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.interfaces import Address
from twisted_bazaar.node.control import ThisIsMe
from twisted_bazaar.node.peers import address_of

bounded = settings(max_examples=100, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])

LOOPBACK = ("127.0.0.1", "127.8.9.10", "::1")
ELSEWHERE = ("192.0.2.7", "10.0.0.7", "2001:db8::7")


def address(host: str | None, seen_host: str, port: int = 9001) -> Address:
    """The address of a node that says it has this host, on a connection from that one."""
    return address_of(ThisIsMe(id=1, port=port, key="ab" * 32, host=host), seen_host)


class AddressTests(SynchronousTestCase):
    """What others are told of where a node listens."""

    def test_as_seen(self) -> None:
        """A node that names no host has the one its connection comes from, and the port it names."""
        for seen in (*LOOPBACK, *ELSEWHERE):
            self.assertEqual(address(None, seen), Address(seen, 9001))

    def test_as_named(self) -> None:
        """A node that names another host is believed."""
        for seen in (*LOOPBACK, *ELSEWHERE):
            self.assertEqual(address("198.51.100.5", seen), Address("198.51.100.5", 9001))
            self.assertEqual(address("2001:db8::5", seen), Address("2001:db8::5", 9001))

    def test_loopback(self) -> None:
        """A node that listens on loopback is reached from its own machine; for others it takes no connections."""
        for host in LOOPBACK:
            self.assertEqual([address(host, seen) for seen in LOOPBACK], [Address(host, 9001)] * 3)
            self.assertEqual([address(host, seen) for seen in ELSEWHERE], [Address(seen, 0) for seen in ELSEWHERE])

    def test_loopback_in_disguise(self) -> None:
        """What leads to the reader's own machine is loopback, however it is written."""
        for host in ("::ffff:127.0.0.1", "::ffff:7f00:1", "0.0.0.0", "::", "::ffff:0.0.0.0"):
            self.assertEqual(address(host, "192.0.2.7"), Address("192.0.2.7", 0), host)

    def test_takes_no_connections(self) -> None:
        """Port 0 stays 0: the node does not listen."""
        self.assertEqual(address(None, "192.0.2.7", 0), Address("192.0.2.7", 0))

    @bounded
    @given(st.none() | st.ip_addresses().map(str), st.ip_addresses().map(str), st.integers(0, 65535))
    def test_any(self, host: str | None, seen: str, port: int) -> None:
        """The host is one of the two; the port is the named one, or 0."""
        found = address(host, seen, port)
        self.assertIn(found.host, {host, seen} - {None})
        self.assertIn(found.port, {port, 0})

    def test_as_text(self) -> None:
        """As text an IPv6 host stands in brackets."""
        self.assertEqual(str(Address("192.0.2.7", 9001)), "192.0.2.7:9001")
        self.assertEqual(str(Address("2001:db8::7", 9001)), "[2001:db8::7]:9001")
