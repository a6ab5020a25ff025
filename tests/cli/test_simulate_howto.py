"""The page on simulations says what is so: its commands can be typed, its files read, its tests run."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
import unittest
from pathlib import Path
from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.settings import settle_scenario
from twisted_bazaar.cli.simulate import market
from twisted_bazaar.sim.faults import FaultKind
from twisted_bazaar.sim.scenario import Scenario
from twisted_bazaar.sim.scenario_file import read_file, read_scenario

PAGE = (Path(__file__).parents[2] / "docs/howto/simulate.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The blocks of code in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


class SimulateHowtoTests(SynchronousTestCase):
    """What the page shows."""

    def setUp(self) -> None:
        """Go to a directory with the files that its commands name."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(directory.name)
        [failing] = set(re.findall(r"failing-seed-\d+\.toml", PAGE))
        for name, text in zip(("market.toml", failing), blocks("toml"), strict=True):
            Path(name).write_text(text)

    def test_commands(self) -> None:
        """Every simulation on the page can be typed."""
        commands = re.findall(r"bazaar simulate market ((?:[^\n]*\\\n)*[^\n|]*)", PAGE)
        typed = [words.replace("\\\n", " ").partition("||")[0].replace("$seed", "1") for words in commands]
        typed = [words.partition("`")[0] for words in typed if words.startswith("--") and "--help" not in words]
        self.assertGreater(len(typed), 6)
        for words in typed:
            options: dict[str, Any] = dict(market.make_context("market", shlex.split(words)).params)
            settle_scenario(options.pop("scenario_file"), options)

    def test_files(self) -> None:
        """Both files are scenarios."""
        first, second = (read_scenario(read_file(text.encode(), "page")) for text in blocks("toml"))
        self.assertEqual((len(first.faults), len(first.purchases), first.for_), (1, 1, "3m"))
        self.assertEqual((len(second.purchases), second.wants), (1, 0))

    def test_settings(self) -> None:
        """The table names every setting in its order, with what it usually is."""
        rows = re.findall(r"^\| (`[^|]*) \| ([^|]*) \|", PAGE.partition("### Faults")[0], re.MULTILINE)
        told = {}
        for names, values in rows:
            for name, value in zip(re.findall(r"`([^`]+)`", names), values.strip("`").split(", "), strict=True):
                told[name] = value
        usual = msgspec.to_builtins(Scenario())
        words = {"fault-kinds": "all", "faults": "none", "purchases": "none"}
        self.assertEqual(
            told,
            {
                name: words.get(name) or (f'"{value}"' if isinstance(value, str) else f"{value:g}")
                for name, value in usual.items()
            },
        )

    def test_faults(self) -> None:
        """The table of faults has every kind, in the order in which they are declared."""
        part = PAGE.partition("### Faults")[2].partition("### Safety")[0]
        self.assertEqual(re.findall(r"^\| `([^`]+)`", part, re.MULTILINE), [kind.value for kind in FaultKind])

    def test_tests(self) -> None:
        """The tests on the page can be run, and pass."""
        suite = unittest.TestSuite()
        for block in blocks("python"):
            module: dict[str, Any] = {"__name__": "page"}
            exec(compile(block, "simulate.md", "exec"), module)
            for value in module.values():
                if isinstance(value, type) and value.__module__ == "page":
                    suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(value))
        result = unittest.TestResult()
        suite.run(result)
        self.assertEqual((result.testsRun, result.errors, result.failures), (2, [], []))
