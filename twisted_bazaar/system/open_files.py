"""The files that this process may open, and how many connections that leaves room for."""

from __future__ import annotations

import os
import resource
from typing import Final

from attrs import frozen

_MANY_FILES: Final = 1 << 20
_LEAST_RESERVE: Final = 24
_LARGEST_RESERVE: Final = 256
_RESERVED_PART: Final = 4


@frozen
class OpenFiles:
    """The files that a process may open.

    @ivar limit: the most that the system lets it have.
    @ivar in_use: how many are open now.
    """

    limit: int
    in_use: int

    @property
    def reserve(self) -> int:
        """The files kept for the node itself: those that it has yet to open, shares, or needs for dialling."""
        return min(_LARGEST_RESERVE, max(_LEAST_RESERVE, self.limit // _RESERVED_PART))

    @property
    def connections(self) -> int:
        """The number of connections of others that may be open at any time; one at least."""
        return max(1, self.limit - self.in_use - self.reserve)


def raise_file_limit() -> OpenFiles:
    """Raise the limit on open files to what the system allows; returns what that leaves room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return OpenFiles(file_limit(), _open_now())


def file_limit() -> int:
    """The number of files that this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MANY_FILES if soft == resource.RLIM_INFINITY else soft


def _open_now() -> int:
    """The number of files that are open, without the one that tells; a guess where the system does not tell."""
    try:
        return len(os.listdir("/dev/fd")) - 1
    except OSError:
        return _LEAST_RESERVE
