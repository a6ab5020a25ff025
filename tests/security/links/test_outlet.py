"""The way out of a sealed transport."""

from __future__ import annotations

import gc
from typing import Any
from weakref import ref

from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.security.links.outlet import BufferedOutlet, SocketOutlet, outlet_through

MUCH = 256 << 10


class Socket:
    """A transport as Twisted's are that have a socket, which takes so many bytes.

    @ivar taken: what the socket has taken.
    """

    connected = True
    bufferSize = 1_000

    def __init__(self, room: int) -> None:
        self.room = room
        self.taken = b""
        self.waiting = b""
        self.producer: Any = None
        self.is_lost = False

    def writeSomeData(self, data: bytes | memoryview) -> int | Exception:
        """Take what there is room for."""
        if self.is_lost:
            return ConnectionLost()
        size = min(self.room, len(data))
        self.taken += data[:size]
        self.room -= size
        return size

    def write(self, data: bytes) -> None:
        """Keep it until there is room."""
        self.waiting += data

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """One that is asked for more whenever nothing waits, and at once."""
        assert self.producer is None
        assert not streaming
        self.producer = producer
        producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """Ask nobody any more."""
        self.producer = None

    def make_room(self, room: int) -> None:
        """Have the socket take more, and tell who produces if that is all."""
        self.room += room
        waiting, self.waiting = self.waiting, b""
        taken = self.writeSomeData(waiting)
        assert isinstance(taken, int)
        self.waiting = waiting[taken:]
        if not self.waiting and self.producer is not None:
            self.producer.resumeProducing()


class Producer:
    """Writes down what it is asked to do."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def pauseProducing(self) -> None:
        """Note it."""
        self.asked.append("pause")

    def resumeProducing(self) -> None:
        """Note it."""
        self.asked.append("resume")

    def stopProducing(self) -> None:
        """Note it."""
        self.asked.append("stop")


class SocketOutletTests(SynchronousTestCase):
    """One over a transport with a socket."""

    def setUp(self) -> None:
        """Have a socket that takes 100 bytes."""
        self.clock = Clock()
        self.socket = Socket(100)
        self.outlet = SocketOutlet(self.socket, self.clock)
        self.producer = Producer()
        self.outlet.register(self.producer, is_streaming=True)

    def test_at_once(self) -> None:
        """What the system takes is sent at once, and nobody waits."""
        self.outlet.write(memoryview(b"some"))
        self.outlet.write(b" more")
        self.assertEqual((self.socket.taken, self.socket.waiting), (b"some more", b""))
        self.assertEqual((self.producer.asked, self.clock.getDelayedCalls()), ([], []))

    def test_order(self) -> None:
        """What the system does not take waits, and what is written then waits behind it, even if there is room."""
        self.outlet.write(memoryview(b"a" * 150))
        self.socket.room = 10
        self.outlet.write(b"b" * 20)
        self.assertEqual(self.socket.taken, b"a" * 100)
        self.socket.make_room(90)
        self.outlet.write(b"c")
        self.assertEqual(self.socket.taken + self.socket.waiting, b"a" * 150 + b"b" * 20 + b"c")
        self.assertIsNone(self.socket.producer)
        self.assertEqual(self.producer.asked, [])

    def test_view_is_not_kept(self) -> None:
        """What waits is a copy: the memory that it was in is used again."""
        memory = bytearray(b"a" * 150)
        self.outlet.write(memoryview(memory))
        memory[:] = b"z" * 150
        self.assertEqual(self.socket.waiting, b"a" * 50)

    def test_much_waits(self) -> None:
        """Who produces is asked to pause as soon as more waits than the transport holds, until all is sent."""
        self.outlet.write(bytes(1_100))
        self.assertEqual(self.producer.asked, [])
        self.outlet.write(b"x")
        self.assertEqual(self.producer.asked, ["pause"])
        self.clock.advance(1)
        self.socket.make_room(1_000)
        self.assertEqual(self.producer.asked, ["pause"])
        self.socket.make_room(1)
        self.assertEqual(self.producer.asked, ["pause", "resume"])

    def test_turn(self) -> None:
        """Who produces is asked to pause when much was sent, however much the system takes: others have their turn."""
        self.socket.room = 2 * MUCH
        self.outlet.write(bytes(MUCH - 1))
        self.assertEqual(self.producer.asked, [])
        self.outlet.write(b"x")
        self.assertEqual(self.producer.asked, ["pause"])
        self.clock.advance(0)
        self.assertEqual(self.producer.asked, ["pause", "resume"])

    def test_turn_and_much_waits(self) -> None:
        """When much was sent and then something waits, it goes on once that is sent, and only once."""
        self.socket.room = MUCH
        self.outlet.write(bytes(MUCH))
        self.outlet.write(b"x")
        self.clock.advance(0)
        self.assertEqual(self.producer.asked, ["pause"])
        self.socket.make_room(1)
        self.assertEqual(self.producer.asked, ["pause", "resume"])

    def test_gone(self) -> None:
        """What is sent over a connection that is lost is left to the transport, which finds that out."""
        self.socket.is_lost = True
        self.outlet.write(b"some")
        self.assertEqual(self.socket.waiting, b"some")
        self.socket.connected = False
        self.outlet.write(b"more")
        self.assertEqual(self.socket.waiting, b"some")

    def test_close(self) -> None:
        """Who produces is told that the connection is gone, and nothing waits for the next turn."""
        self.socket.room = MUCH
        self.outlet.write(bytes(MUCH))
        self.outlet.close()
        self.assertEqual((self.producer.asked, self.clock.getDelayedCalls()), (["pause", "stop"], []))
        self.outlet.close()
        self.assertEqual(self.producer.asked, ["pause", "stop"])

    def test_unregistered(self) -> None:
        """Who produces no more is asked nothing."""
        self.outlet.write(bytes(1_200))
        self.outlet.unregister()
        self.socket.make_room(1_200)
        self.assertEqual(self.producer.asked, ["pause"])

    def test_which(self) -> None:
        """A transport that has no socket sends by itself."""
        self.assertIsInstance(outlet_through(self.socket, self.clock), SocketOutlet)
        self.assertIsInstance(outlet_through(object(), self.clock), BufferedOutlet)


class GoneTests(SynchronousTestCase):
    """What is left of a connection that is gone."""

    def test_nothing_stays(self) -> None:
        """The way out, and with it what was unsent, goes with its connection, whether it was paused or not."""
        for size in (MUCH, MUCH // 2):
            socket = Socket(room=MUCH)
            outlet = SocketOutlet(socket, Clock())
            outlet.register(Producer(), is_streaming=True)
            outlet.write(bytes(size))
            outlet.close()
            gone = ref(outlet)
            gc.disable()
            try:
                del outlet
                self.assertIsNone(gone())
            finally:
                gc.enable()
