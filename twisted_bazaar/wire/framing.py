"""Netstring frames: `<length>:<payload>,`.

The splitter turns a byte stream, cut anywhere, into payloads. It does no I/O and knows nothing of
what a payload means; what to do about an error is left to the link that feeds it. The format is
D. J. Bernstein's netstrings, with two rules more: a payload has at least 2 bytes (nothing useful is
shorter, and empty frames are the cheapest flood), and a length has no leading zero.

C{NetstringReceiver} of Twisted is the model for its shape, not for its behaviour towards strangers:
this one refuses a length before it buffers anything, keeps nothing after an error, and takes time
linear in the bytes however small the frames are.
"""

from __future__ import annotations

from typing import Final

from twisted_bazaar.errors import FrameError

SMALLEST_FRAME: Final = 2
LARGEST_FRAME: Final = 1 << 20

_COMMA: Final = 0x2C
_LENGTH_DIGITS: Final = 7
# Nearly every frame on the wire begins with one of these: one look-up finds length and colon.
_COMMON_HEADS: Final = {b"%d:" % size: size for size in range(100, 1000)}
_COMMON_HEAD_BYTES: Final = 4
# Orders begin with one of these.
_LONGER_HEADS: Final = {b"%d:" % size: size for size in range(1000, 10_000)}


def frame(payload: bytes) -> bytes:
    """Wrap one payload for the wire."""
    return b"%d:%b," % (len(payload), payload)


def read_head(start: bytes | bytearray, limit: int) -> tuple[int, int] | None:
    """Read the length that a frame begins with.

    @param start: the first bytes of the frame; more than the head does no harm.
    @param limit: the largest payload taken.
    @return: the size of the payload, and where in C{start} it begins; None when more bytes are needed.
    @raise FrameError: this is no frame, or one past the limit.
    """
    colon = start.find(b":", 0, _LENGTH_DIGITS + 1)
    if colon < 0:
        if start:
            _check_digits(start[: _LENGTH_DIGITS + 1])
        return None
    size = _parse_size(start[:colon])
    if size > limit:
        raise FrameError(f"a frame of {size} bytes; at most {limit} are taken")
    return size, colon + 1


def _check_digits(start: bytes | bytearray) -> None:
    """Refuse what cannot become a length, before its colon has come."""
    if not start.isdigit() or start[:1] == b"0" or len(start) > _LENGTH_DIGITS:
        raise FrameError(f"not a frame length: {start[:16]!r}")


def _parse_size(digits: bytes | bytearray) -> int:
    _check_digits(digits)
    size = int(digits)
    if size < SMALLEST_FRAME:
        raise FrameError(f"a frame of {size} bytes; at least {SMALLEST_FRAME} are needed")
    return size


class FrameSplitter:
    """Splits a byte stream into frames.

    Any split of the stream gives the same frames. The first error is final: the frames before it
    are still given out, everything from it on is discarded, and every later L{next_frames} raises it
    again.

    @ivar limit: the largest payload taken, in bytes; it may be changed between two frames.
    """

    __slots__ = ("_buffer", "_fault", "_missing", "_position", "_rest", "limit")

    def __init__(self, limit: int) -> None:
        self.limit: int = limit
        self._buffer = b""
        self._position = 0
        self._rest: bytearray | None = None
        self._missing = 0
        # Its words only: an error has the frames that it went through, and these have whoever reads the stream, who
        # would stay in memory until garbage is collected.
        self._fault: str | None = None

    @property
    def unfinished(self) -> bool:
        """Whether a frame has begun whose end has not come."""
        return self._rest is not None

    @property
    def has_bytes(self) -> bool:
        """Whether there are bytes that L{next_frames} has not looked at."""
        return self._position < len(self._buffer)

    @property
    def held_bytes(self) -> int:
        """The bytes of what has come that are kept in memory."""
        return len(self._buffer) if self._rest is None else len(self._rest)

    @property
    def has_failed(self) -> bool:
        """Whether the stream broke the rules; L{next_frames} raises that, if it has not yet."""
        return self._fault is not None

    def whole_frame(self, data: bytes) -> bytes | None:
        """The payload, if new bytes are exactly one ordinary frame and nothing is left from before.

        Most messages come so; what this gives is not to be given to L{receive}.
        """
        if self._rest is None and self._position >= len(self._buffer) and self._fault is None:
            size = _COMMON_HEADS.get(data[:_COMMON_HEAD_BYTES])
            if size is not None and len(data) == size + _COMMON_HEAD_BYTES + 1 and data[-1] == _COMMA:
                return data[_COMMON_HEAD_BYTES:-1] if size <= self.limit else None
        return None

    def receive(self, data: bytes) -> None:
        """Add bytes from the stream."""
        if self._fault is not None:
            return
        if self._rest is not None:
            if len(data) < self._missing:
                self._rest += data
                self._missing -= len(data)
                return
            self._rest += data
            data = bytes(self._rest)
            self._rest = None
        elif self._position < len(self._buffer):
            data = self._buffer[self._position :] + data
        self._buffer = data
        self._position = 0

    def next_frames(self, most: int) -> list[bytes]:
        """Give out complete frames.

        @param most: the largest number of frames wanted.
        @return: the payloads in order; empty when more bytes are needed.
        @raise FrameError: the stream broke the rules, and all frames before that are given out.
        """
        if self._fault is not None:
            raise FrameError(self._fault)
        frames: list[bytes] = []
        buffer, position, limit = self._buffer, self._position, self.limit
        common_size, longer_size, end_of_buffer = _COMMON_HEADS.get, _LONGER_HEADS.get, len(buffer)
        for _ in range(most):
            if position >= end_of_buffer:
                break
            try:
                start = position + _COMMON_HEAD_BYTES
                size = common_size(buffer[position:start])
                if size is None:
                    start += 1
                    size = longer_size(buffer[position:start])
                if size is None:
                    start = buffer.find(b":", position, position + _LENGTH_DIGITS + 1) + 1
                    if not start:
                        _check_digits(buffer[position : position + _LENGTH_DIGITS + 1])
                        self._keep_rest(position, 1)
                        return frames
                    size = _parse_size(buffer[position : start - 1])
                if size > limit:
                    raise FrameError(f"a frame of {size} bytes; at most {limit} are taken")
                end = start + size
                if end >= end_of_buffer:
                    self._keep_rest(position, end + 1 - end_of_buffer)
                    return frames
                if buffer[end] != _COMMA:
                    raise FrameError("a frame does not end with a comma")
            except FrameError as error:
                self._fail(str(error))
                if not frames:
                    raise
                return frames
            frames.append(buffer[start:end])
            position = end + 1
        if position == end_of_buffer:
            self._buffer, self._position = b"", 0
        else:
            self._position = position
        return frames

    def _keep_rest(self, position: int, missing: int) -> None:
        """Hold an incomplete frame until at least C{missing} more bytes have come."""
        self._rest = bytearray(self._buffer[position:])
        self._missing = missing
        self._buffer, self._position = b"", 0

    def detach(self) -> bytes:
        """Give up all that has not been given out, to somebody else who reads the stream from here on."""
        rest = self._buffer[self._position :] if self._rest is None else bytes(self._rest)
        self._buffer, self._position, self._rest = b"", 0, None
        return rest

    def _fail(self, fault: str) -> None:
        self._fault = fault
        self._buffer, self._position, self._rest = b"", 0, None
