"""The file of a checkpoint: the entries of a node, and when they were written. All of it blocks: call it in threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from twisted_bazaar.discovery.ring.storage.entry import LONGEST_TEXT, TOMBSTONE_S, Entry, read_entry
from twisted_bazaar.errors import Forged
from twisted_bazaar.state import StateDirectory

_FILE: Final = "ring-entries"
_AT_ONCE: Final = 100
# What was deleted meanwhile may have been forgotten everywhere: it must not come back from here.
_LONGEST_AWAY_S: Final = TOMBSTONE_S / 2


class EntryMemory:
    """Entries in a file of a state directory: a line says when it was written, and each further one is an entry.

    @param state: the directory.
    """

    def __init__(self, state: StateDirectory) -> None:
        self._state = state

    def keep(self, entries: Sequence[tuple[Entry, float]], now: float) -> None:
        """Write down what there is, in place of what there was.

        @param entries: each with the seconds for which it is still to be kept.
        @raise OSError: it cannot be written.
        """
        lines = [str(int(now)), *(f"{left_s} {entry.text}" for entry, left_s in entries)]
        self._state.keep(_FILE, "\n".join(lines))

    def recall(self, now: float) -> Sequence[Sequence[tuple[Entry, float]]]:
        """Read the last checkpoint, in portions, if it is not too old; what is not right is left out."""
        entries = list(self._read(now))
        return [entries[first : first + _AT_ONCE] for first in range(0, len(entries), _AT_ONCE)]

    def _read(self, now: float) -> Iterator[tuple[Entry, float]]:
        written, *lines = (self._state.recall(_FILE) or "").split("\n")
        away_s = max(0.0, now - int(written)) if written.isdecimal() else _LONGEST_AWAY_S
        if away_s >= _LONGEST_AWAY_S:
            return
        for line in lines:
            left_s, _, text = line.partition(" ")
            try:
                yield read_entry(text[: LONGEST_TEXT + 1]), float(left_s) - away_s
            except (Forged, ValueError):
                continue
