"""Glob patterns for names of files: which names match, and by which words those are looked for. Sans-IO."""

from __future__ import annotations

import re
import unicodedata
from fnmatch import fnmatchcase
from typing import Final

from twisted_bazaar.discovery.index.words import words_of

_WILD: Final = "*?["
_WILDCARD: Final = re.compile(r"\*|\?|\[[^\]]*\]")
_WORD: Final = re.compile(r"[^\W_]+")
# Not a letter or digit, and in no name.
_CUT: Final = "\0"


def is_pattern(text: str) -> bool:
    """Whether a text can stand for several names. It may be the name of one all the same."""
    return any(each in text for each in _WILD)


def is_matching(name: str, pattern: str) -> bool:
    """Whether a name matches a pattern, as in a shell: with regard to case, dots like all else."""
    return fnmatchcase(unicodedata.normalize("NFC", name), unicodedata.normalize("NFC", pattern))


def words_of_pattern(pattern: str) -> str:
    """Words that all names that match have; the last may be the beginning of one. Empty if none are known.

    A word that a wildcard touches is not known whole: that at its end leaves its beginning, that before it nothing.
    """
    whole: list[str] = []
    beginnings: list[str] = []
    text = _WILDCARD.sub(_CUT, pattern)
    for token in _WORD.finditer(text):
        *first, last = words_of(token.group()) or [""]
        is_begun_before = text[: token.start()].endswith(_CUT)
        is_cut_after = text[token.end() :].startswith(_CUT)
        if not is_begun_before and last:
            whole += first if is_cut_after else [*first, last]
            beginnings += [last] if is_cut_after else []
    # Only the last of a question may be a beginning; the longest tells most.
    return " ".join([*whole, *sorted(beginnings, key=len)[-1:]])
