"""Findings of one question for files: what owners say that fits, put together without doubles, and bounded. Sans-IO.

Whoever is asked may answer anything: what was not asked for is left out, and so is what is too much.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from attrs import evolve

from twisted_bazaar.discovery.index.directory.pages import page_of_found
from twisted_bazaar.discovery.index.words import is_fitting, question_of
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileQuery, FileSource, Page, SharedFile

# Files of somebody; one that two have counts twice.
MOST_KEPT: Final = 5_000
# An owner that is named in very many places is of no use in any.
_MOST_PLACES: Final = 4


class Findings:
    """The answers to one question.

    @param query: what was asked.
    """

    def __init__(self, query: FileQuery) -> None:
        self._query = query
        self._words = None if query.words is None else question_of(query.words)
        self._kept = 0
        # By name, size and digest: who has it, and whether the whole.
        self._files: dict[tuple[str, int, str], dict[str, bool]] = {}
        # By key, where each owner is, as far as that was told with its files.
        self._places: dict[str, dict[Address, FileSource]] = {}

    def __len__(self) -> int:
        return self._kept

    @property
    def is_full(self) -> bool:
        """Whether no more is kept."""
        return self._kept >= MOST_KEPT

    def add(self, owner: str, files: Iterable[SharedFile], place: FileSource | None = None) -> bool:
        """Keep what an owner is said to have, if it is new and was asked for. Whether there was room for it.

        @param owner: its key.
        @param place: where it is, if that is told with its files.
        """
        fitting = [file for file in files if self._fits(file)]
        for file in fitting:
            having = self._files.get((file.name, file.size, file.digest), {})
            if owner not in having:
                if self.is_full:
                    return False
                self._kept += 1
            having[owner] = file.is_whole or having.get(owner, False)
            self._files[file.name, file.size, file.digest] = having
        if fitting and place is not None:
            self._keep_place(place)
        return True

    def page(self, query: FileQuery) -> Page:
        """Some of it, in the order in which files stand on pages.

        @raise PeerError: what it is to go on after was no page's end.
        """
        return page_of_found(self._files, query)

    def sources(self) -> Sequence[FileSource]:
        """The sources of any of the files, of those whose places were told, the least loaded first."""
        wholes = {key for having in self._files.values() for key, is_whole in having.items() if is_whole}
        found = [
            evolve(source, is_whole=key in wholes) for key, places in self._places.items() for source in places.values()
        ]
        return sorted(found, key=lambda source: source.load)

    def _fits(self, file: SharedFile) -> bool:
        query = self._query
        return (
            query.name in (None, file.name)
            and query.digest in (None, file.digest)
            and (self._words is None or is_fitting(file.name, *self._words))
        )

    def _keep_place(self, place: FileSource) -> None:
        places = self._places.setdefault(place.key, {})
        known = places.get(place.address)
        if known is not None or len(places) < _MOST_PLACES:
            # Not everybody who names it tells of datagrams.
            udp = place.udp or (0 if known is None else known.udp)
            places[place.address] = evolve(place, udp=udp)
