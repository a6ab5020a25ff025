"""Virtual time: everything that is going to happen, in order, on a heap.

Time stands still while something happens and jumps to the next thing that is due. Things due at one
instant happen in the order in which they were scheduled, so a run depends on nothing but its inputs.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, Final

from twisted.logger import Logger

log = Logger()

Happening = tuple[float, int, Callable[[Any], object], Any]

_SPENT_TO_SWEEP: Final = 4096
# What a thousand nodes hold lives as long as they do: to look through it for garbage would take most of the time.
_RARELY: Final = (100_000, 50, 1_000)


class Timeline:
    """What is going to happen.

    @ivar now: the present instant, in seconds since the beginning.
    @ivar happened: how many things have happened so far.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.happened = 0
        self._heap: list[Happening] = []
        self._number = count()
        self._spent = 0

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, when: float, call: Callable[[Any], object], argument: Any = None) -> None:
        """Let something happen.

        @param when: the instant, not before now.
        @param call: called with C{argument}.
        """
        heappush(self._heap, (when, next(self._number), call, argument))

    def run_until(self, when: float, stop: Callable[[], object] | None = None) -> bool:
        """Let everything happen up to an instant, which is the present afterwards.

        What raises is logged, as by a reactor, and the rest goes on.

        @param stop: asked after each thing; when it says yes, the run ends at once.
        @return: whether C{stop} ended it.
        """
        heap = self._heap
        happened = 0
        thresholds = gc.get_threshold()
        gc.set_threshold(*_RARELY)
        try:
            while heap and heap[0][0] <= when:
                self.now, _, call, argument = heappop(heap)
                happened += 1
                try:
                    call(argument)
                except Exception:
                    log.failure("{call} raised", call=call)
                if stop is not None and stop():
                    return True
        finally:
            self.happened += happened
            gc.set_threshold(*thresholds)
        self.now = max(self.now, when)
        return False

    def spend(self) -> None:
        """Note that something scheduled will do nothing any more.

        Its argument knows: C{is_spent_at} says whether what was scheduled for an instant still counts.
        """
        self._spent += 1
        # Once they are the most; to look earlier would cost more than they do.
        if self._spent > _SPENT_TO_SWEEP and self._spent * 2 > len(self._heap):
            self._sweep()

    def _sweep(self) -> None:
        """Take out what will do nothing any more."""
        self._spent = 0
        self._heap[:] = [entry for entry in self._heap if not _is_spent(entry)]
        heapify(self._heap)


def _is_spent(entry: Happening) -> bool:
    is_spent_at = getattr(entry[3], "is_spent_at", None)
    return is_spent_at is not None and bool(is_spent_at(entry[0]))
