"""Frames among which there are large ones that are kept elsewhere: content goes where it belongs as it comes.

The rules are those of L{twisted_bazaar.wire.framing}. A splitter that gives out whole payloads copies each byte
of a large one several times; here those that begin with a certain byte are written straight into a buffer that
their reader names when their header is there. Sans-IO.
"""

from __future__ import annotations

from typing import Final, Protocol

from twisted_bazaar.errors import FrameError
from twisted_bazaar.wire.framing import read_head

_COMMA: Final = 0x2C
_LONGEST_HEAD: Final = 8


class BulkReader(Protocol):
    """Takes what a L{BulkSplitter} finds in a stream. Whatever it raises ends the stream."""

    def payload_received(self, payload: bytes) -> None:
        """An ordinary frame has come."""

    def bulk_begun(self, header: bytes, size: int) -> memoryview | None:
        """The header of a large frame has come.

        @param size: how many bytes follow it.
        @return: where they are to go, exactly so long; None to let them fall.
        """

    def bulk_received(self, size: int) -> None:
        """So many bytes of a large frame have been put where they belong."""

    def bulk_ended(self) -> None:
        """A large frame is complete."""


class BulkSplitter:
    """Splits a byte stream into frames, and puts the content of large ones into its place.

    Any split of the stream gives the same frames. The first error is final; what came before it has been
    handed on.

    @param reader: takes what is found.
    @param tag: the first byte of the payload of a large frame.
    @param header_bytes: the length of its header, the tag included; what follows is its content.
    @ivar limit: the largest payload of an ordinary frame, in bytes.
    @param bulk_limit: the same of a large one.
    """

    __slots__ = (
        "_at",
        "_bulk_limit",
        "_is_halted",
        "_missing",
        "_reader",
        "_rest",
        "_step",
        "_tag",
        "_target",
        "_to_header",
        "limit",
    )

    def __init__(self, reader: BulkReader, *, tag: int, header_bytes: int, limit: int, bulk_limit: int) -> None:
        self.limit: int = limit
        self._reader = reader
        self._tag = tag
        self._to_header = header_bytes
        self._bulk_limit = bulk_limit
        # A head, or an ordinary frame, that is not complete.
        self._rest = bytearray()
        # Of an ordinary frame that has begun, or of the content of a large one.
        self._missing = 0
        self._target: memoryview | None = None
        self._at = 0
        self._is_halted = False
        self._step = self._begin

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the stream.

        @return: what was not taken, because the reader has called L{halt}; the stream goes on with it.
        @raise FrameError: the stream breaks the rules; it is not to be read any more.
        """
        view = memoryview(data)
        self._is_halted = False
        while view and not self._is_halted:
            view = self._step(view)
        return bytes(view)

    def halt(self) -> None:
        """Take no more of what has been received now, until L{receive} is called again."""
        self._is_halted = True

    def stop(self) -> None:
        """Drop everything from now on, also what is being received."""
        self._target = None
        self._rest.clear()
        self._step = self._ignore

    def _begin(self, view: memoryview) -> memoryview:
        """Read the beginning of a frame: its length, and whether it is a large one."""
        had = len(self._rest)
        self._rest += view[: _LONGEST_HEAD + self._to_header - had]
        head = read_head(self._rest, max(self.limit, self._bulk_limit))
        if head is None or len(self._rest) <= head[1]:
            return view[len(self._rest) - had :]
        size, start = head
        if self._rest[start] != self._tag:
            if size > self.limit:
                raise FrameError(f"a frame of {size} bytes; at most {self.limit} are taken")
            del self._rest[:start]
            used = min(len(self._rest), size)
            del self._rest[used:]
            self._missing = size - used
            self._step = self._collect if self._missing else self._end_payload
            return view[start + used - had :]
        if size > self._bulk_limit or size <= self._to_header:
            raise FrameError(f"a large frame of {size} bytes; {self._bulk_limit} at most")
        end = start + self._to_header
        if len(self._rest) < end:
            return view[len(self._rest) - had :]
        header = bytes(self._rest[start:end])
        self._rest.clear()
        self._missing = size - self._to_header
        self._at = 0
        self._step = self._fill
        self._target = self._reader.bulk_begun(header, self._missing)
        return view[end - had :]

    def _collect(self, view: memoryview) -> memoryview:
        piece = view[: self._missing]
        self._rest += piece
        self._missing -= len(piece)
        if not self._missing:
            self._step = self._end_payload
        return view[len(piece) :]

    def _end_payload(self, view: memoryview) -> memoryview:
        payload = bytes(self._rest)
        self._close(view)
        self._reader.payload_received(payload)
        return view[1:]

    def _fill(self, view: memoryview) -> memoryview:
        size = min(len(view), self._missing)
        if self._target is not None:
            self._target[self._at : self._at + size] = view[:size]
        self._at += size
        self._missing -= size
        if not self._missing:
            self._step = self._end_bulk
        self._reader.bulk_received(size)
        return view[size:]

    def _end_bulk(self, view: memoryview) -> memoryview:
        self._close(view)
        self._target = None
        self._reader.bulk_ended()
        return view[1:]

    def _close(self, view: memoryview) -> None:
        if view[0] != _COMMA:
            raise FrameError("a frame does not end with a comma")
        self._rest.clear()
        self._step = self._begin

    def _ignore(self, view: memoryview) -> memoryview:
        return view[:0]
