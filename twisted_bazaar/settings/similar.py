"""Names that somebody may have meant who wrote another, and the question whether they were. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final

_MOST: Final = 2
_CLOSE: Final = 0.65


def similar_to(word: str, names: Iterable[str]) -> Sequence[str]:
    """The names that are close to a word, the closest first, in whatever case and with C{_} for C{-}."""
    return get_close_matches(word.lower().replace("_", "-"), sorted(names), _MOST, _CLOSE)


def did_you_mean(word: str, names: Iterable[str], shown: str = "{}") -> str:
    """The end of a sentence about a word that is not known: whether those close to it are meant; empty if none is.

    @param shown: how each is written, such as C{--{}}.
    """
    return asking_for(similar_to(word, names), shown)


def asking_for(meant: Sequence[str], shown: str = "{}") -> str:
    """The same, where it is known what may be meant."""
    return f"; did you mean {' or '.join(map(shown.format, meant))}?" if meant else ""
