"""How sources are reached: by connection, by stream over datagrams, or by whichever is quicker."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectionRefusedError, TimeoutError
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.files.in_the_open import in_the_open
from twisted_bazaar.files.download.happy_eyeballs import HEAD_START_S, HappyEyeballs, HeadStart
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileSource

BOTH = FileSource(1, "ab" * 32, Address("10.0.0.1", 9001), udp=9002)


@implementer(IStreamClientEndpoint)
class Way:
    """A way that a test decides about.

    @ivar tried: what waits for its answer, in order.
    """

    def __init__(self) -> None:
        self.tried: list[Deferred[Any]] = []

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """Keep that it is tried."""
        self.tried.append(Deferred())
        return self.tried[-1]


class WaysInTests(SynchronousTestCase):
    """Which ways there are."""

    def setUp(self) -> None:
        """Have a node with streams."""
        self.stream = Way()
        self.asked: list[tuple[Address, str | None, float | None]] = []
        self.kinds: dict[bool, HappyEyeballs] = {
            first: HappyEyeballs(Clock(), in_the_open(Clock()), 4.0, self.stream_to, streams_first=first)
            for first in (False, True)
        }

    def stream_to(
        self, address: Address, key: str | None = None, timeout_s: float | None = None
    ) -> IStreamClientEndpoint | None:
        """Where streams are opened."""
        self.asked.append((address, key, timeout_s))
        return self.stream

    def ways(self, source: FileSource, *, streams_first: bool = False) -> list[Any]:
        """All ways to a source, in their order."""
        way = self.kinds[streams_first].endpoint_for(source)
        if isinstance(way, HeadStart):
            return list(way._endpoints)
        return [] if way is None else [way]

    def test_connection(self) -> None:
        """Who takes no datagrams is reached by connection, of the family of its host."""
        for host, kind in (("10.0.0.1", TCP4ClientEndpoint), ("2001:db8::1", TCP6ClientEndpoint)):
            for first in (False, True):
                [way] = self.ways(FileSource(1, "", Address(host, 9001)), streams_first=first)
                self.assertIsInstance(way, kind)
        self.assertEqual(self.asked, [])

    def test_stream(self) -> None:
        """Who takes no connections is reached by stream, at its port for datagrams, with the same patience and key."""
        self.assertEqual(self.ways(evolve(BOTH, address=Address("10.0.0.1", 0))), [self.stream])
        self.assertEqual(self.asked, [(Address("10.0.0.1", 9002), BOTH.key, 4.0)])

    def test_order(self) -> None:
        """Of both ways the connection comes first, or the stream where that is wished for."""
        for first, place in ((False, 1), (True, 0)):
            ways = self.ways(BOTH, streams_first=first)
            self.assertEqual((len(ways), ways[place]), (2, self.stream))

    def test_none(self) -> None:
        """Who takes neither is not reached, nor who takes datagrams by a node that takes none."""
        self.assertEqual(self.ways(FileSource(1, "", Address("10.0.0.1", 0))), [])
        only_streams = evolve(BOTH, address=Address("10.0.0.1", 0))
        self.assertEqual(HappyEyeballs(Clock(), in_the_open(Clock()), 4.0).endpoint_for(only_streams), None)
        self.assertEqual(
            HappyEyeballs(
                Clock(), in_the_open(Clock()), 4.0, lambda address, key=None, timeout_s=None: None
            ).endpoint_for(only_streams),
            None,
        )


class HeadStartTests(SynchronousTestCase):
    """Two ways to one node."""

    def setUp(self) -> None:
        """Begin to connect."""
        self.first, self.second = Way(), Way()
        self.clock = Clock()
        self.connecting = HeadStart(self.clock, [self.first, self.second]).connect(Factory.forProtocol(Protocol))

    def test_first(self) -> None:
        """Where the first leads there, the second is not tried."""
        protocol = Protocol()
        self.first.tried[0].callback(protocol)
        self.assertEqual((self.successResultOf(self.connecting), self.second.tried), (protocol, []))

    def test_second(self) -> None:
        """Where the first does not, the second is tried, whose answer counts."""
        self.first.tried[0].errback(ConnectionRefusedError())
        protocol = Protocol()
        self.second.tried[0].callback(protocol)
        self.assertEqual(self.successResultOf(self.connecting), protocol)

    def test_swallowed(self) -> None:
        """Where the first is silent, the second is tried after a while, and the first is given up when that leads
        there."""
        self.clock.advance(HEAD_START_S - 0.1)
        self.assertEqual(self.second.tried, [])
        self.clock.advance(0.1)
        protocol = Protocol()
        self.second.tried[0].callback(protocol)
        self.assertEqual(self.successResultOf(self.connecting), protocol)
        self.assertTrue(self.first.tried[0].called)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_late_first(self) -> None:
        """The first may still be the quicker of the two; then the second is given up."""
        self.clock.advance(HEAD_START_S)
        protocol = Protocol()
        self.first.tried[0].callback(protocol)
        self.assertEqual(self.successResultOf(self.connecting), protocol)
        self.assertTrue(self.second.tried[0].called)

    def test_first_fails_late(self) -> None:
        """When one of two that are tried fails, the other goes on."""
        self.clock.advance(HEAD_START_S)
        self.first.tried[0].errback(TimeoutError())
        self.assertNoResult(self.connecting)
        protocol = Protocol()
        self.second.tried[0].callback(protocol)
        self.assertEqual(self.successResultOf(self.connecting), protocol)

    def test_second_fails(self) -> None:
        """It is over only when both have failed."""
        self.clock.advance(HEAD_START_S)
        self.second.tried[0].errback(ConnectionRefusedError())
        self.assertNoResult(self.connecting)
        self.first.tried[0].errback(TimeoutError())
        self.failureResultOf(self.connecting, TimeoutError)

    def test_neither(self) -> None:
        """Where neither does, it fails as the last has."""
        self.first.tried[0].errback(ConnectionRefusedError())
        self.second.tried[0].errback(TimeoutError())
        self.failureResultOf(self.connecting, TimeoutError)

    def test_fault(self) -> None:
        """What is no fault of the way is not covered up by trying the other."""
        self.first.tried[0].errback(ValueError("ours"))
        self.failureResultOf(self.connecting, ValueError)
        self.assertEqual(self.second.tried, [])

    def test_cancelled(self) -> None:
        """Who does not want it any more ends what is tried, and nothing else is."""
        self.connecting.cancel()
        self.assertTrue(self.first.tried[0].called)
        self.failureResultOf(self.connecting, CancelledError)
        self.assertEqual(self.second.tried, [])

    def test_fails_at_once(self) -> None:
        """A way that fails before it is waited for is as good as any."""
        way = Way()
        way.connect = lambda factory: fail(OSError("no way"))  # type: ignore[method-assign]
        connecting = HeadStart(self.clock, [way, self.second]).connect(Factory.forProtocol(Protocol))
        self.assertNoResult(connecting)
        self.assertEqual(len(self.second.tried), 1)
