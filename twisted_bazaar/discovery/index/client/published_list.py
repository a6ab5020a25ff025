"""The published list of a peer, compared with what its index server has, to send the difference. Sans-IO.

Changes go out in parts. Each says by a mark what it builds on and what comes of it. A server tells the mark of what
it has: if that is one of this list's, only what is missing goes out, and else everything.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final

from attrs import frozen

from twisted_bazaar.discovery.index.messages import (
    MOST_ENTRY_BYTES,
    MOST_IN_UPDATE,
    NOTHING_LISTED,
    File,
    Listed,
    Update,
)
from twisted_bazaar.values.files import SharedFile
from twisted_bazaar.wire.files import check_file_name
from twisted_bazaar.wire.goods import check_item_name
from twisted_bazaar.wire.message import LARGEST_INTEGER

# What an entry takes on the wire besides its name.
_ENTRY_BYTES: Final = 150
# So many entries are looked at in one go; more would be felt.
_MOST_LOOKED_AT: Final = 10_000
_MOST_NEWS: Final = 200_000
_ITEM: Final = True
_FILE: Final = False

Entry = tuple[bool, str]
"""Whether it is goods, and its name."""


@frozen
class _Sent:
    """A part that is under way."""

    update: Update
    entries: Sequence[Entry]


class PublishedList:
    """The list that one peer lets others find.

    @param bazaar: the one in which its goods are sold.
    @ivar mark: of the list that the server is known to have; 0 while that is none of this peer's.
    """

    def __init__(self, rng: random.Random, bazaar: str) -> None:
        self._rng = rng
        self._bazaar = bazaar
        self.mark: int = NOTHING_LISTED
        # Names, and what is there now, that have not been looked at.
        self._news: deque[tuple[str, SharedFile | None]] = deque()
        self._files: dict[str, SharedFile] = {}
        self._items: dict[str, None] = {}
        # In the order in which they have changed.
        self._changed: dict[Entry, None] = {}
        # What the server may have, and what it has no room for.
        self._told: set[Entry] = set()
        self._beyond: dict[Entry, None] = {}
        self._most = LARGEST_INTEGER
        self._sent: deque[_Sent] = deque()
        self._is_to_begin_anew = False
        # The last part that had been sent when the server was last asked what it has.
        self._last_before_question: int | None = None

    @property
    def left_out_count(self) -> int:
        """The number of entries for which the server has no room."""
        return len(self._beyond)

    @property
    def in_flight(self) -> int:
        """The number of parts that have been sent and not been answered."""
        return len(self._sent)

    @property
    def has_more(self) -> bool:
        """Whether there is more to tell than has been sent."""
        return self._is_to_begin_anew or bool(self._changed or self._news)

    def change_files(self, added: Iterable[SharedFile], removed: Iterable[str]) -> None:
        """Put files on the list, and take others off; what no message can carry is left out."""
        self._news.extend((name, None) for name in removed)
        self._news.extend((file.name, file) for file in added)
        if len(self._news) > _MOST_NEWS:
            # Nobody is told, so nobody asks what is next.
            self._take_news()

    def set_items(self, items: Iterable[str]) -> None:
        """Say what all the goods on the list are."""
        now = {item: None for item in items if _can_be_said(check_item_name, item)}
        self._changed.update(
            ((_ITEM, item), None) for item in (*self._items, *now) if (item in self._items) != (item in now)
        )
        self._items = now

    def next_update(self, message_id: int) -> Update | None:
        """The next part to send; None if there is none, or if it takes more time to find it: see C{has_more}."""
        self._take_news()
        entries = self._next_entries()
        if not entries and not self._is_to_begin_anew:
            return None
        self._is_to_begin_anew = False
        files = [name for is_item, name in entries if not is_item]
        items = [name for is_item, name in entries if is_item]
        listed = [self._files[name] for name in files if name in self._files]
        update = Update(
            id=message_id,
            base=self._sent[-1].update.mark if self._sent else self.mark,
            mark=self._rng.randint(NOTHING_LISTED + 1, LARGEST_INTEGER),
            add=tuple(File(name=f.name, size=f.size, digest=f.digest, whole=f.is_whole) for f in listed),
            remove=tuple(name for name in files if name not in self._files),
            offer=tuple(item for item in items if item in self._items),
            withdraw=tuple(item for item in items if item not in self._items),
            bazaar=self._bazaar,
        )
        self._sent.append(_Sent(update, entries))
        return update

    def update_answered(self, answer: Listed) -> bool:
        """A part has been answered by what the server has now; returns whether everything has to be told again."""
        if all(sent.update.id != answer.id for sent in self._sent):
            # It was taken back meanwhile: what the server had then says nothing of what was sent since.
            return False
        if not self._confirm(answer):
            return True
        if any(sent.update.id == answer.id for sent in self._sent):
            # It was not taken, and so nothing that builds on it.
            self._take_back()
        return False

    def state_asked(self) -> None:
        """The server is asked what it has."""
        self._last_before_question = self._sent[-1].update.id if self._sent else None

    def state_answered(self, answer: Listed) -> bool:
        """The server has answered what it has; returns whether everything has to be told again.

        It does one thing after the other, so what it was sent before the question it will never answer now.
        """
        if not self._confirm(answer):
            return True
        if any(sent.update.id == self._last_before_question for sent in self._sent):
            self._take_back()
        return False

    def resume(self, answer: Listed) -> None:
        """The server says over a new link what it has; what was under way on the old one is there, or it is not."""
        self._confirm(answer)
        self._take_back()

    def update_refused(self, message_id: int) -> bool:
        """A part has been refused; returns whether there was such a part."""
        is_ours = any(sent.update.id == message_id for sent in self._sent)
        if is_ours:
            self._take_back()
        return is_ours

    def _confirm(self, answer: Listed) -> bool:
        """See what the server has; returns whether that is known here. If not, it is to be told everything."""
        self._set_most(answer.most)
        if all(answer.mark != mark for mark in (self.mark, *(sent.update.mark for sent in self._sent))):
            self._begin_anew()
            return False
        while self.mark != answer.mark and self._sent:
            self.mark = self._sent.popleft().update.mark
        return True

    def _begin_anew(self) -> None:
        """The server has something else: it is to forget that, and to be told everything."""
        self.mark = NOTHING_LISTED
        self._is_to_begin_anew = True
        self._sent.clear()
        self._told.clear()
        self._beyond.clear()
        self._changed = dict.fromkeys(
            (*((_ITEM, item) for item in self._items), *((_FILE, name) for name in self._files))
        )

    def _take_back(self) -> None:
        """Put what is under way back among what is to be told."""
        changed: dict[Entry, None] = {}
        for sent in self._sent:
            for entry in sent.entries:
                changed[entry] = None
                # The server may have it or not; if it is to be struck off, that is to be said.
                self._told.add(entry)
        self._sent.clear()
        self._changed = changed | self._changed

    def _set_most(self, most: int) -> None:
        if most > self._most:
            self._changed |= self._beyond
            self._beyond.clear()
        self._most = most

    def _take_news(self) -> None:
        """Look at some of what has changed."""
        for _ in range(min(len(self._news), _MOST_LOOKED_AT)):
            name, file = self._news.popleft()
            before = self._files.get(name)
            if file is None:
                if before is not None:
                    del self._files[name]
                    self._changed[_FILE, name] = None
            elif before != file and _can_be_said(check_file_name, name):
                self._files[name] = file
                self._changed[_FILE, name] = None

    def _next_entries(self) -> list[Entry]:
        """The entries that fit into the next part."""
        entries: list[Entry] = []
        size = 0
        for entry in list(islice(self._changed, _MOST_LOOKED_AT)):
            is_there = self._is_there(entry)
            is_told = entry in self._told
            if is_there and not is_told and len(self._told) >= self._most:
                self._beyond[entry] = None
            elif is_there or is_told:
                size += _ENTRY_BYTES + _longest_on_wire(entry[1])
                if size > MOST_ENTRY_BYTES or len(entries) == MOST_IN_UPDATE:
                    break
                entries.append(entry)
                if is_there:
                    self._told.add(entry)
                else:
                    self._make_room(entry)
            else:
                self._beyond.pop(entry, None)
            del self._changed[entry]
        return entries

    def _make_room(self, entry: Entry) -> None:
        """An entry goes, and one that there was no room for may come."""
        self._told.discard(entry)
        if self._beyond:
            waiting = next(iter(self._beyond))
            del self._beyond[waiting]
            self._changed[waiting] = None

    def _is_there(self, entry: Entry) -> bool:
        is_item, name = entry
        return name in (self._items if is_item else self._files)


def _longest_on_wire(name: str) -> int:
    """The most bytes that a name takes; quotes and backslashes have a backslash before them."""
    return (len(name) if name.isascii() else 4 * len(name)) + name.count('"') + name.count("\\")


def _can_be_said(check: Callable[[str], None], name: str) -> bool:
    try:
        check(name)
    except ValueError:
        return False
    return True
