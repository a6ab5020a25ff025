"""A table that stays at the top of a terminal."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.classroom.screen import Screen


class ScreenTests(SynchronousTestCase):
    """A terminal of 80 columns and 24 lines."""

    def setUp(self) -> None:
        """Have it."""
        self.written: list[str] = []
        self.size = (80, 24)
        self.screen = Screen(self.written.append, lambda: self.size)

    def last(self) -> str:
        """What was written last."""
        return self.written[-1]

    def test_begins(self) -> None:
        """First all is wiped out, the part below scrolls, and the cursor is at the bottom, where it is put back."""
        self.assertTrue(self.screen.draw(["a", "b"]))
        self.assertTrue(self.last().startswith("\x1b[2J\x1b[4;24r\x1b[24;1H\x1b7"))
        self.assertIn("\x1b[1;1H\x1b[2Ka\x1b[2;1H\x1b[2Kb\x1b[3;1H\x1b[2K", self.last())
        self.assertTrue(self.last().endswith("\x1b8"))

    def test_redraws(self) -> None:
        """Then only the top is written; it grows with the table, and does not get smaller again."""
        self.screen.draw(["a", "b"])
        self.assertFalse(self.screen.draw(["c", "d"]))
        self.assertNotIn("\x1b[2J", self.last())
        self.assertNotIn("r", self.last())
        self.screen.draw(["a", "b", "c"])
        self.assertIn("\x1b[5;24r", self.last())
        self.screen.draw(["x"])
        self.assertNotIn("r", self.last())
        self.assertEqual(re.findall(r"\x1b\[(\d);1H\x1b\[2K", self.last()), ["1", "2", "3", "4"])

    def test_size(self) -> None:
        """Another size begins anew; a long table leaves lines for what goes by."""
        self.screen.draw(["a"])
        self.size = (40, 12)
        self.assertEqual(self.screen.columns, 40)
        self.assertTrue(self.screen.draw([str(number) for number in range(20)]))
        self.assertIn("\x1b[8;12r", self.last())
        self.assertIn("\x1b[6;1H\x1b[2K...", self.last())

    def test_ends(self) -> None:
        """At the end all scrolls again; where nothing was drawn there is nothing to end."""
        self.screen.end()
        self.assertEqual(self.written, [])
        self.screen.draw(["a"])
        self.screen.end()
        self.assertEqual(self.last(), "\x1b[r\x1b[24;1H")
