"""What objects take in memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

# Deeper than anything that is weighed goes.
_FRAMES = 8


def weight_of(make: Callable[[], object]) -> int:
    """How many bytes what a call returns takes, with all that was made for it and is still there.

    What other threads take meanwhile is not counted: all that is has this module in its traceback.
    """
    gc.collect()
    tracemalloc.start(_FRAMES)
    try:
        made = make()
        gc.collect()
        snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    del made
    ours = tracemalloc.Filter(inclusive=True, filename_pattern=__file__, all_frames=True)
    return sum(trace.size for trace in snapshot.filter_traces([ours]).traces)
