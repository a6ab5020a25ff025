"""The files that there are in a simulation: made up from their names, the same each time, and cheap to make.

Whoever has a file has these bytes; what is fetched is compared with them.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from attrs import frozen

from twisted_bazaar.files.chunks import CHUNK_BYTES, Manifest, chunk_count

# A chunk that several have is one object as long as it stays here.
_CHUNKS_KEPT: Final = 16
_FILES_KEPT: Final = 4096


@frozen
class Original:
    """A file as it was made.

    @ivar title: what it is called.
    @ivar manifest: what it is made of.
    """

    title: str
    manifest: Manifest

    def chunk(self, number: int) -> bytes:
        """The bytes of one chunk."""
        return _chunk(self.title, self.manifest.size, number)


class Library:
    """All files of a simulation.

    @param sizes: how large each is, in bytes, by name.
    @ivar by_title: the files by their names.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._same: dict[tuple[str, int], bytes] = {}
        self.by_title: dict[str, Original] = {title: original_of(title, size) for title, size in sizes.items()}
        self._by_digest = {each.manifest.digest: each for each in self.by_title.values()}

    def with_digest(self, digest: str) -> Original | None:
        """The file with a digest; None if it is none of these."""
        return self._by_digest.get(digest)

    def same(self, digest: str, chunk: int, content: bytes) -> bytes:
        """An object with these bytes: one for all who have the same, so that a thousand copies take the room of one."""
        kept = self._same.setdefault((digest, chunk), content)
        return kept if kept == content else content

    def is_right(self, digest: str, chunk: int, content: bytes) -> bool:
        """Whether these bytes are a chunk of the file with a digest."""
        original = self._by_digest.get(digest)
        return original is not None and chunk < original.manifest.count and content == original.chunk(chunk)


@lru_cache(_FILES_KEPT)
def original_of(title: str, size: int) -> Original:
    """The file that a name and a size make."""
    whole, digests = hashlib.sha256(), []
    for number in range(chunk_count(size)):
        content = _chunk(title, size, number)
        whole.update(content)
        digests.append(hashlib.sha256(content).digest())
    return Original(title, Manifest(whole.hexdigest(), size, b"".join(digests)))


@lru_cache(_CHUNKS_KEPT)
def _chunk(title: str, size: int, number: int) -> bytes:
    return random.Random(f"{title}/{size}/{number}").randbytes(min(CHUNK_BYTES, size - number * CHUNK_BYTES))
