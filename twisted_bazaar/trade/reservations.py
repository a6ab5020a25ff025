"""Reservations: what a seller holds back for those it has made an offer. Sans-IO.

A reservation is a hint: it keeps two buyers from being offered the same unit, ends by itself, and
never decides whether a sale is right. The ledger does that.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from typing import Final

RESERVATION_S: Final = 30.0
_LARGEST_PART: Final = 4
_LARGEST_PART_OF_NEIGHBOUR: Final = 2
_MOST_RESERVATIONS: Final = 4096


class Reservations:
    """Units held for buyers, for a while.

    @param lifetime_s: seconds that a reservation lasts.
    """

    def __init__(self, lifetime_s: float = RESERVATION_S) -> None:
        self._lifetime_s = lifetime_s
        self._ends: OrderedDict[tuple[str, int], float] = OrderedDict()
        self._held: dict[str, dict[int, tuple[int, int]]] = {}
        self._ordered: Counter[tuple[str, int]] = Counter()

    def __len__(self) -> int:
        return len(self._ends)

    def hold(self, item: str, buyer: int, neighbour: int, quantity: int, in_stock: int, now: float) -> int:
        """Hold units for a buyer, in place of what was held for it before.

        @param neighbour: the node through which the buyer asks. It could make up any number of buyers, so at
            most half of the units, but always one, is held for all that it brings.
        @param in_stock: how many units there are; at most a quarter of them, but always one, is
            held for one buyer.
        @return: how many are held, or 0 when the table is full; the buyer may be offered more.
        """
        self.release(item, buyer)
        free = in_stock - self.held_for_others(item, buyer, now)
        brought = sum(held for held, through in self._held.get(item, {}).values() if through == neighbour)
        spare = max(1, in_stock // _LARGEST_PART_OF_NEIGHBOUR) - brought
        held = min(quantity, free, spare, max(1, in_stock // _LARGEST_PART))
        if held <= 0 or len(self) >= _MOST_RESERVATIONS:
            return 0
        self._held.setdefault(item, {})[buyer] = (held, neighbour)
        self._ends[item, buyer] = now + self._lifetime_s
        return held

    def held_for_others(self, item: str, buyer: int, now: float) -> int:
        """The units that are held for all but this buyer."""
        self.expire(now)
        return sum(held for other, (held, _) in self._held.get(item, {}).items() if other != buyer)

    def kept_back(self, item: str, buyer: int, now: float) -> int:
        """The units not to be sold to this buyer: those held for others and not being ordered by them."""
        self.expire(now)
        held = self._held.get(item, {}).items()
        return sum(max(0, many - self._ordered[item, other]) for other, (many, _) in held if other != buyer)

    def order(self, item: str, buyer: int, quantity: int) -> None:
        """A buyer orders, and its order is to be L{settle}d.

        Until then what is held for it is for its own order, and is not kept from others once more. Should it be refused
        for ordering too much, another may have bought meanwhile what was held for it.
        """
        self._ordered[item, buyer] += quantity

    def settle(self, item: str, buyer: int, quantity: int, *, is_sold: bool) -> None:
        """An order has been decided. Who has bought is held nothing more; who was refused may order less."""
        self._ordered[item, buyer] -= quantity
        if not self._ordered[item, buyer]:
            del self._ordered[item, buyer]
        if is_sold:
            self.release(item, buyer)

    def oldest_end(self) -> float:
        """The time at which the next reservation ends that is still counted; infinity if there is none."""
        return next(iter(self._ends.values()), math.inf)

    def release(self, item: str, buyer: int) -> None:
        """Hold nothing of an item for a buyer any more."""
        if self._ends.pop((item, buyer), None) is not None:
            held = self._held[item]
            del held[buyer]
            if not held:
                del self._held[item]

    def release_all(self, buyer: int) -> None:
        """Hold nothing for a buyer any more: it has gone."""
        for item, holder in list(self._ends):
            if holder == buyer:
                self.release(item, buyer)

    def expire(self, now: float) -> None:
        """End every reservation whose time is over."""
        while self._ends:
            (item, buyer), end = next(iter(self._ends.items()))
            # None ends later than one that begins now, unless the clock was set back.
            if now < end <= now + self._lifetime_s:
                break
            self.release(item, buyer)
