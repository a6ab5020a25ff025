"""The connection of a download: the asker's end of a transfer.

It holds the source to the dialogue, and puts blocks together to chunks. Whether a chunk is right, and what to
ask for, is its owner's to say.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from twisted_bazaar.errors import NoSlots, UnknownMessage, WireError
from twisted_bazaar.files.chunks import DIGEST_BYTES
from twisted_bazaar.files.messages import (
    BLOCK_HEAD_BYTES,
    BLOCK_TAG,
    DIGESTS_IN_PAGE,
    DIGESTS_TAG,
    LARGEST_BLOCK_FRAME,
    LARGEST_MESSAGE_BYTES,
    Described,
    Digests,
    Failed,
    Fetch,
    Go,
    Have,
    Pass,
    Queue,
    Wait,
    Want,
    printable,
    read_block_head,
    read_page,
)
from twisted_bazaar.files.stream import ANSWERED_CODEC, Stream
from twisted_bazaar.wire.bulk import BulkSplitter
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import Message

_READ_AT_ONCE_BYTES: Final = 256 << 10
# Each may have all chunks of a large file compared; the rest waits for the next turn of the reactor.
_MESSAGES_A_TURN: Final = 32
_BINARY: Final = 0x20


class AskingOwner(Protocol):
    """The interface from a connection to those who ask."""

    def connected(self) -> None:
        """The source can be asked."""

    def description_received(self, message: Described) -> None:
        """The source has said what the file is."""

    def digests_received(self, first: int, digests: bytes) -> None:
        """A page of digests has come."""

    def bits_received(self, first: int, bits: bytes) -> None:
        """The source has said what it has."""

    def growth_received(self, message: Have) -> None:
        """The source has more than before."""

    def unchoked(self, message: Go) -> None:
        """Chunks can be asked for."""

    def choked(self, message: Wait) -> None:
        """There is no slot; what was asked for does not come."""

    def size_of(self, chunk: int) -> int:
        """The bytes of a chunk that was asked for."""

    def buffer_for(self, chunk: int) -> memoryview:
        """The buffer for a chunk that was asked for."""

    def bytes_received(self, size: int) -> None:
        """Some of a chunk has come."""

    def chunk_received(self, chunk: int, content: memoryview) -> None:
        """A chunk has come, whole."""

    def connection_ended(self, code: str, reason: str) -> None:
        """The connection is over.

        @param code: that of C{failed}; C{lost} if it just ended; C{wtf} if the source broke the rules.
        """


@implementer(IPushProducer)
class DownloadConnection(Stream):
    """One connection over which a file is fetched.

    @param digest: of the file.
    @ivar wanted: chunks that were asked for and have not come.
    @ivar protocol: the transport protocol that it goes over, C{tcp} or C{udp}; there when it is connected.
    """

    protocol: str

    def __init__(self, reactor: Any, owner: AskingOwner, digest: str) -> None:
        super().__init__(reactor, ANSWERED_CODEC)
        self.wanted: dict[int, None] = {}
        self._owner = owner
        self._digest = digest
        # How often each was asked for and has not come: one that was forgotten on the way may come all the same.
        self._may_come: dict[int, int] = {}
        self._is_described = False
        self._pages: list[tuple[int, int]] = []
        self._splitter = BulkSplitter(
            self,
            tag=BLOCK_TAG,
            header_bytes=BLOCK_HEAD_BYTES,
            limit=DIGESTS_IN_PAGE * DIGEST_BYTES + 64,
            bulk_limit=LARGEST_BLOCK_FRAME,
        )
        self._chunk: int | None = None
        self._content: memoryview | None = None
        self._filled = 0
        self._size = 0
        # What has come and waits for the next turn, and how much may be taken in this one.
        self._unread = b""
        self._messages_left = 0
        self._is_resting = False
        self._is_full = False

    # What the transport calls.

    def connectionMade(self) -> None:
        """Say which file is wanted."""
        super().connectionMade()
        if hasattr(self.transport, "bufferSize"):
            self.transport.bufferSize = _READ_AT_ONCE_BYTES
        self.transport.registerProducer(self, True)
        self.protocol = "udp" if getattr(self.transport.getPeer(), "type", None) == "UDP" else "tcp"
        self.send(Fetch(digest=self._digest))
        self._owner.connected()

    def dataReceived(self, data: bytes) -> None:
        """Take what comes."""
        if not self.is_open:
            return
        self._unread += data
        if not self._is_resting and not self._is_full:
            self._read()

    def pauseProducing(self) -> None:
        """The source does not read what it is told; nothing more of it is heard either, or what it says could make us
        say more and more."""
        self._is_full = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Everything has been sent."""
        self._is_full = False
        self._read_on()

    def stopProducing(self) -> None:
        """The connection is ending; the transport says so by C{connectionLost} as well."""

    def connection_lost(self) -> None:
        """The source is gone."""
        self._owner.connection_ended("lost", "the connection ended")

    # What its owner calls.

    @property
    def owes(self) -> bool:
        """Whether the source has been asked for something that has not come."""
        return bool(self.wanted or self._pages)

    @property
    def begun_bytes(self) -> int:
        """The bytes that have come of the chunk that is coming."""
        return 0 if self._content is None else self._filled

    def want(self, chunk: int) -> None:
        """Ask for a chunk."""
        self.wanted[chunk] = None
        self._may_come[chunk] = self._may_come.get(chunk, 0) + 1
        self.send(Want(chunk=chunk))

    def want_digests(self, first: int, count: int) -> None:
        """Ask for a page of digests."""
        self._pages.append((first, count))
        self.send(Digests(first=first, count=count))

    def queue(self) -> None:
        """Ask for a slot."""
        self.send(Queue())

    def give_up_slot(self) -> None:
        """Want nothing for now."""
        self.send(Pass())

    def fail(self, code: str, reason: str) -> None:
        """End it, for a fault of the source."""
        if self.is_open:
            self.stop()
            self._owner.connection_ended(code, reason)

    def stop(self) -> None:
        """Hear no more; whatever is on its way is dropped."""
        self._splitter.stop()
        self.abort()

    # What the splitter calls.

    def payload_received(self, payload: bytes) -> None:
        """An ordinary frame has come."""
        self._messages_left -= 1
        if self._messages_left <= 0:
            self._splitter.halt()
        if payload[0] < _BINARY:
            self._page_received(payload)
            return
        if len(payload) > LARGEST_MESSAGE_BYTES:
            raise WireError(f"a message of {len(payload)} bytes")
        try:
            message = self.codec.decode(payload)
        except UnknownMessage:
            # Types that are not known are left out, in case there will be more one day.
            return
        self._take(message)

    def bulk_begun(self, header: bytes, size: int) -> memoryview | None:
        """A block has begun to come."""
        chunk, offset = read_block_head(header)
        if self._chunk is None and offset == 0 and self._may_come.get(chunk):
            self._chunk, self._filled = chunk, 0
            self._size = self._owner.size_of(chunk)
            self._content = self._owner.buffer_for(chunk) if chunk in self.wanted else None
        if chunk != self._chunk or offset != self._filled or offset + size > self._size:
            raise WireError(f"bytes of chunk {chunk} that were not asked for, or are out of order")
        return None if self._content is None else self._content[offset : offset + size]

    def bulk_received(self, size: int) -> None:
        """Some of a block has come."""
        self._filled += size
        self._owner.bytes_received(size)

    def bulk_ended(self) -> None:
        """A block is complete."""
        if self._filled < self._size or self._chunk is None:
            return
        chunk, self._chunk = self._chunk, None
        self._may_come[chunk] -= 1
        if not self._may_come[chunk]:
            del self._may_come[chunk]
        content, self._content = self._content, None
        if content is not None:
            del self.wanted[chunk]
            self._owner.chunk_received(chunk, content)

    # Messages.

    def _read(self) -> None:
        """Take what has come, as far as this turn of the reactor allows."""
        self._messages_left = _MESSAGES_A_TURN
        data, self._unread = self._unread, b""
        try:
            self._unread = self._splitter.receive(data)
        except WireError as error:
            self.fail("wtf", str(error))
        if self._unread and self.is_open:
            self._is_resting = True
            self.transport.pauseProducing()
            self.reactor.callLater(0, self._rested)

    def _rested(self) -> None:
        self._is_resting = False
        self._read_on()

    def _read_on(self) -> None:
        if not self.is_open or self._is_resting or self._is_full:
            return
        try:
            self.transport.resumeProducing()
            self._read()
        except Exception:
            self.log.failure("a message of a source could not be handled")
            self.fail("lost", "the connection was given up")

    def _take(self, message: Message) -> None:
        if isinstance(message, Failed):
            self.fail(message.code, message.reason)
            return
        if isinstance(message, Error):
            # Said by a node that takes no transfers, or none now.
            said = f"{message.code}: {message.info}" if message.info else message.code
            reason = printable(f"no transfers are taken there: {said}")
            self.fail("busy" if message.code == NoSlots.code else "refused", reason)
            return
        if isinstance(message, Described) == self._is_described:
            fault = "came a second time" if self._is_described else "came before the manifest"
            raise WireError(f"{message.wire_name!r} {fault}")
        match message:
            case Described():
                self._is_described = True
                self._owner.description_received(message)
            case Go():
                self._owner.unchoked(message)
            case Wait():
                self.wanted.clear()
                self._chunk = self._content = None
                self._owner.choked(message)
            case Have():
                self._owner.growth_received(message)

    def _page_received(self, payload: bytes) -> None:
        tag, first, body = read_page(payload)
        if tag != DIGESTS_TAG:
            self._owner.bits_received(first, body)
            return
        if not self._pages or self._pages.pop(0) != (first, len(body) // DIGEST_BYTES):
            raise WireError("digests that nobody asked for")
        self._owner.digests_received(first, body)
