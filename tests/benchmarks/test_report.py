"""The rows of a run: printed, and kept."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.report import LATEST, BenchmarkError, Row, heading, keep

ROW = Row(
    name="pears",
    ours=1234.5,
    peer=1000.0,
    ratio=1.2345,
    goal=2.0,
    quartiles=(1.11, 1.333),
    rounds=9,
    unit="pears a second",
    beside="a peer",
    install=None,
)
MISSING = evolve(ROW, peer=None, ratio=None, quartiles=None, install="apt-get install pears")


class PrintedTests(SynchronousTestCase):
    """What users see."""

    def test_columns(self) -> None:
        """Name, ours, peer, ratio and goal stand under their titles; the quartiles below."""
        line, below = str(ROW).split("\n")
        self.assertEqual(heading().split(), ["name", "ours", "peer", "ratio", "goal"])
        self.assertEqual((line.split(), len(line)), (["pears", "1,234", "1,000", "1.23", "2"], len(heading())))
        self.assertEqual(below.strip(), "pears a second; beside a peer; quartiles 1.11 and 1.33 of 9 rounds")

    def test_missing_peer(self) -> None:
        """A row without its peer says how to install it."""
        line, below = str(MISSING).split("\n")
        self.assertEqual(line.split(), ["pears", "1,234", "not", "installed", "-", "2"])
        self.assertEqual(below.strip(), "pears a second; beside a peer; install it by: apt-get install pears")


class KeptTests(SynchronousTestCase):
    """What programs read."""

    def setUp(self) -> None:
        """A file that is not there yet."""
        folder = tempfile.TemporaryDirectory(prefix="bazaar-test-")
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "latest.json")

    def kept(self) -> Any:
        """What is in the file."""
        return json.loads(self.path.read_text())

    def test_keys(self) -> None:
        """A list of objects with exactly five keys, numbers as numbers, and null where there is no peer."""
        keep([ROW, evolve(MISSING, name="plums")], beside_earlier=False, path=self.path)
        self.assertEqual(
            self.kept(),
            [
                {"name": "pears", "ours": 1234.5, "peer": 1000.0, "ratio": 1.2345, "goal": 2.0},
                {"name": "plums", "ours": 1234.5, "peer": None, "ratio": None, "goal": 2.0},
            ],
        )

    def test_beside_earlier(self) -> None:
        """The rows of one module leave those of others; a whole run leaves none."""
        keep([ROW, evolve(ROW, name="plums")], beside_earlier=False, path=self.path)
        keep([evolve(ROW, ours=1.0)], beside_earlier=True, path=self.path)
        self.assertEqual([(row["name"], row["ours"]) for row in self.kept()], [("pears", 1.0), ("plums", 1234.5)])
        keep([ROW], beside_earlier=False, path=self.path)
        self.assertEqual([row["name"] for row in self.kept()], ["pears"])

    def test_not_rows(self) -> None:
        """A file that holds something else is told, and not overwritten."""
        self.path.write_text("[1]")
        self.assertRaises(BenchmarkError, keep, [ROW], beside_earlier=True, path=self.path)
        self.assertEqual(self.path.read_text(), "[1]")

    def test_latest(self) -> None:
        """The rows in this repository have these keys, and plain names."""
        rows = json.loads(LATEST.read_text(encoding="utf-8"))
        self.assertEqual({tuple(row) for row in rows}, {("name", "ours", "peer", "ratio", "goal")})
        self.assertEqual([row["name"] for row in rows if not row["name"].replace("-", "").isalnum()], [])
