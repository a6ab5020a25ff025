"""The pages under docs/, read for tests: their sections, tables, blocks and dialogues."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final, Self

from twisted.trial.unittest import SynchronousTestCase

ROOT: Final = Path(__file__).parents[2]


class Text(str):
    """Some of a page, or all of it.

    @ivar where: what to call it when something is wrong with it.
    """

    where: str

    @classmethod
    def of(cls, text: str, where: str) -> Self:
        """A text from somewhere."""
        made = cls(text)
        made.where = where
        return made


def read_page(name: str) -> Text:
    """A page, by its name below the root of the project."""
    return Text.of((ROOT / name).read_text(encoding="utf-8"), name)


# Which page says what is on a page of its own.
START: Final = read_page("docs/specification/README.md")
SPECIFICATION: Final = {
    path.name: read_page(f"docs/specification/{path.name}")
    for path in sorted((ROOT / "docs/specification").glob("*.md"))
    if path.name != "README.md"
}
# Those about messages; streams are made of segments, links carry anything, and both have tests of their own.
OF_MESSAGES: Final = {
    name: text for name, text in SPECIFICATION.items() if name not in ("links.md", "sealed-datagrams.md", "streams.md")
}
MARKET: Final = SPECIFICATION["market.md"]
TRADE: Final = SPECIFICATION["trade.md"]
INDEX: Final = SPECIFICATION["index-server.md"]
FILES: Final = SPECIFICATION["files.md"]
SUPERPEER: Final = SPECIFICATION["superpeer.md"]
RING: Final = SPECIFICATION["ring.md"]

Table = list[dict[str, str]]


class PageTests(SynchronousTestCase):
    """Tests of a page, which name the page and what it lacks when it is not as it should be."""

    def assert_says(self, text: Text, *sentences: str) -> None:
        """See that a text has some sentences; how it breaks its lines does not matter."""
        flattened = flat(text)
        if lacking := [sentence for sentence in sentences if sentence not in flattened]:
            self.fail(f"{text.where} lacks: {_listed(lacking)}")

    def assert_lists(self, where: Text | str, said: Collection[str], true: Collection[str]) -> None:
        """See that a page names all that there is, and nothing else."""
        self.assert_tells(where, dict.fromkeys(said, ""), dict.fromkeys(true, ""))

    def assert_tells(self, where: Text | str, said: Mapping[str, object], true: Mapping[str, object]) -> None:
        """See that a page tells of all that there is what is true of it, and of nothing else."""
        faults = []
        if lacking := [name for name in true if name not in said]:
            faults.append(f"lacks: {_listed(lacking)}")
        if idle := [name for name in said if name not in true]:
            faults.append(f"has what there is not: {_listed(idle)}")
        faults += [
            f"says of {name}: {said[name]!r}; true is {true[name]!r}"
            for name in true
            if name in said and said[name] != true[name]
        ]
        if faults:
            self.fail("; ".join(f"{where.where if isinstance(where, Text) else where} {fault}" for fault in faults))


def section(page: Text, title: str) -> Text:
    """What stands under a heading, without what stands under smaller headings in it."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
    assert found is not None, f"{page.where} has no section {title!r}"
    return Text.of(found[1], f"{page.where}, {title!r},")


def tables(text: str) -> list[Table]:
    """The tables of a text, each a list of rows by column title."""
    result = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines())
        result.append([dict(zip(head, row, strict=True)) for row in rows])
    return result


def table_with(text: Text, *columns: str) -> Table:
    """The only table of a text that begins with these columns, or the only one it has if none are named."""
    found = [table for table in tables(text) if table and tuple(table[0])[: len(columns)] == columns]
    assert len(found) == 1, f"{text.where} has {len(found)} tables {columns}, not one"
    return found[0]


def blocks(text: str, kind: str) -> list[str]:
    """The blocks of one kind in a text."""
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def word(cell: str) -> str:
    """A cell without the marks of code."""
    return cell.strip("`")


def words(cell: str) -> list[str]:
    """What is marked as code in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def flat(text: str) -> str:
    """A text without its line breaks."""
    return " ".join(text.split())


def _listed(names: Collection[str]) -> str:
    return ", ".join(repr(name) for name in names)


def dialogue(page: str) -> Iterator[tuple[str, str, bytes]]:
    """The frames of a page's dialogues: who says it, to whom, and the bytes. What is binary stands there in hex."""
    for block in blocks(page, "wire"):
        for line in block.splitlines():
            said = re.fullmatch(r"(\w+) -> (\w+) (.*)", line)
            assert said is not None, f"not a line of a dialogue: {line!r}"
            binary = re.fullmatch(r"(\d+):<([0-9a-f ]+)>,", said[3])
            frame = said[3].encode() if binary is None else b"%b:%b," % (binary[1].encode(), bytes.fromhex(binary[2]))
            yield said[1], said[2], frame


def datagrams(page: str) -> Iterator[tuple[str, str, bytes]]:
    """The datagrams of a page's dialogues: who sends it, to whom, and the bytes."""
    for block in blocks(page, "datagrams"):
        for line in block.splitlines():
            said = re.fullmatch(r"(\w+) -> (\w+) (\{.*\})", line)
            assert said is not None, f"not a line of a dialogue: {line!r}"
            yield said[1], said[2], said[3].encode()
