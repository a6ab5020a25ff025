"""What the benchmarks hold this project against, and how each of them is installed.

C{python -m benchmarks.peers} installs those that are missing: Python packages into this environment, and, when root
runs it, Debian's packages by C{apt-get}. It tells which it could not install, and ends with status 1 then.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import invalidate_caches
from importlib.util import find_spec
from typing import Final

from attrs import frozen

from tests.postgres import find_programs

# Where Debian puts servers, which is not on every user's path.
_SERVERS: Final = "/usr/sbin:/usr/local/sbin"


@frozen
class Peer:
    """Something that does what a part of this project does.

    @ivar name: what it is called in print.
    @ivar debian: packages of Debian that it needs.
    @ivar python: requirements that pip installs, by the modules that they bring.
    @ivar programs: what has to be on the path.
    @ivar is_ready: whether the rest that it needs is there.
    """

    name: str
    debian: Sequence[str] = ()
    python: Sequence[tuple[str, str]] = ()
    programs: Sequence[str] = ()
    is_ready: Callable[[], bool] = lambda: True

    def is_installed(self) -> bool:
        """Whether it can be run."""
        return (
            all(find_program(program) is not None for program in self.programs)
            and all(find_spec(module) is not None for module, _ in self.python)
            and self.is_ready()
        )

    @property
    def install_command(self) -> str:
        """The command that installs it; empty for what comes with Python and Twisted."""
        commands = []
        if self.debian:
            commands.append(shlex.join(apt_get(self.debian)))
        if self.python:
            commands.append(shlex.join(pip([requirement for _, requirement in self.python])))
        return " && ".join(commands)


def find_program(name: str) -> str | None:
    """Where a program is, or None."""
    return shutil.which(name) or shutil.which(name, path=_SERVERS)


def apt_get(packages: Sequence[str]) -> list[str]:
    """The command that installs packages of Debian."""
    return ["apt-get", "install", "--yes", "--no-install-recommends", *packages]


def pip(requirements: Sequence[str]) -> list[str]:
    """The command that installs packages of Python into this environment."""
    return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]


def _has_pgbench() -> bool:
    programs = find_programs()
    return not isinstance(programs, str) and (programs.folder / "pgbench").exists()


TWISTED: Final = Peer("the least that Twisted can do")
IN_THE_OPEN: Final = Peer("the same in the open")
WRAPPER: Final = Peer("Twisted's own TLS wrapper")
OPENSSL: Final = Peer("OpenSSL alone")
IOSIM: Final = Peer("twisted.test.iosim")
SQLITE: Final = Peer("SQLite")
FTS5: Final = Peer("SQLite's FTS5")
AIM: Final = Peer("a bound")
PAPER: Final = Peer("what the design paper has")
OURSELVES: Final = Peer("ours, done in the plain way")
PGBENCH: Final = Peer("pgbench", debian=("postgresql", "postgresql-contrib"), is_ready=_has_pgbench)
ARIA2: Final = Peer("aria2c", debian=("aria2", "nginx-light"), programs=("aria2c", "nginx"))
CURL: Final = Peer("curl", debian=("curl", "nginx-light"), programs=("curl", "nginx"))
KADEMLIA: Final = Peer("kademlia", python=(("kademlia", "kademlia>=2.2.3"),))
IROH: Final = Peer("iroh", python=(("iroh", "iroh>=1.2.0"),))

PEERS: Final = (
    TWISTED,
    IN_THE_OPEN,
    WRAPPER,
    OPENSSL,
    IOSIM,
    SQLITE,
    FTS5,
    AIM,
    PAPER,
    OURSELVES,
    PGBENCH,
    ARIA2,
    CURL,
    KADEMLIA,
    IROH,
)


def install(peers: Sequence[Peer]) -> list[str]:
    """Install what is missing; returns a line for each that is missing still."""
    missing = [peer for peer in peers if not peer.is_installed()]
    python = list(dict.fromkeys(requirement for peer in missing for _, requirement in peer.python))
    debian = list(dict.fromkeys(package for peer in missing for package in peer.debian))
    if python:
        _run(pip(python))
    if debian and os.geteuid() == 0 and find_program("apt-get") is not None:
        _run(["apt-get", "update", "--quiet"])
        _run(apt_get(debian))
    invalidate_caches()
    return [f"{peer.name}: {peer.install_command}" for peer in missing if not peer.is_installed()]


def main() -> int:
    """Install them all; returns the exit status."""
    missing = install(PEERS)
    for line in missing:
        print(f"missing: {line}")
    if not missing:
        print("all peers are installed")
    return 1 if missing else 0


def _run(command: Sequence[str]) -> None:
    print(shlex.join(command), flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(command, stdin=subprocess.DEVNULL, env=environment, check=False)


if __name__ == "__main__":
    sys.exit(main())
