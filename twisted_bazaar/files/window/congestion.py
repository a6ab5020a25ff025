"""Congestion control (BBR): a rate at which a link is full, its queue short, and others have as much. Sans-IO.

In the manner of BBR (Cardwell et al., "BBR: Congestion-Based Congestion Control", ACM Queue 14(5), 2016; the
measure of the rate of delivery is that of draft-cheng-iccrg-delivery-rate-estimation): a model of the way, made of the
greatest rate at which bytes were delivered of late and the shortest round trip, and not of losses, decides on rate and
window. So one datagram in twenty that gets lost on a radio link costs one in twenty, where TCP's Reno would come down
to 1.2 / sqrt(0.05), some five segments a round trip (Mathis et al., CCR 27(3), 1997).

Streams of this kind come to about equal shares. Each now and then sends a quarter faster for a round trip, by which the
slower gains more; while a queue stands, which all of them see, they send slower than was delivered, the faster by
more, and for all round trips up to 60 ms the same; and every few seconds they let the queue run empty, to measure the
way without it. The second of these is not BBR's, but what delay is for others that measure it (Arun and Balakrishnan,
"Copa", NSDI 2018). From there is also what is done beside those who fill any queue, as TCP does: when one stays though
it should be empty, nothing is yielded to it.

Another thing that BBR's first version lacks is borrowed from its second: not to be deaf to losses. What more of them
there are while the queue is long than are usual while it is short is a queue that runs over, and no radio (the
distinction is that of Fu and Liew, "TCP Veno", JSAC 21(2), 2003), and lowers what may be under way.
"""

from __future__ import annotations

import math
import random
from collections import deque
from enum import Enum
from typing import Final

# Enough to double the rate each round trip; and what empties again the queue that this made.
_STARTUP_GAIN: Final = 2.885
_DRAIN_GAIN: Final = 1 / _STARTUP_GAIN
_CYCLE: Final = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
# How much slower than what was delivered while a queue stands, for each second of it and each root of a segment a
# second; and at most. By the root, and not by the round trip: the queue at which a stream neither gains nor loses is
# then the shorter the faster it is, and for equal rates the same for all, however far they go.
_SLOPE: Final = 1.0
_LEAST_GAIN: Final = 0.5
# Past this round trip it is the less the longer the way is. What is yielded shows a round trip later, so with the same
# slope for all a long way has its queue swing between empty and long, and all yield the most or nothing, whatever share
# they have (Paganini, Doyle and Low, "Scalable laws for stable network congestion control", CDC 2001).
_STEADY_S: Final = 0.06
# A queue that stays when streams like this let it run empty is that of others, who do not yield: longer than this, in
# shortest round trips.
_OTHERS_STAND: Final = 0.25
_WINDOW_GAIN: Final = 2.0
# The pipe is full when the rate has not grown by a quarter in three round trips.
_GROWTH: Final = 1.25
_ROUNDS_WITHOUT_GROWTH: Final = 3
# Or when a round trip takes so much longer than the shortest.
_QUEUE_STANDS: Final = 1.5
# The greatest rate is that of so many round trips, and no less than this: where they are short, a turn of the reactor
# takes several. More, and streams that become more would long remember what was theirs before.
_RATE_ROUNDS: Final = 3
_RATE_S: Final = 0.05
# How long a shortest round trip is believed, and how it is measured again.
_LEAST_LIFETIME_S: Final = 2.5
_EMPTYING_S: Final = 0.05
# What timers, and the turns of a reactor at both ends, add to a round trip; on loopback it is most of it.
_SLACK_S: Final = 0.002
_BURST_S: Final = 0.001
# Where so few fill the way, the same for all makes them equal.
_EXTRA_SEGMENTS: Final = 3
_FEWEST_SEGMENTS: Final = 4
FIRST_SEGMENTS: Final = 16
# What counts as a queue that runs over: more lost of so many segments than is usual while the queue is short, or more
# than this anyway.
_MOST_LOST: Final = 0.15
_BEYOND_USUAL: Final = 0.02
_USUAL_AT_FIRST: Final = 0.065
_LEARNT: Final = 0.25
_FEWEST_LOST: Final = 3
_JUDGED_SEGMENTS: Final = 32
# A queue is short that is shorter than half of the longest of late, or than this share of a round trip.
_SHORT: Final = 0.5
_NO_QUEUE: Final = 0.05
_LOWERED: Final = 0.85
_RAISED: Final = 1.15
_RAISED_SEGMENTS: Final = 1


class Mode(Enum):
    """The mode of the sender: what it is trying to find out."""

    STARTUP = "startup"
    DRAIN = "drain"
    CRUISE = "cruise"
    EMPTYING = "emptying"


class Model:
    """A model of the way, and what follows for one sender.

    @param segment_bytes: the bytes of the stream in a full segment.
    @ivar rate: bytes a second at which to send; 0 for any.
    @ivar window_bytes: how many may be under way.
    """

    def __init__(self, segment_bytes: int, rng: random.Random) -> None:
        self._segment_bytes = segment_bytes
        self._rng = rng
        self._least_window = _FEWEST_SEGMENTS * segment_bytes
        self.mode: Mode = Mode.STARTUP
        self.rate: float = 0.0
        self.window_bytes: int = FIRST_SEGMENTS * segment_bytes
        # The greatest rates of delivery, falling, each with its round and time.
        self._rates: deque[tuple[int, float, float]] = deque()
        self._round = 0
        self._round_ends_at = 0
        self._round_lost = 0
        self._round_delivered = 0
        self._full_rate = 0.0
        self._rounds_without_growth = 0
        self._is_full = False
        self._least_s = float("inf")
        self._least_at = 0.0
        # The shortest round trip of this round, and of the one before: what stands in the queue all the time.
        self._round_least_s = self._standing_s = 0.0
        self._phase = 0
        self._phase_began = 0.0
        self._emptied_at: float | None = None
        self._ceiling = float("inf")
        # The shortest round trips of the last times that the queue was emptied, and whether others keep one.
        self._leasts: deque[float] = deque(maxlen=12)
        self._is_contended = False
        # The longest of late, and since the last judgement.
        self._longest_s = self._longest_before_s = self._judged_longest_s = 0.0
        self._judged_lost = self._judged_delivered = 0
        self._usual_loss = _USUAL_AT_FIRST
        self._is_timed_out = False

    @property
    def delivery_rate(self) -> float:
        """Bytes a second, the most of late; 0 as long as nothing is known."""
        return self._rates[0][2] if self._rates else 0.0

    @property
    def least_s(self) -> float:
        """The shortest round trip of late."""
        return self._least_s

    @property
    def burst_bytes(self) -> float:
        """The bytes that may go out together."""
        return max(2 * self._segment_bytes, self.rate * _BURST_S)

    def handshake_done(self, round_trip_s: float, now: float) -> None:
        """The first round trip was measured, when nothing else was under way."""
        self._measured(round_trip_s, now, 0)
        self.rate = _STARTUP_GAIN * self.window_bytes / (round_trip_s + _SLACK_S)

    def on_loss(self, size: int) -> None:
        """So many bytes are taken for lost."""
        self._round_lost += size

    def timed_out(self) -> None:
        """Nothing has come back for so long that nothing is known of what is under way."""
        self._is_timed_out = True
        self.window_bytes = self._least_window

    def on_delivery(
        self,
        now: float,
        size: int,
        total: int,
        prior_total: int,
        interval_s: float,
        is_app_limited: bool,
        round_trip_s: float | None,
        in_flight: int,
    ) -> None:
        """Bytes were delivered.

        @param total: how many in all.
        @param prior_total: how many had been when the last of these was sent.
        @param interval_s: in which all since C{prior_total} were sent, and acknowledged, whichever took longer.
        @param is_app_limited: whether there was not enough to send meanwhile.
        @param round_trip_s: what was measured, if anything.
        """
        self._is_timed_out = False
        self._round_delivered += size
        begins_round = prior_total >= self._round_ends_at
        if begins_round:
            self._round += 1
            self._round_ends_at = total
            self._standing_s, self._round_least_s = self._round_least_s, float("inf")
            self._check_losses(in_flight)
        if interval_s > 0 and interval_s >= self._least_s * 0.5:
            self._take_rate((total - prior_total) / interval_s, is_app_limited, now)
        if begins_round and not self._is_full and not is_app_limited:
            self._check_growth()
        if round_trip_s is not None:
            self._measured(round_trip_s, now, in_flight)
        self._change_mode(now, in_flight)
        self._set(now)

    # Inside.

    def _take_rate(self, rate: float, is_app_limited: bool, now: float) -> None:
        rates = self._rates
        oldest_round, oldest = self._round - _RATE_ROUNDS, now - _RATE_S
        while rates and rates[0][0] < oldest_round and rates[0][1] < oldest:
            rates.popleft()
        if is_app_limited and rates and rate < rates[0][2]:
            # It says nothing of the way.
            return
        while rates and rates[-1][2] <= rate:
            rates.pop()
        rates.append((self._round, now, rate))

    def _check_growth(self) -> None:
        if self._standing_s > _QUEUE_STANDS * self._least_s + 2 * _SLACK_S:
            self._is_full = True
            return
        rate = self.delivery_rate
        if rate >= self._full_rate * _GROWTH:
            self._full_rate, self._rounds_without_growth = rate, 0
            return
        self._rounds_without_growth += 1
        self._is_full = self._rounds_without_growth >= _ROUNDS_WITHOUT_GROWTH

    def _check_losses(self, in_flight: int) -> None:
        """Judge what got lost: whether a queue runs over, or it is only the way."""
        delivered = self._round_delivered
        self._judged_lost += self._round_lost
        self._judged_delivered += delivered
        self._round_lost = self._round_delivered = 0
        if self.mode is Mode.CRUISE and self._phase == 0:
            self._ceiling = self._ceiling * _RAISED + _RAISED_SEGMENTS * self._segment_bytes
        lost, all_bytes = self._judged_lost, self._judged_lost + self._judged_delivered
        if all_bytes < _JUDGED_SEGMENTS * self._segment_bytes:
            return
        share = lost / all_bytes
        longest_s = max(self._longest_s, self._longest_before_s)
        queue_s = self._judged_longest_s - self._least_s
        is_short = queue_s < max(_SLACK_S + _NO_QUEUE * self._least_s, _SHORT * (longest_s - self._least_s))
        self._judged_lost = self._judged_delivered = 0
        self._judged_longest_s = 0.0
        tolerated = min(_MOST_LOST, _BEYOND_USUAL + 2 * self._usual_loss)
        if is_short:
            self._usual_loss += _LEARNT * (share - self._usual_loss)
        if lost >= _FEWEST_LOST * self._segment_bytes and share > tolerated and (not is_short or share > _MOST_LOST):
            self._is_full = True
            self._ceiling = max(self._least_window, _LOWERED * min(self._ceiling, max(in_flight, delivered)))

    def _measured(self, round_trip_s: float, now: float, in_flight: int) -> None:
        """Take a round trip; when the shortest is old, empty the queue to see it again."""
        self._round_least_s = min(self._round_least_s, round_trip_s)
        self._longest_s = max(self._longest_s, round_trip_s)
        self._judged_longest_s = max(self._judged_longest_s, round_trip_s)
        is_old = now - self._least_at > _LEAST_LIFETIME_S
        if round_trip_s <= self._least_s or is_old:
            if is_old and round_trip_s > self._least_s and self.mode is not Mode.EMPTYING:
                self.mode, self._emptied_at = Mode.EMPTYING, None
            self._least_s, self._least_at = round_trip_s, now

    def _change_mode(self, now: float, in_flight: int) -> None:
        match self.mode:
            case Mode.STARTUP if self._is_full:
                self.mode = Mode.DRAIN
            case Mode.DRAIN if in_flight <= self._product():
                self._cruise(now)
            case Mode.CRUISE:
                self._step(now, in_flight)
            case Mode.EMPTYING:
                self._empty(now, in_flight)

    def _cruise(self, now: float) -> None:
        """Begin with any part of the cycle but that which slows down, so that streams do not go in step."""
        self.mode = Mode.CRUISE
        self._phase = (self._rng.randrange(len(_CYCLE) - 1) + 2) % len(_CYCLE)
        self._phase_began = now

    def _step(self, now: float, in_flight: int) -> None:
        gain = _CYCLE[self._phase]
        is_over = now - self._phase_began > self._least_s + _SLACK_S
        if gain > 1:
            # Until it has made itself felt, or something was lost of it.
            is_over = is_over and (self._round_lost > 0 or in_flight >= gain * self._product())
            is_over = is_over or now - self._phase_began > 3 * (self._least_s + _SLACK_S)
        elif gain < 1:
            is_over = is_over or in_flight <= self._product()
        if is_over:
            self._phase = (self._phase + 1) % len(_CYCLE)
            self._phase_began = now

    def _empty(self, now: float, in_flight: int) -> None:
        """Keep little under way for long enough that all who share the queue do so together."""
        if self._emptied_at is None:
            if in_flight <= self._least_window:
                self._emptied_at = now + max(_EMPTYING_S, self._least_s)
                self._least_s, self._least_at = float("inf"), now
        elif now >= self._emptied_at:
            self._note_emptied()
            if self._is_full:
                self._cruise(now)
            else:
                self.mode = Mode.STARTUP

    def _note_emptied(self) -> None:
        """See what is left of the queue when it should be empty."""
        self._longest_before_s, self._longest_s = self._longest_s, 0.0
        if self._least_s == float("inf"):
            # Nothing came back meanwhile: that is no queue of others.
            return
        self._leasts.append(self._least_s)
        # What is left when all who share it keep the least under way, and have as much as this one.
        left_s = 1.5 * self._least_window / self.delivery_rate if self.delivery_rate else float("inf")
        expected_s = max(min(self._leasts), left_s)
        self._is_contended = self._least_s > (1 + _OTHERS_STAND) * expected_s + 2 * _SLACK_S

    def _product(self) -> float:
        """The bandwidth-delay product: the bytes that fill the way and no queue."""
        if self._least_s == float("inf"):
            return float(self.window_bytes)
        return self.delivery_rate * (self._least_s + _SLACK_S)

    def _cruise_gain(self) -> float:
        """Slower than what was delivered while a queue stands: all who share it see it, and come down by the same
        share; without that the window alone would hold them back, and nobody could gain by probing."""
        standing_s = min(self._standing_s, self._round_least_s)
        if self._is_contended or standing_s == float("inf"):
            return 1.0
        excess_s = standing_s - self._least_s - _SLACK_S
        # The queue of others may be in the last of them.
        way_s = min(self._least_s, *self._leasts) if self._leasts else self._least_s
        slope = _SLOPE * min(1.0, _STEADY_S / way_s)
        price = slope * excess_s * math.sqrt(self.delivery_rate / self._segment_bytes)
        return min(1.0, max(_LEAST_GAIN, 1.0 - price))

    def _set(self, now: float) -> None:
        rate = self.delivery_rate
        if not rate:
            return
        product = self._product()
        match self.mode:
            case Mode.STARTUP:
                pace, window = _STARTUP_GAIN, _STARTUP_GAIN * product
            case Mode.DRAIN:
                pace, window = _DRAIN_GAIN, _STARTUP_GAIN * product
            case Mode.EMPTYING:
                pace, window = 1.0, self._least_window
            case _:
                # The same for all, which makes those equal that have little.
                pace, window = _CYCLE[self._phase], _WINDOW_GAIN * product + _EXTRA_SEGMENTS * self._segment_bytes
                if pace == 1.0:
                    pace = self._cruise_gain()
        if self.mode is Mode.STARTUP:
            # The first rates are those of a window that was too small, and mean little.
            self.rate = max(self.rate, pace * rate)
            window = max(window, self.window_bytes, FIRST_SEGMENTS * self._segment_bytes)
        else:
            self.rate = pace * rate
        self.window_bytes = int(max(min(window, self._ceiling), self._least_window))
