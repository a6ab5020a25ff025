"""The how-to shows the example as it is."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

HOWTO = Path(__file__).parents[2] / "docs/howto"


class AddARoleTests(SynchronousTestCase):
    """The page on roles and the greeter beside it."""

    def test_shows_the_example(self) -> None:
        """Every block of code in the page stands in a file of the example, letter for letter."""
        page = (HOWTO / "add-a-role.md").read_text(encoding="utf-8")
        files = [
            path.read_text(encoding="utf-8")
            for path in (HOWTO / "greeter").rglob("*")
            if path.suffix in (".py", ".toml")
        ]
        blocks = re.findall(r"^```\w+\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
        self.assertEqual(len(blocks), 8)
        self.assertEqual([block for block in blocks if not any(block in text for text in files)], [])
