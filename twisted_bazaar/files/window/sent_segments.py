"""Sent segments of a stream: what has come, what is taken for lost, and the rate at which bytes get there. Sans-IO.

What gets lost is found out in the order of sending, as by RACK (RFC 8985): a segment is lost when three that were sent
after it have come. Once a segment has come after all that was taken for lost, time decides in place of number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from twisted_bazaar.files.window.congestion import Model
from twisted_bazaar.files.window.rtt import RoundTrip
from twisted_bazaar.files.window.sack_ranges import SackRanges
from twisted_bazaar.files.window.segment import DELAY_UNIT_S, LONGEST_DELAY, Range
from twisted_bazaar.files.window.settings import Counters

_OVERTAKEN_BY: Final = 3
# How much longer than a round trip is waited at least once segments have been overtaken, in round trips, and for how
# many of these.
_LEAST_OVERTAKEN: Final = 0.25
_OVERTAKEN_ROUNDS: Final = 50
# How many segments that were sent again are still known.
_REMEMBERED: Final = 1024
NUMBERS: Final = 1 << 32


class Sent:
    """A segment that was sent and not acknowledged.

    @ivar end: the offset after its last byte; one more with the end of the stream.
    @ivar number: that of its last transmission, C{sent_at} when that was, and C{is_again} whether it was not the first.
    @ivar total: how many bytes had been delivered at that time, C{total_at} when the last of them was, and
        C{first_at} when that one was sent: the beginning of the interval in which a rate is measured.
    @ivar is_app_limited: whether there was less to send then than could have been.
    """

    __slots__ = (
        "end",
        "first_at",
        "has_come",
        "is_again",
        "is_app_limited",
        "number",
        "offset",
        "payload",
        "sent_at",
        "total",
        "total_at",
    )

    def __init__(self, offset: int, payload: bytes, end: int) -> None:
        self.offset: int = offset
        self.payload: bytes = payload
        self.end: int = end
        self.has_come: bool = False
        self.is_again: bool = False
        self.is_app_limited: bool = False
        self.number: int = -1
        self.sent_at: float = 0.0
        self.total_at: float = 0.0
        self.first_at: float = 0.0
        self.total: int = 0


class SentSegments:
    """The segments of one stream that are under way.

    @ivar acknowledged: all before this offset has come.
    @ivar in_flight: how many bytes are under way.
    @ivar lost: what is to be sent again, and perhaps some that has come after all.
    @ivar next: the offset after all that was sent.
    @ivar overtaken_at: when to look again for what is lost.
    """

    def __init__(self, model: Model, round_trip: RoundTrip, counters: Counters, now: float) -> None:
        self.acknowledged: int = 0
        self.in_flight: int = 0
        self.next: int = 0
        self.lost: deque[Sent] = deque()
        self.overtaken_at: float | None = None
        self._model = model
        self._round_trip = round_trip
        self._counters = counters
        # All that is not acknowledged by offset; what is under way of it, by transmission, in the order of sending.
        self._waiting: deque[Sent] = deque()
        self._at: dict[int, Sent] = {}
        self._flight: dict[int, Sent] = {}
        self._came = SackRanges()
        # 0 is said by who has got nothing.
        self._number = 1
        self._newest = 0
        # What was taken for lost, when it was sent, and whether others had overtaken it.
        self._given_up: dict[int, tuple[float, bool]] = {}
        self._overtaken_s = 0.0
        self._overtaken_until = now
        self._total = 0
        self._total_at = self._first_at = now
        self._app_limited_until = 0

    def __len__(self) -> int:
        """The number of segments under way."""
        return len(self._flight)

    @property
    def is_empty(self) -> bool:
        """Whether everything that was sent is acknowledged."""
        return not self._waiting

    @property
    def has_lost(self) -> bool:
        """Whether something is to be sent again."""
        while self.lost and self.lost[0].has_come:
            self.lost.popleft()
        return bool(self.lost)

    def take_lost(self) -> Sent | None:
        """Take the first segment that is to be sent again; None if there is none."""
        return self.lost.popleft() if self.has_lost else None

    def add(self, payload: bytes, *, is_end: bool) -> Sent:
        """Take a segment that was never sent."""
        offset = self.next
        self.next = offset + len(payload) + is_end
        sent = Sent(offset, payload, self.next)
        self._waiting.append(sent)
        self._at[offset] = sent
        return sent

    def note_sent(self, sent: Sent, now: float) -> None:
        """It goes out now."""
        if not self._flight:
            self._first_at = self._total_at = now
        if sent.number >= 0:
            sent.is_again = True
        number = sent.number = self._number
        self._number = (number + 1) % NUMBERS or 1
        sent.sent_at = now
        sent.total, sent.total_at, sent.first_at = self._total, self._total_at, self._first_at
        sent.is_app_limited = self._total < self._app_limited_until
        self._flight[number] = sent
        self.in_flight += sent.end - sent.offset

    def note_app_limited(self) -> None:
        """More could be under way, and there is nothing to send."""
        self._app_limited_until = self._total + max(1, self.in_flight)

    def acknowledge(self, ack: int, ranges: Sequence[Range], echo: int, delay: int, now: float) -> int | None:
        """Take what the other end says has come.

        @param echo: the number of the transmission that came last there.
        @param delay: how long that was before it said so.
        @return: how many bytes have come; None if it says nothing new.
        """
        sent_at, echoed = self._sent_at(echo, now)
        round_trip_s, came_at = None, now
        if sent_at is not None and delay < LONGEST_DELAY:
            # When it came there; when that was said is less regular.
            came_at = now - delay * DELAY_UNIT_S
            round_trip_s = max(1e-6, came_at - sent_at)
            self._round_trip.add_sample(round_trip_s)
        is_further = ack > self.acknowledged
        came = self._take_in_order(ack) if is_further else []
        if ranges:
            self._take_ranges(ranges, came)
        if not came:
            return 0 if is_further else None
        size, newest = 0, None
        for sent in came:
            size += sent.end - sent.offset
            # Of what was sent again it is not known which copy came, unless that is said.
            if (not sent.is_again or sent is echoed) and (newest is None or sent.sent_at >= newest.sent_at):
                newest = sent
        self._total += size
        if newest is not None:
            self._measure(newest, size, round_trip_s, came_at, now)
            self.find_lost(now)
        return size

    def find_lost(self, now: float) -> None:
        """Take for lost what was overtaken by enough others, or long enough ago."""
        self.overtaken_at = None
        is_by_time = self._overtaken_until > now
        round_trip = self._round_trip
        wait_s = max(round_trip.latest_s, round_trip.smoothed_s or 0.0) + self._overtaken_s
        lost = []
        for sent in self._flight.values():
            behind = (self._newest - sent.number) % NUMBERS
            if behind >= NUMBERS // 2:
                # It was sent after that.
                break
            if is_by_time:
                if now < sent.sent_at + wait_s:
                    self.overtaken_at = sent.sent_at + wait_s
                    break
            elif behind < _OVERTAKEN_BY:
                break
            lost.append(sent)
        for sent in lost:
            self._give_up(sent, is_overtaken=True)

    def give_up_first(self) -> None:
        """Take for lost the first bytes that have not come, though nothing has overtaken them (RFC 6298, 5.4).

        They go before all that is lost: a receiver that keeps few ranges can take nothing else.
        """
        first = next((sent for sent in self._waiting if not sent.has_come), None)
        if first is None:
            return
        if first.number in self._flight:
            self._give_up(first, is_overtaken=False)
        self.lost.remove(first)
        self.lost.appendleft(first)

    # Inside.

    def _sent_at(self, number: int, now: float) -> tuple[float | None, Sent | None]:
        """The time at which a segment that has come was sent, and the segment if it is still under way."""
        sent = self._flight.get(number)
        if sent is not None:
            return sent.sent_at, sent
        if number not in self._given_up:
            return None, None
        # It was sent again needlessly: wait longer for others, for a while.
        sent_at, is_overtaken = self._given_up.pop(number)
        self._counters.needless += 1
        smoothed_s = self._round_trip.smoothed_s
        if is_overtaken and smoothed_s is not None:
            late_s = max(now - sent_at - smoothed_s, _LEAST_OVERTAKEN * smoothed_s)
            self._overtaken_s = min(smoothed_s, max(self._overtaken_s, late_s))
            self._overtaken_until = now + _OVERTAKEN_ROUNDS * smoothed_s
        return sent_at, None

    def _take_in_order(self, ack: int) -> list[Sent]:
        """Take what has come of that before an offset."""
        self.acknowledged = ack
        came = []
        waiting, flight, at = self._waiting, self._flight, self._at
        while waiting and waiting[0].end <= ack:
            sent = waiting.popleft()
            del at[sent.offset]
            if not sent.has_come:
                sent.has_come = True
                if flight.pop(sent.number, None) is not None:
                    self.in_flight -= sent.end - sent.offset
                came.append(sent)
        if self._came:
            self._came.drop_before(ack)
        return came

    def _take_ranges(self, ranges: Sequence[Range], came: list[Sent]) -> None:
        """Take what has come out of order."""
        at, flight, known = self._at, self._flight, self._came
        for first, end in ranges:
            if first < self.acknowledged or end > self.next:
                continue
            for gap_first, gap_end in known.missing(first, end):
                offset = gap_first
                while offset < gap_end and (sent := at.get(offset)) is not None and sent.end <= gap_end:
                    offset = sent.end
                    sent.has_come = True
                    if flight.pop(sent.number, None) is not None:
                        self.in_flight -= sent.end - sent.offset
                    came.append(sent)
                if offset > gap_first:
                    known.add(gap_first, offset)

    def _measure(self, newest: Sent, size: int, round_trip_s: float | None, came_at: float, now: float) -> None:
        if came_at > self._total_at:
            self._total_at = came_at
        interval_s = max(newest.sent_at - newest.first_at, self._total_at - newest.total_at)
        self._first_at = newest.sent_at
        if (newest.number - self._newest) % NUMBERS < NUMBERS // 2:
            self._newest = newest.number
        self._model.on_delivery(
            now, size, self._total, newest.total, interval_s, newest.is_app_limited, round_trip_s, self.in_flight
        )

    def _give_up(self, sent: Sent, *, is_overtaken: bool) -> None:
        del self._flight[sent.number]
        size = sent.end - sent.offset
        self.in_flight -= size
        self.lost.append(sent)
        self._given_up[sent.number] = (sent.sent_at, is_overtaken)
        if len(self._given_up) > _REMEMBERED:
            del self._given_up[next(iter(self._given_up))]
        if is_overtaken:
            self._model.on_loss(size)
