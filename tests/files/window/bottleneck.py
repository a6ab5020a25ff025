"""Several senders over one narrow way with little room before it, in virtual time; and senders of other kinds.

The senders and receivers are those of streams; what is left out is the opening and the bytes of segments, so that
twenty seconds of many senders take less than one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any

from attrs import frozen

from twisted_bazaar.files.window.congestion import Model
from twisted_bazaar.files.window.receiver import Receiver
from twisted_bazaar.files.window.sender import Sender
from twisted_bazaar.files.window.settings import DEFAULT_MSS, Counters, Settings

_SETTINGS = Settings()
_ROOM = 1 << 30
_MUCH = bytes(1 << 20)
_OVERHEAD = 50
_TURN_S = 0.0001


@frozen
class Narrow:
    """A narrow way.

    @ivar rate: bytes a second.
    @ivar room: how much may wait before it, in round trips of 1 at this rate.
    @ivar round_trip_s: of an empty way.
    @ivar loss: the share that gets lost behind it, at random.
    """

    rate: float
    round_trip_s: float
    room: float = 1.0
    loss: float = 0.0


class Flow:
    """One sender and its receiver.

    @param make_model: its congestion response; None for that of streams.
    @ivar came: how many bytes have come in order.
    """

    def __init__(
        self,
        starts_at: float,
        delay_s: float,
        rng: random.Random,
        make_model: Callable[[int], Any] | None = None,
    ) -> None:
        self.starts_at = starts_at
        self.delay_s = delay_s
        counters = Counters()
        self.sender = Sender(_SETTINGS, DEFAULT_MSS, rng, counters, None, starts_at)
        if make_model is not None:
            self.sender.model = self.sender.flight._model = make_model(DEFAULT_MSS)
        self.receiver = Receiver(_SETTINGS, counters, None)
        self.counters = counters
        self.timer_at = float("inf")
        self.ack_timer_at = float("inf")

    @property
    def came(self) -> int:
        """How many bytes have come in order."""
        return self.receiver.next


class Bottleneck:
    """What runs them.

    @ivar dropped: how many bytes had no room.
    @ivar passed: how many bytes have passed.
    """

    def __init__(self, way: Narrow, seed: int = 1) -> None:
        self.way = way
        self.now = 0.0
        self.flows: list[Flow] = []
        self.dropped = self.passed = 0
        self.rng = random.Random(seed)
        self._free_at = 0.0
        self._room_s = max(way.room * way.round_trip_s, 2 * (DEFAULT_MSS + _OVERHEAD) / way.rate)
        self._numbers = count()
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []

    def add(self, starts_at: float, longer: float = 1.0, make_model: Callable[[int], Any] | None = None) -> Flow:
        """Have a sender begin.

        @param longer: its round trip, in those of the way.
        """
        rng = random.Random(self.rng.random())
        flow = Flow(starts_at, self.way.round_trip_s * longer / 2, rng, make_model)
        self.flows.append(flow)
        self._at(starts_at, self._start, flow)
        return flow

    def run_until(self, until: float) -> None:
        """Let time pass."""
        events = self._events
        while events and events[0][0] <= until:
            at, _, what, arguments = heappop(events)
            self.now = at
            what(*arguments)
        self.now = until

    def measure(self, since: float, until: float) -> list[float]:
        """How many bytes a second each gets from one time to another."""
        self.run_until(since)
        before = [flow.came for flow in self.flows]
        self.run_until(until)
        return [(flow.came - came) / (until - since) for flow, came in zip(self.flows, before, strict=True)]

    # Inside.

    def _at(self, at: float, what: Callable[..., None], *arguments: Any) -> None:
        heappush(self._events, (at, next(self._numbers), what, arguments))

    def _start(self, flow: Flow) -> None:
        flow.sender.handshake_done(2 * flow.delay_s + max(0.0, self._free_at - self.now), self.now)
        flow.sender.may_send_to(_ROOM, self.now)
        self._turn(flow)

    def _turn(self, flow: Flow) -> None:
        """Send what may be sent."""
        now, sender, way = self.now, flow.sender, self.way
        if sender.unsent_bytes < len(_MUCH):
            sender.write(_MUCH, now)
        for sent, asks in sender.segments(now):
            takes_s = (sent.end - sent.offset + _OVERHEAD) / way.rate
            wait_s = max(0.0, self._free_at - now)
            if wait_s + takes_s > self._room_s:
                self.dropped += sent.end - sent.offset
                continue
            self._free_at = now + wait_s + takes_s
            self.passed += sent.end - sent.offset
            if way.loss and self.rng.random() < way.loss:
                continue
            arrives_at = self._free_at + flow.delay_s
            self._at(arrives_at, self._arrive, flow, sent.offset, sent.payload, sent.number, asks)
        at = sender.next_at(now)
        if at is not None:
            at = max(at, now + _TURN_S)
            if at < flow.timer_at:
                flow.timer_at = at
                self._at(at, self._timer, flow, at)

    def _timer(self, flow: Flow, at: float) -> None:
        if flow.timer_at == at:
            flow.timer_at = float("inf")
            self._turn(flow)

    def _arrive(self, flow: Flow, offset: int, payload: bytes, number: int, asks: bool) -> None:
        receiver = flow.receiver
        receiver.receive(offset, payload, False, number, asks, self.now)
        receiver.read()
        self._acknowledge(flow)

    def _acknowledge(self, flow: Flow) -> None:
        receiver = flow.receiver
        at = receiver.ack_at
        if at is None:
            return
        if at > self.now + 1e-9:
            if at < flow.ack_timer_at:
                flow.ack_timer_at = at
                self._at(at, self._ack_timer, flow, at)
            return
        ranges = tuple(receiver.ranges())
        ack, _, echo, delay = receiver.acknowledgement(self.now)
        receiver.ack_at = None
        self._at(self.now + flow.delay_s, self._acknowledged, flow, ack, ranges, echo, delay)

    def _ack_timer(self, flow: Flow, at: float) -> None:
        if flow.ack_timer_at == at:
            flow.ack_timer_at = float("inf")
            self._acknowledge(flow)

    def _acknowledged(self, flow: Flow, ack: int, ranges: Sequence[Any], echo: int, delay: int) -> None:
        flow.sender.acknowledge(ack, ranges, echo, delay, self.now)
        self._turn(flow)


def jain(rates: Sequence[float]) -> float:
    """Jain's index of fairness: 1 for equal, 1 / n if one has all."""
    square = sum(rate * rate for rate in rates)
    return sum(rates) ** 2 / (len(rates) * square) if square else 0.0


class Reno:
    """The congestion response of TCP (RFC 5681): half for a loss, one segment more a round trip."""

    burst_bytes = 1 << 30
    rate = 0.0

    def __init__(self, segment_bytes: int) -> None:
        self._segment_bytes = segment_bytes
        self.window_bytes = 10 * segment_bytes
        self._window = float(self.window_bytes)
        self._threshold = float("inf")
        self._lost = 0
        self._recovers_at = 0

    def handshake_done(self, round_trip_s: float, now: float) -> None:
        """Nothing."""

    def on_loss(self, size: int) -> None:
        """Something got lost."""
        self._lost += size

    def timed_out(self) -> None:
        """Begin again."""
        self._threshold = max(self._window / 2, 2 * self._segment_bytes)
        self._window = float(self._segment_bytes)
        self.window_bytes = int(self._window)

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
        """Something came."""
        if self._lost and prior_total >= self._recovers_at:
            self._threshold = self._window = max(self._window / 2, 2.0 * self._segment_bytes)
            # What was sent before this does not count again.
            self._recovers_at = total
        elif self._window < self._threshold:
            self._window += size
        else:
            self._window += size * self._segment_bytes / self._window
        self._lost = 0
        self.window_bytes = int(self._window)


class Selfish(Reno):
    """Keeps more under way than fits, whatever gets lost."""

    def on_delivery(self, *arguments: Any) -> None:
        """As much again."""
        self.window_bytes = 4_000 * self._segment_bytes


__all__ = ["Bottleneck", "Flow", "Model", "Narrow", "Reno", "Selfish", "jain"]
