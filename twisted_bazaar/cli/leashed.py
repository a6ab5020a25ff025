"""C{twistd} on a leash: the same command line, but it ends when its standard input does.

Whoever starts it holds the other end of the pipe. So it ends with that process, even one that had no
chance to end it.
"""

from __future__ import annotations

import os
import signal
import threading


def _watch() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_watch, daemon=True).start()

    from twisted.scripts.twistd import run

    run()
