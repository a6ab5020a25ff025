"""C{python -m tests.planted [--only WORDS] [--workers N]}: plant each bug in a copy of the tree, and see it caught.

C{WORDS} are the number of a promise, or a part of a bug's words or of the names of its tests. First the tests are
run without a bug: one that fails then proves nothing. With a bug they are run as C{make test} runs them, and, if they
have not noticed, as C{make test-all} does. The status is 1 if a bug was not caught.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from enum import Enum
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from attrs import define, field, frozen

from tests.planted.bug import PACKAGE, Bug, Moved, is_of
from tests.planted.bugs import chosen

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = (
    *("docs", "tests", "twisted", PACKAGE, ".ci", ".github", ".pre-commit-config.yaml"),
    *("Makefile", "README.md", "pyproject.toml", "setup.py"),
)
# Tells the processes of tests that were ended from others.
MARK: Final = "PLANTED_IN_COPY"
# Statuses of pytest.
PASSED, FAILED, NONE = 0, 1, 5


class How(Enum):
    """Which command runs the tests."""

    QUICK = "make test"
    THOROUGH = "make test-all"


# For all tests of a bug.
LIMITS_S: Final = {How.QUICK: 400.0, How.THOROUGH: 1_200.0}
_TIDYING_S: Final = 30.0


@frozen
class Ran:
    """What came of some tests.

    @ivar status: of pytest; None if it took too long.
    @ivar failed: the names of those that failed, those that passed, and all that was written.
    """

    status: int | None
    failed: tuple[str, ...]
    passed: tuple[str, ...] = ()
    told: str = ""

    @property
    def took_too_long(self) -> bool:
        """Whether a test has reached its own time limit."""
        return re.search(r"Timeout \(?>", self.told) is not None


@frozen
class Result:
    """What came of a bug.

    @ivar fault: why it counts as not caught; empty if it was caught.
    @ivar by: the test that caught it.
    """

    promise: int
    bug: Bug
    fault: str = ""
    how: How = How.QUICK
    by: str = ""

    def __str__(self) -> str:
        end = f"\033[31mNOT CAUGHT\033[0m: {self.fault}" if self.fault else f"{self.how.value}, {self.by}"
        return f"{self.promise:>2}  {self.bug.words}: {end}"


@define
class Copies:
    """Copies of the tree, one for each worker."""

    free: SimpleQueue[Path] = field(factory=SimpleQueue)

    @classmethod
    def make(cls, scratch: Path, many: int) -> Copies:
        """Copy the tree."""
        copies = cls()
        for number in range(many):
            copy = scratch / str(number)
            copy.mkdir()
            for name in COPIED:
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy2(ROOT / name, copy / name)
            copies.free.put(copy)
        return copies

    @contextmanager
    def one(self) -> Iterator[Path]:
        """A copy for as long as it is needed."""
        copy = self.free.get()
        try:
            yield copy
        finally:
            self.free.put(copy)

    def run(self, copy: Path, tests: Iterable[str], how: How, *words: str, limit_s: float | None = None) -> Ran:
        """Run tests in a copy.

        @param limit_s: how long all of them may take; each has a limit of its own besides.
        """
        environment = {**os.environ, "PYTHONPATH": str(copy), MARK: str(copy)}
        environment["TESTS_OF_BAZAAR"] = "all" if how is How.THOROUGH else ""
        marks = ("-m", "not slow") if how is How.QUICK else ()
        paths = [f"tests/{test}" for test in tests]
        command = [sys.executable, "-m", "pytest", "-q", "-rfEp", "--tb=line", "--color=no", *marks, *words, *paths]
        with subprocess.Popen(
            command, cwd=copy, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                told, _ = process.communicate(timeout=limit_s)
                status: int | None = process.returncode
            except subprocess.TimeoutExpired:
                # So it tidies up, if it still can.
                process.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=_TIDYING_S)
                process.kill()
                told, status = "", None
            finally:
                _end_those_of(copy)
        for left in re.findall(r"^what the tests that failed have written stays in (\S+)$", told, re.MULTILINE):
            shutil.rmtree(left, ignore_errors=True)
        failed = re.findall(r"^(?:FAILED|ERROR) (tests/.+?(?=$| - )|the whole run)", told, re.MULTILINE)
        passed = re.findall(r"^PASSED (.+)$", told, re.MULTILINE)
        return Ran(status, tuple(failed), tuple(passed), told)


def _end_those_of(copy: Path) -> None:
    """End what tests have started and left, because they failed or took too long."""
    mark = f"{MARK}={copy}\0".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(process.name) != os.getpid() and mark in (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)


@define
class Planting:
    """All of it.

    @ivar workers: how many bugs are planted at once.
    """

    copies: Copies
    workers: int
    began: float = field(factory=time.monotonic)

    def run(self, bugs: Sequence[tuple[int, Bug]]) -> list[Result]:
        """Plant each; returns what came of each, and says so as it comes."""
        results: list[Result] = []
        left = bugs
        for how in How:
            if not left:
                break
            unplanted = self._unplanted({test for _, each in left for test in each.tests}, how)
            missed: list[tuple[int, Bug]] = []
            with ThreadPoolExecutor(self.workers) as pool:
                tries = {pool.submit(self._try, *each, how, unplanted): each for each in left}
                try:
                    for done in as_completed(tries):
                        result = done.result()
                        if result is None:
                            missed.append(tries[done])
                        else:
                            results.append(result)
                            print(f"\r\033[K{result}" if sys.stderr.isatty() else result, flush=True)
                        self._progress(how.value, len(results), len(bugs))
                except BaseException:
                    # Who interrupts it does not want the rest.
                    pool.shutdown(cancel_futures=True)
                    raise
            left = missed
        return results

    def _progress(self, what: str, done: int, many: int) -> None:
        if sys.stderr.isatty():
            took_s = time.monotonic() - self.began
            print(
                f"\r\033[K[{done}/{many}, {took_s // 60:.0f}:{took_s % 60:02.0f}] {what}",
                end="", file=sys.stderr, flush=True,
            )  # fmt: skip

    def _unplanted(self, tests: set[str], how: How) -> Ran:
        """Run all tests without a bug."""
        self._progress(f"{how.value}, without a bug", 0, len(tests))
        with self.copies.one() as copy:
            return self.copies.run(copy, sorted(tests), how, "-n", str(self.workers))

    def _try(self, promise: int, bug: Bug, how: How, unplanted: Ran) -> Result | None:
        """Plant a bug; returns None if these tests have not noticed, and others may."""
        if unplanted.status not in (PASSED, FAILED, NONE):
            return Result(promise, bug, f"its tests cannot be run without it:\n{unplanted.told[-2000:]}")
        broken = [name for name in unplanted.failed if is_of(name, bug.tests)]
        if broken:
            return Result(promise, bug, f"{broken[0]} fails without it too")
        if not bug.changes:
            # They fail if what they plant is not caught.
            proofs = [name for name in unplanted.passed if is_of(name, bug.tests)]
            missed = None if how is How.QUICK else Result(promise, bug, "its tests were left out")
            return Result(promise, bug, how=how, by=proofs[0]) if proofs else missed
        with self.copies.one() as copy:
            try:
                texts = bug.texts(copy)
            except Moved as error:
                return Result(promise, bug, f"it cannot be planted any more; mend its entry in tests/planted: {error}")
            ran = self._planted(copy, bug, texts, how)
        if ran.status is None:
            return Result(promise, bug, how=how, by="by the time limit of all its tests")
        if ran.status not in (PASSED, FAILED, NONE):
            return Result(promise, bug, f"its tests cannot be run with it:\n{ran.told[-2000:]}")
        caught = [name for name in ran.failed if name not in unplanted.failed]
        if caught:
            return Result(promise, bug, how=how, by=caught[0] + (" by its time limit" if ran.took_too_long else ""))
        return None if how is How.QUICK else Result(promise, bug, "all its tests pass")

    def _planted(self, copy: Path, bug: Bug, texts: Mapping[Path, str], how: How) -> Ran:
        """Run the tests of a bug with it."""
        before = {path: path.read_text(encoding="utf-8") for path in texts}
        try:
            for path, text in texts.items():
                _write(path, text)
            # What cannot even be imported proves nothing.
            modules = ", ".join(".".join(path.relative_to(copy).with_suffix("").parts) for path in texts)
            words = (sys.executable, "-c", f"import {modules}")
            importing = subprocess.run(words, cwd=copy, capture_output=True, text=True, check=False)
            if importing.returncode:
                return Ran(importing.returncode + FAILED, (), told=importing.stderr)
            return self.copies.run(copy, bug.tests, how, "-x", "-n", "0", limit_s=LIMITS_S[how])
        finally:
            for path, text in before.items():
                _write(path, text)


_times: Final = count(int(time.time()))


def _write(path: Path, text: str) -> None:
    """Change a file of the package, and have Python see that: it looks at the second of the change, and the size."""
    path.write_text(text, encoding="utf-8")
    at = next(_times)
    os.utime(path, (at, at))


def told(results: Sequence[Result]) -> str:
    """The last line."""
    caught = [result for result in results if not result.fault]
    quick = sum(result.how is How.QUICK for result in caught)
    return f"{len(caught)} of {len(results)} bugs were caught, {quick} of them by {How.QUICK.value}"


def main(words: Sequence[str]) -> int:
    """Plant what the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description="Plant bugs, and see them caught.")
    parser.add_argument("--only", default="", metavar="WORDS", help="the number of a promise, or part of a bug's words")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    options = parser.parse_args(words)
    bugs = list(chosen(options.only))
    if not bugs:
        print(f"there is no bug like {options.only!r}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="bazaar-planted-", ignore_cleanup_errors=True) as scratch:
        copies = Copies.make(Path(scratch), min(options.workers, len(bugs)))
        results = Planting(copies, options.workers).run(bugs)
    late = [result for result in results if not result.fault and result.how is How.THOROUGH]
    missed = [result for result in results if result.fault]
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    for title, some in (("Caught by make test-all only", late), ("Not caught", missed)):
        if some:
            print(f"\n{title}:", *some, sep="\n")
    print(f"\n{told(results)}")
    return bool(missed)


if __name__ == "__main__":
    # Ended politely, it takes its copies away too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
