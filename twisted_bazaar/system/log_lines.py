"""The form of a line in the log of a daemon, for who writes it and for who reads it. Sans-IO."""

from __future__ import annotations

import re
from typing import Final

LEAVING: Final = "leaving"
"""What a log says when the roles of a node begin to stop."""
STOPPED: Final = "stopped"
"""The last words of a log."""
WARNING: Final = "warning: "
ERROR: Final = "error: "
_PREFIX: Final = re.compile(rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\S* [^:]*: (?:{ERROR}|{WARNING})?")


def log_line(time: str, who: str, level: str, words: str) -> str:
    """A line, and below it those that the words have besides, indented.

    What strangers wrote neither moves the cursor nor looks like a line of its own.

    @param level: L{WARNING}, L{ERROR}, or nothing.
    """
    safe = "".join(each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}" for each in words)
    return f"{time} {who}: {level}{safe.rstrip()}".replace("\n", "\n    ") + "\n"


def words_of(line: str) -> str:
    """What a line says, without its time, its role, the name of its node and its level."""
    return _PREFIX.sub("", line).strip()
