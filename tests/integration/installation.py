"""The package as its users install it: a wheel built from the sources, in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
LONGEST_S: Final = 600.0
_SOURCES: Final = ("Makefile", "setup.py", "pyproject.toml", "README.md", "LICENSE", "twisted", "twisted_bazaar")


def run(words: tuple[str | Path, ...], directory: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command to its end, far from the sources; returns what it printed.

    @param environment: what it has in its environment besides that of the tests.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        words,
        cwd=directory,
        env={**inherited, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert done.returncode == 0, f"{words} ended with status {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def copy_sources(directory: Path) -> Path:
    """Copy what a wheel is built from to a new directory; returns that."""
    directory.mkdir()
    for name in _SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
        else:
            shutil.copy(ROOT / name, directory)
    return directory


def build_wheel(directory: Path, constraints: tuple[str, ...] = ()) -> Path:
    """Build a wheel from a copy of the sources: building leaves traces, and takes up those of earlier builds.

    @param directory: where the copy and the wheel go.
    @param constraints: which versions to build with.
    """
    source = copy_sources(directory / "source")
    (directory / "constraints.txt").write_text("\n".join(constraints), encoding="utf-8")
    run(
        (sys.executable, "-m", "build", "--wheel", "--outdir", directory, source),
        directory,
        {"PIP_CONSTRAINT": str(directory / "constraints.txt")},
    )
    [wheel] = directory.glob("*.whl")
    return wheel


class Environment:
    """A new virtual environment, of the Python that runs the tests.

    @param directory: where it goes; its programs run there too.
    """

    def __init__(self, directory: Path) -> None:
        venv.create(directory, with_pip=True)
        self.directory = directory

    def install(self, *requirements: str) -> None:
        """Install what is required, a wheel by its path."""
        self.run("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements)

    def run(self, program: str, *words: str) -> str:
        """Run one of its programs to its end; returns what it printed."""
        return run((self.directory / "bin" / program, *words), self.directory)
