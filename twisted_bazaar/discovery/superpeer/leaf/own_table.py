"""A leaf's own table of words for its super peers, and the lists that they keep."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from twisted_bazaar.discovery.index.client.published_list import PublishedList
from twisted_bazaar.discovery.superpeer.messages import MOST_TABLE_BITS
from twisted_bazaar.discovery.superpeer.qrp.tables import OwnTable, token_of_seller, tokens_of_file, tokens_of_item
from twisted_bazaar.interfaces import INode
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.files import SharedFile

# So many names are cut into words in one go; more would be felt.
_FILES_A_TURN: Final = 200


class LeafTable:
    """The files and goods of one leaf.

    @param changed: called when the table has changed.
    @ivar table: of the words of all of it. A long list of files comes into it bit by bit.
    """

    def __init__(self, node: INode, changed: Callable[[], None]) -> None:
        self._node = node
        self._changed = changed
        self.table: OwnTable = OwnTable(least_bits=MOST_TABLE_BITS)
        self._files: dict[str, SharedFile] = {}
        self._items: frozenset[str] = frozenset()
        # Files whose words are to come into the table, or to go.
        self._news: deque[tuple[SharedFile, bool]] = deque()
        self._working = Timer(node.clock, self._work)

    @property
    def is_settled(self) -> bool:
        """Whether the table has all words."""
        return not self._news

    def change_files(self, added: Sequence[SharedFile], removed: Sequence[str]) -> None:
        """Add and remove files."""
        for name in removed:
            self._replace(name, None)
        for file in added:
            self._replace(file.name, file)
        if not self._working.is_set:
            self._work()

    def set_items(self, items: Sequence[str]) -> None:
        """Set the goods, all of them."""
        now, before = frozenset(items), self._items
        bazaar = self._node.bazaar
        for item in sorted(now - before):
            self.table.add(tokens_of_item(bazaar, item))
        for item in sorted(before - now):
            self.table.discard(tokens_of_item(bazaar, item))
        seller = (token_of_seller(bazaar, self._node.key.public),)
        if now and not before:
            self.table.add(seller)
        elif before and not now:
            self.table.discard(seller)
        self._items = now
        self._changed()

    def new_listing(self) -> PublishedList:
        """The list of all of it, for a server that has been told nothing."""
        listing = PublishedList(self._node.rng, self._node.bazaar)
        listing.change_files(self._files.values(), ())
        listing.set_items(sorted(self._items))
        return listing

    def stop(self) -> None:
        """Cancel what is still to be done."""
        self._news.clear()
        self._working.cancel()

    def _replace(self, name: str, file: SharedFile | None) -> None:
        before = self._files.pop(name, None)
        if before is not None:
            self._news.append((before, False))
        if file is not None:
            self._files[name] = file
            self._news.append((file, True))

    def _work(self) -> None:
        """Take the words of some files in, or out."""
        for _ in range(min(len(self._news), _FILES_A_TURN)):
            file, is_added = self._news.popleft()
            tokens = tokens_of_file(file.name, file.digest)
            if is_added:
                self.table.add(tokens)
            else:
                self.table.discard(tokens)
        if self._news:
            self._working.set(0)
        else:
            self._changed()
