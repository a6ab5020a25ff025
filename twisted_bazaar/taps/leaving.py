"""A graceful stop: a daemon takes the time that its roles need, unless it is told a second time.

Twisted stops at the first signal, and only complains at a second one.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, Final

from twisted_bazaar.service.service import NodeService

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def heed_early_interrupt(reactor: Any) -> None:
    """Let Ctrl-C end a daemon that is being started, too.

    Until the reactor runs, Python would raise it wherever it is, where a callback may take it for an error of its own.
    """

    def interrupted(number: int, frame: FrameType | None) -> None:
        reactor.callWhenRunning(reactor.sigInt, number, frame)

    # What the parent had ignored stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupted)


def hurry_if_told_again(service: NodeService, reactor: Any) -> None:
    """Let a daemon that is leaving do so at once when it is told again: by Ctrl-C, or by SIGTERM.

    @param service: what is stopped when the reactor stops.
    """

    def told_again(number: int, frame: FrameType | None) -> None:
        reactor.callFromThread(service.stop_now)

    def listen() -> None:
        for number in _SIGNALS:
            # What the parent had ignored stays ignored; and what nobody heeds ends the process by itself.
            if callable(signal.getsignal(number)):
                signal.signal(number, told_again)

    # Before the service stops: it is started later than it is made.
    reactor.addSystemEventTrigger("before", "shutdown", listen)
