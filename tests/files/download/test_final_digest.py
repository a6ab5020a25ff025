"""The digest of a whole, whatever the order of its chunks, and whatever the threads do."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.files.disk_cases import HeldReactor
from twisted_bazaar.errors import StorageError
from twisted_bazaar.files.chunks import Holdings
from twisted_bazaar.files.download.final_digest import WholeDigest


class WholeTests(SynchronousTestCase):
    """It is the digest of all chunks in their order."""

    def setUp(self) -> None:
        """Nothing has come."""
        self.begin(40)

    def begin(self, count: int) -> None:
        """A file of so many chunks, each of a few bytes."""
        self.reactor = HeldReactor()
        self.holdings = Holdings(count)
        self.chunks = [b"%d," % n for n in range(count)]
        self.read: list[int] = []
        self.whole = WholeDigest(self.reactor, self.holdings, self.read_chunk)
        self.expected = hashlib.sha256(b"".join(self.chunks)).hexdigest()

    def read_chunk(self, chunk: int, room: memoryview) -> memoryview:
        """Read a chunk from the file."""
        self.read.append(chunk)
        content = self.chunks[chunk]
        room[: len(content)] = content
        return room[: len(content)]

    def come(self, *chunks: int) -> None:
        """Have chunks come."""
        for chunk in chunks:
            self.holdings.add(chunk)
            self.whole.hash_next()

    @given(st.permutations(range(40)), st.sets(st.integers(0, 39)))
    def test_any_order(self, order: list[int], pauses: set[int]) -> None:
        """In whatever order chunks come, and threads run."""
        self.begin(40)
        for n, chunk in enumerate(order):
            self.come(chunk)
            if n in pauses:
                self.reactor.work_once()
        asked = self.whole.digest()
        self.reactor.work()
        self.assertEqual(self.successResultOf(asked), self.expected)

    def test_once(self) -> None:
        """Each chunk is read once, in its turn, as soon as all before it are there."""
        self.come(1, 2)
        self.reactor.work()
        self.assertEqual(self.read, [])
        self.come(0)
        self.reactor.work()
        self.assertEqual(self.read, [0, 1, 2])
        self.come(*range(3, 40))
        asked = self.whole.digest()
        self.reactor.work()
        self.assertEqual((self.successResultOf(asked), self.read), (self.expected, [*range(40)]))

    def test_nothing(self) -> None:
        """Of a file without chunks it is that of nothing."""
        self.begin(0)
        self.assertEqual(self.successResultOf(self.whole.digest()), self.expected)

    def test_asked_when_stopped(self) -> None:
        """Who asks when it is over is told so, and does not wait for ever."""
        self.successResultOf(self.whole.stop())
        self.failureResultOf(self.whole.digest(), StorageError)

    def test_cannot_be_read(self) -> None:
        """What cannot be read is told of to who asks; when it can be, the digest is right."""
        self.whole = WholeDigest(self.reactor, self.holdings, self.fail_to_read)
        self.come(*range(39, -1, -1))
        asked = self.whole.digest()
        self.reactor.work()
        self.failureResultOf(asked, StorageError)
        self.whole._read = self.read_chunk
        asked = self.whole.digest()
        self.reactor.work()
        self.assertEqual(self.successResultOf(asked), self.expected)

    def fail_to_read(self, chunk: int, room: memoryview) -> memoryview:
        """Read nothing."""
        raise StorageError("no")

    def test_stopped(self) -> None:
        """Stopping waits for the thread; who asked is told that there will be nothing."""
        self.come(0)
        asked = self.whole.digest()
        stopping = self.whole.stop()
        self.failureResultOf(asked, StorageError)
        self.assertNoResult(stopping)
        self.reactor.work()
        self.successResultOf(stopping)
        self.come(1)
        self.assertEqual(self.reactor._jobs, [])
