"""The connection of an upload: the source's end of a transfer.

Chunks are read in a thread, the next one while the former is sent. Blocks go out one at a time, as fast as the
other end takes them, and larger the faster that is. Who gets a slot is its owner's to say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.errors import FileChanged, StorageError, UnknownMessage, WireError
from twisted_bazaar.files.chunks import DIGEST_BYTES, Manifest
from twisted_bazaar.files.content import IContent
from twisted_bazaar.files.messages import (
    CHUNKS_IN_HAVE,
    LARGEST_BLOCK_BYTES,
    MOST_WANTS,
    Described,
    Digests,
    Failed,
    Go,
    Have,
    Pass,
    Queue,
    Wait,
    Want,
    bits_pages,
    block_head,
    digests_page,
)
from twisted_bazaar.files.stream import ASKED_CODEC, Stream
from twisted_bazaar.files.upload.choking import Progress
from twisted_bazaar.files.upload.progress_watch import ProgressWatch, unsent_bytes
from twisted_bazaar.files.upload.shared_rate import SharedRate
from twisted_bazaar.system.unsent import keep_little_unsent
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import network_of
from twisted_bazaar.wire.framing import FrameSplitter
from twisted_bazaar.wire.message import Message

_LARGEST_REQUEST_BYTES: Final = 4 << 10
_SMALLEST_BLOCK: Final = 16 << 10
_FIRST_BLOCK: Final = 64 << 10
# A block that is gone sooner was too small, one that takes longer too large.
_SOON_S: Final = 0.1
_LONG_S: Final = 2.0
# A reader that takes nothing for so long is gone, and so is a frame that does not end.
_STUCK_S: Final = 20.0
_GATHER_S: Final = 0.05
# So much the system keeps of what it cannot send yet. Else it keeps megabytes for each who does not read, and says
# that they have gone. What is under way is not bounded.
_UNSENT_BYTES: Final = 256 << 10
_ERRORS_TOLD: Final = 500
# What is asked beyond that waits for the next turn of the reactor.
_REQUESTS_A_TURN: Final = 64


class ServingOwner(Protocol):
    """The interface from a connection to those who hand out slots."""

    pace: SharedRate

    def slot_wanted(self, serving: UploadConnection) -> None:
        """It wants a slot."""

    def slot_given_up(self, serving: UploadConnection) -> None:
        """It wants none now."""

    def chunk_sent(self, serving: UploadConnection, chunk: int) -> None:
        """A chunk has been sent."""

    def ended(self, serving: UploadConnection) -> None:
        """It is over."""

    def file_changed(self, digest: str) -> None:
        """The file is no longer what it was."""


class Refusal(Stream):
    """A connection whose request cannot be met."""

    def __init__(self, reactor: Any, code: str, info: str) -> None:
        super().__init__(reactor, ASKED_CODEC)
        self._farewell = Failed(code=code, info=info)

    def connectionMade(self) -> None:
        """Say why, and close."""
        super().connectionMade()
        self.close(self._farewell)


@implementer(IPushProducer)
class UploadConnection(Stream):
    """One connection over which a file is served.

    @param content: the file.
    @param host: where the other end is.
    @ivar network: whom what it takes up is charged to.
    @ivar digest: that of the file.
    @ivar manifest: what the file was said to be made of, which can change while it is fetched here.
    @ivar has_slot: whether it is served now.
    @ivar is_finishing: whether that is for one chunk only, of which alone something is kept in memory.
    @ivar sent_bytes: how much of the file has been sent.
    @ivar idle_since: since when nothing is wanted.
    @ivar promised: chunks that it has been told nobody else was given, and that have not been sent.
    @ivar missed: how often it has had a slot for nothing since it last wanted anything.
    """

    def __init__(self, reactor: Any, owner: ServingOwner, content: IContent, host: str) -> None:
        super().__init__(reactor, ASKED_CODEC)
        self.content = content
        self.host = host
        self.network: str = network_of(host)
        self.has_slot: bool = False
        self.is_finishing: bool = False
        self.sent_bytes: int = 0
        self.idle_since: float = 0.0
        self.missed: int = 0
        self.promised: dict[int, None] = {}
        self._owner = owner
        self.manifest: Manifest = content.manifest
        self.digest: str = self.manifest.digest
        self._splitter = FrameSplitter(_LARGEST_REQUEST_BYTES)
        self._unfinished_since: float | None = None
        self._wants: deque[int] = deque()
        # A chunk that is being read, one that is read, and one that is being sent.
        self._reading: int | None = None
        self._ready: tuple[int, memoryview] | None = None
        self._current: tuple[int, memoryview] | None = None
        self._offset = 0
        self._turn = 0
        self._block_bytes = _FIRST_BLOCK
        self._paid_bytes = 0
        self._in_line = False
        self._full_since: float | None = None
        self._drain_seen = ProgressWatch()
        # How long the other end has not been ready for more since the last chunk was complete.
        self._held_up_s = 0.0
        self._unwatch: Callable[[], None] | None = None
        self._grown: list[int] = []
        self._go_told = 0

    # What the transport calls.

    def connectionMade(self) -> None:
        """Say what the file is made of."""
        super().connectionMade()
        self.idle_since = self.reactor.seconds()
        keep_little_unsent(self.transport, _UNSENT_BYTES)
        self.transport.registerProducer(self, True)
        holdings = self.content.holdings
        is_whole = holdings.is_whole
        self.send(Described(size=self.manifest.size, root=self.manifest.root, whole=is_whole))
        if not is_whole:
            for page in bits_pages(holdings.to_bytes()):
                self.send_binary(page)
            self._telling = Timer(self.reactor, self._tell)
            self._unwatch = self.content.watch(self._chunk_came)

    def dataReceived(self, data: bytes) -> None:
        """Take requests."""
        if self.is_open:
            self._splitter.receive(data)
            self._drain()

    def connection_lost(self) -> None:
        """The other end is gone."""
        self._end()

    def pauseProducing(self) -> None:
        """More is unsent than the other end takes now: it is not heard either until it has."""
        if self._full_since is None:
            self._full_since = self.reactor.seconds()
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Everything has been sent."""
        since, self._full_since = self._full_since, None
        if since is None or not self.is_open:
            return
        took_s = self.reactor.seconds() - since
        self._held_up_s += took_s
        if took_s < _SOON_S:
            self._block_bytes = min(self._block_bytes * 2, LARGEST_BLOCK_BYTES)
        elif took_s > _LONG_S:
            self._block_bytes = max(self._block_bytes // 2, _SMALLEST_BLOCK)
        self.transport.resumeProducing()
        self._pump()
        self._drain()

    def stopProducing(self) -> None:
        """The connection is ending; the transport says so by C{connectionLost} as well."""

    # What its owner calls.

    @property
    def wants_nothing(self) -> bool:
        """Whether the other end has all that it has asked for."""
        return not self._wants and self._reading is None and self._ready is None and self._current is None

    def is_stuck(self, now: float) -> bool:
        """Whether the other end neither reads nor finishes what it began to say; asked every now and then."""
        moved_at = self._drain_seen.moved_at(self.transport, now)
        since = self._unfinished_since if self._full_since is None else max(self._full_since, moved_at)
        return since is not None and now - since >= _STUCK_S

    def progress(self) -> Progress:
        """The progress of the other end, and how long it lets this one wait by reading slowly or wanting nothing."""
        now = self.reactor.seconds()
        if self.wants_nothing:
            waited_s = now - self.idle_since
        else:
            waited_s = self._held_up_s + (0.0 if self._full_since is None else now - self._full_since)
        return Progress(self.sent_bytes - unsent_bytes(self.transport), waited_s)

    def unchoke(self, askers: int, fresh: tuple[int, ...] = ()) -> None:
        """Give the slot, or say that the number of askers has changed.

        @param fresh: chunks that nobody has been given.
        """
        if self.is_finishing:
            self.is_finishing = False
            self._read_ahead()
        if not self.has_slot:
            self.has_slot = True
            self.idle_since = self.reactor.seconds()
            self._held_up_s = 0.0
        elif self._go_told == askers and not fresh:
            return
        self._go_told = askers
        self.promised.update(dict.fromkeys(fresh))
        self.send(Go(askers=askers, fresh=fresh))

    def serve_one_chunk(self, askers: int) -> None:
        """Serve one chunk beside the slots: that which is being sent, or else the next one; of those that are wanted
        after it nothing is kept here."""
        if not self.has_slot:
            self.unchoke(askers)
        self.is_finishing = True
        self._block_bytes = min(self._block_bytes, _FIRST_BLOCK)
        if self._current is None:
            return
        ahead = self._reading if self._ready is None else self._ready[0]
        if ahead is not None:
            self._turn += 1
            self._reading = self._ready = None
            self._wants.appendleft(ahead)

    def choke(self, ahead: int) -> None:
        """Take the slot, or say that there is none: whatever is wanted is forgotten."""
        self.has_slot = self.is_finishing = False
        self._forget()
        self.send(Wait(ahead=ahead))

    def fail(self, code: str, info: str = "") -> None:
        """Say why it ends here, and close."""
        self.close(Failed(code=code, info=info[:_ERRORS_TOLD]))
        self._end()

    def drop(self) -> None:
        """Close without a word."""
        self.abort()
        self._end()

    # Requests.

    def _drain(self) -> None:
        """Take requests, as long as what they ask for can be sent."""
        try:
            for _ in range(_REQUESTS_A_TURN):
                if not self.is_open or self._full_since is not None or not (frames := self._splitter.next_frames(1)):
                    break
                self._take(self.codec.decode(frames[0]))
            else:
                self.transport.pauseProducing()
                self.reactor.callLater(0, self._drain_rest)
        except UnknownMessage as error:
            self.fail("wtf", f"{error.message!r} is no message of a transfer")
        except WireError as error:
            self.fail("wtf", str(error))
        if not self._splitter.unfinished:
            self._unfinished_since = None
        elif self._unfinished_since is None:
            self._unfinished_since = self.reactor.seconds()

    def _drain_rest(self) -> None:
        if self.is_open and self._full_since is None:
            self.transport.resumeProducing()
            self._drain()

    def _take(self, message: Message) -> None:
        match message:
            case Want(chunk=chunk):
                self._want(chunk)
            case Queue():
                self._owner.slot_wanted(self)
            case Pass():
                self.has_slot = self.is_finishing = False
                self._forget()
                self._owner.slot_given_up(self)
            case Digests(first=first, count=count):
                if first + count > self.manifest.count:
                    raise WireError(f"digests of {count} chunks from {first} on; there are {self.manifest.count}")
                page = self.manifest.chunk_digests[first * DIGEST_BYTES : (first + count) * DIGEST_BYTES]
                self.send_binary(digests_page(first, page))

    def _want(self, chunk: int) -> None:
        if not self._go_told:
            raise WireError("want: there was no go yet; queue first")
        if not self.has_slot:
            # It crossed the word that there is no slot any more, or came after a go that crossed a pass.
            return
        if chunk not in self.content.holdings:
            if self.content.manifest is not self.manifest:
                self._end_changed()
                return
            raise WireError(f"chunk {chunk} is not here")
        if len(self._wants) >= MOST_WANTS:
            raise WireError(f"more than {MOST_WANTS} chunks wanted at once")
        self._wants.append(chunk)
        self.missed = 0
        self._read_ahead()

    # Sending.

    def _read_ahead(self) -> None:
        """Read the next chunk, unless one is waiting to be sent."""
        if self._reading is not None or self._ready is not None or not self._wants or not self.is_open:
            return
        if self.is_finishing and self._current is not None:
            return
        if self.content.manifest is not self.manifest:
            self._end_changed()
            return
        self._reading = self._wants.popleft()
        reading = self.content.read(self._reading)
        reading.addCallbacks(self._was_read, self._not_read, callbackArgs=(self._turn,), errbackArgs=(self._turn,))
        reading.addErrback(self._is_at_fault)

    def _was_read(self, content: bytes, turn: int) -> None:
        if turn != self._turn or not self.is_open:
            return
        assert self._reading is not None, "this is what was being read"
        self._ready = (self._reading, memoryview(content))
        self._reading = None
        self._pump()

    def _not_read(self, failure: Failure, turn: int) -> None:
        failure.trap(StorageError)
        if failure.check(FileChanged) is not None:
            self._owner.file_changed(self.digest)
            self.fail("changed", failure.getErrorMessage())
        elif turn == self._turn:
            self.fail("disk", "the file cannot be read now")

    def _is_at_fault(self, failure: Failure) -> None:
        self.log.failure("a chunk of {digest} could not be served", failure, digest=self.digest)
        self.fail("disk", "the file cannot be read now")

    def _pump(self) -> None:
        """Send blocks, until the transport is full, there is no more, or the rate is used up."""
        while self.is_open and self._full_since is None and not self._in_line:
            if self._current is None:
                if self._ready is None:
                    return
                self._current, self._ready, self._offset = self._ready, None, 0
                self._read_ahead()
            chunk, content = self._current
            if not self._paid_bytes:
                size = min(self._owner.pace.piece_bytes(self._block_bytes), len(content) - self._offset)
                self._paid_bytes = size
                if not self._owner.pace.acquire(size, self.network, self._paid):
                    self._in_line = True
                    return
            size, self._paid_bytes = self._paid_bytes, 0
            block = content[self._offset : self._offset + size]
            self._offset += size
            self.sent_bytes += size
            is_last = self._offset == len(content)
            if is_last:
                self._current = None
            self.transport.writeSequence((block_head(chunk, self._offset - size, size), bytes(block), b","))
            if is_last:
                self.idle_since = self.reactor.seconds()
                self._held_up_s = 0.0
                self.promised.pop(chunk, None)
                self._owner.chunk_sent(self, chunk)
                self._read_ahead()

    def _paid(self) -> None:
        self._in_line = False
        self._pump()

    def _forget(self) -> None:
        """Forget what is wanted."""
        self._turn += 1
        self._wants.clear()
        self._reading = self._ready = self._current = None
        self._paid_bytes = 0
        if self._in_line:
            self._in_line = False
            self._owner.pace.forget(self.network, self._paid)

    # What has come meanwhile.

    def _chunk_came(self, chunk: int) -> None:
        self._grown.append(chunk)
        if not self._telling.is_set:
            self._telling.set(_GATHER_S)

    def _tell(self) -> None:
        if self.content.manifest is not self.manifest:
            self._end_changed()
            return
        grown, self._grown = self._grown, []
        for at in range(0, len(grown), CHUNKS_IN_HAVE):
            self.send(Have(chunks=tuple(grown[at : at + CHUNKS_IN_HAVE])))

    def _end_changed(self) -> None:
        self.fail("changed", "another manifest is believed here now")

    def _end(self) -> None:
        self._forget()
        self.has_slot = self.is_finishing = False
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
            self._telling.cancel()
        self._owner.ended(self)
