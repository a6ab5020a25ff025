"""Where an attack takes place: a directory, the daemons in it, and who runs on which core."""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from attrs import frozen

from tests.integration.watched_node import LONGEST_S, WatchedProcess, until

LOOPBACK: Final = "127.0.0.1"
_LISTENS: Final = r"listening on \S+ port (\d+)"
_TAKES_DATAGRAMS: Final = r"taking datagrams at \S+:(\d+)"


@frozen
class Cores:
    """Who runs where, so that attackers do not starve anybody of processor time.

    @ivar victim: of the daemons and the honest client.
    @ivar attackers: of all attackers.
    """

    victim: int
    attackers: int

    @property
    def is_one(self) -> bool:
        """Whether all share one core, so that waits say little."""
        return self.victim == self.attackers

    @classmethod
    def of_this_process(cls) -> Self:
        """The first and the last core that this process may use."""
        cores = sorted(os.sched_getaffinity(0))
        return cls(cores[0], cores[-1])


@frozen
class Pace:
    """How long each part of an attack takes, in seconds.

    @ivar calm_s: the control, and the time after the attack.
    @ivar assault_s: each run of the attack.
    @ivar settle_s: given to a victim to clear up when the attackers have gone.
    """

    calm_s: float
    assault_s: float
    settle_s: float


FULL: Final = Pace(calm_s=1.2, assault_s=7.0, settle_s=1.2)
SHORT: Final = Pace(calm_s=0.6, assault_s=2.5, settle_s=0.4)


class Victim(WatchedProcess):
    """A daemon that listens.

    @ivar port: where; 0 before L{wait_until_it_listens}.
    @ivar is_sealed: whether it seals its connections, as it does if nothing else is said.
    """

    port = 0

    def __init__(self, directory: Path, *words: str) -> None:
        super().__init__(directory, *words, sealed=True)
        self.is_sealed = "--plain" not in words
        self._directory = directory

    def wait_until_it_listens(self) -> Self:
        """Wait until it takes connections.

        @raise AssertionError: it does not; the text has its log.
        """
        self.port = int(self.wait_for(_LISTENS)[1])
        return self

    @property
    def datagram_port(self) -> int:
        """Where it takes datagrams."""
        return int(self.wait_for(_TAKES_DATAGRAMS)[1])

    def wait_for(self, pattern: str, timeout_s: float = LONGEST_S) -> re.Match[str]:
        """Wait for something in its log.

        @raise AssertionError: it does not come; the text has the log.
        """
        found: list[re.Match[str]] = []

        def look() -> bool:
            found.extend(re.finditer(pattern, self.log()))
            return bool(found) or not self.is_alive()

        until(look, timeout_s)
        assert found, f"no line {pattern!r} came:\n{self.log()}"
        return found[0]

    @property
    def endpoint(self) -> str:
        """Where it listens, as an endpoint."""
        return f"tcp:{LOOPBACK}:{self.port}"

    @property
    def resident_bytes(self) -> int:
        """Resident memory, mapped files included; 0 when it is gone."""
        with suppress(OSError, IndexError):
            return self._status("VmRSS")
        return 0

    def held_bytes(self) -> int | None:
        """What its links hold, as it says at its control socket; None if it has none in its directory, or is gone."""
        path = next(self._directory.rglob("control.sock"), None)
        if path is None or not self.is_alive():
            return None
        with socket.socket(socket.AF_UNIX) as connection, suppress(OSError, ValueError, LookupError):
            connection.settimeout(LONGEST_S)
            connection.connect(os.fspath(path))
            connection.sendall(b'20:{"command":"status"},')
            with connection.makefile("rb") as answer:
                size = int(b"".join(iter(lambda: answer.read(1), b":")))
                [status, *_] = json.loads(answer.read(size))["results"]
                return int(status["held_bytes"])
        return None

    @property
    def log_bytes(self) -> int:
        """How long its log is."""
        return len(self.log().encode())


class Stage:
    """The daemons of one attack, which end with it.

    @param cores: who runs where.
    @param pace: how long each part takes.
    @ivar directory: for whatever the attack needs on a disk; short, for sockets have short names.
    """

    def __init__(self, cores: Cores, pace: Pace) -> None:
        self.cores = cores
        self.pace = pace
        self._ending = ExitStack()
        self.directory = Path(self._ending.enter_context(tempfile.TemporaryDirectory(prefix="bz-")))
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.close()

    def folder(self) -> Path:
        """A new directory that is the stage's own."""
        self._count += 1
        path = self.directory / str(self._count)
        path.mkdir(mode=0o700)
        return path

    def start(self, *words: str, descriptors: int | None = None) -> Victim:
        """Start a daemon on the victim's core, and wait until it listens.

        @param words: the command line after C{twistd -n}; it listens on a free port of loopback.
        @param descriptors: how many files and sockets it may open.
        """
        return self.launch(*words, *LISTEN, descriptors=descriptors).wait_until_it_listens()

    def launch(self, *words: str, descriptors: int | None = None, is_pinned: bool = True) -> Victim:
        """Start a daemon, and wait for nothing.

        @param is_pinned: whether it runs on the victim's core alone.
        """
        victim = Victim(self.folder(), *words)
        self._ending.callback(victim.end)
        if is_pinned:
            os.sched_setaffinity(victim.pid, {self.cores.victim})
        if descriptors is not None:
            resource.prlimit(victim.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))
        return victim


LISTEN: Final = ("--listen", f"tcp:0:interface={LOOPBACK}")


@contextmanager
def pinned_to(core: int) -> Iterator[None]:
    """Run on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
