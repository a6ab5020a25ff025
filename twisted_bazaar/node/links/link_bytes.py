"""A cap on the bytes that all links of a node hold together, in and out, max-min fair by host. Sans-IO.

What one link may hold is bounded for each, but a tracker has thousands. Past the cap the link with the most, of the
host that holds the most, is cut off (max-min fair: who holds less than others never goes for them). So memory is
bounded whoever they are, and a host that reads what it asks for loses nothing to those that do not.

Some go at once, until a part of the cap is free: to look for the heaviest among 20,000 links at each read would hold up
everybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from typing import Final, Protocol

# When the cap is passed, this part of it is made free, or so many links go: those of a crowd hold little each.
_FREED_PART: Final = 16
_MOST_CUT: Final = 64


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
        self.total: int = 0
        self._is_cutting = False

    def charge(self, holder: Holder, by_bytes: int) -> None:
        """Count so many bytes more for a link, fewer if negative; the one that goes for it may be itself."""
        holder.held_bytes += by_bytes
        self.total += by_bytes
        if self.total > self._cap_bytes and not self._is_cutting:
            self._is_cutting = True
            try:
                while self.total > self._cap_bytes and self._cut_heaviest():
                    pass
            finally:
                self._is_cutting = False

    def _cut_heaviest(self) -> bool:
        """Cut off links until a part of the cap is free; returns whether there were any."""
        by_host: dict[str, list[tuple[int, int, Holder]]] = {}
        for number, each in enumerate(self._holders):
            if each.held_bytes:
                by_host.setdefault(each.host, []).append((-each.held_bytes, number, each))
        hosts = [(sum(less for less, _, _ in links), host) for host, links in by_host.items()]
        heapify(hosts)
        for links in by_host.values():
            heapify(links)
        has_cut = False
        for _ in range(_MOST_CUT):
            if not hosts or self.total <= self._cap_bytes - self._cap_bytes // _FREED_PART:
                break
            less_of_host, host = heappop(hosts)
            less, _, heaviest = heappop(by_host[host])
            if by_host[host]:
                heappush(hosts, (less_of_host - less, host))
            heaviest.abort()
            has_cut = True
            if heaviest.held_bytes:
                # Whatever kept it from letting go, it is counted no more than once.
                self.total, heaviest.held_bytes = self.total - heaviest.held_bytes, 0
        return has_cut
