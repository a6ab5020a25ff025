"""The file that a simulation writes its trace to."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.system.private_files import open_named


class TraceFile(io.BufferedWriter):
    """A file that never fails where it is written to, which is deep in the simulation; who runs that asks it."""

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Write, or keep why that is impossible."""
        if self.failure is None:
            try:
                return super().write(data)
            except OSError as error:
                self.failure = error
        return len(data)

    def close(self) -> None:
        """Write what is left, and close."""
        try:
            super().close()
        except OSError as error:
            self.failure = self.failure or error

    def check(self) -> None:
        """Go on, unless something could not be written.

        @raise Refusal: it could not.
        """
        if self.failure is not None:
            raise UserError(f"--trace {os.fspath(self.name)}: {self.failure.strerror}")


@contextmanager
def trace_file(path: str, keep: str | None) -> Iterator[TraceFile]:
    """Open a trace for writing; leaving closes it.

    @param keep: a file that is read, and not to be overwritten.
    @raise Refusal: it cannot be opened, or not be written to.
    """
    try:
        if keep is not None and os.path.exists(path) and os.path.samefile(path, keep):
            raise UserError(f"--trace {path}: this is the scenario; choose another file")
        file = TraceFile(io.FileIO(path, "w", opener=open_named))
    except (OSError, ValueError) as error:
        raise UserError(f"--trace {path}: {getattr(error, 'strerror', None) or error}") from None
    try:
        yield file
    finally:
        file.close()
    file.check()
