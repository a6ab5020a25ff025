"""The pages under docs/, read for tests: their sections, tables, blocks and dialogues."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SPECIFICATION: Final = {
    path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs/specification").glob("*.md"))
}
# Those about messages; streams are made of segments, and have tests of their own.
OF_MESSAGES: Final = {name: text for name, text in SPECIFICATION.items() if name != "streams.md"}
MARKET: Final = SPECIFICATION["market.md"]
TRADE: Final = SPECIFICATION["trade.md"]
INDEX: Final = SPECIFICATION["index.md"]
FILES: Final = SPECIFICATION["files.md"]
SUPERPEER: Final = SPECIFICATION["superpeer.md"]
RING: Final = SPECIFICATION["ring.md"]

Table = list[dict[str, str]]


def section(page: str, title: str) -> str:
    """What stands under a heading, without what stands under smaller headings in it."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
    assert found is not None, f"there is no section {title!r}"
    return found[1]


def tables(text: str) -> list[Table]:
    """The tables of a text, each a list of rows by column title."""
    result = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines())
        result.append([dict(zip(head, row, strict=True)) for row in rows])
    return result


def table_with(text: str, *columns: str) -> Table:
    """The only table of a text that begins with these columns."""
    [found] = (table for table in tables(text) if tuple(table[0])[: len(columns)] == columns)
    return found


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
