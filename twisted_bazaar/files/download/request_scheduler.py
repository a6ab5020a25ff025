"""The request scheduler: which source is asked for which chunk, and when a second one is (endgame, BEP 3).

By one manifest: with another, another allotment begins.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from twisted_bazaar.files.chunks import CHUNK_BYTES, Manifest
from twisted_bazaar.files.download.manifest_vote import head_of
from twisted_bazaar.files.download.picker import Picker
from twisted_bazaar.files.download.source import Source, State

# A chunk is asked of a second source if that is so much faster.
_FASTER: Final = 2.0
_SLACK_S: Final = 0.2
# How long a chunk takes of a source that has sent none yet: like one of the others, but no longer than this.
_GUESS_S: Final = 2.0
_LONGEST_GUESS_S: Final = 4.0
_MOST_ASKED: Final = 4


class RequestScheduler:
    """Asks sources for chunks, as long as any are missing.

    @param reactor: time.
    @param picker: knows what is missing.
    @param sources: all there are, at any time; those with another manifest are left out.
    @param patience_s: how long a source that many ask is left alone when others may have what is missing.
    """

    def __init__(
        self, reactor: Any, picker: Picker, manifest: Manifest, sources: Collection[Source], patience_s: float
    ) -> None:
        self._reactor = reactor
        self._picker = picker
        self._manifest = manifest
        self._head = head_of(manifest)
        self._sources = sources
        self._patience_s = patience_s
        self._asked: dict[int, list[Source]] = {}
        self._writing: set[int] = set()
        self._last_chunk_at: float = reactor.seconds()
        self._is_paused = False

    @property
    def is_done(self) -> bool:
        """Whether nothing is missing."""
        return self._picker.is_done

    def is_useful(self, source: Source) -> bool:
        """Whether a source has anything that is missing."""
        return self._picker.is_useful(source.has)

    # Sources come and go.

    def add_source(self, source: Source) -> None:
        """Add a source, and ask it for chunks."""
        if not source.counts and source.has is not None:
            source.counts = True
            self._picker.source_joined(source.has)
        self.request_from(source)

    def source_grown(self, source: Source, more: int) -> None:
        """A source has more chunks than before."""
        if source.counts:
            self._picker.source_grown(more)
            self.request_from(source)

    def remove_source(self, source: Source) -> None:
        """A source is gone."""
        if source.counts and source.has is not None:
            self._picker.source_left(source.has)
        source.counts = False

    def pause(self) -> None:
        """Ask nobody for anything for now, and give slots to others."""
        self._is_paused = True
        for source in self._sources:
            source.release()

    def resume(self) -> None:
        """Ask again."""
        self._is_paused = False

    def reset(self) -> None:
        """Another manifest is believed."""
        self._is_paused = True
        for source in self._sources:
            self.remove_source(source)

    # Chunks come and do not.

    def begin_chunk(self, source: Source, chunk: int) -> bool:
        """A chunk has come; returns whether it is to be kept, and not one that another was faster with."""
        if chunk in self._writing or not self._picker.is_missing(chunk):
            self._unask(source, chunk)
            self.request_from(source)
            return False
        self._writing.add(chunk)
        source.writing += 1
        return True

    def chunk_written(self, source: Source, chunk: int) -> None:
        """A chunk that has begun to be kept has been, or cannot be."""
        self._writing.discard(chunk)
        source.writing -= 1

    def chunk_verified(self, chunk: int) -> None:
        """A chunk is there, and right."""
        self._last_chunk_at = self._reactor.seconds()
        self._picker.chunk_received(chunk)
        self._asked.pop(chunk, None)

    def forget(self, source: Source, chunks: Sequence[int]) -> None:
        """Chunks that a source was asked for do not come from it: others may be asked."""
        for chunk in chunks:
            self._unask(source, chunk)
        if chunks:
            self.request_from_all()

    # Whom to ask for what.

    def request_from_all(self) -> None:
        """Ask everybody for as much as they may be asked for now."""
        for source in list(self._sources):
            self.request_from(source)

    def request_from(self, source: Source) -> None:
        """Ask a source for as much as it may be asked for now."""
        if self._is_paused or source.head != self._head:
            return
        if source.state is State.IDLE:
            if self._is_wanted(source):
                source.queue()
            return
        while source.room > 0:
            chunk = self._next_for(source)
            if chunk is None:
                break
            self._asked.setdefault(chunk, []).append(source)
            source.want(chunk)
        if source.state is State.SERVING and not source.wanted and not source.writing:
            # Others may need its slot meanwhile.
            source.release()

    def _next_for(self, source: Source) -> int | None:
        """The next chunk to ask a source for."""
        chunk = self._picker.pick_from(source.fresh, source.has)
        if chunk is not None or self._is_to_be_spared(source):
            return chunk
        chunk = self._picker.pick(source.has, in_turn=source.askers <= 1)
        if chunk is None and not source.wanted and not source.writing:
            chunk = self._late_chunk_for(source)
        return chunk

    def _is_wanted(self, source: Source) -> bool:
        """Whether there is anything to ask a source for."""
        if self._is_to_be_spared(source):
            return False
        return self._picker.can_pick(source.has) or self._late_chunk_for(source) is not None

    def _is_to_be_spared(self, source: Source) -> bool:
        """Whether a source of the whole is only to be asked for what it has told nobody else of.

        So it is when many ask it, and the others get from one another what each has got from it.
        """
        if source.has is not None or source.askers <= 1 or not any(each.counts for each in self._sources):
            return False
        return bool(self._reactor.seconds() - self._last_chunk_at < self._patience_s)

    def _late_chunk_for(self, source: Source) -> int | None:
        """A chunk that somebody else was asked for and takes long over, when there is nothing else to ask for."""
        late: tuple[float, int] | None = None
        rate = source.rate or self._usual_rate()
        for chunk, askers in self._asked.items():
            if (
                chunk in self._writing
                or source in askers
                or len(askers) >= _MOST_ASKED
                or not self._picker.holds(source.has, chunk)
            ):
                continue
            own_s = self._manifest.size_of(chunk) / rate
            other_s = min(each.eta_s(chunk) for each in askers)
            if other_s > _FASTER * own_s + _SLACK_S and (late is None or other_s > late[0]):
                late = (other_s, chunk)
        return None if late is None else late[1]

    def _usual_rate(self) -> float:
        """Bytes a second of a source of which none is known."""
        rates = [each.rate for askers in self._asked.values() for each in askers if each.rate]
        if not rates:
            return CHUNK_BYTES / _GUESS_S
        return max(sum(rates) / len(rates), CHUNK_BYTES / _LONGEST_GUESS_S)

    def _unask(self, source: Source, chunk: int) -> None:
        """A chunk does not come from a source."""
        askers = self._asked.get(chunk)
        if askers is not None and source in askers:
            askers.remove(source)
            if not askers:
                del self._asked[chunk]
                if chunk not in self._writing:
                    self._picker.request_dropped(chunk)
