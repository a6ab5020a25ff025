"""The vote on manifests: which to believe when sources of one file say different things. Sans-IO.

Sources that say the same size and root are a group. The largest is believed first; one that was wrong is never
believed again, nor is anybody in it.
"""

from __future__ import annotations

import hashlib

from twisted_bazaar.files.chunks import DIGEST_BYTES, EMPTY_DIGEST, Manifest, chunk_count
from twisted_bazaar.files.messages import DIGESTS_IN_PAGE

Head = tuple[int, str]
"""The size of a file, and the digest over those of its chunks: what a source says it is made of."""


def head_of(manifest: Manifest) -> Head:
    """The head that sources with this manifest state."""
    return manifest.size, manifest.root


def is_possible(digest: str, head: Head) -> bool:
    """Whether a file with a digest can be made of this, as far as can be said without its content."""
    size, root = head
    if not size or digest == EMPTY_DIGEST:
        return not size and digest == EMPTY_DIGEST and root == EMPTY_DIGEST
    return True


class Pages:
    """The digests of the chunks of a file, as they come page by page.

    @param head: what they are to fit.
    """

    def __init__(self, head: Head) -> None:
        self.head = head
        self._digests = bytearray()
        # Page by page: that of a million digests takes longer than a turn of the reactor may.
        self._root = hashlib.sha256()

    @property
    def count(self) -> int:
        """The number of pages that have come."""
        return -(-self.next_chunk // DIGESTS_IN_PAGE)

    @property
    def whole_count(self) -> int:
        """The number of pages when all are there."""
        return -(-chunk_count(self.head[0]) // DIGESTS_IN_PAGE)

    @property
    def next_chunk(self) -> int:
        """The first chunk whose digest has not come."""
        return len(self._digests) // DIGEST_BYTES

    def next(self) -> tuple[int, int] | None:
        """The first chunk and the number of those to ask for next; None when all are there."""
        first = self.next_chunk
        count = min(DIGESTS_IN_PAGE, chunk_count(self.head[0]) - first)
        return (first, count) if count else None

    def add(self, digests: bytes) -> None:
        """Take the next page."""
        self._digests += digests
        self._root.update(digests)

    def manifest(self, digest: str) -> Manifest | None:
        """All of them together; None when they are not what was said."""
        size, root = self.head
        return Manifest(digest, size, bytes(self._digests)) if self._root.hexdigest() == root else None
