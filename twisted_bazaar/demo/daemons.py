"""The daemons of a demo: real C{twistd} processes, which end with it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from attrs import frozen

from twisted_bazaar.cli.terminal.interruption import Interruption
from twisted_bazaar.demo.events import Events
from twisted_bazaar.demo.supervised import HELD, HOLD, LET_GO
from twisted_bazaar.errors import BazaarError
from twisted_bazaar.settings.environment import PREFIX
from twisted_bazaar.system.log_lines import LEAVING, STOPPED, words_of

_Seen = TypeVar("_Seen")

# The twistd of this interpreter, whether or not its script is on the path.
_TWISTD: Final = (sys.executable, "-m", "twisted_bazaar.demo.supervised", "--nodaemon", "--pidfile=")
_BAZAAR: Final = (sys.executable, "-m", "twisted_bazaar")
_COMMAND_S: Final = 30.0
_LOOK_S: Final = 0.03
_GRACE_S: Final = 6.0
_LONGEST_WORDS: Final = 300
# Below those that systems give to connections.
_PORTS: Final = range(16_000, 32_000)
_APART: Final = 16


class DemoFailure(BazaarError):
    """Something that a demo is to show did not happen; the text says what."""


class BadLuck(DemoFailure):
    """It did not happen for a reason that may be gone the next time."""


@frozen
class Daemon:
    """One process.

    @ivar name: its name in the narration.
    @ivar words: its command line after C{twistd}.
    @ivar log: the file with all that it prints.
    """

    name: str
    words: tuple[str, ...]
    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self) -> str:
        """The last line that it printed, without its time."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        told = [words for words in map(words_of, lines) if words not in ("", LEAVING, STOPPED)]
        return told[-1][:_LONGEST_WORDS].strip() if told else ""

    def write_word(self, word: bytes) -> None:
        """Write a word to its standard input, by which it is held and released."""
        assert self.process.stdin is not None, "it is a pipe"
        with suppress(BrokenPipeError):
            # One that has ended is told of where it is waited for.
            self.process.stdin.write(word)
            self.process.stdin.flush()


class Stage:
    """All daemons of one demo. Leaving it ends them.

    @param directory: where logs, events and states go.
    @param interruption: asked while waiting.
    @param clock: the time, in seconds since any instant.
    @param sleep: waits for so many seconds.
    @ivar directory: the same.
    @ivar clock: the same.
    @ivar chronicle: what the daemons report.
    """

    def __init__(
        self,
        directory: Path,
        interruption: Interruption,
        clock: Callable[[], float],
        sleep: Callable[[float], object],
    ) -> None:
        self.directory = directory
        self.clock = clock
        self._sleep = sleep
        self._interruption = interruption
        self._daemons: list[Daemon] = []
        self.chronicle: Events = Events()

    def __len__(self) -> int:
        return len(self._daemons)

    def start(self, name: str, *words: str) -> Daemon:
        """Start a daemon.

        @param name: its name in the narration.
        @param words: the command line after C{twistd}.
        @raise DemoFailure: the system does not let it.
        """
        log, events = self.directory / f"{_file_name(name)}.log", self.directory / f"{_file_name(name)}.jsonl"
        daemon = self._run(name, words, log, events)
        self.chronicle.follow(name, events)
        return daemon

    def state_of(self, name: str) -> Path:
        """Where a daemon keeps what outlives its process."""
        return self.directory / _file_name(name)

    def hold(self, daemon: Daemon) -> None:
        """Let a daemon stand still, connections open; returns when it does.

        @raise DemoFailure: it does not.
        """
        held_before = daemon.log.read_bytes().count(HELD)
        daemon.write_word(HOLD)

        def is_held() -> bool | None:
            return daemon.log.read_bytes().count(HELD) > held_before or None

        self.wait_for(f"{daemon.name} did not stand still", is_held, _GRACE_S)

    def release(self, daemon: Daemon) -> None:
        """Let a daemon go on that was held."""
        daemon.write_word(LET_GO)

    def kill(self, daemon: Daemon) -> None:
        """End a daemon as a power cut does: it is not asked, and cannot do anything about it."""
        daemon.process.kill()
        daemon.process.wait()
        self._daemons.remove(daemon)
        if daemon.process.stdin is not None:
            daemon.process.stdin.close()

    def start_again(self, daemon: Daemon) -> Daemon:
        """Start a daemon that was killed, with the same command."""
        return self._run(daemon.name, daemon.words, daemon.log, daemon.log.with_suffix(".jsonl"))

    def _run(self, name: str, words: tuple[str, ...], log: Path, events: Path) -> Daemon:
        self._interruption.check()
        try:
            with log.open("ab") as output:
                process = subprocess.Popen(
                    (*_TWISTD, *words, "--events", str(events)),
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self.directory,
                    env=_environment(),
                    # Ctrl-C in a terminal is for this process, which stops the others in its own time.
                    start_new_session=True,
                )
        except OSError as error:
            raise DemoFailure(f"{name} cannot be started: {error}") from None
        daemon = Daemon(name, words, process, log)
        self._daemons.append(daemon)
        return daemon

    def run_bazaar(self, *words: str) -> tuple[int, list[str]]:
        """Run a command in the directory of the demo; returns its status, and the lines that it prints.

        @raise DemoFailure: it does not end.
        """
        self._interruption.check()
        try:
            done = subprocess.run(
                (*_BAZAAR, *words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=_environment() | {"PYTHONIOENCODING": "utf-8"},
                timeout=_COMMAND_S,
                start_new_session=True,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DemoFailure(f"bazaar {words[0]} cannot be run: {error}") from None
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        return done.returncode, [line for line in lines if line.strip()]

    def wait_for(self, failure: str, look: Callable[[], _Seen | None], within_s: float) -> _Seen:
        """Wait until something can be seen in the chronicle.

        @param failure: what to say if it cannot, as the beginning of a sentence.
        @param look: gives what is waited for, or None.
        @raise DemoFailure: it was not seen in time, or a daemon ended that should not have.
        @raise SystemExit: the demo is to end.
        """
        deadline = self.clock() + within_s
        while True:
            self._interruption.check()
            in_time = self.clock() < deadline
            self.chronicle.refresh()
            seen = look()
            if seen is not None:
                return seen
            self._check_all_well()
            if not in_time:
                raise DemoFailure(f"{failure} within {within_s:.0f} seconds")
            self._sleep(_LOOK_S)

    def stop(self) -> list[str]:
        """End all daemons, politely if they listen, else by force. The chronicle is complete then.

        @return: the names of those that did not listen.
        """
        for daemon in self._daemons:
            if daemon.process.poll() is None:
                daemon.write_word(LET_GO)
                daemon.process.terminate()
        deadline = self.clock() + _GRACE_S
        killed = []
        for daemon in self._daemons:
            try:
                daemon.process.wait(max(0.0, deadline - self.clock()))
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


def _environment() -> dict[str, str]:
    """That of this process, with all that it finds, also when that came from a relative path.

    What it sets of the daemons' options is for the user's own.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**inherited, "PYTHONPATH": os.pathsep.join(os.path.abspath(place) for place in sys.path)}


def _file_name(name: str) -> str:
    return name.lower().replace(" ", "-")


def free_ports(count: int) -> list[int]:
    """TCP ports of the loopback interface that nobody listens on now, nor gets who does not ask for them by number.

    @raise DemoFailure: there are not so many.
    """
    ports: list[int] = []
    # Two demos at once begin at different places.
    start = os.getpid() * _APART % len(_PORTS)
    for port in (*_PORTS[start:], *_PORTS[:start]):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
        if len(ports) == count:
            return ports
    raise DemoFailure(f"of the ports from {_PORTS[0]} to {_PORTS[-1]} no {count} are free; end what listens there")
