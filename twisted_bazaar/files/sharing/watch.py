"""A watch on a folder: tells that something has happened there, by watchdog and its threads.

Events are only ever a reason to look now and not later: they get lost when many come, and some disks have none.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from twisted.logger import Logger
from watchdog.events import (
    DirDeletedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

# Reading a file is an event as well, and each block that is written: thousands a second, of which none says more than
# the last.
_EVENTS: Final[list[type[FileSystemEvent]]] = [
    FileCreatedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    FileClosedEvent,
    DirDeletedEvent,
]


class Watch(FileSystemEventHandler):
    """Watches one folder, as often as it comes into being.

    @param path: the folder.
    @param noticed: is called, in a thread, when something has happened; once until L{scan_begins}.
    """

    log: Final = Logger()

    def __init__(self, path: Path, noticed: Callable[[], object]) -> None:
        self._path = path
        self._noticed = noticed
        self._is_noticed = threading.Event()
        self._observer: Any = None
        self._watched: tuple[int, int] | None = None
        self._is_complained_of = False

    def scan_begins(self) -> None:
        """In a thread: what happens from now on is to be told of again; the folder is watched from now on."""
        self._is_noticed.clear()
        try:
            status = os.stat(self._path, follow_symlinks=False)
        except OSError:
            self._watched = None
            return
        if self._watched != (status.st_dev, status.st_ino):
            self._begin((status.st_dev, status.st_ino))

    def stop(self) -> None:
        """In a thread: end."""
        observer, self._observer, self._watched = self._observer, None, None
        if observer is not None:
            # One that never came to run cannot be waited for.
            with contextlib.suppress(RuntimeError):
                observer.stop()
                observer.join()

    def dispatch(self, event: FileSystemEvent) -> None:
        """Have the folder looked at soon: something has happened in it."""
        if isinstance(event, DirDeletedEvent) and os.fsdecode(event.src_path) == os.fspath(self._path):
            self._watched = None
        if not self._is_noticed.is_set():
            self._is_noticed.set()
            self._noticed()

    def _begin(self, folder: tuple[int, int]) -> None:
        self.stop()
        # Noted before, so that it is not tried again with each look.
        self._watched = folder
        try:
            self._observer = observer = Observer()
            observer.schedule(self, os.fspath(self._path), recursive=False, event_filter=_EVENTS)
            observer.start()
        except OSError as error:
            self._observer = None
            if not self._is_complained_of:
                self.log.info(
                    "{path} cannot be watched for changes: {reason}; it is read now and then instead",
                    path=self._path,
                    reason=error.strerror,
                )
            self._is_complained_of = True
