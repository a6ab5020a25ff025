"""The read budget of a node: how much is taken from all links in one turn of the reactor, by round robin over hosts.

What one link may take is bounded for each, but there may be hundreds. So there is a budget of frames, and
of time, for all of them. A link that finds nothing left waits, is not read from meanwhile, and gets its
share of both in a turn that follows; the more wait, the smaller the shares, and so the sooner everybody's turn
comes. Hosts are served one after the other, each with one of its links: a host with a thousand links is not served
more often than one with a single link. A part is kept for links that wait for nothing: who asks little is hardly held
up by those who ask much.

Where time stands still within a turn, as in a simulation, the count alone decides.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

_NEVER: Final = float("inf")
# Between two looks at the clock, and where others wait: an answer to one may take a hundred times as long as to others.
_FRAMES_AT_A_TIME: Final = 32
_FRAMES_BESIDE_OTHERS: Final = 4
# So long may one of those that wait take at least, or it would cost more to change from one to the next.
_LEAST_SLICE_S: Final = 0.000_5
# So many are taken before a timer is set that tells where the turn ends: it would cost a quiet node more
# than it is worth for each message.
_UNTIMED: Final = 16
# Of a turn, for those that have waited; the rest is for those that come.
_FOR_WAITING: Final = 0.75
# What is answered together is sent together: one at a time would cost as many calls of the system as frames.
_LEAST_SHARE: Final = 4


class Waiting(Protocol):
    """Something that waits to be read from."""

    @property
    def host(self) -> str:
        """Where what it reads comes from; the same for as long as it waits."""

    def read_on(self, now: float, most: int) -> None:
        """Its turn has come.

        @param most: it may take so many frames now.
        """


class Turn:
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
        self._until = _NEVER
        self._at_a_time = _FRAMES_AT_A_TIME
        # By host, each with those of it that wait; whoever is first is served next.
        self._waiting: OrderedDict[str, OrderedDict[Waiting, None]] = OrderedDict()
        self._call: IDelayedCall | None = None

    def admit(self, now: float) -> bool:
        """Take one frame off the budget; False if nothing is left."""
        if self._left > self._untimed:
            self._left -= 1
            return True
        return self.grant(now, 1) > 0

    def grant(self, now: float, most: int) -> int:
        """Take some frames off the budget; ask again when they have been read.

        @return: how many may be taken, at most C{most}; 0 if nothing is left.
        """
        if self._call is None and self._left <= self._untimed:
            self._begin(now)
        if self._left <= 0 or now >= self._until:
            return 0
        granted = min(most, self._left, self._at_a_time)
        self._left -= granted
        return granted

    def give_back(self, frames: int) -> None:
        """There were fewer than had been granted."""
        self._left += frames

    def wait(self, link: Waiting) -> None:
        """Let something read on when its turn comes; who waits already keeps its place."""
        of_its_host = self._waiting.get(link.host)
        if of_its_host is None:
            of_its_host = self._waiting[link.host] = OrderedDict()
        of_its_host[link] = None
        if self._call is None:
            self._begin(self._clock.seconds())

    def leave(self, link: Waiting) -> None:
        """Let something wait no more, if it does."""
        of_its_host = self._waiting.get(link.host)
        if of_its_host is not None:
            of_its_host.pop(link, None)
            if not of_its_host:
                del self._waiting[link.host]

    def stop(self) -> None:
        """Nobody waits any more."""
        self._waiting.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _begin(self, now: float) -> None:
        self._until = now + self._time_s
        self._call = self._clock.callLater(0, self._next)

    def _next(self) -> None:
        """A turn begins."""
        self._call = None
        self._left = self._frames
        self._until = _NEVER
        if not self._waiting:
            return
        began = now = self._clock.seconds()
        self._begin(now)
        until = now + _FOR_WAITING * self._time_s
        for_waiting = int(_FOR_WAITING * self._frames)
        kept = self._frames - for_waiting
        waiting = sum(map(len, self._waiting.values()))
        share = max(_LEAST_SHARE, for_waiting // waiting)
        slice_s = max(_LEAST_SLICE_S, (until - now) / waiting)
        self._at_a_time = _FRAMES_BESIDE_OTHERS
        for _ in range(waiting):
            if self._left <= kept or now >= until or not self._waiting:
                break
            self._until = min(until, now + slice_s)
            self._pop().read_on(now, share)
            now = self._clock.seconds()
        self._until, self._at_a_time = began + self._time_s, _FRAMES_AT_A_TIME

    def _pop(self) -> Waiting:
        """Take the next one out; the rest of its host comes after all other hosts."""
        host, of_its_host = self._waiting.popitem(last=False)
        link, _ = of_its_host.popitem(last=False)
        if of_its_host:
            self._waiting[host] = of_its_host
        return link
