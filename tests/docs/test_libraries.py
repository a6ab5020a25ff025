"""The pages of what tests begin with: they name each module that several tests share, and their examples work."""

from __future__ import annotations

import importlib
import re
import unittest
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

ROOT: Final = Path(__file__).parents[2]
TESTS: Final = ROOT / "tests"
IMPORT: Final = re.compile(r"^from (tests[.\w]*) import ([\w, ]+|\([^)]*\))", re.MULTILINE)
EXAMPLE: Final = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
# Those open sockets.
ELSEWHERE: Final = ("attack", "integration")


def imported(file: Path) -> Iterator[Path]:
    """The modules of the tests that a module imports."""
    for package, names in IMPORT.findall(file.read_text(encoding="utf-8")):
        for name in (package, *(f"{package}.{each}" for each in re.findall(r"\w+", names))):
            path = ROOT / (name.replace(".", "/") + ".py")
            if path.is_file():
                yield path


def shared() -> list[Path]:
    """The modules that are no tests, and that more than one other module imports."""
    users: dict[Path, set[Path]] = defaultdict(set)
    for file in TESTS.rglob("*.py"):
        for path in imported(file):
            users[path].add(file)
    return sorted(path for path, by in users.items() if len(by) > 1 and not path.name.startswith("test_"))


def page_of(path: Path) -> Path:
    """The page of the folder of a module, or of the nearest folder above that has one."""
    return next(folder / "README.md" for folder in path.parents if (folder / "README.md").is_file())


class LibraryTests(SynchronousTestCase):
    """What several tests share is told of beside it."""

    def test_named(self) -> None:
        """Each module that several tests share is named on the page of its folder."""
        missing = []
        for path in shared():
            page = page_of(path)
            name = path.relative_to(page.parent).with_suffix("").as_posix()
            if f"`{name}`" not in page.read_text(encoding="utf-8"):
                missing.append(f"{name}, on {page.relative_to(ROOT)}")

        self.assertEqual(missing, [])

    def test_there(self) -> None:
        """Each module that the table of a page begins a row with is there, and each page is linked from the first."""
        pages = sorted(TESTS.rglob("README.md"))
        first = (TESTS / "README.md").read_text(encoding="utf-8")
        wrong = []
        for page in pages:
            for cell in re.findall(r"^\| ((?:`[\w/]+`,? ?)+)\|", page.read_text(encoding="utf-8"), re.MULTILINE):
                wrong += [
                    f"{name}, on {page.relative_to(ROOT)}"
                    for name in re.findall(r"`([\w/]+)`", cell)
                    if name.islower() and not (page.parent / f"{name}.py").is_file()
                ]
            if page.parent != TESTS and f"]({page.relative_to(TESTS).as_posix()})" not in first:
                wrong.append(f"{page.relative_to(ROOT)} is not linked")

        self.assertEqual(wrong, [])
        self.assertGreater(len(pages), 10)

    def test_examples(self) -> None:
        """The example of each page is a test that passes."""
        ran, wrong = 0, []
        for page in sorted(TESTS.rglob("README.md")):
            if page.parent.name not in ELSEWHERE:
                result = self.run_examples(page)
                ran += result.testsRun
                wrong += [text for _, text in (*result.errors, *result.failures)]

        self.assertEqual(wrong, [])
        self.assertGreater(ran, 5)

    def run_examples(self, page: Path) -> unittest.TestResult:
        """Run the examples of a page, as if they stood in a module beside it."""
        text, result = page.read_text(encoding="utf-8"), unittest.TestResult()
        for example in EXAMPLE.finditer(text):
            names = self.names_for(page)
            # In a traceback they are where they stand on the page.
            before = "\n" * text[: example.start(1)].count("\n")
            exec(compile(before + example[1], str(page), "exec"), names)
            [case] = [each for each in names.values() if isinstance(each, type) and each.__module__ == "example"]
            unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
        return result

    def names_for(self, page: Path) -> dict[str, object]:
        """What an example may use without importing it: all that the modules beside its page have."""
        names: dict[str, object] = {}
        for path in shared():
            if path.parent == page.parent:
                module = importlib.import_module(path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."))
                names |= {name: each for name, each in vars(module).items() if not name.startswith("__")}
        return {**names, "__name__": "example"}
