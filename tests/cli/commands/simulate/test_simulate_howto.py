"""The page on simulations says what is so: its commands can be typed, its files read, its tests run."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
import unittest
from pathlib import Path
from typing import Any, Final, get_args

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.commands.simulate.simulate import files, market, ring, superpeer
from twisted_bazaar.cli.simulate.options import settle_scenario
from twisted_bazaar.sim.faults import FaultKind
from twisted_bazaar.sim.files.run import FilesRun
from twisted_bazaar.sim.files.scenario import FilesScenario, Lie
from twisted_bazaar.sim.market.run import MarketRun
from twisted_bazaar.sim.market.scenario import MarketScenario
from twisted_bazaar.sim.ring.scenario import RingScenario
from twisted_bazaar.sim.run import Run
from twisted_bazaar.sim.scenario_file import read_file, read_scenario, usual_settings
from twisted_bazaar.sim.superpeer.scenario import SuperPeerScenario

PAGE = (Path(__file__).parents[4] / "docs/howto/simulate.md").read_text(encoding="utf-8")

COMMANDS: Final = {
    "market": (market, MarketScenario),
    "files": (files, FilesScenario),
    "superpeer": (superpeer, SuperPeerScenario),
    "ring": (ring, RingScenario),
}


def blocks(language: str) -> list[str]:
    """The blocks of code in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def told_settings(text: str) -> dict[str, str]:
    """What the tables of a text say of settings: their names, and what they usually are."""
    told = {}
    for names, values in re.findall(r"^\| (`[^|]*) \| ([^|]*) \|", text, re.MULTILINE):
        for name, value in zip(re.findall(r"`([^`]+)`", names), values.strip("`").split(", "), strict=True):
            told[name] = value
    return told


def in_words(name: str, value: Any) -> str:
    """How the tables write what a setting usually is."""
    if isinstance(value, list):
        return "all" if name in ("fault-kinds", "lies", "phases") else "none"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


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
        commands = re.findall(r"bazaar simulate (market|files|superpeer|ring) ((?:[^\n]*\\\n)*[^\n|]*)", PAGE)
        typed = [
            (name, words.replace("\\\n", " ").partition("||")[0].replace("$seed", "1")) for name, words in commands
        ]
        typed = [(n, words.partition("`")[0]) for n, words in typed if words.startswith("--") and "--help" not in words]
        self.assertGreater(len(typed), 7)
        for name, words in typed:
            command, cls = COMMANDS[name]
            context = command.make_context(name, shlex.split(words))
            with context:
                options = command.values(context, context.params)
            settle_scenario(cls, options["scenario"], options)

    def test_files(self) -> None:
        """Both files are scenarios."""
        first, second = (read_scenario(MarketScenario, read_file(text.encode(), "page")) for text in blocks("toml"))
        self.assertEqual((len(first.faults), len(first.purchases), first.for_), (1, 1, "3m"))
        self.assertEqual((len(second.purchases), second.wants), (1, 0))

    def test_settings(self) -> None:
        """The tables name every setting with what it usually is; the later ones what is not so in a market."""
        market = usual_settings(MarketScenario)
        first, rest = PAGE.split("### Faults")
        self.assertEqual(told_settings(first), {name: in_words(name, value) for name, value in market.items()})
        for cls, begins, ends in (
            (FilesScenario, "## Files instead of goods", "A liar lists"),
            (SuperPeerScenario, "## Three ways to search", "The promises, and when"),
            (RingScenario, "## A ring", "The promises, and when"),
        ):
            own = {name: value for name, value in usual_settings(cls).items() if market.get(name) != value}
            told = told_settings(rest.partition(begins)[2].partition(ends)[0])
            self.assertEqual(told, {name: in_words(name, value) for name, value in own.items()})

    def test_figures(self) -> None:
        """The reports that the page shows have the figures and promises that a run has, in their order, and no hash."""
        runs: dict[str, Run[Any, Any]] = {
            "market": MarketRun(MarketScenario(nodes=6, sellers=2, buyers=2, for_="20s", settle="10s")),
            "files": FilesRun(FilesScenario(nodes=6, sharers=2, files=3, for_="20s", settle="10s")),
        }
        for name, run in runs.items():
            report = run.run()
            shown = PAGE.partition(f"    bazaar simulate {name} --nodes")[2]
            figures, promises = re.findall(r"^(?:     .*\n)+", shown, re.MULTILINE)[:2]
            told = ["scenario", *(what for what, _ in report.in_words(1.0))]
            self.assertEqual(re.findall(r"^     (\w.*?)  +", figures, re.MULTILINE), told)
            said = re.findall(r"^     (\w.*?)  +[\d,]+   (?:yes|not asked)$", promises, re.MULTILINE)
            self.assertEqual(said, [kept.promise for kept in report.promises])
            self.assertEqual(figures.rstrip().rpartition("\n")[2].split(), ["trace", "hash", "..."])
        self.assertEqual(re.findall(r"\b[0-9a-f]{32}\b", PAGE.partition("## One failure")[0]), [])

    def test_lies(self) -> None:
        """The table of lies has every lie."""
        part = PAGE.partition("A liar lists")[2].partition("The promises, and when")[0]
        self.assertEqual(re.findall(r"^\| `([^`]+)`", part, re.MULTILINE), list(get_args(Lie)))

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
