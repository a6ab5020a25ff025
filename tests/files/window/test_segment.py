"""What one datagram of a stream looks like."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.files.window.segment import (
    HEAD_BYTES,
    MOST_RANGES,
    Segment,
    decode,
    decode_name,
    encode,
    encode_name,
    is_segment,
)

WORDS = st.integers(0, (1 << 32) - 1)
OFFSETS = st.integers(0, (1 << 62))
SEGMENTS = st.builds(
    Segment,
    flags=st.integers(0, 255),
    to=st.binary(min_size=8, max_size=8),
    offset=OFFSETS,
    number=WORDS,
    ack=OFFSETS,
    window=WORDS,
    echo=WORDS,
    delay=st.integers(0, 65_535),
    ranges=st.just(()),
    payload=st.binary(max_size=1200),
)
RANGES = st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=MOST_RANGES)


def as_bytes(segment: Segment) -> bytes:
    """A segment on the wire."""
    flags, to, offset, number, ack, window, echo, delay, ranges, payload = segment
    return encode(flags, to, offset, number, ack, window, echo, delay, payload, ranges)


class SegmentTests(SynchronousTestCase):
    """Segments on the wire."""

    def test_example(self) -> None:
        """The head, byte for byte."""
        data = encode(0x50, b"abcdefgh", 1, 2, 3, 4, 5, 6, b"hello", [(10, 20)])
        self.assertEqual(
            data.hex(" ", 1).replace(" ", ""),
            "1150"
            + data[2:6].hex()
            + b"abcdefgh".hex()
            + "0000000000000001"
            + "00000002"
            + "0000000000000003"
            + "00000004"
            + "00000005"
            + "0006"
            + "01"
            + "00000007"
            + "00000011"
            + b"hello".hex(),
        )
        self.assertEqual(len(data), HEAD_BYTES + 8 + 5)

    @given(SEGMENTS, st.lists(st.tuples(WORDS, WORDS), max_size=MOST_RANGES))
    def test_round_trip(self, segment: Segment, near: list[tuple[int, int]]) -> None:
        """What is read is what was written."""
        ranges = [(segment.ack + first, segment.ack + end) for first, end in near]
        whole = segment._replace(ranges=ranges or ())
        self.assertEqual(decode(as_bytes(whole)), whole)

    @given(SEGMENTS, st.data())
    def test_damage(self, segment: Segment, data: st.DataObject) -> None:
        """A segment with any bit changed is none."""
        whole = bytearray(as_bytes(segment))
        at = data.draw(st.integers(0, len(whole) * 8 - 1))
        whole[at // 8] ^= 1 << at % 8
        self.assertFalse(is_segment(bytes(whole)) and decode(bytes(whole)) is not None)

    @given(st.binary(max_size=200))
    def test_rubbish(self, rubbish: bytes) -> None:
        """Rubbish is no segment."""
        data = b"\x11" + rubbish
        self.assertFalse(is_segment(data) and decode(data) is not None)

    def test_json(self) -> None:
        """JSON is no segment."""
        self.assertFalse(is_segment(b'{"type":"ringping","stamp":"0123456789abcdef0123456789abcdef"}'))

    def test_ranges_that_are_not_there(self) -> None:
        """A segment that says it has more ranges than it has bytes for is none."""
        whole = encode(0x40, bytes(8), 0, 0, 0, 0, 0, 0, b"", [(1, 2)])
        cut = encode(0x40, bytes(8), 0, 0, 0, 0, 0, 0, b"", [])
        self.assertEqual(len(whole) - len(cut), 8)
        from zlib import crc32

        body = whole[6:-8]
        self.assertEqual(decode(whole[:2] + crc32(body, whole[1]).to_bytes(4, "big") + body), None)

    def test_names(self) -> None:
        """Who calls says who it is, and how much it takes; nobody takes nothing."""
        self.assertEqual(decode_name(encode_name(b"abcdefgh", 1140) + b"rest"), (b"abcdefgh", 1140))
        self.assertEqual(decode_name(encode_name(b"abcdefgh", 0)), None)
        self.assertEqual(decode_name(b"abcdefgh"), None)
