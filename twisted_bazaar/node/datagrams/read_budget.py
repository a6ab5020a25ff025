"""The read budget of a socket for datagrams: how much of it is read in one turn of the reactor.

Twisted counts bytes there, and datagrams may be very small: what is counted here is the work that they make.
"""

from __future__ import annotations

from typing import Any, Final

from twisted_bazaar.timer import Timer

# So much takes some milliseconds.
_WORK_A_TURN: Final = 512


class DatagramReadBudget:
    """The reading of one socket.

    @param reactor: timers.
    @ivar left: how much work is still to be taken on; whoever does some takes it off, and rests when there is none.
    """

    __slots__ = ("_reading_on", "_transport", "left")

    def __init__(self, reactor: Any) -> None:
        self.left: int = _WORK_A_TURN
        self._reading_on = Timer(reactor, self._read_on)
        self._transport: Any = None

    def read_later(self, transport: Any) -> None:
        """Read the next datagram in the next turn."""
        if not self._reading_on.is_set:
            self._transport = transport
            transport.maxThroughput = 0
            self._reading_on.set(0)

    def stop(self) -> None:
        """Cancel the timer: nothing is read any more."""
        self._reading_on.cancel()

    def _read_on(self) -> None:
        self.left = _WORK_A_TURN
        del self._transport.maxThroughput
