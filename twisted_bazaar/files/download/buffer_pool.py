"""A buffer pool for chunks on their way: fresh pages cost more than what is done with them. Sans-IO."""

from __future__ import annotations

from typing import Final

from twisted_bazaar.files.chunks import CHUNK_BYTES

_MOST_KEPT: Final = 16


class BufferPool:
    """Room for chunks."""

    def __init__(self) -> None:
        self._free: list[memoryview] = []

    def acquire(self, size: int) -> memoryview:
        """Room for a chunk of a size; what stands in it is anything."""
        if size < CHUNK_BYTES or not self._free:
            return memoryview(bytearray(size))
        return self._free.pop()

    def release(self, room: memoryview) -> None:
        """Nobody looks at it any more."""
        if len(room) == CHUNK_BYTES and len(self._free) < _MOST_KEPT:
            self._free.append(room)
