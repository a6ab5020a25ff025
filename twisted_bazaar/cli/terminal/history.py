"""The history of a prompt: the lines typed in earlier sessions, in a private file of this user.

What is looked for and fetched tells about whoever typed it. So the file is for this user alone, in the state directory,
where no node looks; it holds a bounded number of lines; and a line that begins with a blank is not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from twisted_bazaar.errors import UsageError
from twisted_bazaar.system.private_files import PrivateDirectory

_MOST_LINES: Final = 1000
_LONGEST_LINE: Final = 1000


class History:
    """Lines that were typed, kept from one session to the next.

    @param directory: where the file is; made if there is none.
    @param name: what the file is called.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = name
        self._typed: list[str] = []

    def load(self) -> Sequence[str]:
        """The lines of earlier sessions, the latest last.

        @raise UsageError: the directory is not this user's own.
        @raise OSError: the file cannot be read, or is not this user's.
        """
        directory = PrivateDirectory.open(self._directory, "history in")
        try:
            return self._read(directory)
        finally:
            directory.close()

    def add(self, line: str) -> bool:
        """Remember a line, unless it is to be forgotten or was the last one; returns whether it is remembered."""
        if not line.strip() or line[0].isspace() or len(line) > _LONGEST_LINE or self._typed[-1:] == [line]:
            return False
        self._typed.append(line)
        return True

    def save(self) -> str | None:
        """Put what was typed behind what others have put there meanwhile; returns why it cannot be kept, if so."""
        if not self._typed:
            return None
        try:
            directory = PrivateDirectory.open(self._directory, "history in")
            try:
                lines = [*self._read(directory), *self._typed][-_MOST_LINES:]
                directory.replace(self._name, "".join(f"{line}\n" for line in lines).encode())
            finally:
                directory.close()
        except UsageError as error:
            return str(error)
        except (OSError, UnicodeEncodeError) as error:
            return f"{self._directory / self._name}: {getattr(error, 'strerror', None) or error}"
        self._typed.clear()
        return None

    def _read(self, directory: PrivateDirectory) -> list[str]:
        try:
            content = directory.read(self._name)
        except FileNotFoundError:
            return []
        lines = content.decode(errors="replace").splitlines()[-_MOST_LINES:]
        return [line for line in lines if line and len(line) <= _LONGEST_LINE]
