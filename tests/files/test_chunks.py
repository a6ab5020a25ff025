"""Files as rows of chunks, and which of them somebody has."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.files.disk_cases import manifest_of, pieces_of, some_bytes
from twisted_bazaar.files.chunks import CHUNK_BYTES, EMPTY_DIGEST, Holdings, Manifest, chunk_count

SIZES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES)


class ManifestTests(SynchronousTestCase):
    """A manifest says what each chunk is."""

    def test_sizes(self) -> None:
        """The chunks of a file have its size, and all but the last are full."""
        for size in SIZES:
            manifest = manifest_of(bytes(size))
            sizes = [manifest.size_of(chunk) for chunk in range(manifest.count)]
            self.assertEqual(sum(sizes), size)
            self.assertTrue(all(full == CHUNK_BYTES for full in sizes[:-1]))
            self.assertTrue(all(sizes))
            self.assertEqual(manifest.count, chunk_count(size))

    def test_fits(self) -> None:
        """A chunk fits in its place, and nothing else does."""
        content = some_bytes(2 * CHUNK_BYTES + 3)
        manifest, pieces = manifest_of(content), pieces_of(content)
        for chunk, piece in enumerate(pieces):
            self.assertEqual([manifest.fits(n, piece) for n in range(3)], [n == chunk for n in range(3)])
            self.assertFalse(manifest.fits(chunk, piece[:-1]))
            self.assertFalse(manifest.fits(chunk, piece + b"x"))
            self.assertTrue(manifest.fits(chunk, memoryview(bytearray(piece))))

    def test_root(self) -> None:
        """The root is that of the chunk digests."""
        manifest = manifest_of(b"apple")
        self.assertEqual(manifest.root, hashlib.sha256(hashlib.sha256(b"apple").digest()).hexdigest())

    def test_impossible(self) -> None:
        """A size and digests that do not go together, or an empty file that is another, are refused."""
        for size, digests in ((0, bytes(32)), (1, b""), (1, bytes(31)), (1, bytes(64)), (CHUNK_BYTES + 1, bytes(32))):
            with self.assertRaises(ValueError):
                Manifest(EMPTY_DIGEST, size, digests)
        with self.assertRaises(ValueError):
            Manifest("0" * 64, 0, b"")


class HoldingsTests(SynchronousTestCase):
    """Which chunks somebody has."""

    @given(st.integers(0, 70).flatmap(lambda count: st.tuples(st.just(count), held_of(count))))
    def test_as_a_set(self, given: tuple[int, set[int]]) -> None:
        """They are a set, on the wire and off."""
        count, held = given
        holdings = Holdings(count)
        for chunk in held:
            self.assertTrue(holdings.add(chunk))
            self.assertFalse(holdings.add(chunk))
        packed = holdings.to_bytes()
        for one in (holdings, Holdings.from_bytes(count, packed)):
            self.assertEqual((set(one), len(one)), (held, len(held)))
            self.assertEqual(set(one.missing()), {*range(count)} - held)
            self.assertEqual(one.is_whole, len(held) == count)
            self.assertEqual(
                [chunk in one for chunk in range(-1, count + 1)], [n in held for n in range(-1, count + 1)]
            )
        for chunk in held:
            holdings.discard(chunk)
            holdings.discard(chunk)
        self.assertEqual((len(holdings), list(holdings)), (0, []))

    @given(st.integers(0, 70).flatmap(lambda count: st.tuples(st.just(count), packed_for(count))))
    def test_any_bytes(self, given: tuple[int, bytes]) -> None:
        """Whatever comes is refused, or is what it would be written as."""
        count, packed = given
        try:
            holdings = Holdings.from_bytes(count, packed)
        except ValueError:
            return
        self.assertEqual(holdings.to_bytes(), packed)

    def test_whole(self) -> None:
        """Who has all of it lacks nothing."""
        holdings = Holdings(9, is_whole=True)
        self.assertEqual((list(holdings), holdings.is_whole, holdings.to_bytes()), ([*range(9)], True, b"\xff\x80"))
        self.assertTrue(Holdings(0).is_whole)


def held_of(count: int) -> st.SearchStrategy[set[int]]:
    """Some of so many chunks."""
    return st.sets(st.integers(0, count - 1)) if count else st.just(set())


def packed_for(count: int) -> st.SearchStrategy[bytes]:
    """Bytes, mostly as many as so many chunks take."""
    size = -(-count // 8)
    return st.binary(min_size=size, max_size=size) | st.binary(max_size=12)
