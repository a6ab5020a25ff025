"""Datagrams between simulated machines."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import CannotListenError, InvalidAddressError, MessageLengthError
from twisted.internet.interfaces import IListeningPort, IUDPTransport
from zope.interface.verify import verifyObject

from tests.sim.cases import LATENCY_S, PORT, Letters, NetworkTestCase
from twisted_bazaar.sim.engine.network_conditions import Conditions


class UDPTestCase(NetworkTestCase):
    """A socket on each machine."""

    def open(self, conditions: Conditions | None = None, most: int = 8192) -> None:
        """Open both on another network."""
        self.make_network(conditions)
        self.near, self.far = Letters(), Letters()
        self.port: Any = self.a.listenUDP(PORT, self.near)
        self.b.listenUDP(PORT, self.far, maxPacketSize=most)
        self.to: tuple[str, int] = (self.b.address, PORT)

    def send(self, count: int) -> list[bytes]:
        """Send numbered datagrams, and wait until they have come; returns them."""
        letters = [b"%05d" % number for number in range(count)]
        for letter in letters:
            self.port.write(letter, self.to)
            self.run_for(0.01)
        self.run_for(5)
        return letters

    @property
    def came(self) -> list[bytes]:
        """What has come to the other machine."""
        return [letter for letter, _ in self.far.letters]


class LetterTests(UDPTestCase):
    """How datagrams arrive."""

    def test_interfaces(self) -> None:
        """A socket is what Twisted calls so."""
        self.open()
        self.assertEqual(
            (verifyObject(IListeningPort, self.port), verifyObject(IUDPTransport, self.port)), (True, True)
        )

    def test_latency(self) -> None:
        """A datagram arrives after the latency of the way, and tells where it is from."""
        self.open()
        self.port.write(b"hello", self.to)
        self.run_for(1)
        self.assertEqual(self.far.letters, [(b"hello", (self.a.address, PORT))])
        self.assertEqual(self.far.times, [LATENCY_S])

    def test_loss(self) -> None:
        """Datagrams get lost, as many as the way loses, and nobody hears of it."""
        self.open(Conditions(LATENCY_S, loss=0.3))
        sent = self.send(1000)
        self.assertEqual([letter for letter in sent if letter in set(self.came)], self.came)
        self.assertTrue(640 < len(self.came) < 760, len(self.came))

    def test_duplication(self) -> None:
        """Datagrams come twice, as many as the way doubles."""
        self.open(Conditions(LATENCY_S, duplication=0.3))
        sent = self.send(1000)
        self.assertEqual(sorted(set(self.came)), sent)
        self.assertTrue(1240 < len(self.came) < 1360, len(self.came))

    def test_reordering(self) -> None:
        """Datagrams are overtaken by others; none gets lost."""
        self.open(Conditions(LATENCY_S, reordering=0.3))
        sent = self.send(1000)
        self.assertNotEqual(self.came, sent)
        self.assertEqual(sorted(self.came), sent)

    def test_bandwidth(self) -> None:
        """Datagrams wait for each other before a narrow way, and are dropped when too many wait."""
        self.open(Conditions(LATENCY_S, bytes_a_second=1000))
        for _ in range(20):
            self.port.write(b"x" * 100, self.to)
        self.run_for(30)
        times = [round(at, 6) for at in self.far.times]
        self.assertEqual(times, [round((n + 1) * 0.1 + LATENCY_S, 3) for n in range(11)])

    def test_cut(self) -> None:
        """Nothing comes through a partition, and nothing of it later."""
        self.open()
        cut = self.network.ways.cut(["a"])
        self.port.write(b"hello", self.to)
        self.run_for(1)
        self.network.ways.heal(cut)
        self.run_for(10)
        self.assertEqual(self.came, [])

    def test_size(self) -> None:
        """What is longer than the reader wants is cut without a word, as Twisted does."""
        self.open(most=1000)
        self.port.write(b"x" * 1001, self.to)
        self.run_for(1)
        self.assertEqual(self.came, [b"x" * 1000])

    def test_usual_size(self) -> None:
        """Without a wish that is 8,192 bytes."""
        self.open()
        self.port.write(b"x" * 10_000, self.to)
        self.run_for(1)
        self.assertEqual([len(letter) for letter in self.came], [8192])

    def test_largest(self) -> None:
        """No datagram is longer than 65,507 bytes."""
        self.open(most=70_000)
        self.port.write(b"x" * 65_507, self.to)
        self.assertRaises(MessageLengthError, self.port.write, b"x" * 65_508, self.to)
        self.run_for(1)
        self.assertEqual([len(letter) for letter in self.came], [65_507])

    def test_raises(self) -> None:
        """A protocol that raises gets the next datagram all the same."""
        self.open()
        letters = self.far.letters
        self.far.datagramReceived = lambda datagram, addr: letters.append((datagram, addr)) or 1 / 0  # type: ignore
        self.send(2)
        self.assertEqual((len(self.flushLoggedErrors(ZeroDivisionError)), self.came), (2, [b"00000", b"00001"]))


class SocketTests(UDPTestCase):
    """What a socket does, and what it refuses."""

    def setUp(self) -> None:
        """Two sockets."""
        self.open()

    def test_connected(self) -> None:
        """A connected socket talks with one address only."""
        self.port.connect(*self.to)
        self.port.write(b"hello")
        self.b.listenUDP(PORT + 1, stranger := Letters())
        stranger.transport.write(b"psst", (self.a.address, PORT))
        self.far.transport.write(b"hello!", (self.a.address, PORT))
        self.run_for(1)
        self.assertEqual((self.came, self.near.letters), ([b"hello"], [(b"hello!", self.to)]))
        self.assertRaises(AssertionError, self.port.write, b"", (self.b.address, PORT + 1))
        self.assertRaises(RuntimeError, self.port.connect, *self.to)

    def test_refused(self) -> None:
        """Only a connected socket hears that nobody listens, after one round trip."""
        to = (self.b.address, PORT + 1)
        self.port.write(b"hello", to)
        self.run_for(1)
        self.assertEqual(self.near.refusals, 0)
        self.port.connect(*to)
        self.port.write(b"hello")
        self.run_for(2 * LATENCY_S - 0.01)
        self.assertEqual(self.near.refusals, 0)
        self.run_for(0.01)
        self.assertEqual(self.near.refusals, 1)

    def test_no_machine(self) -> None:
        """A machine without power refuses nothing."""
        self.port.connect(self.b.address, PORT + 1)
        self.b.crash()
        self.port.write(b"hello")
        self.run_for(10)
        self.assertEqual(self.near.refusals, 0)

    def test_names(self) -> None:
        """A name is no address, and IPv6 none for a socket of IPv4."""
        for host in ("bazaar.example", "fd00::1"):
            with self.subTest(host=host):
                self.assertRaises(InvalidAddressError, self.port.write, b"", (host, PORT))
        self.assertRaises(InvalidAddressError, self.port.connect, "bazaar.example", PORT)

    def test_v6(self) -> None:
        """Datagrams go by IPv6, too."""
        c, d = self.network.add_host("c", "fd00::1"), self.network.add_host("d", "fd00::2")
        d.listenUDP(PORT, far := Letters(), interface="::")
        port: Any = c.listenUDP(0, Letters(), interface="::")
        port.write(b"hello", ("fd00::2", PORT))
        self.run_for(1)
        self.assertEqual(far.letters, [(b"hello", ("fd00::1", port.getHost().port))])
        self.assertRaises(InvalidAddressError, port.write, b"", self.to)

    def test_taken(self) -> None:
        """One port of one address has one socket."""
        for interface in ("", self.a.address):
            with self.subTest(interface=interface):
                self.assertRaises(CannotListenError, self.a.listenUDP, PORT, Letters(), interface=interface)

    def test_closed(self) -> None:
        """A closed socket sends nothing, gets nothing, and its port is free."""
        stopping = self.port.stopListening()
        self.far.transport.write(b"late", (self.a.address, PORT))
        self.run_for(1)
        self.successResultOf(stopping)
        self.assertEqual((self.near.letters, self.near.transport), ([], None))
        self.assertRaises(RuntimeError, self.port.write, b"", self.to)
        self.a.listenUDP(PORT, Letters())
        self.successResultOf(self.port.stopListening())

    def test_restart(self) -> None:
        """After a crash and after a kill the port is free, and what comes for the old socket goes to the new one."""
        for how in (self.b.crash, self.b.kill):
            self.port.write(b"hello", self.to)
            how()
            self.b.power_up()
            self.b.listenUDP(PORT, again := Letters())
            self.run_for(1)
            self.assertEqual((self.came, [letter for letter, _ in again.letters]), ([], [b"hello"]))

    def test_paused(self) -> None:
        """A machine keeps some datagrams for a program that stands still, and drops what is too much."""
        self.b.pause()
        for _ in range(100):
            self.port.write(b"x" * 4096, self.to)
        self.run_for(1)
        self.assertEqual(self.came, [])
        self.b.resume()
        self.run_for(1)
        self.assertEqual(len(self.came), 52)
        self.port.write(b"next", self.to)
        self.run_for(1)
        self.assertEqual(len(self.came), 53)
