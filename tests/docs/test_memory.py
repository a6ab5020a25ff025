"""The page on memory says what the tables have, and what the worst entries take."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys

from tests.docs.memory_tables import BUDGETS, ROLES, TABLES
from tests.docs.pages import ROOT, PageTests, flat, read_page, table_with, word
from tests.weighing import weight_of

PAGE = read_page("docs/memory.md")
ROWS = table_with(PAGE, "Table", "Module")
MIB = 1 << 20
WEIGHED = 10


def mib(cell: str) -> float:
    """A number of MiB."""
    number, unit = cell.split()
    assert unit == "MiB", cell
    return float(number)


def number(cell: str) -> int:
    """A whole number, with commas."""
    return int(cell.replace(",", ""))


HEAVIEST = [row for row in ROWS if row["Table"] in TABLES][:WEIGHED]


def weigh() -> None:
    """Print what an entry of each of the heaviest tables weighs."""
    tables = {row["Table"]: TABLES[row["Table"]] for row in HEAVIEST}
    json.dump({name: weight_of(lambda t=t: t.fill(t.sample)) / t.sample for name, t in tables.items()}, sys.stdout)


class MemoryTests(PageTests):
    """The table of the page, and the sentences below it."""

    def test_budgets(self) -> None:
        """What is bounded in bytes is bounded by so many."""
        said = {row["Table"]: mib(row["In all"]) for row in ROWS if row["Entries at most"] == "by bytes"}
        self.assert_tells(PAGE, said, {name: round(size / MIB, 1) for name, size in BUDGETS.items()})

    def test_caps(self) -> None:
        """The other tables have so many entries at most."""
        said = {row["Table"]: number(row["Entries at most"]) for row in ROWS if row["Entries at most"] != "by bytes"}
        self.assert_tells(PAGE, said, {name: table.most for name, table in TABLES.items()})

    def test_products(self) -> None:
        """What they take in all is the worst entry so many times, and the heaviest stands first."""
        for row in ROWS:
            if row["Entries at most"] != "by bytes":
                product = number(row["Entries at most"]) * number(row["Worst entry, bytes"]) / MIB
                self.assertEqual(mib(row["In all"]), math.ceil(product * 10) / 10, row["Table"])
        totals = [mib(row["In all"]) for row in ROWS]
        self.assertEqual(totals, sorted(totals, reverse=True))

    def test_worst_entries(self) -> None:
        """The worst entries of the heaviest tables take no more than the page says, and not much less."""
        # A process of its own: what others have made before is in caches, and would weigh nothing.
        words = [sys.executable, "-c", "from tests.docs.test_memory import weigh; weigh()"]
        weighed = json.loads(subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
        for row in HEAVIEST:
            measured, said = weighed[row["Table"]], number(row["Worst entry, bytes"])
            self.assertTrue(0.7 * said < measured <= said, f"{row['Table']}: {measured:.0f} bytes, not {said}")

    def test_modules(self) -> None:
        """The modules that it names are there."""
        named = {word(row["Module"]) for row in ROWS}
        there = {name for name in named if (ROOT / "twisted_bazaar" / f"{name}.py").exists()}
        self.assert_lists(PAGE, named, there)

    def test_roles(self) -> None:
        """What a node of each kind takes at most is the sum of its tables, and of small ones."""
        totals = {row["Table"]: mib(row["In all"]) for row in ROWS}
        said = dict(re.findall(r"(an? [a-z ]+?) takes (\d+) MiB", flat(PAGE).replace("A ", "a ", 1)))
        small = int(re.search(r"take (\d+) MiB together", flat(PAGE))[1])  # type: ignore[index]
        true = {role: f"{math.ceil(sum(totals[each] for each in tables)) + small}" for role, tables in ROLES.items()}
        self.assert_tells(PAGE, said, true)
