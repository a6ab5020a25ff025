"""A memory quota in bytes for what strangers store, max-min fair between hosts. Sans-IO.

Tables that are capped by count hold very different amounts: an entry may weigh 200 bytes or 4,000. So what is stored is
charged by weight. One peer alone gets a half of the budget at most, one host five eighths. The last eighth is for hosts
with less than an equal part, and where even that is used up, an equal part is made free at the cost of whoever holds
the most: no number of greedy hosts keeps another one out, and no single one decides who has to go.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Final

from attrs import frozen

MIB: Final = 1 << 20

# Of these many parts of the budget one host has so many at most, one peer so many: another one there finds room, too.
_PARTS: Final = 8
_HOST_PARTS: Final = 5
_PEER_PARTS: Final = 4
# So many are kept for hosts with less than an equal part.
_KEPT_FOR_SMALL: Final = 1


class Room(enum.Enum):
    """The answer to whether there is room for something."""

    YES = enum.auto()
    """There is."""
    AFTER_EVICTION = enum.auto()
    """It is due to its owner, as soon as something else has gone: see L{ByteBudget.must_evict_for}."""
    NO = enum.auto()
    """Its owner has its share."""


@frozen
class Usage:
    """The use of a budget, as far as the share of one owner depends on it.

    @ivar total: bytes for all.
    @ivar held: bytes that this owner has.
    @ivar owners: how many have something, this one counted in.
    @ivar used: bytes of all, retired ones too.
    @ivar retired: bytes that nobody has any more, and that are not gone yet.
    """

    total: int
    held: int
    owners: int
    used: int
    retired: int

    def room_for(self, size_bytes: int, instead_of: int = 0) -> Room:
        """Whether the owner may have so many bytes more.

        @param instead_of: bytes that it is going to retire for them.
        """
        held = self.held + size_bytes - instead_of
        live = self.used - self.retired + size_bytes - instead_of
        if held > most_a_host(self.total):
            return Room.NO
        is_small = held <= self.total // self.owners
        if not is_small and live > self.total * (_PARTS - _KEPT_FOR_SMALL) // _PARTS:
            return Room.NO
        return Room.YES if self.used + size_bytes <= self.total else Room.AFTER_EVICTION


def most_a_host(total: int) -> int:
    """Bytes of so many that one host has at most, however much is free."""
    return total * _HOST_PARTS // _PARTS


def most_a_peer(total: int) -> int:
    """Bytes of so many that one peer of a host has at most."""
    return total * _PEER_PARTS // _PARTS


class ByteBudget:
    """Counts bytes in memory by owner, and says who may have more.

    What an owner has let go of counts as retired until it is really gone: it takes memory, but is nobody's.

    @param held: what owners have already.
    @param retired: what has been let go of already, and is not gone yet.
    @ivar total: bytes for all.
    @ivar used: bytes in memory now, retired ones too.
    @ivar retired: bytes in memory now that nobody has any more.
    """

    def __init__(self, total: int, held: Mapping[Hashable, int] | None = None, retired: int = 0) -> None:
        self.total = total
        self.retired: int = retired
        self._held: Counter[Hashable] = Counter({owner: size for owner, size in (held or {}).items() if size})
        self.used: int = self._held.total() + retired

    @property
    def most_a_host(self) -> int:
        """Bytes that one host has at most, however much is free."""
        return most_a_host(self.total)

    @property
    def most_a_peer(self) -> int:
        """Bytes that one peer of a host has at most."""
        return most_a_peer(self.total)

    def held_by(self, owner: Hashable) -> int:
        """Bytes that an owner has now."""
        return self._held[owner]

    def charge(self, owner: Hashable, size_bytes: int) -> None:
        """Count so many bytes more for an owner, or fewer if negative, whether it may have them or not."""
        self.used += size_bytes
        self._held[owner] += size_bytes
        if not self._held[owner]:
            del self._held[owner]

    def retire(self, owner: Hashable, size_bytes: int) -> None:
        """An owner has let go of bytes that are still in memory."""
        self.charge(owner, -size_bytes)
        self.used += size_bytes
        self.retired += size_bytes

    def release(self, size_bytes: int) -> None:
        """Retired bytes are gone."""
        self.used -= size_bytes
        self.retired -= size_bytes

    def room_for(self, owner: Hashable, size_bytes: int, instead_of: int = 0) -> Room:
        """Whether an owner may have so many bytes more.

        @param instead_of: bytes that it is going to retire for them.
        """
        owners = len(self._held) + (owner not in self._held)
        usage = Usage(self.total, self._held[owner], owners, self.used, self.retired)
        return usage.room_for(size_bytes, instead_of)

    def must_evict_for(self, size_bytes: int) -> bool:
        """Whether so many bytes more have no room even when all that is retired is gone."""
        return self.used - self.retired + size_bytes > self.total

    def heaviest(self) -> Hashable:
        """The owner that has the most.

        @raise LookupError: nobody has anything.
        """
        if not self._held:
            raise LookupError("nobody has anything")
        return max(self._held, key=self._held.__getitem__)
