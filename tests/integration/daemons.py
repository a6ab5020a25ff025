"""Real C{twistd} processes for tests: started on loopback, read line by line, and ended with the test."""

from __future__ import annotations

import fcntl
import os
import queue
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from tests.integration import fork_server

# The twistd of this interpreter, whether or not its script is on the path.
TWISTD: Final = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile=")
BAZAAR: Final = (sys.executable, "-m", "twisted_bazaar")
LONGEST_S: Final = 30.0
# For daemons that are joined by those who are played by hand.
IN_THE_OPEN: Final[Mapping[str, str]] = {"BAZAAR_PLAIN": "true"}
# Where a system says from which port on it gives them to whoever names none.
_GIVEN_BY_SYSTEM: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_PORTS_GIVEN: Final[set[int]] = set()
_PORTS_LOCK: Final = threading.Lock()

T = TypeVar("T")


class Daemon:
    """One process.

    @ivar directory: where it runs.
    @ivar said: the lines of its log that have been waited for.
    @param words: the command line after the program.
    @param environment: what it has in its environment besides that of the tests.
    @param stdin: what it reads.
    """

    def __init__(
        self,
        words: tuple[str, ...],
        directory: Path,
        environment: Mapping[str, str],
        program: tuple[str, ...] = TWISTD,
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        self.directory = directory
        self._process = fork_server.start(
            (*program, *words),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=directory,
            env={**os.environ, **environment},
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait for a line of its log that has not been waited for, and read past it.

        @raise AssertionError: it does not come; the text has the whole log.
        """
        deadline = time.monotonic() + LONGEST_S
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"no line {pattern!r} came:\n{''.join(self.said)}")
            self.said.append(line)
            if match := re.search(pattern, line):
                return match

    def wait_for_all(self, *patterns: str) -> None:
        """Wait for a line of each kind, in whatever order they come.

        @raise AssertionError: one does not come; the text has the whole log.
        """
        left = set(patterns)
        while left:
            line = self.wait_for("|".join(f"(?:{pattern})" for pattern in sorted(left))).string
            left = {pattern for pattern in left if not re.search(pattern, line)}

    def wait_for_port(self) -> int:
        """Wait until it listens; returns where."""
        return int(self.wait_for(r"listening on .* port (\d+)")[1])

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it has ended by itself, or been ended."""
        return self._process.poll() is not None

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.send_signal(signal.SIGINT)

    def pause(self) -> None:
        """Let it stand still, connections open; L{end} ends it all the same."""
        self.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """End it as a power cut does; returns when it is gone."""
        self.send_signal(signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Wait until it has ended; returns its exit status."""
        return self._process.wait(LONGEST_S)

    def rest(self) -> str:
        """Wait until it has ended; returns its whole log."""
        self.wait()
        self._reader.join()
        while (line := self._lines.get()) is not None:
            self.said.append(line)
        return "".join(self.said)

    def end(self) -> None:
        """End it, politely if that works."""
        self._process.terminate()
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(LONGEST_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None, "it is a pipe"
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)


class Daemons:
    """All daemons of one test, which keep their state in a directory of the test. Leaving it ends them, the last first.

    @param directory: where they run.
    @param in_the_open: whether they seal nothing, so that those who are played by hand can join them.
    @ivar environment: what tells them, and the commands that ask them, where their state is.
    """

    def __init__(self, directory: Path, *, in_the_open: bool = False) -> None:
        self._directory = directory
        self._running: list[Daemon] = []
        # Not below the directory of the test: sockets have short names.
        self._states = tempfile.TemporaryDirectory(prefix="bz-")
        self.environment = {"XDG_STATE_HOME": self._states.name}
        if in_the_open:
            self.environment |= IN_THE_OPEN

    @property
    def states(self) -> Path:
        """Where the state directories of nodes are that have a name only."""
        return Path(self._states.name, "twisted_bazaar")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._running:
            self._running.pop().end()
        self._states.cleanup()

    def start(
        self, *words: str, environment: Mapping[str, str] | None = None, program: tuple[str, ...] = TWISTD
    ) -> Daemon:
        """Start one, or a command that goes on for a while."""
        daemon = Daemon(words, self._directory, {**self.environment, **(environment or {})}, program)
        self._running.append(daemon)
        return daemon

    def run(self, program: tuple[str, ...], *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run something to its end.

        @param options: of C{subprocess.run}, where they are not the usual ones.
        """
        settings: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        if "input" not in settings:
            settings["stdin"] = subprocess.DEVNULL
        return fork_server.run(
            (*program, *words),
            text=True,
            cwd=self._directory,
            timeout=60,
            check=False,
            env={**os.environ, **self.environment},
            **settings,
        )

    def start_tracker(self, *, is_kept: bool = False) -> tuple[Daemon, str]:
        """Start a tracker on a free port; returns it with the endpoint at which nodes find it.

        @param is_kept: whether it has a directory, so that it can be asked.
        """
        keeping = () if is_kept else ("--ephemeral",)
        tracker = self.start("bazaar-tracker", "--listen", "tcp:0:interface=127.0.0.1", *keeping)
        return tracker, f"tcp:127.0.0.1:{tracker.wait_for_port()}"


def free_port() -> int:
    """A port that is free for connections and for datagrams, each time another, for this process until it ends.

    Whoever is ended wants its port back when it is started again, and others open theirs meanwhile: it is none that
    the system gives to those who name none, and none that tests in another process have.
    """
    end = 32_000
    with suppress(FileNotFoundError):
        end = min(end, int(_GIVEN_BY_SYSTEM.read_text().split()[0]))
    while True:
        port = random.randrange(end // 2, end)
        with suppress(OSError), _PORTS_LOCK:
            if port in _PORTS_GIVEN:
                continue
            fcntl.lockf(_lock_file(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            with socket.create_server(("127.0.0.1", port)), socket.socket(type=socket.SOCK_DGRAM) as datagrams:
                datagrams.bind(("127.0.0.1", port))
            _PORTS_GIVEN.add(port)
            return port


@cache
def _lock_file() -> int:
    """The file that all processes of tests share, with a byte to lock for each port; locks end with the process."""
    path = f"/tmp/twisted_bazaar-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def until(look: Callable[[], T], every_s: float = 0.02) -> T:
    """Wait for something outside this process; returns what was seen."""
    deadline = time.monotonic() + LONGEST_S
    while not (seen := look()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(every_s)
    return seen
