"""Virtual time: everything that is going to happen, in order.

Time stands still while something happens and jumps to the next thing that is due. Things due at one
instant happen in the order in which they were scheduled, so a run depends on nothing but its inputs.

What is due within one millisecond shares a slot and is put in order when its time comes: of ten thousand
nodes, hundreds of thousands of things wait at any moment, and one heap of all of them is slow.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, Final

from twisted.logger import Logger

log: Final = Logger()

Happening = tuple[float, int, Callable[[Any], object], Any]

_SPENT_TO_SWEEP: Final = 4096
_SLOTS_A_SECOND: Final = 1000
# What a thousand nodes hold lives as long as they do: to look through it for garbage would take most of the time.
_RARELY: Final = (100_000, 50, 1_000)


class Timeline:
    """The events to come, in the order of virtual time.

    @ivar now: the present instant, in seconds since the beginning.
    @ivar happened: how many things have happened so far.
    """

    def __init__(self) -> None:
        self.now: float = 0.0
        self.happened: int = 0
        # What is due in the slot that has begun, as a heap; the rest by slot, in no order; the slots, as a heap.
        self._present: list[Happening] = []
        self._present_slot = -1
        self._later: dict[int, list[Happening]] = {}
        self._slots: list[int] = []
        self._waiting = 0
        self._number = count()
        self._spent = 0

    def __len__(self) -> int:
        return self._waiting

    def at(self, when: float, call: Callable[[Any], object], argument: Any = None) -> None:
        """Let something happen.

        @param when: the instant, not before now.
        @param call: called with C{argument}.
        """
        slot = int(when * _SLOTS_A_SECOND)
        happening = (when, next(self._number), call, argument)
        self._waiting += 1
        if slot <= self._present_slot:
            heappush(self._present, happening)
            return
        waiting = self._later.get(slot)
        if waiting is None:
            self._later[slot] = [happening]
            heappush(self._slots, slot)
        else:
            waiting.append(happening)

    def run_until(self, when: float, stop: Callable[[], object] | None = None) -> bool:
        """Let everything happen up to an instant, which is the present afterwards.

        What raises is logged, as by a reactor, and the rest goes on.

        @param stop: asked after each thing; when it says yes, the run ends at once.
        @return: whether C{stop} ended it.
        """
        present = self._present
        last_slot = int(when * _SLOTS_A_SECOND)
        happened = 0
        thresholds = gc.get_threshold()
        gc.set_threshold(*_RARELY)
        try:
            while present or self._begin_slot(last_slot):
                if present[0][0] > when:
                    break
                self.now, _, call, argument = heappop(present)
                self._waiting -= 1
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

    def note_cancelled(self) -> None:
        """Note that something scheduled will do nothing any more.

        Its argument knows: C{is_spent_at} says whether what was scheduled for an instant still counts.
        """
        self._spent += 1
        # Once they are the most; to look earlier would cost more than they do.
        if self._spent > _SPENT_TO_SWEEP and self._spent * 2 > self._waiting:
            self._sweep()

    def _begin_slot(self, last: int) -> bool:
        """Put what is due in the next slot in order; returns whether there is one, up to the last."""
        if not self._slots or self._slots[0] > last:
            return False
        self._present_slot = heappop(self._slots)
        self._present += self._later.pop(self._present_slot)
        heapify(self._present)
        return True

    def _sweep(self) -> None:
        """Take out what will do nothing any more."""
        self._spent = 0
        for entries in (self._present, *self._later.values()):
            entries[:] = [entry for entry in entries if not _is_spent(entry)]
        heapify(self._present)
        self._later = {slot: entries for slot, entries in self._later.items() if entries}
        self._slots = sorted(self._later)
        self._waiting = len(self._present) + sum(map(len, self._later.values()))


def _is_spent(entry: Happening) -> bool:
    is_spent_at = getattr(entry[3], "is_spent_at", None)
    return is_spent_at is not None and bool(is_spent_at(entry[0]))
