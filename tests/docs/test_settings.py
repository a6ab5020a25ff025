"""The page on settings says what is so: its file is one, its lines are said, its places count in its order."""

from __future__ import annotations

import io
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.docs.pages import PageTests, blocks, read_page, section, table_with, word, words
from twisted_bazaar.cli.commands.tables import COMMANDS
from twisted_bazaar.settings.environment import NO, YES, variable_of
from twisted_bazaar.settings.file import SettingsFile
from twisted_bazaar.settings.values import Place
from twisted_bazaar.taps import node, tracker
from twisted_bazaar.taps.known import known_options

PAGE = read_page("docs/howto/settings.md")
[EXAMPLE] = blocks(PAGE, "toml")


class SettingsPageTests(PageTests):
    """What the page says."""

    def setUp(self) -> None:
        """Write its file."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "bazaar.toml"
        self.path.write_text(EXAMPLE)
        self.errors = io.StringIO()
        self.patch(sys, "stderr", self.errors)

    def parsed(self, *typed: str, program: Any = node, **environment: str) -> Any:
        """What a program makes of its file."""
        options = program.Options()
        options.environment = environment
        options.parseOptions(["--config", str(self.path), *typed])
        return options

    def test_example(self) -> None:
        """Every name in the example means something, and each program takes what the page says."""
        SettingsFile.read("page", EXAMPLE.encode()).check(known_options())
        self.assertEqual(self.parsed(program=tracker)["listen"], "tcp:9000")
        seller = self.parsed("--role", "seller")
        self.assertEqual(
            (seller["listen"], seller["tracker"], seller["stock"], seller["name"]),
            ("tcp:0", "tcp:192.0.2.1:9000", ["red apple=5@40", "pear"], "shop"),
        )
        buyer = self.parsed("--role", "buyer")
        self.assertEqual((buyer["max-price"], buyer["once"], len(buyer["limit"])), ("50", 1, 2))

    def test_commands(self) -> None:
        """The commands that it names are those that take settings."""
        named = words(PAGE[PAGE.index("the commands `") : PAGE.index(" of `bazaar`.")])
        self.assert_lists(PAGE, {f"bazaar-{name}" for name in named}, set(COMMANDS))

    def test_places(self) -> None:
        """The table has the places in their order; a list is replaced, as its sentence says."""
        rows = table_with(PAGE, "Place")
        said, true = [row["Place"] for row in rows], [place.value for place in Place]
        self.assert_lists(PAGE, said, true)
        self.assertEqual(said, true)
        self.assertIn(variable_of("max-links"), words(rows[2]["How"]))
        self.assertEqual(self.parsed("--role", "seller", "--stock", "pear")["stock"], ["pear"])

    def test_shown(self) -> None:
        """The lines of C{bazaar config show} are what is in force."""
        shown = self.parsed("--role", "seller", BAZAAR_MIN_LINKS="3").in_force()
        for name, value, source in (
            ("listen", "tcp:0", "/home/ben/bazaar.toml"),
            ("min-links", "3", "BAZAAR_MIN_LINKS"),
            ("stock", ("red apple=5@40", "pear"), "/home/ben/bazaar.toml [seller]"),
        ):
            setting = shown[name]
            self.assertEqual(setting.value, value)
            self.assertEqual(str(setting.source).replace(str(self.path.parent), "/home/ben"), source)
            line = rf"(?m)^     {name} +{value if isinstance(value, str) else value[0]} +{source[:20]}"
            self.assertIsNotNone(re.search(line, PAGE), f"{PAGE.where} has no line {line}")

    def test_complaints(self) -> None:
        """What it says is said of mistakes is said."""
        self.parsed(BAZAAR_LISEN="x")
        self.assert_shows(self.errors.getvalue())
        self.path.write_text(EXAMPLE.replace("stock", "stok"))
        with self.assertRaises(SystemExit) as caught:
            self.parsed()
        self.assert_shows(f"{caught.exception}\n".replace(str(self.path.parent), "/home/ben"))

    def assert_shows(self, printed: str) -> None:
        """See that the page shows what is printed, line for line."""
        self.assertIn(f"    {printed}", PAGE, f"{PAGE.where} does not show: {printed}")

    def test_environment(self) -> None:
        """The words for yes and no, and the variable with several lines, are as it says."""
        text = section(PAGE, "The environment")
        self.assertEqual({word(each) for each in words(text.split("So `")[0])} & (YES | NO), YES | NO)
        options = self.parsed("--role", "seller", BAZAAR_STOCK="red apple=5@40\npear")
        self.assertEqual(options["stock"], ["red apple=5@40", "pear"])
        self.assert_says(text, r"BAZAAR_STOCK=$'red apple=5@40\npear'")
        self.assertFalse(self.parsed("--role", "buyer", BAZAAR_ONCE="no")["once"])
