"""What the simulator does and checks, against the pages that tell of it and the bugs that show that it would notice."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from tests.docs.pages import ROOT, PageTests, read_page, section, table_with, word
from tests.planted.bug import is_of
from tests.planted.bugs import BUGS
from twisted_bazaar.sim import invariants
from twisted_bazaar.sim.faults import FaultKind
from twisted_bazaar.sim.invariants import (
    FILES_CHECKS,
    MARKET_CHECKS,
    RING_CHECKS,
    SUPER_PEER_CHECKS,
    LittleInVain,
    NoFaultOfOurs,
    NoLoops,
    NothingLeft,
    RoomIsMade,
    TablesAreBounded,
    TablesNeverHide,
)
from twisted_bazaar.sim.invariants.check import Check

PAGE: Final = read_page("docs/howto/simulate.md")
# Under which heading of the page the promises of a kind of run stand.
RUNS: Final[Mapping[str, Sequence[type[Check]]]] = {
    "When promises are checked": MARKET_CHECKS,
    "Files instead of goods": FILES_CHECKS,
    "What they cost": SUPER_PEER_CHECKS,
    "A ring": RING_CHECKS,
}
# What the page calls those that a market has as well, where it tells of other runs.
IN_SHORT: Final[Mapping[type[Check], str]] = {
    NoLoops: "loops",
    TablesAreBounded: "tables",
    NothingLeft: "what a stopped node leaves",
    NoFaultOfOurs: "faults of our own",
}
# Why docs/promises.md has no row, and tests/planted no bug, for some; the tests of the simulator plant one for each.
NO_PROMISE: Final[Mapping[type[Check], str]] = {
    NothingLeft: "what a node leaves when it has stopped is nothing that others could rely on",
    NoFaultOfOurs: "no fault of our own would be a promise to have no bug; those that it finds break others",
    LittleInVain: "how much is fetched in vain is a matter of speed, and promise 10 is about what comes in the end",
    RoomIsMade: "promise 8 says what holds when super peers die, and not that there are ever enough of them",
    TablesNeverHide: "promise 8 says that not all there is is found; this looks at tables alone, where nobody has left",
}


def all_checks() -> set[type[Check]]:
    """Those of all kinds of run."""
    return {check for checks in RUNS.values() for check in checks}


def planted() -> Mapping[str, set[str]]:
    """The tests that plant a bug for a check, as pytest names them, by the name of the check."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "tests/sim").glob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for case in (node for node in tree.body if isinstance(node, ast.ClassDef)):
            for method in (node for node in case.body if isinstance(node, ast.FunctionDef)):
                for node in ast.walk(method):
                    match node:
                        case ast.Call(func=ast.Attribute(attr="assert_caught"), args=[ast.Name(id=check), *_]):
                            found[check].add(f"{path.relative_to(ROOT)}::{case.name}::{method.name}")
    return found


class FaultTests(PageTests):
    """The kinds of fault."""

    def test_kinds(self) -> None:
        """Each has a row, in the order in which they are listed."""
        rows = [word(row["Kind"]) for row in table_with(section(PAGE, "Faults"), "Kind")]
        self.assert_lists(section(PAGE, "Faults"), rows, [kind.value for kind in FaultKind])
        self.assertEqual(rows, [kind.value for kind in FaultKind])


class CheckTests(PageTests):
    """The checks of promises."""

    def test_runs(self) -> None:
        """All kinds of run that have checks are looked at here."""
        of_package = [value for name, value in vars(invariants).items() if name.endswith("_CHECKS")]
        self.assertEqual(sorted(map(id, of_package)), sorted(map(id, RUNS.values())))

    def test_used(self) -> None:
        """Each check is one of a kind of run."""
        classes = set[type[Check]]()
        left = [Check]
        while left:
            below = left.pop().__subclasses__()
            left += below
            classes.update(each for each in below if each.__module__.startswith(f"{invariants.__name__}."))
        # What others are derived from promises nothing itself.
        promising = {each for each in classes if "promise" in vars(each)}
        self.assertEqual({each.__name__ for each in promising}, {each.__name__ for each in all_checks()})

    def test_rows(self) -> None:
        """Each has a row that says when it is made, by the words that a run prints, or is among those of all runs."""
        for title, checks in RUNS.items():
            text = section(PAGE, title)
            said = [row["Promise"] for row in table_with(text, "Promise", "When it is checked")]
            is_market = checks is MARKET_CHECKS
            own = [check.promise for check in checks if is_market or check not in IN_SHORT]
            self.assert_lists(text, said, own)
            if not is_market:
                shared = [words for check, words in IN_SHORT.items() if check in checks]
                self.assert_says(text, f"and besides them those about {', '.join(shared[:-1])}, and {shared[-1]}.")

    def test_printed(self) -> None:
        """What the page shows of runs has the promises of today, in their order."""
        for title, checks in (("Simulate a market", MARKET_CHECKS), ("Files instead of goods", FILES_CHECKS)):
            shown = re.findall(r"^     (\S.*?)  +[\d,]+   (?:yes|not asked)$", section(PAGE, title), re.MULTILINE)
            self.assertEqual(shown, [check.promise for check in checks], title)

    def test_planted(self) -> None:
        """Each has a bug in tests/planted that it catches, and so a row in docs/promises.md, or no promise says it."""
        tests = planted()
        proved = {
            check
            for check in all_checks()
            for bugs in BUGS.values()
            for bug in bugs
            # A bug that names a whole file does not say which check it is for.
            if any(is_of(test, [name for name in bug.tests if name.count("::") > 1]) for test in tests[check.__name__])
        }
        self.assertEqual(
            {check.__name__ for check in all_checks() - proved},
            {check.__name__ for check in NO_PROMISE},
            "checks without a bug in tests/planted, and those of which NO_PROMISE says why they have none",
        )

    def test_exceptions(self) -> None:
        """Those that are no promise have a reason, and a bug in the tests of the simulator all the same."""
        tests = planted()
        for check, reason in NO_PROMISE.items():
            self.assertTrue(reason and tests[check.__name__], check.__name__)
