"""Frames: any cut of the stream gives the same ones, and a stranger's stream costs no more than its limit."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import Iterable
from itertools import pairwise, zip_longest

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.weighing import weighing
from twisted_bazaar.errors import FrameError, WireError
from twisted_bazaar.wire.framing import LARGEST_FRAME, FrameSplitter, frame

LIMIT = 140
LONGEST_HEADER = 8
ALL = 1 << 30

bounded = examples(200)

payloads = st.one_of(
    st.binary(min_size=2, max_size=LIMIT),
    # What looks like the beginning, the middle or the end of a frame, inside of one.
    st.text("0123456789:,\x00", min_size=2, max_size=LIMIT).map(str.encode),
    # Where a length gets another digit, and where it gets too large.
    st.sampled_from([9, 10, 99, 100, 101, LIMIT - 1, LIMIT]).map(bytes),
)
noise = st.one_of(
    st.binary(max_size=12),
    st.text("0123456789:,ab ", max_size=12).map(str.encode),
    st.sampled_from(
        [
            b"0:,",
            b"1:a,",
            b"02:ab,",
            b"2:abc,",
            b"141:",
            b"100:",
            b"099:",
            b"0100:",
            b"10a:",
            b"999999999",
            b"-2:ab,",
            b"+2:ab,",
        ]
    ),
)
streams = st.lists(st.one_of(payloads.map(frame), payloads.map(frame), noise), max_size=8).map(b"".join)
cut_streams = streams.flatmap(
    lambda stream: st.tuples(st.just(stream), st.lists(st.integers(0, len(stream)), max_size=12).map(sorted))
)


def pieces_of(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The stream, cut before these positions."""
    edges = [0, *cuts, len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def read_plainly(stream: bytes, limit: int = LIMIT) -> tuple[list[bytes], bytes, bool]:
    """What a stream holds, by the letter of the specification and with no eye to speed.

    @return: its frames, what is left after them, and whether that is an error.
    """
    frames = []
    while stream:
        digits, colon, _ = stream[:LONGEST_HEADER].partition(b":")
        well_formed = digits != b"" and all(c in b"0123456789" for c in digits) and digits[:1] != b"0"
        if not well_formed or len(digits) > 7:
            return frames, stream, True
        if not colon:
            return frames, stream, False
        size, start = int(digits), len(digits) + 1
        if not 2 <= size <= limit:
            return frames, stream, True
        if len(stream) <= start + size:
            return frames, stream, False
        if stream[start + size : start + size + 1] != b",":
            return frames, stream, True
        frames.append(stream[start : start + size])
        stream = stream[start + size + 1 :]
    return frames, b"", False


def take_all(splitter: FrameSplitter, most: int = ALL) -> tuple[list[bytes], str | None]:
    """Every frame there is, and the error that came after them."""
    frames: list[bytes] = []
    try:
        while some := splitter.next_frames(most):
            frames += some
    except FrameError as error:
        return frames, str(error)
    return frames, None


class SplittingTests(SynchronousTestCase):
    """The frames of a stream depend on its bytes alone."""

    @bounded
    @given(cut_streams, st.integers(1, 5))
    @example((b"2:ab,3:abc,", [1]), 1)
    @example((b"3:ab,,2:cd,", []), 1)
    @example((b"2:ab,01:a,2:cd,", [6]), 1)
    @example((b"1234567", [3]), 1)
    @example((b"12345678", [3]), 1)
    def test_any_cut(self, cut_stream: tuple[bytes, list[int]], most: int) -> None:
        """However a stream is cut and however few frames are asked for, frames and error are the same."""
        stream, cuts = cut_stream
        expected, _, broken = read_plainly(stream)
        splitter = FrameSplitter(LIMIT)
        frames: list[bytes] = []
        errors = []
        for piece in pieces_of(stream, cuts):
            splitter.receive(piece)
            some, error = take_all(splitter, most)
            frames += some
            errors.append(error)
        self.assertEqual((frames, errors[-1] is not None), (expected, broken))

    @bounded
    @given(cut_streams)
    def test_received_before_asked(self, cut_stream: tuple[bytes, list[int]]) -> None:
        """Pieces may pile up before anybody asks for frames."""
        stream, cuts = cut_stream
        expected, _, broken = read_plainly(stream)
        splitter = FrameSplitter(LIMIT)
        for piece in pieces_of(stream, cuts):
            splitter.receive(piece)
        frames, error = take_all(splitter)
        self.assertEqual((frames, error is not None), (expected, broken))

    @bounded
    @given(cut_streams, st.lists(st.integers(0, 3), max_size=12))
    def test_a_few_in_between(self, cut_stream: tuple[bytes, list[int]], asked: list[int]) -> None:
        """Pieces may come while some of the frames before them have not been taken yet."""
        stream, cuts = cut_stream
        expected, _, broken = read_plainly(stream)
        splitter = FrameSplitter(LIMIT)
        frames: list[bytes] = []
        for piece, most in zip_longest(pieces_of(stream, cuts), asked, fillvalue=0):
            if isinstance(piece, bytes):
                splitter.receive(piece)
            with contextlib.suppress(FrameError):
                frames += splitter.next_frames(most)
        rest, error = take_all(splitter)
        self.assertEqual((frames + rest, error is not None), (expected, broken))

    @bounded
    @given(st.lists(st.binary(min_size=2, max_size=5000), max_size=5), st.integers(1, 4000))
    def test_binary_safe(self, contents: list[bytes], step: int) -> None:
        """Payloads of any bytes, of any size up to the limit, come out as they went in."""
        stream = b"".join(frame(content) for content in contents)
        splitter = FrameSplitter(5000)
        frames = []
        for piece in pieces_of(stream, range(step, len(stream), step)):
            splitter.receive(piece)
            frames += splitter.next_frames(ALL)
        self.assertEqual(frames, contents)
        self.assertEqual({type(content) for content in frames} - {bytes}, set())

    @bounded
    @given(st.lists(payloads, min_size=1, max_size=9), st.integers(1, 4))
    def test_no_more_than_asked(self, contents: list[bytes], most: int) -> None:
        """A take gives as many frames as are wanted, never more, and keeps the rest in order."""
        splitter = FrameSplitter(LIMIT)
        splitter.receive(b"".join(frame(content) for content in contents))
        taken = []
        while some := splitter.next_frames(most):
            taken.append(some)
        self.assertEqual(taken, [contents[i : i + most] for i in range(0, len(contents), most)])

    def test_written_form(self) -> None:
        """A frame on the wire is its length in decimal digits, a colon, the payload, a comma."""
        self.assertEqual(frame(b'{"type":"ping"}'), b'15:{"type":"ping"},')

    def test_largest(self) -> None:
        """A frame of a file chunk, 1 MiB, is within what can be split, and one byte more is not."""
        splitter = FrameSplitter(LARGEST_FRAME)
        splitter.receive(frame(bytes(LARGEST_FRAME)))
        self.assertEqual(splitter.next_frames(ALL), [bytes(LARGEST_FRAME)])
        splitter.receive(b"1048577:")
        self.assertRaises(FrameError, splitter.next_frames, ALL)

    @bounded
    @given(st.lists(st.tuples(payloads, st.integers(2, LIMIT)), min_size=1, max_size=6), st.integers(1, 30))
    def test_limit_between_frames(self, steps: list[tuple[bytes, int]], step: int) -> None:
        """A limit that changes between two frames counts for all that follow, though they came before."""
        stream = b"".join(frame(content) for content, _ in steps)
        expected = []
        for content, limit in steps:
            if len(content) > limit:
                break
            expected.append(content)
        splitter = FrameSplitter(steps[0][1])
        frames: list[bytes] = []
        refused = False
        for piece in pieces_of(stream, range(step, len(stream), step)):
            splitter.receive(piece)
            try:
                while some := splitter.next_frames(1):
                    frames += some
                    splitter.limit = steps[min(len(frames), len(steps) - 1)][1]
            except FrameError:
                refused = True
        self.assertEqual((frames, refused), (expected, len(expected) < len(steps)))

    @bounded
    @given(cut_streams)
    def test_unfinished(self, cut_stream: tuple[bytes, list[int]]) -> None:
        """While all frames there are have been taken, it is unfinished exactly when bytes are left."""
        stream, cuts = cut_stream
        splitter = FrameSplitter(LIMIT)
        fed = b""
        for piece in pieces_of(stream, cuts):
            splitter.receive(piece)
            fed += piece
            _, rest, broken = read_plainly(fed)
            if broken:
                return
            take_all(splitter)
            self.assertEqual(splitter.unfinished, rest != b"")

    @bounded
    @given(st.lists(payloads, min_size=1, max_size=6), st.binary(max_size=2), st.integers(0, 3))
    def test_has_bytes(self, contents: list[bytes], rest: bytes, most: int) -> None:
        """It says whether there is more to take, or to refuse, than has been taken."""
        splitter = FrameSplitter(LIMIT)
        self.assertFalse(splitter.has_bytes)
        splitter.receive(b"".join(frame(content) for content in contents))
        taken = len(splitter.next_frames(most))
        self.assertEqual(splitter.has_bytes, taken < len(contents))
        take_all(splitter)
        self.assertFalse(splitter.has_bytes)
        splitter.receive(rest)
        self.assertEqual(splitter.has_bytes, rest != b"")
        take_all(splitter)
        self.assertFalse(splitter.has_bytes)


class FrameErrorTests(SynchronousTestCase):
    """What breaks the rules is refused, early and for good."""

    def assert_refused(self, start: bytes, limit: int = LIMIT) -> None:
        """These bytes are refused, without waiting for more."""
        splitter = FrameSplitter(limit)
        splitter.receive(start)
        with self.assertRaises(FrameError):
            splitter.next_frames(ALL)

    def test_no_length(self) -> None:
        """What does not begin with a decimal number of at most 7 digits is no frame."""
        for start in (b":", b":ab,", b",", b" 2:ab,", b"+2:ab,", b"-2:ab,", b"2 :ab,", b"2.0:", b"1_0:", b"0x10:"):
            self.assert_refused(start)
        for start in (b"x", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"\xb2:ab,", "²:ab,".encode(), "٢:ab,".encode()):
            self.assert_refused(start)
        for start in (b"12345678", b"12345678:", b"9" * 1000):
            self.assert_refused(start, LARGEST_FRAME)

    def test_leading_zero(self) -> None:
        """A length has one way to be written: no leading zero."""
        for start in (b"0", b"0:", b"0:,", b"00:", b"02:ab,", b"0000002:ab,"):
            self.assert_refused(start)

    def test_smallest(self) -> None:
        """A payload has at least 2 bytes."""
        self.assert_refused(b"1:")
        splitter = FrameSplitter(LIMIT)
        splitter.receive(b"2:{},")
        self.assertEqual(splitter.next_frames(ALL), [b"{}"])

    def test_too_large(self) -> None:
        """A length over the limit is refused when its colon has come, before any of its payload."""
        for size in (LIMIT + 1, 2047, 2048, 99_999, 9_999_999):
            self.assert_refused(b"%d:" % size)

    def test_gigabyte(self) -> None:
        """A frame of a gigabyte is refused on sight of its length, under any limit."""
        self.assert_refused(b"1073741824:", 1 << 40)

    def test_no_comma(self) -> None:
        """A frame that does not end where it said is an error."""
        self.assert_refused(b"2:abc")
        self.assert_refused(b"2:ab2:cd,")

    @bounded
    @given(st.lists(payloads, max_size=4), cut_streams, st.integers(1, 3))
    def test_first_is_final(self, before: list[bytes], after: tuple[bytes, list[int]], most: int) -> None:
        """Frames before an error are given out; from it on every take raises it, whatever else comes."""
        splitter = FrameSplitter(LIMIT)
        splitter.receive(b"".join(frame(content) for content in before) + b"2:ab;" + after[0])
        frames, first = take_all(splitter, most)
        self.assertEqual(frames, before)
        self.assertIsNotNone(first)
        for piece in pieces_of(*after):
            splitter.receive(piece + b"2:ab,")
            self.assertEqual(take_all(splitter, most), ([], first))

    def test_a_peers_fault(self) -> None:
        """A broken stream is an error of the wire, which a link can tell from a fault of its own."""
        self.assertTrue(issubclass(FrameError, WireError))


class MemoryTests(SynchronousTestCase):
    """A stream makes nobody keep more than one frame of it."""

    @bounded
    @given(cut_streams, st.integers(2, LIMIT))
    def test_bounded(self, cut_stream: tuple[bytes, list[int]], limit: int) -> None:
        """What has come but not been given out is less than one frame of the limit, or an error."""
        stream, cuts = cut_stream
        splitter = FrameSplitter(limit)
        owed = 0
        for piece in pieces_of(stream, cuts):
            splitter.receive(piece)
            owed += len(piece)
            frames, error = take_all(splitter)
            if error is not None:
                return
            owed -= sum(len(frame(content)) for content in frames)
            self.assertLessEqual(owed, LONGEST_HEADER + limit)

    def test_nothing_after_an_error(self) -> None:
        """After an error a stream can go on for ever and takes no memory, whether anybody asks or not."""
        splitter = FrameSplitter(1 << 16)
        splitter.receive(b"nonsense")
        self.assertRaises(FrameError, splitter.next_frames, ALL)
        megabyte = bytes(1 << 20)
        self.enterContext(weighing())
        for _ in range(64):
            splitter.receive(megabyte)
        self.assertLess(tracemalloc.get_traced_memory()[1], 1 << 20)

    def test_nothing_reserved(self) -> None:
        """A frame that is only announced takes no memory: it comes with its bytes."""
        self.enterContext(weighing())
        splitters = [FrameSplitter(LARGEST_FRAME) for _ in range(64)]
        for splitter in splitters:
            splitter.receive(b"1048576:x")
            self.assertEqual(splitter.next_frames(ALL), [])
        self.assertLess(tracemalloc.get_traced_memory()[1], 1 << 20)

    def test_given_out(self) -> None:
        """What has been given out is not kept."""
        splitter = FrameSplitter(LARGEST_FRAME)
        self.enterContext(weighing())
        for _ in range(8):
            splitter.receive(frame(bytes(LARGEST_FRAME)))
            self.assertEqual(len(splitter.next_frames(ALL)), 1)
        self.assertLess(tracemalloc.get_traced_memory()[0], 1 << 20)


class LeavingTests(SynchronousTestCase):
    """Somebody else may read a stream on from any frame."""

    @bounded
    @given(st.lists(payloads, min_size=1, max_size=4), st.data())
    def test_nothing_is_lost(self, sent: list[bytes], data: st.DataObject) -> None:
        """What was not given out, and nothing else, is what is left, however the stream was cut."""
        stream = b"".join(map(frame, sent))
        cut = data.draw(st.integers(0, len(stream)))
        splitter = FrameSplitter(LIMIT)
        splitter.receive(stream[:cut])
        given_out = splitter.next_frames(1)
        left = splitter.detach()
        self.assertEqual(b"".join(map(frame, given_out)) + left, stream[:cut])
        self.assertFalse(splitter.has_bytes or splitter.unfinished)
