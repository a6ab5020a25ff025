"""Handshakes of strangers take a part of each turn of the reactor, in turns by host."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from tests.security.links.test_sealed_transport import Talker
from tests.security.sealed_pair import ACCEPTER, DIALLER
from twisted_bazaar.security.links.flusher import Flusher
from twisted_bazaar.security.links.handshakes import Handshakes, Stranger
from twisted_bazaar.security.links.link_security import anybody
from twisted_bazaar.security.links.transport import SealedTransport
from twisted_bazaar.security.tls.tls_session import tls_sessions

STEP_S = 0.001


class Knocker:
    """A stranger whose every step takes a millisecond."""

    def __init__(self, clock: Clock, host: str, done: list[str], name: str = "") -> None:
        self.host = host
        self._clock = clock
        self._done = done
        self._name = name or host

    def shake_hands(self) -> None:
        """Take a step."""
        self._done.append(self._name)
        self._clock.rightNow += STEP_S


class HandshakesTests(SynchronousTestCase):
    """What strangers have of a turn."""

    def setUp(self) -> None:
        """Give five steps a turn."""
        self.clock = Clock()
        self.handshakes = Handshakes(self.clock, 5 * STEP_S)
        self.done: list[str] = []

    def knock(self, host: str, name: str = "") -> bool:
        """Have somebody knock; returns whether it has to wait."""
        return self.handshakes.take(Knocker(self.clock, host, self.done, name))

    def turn(self) -> list[str]:
        """Let a turn pass, as a real reactor does; returns who was served in it."""
        before = len(self.done)
        calls, self.clock.calls = self.clock.calls, []
        for call in calls:
            call.called = 1
            call.func(*call.args, **call.kw)
        return self.done[before:]

    def test_budget(self) -> None:
        """What is beyond the budget of a turn waits, and comes in those that follow, as much in each."""
        waits = [self.knock(f"10.0.0.{number}") for number in range(12)]
        self.assertEqual(waits, [False] * 5 + [True] * 7)
        self.assertEqual([len(self.turn()) for _ in range(3)], [5, 2, 0])
        self.assertEqual(self.handshakes.waiting, 0)

    def test_order(self) -> None:
        """Who comes while others wait waits behind them, though there is time left."""
        for number in range(6):
            self.knock(f"10.0.0.{number}")
        self.assertEqual(self.turn(), ["10.0.0.5"])
        self.assertFalse(self.knock("10.0.0.7"))
        for number in range(20, 30):
            self.knock(f"10.0.0.{number}")
        self.assertTrue(self.knock("10.0.0.8"))

    def test_newcomer(self) -> None:
        """Somebody who comes for the first time goes before those of one host that knock without end."""
        for _ in range(100):
            self.knock("10.6.6.6")
        for _ in range(3):
            self.assertEqual(self.turn(), ["10.6.6.6"] * 5)
        self.assertTrue(self.knock("10.0.0.1"))
        served = self.turn() + self.turn()
        self.assertIn("10.0.0.1", served[:2])

    def test_left(self) -> None:
        """Who is gone takes nobody's turn."""
        gone = [Knocker(self.clock, "10.6.6.6", self.done) for _ in range(50)]
        for number in range(5):
            self.knock(f"10.0.1.{number}")
        for each in gone:
            self.assertTrue(self.handshakes.take(each))
        self.knock("10.0.0.1")
        for each in gone:
            self.handshakes.dequeue(each)
        self.assertEqual(self.turn(), ["10.0.0.1"])

    def test_quiet(self) -> None:
        """When nobody knocks no timer is set."""
        self.knock("10.0.0.1")
        self.turn()
        self.turn()
        self.assertEqual([call for call in self.clock.getDelayedCalls() if call.active()], [])


class Gate(Handshakes):
    """Lets everybody wait who asks, and nobody in by itself."""

    def take(self, stranger: Stranger) -> bool:
        """Let it wait."""
        self._waiting.enqueue(stranger)
        return True

    def let_in(self, stranger: Stranger) -> None:
        """It has its turn."""
        self.dequeue(stranger)
        stranger.shake_hands()


class WaitingTests(SynchronousTestCase):
    """A connection that waits for its turn."""

    def setUp(self) -> None:
        """Have one that somebody has made, and what the other end sends first."""
        clock = Clock()
        self.gate = Gate(clock)
        self.talker = Talker()
        session = tls_sessions(ACCEPTER)(False)
        self.sealed = SealedTransport(session, self.talker, Flusher(clock), anybody, lambda: b"", self.gate)
        self.wire = StringTransport(peerAddress=IPv4Address("TCP", "10.0.0.1", 1))
        self.sealed.makeConnection(self.wire)
        self.dialler = tls_sessions(DIALLER)(True)
        self.dialler.begin()
        self.sealed.dataReceived(self.dialler.outgoing())

    def test_waits(self) -> None:
        """Nothing that came is looked at, and nothing more is read, until it has its turn."""
        self.assertEqual((self.wire.value(), self.wire.producerState), (b"", "paused"))
        self.sealed.resumeProducing()
        self.assertEqual(self.wire.producerState, "paused")
        self.gate.let_in(self.sealed)
        self.assertEqual(self.wire.producerState, "producing")
        self.assertNotEqual(self.wire.value(), b"")

    def test_linked(self) -> None:
        """Who has proven a key waits for nobody."""
        self.gate.let_in(self.sealed)
        self.dialler.receive(self.wire.value())
        self.sealed.dataReceived(self.dialler.outgoing())
        self.assertEqual(self.gate.waiting, 1)
        self.gate.let_in(self.sealed)
        self.dialler.send(b"hello")
        self.sealed.dataReceived(self.dialler.outgoing())
        self.assertEqual((self.gate.waiting, self.talker.came), (0, b"hello"))

    def test_first_words(self) -> None:
        """What came while it waited is not lost: the greeting often comes with the end of the handshake."""
        self.gate.let_in(self.sealed)
        self.dialler.receive(self.wire.value())
        self.dialler.send(b"hello")
        sealed = self.dialler.outgoing()
        self.sealed.dataReceived(sealed[:100])
        self.sealed.dataReceived(sealed[100:])
        self.gate.let_in(self.sealed)
        self.assertEqual(self.talker.came, b"hello")

    def test_gone(self) -> None:
        """Whose connection is gone, or is cut, has no turn."""
        self.sealed.connectionLost()
        self.assertEqual(self.gate.waiting, 0)
        self.setUp()
        self.sealed.abortConnection()
        self.assertEqual(self.gate.waiting, 0)

    def test_garbage(self) -> None:
        """What is no handshake ends that connection, and raises nothing to who gives the turns."""
        self.gate.let_in(self.sealed)
        self.sealed.dataReceived(b"\x16" + bytes(500))
        self.gate.let_in(self.sealed)
        self.assertTrue(self.wire.disconnecting)
