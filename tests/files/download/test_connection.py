"""Promises of the asker's end of a transfer connection: whatever a source says, no turn is long."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.files.cases import Wire
from twisted_bazaar.files.download.connection import DownloadConnection
from twisted_bazaar.files.messages import Described, Go, Have, Wait
from twisted_bazaar.wire.framing import frame

MANIFEST = frame(b'{"type":"manifest","size":9000000,"root":"' + b"ab" * 32 + b'","whole":false}')


class Owner:
    """Keeps what a source said."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.end: tuple[str, str] | None = None

    def connected(self) -> None:
        """Nothing."""

    def _keep(self, message: Described | Go | Have | Wait) -> None:
        self.said.append(message)

    description_received = unchoked = choked = growth_received = _keep

    def digests_received(self, first: int, digests: bytes) -> None:
        """Nothing."""

    def bits_received(self, first: int, bits: bytes) -> None:
        self.said.append(first)

    def size_of(self, chunk: int) -> int:
        return 100

    def buffer_for(self, chunk: int) -> memoryview:
        return memoryview(bytearray(100))

    def bytes_received(self, size: int) -> None:
        """Nothing."""

    def chunk_received(self, chunk: int, content: memoryview) -> None:
        self.said.append(chunk)

    def connection_ended(self, code: str, reason: str) -> None:
        self.end = code, reason


class TurnTests(SynchronousTestCase):
    """A source that says very much is heard little by little."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.owner = Owner()
        self.wire = Wire()
        self.asking = DownloadConnection(self.clock, self.owner, "ab" * 32)
        self.asking.makeConnection(self.wire)

    def count_in_turns(self) -> list[int]:
        """How much has been heard, noted at the beginning of each turn that is still to come."""
        counts: list[int] = []
        rested = self.asking._rested

        def noting() -> None:
            counts.append(len(self.owner.said))
            rested()

        self.asking._rested = noting  # type: ignore[method-assign]
        return counts

    def test_a_flood(self) -> None:
        """Few messages are taken in one turn; the rest comes in the next ones, all and in its order."""
        haves = b"".join(frame(b'{"type":"have","chunks":[%d]}' % (n % 9)) for n in range(1000))
        counts = self.count_in_turns()
        self.asking.dataReceived(MANIFEST + haves)
        self.assertLess(len(self.owner.said), 50)
        self.assertEqual(self.wire.producerState, "paused")
        # More may come although nothing more is wanted.
        self.asking.dataReceived(frame(b'{"type":"go"}'))
        self.clock.pump([0] * 100)
        self.assertEqual([m.chunks[0] for m in self.owner.said[1:-1]], [n % 9 for n in range(1000)])
        self.assertEqual(self.owner.said[-1], Go())
        self.assertLess(max(after - before for before, after in pairwise(counts)), 50)
        self.assertEqual((self.wire.producerState, self.clock.getDelayedCalls()), ("producing", []))

    def test_does_not_read(self) -> None:
        """Of a source that does not read what it is told nothing more is heard: it could make us say more and more."""
        self.assertIs(self.wire.producer, self.asking)
        self.asking.dataReceived(MANIFEST)
        self.asking.pauseProducing()
        self.assertEqual(self.wire.producerState, "paused")
        self.asking.dataReceived(frame(b'{"type":"go"}') + frame(b'{"type":"wait"}'))
        self.clock.pump([0] * 5)
        self.assertEqual(len(self.owner.said), 1)
        self.asking.resumeProducing()
        self.assertEqual(self.owner.said[1:], [Go(), Wait()])
        self.assertEqual(self.wire.producerState, "producing")

    def test_ended_meanwhile(self) -> None:
        """What waits for the next turn is not heard when the connection has ended in this one."""
        self.asking.dataReceived(MANIFEST + frame(b'{"type":"go"}') * 100)
        heard = len(self.owner.said)
        self.asking.stop()
        self.clock.pump([0] * 5)
        self.assertEqual((len(self.owner.said), self.clock.getDelayedCalls()), (heard, []))

    def test_nothing_is_kept(self) -> None:
        """Of chunks that have come nothing stays, however many they are."""
        self.asking.dataReceived(MANIFEST)
        for chunk in range(9):
            self.asking.want(chunk)
            self.asking.dataReceived(b"109:\x02" + chunk.to_bytes(4, "big") + bytes(4) + bytes(100) + b",")
        self.assertEqual(self.owner.said[1:], list(range(9)))
        self.assertEqual((self.asking.wanted, self.asking._may_come), ({}, {}))

    def test_why_not(self) -> None:
        """What a node says that takes no transfers is told to people; none now is no reason never to ask again."""
        for said, end in (
            (
                b'{"type":"error","code":"wtf","info":"x\\u001by"}',
                ("refused", "no transfers are taken there: wtf: x�y"),
            ),
            (b'{"type":"error","code":"noslots"}', ("busy", "no transfers are taken there: noslots")),
        ):
            self.setUp()
            self.asking.dataReceived(frame(said))
            self.assertEqual(self.owner.end, end)
