"""C{bazaar demo} as its users run it: a process of its own, with real daemons."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from attrs import define

_MARK = "TEST_RUN_OF_BAZAAR"
_LONGEST_S = 90.0
# Has each process keep what it sends.
_RECORDER = Path(__file__).parent / "recorder"


@define
class DemoRun:
    """One run of the demo, with a temporary directory of its own.

    Its processes are known by a mark in their environment, whoever their parent is by now.
    """

    directory: Path
    mark: str

    def start(self, stdout: int = subprocess.PIPE, **environment: str) -> subprocess.Popen[str]:
        """Start it."""
        return subprocess.Popen(
            [sys.executable, "-m", "twisted_bazaar", "demo"],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, **self._environment(), **environment},
        )

    def _environment(self) -> dict[str, str]:
        # A demo that used the state directory of the user would find that it cannot.
        states = {"XDG_STATE_HOME": os.devnull}
        return {"TMPDIR": str(self.directory), "COLUMNS": "80", _MARK: self.mark, **states}

    def processes(self) -> list[psutil.Process]:
        """The processes of this run that are alive."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def daemons_started(self) -> int:
        """How many daemons have a log."""
        return len(list(self.directory.glob("bazaar-demo-*/*.log")))

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(_MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


@pytest.fixture
def demo() -> Iterator[DemoRun]:
    """A run that has not begun; whatever is left of it ends with the test."""
    # Not below the directory of the test: sockets have short names.
    with tempfile.TemporaryDirectory(prefix="bz-") as directory:
        run = DemoRun(Path(directory), uuid.uuid4().hex)
        yield run
        for process in run.processes():
            process.kill()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something outside this process."""
    deadline = time.monotonic() + _LONGEST_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_keeps_its_promises(demo: DemoRun) -> None:
    """It shows two relays crossed, a fallback, a late seller and a power cut; the books agree, and nothing is left."""
    process = demo.start()
    story, errors = process.communicate(timeout=_LONGEST_S)

    assert (process.returncode, errors) == (0, "")
    assert re.search(r"Sam sold Ben 1 apple at 40\.\n +path +Ben → relay Ana → relay Bob → Sam\n", story)
    assert re.search(r"Xenia\. Sold out .*Yara sold Finn 3 fig at 110\.\n", story, re.DOTALL)
    assert re.search(r"Nobody\s+has one\..*Now Lena opens.*Lena sold Quinn 1 quince at 70\.\n", story, re.DOTALL)
    # On a machine that is busy with something else it may have to begin once more.
    last = re.split(r"Once\s+more\s+from\s+the\s+start", story)[-1]
    assert len(re.findall(r"\n +messages +\d+ in all: \d+ search", last)) == 4
    assert re.search(r"Both\s+are killed.*asks again.*Sold once, paid\s+once\.\n", story, re.DOTALL)
    assert re.search(r"\n +messages +\d+ in all: \d+ buy, \d+ buyOK\n", story)
    assert "a folder that goes when this ends" in " ".join(story.split())
    to_type = story[story.index("Now you") :].replace(" \\\n" + " " * 11, " ")
    assert "bazaar orders ID --name buyer --receipt receipt.json\n" in to_type
    assert re.search(r"receipt\.json: it holds.*\n +quantity +2\n.*forgery\.json: it does not hold", story, re.DOTALL)
    assert re.search(r"\n +Otto +pear +4 +2 +2 +Paul 2 +120 *\n", story)
    assert "The books agree" in story
    assert max(map(len, story.splitlines())) <= 80
    assert demo.processes() == []
    assert list(demo.directory.iterdir()) == []


@pytest.mark.slow
def test_no_word_of_it_is_sent(demo: DemoRun, tmp_path: Path) -> None:
    """In all that its daemons send over the network there is no word of goods, prices, questions or who asks."""
    sent = tmp_path / "sent"
    sent.mkdir()
    environment = {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(_RECORDER), *sys.path))),
        "KEEP_WHAT_IS_SENT_IN": str(sent),
    }
    # What is sent in the open is found: the same words, cut in two.
    speaker = (
        "import socket",
        "here = socket.create_server(('127.0.0.1', 0))",
        "there = socket.create_connection(here.getsockname())",
        "there.send(b'two qui'), there.send(b'nces')",
    )
    subprocess.run([sys.executable, "-c", "\n".join(speaker)], env={**os.environ, **environment}, check=True)
    [in_the_open] = sent.iterdir()
    assert b"quince" in in_the_open.read_bytes()
    in_the_open.unlink()

    process = demo.start(**environment)
    story, errors = process.communicate(timeout=_LONGEST_S)
    assert (process.returncode, errors) == (0, "")
    assert "quince" in story

    connections = list(sent.iterdir())
    assert len(connections) > 20, "two ends of each of the links"
    for path in connections:
        name, carried = path.name, path.read_bytes()
        assert name.startswith("SOCK_STREAM")
        assert carried[:1] == b"\x16", "a TLS handshake comes first"
        # Three letters come about by chance now and then.
        for word in (b"apple", b"quince", b"pear", b'"fig"', b"price", b"search", b"thisis", b"seller", b"buyer"):
            assert word not in carried, (name, word)


@pytest.mark.slow
def test_needs_no_unicode(demo: DemoRun) -> None:
    """Where the output can hold only ASCII, it tells the same story; and Ctrl-C stops all it has started."""
    process = demo.start(PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert process.stdout is not None
    assert any("Ben -> relay Ana -> relay Bob -> Sam" in line for line in process.stdout)
    assert len(demo.processes()) > 5

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=_LONGEST_S)

    assert (process.returncode, errors) == (130, "")
    assert demo.processes() == []
    assert list(demo.directory.iterdir()) == []


def test_daemons_end_with_a_killed_demo(demo: DemoRun) -> None:
    """Even a demo that is killed leaves no process behind."""
    process = demo.start()
    wait_until(lambda: demo.daemons_started() >= 6)

    process.kill()
    process.communicate(timeout=_LONGEST_S)

    wait_until(lambda: demo.processes() == [])


def test_says_which_daemon_could_not_start(demo: DemoRun, tmp_path: Path) -> None:
    """Where a directory named twisted hides Twisted, one clear message says so, and the logs are kept."""
    shadow = tmp_path / "shadow" / "twisted"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").touch()

    process = demo.start(PYTHONPATH=str(shadow.parent))
    _, errors = process.communicate(timeout=_LONGEST_S)

    assert process.returncode == 1
    kept = next(demo.directory.glob("bazaar-demo-*"))
    assert errors.split("\n") == [
        "",
        "bazaar demo: tracker ended with status 1: ModuleNotFoundError: No module named 'twisted.scripts'.",
        f"What each daemon said and did is kept in {kept}",
        "",
    ]
    assert "Traceback" in (kept / "tracker.log").read_text()
    assert demo.processes() == []


def test_says_that_it_cannot_write(demo: DemoRun) -> None:
    """Where the story cannot be written, one line says so."""
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        process = demo.start(stdout=full)
        _, errors = process.communicate(timeout=_LONGEST_S)
    finally:
        os.close(full)

    assert process.returncode == 1
    assert errors == "\nbazaar demo: [Errno 28] No space left on device\n"
    assert demo.processes() == []
    assert list(demo.directory.iterdir()) == []


@pytest.mark.slow
def test_daemons_end_with_a_demo_killed_at_the_worst_moment(demo: DemoRun) -> None:
    """Also those that it holds just then end with it."""
    process = demo.start()
    wait_until(lambda: any("held" in log.read_text() for log in demo.directory.glob("bazaar-demo-*/otto.log")))

    process.kill()
    process.communicate(timeout=_LONGEST_S)

    wait_until(lambda: demo.processes() == [])


def test_says_that_its_directory_has_too_long_a_name(demo: DemoRun) -> None:
    """A directory in which there is no room for the names of sockets is told at once, and nothing stays in it."""
    long = demo.directory / ("x" * 80)
    long.mkdir()
    process = demo.start(TMPDIR=str(long))
    _, errors = process.communicate(timeout=_LONGEST_S)

    assert process.returncode == 1
    assert errors == f"\nbazaar demo: {long} has too long a name for sockets in it; set TMPDIR to a shorter one\n"
    assert list(long.iterdir()) == []
