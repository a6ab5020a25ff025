"""A simulated disk: files of which a crash leaves what was synced, and nothing else."""

from __future__ import annotations

import errno
from os import strerror
from typing import Final

_NO_LIMIT: Final = 1 << 60


class Disk:
    """Named files, each with what its machine sees and what a crash would leave of it.

    @ivar capacity_bytes: writing past it raises C{ENOSPC}.
    @ivar is_failing: while true, every access raises C{EIO}.
    """

    def __init__(self) -> None:
        self.capacity_bytes: int = _NO_LIMIT
        self.is_failing = False
        self._seen: dict[str, bytes] = {}
        self._synced: dict[str, bytes] = {}

    @property
    def used_bytes(self) -> int:
        """How much is written, synced or not."""
        return sum(map(len, self._seen.values()))

    def read(self, name: str) -> bytes:
        """The content of a file; nothing if there is none.

        @raise OSError: the disk is failing.
        """
        self._check()
        return self._seen.get(name, b"")

    def names(self) -> list[str]:
        """The files that there are, in the order in which they were first written."""
        return list(self._seen)

    def seen(self, name: str) -> bytes:
        """The content of a file for whoever looks on, also while the disk is failing; nothing if there is none."""
        return self._seen.get(name, b"")

    def append(self, name: str, data: bytes) -> None:
        """Write at the end of a file.

        @raise OSError: the disk is full, in which case nothing is written, or failing.
        """
        self.write(name, self._seen.get(name, b"") + data)

    def write(self, name: str, data: bytes) -> None:
        """Write a whole file in place of what it held; a crash leaves the old or the new, whole.

        @raise OSError: the disk is full, in which case nothing is written, or failing.
        """
        self._check()
        if self.used_bytes - len(self._seen.get(name, b"")) + len(data) > self.capacity_bytes:
            raise OSError(errno.ENOSPC, strerror(errno.ENOSPC))
        self._seen[name] = data

    def sync(self, name: str) -> None:
        """Make what a file holds outlive a crash.

        @raise OSError: the disk is failing; nobody knows then what a crash would leave.
        """
        self._check()
        if name in self._seen:
            self._synced[name] = self._seen[name]

    def synced(self, name: str) -> bytes:
        """What a crash at this instant would leave of a file."""
        return self._synced.get(name, b"")

    def roll_back(self, name: str, before: bytes) -> None:
        """Take back what was written and could not be synced; a failing disk lets even that be tried."""
        self._seen[name] = before

    def fill(self) -> None:
        """Leave no room for another byte."""
        self.capacity_bytes = self.used_bytes

    def make_room(self) -> None:
        """Have room again."""
        self.capacity_bytes = _NO_LIMIT

    def crash(self) -> None:
        """Lose everything that was not synced."""
        self._seen = dict(self._synced)

    def _check(self) -> None:
        if self.is_failing:
            raise OSError(errno.EIO, strerror(errno.EIO))
