"""Servers under load: started as processes of their own, reached over loopback, ended with the benchmark."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from attrs import frozen

from benchmarks.report import BenchmarkError

LOOPBACK: Final = "127.0.0.1"
PATIENCE_S: Final = 20.0

_ROOT: Final = Path(__file__).resolve().parent.parent


@frozen
class Server:
    """A server that has been started.

    @ivar pid: its process.
    @ivar output: what it prints, if it was asked for.
    @ivar port: where it listens, on loopback.
    """

    pid: int
    port: int
    output: IO[bytes] | None = None

    def connect(self, host: str = LOOPBACK) -> socket.socket:
        """Open a connection; nothing on it takes longer than C{PATIENCE_S}.

        @param host: the address of this machine that it comes from.
        """
        return socket.create_connection((LOOPBACK, self.port), PATIENCE_S, (host, 0))

    def resident_bytes(self) -> int:
        """How much memory the process has resident now."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise BenchmarkError(f"/proc/{self.pid}/status does not tell the resident memory")

    def processor_s(self) -> float:
        """How much of a processor's time the process has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def bare_server(kind: str) -> Iterator[Server]:
    """Run one of the servers of L{benchmarks.bare}."""
    command = [sys.executable, "-m", "benchmarks.bare", kind]
    with _process(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None, "it was asked for"
        line = process.stdout.readline()
        if not line.strip().isdigit():
            raise BenchmarkError(f"the bare {kind} server did not start")
        yield Server(process.pid, int(line), process.stdout)


@contextmanager
def daemon(words: Sequence[str], *, is_plain: bool = True) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of this project's daemons as a user does.

    @param words: the command line after C{twistd -n}.
    @param is_plain: whether its connections are in the open, as those of most peers are.
    """
    command = [
        sys.executable,
        "-c",
        "from twisted.scripts.twistd import run; run()",
        "-n",
        "--pidfile=",
        *words,
        *(["--plain"] if is_plain else []),
    ]
    with tempfile.TemporaryFile() as log, _process(command, stdout=log, stderr=subprocess.STDOUT) as process:
        try:
            yield process
        except OSError as error:
            log.seek(0)
            last = log.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise BenchmarkError(f"{words[0]} failed ({error}); its last words: {last}") from None


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server((LOOPBACK, 0)) as held:
        return int(held.getsockname()[1])


def wait_until_listening(process: subprocess.Popen[bytes], port: int) -> Server:
    """Wait until a process takes connections.

    @raise BenchmarkError: it ended instead, or took too long.
    """
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            socket.create_connection((LOOPBACK, port), PATIENCE_S).close()
        except ConnectionRefusedError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
        else:
            return Server(process.pid, port)
    raise BenchmarkError("a daemon did not start to listen")


@contextmanager
def _process(
    command: Sequence[str], *, stdout: int | IO[bytes], stderr: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr) as process:
        try:
            yield process
        finally:
            # Its connections are part of the load: nothing is to be said on them any more.
            process.kill()
