"""The counters of a super peer as lines of C{bazaar status}, in the words of its page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

# Each figure once: what it says of the lists, of the searches of its own weak peers, and of those of others.
_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "listed by weak peers": {"files": "files", "entries": "entries", "goods": "goods", "words": "words"},
    "for its weak peers": {
        "searches": "searches",
        "asked": "queries sent to neighbours",
        "hits": "hits told",
        "hits_late": "hits too late",
        "refused": "searches refused",
        "turned_away": "weak peers turned away",
    },
    "for other super peers": {
        "answered": "searches answered",
        "repeated": "searches seen before",
        "forwarded": "queries passed on",
        "hits_forwarded": "hits passed back",
        "hits_dropped": "hits without a way back",
    },
}


def format_super_peer(told: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a super peer in C{bazaar status}; what this version does not know comes last, as it is called."""
    left = {what: figure for what, figure in told.items() if what != "leading"}
    neighbours = left.pop("neighbours", None)
    most = f" of {left.pop('most')}" if "most" in left else ""
    yield f"weak peers: {left.pop('leaves', 0)}{most}"
    if isinstance(neighbours, list):
        yield f"neighbours: {', '.join(map(str, neighbours)) or 'none'}"
    for title, words in _WORDS.items():
        figures = [f"{word} {left.pop(what)}" for what, word in words.items() if what in left]
        if figures:
            yield f"{title}: {', '.join(figures)}"
    yield from (f"{what}: {figure}" for what, figure in left.items())
