"""Streams over datagrams at the socket of a node: they share it with messages, and neither disturbs the other."""

from __future__ import annotations

import json
import random
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.files.udp.cases import Ends, Talker
from tests.raw_datagram import RawSocket
from twisted_bazaar.files.udp import Transfer
from twisted_bazaar.files.window import Settings
from twisted_bazaar.files.window.segment import SYN, encode, encode_name
from twisted_bazaar.node.datagrams.read_budget import DatagramReadBudget
from twisted_bazaar.node.node import Node
from twisted_bazaar.role import Role
from twisted_bazaar.sim.engine.hosts import Host
from twisted_bazaar.testing import SimulatedNetwork, things_of
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.framing import frame
from twisted_bazaar.wire.message import Message, Text

SEGMENT: Final = b"\x11"


class Note(Message, tag="test-stream-note"):
    """Something to send, by datagram or at the beginning of a stream."""

    text: Text = ""


def note(text: str) -> bytes:
    """A note as a stream begins with it."""
    return frame(b'{"type":"test-stream-note","text":"%s"}' % text.encode())


class Reader(Role):
    """Takes notes by datagram, and streams that begin with one.

    @ivar last_word: what it says over its streams when it stops.
    """

    def __init__(self, last_word: bytes = b"") -> None:
        self.notes: list[tuple[str, Address]] = []
        self.opened: list[tuple[str, Address]] = []
        self.talkers: list[Talker] = []
        self.datagrams = {Note: lambda note, address, key: self.notes.append((note.text, address))}
        self.openings = {Note: self._opened}
        self._last_word = last_word

    def stop(self) -> Deferred[None]:
        for talker in self.talkers:
            talker.transport.write(self._last_word)
            if self._last_word:
                talker.transport.loseConnection()
        return succeed(None)

    def _opened(self, note: Note, address: Address) -> Talker | None:
        if note.text == "no":
            return None
        self.opened.append((note.text, address))
        self.talkers.append(Talker())
        return self.talkers[-1]


class Ear(DatagramProtocol):
    """A socket that keeps what comes."""

    noisy = False

    def __init__(self, host: Host) -> None:
        self.came: list[bytes] = []
        host.listenUDP(7100, self, maxPacketSize=65_535)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.came.append(datagram)


class SharedSocketTestCase(SynchronousTestCase):
    """Two nodes that take datagrams and streams."""

    transfer: Transfer | None = Transfer()
    last_word = b""
    sealed = False

    def setUp(self) -> None:
        """Start them."""
        self.network = SimulatedNetwork(sealed=self.sealed)
        self.reader = Reader(self.last_word)
        self.near = self.network.add_node(udp=True, transfer=self.transfer)
        self.far = self.network.add_node(self.reader, udp=True, transfer=self.transfer)

    def tearDown(self) -> None:
        """Nothing is left, however it went."""
        hosts = [self.network.host_of(node) for node in (self.near, self.far)]
        self.network.stop_all()
        self.network.run(10.0)
        self.assertEqual([thing for host in hosts for thing in things_of(host)], [])

    def open(self, says: bytes, *, near: Node | None = None) -> Talker:
        """Open a stream from the one to the other, and say something."""
        endpoint = (near or self.near).stream_endpoint(self.network.where_datagrams(self.far))
        assert endpoint is not None
        talker = Talker(says)
        self.failures: list[Any] = []
        endpoint.connect(Ends(lambda: talker)).addErrback(self.failures.append)
        self.network.run(0.5)
        return talker


class SharingTests(SharedSocketTestCase):
    """What comes to one socket."""

    def test_opening(self) -> None:
        """A stream comes to the openings of the roles, with where it comes from, and goes on with what they give."""
        talker = self.open(note("hello") + b"and more")
        self.assertEqual(self.reader.opened, [("hello", self.network.where_datagrams(self.near))])
        [other] = self.reader.talkers
        self.assertEqual(other.heard, b"and more")
        other.transport.write(b"answer")
        self.network.run(0.1)
        self.assertEqual(talker.heard, b"answer")

    def test_refused(self) -> None:
        """What a role does not want, and what nobody takes, is told so and closed."""
        for said, word in ((note("no"), b'"noslots"'), (frame(b'{"type":"thisisme"}'), b'"wtf"')):
            talker = self.open(said)
            self.assertIn(word, talker.heard)
            self.assertEqual(talker.reason, ConnectionDone)

    def test_not_how_a_stream_begins(self) -> None:
        """Who says on a stream what belongs on a link is told with what a stream begins."""
        talker = self.open(frame(b'{"type":"search","id":7,"item":"apple","returnPath":[1]}'))
        said = json.loads(talker.heard.partition(b":")[2][:-1])
        info = "a stream begins with test-stream-note, not with 'search'"
        self.assertEqual(said, {"type": "error", "code": "wtf", "info": info, "about": "search"})

    def test_nobody(self) -> None:
        """A node whose roles take no connections of their own takes no streams, and says so."""
        endpoint = self.far.stream_endpoint(self.network.where_datagrams(self.near))
        assert endpoint is not None
        connecting = endpoint.connect(Ends())
        self.network.run(0.5)
        self.failureResultOf(connecting, ConnectionRefusedError)

    def test_messages_beside(self) -> None:
        """Messages go by the same socket meanwhile."""
        self.open(note("hello"))
        self.near.send_datagram(Note(text="beside"), [self.network.where_datagrams(self.far)])
        self.network.run(0.5)
        self.assertEqual(self.reader.notes, [("beside", self.network.where_datagrams(self.near))])

    def test_no_streams(self) -> None:
        """A node without datagrams leads to no stream, nor one that has stopped."""
        where = self.network.where_datagrams(self.far)
        self.assertEqual(self.network.add_node(transfer=Transfer()).stream_endpoint(where), None)
        self.assertEqual(self.network.add_node(udp=True).stream_endpoint(where), None)
        self.network.stop(self.near)
        self.assertEqual(self.near.stream_endpoint(where), None)


class SealedSharingTests(SharedSocketTestCase):
    """Streams in sealed datagrams."""

    sealed = True

    def connect(self, key: str | None) -> tuple[Talker, Deferred[Any]]:
        """Open one to whoever has a key."""
        endpoint = self.near.stream_endpoint(self.network.where_datagrams(self.far), key, 2.0)
        assert endpoint is not None
        talker = Talker(note("hello"))
        connecting: Deferred[Any] = endpoint.connect(Ends(lambda: talker))
        self.network.run(5.0)
        return talker, connecting

    def test_key(self) -> None:
        """It is opened to whoever is there, and to whom is wanted there."""
        for key in (None, self.far.key.public):
            talker, connecting = self.connect(key)
            self.successResultOf(connecting)
            self.reader.talkers[-1].transport.write(b"answer")
            self.network.run(0.1)
            self.assertEqual(talker.heard, b"answer")

    def test_another_key(self) -> None:
        """Who is there and has not the key that is wanted hears nothing, even by a session that there is."""
        self.connect(None)
        _, connecting = self.connect(self.near.key.public)
        self.failureResultOf(connecting, ConnectError)
        self.assertEqual(len(self.reader.opened), 1)


class LongSegmentsTests(SharedSocketTestCase):
    """Segments that are longer than messages may be."""

    transfer = Transfer(Settings(mss=5000))

    def test_limits(self) -> None:
        """Each kind keeps its own limit, whatever that of the other is."""
        socket = RawSocket(self.network, self.far, "10.9.0.1")
        cookie = socket.cookie(self.network)
        socket.tell("test-stream-note", text="x" * 900, cookie=cookie)
        socket.tell("test-stream-note", text="x" * 1000, filler="x" * 1000, cookie=cookie)
        socket.put(SEGMENT + bytes(5054))
        socket.put(SEGMENT + bytes(5055))
        self.network.run(0.1)
        self.assertEqual(len(self.reader.notes), 1)
        self.assertEqual(self.far.datagrams.counts, {"oversize": 2})
        self.open(note("hello") + bytes(50_000))
        self.assertEqual(len(self.reader.talkers[0].heard), 50_000)


class EndingTests(SharedSocketTestCase):
    """The end of a node with streams."""

    last_word = b"farewell"

    def test_after_roles(self) -> None:
        """What roles say when they stop is still heard at the other end."""
        talker = self.open(note("hello"))
        self.network.stop(self.far)
        self.network.run(0.5)
        self.assertEqual((talker.heard, talker.reason), (b"farewell", ConnectionDone))

    def test_gone_at_once(self) -> None:
        """With nothing open, the socket is closed in a moment."""
        host = self.network.host_of(self.far)
        self.network.stop(self.far)
        self.network.run(0.01)
        self.assertEqual(things_of(host), [])


class NeverEndingTests(SharedSocketTestCase):
    """Streams that nobody closes."""

    def test_cut(self) -> None:
        """They are ended after a while, and the other end knows it."""
        talker = self.open(note("hello"))
        self.network.stop(self.far)
        self.network.run(1.9)
        self.assertEqual(talker.reason, None)
        self.network.run(0.2)
        self.assertEqual((talker.reason, self.reader.talkers[0].reason is not None), (ConnectionLost, True))

    def test_none_after(self) -> None:
        """Who is stopping takes no other streams."""
        self.open(note("hello"))
        other = self.network.add_node(udp=True, transfer=Transfer())
        self.network.stop(self.far)
        self.open(note("again"), near=other)
        self.assertEqual([each.type for each in self.failures], [ConnectionRefusedError])


class FloodTests(SharedSocketTestCase):
    """What strangers may do."""

    def test_without_streams(self) -> None:
        """Where there are no streams, segments are rubbish."""
        node = self.network.add_node(udp=True)
        RawSocket(self.network, node, "10.9.0.1").put(SEGMENT + bytes(60))
        self.network.run(0.1)
        self.assertEqual(node.datagrams.counts, {"rubbish": 1})

    def test_rubbish(self) -> None:
        """Rubbish that begins as segments do opens nothing and is answered with nothing; messages go on."""
        rng = random.Random(1)
        socket = RawSocket(self.network, self.far, "10.9.0.1")
        for _ in range(5000):
            socket.put(SEGMENT + rng.randbytes(rng.randrange(200)))
        self.network.run(1.0)
        self.assertEqual(socket.bytes_received, 0)
        self.near.send_datagram(Note(text="still there"), [self.network.where_datagrams(self.far)])
        self.network.run(0.5)
        self.assertEqual([text for text, _ in self.reader.notes], ["still there"])

    def test_forged(self) -> None:
        """Whoever is written on segments as their sender is not flooded: it gets few answers, of no more bytes."""
        ear = Ear(self.network.host("10.9.0.1"))
        where = self.network.where_datagrams(self.far)
        calls = [
            encode(SYN, bytes(8), 0, 0, 0, 1000, 0, 0, encode_name(b"%08d" % number, 1000)) for number in range(2000)
        ]
        strange = [encode(0, b"%08d" % number, 0, 0, 0, 1000, 0, 0) for number in range(2000)]
        for datagram in calls + strange:
            ear.transport.write(datagram, (where.host, where.port))  # type: ignore[union-attr]
        self.network.run(0.5)
        self.assertTrue(0 < len(ear.came) <= 100, len(ear.came))
        self.assertLessEqual(max(map(len, ear.came)), min(map(len, calls)))
        # Somebody else is not kept out by that.
        self.open(note("hello"))
        self.assertEqual([text for text, _ in self.reader.opened], ["hello"])


class DatagramTurnTests(SynchronousTestCase):
    """How much is read in one turn."""

    def most_read(self, work: int) -> int:
        """How many datagrams of so much work are read before others have their turn."""
        clock, transport = Clock(), type("Transport", (), {"maxThroughput": 1})()
        reading = DatagramReadBudget(clock)
        count = 0
        while transport.maxThroughput:
            self.take_on(reading, work, transport)
            count += 1
            assert count < 10_000, "it never rests"
        clock.advance(0)
        self.assertEqual(transport.maxThroughput, 1)
        return count

    def take_on(self, reading: DatagramReadBudget, work: int, transport: Any) -> None:
        """Read a datagram of so much work."""
        reading.left -= work
        if reading.left <= 0:
            reading.read_later(transport)

    def test_work(self) -> None:
        """A turn reads as many segments as take as long as its messages: four times as many."""
        self.assertEqual((self.most_read(4), self.most_read(1)), (128, 512))

    def test_stop(self) -> None:
        """Who rests when it is stopped leaves no timer."""
        clock, transport = Clock(), type("Transport", (), {"maxThroughput": 1})()
        reading = DatagramReadBudget(clock)
        self.take_on(reading, 1000, transport)
        reading.stop()
        self.assertEqual(clock.getDelayedCalls(), [])
