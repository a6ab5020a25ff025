"""The bytes that all links of a node hold together, in and out, under one cap. Sans-IO.

What one link may hold is bounded for each, but a tracker has thousands. Past the cap the link with the most, of the
host that holds the most, is cut off (max-min fair: who holds less than others never goes for them). So memory is
bounded whoever they are, and a host that reads what it asks for loses nothing to those that do not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Protocol


class Holder(Protocol):
    """A link, as far as its bytes go.

    @ivar host: where it leads to.
    @ivar held_bytes: what it holds, as it was counted.
    """

    host: str
    held_bytes: int

    def abort(self) -> None:
        """Cut the connection now, and hold nothing any more."""


class LinkBytes:
    """Counts the bytes that links hold, and cuts off who holds too many.

    @param cap_bytes: for all of them.
    @param holders: the links; a live collection.
    @ivar total: bytes held now.
    """

    def __init__(self, cap_bytes: int, holders: Iterable[Holder]) -> None:
        self._cap_bytes = cap_bytes
        self._holders = holders
        self.total = 0

    def hold(self, holder: Holder, by_bytes: int) -> None:
        """Count so many bytes more for a link, fewer if negative; the one that goes for it may be itself."""
        holder.held_bytes += by_bytes
        self.total += by_bytes
        while self.total > self._cap_bytes and (heaviest := self._heaviest()) is not None:
            heaviest.abort()
            if heaviest.held_bytes:
                # Whatever kept it from letting go, it is counted no more than once.
                self.total, heaviest.held_bytes = self.total - heaviest.held_bytes, 0

    def _heaviest(self) -> Holder | None:
        """The link with the most bytes, of the host with the most."""
        by_host: Counter[str] = Counter()
        for holder in self._holders:
            by_host[holder.host] += holder.held_bytes
        if not by_host:
            return None
        [(heaviest, _)] = by_host.most_common(1)
        return max((each for each in self._holders if each.host == heaviest), key=lambda each: each.held_bytes)
