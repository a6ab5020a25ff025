"""Settings of the process that a long computation changes, and puts back."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

from twisted.logger import globalLogBeginner

_ALLOCATIONS_TO_COLLECT: Final = 200_000


@contextmanager
def few_collections() -> Iterator[None]:
    """Look for garbage rarely: thousands of nodes are many objects that stay, and each search passes them all.

    The timeline does so by itself only while time passes; a run goes in small steps, and between any two of them
    there would be a search.
    """
    before = gc.get_threshold()
    gc.set_threshold(_ALLOCATIONS_TO_COLLECT, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@cache
def hold_back_log() -> None:
    """Keep what nodes log from the terminal, where Twisted shows what is critical until somebody takes it.

    A log can be taken once in the life of a process.
    """
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
