"""The daemons of a demo: real C{twistd} processes, which end with it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TypeVar

from attrs import frozen

from twisted_bazaar.cli.chronicle import Chronicle
from twisted_bazaar.cli.interruption import Interruption
from twisted_bazaar.errors import BazaarError

_Seen = TypeVar("_Seen")

# The twistd of this interpreter, whether or not its script is on the path.
_TWISTD: Final = (sys.executable, "-m", "twisted_bazaar.cli.leashed", "--nodaemon", "--pidfile=")
_LOOK_S: Final = 0.03
_GRACE_S: Final = 6.0
_LONGEST_WORDS: Final = 300
_LOG_PREFIX: Final = re.compile(r"^\d{4}-\S+ \[[^]]*\] ")


class DemoFailure(BazaarError):
    """Something that a demo is to show did not happen; the text says what."""


class BadLuck(DemoFailure):
    """It did not happen for a reason that may be gone the next time."""


@frozen
class Daemon:
    """One process.

    @ivar name: what the story calls it.
    @ivar log: the file with all that it prints.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self) -> str:
        """The last line that it printed, without its time."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        told = [line for line in lines if line.strip() and not line.endswith((" terminated.", " Shut Down."))]
        return _LOG_PREFIX.sub("", told[-1])[:_LONGEST_WORDS].strip() if told else ""


class Stage:
    """All daemons of one demo. Leaving it ends them.

    @param directory: where logs and events go.
    @param interruption: asked while waiting.
    @ivar chronicle: what the daemons report.
    """

    def __init__(self, directory: Path, interruption: Interruption) -> None:
        self._directory = directory
        self._interruption = interruption
        self._daemons: list[Daemon] = []
        self.chronicle = Chronicle()

    def __len__(self) -> int:
        return len(self._daemons)

    def start(self, name: str, *words: str) -> Daemon:
        """Start a daemon.

        @param name: what the story calls it.
        @param words: the command line after C{twistd}.
        @raise DemoFailure: the system does not let it.
        """
        self._interruption.check()
        file_name = name.lower().replace(" ", "-")
        log, events = self._directory / f"{file_name}.log", self._directory / f"{file_name}.jsonl"
        # A daemon finds what this process found, also when that came from a relative path.
        places = os.pathsep.join(os.path.abspath(place) for place in sys.path)
        try:
            with log.open("wb") as output:
                process = subprocess.Popen(
                    (*_TWISTD, *words, "--events", str(events)),
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self._directory,
                    env={**os.environ, "PYTHONPATH": places},
                    # Ctrl-C in a terminal is for this process, which stops the others in its own time.
                    start_new_session=True,
                )
        except OSError as error:
            raise DemoFailure(f"{name} cannot be started: {error}") from None
        daemon = Daemon(name, process, log)
        self._daemons.append(daemon)
        self.chronicle.follow(name, events)
        return daemon

    def wait_for(self, failure: str, look: Callable[[], _Seen | None], within_s: float) -> _Seen:
        """Wait until something can be seen in the chronicle.

        @param failure: what to say if it cannot, as the beginning of a sentence.
        @param look: gives what is waited for, or None.
        @raise DemoFailure: it was not seen in time, or a daemon ended that should not have.
        @raise SystemExit: the demo is to end.
        """
        deadline = time.monotonic() + within_s
        while True:
            self._interruption.check()
            in_time = time.monotonic() < deadline
            self.chronicle.refresh()
            seen = look()
            if seen is not None:
                return seen
            self._check_all_well()
            if not in_time:
                raise DemoFailure(f"{failure} within {within_s:.0f} seconds")
            time.sleep(_LOOK_S)

    def stop(self) -> list[str]:
        """End all daemons, politely if they listen, else by force. The chronicle is complete then.

        @return: the names of those that did not listen.
        """
        for daemon in self._daemons:
            if daemon.process.poll() is None:
                daemon.process.terminate()
        deadline = time.monotonic() + _GRACE_S
        killed = []
        for daemon in self._daemons:
            try:
                daemon.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                daemon.process.kill()
                daemon.process.wait()
                killed.append(daemon.name)
            if daemon.process.stdin is not None:
                daemon.process.stdin.close()
        self.chronicle.refresh()
        return killed

    def _check_all_well(self) -> None:
        """A daemon that ends on its own says by status 0 that it has what it wanted."""
        for daemon in self._daemons:
            status = daemon.process.poll()
            if status:
                words = daemon.last_words()
                end = f"ended with status {status}" if status > 0 else f"was ended by signal {-status}"
                told = f"{daemon.name} {end}" + (f": {words}" if words else " and said nothing")
                raise (BadLuck if words.startswith("cannot listen") else DemoFailure)(told)


def free_ports(count: int) -> list[int]:
    """TCP ports of the loopback interface that nobody listens on now."""
    with ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
