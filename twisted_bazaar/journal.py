"""The journal of a daemon: the events file, and its id for the next start."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Final

import msgspec
from twisted.logger import Logger

from twisted_bazaar.errors import UsageError
from twisted_bazaar.state import StateDirectory
from twisted_bazaar.system.private_files import open_named
from twisted_bazaar.values.addresses import Address, Peer
from twisted_bazaar.wire.message import Message

Journal = Callable[[str, Mapping[str, Any]], None]


class EventFile:
    """A file that gets one JSON line for each event and each message sent.

    A disk that is full costs the file, not the node: it says so once and writes no more.

    @param file: where the lines go.
    @param seconds: tells the time.
    """

    log: Final = Logger()

    def __init__(self, file: IO[str], seconds: Callable[[], float]) -> None:
        self._file: IO[str] | None = file
        self._seconds = seconds

    def enter(self, event: str, details: Mapping[str, Any]) -> None:
        """Write what a node reports."""
        if self._file is None:
            return
        line = json.dumps({"time": self._seconds(), "event": event, **details}, ensure_ascii=False)
        try:
            self._file.write(line + "\n")
        except OSError as error:
            self._file = None
            self.log.error("--events: {reason}; no more events are written", reason=error.strerror)

    def trace(self, peer: Peer | None, message: Message) -> None:
        """Write that a message is sent, and what is in it."""
        self.enter("sent", {"to": None if peer is None else peer.id, **msgspec.to_builtins(message)})

    def trace_datagram(self, address: Address, message: Message, size_bytes: int) -> None:
        """Write that a message is sent as a datagram, and what is in it."""
        self.enter("datagram", {"to": str(address), "bytes": size_bytes, **msgspec.to_builtins(message)})


def open_events(path: str | None, seconds: Callable[[], float]) -> EventFile | None:
    """The file that C{--events} names; None if it names none.

    @raise UsageError: it cannot be written.
    """
    if path is None:
        return None
    try:
        return EventFile(open(path, "a", encoding="utf-8", buffering=1, opener=open_named), seconds)
    except OSError as error:
        raise UsageError(f"--events {path!r}: {error.strerror}") from None


def id_keeper(state: StateDirectory) -> Journal:
    """Writes down the id that a node gets; a disk that is full costs no more than another id next time."""
    log = Logger()

    def enter(event: str, details: Mapping[str, Any]) -> None:
        if event == "joined":
            try:
                state.keep_id(details["id"])
            except OSError as error:
                log.warn(
                    "the id of this node cannot be kept in {path}: {reason}", path=state.path, reason=error.strerror
                )

    return enter


def entering_all(journals: Sequence[Journal]) -> Journal:
    """One journal for several."""

    def enter(event: str, details: Mapping[str, Any]) -> None:
        for journal in journals:
            journal(event, details)

    return enter
