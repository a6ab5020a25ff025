"""The receiving half of a stream: what has come, in order, and when to say so. Sans-IO."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from twisted_bazaar.files.window.sack_ranges import SackRanges
from twisted_bazaar.files.window.segment import DELAY_UNIT_S, LONGEST_DELAY, MOST_RANGES, Range
from twisted_bazaar.files.window.settings import Counters, Settings, Watcher

# After so many segments something is said at once; fewer wait for others to come.
_SEGMENTS_AN_ACK: Final = 8
_ACK_DELAY_S: Final = 0.002
_MOST_GAPS: Final = 1024
_MOST_WINDOW: Final = 0xFFFF_FFFF
# Two segments for each that should be there, for those who cut small ones.
_SMALL: Final = 2
_A_FEW: Final = 64


class Receiver:
    """The receiving half of one stream.

    @ivar next: all before this offset has come, the end counting as one.
    @ivar is_over: whether all has come, up to the end.
    @ivar ack_at: when to say what has come; None for not at all.
    """

    def __init__(self, settings: Settings, counters: Counters, watcher: Watcher | None) -> None:
        self._capacity = settings.capacity_bytes
        self._most_held = _SMALL * settings.most_kept + _A_FEW
        self._counters = counters
        self._watcher = watcher
        self.next: int = 0
        self.is_over: bool = False
        self.ack_at: float | None = None
        self._edge = self._capacity
        self._told_edge = self._edge
        # What nobody has taken yet, and what is behind a gap.
        self._ready: list[bytes] = []
        self._ready_bytes = 0
        self._held: dict[int, bytes] = {}
        self._came = SackRanges()
        # Of each run of segments that came out of order the last, the latest run first: what is to be said several
        # times, as acknowledgements get lost too.
        self._runs: deque[int] = deque(maxlen=MOST_RANGES)
        self._run_end = -1
        self._end: int | None = None
        self._unsaid = 0
        self._echo = 0
        self._echo_at = 0.0

    def receive(self, offset: int, payload: bytes, is_last: bool, number: int, asks: bool, now: float) -> None:
        """Take bytes, or the end, or both."""
        self._echo, self._echo_at = number, now
        self._unsaid += 1
        end = offset + len(payload)
        is_next = offset == self.next and not self._held
        if is_next and end <= self._edge and self._end is None and payload:
            self.next = end
            self._ready.append(payload)
            self._ready_bytes += len(payload)
            self._counters.received += 1
        else:
            self._receive_other(offset, payload, end)
        if len(self._ready) > self._most_held:
            # Nobody takes it, and many small segments would be many times as large as what they hold.
            self._ready = [b"".join(self._ready)]
        if is_last:
            self._take_end(end)
        if self._end is not None and self.next == self._end and not self.is_over:
            self.is_over = True
            self.next += 1
            self._came.drop_before(self.next)
        if asks or not is_next or is_last or self._unsaid >= _SEGMENTS_AN_ACK:
            self.ack_at = now
        elif self.ack_at is None:
            self.ack_at = now + _ACK_DELAY_S
        if self._watcher is not None:
            self._watcher("rcv", now, offset, len(payload), self.next)

    def probe_received(self, now: float) -> None:
        """The other end wants to know."""
        self.ack_at = now

    def read(self) -> list[bytes]:
        """Take the bytes that have come, in order; it makes room for more."""
        ready, self._ready = self._ready, []
        self._edge += self._ready_bytes
        self._ready_bytes = 0
        return ready

    def made_room(self, now: float) -> None:
        """Tell the other end if it has much more room than it knows."""
        if self._edge - self._told_edge >= self._capacity // 2 and self._told_edge - self.next < self._capacity // 2:
            self.ack_at = now

    def acknowledgement(self, now: float) -> tuple[int, int, int, int]:
        """The acknowledgement that every segment carries: C{ack}, C{window}, C{echo} and C{delay}."""
        self._unsaid = 0
        self.ack_at = None
        self._told_edge = self._edge
        delay = int((now - self._echo_at) / DELAY_UNIT_S)
        window = max(0, self._edge - self.next)
        return (
            self.next,
            window if window < _MOST_WINDOW else _MOST_WINDOW,
            self._echo,
            delay if 0 <= delay < LONGEST_DELAY else LONGEST_DELAY,
        )

    def ranges(self) -> Sequence[Range]:
        """The ranges that have come out of order, the latest first."""
        return self._came.around(self._runs) if self._came else ()

    @property
    def has_gaps(self) -> bool:
        """Whether something has come out of order."""
        return bool(self._came)

    # Inside.

    def _receive_other(self, offset: int, payload: bytes, end: int) -> None:
        """Take what has come before, or out of order, or too much."""
        if not payload:
            return
        if end <= self.next or (offset in self._held and len(self._held[offset]) >= len(payload)):
            self._counters.duplicates += 1
        elif end > self._edge or (self._end is not None and end > self._end):
            self._counters.unwanted += 1
        elif (offset > self.next and self._is_crowded) or self._came.touches(max(offset, self.next), end):
            # Who keeps to the rules cuts the same bytes the same way each time.
            self._counters.unwanted += 1
        else:
            self._counters.received += 1
            if offset <= self.next:
                self._continue(payload[self.next - offset :], end)
            else:
                self._held[offset] = payload
                self._came.add(offset, end)
                self._note_run(offset, end)

    def _note_run(self, offset: int, end: int) -> None:
        if offset == self._run_end:
            self._runs[0] = offset
        else:
            self._runs.appendleft(offset)
        self._run_end = end

    @property
    def _is_crowded(self) -> bool:
        return len(self._held) >= self._most_held or len(self._came) >= _MOST_GAPS

    def _continue(self, payload: bytes, end: int) -> None:
        """Append what was missing first, and what comes after it."""
        while True:
            self._ready.append(payload)
            self._ready_bytes += len(payload)
            following = self._held.pop(end, None)
            if following is None:
                break
            payload = following
            end += len(payload)
        self.next = end
        self._came.drop_before(end)

    def _take_end(self, end: int) -> None:
        """Nothing comes after this offset; the first who says so is believed, unless more has come already."""
        if self._end is None and max(self.next, self._came.last_end) <= end <= self._edge:
            self._end = end
            if end > self.next:
                self._came.add(end, end + 1)
                self._note_run(end, end + 1)
