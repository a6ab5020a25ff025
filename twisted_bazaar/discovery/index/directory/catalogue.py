"""The catalogue of an index server: titles, which are contents under names, and the ways to look them up. Sans-IO.

By name and by content they are found at once. To enter one into the words and the order of names takes longer, and is
done by L{Catalogue.index_some}.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Final

import msgspec
from sortedcontainers import SortedList

from twisted_bazaar.discovery.index.directory.weights import LEAST_FILE_BYTES
from twisted_bazaar.discovery.index.multimap import Multimap
from twisted_bazaar.discovery.index.words import WordIndex, is_fitting, question_of
from twisted_bazaar.values.files import FileQuery

# The order of names may change while somebody goes along it: so many are taken from it at once.
_STRIDE: Final = 500
# There may be millions of names and contents.
_PARTS: Final = 64


class Title(msgspec.Struct, eq=False, gc=False):
    """One content under one name.

    There may be millions, so it is as small as can be, and the search for garbage passes it by.

    @ivar digest: SHA-256 over the content.
    @ivar holders: who has it, as the codes of L{twisted_bazaar.discovery.index.directory.leases}: one, or a set of
        several.
    @ivar weight: what each of these is charged for it, in bytes.
    """

    name: str
    size: int
    digest: bytes
    holders: int | set[int]
    weight: int
    is_entered: bool = False


class Catalogue:
    """All titles that somebody has."""

    def __init__(self) -> None:
        self._by_name: Multimap[str, Title] = Multimap(_PARTS)
        self._by_digest: Multimap[bytes, Title] = Multimap(_PARTS)
        self._words: WordIndex[Title] = WordIndex(lambda title: title.name)
        self._names: SortedList[str] = SortedList()
        self._to_enter: dict[Title, None] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def words(self) -> int:
        """The number of words in the names of all titles."""
        return len(self._words)

    @property
    def unindexed_count(self) -> int:
        """The number of titles that are not entered into words and order."""
        return len(self._to_enter)

    def add_holder(self, name: str, size: int, digest: bytes, code: int, weight: int) -> Title:
        """Somebody has a content under a name; returns the title for it, which may be a new one.

        @param weight: see L{twisted_bazaar.discovery.index.directory.weights.weight_of_file}.
        """
        if name in self._by_name:
            for title in self._alike(name, digest):
                if title.digest == digest and title.name == name and title.size == size:
                    _add_holder(title, code)
                    return title
        title = Title(name, size, digest, code, weight)
        self._by_name.add(name, title)
        self._by_digest.add(digest, title)
        self._to_enter[title] = None
        self._count += 1
        return title

    def remove_holder(self, title: Title, code: int) -> None:
        """Somebody has it no more, if it had. What nobody has is no title any more."""
        holders = title.holders
        if isinstance(holders, set):
            holders.discard(code)
            if len(holders) == 1:
                [title.holders] = holders
            return
        if holders != code:
            return
        title.holders = set()
        self._count -= 1
        is_last_name = self._by_name.discard(title.name, title)
        self._by_digest.discard(title.digest, title)
        if title.is_entered:
            self._words.discard(title)
        else:
            del self._to_enter[title]
        if is_last_name:
            self._names.discard(title.name)

    def index_some(self, most_bytes: int) -> int:
        """Enter titles into the words and the order of names, at least one; returns what they weigh."""
        entered_bytes = 0
        for title in list(islice(self._to_enter, most_bytes // LEAST_FILE_BYTES + 1)):
            if entered_bytes >= most_bytes:
                break
            entered_bytes += title.weight
            del self._to_enter[title]
            if title.name not in self._names:
                self._names.add(title.name)
            title.is_entered = True
            self._words.add(title)
        return entered_bytes

    def titles_named(self, name: str) -> Collection[Title]:
        """Those with a name."""
        return self._by_name.under(name)

    def titles_of(self, digest: bytes) -> Collection[Title]:
        """Those of a content."""
        return self._by_digest.under(digest)

    def having(self, words: str) -> Iterator[Title | None]:
        """Those with words; see L{WordIndex.find}."""
        return self._words.find(words)

    def in_order(self, first: str = "") -> Iterator[Title]:
        """Those with names from one on, in the order of their names; they may change meanwhile."""
        is_first = True
        while True:
            names = list(islice(self._names.irange(first, inclusive=(is_first, True)), _STRIDE))
            if not names:
                return
            for name in names:
                yield from sorted(self.titles_named(name), key=lambda title: (title.digest, title.size))
            first, is_first = names[-1], False

    def beginning_with(self, digest: str) -> Iterator[Title | None]:
        """Those whose digests begin in a certain way; for each other one None. They may change meanwhile."""
        beginning = bytes.fromhex(digest[: len(digest) & ~1])
        for title in self.in_order():
            yield title if title.digest.startswith(beginning) else None

    def _alike(self, name: str, digest: bytes) -> Collection[Title]:
        """Titles of a name that may be of a content: without looking at thousands of one name, or of one content."""
        named = self._by_name.under(name)
        if not isinstance(named, dict):
            return named
        contents = self._by_digest.under(digest)
        return named.keys() & contents.keys() if isinstance(contents, dict) else contents


def _add_holder(title: Title, code: int) -> None:
    holders = title.holders
    if isinstance(holders, set):
        holders.add(code)
    elif holders != code:
        title.holders = {holders, code}


def codes_of(title: Title) -> Sequence[int]:
    """The holders of a title, as it is now."""
    holders = title.holders
    return tuple(holders) if isinstance(holders, set) else (holders,)


def is_meant(title: Title, query: FileQuery) -> bool:
    """Whether a title that fits one part of a question fits the others."""
    if query.name not in (None, title.name):
        return False
    if query.digest is not None and not title.digest.hex().startswith(query.digest):
        return False
    if query.words is None or (query.name, query.digest, query.owner) == (None, None, None):
        return True
    whole, beginning = question_of(query.words)
    return bool(beginning) and is_fitting(title.name, whole, beginning)
