"""The chapter on one failure can be walked: with the change of its page it is found, and without it is gone.

C{python -m tests.integration.test_one_failure} prints what the page is to show.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.integration.daemons import LONGEST_S

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs/howto/simulate.md").read_text(encoding="utf-8")
CHAPTER: Final = PAGE.partition("## One failure")[2]
# As where the environment has been activated: programs then name themselves shortly.
PATH: Final = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
PATCH: Final = (ROOT / "docs/howto/one-failure.patch").read_text(encoding="utf-8")
SCENARIO: Final = "failing-seed-18.toml"


def shown(first: str) -> str:
    """The indented block of the chapter whose first line begins so."""
    found = re.search(rf"^    {re.escape(first)}.*\n(?:    .*\n)*", CHAPTER, re.MULTILINE)
    assert found is not None, f"the page shows nothing that begins with {first}"
    return textwrap.dedent(found[0])


def fenced(language: str) -> str:
    """The first block of code of the chapter in one language."""
    found = re.search(rf"^```{language}\n(.*?)^```", CHAPTER, re.MULTILINE | re.DOTALL)
    assert found is not None, f"the page shows no {language}"
    return found[1]


def typed(beginning: str) -> list[str]:
    """The words after C{bazaar} of the only command in a line of the chapter that begins so."""
    [command] = set(re.findall(rf"^    (?:  )?bazaar ({re.escape(beginning)}[^\n\\]*)$", CHAPTER, re.MULTILINE))
    return shlex.split(command)


def make_copy(place: Path) -> Path:
    """Make a copy of the package with the change in it."""
    for name in ("twisted_bazaar", "twisted"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
    name = re.findall(r"^\+\+\+ b/(.*)$", PATCH, re.MULTILINE)[0]
    hunk = PATCH.partition("@@\n")[2].splitlines(keepends=True)
    before = "".join(line[1:] for line in hunk if line[0] in " -")
    after = "".join(line[1:] for line in hunk if line[0] in " +")
    changed = place / name
    text = changed.read_text(encoding="utf-8")
    assert text.count(before) == 1, "the patch fits"
    changed.write_text(text.replace(before, after), encoding="utf-8")
    return place


def run(package: Path, directory: Path, words: Sequence[str]) -> tuple[int, str]:
    """Run a Python program over one copy of the package; returns its status and what it printed."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(package), "PATH": PATH},
        capture_output=True,
        text=True,
        timeout=LONGEST_S * 4,
        check=False,
    )
    return done.returncode, done.stdout


def bazaar(package: Path, directory: Path, *words: str) -> tuple[int, str]:
    """Run a command; it calls itself by the name that stands in the page."""
    status, told = run(package, directory, ["-m", "twisted_bazaar", *words])
    return status, told.replace(f"{Path(sys.executable).name} -m twisted_bazaar ", "bazaar ")


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the change of the page."""
    return make_copy(tmp_path_factory.mktemp("changed"))


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    """A directory with the scenario that the page shows."""
    (tmp_path / SCENARIO).write_text(fenced("toml"), encoding="utf-8")
    return tmp_path


def test_shows_the_change() -> None:
    """The lines that the page shows are those of the patch, which takes away what is there."""
    assert fenced("diff") in PATCH


@pytest.mark.slow
def test_seed(changed: Path, tmp_path: Path) -> None:
    """The run of the page breaks a promise with the change, in the words of the page, and none without."""
    words = [*typed("simulate market --nodes 20 --sellers 4 --seed"), "--quiet"]
    assert bazaar(changed, tmp_path, *words) == (1, shown("1 of 12 promises was broken:"))
    assert bazaar(ROOT, tmp_path, *words) == (0, "")


@pytest.mark.slow
def test_shrinking(changed: Path, tmp_path: Path) -> None:
    """The search for a smaller run goes as the page shows, and ends with the file that it shows."""
    words = [*typed("simulate market --nodes 20 --sellers 4 --seed"), "--shrink", "--shrink-to", SCENARIO]
    command = [sys.executable, "-m", "twisted_bazaar", *words]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(changed), "PATH": PATH, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=LONGEST_S * 10,
        check=False,
    )
    tried = [line.strip() for line in done.stderr.splitlines()]
    lines = [line.strip() for line in shown("   1  nothing from").splitlines() if line.strip() != "..."]
    places = [tried.index(line) for line in lines]
    assert (places, places[-1]) == (sorted(places), len(tried) - 1)
    assert shown("Of ").splitlines()[:2] == done.stdout.splitlines()[-4:-2]
    assert (tmp_path / SCENARIO).read_text(encoding="utf-8") == fenced("toml")


def test_small_run(changed: Path, walk: Path) -> None:
    """So does the small run, whose trace shows what the page shows."""
    status, told = bazaar(changed, walk, *typed(f"simulate market --scenario {SCENARIO} --trace"))
    said = next(line for line in fenced("toml").splitlines() if line.startswith("# At "))
    assert (status, said[2:].replace("At", "at", 1).partition(":")[0] in told) == (1, True)

    listed = bazaar(changed, walk, "trace", "failing.jsonl")[1].splitlines()
    for first in ("20 searches", "1 order"):
        lines = [line for line in shown(first).splitlines() if line != "..."]
        places = [listed.index(line) for line in lines]
        assert places == sorted(places)

    order = bazaar(changed, walk, *typed("trace failing.jsonl --order"))
    assert order == (0, shown("Order f002dc6619b1"))
    [search] = re.findall(r"`bazaar (trace failing.jsonl --search \d+)`", CHAPTER)
    status, told = bazaar(changed, walk, *search.split())
    assert (status, "seller-1 -> seller-2: reply: it is there" in told) == (0, True)

    assert bazaar(ROOT, walk, *typed(f"simulate market --scenario {SCENARIO} --quiet")) == (0, "")


def test_unit_test(changed: Path, tmp_path: Path) -> None:
    """The test that the page makes of it fails with the change."""
    (tmp_path / "test_page.py").write_text(fenced("python"), encoding="utf-8")
    for package, failed in ((changed, 1), (ROOT, 0)):
        status, told = run(package, tmp_path, ["-m", "twisted.trial", "--temp-directory", "trial", "test_page"])
        assert status == failed, told


def _print() -> None:
    """Print what the page is to show, in its order."""
    with tempfile.TemporaryDirectory() as name:
        place = make_copy(Path(name))
        (place / SCENARIO).write_text(fenced("toml"), encoding="utf-8")
        traced = ["simulate", "market", "--scenario", SCENARIO, "--trace", "failing.jsonl", "--quiet"]
        shrunk = [*typed("simulate market --nodes 20 --sellers 4 --seed"), "--shrink", "--shrink-to", "small.toml"]
        for words in (shrunk, traced, ["trace", "failing.jsonl"], typed("trace failing.jsonl --order")):
            sys.stdout.write(f"$ bazaar {shlex.join(words)}\n{bazaar(place, place, *words)[1]}\n")
        sys.stdout.write((place / "small.toml").read_text(encoding="utf-8"))


if __name__ == "__main__":
    _print()
