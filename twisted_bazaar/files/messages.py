"""The messages of a transfer of one file over a connection of its own, and its binary frames.

All travel as netstrings. A payload whose first byte is below 0x20 is binary; any other is a message in JSON.
Numbers in binary frames are unsigned, 32 bits, the highest byte first.

  - C{0x01 first digests}: the SHA-256 of chunks from C{first} on, 32 bytes each; what answers C{digests}.
  - C{0x02 chunk offset bytes}: a block of a chunk. The blocks of a chunk come in order and without gaps, those of
    two chunks never mixed, and none is longer than 512 KiB.
  - C{0x03 first bits}: which chunks from C{first} on there are, one bit each, the first in the highest bit of the
    first byte; C{first} is a multiple of 8. A source that has not the whole sends these after its C{manifest}.

Who asks begins with C{fetch}, in place of a greeting. Sans-IO.
"""

from __future__ import annotations

from struct import Struct
from typing import Annotated, Final

from msgspec import Meta

from twisted_bazaar.errors import WireError
from twisted_bazaar.files.chunks import CHUNK_BYTES, DIGEST_BYTES
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.files import Digest, FileSize
from twisted_bazaar.wire.message import LARGEST_INTEGER, Message, Text, Word

TRANSFER_VERSION: Final = 1

# Past this nobody is believed: a manifest of so many digests is 32 MiB.
LARGEST_FILE_BYTES: Final = 1 << 40
LARGEST_COUNT: Final = LARGEST_FILE_BYTES // CHUNK_BYTES
DIGESTS_IN_PAGE: Final = 2_000
BITS_IN_PAGE: Final = 1 << 18
CHUNKS_IN_HAVE: Final = 1_000
MOST_WANTS: Final = 8

LARGEST_MESSAGE_BYTES: Final = 64 << 10
LARGEST_BLOCK_BYTES: Final = CHUNK_BYTES // 2

DIGESTS_TAG: Final = 0x01
BLOCK_TAG: Final = 0x02
BITS_TAG: Final = 0x03

_PAGE_HEAD: Final = Struct(">BI")
_BLOCK_HEAD: Final = Struct(">BII")
BLOCK_HEAD_BYTES: Final = _BLOCK_HEAD.size
LARGEST_BLOCK_FRAME: Final = LARGEST_BLOCK_BYTES + BLOCK_HEAD_BYTES

ChunkNumber = Annotated[int, Meta(ge=0, lt=LARGEST_COUNT)]
_Version = Annotated[int, Meta(ge=1, le=LARGEST_INTEGER)]
_Count = Annotated[int, Meta(ge=0, le=LARGEST_INTEGER)]


class Fetch(Message, tag="fetch"):
    """Asks for a file; the first message of a connection, which is about that file from then on.

    @ivar digest: SHA-256 over the whole.
    """

    digest: Digest
    version: _Version = TRANSFER_VERSION


class Described(Message, tag="manifest"):
    """A source's description of the file.

    @ivar size: in bytes.
    @ivar root: SHA-256 over the digests of all chunks, in their order.
    @ivar whole: whether it has all of it.
    """

    size: FileSize
    root: Digest
    whole: bool = True


class Digests(Message, tag="digests"):
    """Asks for the digests of chunks."""

    first: ChunkNumber
    count: Annotated[int, Meta(ge=1, le=DIGESTS_IN_PAGE)]


class Queue(Message, tag="queue"):
    """Asks for an upload slot; answered C{go} or C{wait}."""


class Pass(Message, tag="pass"):
    """Gives the slot back, or the place in the queue; for somebody who wants nothing now."""


class Go(Message, tag="go"):
    """The slot is there: wants are served from now on. Sent again when there is something new in it.

    @ivar askers: how many ask this source for the file, the receiver included.
    @ivar fresh: chunks that nobody has been given: the receiver alone is told of them.
    """

    askers: Annotated[int, Meta(ge=1, le=LARGEST_INTEGER)] = 1
    fresh: Annotated[tuple[ChunkNumber, ...], Meta(max_length=MOST_WANTS)] = ()


class Wait(Message, tag="wait"):
    """There is no slot now; what was wanted and has not come is forgotten. C{go} comes by itself.

    @ivar ahead: how many stand before the receiver.
    """

    ahead: _Count = 0


class Want(Message, tag="want"):
    """Asks for a chunk; only after C{go}."""

    chunk: ChunkNumber


class Have(Message, tag="have"):
    """A source that has not the whole has got more of it."""

    chunks: Annotated[tuple[ChunkNumber, ...], Meta(min_length=1, max_length=CHUNKS_IN_HAVE)]


class Failed(Message, tag="failed"):
    """The transfer ends here. Never answered.

    @ivar code: C{nofile}, C{busy} (try again later), C{changed}, C{disk}, C{slow}, C{wtf}, C{version}.
    @ivar info: for people.
    """

    code: Word
    info: Text = ""

    @property
    def reason(self) -> str:
        """The code and info in a form that a terminal can be shown: a stranger wrote them."""
        return printable(f"{self.code}: {self.info}" if self.info else self.code)


ASKED: Final = (Digests, Queue, Pass, Want)
# An `error` comes from a node that does not take transfers, as to any message in place of a greeting.
ANSWERED: Final = (Described, Go, Wait, Have, Failed, Error)


def printable(text: str) -> str:
    """A text of a stranger, safe to show on a terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)[:200]


def block_head(chunk: int, offset: int, size: int) -> bytes:
    """The beginning of the frame of a block; the block and a comma follow."""
    return b"%d:%b" % (BLOCK_HEAD_BYTES + size, _BLOCK_HEAD.pack(BLOCK_TAG, chunk, offset))


def read_block_head(header: bytes) -> tuple[int, int]:
    """The chunk and offset of a block."""
    _, chunk, offset = _BLOCK_HEAD.unpack(header)
    return chunk, offset


def digests_page(first: int, digests: bytes) -> bytes:
    """The payload of a page of digests."""
    return _PAGE_HEAD.pack(DIGESTS_TAG, first) + digests


def bits_pages(packed: bytes) -> list[bytes]:
    """The payloads that say which chunks there are.

    @param packed: see L{twisted_bazaar.files.chunks.Holdings.to_bytes}.
    """
    size = BITS_IN_PAGE // 8
    return [_PAGE_HEAD.pack(BITS_TAG, at * 8) + packed[at : at + size] for at in range(0, len(packed), size)]


def read_page(payload: bytes) -> tuple[int, int, bytes]:
    """Read a page of digests or of bits.

    @return: its tag, the first chunk, and what follows.
    @raise WireError: it is neither.
    """
    if len(payload) <= _PAGE_HEAD.size or payload[0] not in (DIGESTS_TAG, BITS_TAG):
        raise WireError(f"a binary frame {payload[:1].hex()} of {len(payload)} bytes")
    tag, first = _PAGE_HEAD.unpack_from(payload)
    body = payload[_PAGE_HEAD.size :]
    if tag == DIGESTS_TAG and (len(body) % DIGEST_BYTES or len(body) > DIGESTS_IN_PAGE * DIGEST_BYTES):
        raise WireError(f"a page of {len(body)} bytes of digests")
    if tag == BITS_TAG and (first % 8 or len(body) > BITS_IN_PAGE // 8):
        raise WireError(f"a page of {len(body)} bytes of bits, from chunk {first} on")
    return tag, first, body
