"""The transfer log as a file: one line for each segment of any stream of a node, and with whom it is."""

from __future__ import annotations

from typing import IO, Final

from twisted_bazaar.files.udp.transport import Where
from twisted_bazaar.files.window import Watcher
from twisted_bazaar.files.window.log import HEADING, line
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.values.addresses import Address


class TransferLog:
    """A file that gets a line for each segment.

    A disk that is full costs the file, not the transfer: it says so once and writes no more.

    @param file: where the lines go.
    @param began: the time, in seconds, that counts as 0.
    """

    log: Final = limited_logger(__name__)

    def __init__(self, file: IO[str], began: float) -> None:
        self._file: IO[str] | None = file
        self._began = began
        self._write(f"{HEADING}  with")

    def watcher(self, where: Where) -> Watcher:
        """A watcher for the segments of one stream."""
        ending = f"  {Address(where[0], where[1])}"

        def told(event: str, at: float, offset: int, size: int, ack: int) -> None:
            self._write(line(event, at - self._began, offset, size, ack) + ending)

        return told

    def close(self) -> None:
        """Write no more."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except OSError as error:
            self.log.error("--transfer-log: the end of the file could not be written: {reason}", reason=error.strerror)

    def _write(self, text: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(f"{text}\n")
        except OSError as error:
            self._file = None
            self.log.error("--transfer-log: {reason}; nothing more is written to the file", reason=error.strerror)
