"""Bugs as values: what is changed in the package, and the tests that have to see it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from attrs import frozen

PACKAGE: Final = "twisted_bazaar"


class Moved(Exception):
    """What a bug replaces does not stand in its file as it should."""


@frozen
class Change:
    """One place of the package, and what stands there when the bug is planted.

    @ivar file: its path in the package.
    @ivar right: what stands there, exactly once in the file; as short as is clear.
    @ivar wrong: what takes its place.
    """

    file: str
    right: str
    wrong: str

    def applied_to(self, text: str) -> str:
        """The content of the file with the bug in it.

        @raise Moved: what is to be replaced is not there, or more than once.
        """
        count = text.count(self.right)
        if count != 1:
            raise Moved(f"{PACKAGE}/{self.file}: {self.right!r} stands there {count} times, not once")
        return text.replace(self.right, self.wrong)


@frozen
class Bug:
    """A bug that some tests catch.

    @ivar words: what it is, as C{docs/promises.md} says it.
    @ivar tests: files or single tests, as pytest names them below C{tests/}.
    @ivar changes: how it is planted; none if the tests plant it themselves, and pass when they have caught it.
    """

    words: str
    tests: tuple[str, ...]
    changes: tuple[Change, ...] = ()

    def texts(self, root: Path) -> dict[Path, str]:
        """The files that it changes in a tree, as they are with it.

        @raise Moved: there is no place for it any more.
        """
        texts: dict[Path, str] = {}
        for change in self.changes:
            path = root / PACKAGE / change.file
            try:
                text = texts.get(path) or path.read_text(encoding="utf-8")
            except FileNotFoundError:
                raise Moved(f"there is no {PACKAGE}/{change.file}") from None
            texts[path] = change.applied_to(text)
        return texts


def bug(words: str, tests: str, *changes: tuple[str, str, str]) -> Bug:
    """A bug, in few words.

    @param tests: with spaces between them.
    @param changes: for each place its file, what is right, and what is wrong.
    """
    return Bug(words, tuple(tests.split()), tuple(Change(*change) for change in changes))


def is_of(name: str, tests: Iterable[str]) -> bool:
    """Whether a test is one of these, or in one of these files."""
    return any(re.match(rf"tests/{re.escape(test)}($|/|::|\[)", name) for test in tests)
