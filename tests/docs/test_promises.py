"""The page on promises names tests that there are."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT, PageTests, read_page, section, table_with

PAGE = read_page("docs/promises.md")


class PromisesTests(PageTests):
    """What the page says of tests."""

    def test_named_tests_exist(self) -> None:
        """Every file that the page names is there."""
        named = set(re.findall(r"`((?:tests|twisted_bazaar|docs)/[^`\s]*)`", PAGE))
        self.assertGreater(len(named), 12)
        there = {name for name in named if (ROOT / name).exists()}
        self.assert_lists(PAGE, named, there)

    def test_each_is_shown(self) -> None:
        """Each promise says what is not promised, and names tests, at least one with its planted bug."""
        titles = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
        numbers = [title.split(".")[0] for title in titles]
        self.assertEqual(numbers, [str(number) for number in range(1, 13)])
        for title in titles:
            text = section(PAGE, title)
            self.assert_says(text, "**Promised.**", "**Not promised.**")
            caught = [row for row in table_with(text) if row["Planted bug that it caught"]]
            self.assertNotEqual(caught, [], f"{text.where} names no planted bug")
