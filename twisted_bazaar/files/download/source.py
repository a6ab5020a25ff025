"""One source of a download: how far it is with it, what it has and owes, and how fast it is."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Any, Final, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from twisted_bazaar.errors import WireError
from twisted_bazaar.files.chunks import chunk_count
from twisted_bazaar.files.download.connection import DownloadConnection
from twisted_bazaar.files.download.happy_eyeballs import HappyEyeballs
from twisted_bazaar.files.download.manifest_vote import Head
from twisted_bazaar.files.download.picker import packed_bits, set_of
from twisted_bazaar.files.download.progress import SourceStatus
from twisted_bazaar.files.download.timeouts import TransferLimits
from twisted_bazaar.files.messages import LARGEST_FILE_BYTES, Described, Go, Have, Wait
from twisted_bazaar.system.connection_errors import reason_of
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.values.files import FileSource

# How much what was measured last counts.
_NEW_SHARE: Final = 0.3
_NOBODY_THERE: Final = (ConnectError, ConnectingCancelledError, CancelledError, OSError)
_MOST_FRESH: Final = 64
_FAST: Final = 8 << 20
_MEDIUM: Final = 1 << 20


class State(Enum):
    """The state of a source."""

    NEW = "new"
    CONNECTING = "connecting"
    ASKED = "asked"
    IDLE = "idle"
    WAITING = "waiting"
    SERVING = "serving"
    RESTING = "resting"
    DROPPED = "dropped"


CONNECTED: Final = frozenset({State.ASKED, State.IDLE, State.WAITING, State.SERVING})
DESCRIBED: Final = frozenset({State.IDLE, State.WAITING, State.SERVING})
UNDECIDED: Final = frozenset({State.NEW, State.CONNECTING, State.ASKED})


class SourceOwner(Protocol):
    """The interface from a source to its download."""

    limits: TransferLimits
    ways_in: HappyEyeballs

    def source_described(self, source: Source) -> None:
        """It has said what the file is made of."""

    def source_digests_received(self, source: Source, first: int, digests: bytes) -> None:
        """It has given digests."""

    def source_grown(self, source: Source, more: int) -> None:
        """It has chunks that it had not before."""

    def source_ready(self, source: Source) -> None:
        """It can be asked for chunks."""

    def requests_dropped(self, source: Source, chunks: list[int]) -> None:
        """Chunks that it was asked for do not come."""

    def chunk_received(self, source: Source, chunk: int, content: memoryview) -> None:
        """A chunk has come."""

    def source_gone(self, source: Source) -> None:
        """It is dropped, or rests."""

    def size_of(self, chunk: int) -> int:
        """The bytes of a chunk."""

    def buffer_for(self, chunk: int) -> memoryview:
        """The buffer for a chunk."""


class Source:
    """One source of a download.

    @ivar head: what it says the file is made of; None as long as it has said nothing.
    @ivar has: the set of chunks that it has; None for all. See L{twisted_bazaar.files.download.picker}.
    @ivar wanted: the chunks it was asked for that have not come.
    @ivar askers: how many ask it for the file.
    @ivar fresh: chunks that it has told nobody else of.
    @ivar writing: how many chunks of it have come and are being checked and kept.
    @ivar received_bytes: how much has come from it in all.
    @ivar right: how much of what came was right, in bytes, by transport protocol: C{tcp} or C{udp}.
    @ivar rate: bytes a second while it owed something; None until some have come.
    @ivar counts: whether what it has is counted by the picker.
    @ivar protocol: the transport protocol over which a chunk came last; None until one has.
    @ivar since: when it came to be in its state.
    @ivar rests_until: when one that rests is asked again.
    """

    log: Final = limited_logger(__name__)

    def __init__(self, reactor: Any, owner: SourceOwner, origin: FileSource, digest: str) -> None:
        self._reactor = reactor
        self._owner = owner
        self._digest = digest
        self.origin = origin
        self.state: State = State.NEW
        self.why: str | None = None
        self.head: Head | None = None
        self.has: int | None = None
        self.askers: int = 1
        self.writing = 0
        self.right: dict[str, int] = {}
        self.rate: float | None = None
        self.counts = False
        self.protocol: str | None = None
        self.wanted: dict[int, None] = {}
        self.fresh: deque[int] = deque(maxlen=_MOST_FRESH)
        self.rests_until: float = 0.0
        self._rests = 0
        self._asking: DownloadConnection | None = None
        self._connecting: Deferred[Any] | None = None
        self.since: float = 0.0
        # Since when it has said nothing of its line, and whether it has said that this node stands there.
        self._in_line_at = 0.0
        self._is_in_line = False
        self._measured_at = 0.0
        self._measured_bytes = 0
        self._stall_at = 0.0
        self._stall_bytes = 0
        self._heard_at = 0.0
        self.received_bytes: int = 0
        self._owed_since: float | None = None

    # What the download calls.

    @property
    def right_bytes(self) -> int:
        """How much of what came was right."""
        return sum(self.right.values())

    @property
    def room(self) -> int:
        """The number of chunks that it may still be asked for now."""
        if self.state is not State.SERVING:
            return 0
        rate = self.rate or 0.0
        depth = 8 if rate > _FAST else 3 if rate > _MEDIUM else 2
        return depth - len(self.wanted) - self.writing

    def connect(self) -> None:
        """Begin to ask it."""
        self._become(State.CONNECTING)
        self.head = self.why = None
        self.fresh.clear()
        endpoint = self._owner.ways_in.endpoint_for(self.origin)
        if endpoint is None:
            self.drop("it takes no connections, and no streams over datagrams from here")
            return
        self._asking = asking = DownloadConnection(self._reactor, self, self._digest)
        self._connecting = endpoint.connect(_Once(asking))
        self._connecting.addErrback(self._not_connected, asking)
        self._connecting.addErrback(lambda failure: self.log.failure("connecting to a source failed", failure))

    def want(self, chunk: int) -> None:
        """Ask it for a chunk."""
        assert self._asking is not None, "who serves is connected"
        self._owe()
        self.wanted[chunk] = None
        self._asking.want(chunk)

    def want_digests(self, first: int, count: int) -> None:
        """Ask it for digests."""
        assert self._asking is not None, "who has described the file is connected"
        self._owe()
        self.since = self._reactor.seconds()
        self._asking.want_digests(first, count)

    def queue(self) -> None:
        """Ask it for a slot."""
        if self.state is State.IDLE and self._asking is not None:
            self._become(State.WAITING)
            self._stand_in_line(self._asking)

    def release(self) -> None:
        """Give its slot, or the place in its line, to others."""
        if self.state in (State.WAITING, State.SERVING) and self._asking is not None and not self.wanted:
            self._become(State.IDLE)
            self.fresh.clear()
            self._asking.give_up_slot()

    def drop(self, why: str) -> None:
        """Ask it no more."""
        self._end(State.DROPPED, why)

    def back_off(self, why: str) -> None:
        """Ask it again after a while."""
        self._rests += 1
        self.rests_until = self._reactor.seconds() + self._owner.limits.rest_s * 2 ** min(self._rests - 1, 4)
        self._end(State.RESTING, why)

    def close(self) -> None:
        """End the connection: the download is over."""
        asking, self._asking = self._asking, None
        connecting, self._connecting = self._connecting, None
        if connecting is not None and self.state is State.CONNECTING:
            connecting.cancel()
        if asking is not None:
            asking.stop()

    def check(self, now: float) -> None:
        """Measure it, and give it up if it is too slow to be of use."""
        limits = self._owner.limits
        if self._asking is None:
            return
        if self.state is State.ASKED and now - self.since >= limits.answer_s:
            self.drop(f"it did not describe the file within {limits.answer_s:g} s")
            return
        if self.state is State.WAITING and now - self._in_line_at >= limits.answer_s:
            if not self._is_in_line:
                self.drop(f"it did not answer within {limits.answer_s:g} s whether this node still waits for a slot")
                return
            # A line can be long; but a machine that is gone says nothing either.
            self._stand_in_line(self._asking)
        if not self._asking.owes:
            self._owed_since = None
            return
        if self.received_bytes != self._measured_bytes:
            self._heard_at = now
        elapsed = now - self._measured_at
        if elapsed > 0:
            lately = (self.received_bytes - self._measured_bytes) / elapsed
            if self.rate is not None or lately:
                self.rate = lately if self.rate is None else self.rate + _NEW_SHARE * (lately - self.rate)
            self._measured_at, self._measured_bytes = now, self.received_bytes
        if now - self._heard_at >= limits.stall_s:
            self.drop(f"it sent 0 bytes in {limits.stall_s:g} s")
        elif now - self._stall_at >= limits.stall_s:
            if self.received_bytes - self._stall_bytes < limits.least_bytes:
                self.drop(f"it sent {self.received_bytes - self._stall_bytes} bytes in {limits.stall_s:g} s")
                return
            self._stall_at, self._stall_bytes = now, self.received_bytes

    def eta_s(self, chunk: int) -> float:
        """The time that a chunk may still take, in seconds, at the rate of late."""
        if chunk not in self.wanted or self._owed_since is None:
            return 0.0
        if self.rate is None:
            # Nothing is known but how long it has taken already.
            return 2.0 * float(self._reactor.seconds() - self._owed_since)
        before = list(self.wanted).index(chunk) + 1
        begun_bytes = 0 if self._asking is None else self._asking.begun_bytes
        return (before * self._owner.size_of(chunk) - begun_bytes) / max(self.rate, 1e-3)

    def status(self) -> SourceStatus:
        """Its state, rate and bytes now."""
        rate = self.rate if self.rate is not None and self.wanted else 0.0
        return SourceStatus(self.origin, self.state.value, self.right_bytes, rate, self.why)

    # What the connection calls.

    def connected(self) -> None:
        """It can be asked."""
        self._become(State.ASKED)

    def description_received(self, message: Described) -> None:
        """It has said what the file is."""
        if message.size > LARGEST_FILE_BYTES:
            raise WireError(f"a file of {message.size} bytes; at most {LARGEST_FILE_BYTES} are taken")
        self.head = (message.size, message.root)
        self.has = None if message.whole else 0
        self._become(State.IDLE)
        self._owner.source_described(self)

    def digests_received(self, first: int, digests: bytes) -> None:
        """It has given digests."""
        self.received_bytes += len(digests)
        self._owner.source_digests_received(self, first, digests)

    def bits_received(self, first: int, bits: bytes) -> None:
        """It has said what it has."""
        if self.head is None or self.has is None:
            raise WireError("it has the whole file, and says which chunks it has")
        total = packed_bits(chunk_count(self.head[0]))
        shift = total - first - len(bits) * 8
        if shift < 0:
            raise WireError("it names chunks beyond the end of the file")
        self._grow(int.from_bytes(bits, "big") << shift)

    def growth_received(self, message: Have) -> None:
        """It has more than before."""
        if self.head is None or self.has is None:
            return
        count = chunk_count(self.head[0])
        if max(message.chunks) >= count:
            raise WireError("it names chunks beyond the end of the file")
        self._grow(set_of(count, message.chunks))

    def unchoked(self, message: Go) -> None:
        """Chunks can be asked for."""
        self._is_in_line = True
        if self.head is None or (message.fresh and max(message.fresh) >= chunk_count(self.head[0])):
            raise WireError("it names chunks beyond the end of the file")
        self.askers = message.askers
        if self.state is State.WAITING:
            self._become(State.SERVING)
        if self.state is State.SERVING:
            self.fresh.extend(message.fresh)
            self._owner.source_ready(self)

    def choked(self, message: Wait) -> None:
        """There is no slot now."""
        self._is_in_line, self._in_line_at = True, self._reactor.seconds()
        if self.state is State.SERVING:
            self._become(State.WAITING)
        self.fresh.clear()
        wanted, self.wanted = self.wanted, {}
        self._owner.requests_dropped(self, list(wanted))

    def size_of(self, chunk: int) -> int:
        """The bytes of a chunk that it was asked for."""
        return self._owner.size_of(chunk)

    def buffer_for(self, chunk: int) -> memoryview:
        """The buffer for a chunk that it was asked for."""
        return self._owner.buffer_for(chunk)

    def bytes_received(self, size: int) -> None:
        """Some of a chunk has come."""
        self.received_bytes += size

    def chunk_received(self, chunk: int, content: memoryview) -> None:
        """A chunk has come."""
        if self._asking is not None:
            self.protocol = self._asking.protocol
        if self.rate is None and self._owed_since is not None:
            self.rate = self.received_bytes / max(self._reactor.seconds() - self._owed_since, 1e-3)
        self.wanted.pop(chunk, None)
        self._owner.chunk_received(self, chunk, content)

    def connection_ended(self, code: str, reason: str) -> None:
        """The connection is over."""
        # Who leaves owing nothing may have made room for others, and can be asked once more.
        owed = self.state is State.ASKED or (self._asking is not None and self._asking.owes)
        if code == "busy" or (code == "lost" and not owed):
            self.back_off(reason)
        else:
            self._end(State.DROPPED, reason)

    # Inside.

    def _stand_in_line(self, asking: DownloadConnection) -> None:
        """Ask for a slot, or whether there is still a line."""
        self._is_in_line, self._in_line_at = False, self._reactor.seconds()
        asking.queue()

    def _become(self, state: State) -> None:
        self.state = state
        self.since = self._reactor.seconds()

    def _owe(self) -> None:
        """Begin to measure it: it owes something from now on."""
        if self._owed_since is None or (self._asking is not None and not self._asking.owes):
            now = self._reactor.seconds()
            self._owed_since = self._measured_at = self._stall_at = self._heard_at = now
            self._measured_bytes = self._stall_bytes = self.received_bytes

    def _grow(self, more: int) -> None:
        assert self.has is not None, "who has not the whole can have more"
        new = more & ~self.has
        self.has |= new
        self._owner.source_grown(self, new)

    def _end(self, state: State, why: str) -> None:
        if self.state is State.DROPPED:
            return
        self.close()
        self._become(state)
        self.why = why
        wanted, self.wanted = self.wanted, {}
        self._owner.requests_dropped(self, list(wanted))
        self._owner.source_gone(self)
        if state is State.DROPPED:
            # Of a large file it takes much room.
            self.has = None

    def _not_connected(self, failure: Failure, asking: DownloadConnection) -> None:
        if asking is self._asking:
            self._connecting = None
            failure.trap(*_NOBODY_THERE)
            assert failure.value is not None, "it was just trapped"
            self._end(State.DROPPED, f"it cannot be reached: {reason_of(failure.value)}")


class _Once(Factory):
    """Gives an endpoint the protocol that is there already."""

    noisy = False

    def __init__(self, protocol: DownloadConnection) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: object) -> DownloadConnection:
        """The protocol."""
        return self._protocol
