"""Schema migrations: numbered C{.sql} files, each of which brings what is kept from one form to the next.

A folder holds the forms of one kind: C{1.sql} makes an empty one, C{2.sql} changes what the first made, and so on. A
file that has been released is never changed again: there is something that was made by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources.abc import Traversable


def read_steps(folder: Traversable) -> Sequence[str]:
    """The changes that lead to the newest form, the first first.

    @raise ValueError: a number is missing.
    """
    texts = {
        int(file.name.removesuffix(".sql")): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    }
    if sorted(texts) != list(range(1, len(texts) + 1)):
        raise ValueError(f"{folder}: forms are numbered from 1 without a gap, not {sorted(texts)}")
    return [texts[number] for number in sorted(texts)]
