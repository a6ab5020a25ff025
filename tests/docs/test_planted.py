"""The bugs of the page on promises can be planted again."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.docs.pages import ROOT, tables
from tests.planted.bug import Moved, bug, is_of
from tests.planted.bugs import BUGS, chosen

PAGE = (ROOT / "docs/promises.md").read_text(encoding="utf-8")


def rows(promise: int) -> list[tuple[set[str], list[str]]]:
    """The tests that each row of a promise names, and its bugs."""
    [text] = re.findall(rf"^## {promise}\. .*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    [table] = tables(text)
    return [
        (
            set(re.findall(r"`tests/([^`]*)`", row["Shown by"])),
            [words for words in row["Planted bug that it caught"].split("; ") if words],
        )
        for row in table
    ]


class PlantedTests(SynchronousTestCase):
    """The list of bugs, beside the page and beside the package."""

    def test_same_as_page(self) -> None:
        """Each bug that the page names stands in the list of its promise, and no other does."""
        for promise, bugs in BUGS.items():
            self.assertEqual(
                sorted(each.words for each in bugs),
                sorted(words for _, named in rows(promise) for words in named),
                f"promise {promise}: what docs/promises.md names, and what tests/planted has, is not the same",
            )

    def test_count(self) -> None:
        """The page says how many there are."""
        counted = re.findall(r"`make test` catches \d+\s+of\s+the\s+(\d+)\.", PAGE)
        self.assertEqual(counted, [str(sum(map(len, BUGS.values())))], "how many docs/promises.md says there are")

    def test_by_tests_of_its_row(self) -> None:
        """Each is to be caught by tests of the row that names it."""
        for promise, bugs in BUGS.items():
            left = rows(promise)
            for each in bugs:
                files = {test.partition("::")[0] for test in each.tests}
                self.assertTrue(
                    any(each.words in named and files <= tests for tests, named in left),
                    f"promise {promise}: no row of docs/promises.md names {each.words!r} beside {sorted(files)}",
                )

    def test_can_be_planted(self) -> None:
        """What each replaces stands in the package, once, and what takes its place is Python."""
        for bugs in BUGS.values():
            for each in bugs:
                self.assertTrue(each.tests, each.words)
                for path, text in each.texts(ROOT).items():
                    compile(text, str(path), "exec")

    def test_moved(self) -> None:
        """One that has no place any more says so, and where it had one."""
        text = "nothing of this kind"
        for file, told in (
            ("errors.py", "twisted_bazaar/errors.py: 'nothing of this kind' stands there 0 times, not once"),
            ("gone.py", "there is no twisted_bazaar/gone.py"),
        ):
            error = self.assertRaises(Moved, bug("a bug", "test_bounded.py", (file, text, "")).texts, ROOT)
            self.assertEqual(str(error), told)

    def test_named_tests(self) -> None:
        """Each test that is to catch one is there, and is known again by what pytest calls it."""
        for bugs in BUGS.values():
            for each in bugs:
                for test in each.tests:
                    file, *names = test.partition("[")[0].split("::")
                    text = (ROOT / "tests" / file).read_text(encoding="utf-8")
                    missing = [name for name in names if not re.search(rf"^ *(class|def) {name}\b", text, re.MULTILINE)]
                    self.assertEqual(missing, [], f"{test}, which is to catch {each.words!r}")
        self.assertTrue(is_of("tests/node/links/test_link.py::A::test_b[c]", ["node/links/test_link.py::A::test_b"]))
        self.assertTrue(is_of("tests/node/links/test_link.py::A::test_b", ["test_x.py", "node/links/test_link.py"]))
        self.assertFalse(is_of("tests/node/links/test_link.py::A::test_b", ["node/links/test_link.py::A::test"]))

    def test_chosen(self) -> None:
        """A number chooses a promise, other words what bugs and tests are called, and none all."""
        self.assertEqual({promise for promise, _ in chosen("2")}, {2})
        self.assertEqual({each.words for _, each in chosen("a liar")}, {"a liar that is asked again"})
        self.assertEqual(len([*chosen("")]), sum(map(len, BUGS.values())))
