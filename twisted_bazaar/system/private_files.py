"""Private directories: opens directories and files of this user in spite of planted links. Sans Twisted.

The way to a private directory is walked by descriptors, one name after the other, and judged as C{safe_path} of
OpenSSH (misc.c) judges the way to C{authorized_keys}: every directory above belongs to this user or to root, and
nobody else may write to it. Two things are let through that OpenSSH refuses: directories with the sticky bit, such as
C{/tmp}, in which nobody can move what is another's; and, as in Debian, the user's own group, in which nobody else is.

In the directory everything is opened relative to its descriptor, without following links.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

from twisted_bazaar.errors import UsageError

OWN_MODE: Final = 0o600
OWN_DIRECTORY_MODE: Final = 0o700
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_NO_LINKS: Final = os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe that is waited for would hold the process for ever, and a terminal would become ours.
_NO_WAIT: Final = os.O_NONBLOCK | os.O_NOCTTY
# Directories above need not be readable; where a descriptor cannot be had without reading, they have to be.
_PASSING: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | _NO_LINKS
# As many as Linux follows.
_MOST_LINKS: Final = 40
_ROOT: Final = 0


class NotOurs(PermissionError):
    """Something under a name is not a plain file of this user alone; C{strerror} says why, and what to do."""

    def __init__(self, fault: str, path: str) -> None:
        super().__init__(errno.EPERM, fault, path)


def fault_of(status: os.stat_result, *, is_written: bool) -> str | None:
    """The fault of a file that must be this user's own, in words; None if it has none.

    @param status: what the system says of it, without following a link.
    @param is_written: whether it is written in place: under a second name it would be written there, too.
    """
    if stat.S_ISLNK(status.st_mode):
        return "it is a symbolic link; put a plain file in its place"
    if not stat.S_ISREG(status.st_mode):
        return "it is not a file"
    if status.st_uid != os.geteuid():
        return f"it belongs to {_user(status.st_uid)}; chown it to {_user(os.geteuid())} if you trust what is in it"
    if is_written and status.st_nlink > 1:
        return "it has a second name elsewhere (a hard link); put a copy in its place"
    return None


class PrivateDirectory:
    """A directory that belongs to this user, and that nobody else may write to; held open.

    @ivar path: where it is.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path, option: str) -> Self:
        """Open a directory; make it, and those above, if there is none.

        @param path: absolute.
        @param option: what named it, for the errors.
        @raise UsageError: it is not private, and nothing was changed; the text says what to do.
        @raise OSError: it cannot be opened or made.
        """
        return cls(path, _Walk(path, option).open())

    def subdirectory(self, name: str) -> Path:
        """A directory in this one, made if there is none.

        @raise OSError: it cannot be made, or is not private.
        """
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, OWN_DIRECTORY_MODE, dir_fd=self._descriptor)
        status = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        path = self.path / name
        if not stat.S_ISDIR(status.st_mode):
            raise NotOurs("it is not a directory; remove it", str(path))
        if status.st_uid != os.geteuid() or status.st_mode & _OTHERS_WRITE:
            raise NotOurs("others may write to it; remove it, or chown it and chmod go-w", str(path))
        return path

    def close(self) -> None:
        """Close the directory; nothing can be opened in it any more."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def open_file(self, name: str, flags: int = os.O_RDONLY, *, is_written: bool = False) -> int:
        """Open a file of this user; what is made is for this user alone.

        @param name: without any separator.
        @param is_written: whether it is written in place.
        @raise OSError: it cannot be opened.
        @raise NotOurs: it is a link, no plain file, or somebody else's.
        """
        try:
            file = os.open(name, flags | _NO_LINKS | _NO_WAIT, OWN_MODE, dir_fd=self._descriptor)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EMLINK):
                raise NotOurs("it is a symbolic link; put a plain file in its place", str(self.path / name)) from None
            raise
        fault = fault_of(os.fstat(file), is_written=is_written)
        if fault is not None:
            os.close(file)
            raise NotOurs(fault, str(self.path / name))
        return file

    def read(self, name: str) -> bytes:
        """All of a file.

        @raise OSError: it cannot be read, or is not this user's.
        """
        with os.fdopen(self.open_file(name), "rb") as stream:
            return stream.read()

    def make(self, name: str) -> int:
        """Open a new file for writing, in place of whatever has that name.

        @raise OSError: it cannot be made.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_LINKS
        try:
            return os.open(name, flags, OWN_MODE, dir_fd=self._descriptor)
        except FileExistsError:
            # Of a process that was killed, or planted: a name is removed, never what a link leads to.
            try:
                os.unlink(name, dir_fd=self._descriptor)
            except OSError as error:
                fault = f"{error.strerror}; remove it"
                raise NotOurs(fault, str(self.path / name)) from None
            return os.open(name, flags, OWN_MODE, dir_fd=self._descriptor)

    def rename(self, name: str, target: str) -> None:
        """Give a file another name, in place of whatever has that.

        @raise OSError: that is impossible.
        """
        os.replace(name, target, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def sync(self) -> None:
        """Have the names in it on the disk.

        @raise OSError: that is impossible.
        """
        os.fsync(self._descriptor)

    def replace(self, name: str, content: bytes) -> None:
        """Write a whole file that only its owner can read; who is killed meanwhile leaves the old or the new.

        @raise OSError: it cannot be written.
        """
        new = f"{name}.new"
        with os.fdopen(self.make(new), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        self.rename(new, name)
        self.sync()


class _Walk:
    """The way from the root to a directory that is to be private."""

    def __init__(self, path: Path, option: str) -> None:
        self._path = path
        self._option = option
        self._here = Path(path.anchor)
        self._links = 0

    def open(self) -> int:
        """Go there; returns its descriptor."""
        parts = list(self._path.parts[1:])
        above = os.open(self._here, _PASSING)
        try:
            while parts:
                part = parts.pop(0)
                self._check_above(os.fstat(above))
                target = self._link(above, part)
                if target is None:
                    above = self._step(above, part)
                    continue
                parts[:0] = target.parts[1:] if target.is_absolute() else target.parts
                if target.is_absolute():
                    self._here = Path(target.anchor)
                    os.close(above)
                    above = os.open(self._here, _PASSING)
            self._check(os.fstat(above))
            # What has been looked at, and not what has that name by now; above there may be no right to read.
            return os.open(".", os.O_RDONLY | os.O_DIRECTORY | _NO_LINKS, dir_fd=above)
        finally:
            os.close(above)

    def _link(self, above: int, part: str) -> Path | None:
        """The target of a link, if the next part is one."""
        try:
            status = os.stat(part, dir_fd=above, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if not stat.S_ISLNK(status.st_mode):
            return None
        if status.st_uid not in (_ROOT, os.geteuid()):
            self._refuse(
                f"{self._here / part} is a symbolic link of {_user(status.st_uid)}, who can make it lead elsewhere",
                "name the directory itself",
            )
        self._links += 1
        if self._links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(self._path))
        return Path(os.readlink(part, dir_fd=above))

    def _step(self, above: int, part: str) -> int:
        """Open the next directory, or make it."""
        try:
            found = os.open(part, _PASSING, dir_fd=above)
        except FileNotFoundError:
            # Whoever comes between is judged as whoever was there before.
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, OWN_DIRECTORY_MODE, dir_fd=above)
            found = os.open(part, _PASSING, dir_fd=above)
        os.close(above)
        self._here = self._here.parent if part == ".." else self._here / part
        return found

    def _check_above(self, status: os.stat_result) -> None:
        """Judge a directory on the way."""
        if status.st_uid not in (_ROOT, os.geteuid()):
            self._refuse(f"{self._here} above it belongs to {_user(status.st_uid)}, who can put another in its place")
        may_write = status.st_mode & _OTHERS_WRITE
        if may_write == stat.S_IWGRP and _is_own_group(status.st_gid):
            return
        if may_write and not status.st_mode & stat.S_ISVTX:
            self._refuse(
                f"others may write to {self._here} above it, and so put another in its place",
                f"chmod go-w {self._here}",
            )

    def _check(self, status: os.stat_result) -> None:
        """Judge the directory itself."""
        if status.st_uid != os.geteuid():
            own = _user(os.geteuid())
            self._refuse(f"it belongs to {_user(status.st_uid)}, and this node runs as {own}", f"chown it to {own}")
        if status.st_mode & _OTHERS_WRITE:
            self._refuse("others may write to it", f"chmod go-w {self._path}")

    def _refuse(self, fault: str, remedy: str | None = None) -> None:
        advice = f"choose another {self._option}"
        if remedy is not None:
            advice = f"{remedy}, or {advice}"
        raise UsageError(f"{self._option} {self._path}: {fault}; {advice}")


def open_named(path: str, flags: int) -> int:
    """Open a file that the user has named for writing; an C{opener} for C{open}.

    What the user names is the user's business. But in a directory where everybody may write, somebody else can have
    put a link there that leads to a file of the user, or a file of his own to read what is written.

    @raise NotOurs: somebody else has.
    @raise OSError: it cannot be opened.
    """
    trusted = (_ROOT, os.geteuid())
    try:
        file = os.open(path, flags | _NO_LINKS, 0o666)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EMLINK):
            raise
        if os.lstat(path).st_uid not in trusted:
            raise NotOurs("somebody else has put a symbolic link there", path) from None
        file = os.open(path, flags | os.O_CLOEXEC, 0o666)
    status = os.fstat(file)
    if status.st_uid not in trusted and not stat.S_ISCHR(status.st_mode):
        above = os.stat(os.path.dirname(path) or ".")
        if above.st_mode & stat.S_ISVTX and above.st_mode & _OTHERS_WRITE:
            os.close(file)
            raise NotOurs(f"it belongs to {_user(status.st_uid)}", path)
    return file


def _user(number: int) -> str:
    """The name of a user."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _is_own_group(number: int) -> bool:
    """Whether a group is the one of this user alone, which is called after the user where each has one."""
    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(number)
    except KeyError:
        return False
    return is_group_of_one(group, user, pwd.getpwall())


def is_group_of_one(group: grp.struct_group, user: pwd.struct_passwd, users: Iterable[pwd.struct_passwd]) -> bool:
    """Whether a group is the own one of a user, and nobody else is in it.

    @param users: all there are: who has it as the first group does not stand among its members.
    """
    members = {*group.gr_mem, *(each.pw_name for each in users if each.pw_gid == group.gr_gid)}
    return user.pw_gid == group.gr_gid and group.gr_name == user.pw_name and members <= {user.pw_name}
