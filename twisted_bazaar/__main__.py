"""The C{bazaar} command: the beginning of its script, and C{python -m twisted_bazaar} where that is not on the path."""

from __future__ import annotations

import signal
from importlib import import_module


def run() -> None:
    """Run the command line. Ctrl-C while it is still being imported ends the process without a traceback."""
    # What the parent had ignored, as nohup does, stays ignored.
    is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_usual:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    main = import_module("twisted_bazaar.cli.main").main
    if is_usual:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        main(prog_name="bazaar")
    finally:
        if is_usual:
            # What was done is done: Ctrl-C while the process ends does not change its status.
            signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    run()
