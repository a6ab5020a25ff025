"""A sealed transport between simulated machines, with TLS itself."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.security.sealed_pair import ACCEPTER, DIALLER, MALLORY
from twisted_bazaar.errors import NothingProven, Unproven
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.security.links.link_security import Sealed
from twisted_bazaar.security.links.session import Session
from twisted_bazaar.security.tls.tls_session import tls_sessions
from twisted_bazaar.testing import SimulatedNetwork

PORT = 9001
WORDS = b"two boxes of apples, please"


class Talker(Protocol):
    """Keeps what comes, and how it ended."""

    def __init__(self, first: bytes = b"") -> None:
        self.first = first
        self.came = b""
        self.reads = 0
        self.paused = 0
        self.reason: Failure | None = None

    def connectionMade(self) -> None:
        if self.first:
            self.transport.write(self.first)

    def dataReceived(self, data: bytes) -> None:
        self.came += data
        self.reads += 1

    def connectionLost(self, reason: Failure) -> None:
        self.reason = reason

    def pauseProducing(self) -> None:
        self.paused += 1

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


class One(Factory):
    """Builds one protocol."""

    noisy = False

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: object) -> Protocol:
        return self._protocol


class Each(Factory):
    """Builds one protocol after the other."""

    noisy = False
    protocol = Talker


class SealedTransportTests(SynchronousTestCase):
    """Two machines with a sealed connection."""

    def setUp(self) -> None:
        """Have two machines."""
        self.network = SimulatedNetwork()
        self.hosts = [self.network.host("10.0.0.1"), self.network.host("10.0.0.2")]
        self.dialler, self.accepter = Talker(), Talker()

    def connect(self, wanted: str | None = ACCEPTER.public, key: KeyPair = ACCEPTER) -> None:
        """Connect one to the other."""
        there = TCP4ServerEndpoint(self.hosts[1], PORT)
        Sealed(self.hosts[1], tls_sessions(key)).seal_server(there).listen(One(self.accepter))
        way: Any = TCP4ClientEndpoint(self.hosts[0], "10.0.0.2", PORT)
        connecting = Sealed(self.hosts[0], tls_sessions(DIALLER)).seal_client(way, wanted).connect(One(self.dialler))
        self.network.run(1.0)
        self.assertIs(self.successResultOf(connecting), self.dialler)

    def test_both_ways(self) -> None:
        """What is written before anybody has proven anything comes when they have, and so does what follows."""
        self.dialler.first, self.accepter.first = WORDS, WORDS[::-1]
        self.connect()
        self.assertEqual((self.accepter.came, self.dialler.came), (WORDS, WORDS[::-1]))
        transports: Any = self.dialler.transport, self.accepter.transport
        self.assertEqual([each.proven_key for each in transports], [ACCEPTER.public, DIALLER.public])
        self.dialler.transport.writeSequence([WORDS, bytes(200_000)])
        self.network.run(1.0)
        self.assertEqual(self.accepter.came, WORDS * 2 + bytes(200_000))

    def test_one_record(self) -> None:
        """What is written in one turn goes together."""
        self.connect()
        for _ in range(500):
            self.dialler.transport.write(WORDS)
        self.assertEqual(self.accepter.came, b"")
        self.network.run(1.0)
        self.assertEqual((self.accepter.came, self.accepter.reads), (WORDS * 500, 1))

    def test_wanted_key(self) -> None:
        """Who was dialled because of its key must have it; else it hears nothing, and why it ended is said."""
        self.dialler.first = WORDS
        self.connect(key=MALLORY)
        self.assertEqual(self.accepter.came, b"")
        reason = self.dialler.reason
        assert reason is not None
        self.assertIsInstance(reason.value, Unproven)
        self.assertIn(MALLORY.public[:16], reason.getErrorMessage())

    def test_in_the_open(self) -> None:
        """Who speaks in the open is told so, and nothing of it is acted on."""
        there = TCP4ServerEndpoint(self.hosts[1], PORT)
        Sealed(self.hosts[1], tls_sessions(ACCEPTER)).seal_server(there).listen(One(self.accepter))
        self.dialler.first = b'52:{"type":"thisisme"},'
        TCP4ClientEndpoint(self.hosts[0], "10.0.0.2", PORT).connect(One(self.dialler))
        self.network.run(1.0)
        self.assertEqual(self.accepter.came, b"")
        self.assertIn(b"sealed here", self.dialler.came)
        assert self.dialler.reason is not None
        self.assertTrue(self.dialler.reason.check(ConnectionDone))

    def test_closed_unproven(self) -> None:
        """An end before anything was proven says what may have been meant; one that this end has made says nothing."""
        for is_own in (False, True):
            self.dialler = Talker()
            accepted = Talker()
            self.hosts[1].listenTCP(PORT + is_own, One(accepted))
            way: Any = TCP4ClientEndpoint(self.hosts[0], "10.0.0.2", PORT + is_own)
            Sealed(self.hosts[0], tls_sessions(DIALLER)).seal_client(way, None).connect(One(self.dialler))
            self.network.run(1.0)
            self.assertEqual(accepted.came[:1], b"\x16")
            (self.dialler if is_own else accepted).transport.loseConnection()
            self.network.run(1.0)
            reason = self.dialler.reason
            assert reason is not None
            self.assertIs(reason.check(NothingProven), None if is_own else NothingProven)
            self.assertEqual("--plain" in reason.getErrorMessage(), not is_own)

    def test_forgotten(self) -> None:
        """What is left of a connection that has failed goes at once, and not when garbage is collected."""
        sessions: list[weakref.ref[Session]] = []

        def make(is_dialler: bool) -> Session:
            session = tls_sessions(ACCEPTER)(is_dialler)
            sessions.append(weakref.ref(session))
            return session

        there = TCP4ServerEndpoint(self.hosts[1], PORT)
        Sealed(self.hosts[1], make).seal_server(there).listen(Each())
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for first in (b"\x16\x03\x01\x40\x00" + bytes(9000), b'52:{"type":"thisisme"},'):
            TCP4ClientEndpoint(self.hosts[0], "10.0.0.2", PORT).connect(One(Talker(first)))
        self.network.run(1.0)
        self.assertEqual([each() for each in sessions], [None, None])

    def test_end(self) -> None:
        """An end comes after all that was written, and is told from a cut."""
        self.connect()
        self.dialler.transport.write(WORDS * 10_000)
        self.dialler.transport.loseConnection()
        self.network.run(1.0)
        self.assertEqual(self.accepter.came, WORDS * 10_000)
        for end in (self.dialler, self.accepter):
            assert end.reason is not None
            self.assertTrue(end.reason.check(ConnectionDone), end.reason)

    def test_cut(self) -> None:
        """A connection that is closed under it has been cut, whoever closed it."""
        self.connect()
        transport: Any = self.dialler.transport
        transport.transport.loseConnection()
        self.network.run(1.0)
        assert self.accepter.reason is not None
        self.assertTrue(self.accepter.reason.check(ConnectionLost))

    def test_end_waits_for_who_produces(self) -> None:
        """What a producer still has goes before the end."""
        self.connect()
        self.dialler.transport.registerProducer(self.dialler, True)
        self.dialler.transport.loseConnection()
        self.network.run(1.0)
        self.assertIsNone(self.accepter.reason)
        self.dialler.transport.unregisterProducer()
        self.network.run(1.0)
        self.assertIsNotNone(self.accepter.reason)

    def test_back_pressure(self) -> None:
        """Who writes more than the other end takes is asked to pause; who does not read gets no more."""
        self.connect()
        self.dialler.transport.registerProducer(self.dialler, True)
        self.accepter.transport.pauseProducing()
        for _ in range(64):
            self.dialler.transport.write(bytes(64 << 10))
            self.network.run(0.1)
        self.assertGreater(self.dialler.paused, 0)
        read = len(self.accepter.came)
        self.assertLess(read, 1 << 20)
        self.accepter.transport.resumeProducing()
        self.network.run(10.0)
        self.assertEqual(len(self.accepter.came), 64 * (64 << 10))
        self.assertEqual(read, 0)

    def test_written_too_late(self) -> None:
        """What is written when the connection is gone goes nowhere, and nothing waits for it."""
        self.connect()
        transport: Any = self.dialler.transport
        self.accepter.transport.abortConnection()
        self.network.run(1.0)
        transport.write(WORDS)
        self.assertEqual([call for call in self.hosts[0].getDelayedCalls() if call.active()], [])

    def test_successor(self) -> None:
        """Another protocol may take over."""
        self.connect()
        successor = Talker()
        transport: Any = self.accepter.transport
        transport.protocol = successor
        successor.makeConnection(transport)
        self.dialler.transport.write(WORDS)
        self.network.run(1.0)
        self.assertEqual((self.accepter.came, successor.came), (b"", WORDS))
