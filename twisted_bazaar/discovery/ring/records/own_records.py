"""The records of a node's own files and goods, by which it is found in a ring. Sans-IO.

Files under a word stand on pages. A file that has a place on one keeps it, so that little has to be written anew when
files come and go.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final

from twisted_bazaar.discovery.ring.records.records import (
    MOST_PAGES,
    ROOM_ON_PAGE,
    RecordKey,
    provider_key,
    seller_key,
    size_on_page,
    word_key,
    words_for,
    write_page,
    write_provided,
)
from twisted_bazaar.values.files import SharedFile

# What a file with a usual name takes on a page.
_USUAL_BYTES: Final = 120


class OwnRecords:
    """The records that one node is to have in the ring.

    @param bazaar: in which it sells.
    """

    def __init__(self, bazaar: str) -> None:
        self._bazaar = bazaar
        self._files: dict[str, SharedFile] = {}
        # One content may go by several names: by digest, the names.
        self._named: dict[str, dict[str, None]] = {}
        self._words: dict[str, _Pages] = {}
        self._items: frozenset[RecordKey] = frozenset()
        # How many records there are of files.
        self._count = 0

    def __len__(self) -> int:
        return len(self._named) + self._count + len(self._items)

    def change_files(self, added: Sequence[SharedFile], removed: Sequence[str]) -> set[RecordKey]:
        """Note files that there are, and names of some that there are no more; returns the records that change."""
        changed = set[RecordKey]()
        for name in removed:
            changed |= self._remove(name)
        for file in added:
            if self._files.get(file.name) != file:
                changed |= self._remove(file.name) | self._add(file)
        return changed

    def set_items(self, items: Sequence[str]) -> set[RecordKey]:
        """Say what all the goods are; returns the records that change."""
        before, self._items = self._items, frozenset(seller_key(self._bazaar, item) for item in items)
        return set(before ^ self._items)

    def value_of(self, key: RecordKey) -> bytes | None:
        """What is to stand under a key; None for nothing."""
        name = key[1]
        if key in self._items:
            return b""
        if key == provider_key(name):
            names = self._named.get(name)
            if not names:
                return None
            files = [self._files[each] for each in names]
            return write_provided(max(files, key=lambda file: file.is_whole))
        word, _, number = name.partition(" ")
        pages = self._words.get(word)
        if pages is None or key != word_key(word, int(number)):
            return None
        return pages.value_of(int(number))

    def __iter__(self) -> Iterator[RecordKey]:
        yield from self._items
        yield from map(provider_key, self._named)
        for word, pages in self._words.items():
            yield from (word_key(word, number) for number in range(len(pages)))

    def _add(self, file: SharedFile) -> set[RecordKey]:
        self._files[file.name] = file
        self._named.setdefault(file.digest, {})[file.name] = None
        changed = {provider_key(file.digest)}
        for word in words_for(file.name):
            pages = self._words.setdefault(word, _Pages())
            self._count -= len(pages)
            changed.update(word_key(word, number) for number in pages.add(file))
            self._count += len(pages)
        return changed

    def _remove(self, name: str) -> set[RecordKey]:
        file = self._files.pop(name, None)
        if file is None:
            return set()
        names = self._named[file.digest]
        del names[name]
        if not names:
            del self._named[file.digest]
        changed = {provider_key(file.digest)}
        for word in words_for(name):
            pages = self._words[word]
            self._count -= len(pages)
            changed.update(word_key(word, number) for number in pages.remove(name))
            self._count += len(pages)
            if not len(pages):
                del self._words[word]
        return changed


class _Pages:
    """The files of one word. The last pages are never empty, and some before them may be."""

    def __init__(self) -> None:
        self._pages: list[dict[str, SharedFile]] = []
        self._sizes: list[int] = []
        self._where: dict[str, int] = {}
        # For which there is no room on as many pages as there may be.
        self._left_out: OrderedDict[str, SharedFile] = OrderedDict()
        # Before the first with room there is none worth looking at.
        self._first_with_room = 0

    def __len__(self) -> int:
        return len(self._pages)

    def value_of(self, number: int) -> bytes | None:
        """What stands on a page; None if there is none."""
        if number >= len(self._pages):
            return None
        return write_page(self._pages[number].values(), 1 if number else len(self._pages))

    def add(self, file: SharedFile) -> set[int]:
        """Put a file on a page; returns the numbers of those that change."""
        size = size_on_page(file)
        before = len(self._pages)
        for number in range(self._first_with_room, MOST_PAGES):
            if number == len(self._pages):
                self._pages.append({})
                self._sizes.append(0)
            if self._sizes[number] + size <= ROOM_ON_PAGE:
                self._pages[number][file.name] = file
                self._sizes[number] += size
                self._where[file.name] = number
                return {number} if len(self._pages) == before else {0, number}
            if number == self._first_with_room and self._sizes[number] + _USUAL_BYTES > ROOM_ON_PAGE:
                self._first_with_room = number + 1
        self._left_out[file.name] = file
        return set()

    def remove(self, name: str) -> set[int]:
        """Take a file from its page; returns the numbers of those that change, and of those that go."""
        if self._left_out.pop(name, None) is not None:
            return set()
        number = self._where.pop(name)
        file = self._pages[number].pop(name)
        self._sizes[number] -= size_on_page(file)
        self._first_with_room = min(self._first_with_room, number)
        changed = {number}
        if self._left_out:
            _, other = self._left_out.popitem(last=False)
            changed |= self.add(other)
        before = len(self._pages)
        while self._pages and not self._pages[-1]:
            self._pages.pop()
            self._sizes.pop()
            changed.add(len(self._pages))
        self._first_with_room = min(self._first_with_room, len(self._pages))
        return changed if len(self._pages) == before else {0, *changed}
