"""Segments: the layout of one datagram of a stream. Sans-IO.

A head of fixed length, then ranges that have come out of order, then bytes of the stream. The first byte is below
0x20, so that no JSON begins with it, and tells the version. All numbers are unsigned, the highest byte first.

The idea of naming each transmission, so that an acknowledgement tells which of two copies it is for, is that of
QUIC's packet numbers (RFC 9000, 12.3); offsets, windows and selective acknowledgement are those of TCP
(RFC 9293, RFC 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

KIND: Final = 0x11
"""The first byte: a segment, version 1."""

SYN: Final = 0x01
"""Opens: the first step from the one end, with ACK the second step from the other."""
OPEN: Final = 0x02
"""The third step: repeats who the sender is, until something comes back."""
FIN: Final = 0x04
"""Nothing follows after the bytes of this one."""
RST: Final = 0x08
"""It is over at once."""
ASK: Final = 0x10
"""The sender waits for an acknowledgement."""
STRANGE: Final = 0x20
"""With RST: there is no stream of the id in C{to}, which is the one that the receiver has sent to."""
ACK: Final = 0x40
"""C{echo} and C{delay} mean something."""

_PREFIX: Final = Struct(">BBI")
_BODY: Final = Struct(">8sQIQIIHB")
_RANGE: Final = Struct(">II")
_NAME: Final = Struct(">8sH")
ID_BYTES: Final = 8
NAME_BYTES: Final = _NAME.size
HEAD_BYTES: Final = _PREFIX.size + _BODY.size
MOST_RANGES: Final = 32
"""In one segment; enough for some hundred segments when one in twenty gets lost."""
MOST_OVERHEAD_BYTES: Final = HEAD_BYTES + NAME_BYTES
"""What a segment adds to its bytes of the stream at most, when it carries no ranges."""
LONGEST_PLAIN_BYTES: Final = MOST_OVERHEAD_BYTES + MOST_RANGES * _RANGE.size
"""How long one without bytes of the stream can be."""
DELAY_UNIT_S: Final = 2e-5
LONGEST_DELAY: Final = 0xFFFF
_CHECKED_FROM: Final = _PREFIX.size
_ID_AT: Final = slice(_CHECKED_FROM, _CHECKED_FROM + ID_BYTES)
_LARGEST_RANGE: Final = 0xFFFF_FFFF

_pack_prefix = _PREFIX.pack
_pack_body = _BODY.pack
_unpack_body = _BODY.unpack_from
_pack_range = _RANGE.pack

Range = tuple[int, int]


class Segment(NamedTuple):
    """One segment.

    @ivar to: the id of the stream at the end that it goes to.
    @ivar offset: of its first byte in the stream.
    @ivar number: of the transmission; each that has bytes of the stream, or its end, has another, from 1 on.
    @ivar ack: all bytes before this offset of the other direction have come.
    @ivar window: so many bytes from there on are taken.
    @ivar echo: the number of the transmission that came last; 0 if none has.
    @ivar delay: how long that was ago, in units of 20 us.
    @ivar ranges: what has come beyond C{ack}: first offset, and the one after the last.
    """

    flags: int
    to: bytes
    offset: int
    number: int
    ack: int
    window: int
    echo: int
    delay: int
    ranges: Sequence[Range]
    payload: bytes


def encode(
    flags: int,
    to: bytes,
    offset: int,
    number: int,
    ack: int,
    window: int,
    echo: int,
    delay: int,
    payload: bytes = b"",
    ranges: Sequence[Range] = (),
) -> bytes:
    """A segment as bytes; see L{Segment}."""
    body = _pack_body(to, offset, number, ack, window, echo, delay, len(ranges))
    if ranges:
        near = [(first - ack, end - ack) for first, end in ranges]
        body += b"".join([_pack_range(*each) for each in near])
    body += payload
    return _pack_prefix(KIND, flags, crc32(body, flags)) + body


def is_segment(data: bytes) -> bool:
    """Whether a datagram may be a segment of this version."""
    return len(data) >= HEAD_BYTES and data[0] == KIND


def id_in(data: bytes) -> bytes:
    """The id that a segment goes to; nothing is checked."""
    return data[_ID_AT]


def decode(data: bytes) -> Segment | None:
    """Read a segment; None if it is not what was sent."""
    flags = data[1]
    body = data[_CHECKED_FROM:]
    if crc32(body, flags).to_bytes(4, "big") != data[2:_CHECKED_FROM]:
        return None
    to, offset, number, ack, window, echo, delay, count = _unpack_body(body)
    if not count:
        return Segment(flags, to, offset, number, ack, window, echo, delay, (), body[_BODY.size :])
    at = _BODY.size + count * _RANGE.size
    if count > MOST_RANGES or len(body) < at:
        return None
    ranges = [(ack + first, ack + end) for first, end in _RANGE.iter_unpack(body[_BODY.size : at])]
    return Segment(flags, to, offset, number, ack, window, echo, delay, ranges, body[at:])


def encode_name(own_id: bytes, mss: int) -> bytes:
    """Encode what the steps of opening carry: the sender's id, and the most bytes of the stream in a segment to it."""
    return _NAME.pack(own_id, mss)


def decode_name(payload: bytes) -> tuple[bytes, int] | None:
    """Decode what the steps of opening carry; None if it is not there."""
    if len(payload) < NAME_BYTES:
        return None
    own_id, mss = _NAME.unpack_from(payload)
    return (own_id, mss) if mss else None
