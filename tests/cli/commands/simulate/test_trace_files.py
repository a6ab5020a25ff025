"""C{bazaar trace} over files that are not what they should be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.cli.commands.simulate.test_trace import JOINED, RUN, SEARCH, TraceCase
from twisted_bazaar.cli.trace import reader


class BadFileTests(TraceCase):
    """Files that are not what they should be."""

    def test_cut_short(self) -> None:
        """A file that ends in the middle of a line is read up to there, and that is said."""
        self.write(*RUN)
        text = Path("run.jsonl").read_bytes()
        Path("run.jsonl").write_bytes(text[:-20])
        result = self.trace("run.jsonl")
        self.assertEqual(result.exit_code, 0)
        self.assertEqual(result.stderr, "run.jsonl: the last line is cut short; read up to 3.000 s\n")
        self.assertIn("sold, and the buyer does not know", result.stdout)
        Path("run.jsonl").write_bytes(text[:10])
        self.assertIn("the last line is cut short; there is nothing before it", self.trace("run.jsonl").stderr)

    def test_no_last_line_break(self) -> None:
        """A last line that is whole but for its end is no fault."""
        self.write(*RUN)
        Path("run.jsonl").write_bytes(Path("run.jsonl").read_bytes().rstrip())
        self.assertIn("bought within 0.400 s", self.told("run.jsonl")[-1])

    def test_junk(self) -> None:
        """Lines that are no events are left out and counted; empty ones are not."""
        junk = b'nonsense\n[1]\n{"a": 1}\n\xff\xfe\n\n{"time": "now", "event": "sent"}\n'
        self.write(*RUN)
        Path("run.jsonl").write_bytes(junk + Path("run.jsonl").read_bytes())
        result = self.trace("run.jsonl")
        self.assertEqual(result.stderr, "run.jsonl: 5 lines are no event and left out\n")
        self.assertIn("bought within 0.400 s", result.stdout)

    def test_endless_line(self) -> None:
        """A line longer than any event is skipped without being held in memory."""
        self.patch(reader, "_LONGEST", 4096)
        self.write(*RUN)
        Path("run.jsonl").write_bytes(b"x" * 20_000 + b"\n" + Path("run.jsonl").read_bytes())
        result = self.trace("run.jsonl")
        self.assertEqual(result.stderr, "run.jsonl: 1 line is no event and left out\n")
        self.assertIn("bought within 0.400 s", result.stdout)

    def assert_refused(self, expected: str, *words: str) -> None:
        """The command says no in one line, and with status 2."""
        result = self.trace(*words)
        self.assertEqual((result.exit_code, result.stdout), (2, ""), result.output)
        self.assertRegex(result.stderr, rf"\Abazaar trace: {expected}[^\n]*\n\Z")

    def test_refused(self) -> None:
        """A file that cannot be read, and an id that is not there, are refused in one line."""
        self.write(*RUN)
        self.assert_refused("nowhere: No such file or directory", "nowhere")
        self.assert_refused("nowhere: No such file or directory", "run.jsonl", "nowhere")
        self.assert_refused(".: Is a directory", ".")
        self.assert_refused("there is no search with the id 6; without --search", "run.jsonl", "--search", "6")
        self.assert_refused("there is no order with the id 5; without --order", "run.jsonl", "--order", "5")
        self.assert_refused("--search and --order: give one", "run.jsonl", "--order", "5", "--search", "6")
        for name in ("xyz", "", "-1", "a" * 33, "\u0663"):
            self.assert_refused("--order: takes the id of an order, .*, not '.*'", "run.jsonl", f"--order={name}")
        self.assert_refused("--search '-1': takes a whole number from 0 to", "run.jsonl", "--search", "-1")
        self.assert_refused("Missing argument 'FILE...'")

    def test_no_trace(self) -> None:
        """Files without a single event are refused with what is wrong with them, and what a trace is."""
        Path("empty").write_bytes(b"")
        Path("junk").write_bytes(b"nonsense\n\xff\nmore")
        Path("rest").write_bytes(b'{"time": 1.0')
        nothing = "empty: there is nothing in it; "
        a_trace = "a trace is what bazaar simulate writes with --trace, and daemons with --events"
        for words in ((), ("--order", "6")):
            self.assert_refused(f"{nothing}{a_trace}", "empty", *words)
            self.assert_refused(f"junk: 2 lines are no event and left out; {a_trace}", "junk", *words)
            self.assert_refused(f"rest: the last line is cut short; there is nothing before it; {a_trace}", "rest")
            self.assert_refused(f"{nothing}junk: .*; {a_trace}", "empty", "junk", *words)

    def test_one_is_empty(self) -> None:
        """Of a daemon that has not done anything yet nothing can be told, but of the others."""
        self.write(*RUN)
        Path("empty").write_bytes(b"")
        result = self.trace("empty", "run.jsonl")
        self.assertEqual((result.exit_code, result.stderr), (0, "empty: there is nothing in it\n"))
        self.assertIn("bought within 0.400 s", result.stdout)

    def test_nobody_listens(self) -> None:
        """Where the reader goes away, as head does, nothing is said of it."""
        self.write(*JOINED, *({**line, "id": number} for number in range(3000) for line in SEARCH[:2]))
        root = str(Path(__file__).parents[4])
        with subprocess.Popen(
            [sys.executable, "-m", "twisted_bazaar", "trace", "run.jsonl"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": root},
        ) as process:
            assert process.stdout is not None, "it is a pipe"
            assert process.stderr is not None, "it is a pipe"
            self.assertEqual(process.stdout.readline(), b"3000 searches\n")
            process.stdout.close()
            self.assertEqual(process.stderr.read(), b"")
