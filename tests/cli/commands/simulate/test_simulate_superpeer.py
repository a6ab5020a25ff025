"""C{bazaar simulate superpeer}, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.commands.simulate.test_simulate import SimulateCase


class SuperPeerTests(SimulateCase):
    """The same command as for markets, with other settings, and figures side by side."""

    SMALL = (
        "--nodes 40 --super-peers 8 --degree 3 --files 120 --shared 6 --queries 8 --for 36s --settle 20s --ping 2.5s"
    )

    def test_table(self) -> None:
        """The kinds of search stand side by side, each promise is told, and the status is 0."""
        result = self.simulate(f"{self.SMALL} --seed 7", "superpeer")
        self.assertEqual((result.exit_code, result.stderr), (0, ""), result.output)
        for figure in (
            r" scenario +8 super peers, 32 weak peers, 120 titles, 36s, liveness, degree 3, ttl 4\n",
            r" searches with a hit +\d+ of 24\n",
            r" +plain flood +query routing +and dynamic querying",
            r"\S*searches: all +8 +8 +8",
            r"\S*messages a query: all +\d+\.\d +\d+\.\d +\d+\.\d",
            r"\S*recall: rare files +(\d+\.\d%|-) +",
            r"\S*first hit, 99 of 100: all +\d\.\d{3} s",
            r"\S*bytes a node a second +[\d,.]+ +[\d,.]+ +[\d,.]+",
            r"\S*of these, tables of words +0\.0 +[\d,.]+ +[\d,.]+",
            r" each super peer answers a query once, and passes it on once for each reach +[\d,]+ +yes$",
        ):
            self.assertRegex(result.stdout, rf"(?m)^ ?{figure}")

    def test_again(self) -> None:
        """The command that is told makes the same run again."""
        words = f"{self.SMALL} --seed 3 --phase routing --phase flood --ask weak-peer-3:2s:ba --json"
        told = json.loads(self.simulate(words, "superpeer").stdout)
        self.assertEqual([phase["name"] for phase in told["phases"]], ["routing", "flood"])
        self.assertIn(" simulate superpeer --nodes 40 --super-peers 8 --seed 3 ", told["replay"])
        again = json.loads(self.simulate(told["replay"].partition(" superpeer ")[2] + " --json", "superpeer").stdout)
        self.assertEqual(again["trace_hash"], told["trace_hash"])

    def test_impossible(self) -> None:
        """What cannot be is refused in one line, with its name and what it may be."""
        for words, expected in {
            "--nodes 5": "--nodes: 1000 super peers and a weak one need at least 1001, not 5",
            "--phase slowly": "--phase: takes dynamic, flood or routing, not 'slowly'",
            "--ask weak-peer-1:1s": "--ask: takes ASKER:AT:WORDS, such as 'weak-peer-2:31s:some words'",
            "--ask buyer-1:1s:a": "--ask asker: takes weak-peer-1 to weak-peer-20000, not 'buyer-1'",
            "--fault pause:1s:1s:tracker": "--fault nodes: takes super-peer-1 to .*, weak-peer-1.*, not 'tracker'",
            "--ping never": "--ping: takes a time up to 7 days",
        }.items():
            self.assert_refused(words, expected, "superpeer")

    def test_file_of_another_scenario(self) -> None:
        """A file with settings of a market is refused."""
        Path("a.toml").write_text("buyers = 5")
        words = "a.toml: there is no setting buyers; the settings are nodes, super-peers"
        self.assert_refused("--scenario a.toml", words, "superpeer")
