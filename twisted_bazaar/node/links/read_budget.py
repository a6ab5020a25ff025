"""The read budget of a node: how much is taken from all links in one turn of the reactor.

What one link may take is bounded for each, but there may be hundreds. So there is a budget of frames, and
of time, for all of them. A link that finds nothing left waits, is not read from meanwhile, and gets its
share of both in a turn that follows; the more wait, the smaller the shares, and so the sooner everybody's turn
comes. Hosts have their turns by fair queueing. Links whose handshake is done come before strangers: a thousand
strangers at once each need one short turn, and who is linked would wait for them all. To strangers a part of each turn
is kept, and another to links that wait for nothing.

Where time stands still within a turn, as in a simulation, the count alone decides.
"""

from __future__ import annotations

from typing import Final, Protocol

from twisted.internet.interfaces import IReactorTime

from twisted_bazaar.security.links.fair_queue import FairQueue
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
# Of a turn, for those that have waited; the rest is for those that come.
_FOR_WAITING: Final = 0.75
# Of a turn, for strangers that have waited, when others have too.
_FOR_STRANGERS: Final = 0.25
# What is answered together is sent together: one at a time would cost as many calls of the system as frames.
_LEAST_SHARE: Final = 4


class Waiting(Protocol):
    """A link that waits to be read from."""

    @property
    def host(self) -> str:
        """The host that it reads from; the same for as long as it waits."""

    @property
    def is_greeted(self) -> bool:
        """Whether its handshake is done; the same for as long as it waits."""

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
        self._greeted: FairQueue[Waiting] = FairQueue()
        self._strangers: FairQueue[Waiting] = FairQueue()
        self._turn = Timer(clock, self._next)

    @property
    def waiting(self) -> int:
        """How many links wait for their turn."""
        return len(self._greeted) + len(self._strangers)

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
        self._queue_of(link).enqueue(link)
        if not self._turn.is_set:
            self._begin(self._clock.seconds())

    def dequeue(self, link: Waiting) -> None:
        """Take a link out of the queue, if it waits."""
        self._queue_of(link).dequeue(link)

    def stop(self) -> None:
        """Forget all that wait, and begin no more turns."""
        self._forget_all()
        self._turn.cancel()
        self._until = _NEVER

    def _queue_of(self, link: Waiting) -> FairQueue[Waiting]:
        return self._greeted if link.is_greeted else self._strangers

    def _begin(self, now: float) -> None:
        self._until = now + self._time_s
        self._turn.set(0)

    def _next(self) -> None:
        """A turn begins."""
        self._left = self._frames
        self._until = _NEVER
        if not self.waiting:
            self._forget_all()
            return
        greeted, strangers = len(self._greeted), len(self._strangers)
        began = self._clock.seconds()
        self._begin(began)
        self._at_a_time = _FRAMES_BESIDE_OTHERS
        part = _FOR_WAITING
        self._serve(self._greeted, greeted, began, part - _FOR_STRANGERS if strangers else part)
        self._serve(self._strangers, strangers, began, part)
        self._until, self._at_a_time = began + self._time_s, _FRAMES_AT_A_TIME

    def _serve(self, queue: FairQueue[Waiting], waiting: int, began: float, part: float) -> None:
        """Serve so many of a queue, until a part of this turn is over."""
        if not waiting:
            return
        now = self._clock.seconds()
        until, kept = began + part * self._time_s, self._frames - int(part * self._frames)
        share = max(_LEAST_SHARE, (self._left - kept) // waiting)
        slice_s = max(_LEAST_SLICE_S, (until - now) / waiting)

        def serve(link: Waiting) -> float:
            nonlocal now
            self._until = min(until, now + slice_s)
            before, left = now, self._left
            try:
                link.read_frames(now, share)
            finally:
                now = self._clock.seconds()
            return max(now - before, (left - self._left) * self._frame_s)

        for _ in range(waiting):
            if self._left <= kept or now >= until or not queue.serve_next(serve):
                break

    def _forget_all(self) -> None:
        """Forget all that wait."""
        self._greeted.clear()
        self._strangers.clear()
