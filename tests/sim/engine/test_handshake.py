"""How connections between simulated machines come about, or do not."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IConnector, IListeningPort
from zope.interface.verify import verifyObject

from tests.sim.cases import LATENCY_S, PORT, Client, NetworkTestCase, Server
from twisted_bazaar.sim.engine.network_conditions import Conditions

_ROUND_TRIP_S = 2 * LATENCY_S


class CallTests(NetworkTestCase):
    """Who asks for a connection."""

    def test_interfaces(self) -> None:
        """What listens and what connects is what Twisted calls so."""
        port = self.b.listenTCP(PORT, Server())
        connector = self.a.connectTCP(self.b.address, PORT, Client())
        self.assertEqual((verifyObject(IListeningPort, port), verifyObject(IConnector, connector)), (True, True))

    def test_made(self) -> None:
        """A connection is made after one round trip, and each end knows where it is."""
        server, client = self.listen(), Client()
        connector = self.a.connectTCP(self.b.address, PORT, client)
        self.run_for(_ROUND_TRIP_S - 0.01)
        self.assertEqual((client.end, len(server.ends)), (None, 1))
        self.run_for(0.01)
        near, far = client.end.transport, server.ends[0].transport
        self.assertEqual((near.getPeer(), near.getHost()), (far.getHost(), far.getPeer()))
        self.assertEqual(connector.getDestination(), near.getPeer())
        self.assertEqual((near.getPeer().host, near.getHost().host), (self.b.address, self.a.address))

    def test_refused(self) -> None:
        """Where nobody listens a call is refused after one round trip."""
        client = self.call()
        self.run_for(10)
        self.assertEqual(client.failed, ("ConnectionRefusedError", _ROUND_TRIP_S))

    def test_no_machine(self) -> None:
        """Where no machine has power, or none is, a call gets no answer until its time is up."""
        self.b.crash()
        clients = [self.call(timeout=7), self.call(address="192.0.2.1", timeout=7)]
        self.run_for(20)
        self.assertEqual([client.failed for client in clients], [("TimeoutError", 7.0)] * 2)

    def test_patient(self) -> None:
        """A call without a limit is given up by the kernel after two minutes."""
        self.b.crash()
        client = self.call(timeout=None)
        self.run_for(200)
        self.assertEqual(client.failed, ("TCPTimedOutError", 127.0))

    def test_cut(self) -> None:
        """A call through a partition gets no answer, whichever way is cut; healed in time, it goes through."""
        self.listen()
        for nodes in ("a", "b"):
            cut = self.network.ways.cut([nodes], one_way=True)
            hopeless, lucky = self.call(timeout=3), self.call(timeout=30)
            self.run_for(5)
            self.network.ways.heal(cut)
            self.run_for(5)
            with self.subTest(cut_off=nodes):
                self.assertEqual((hopeless.failed is None, lucky.end is None), (False, False))

    def test_machine_comes_back(self) -> None:
        """A call to a machine that gets its power and its program in time goes through."""
        self.b.crash()
        client = self.call(timeout=30)
        self.run_for(5)
        self.b.power_up()
        self.listen()
        self.run_for(10)
        self.assertNotEqual(client.end, None)

    def test_first_packet_lost(self) -> None:
        """A call over a way that loses much goes through later, and is taken once."""
        self.make_network(Conditions(LATENCY_S, loss=0.5))
        server = self.listen()
        clients = [self.call(timeout=None) for _ in range(50)]
        self.run_for(200)
        made = [client for client in clients if client.end is not None]
        self.assertGreater(len(made), 25)
        self.assertLessEqual(len(server.ends), 50)

    def test_long_way(self) -> None:
        """A call over a way longer than the patience of the kernel is taken once."""
        self.make_network(Conditions(latency_s=5.0))
        server, client = self.listen(), self.call()
        self.run_for(60)
        self.assertEqual((len(server.ends), client.end is None, client.end.ended), (1, False, None))

    def test_given_up(self) -> None:
        """Who is called learns that a call was given up before the answer came."""
        self.make_network(Conditions(latency_s=5.0))
        server, client = self.listen(), self.call(timeout=7)
        self.run_for(60)
        self.assertEqual((client.failed, server.ends[0].ended[0]), (("TimeoutError", 7.0), "ConnectionLost"))

    def test_killed(self) -> None:
        """Who is called learns that the caller was killed before the answer came; a crash tells nothing."""
        for how, ended in (("kill", "ConnectionLost"), ("crash", None)):
            self.make_network()
            server = self.listen()
            self.call()
            self.run_for(LATENCY_S + 0.01)
            getattr(self.a, how)()
            self.run_for(60)
            end = server.ends[0]
            with self.subTest(how=how):
                self.assertEqual(end.ended and end.ended[0], ended)

    def test_written_at_once(self) -> None:
        """What is written before the other end knows of the connection arrives, even when it overtakes the answer."""
        self.make_network(Conditions(latency_s=1.0))
        server, client = self.listen(), self.call()
        self.run_for(1.0)
        self.network.ways.change("b", "a", Conditions(latency_s=0.1))
        server.ends[0].transport.write(b"early")
        self.run_for(5)
        self.assertEqual(client.end.received, b"early")

    def test_name(self) -> None:
        """A name fails as one that nobody knows, and does not raise."""
        client = self.call(address="bazaar.example")
        self.assertEqual(client.failed, None)
        self.run_for(1)
        self.assertEqual(client.failed, ("DNSLookupError", 0.0))

    def test_family(self) -> None:
        """A machine without an address of IPv6 has no way to one."""
        client = self.call(address="fd00::1")
        self.run_for(1)
        self.assertEqual(client.failed, ("NoRouteError", 0.0))

    def test_bound(self) -> None:
        """A call can come from one of several addresses, and from none that is another machine's."""
        server = self.listen()
        both = self.network.add_host("both", "10.9.0.1", "10.9.0.2")
        client = self.call(both, bindAddress=("10.9.0.2", 0))
        stranger = self.call(both, bindAddress=("10.9.0.3", 0))
        self.run_for(1)
        self.assertEqual(client.end.transport.getHost().host, "10.9.0.2")
        self.assertEqual(server.ends[0].transport.getPeer().host, "10.9.0.2")
        self.assertEqual(stranger.failed, ("ConnectBindError", 0.0))


class LoopbackTests(NetworkTestCase):
    """A machine that calls itself."""

    def test_loopback(self) -> None:
        """A machine reaches itself at once by every one of its names, also when it is cut off, slow and lossy."""
        self.make_network(Conditions(5.0, bytes_a_second=1.0, loss=0.9))
        self.network.ways.cut(["a"])
        self.network.ways.slow_down("a", 50, 1.0)
        self.listen(self.a)
        clients = [self.call(self.a, address) for address in ("127.0.0.1", "localhost", self.a.address)]
        self.run_for(0.01)
        self.assertEqual([client.end is None for client in clients], [False] * 3)

    def test_own_loopback(self) -> None:
        """Who listens on the loopback is not reached from elsewhere."""
        self.listen(interface="127.0.0.1")
        clients = [self.call(), self.call(address="127.0.0.1")]
        self.run_for(1)
        self.assertEqual([client.failed and client.failed[0] for client in clients], ["ConnectionRefusedError"] * 2)


class ListenTests(NetworkTestCase):
    """Who takes connections."""

    def test_taken(self) -> None:
        """One port of one address has one listener, and one on all addresses leaves none for others."""
        self.listen(interface=self.b.address)
        for interface in ("", "0.0.0.0", self.b.address, "::"):
            with self.subTest(interface=interface):
                self.assertRaises(CannotListenError, self.listen, interface=interface)
        self.listen(interface="127.0.0.1")
        self.listen(port=PORT + 1)
        self.assertRaises(CannotListenError, self.listen, port=PORT + 1, interface="127.0.0.1")

    def test_no_address(self) -> None:
        """Nobody listens on an address of another machine, or on a name."""
        for interface in (self.a.address, "bazaar.example"):
            with self.subTest(interface=interface):
                self.assertRaises(CannotListenError, self.listen, interface=interface)

    def test_any_port(self) -> None:
        """A port that is left to the machine is one that nobody has."""
        self.listen(port=49_153)
        ports = [self.b.listenTCP(0, Server()).getHost().port for _ in range(3)]
        self.assertEqual(ports, [49_152, 49_154, 49_155])

    def test_stopped(self) -> None:
        """A port is free again in a moment, and not before; a second stop changes nothing."""
        port: Any = self.b.listenTCP(PORT, Server())
        stopping = port.stopListening()
        self.assertRaises(CannotListenError, self.listen)
        self.run_for(0)
        self.successResultOf(stopping)
        self.listen()
        self.successResultOf(port.stopListening())
        self.assertEqual(list(self.b.ports), [("0.0.0.0", PORT)])

    def test_restart(self) -> None:
        """A port is free after a kill and after a crash; while nobody listens calls are refused."""
        for how in (self.b.kill, self.b.crash):
            self.listen()
            how()
            self.b.power_up()
            refused = self.call()
            self.run_for(1)
            server, client = self.listen(), self.call()
            self.run_for(1)
            self.assertEqual((refused.failed is None, client.end is None, len(server.ends)), (False, False, 1))
            self.b.kill()


class PausedTests(NetworkTestCase):
    """A machine takes connections for a program that stands still."""

    def test_queue(self) -> None:
        """A caller is connected, and heard when the program goes on."""
        server = self.listen()
        self.b.pause()
        client = self.call()
        self.run_for(1)
        client.end.transport.write(b"hello")
        self.run_for(1)
        self.assertEqual(server.ends, [])
        self.b.resume()
        self.run_for(1)
        self.assertEqual(server.ends[0].received, b"hello")

    def test_full(self) -> None:
        """Once so many wait, others get no answer until the program goes on."""
        server = self.listen(backlog=2)
        self.b.pause()
        clients = [self.call(timeout=60) for _ in range(5)]
        self.run_for(5)
        self.assertEqual([client.end is None for client in clients], [False, False, False, True, True])
        self.b.resume()
        self.run_for(30)
        self.assertEqual(([client.end is None for client in clients], len(server.ends)), ([False] * 5, 5))

    def test_killed(self) -> None:
        """Who waits in the queue of a program that is killed is reset."""
        self.listen()
        self.b.pause()
        client = self.call()
        self.run_for(1)
        self.b.kill()
        self.run_for(1)
        self.assertEqual(client.end.ended[0], "ConnectionLost")

    def test_caller(self) -> None:
        """A caller that stands still when the answer comes is connected when it goes on."""
        self.listen()
        client = self.call(timeout=30)
        self.run_for(0.01)
        self.a.pause()
        self.run_for(5)
        self.assertEqual(client.end, None)
        self.a.resume()
        self.run_for(0)
        self.assertNotEqual(client.end, None)

    def test_late_caller(self) -> None:
        """A caller that stands still for longer than its patience has its connection, as it came first."""
        self.listen()
        client = self.call(timeout=3)
        self.run_for(0.01)
        self.a.pause()
        self.run_for(10)
        self.a.resume()
        self.run_for(0)
        self.assertEqual((client.end is None, client.failed), (False, None))


class FamilyTests(NetworkTestCase):
    """Addresses of both families."""

    def setUp(self) -> None:
        """Two machines with addresses of both families."""
        super().setUp()
        self.c = self.network.add_host("c", "10.9.0.1", "FD00:0::1")
        self.d = self.network.add_host("d", "10.9.0.2", "fd00::2")

    def test_v6(self) -> None:
        """Machines reach each other by IPv6, however the address is written."""
        server = self.listen(self.d, interface="::")
        client = self.call(self.c, "fd00:0:0::2")
        self.run_for(1)
        near, far = client.end.transport, server.ends[0].transport
        self.assertEqual((near.getHost().host, near.getPeer().host), ("fd00::1", "fd00::2"))
        self.assertEqual((near.getPeer(), near.getHost()), (far.getHost(), far.getPeer()))

    def test_v4_only(self) -> None:
        """Who listens on all addresses of IPv4 takes no IPv6."""
        self.listen(self.d)
        client = self.call(self.c, "fd00::2")
        self.run_for(1)
        self.assertEqual(client.failed and client.failed[0], "ConnectionRefusedError")

    def test_mapped(self) -> None:
        """Who listens on all addresses of IPv6 takes IPv4, too, and sees it as Linux shows it."""
        server = self.listen(self.d, interface="::")
        client = self.call(self.c, "10.9.0.2")
        self.run_for(1)
        far = server.ends[0].transport
        self.assertEqual((far.getPeer().host, far.getHost().host), ("::ffff:10.9.0.1", "::ffff:10.9.0.2"))
        self.assertEqual(client.end.transport.getPeer().host, "10.9.0.2")
        far.write(b"hello")
        self.run_for(1)
        self.assertEqual(client.end.received, b"hello")
