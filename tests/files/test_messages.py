"""Promises of the messages of a transfer: what a stranger can send is bounded, and binary frames are what they say."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.errors import MalformedMessage, WireError
from twisted_bazaar.files import messages
from twisted_bazaar.files.chunks import Holdings
from twisted_bazaar.files.messages import ANSWERED, ASKED, Failed, Fetch, bits_pages, digests_page, read_page
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.message import LARGEST_INTEGER

CODEC = Codec((Fetch, *ASKED, *ANSWERED))
DIGEST = "ab" * 32


class LimitTests(SynchronousTestCase):
    """Each key has its limits."""

    def decode(self, type: str, **keys: Any) -> Any:
        """Read one message."""
        return CODEC.decode(json.dumps({"type": type, **keys}).encode())

    def assert_refused(self, type: str, **keys: Any) -> None:
        """It cannot be read."""
        with self.assertRaises(MalformedMessage):
            self.decode(type, **keys)

    def test_taken(self) -> None:
        """What is within the limits is read, up to the last value."""
        self.assertEqual(self.decode("fetch", digest=DIGEST).version, 1)
        self.assertEqual(self.decode("manifest", size=LARGEST_INTEGER, root=DIGEST).whole, True)
        self.assertEqual(self.decode("want", chunk=messages.LARGEST_COUNT - 1).chunk, messages.LARGEST_COUNT - 1)
        self.assertEqual(self.decode("digests", first=0, count=2000).count, 2000)
        self.assertEqual(self.decode("go", fresh=[1, 2]).fresh, (1, 2))
        self.assertEqual(self.decode("have", chunks=list(range(1000))).chunks[-1], 999)

    def test_refused(self) -> None:
        """What is past a limit is not."""
        for digest in ("", "AB" * 32, "ab" * 31, "ab" * 33, "g" * 64, "ab" * 32 + "\n", 5):
            self.assert_refused("fetch", digest=digest)
            self.assert_refused("manifest", size=1, root=digest)
        self.assert_refused("fetch", digest=DIGEST, version=0)
        for size in (-1, LARGEST_INTEGER + 1, 1.5, "1", True):
            self.assert_refused("manifest", size=size, root=DIGEST)
        for chunk in (-1, messages.LARGEST_COUNT, None):
            self.assert_refused("want", chunk=chunk)
            self.assert_refused("digests", first=chunk, count=1)
        for count in (0, 2001):
            self.assert_refused("digests", first=0, count=count)
        for chunks in ([], list(range(1001)), [-1]):
            self.assert_refused("have", chunks=chunks)
        self.assert_refused("go", fresh=list(range(9)))
        self.assert_refused("wait", ahead=-1)
        self.assert_refused("failed", code="")
        self.assert_refused("failed", code="x", info="y" * 1025)

    def test_reason_can_be_shown(self) -> None:
        """What a stranger says of a failure does no harm to a terminal, and is short."""
        self.assertEqual(
            Failed(code="x\x1b", info="a\nb").reason, "x\N{REPLACEMENT CHARACTER}: a\N{REPLACEMENT CHARACTER}b"
        )
        self.assertEqual(len(Failed(code="x", info="y" * 1000).reason), 200)


class BinaryTests(SynchronousTestCase):
    """Binary frames say what was meant, and nothing else is taken for one."""

    @given(st.integers(0, messages.LARGEST_COUNT - 1), st.integers(1, 2000))
    def test_digests(self, first: int, count: int) -> None:
        """A page of digests comes back as it was."""
        digests = bytes(32) * count
        self.assertEqual(read_page(digests_page(first, digests)), (messages.DIGESTS_TAG, first, digests))

    @given(st.integers(1, 3_000_000))
    def test_bits(self, count: int) -> None:
        """What a source has fits pages, each within the limit of a message, and comes back as it was."""
        packed = Holdings(count, is_whole=True).to_bytes() if count < 10_000 else b"\x5a" * -(-count // 8)
        pages = bits_pages(packed)
        self.assertLessEqual(max(map(len, pages)), messages.LARGEST_MESSAGE_BYTES)
        at = 0
        for page in pages:
            tag, first, bits = read_page(page)
            self.assertEqual((tag, first), (messages.BITS_TAG, at * 8))
            self.assertEqual(bits, packed[at : at + len(bits)])
            at += len(bits)
        self.assertEqual(at, len(packed))

    @given(st.sampled_from([b"", b"\x01", b"\x02", b"\x03"]), st.binary(max_size=40))
    def test_garbage(self, tagged: bytes, rest: bytes) -> None:
        """Whatever is no page raises a WireError and nothing else; what is one is read as it would be written."""
        try:
            tag, first, body = read_page(tagged + rest)
        except WireError:
            return
        self.assertEqual(bytes([tag]) + first.to_bytes(4, "big") + body, tagged + rest)
        self.assertTrue(body)
        unit = {messages.DIGESTS_TAG: len(body) / 32, messages.BITS_TAG: first / 8}[tag]
        self.assertEqual(unit, int(unit))

    def test_piece_head(self) -> None:
        """A piece has the bytes that the specification gives."""
        self.assertEqual(
            messages.block_head(0x01020304, 0x10, 6) + b"abcdef,",
            b"15:\x02\x01\x02\x03\x04\x00\x00\x00\x10abcdef,",
        )
