"""What objects take in memory."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Deeper than anything that is weighed goes.
_FRAMES = 8


@contextmanager
def weighing(frames: int = 1) -> Iterator[None]:
    """Trace what is allocated, and let nobody else keep notes meanwhile of which lines have run: they would be weighed.

    @param frames: how much of its traceback is kept with each allocation.
    """
    tracer = sys.gettrace()
    sys.settrace(None)
    gc.collect()
    tracemalloc.start(frames)
    try:
        yield
    finally:
        tracemalloc.stop()
        sys.settrace(tracer)


def weight_of(make: Callable[[], object]) -> int:
    """How many bytes what a call returns takes, with all that was made for it and is still there.

    What other threads take meanwhile is not counted: all that is has this module in its traceback.
    """
    with weighing(_FRAMES):
        made = make()
        gc.collect()
        snapshot = tracemalloc.take_snapshot()
    del made
    ours = tracemalloc.Filter(inclusive=True, filename_pattern=__file__, all_frames=True)
    return sum(trace.size for trace in snapshot.filter_traces([ours]).traces)
