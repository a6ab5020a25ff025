"""The log of a daemon: one line for each event, with its time, the role, the name of the node, and what it says.

twistd asks the application for its observer where the user names none: C{--logger} and C{--syslog} do what they always
do, and C{--logfile} says where the lines go.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Mapping
from typing import IO, Any, Final

from attrs import field, frozen
from twisted.logger import FileLogObserver, ILogObserver, LogEvent, LogLevel, eventAsText
from twisted.python.logfile import LogFile

from twisted_bazaar.errors import UsageError
from twisted_bazaar.system.local_time import local_time
from twisted_bazaar.system.log_lines import ERROR, WARNING, log_line

_DEFAULT_FILE: Final = "twistd.log"
_LEVELS: Final = {LogLevel.warn: WARNING, LogLevel.error: ERROR, LogLevel.critical: ERROR}
# What Twisted says of each port, under no name of its own; the node says where it listens.
_OF_PORTS: Final = re.compile(r".+ starting on \S+|\((?:\S+ )?Port .+ Closed\)")


@frozen
class LogLines:
    """Makes a line of each event; what Twisted tells of itself is left out, unless something is wrong.

    @ivar role: what the node is, for lines that belong to no other role.
    @ivar name: the name that the user has given to the node; empty for none.
    @ivar roles: the names of roles by the module of each, where there are several.
    """

    role: str
    name: str = ""
    roles: Mapping[str, str] = field(factory=dict)

    def format_event(self, event: LogEvent) -> str | None:
        """A line, and those of its traceback if it has one; None if it is left out."""
        words = eventAsText(event, includeTimestamp=False, includeSystem=False)
        if not words or _is_left_out(event, words):
            return None
        time, who = local_time(event["log_time"]), self._who(event.get("log_namespace") or "")
        level = _LEVELS.get(event.get("log_level"), "")
        return log_line(time, who, level, words)

    def _who(self, namespace: str) -> str:
        role = next(
            (role for module, role in self.roles.items() if f"{namespace}.".startswith(f"{module}.")), self.role
        )
        return f"{role} {self.name}" if self.name not in ("", role) else role


def make_observer(options: Mapping[str, Any] | None, lines: LogLines) -> ILogObserver | None:
    """What writes the lines of a daemon to where its user wants them; None if the user wants something else than lines.

    @param options: those of twistd itself; None if it is not what runs the daemon.
    @raise UsageError: the file of C{--logfile} cannot be written.
    """
    if options is None:
        return None
    path = options.get("logfile")
    in_foreground = bool(options.get("nodaemon", True))
    if options.get("logger") or options.get("syslog") or (path == "-" and not in_foreground):
        # The last is refused by Twisted.
        return None
    if path == "-" or (in_foreground and not path):
        return FileLogObserver(sys.stdout, lines.format_event)
    return FileLogObserver(_open_file(path or _DEFAULT_FILE), lines.format_event)


def _open_file(path: str) -> IO[Any]:
    """The file of the log, which begins anew when it is long, and at SIGUSR1, as twistd's own does."""
    try:
        file: Any = LogFile.fromFullPath(path)
    except OSError as error:
        raise UsageError(f"--logfile {path!r}: {error.strerror}") from None

    def rotate(number: int, frame: object) -> None:
        from twisted.internet import reactor

        rotating: Any = reactor
        rotating.callFromThread(file.rotate)

    if hasattr(signal, "SIGUSR1") and not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, rotate)
    written: IO[Any] = file
    return written


def _is_left_out(event: LogEvent, words: str) -> bool:
    if event.get("log_level") not in (LogLevel.debug, LogLevel.info):
        return False
    namespace = str(event.get("log_namespace"))
    return namespace.startswith("twisted.") or (namespace == "log_legacy" and bool(_OF_PORTS.fullmatch(words)))
