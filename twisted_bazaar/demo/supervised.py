"""A supervised C{twistd}: the same command line, but it ends when its standard input does.

Whoever starts it holds the other end of the pipe. So it ends with that process, even one that had no
chance to end it. Over the same pipe it can be held, as a process is that the system does not let run, and
let go again; it ends with its holder then too, which a process that was stopped by a signal would not.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Final

HOLD: Final = b"h"
LET_GO: Final = b"g"
HELD: Final = b"held\n"
"""What it prints once it is held."""

_free = threading.Event()


def _watch() -> None:
    _free.set()
    while word := os.read(0, 1):
        if word == HOLD:
            _free.clear()
            os.kill(os.getpid(), signal.SIGUSR2)
        else:
            _free.set()
    if not _free.is_set():
        os.kill(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGTERM)


def _stand_still(number: int, frame: object) -> None:
    os.write(1, HELD)
    _free.wait()


if __name__ == "__main__":
    signal.signal(signal.SIGUSR2, _stand_still)
    threading.Thread(target=_watch, daemon=True).start()

    from twisted.scripts.twistd import run

    run()
