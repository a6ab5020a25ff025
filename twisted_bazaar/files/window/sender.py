"""The sending half of a stream: what to send, and when. Sans-IO."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from twisted_bazaar.files.window.congestion import Model
from twisted_bazaar.files.window.rtt import RoundTrip
from twisted_bazaar.files.window.segment import Range
from twisted_bazaar.files.window.sent_segments import Sent, SentSegments
from twisted_bazaar.files.window.settings import Counters, Settings, Watcher

_LONGEST_PROBE_S: Final = 5.0
_MOST_PROBES: Final = 16


class Sender:
    """The sending half of one stream.

    @param mss: how many bytes of the stream a segment has.
    @ivar unsent_bytes: what was written and never sent.
    @ivar progress_at: when something was acknowledged last, or there was nothing to send.
    """

    def __init__(
        self, settings: Settings, mss: int, rng: random.Random, counters: Counters, watcher: Watcher | None, now: float
    ) -> None:
        self._mss = mss
        self._rng = rng
        self._drop = settings.drop
        self._most_in_flight = settings.window * mss
        # Stop-and-wait is one segment, however short.
        self._is_one_by_one = settings.window == 1
        self._counters = counters
        self._watcher = watcher
        self._is_plain = watcher is None and not settings.drop
        self.model: Model = Model(mss, rng)
        self.round_trip: RoundTrip = RoundTrip()
        self.flight: SentSegments = SentSegments(self.model, self.round_trip, counters, now)
        self.unsent_bytes: int = 0
        self.progress_at: float = now
        self._unsent: deque[bytes] = deque()
        self._unsent_from = 0
        self._edge = 0
        self._is_ending = False
        self._is_end_sent = False
        # When the next may be sent by the pace, when to give up waiting, and when to ask whether there is room.
        self._release_at = now
        self._timeout_at: float | None = None
        self._timeouts = 0
        self._must_send = False
        self._probe_at: float | None = None
        self._probes = 0

    # What the stream calls.

    def write(self, content: bytes, now: float) -> None:
        """Have bytes to send."""
        self._begin(now)
        self._unsent.append(content)
        self.unsent_bytes += len(content)

    def take_over(self, other: Sender, now: float) -> None:
        """Send what was written to one that has sent nothing."""
        for content in other._unsent:
            self.write(content, now)

    def finish(self, now: float) -> None:
        """Nothing is written any more."""
        self._begin(now)
        self._is_ending = True

    @property
    def is_done(self) -> bool:
        """Whether the other end has everything, and this one knows it."""
        return self._is_end_sent and self.flight.is_empty

    @property
    def awaits_acknowledgement(self) -> bool:
        """Whether the other end owes an acknowledgement, or could; who has no room is slow, and not stuck."""
        return not self.flight.is_empty or (self.unsent_bytes > 0 and self._edge > self.flight.next)

    def may_send_to(self, edge: int, now: float) -> None:
        """The other end takes bytes before this offset."""
        if edge > self._edge:
            self._edge = edge
            self._probe_at, self._probes = None, 0
            if self.flight.is_empty:
                self.progress_at = now

    def handshake_done(self, round_trip_s: float, now: float) -> None:
        """The first round trip was measured."""
        self.round_trip.add_sample(round_trip_s)
        self.model.handshake_done(round_trip_s, now)

    def acknowledge(self, ack: int, ranges: Sequence[Range], echo: int, delay: int, now: float) -> bool:
        """Take what the other end says has come; see L{SentSegments.acknowledge}.

        @return: whether it can be true.
        """
        flight = self.flight
        if ack > flight.next:
            return False
        size = flight.acknowledge(ack, ranges, echo, delay, now)
        if size is None:
            return True
        self.progress_at = now
        self.round_trip.acknowledged()
        self._timeouts = 0
        self._timeout_at = None if flight.is_empty else now + self.round_trip.timeout_s
        if self._watcher is not None:
            self._watcher("ack", now, ack, size, ack)
        return True

    def segments(self, now: float) -> Iterator[tuple[Sent, bool]]:
        """Send what can be sent now.

        @return: each segment, and whether nothing follows until something is acknowledged. All of them count as sent.
        """
        self._check_time(now)
        flight, counters, model = self.flight, self._counters, self.model
        sent = self._choose(now)
        while sent is not None:
            is_again = sent.number >= 0
            flight.note_sent(sent, now)
            rate = model.rate
            if rate:
                release_at, earliest = self._release_at, now - model.burst_bytes / rate
                if release_at < earliest:
                    release_at = earliest
                self._release_at = release_at + (sent.end - sent.offset) / rate
            if is_again:
                counters.resent += 1
            else:
                counters.sent += 1
            following = self._choose(now)
            if self._is_plain or not self._is_dropped(sent, is_again, now):
                yield sent, following is None and not (self._wants_to_send() and self._has_room())
            sent = following

    def next_at(self, now: float) -> float | None:
        """The time of the next thing to do if nothing comes."""
        at = self._timeout_at
        overtaken_at = self.flight.overtaken_at
        if overtaken_at is not None and (at is None or overtaken_at < at):
            at = overtaken_at
        if self._wants_to_send():
            if self._has_room():
                due = self._burst_at(now)
            elif not len(self.flight):
                due = self._arm_probe(now)
            else:
                return at
            at = due if at is None or due < at else at
        return at

    def takes_probe(self, now: float) -> bool:
        """Whether to ask the other end for room now."""
        if self._probe_at is None or now < self._probe_at:
            return False
        self._probe_at = None
        self._probes = min(_MOST_PROBES, self._probes + 1)
        return True

    # Inside.

    def _begin(self, now: float) -> None:
        """If nothing was to be sent before, it is now that it begins."""
        if not self.unsent_bytes and self.flight.is_empty:
            self.progress_at = now

    def _check_time(self, now: float) -> None:
        overtaken_at = self.flight.overtaken_at
        if overtaken_at is not None and now >= overtaken_at:
            self.flight.find_lost(now)
        if self._timeout_at is not None and now >= self._timeout_at:
            self._time_out(now)

    def _time_out(self, now: float) -> None:
        """Nothing came for long: send the first again, whatever window and pace say. When that is acknowledged, all
        that was sent before has been overtaken; if the first copy was only late, nothing else was sent for nothing."""
        self._counters.timeouts += 1
        self._timeouts += 1
        self.round_trip.timed_out()
        self._timeout_at = now + self.round_trip.timeout_s
        self.flight.give_up_first()
        self._must_send = True
        if self._timeouts > 1:
            self.model.timed_out()

    def _wants_to_send(self) -> bool:
        return self.unsent_bytes > 0 or self.flight.has_lost or (self._is_ending and not self._is_end_sent)

    def _has_room(self) -> bool:
        """Whether window and flow allow one more, whatever the pace."""
        flight = self.flight
        if flight.in_flight >= self.model.window_bytes or flight.in_flight >= self._most_in_flight:
            return False
        if flight.has_lost:
            return True
        if self._is_one_by_one and len(flight):
            return False
        room = self._edge - flight.next
        if room <= 0:
            return not self.unsent_bytes and self._is_ending and not self._is_end_sent
        return room >= self._mss or room >= self.unsent_bytes or not len(flight)

    def _burst_at(self, now: float) -> float:
        """The time at which so much may be sent that it is worth a turn."""
        rate = self.model.rate
        later_s = self.model.burst_bytes / rate / 2 if rate else 0.0
        # With nothing under way there is nothing to pace.
        return max(now, self._release_at) + later_s if len(self.flight) else now

    def _is_dropped(self, sent: Sent, is_again: bool, now: float) -> bool:
        """Whether to throw it away on purpose; and say what happens to it."""
        is_dropped = self._drop > 0 and self._rng.random() < self._drop
        self._counters.dropped += is_dropped
        if self._watcher is not None:
            event = "drop" if is_dropped else "rtx" if is_again else "snd"
            self._watcher(event, now, sent.offset, len(sent.payload), self.flight.acknowledged)
        return is_dropped

    def _choose(self, now: float) -> Sent | None:
        """The segment to send next, if any."""
        flight = self.flight
        if self._must_send:
            self._must_send = False
            return flight.take_lost()
        in_flight = flight.in_flight
        if (
            (self._release_at > now and in_flight)
            or in_flight >= self.model.window_bytes
            or in_flight >= self._most_in_flight
        ):
            return None
        if flight.lost and (sent := flight.take_lost()) is not None:
            return sent
        if self._is_one_by_one and len(flight):
            return None
        unsent_bytes, mss = self.unsent_bytes, self._mss
        if not unsent_bytes:
            if self._is_ending and not self._is_end_sent:
                return self._cut(0, now)
            flight.note_app_limited()
            return None
        room = self._edge - flight.next
        if room >= mss:
            return self._cut(mss if unsent_bytes > mss else unsent_bytes, now)
        # A small part of a larger segment is only sent when nothing else goes on (RFC 1122, 4.2.3.4).
        if room > 0 and (room >= unsent_bytes or not len(flight)):
            return self._cut(min(room, unsent_bytes), now)
        return None

    def _cut(self, size: int, now: float) -> Sent:
        """Make a segment of what was never sent."""
        payload = self._take(size) if size else b""
        if self._is_ending and not self.unsent_bytes:
            self._is_end_sent = True
        if self._timeout_at is None:
            self._timeout_at = now + self.round_trip.timeout_s
        return self.flight.add(payload, is_end=self._is_end_sent)

    def _take(self, size: int) -> bytes:
        """Some bytes that were never sent."""
        self.unsent_bytes -= size
        first, begin = self._unsent[0], self._unsent_from
        if begin + size < len(first):
            self._unsent_from = begin + size
            return first[begin : begin + size]
        parts = []
        while size:
            first = self._unsent[0]
            part = first[self._unsent_from : self._unsent_from + size]
            parts.append(part)
            size -= len(part)
            self._unsent_from += len(part)
            if self._unsent_from == len(first):
                self._unsent.popleft()
                self._unsent_from = 0
        return b"".join(parts)

    def _arm_probe(self, now: float) -> float:
        if self._probe_at is None:
            self._probe_at = now + min(_LONGEST_PROBE_S, self.round_trip.timeout_s * 2**self._probes)
        return self._probe_at
