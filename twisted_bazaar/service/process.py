"""The process of a node: how it ends with a status, and how it spares itself the search for garbage."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import Any


def exit_with(reactor: Any, status: int) -> None:
    """Stop the reactor and give the process an exit status.

    twistd always exits with 0 and offers no other way, so the status is set when the interpreter
    has done everything else.
    """

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    if status:
        atexit.register(leave)
    reactor.callWhenRunning(_stop_once, reactor)


def expect_many_objects(allocations: int) -> None:
    """Spare this process the repeated search for garbage among objects that live as long as their link.

    @param allocations: after so many more than have been let go of it is searched for; what is found at once is to be
        let go of at once, so who has links that come and go takes fewer.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(allocations, 20, 20)


def _stop_once(reactor: Any) -> None:
    if reactor.running:
        reactor.stop()
