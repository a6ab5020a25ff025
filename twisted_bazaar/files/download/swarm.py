"""The swarm of a download: one file from many sources at once. Joins the parts that decide whom to ask for what.

Whatever comes is checked against the manifest before it is kept, and the whole against the digest before it is a
file. Who turns out to have lied, failed or broken the rules is not asked again.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError, StorageError, TransferFailed, WrongWhole
from twisted_bazaar.files.chunks import EMPTY_DIGEST, Manifest
from twisted_bazaar.files.content import IPart
from twisted_bazaar.files.download.buffer_pool import BufferPool
from twisted_bazaar.files.download.happy_eyeballs import ConnectTo, HappyEyeballs, StreamTo
from twisted_bazaar.files.download.manifest_trust import ManifestTrust
from twisted_bazaar.files.download.manifest_vote import Head, head_of
from twisted_bazaar.files.download.picker import Picker
from twisted_bazaar.files.download.progress import DownloadStatus, Receipt, SourceStatus
from twisted_bazaar.files.download.request_scheduler import RequestScheduler
from twisted_bazaar.files.download.source import DESCRIBED, Source, State
from twisted_bazaar.files.download.source_manager import SourceManager, about
from twisted_bazaar.files.download.timeouts import TransferLimits
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.files import FileSource

__all__ = ["Download", "DownloadStatus", "Receipt", "SourceStatus", "TransferLimits"]

_LOOK_S: Final = 0.5
_SAMPLES: Final = 11


class Download:
    """One file on its way here.

    @param reactor: time and timers.
    @param part: where it goes; it is left open.
    @param own_key: the key of this node, which is no source.
    @param on_event: called with C{found}, C{dropped}, C{believed} or C{lied}, and details.
    @param connect_to: what makes connections.
    @param stream_to: says where streams over datagrams can be opened; None for nowhere.
    @param streams_first: whether they are tried before connections.
    @ivar limits: how patient it is.
    @ivar ways_in: how sources are reached.
    """

    log: Final = limited_logger(__name__)

    def __init__(
        self,
        reactor: Any,
        rng: random.Random,
        part: IPart,
        connect_to: ConnectTo,
        *,
        own_key: str | None = None,
        on_event: Callable[[str, Mapping[str, Any]], object] | None = None,
        limits: TransferLimits | None = None,
        stream_to: StreamTo | None = None,
        streams_first: bool = False,
    ) -> None:
        self._reactor = reactor
        self._rng = rng
        self._part = part
        self._tell = on_event or (lambda event, details: None)
        self.limits: TransferLimits = limits or TransferLimits()
        self.ways_in: HappyEyeballs = HappyEyeballs(
            reactor, connect_to, self.limits.connect_s, stream_to, streams_first=streams_first
        )
        self._roster = SourceManager(reactor, self, part.digest, own_key, self._tell)
        self._sources = self._roster.sources
        self._belief = ManifestTrust(reactor, self, part.digest, self._sources.values(), self.limits)
        self._allotment: RequestScheduler | None = None
        self._writes = 0
        self._rooms = BufferPool()
        self._is_busy = False
        self._done: Deferred[Receipt] = Deferred(lambda _: self._stop())
        self._is_over = False
        self._look = Timer(reactor, self._look_round)
        self._began = self._usable_at = 0.0
        self._give_up_s: float | None = None
        self._resumed: int | None = None
        self._held = 0
        # When so many bytes had come, over the last seconds.
        self._samples: deque[tuple[float, int]] = deque(maxlen=_SAMPLES)
        self._rate = 0.0
        self._no_room: StorageError | None = None
        self._idle: list[Deferred[None]] = []

    # What its owner calls.

    def start(self, give_up_s: float | None = None) -> Deferred[Receipt]:
        """Begin.

        @param give_up_s: how long to go on without anybody of use; None for ever.
        @return: fires when the whole is in its place; fails with C{CancelledError} when it is stopped.
        @raise TransferFailed: there was nobody of use for too long.
        @raise StorageError: it cannot be kept.
        """
        now = self._reactor.seconds()
        self._began = self._usable_at = now
        self._samples.append((now, 0))
        self._give_up_s = give_up_s
        if self._part.manifest is None and self._part.digest == EMPTY_DIGEST:
            self.adopt_manifest(Manifest(EMPTY_DIGEST, 0, b""))
        elif self._part.manifest is not None:
            self._believe(self._part.manifest)
        if not self._is_over:
            self._look.set(_LOOK_S)
        return self._done

    def add_sources(self, sources: Sequence[FileSource]) -> None:
        """Ask these too; those that are known are left out, as are those that were dropped."""
        self._roster.add(sources)
        self._connect_more()

    def stop(self) -> Deferred[None]:
        """End it; fires when nothing is under way any more. What is there stays."""
        self._stop()
        if not self._writes and not self._is_busy:
            return succeed(None)
        ended: Deferred[None] = Deferred()
        self._idle.append(ended)
        return ended

    def status(self) -> DownloadStatus:
        """The status of the download."""
        size = None if self._belief.head is None else self._belief.head[0]
        sources = [each.status() for each in self._sources.values()]
        return DownloadStatus(size, self._held, self._rate, self._left_s(), sources, self._gives_up_in_s())

    def _left_s(self) -> float | None:
        """The seconds until all is there, at the rate of late; None when that cannot be said."""
        if self._belief.head is None:
            return None
        left = self._belief.head[0] - self._held
        return None if left and self._rate < 1 else left / self._rate if left else 0.0

    # What sources call.

    def source_described(self, source: Source) -> None:
        """A source has said what the file is made of."""
        if not self._belief.source_described(source):
            return
        if self._allotment is None:
            self._choose()
        elif source.head == self._belief.head:
            self._allotment.add_source(source)

    def source_digests_received(self, source: Source, first: int, digests: bytes) -> None:
        """A page of digests has come."""
        self._belief.source_digests_received(source, first, digests)

    def source_grown(self, source: Source, more: int) -> None:
        """A source has chunks that it had not before."""
        if self._allotment is not None and source.head == self._belief.head:
            self._allotment.source_grown(source, more)

    def source_ready(self, source: Source) -> None:
        """A source can be asked for chunks."""
        if self._allotment is not None:
            self._allotment.request_from(source)

    def requests_dropped(self, source: Source, chunks: list[int]) -> None:
        """Chunks that a source was asked for do not come from it."""
        if self._allotment is not None:
            self._allotment.forget(source, chunks)

    def source_gone(self, source: Source) -> None:
        """A source is dropped, or rests."""
        if self._allotment is not None:
            self._allotment.remove_source(source)
        self._belief.source_gone(source)
        if source.state is State.DROPPED:
            self._tell("dropped", {**about(source.origin), "why": source.why})
        if self._is_over:
            return
        self._connect_more()
        if self._allotment is None:
            self._choose()

    def size_of(self, chunk: int) -> int:
        """The bytes of a chunk."""
        manifest = self._part.manifest
        assert manifest is not None, "chunks are asked for by a manifest"
        return manifest.size_of(chunk)

    def buffer_for(self, chunk: int) -> memoryview:
        """A buffer for a chunk."""
        return self._rooms.acquire(self.size_of(chunk))

    def chunk_received(self, source: Source, chunk: int, content: memoryview) -> None:
        """A chunk has come: check it, keep it, and ask for the next."""
        allotment = self._allotment
        if allotment is None or not allotment.begin_chunk(source, chunk):
            self._rooms.release(content)
            return
        self._writes += 1
        writing = self._part.write(chunk, content)
        writing.addBoth(self._was_written, allotment, source, chunk, content)
        came = (len(content), source.protocol or "tcp")
        writing.addCallbacks(self._judge, self._cannot_go_on, callbackArgs=(allotment, source, chunk, *came))
        writing.addErrback(self._is_at_fault)
        allotment.request_from(source)

    # Whom to believe.

    def _choose(self) -> None:
        """See whether there is a manifest to believe, or a better one."""
        if self._is_over or self._is_busy or (self._writes and self._allotment is None):
            return
        has_any = self._belief.choose(self._held, self._left_s()) or self._allotment is not None
        # Perhaps there was one, and nothing more is to be expected.
        if not has_any and self._no_room is not None and not self._belief.is_open:
            self._fail(Failure(self._no_room))

    def adopt_manifest(self, manifest: Manifest) -> None:
        """Believe a manifest, if there is room for what it says."""
        self._is_busy = True
        if self._allotment is not None:
            self._allotment.pause()
        head = head_of(manifest)
        for source in list(self._sources.values()):
            # What it was asked for by another manifest is of no use now.
            if source.wanted and source.head != head:
                source.back_off("another manifest of the file has its turn")
        beginning = self._part.set_manifest(manifest)
        beginning.addBoth(self._unbusy)
        beginning.addCallbacks(lambda _: self._believe(manifest), self._has_no_room, errbackArgs=(head,))
        beginning.addErrback(self._is_at_fault)

    def _has_no_room(self, failure: Failure, head: Head) -> None:
        """Refuse a manifest for whose size there is no room: it may be a lie, and another may be right."""
        failure.trap(StorageError)
        assert isinstance(failure.value, StorageError)
        self._no_room = failure.value
        for source in self._belief.distrust(head):
            source.drop("there is no room for the file that it says it has")
        self._choose()

    def _believe(self, manifest: Manifest) -> None:
        """Go by a manifest from now on."""
        if self._is_over:
            return
        if self._allotment is not None:
            self._allotment.reset()
        self._belief.adopted(head_of(manifest))
        picker = Picker(self._part.holdings, self._rng)
        self._allotment = RequestScheduler(
            self._reactor, picker, manifest, self._sources.values(), self.limits.patience_s
        )
        self._held = manifest.size_of_all(self._part.holdings)
        if self._resumed is None:
            self._resumed = self._held
        self._tell("believed", {"size": manifest.size, "chunks": manifest.count, "held_bytes": self._held})
        if picker.is_done:
            self._finish()
            return
        for source in list(self._sources.values()):
            if source.head == self._belief.head and source.state in DESCRIBED:
                self._allotment.add_source(source)

    def ban(self, source: Source, lie: str) -> None:
        """Drop a source that has lied; it is not asked again."""
        self._roster.ban(source, lie)

    def _connect_more(self) -> None:
        if not self._is_over and not self._is_busy:
            self._roster.connect()

    # What has come.

    def _was_written(
        self, result: Any, allotment: RequestScheduler, source: Source, chunk: int, content: memoryview
    ) -> Any:
        self._rooms.release(content)
        self._writes -= 1
        allotment.chunk_written(source, chunk)
        self._tell_idle()
        return result

    def _judge(
        self, is_right: bool, allotment: RequestScheduler, source: Source, chunk: int, size: int, protocol: str
    ) -> None:
        """A chunk has been checked."""
        if self._is_over or allotment is not self._allotment:
            return
        if not is_right:
            allotment.forget(source, [chunk])
            self.ban(source, f"chunk {chunk} is not what its manifest says")
            return
        source.right[protocol] = source.right.get(protocol, 0) + size
        self._held += size
        allotment.chunk_verified(chunk)
        if not allotment.is_done:
            allotment.request_from(source)
        elif not self._writes:
            self._finish()

    def _finish(self) -> None:
        """All chunks are there: see whether they are the file."""
        self._is_busy = True
        if self._allotment is not None:
            self._allotment.pause()
        finishing = self._part.finish()
        finishing.addBoth(self._unbusy)
        finishing.addCallbacks(self._is_whole, self._is_wrong)
        finishing.addErrback(self._cannot_go_on)
        finishing.addErrback(self._is_at_fault)

    def _is_whole(self, _: object) -> None:
        if self._is_over:
            return
        self._close()
        head = self._belief.head
        assert head is not None, "what is whole is whole by a manifest"
        senders = [each for each in self._sources.values() if each.right_bytes]
        by_source = {each.origin: each.right_bytes for each in senders}
        protocols = {each.origin: dict(each.right) for each in senders}
        dropped = {each.origin: each.why or "" for each in self._sources.values() if each.state is State.DROPPED}
        seconds = self._reactor.seconds() - self._began
        resumed = self._resumed or 0
        self._done.callback(Receipt(self._part.digest, head[0], by_source, dropped, resumed, seconds, protocols))

    def _is_wrong(self, failure: Failure) -> None:
        """Drop all who gave the manifest: it was a lie."""
        failure.trap(WrongWhole)
        if self._is_over or self._belief.head is None:
            return
        self._allotment = None
        for source in self._sources.values():
            if source.head == self._belief.head:
                # What is right by a lie is nobody's merit.
                source.right.clear()
        for source in self._belief.distrust(self._belief.head):
            self.ban(source, "all chunks fit its manifest, and the whole does not have the digest that was asked for")
        self._choose()

    def _unbusy(self, result: Any) -> Any:
        self._is_busy = False
        if self._allotment is not None and not self._is_over:
            self._allotment.resume()
        self._tell_idle()
        return result

    def _cannot_go_on(self, failure: Failure) -> None:
        """End the download: its part file fails."""
        failure.trap(BazaarError)
        self._fail(failure)

    def _is_at_fault(self, failure: Failure) -> None:
        self.log.failure("the download of {digest} failed", failure, digest=self._part.digest)
        self._fail(failure)

    def _fail(self, failure: Failure) -> None:
        if not self._is_over:
            self._close()
            self._done.errback(failure)

    # As time goes by.

    def _look_round(self) -> None:
        """Measure, give up who is too slow, and see whether anybody is of use."""
        now = self._reactor.seconds()
        self._look.set(_LOOK_S)
        self._samples.append((now, sum(each.received_bytes for each in self._sources.values())))
        (since, before), (_, received) = self._samples[0], self._samples[-1]
        self._rate = (received - before) / (now - since) if now > since else 0.0
        for source in list(self._sources.values()):
            source.check(now)
        self._connect_more()
        self._belief.check_pace()
        self._choose()
        if self._allotment is not None:
            self._allotment.request_from_all()
        if self._is_over:
            return
        if self._is_busy or any(self._is_of_use(each) for each in self._sources.values()):
            self._usable_at = now
        elif self._give_up_s is not None and now - self._usable_at >= self._give_up_s:
            self._fail(Failure(TransferFailed(f"nobody has served it for {self._give_up_s:g} s{self._last_reason()}")))

    def _last_reason(self) -> str:
        """Why the last source was given up, where that is all there is to say."""
        dropped = [each for each in self._sources.values() if each.state is State.DROPPED]
        last = max(dropped, key=lambda each: each.since, default=None)
        return "" if self._held or last is None else f"; {last.origin.address}: {last.why}"

    def _gives_up_in_s(self) -> float | None:
        """When it ends, if nobody of use comes until then; None for never."""
        if self._give_up_s is None:
            return None
        return max(0.0, self._usable_at + self._give_up_s - float(self._reactor.seconds()))

    def _is_of_use(self, source: Source) -> bool:
        if source.state is State.DROPPED:
            return False
        if self._allotment is None or source.head is None:
            return True
        if source.head != self._belief.head:
            # It may have its turn.
            return source.state in DESCRIBED
        return self._allotment.is_useful(source)

    # The end.

    def _stop(self) -> None:
        if not self._is_over:
            self._close()
            if not self._done.called:
                self._done.errback(CancelledError())

    def _close(self) -> None:
        self._is_over = True
        if self._allotment is not None:
            self._allotment.reset()
        self._look.cancel()
        for source in self._sources.values():
            source.close()

    def _tell_idle(self) -> None:
        if not self._writes and not self._is_busy:
            idle, self._idle = self._idle, []
            for ended in idle:
                ended.callback(None)
