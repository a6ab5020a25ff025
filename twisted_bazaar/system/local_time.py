"""The form in which people read a time: that of this machine's zone, with its offset from UTC (ISO 8601)."""

from __future__ import annotations

from datetime import datetime


def local_time(seconds: float) -> str:
    """A time in the zone of this machine, such as C{2026-11-25 14:36:04+01:00}.

    @param seconds: since 1970.
    """
    return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")
