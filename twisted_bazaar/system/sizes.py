"""Sizes as people read them. Sans-IO."""

from __future__ import annotations

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def format_size(size: float) -> str:
    """A number of bytes, to three figures."""
    if size < 1000:
        return f"{size:.0f} bytes" if size != 1 else "1 byte"
    for unit in _UNITS:
        size /= 1024
        if size < 1000 or unit == _UNITS[-1]:
            break
    return f"{size:.{2 if size < 10 else 1 if size < 100 else 0}f} {unit}"


class Size(int):
    """A number of bytes: in a sentence it stands as people read it, and to programs it is the number."""

    def __str__(self) -> str:
        return format_size(self)
