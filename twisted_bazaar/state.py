"""The directory in which a node keeps what is to outlive its process: its key, its id, its books, its socket.

One node uses it at a time; the lock is the kernel's, so it ends with the process however that ends.
"""

from __future__ import annotations

import fcntl
import os
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import platformdirs

from twisted_bazaar.errors import UsageError
from twisted_bazaar.identity.keys import SEED_BYTES, KeyPair
from twisted_bazaar.system.private_files import PrivateDirectory
from twisted_bazaar.wire.message import NO_ID

SOCKET: Final = "control.sock"
_LOCK: Final = "lock"
KEY: Final = "key"
_ID: Final = "id"
_ROLES: Final = "roles"
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
# What a unix socket's address has room for, on the systems that have least.
LONGEST_SOCKET_PATH: Final = 103


def states_root() -> Path:
    """The directory of all state directories that have only a name."""
    return platformdirs.user_state_path("twisted_bazaar", appauthor=False)


def state_path(name: str) -> Path:
    """The state directory of a node that was given a name only.

    @raise UsageError: it is not a name that a directory can have everywhere.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"--name {name!r}: write up to 64 letters, digits, dots, dashes and underscores")
    return states_root() / name


def last_start(directory: Path) -> tuple[list[str], float] | None:
    """The roles of the node with a state directory, and when it was started last; None if that is no such directory.

    @return: the time in seconds since 1970.
    """
    file = directory / _ROLES
    try:
        return file.read_text(encoding="utf-8").split(), file.stat().st_mtime
    except (OSError, ValueError):
        return None


def written_path(path: Path, option: str) -> Path:
    """A path as somebody has written it, with the home directory that a tilde stands for.

    @raise UsageError: it names a user that there is not.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise UsageError(f"{option} {path}: there is no user {path.parts[0][1:]!r}; a file is ./{path}") from None


class StateDirectory:
    """A state directory that this process has taken: this user's own, and nobody else may write to it.

    @param path: where it is; made if there is none.
    @param roles: the names of the roles of the node.
    @ivar path: the same, absolute.
    @ivar roles: the names of the roles of the node.
    @ivar files: what is in it.
    @raise UsageError: it cannot be used, or another node uses it.
    """

    def __init__(self, path: Path, roles: Sequence[str] = ()) -> None:
        self.roles: Sequence[str] = roles
        self.path: Path = written_path(path, "--state").absolute()
        if len(os.fsencode(self.path / SOCKET)) > LONGEST_SOCKET_PATH:
            raise UsageError(f"--state {self.path}: the path is too long for a socket in it; choose a shorter one")
        try:
            self.files: PrivateDirectory = PrivateDirectory.open(self.path, "--state")
        except OSError as error:
            raise UsageError(
                f"--state {self.path}: {error.strerror}; choose another, or --ephemeral to keep nothing"
            ) from None
        try:
            self._lock = self._take_lock()
        except BaseException:
            self.files.close()
            raise

    def close(self) -> None:
        """Release the directory for another node."""
        os.close(self._lock)
        self.files.close()

    def key(self, rng: random.Random) -> KeyPair:
        """The key of the node, made at its first start.

        @param rng: the source of its secret.
        @raise UsageError: it cannot be read or made, or others can read it.
        """
        file = self.path / KEY
        try:
            try:
                descriptor = self.files.open_file(KEY)
            except FileNotFoundError:
                self.files.replace(KEY, rng.randbytes(SEED_BYTES).hex().encode() + b"\n")
                descriptor = self.files.open_file(KEY)
            with os.fdopen(descriptor, "rb") as stream:
                if os.fstat(descriptor).st_mode & 0o077:
                    raise UsageError(f"{file}: others may read this key; if none has, chmod 600 {file}")
                text = stream.read()
        except OSError as error:
            # It may be about the file that is written first.
            raise UsageError(f"{self.path / (error.filename or KEY)}: {error.strerror}") from None
        try:
            return KeyPair.from_seed(bytes.fromhex(text.decode("ascii").strip()))
        except ValueError:
            raise UsageError(f"{file} is not a key; put back a copy of it, or remove it and be another node") from None

    @property
    def former_id(self) -> int:
        """The id that the node had last; -1 if it has had none."""
        try:
            return int(self.files.read(_ID))
        except (OSError, ValueError):
            return NO_ID

    def keep_id(self, node_id: int) -> None:
        """Have the id at the next start.

        @raise OSError: it cannot be written.
        """
        self.files.replace(_ID, b"%d\n" % node_id)

    def note_start(self) -> None:
        """Note that the node has been started, and which roles it has.

        @raise UsageError: it cannot be written.
        """
        try:
            self.files.replace(_ROLES, f"{' '.join(self.roles)}\n".encode())
        except OSError as error:
            raise UsageError(f"{self.path / _ROLES}: {error.strerror}") from None

    def recall(self, name: str) -> str | None:
        """The text that was last kept under a name; None if nothing was."""
        try:
            return self.files.read(name).decode().strip()
        except OSError:
            return None

    def keep(self, name: str, text: str) -> None:
        """Keep a line of text under a name.

        @raise OSError: it cannot be written.
        """
        self.files.replace(name, text.encode() + b"\n")

    def folder(self, name: str) -> Path:
        """A directory in it, made if there is none.

        @raise UsageError: there cannot be one.
        """
        try:
            return self.files.subdirectory(name)
        except OSError as error:
            raise UsageError(f"{self.path / name}: {error.strerror}") from None

    def _take_lock(self) -> int:
        try:
            lock = self.files.open_file(_LOCK, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise UsageError(f"{self.path / _LOCK}: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise UsageError(
                f"another node uses {self.path}; give this one a --name or --state of its own, or --ephemeral"
            ) from None
        return lock
