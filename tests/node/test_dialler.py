"""Promises of dialling: one dial to an address at a time, and never too many."""

from __future__ import annotations

from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.node.cases import LinkTestCase
from tests.watched_host import watched_host
from twisted_bazaar.errors import LinkClosed, NoSlots
from twisted_bazaar.node.dialler import Dialler
from twisted_bazaar.node.links.link import Link
from twisted_bazaar.system.tcp_endpoint import tcp_endpoint
from twisted_bazaar.values.addresses import Address

FIRST, SECOND, THIRD = (Address("192.0.2.7", port) for port in (1, 2, 3))


class DiallerTests(SynchronousTestCase):
    """At most two dials at a time, on a reactor that connects nobody."""

    def setUp(self) -> None:
        """Dial nobody yet."""
        self.reactor = MemoryReactorClock()
        self.dialler = Dialler(self.endpoint, self.no_link, at_once=2)

    def endpoint(self, address: Address) -> IStreamClientEndpoint:
        """What connects, within five seconds."""
        return tcp_endpoint(self.reactor, address.host, address.port, 5.0)

    def no_link(self) -> Link:
        """Nothing is ever connected."""
        raise AssertionError("a link for a connection that was not made")

    def dialled(self) -> list[tuple[str, int]]:
        """Where to connections were tried."""
        return [(host, port) for host, port, *_ in self.reactor.tcpClients]

    def refuse(self, position: int) -> None:
        """Let a try fail."""
        self.reactor.tcpClients[position][2].clientConnectionFailed(None, Failure(ConnectionRefusedError()))

    def test_one_dial_to_an_address(self) -> None:
        """Who wants an address that is being dialled waits for that dial, and all hear how it ended."""
        dialling = [self.dialler.dial(FIRST) for _ in range(3)]
        self.assertEqual((self.dialled(), len(self.dialler)), ([("192.0.2.7", 1)], 1))
        self.refuse(0)
        self.assertEqual(
            [self.failureResultOf(each, LinkClosed).check(LinkClosed) for each in dialling], [LinkClosed] * 3
        )
        self.assertEqual(len(self.dialler), 0)

    def test_so_many_at_once(self) -> None:
        """One dial too many is refused without a try; when another has ended there is room again."""
        dialling = [self.dialler.dial(address) for address in (FIRST, SECOND)]
        self.failureResultOf(self.dialler.dial(THIRD), NoSlots)
        self.assertEqual(self.dialled(), [("192.0.2.7", 1), ("192.0.2.7", 2)])
        self.refuse(0)
        self.failureResultOf(dialling[0], LinkClosed)
        self.assertNoResult(self.dialler.dial(THIRD))
        self.assertEqual(self.dialled()[2:], [("192.0.2.7", 3)])

    def test_again(self) -> None:
        """A dial that failed is no reason not to dial again."""
        for position in range(2):
            dialling = self.dialler.dial(FIRST)
            self.refuse(position)
            self.failureResultOf(dialling, LinkClosed)
        self.assertEqual(self.dialled(), [("192.0.2.7", 1)] * 2)

    def test_time_to_connect(self) -> None:
        """Each try has as long as it was said, over IPv4 and IPv6."""
        self.dialler.dial(FIRST)
        self.dialler.dial(Address("2001:db8::7", 4))
        self.assertEqual(
            [(host, timeout) for host, _, _, timeout, _ in self.reactor.tcpClients],
            [("192.0.2.7", 5.0), ("2001:db8::7", 5.0)],
        )

    def test_stop(self) -> None:
        """A dialler that stops gives up every dial, and tells who waits."""
        dialling = [self.dialler.dial(address) for address in (FIRST, FIRST, SECOND)]
        self.dialler.stop()
        for each in dialling:
            self.failureResultOf(each, LinkClosed)
        self.assertEqual(len(self.dialler), 0)


class ConnectedTests(LinkTestCase):
    """Dials that reach a node."""

    def test_shared(self) -> None:
        """Two that dial one node at the same moment share the connection, and both get its peer."""
        machine = watched_host(self.network)
        node = self.network.add_node(host=machine, min_links=0)
        self.network.run_until(lambda: node.id > 0)
        address = Address(*self.network.where(self.node))
        dialling = [node._links.dial(address) for _ in range(2)]
        self.network.run(1)
        self.assertEqual(len(machine.times_to((address.host, address.port))), 1)
        self.assertEqual([self.successResultOf(each) for each in dialling], [*node.peers()] * 2)
        self.assertEqual([peer.id for peer in node.peers()], [self.node.id])
