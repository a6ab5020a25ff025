"""Quotas in a directory: what a change adds to a list, who may list it, and who goes for it. Sans-IO.

The same rules for every directory, whatever it is kept in; the shares are those of L{twisted_bazaar.byte_budget}.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Hashable, Iterable, Mapping
from typing import TypeVar

from attrs import frozen

from twisted_bazaar.byte_budget import ByteBudget, Room
from twisted_bazaar.byte_budget import most_a_peer as most_bytes_a_peer
from twisted_bazaar.discovery.index.directory.weights import weight_of_bazaar, weight_of_file, weight_of_item
from twisted_bazaar.discovery.index.messages import TooMany, Update

L = TypeVar("L")


@frozen
class Growth:
    """The growth of a list by a change.

    @ivar entries: how many there are more then; fewer if negative.
    @ivar size_bytes: what the list weighs more then.
    @ivar weights: what the files weigh that are not listed yet.
    """

    entries: int
    size_bytes: int
    weights: Mapping[str, int]

    @property
    def is_any(self) -> bool:
        """Whether it needs room."""
        return self.entries > 0 or self.size_bytes > 0


def growth_by(
    update: Update,
    files: Container[str],
    goods: Collection[str],
    weight_of_listed: Callable[[str], int] = weight_of_file,
) -> Growth:
    """The growth of a list by a change.

    @param files: the names that are listed; those in the change are enough.
    @param goods: what is listed in the bazaar of the change: some of it if there is any, and all that is in the change.
    @param weight_of_listed: what a file weighs that is listed.
    """
    added, offered = {file.name for file in update.add}, set(update.offer)
    weights = {name: weight_of_file(name) for name in added if name not in files}
    come = [item for item in offered if item not in goods]
    gone = [weight_of_listed(name) for name in set(update.remove) - added if name in files]
    gone += [weight_of_item(item) for item in set(update.withdraw) - offered if item in goods]
    size_bytes = sum(weights.values()) + sum(map(weight_of_item, come)) - sum(gone)
    if come and not goods:
        size_bytes += weight_of_bazaar(update.bazaar)
    return Growth(len(weights) + len(come) - len(gone), size_bytes, weights)


def check_list(total: int, most_a_peer: int, entries: int, size_bytes: int) -> None:
    """See that a peer may have a list of so many entries, and so many bytes.

    @param total: the budget for all, in bytes.
    @param most_a_peer: how many entries one peer may list.
    @raise TooMany: no.
    """
    if entries > most_a_peer:
        raise TooMany(f"one peer may list {most_a_peer:,} files and goods")
    if size_bytes > most_bytes_a_peer(total):
        raise TooMany(f"the list of one peer may take {most_bytes_a_peer(total):,} bytes of memory")


def make_room(
    budget: ByteBudget,
    host: Hashable,
    more_bytes: int,
    instead_of: int,
    away: Callable[[Hashable | None], Iterable[L]],
    heaviest_of: Callable[[Hashable], L | None],
    let_go: Callable[[L], None],
) -> None:
    """Evict lists in favour of a host: those of peers that have gone first, then those with the most.

    @param instead_of: bytes that this host is going to let go of itself.
    @param away: gives the lists of those who have gone, of one host or of all, the first to go first.
    @param heaviest_of: gives the longest list of a host.
    @param let_go: lets a list go, and retires what it weighs.
    @raise TooMany: the host has its part.
    """
    # Past what one host may have, that others go is of no use.
    is_past_its_own = budget.held_by(host) + more_bytes - instead_of > budget.most_a_host
    for gone in away(host if is_past_its_own else None):
        room = budget.room_for(host, more_bytes, instead_of)
        if room is not Room.NO and not budget.must_evict_for(more_bytes - instead_of):
            break
        let_go(gone)
    if budget.room_for(host, more_bytes, instead_of) is Room.NO:
        raise TooMany(f"the lists of one host may take {budget.most_a_host:,} bytes of memory, or an equal part")
    while budget.must_evict_for(more_bytes - instead_of):
        heaviest = budget.heaviest()
        longest = None if heaviest == host else heaviest_of(heaviest)
        if longest is None:
            raise TooMany("there is no room for more")
        let_go(longest)


def check_cleared(budget: ByteBudget, more_bytes: int) -> None:
    """See that what has been let go of is cleared as far as a change needs it.

    @raise TooMany: not yet.
    """
    if budget.used + more_bytes > budget.total:
        raise TooMany("others are let go of, and there is room in a moment; try again")
