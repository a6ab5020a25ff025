"""The disk as folders are read and written here: no link is followed, and nothing but plain files is opened.

Names are opened relative to an open folder. So whatever somebody puts in the place of a file, or of the folder's own
path, in whatever moment, what is opened lies in the folder that was meant, or nothing is opened.
All of this blocks, and belongs into threads.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from msgspec import Struct

_IN_FOLDER: Final = os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe that is waited for would hold a thread for ever, and a terminal would become ours.
_NO_WAIT: Final = os.O_NONBLOCK | os.O_NOCTTY
# Linux knows whether anybody has a file open for writing; what it would send us meanwhile does nothing by default.
_SET_LEASE: Final = getattr(fcntl, "F_SETLEASE", None)
_SET_SIGNAL: Final = getattr(fcntl, "F_SETSIG", None)
# For a larger write the system looks for larger pages, and on a virtual machine these may have to be fetched first:
# writing takes eight times as long then.
_WRITTEN_AT_ONCE_BYTES: Final = 256 << 10


class Signature(Struct, frozen=True, gc=False):
    """A signature of a file that tells without reading it whether it is what it was.

    Of folders with a hundred thousand files there are as many, and collecting garbage among them would take longer than
    a turn of the reactor may: so these are not looked at, which is safe for what refers to nothing but numbers.

    @ivar size: in bytes.
    @ivar mtime_ns: when it was last written.
    @ivar inode: the number of what the name stands for.
    """

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """The signature of a file, from what the system says of it."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


@contextlib.contextmanager
def opened_folder(path: Path) -> Iterator[int]:
    """Hold a folder open.

    @raise OSError: it is not there, or is a link.
    """
    folder = open_folder(path)
    try:
        yield folder
    finally:
        os.close(folder)


def open_folder(path: Path) -> int:
    """Open a folder.

    @raise OSError: it is not there, or is a link.
    """
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | _IN_FOLDER)


@contextlib.contextmanager
def opened_file(folder: int, name: str) -> Iterator[int]:
    """Hold a plain file open for reading.

    @raise OSError: it is not there, cannot be read, or is something else.
    """
    file = open_file(folder, name)
    try:
        yield file
    finally:
        os.close(file)


def open_file(folder: int, name: str, flags: int = os.O_RDONLY) -> int:
    """Open a plain file.

    @param folder: an open folder.
    @param name: without any separator.
    @raise OSError: it is not there, cannot be opened, or is something else.
    """
    if "/" in name or name in ("", ".", ".."):
        raise OSError(errno.EINVAL, "no name of a file", name)
    file = os.open(name, flags | _IN_FOLDER | _NO_WAIT, 0o666, dir_fd=folder)
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise OSError(errno.EINVAL, "not a plain file", name)


def signature_of(file: int) -> Signature:
    """The signature of an open file."""
    return Signature.of(os.fstat(file))


def is_being_written(file: int) -> bool:
    """Whether anybody has a file open for writing, as far as the system tells."""
    if _SET_LEASE is None or _SET_SIGNAL is None:
        return False
    try:
        fcntl.fcntl(file, _SET_SIGNAL, signal.SIGURG)
        fcntl.fcntl(file, _SET_LEASE, fcntl.F_RDLCK)
    except OSError as error:
        # Anything else means that it cannot be known: the file of somebody else, or a disk in the network.
        return error.errno == errno.EAGAIN
    fcntl.fcntl(file, _SET_LEASE, fcntl.F_UNLCK)
    return False


def pread_full(file: int, size: int, offset: int) -> bytes:
    """Read so many bytes; fewer come only where the file ends."""
    content = os.pread(file, size, offset)
    if len(content) == size or not content:
        return content
    parts = [content]
    while content and size > sum(map(len, parts)):
        so_far = sum(map(len, parts))
        content = os.pread(file, size - so_far, offset + so_far)
        parts.append(content)
    return b"".join(parts)


def pwrite_full(file: int, content: bytes | bytearray | memoryview, offset: int) -> None:
    """Write all of it.

    @raise OSError: it cannot be written; some of it may have been.
    """
    left = memoryview(content).cast("B")
    while left:
        written = os.pwrite(file, left[:_WRITTEN_AT_ONCE_BYTES], offset)
        left, offset = left[written:], offset + written
