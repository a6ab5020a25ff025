"""The read budget of a node: how much is taken from all links in one turn of the reactor, by fair queueing over hosts.

What one link may take is bounded for each, but there may be hundreds. So there is a budget of frames, and
of time, for all of them. A link that finds nothing left waits, is not read from meanwhile, and gets its
share of both in a turn that follows; the more wait, the smaller the shares, and so the sooner everybody's turn
comes. The host comes next for which the node has worked least (virtual time, as in start-time fair queueing: Goyal,
Vin and Cheng, 1996), with one of its links: a host with a thousand links gets no more than one with a single link, and
who asks little goes before those who ask much. A part is kept for links that wait for nothing.

Where time stands still within a turn, as in a simulation, the count alone decides.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import heappop, heappush
from itertools import count
from typing import Final, Protocol

from twisted.internet.interfaces import IReactorTime

from twisted_bazaar.timer import Timer

_NEVER: Final = float("inf")
# Between two looks at the clock, and where others wait: an answer to one may take a hundred times as long as to others.
_FRAMES_AT_A_TIME: Final = 32
_FRAMES_BESIDE_OTHERS: Final = 1
# So long may one of those that wait take at least, or it would cost more to change from one to the next.
_LEAST_SLICE_S: Final = 0.000_5
# So many are taken before a timer is set that tells where the turn ends: it would cost a quiet node more
# than it is worth for each message.
_UNTIMED: Final = 16
# So far ahead of others is who comes after a pause.
_CREDIT_S: Final = 0.1
# Of so many hosts it is known how long was worked for them while somebody waits.
_MOST_KNOWN: Final = 4_096
# Of a turn, for those that have waited; the rest is for those that come.
_FOR_WAITING: Final = 0.75
# What is answered together is sent together: one at a time would cost as many calls of the system as frames.
_LEAST_SHARE: Final = 4


class Waiting(Protocol):
    """Something that waits to be read from."""

    @property
    def host(self) -> str:
        """The host that it reads from; the same for as long as it waits."""

    def read_frames(self, now: float, most: int) -> None:
        """Its turn has come.

        @param most: it may take so many frames now.
        """


class ReadBudget:
    """The budget of one turn of the reactor after the other.

    @param clock: the source of time and timers.
    @param frames: frames in one turn.
    @param time_s: time for them.
    """

    def __init__(self, clock: IReactorTime, frames: int, time_s: float) -> None:
        self._clock = clock
        self._frames = frames
        self._time_s = time_s
        self._left = frames
        self._untimed = max(0, frames - _UNTIMED)
        # When the turn ends; for as long as no timer is set for it, never.
        self._until = _NEVER
        self._at_a_time = _FRAMES_AT_A_TIME
        self._frame_s = time_s / frames
        # By host, each with those of it that wait; whoever is first is served next.
        self._waiting: dict[str, OrderedDict[Waiting, None]] = {}
        # Hosts by their virtual time, each once while it waits, and in the order in which they came.
        self._in_order: list[tuple[float, int, str]] = []
        self._came = count()
        self._served: dict[str, float] = {}
        self._now_s = 0.0
        self._turn = Timer(clock, self._next)

    def take_one(self, now: float) -> bool:
        """Take one frame off the budget; False if nothing is left."""
        if self._left > self._untimed:
            self._left -= 1
            return True
        return self.take(now, 1) > 0

    def take(self, now: float, most: int) -> int:
        """Take some frames off the budget; ask again when they have been read.

        @return: how many may be taken, at most C{most}; 0 if nothing is left.
        """
        if self._until == _NEVER and self._left <= self._untimed:
            self._begin(now)
        if self._left <= 0 or now >= self._until:
            return 0
        granted = min(most, self._left, self._at_a_time)
        self._left -= granted
        return granted

    def put_back(self, frames: int) -> None:
        """There were fewer than had been granted."""
        self._left += frames

    def enqueue(self, link: Waiting) -> None:
        """Queue a link to read on in its turn; one that waits already keeps its place."""
        of_its_host = self._waiting.get(link.host)
        if of_its_host is None:
            of_its_host = self._waiting[link.host] = OrderedDict()
            self._line_up(link.host)
        of_its_host[link] = None
        if not self._turn.is_set:
            self._begin(self._clock.seconds())

    def dequeue(self, link: Waiting) -> None:
        """Take a link out of the queue, if it waits."""
        of_its_host = self._waiting.get(link.host)
        if of_its_host is not None:
            # The host keeps its place in the order: it may come back, and is passed over if it has not.
            of_its_host.pop(link, None)

    def stop(self) -> None:
        """Forget all that wait, and begin no more turns."""
        self._forget_all()
        self._turn.cancel()
        self._until = _NEVER

    def _begin(self, now: float) -> None:
        self._until = now + self._time_s
        self._turn.set(0)

    def _next(self) -> None:
        """A turn begins."""
        self._left = self._frames
        self._until = _NEVER
        waiting = sum(map(len, self._waiting.values()))
        if not waiting:
            self._forget_all()
            return
        began = now = self._clock.seconds()
        self._begin(now)
        until = now + _FOR_WAITING * self._time_s
        for_waiting = int(_FOR_WAITING * self._frames)
        kept = self._frames - for_waiting
        share = max(_LEAST_SHARE, for_waiting // waiting)
        slice_s = max(_LEAST_SLICE_S, (until - now) / waiting)
        self._at_a_time = _FRAMES_BESIDE_OTHERS
        for _ in range(waiting):
            if self._left <= kept or now >= until or not self._in_order:
                break
            self._until = min(until, now + slice_s)
            now = self._serve_next(now, share)
        self._until, self._at_a_time = began + self._time_s, _FRAMES_AT_A_TIME

    def _serve_next(self, now: float, share: int) -> float:
        """Read from the next link of the next host; returns the time then."""
        at_s, _, host = heappop(self._in_order)
        self._now_s = max(self._now_s, at_s)
        of_its_host = self._waiting[host]
        began, left = now, self._left
        try:
            if of_its_host:
                link, _ = of_its_host.popitem(last=False)
                link.read_frames(now, share)
        finally:
            now = self._clock.seconds()
            self._served[host] = at_s + max(now - began, (left - self._left) * self._frame_s)
            if not of_its_host:
                self._waiting.pop(host, None)
            elif host in self._waiting:
                self._line_up(host)
        return now

    def _line_up(self, host: str) -> None:
        """A host waits from now on."""
        if len(self._served) > _MOST_KNOWN:
            self._served.clear()
        at_s = max(self._served.get(host, 0.0), self._now_s - _CREDIT_S)
        heappush(self._in_order, (at_s, next(self._came), host))

    def _forget_all(self) -> None:
        """Forget all that wait."""
        self._waiting.clear()
        self._in_order.clear()
        self._served.clear()
        self._now_s = 0.0
