"""All bugs, by the number of the promise that they break."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tests.planted import files, links, network, strangers, trade
from tests.planted.bug import Bug

BUGS: Final[Mapping[int, Sequence[Bug]]] = {
    **trade.BUGS,
    **network.BUGS,
    **files.BUGS,
    **strangers.BUGS,
    **links.BUGS,
}


def chosen(only: str) -> Iterator[tuple[int, Bug]]:
    """Some bugs, each with its promise.

    @param only: the number of a promise, or what the words of a bug or its tests contain; empty for all.
    """
    for promise, bugs in BUGS.items():
        for each in bugs:
            told = f"{each.words} {' '.join(each.tests)}"
            if int(only) == promise if only.isdigit() else only in told:
                yield promise, each
