"""C{bazaar simulate files}, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.commands.simulate.test_simulate import SimulateCase
from twisted_bazaar.sim.files.scenario import FilesScenario
from twisted_bazaar.sim.scenario_file import read_file, read_scenario


class FilesTests(SimulateCase):
    """The same command as for markets, with other settings and figures."""

    SMALL = "--nodes 7 --sharers 4 --liars 0.25 --files 5 --size 0.4 --for 20s --settle 30s"
    # Over no way anything is there at once.
    FAILING = "--nodes 5 --sharers 2 --files 3 --for 20s --settle 0s --wants 0 --fetch getter-2:19.999s:file-3 --seed 7"

    def test_table(self) -> None:
        """The figures and each promise are told, and the status is 0."""
        result = self.simulate(f"{self.SMALL} --seed 7", "files")
        self.assertEqual((result.exit_code, result.stderr), (0, ""), result.output)
        for figure in (
            r"scenario +7 nodes, 3 sharers, 1 liar, 5 files, 20s, liveness\n",
            r"files fetched +\d+ of \d+, in \d+ downloads",
            r"time to fetch +\d",
            r"right bytes +[\d.]+ MiB by sharers",
            "from partial sources",
            r"in vain +[\d.]+ MiB",
            r"sources given up +\d+, \d+ of them found to lie",
            r"messages to the index +\d\.\d\d a node a second",
            "sent by each node",
        ):
            self.assertRegex(result.stdout, rf"(?m)^ {figure}")
        self.assertRegex(result.stdout, r"(?m)^ when faults have stopped, every file that .* in time +\d+ +yes$")

    def test_again(self) -> None:
        """The command that is told makes the same run again."""
        told = json.loads(self.simulate(f"{self.SMALL} --seed 3 --lie drip --lie size --json", "files").stdout)
        self.assertIn(" simulate files --nodes 7 --sharers 4 --liars 0.25 --seed 3 ", told["replay"])
        again = json.loads(self.simulate(told["replay"].partition(" files ")[2] + " --json", "files").stdout)
        self.assertEqual(again["trace_hash"], told["trace_hash"])

    def test_shrink(self) -> None:
        """A failure is shrunk and kept in a file that fails in the same way."""
        result = self.simulate(f"{self.FAILING} --faults-a-minute 9 --shrink", "files")
        self.assertEqual(result.exit_code, 1, result.output)
        self.assertRegex(result.stdout, r"\n  \S*bazaar simulate files --scenario failing-seed-7.toml\n\Z")
        small = read_scenario(FilesScenario, read_file(Path("failing-seed-7.toml").read_bytes(), ""))
        self.assertEqual((small.faults, small.counts["sharer"], len(small.fetches)), ([], 1, 1))
        self.assertEqual(self.simulate("--scenario failing-seed-7.toml --quiet", "files").exit_code, 1)

    def test_impossible(self) -> None:
        """What cannot be is refused in one line, with its name and what it may be."""
        for words, expected in {
            "--nodes 5": "--nodes: 10 sharers need at least 10, not 5",
            "--lie boldly": "--lie: takes address, bytes, drip, manifest, silence or size, not 'boldly'",
            "--fetch getter-1:1s": "--fetch: takes GETTER:AT:FILE, such as getter-2:31s:file-4, not 'getter-1:1s'",
            "--fetch getter-1:1s:plum": "--fetch file: takes file-1 to file-100, not 'plum'",
            "--fetch seller-1:1s:file-1": "--fetch getter: takes getter-1 to getter-40, not 'seller-1'",
            "--sharers 0 --fetch getter-1:1s:file-1": "--fetch file: takes what honest sharers have, nothing, .*file-1",
            "--fault pause:1s:1s:seller-1": "--fault nodes: takes index, sharer-1 to sharer-10, .*, not 'seller-1'",
            "--buyers 3": "No such option '?--buyers",
        }.items():
            self.assert_refused(words, expected, "files")

    def test_file_of_another_scenario(self) -> None:
        """A file with settings of a market is refused."""
        Path("a.toml").write_text("buyers = 5")
        words = "a.toml: there is no setting buyers; the settings are nodes, sharers"
        self.assert_refused("--scenario a.toml", words, "files")
