"""Sends at the end of a turn what was written in it, so that many small messages share a record and a system call."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from twisted_bazaar.timer import Timer


class Flushed(Protocol):
    """Something with bytes that wait to be sent."""

    def flush(self) -> None:
        """Send them."""


class Flusher:
    """Knows what waits to be sent, of all connections of a node.

    @ivar clock: calls it at the end of a turn in which nothing came.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock
        self._waiting: dict[Flushed, None] = {}
        self._turn = Timer(clock, self.flush)
        self._is_receiving = False

    def enqueue(self, transport: Flushed) -> None:
        """Something was written to it."""
        if not self._waiting and not self._is_receiving:
            self._turn.set(0)
        self._waiting[transport] = None

    def dequeue(self, transport: Flushed) -> None:
        """Nothing of it waits any more."""
        if self._waiting.pop(transport, transport) is None and not self._waiting:
            self._turn.cancel()

    def begin(self) -> None:
        """Bytes have come for some connection: what is written because of them goes when they are dealt with."""
        self._is_receiving = True

    def flush(self) -> None:
        """Send everything."""
        self._is_receiving = False
        if self._waiting:
            self._turn.cancel()
            waiting, self._waiting = self._waiting, {}
            for each in waiting:
                each.flush()
