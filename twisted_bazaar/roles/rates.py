"""Numbers of bytes as people write them. Sans-IO."""

from __future__ import annotations

import re
from typing import Final

from twisted_bazaar.errors import UsageError

_SIZE: Final = re.compile(r"(?P<number>[0-9]{1,15}(\.[0-9]{1,6})?)\s*(?P<unit>[kKmMgG]?)(i?[bB])?(/s)?", re.ASCII)
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
# Who is slower than that is given up by those who ask.
_LEAST_RATE: Final = 16 << 10


def parse_rate(text: str, option: str) -> int:
    """Read bytes a second: a number, or one with K, M or G, which are 1,024 each time.

    @param option: what it was written after, for the error.
    @raise UsageError: it is none, or so little that nobody would wait for it.
    """
    match = _SIZE.fullmatch(text.strip())
    rate = 0 if match is None else int(float(match["number"]) * _UNITS[match["unit"].lower()])
    if rate < _LEAST_RATE:
        raise UsageError(f"{option} {text!r}: write bytes a second, at least 16K, such as 500K or 2M")
    return rate


def parse_bytes(text: str, option: str) -> int:
    """Read how many bytes: a number, or one with K, M or G, which are 1,024 each time.

    @param option: what it was written after, for the error.
    @raise UsageError: it is none.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or text.strip().endswith("/s"):
        raise UsageError(f"{option} {text!r}: write bytes, such as 500M or 2G")
    return int(float(match["number"]) * _UNITS[match["unit"].lower()])
