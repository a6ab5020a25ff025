"""The table of attacks can be read in a narrow window and in a pipe, and its JSON says the same."""

from __future__ import annotations

import io
import json

from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from tests.attack.attack import Attack, all_attacks
from tests.attack.report import WIDE_COLUMNS, Outcome, as_json, decide, write_table
from tests.attack.stage import Stage
from tests.attack.verdict import Bounds, Figures, Waits


def not_made(stage: Stage, bounds: Bounds) -> Figures:
    """Nothing is attacked here."""
    raise AssertionError


def attack(name: str) -> Attack:
    """An attack that nobody makes."""
    return Attack(name=name, role="index server", tries="a peer asks for the moon, and gets it not", carry_out=not_made)


KEPT = Outcome(
    attack("asks-for-the-moon-index"),
    Figures(
        before=Waits((0.0004, 0.002)),
        during=Waits((0.05, 0.2)),
        after=Waits((0.0004,)),
        memory_before=54_000_000,
        memory_peak=1_070_000_000,
        memory_after=60_000_000,
        control_bytes=1_000_000_000,
        log_bytes=99_999,
        turn_s=0.02,
        did="3 MB sent",
    ),
)
BROKEN = Outcome(attack("starves"), Figures(during=Waits((), (12.3456,)), log_bytes=12_345_678))
CALM = Outcome(attack("sleeps"), Figures(before=Waits((0.001,)), during=Waits((0.002,))))
FAILED = Outcome(attack("fails"), None, "OSError: no route")


def table(*outcomes: Outcome, columns: int) -> str:
    """The table, as it goes into a pipe."""
    written = io.StringIO()
    write_table(Console(file=written, width=columns), outcomes)
    return written.getvalue()


class DecideTests(SynchronousTestCase):
    """What was broken is tried twice more."""

    def decided(self, *outcomes: Outcome) -> Outcome:
        """What comes of such runs, each of which has to be needed."""
        left = iter(outcomes)
        outcome = decide(lambda: next(left))
        self.assertEqual([*left], [])
        return outcome

    def test_kept(self) -> None:
        """What was kept is not tried again."""
        self.assertEqual(self.decided(CALM), CALM)

    def test_broken_once(self) -> None:
        """What one run of three has broken is kept, and told all the same."""
        outcome = self.decided(BROKEN, CALM, CALM)
        self.assertEqual((outcome.word, outcome.once), ("kept", BROKEN.broken))
        for columns in (80, WIDE_COLUMNS):
            self.assertIn("broken in one run of three: ", table(outcome, columns=columns))

    def test_broken_twice(self) -> None:
        """What two runs of three have broken is broken, whichever they are."""
        for outcomes in ((BROKEN, BROKEN, CALM), (BROKEN, CALM, BROKEN), (FAILED, FAILED, FAILED)):
            self.assertNotEqual(self.decided(*outcomes).word, "kept")


class TableTests(SynchronousTestCase):
    """The table for people."""

    def test_narrow(self) -> None:
        """In 80 columns no figure is cut, and what was tried stands below."""
        text = table(KEPT, BROKEN, FAILED, columns=80)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
        self.assertNotIn("…", text)
        row = next(line.split() for line in text.splitlines() if line.startswith("asks-for-the-moon-index "))
        self.assertEqual(
            row, ["asks-for-the-moon-index", "1.2/2.0", "125/200", "0.4/0.4", "54/1070/60", "100K", "broken"]
        )
        self.assertIn("  a peer asks for the moon, and gets it not\n", text)

    def test_wide(self) -> None:
        """Where there is room, what was tried stands in the row."""
        text = table(KEPT, columns=WIDE_COLUMNS)
        [row] = [line for line in text.splitlines() if line.startswith("asks-for-the-moon-index  ")]
        self.assertIn("a peer asks for the moon, and gets it not", row)
        self.assertLessEqual(len(row.rstrip()), WIDE_COLUMNS)

    def test_plain(self) -> None:
        """Into a pipe go no colours."""
        self.assertNotIn("\x1b", table(KEPT, BROKEN, columns=160))

    def test_broken(self) -> None:
        """Each broken bound is told in a sentence, and an attack that could not be made says why."""
        text = table(BROKEN, FAILED, columns=80)
        self.assertIn("broken: a wait of 12,346 ms during, at most 250 ms", text)
        self.assertIn(" 12s/>12s ", text)
        self.assertIn("12.3M", text)
        self.assertIn("it could not be carried out: OSError: no route", text)
        self.assertIn("0 of 2 kept", text)


class VerdictTests(SynchronousTestCase):
    """The verdict in a word."""

    def test_words(self) -> None:
        """Kept, broken, or failed; without an answer in the control an attack has failed."""
        calm = Outcome(attack("calm"), Figures(before=Waits((0.1,)), during=Waits((0.1,))))
        unheard = Outcome(attack("unheard"), Figures(before=Waits((), (5.0,))))
        self.assertEqual(
            [each.word for each in (calm, BROKEN, FAILED, unheard)], ["kept", "broken", "failed", "failed"]
        )
        self.assertEqual(unheard.broken, ("the honest client got no answer even without the attack",))


class JsonTests(SynchronousTestCase):
    """The figures for programs."""

    def test_row(self) -> None:
        """A row has what was tried, the bounds, the figures as numbers, and the verdict."""
        told = json.loads(as_json([KEPT, FAILED], at="2026-01-01"))
        self.assertEqual(told["at"], "2026-01-01")
        row, failed = told["attacks"]
        self.assertEqual(
            (row["attack"], row["verdict"], row["memory_peak"]), (KEPT.attack.name, KEPT.word, 1_070_000_000)
        )
        self.assertEqual(row["during"], {"questions": 2, "answered": 2, "median_s": 0.125, "worst_s": 0.2})
        self.assertEqual(row["bounds"]["wait_s"], 0.25)
        self.assertEqual(failed["verdict"], "failed")


class DeclarationTests(SynchronousTestCase):
    """The attacks that there are."""

    def test_names(self) -> None:
        """Each has a name of its own that fits the table, and says in a sentence what it tries."""
        attacks = all_attacks()
        names = [each.name for each in attacks]
        self.assertEqual(len(set(names)), len(names))
        self.assertEqual([name for name in names if len(name) > 24], [])
        self.assertEqual([each.name for each in attacks if not each.tries or each.tries.endswith(".")], [])
        self.assertTrue(any(each.is_short for each in attacks))
