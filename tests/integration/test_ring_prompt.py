"""C{bazaar ring} as processes: prompts that are talked to over pipes, and make a ring of a classroom."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.daemons import BAZAAR, Daemon, Daemons

CONTENT = os.urandom(20_000)


class Peer(Daemon):
    """A prompt, and somebody who types.

    @ivar endpoint: where others join by it.
    """

    def __init__(self, words: tuple[str, ...], directory: Path, environment: Mapping[str, str]) -> None:
        self._read_end, self._write_end = os.pipe()
        super().__init__(words, directory, environment, (*BAZAAR, "ring"), self._read_end)
        os.close(self._read_end)
        self.endpoint = ""

    def say(self, line: str) -> None:
        """Type a line."""
        os.write(self._write_end, f"{line}\n".encode())

    def hang_up(self) -> None:
        """Type no more."""
        if self._write_end >= 0:
            os.close(self._write_end)
            self._write_end = -1

    def end(self) -> None:
        """End it."""
        self.hang_up()
        super().end()


class Classroom:
    """Prompts of one ring, and a directory for each."""

    def __init__(self, directory: Path, daemons: Daemons, ending: ExitStack) -> None:
        self.directory = directory
        self.daemons = daemons
        self._ending = ending

    def begin(self, number: int, *words: str, by: Peer | None = None) -> Peer:
        """Start a peer; returns when it is on the ring."""
        peer = self.start(number, *words, by=by)
        peer.endpoint = peer.wait_for(r"others join with --join (tcp:127\.0\.0\.1:\d+)")[1]
        peer.wait_for(rf"this peer is on the ring, at place {number}$")
        return peer

    def start(self, number: int, *words: str, by: Peer | None = None) -> Peer:
        """Start a peer."""
        (self.directory / str(number)).mkdir(exist_ok=True)
        join = () if by is None else ("--join", by.endpoint)
        all_words = ("--classic", "--quiet", "--ring-id", str(number), "-o", str(number), *join, *words)
        peer = Peer(all_words, self.directory, self.daemons.environment)
        self._ending.callback(peer.end)
        return peer


@pytest.fixture
def classroom(tmp_path: Path) -> Iterator[Classroom]:
    """A classroom with nobody in it."""
    with Daemons(tmp_path) as daemons, ExitStack() as ending:
        yield Classroom(tmp_path, daemons, ending)


def test_lesson(classroom: Classroom) -> None:
    """A file is stored at one prompt and requested at another, over datagrams that get lost; then one quits."""
    log = classroom.directory / "log"
    first = classroom.begin(3, "--drop", "0.1", "--transfer-log", str(log))
    second = classroom.begin(60, by=first)
    third = classroom.begin(230, by=second)
    third.wait_for(r"the successors now: 3, 60")
    first.wait_for(r"peer 230 is the predecessor now")
    (classroom.directory / "3" / "2012.pdf").write_bytes(CONTENT)
    first.say("store 2012")
    first.wait_for(r"2012 is stored, .*; kept by 3 nodes: 230, 3, 60")
    assert {"snd", "rcv", "drop", "rtx"} <= {line.split()[0] for line in log.read_text().splitlines()}
    fourth = classroom.begin(100, by=third)
    fourth.say("request 2012")
    fourth.wait_for(r"file request message for 2012, which belongs to place 220")
    fourth.wait_for(r"we now start receiving the file")
    fourth.wait_for(r"2012: 19\.5 KiB, from \d nodes?, digest [0-9a-f]{12}, verified")
    received = classroom.directory / "100" / "received_file_2012_100.pdf"
    fourth.wait_for(str(received))
    assert received.read_bytes() == CONTENT
    second.say("quit")
    first.wait_for(r"peer 60 will depart from the ring")
    assert "this peer has left the ring" in second.rest()
    assert second.wait() == 0
    fourth.say("request 2013")
    fourth.wait_for(r"nobody has stored a file as '2013'")
    fourth.hang_up()
    assert fourth.wait() == 1


def test_interrupted(classroom: Classroom) -> None:
    """Ctrl-C leaves the ring politely, and hands over what is kept; the status is that of a shell."""
    first = classroom.begin(3)
    second = classroom.begin(60, by=first)
    first.wait_for(r"the successors now: 60")
    (classroom.directory / "60" / "2012").write_bytes(CONTENT)
    second.say("store 2012 notes")
    second.wait_for(r"notes is stored")
    second.interrupt()
    first.wait_for(r"peer 60 will depart from the ring")
    rest = second.rest()
    assert (rest.count("this peer has left the ring"), rest.count("interrupted")) == (1, 1)
    assert second.wait() == 128 + signal.SIGINT
    first.say("request notes")
    first.wait_for(str(classroom.directory / "3" / "2012"))
    assert (classroom.directory / "3" / "2012").read_bytes() == CONTENT


def test_dies(classroom: Classroom) -> None:
    """A peer that dies is gone at once; nobody hears a goodbye, and what it kept for others is not handed over."""
    first = classroom.begin(3)
    second = classroom.begin(60, by=first)
    first.wait_for(r"the successors now: 60")
    second.say("die")
    rest = second.rest()
    assert "this peer is dead" in rest
    assert "left the ring" not in rest
    assert second.wait() == 0
    first.say("quit")
    assert "will depart" not in first.rest()


def test_joins_late(classroom: Classroom) -> None:
    """A peer says by whom it joins, and that it goes on trying while nobody is there; then it joins."""
    gone = classroom.begin(3)
    peer = classroom.start(60, by=gone)
    peer.wait_for(r"this peer is on the ring")
    gone.say("die")
    gone.wait()
    late = classroom.start(100, by=gone)
    late.wait_for(f"joining the ring by {gone.endpoint}")
    late.wait_for(r"not on the ring yet: .*Connection refused; trying again and again, until a member answers there")
    classroom.begin(3, "--listen", f"{gone.endpoint.replace('127.0.0.1:', '')}:interface=127.0.0.1")
    late.wait_for(r"this peer is on the ring, at place 100$")


def test_at_a_terminal(classroom: Classroom) -> None:
    """Each line stands above the prompt, which stands there once; Ctrl-C says once that it has left."""
    near, far = pty.openpty()
    words = (*BAZAAR, "ring", "--quiet")
    environment = {**os.environ, **classroom.daemons.environment}
    process = subprocess.Popen(words, cwd=classroom.directory, env=environment, stdin=far, stdout=far, stderr=far)
    os.close(far)
    try:
        said = read_until(near, rb"is on the ring.*ring> $")
        process.send_signal(signal.SIGINT)
        said += read_until(near, None)
        assert process.wait() == 128 + signal.SIGINT
    finally:
        process.kill()
        process.wait()
        os.close(near)
    # What is taken back from the line before something is said does not stay there.
    lines = [line.rpartition("\r\x1b[K")[2].strip() for line in said.decode().split("\r\n") if line]
    assert lines[1:] == [lines[1], "this peer has left the ring", "interrupted"], said
    assert "ring> ring> " not in said.decode()


def read_until(terminal: int, pattern: bytes | None) -> bytes:
    """What a terminal shows until that fits a pattern, or, without one, until the program has ended."""
    said = b""
    while pattern is None or not re.search(pattern, said, re.DOTALL):
        try:
            said += os.read(terminal, 4096)
        except OSError:
            break
    return said


def test_taken(classroom: Classroom) -> None:
    """A place that is taken is refused in a line, with status 1."""
    first = classroom.begin(3)
    second = classroom.start(3, by=first)
    assert "bazaar ring: this peer cannot join: the node at 127.0.0.1:" in second.rest()
    assert second.wait() == 1


@pytest.mark.slow
def test_impossible(classroom: Classroom) -> None:
    """What cannot be is refused in a line, with status 2; where somebody listens already, with 1."""
    run = classroom.daemons.run
    for words, expected in (
        (("--ring-id", "256", "--classic"), "--ring-id 256: places on this ring go from 0 to 255"),
        (("--join", "nowhere"), "--join 'nowhere': write where a member listens, such as tcp:127.0.0.1:9300"),
        (("--udp", "none"), "--udp none: members of a ring talk to each other by datagrams"),
        (("--window", "0"), "--window '0': takes a whole number"),
    ):
        done = run((*BAZAAR, "ring"), *words, input="")
        assert (done.returncode, done.stdout) == (2, ""), done
        assert done.stderr.startswith(f"bazaar ring: {expected}")
        assert done.stderr.count("\n") == 1
    first = classroom.begin(3)
    listen = f"{first.endpoint}:interface=127.0.0.1".replace("tcp:127.0.0.1:", "tcp:")
    done = run((*BAZAAR, "ring"), "--listen", listen, input="")
    assert done.returncode == 1
    assert done.stderr.startswith("bazaar ring: cannot listen: "), done.stderr


def test_asked_from_outside(classroom: Classroom) -> None:
    """A prompt with a name is asked by commands too, as a daemon is."""
    first = classroom.begin(3, "--name", "anna")
    run = classroom.daemons.run
    assert run((*BAZAAR, "ring", "put"), "greeting", "hello", "--name", "anna").returncode == 0
    assert run((*BAZAAR, "ring", "get"), "greeting").stdout == "hello\n"
    first.say("get greeting")
    first.wait_for("^hello$")
