"""A PostgreSQL server of one's own, for tests: in a directory of its own, and gone with the test."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

from attrs import frozen

DATABASE: Final = "town"
USER: Final = "bazaar"
# With all that has a meaning in a URL.
PASSWORD: Final = "s3cret:/@%?#'"
LONGEST_S: Final = 60.0


@frozen
class Programs:
    """The programs of an installation.

    @ivar account: who is to run them; None for whoever runs the tests.
    """

    folder: Path
    account: str | None

    def run(self, name: str, *words: str) -> str:
        """Run one of them to its end; returns what it has said.

        @raise AssertionError: it failed; the text has what it said.
        """
        # A server inherits what this is said to, so it must not be a pipe whose end somebody waits for.
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(
                (self.folder / name, *words),
                user=self.account,
                group=self.account,
                extra_groups=None if self.account is None else [],
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                timeout=LONGEST_S,
                check=False,
            )
            said.seek(0)
            text = said.read().decode(errors="replace")
        assert done.returncode == 0, text
        return text


def find_programs() -> Programs | str:
    """The installed PostgreSQL, the newest; or why there is none to use."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: float(each.parent.name), reverse=True)
    found = shutil.which("initdb")
    if found is not None:
        folders.append(Path(found).resolve().parent)
    folder = next((each for each in folders if (each / "initdb").exists() and (each / "pg_ctl").exists()), None)
    if folder is None:
        return "no PostgreSQL server is installed"
    if os.geteuid() != 0:
        return Programs(folder, None)
    # It refuses to be run by root.
    try:
        return Programs(folder, pwd.getpwnam("postgres").pw_name)
    except KeyError:
        return "PostgreSQL does not run as root, and there is no user postgres"


class Cluster:
    """A server that listens at a socket in its own directory only. Leaving it ends it and removes its directory.

    @param settings: of the server, each C{name=value}.
    @ivar url: how to reach it, with a password.
    """

    def __init__(self, programs: Programs, settings: Sequence[str] = ("log_statement=all",)) -> None:
        self._programs = programs
        self._settings = settings
        # Not where the tests have their files: the names of sockets are short, and root's are closed to others.
        self._folder = Path(tempfile.mkdtemp(prefix="bazaar-pg-"))
        self._data = self._folder / "data"
        self.url = f"postgresql://{USER}:{quote(PASSWORD, safe='')}@/{DATABASE}?host={quote(str(self._folder))}"

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if (self._data / "postmaster.pid").exists():
                self.resume()
                self.kill()
        finally:
            self._remove()

    @property
    def log(self) -> str:
        """What the server has written down."""
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = ("listen_addresses=''", f"unix_socket_directories='{self._folder}'", *self._settings)
        options = " ".join(f"-c {setting}" for setting in settings)
        self._control("start", "-o", options, "-l", str(self._folder / "log"))

    def stop(self) -> None:
        """Stop it, with a word to those that are connected."""
        self._control("stop", "-m", "fast")

    def kill(self) -> None:
        """Stop it as a failing machine would."""
        self._control("stop", "-m", "immediate")

    def pause(self) -> None:
        """Let all of it stand still."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def make_database(self, name: str) -> str:
        """Make another database; returns its URL."""
        self.run("createdb", "-O", USER, name)
        return self.url.replace(f"@/{DATABASE}?", f"@/{name}?")

    def run(self, name: str, *words: str) -> str:
        """Run a program of PostgreSQL on this server, as its owner; returns what it has said."""
        return self._programs.run(name, "-h", str(self._folder), "-U", "postgres", *words)

    def say(self, sql: str) -> None:
        """Have its owner's own database do something."""
        self.run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql, "postgres")

    def _signal(self, number: int) -> None:
        for process in self._processes():
            # Those who serve somebody end when they like.
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def _make(self) -> None:
        (self._folder / "hba").write_text(
            f"local all postgres trust\nlocal all {USER} scram-sha-256\n", encoding="utf-8"
        )
        if self._programs.account is not None:
            for path in (self._folder, self._folder / "hba"):
                shutil.chown(path, self._programs.account, self._programs.account)
        self._programs.run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        shutil.copyfile(self._folder / "hba", self._data / "pg_hba.conf")
        self.start()
        literal = PASSWORD.replace("'", "''")
        self.say(f"CREATE ROLE {USER} LOGIN PASSWORD '{literal}'")
        self.make_database(DATABASE)

    def _control(self, *words: str) -> None:
        self._programs.run("pg_ctl", "-D", str(self._data), "-w", "-s", *words)

    def _processes(self) -> list[int]:
        """The server, and its children."""
        first = int((self._data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text(encoding="utf-8")
        return [first, *map(int, children.split())]

    def _remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
