"""Text written by strangers, made safe to print. Sans-IO."""

from __future__ import annotations


def printable(text: str) -> str:
    """Text that cannot move the cursor, whoever has written it."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
