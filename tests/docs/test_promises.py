"""The page on promises names tests that there are."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.docs.pages import ROOT, flat, tables

PAGE = (ROOT / "docs/promises.md").read_text(encoding="utf-8")


class PromisesTests(SynchronousTestCase):
    """What the page says of tests."""

    def test_named_tests_exist(self) -> None:
        """Every file that the page names is there."""
        named = set(re.findall(r"`((?:tests|twisted_bazaar|docs)/[^`\s]*)`", PAGE))
        self.assertGreater(len(named), 12)
        self.assertEqual(sorted(name for name in named if not (ROOT / name).exists()), [])

    def test_each_is_shown(self) -> None:
        """Each promise says what is not promised, and names tests, at least one with its planted bug."""
        titles = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
        numbers = [re.match(r"[\d and]+", title) for title in titles]
        self.assertEqual(
            [each and each[0].strip() for each in numbers], ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"]
        )
        for title in titles:
            self.assertIn("**Promised.**", title)
            self.assertIn("**Not promised.**", title)
            [rows] = tables(title)
            self.assertTrue(any(row["Planted bug that it caught"] for row in rows), flat(title[:60]))
