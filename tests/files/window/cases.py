"""What the tests of streams have in common: two ends, and a way between them that does all that ways do."""

from __future__ import annotations

import random
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from attrs import frozen

from twisted_bazaar.files.window import Handshake, Settings, Stream
from twisted_bazaar.files.window.segment import FIN, SYN, Segment, decode

CALLER = ("10.0.0.1", 4000)


@frozen
class Weather:
    """What happens to datagrams on their way: shares of them."""

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    corruption: float = 0.0
    latency_s: float = 0.01


class Pair:
    """Two ends, and the way between them.

    @ivar near: the end that calls.
    @ivar far: the end that is called; None before the third step.
    @ivar near_heard, far_heard: what has come to each.
    @ivar log: what has gone each way, by when: C{True} for to the far end.
    """

    def __init__(
        self,
        weather: Weather | None = None,
        seed: int = 1,
        near: Settings | None = None,
        far: Settings | None = None,
        read: Callable[[bytes], Segment | None] = decode,
    ) -> None:
        self.weather = weather or Weather()
        self.now = 0.0
        self.rng = random.Random(seed)
        self.near = Stream(near or Settings(), b"the-near", self.rng, self.now)
        self.far: Stream | None = None
        self.far_settings = far or Settings()
        self.opening = Handshake(b"secret", self.far_settings)
        self.near_heard = self.far_heard = b""
        self._farewells: dict[bool, bytes] = {}
        self.is_near_reading = self.is_far_reading = True
        self.log: list[tuple[float, bool, bytes]] = []
        self._read = read
        self._numbers = count()
        self._way: list[tuple[float, int, bool, bytes]] = []
        # What the far end is to write and whether to close, as soon as there is one.
        self.far_says = b""
        self.far_closes = False

    def run(self, most_s: float = 60.0, steps: int = 200_000) -> None:
        """Let time pass until nothing is to be done, or both are over."""
        until = self.now + most_s
        for _ in range(steps):
            self._turn(self.near, True)
            if self.far is not None:
                self._turn(self.far, False)
            if self.is_over and not self._way:
                return
            at = min(self._next_at(self.near), self._next_at(self.far), self._way[0][0] if self._way else until)
            if at >= until:
                self.now = until
                return
            self.now = max(self.now, at)
            while self._way and self._way[0][0] <= self.now:
                _, _, to_far, data = heappop(self._way)
                self._arrive(data, to_far)
        raise AssertionError(f"after {steps} steps it is {self.now:.3f} s, and still something to do")

    @property
    def is_over(self) -> bool:
        """Whether both ends are."""
        return self.near.ended is not None and self.far is not None and self.far.ended is not None

    def send(self, data: bytes, to_far: bool) -> None:
        """Put a datagram on the way."""
        self.log.append((self.now, to_far, data))
        weather, rng = self.weather, self.rng
        for _ in range(2 if rng.random() < weather.duplication else 1):
            if rng.random() < weather.loss:
                continue
            delay_s = weather.latency_s
            if rng.random() < weather.reordering:
                delay_s *= 1 + 3 * rng.random()
            sent = data
            if rng.random() < weather.corruption:
                changed = bytearray(data)
                changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
                sent = bytes(changed)
            heappush(self._way, (self.now + delay_s, next(self._numbers), to_far, sent))

    # Inside.

    def _next_at(self, stream: Stream | None) -> float:
        if stream is None or stream.ended is not None:
            return float("inf")
        return stream.next_at(self.now)

    def _turn(self, stream: Stream, is_near: bool) -> None:
        if stream.ended is not None:
            return
        if is_near and self.is_near_reading:
            self.near_heard += stream.read(self.now)
        elif not is_near and self.is_far_reading:
            self.far_heard += stream.read(self.now)
        if stream.has_heard_all and stream.ended is None and (self.is_near_reading if is_near else self.is_far_reading):
            self._farewells[is_near] = stream.closing_segment(self.now)
            self.send(self._farewells[is_near], is_near)
        for data in stream.datagrams(self.now):
            self.send(data, is_near)

    def _arrive(self, data: bytes, to_far: bool) -> None:
        if data[:1] != b"\x11":
            return
        segment = self._read(data)
        if segment is None:
            return
        if not to_far:
            self._hand_in(segment, self.near, is_near=True)
            return
        if segment.flags & SYN:
            answer = self.opening.answer(segment, CALLER, self.now)
            if answer is not None:
                self.send(answer, to_far=False)
            return
        if self.far is None:
            other = self.opening.accept(segment, CALLER, self.now)
            if other is None:
                return
            self.far = Stream(self.far_settings, segment.to, self.rng, self.now, other)
            self.far.write(self.far_says, self.now)
            self.far.receive(segment, self.now)
            if self.far_closes:
                self.far.close(self.now)
        else:
            self._hand_in(segment, self.far, is_near=False)

    def _hand_in(self, segment: Segment, stream: Stream, *, is_near: bool) -> None:
        if segment.to != stream.own_id:
            return
        if stream.ended is None:
            stream.receive(segment, self.now)
        elif is_near in self._farewells and (segment.payload or segment.flags & FIN):
            self.send(self._farewells[is_near], is_near)
