"""Pagination of search results, and the order in which they stand. Sans-IO.

An exact name comes first, then what more have, then by name. The list of everything is by name alone. A page says
where it ends, and the next one goes on with what stands after that; so what does not change meanwhile stands on
exactly one of them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from twisted_bazaar.discovery.index.messages import MOST_ENTRY_BYTES
from twisted_bazaar.discovery.index.words import folded
from twisted_bazaar.errors import UNREADABLE, PeerError
from twisted_bazaar.values.files import FileQuery, FoundFile, Page

Rank = tuple[bool, int, str, str, int]
"""By what files are ordered: not exact, the number of sources turned round, name, digest, size."""

# What an entry takes on the wire besides its name.
_ENTRY_BYTES: Final = 190
_read_rank: Final = msgspec.json.Decoder(Rank).decode


def is_list_of_all(query: FileQuery) -> bool:
    """Whether all files are asked for."""
    return (query.name, query.words, query.digest, query.owner) == (None, None, None, None)


def rank_of(file: FoundFile, query: FileQuery) -> Rank:
    """The rank of a file, by which results are ordered."""
    if is_list_of_all(query):
        return False, 0, file.name, file.digest, file.size
    is_exact = query.words is None or folded(file.name) == folded(query.words)
    return not is_exact, -file.sources, file.name, file.digest, file.size


def write_cursor(rank: Rank) -> str:
    """The end of a page as text, which the asker sends back to get the next one."""
    return base64.urlsafe_b64encode(msgspec.json.encode(rank)).decode("ascii")


def read_cursor(text: str) -> Rank:
    """The rank at which a page ended, from its text.

    @raise PeerError: it is no page's end.
    """
    try:
        rank: Rank = _read_rank(base64.b64decode(text, altchars=b"-_", validate=True))
        return rank
    except UNREADABLE:
        raise PeerError("after: not the `next` of a page") from None


class PageMaker:
    """Takes what was found in any order, and keeps what comes first.

    @param query: what was asked.
    @ivar after: where the page before ended.
    @ivar total: how many have been found.
    @raise PeerError: C{after} of the query is no page's end.
    """

    def __init__(self, query: FileQuery) -> None:
        self._query = query
        # However many are asked for, no more fit into a message: what is kept meanwhile is to be no more than that.
        self._most = min(query.most, MOST_ENTRY_BYTES // _ENTRY_BYTES + 1)
        self._is_list = is_list_of_all(query)
        self._exact = None if query.words is None else folded(query.words)
        self.after: Rank | None = None if query.after is None else read_cursor(query.after)
        self._first: list[tuple[Rank, FoundFile]] = []
        self._last: Rank | None = None
        self.total: int = 0

    @property
    def is_full(self) -> bool:
        """Whether what has been added is more than fits."""
        return len(self._first) > self._most

    def has_room_for(self, name: str, sources: int) -> bool:
        """Count something that was found; returns whether it may stand on this page."""
        self.total += 1
        if self._last is None or self._is_list:
            return True
        exact = self._exact
        # Folded, a name in ASCII is as long as before: most names are looked at no more closely.
        is_exact = exact is None or ((len(name) == len(exact) or not name.isascii()) and folded(name) == exact)
        is_inexact, last, last_name, _, _ = self._last
        if is_exact is is_inexact:
            return is_exact
        return (-sources, name) <= (last, last_name)

    def add(self, file: FoundFile) -> None:
        """Take something that there is room for."""
        rank = rank_of(file, self._query)
        if (self.after is None or rank > self.after) and (self._last is None or rank < self._last):
            self._first.append((rank, file))
            if len(self._first) > 2 * self._most + 100:
                self._tidy()

    def page(self) -> Page:
        """The page."""
        self._tidy()
        return page_of(self._first, self._query, self.total)

    def _tidy(self) -> None:
        self._first.sort(key=lambda ranked: ranked[0])
        del self._first[self._most + 1 :]
        if len(self._first) > self._most:
            self._last = self._first[-1][0]


def page_of_found(having: Mapping[tuple[str, int, str], Mapping[str, bool]], query: FileQuery) -> Page:
    """A page of what several have told of.

    @param having: by name, size and digest who has a file, and whether the whole of it.
    @raise PeerError: what it is to go on after was no page's end.
    """
    maker = PageMaker(query)
    for (name, size, digest), owners in having.items():
        wholes = sum(owners.values())
        if maker.has_room_for(name, wholes):
            maker.add(FoundFile(name, size, digest, wholes, len(owners) - wholes))
    return maker.page()


def page_of(ranked: Iterable[tuple[Rank, FoundFile]], query: FileQuery, total: int) -> Page:
    """A page that fits into a message.

    @param ranked: what is to stand on it, in order; one more than fits tells that there are more.
    """
    files: list[FoundFile] = []
    size = 0
    last: Rank | None = None
    for rank, file in ranked:
        size += _ENTRY_BYTES + len(file.name.encode()) + file.name.count('"')
        if len(files) == query.most or size > MOST_ENTRY_BYTES:
            return Page(files, total, None if last is None else write_cursor(last))
        files.append(file)
        last = rank
    return Page(files, total)
