"""What holds for a whole run of the tests: a temporary directory of its own, signals, order, memory, and what is left.

A run fails, although each test has passed, if something stays behind in its temporary directory, if a process of
it goes on, or if a test process needed more than L{MOST_RSS_MB}. The summary at the end names the tests that did it.
"""

from __future__ import annotations

import ctypes
import gc
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import define, field
from twisted.logger import globalLogBeginner
from xdist.scheduler import LoadScopeScheduling

from tests.integration.fork_server import SERVER

MOST_RSS_MB: Final = 500
_COLLECTED_EVERY_MB: Final = 50
ROOT: Final = Path(__file__).parent.parent
# What hypothesis knows of the letters there are, once it has had to find out.
LETTERS: Final = ROOT / ".hypothesis" / "unicode_data"
# Whose tests open sockets, and wait more than they compute.
WAITING: Final = "tests/integration/"
# Whose tests each take about as long as a file of others.
LONG: Final = ("tests/sim/test_seeds.py", "tests/sim/test_race.py")


@define
class Remains:
    """What the tests of one process have used and left.

    @ivar worker: the process.
    @ivar place: its temporary directory.
    @ivar left: what is there, with the test after which it was first there.
    @ivar kept_mb: what it held when garbage was last collected.
    @ivar peak_mb: the most memory that it, or a process that it has started and ended, has held.
    @ivar growth: how much each test has added to that peak, the tests that added most.
    """

    worker: str
    place: Path
    left: dict[str, str] = field(factory=dict)
    peak_mb: int = 0
    kept_mb: int = 0
    growth: list[tuple[int, str]] = field(factory=list)

    def look(self, test: str) -> None:
        """Look round after a test."""
        if _rss_mb() > self.kept_mb + _COLLECTED_EVERY_MB:
            # What one test has left in circles is not to be counted with what the next one needs.
            gc.collect()
            _give_back()
            self.kept_mb = _rss_mb()
        there = {path.name for path in self.place.iterdir()}
        self.left = {name: self.left.get(name, test) for name in sorted(there)}
        if (grown := _peak_mb() - self.peak_mb) > 0:
            self.growth = sorted([*self.growth, (grown, test)], reverse=True)[:5]
            self.peak_mb += grown

    def faults(self) -> Iterator[str]:
        """What should not be so."""
        # Some directories go with the last object that knows them.
        gc.collect()
        for name, test in self.left.items():
            if not (self.place / name).exists():
                continue
            yield f"{name} stays in the temporary directory since {test}"
        if self.peak_mb > MOST_RSS_MB:
            tests = ", ".join(f"{test} (+{grown} MB)" for grown, test in self.growth)
            yield f"{self.worker} or a child of it held {self.peak_mb} MB of {MOST_RSS_MB}; most was added by {tests}"


class Run:
    """One run, as seen by the process that the user started, or by one of its workers."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._worker: str | None = getattr(config, "workerinput", {}).get("workerid")
        self._faults: list[str] = []
        self._peaks: list[int] = []
        self._is_kept = False
        if self._worker is not None:
            self._place = Path(tempfile.gettempdir())
        else:
            self._place = Path(tempfile.mkdtemp(prefix="bt-"))
            # A PostgreSQL server runs as somebody else, below.
            self._place.chmod(0o711)
            _use(self._place)
            if config.option.basetemp is None:
                config.option.basetemp = str(self._place / "t")
        own = self._place / (self._worker or "gw")
        own.mkdir(mode=0o711)
        self._remains = Remains(self._worker or "the process", own)
        if self._worker is not None or not config.getoption("numprocesses", None):
            _use(own)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Look round after each test."""
        try:
            return (yield)
        finally:
            self._remains.look(item.nodeid)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Mark what L{tests.slow} has been put on."""
        if getattr(getattr(item, "obj", None), "is_slow", False):
            item.add_marker("slow")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """The longest first, then those that wait among those that compute."""
        units: dict[str, list[pytest.Item]] = {}
        for item in items:
            units.setdefault(unit_of(item.nodeid), []).append(item)
        slow, waiting, computing = [], [], []
        for unit, members in units.items():
            is_slow = any(item.get_closest_marker("slow") for item in members)
            (slow if is_slow else waiting if unit.startswith(WAITING) else computing).append(members)
        places = [(place / len(kind), members) for kind in (waiting, computing) for place, members in enumerate(kind)]
        mixed = [members for _, members in sorted(places, key=lambda each: each[0])]
        items[:] = [item for members in (*slow, *mixed) for item in members]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> LoadScopeScheduling:
        """Hand out the work unit by unit, in that order."""
        config.option.loadscopereorder = False
        return UnitScheduling(config, log)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker is done."""
        told = getattr(node, "workeroutput", {})
        self._faults += told.get("faults", ())
        self._peaks.append(told.get("peak", 0))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Judge the run."""
        SERVER.close()
        faults = list(self._remains.faults())
        if self._worker is not None:
            self._config.workeroutput.update(faults=faults, peak=self._remains.peak_mb)  # type: ignore[attr-defined]
            return
        self._faults += [*faults, *_going_on(self._place)]
        self._peaks.append(self._remains.peak_mb)
        if self._faults and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self._is_kept = session.exitstatus == pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say how it was."""
        for fault in self._faults:
            terminalreporter.write_line(f"FAILED the whole run: {fault}", red=True)
        if self._is_kept:
            terminalreporter.write_line(f"what the tests that failed have written stays in {self._place}")
        terminalreporter.write_line(f"the largest process held {max(self._peaks)} MB")

    def pytest_unconfigure(self) -> None:
        """Leave nothing."""
        if self._worker is None and not self._is_kept:
            shutil.rmtree(self._place, ignore_errors=True)


class UnitScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """How C{pytest-xdist} hands out work: by L{unit_of}."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """What is run in one go: a file of short tests, or one test with sockets, unless its file shares a fixture."""
    file = nodeid.partition("::")[0]
    return nodeid if file.startswith((WAITING, *LONG)) and not _shares(file) else file


@cache
def _shares(file: str) -> bool:
    return re.search(r'scope="module"|\bcluster: Cluster', (ROOT / file).read_text(encoding="utf-8")) is not None


def _use(place: Path) -> None:
    """Have all that writes temporary files, or the state of a user, do so here."""
    os.environ["TMPDIR"] = tempfile.tempdir = str(place)
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        os.environ[name] = str(place / "home")


def _rss_mb() -> int:
    """What this process holds now."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize() >> 20


def _give_back() -> None:
    """Let the system have what the allocator keeps for later, where it can be told to."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _peak_mb() -> int:
    """The most memory that this process has held, or one that it has started and that has ended."""
    most_kb = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(most_kb >> 10, SERVER.peak_mb)


def _going_on(place: Path) -> Iterator[str]:
    """The processes that tests of a run have started and not ended."""
    mark = f"TMPDIR={place}/".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(each.startswith(mark) for each in (process / "environ").read_bytes().split(b"\0")):
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                yield f"process {process.name} goes on: {words}"


def _find_out_letters() -> None:
    """Have hypothesis find out once what letters there are: for that each process of tests would need 200 MB more."""
    if not LETTERS.exists():
        script = "from hypothesis import strategies; strategies.text().validate()"
        subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def pytest_configure(config: pytest.Config) -> None:
    """Begin a run."""
    if config.getoption("numprocesses", None):
        _find_out_letters()
    # Whoever starts this in the background of a script has it ignore Ctrl-C, and what it starts would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Until logging begins, Twisted keeps the last 65,536 events, and all that they are about.
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    config.pluginmanager.register(Run(config), "bazaar-run")
