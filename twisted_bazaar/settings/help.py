"""Help on options: in groups, what matters first, as wide as the terminal. Sans-IO."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from twisted_bazaar.exit_status import Ending
from twisted_bazaar.settings.option import Option

_INDENT: Final = 2
_WIDEST_WORDS: Final = 26
_LEAST_TEXT: Final = 24
_OTHERS: Final = "Options"
_ENDINGS: Final = "Exit status"
_WIDEST_STATUS: Final = 3
_CONTINUES: Final = " \\"
# A word, or an option with what it takes; what stands in quotes is one word.
_WORD: Final = re.compile(r"""(?:--?[\w-]+ (?!-))?(?:"[^"]*"|'[^']*'|\S)+""")

Entry = tuple[str, str]
"""What is typed, and what it does: an option, or a command; or a number, and what it says."""


def entry_of(option: Option) -> Entry:
    """An option as help shows it."""
    short = f"-{option.short}, " if option.short else ""
    metavar = f" {option.metavar}" if option.metavar else ""
    return f"{short}--{option.name}{metavar}", option.described


def grouped(options: Iterable[Option]) -> Mapping[str, Sequence[Option]]:
    """Options by the headings of their groups; both in the order in which they come."""
    groups: dict[str, list[Option]] = {}
    for option in options:
        groups.setdefault(option.group or _OTHERS, []).append(option)
    return groups


def format_groups(
    groups: Mapping[str, Sequence[Entry]], width: int, widest_words: int = _WIDEST_WORDS
) -> Iterator[str]:
    """Lines of help, no wider than a terminal.

    @param groups: what to tell, by heading.
    @param width: columns.
    @param widest_words: how many columns there are for what is typed; a text stands below what is longer.
    """
    for heading, entries in groups.items():
        yield f"{heading}:"
        for words, text in entries:
            yield from _told(words, text, width, widest_words)
        yield ""


def format_endings(endings: Sequence[Ending], width: int) -> Iterator[str]:
    """Lines of help about exit statuses: none if there are no endings.

    @param width: columns.
    """
    if endings:
        in_order = sorted(endings, key=lambda ending: ending.status)
        entries = [(str(ending.status), ending.meaning) for ending in in_order]
        yield from format_groups({_ENDINGS: entries}, width, _WIDEST_STATUS)


def format_examples(examples: Sequence[str], width: int) -> Iterator[str]:
    """Lines of help with command lines that can be copied: none if there are no examples.

    @param width: columns; what is longer goes on below, as a shell takes it.
    """
    if examples:
        yield "Example:" if len(examples) == 1 else "Examples:"
        for example in examples:
            yield from continued(example, width)
        yield ""


def continued(example: str, width: int, indent: int = _INDENT) -> Iterator[str]:
    """A command line in lines that a shell takes for one; what stands in quotes stays together.

    @param width: columns.
    @param indent: how far the first of them stands to the right; the others stand farther.
    """
    line = " " * indent + example
    if len(line) > width:
        first, *words = _WORD.findall(example)
        line = " " * indent + first
        for word in words:
            if len(f"{line} {word}{_CONTINUES}") > width:
                yield line + _CONTINUES
                line = " " * (indent + _INDENT) + word
            else:
                line += f" {word}"
    yield line


def _told(words: str, text: str, width: int, widest_words: int) -> Iterator[str]:
    """One entry: the text beside the words, or below them where there is no room."""
    column = _INDENT + widest_words + 2
    if width - column < _LEAST_TEXT:
        column = 2 * _INDENT
    lines = textwrap.wrap(text, width - column, break_long_words=True, break_on_hyphens=False)
    start = " " * _INDENT + words
    if len(start) + 2 <= column and lines:
        yield f"{start:{column}}{lines.pop(0)}"
    else:
        yield start
    yield from (" " * column + line for line in lines)
