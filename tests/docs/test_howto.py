"""The how-to shows the example as it is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.main import main
from twisted_bazaar.taps import node

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


class CommandTests(SynchronousTestCase):
    """What the pages say is to be typed."""

    def test_options(self) -> None:
        """Every command line of the page on super peers can be read: each option is one, and takes what it is given."""
        page = (HOWTO / "super-peers.md").read_text(encoding="utf-8").replace(" \\\n", "")
        lines = re.findall(r"^    (?:twistd -n )?((?:bazaar-node|bazaar) .*)$", page, re.MULTILINE)
        daemons = [shlex.split(line)[1:] for line in lines if line.startswith("bazaar-node")]
        self.assertGreater(len(daemons), 10)
        for words in daemons:
            options = node.Options()
            options.environment = {}
            options.parseOptions(words)
        commands = [shlex.split(line)[1:] for line in lines if line.startswith("bazaar ")]
        self.assertGreater(len(commands), 5)
        for command, *words in commands:
            named = [word for word in words if word.startswith("--")]
            told = CliRunner().invoke(main, [command, "--help"]).output
            self.assertEqual([name for name in named if name not in told], [], command)
