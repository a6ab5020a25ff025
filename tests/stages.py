"""C{python -m tests.stages NAME}: what C{make NAME} does, stage by stage, for all names by which it checks something.

A test that only C{make test-all} runs has the mark C{slow}.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import field, frozen

ROOT: Final = Path(__file__).parent.parent
PYTHON: Final = sys.executable
# Tests of daemons wait more than they compute, so two for each core keep it busy.
WORKERS: Final = str(2 * len(os.sched_getaffinity(0)))
SOAK_SEEDS: Final = "3"
# What of the package is held to LEAST_COVERED.
COVERED: Final = ("wire", "identity", "trade", "node")
LEAST_COVERED: Final = 95
# They compute all the time, and counting makes that twice as long; the branches are covered without them.
SIMULATED: Final = "tests/sim"


@frozen
class Stage:
    """One step.

    @ivar words: the command.
    @ivar environment: what it has in its environment besides that of this process.
    """

    name: str
    words: Sequence[str]
    environment: Mapping[str, str] = field(factory=dict)

    def run(self) -> bool:
        """Do it; returns whether all was well."""
        return subprocess.run(self.words, cwd=ROOT, env={**os.environ, **self.environment}, check=False).returncode == 0


def module(name: str, *words: str) -> tuple[str, ...]:
    """The command that runs a module."""
    return PYTHON, "-m", name, *words


def program(name: str, *words: str) -> tuple[str, ...]:
    """The command that runs a program of the environment that is no module."""
    return str(Path(PYTHON).parent / name), *words


def pytest(*words: str) -> tuple[str, ...]:
    """The command that runs tests on all cores, and shows how far it is."""
    return module("pytest", "-q", "-n", WORKERS, *words)


LINT: Final = (
    Stage("ruff", module("ruff", "check", "--quiet", ".")),
    Stage("format", module("ruff", "format", "--check", "--quiet", ".")),
    Stage("types", module("mypy")),
)
# All is made anew: what is for another version is not taken for what is for this one.
DOCS: Final = (
    Stage(
        "pages",
        module(
            *("sphinx", "--conf-dir", "docs", "--builder", "html", "--jobs", "auto", "--quiet"),
            *("--fail-on-warning", "--keep-going", "--fresh-env", "--write-all", "--doctree-dir", "build/doctrees"),
            *(".", "build/docs"),
        ),
    ),
)
TYPES: Final = (Stage("types of the wheel", module("tests.typed_wheel")),)
SCHEMA: Final = "--builtin-schema"
# What others see first: how the project is laid out, and what public continuous integration is to run.
REVIEW: Final = (
    Stage("repository", module("repo_review", "--show", "err", ".")),
    Stage("workflow", module("check_jsonschema", SCHEMA, "vendor.github-workflows", ".github/workflows/ci.yml")),
    Stage("updates", module("check_jsonschema", SCHEMA, "vendor.dependabot", ".github/dependabot.yml")),
    Stage("hooks", module("pre_commit", "validate-config")),
    Stage("security of the workflow", program("zizmor", "--offline", "--quiet", "--persona", "pedantic", ".github")),
)
# Else each of the processes that run tests compiles all of it, at the same time.
COMPILED: Final = Stage("bytecode", module("compileall", "-q", "-j", WORKERS, "twisted_bazaar", "tests"))
TEST: Final = (*LINT, COMPILED, Stage("tests", pytest("-m", "not slow")))
# All but C{test-all}.
SHORT: Final[Mapping[str, Sequence[Stage]]] = {
    "lint": LINT,
    "review": REVIEW,
    "types": TYPES,
    "docs": DOCS,
    "test": TEST,
}


def test_all(scratch: Path) -> Sequence[Stage]:
    """Everything.

    @param scratch: a directory for what the stages write.
    """
    thorough = {"TESTS_OF_BAZAAR": "all"}
    counting = {**thorough, "COVERAGE_FILE": str(scratch / "coverage")}
    units = [str(path) for path in sorted((ROOT / "tests").iterdir()) if is_unit(path)]
    return (
        *LINT,
        *REVIEW,
        COMPILED,
        Stage(
            "tests, counting branches",
            pytest(
                *("-m", "not slow", f"--ignore={SIMULATED}"),
                *(f"--cov=twisted_bazaar/{part}" for part in COVERED),
                "--cov-report=",
            ),
            counting,
        ),
        *(
            Stage(
                f"branches of {part}",
                module("coverage", "report", f"--include=twisted_bazaar/{part}/*", f"--fail-under={LEAST_COVERED}"),
                counting,
            )
            for part in COVERED
        ),
        Stage("simulated networks", pytest("-m", "not slow", SIMULATED), thorough),
        Stage("slow tests", pytest("-m", "slow", *slow_files()), thorough),
        Stage(
            "trial",
            module("twisted.trial", "--reporter=text", "-j", WORKERS, f"--temp-directory={scratch / 'trial'}", *units),
        ),
        *TYPES,
        *DOCS,
        Stage("soak", module("tests.soak", SOAK_SEEDS)),
        Stage("attacks in short", module("tests.attack", "--short")),
    )


def slow_files() -> Sequence[str]:
    """The files that have slow tests: whoever collects the others too holds 80 MB more in each process."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(file.relative_to(ROOT)) for file in files if "pytest.mark.slow" in file.read_text(encoding="utf-8")]


def is_unit(path: Path) -> bool:
    """Whether there are unit tests of the package at a path."""
    if path.is_dir():
        return path.name != "integration" and any(path.rglob("test_*.py"))
    return path.match("test_*.py")


def run(stages: Sequence[Stage]) -> int:
    """Run stages one after the other; returns how many failed."""
    failed, began = [], time.monotonic()
    for number, stage in enumerate(stages, 1):
        print(f"[{number}/{len(stages)}, {time.monotonic() - began:.0f} s] {stage.name}", flush=True)
        if not stage.run():
            failed.append(stage.name)
            print(f"FAILED: {stage.name}", flush=True)
    took_s = time.monotonic() - began
    print(f"{', '.join(failed)} failed" if failed else "all is well", f"after {took_s // 60:.0f}:{took_s % 60:02.0f}")
    return len(failed)


def main(words: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status."""
    match words:
        case [name] if name in SHORT:
            return run(SHORT[name])
        case ["test-all"]:
            with tempfile.TemporaryDirectory(prefix="bazaar-test-all-") as scratch:
                return run(test_all(Path(scratch)))
        case _:
            print(f"usage: python -m tests.stages {'|'.join(SHORT)}|test-all", file=sys.stderr)
            return 2


if __name__ == "__main__":
    # Ended politely, it leaves nothing behind either.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
