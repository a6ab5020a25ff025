"""C{bazaar simulate ring}, as it is typed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from tests.cli.commands.simulate.test_simulate import SimulateCase
from twisted_bazaar.sim.ring.scenario import RingScenario
from twisted_bazaar.sim.ring.tables import DeathsTable, TableRow
from twisted_bazaar.sim.run import Progress


class RingTests(SimulateCase):
    """The same command as for markets, with other settings, and what comes of lookups side by side."""

    SMALL = "--nodes 16 --lookups 10 --values 4 --for 20s --settle 15s"

    def test_table(self) -> None:
        """What comes of lookups before nodes die, then and later stands side by side, and the status is 0."""
        result = self.simulate(f"{self.SMALL} --dead 0.25 --seed 7", "ring")
        self.assertEqual((result.exit_code, result.stderr), (0, ""), result.output)
        for figure in (
            r" scenario +16 nodes, 8 successors, 20s, liveness, placed, a round in 500ms\n",
            r" lookups that were right +\d+ of 30\n",
            r" died at once +4 nodes\n",
            r" all successors right +\d+\.\d{3} s later\n",
            r" values lost +\d of 4\n",
            r" +before +when they die +repaired",
            r"\S*nodes +16 +12 +12",
            r"\S*lookups +10 +10 +10",
            r"\S*of these, failed +\d+ +\d+ +\d+",
            r"\S*of these, not ended +0 +\d+ +0",
            r"\S*hops, mean +\d\.\d\d +\d\.\d\d +\d\.\d\d",
            r"\S*half of log2 of nodes +2\.00 +1\.79 +1\.79",
            r"\S*other bytes a node a second +[\d,.]+ +[\d,.]+ +[\d,.]+",
            r" there is one ring, in order, and everybody has a way to it +[\d,]+ +yes$",
        ):
            self.assertRegex(result.stdout, rf"(?m)^ ?{figure}")

    def test_again(self) -> None:
        """The command that is told makes the same run again."""
        words = (
            "--nodes 12 --lookups 5 --values 0 --for 15s --mode safety --dead 0 --rate 0.2 --seek node-3:2s:b --json"
        )
        told = json.loads(self.simulate(words, "ring").stdout)
        self.assertEqual([phase["asked"] for phase in told["phases"]], [6])
        self.assertIn(" simulate ring --nodes 12 ", told["replay"])
        again = json.loads(self.simulate(told["replay"].partition(" ring ")[2] + " --json", "ring").stdout)
        self.assertEqual(again["trace_hash"], told["trace_hash"])

    def test_impossible(self) -> None:
        """What cannot be is refused in one line, with its name and what it may be."""
        for words, expected in {
            "--rate 0.1": "--rate: goes with dead 0, not 0.3",
            "--rate 0.1 --dead 0 --churn 0.5": "--rate: goes with churn 0, not 0.5",
            "--seek node-1:1s": "--seek: takes NODE:AT:KEY",
            "--seek buyer-1:1s:a": "--seek node: takes node-1 to node-1000, not 'buyer-1'",
            "--fault pause:1s:1s:tracker": "--fault nodes: takes node-1 to node-1000, not 'tracker'",
            "--round never": "--round: takes a time up to 7 days",
            "--begin anyhow": "--begin: takes joined or placed, not 'anyhow'",
        }.items():
            self.assert_refused(words, expected, "ring")

    def test_file_of_another_scenario(self) -> None:
        """A file with settings of a market is refused."""
        Path("a.toml").write_text("buyers = 5")
        words = "a.toml: there is no setting buyers; the settings are nodes, seed"
        self.assert_refused("--scenario a.toml", words, "ring")


class RingTableTests(SimulateCase):
    """Tables that several runs make."""

    SMALL = "--nodes 20 --lookups 10 --for 12s"

    def test_path(self) -> None:
        """Each size has a row, up to the one that is wished."""
        result = self.simulate(f"--table path {self.SMALL}", "ring")
        self.assertEqual((result.exit_code, result.stderr), (0, ""), result.output)
        for line in (
            r"the length of ways on a ring that is right:\n",
            r"20 nodes, 8 successors, a round in 60s, 10 lookups a row, seed 1\n",
            r"16 +2\.00 +\d\.\d\d +\d, \d +0\n",
            r"20 +2\.16 +\d\.\d\d +\d, \d +0\n",
        ):
            self.assertRegex(result.stdout, rf"(?m)^ +{line}")

    def test_interrupted(self) -> None:
        """Ctrl-C ends it with status 130, and a line says how many rows there were."""
        row, rows = DeathsTable.row, []

        def row_and_interrupt(table: DeathsTable, scenario: RingScenario, progress: Progress | None = None) -> TableRow:
            if rows:
                os.kill(os.getpid(), signal.SIGINT)
            rows.append(scenario)
            return row(table, scenario, progress)

        self.patch(DeathsTable, "row", row_and_interrupt)
        result = self.simulate(f"--table deaths {self.SMALL}", "ring")
        self.assertEqual((result.exit_code, result.stdout), (130, ""))
        self.assertEqual(result.stderr, "interrupted after 1 of 6 rows\n")

    def test_json(self) -> None:
        """The figures of all rows are one JSON object."""
        words = f"--table deaths {self.SMALL} --json"
        told = json.loads(self.simulate(words, "ring").stdout)
        self.assertEqual((told["table"], told["seed"]), ("deaths", 1))
        self.assertEqual([row["died"] for row in told["rows"]], [0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
        self.assertEqual([row["asked"] for row in told["rows"]], [10] * 6)

    def test_refused(self) -> None:
        """Another table is refused, and so is what goes with a single run only."""
        for words, expected in {
            "--table what": "--table: takes path, deaths, churn or repair, not 'what'",
            "--table path --dead 0.2": "--dead: goes with a single run, and not with --table",
            "--table churn --rate 0.2": "--rate: goes with a single run, and not with --table",
            "--table path --trace a.jsonl": "--trace: goes with a single run, and not with --table",
            "--table path --scenario a.toml": "--scenario: goes with a single run, and not with --table",
            "--table path --seek node-1:1s:a": "--seek: goes with a single run, and not with --table",
            "--table path --nodes 0": "--nodes: takes a whole number from 1 to 100,?000, not 0",
        }.items():
            self.assert_refused(words, expected, "ring")
