"""Promises of frames whose content goes straight to its place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.errors import FrameError
from twisted_bazaar.wire.bulk import BulkSplitter
from twisted_bazaar.wire.framing import frame

TAG = 2
HEADER = 9


class Reader:
    """Keeps what comes."""

    def __init__(self, *, keeps: bool = True) -> None:
        self.found: list[tuple[bytes, bytes] | bytes] = []
        self.sizes: list[int] = []
        self.splitter = BulkSplitter(self, tag=TAG, header_bytes=HEADER, limit=300, bulk_limit=2000)
        self._keeps = keeps
        self._header = b""
        self._room = bytearray()

    def payload_received(self, payload: bytes) -> None:
        self.found.append(payload)

    def bulk_begun(self, header: bytes, size: int) -> memoryview | None:
        self._header, self._room = header, bytearray(size)
        return memoryview(self._room) if self._keeps else None

    def bulk_received(self, size: int) -> None:
        self.sizes.append(size)

    def bulk_ended(self) -> None:
        self.found.append((self._header, bytes(self._room)))


def large(size: int) -> tuple[bytes, bytes]:
    """A large frame: its header and content."""
    return bytes([TAG]) + b"headhead", bytes(number % 251 for number in range(size))


FRAMES = st.lists(
    st.one_of(
        st.binary(min_size=2, max_size=300).filter(lambda payload: payload[0] != TAG),
        st.integers(1, 2000 - HEADER).map(large),
    ),
    max_size=8,
)


class SplittingTests(SynchronousTestCase):
    """A stream gives the same frames however it is cut."""

    @given(FRAMES, st.data())
    def test_cut_anywhere(self, frames: list[tuple[bytes, bytes] | bytes], data: st.DataObject) -> None:
        """Ordinary and large frames, in pieces of any size, come out whole and in order."""
        stream = b"".join(frame(each if isinstance(each, bytes) else b"".join(each)) for each in frames)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=30)))
        reader = Reader()
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            reader.splitter.receive(stream[start:end])
        self.assertEqual(reader.found, frames)
        self.assertEqual(sum(reader.sizes), sum(len(each[1]) for each in frames if isinstance(each, tuple)))

    def test_byte_by_byte(self) -> None:
        """The smallest pieces there are make no difference."""
        frames: list[tuple[bytes, bytes] | bytes] = [b"ab", large(1), large(700), b"c" * 300, large(3)]
        reader = Reader()
        for each in frames:
            for byte in frame(each if isinstance(each, bytes) else b"".join(each)):
                reader.splitter.receive(bytes([byte]))
        self.assertEqual(reader.found, frames)

    def test_let_fall(self) -> None:
        """Content that nobody wants takes no room; what follows is read as ever."""
        reader = Reader(keeps=False)
        reader.splitter.receive(frame(b"".join(large(50))) + frame(b"ab"))
        self.assertEqual(reader.found, [(large(1)[0], bytes(50)), b"ab"])

    def test_stopped(self) -> None:
        """After stop nothing is handed on, whatever was begun."""
        reader = Reader()
        stream = frame(b"".join(large(50)))
        reader.splitter.receive(stream[:30])
        reader.splitter.stop()
        reader.splitter.receive(stream[30:] + frame(b"ab"))
        self.assertEqual(reader.found, [])


class RuleTests(SynchronousTestCase):
    """The rules of frames hold for both kinds."""

    def assert_refused(self, stream: bytes) -> None:
        """The stream breaks the rules, wherever it is cut, before anything of the frame is handed on."""
        for cut in range(len(stream) + 1):
            reader = Reader()
            with self.assertRaises(FrameError):
                reader.splitter.receive(stream[:cut])
                reader.splitter.receive(stream[cut:])
            self.assertEqual(reader.found, [])

    def test_too_large(self) -> None:
        """Each kind has a limit of its own, and is refused by its length."""
        self.assert_refused(b"301:a")
        self.assert_refused(b"2001:\x02")
        self.assert_refused(b"9999999:")

    def test_too_small(self) -> None:
        """A large frame has a header and content."""
        self.assert_refused(b"9:" + bytes([TAG]) + b"headhead")
        self.assert_refused(b"1:a,")

    def test_no_length(self) -> None:
        """What is no length is refused at once."""
        for stream in (b"x", b"05:", b"-1:", b"12345678", b":"):
            self.assert_refused(stream)

    def test_no_comma(self) -> None:
        """Each frame ends with a comma."""
        self.assert_refused(b"2:abc")
        self.assert_refused(frame(b"".join(large(5)))[:-1] + b";")
