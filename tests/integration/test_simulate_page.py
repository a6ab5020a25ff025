"""What the pages print of runs of the simulator is what these runs print.

C{python -m tests.integration.test_simulate_page} makes the runs and writes what they print into the pages.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen

from tests.integration.daemons import LONGEST_S

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = ("README.md", *(f"docs/howto/{name}.md" for name in ("simulate", "super-peers", "ring")))
# That chapter has a test of its own, since its runs are of a package that was changed.
LEFT_OUT: Final = "\n## One failure"
# What is typed, and what is shown: indented and begun by a blank, or fenced and of no language.
TYPED: Final = r"^    (?P<typed>\S.*\n(?:    .*\n)*)"
SHOWN: Final = r"^(?P<indented>     .*\n(?:(?:    .*)?\n)*)(?=\S)|^```\n(?P<fenced>(?:.*\n)*?)```$"
FENCED_CODE: Final = r"^```\w+\n(?:.*\n)*?```$"


@frozen
class Printed:
    """What a page prints of a run.

    @ivar begin, end: where it stands in the page.
    """

    page: str
    command: str
    shown: str
    begin: int
    end: int

    def run(self) -> str:
        """What the run prints now, in the form of the page."""
        _, *words = shlex.split(self.command)
        done = subprocess.run(
            [sys.executable, "-m", "twisted_bazaar", *words],
            env={**os.environ, "COLUMNS": "120", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=LONGEST_S * 20,
            check=True,
        )
        # The figures, then where there are any the ways beside each other, and the promises.
        told = without_chance(done.stdout).strip("\n")
        is_whole = self.shown.lstrip().startswith("scenario") or "--table" in words
        return told if is_whole else told.split("\n\n\n")[1].strip("\n")


def without_chance(text: str) -> str:
    """What a run printed, but for how long it took, and for the hash over all that went on in it."""
    text = re.sub(r"(virtual time .* s) in .*", r"\1 in ... s", text)
    return re.sub(r"(trace hash +)\w+", r"\1...", text)


def printed_in(page: str) -> Iterator[Printed]:
    """What a page prints of runs."""
    text = (ROOT / page).read_text(encoding="utf-8").partition(LEFT_OUT)[0]
    command = ""
    for found in re.finditer(f"{FENCED_CODE}|{TYPED}|{SHOWN}", text, re.MULTILINE):
        if found["typed"] is not None:
            command = found["typed"].replace("\\\n", " ").strip().splitlines()[-1].strip()
        elif command.startswith("bazaar simulate"):
            name = "indented" if found["fenced"] is None else "fenced"
            if found[name] is not None:
                shown = found[name] if name == "fenced" else re.sub(r"(?m)^    ", "", found[name])
                yield Printed(page, command, shown.strip("\n"), *found.span(name))


ALL: Final = [printed for page in PAGES for printed in printed_in(page)]


def test_found() -> None:
    """The pages print something of runs with a seed, and each run is found."""
    assert len(ALL) >= 8
    assert [printed.command for printed in ALL if "--seed" not in printed.command] == []


@pytest.mark.slow
@pytest.mark.timeout(LONGEST_S * 21)
@pytest.mark.parametrize("printed", ALL, ids=lambda printed: printed.command.removeprefix("bazaar simulate "))
def test_printed(printed: Printed) -> None:
    """A run prints what the page says that it does."""
    assert without_chance(printed.shown) == printed.run()


def _write() -> None:
    """Write into the pages what the runs print."""
    for page in PAGES:
        for printed in reversed(list(printed_in(page))):
            place = ROOT / page
            text, told = place.read_text(encoding="utf-8"), printed.run()
            is_fenced = text[: printed.begin].endswith("```\n")
            told = f"{told}\n" if is_fenced else f"{textwrap.indent(told, '    ')}\n\n"
            place.write_text(text[: printed.begin] + told + text[printed.end :], encoding="utf-8")


if __name__ == "__main__":
    _write()
