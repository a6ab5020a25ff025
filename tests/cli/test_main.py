"""What befalls every command alike: nobody listens, nothing can be written, somebody is too early."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from tests.cli.cases import quote_for, receipt_of, sale
from tests.cli.commands.simulate.test_simulate import FAILING, SMALL
from twisted_bazaar.cli import main as main_module
from twisted_bazaar.cli.main import main

ROOT = Path(__file__).parents[2]
FULL = Path("/dev/full")


class MainCase(SynchronousTestCase):
    """Processes in an empty directory.

    @cvar ENVIRONMENT: what they have in their environment besides that of the tests.
    """

    ENVIRONMENT: Mapping[str, str] = {}

    def setUp(self) -> None:
        """Make a directory, and a trace and a receipt in it."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        (self.directory / "receipt.json").write_text(json.dumps(receipt_of(sale(quote_for("\N{RED APPLE}")))))
        (self.directory / "run.jsonl").write_text('{"time": 1.0, "node": "Ben", "event": "joined", "id": 1}\n')

    def run_bazaar(self, words: str, **files: Any) -> subprocess.CompletedProcess[str]:
        """Run a command as a process."""
        return self.run_words([sys.executable, "-m", "twisted_bazaar", *shlex.split(words)], **files)

    def run_words(self, words: Sequence[str], **files: Any) -> subprocess.CompletedProcess[str]:
        """Run words of a shell as a process that finds this package."""
        env = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(self.directory), **self.ENVIRONMENT}
        # Users have what is printed kept until there is more of it.
        env.pop("PYTHONUNBUFFERED", None)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **files}
        return subprocess.run(words, **pipes, text=True, timeout=60, cwd=self.directory, env=env)


class OutputTests(MainCase):
    """What is printed, and where to."""

    COMMANDS = (
        f"simulate market {SMALL}",
        f"simulate market {SMALL} --json",
        "trace run.jsonl",
        "--help",
        "verify receipt.json",
    )

    def test_full(self) -> None:
        """Where nothing can be written a line says so, and the status is 2."""
        if not FULL.exists():
            return
        for words in self.COMMANDS:
            with FULL.open("w") as full:
                ended = self.run_bazaar(words, stdout=full)
            self.assertEqual(ended.stderr, "bazaar: the output cannot be written: No space left on device\n", words)
            self.assertEqual(ended.returncode, 2, words)

    def test_nobody_listens(self) -> None:
        """Where the reader has closed the pipe nothing is said; the status is not 0, but that of the signal for it."""
        for words in (*self.COMMANDS, "config show", "demo"):
            with self.closed_pipe() as pipe:
                ended = self.run_bazaar(words, stdout=pipe)
            self.assertEqual((ended.stderr, ended.returncode), ("", 128 + signal.SIGPIPE), words)

    def closed_pipe(self) -> IO[str]:
        """The end for writing of a pipe without one for reading."""
        read, write = os.pipe()
        os.close(read)
        return os.fdopen(write, "w")

    def test_quiet_on_terminal(self) -> None:
        """With --quiet nothing is shown on a terminal either; without it there is a bar."""
        shown = {}
        for options in ("", "--quiet"):
            terminal, end = os.openpty()
            ended = self.run_bazaar(f"simulate market {SMALL} {options}", stderr=end)
            self.assertEqual(ended.returncode, 0)
            # So that there is something to read where nothing is shown.
            os.write(end, b"END")
            shown[options] = os.read(terminal, 1 << 16)
            os.close(end)
            os.close(terminal)
        self.assertIn(b" of 60 s", shown[""])
        self.assertEqual(shown["--quiet"], b"END")


class AsciiTests(MainCase):
    """Where only ASCII can be printed."""

    ENVIRONMENT = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}

    def test_other_characters(self) -> None:
        """Others are told by their number."""
        ended = self.run_bazaar("verify receipt.json")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        self.assertRegex(ended.stdout, r"\n item +\\U0001f34e\n")

    def test_without_output(self) -> None:
        """Where there is no standard output or input at all, nothing goes wrong that needs none."""
        for words, status, error in (
            ("verify receipt.json", 0, ""),
            ("verify -", 2, "bazaar verify: -: there is no standard input\n"),
        ):
            shell = f"exec {shlex.quote(sys.executable)} -m twisted_bazaar {words} >&- <&-"
            ended = self.run_words(["sh", "-c", shell])
            self.assertEqual((ended.returncode, ended.stderr), (status, error))


class EarlyInterruptionTests(SynchronousTestCase):
    """Ctrl-C before the command has begun."""

    def test_while_importing(self) -> None:
        """It ends like a later one: with status 130 and one line."""

        def interrupted(name: str) -> None:
            raise KeyboardInterrupt

        self.patch(main_module, "import_module", interrupted)
        result = CliRunner().invoke(main, ["simulate", "market"], prog_name="bazaar")
        self.assertEqual((result.exit_code, result.stdout, result.stderr), (130, "", "interrupted\n"))


class ReplayTests(MainCase):
    """The command that makes a run again."""

    def test_as_module(self) -> None:
        """What a run of C{python -m twisted_bazaar} tells can be typed as it is, and fails in the same way."""
        first = self.run_bazaar(f"simulate market {FAILING}")
        [command] = re.findall(r"(?m)^  (.* -m twisted_bazaar simulate market .*)$", first.stdout)
        again = self.run_words(shlex.split(command))
        hashes = [re.findall(r"trace hash +(.*)", ended.stdout) for ended in (first, again)]
        self.assertEqual((hashes[0], again.returncode), (hashes[1], 1))
