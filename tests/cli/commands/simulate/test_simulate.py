"""C{bazaar simulate market}, as it is typed."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.main import main
from twisted_bazaar.sim.faults import FaultKind
from twisted_bazaar.sim.files.scenario import FilesScenario
from twisted_bazaar.sim.market.run import MarketRun
from twisted_bazaar.sim.market.scenario import MarketScenario
from twisted_bazaar.sim.ring.scenario import RingScenario
from twisted_bazaar.sim.scenario import settings_by_name
from twisted_bazaar.sim.scenario_file import read_file, read_scenario
from twisted_bazaar.sim.superpeer.scenario import SuperPeerScenario

SMALL = "--nodes 8 --sellers 2 --buyers 2 --for 20s --settle 20s"
# What is wanted at the last moment cannot be there the moment after.
FAILING = "--nodes 8 --sellers 2 --buyers 2 --for 20s --settle 0s --wants 0 --purchase buyer-1:19.999s:item-1:2"
KEPT_SO_FAR = "interrupted; the smallest run so far that fails stands in failing-seed-7.toml"
MET = "when faults have stopped, every want that can be met is met in time"


class SimulateCase(SynchronousTestCase):
    """A command line in an empty directory."""

    def setUp(self) -> None:
        """Go to a directory of its own."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(directory.name)

    def simulate(self, words: str, scenario: str = "market") -> Result:
        """Type a command."""
        return CliRunner().invoke(main, ["simulate", scenario, *shlex.split(words)], prog_name="bazaar")

    def assert_refused(self, words: str, expected: str, scenario: str = "market") -> None:
        """The command says no in one line, which matches, and with status 2."""
        result = self.simulate(words, scenario)
        self.assertEqual((result.exit_code, result.stdout), (2, ""), result.output)
        self.assertRegex(result.stderr, rf"\Abazaar simulate {scenario}: {expected}[^\n]*\n\Z")


class ResultTests(SimulateCase):
    """Runs in which every promise is kept."""

    def test_table(self) -> None:
        """The figures and each promise are told, and the status is 0."""
        result = self.simulate(f"{SMALL} --wants 3 --seed 7")
        self.assertEqual((result.exit_code, result.stderr), (0, ""), result.output)
        for figure in (
            r"scenario +8 nodes, 2 sellers, 2 buyers, 20s, liveness\n",
            r"seed +7\n",
            r"wants met +\d of 6",
            "recall",
            "messages a search",
            "hops",
            "time to buy",
            "sent by each node",
        ):
            self.assertRegex(result.stdout, rf"(?m)^ {figure}")
        self.assertRegex(result.stdout, r"trace hash +[0-9a-f]{32}\n")
        self.assertRegex(result.stdout, rf"(?m)^ {MET} +[56] +yes$")
        self.assertRegex(result.stdout, r"(?m)^ messages +[\d,]+ \w+, ")

    def test_same_run(self) -> None:
        """The same seed is the same run, another is another."""
        hashes = [json.loads(self.simulate(f"{SMALL} --seed {seed} --json").stdout)["trace_hash"] for seed in (3, 3, 4)]
        self.assertEqual((hashes[0] == hashes[1], hashes[1] == hashes[2]), (True, False))

    def test_json(self) -> None:
        """The report is one JSON object, with all figures and the command that makes the run again."""
        result = self.simulate(f"{SMALL} --seed 3 --json")
        told = json.loads(result.stdout)
        self.assertEqual((result.exit_code, result.stdout.count("\n")), (0, 1))
        self.assertEqual((told["seed"], told["wants"], told["violations"]), (3, 10, []))
        self.assertTrue({"recall", "messages", "messages_a_search", "promises", "real_s"} <= set(told))
        again = self.simulate(told["replay"].partition(" market ")[2] + " --json")
        self.assertEqual(json.loads(again.stdout)["trace_hash"], told["trace_hash"])

    def test_quiet(self) -> None:
        """Nothing is printed when nothing is wrong."""
        result = self.simulate(f"{SMALL} --quiet")
        self.assertEqual((result.exit_code, result.output), (0, ""))

    def test_nothing_happens(self) -> None:
        """A run in which nobody buys has figures too."""
        result = self.simulate("--nodes 1 --sellers 0 --buyers 0 --for 1s --settle 0s")
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertRegex(result.stdout, r"recall +-\n")
        self.assertRegex(result.stdout, rf"{MET} +0 +not asked\n")

    def test_trace(self) -> None:
        """The trace has a line for each event, and writing it changes nothing."""
        told = json.loads(self.simulate(f"{SMALL} --json").stdout)
        traced = json.loads(self.simulate(f"{SMALL} --json --trace run.jsonl").stdout)
        lines = [json.loads(line) for line in Path("run.jsonl").read_bytes().splitlines()]
        self.assertEqual(traced["trace_hash"], told["trace_hash"])
        sent = sum(line["event"] == "sent" for line in lines)
        self.assertEqual(sent, sum(told["messages"].values()))
        self.assertEqual({*lines[0]} >= {"time", "node", "event"}, True)

    def test_log_is_held_back(self) -> None:
        """What goes wrong in a node is told as a broken promise, and nowhere else."""
        program = (
            "from twisted_bazaar.roles.seller import Seller\n"
            "def wrong(self, peer): raise RuntimeError('planted')\n"
            "Seller.peer_joined = wrong\n"
            "from twisted_bazaar.cli.main import main\n"
            f"main(['simulate', 'market', *{SMALL.split()!r}], prog_name='bazaar')\n"
        )
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        self.assertEqual((ended.returncode, ended.stderr), (1, ""))
        self.assertRegex(ended.stdout, r"at \d+\.\d{3} s: no fault of our own is logged\n +.*planted")

    def test_hash_seed(self) -> None:
        """With faults of every kind, a run does not depend on how Python hashes."""
        faults = [f"--fault {kind.value}:{2 * n + 1}s:5s:seller-1,relay-2:1.5" for n, kind in enumerate(FaultKind)]
        words = f"{SMALL} --loss 0.05 --churn 0.5 --json {' '.join(faults)}"
        command = [sys.executable, "-m", "twisted_bazaar", "simulate", "market", *words.split()]
        root = str(Path(__file__).parents[4])
        told = []
        for hash_seed in ("1", "2"):
            env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": root}
            ended = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
            self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
            told.append(json.loads(ended.stdout))
            del told[-1]["real_s"]
        self.assertEqual(told[0], told[1])


class FailureTests(SimulateCase):
    """Runs in which a promise is broken."""

    def test_told(self) -> None:
        """The promise, the instant, how it was broken and the seed are told, and the status is 1."""
        result = self.simulate(f"{FAILING} --seed 3")
        self.assertEqual(result.exit_code, 1)
        self.assertRegex(result.stdout, rf"(?m)^ {MET} +1 +BROKEN$")
        self.assertIn("1 of 12 promises was broken:\n  at 30.080 s: ", result.stdout)
        self.assertRegex(result.stdout, r"\n      buyer-1 still wants 2 item-1, and there are \d+ near by\n")
        self.assertIn("The seed is 3.", result.stdout)

    def test_replay(self) -> None:
        """The command that is told makes exactly the same run."""
        first = json.loads(self.simulate(f"{FAILING} --seed 3 --fault slow:1s:5s:relay-1,relay-2:20 --json").stdout)
        self.assertRegex(
            first["replay"], r"bazaar simulate market --nodes 8 --sellers 2 --buyers 2 --seed 3 --for 20s "
        )
        again = self.simulate(first["replay"].partition(" market ")[2] + " --json")
        told = json.loads(again.stdout)
        self.assertEqual(
            [told[key] for key in ("trace_hash", "violations", "replay")],
            [first[key] for key in ("trace_hash", "violations", "replay")],
        )

    def test_replay_of_file(self) -> None:
        """Where settings come from a file, the command names the file, quoted, and what was said besides."""
        Path("my scenario.toml").write_text("nodes = 8\nsellers = 2\nbuyers = 2\n")
        result = self.simulate(f"--scenario 'my scenario.toml' {FAILING.partition('--buyers 2')[2]} --seed 5")
        [command] = re.findall(r"(?m)^  (.* simulate market .*)$", result.stdout)
        self.assertTrue(
            command.endswith(
                " simulate market --scenario 'my scenario.toml' --seed 5 --for 20s --settle 0s --wants 0 "
                "--purchase buyer-1:19.999s:item-1:2"
            ),
            command,
        )

    def test_quiet_json(self) -> None:
        """With --quiet as JSON a failure is told as JSON, and nothing where nothing fails."""
        told = json.loads(self.simulate(f"{FAILING} --quiet --json").stdout)
        self.assertGreater(len(told["violations"]), 0)
        result = self.simulate(f"{SMALL} --quiet --json")
        self.assertEqual((result.exit_code, result.output), (0, ""))

    def test_quiet(self) -> None:
        """With --quiet a failure is told, and nothing else."""
        result = self.simulate(f"{FAILING} --quiet")
        self.assertEqual(result.exit_code, 1)
        self.assertTrue(result.stdout.startswith("1 of 12 promises was broken:\n"), result.stdout)

    def test_json(self) -> None:
        """A failure stands in the JSON object, with its instant."""
        told = json.loads(self.simulate(f"{FAILING} --json").stdout)
        [violation] = told["violations"]
        self.assertEqual((violation["promise"], violation["at_s"]), (MET, 30.08))

    def test_shrink(self) -> None:
        """A failure is shrunk, told as it goes on, and kept in a file that fails in the same way."""
        result = self.simulate(f"{FAILING} --faults-a-minute 9 --churn 0.2 --seed 7 --shrink")
        self.assertEqual(result.exit_code, 1)
        self.assertRegex(result.stderr, r"\A   1  [^\n]+: (still fails|does not fail)\n   2  ")
        text = Path("failing-seed-7.toml").read_text()
        self.assertTrue(text.startswith(f"# Breaks a promise: {MET}.\n# At "), text)
        self.assertRegex(result.stdout, r"\n  \S*bazaar simulate market --scenario failing-seed-7.toml\n\Z")
        small = read_scenario(MarketScenario, read_file(text.encode(), ""))
        self.assertEqual((small.faults, small.churn, len(small.purchases)), ([], 0.0, 1))
        again = self.simulate("--scenario failing-seed-7.toml --quiet")
        self.assertEqual((again.exit_code, MET in again.stdout), (1, True))

    def test_shrink_spares_files(self) -> None:
        """What has been found before is never overwritten."""
        Path("failing-seed-7.toml").write_text("mine")
        result = self.simulate(f"{FAILING} --seed 7 --shrink --shrink-runs 3 --quiet")
        self.assertEqual((Path("failing-seed-7.toml").read_text(), result.stderr), ("mine", ""))
        self.assertIn("failing-seed-7-2.toml", result.stdout)
        self.assertTrue(Path("failing-seed-7-2.toml").exists())

    def test_shrink_to(self) -> None:
        """The file can be chosen; that one is overwritten only by force."""
        Path("mine.toml").write_text("mine")
        words = f"{FAILING} --shrink --shrink-runs 3 --shrink-to mine.toml"
        self.assert_refused(words, "--shrink-to mine.toml: there is such a file already")
        told = json.loads(self.simulate(f"{words} --force --json").stdout)["shrunk"]
        self.assertEqual((told["file"], told["runs"], told["finished"]), ("mine.toml", 3, True))
        self.assertEqual(Path("mine.toml").read_text(), told["toml"])

    def test_shrunk_run_is_not_lost(self) -> None:
        """Where the file cannot be written it is printed."""
        result = self.simulate(f"{FAILING} --shrink --shrink-runs 2 --shrink-to nowhere/x.toml --quiet")
        self.assertEqual(result.exit_code, 1)
        self.assertIn("It cannot be kept: No such file or directory. Here it is:\n# Breaks", result.stdout)

    def test_nothing_to_shrink(self) -> None:
        """A run that keeps its promises is not shrunk."""
        result = self.simulate(f"{SMALL} --shrink --quiet")
        self.assertEqual((result.exit_code, result.output, os.listdir()), (0, "", []))


class OptionTests(SimulateCase):
    """Options that are given, and those that cannot be."""

    def test_every_setting(self) -> None:
        """There is an option with words for every setting of a scenario, and none for others."""
        for cls in (MarketScenario, FilesScenario, SuperPeerScenario, RingScenario):
            settings = settings_by_name(cls)
            self.assertEqual(set(settings), {field.encode_name for field in msgspec.structs.fields(cls)})
            self.assertEqual([name for name, setting in settings.items() if not setting.help], [])
            told = self.simulate("--help", cls.name).stdout
            for setting in settings.values():
                self.assertRegex(told, rf"(?m)^  --{setting.option} ([A-Z]+|\[[a-z|-]+\])\s")

    def test_help(self) -> None:
        """Where there are a few words to choose from they are named, and numbers are written out."""
        told = " ".join(self.simulate("--help").stdout.split())
        for words in (
            "--mode KIND ",
            ": liveness, safety. [liveness]",
            ": crash, disk-error, disk-full, kill, one-way, partition, pause, skew, slow; may be repeated.",
            "[0 for any number, or a number from 1,000 to 1,000,000,000,000; 0]",
            "--shrink-runs N With --shrink: how many runs to try at most. [a whole number from 1 to 100,000; 200]",
        ):
            self.assertIn(words, told)

    def test_impossible(self) -> None:
        """What cannot be is refused in one line, with its name and what it may be."""
        for words, expected in {
            "--nodes 10 --sellers 20": "--nodes: 20 sellers and 10 buyers need at least 30, not 10",
            "--loss 2": "--loss: takes a number from 0 to 0.9, not 2.0",
            "--loss much": "--loss: takes a number from 0 to 0.9, not 'much'",
            "--nodes 1.5": "--nodes: takes a whole number from 1 to 100,000, not '1.5'",
            "--latency 3s": "--latency: takes .* times up to 2s, .*, not '3s'",
            "--latency uniform:80ms:5ms": "--latency: takes .* of two the shorter first, .*, not 'uniform:80ms:5ms'",
            "--bandwidth 0.001": "--bandwidth: takes 0 for any number, or a number from 1,000 to 1,000,000,000,000",
            "--seed -1": "--seed: takes a whole number from 0 to",
            "--for soon": "--for: takes a time up to 7 days such as",
            "--mode fast": "--mode: takes liveness or safety, not 'fast'",
            "--fault-kind boom": "--fault-kind: takes crash, ",
            "--fault crash": "--fault: takes KIND:AT:FOR:NODE,NODE or KIND:.*, such as pause:.*, not 'crash'",
            "--fault pause:1s:1s": "--fault: takes KIND:AT:FOR:NODE,NODE",
            "--fault pause:1s:1s:nobody": "--fault nodes: takes tracker, seller-1 to seller-5, .*, not 'nobody'",
            "--fault pause:1s:1s:relay-1:much": "--fault strength: takes a number above 0 to 1,000, not 'much'",
            "--purchase buyer-1:1s": "--purchase: takes BUYER:AT:ITEM",
            "--purchase buyer-1:1s:plum:no": "--purchase quantity: takes a whole number",
            "--purchase buyer-1:1s:plum": "--purchase item: takes item-1 to item-20, not 'plum'",
            "--sellers 2 --purchase buyer-1:1s:item-11": "--purchase item: takes what sellers have, item-1 to item-10,",
            "--sellers 0 --purchase buyer-1:1s:item-1": "--purchase item: takes what sellers have, nothing, .*no item,",
            "--unheard-of": "No such option '?--unheard-of",
            "--nodes": "Option '--nodes' requires an argument",
            "surplus": "Got unexpected extra argument",
            "--shrink-runs 0": "--shrink-runs '0': takes a whole number from 1 to 100,000",
            "--shrink-to x.toml": "--shrink-to goes with --shrink",
            "--shrink --force": "--force goes with --shrink-to",
        }.items():
            self.assert_refused(words, expected)

    def test_file(self) -> None:
        """Settings come from a file, and those on the command line win over them."""
        Path("a.toml").write_text(
            'seed = 5\nnodes = 8\nsellers = 2\nbuyers = 2\nfor = "9s"\nsettle = "20s"\nwants = 1\n'
        )
        told = json.loads(self.simulate("--scenario a.toml --wants 2 --json").stdout)
        self.assertEqual((told["seed"], told["wants"]), (5, 4))

    def test_bad_files(self) -> None:
        """A file that is missing, is none, or holds what cannot be is refused with its name."""
        Path("a.toml").write_text("nodes: 5")
        Path("b.toml").write_text('fault-kinds = ["boom"]')
        Path("c.toml").write_text('[[faults]]\nkind = "boom"\nat = "1s"\nfor = "1s"\nnodes = ["tracker"]')
        Path("d.toml").write_text("sellers = 200")
        Path("e.toml").write_bytes(b"\xff")
        Path("f.toml").write_text("nodez = 5")
        Path("g.toml").write_text('latency = "uniform:80ms:5ms"')
        Path("h.toml").write_text('[[purchases]]\nbuyer = "buyer-1"\nat = "1s"\nitem = "plum"')
        Path("i.toml").write_text('[[faults]]\nkind = "crash"')
        self.assert_refused("--scenario z.toml", "--scenario z.toml: No such file or directory")
        self.assert_refused("--scenario .", "--scenario .: Is a directory")
        self.assert_refused("--scenario a.toml", "a.toml: this is no TOML")
        self.assert_refused("--scenario b.toml", r"b.toml: fault-kinds\[0\]: takes crash, .*, not 'boom'")
        self.assert_refused("--scenario c.toml", r"c.toml: faults\[0\].kind: takes crash, .*, not 'boom'")
        self.assert_refused("--scenario d.toml", "d.toml: nodes: 200 sellers and 10 buyers need at least 210")
        self.assert_refused("--scenario e.toml", "e.toml: this is no TOML")
        self.assert_refused("--scenario f.toml", "f.toml: there is no setting nodez")
        self.assert_refused("--scenario g.toml", "g.toml: latency: takes .*, not 'uniform:80ms:5ms'")
        self.assert_refused("--scenario h.toml", r"h.toml: purchases\[0\].item: takes item-1 to item-20, not 'plum'")
        self.assert_refused("--scenario i.toml", r"i.toml: faults\[0\]: at is missing; the settings are kind, at, for")
        self.assert_refused("--scenario d.toml --loss 3", "(d.toml|--loss): ")

    def test_bad_trace_files(self) -> None:
        """A trace that cannot be written is refused, also when the disk is full in the middle of it."""
        self.assert_refused(f"{SMALL} --trace nowhere/x", "--trace nowhere/x: No such file or directory")
        self.assert_refused(f"{SMALL} --trace .", "--trace .: Is a directory")
        if os.path.exists("/dev/full"):
            self.assert_refused(f"{SMALL} --trace /dev/full", "--trace /dev/full: No space left on device")
        Path("a.toml").write_text("nodes = 20")
        self.assert_refused("--scenario a.toml --trace ./a.toml", "--trace ./a.toml: this is the scenario")
        self.assertEqual(Path("a.toml").read_text(), "nodes = 20")

    def test_nothing_written_in_vain(self) -> None:
        """Options that cannot be leave no empty trace behind."""
        self.assert_refused("--loss 2 --trace run.jsonl", "--loss")
        self.assertEqual(os.listdir(), [])


class InterruptionTests(SimulateCase):
    """Somebody does not want to wait."""

    def interrupt_in_run(self, number: int) -> None:
        """Press Ctrl-C in the middle of a run; the first is number 1."""
        runs = []
        run = MarketRun.run

        def run_and_interrupt(market: MarketRun, progress: object = None) -> object:
            def interrupting(done_s: float, whole_s: float) -> None:
                if len(runs) == number and done_s > 5:
                    os.kill(os.getpid(), signal.SIGINT)
                progress(done_s, whole_s)  # type: ignore[operator]

            runs.append(market)
            return run(market, interrupting)

        self.patch(MarketRun, "run", run_and_interrupt)

    def test_run(self) -> None:
        """It ends with status 130 and one line; the trace so far is whole."""
        self.interrupt_in_run(1)
        result = self.simulate(f"{SMALL} --trace run.jsonl")
        self.assertEqual((result.exit_code, result.stdout), (130, ""))
        self.assertRegex(result.stderr, r"\Ainterrupted after 5 of 60 virtual seconds\n\Z")
        self.assertTrue(all(json.loads(line) for line in Path("run.jsonl").read_bytes().splitlines()))

    def test_shrinking(self) -> None:
        """The smallest run found so far is kept."""
        self.interrupt_in_run(4)
        result = self.simulate(f"{FAILING} --seed 7 --shrink")
        self.assertEqual(result.exit_code, 130)
        *_, last = result.stderr.splitlines()
        self.assertEqual(last, KEPT_SO_FAR)
        self.assertEqual(self.simulate("--scenario failing-seed-7.toml --quiet").exit_code, 1)

    def test_shrinking_quietly(self) -> None:
        """The file is named there too, and the failure told."""
        self.interrupt_in_run(4)
        result = self.simulate(f"{FAILING} --seed 7 --shrink --quiet")
        self.assertEqual((result.exit_code, result.stderr), (130, f"{KEPT_SO_FAR}\n"))
        self.assertRegex(result.stdout, r"(?s)\A1 of 12 promises was broken:.* kept in failing-seed-7.toml; to see")

    def test_shrinking_to_json(self) -> None:
        """The report is whole, names the file, and says that more could perhaps be left out."""
        self.interrupt_in_run(4)
        result = self.simulate(f"{FAILING} --seed 7 --shrink --json")
        self.assertEqual((result.exit_code, result.stderr), (130, f"{KEPT_SO_FAR}\n"))
        shrunk = json.loads(result.stdout)["shrunk"]
        self.assertEqual((shrunk["file"], shrunk["finished"]), ("failing-seed-7.toml", False))
