"""Memory for chunks: used again, never by two at once, and no more of it kept than is of use."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.files.chunks import CHUNK_BYTES
from twisted_bazaar.files.download.buffer_pool import BufferPool


class RoomsTests(SynchronousTestCase):
    """Room for chunks."""

    def test_used_again(self) -> None:
        """What was given back is given out again, to one only."""
        rooms = BufferPool()
        first = rooms.acquire(CHUNK_BYTES)
        first[0] = 7
        self.assertNotEqual(rooms.acquire(CHUNK_BYTES)[0], 7)
        rooms.release(first)
        self.assertEqual([rooms.acquire(CHUNK_BYTES)[0], rooms.acquire(CHUNK_BYTES)[0]], [7, 0])

    def test_small(self) -> None:
        """A smaller chunk gets room of its size, which is not kept."""
        rooms = BufferPool()
        small = rooms.acquire(5)
        self.assertEqual(len(small), 5)
        rooms.release(small)
        self.assertEqual(len(rooms.acquire(CHUNK_BYTES)), CHUNK_BYTES)

    def test_bounded(self) -> None:
        """After a rush most of the memory is let go of."""
        rooms = BufferPool()
        for room in [rooms.acquire(CHUNK_BYTES) for _ in range(20)]:
            rooms.release(room)
        self.assertEqual(len(rooms._free), 16)
