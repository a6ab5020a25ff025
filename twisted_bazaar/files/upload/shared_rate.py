"""A rate limit on uploads, of which every host that is served has a fair share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted_bazaar.timer import Timer

# A block is to take so long at most: with longer ones the others would wait.
_BLOCK_S: Final = 0.2
_SMALLEST_BLOCK: Final = 1024
# What was not sent in time may be made up for, but not for long.
_BURST_S: Final = 0.1


class SharedRate:
    """Says when the next block may be sent.

    Who has to wait stands in line, with one block each. The hosts take turns, and so do those of one host: so all hosts
    get the same, however many connections they have (max-min fair).

    @param reactor: time and timers.
    @param rate: bytes a second; None for no limit.
    """

    def __init__(self, reactor: Any, rate: int | None) -> None:
        self._reactor = reactor
        self._rate = rate
        self._free_at = float("-inf")
        self._lines: dict[str, dict[Callable[[], object], int]] = {}
        self._timer = Timer(reactor, self._next)

    def piece_bytes(self, most: int) -> int:
        """The size of the next block."""
        if self._rate is None:
            return most
        return max(_SMALLEST_BLOCK, min(most, int(self._rate * _BLOCK_S)))

    def acquire(self, size: int, host: str, ready: Callable[[], object]) -> bool:
        """Ask to send a block.

        @param host: whom it is charged to.
        @param ready: called when it may be sent, if it may not at once; then it is paid for.
        @return: whether it may be sent now.
        """
        if self._rate is None:
            return True
        if not self._lines and self._free_at <= self._reactor.seconds():
            self._charge(size)
            return True
        self._lines.setdefault(host, {})[ready] = size
        self._set_timer()
        return False

    def forget(self, host: str, ready: Callable[[], object]) -> None:
        """Leave the line."""
        line = self._lines.get(host)
        if line is not None:
            line.pop(ready, None)
            if not line:
                del self._lines[host]
        if not self._lines:
            self._timer.cancel()

    def _charge(self, size: int) -> None:
        assert self._rate is not None, "who has no limit pays nothing"
        self._free_at = max(self._free_at, self._reactor.seconds() - _BURST_S) + size / self._rate

    def _set_timer(self) -> None:
        if self._lines and not self._timer.is_set:
            self._timer.set(max(0.0, self._free_at - self._reactor.seconds()))

    def _next(self) -> None:
        host = next(iter(self._lines))
        line = self._lines.pop(host)
        ready = next(iter(line))
        self._charge(line.pop(ready))
        if line:
            # Its next block comes after one of each other host.
            self._lines[host] = line
        self._set_timer()
        ready()
