"""Help on options: in groups, what matters first, as wide as the terminal. Sans-IO."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from twisted_bazaar.settings.option import Option

_INDENT: Final = 2
_WIDEST_WORDS: Final = 26
_LEAST_TEXT: Final = 24
_OTHERS: Final = "Options"

Entry = tuple[str, str]
"""An option as it is typed, and what it does."""


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


def told_groups(groups: Mapping[str, Sequence[Entry]], width: int) -> Iterator[str]:
    """Lines of help, no wider than a terminal.

    @param groups: what to tell, by heading.
    @param width: columns.
    """
    for heading, entries in groups.items():
        yield f"{heading}:"
        for words, text in entries:
            yield from _told(words, text, width)
        yield ""


def _told(words: str, text: str, width: int) -> Iterator[str]:
    """One entry: the text beside the words, or below them where there is no room."""
    column = _INDENT + _WIDEST_WORDS + 2
    if width - column < _LEAST_TEXT:
        column = 2 * _INDENT
    lines = textwrap.wrap(text, width - column, break_long_words=True, break_on_hyphens=False)
    start = " " * _INDENT + words
    if len(start) + 2 <= column and lines:
        yield f"{start:{column}}{lines.pop(0)}"
    else:
        yield start
    yield from (" " * column + line for line in lines)
