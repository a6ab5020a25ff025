"""Streams as transports, over the socket of a simulated machine."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

from twisted.internet import error
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IConsumer, IPushProducer, IStreamClientEndpoint, ITransport
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from tests.files.udp.cases import PORT, Drain, Ends, Pouring, Socket, StreamsTestCase, Talker
from twisted_bazaar.files.udp import StreamLimits, UdpEndpoint
from twisted_bazaar.files.window import Settings
from twisted_bazaar.files.window.segment import ACK, OPEN, RST, SYN, decode, encode, encode_name
from twisted_bazaar.sim.engine.network_conditions import Conditions


class TalkTests(StreamsTestCase):
    """Two ends that talk with each other."""

    def connect(self, near: Socket, far: Socket, talker: Talker | None = None) -> Talker:
        """Open a stream."""
        talker = talker or Talker(b"hello")
        self.failures: list[Failure] = []
        UdpEndpoint(near.streams, far.where).connect(Ends(lambda: talker)).addErrback(self.failures.append)
        return talker

    def test_both_ways(self) -> None:
        """Both hear what the other says."""
        near, far = self.sockets()
        ends = Ends(lambda: Talker(b"welcome"))
        far.streams.listen(ends)
        talker = self.connect(near, far)
        self.run_for(1)
        self.assertEqual((talker.heard, ends.made[0].heard), (b"welcome", b"hello"))
        self.assertEqual((talker.transport.getPeer().host, talker.transport.getPeer().port), far.where)

    def test_interfaces(self) -> None:
        """A stream is what Twisted calls a transport; what opens one, an endpoint."""
        near, far = self.sockets()
        far.streams.listen(Ends())
        talker = self.connect(near, far)
        self.run_for(1)
        for interface in (ITransport, IPushProducer, IConsumer):
            self.assertTrue(verifyObject(interface, talker.transport))
        self.assertTrue(verifyObject(IStreamClientEndpoint, UdpEndpoint(near.streams, far.where)))

    def test_other_datagrams(self) -> None:
        """Datagrams that are of no stream are left to others; damaged ones are counted."""
        near, far = self.sockets()
        near.write(b'{"type":"ringping"}', far.where)
        near.write(encode(ACK, bytes(8), 0, 0, 0, 0, 0, 0) + b"damage", far.where)
        self.run_for(1)
        self.assertEqual((far.others, dict(far.streams.counts)), ([b'{"type":"ringping"}'], {"corrupt": 1}))

    def test_closing(self) -> None:
        """Who closes says everything first; both ends are told that it ended well, and nothing is left of it."""
        near, far = self.sockets()
        ends = Ends(lambda: Talker(bytes(100_000), closes=True))
        far.streams.listen(ends)
        talker = self.connect(near, far)
        self.run_for(5)
        self.assertEqual(len(talker.heard), 100_000)
        self.assertEqual((talker.reason, ends.made[0].reason), (error.ConnectionDone, error.ConnectionDone))
        self.assertEqual((len(near.streams), len(far.streams), self.network.timeline.now), (0, 0, 5.0))
        self.assertEqual((self.a.getDelayedCalls(), self.b.getDelayedCalls()), ([], []))

    def test_lost_farewell(self) -> None:
        """The last word may get lost: who has closed still learns that everything was heard."""
        near, far = self.sockets()
        ends = Ends()
        far.streams.listen(ends)
        talker = self.connect(near, far)
        self.run_for(1)
        self.network.ways.change("b", "a", Conditions(latency_s=0.01, loss=1.0))
        talker.transport.loseConnection()
        self.run_for(0.1)
        self.assertEqual((ends.made[0].reason, talker.reason), (error.ConnectionDone, None))
        self.network.ways.change("b", "a", None)
        self.run_for(5)
        self.assertEqual(talker.reason, error.ConnectionDone)

    def test_abort(self) -> None:
        """Who aborts is told so, and the other end that it is lost."""
        near, far = self.sockets()
        ends = Ends()
        far.streams.listen(ends)
        talker = self.connect(near, far)
        self.run_for(1)
        talker.transport.abortConnection()
        self.assertEqual(talker.reason, None)
        self.run_for(1)
        self.assertEqual((talker.reason, ends.made[0].reason), (error.ConnectionAborted, error.ConnectionLost))

    def test_killed(self) -> None:
        """An end whose program is gone and back is found out as soon as something is said to it."""
        near, far = self.sockets()
        far.streams.listen(Ends())
        talker = self.connect(near, far)
        self.run_for(1)
        self.b.kill()
        Socket(self.b)
        talker.transport.write(b"are you there?")
        self.run_for(1)
        self.assertEqual(talker.reason, error.ConnectionLost)

    def test_crashed(self) -> None:
        """An end that is gone for good is found out by its silence."""
        near, far = self.sockets()
        far.streams.listen(Ends())
        talker = self.connect(near, far)
        self.run_for(1)
        self.b.crash()
        self.run_for(60)
        self.assertEqual((talker.reason, self.a.getDelayedCalls()), (error.ConnectionLost, []))

    def test_refused(self) -> None:
        """Where nobody takes streams, it is said at once; where nobody is, after a while."""
        near, far = self.sockets()
        self.connect(near, far)
        self.run_for(0.1)
        self.assertEqual([each.type for each in self.failures], [error.ConnectionRefusedError])
        far.port.stopListening()
        self.connect(near, far)
        self.run_for(9.9)
        self.assertEqual(self.failures, [])
        self.run_for(0.2)
        self.assertEqual([each.type for each in self.failures], [error.TimeoutError])
        self.assertEqual(self.a.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """Who does not want it any more before it is open gets nothing."""
        near, far = self.sockets()
        ends = Ends()
        far.streams.listen(ends)
        opening = near.streams.connect(far.where, Ends())
        self.run_for(0.005)
        opening.cancel()
        self.failureResultOf(opening, CancelledError)
        self.run_for(1)
        self.assertEqual((len(near.streams), ends.made), (0, []))

    def test_failing_protocol(self) -> None:
        """A protocol that raises costs its own stream."""

        class Failing(Talker):
            def dataReceived(self, data: bytes) -> None:
                raise ValueError("not this")

        near, far = self.sockets()
        ends = Ends(Failing)
        far.streams.listen(ends)
        talker = self.connect(near, far)
        self.run_for(1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual((talker.reason, ends.made[0].reason), (error.ConnectionLost, error.ConnectionAborted))

    def test_faulty_beginning(self) -> None:
        """A fault while a stream is being opened is told who asked for it, and nothing is left of the stream."""

        class Failing(Talker):
            def connectionMade(self) -> None:
                raise ValueError("not this")

        def fail() -> Talker:
            raise ValueError("nor this")

        near, far = self.sockets()
        far.streams.listen(Ends())
        for make in (fail, Failing):
            opening = near.streams.connect(far.where, Ends(make))
            self.run_for(5)
            self.failureResultOf(opening, ValueError)
            self.assertEqual((len(near.streams), len(far.streams), self.a.getDelayedCalls()), (0, 0, []))

    def test_abort_while_opening(self) -> None:
        """When all streams are ended, who waits for one to open is told so."""
        near, far = self.sockets()
        self.network.ways.change("a", "b", Conditions(latency_s=0.01, loss=1.0))
        opening = near.streams.connect(far.where, Ends())
        stopped = near.streams.stop()
        self.run_for(1)
        self.assertNoResult(opening)
        near.streams.abort()
        self.run_for(0.1)
        self.failureResultOf(opening, error.ConnectError)
        self.assertEqual((self.successResultOf(stopped), len(near.streams)), (None, 0))

    def test_no_way(self) -> None:
        """An address that the socket cannot send to is one where nobody answers."""
        near = Socket(self.a)
        opening = near.streams.connect(("2001:db8::1", 4000), Ends())
        self.run_for(11)
        self.failureResultOf(opening, error.TimeoutError)

    def test_stop(self) -> None:
        """Who stops opens none and takes none, and knows when all are over."""
        near, far = self.sockets()
        far.streams.listen(Ends())
        self.connect(near, far)
        self.run_for(1)
        stopped = far.streams.stop()
        self.failureResultOf(far.streams.connect(near.where, Ends()), error.ConnectError)
        self.connect(near, far)
        self.run_for(1)
        self.assertEqual([each.type for each in self.failures], [error.ConnectionRefusedError])
        self.assertNoResult(stopped)
        far.streams.abort()
        self.run_for(1)
        self.assertEqual((self.successResultOf(stopped), len(near.streams)), (None, 0))


class _Deaf(Talker):
    """Reads nothing."""

    def connectionMade(self) -> None:
        self.transport.pauseProducing()


class FlowTests(StreamsTestCase):
    """Ends that do not read."""

    def test_paused(self) -> None:
        """Who rests is handed nothing, and the other end has no more written to it than fits."""
        near, far = self.sockets()
        ends = Ends(lambda: Drain(self.b.seconds))
        far.streams.listen(ends)
        pouring = Pouring(8 << 20)
        near.streams.connect(far.where, Ends(lambda: pouring))
        self.run_for(0.05)
        ends.made[0].transport.pauseProducing()
        size = ends.made[0].size
        self.run_for(10)
        self.assertEqual((ends.made[0].size, pouring.left > 5 << 20), (size, True))
        ends.made[0].transport.resumeProducing()
        self.run_for(10)
        self.assertEqual((ends.made[0].size, ends.made[0].reason), (8 << 20, error.ConnectionDone))

    def test_kept(self) -> None:
        """Much is kept of what the end that has called was sent, and little of what comes to the one called."""
        for pours, least, most in (("far", 1 << 20, 2 << 20), ("near", 1, 80_000)):
            self.make()
            near, far = self.sockets()
            pouring = Pouring(8 << 20)
            protocols: dict[str, Talker] = {"near": _Deaf(), "far": _Deaf(), pours: pouring}
            far.streams.listen(Ends(partial(protocols.get, "far")))
            near.streams.connect(far.where, Ends(partial(protocols.get, "near")))
            self.run_for(10)
            kept = (8 << 20) - pouring.left - pouring.transport.unsent_bytes
            self.assertTrue(least <= kept <= most, (pours, kept))

    def test_pull_producer(self) -> None:
        """A producer that is asked each time is asked until it has no more."""

        class Pulled(Talker):
            left = 50

            def connectionMade(self) -> None:
                self.transport.registerProducer(self, False)

            def resumeProducing(self) -> None:
                self.left -= 1
                self.transport.write(bytes(10_000))
                if not self.left:
                    self.transport.unregisterProducer()
                    self.transport.loseConnection()

            def stopProducing(self) -> None:
                """The stream is over."""

        near, far = self.sockets()
        ends = Ends(lambda: Drain(self.b.seconds))
        far.streams.listen(ends)
        near.streams.connect(far.where, Ends(Pulled))
        self.run_for(10)
        self.assertEqual((ends.made[0].size, ends.made[0].reason), (500_000, error.ConnectionDone))


class StrangerTests(StreamsTestCase):
    """Somebody who writes what it likes on datagrams."""

    def setUp(self) -> None:
        super().setUp()
        self.far = Socket(self.b, limits=StreamLimits(most=6, most_of_host=4))
        self.ends = Ends()
        self.far.streams.listen(self.ends)
        self.answers: list[bytes] = []
        self.stranger: Any = self.a.listenUDP(PORT, _Ear(self.answers))
        self.chance = random.Random(5)

    def say(self, *datagrams: bytes) -> None:
        """Send what it likes, and hear what is answered."""
        for datagram in datagrams:
            self.stranger.write(datagram, self.far.where)
        self.run_for(0.05)

    def call(self, own_id: bytes) -> bytes:
        """Take the first step, and give the id of the second."""
        self.say(encode(SYN, bytes(8), 0, 0, 0, 1000, 0, 0, encode_name(own_id, 1000)))
        answer = decode(self.answers[-1])
        assert answer is not None
        return answer.payload[:8]

    def enter(self, own_id: bytes, to: bytes) -> None:
        """Take the third step."""
        self.say(encode(ACK | OPEN, to, 0, 0, 0, 1000, 0, 0, encode_name(own_id, 1000) + b"hello"))

    def test_first_steps(self) -> None:
        """A flood of first steps makes nothing be kept, and is answered with no more bytes than it has."""
        calls = [
            encode(SYN, bytes(8), 0, 0, 0, 1000, 0, 0, encode_name(self.chance.randbytes(8), 1000)) for _ in range(500)
        ]
        self.say(*calls)
        self.assertEqual((len(self.far.streams), self.ends.made, len(self.answers)), (0, [], 500))
        self.assertLessEqual(sum(map(len, self.answers)), sum(map(len, calls)))
        self.assertEqual(self.b.getDelayedCalls(), [])

    def test_no_answer_is_longer(self) -> None:
        """Whatever a stranger sends, what it gets has not more bytes, and no answer has another."""
        said = []
        for flags in range(256):
            for size in (0, 8, 10, 100):
                said.append(encode(flags, bytes(8), 0, 0, 0, 0, 0, 0, self.chance.randbytes(size)))
        for datagram in said:
            self.answers.clear()
            self.say(datagram)
            self.assertLessEqual(sum(map(len, self.answers)), len(datagram))
            first = decode(datagram)
            if first is not None and first.flags & RST:
                self.assertEqual(self.answers, [])

    def test_third_step_without_second(self) -> None:
        """Who was not given an id opens nothing; nor does who shows that of another, or an old one."""
        self.enter(b"stranger", bytes(8))
        given = self.call(b"stranger")
        self.enter(b"somebody", given)
        self.assertEqual(self.ends.made, [])
        self.run_for(90)
        self.enter(b"stranger", given)
        self.assertEqual(self.ends.made, [])
        self.enter(b"stranger", self.call(b"stranger"))
        self.assertEqual([each.heard for each in self.ends.made], [b"hello"])

    def test_from_another_address(self) -> None:
        """An id is worth nothing at another address, before the stream is open and after."""
        given = self.call(b"stranger")
        other: Any = self.network.add_host("c").listenUDP(PORT, _Ear([]))
        other.write(
            encode(ACK | OPEN, given, 0, 0, 0, 1000, 0, 0, encode_name(b"stranger", 1000) + b"hello"), self.far.where
        )
        self.run_for(0.1)
        self.assertEqual(self.ends.made, [])
        self.enter(b"stranger", given)
        other.write(encode(RST, given, 0, 0, 0, 0, 0, 0), self.far.where)
        other.write(encode(ACK, given, 5, 1, 0, 0, 0, 0, b" there"), self.far.where)
        self.run_for(0.1)
        self.assertEqual((self.ends.made[0].heard, self.ends.made[0].reason), (b"hello", None))

    def never_acknowledge(self, seconds: int, settings: Settings | None = None) -> Talker:
        """Have something said to a stranger that goes on talking, and never acknowledges anything."""
        self.far.port.stopListening()
        self.run_for(0.01)
        self.far = Socket(self.b, settings)
        self.far.streams.listen(self.ends)
        to = self.call(b"stranger")
        self.enter(b"stranger", to)
        talker: Talker = self.ends.made[-1]
        talker.transport.write(b"are you there?")
        for number in range(1, seconds + 1):
            self.say(encode(ACK, to, 4 + number, number, 0, 1000, 0, 0, b"."))
            self.run_for(0.95)
        return talker

    def test_never_acknowledged(self) -> None:
        """A stream of which nothing is acknowledged ends after 20 s, however much the other end says meanwhile."""
        talker = self.never_acknowledge(19)
        self.assertEqual((talker.heard, talker.reason), (b"hello" + b"." * 19, None))
        self.run_for(2)
        self.assertEqual((talker.reason, len(self.far.streams)), (error.ConnectionLost, 0))

    def test_planted_patience(self) -> None:
        """Without that limit it is kept for as long as the other end talks."""
        self.assertEqual(self.never_acknowledge(120, Settings(stuck_s=1e9)).reason, None)

    def test_over_again(self) -> None:
        """The third step, come again when the stream is over, opens no other."""
        given = self.call(b"stranger")
        self.enter(b"stranger", given)
        self.ends.made[0].transport.abortConnection()
        self.run_for(0.1)
        self.enter(b"stranger", given)
        self.assertEqual((len(self.ends.made), len(self.far.streams)), (1, 0))

    def test_most_of_host(self) -> None:
        """One host has so many streams and no more, and others still get theirs."""
        for number in range(6):
            own_id = b"%08d" % number
            answer = self.call(own_id)
            if len(answer) == 8:
                self.enter(own_id, answer)
        self.assertEqual((len(self.ends.made), len(self.far.streams)), (4, 4))
        refusal = decode(self.answers[-1])
        assert refusal is not None
        self.assertTrue(refusal.flags & RST)
        near = Socket(self.network.add_host("c"))
        opening = near.streams.connect(self.far.where, Ends())
        self.run_for(1)
        self.successResultOf(opening)

    def test_nobody_is_locked_out(self) -> None:
        """When there are as many streams as may be, the host that has most gives its latest up to one that has fewer;
        among those that have equally many nobody does."""
        near, others = Socket(self.network.add_host("c")), []
        for number in range(4):
            own_id = b"%08d" % number
            self.enter(own_id, self.call(own_id))
        for name in "defgh":
            others.append(Socket(self.network.add_host(name)).streams.connect(self.far.where, Ends()))
            self.run_for(1)
        self.assertEqual([each.called for each in others], [True] * 5)
        self.assertEqual([each.reason for each in self.ends.made[:4]], [None, *[error.ConnectionAborted] * 3])
        opening = near.streams.connect(self.far.where, Ends())
        self.run_for(1)
        self.failureResultOf(opening, error.ConnectionRefusedError)
        self.assertEqual(len(self.far.streams), 6)

    def test_silent(self) -> None:
        """Who opens streams and says nothing more is forgotten, and can open others."""
        for number in range(4):
            own_id = b"%08d" % number
            self.enter(own_id, self.call(own_id))
        self.run_for(60)
        self.assertEqual((len(self.far.streams), self.b.getDelayedCalls()), (0, []))
        self.enter(b"stranger", self.call(b"stranger"))
        self.assertEqual(len(self.far.streams), 1)

    def test_rubbish(self) -> None:
        """Rubbish opens nothing and raises nothing."""
        self.say(*(b"\x11" + self.chance.randbytes(self.chance.randrange(200)) for _ in range(300)))
        self.assertEqual((self.answers, len(self.far.streams)), ([], 0))


class _Ear(Socket):
    """Keeps what comes."""

    def __init__(self, came: list[bytes]) -> None:
        self.came = came

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        self.came.append(datagram)


class TurnTests(StreamsTestCase):
    """How long streams may hold up others."""

    def test_many(self) -> None:
        """When many have something to do, others have their turn between, and then the rest of them."""
        near, far = self.sockets()
        far.streams.listen(Ends())
        talkers = [Talker() for _ in range(20)]
        for talker in talkers:
            near.streams.connect(far.where, Ends(lambda talker=talker: talker))
        self.run_for(1)
        turns: list[str] = []
        slow = _SlowClock(self.a, 0.004)
        near.streams.reactor = slow
        for number, talker in enumerate(talkers):
            turn = talker.transport.run_turn
            talker.transport.run_turn = lambda turn=turn, number=number: (
                turns.append(str(number)),
                slow.pass_on(),
                turn(),
            )
            talker.transport.write(b"hello")
        self.a.callLater(0, turns.append, "other")
        self.a.callLater(0, lambda: self.a.callLater(0, turns.append, "later"))
        self.run_for(0.001)
        self.assertEqual([each for each in turns if each.isdigit()][:20], [str(number) for number in range(20)])
        self.assertLess(turns.index("later"), 10)


class _SlowClock:
    """A machine on which each turn of a stream takes a while.

    @param reactor: the machine.
    @param turn_s: how long.
    """

    def __init__(self, reactor: Any, turn_s: float) -> None:
        self._reactor = reactor
        self._turn_s = turn_s
        self._passed_s = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def pass_on(self) -> None:
        """A turn has been."""
        self._passed_s += self._turn_s

    def seconds(self) -> float:
        """The time."""
        return float(self._reactor.seconds()) + self._passed_s


class SettingTests(StreamsTestCase):
    """What users set."""

    def test_lost(self) -> None:
        """Who throws away what comes still gets everything, and is told of it for the log; acknowledgements stay."""
        told: list[str] = []
        again: list[str] = []
        near = Socket(self.a, watched=lambda where: lambda event, *rest: again.append(event))
        far = Socket(self.b, Settings(drop=0.1), watched=lambda where: lambda event, *rest: told.append(event))
        ends = Ends(lambda: Drain(self.b.seconds))
        far.streams.listen(ends)
        near.streams.connect(far.where, Ends(lambda: Pouring(500_000)))
        self.run_for(20)
        self.assertEqual((ends.made[0].size, ends.made[0].reason), (500_000, error.ConnectionDone))
        lost, came = told.count("lost"), told.count("rcv")
        self.assertTrue(0.07 < lost / (lost + came) < 0.13, (lost, came))
        # They have to be sent again.
        self.assertGreaterEqual(again.count("rtx"), lost)
        self.assertEqual(set(told), {"rcv", "lost"})

    def test_drop(self) -> None:
        """With datagrams thrown away on purpose everything still comes, and both kinds are told for the log."""
        told: list[str] = []
        near = Socket(self.a, Settings(drop=0.1), watched=lambda where: lambda event, *rest: told.append(event))
        far = Socket(self.b)
        ends = Ends(lambda: Drain(self.b.seconds))
        far.streams.listen(ends)
        near.streams.connect(far.where, Ends(lambda: Pouring(500_000)))
        self.run_for(20)
        self.assertEqual((ends.made[0].size, ends.made[0].reason), (500_000, error.ConnectionDone))
        self.assertEqual(set(told), {"snd", "rtx", "drop", "ack"})
