"""A node under watch: a real C{twistd} process whose reactor turns, memory, sockets and log can be read.

Run as a program it is twistd, and keeps the longest turn of its reactor in a file:

    python -m tests.integration.watched_node TURN_FILE [WORD FOR TWISTD]...

A turn is measured in processor time of the reactor's thread: the wait for sockets costs none, nor do
other processes, so a busy machine makes no turn longer. On C{SIGUSR1} the program commits the fault that
C{WATCHED_FAULT} names, for tests that the measures measure.

Imported, it has the test's side: L{WatchedNode} starts that program as a node without other neighbours,
and plays its tracker.
"""

from __future__ import annotations

import mmap
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from tests.integration import fork_server
from tests.integration.daemons import IN_THE_OPEN

NODE_ID: Final = 1
LONGEST_S: Final = 20.0
_GRACE_S: Final = 10.0
_SECONDS: Final = struct.Struct("d")


def until(condition: Callable[[], bool], timeout_s: float = LONGEST_S) -> bool:
    """Look again and again until something is so; returns whether it became so in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class HandPeer:
    """A peer played by hand on a blocking socket: sends any bytes, reads frames with a parser of its own.

    @param connection: the socket, connected.
    @ivar heard: every message read so far.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.socket.settimeout(LONGEST_S)
        self._unread = bytearray()
        self.heard: list[dict[str, Any]] = []

    @classmethod
    def connect(cls, port: int, receive_buffer_bytes: int | None = None) -> Self:
        """Connect to a node on this machine; nothing is said yet."""
        connection = socket.socket()
        connection.settimeout(LONGEST_S)
        if receive_buffer_bytes is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        connection.connect(("127.0.0.1", port))
        return cls(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def write(self, data: bytes) -> bool:
        """Send bytes; returns whether the other end was still there for all of them."""
        try:
            self.socket.sendall(data)
        except ConnectionError:
            return False
        return True

    def tell(self, type: str, **keys: Any) -> bool:
        """Send one message."""
        return self.write(framed(type, **keys))

    def greet(self, id: int, **keys: Any) -> Self:
        """Say who this is, and wait until the node has answered."""
        self.tell("thisisme", **{"id": id, "port": 0, "key": f"{id:064x}", **keys})
        assert self.hear("thisisme") is not None, f"node {id} is not welcome"
        return self

    def hear(self, type: str, timeout_s: float = LONGEST_S, **keys: Any) -> dict[str, Any] | None:
        """Read up to the first message of a type with certain keys, skipping all others.

        @return: the message, or None when it does not come in time or the connection ends before.
        """
        deadline = time.monotonic() + timeout_s
        while (message := self.read(deadline)) is not None:
            if message["type"] == type and keys.items() <= message.items():
                return message
        return None

    def read(self, deadline: float) -> dict[str, Any] | None:
        """The next message, or None when none comes by then or ever."""
        while True:
            colon = self._unread.find(b":")
            end = colon + 1 + int(self._unread[:colon]) if colon > 0 else len(self._unread)
            if end < len(self._unread):
                assert self._unread[end] == ord(","), "the node sends netstrings"
                message: dict[str, Any] = msgspec.json.decode(self._unread[colon + 1 : end])
                del self._unread[: end + 1]
                self.heard.append(message)
                return message
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self.socket.recv(1 << 16)
            except (ConnectionError, TimeoutError):
                return None
            finally:
                self.socket.settimeout(LONGEST_S)
            if not data:
                return None
            self._unread += data

    def is_closed(self, timeout_s: float = LONGEST_S) -> bool:
        """Whether the node ends the connection in time; what it still says is thrown away."""
        deadline = time.monotonic() + timeout_s
        try:
            while (left_s := deadline - time.monotonic()) > 0:
                self.socket.settimeout(left_s)
                if not self.socket.recv(1 << 16):
                    return True
        except ConnectionError:
            return True
        except TimeoutError:
            pass
        return False


def framed(type: str, **keys: Any) -> bytes:
    """One message as it stands on the wire."""
    return netstring(msgspec.json.encode({"type": type, **keys}))


def netstring(payload: bytes) -> bytes:
    """One frame."""
    return b"%d:%b," % (len(payload), payload)


class WatchedProcess:
    """A node in a process of its own.

    @param directory: where its log goes.
    @param words: the command line of twistd.
    @param fault: what goes wrong in it on L{break_down}.
    @param sealed: whether it seals its connections.
    """

    def __init__(self, directory: Path, *words: str, fault: str = "", sealed: bool = False) -> None:
        self._log = directory / "node.log"
        turn_file = directory / "turn"
        turn_file.write_bytes(bytes(_SECONDS.size))
        with turn_file.open("r+b") as file:
            self._turn = mmap.mmap(file.fileno(), _SECONDS.size)
        environment = {"WATCHED_FAULT": fault, "XDG_STATE_HOME": os.fspath(directory)}
        with self._log.open("wb") as log:
            self._process = fork_server.start(
                [sys.executable, "-m", "tests.integration.watched_node", turn_file, "-n", "--pidfile=", *words],
                cwd=directory,
                env={**os.environ, **environment, **({} if sealed else IN_THE_OPEN)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> bool:
        """End the process, politely if that works; returns whether it did."""
        self._process.terminate()
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self.kill()
        return self._process.returncode != -signal.SIGKILL

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process goes on."""
        return self._process.poll() is None

    @property
    def longest_turn_s(self) -> float:
        """Processor time of the longest turn since L{forget_turns}."""
        seconds: float = _SECONDS.unpack(self._turn[:])[0]
        return seconds

    def forget_turns(self) -> None:
        """Measure turns from now on."""
        self._turn[:] = bytes(_SECONDS.size)

    def memory_bytes(self) -> int:
        """Resident memory that the process has allocated, without the files mapped into it."""
        return self._status("RssAnon")

    def peak_bytes(self) -> int:
        """The most memory that was resident since L{forget_peak}, mapped files included."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Look for the peak from now on."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5", encoding="ascii")

    def _status(self, key: str) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return int(re.findall(rf"^{key}:\s+(\d+) kB$", status, re.MULTILINE)[0]) << 10

    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return len(os.listdir(f"/proc/{self._process.pid}/fd"))

    def log(self) -> str:
        """Everything that it has said."""
        return self._log.read_text(encoding="utf-8")

    def break_down(self) -> None:
        """Let the fault happen."""
        self._process.send_signal(signal.SIGUSR1)


class WatchedNode(WatchedProcess):
    """A node in a process of its own, with the test as its tracker. It has id 1.

    @param directory: where its log goes.
    @param words: the command line after C{bazaar-node}.
    @param fault: what goes wrong in it on L{break_down}.
    @ivar port: where it listens.
    @ivar key: its public key.
    """

    def __init__(self, directory: Path, *words: str, fault: str = "") -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        listening.settimeout(LONGEST_S)
        tracker = f"tcp:127.0.0.1:{listening.getsockname()[1]}"
        common = ("bazaar-node", "--tracker", tracker, "--min-links", "0", "--ephemeral")
        super().__init__(directory, *common, *words, fault=fault)
        try:
            with listening:
                until(lambda: bool(select.select([listening], [], [], 0)[0]) or not self.is_alive())
                assert self.is_alive(), self.log()
                self.tracker = HandPeer(listening.accept()[0])
            greeting = self.tracker.hear("thisisme")
            assert greeting is not None, self.log()
            self.port: int = greeting["port"]
            self.key: str = greeting["key"]
            self.tracker.tell("thisisyou", id=NODE_ID, host="127.0.0.1", port=self.port)
            assert until(lambda: "joined the network" in self.log()), self.log()
        except BaseException:
            self.kill()
            raise

    def end(self) -> bool:
        """End the process, politely if that works; returns whether it did."""
        is_ended = super().end()
        self.tracker.socket.close()
        return is_ended

    def connect(self, receive_buffer_bytes: int | None = None) -> HandPeer:
        """A new connection to it, on which nothing is said yet."""
        return HandPeer.connect(self.port, receive_buffer_bytes)

    def link(self, id: int, **keys: Any) -> HandPeer:
        """A new peer, linked to it under an id."""
        return self.connect().greet(id, **keys)


# What follows runs in the other process.


def _faults(reactor: Any) -> Mapping[str, Callable[[], object]]:
    """What can be planted in the process to see that a measure notices."""
    from twisted.python import log

    kept: list[object] = []

    def stall() -> None:
        end = time.thread_time() + 0.06
        while time.thread_time() < end:
            pass

    def swell() -> None:
        passing = b"x" * (64 << 20)
        del passing

    def chatter() -> None:
        for number in range(100):
            log.msg(f"something happened for the {number}th time")

    def failure() -> None:
        raise RuntimeError("planted")

    return {
        "stall": stall,
        "swell": swell,
        "leak": lambda: kept.append(b"x" * (24 << 20)),
        "chatter": chatter,
        "failure": failure,
        "descriptor": lambda: kept.append(open(os.devnull, "rb")),
        "silence": reactor.removeAll,
    }


def _run(turn_file: str, *words: str) -> None:
    """Be twistd, and keep the longest turn."""
    from twisted.internet import reactor as installed
    from twisted.scripts import twistd

    reactor: Any = installed
    with open(turn_file, "r+b") as file:
        longest = memoryview(mmap.mmap(file.fileno(), _SECONDS.size)).cast("d")
    run_timers = reactor.runUntilCurrent
    began = time.thread_time()

    def note() -> None:
        # Whoever watches sets this to zero at any time: an older figure must not be read before and written after that.
        if (lasted := time.thread_time() - began) > longest[0]:
            longest[0] = lasted

    def turn() -> None:
        # The reactor begins each turn with its timers; afterwards it waits for its sockets and serves them.
        nonlocal began
        note()
        began = time.thread_time()
        run_timers()
        note()

    reactor.runUntilCurrent = turn
    if fault := _faults(reactor).get(os.environ.get("WATCHED_FAULT", "")):
        signal.signal(signal.SIGUSR1, lambda number, frame: reactor.callFromThread(fault))
    sys.argv = ["twistd", *words]
    twistd.run()


if __name__ == "__main__":
    _run(*sys.argv[1:])
