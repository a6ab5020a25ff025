"""Sizes, rates and times as people read them. Sans-IO."""

from __future__ import annotations

from twisted_bazaar.system.sizes import format_size as format_size


def format_rate(rate: float) -> str:
    """Bytes a second."""
    return f"{format_size(rate)}/s"


def format_time(seconds: float) -> str:
    """How long something takes, roughly."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {left:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours // 24} days"


def format_count(number: int, what: str, several: str = "") -> str:
    """So many of something.

    @param several: the word for more than one; with an s at its end if not given.
    """
    return f"{number:,} {what if number == 1 else several or what + 's'}"
