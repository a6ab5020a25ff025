"""Goods and files found by a ring, as people run it: daemons that are its members, and commands that are guests."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.daemons import BAZAAR, Daemon, Daemons, free_port, until
from tests.integration.test_files import MIB, digest_of, file_of

NOT_FOUND: Final = 3


class Round:
    """A ring of nodes that find by it.

    @ivar daemons: all processes.
    @ivar port: where the first listens.
    """

    def __init__(self, daemons: Daemons, directory: Path) -> None:
        self.daemons = daemons
        self.directory = directory
        self.port = free_port()

    @property
    def at(self) -> tuple[str, ...]:
        """How a program is told to find by the ring."""
        return self.by(self.port)

    def by(self, port: int) -> tuple[str, ...]:
        """The same by a certain member."""
        return ("--via", "ring", "--join", f"tcp:127.0.0.1:{port}")

    def begin(self) -> Daemon:
        """Begin the ring, by a node that does nothing else."""
        return self.started("bazaar-node", "--via", "ring", "--listen", f"tcp:{self.port}:interface=127.0.0.1")

    def started(self, *words: str) -> Daemon:
        """Start a daemon that keeps nothing; it is on the ring then."""
        daemon = self.daemons.start(*words, "--ephemeral")
        daemon.wait_for("this node is on the ring")
        return daemon

    def sharer(self, name: str, **files: bytes) -> Daemon:
        """Share some files."""
        folder = self.directory / name
        folder.mkdir()
        for file, content in files.items():
            (folder / file.replace("_", ".")).write_bytes(content)
        return self.started("bazaar-node", "--role", "sharer", "--folder", str(folder), *self.at)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return self.daemons.run(BAZAAR, *words)

    def found(self, *words: str, at: tuple[str, ...] | None = None) -> list[dict[str, Any]]:
        """What a search finds."""
        done = self.run("search", *words, "--json", *(at or self.at))
        assert done.returncode in (0, NOT_FOUND), done.stderr
        files: list[dict[str, Any]] = json.loads(done.stdout)
        return files

    def until_found(self, words: str, *contents: bytes) -> None:
        """Wait until a search finds exactly these."""
        digests = sorted(digest_of(content) for content in contents)
        until(lambda: sorted(file["digest"] for file in self.found(words)) == digests)


@pytest.fixture
def around(tmp_path: Path) -> Iterator[Round]:
    """A ring that has not begun."""
    with Daemons(tmp_path) as daemons:
        yield Round(daemons, tmp_path)


def test_bought(around: Round) -> None:
    """A buyer finds a seller by the ring, and buys; all end without a word too much."""
    first = around.begin()
    seller = around.started("bazaar-node", "--role", "seller", "--stock", "apple=5", *around.at)
    words = ("--want", "apple=2", "--once", "--timeout", "25")
    buyer = around.daemons.start("bazaar-node", "--role", "buyer", *words, "--ephemeral", *around.at)
    buyer.wait_for("bought 2 apple")
    assert buyer.wait() == 0
    seller.wait_for("sold 2 apple")
    for daemon in (seller, first):
        daemon.send_signal(signal.SIGTERM)
        said = daemon.rest()
        assert "Traceback" not in said
        assert "Unhandled" not in said


@pytest.mark.slow
def test_fetched(around: Round) -> None:
    """What two members share is found and fetched by commands; one is killed, and it is fetched again."""
    around.begin()
    content, other = file_of(3 * MIB + 7), file_of(MIB, 2)
    killed = around.sharer("ann", holiday_film=content)
    around.sharer("ben", holiday_film=content, holiday_song=other)
    around.until_found("holiday", content, other)
    [film] = around.found("holiday.film", "--exact")
    until(lambda: around.found("holiday.film", "--exact")[0]["sources"] == 2)
    assert (film["size"], film["digest"]) == (len(content), digest_of(content))
    done = around.run("get", "holiday.film", "--json", *around.at)
    assert done.returncode == 0, done.stderr
    assert (around.directory / "holiday.film").read_bytes() == content
    killed.kill()
    done = around.run("get", "holiday.film", "--overwrite", "--as", "again.film", *around.at)
    assert done.returncode == 0, done.stderr
    assert (around.directory / "again.film").read_bytes() == content
    nothing = around.run("search", "nowhere", *around.at)
    assert (nothing.returncode, nothing.stderr) == (NOT_FOUND, "nothing was found\n")


@pytest.mark.slow
def test_shared_by_command(around: Round) -> None:
    """C{bazaar share} is a member: it is found, others come in by it, and the first may die."""
    first = around.begin()
    content = file_of(MIB)
    folder = around.directory / "ann"
    folder.mkdir()
    (folder / "paper.pdf").write_bytes(content)
    port = free_port()
    sharing = around.daemons.start(
        *("share", str(folder), "--listen", f"tcp:{port}:interface=127.0.0.1", "--ephemeral", *around.at),
        program=BAZAAR,
    )
    sharing.wait_for("others find it by the ring")
    around.until_found("paper", content)
    first.kill()
    until(lambda: [file["name"] for file in around.found("paper", at=around.by(port))] == ["paper.pdf"])
    done = around.run("get", "paper.pdf", *around.by(port))
    assert done.returncode == 0, done.stderr
    assert (around.directory / "paper.pdf").read_bytes() == content
    sharing.interrupt()
    assert "is not shared any more" in sharing.rest()


@pytest.mark.slow
def test_shell(around: Round) -> None:
    """At the prompt of C{bazaar shell} files are found and fetched by the ring."""
    around.begin()
    around.sharer("ann", paper_pdf=b"some words")
    around.until_found("paper", b"some words")
    done = around.daemons.run(BAZAAR, "shell", *around.at, input="query paper\nget paper.pdf\nwait\nexit\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (around.directory / "paper.pdf").read_bytes() == b"some words"


@pytest.mark.slow
def test_refusals(around: Round) -> None:
    """Where no member is, that is said in one line, and how to start one."""
    nobody = around.run("search", "x", *around.at)
    line = rf"no ring member at tcp:127\.0\.0\.1:{around.port}: .*refused; is it running\? .*--role ring_peer .*"
    assert nobody.returncode == 7
    assert re.search(line, nobody.stderr), nobody.stderr
    for words, said in (
        (("search", "x", "--via", "ring"), "--join"),
        (("search", "--all", *around.at), "a ring has no list of everything"),
        (("search", "x", "--join", "tcp:127.0.0.1:9300"), "--join goes with --via ring"),
        (("get", "x", "--via", "ring", "--join", "x:y"), "write where a member listens"),
    ):
        done = around.run(*words)
        assert done.returncode in (2, 3), done
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    around.begin()
    other = around.run("search", "x", "--bits", "32", *around.at)
    assert other.returncode == 1
    assert "has 64 bits, not 32" in other.stderr
