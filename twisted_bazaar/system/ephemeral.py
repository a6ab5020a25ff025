"""An ephemeral directory: removed when its process ends, or by the next one if it was killed. Sans Twisted.

Who has one holds a lock on it, which the kernel lets go of with the process, however that ends. So a directory without
a lock is what a process has left that could not tidy up.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from twisted_bazaar.errors import UsageError

_PREFIX: Final = "bazaar-ephemeral-"
_HOLD: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TRIES: Final = 10


class EphemeralDirectory:
    """A directory among the temporary ones, for this user alone. There is nothing on the disk before L{open}.

    @param above: where it is made; where temporary files go if not given.
    """

    def __init__(self, above: Path | None = None) -> None:
        self._above = above
        self._path: Path | None = None
        self._end: weakref.finalize[..., EphemeralDirectory] | None = None

    def __fspath__(self) -> str:
        """The path where it is, or was."""
        assert self._path is not None, "it is open"
        return os.fspath(self._path)

    def open(self) -> None:
        """Make it. Blocks for an instant.

        @raise UsageError: there cannot be one.
        """
        try:
            self._path, lock = _made(_place(self._above))
        except OSError as error:
            raise UsageError(f"no directory can be made in {_place(self._above)}: {error.strerror}") from None
        # Who forgets to close it, or ends with an error, leaves nothing either.
        self._end = weakref.finalize(self, _remove, self._path, lock, os.getpid())

    def close(self) -> None:
        """Remove it, with all that is in it. Blocks."""
        if self._end is not None:
            self._end()


def remove_leftovers(above: Path | None = None) -> int:
    """Remove what processes of this user have left that were killed; returns how many directories. Blocks."""
    removed = 0
    for path in sorted(_place(above).glob(f"{_PREFIX}*")):
        with _locked(path) as lock:
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                removed += not path.exists()
    return removed


def _place(above: Path | None) -> Path:
    return Path(tempfile.gettempdir()) if above is None else above


def _made(above: Path) -> tuple[Path, int]:
    """A new directory, and a descriptor that holds its lock."""
    for _ in range(_TRIES):
        # Links on the way are followed once, now.
        path = Path(os.path.realpath(tempfile.mkdtemp(prefix=_PREFIX, dir=above)))
        try:
            lock = os.open(path, _HOLD)
        except FileNotFoundError:
            # Another process has taken it for a leftover before it was locked.
            continue
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(path, lock):
                return path, lock
        os.close(lock)
    raise OSError(0, "other processes remove it at once", str(above))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int | None]:
    """The lock of a leftover of this user; None if it is none."""
    try:
        lock = os.open(path, _HOLD)
    except OSError:
        yield None
        return
    try:
        is_free = os.fstat(lock).st_uid == os.geteuid()
        if is_free:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                is_free = False
        yield lock if is_free and _is_still(path, lock) else None
    finally:
        os.close(lock)


def _is_still(path: Path, directory: int) -> bool:
    """Whether a path leads to what is open."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    status = os.fstat(directory)
    return (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino)


def _remove(path: Path, lock: int, process: int) -> None:
    """Remove a directory, and let go of its lock. A child of the process that made it leaves it alone."""
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)
    os.close(lock)
