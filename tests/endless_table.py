"""A table that drops nothing, to be planted where promises about tables are tested."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from twisted_bazaar import bounded


def put(table: bounded.FairTable[Any, Any], key: object, value: object, owner: Hashable, now: float) -> None:
    """Enter a value, and never let go of another for it."""
    nothing, lone = bounded._NOTHING, bounded._Owner(owner, 1, key, key)
    table._entries[key] = bounded._Entry(value, lone, now + 600, nothing, nothing)
