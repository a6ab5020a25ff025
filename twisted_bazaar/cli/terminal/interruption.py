"""Interruption by signals: ends early without leaving anything behind.

A signal that raised wherever the program happens to be could hit between the start of a process and
the note of it. So a signal is only remembered here, and the places that wait ask for it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final, Self

from twisted_bazaar.exit_status import status_of_signal

_ASKED_WITHIN_S: Final = 2.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Remembers, while it is entered, that the user or the system wants the program to end.

    @param insists: whether a second signal ends the program on the spot: for those that leave nothing behind
        and may compute for long, or for ever, without asking.
    @param handled: called for Ctrl-C when the program is asked, with the time by C{time.monotonic} at which it came;
        returns whether it is dealt with by that, and the program goes on.
    """

    def __init__(self, *, insists: bool = False, handled: Callable[[float], bool] | None = None) -> None:
        self._insists = insists
        self._handled = handled
        self._received_at = 0.0
        self._received: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            # What the parent had ignored, as nohup does, stays ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def check(self) -> None:
        """Go on, unless the program is to end.

        @raise SystemExit: a signal came; the status is that which a shell has for it.
        """
        if self._received == signal.SIGINT and self._handled is not None and self._handled(self._received_at):
            self._received = None
        if self._received is not None:
            raise SystemExit(status_of_signal(self._received))

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        # A key that is held down comes several times before anybody asks.
        is_awaited = number == signal.SIGINT and self._handled is not None and now - self._received_at < _ASKED_WITHIN_S
        if self._insists and self._received is not None and not is_awaited:
            # Nothing that could be raised here is sure to get past the code that runs now.
            os._exit(status_of_signal(number))
        if self._received is None:
            self._received, self._received_at = number, now
