"""A terminal with a table that stays at its top, and lines that go by below it, where one can type.

Terminals let a part of themselves scroll and leave the rest as it is (DECSTBM, the "scrolling region" of the VT100).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Final

_SAVE: Final = "\x1b7"
_RESTORE: Final = "\x1b8"
_CLEAR_LINE: Final = "\x1b[2K"
_CLEAR: Final = "\x1b[2J"
_NO_REGION: Final = "\x1b[r"
# So many lines are left for what goes by.
_LEAST_BELOW: Final = 6


class Screen:
    """The table at the top of a terminal.

    @param write: writes text to the terminal, at once.
    @param size: gives its columns and lines.
    """

    def __init__(self, write: Callable[[str], object], size: Callable[[], tuple[int, int]] | None = None) -> None:
        self._write = write
        self._size: Callable[[], tuple[int, int]] = size or shutil.get_terminal_size
        self._shown: tuple[int, int, int] | None = None

    @property
    def columns(self) -> int:
        """The columns of the terminal now."""
        return self._size()[0]

    def draw(self, lines: Sequence[str]) -> bool:
        """Show these lines at the top, in place of those that were there; the part for them never gets smaller.

        @return: whether all else was wiped out, as it is at the beginning and when the terminal has another size.
        """
        columns, height = self._size()
        most = max(1, height - _LEAST_BELOW)
        if len(lines) > most:
            lines = [*lines[: most - 1], "..."]
        before = self._shown
        rows = len(lines) + 1
        if before is not None and before[:2] == (columns, height):
            rows = max(rows, before[2])
        self._shown = (columns, height, rows)
        parts = [_SAVE]
        is_new = before is None or before[:2] != (columns, height)
        if is_new:
            # What is typed stands at the very bottom, far from the table.
            parts = [_CLEAR, f"\x1b[{rows + 1};{height}r", f"\x1b[{height};1H", _SAVE]
        elif before is not None and before[2] != rows:
            parts.append(f"\x1b[{rows + 1};{height}r")
        for number in range(rows):
            line = lines[number] if number < len(lines) else ""
            parts.append(f"\x1b[{number + 1};1H{_CLEAR_LINE}{line}")
        self._write("".join([*parts, _RESTORE]))
        return is_new

    def end(self) -> None:
        """Let all of the terminal scroll again."""
        if self._shown is not None:
            self._write(f"{_NO_REGION}\x1b[{self._shown[1]};1H")
            self._shown = None
