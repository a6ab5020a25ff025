"""Findings of one query of a leaf: put together, without doubles, and bounded. Sans-IO.

Whoever is asked may answer anything: what was not asked for is left out, and so is what is too much.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twisted_bazaar.discovery.index.directory.pages import page_of_found
from twisted_bazaar.discovery.index.words import is_fitting, question_of
from twisted_bazaar.discovery.superpeer.messages import Found
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileQuery, FileSource, Page

# Files of somebody; one that two have counts twice.
MOST_KEPT: Final = 5_000
# A key that is named in very many places is of no use in any.
_MOST_PLACES: Final = 4


class Findings:
    """The hits of one question for files.

    @param query: what was asked.
    @param own_key: of this node, which does not look for itself.
    """

    def __init__(self, query: FileQuery, own_key: str) -> None:
        self._query = query
        self._own_key = own_key
        self._words = None if query.words is None else question_of(query.words)
        self._kept = 0
        # By key, where each is.
        self._places: dict[str, dict[Address, FileSource]] = {}
        # By name, size and digest: who has it, and whether the whole.
        self._files: dict[tuple[str, int, str], dict[str, bool]] = {}

    def __len__(self) -> int:
        return self._kept

    def take(self, found: Sequence[Found]) -> None:
        """Keep what is new and was asked for. All that is found has a host."""
        for each in found:
            if each.key == self._own_key or each.host is None:
                continue
            fitting = [file for file in each.files if self._fits(file.name, file.digest)]
            for file in fitting:
                having = self._files.get((file.name, file.size, file.digest), {})
                if each.key not in having:
                    if self._kept >= MOST_KEPT:
                        return
                    self._kept += 1
                having[each.key] = file.whole or having.get(each.key, False)
                self._files[file.name, file.size, file.digest] = having
            if fitting:
                self._place(each, Address(each.host, each.port))

    def page(self, query: FileQuery) -> Page:
        """Some of it, in the order in which files stand on pages.

        @raise PeerError: what it is to go on after was no page's end.
        """
        return page_of_found(self._files, query)

    def sources(self) -> Sequence[FileSource]:
        """Who has any of it, the least loaded first."""
        wholes = {key for having in self._files.values() for key, is_whole in having.items() if is_whole}
        found = [
            FileSource(source.id, key, source.address, key in wholes, source.load, source.udp)
            for key, places in self._places.items()
            for source in places.values()
        ]
        return sorted(found, key=lambda source: source.load)

    def _fits(self, name: str, digest: str) -> bool:
        query = self._query
        return (
            query.name in (None, name)
            and query.digest in (None, digest)
            and (self._words is None or is_fitting(name, *self._words))
        )

    def _place(self, found: Found, address: Address) -> None:
        places = self._places.setdefault(found.key, {})
        known = places.get(address)
        if known is not None or len(places) < _MOST_PLACES:
            # Not all super peers tell of datagrams.
            udp = found.udp or (0 if known is None else known.udp)
            places[address] = FileSource(found.id, found.key, address, load=found.load, udp=udp)
