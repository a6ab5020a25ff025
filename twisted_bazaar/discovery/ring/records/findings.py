"""Findings of one question for files: what owners say that fits, put together and bounded. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from twisted_bazaar.discovery.index.directory.pages import page_of_found
from twisted_bazaar.discovery.index.words import is_fitting, question_of
from twisted_bazaar.values.files import FileQuery, Page, SharedFile

# Files of somebody; one that two have counts twice.
MOST_KEPT: Final = 5_000


class RingFindings:
    """The answers to one question. Owners may say anything: what was not asked for is left out.

    @param query: what was asked.
    """

    def __init__(self, query: FileQuery) -> None:
        self._query = query
        self._words = None if query.words is None else question_of(query.words)
        # By name, size and digest: who has it, and whether the whole.
        self._files: dict[tuple[str, int, str], dict[str, bool]] = {}
        self._kept = 0

    def __len__(self) -> int:
        return self._kept

    @property
    def is_full(self) -> bool:
        """Whether no more is kept."""
        return self._kept >= MOST_KEPT

    def take(self, owner: str, files: Iterable[SharedFile]) -> None:
        """Keep what somebody says it has, if it is new and was asked for."""
        for file in files:
            if not self._fits(file):
                continue
            having = self._files.get((file.name, file.size, file.digest), {})
            if owner not in having:
                if self.is_full:
                    return
                self._kept += 1
            having[owner] = file.is_whole or having.get(owner, False)
            self._files[file.name, file.size, file.digest] = having

    def page(self, query: FileQuery) -> Page:
        """Some of it, in the order in which files stand on pages.

        @raise PeerError: what it is to go on after was no page's end.
        """
        return page_of_found(self._files, query)

    def _fits(self, file: SharedFile) -> bool:
        query = self._query
        return (
            query.name in (None, file.name)
            and query.digest in (None, file.digest)
            and (self._words is None or is_fitting(file.name, *self._words))
        )
