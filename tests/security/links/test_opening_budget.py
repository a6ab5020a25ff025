"""What came sealed is opened within a part of each turn of the reactor, in turns by host."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from tests.security.links.test_sealed_transport import Talker
from tests.security.sealed_pair import ACCEPTER, DIALLER
from twisted_bazaar.security.links.flusher import Flusher
from twisted_bazaar.security.links.link_security import anybody
from twisted_bazaar.security.links.opening_budget import OpeningBudget, OpeningBudgets, Unopened
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
        self.step_s = STEP_S

    def open(self) -> None:
        """Take a step."""
        self._done.append(self._name)
        self._clock.rightNow += self.step_s


class OpeningBudgetTests(SynchronousTestCase):
    """What is opened in a turn."""

    def setUp(self) -> None:
        """Give five steps a turn."""
        self.clock = Clock()
        self.budget = OpeningBudget(self.clock, 5 * STEP_S, STEP_S)
        self.done: list[str] = []

    def knock(self, host: str, name: str = "") -> bool:
        """Have somebody knock; returns whether it has to wait."""
        return self.budget.take(Knocker(self.clock, host, self.done, name))

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
        self.assertEqual(self.budget.waiting, 0)

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

    def test_held_up(self) -> None:
        """Whose step took long because the machine stood still is charged for a step, and soon has its turn again."""
        slow = Knocker(self.clock, "10.0.0.1", self.done)
        for number in range(20):
            self.knock(f"10.6.6.{number}")
        self.assertTrue(self.budget.take(slow))
        slow.step_s = 1.0
        while "10.0.0.1" not in self.done:
            self.turn()
        slow.step_s = STEP_S
        for _ in range(3):
            for number in range(20):
                self.knock(f"10.6.6.{number}")
            self.turn()
        self.budget.take(slow)
        for _ in range(5):
            self.turn()
        self.assertEqual(self.done.count("10.0.0.1"), 2)

    def test_left(self) -> None:
        """Who is gone takes nobody's turn."""
        gone = [Knocker(self.clock, "10.6.6.6", self.done) for _ in range(50)]
        for number in range(5):
            self.knock(f"10.0.1.{number}")
        for each in gone:
            self.assertTrue(self.budget.take(each))
        self.knock("10.0.0.1")
        for each in gone:
            self.budget.dequeue(each)
        self.assertEqual(self.turn(), ["10.0.0.1"])

    def test_quiet(self) -> None:
        """When nobody knocks no timer is set."""
        self.knock("10.0.0.1")
        self.turn()
        self.turn()
        self.assertEqual([call for call in self.clock.getDelayedCalls() if call.active()], [])


class Gate(OpeningBudget):
    """Lets everybody wait who asks, and nobody in by itself."""

    def take(self, connection: Unopened) -> bool:
        """Let it wait."""
        self._waiting.enqueue(connection)
        return True

    def let_in(self, connection: Unopened) -> None:
        """It has its turn."""
        self.dequeue(connection)
        connection.open()


class WaitingTests(SynchronousTestCase):
    """A connection that waits for its turn."""

    def setUp(self) -> None:
        """Have one that somebody has made, and what the other end sends first."""
        clock = Clock()
        self.strangers, self.answered, self.proven = (Gate(clock, 1.0, 1.0) for _ in range(3))
        self.talker = Talker()
        session = tls_sessions(ACCEPTER)(False)
        within = (Flusher(clock), anybody, lambda: b"", OpeningBudgets(self.strangers, self.answered, self.proven))
        self.sealed = SealedTransport(session, self.talker, *within, is_dialler=False)
        self.wire = StringTransport(peerAddress=IPv4Address("TCP", "10.0.0.1", 1))
        self.sealed.makeConnection(self.wire)
        self.dialler = tls_sessions(DIALLER)(True)
        self.dialler.begin()
        self.sealed.dataReceived(self.dialler.outgoing())

    def shake_hands(self) -> None:
        """Let it have its turns, to the end of the handshake."""
        self.strangers.let_in(self.sealed)
        self.dialler.receive(self.wire.value())
        self.sealed.dataReceived(self.dialler.outgoing())
        self.answered.let_in(self.sealed)

    def say(self, words: bytes) -> None:
        """Have the other end say something."""
        self.dialler.send(words)
        self.sealed.dataReceived(self.dialler.outgoing())

    def test_stranger(self) -> None:
        """Nothing that came is looked at, and nothing more is read, until it has its turn."""
        self.assertEqual((self.wire.value(), self.wire.producerState), (b"", "paused"))
        self.sealed.resumeProducing()
        self.assertEqual(self.wire.producerState, "paused")
        self.strangers.let_in(self.sealed)
        self.assertEqual(self.wire.producerState, "producing")
        self.assertNotEqual(self.wire.value(), b"")

    def test_answered(self) -> None:
        """Who was shown a certificate waits for none of those that only begin."""
        self.strangers.let_in(self.sealed)
        self.dialler.receive(self.wire.value())
        self.sealed.dataReceived(self.dialler.outgoing())
        self.assertEqual((self.strangers.waiting, self.answered.waiting), (0, 1))

    def test_half(self) -> None:
        """A part of a beginning is none."""
        self.strangers.dequeue(self.sealed)
        half = tls_sessions(DIALLER)(True)
        half.begin()
        hello = half.outgoing()
        within = (Flusher(Clock()), anybody, lambda: b"", OpeningBudgets(self.strangers, self.answered, self.proven))
        sealed = SealedTransport(tls_sessions(ACCEPTER)(False), Talker(), *within, is_dialler=False)
        sealed.makeConnection(StringTransport(peerAddress=IPv4Address("TCP", "10.0.0.1", 1)))
        for part in (hello[:50], hello[50:]):
            sealed.dataReceived(part)
            self.assertEqual((self.strangers.waiting, self.answered.waiting), (1, 0))
            self.strangers.let_in(sealed)
        sealed.dataReceived(b"\x16")
        self.assertEqual((self.strangers.waiting, self.answered.waiting), (0, 1))

    def test_proven(self) -> None:
        """Who has proven a key waits for no strangers, and with a few words for nobody."""
        self.shake_hands()
        self.say(b"hello")
        self.assertEqual((self.strangers.waiting, self.proven.waiting, self.talker.came), (0, 0, b"hello"))
        self.say(bytes(5000))
        self.assertEqual((self.strangers.waiting, self.proven.waiting, self.talker.came), (0, 1, b"hello"))
        self.assertEqual(self.wire.producerState, "paused")
        # What comes then stays behind it, however little it is.
        self.say(b"bye")
        self.proven.let_in(self.sealed)
        self.assertEqual((self.talker.came, self.wire.producerState), (b"hello" + bytes(5000) + b"bye", "producing"))

    def test_paused(self) -> None:
        """Its turn is no reason to read for who has said meanwhile that it wants no more."""
        self.shake_hands()
        self.say(bytes(5000))
        self.sealed.pauseProducing()
        self.proven.let_in(self.sealed)
        self.assertEqual((self.talker.came, self.wire.producerState), (bytes(5000), "paused"))
        self.sealed.resumeProducing()
        self.assertEqual(self.wire.producerState, "producing")

    def test_first_words(self) -> None:
        """What came while it waited is not lost: the greeting often comes with the end of the handshake."""
        self.strangers.let_in(self.sealed)
        self.dialler.receive(self.wire.value())
        self.dialler.send(b"hello")
        sealed = self.dialler.outgoing()
        self.sealed.dataReceived(sealed[:100])
        self.sealed.dataReceived(sealed[100:])
        self.answered.let_in(self.sealed)
        self.assertEqual(self.talker.came, b"hello")

    def test_gone(self) -> None:
        """Whose connection is gone, or is cut, has no turn."""
        self.sealed.connectionLost()
        self.assertEqual(self.strangers.waiting, 0)
        self.setUp()
        self.sealed.abortConnection()
        self.assertEqual(self.strangers.waiting, 0)

    def test_last_words(self) -> None:
        """What somebody has said before its connection ended is heard, though it had to wait."""
        self.shake_hands()
        self.say(bytes(5000))
        self.sealed.connectionLost()
        self.assertEqual((self.proven.waiting, self.talker.came), (0, bytes(5000)))

    def test_garbage(self) -> None:
        """What is no handshake ends that connection, and raises nothing to who gives the turns."""
        self.strangers.let_in(self.sealed)
        self.sealed.dataReceived(b"\x16" + bytes(500))
        self.answered.let_in(self.sealed)
        self.assertTrue(self.wire.disconnecting)
