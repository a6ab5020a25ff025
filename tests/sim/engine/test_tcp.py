"""Open connections between simulated machines: bytes, back-pressure and ends."""

from __future__ import annotations

import gc
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import ITCPTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests import examples
from tests.sim.cases import LATENCY_S, NetworkTestCase
from twisted_bazaar.sim.engine.network_conditions import Conditions
from twisted_bazaar.sim.engine.tcp import Transport

_WINDOW = 1 << 16


class BytesTests(NetworkTestCase):
    """How bytes arrive."""

    def test_interface(self) -> None:
        """An end is what Twisted calls a TCP transport."""
        self.assertTrue(verifyObject(ITCPTransport, self.connect()[0].transport))

    def test_latency(self) -> None:
        """Bytes arrive after the latency of the way."""
        a, b = self.connect()
        written_at = self.now
        a.transport.write(b"hello")
        self.run_for(1)
        self.assertEqual(b.pieces, [(written_at + LATENCY_S, b"hello")])

    def test_one_turn(self) -> None:
        """What is written in one turn arrives as one piece, what is written later as another."""
        a, b = self.connect()
        a.transport.write(b"one")
        a.transport.writeSequence([b"two", b"three"])
        self.run_for(0.01)
        a.transport.write(b"four")
        self.run_for(1)
        self.assertEqual([piece for _, piece in b.pieces], [b"onetwothree", b"four"])

    def test_cut(self) -> None:
        """Pieces arrive cut at random places, if that is wanted."""
        self.make_network(cut_share=0.5)
        a, b = self.connect()
        for _ in range(200):
            a.transport.write(b"0123456789")
            self.run_for(0.01)
        self.run_for(1)
        self.assertEqual(b.received, b"0123456789" * 200)
        self.assertEqual({len(piece) for _, piece in b.pieces}, set(range(1, 11)))

    def test_bandwidth(self) -> None:
        """Bytes arrive as fast as the way is wide, whoever writes how much at once."""
        self.make_network(Conditions(LATENCY_S, bytes_a_second=1000))
        a, b = self.connect()
        begun_at = self.now
        for _ in range(10):
            a.transport.write(b"x" * 1000)
            self.run_for(0.1)
        self.run_for(30)
        self.assertEqual((len(b.received), b.pieces[-1][0]), (10_000, begun_at + 10 + LATENCY_S))

    def test_shared_bandwidth(self) -> None:
        """Two connections between two machines share the way."""
        self.make_network(Conditions(LATENCY_S, bytes_a_second=1000))
        server = self.listen()
        clients = [self.call() for _ in range(2)]
        self.run_for(1)
        begun_at = self.now
        for client in clients:
            client.end.transport.write(b"x" * 5000)
        self.run_for(30)
        self.assertEqual([end.pieces[-1][0] - begun_at for end in server.ends], [5 + LATENCY_S, 10 + LATENCY_S])

    def test_loss(self) -> None:
        """What gets lost arrives later, in order."""
        self.make_network(Conditions(LATENCY_S, loss=0.3))
        a, b = self.connect()
        for number in range(300):
            a.transport.write(b"%04d" % number)
            self.run_for(0.01)
        self.run_for(60)
        self.assertEqual(b.received, b"".join(b"%04d" % number for number in range(300)))
        longest = max(later - earlier for (earlier, _), (later, _) in pairwise(b.pieces))
        self.assertGreater(longest, 0.2)


class BackPressureTests(NetworkTestCase):
    """A reader that does not read is felt by who writes."""

    def test_window(self) -> None:
        """What a paused reader does not take fills the window, and the rest stays with the sender."""
        a, b = self.connect()
        b.transport.pauseProducing()
        a.transport.registerProducer(a, True)
        a.transport.write(b"x" * (_WINDOW + 1000))
        self.run_for(10)
        self.assertEqual((a.produced, self.a.bytes_sent), (["pause"], _WINDOW))
        b.transport.resumeProducing()
        self.run_for(10)
        self.assertEqual((a.produced, len(b.received)), (["pause", "resume"], _WINDOW + 1000))

    def test_paused_program(self) -> None:
        """A machine takes bytes for a program that stands still, up to the window, and the program gets them later."""
        a, b = self.connect()
        self.b.pause()
        a.transport.write(b"x" * 200_000)
        self.run_for(10)
        self.assertEqual((self.a.bytes_sent, b.pieces), (_WINDOW, []))
        self.b.resume()
        self.run_for(10)
        self.assertEqual(len(b.received), 200_000)

    def test_paused_writer(self) -> None:
        """A program that stands still sends nothing more than its kernel has already."""
        a, b = self.connect()
        a.transport.write(b"x" * 200_000)
        self.a.pause()
        self.run_for(10)
        self.assertEqual(len(b.received), _WINDOW)
        self.a.resume()
        self.run_for(10)
        self.assertEqual(len(b.received), 200_000)

    def test_pull(self) -> None:
        """A pull producer is asked for as much as the reader takes."""
        a, b = self.connect()
        b.transport.pauseProducing()
        a.resumeProducing = lambda: a.transport.write(b"x" * 1000)
        a.transport.registerProducer(a, False)
        self.run_for(10)
        self.assertEqual(self.a.bytes_sent, _WINDOW)
        b.transport.resumeProducing()
        self.run_for(1)
        a.transport.unregisterProducer()
        self.run_for(1)
        self.assertGreater(len(b.received), 2 * _WINDOW)


class PartitionTests(NetworkTestCase):
    """A way that is cut, and healed or not."""

    def test_healed(self) -> None:
        """What was sent into a partition arrives after it has healed, and not much later than it lasted."""
        a, b = self.connect()
        cut = self.network.ways.cut(["a"])
        a.transport.write(b"one")
        self.run_for(1)
        a.transport.write(b"two")
        self.run_for(9)
        self.network.ways.heal(cut)
        self.assertEqual(b.received, b"")
        self.run_for(10)
        self.assertEqual((b.received, a.ended, b.ended), (b"onetwo", None, None))

    def test_one_way(self) -> None:
        """While nothing comes back, only a window's worth gets through."""
        a, b = self.connect()
        cut = self.network.ways.cut(["b"], one_way=True)
        a.transport.write(b"x" * 200_000)
        self.run_for(20)
        self.assertEqual(len(b.received), _WINDOW)
        self.network.ways.heal(cut)
        self.run_for(40)
        self.assertEqual(len(b.received), 200_000)

    def test_given_up(self) -> None:
        """After a quarter of an hour without an answer a sender gives up; who sends nothing does not notice."""
        a, b = self.connect()
        self.network.ways.cut(["a"])
        a.transport.write(b"one")
        self.run_for(900)
        self.assertEqual(a.ended, None)
        self.run_for(200)
        self.assertEqual((a.ended[0], b.ended), ("ConnectionLost", None))

    def test_close_arrives_late(self) -> None:
        """A close and what was written before it outlast a partition."""
        a, b = self.connect()
        cut = self.network.ways.cut(["a"])
        a.transport.write(b"bye")
        a.transport.loseConnection()
        self.run_for(5)
        self.assertEqual((a.ended[0], b.ended), ("ConnectionDone", None))
        self.network.ways.heal(cut)
        self.run_for(20)
        self.assertEqual((b.received, b.ended[0]), (b"bye", "ConnectionDone"))

    def test_reset_is_lost(self) -> None:
        """A reset is sent once: who misses it has half a connection, until it writes."""
        a, b = self.connect()
        cut = self.network.ways.cut(["a"])
        a.transport.abortConnection()
        self.run_for(5)
        self.network.ways.heal(cut)
        self.run_for(1000)
        self.assertEqual((a.ended[0], b.ended), ("ConnectionAborted", None))
        b.transport.write(b"hello?")
        self.run_for(1)
        self.assertEqual(b.ended[0], "ConnectionLost")


class EndOfMachineTests(NetworkTestCase):
    """What the other end sees of a crash and of a kill."""

    def test_crash(self) -> None:
        """A machine that loses its power says nothing; what it had sent arrives."""
        a, b = self.connect()
        a.transport.write(b"last words")
        self.run_for(0.01)
        self.a.crash()
        self.run_for(3600)
        self.assertEqual((b.received, b.ended), (b"last words", None))

    def test_crash_in_a_turn(self) -> None:
        """What a program has written in the turn in which its machine loses its power is lost."""
        a, b = self.connect()
        a.transport.write(b"unsaid")
        self.a.crash()
        self.run_for(60)
        self.assertEqual(b.received, b"")

    def test_crash_on_narrow_way(self) -> None:
        """What has not left yet when the power goes is lost."""
        self.make_network(Conditions(LATENCY_S, bytes_a_second=1000))
        a, b = self.connect()
        for _ in range(10):
            a.transport.write(b"x" * 1000)
            self.run_for(0.01)
        self.run_for(4.5)
        self.a.crash()
        self.run_for(60)
        self.assertEqual(len(b.received), 4000)

    def test_crash_in_partition(self) -> None:
        """What a machine had not got through when it lost its power is not sent by the machine that is back."""
        a, b = self.connect()
        cut = self.network.ways.cut(["a"])
        a.transport.write(b"last words")
        self.run_for(0.2)
        self.a.crash()
        self.a.power_up()
        self.network.ways.heal(cut)
        self.run_for(200)
        self.assertEqual((b.received, b.ended), (b"", None))

    def test_back_again(self) -> None:
        """A machine that is back resets what it does not know, when it hears of it."""
        _, b = self.connect()
        self.a.crash()
        self.run_for(10)
        b.transport.write(b"hello?")
        self.run_for(10)
        self.assertEqual(b.ended, None)
        self.a.power_up()
        self.run_for(60)
        self.assertEqual((b.ended[0], self.b.transports), ("ConnectionLost", {}))

    def test_crash_of_paused(self) -> None:
        """A machine that crashes while its program stands still resets the connection when it is back."""
        _, b = self.connect()
        self.a.pause()
        b.transport.write(b"hello?")
        self.run_for(1)
        self.a.crash()
        self.a.power_up()
        b.transport.write(b"hello?")
        self.run_for(60)
        self.assertEqual(b.ended[0], "ConnectionLost")

    def test_kill(self) -> None:
        """A kernel closes the connections of a program that is killed as if it had closed them itself."""
        a, b = self.connect()
        a.transport.write(b"last words")
        self.run_for(0.01)
        self.a.kill()
        self.run_for(1)
        self.assertEqual((b.received, b.ended[0]), (b"last words", "ConnectionDone"))

    def test_kill_with_bytes_unread(self) -> None:
        """A kernel resets a connection on which the killed program has not read everything."""
        a, b = self.connect()
        a.transport.pauseProducing()
        b.transport.write(b"unread")
        self.run_for(1)
        self.a.kill()
        self.run_for(1)
        self.assertEqual(b.ended[0], "ConnectionLost")

    def test_kill_in_partition(self) -> None:
        """The kernel of a killed program goes on sending until its last bytes are through."""
        a, b = self.connect()
        cut = self.network.ways.cut(["a"])
        a.transport.write(b"last words")
        self.run_for(0.2)
        self.a.kill()
        self.run_for(5)
        self.network.ways.heal(cut)
        self.run_for(20)
        self.assertEqual((b.received, b.ended[0]), (b"last words", "ConnectionDone"))

    def test_kill_of_paused(self) -> None:
        """A program that is killed while it stands still leaves nobody waiting."""
        _, b = self.connect()
        self.a.pause()
        b.transport.write(b"unread")
        self.run_for(1)
        self.a.kill()
        self.run_for(1)
        self.assertEqual((b.ended[0], self.b.transports), ("ConnectionLost", {}))


class MemoryTests(NetworkTestCase):
    """Nothing of a closed connection is kept."""

    def test_closed(self) -> None:
        """Once both ends are closed the simulator holds neither, however they were closed."""
        for how in ("loseConnection", "abortConnection", "kill", "crash"):
            self.make_network()
            a, b = self.connect()
            a.transport.write(b"hello")
            self.run_for(1)
            if how in ("kill", "crash"):
                getattr(self.a, how)()
                self.b.kill()
            else:
                getattr(a.transport, how)()
            self.run_for(200)
            a.transport = b.transport = None
            gc.collect()
            with self.subTest(how=how):
                left = [thing for thing in gc.get_objects() if isinstance(thing, Transport)]
                self.assertEqual([end for end in left if end.host.network is self.network], [])
                self.assertEqual((self.a.transports, self.b.transports), ({}, {}))


class StreamTests(SynchronousTestCase):
    """Whatever happens on the way."""

    @examples(150)
    @given(
        seed=st.integers(0, 1000),
        loss=st.sampled_from([0.0, 0.3]),
        bytes_a_second=st.sampled_from([0.0, 20_000.0]),
        cut_share=st.sampled_from([0.0, 1.0]),
        steps=st.lists(
            st.tuples(st.sampled_from(["a", "b", "stop", "go", "halt", "cut", "one-way", "heal"]), st.integers(0, 3)),
            max_size=30,
        ),
    )
    def test_stream(
        self, seed: int, loss: float, bytes_a_second: float, cut_share: float, steps: list[tuple[str, int]]
    ) -> None:
        """Bytes arrive as they were written, in order and once, in both directions."""
        case = NetworkTestCase()
        case.make_network(Conditions(0.01, bytes_a_second, loss), cut_share=cut_share, seed=seed)
        server, client = case.listen(), case.call(timeout=None)
        while client.end is None:
            case.run_for(200)
            client = client if client.end else case.call(timeout=None)
        ends = {"a": client.end, "b": server.ends[-1]}
        written = {"a": bytearray(), "b": bytearray()}
        ways, cuts = case.network.ways, []
        for what, size in steps:
            if what in ends:
                data = bytes(len(written[what]) + n & 255 for n in range((1, 200, 30_000, 150_000)[size]))
                written[what] += data
                ends[what].transport.write(data)
            elif what in ("stop", "go"):
                end = ends["ab"[size % 2]].transport
                (end.pauseProducing if what == "stop" else end.resumeProducing)()
            elif what == "halt":
                host = (case.a, case.b)[size % 2]
                (host.resume if host.is_paused else host.pause)()
            elif what in ("cut", "one-way"):
                cuts.append(ways.cut(["ab"[size % 2]], one_way=what == "one-way"))
            else:
                for cut in cuts:
                    ways.heal(cut)
            case.run_for((0.0, 0.005, 0.3, 5.0)[size])
        for cut in cuts:
            ways.heal(cut)
        for host, end in ((case.a, ends["a"]), (case.b, ends["b"])):
            host.resume()
            end.transport.resumeProducing()
        case.run_for(1200)
        self.assertEqual((ends["b"].received == written["a"], ends["a"].received == written["b"]), (True, True))
        self.assertEqual((ends["a"].ended, ends["b"].ended), (None, None))
