"""A fork server: Python programs that start at once, because a process that has imported all of them forks itself.

Importing costs a daemon more processor time than most tests need. L{start} and L{run} take what C{subprocess.Popen}
and C{subprocess.run} take and do the same; whatever is no program of this interpreter, or wants it started in another
way, is started the usual way.

Run as a program, C{python -m tests.integration.fork_server DESCRIPTOR}, it is the server. Each packet on that socket
asks for one process; with it come its standard streams, and a pipe on which its number is told, and later its exit
status and the most memory it had. When the socket is closed the server ends, and all that it has started.
"""

from __future__ import annotations

import atexit
import gc
import io
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final

ROOT: Final = Path(__file__).parent.parent.parent
_LARGEST_REQUEST: Final = 1 << 20
_PID: Final = struct.Struct("i")
_END: Final = struct.Struct("ii")
# What Python reads when it starts, and would not read again.
_READ_AT_START: Final = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_")
_OPTIONS: Final = frozenset({"stdin", "stdout", "stderr", "cwd", "env"})


class Forked:
    """A process of the server, to be used like a C{subprocess.Popen} of text.

    @ivar pid: its number.
    @ivar returncode: its exit status, negative for a signal; None until that was asked for and it has ended.
    @ivar stdin: its standard input, where that is a pipe; so too C{stdout} and C{stderr}.
    """

    def __init__(
        self, args: Sequence[str], pid: int, ends: int, pipes: Mapping[str, IO[str]], keep_peak: list[int]
    ) -> None:
        self.args = args
        self.pid = pid
        self.returncode: int | None = None
        self.stdin, self.stdout, self.stderr = (pipes.get(name) for name in ("stdin", "stdout", "stderr"))
        self._ends = os.fdopen(ends, "rb", buffering=0)
        self._keep_peak = keep_peak

    def fileno(self) -> int:
        """Readable when it has ended."""
        return self._ends.fileno()

    def poll(self) -> int | None:
        """Its exit status, if it has ended."""
        return self._look(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; returns its exit status."""
        if (status := self._look(timeout)) is None:
            assert timeout is not None, "without one it has ended"
            raise subprocess.TimeoutExpired(self.args, timeout)
        return status

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it has not ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str | None, str | None]:
        """Have it read something, and wait until it has ended; returns all that it has written."""
        deadline = None if timeout is None else time.monotonic() + timeout
        written: dict[str, str] = {}

        def read(name: str, pipe: IO[str]) -> None:
            with pipe:
                written[name] = pipe.read()

        pipes = {"stdout": self.stdout, "stderr": self.stderr}
        readers = [
            threading.Thread(target=read, args=(name, pipe), daemon=True)
            for name, pipe in pipes.items()
            if pipe is not None and not pipe.closed
        ]
        for reader in readers:
            reader.start()
        if self.stdin is not None and not self.stdin.closed:
            with suppress(BrokenPipeError), self.stdin as stdin:
                stdin.write(input or "")
        for reader in readers:
            reader.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
            if reader.is_alive():
                assert timeout is not None, "without one it is joined"
                raise subprocess.TimeoutExpired(self.args, timeout)
        self.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return written.get("stdout"), written.get("stderr")

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *reason: object) -> None:
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()
        self.wait()

    def _look(self, timeout_s: float | None) -> int | None:
        if self.returncode is None and select.select([self._ends], [], [], timeout_s)[0]:
            with self._ends as ends:
                told = ends.read(_END.size)
            # Nothing is told if the server is gone, and it ends its processes by this signal.
            self.returncode, peak_kb = _END.unpack(told) if told else (-signal.SIGKILL, 0)
            self._keep_peak[:] = [max(*self._keep_peak, peak_kb >> 10)]
        return self.returncode


Process = subprocess.Popen[str] | Forked


class ForkServer:
    """The server of this process, started when it is first needed."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._peak_mb = [0]
        atexit.register(self.close)

    @property
    def peak_mb(self) -> int:
        """The most memory that one of its processes that have ended has had."""
        return self._peak_mb[0]

    def start(
        self, args: Sequence[str | os.PathLike[str]], *, cwd: Any, env: Mapping[str, str], **streams: Any
    ) -> Forked:
        """Start a process; see L{start}."""
        words = [os.fspath(word) for word in args]
        with ExitStack() as theirs:
            pipes: dict[str, IO[str]] = {}
            given = [self._stream(name, streams.get(name), pipes, theirs) for name in ("stdin", "stdout")]
            is_one = streams.get("stderr") == subprocess.STDOUT
            given.append(given[1] if is_one else self._stream("stderr", streams.get("stderr"), pipes, theirs))
            ends, told = os.pipe()
            theirs.callback(os.close, told)
            request = {"args": words[1:], "cwd": os.fspath(cwd or os.getcwd()), "env": dict(env)}
            with self._lock:
                socket.send_fds(self._connected(), [json.dumps(request).encode()], [*given, told])
        (pid,) = _PID.unpack(os.read(ends, _PID.size))
        return Forked(words, pid, ends, pipes, self._peak_mb)

    def warm_up(self) -> None:
        """Start the server, and wait until it has imported everything."""
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        self.start((sys.executable, "-c", ""), cwd=None, env=os.environ, **streams).wait()

    def close(self) -> None:
        """End the server, and what it has started."""
        self._socket = None
        self._stack.close()

    def _connected(self) -> socket.socket:
        if self._socket is None:
            ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
            with theirs:
                server = subprocess.Popen(
                    (sys.executable, "-m", "tests.integration.fork_server", str(theirs.fileno())),
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    cwd=ROOT,
                )
            self._stack.callback(server.wait)
            self._stack.callback(ours.close)
            self._socket = ours
        return self._socket

    @staticmethod
    def _stream(name: str, wanted: Any, pipes: dict[str, IO[str]], theirs: ExitStack) -> int:
        """The descriptor that a process gets as one of its streams."""
        if wanted == subprocess.PIPE:
            reading, writing = os.pipe()
            ours, given = (writing, reading) if name == "stdin" else (reading, writing)
            pipes[name] = os.fdopen(ours, "w" if name == "stdin" else "r")
            theirs.callback(os.close, given)
            return given
        if wanted == subprocess.DEVNULL:
            given = os.open(os.devnull, os.O_RDWR)
            theirs.callback(os.close, given)
            return given
        if wanted is None:
            return ("stdin", "stdout", "stderr").index(name)
        return wanted if isinstance(wanted, int) else int(wanted.fileno())


SERVER: Final = ForkServer()


def start(args: Sequence[str | os.PathLike[str]], **options: Any) -> Process:
    """Start a program, as C{subprocess.Popen} does."""
    env = options.get("env")
    env = dict(os.environ) if env is None else env
    is_bytes = subprocess.PIPE in options.values() and not options.pop("text", False)
    if (
        is_bytes
        or args[0] != sys.executable
        or not options.keys() <= _OPTIONS
        or _at_start(env) != _at_start(os.environ)
    ):
        return subprocess.Popen(args, **options, text=not is_bytes)
    return SERVER.start(args, **{"cwd": None, **options, "env": env})


def run(
    args: Sequence[str],
    *,
    input: str | None = None,
    timeout: float | None = None,
    check: bool = False,
    capture_output: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, as C{subprocess.run} does."""
    if input is not None:
        options["stdin"] = subprocess.PIPE
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = start(args, **options)
    with process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(args, process.wait(), out, err)
    if check:
        done.check_returncode()
    return done


def _at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_READ_AT_START)}


# What follows runs in the server.


def serve(connection: socket.socket) -> list[str]:
    """Start processes until the connection is closed, and then end the server.

    @return: in a process that was started, the command line of what it is to be.
    """
    waking, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    running: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([connection, waking], [], [])
        if waking in ready:
            os.read(waking, 1 << 10)
            _reap(running)
        if connection not in ready:
            continue
        data, descriptors, _, _ = socket.recv_fds(connection, _LARGEST_REQUEST, 4)
        if not data:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
            sys.exit()
        *streams, told = descriptors
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            connection.detach()
            return _become(json.loads(data), streams)
        running[pid] = told
        for descriptor in streams:
            os.close(descriptor)
        os.write(told, _PID.pack(pid))


def _reap(running: dict[int, int]) -> None:
    """Tell of processes that have ended."""
    while running:
        pid, status, used = os.wait4(-1, os.WNOHANG)
        if not pid:
            return
        told = running.pop(pid)
        with suppress(BrokenPipeError):
            os.write(told, _END.pack(os.waitstatus_to_exitcode(status), used.ru_maxrss))
        os.close(told)


def _become(request: dict[str, Any], streams: list[int]) -> list[str]:
    """Make a process out of a copy of the server."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    os.closerange(3, max(map(int, os.listdir("/proc/self/fd"))) + 1)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        old = getattr(sys, name)
        raw = open(number, f"{mode}b", 0 if old.write_through else -1, closefd=False)  # noqa: SIM115
        stream: Any = io.TextIOWrapper(
            raw,
            old.encoding,
            old.errors,
            line_buffering=number == 2 or os.isatty(number),
            write_through=old.write_through,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    args: list[str] = request["args"]
    return args


def _execute(args: list[str]) -> None:
    """Do what C{python} does with a command line."""
    match args:
        case ["-c", code, *words]:
            sys.argv = ["-c", *words]
            exec(code, {"__name__": "__main__"})
        case ["-m", module, *words]:
            sys.argv = ["-m", *words]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case [path, *words]:
            sys.argv = [path, *words]
            runpy.run_path(path, run_name="__main__")


def _import_all() -> None:
    """Import what the programs need, but no reactor: each process has its own."""
    from twisted_bazaar.plugin import load_roles

    for name in ("twisted.scripts.twistd", "twisted.application.app", "twisted_bazaar.taps.tracker"):
        import_module(name)
    import_module("twisted_bazaar.taps.node")
    load_roles()
    for path in sorted((ROOT / "twisted_bazaar" / "cli").glob("*.py")):
        import_module(f"twisted_bazaar.cli.{path.stem}")
    assert "twisted.internet.reactor" not in sys.modules, "each process has its own reactor"
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    _import_all()
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        its_args = serve(asked)
    _execute(its_args)
