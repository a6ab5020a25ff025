"""Hashing in threads: what comes of it, and of files that do not hold still."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tests.files.disk_cases import FolderCase, HeldReactor, InlineReactor, manifest_of, some_bytes
from twisted_bazaar.files.chunks import CHUNK_BYTES
from twisted_bazaar.files.disk import Signature
from twisted_bazaar.files.sharing.hashing import Hashed, HashingProgress, HashQueue, hash_file
from twisted_bazaar.files.sharing.remembered import HashMemory
from twisted_bazaar.files.sharing.scan import Sighting


class QueueTests(FolderCase):
    """Every file that is given is hashed, and told of, unless it is dropped."""

    def setUp(self) -> None:
        """A queue whose threads are held."""
        super().setUp()
        self.reactor = HeldReactor()
        self.memory = HashMemory()
        self.results: list[Hashed] = []
        self.queue = self.make_queue()

    def make_queue(self) -> HashQueue:
        """A queue."""
        return HashQueue(self.reactor, self.folder, self.memory, self.told)

    def told(self, results: Sequence[Hashed]) -> None:
        """Take what came of some."""
        self.results += results

    def seen(self, name: str, content: bytes = b"content") -> Sighting:
        """A file as it is now."""
        return Sighting(name, name, Signature.of(self.put(name, content).stat()))

    def test_hashed(self) -> None:
        """The digests of the whole and of each chunk are told of, and remembered; the smallest comes first."""
        contents = [some_bytes(size) for size in (3 * CHUNK_BYTES + 5, CHUNK_BYTES, 0, 1, 17 * CHUNK_BYTES)]
        files = [self.seen(f"{n}", content) for n, content in enumerate(contents)]
        self.queue.add(files)
        self.reactor.work()
        found = {result.seen.name: result.manifest for result in self.results}
        self.assertEqual(found, {f"{n}": manifest_of(content) for n, content in enumerate(contents)})
        self.assertEqual(self.memory.get("0", files[0].signature), manifest_of(contents[0]))
        self.queue.add([self.seen("b", b"xx"), self.seen("c", b"x")])
        self.queue.add([self.seen("a", b"")])

    def test_progress(self) -> None:
        """How far it is can be seen, down to each chunk; it begins anew when nothing was left."""
        one, two = self.seen("1", bytes(20 * CHUNK_BYTES)), self.seen("2", bytes(30 * CHUNK_BYTES))
        self.assertEqual(self.queue.progress, HashingProgress(0, 0, 0))
        self.queue.add([one, two])
        self.assertEqual(self.queue.progress, HashingProgress(2, 0, 50 * CHUNK_BYTES))
        seen = []
        self.patch_read(lambda: seen.append(self.queue.progress.bytes_done))
        self.reactor.work()
        self.assertEqual(seen, [n * CHUNK_BYTES for n in range(50)])
        self.assertEqual(self.queue.progress, HashingProgress(0, 0, 0))

    def patch_read(self, before: object) -> None:
        """Have something happen before each chunk is read."""
        from twisted_bazaar.files.sharing import hashing

        real = hashing.os.preadv

        class Reading:
            """Reads."""

            @staticmethod
            def preadv(*arguments: object) -> int:
                before()  # type: ignore[operator]
                return real(*arguments)  # type: ignore[arg-type]

        self.patch(hashing, "os", Reading)

    def test_changes(self) -> None:
        """A file that changes while it is hashed, or did before, has no digest and is not remembered."""
        path = self.folder / "a"
        content = bytes(3 * CHUNK_BYTES)

        def append() -> None:
            with path.open("ab") as stream:
                stream.write(b"x")

        def replace() -> None:
            self.put("other", content).replace(path)

        def rewrite() -> None:
            self.put("a", content, at_s=1_000_000_001)

        for change in (append, replace, rewrite, lambda: self.put("a", b"")):
            for late in (False, True):
                seen = self.seen("a", content)
                self.queue.add([seen])
                changes = [change]
                if late and change is not replace:
                    self.patch_read(lambda changes=changes: changes and changes.pop()())
                else:
                    change()
                self.reactor.work()
                self.assertEqual(self.results.pop(), Hashed(seen, None, "it is being written", True))
                self.assertIsNone(self.memory.get("a", seen.signature))

    def test_ends_early(self) -> None:
        """A large file that changes is not hashed to its end."""
        reads: list[int] = []

        self.queue.add([self.seen("a", bytes(20 * CHUNK_BYTES))])
        with (self.folder / "a").open("r+b") as stream:
            stream.truncate(20 * CHUNK_BYTES)
        self.patch_read(lambda: (reads.append(1), os.utime(self.folder / "a", (1, 1))))
        self.reactor.work()
        self.assertEqual((len(reads), self.results[0].is_changing), (0, True))
        self.results.clear()
        self.queue.add([self.seen("a", bytes(20 * CHUNK_BYTES))])
        self.reactor.work()
        self.assertEqual((len(reads), self.results[0].is_changing), (1, True))

    def test_open_for_writing(self) -> None:
        """A file that somebody has open for writing is not hashed."""
        seen = self.seen("a")
        with (self.folder / "a").open("ab"):
            self.queue.add([seen])
            self.reactor.work()
        self.assertTrue(self.results.pop().is_changing)
        self.queue.add([seen])
        self.reactor.work()
        self.assertEqual(self.results.pop().manifest, manifest_of(b"content"))

    def test_link(self) -> None:
        """What is a link by now is not followed."""
        seen = self.seen("a")
        (self.folder / "a").rename(self.outside / "a")
        (self.folder / "a").symlink_to(self.outside / "a")
        self.queue.add([seen])
        self.reactor.work()
        self.assertEqual(self.results, [Hashed(seen, None, "it cannot be read: Too many levels of symbolic links")])

    def test_dropped(self) -> None:
        """What is dropped is not told of, waiting or under way, and may be given anew."""
        old = self.seen("a", bytes(20 * CHUNK_BYTES))
        waiting = [self.seen(name, bytes(20 * CHUNK_BYTES)) for name in "bcd"]
        self.queue.add([old, *waiting])
        self.queue.remove(["a", "d"])
        new = self.seen("a", b"new")
        self.queue.add([new])
        self.reactor.work()
        found = {result.seen.name: result for result in self.results}
        self.assertEqual({*found}, {"a", "b", "c"})
        self.assertEqual(found["a"], Hashed(new, manifest_of(b"new")))
        self.assertEqual(len(self.results), 3)

    def test_two_at_once(self) -> None:
        """No more than two threads are taken, so that others are left for reading and writing."""
        self.queue.add([self.seen(f"{n}", bytes(20 * CHUNK_BYTES)) for n in range(5)])
        self.assertEqual(len(self.reactor._jobs), 2)

    def test_stopped(self) -> None:
        """Stopping waits for the threads, which end soon; nothing is told of any more."""
        self.queue.add([self.seen(f"{n}", bytes(20 * CHUNK_BYTES)) for n in range(3)])
        stopping = self.queue.stop()
        self.assertNoResult(stopping)
        self.patch_read(lambda: self.fail("it still reads"))
        self.reactor.work()
        self.successResultOf(stopping)
        self.assertEqual(self.results, [])

    def test_fault(self) -> None:
        """A fault of ours costs the files of one turn, and is logged."""
        from twisted_bazaar.files.sharing import hashing

        self.reactor = InlineReactor()
        queue = self.make_queue()
        self.patch(hashing, "hash_file", None)
        queue.add([self.seen("a")])
        self.assertEqual([result.reason for result in self.results], ["hashing it failed"])
        self.patch(hashing, "hash_file", hash_file)
        queue.add([self.seen("b")])
        self.assertEqual(self.results[1].manifest, manifest_of(b"content"))
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
