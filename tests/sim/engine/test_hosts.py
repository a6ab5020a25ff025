"""A simulated machine as a reactor: time, threads, and what happens to machines."""

from __future__ import annotations

from twisted.internet.interfaces import (
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorThreads,
    IReactorTime,
    IReactorUDP,
)
from twisted.internet.threads import deferToThreadPool
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.sim.cases import PORT, Letters, NetworkTestCase
from twisted_bazaar.sim.engine.hosts import Network
from twisted_bazaar.sim.engine.network_conditions import Conditions


class HostTests(NetworkTestCase):
    """One machine."""

    def test_interfaces(self) -> None:
        """A machine is what Twisted calls a reactor, as far as nodes use it."""
        for interface in (IReactorTime, IReactorTCP, IReactorUDP, IReactorThreads, IReactorPluggableNameResolver):
            with self.subTest(interface=interface.getName()):
                self.assertTrue(verifyObject(interface, self.a))

    def test_addresses(self) -> None:
        """A machine has an address of its own unless it is given some; no two have one, and none is a name."""
        c = self.network.add_host("c", "10.9.0.1", "FD00::0001")
        addresses = [host.addresses for host in (self.a, self.b, c)]
        self.assertEqual(addresses, [("10.0.0.1",), ("10.0.0.2",), ("10.9.0.1", "fd00::1")])
        for name, address in (("d", "fd00:0::1"), ("a", "10.9.0.9"), ("e", "bazaar.example")):
            with self.subTest(name=name):
                self.assertRaises(ValueError, self.network.add_host, name, address)
        self.assertEqual(list(self.network.hosts), ["a", "b", "c"])

    def test_skew(self) -> None:
        """A clock goes faster or slower than others, and never jumps."""
        seen = []
        for rate in (1.0, 1.5, 0.5, 1.0):
            self.a.skew_clock(rate)
            seen.append(self.a.seconds())
            self.run_for(10)
            seen.append(self.a.seconds())
        self.assertEqual((seen, self.b.seconds()), ([0, 10, 10, 25, 25, 30, 30, 40], 40))

    def test_pause(self) -> None:
        """A program that stands still does nothing, and then everything that it has missed."""
        rung: list[float] = []
        self.a.callLater(1, lambda: rung.append(self.now))
        cancelled = self.a.callLater(1, lambda: rung.append(-1))
        self.a.callLater(9, lambda: rung.append(self.now))
        self.run_for(0.5)
        self.a.pause()
        self.run_for(4.5)
        self.assertEqual(rung, [])
        cancelled.cancel()
        self.a.resume()
        self.run_for(10)
        self.assertEqual(rung, [5.0, 9.0])

    def test_end_of_program(self) -> None:
        """After a crash and after a kill nothing of the program is left, and nothing of it happens."""
        for how in ("crash", "kill"):
            for is_paused in (False, True):
                self.make_network()
                rung: list[int] = []
                self.connect()
                timer = self.a.callLater(1, rung.append, 1)
                self.a.call_soon(lambda rung=rung: rung.append(2))  # type: ignore[misc] # mypy
                self.a.listenUDP(PORT, Letters())
                self.listen(self.a)
                if is_paused:
                    self.a.pause()
                    self.run_for(2)
                getattr(self.a, how)()
                self.a.power_up()
                left = (self.a.timers, self.a.ports, self.a.udp_ports, self.a.transports, self.a.backlog)
                self.run_for(60)
                with self.subTest(how=how, is_paused=is_paused):
                    self.assertEqual((left, rung, self.a.is_paused), (({}, {}, {}, {}, []), [], False))
                    timer.cancel()

    def test_power(self) -> None:
        """A machine without power does nothing."""
        rung: list[int] = []
        self.a.crash()
        self.a.call_soon(lambda: rung.append(1))
        self.run_for(1)
        self.a.power_up()
        self.a.call_soon(lambda: rung.append(2))
        self.run_for(1)
        self.assertEqual(rung, [2])

    def test_disk(self) -> None:
        """A crash leaves what was synced, a kill all that was written."""
        for how, left in (("kill", b"onetwo"), ("crash", b"one")):
            self.make_network()
            self.a.disk.write("file", b"one")
            self.a.disk.sync("file")
            self.a.disk.append("file", b"two")
            getattr(self.a, how)()
            with self.subTest(how=how):
                self.assertEqual(self.a.disk.read("file"), left)


class ThreadTests(NetworkTestCase):
    """Jobs for threads, as storage needs them."""

    def test_result(self) -> None:
        """A job is done a little later, and its result comes later still."""
        done: list[float] = []
        result = deferToThreadPool(self.a, self.a.getThreadPool(), lambda: done.append(self.now) or "result")
        self.assertNoResult(result)
        came: list[tuple[str, float]] = []
        result.addCallback(lambda value: came.append((value, self.now)))
        self.run_for(1)
        self.assertEqual([value for value, _ in came], ["result"])
        self.assertTrue(0 < done[0] < came[0][1] < 0.01)

    def test_error(self) -> None:
        """A job that raises gives its error."""
        result = deferToThreadPool(self.a, self.a.getThreadPool(), lambda: 1 / 0)
        self.run_for(1)
        self.failureResultOf(result, ZeroDivisionError)

    def test_no_result_wanted(self) -> None:
        """The error of a job of which nobody wants the result is logged."""
        self.a.callInThread(lambda: 1 / 0)
        self.run_for(1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_from_thread(self) -> None:
        """What a job hands to the program is done at the same instant, after what is being done."""
        done: list[str] = []
        self.a.callFromThread(done.append, "handed")
        done.append("first")
        self.run_for(0)
        self.assertEqual(done, ["first", "handed"])

    def test_ends_between(self) -> None:
        """A crash or a kill between a job and its result loses the result, and not what the job has synced."""
        for how in ("crash", "kill"):
            self.make_network()
            disk, came = self.a.disk, list[object]()

            def store() -> None:
                disk = self.a.disk
                disk.write("file", b"stored")
                disk.sync("file")

            deferToThreadPool(self.a, self.a.getThreadPool(), store).addBoth(came.append)
            self.network.timeline.run_until(1.0, lambda disk=disk: disk.synced("file"))  # type: ignore[misc] # mypy
            getattr(self.a, how)()
            self.a.power_up()
            self.run_for(1)
            with self.subTest(how=how):
                self.assertEqual((disk.read("file"), came), (b"stored", []))

    def test_ends_before(self) -> None:
        """A job whose turn had not come when the power went is never done."""
        done: list[int] = []
        self.a.callInThread(done.append, 1)
        self.a.crash()
        self.a.power_up()
        self.run_for(1)
        self.assertEqual(done, [])

    def test_overtaken(self) -> None:
        """Jobs may overtake each other."""
        self.a.storage_s = 1.0
        done: list[int] = []
        for number in range(20):
            self.a.callInThread(done.append, number)
        self.run_for(2)
        self.assertNotEqual(done, sorted(done))
        self.assertEqual(sorted(done), list(range(20)))


class SeedTests(SynchronousTestCase):
    """A network depends on its seed and on nothing else."""

    def play(self, seed: int) -> list[tuple[float, bytes]]:
        """What arrives over a bad way, and when."""
        case = NetworkTestCase()
        case.make_network(Conditions(0.05, loss=0.2, duplication=0.2, reordering=0.2), cut_share=0.5, seed=seed)
        server, letters = case.listen(), Letters()
        case.b.listenUDP(PORT, letters)
        case.a.listenUDP(PORT, near := Letters())
        clients = [case.call(timeout=None) for _ in range(5)]
        for _ in range(100):
            case.run_for(0.5)
            near.transport.write(b"0123456789", (case.b.address, PORT))
            for client in clients:
                if client.end is not None:
                    client.end.transport.write(b"0123456789")
        return [piece for end in server.ends for piece in end.pieces] + [(at, b"") for at in letters.times]

    def test_same(self) -> None:
        """One seed lets the same happen at the same instants; another does not."""
        first, again, other = (self.play(seed) for seed in (1, 1, 2))
        self.assertEqual((first == again, first == other), (True, False))

    def test_kinds_of_seed(self) -> None:
        """A seed may be anything that can be written."""
        rolls = [Network(seed).rng.random() for seed in (1, "1", "one", ("a", 1))]
        self.assertEqual((rolls[0] == rolls[1], len(set(rolls))), (True, 3))
