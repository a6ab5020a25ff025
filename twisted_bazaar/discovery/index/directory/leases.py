"""Leases on lists (Gray and Cheriton): who lists something, who is there, who can be named to whom. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nsmallest
from itertools import count
from typing import Final

from attrs import define, field

from twisted_bazaar.discovery.index.directory.catalogue import Title
from twisted_bazaar.discovery.index.messages import NOTHING_LISTED
from twisted_bazaar.values.addresses import Peer

# The list of who has gone is kept for so long: it may only have lost its link.
KEPT_S: Final = 300.0
MOST_KEPT: Final = 10_000


@define(eq=False)
class Lister:
    """A peer and its list.

    @ivar number: tells it from all others that there have been; a new list after an old one has a new number.
    @ivar host: whom its list is charged to: the host, or network, that its link came from when it began its list.
    @ivar mark: of its list.
    @ivar until: when its lease ends; of who has gone, when its list is forgotten.
    @ivar is_there: whether what it lists is found.
    @ivar is_open: whether everybody can reach it, not only its own machine, for which it is C{is_open_here}.
    @ivar load: how many downloads it says that it serves.
    @ivar named: how often it has been named since it said so.
    @ivar named_at: when it was named last, as a number that grows.
    @ivar goods: what it sells, by bazaar.
    @ivar goods_listed: how much that is.
    @ivar weight: what it and its list are charged, in bytes.
    @ivar is_dismissed: whether its list is only there to be cleared.
    @ivar codes: what it has in the titles of which it holds a part, and the whole.
    """

    number: int
    peer: Peer
    host: str
    until: float = 0.0
    mark: int = NOTHING_LISTED
    is_there: bool = True
    is_open: bool = False
    is_open_here: bool = False
    load: int = 0
    named: int = 0
    named_at: int = 0
    files: dict[str, Title] = field(factory=dict)
    goods: dict[str, dict[str, None]] = field(factory=dict)
    goods_listed: int = 0
    weight: int = 0
    is_dismissed: bool = False
    codes: tuple[int, int] = (0, 0)

    @property
    def listed(self) -> int:
        """The number of its entries."""
        return len(self.files) + self.goods_listed

    @property
    def burden(self) -> tuple[int, int, int]:
        """The order in which listers are named: the least loaded first, of several the one named longest ago."""
        return self.load + self.named, self.named_at, self.number

    def can_be_named_to(self, asker_is_local: bool) -> bool:
        """Whether who asks can get there; what listens on loopback is for its own machine.

        @param asker_is_local: whether who asks is on this machine.
        """
        return self.is_there and (self.is_open or (asker_is_local and self.is_open_here))

    def update_address(self, peer: Peer) -> None:
        """It is to be reached elsewhere, or as it was."""
        if peer != self.peer:
            self.peer = peer
        self.is_open_here = bool(peer.address.port)
        self.is_open = self.is_open_here and not peer.address.is_local


class Leases:
    """All peers with lists, those that are there and those that have gone a while ago.

    A title has its holders as codes: twice the number of a lister, and one more if it has the whole.
    """

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        # Both in the order in which their time is over.
        self.there: dict[str, Lister] = {}
        self.away: dict[str, Lister] = {}
        self._by_number: dict[int, Lister] = {}
        self._numbers = count(1)
        self._namings = count(1)

    def get(self, key: str) -> Lister | None:
        """The lister with a key."""
        return self.there.get(key) or self.away.get(key)

    def by_code(self, code: int) -> Lister:
        """The lister that a code stands for."""
        return self._by_number[code >> 1]

    def find_by_code(self, code: int) -> Lister | None:
        """The same, for a code that was read a while ago; None if it stands for nobody any more."""
        return self._by_number.get(code >> 1)

    def renewed(self, peer: Peer, now: float) -> Lister:
        """The lister that a peer is, with its lease renewed if it is there; a new one if it is none."""
        lister = self.get(peer.key)
        if lister is None:
            number = next(self._numbers)
            lister = Lister(number, peer, peer.network, codes=(2 * number, 2 * number + 1))
            self._by_number[number] = lister
        lister.update_address(peer)
        if lister.is_there:
            self.add(lister, now)
        return lister

    def add(self, lister: Lister, now: float) -> None:
        """A lister is there for another lease."""
        key = lister.peer.key
        self.there.pop(key, None)
        self.away.pop(key, None)
        lister.is_there = True
        lister.until = now + self._lease_s
        self.there[key] = lister

    def peer_left(self, key: str, now: float) -> Lister | None:
        """A lister has gone; what it lists is found no more, but kept. Returns it if it was there."""
        lister = self.there.pop(key, None)
        if lister is not None:
            lister.is_there = False
            lister.until = now + KEPT_S
            self.away[key] = lister
        return lister

    def remove(self, lister: Lister) -> None:
        """Forget a lister; its titles still have its codes."""
        lister.is_there = False
        for table in (self.there, self.away):
            if table.get(lister.peer.key) is lister:
                del table[lister.peer.key]

    def forget(self, lister: Lister) -> None:
        """No title has its codes any more."""
        del self._by_number[lister.number]

    def overdue(self, now: float) -> Iterator[str]:
        """The keys of those who are there and whose lease is over."""
        for key, lister in list(self.there.items()):
            if lister.until > now:
                return
            yield key

    def forgettable(self, now: float) -> Iterator[Lister]:
        """Those who have gone, and need not be kept."""
        for lister in list(self.away.values()):
            if lister.until > now and len(self.away) <= MOST_KEPT:
                return
            yield lister

    def least_loaded(self, listers: Iterator[Lister] | list[Lister], most: int) -> list[Lister]:
        """Those who have least to do."""
        return nsmallest(most, listers, key=lambda lister: lister.burden)

    def note_named(self, listers: list[Lister]) -> None:
        """Some have been named, in this order; the first is likely to have most to do of it."""
        for lister in reversed(listers):
            lister.named += 1
            lister.named_at = next(self._namings)
