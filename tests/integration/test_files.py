"""Files as people share and fetch them: real daemons and commands, killed and interrupted, on real disks."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.files.cases import pieces_of
from tests.integration.daemons import BAZAAR, LONGEST_S, TWISTD, Daemon, Daemons, until
from twisted_bazaar.cli.control.client import RunningNode

MIB: Final = 1 << 20
# So many chunks a second are few enough to be killed between.
SLOW: Final = ("--upload-rate", "2M")


class Neighbourhood:
    """An index server, and those who share and fetch by it.

    @ivar daemons: all of them.
    @ivar index: where the index server listens.
    """

    def __init__(self, daemons: Daemons, directory: Path) -> None:
        self.daemons = daemons
        self.directory = directory
        server = daemons.start("bazaar-node", "--role", "index_server", "--listen", "tcp:0:interface=127.0.0.1")
        self.index = f"tcp:127.0.0.1:{server.wait_for_port()}"

    def folder(self, name: str, **files: bytes) -> Path:
        """A folder with files."""
        folder = self.directory / name
        folder.mkdir()
        for file, content in files.items():
            (folder / file.replace("_", ".")).write_bytes(content)
        return folder

    def sharer(self, folder: Path, *words: str) -> Daemon:
        """Share a folder, as a daemon that is called like it."""
        via = ("--via", "index", "--index", self.index)
        common = ("--role", "sharer", *via, "--folder", str(folder), "--name", folder.name)
        return self.daemons.start("bazaar-node", *common, *words)

    def ask(self, name: str, command: str) -> Any:
        """What a sharer tells its operator."""
        [told] = RunningNode(name, self.daemons.states / name).ask(command)
        return told

    def start(self, command: str, *words: str) -> Daemon:
        """Type a command that goes on for a while."""
        return self.daemons.start(command, *words, "--index", self.index, program=BAZAAR)

    def run(self, command: str, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Type a command, and wait for its end."""
        return self.run_program(BAZAAR, command, *words, "--index", self.index, **options)

    def run_program(self, program: tuple[str, ...], *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run something, and wait for its end."""
        return self.daemons.run(program, *words, **options)

    def get(self, *words: str, status: int = 0) -> dict[str, Any]:
        """Fetch a file; what came from whom."""
        done = self.run("get", *words, "--json")
        assert done.returncode == status, done.stderr
        told: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
        return told

    def found(self, name: str) -> list[dict[str, Any]]:
        """What a search finds."""
        done = self.run("search", name, "--exact", "--json")
        assert done.returncode in (0, 3), done.stderr
        files: list[dict[str, Any]] = json.loads(done.stdout)
        return files

    def until_found(self, name: str, *contents: bytes, sources: int = 1) -> None:
        """Wait until a search finds exactly these."""
        digests = sorted(digest_of(content) for content in contents)
        until(lambda: sorted(file["digest"] for file in self.found(name) if file["sources"] >= sources) == digests)

    def sent(self, name: str) -> int:
        """How much a sharer has sent over the connections that are open."""
        return sum(upload["sent_bytes"] for upload in self.ask(name, "files.status")["uploads"])


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Neighbourhood]:
    """An index server alone."""
    with Daemons(tmp_path) as daemons:
        yield Neighbourhood(daemons, tmp_path)


def file_of(size: int, seed: int = 1) -> bytes:
    """Some content, different in each chunk."""
    return b"".join(pieces_of(size, seed))


def digest_of(content: bytes) -> str:
    """By what it is known."""
    return hashlib.sha256(content).hexdigest()


def hidden(directory: Path) -> list[str]:
    """What a download has left in a directory."""
    return sorted(path.name for path in directory.iterdir() if path.name.startswith("."))


@pytest.mark.slow
def test_first_five_minutes(place: Neighbourhood) -> None:
    """A folder is shared in one terminal, searched and fetched in another; Ctrl-C ends the first."""
    content = file_of(3 * MIB + 7)
    folder = place.folder("shared", holiday_jpg=content, empty=b"")
    share = place.start("share", str(folder))
    share.wait_for("others find it at node")
    share.wait_for("shared: ")
    share.wait_for("shared: ")

    done = place.run("search", "holi")
    assert (done.returncode, done.stderr) == (0, "")
    words = ["holiday.jpg", "3.00", "MiB", "1", digest_of(content)[:12]]
    assert words in [line.split() for line in done.stdout.splitlines()]
    done = place.run("get", "holiday.jpg")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("holiday.jpg: 3.00 MiB in ")
    assert lines[1].startswith("  3.00 MiB from node ")
    assert lines[-1] == str(place.directory / "holiday.jpg")
    assert (place.directory / "holiday.jpg").read_bytes() == content
    assert place.get("empty")["size"] == 0
    assert (place.directory / "empty").read_bytes() == b""
    assert hidden(place.directory) == []

    assert place.run("search", "nothing").returncode == 3
    done = place.run("get", "nothing")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "bazaar get: nobody has a file called 'nothing'\n"
    done = place.run("get", "holiday.jpg")
    assert (done.returncode, done.stdout) == (0, f"{place.directory / 'holiday.jpg'} is there already, whole\n")
    assert place.get("holiday.jpg")["sources"] == []

    share.interrupt()
    assert share.wait() == 0
    until(lambda: not place.found("holiday.jpg"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_resumed(place: Neighbourhood, number: int) -> None:
    """Who is killed or interrupted half way goes on from there, and fetches hardly anything twice."""
    content = file_of(8 * MIB + 1)
    place.sharer(place.folder("shared", film_mkv=content), *SLOW)
    place.until_found("film.mkv", content)
    getting = place.start("get", digest_of(content))
    sent = until(lambda: max(0, place.sent("shared") - 3 * MIB)) + 3 * MIB
    getting.send_signal(number)
    status = getting.wait()
    if number == signal.SIGINT:
        assert status == 5
        assert "are kept, and the same command goes on from there" in getting.rest()
    assert not (place.directory / "film.mkv").exists()

    told = place.get("film.mkv")
    # What was on its way then: a chunk that was not whole, and one that was being written.
    assert told["resumed"] >= sent - 2 * MIB > 0
    assert sum(source["bytes"] for source in told["sources"]) == len(content) - told["resumed"]
    assert (place.directory / "film.mkv").read_bytes() == content
    assert hidden(place.directory) == []


@pytest.mark.slow
def test_two_sources(place: Neighbourhood) -> None:
    """A file comes from both who have it."""
    content = file_of(8 * MIB)
    for name in ("one", "two"):
        place.sharer(place.folder(name, film_mkv=content), *SLOW)
    place.until_found("film.mkv", content, sources=2)
    told = place.get("film.mkv")
    assert len([source for source in told["sources"] if source["bytes"] >= MIB]) == 2
    assert sum(source["bytes"] for source in told["sources"]) == len(content)
    assert (place.directory / "film.mkv").read_bytes() == content


@pytest.mark.slow
def test_source_killed(place: Neighbourhood) -> None:
    """A source that is killed midway is given up, and the rest comes from the other."""
    content = file_of(8 * MIB)
    first = place.sharer(place.folder("one", film_mkv=content), *SLOW)
    place.sharer(place.folder("two", film_mkv=content), *SLOW)
    place.until_found("film.mkv", content, sources=2)
    getting = place.start("get", "film.mkv")
    until(lambda: place.sent("one") >= MIB)
    first.kill()
    getting.wait_for(r"node \d+ at 127\.0\.0\.1:\d+ is asked no more")
    assert getting.wait() == 0, getting.rest()
    assert (place.directory / "film.mkv").read_bytes() == content


@pytest.mark.slow
def test_changed_while_served(place: Neighbourhood) -> None:
    """A file that changes while it is fetched ends that with a clear error, and is found as what it is now."""
    before, after = file_of(8 * MIB, 1), file_of(5 * MIB, 2)
    folder = place.folder("shared", film_mkv=before)
    place.sharer(folder, *SLOW)
    place.until_found("film.mkv", before)
    getting = place.start("get", "film.mkv", "--timeout", "2")
    until(lambda: place.sent("shared") >= MIB)
    (folder / "film.mkv").write_bytes(after)
    getting.wait_for("is asked no more: changed")
    assert getting.wait() == 5, getting.rest()
    place.until_found("film.mkv", after)
    assert place.get("film.mkv")["digest"] == digest_of(after)
    assert (place.directory / "film.mkv").read_bytes() == after


@pytest.mark.slow
def test_one_name_two_files(place: Neighbourhood) -> None:
    """Two peers with one name and different content have two files, of which one is chosen."""
    one, other = file_of(MIB, 1), file_of(MIB, 2)
    place.sharer(place.folder("one", notes_txt=one))
    place.sharer(place.folder("two", notes_txt=other))
    place.until_found("notes.txt", one, other)
    assert "2 different files are called notes.txt." in place.run("search", "notes.txt").stdout
    done = place.run("get", "notes.txt")
    assert (done.returncode, done.stdout) == (2, "")
    for content in (one, other):
        assert digest_of(content)[:12] in done.stderr
    place.get("notes.txt", "--digest", digest_of(other)[:8])
    assert (place.directory / "notes.txt").read_bytes() == other


def test_full_disk(place: Neighbourhood) -> None:
    """A file that the disk has no room for is refused in one line before anything comes, and nothing is left."""
    content = file_of(6 * MIB)
    small = place.directory / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small], capture_output=True, check=False
    ).returncode:
        pytest.skip("no file system can be mounted here: that takes root")
    try:
        place.sharer(place.folder("shared", film_mkv=content))
        place.until_found("film.mkv", content)
        done = place.run("get", "film.mkv", "-o", str(small))
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.splitlines()[-1].startswith("bazaar get: ")
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_sharer_sells(place: Neighbourhood) -> None:
    """A sharer can offer goods too: a buyer finds them by the same index, and the files are fetched beside."""
    content = file_of(MIB)
    folder = place.folder("shared", film_mkv=content)
    place.sharer(folder, "--role", "seller", "--stock", "apple=1")
    place.until_found("film.mkv", content)
    buyer = ("bazaar-node", "--role", "buyer", "--via", "index", "--index", place.index, "--want", "apple", "--once")
    done = place.run_program(TWISTD, *buyer)
    assert done.returncode == 0, done.stdout
    place.get("film.mkv")


@pytest.mark.slow
def test_fetched_by_a_sharer(place: Neighbourhood) -> None:
    """A running sharer fetches into its folder, and is a source itself from then on."""
    content = file_of(2 * MIB)
    first = place.sharer(place.folder("one", film_mkv=content))
    place.sharer(place.folder("two"))
    place.until_found("film.mkv", content)
    until(lambda: (place.daemons.states / "two" / "control.sock").exists())
    RunningNode("two", place.daemons.states / "two").ask("files.get", wanted="film.mkv")
    place.until_found("film.mkv", content, sources=2)
    first.kill()
    told = place.get("film.mkv")
    assert sum(source["bytes"] for source in told["sources"]) == len(content)


@pytest.mark.slow
def test_shell_from_pipe(place: Neighbourhood) -> None:
    """The prompt takes its words from a pipe too: a wrong one gets a hint, and downloads end before it does."""
    content = file_of(2 * MIB)
    place.sharer(place.folder("shared", film_mkv=content))
    place.until_found("film.mkv", content)
    done = place.run("shell", input="hlep\nquery film\nget 1\n")
    assert done.returncode == 1, "a word was wrong"
    assert "there is no 'hlep'; did you mean help?" in done.stdout
    assert (place.directory / "film.mkv").read_bytes() == content
    (place.directory / "film.mkv").unlink()
    done = place.run("shell", input="get film.mkv\nwait\nstatus\nexit\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "no downloads under way"


def test_nobody_there(place: Neighbourhood) -> None:
    """Where no index server is, that is said in one line."""
    for words in (("search", "a"), ("get", "a")):
        done = place.run_program(BAZAAR, *words, "--index", "tcp:127.0.0.1:1")
        assert (done.returncode, done.stdout) == (7, "")
        [line] = done.stderr.splitlines()
        assert line.startswith(f"bazaar {words[0]}: no index server at tcp:127.0.0.1:1: ")


def test_output_full(place: Neighbourhood) -> None:
    """An output that cannot be written is told in one line."""
    content = file_of(100)
    place.sharer(place.folder("shared", film_mkv=content))
    place.until_found("film.mkv", content)
    with open("/dev/full", "wb") as full:
        done = place.run("search", "film", stdout=full)
    assert done.returncode == 2
    assert done.stderr == "bazaar: the output cannot be written: No space left on device\n"


@pytest.mark.slow
def test_served_while_fetched(place: Neighbourhood) -> None:
    """Two who fetch the same at once fetch from each other too: the source sends hardly more than the file."""
    content = file_of(8 * MIB)
    place.sharer(place.folder("shared", film_mkv=content), *SLOW)
    place.until_found("film.mkv", content)
    folders = [place.folder("one"), place.folder("two")]
    getting = [place.start("get", "film.mkv", "-o", str(folder), "--json") for folder in folders]
    told = [json.loads(each.rest().splitlines()[-1]) for each in getting]
    assert [len(each["sources"]) for each in told] == [2, 2]
    for folder in folders:
        assert (folder / "film.mkv").read_bytes() == content


def test_shell_at_a_terminal(place: Neighbourhood) -> None:
    """At a terminal there is a prompt, which is back after a wrong word, and Ctrl-C leaves the terminal as it was."""
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    words = (*BAZAAR, "shell", "--index", place.index)
    environment = {**os.environ, **place.daemons.environment, "TERM": "xterm"}
    process = subprocess.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, cwd=place.directory, env=environment, start_new_session=True
    )
    try:
        shown = b""
        # Between two lines the terminal itself echoes what is typed, and a signal is for what is waited for.
        typing = ((b"", rb"joined.*bazaar> "), (b"hlep\n", rb"did you mean help\?.*bazaar> "), (b"li", b"li"))
        for typed, answer in typing:
            os.write(ours, typed)
            deadline = time.monotonic() + LONGEST_S
            while not re.search(answer, shown, re.DOTALL):
                assert time.monotonic() < deadline, shown
                shown += os.read(ours, 4096)
            shown = b""
        process.send_signal(signal.SIGINT)
        assert process.wait(LONGEST_S) == 130
        assert termios.tcgetattr(theirs) == before
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


@pytest.mark.slow
def test_not_hashed_again(place: Neighbourhood) -> None:
    """After a restart what was hashed is offered at once."""
    content = file_of(MIB)
    folder = place.folder("shared", film_mkv=content)
    first = place.sharer(folder)
    first.wait_for("sharing film.mkv")
    first.kill()
    place.sharer(folder).wait_for("sharing film.mkv")
    place.until_found("film.mkv", content)
    assert place.ask("shared", "files.status")["hashing"]["bytes_total"] == 0
