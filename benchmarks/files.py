"""Files that are whole, verified and on the disk.

C{file-tcp}: the milliseconds from asking for a file of 1 GiB until it is verified, synced and in its place, from
one source in a process of its own, over loopback, sealed. The peer is C{aria2c}, which fetches the same file from nginx
to the same disk, in the open; C{file-tcp-curl}: beside C{curl}, which does the same. Both are processes that are
started and only fetch; after each, its file is synced as well. Ours is a node that runs already, as nodes do.

C{file-swarm-bytes}: a file of 128 MiB goes from one seeder to 10 peers that start together, each of which may send
as much a second as the seeder may; the percentage of the file that the seeder has sent at the end, beside 150.
C{file-swarm-time}: the milliseconds until all have it, beside ten that fetch it from the seeder one after another,
of which one is measured and taken ten times.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import Load, Measure, constant, figure, take
from benchmarks.peers import AIM, ARIA2, CURL, OURSELVES, find_program
from benchmarks.processes import LOOPBACK, PATIENCE_S, free_port
from benchmarks.report import BenchmarkError, Row

_MIB: Final = 1 << 20
_FILE_BYTES: Final = 1024 * _MIB
_SWARM_BYTES: Final = 128 * _MIB
_SEEDER_SHARE: Final = 150
_ROUNDS: Final = 5
_PEERS: Final = 10
# Less than eleven processes on a small machine can do between them: what is measured is who sends what to whom.
_SWARM_RATE: Final = 32 * _MIB
_NAME: Final = "file.bin"
_ROOT: Final = Path(__file__).resolve().parent.parent

_NGINX: Final = """
daemon off; pid {folder}/pid; error_log {folder}/errors; worker_processes 1; {user}
events {{}}
http {{
    access_log off; sendfile on; tcp_nopush on;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    server {{ listen {host}:{port}; root {shared}; }}
}}
"""


def measure() -> list[Row]:
    """All rows of this module."""
    return [*_tcp_rows(), *_swarm_rows()]


class End:
    """One end of a transfer, in a process of its own.

    @ivar port: where it listens.
    @ivar digest: of the file that it serves.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        ready = self.hear()
        self.port = int(ready["port"])
        self.digest = str(ready["digest"])

    def tell(self, *words: object) -> None:
        """Tell it what to do; a word of its own for each."""
        assert self._process.stdin is not None, "it was asked for"
        self._process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """What it says next.

        @raise BenchmarkError: it has failed.
        """
        assert self._process.stdout is not None, "it was asked for"
        said = json.loads(self._process.stdout.readline() or b'{"error": "the process has ended"}')
        if "error" in said or said.get("dropped"):
            raise BenchmarkError(f"a transfer failed: {said.get('error') or said['dropped']}")
        return dict(said)

    def fetch(self, folder: Path, digest: str, ports: Sequence[int]) -> float:
        """Fetch a file into an empty folder; returns the seconds it took."""
        self.tell(folder, _NAME, digest, *ports)
        return float(self.hear()["seconds"])


@contextmanager
def _end(*words: object) -> Iterator[End]:
    command = [sys.executable, "-m", "benchmarks.files_load", *map(str, words)]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield End(process)
        finally:
            process.kill()


def _tcp_rows() -> list[Row]:
    with _workplace() as place, ExitStack() as stack:
        file = _make_file(place, _FILE_BYTES)
        source = stack.enter_context(_end("serve", file))
        asker = stack.enter_context(_end("fetch"))
        url = stack.enter_context(_nginx(place, file.parent))
        target = place / "target"
        commands = {
            ARIA2: ["aria2c", "--quiet", "--dir", str(target), "--out", _NAME, url or ""],
            CURL: ["curl", "--silent", "--fail", "--output", str(target / _NAME), url or ""],
        }

        def fetch() -> float:
            _empty(target)
            return 1e3 * asker.fetch(target, source.digest, [source.port])

        def run(words: Sequence[str]) -> float:
            _empty(target)
            return 1e3 * _timed(words, target / _NAME)

        ours = figure(fetch)
        measures = [
            Measure(
                name=name,
                unit="milliseconds",
                goal=goal,
                peer=peer,
                ours=ours,
                theirs=figure(partial(run, commands[peer])),
                is_cost=True,
            )
            for name, goal, peer in (("file-tcp", 1.0, ARIA2), ("file-tcp-curl", 0.7, CURL))
        ]
        return take(measures, _ROUNDS)


def _swarm_rows() -> list[Row]:
    with _workplace() as place:
        file = _make_file(place, _SWARM_BYTES)
        swarm = Load(lambda: _swarm(place, file))
        measures = [
            Measure(
                name="file-swarm-bytes",
                unit="percent of the file",
                goal=1.0,
                peer=AIM,
                ours=swarm["sent"],
                theirs=constant(_SEEDER_SHARE),
                is_cost=True,
            ),
            Measure(
                name="file-swarm-time",
                unit="milliseconds",
                goal=2.0,
                peer=OURSELVES,
                ours=swarm["took"],
                theirs=figure(lambda: 1e3 * _PEERS * _alone(place, file)),
                is_cost=True,
            ),
        ]
        return take(measures, _ROUNDS)


def _alone(place: Path, file: Path) -> float:
    """How many seconds one peer takes to fetch a file from a seeder."""
    with _end("serve", file, _SWARM_RATE) as seeder, _end("fetch", _SWARM_RATE) as asker:
        _empty(place / "one")
        return asker.fetch(place / "one", seeder.digest, [seeder.port])


def _swarm(place: Path, file: Path) -> dict[str, float]:
    """Let all peers fetch a file: the milliseconds that took, and the percentage of it that the seeder has sent."""
    with _end("serve", file, _SWARM_RATE) as seeder, ExitStack() as stack:
        peers = [stack.enter_context(_end("fetch", _SWARM_RATE)) for _ in range(_PEERS)]
        for number in range(_PEERS):
            _empty(place / f"peer-{number}")
        began = time.perf_counter()
        for number, peer in enumerate(peers):
            others = [other.port for other in peers if other is not peer]
            peer.tell(place / f"peer-{number}", _NAME, seeder.digest, seeder.port, *others)
        for peer in peers:
            peer.hear()
        took_s = time.perf_counter() - began
        seeder.tell()
        return {"took": 1e3 * took_s, "sent": 100 * seeder.hear()["sent"] / file.stat().st_size}


@contextmanager
def _workplace() -> Iterator[Path]:
    """A folder on the disk; what is usual for temporary files may be in memory."""
    with tempfile.TemporaryDirectory(prefix="bazaar-bench-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def _make_file(place: Path, size: int) -> Path:
    """A file of chance, in a folder of its own."""
    shared = place / "shared"
    shared.mkdir()
    rng = random.Random(1)
    with (shared / _NAME).open("wb") as file:
        for _ in range(size // (16 * _MIB)):
            file.write(rng.randbytes(16 * _MIB))
    return shared / _NAME


def _empty(folder: Path) -> None:
    """Let a folder be there and empty, and the disk have nothing else to do."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.sync()


def _timed(words: Sequence[str], file: Path) -> float:
    """How long a program takes to fetch a file, until that is on the disk."""
    began = time.perf_counter()
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    with file.open("rb") as written:
        os.fsync(written.fileno())
    took_s = time.perf_counter() - began
    if file.stat().st_size != _FILE_BYTES:
        raise BenchmarkError(f"{words[0]} did not fetch the whole")
    return took_s


@contextmanager
def _nginx(place: Path, shared: Path) -> Iterator[str | None]:
    """Serve a folder by nginx; gives the address of the file, or None where there is no nginx."""
    program = find_program("nginx")
    if program is None:
        yield None
        return
    folder, port = place / "nginx", free_port()
    folder.mkdir()
    user = "user root;" if os.geteuid() == 0 else ""
    settings = _NGINX.format(folder=folder, user=user, host=LOOPBACK, port=port, shared=shared)
    (folder / "nginx.conf").write_text(settings, encoding="utf-8")
    command = [program, "-e", str(folder / "errors"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + PATIENCE_S
            while not (folder / "pid").exists():
                if process.poll() is not None or time.monotonic() > until:
                    raise BenchmarkError("nginx did not start")
                time.sleep(0.02)
            yield f"http://{LOOPBACK}:{port}/{_NAME}"
        finally:
            process.terminate()
