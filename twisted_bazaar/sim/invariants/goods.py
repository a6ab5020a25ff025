"""The promises about goods: what there is, what is sold, and what is held back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from twisted_bazaar.interfaces import Peer, StockLevel
from twisted_bazaar.roles.seller import Seller
from twisted_bazaar.sim.cluster import Cluster, Member
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.ledger import DiskLedger
from twisted_bazaar.wire.message import Message


def sellers_of(member: Member) -> Iterator[Seller]:
    """The seller roles that a member carries now."""
    return (role for role in member.roles if member.node is not None and isinstance(role, Seller))


def levels_of(seller: Seller) -> list[StockLevel]:
    """The counts of a seller whose ledger answers at once."""
    levels: list[StockLevel] = []
    seller.ledger.levels().addCallback(levels.extend)
    return levels


class StockAddsUp(Check):
    """Whenever a seller speaks or acts, its books are right."""

    promise = "supplied = in stock + sold, and stock is never negative"

    def sent(self, member: Member, peer: Peer | None, message: Message) -> None:
        """A seller may have told something."""
        self._count(member)

    def reported(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
        """A seller may have sold something."""
        self._count(member)

    def _count(self, member: Member) -> None:
        for seller in sellers_of(member):
            for level in levels_of(seller):
                is_right = level.supplied == level.in_stock + level.sold and level.in_stock >= 0
                self.expect(is_right, f"{member.name}: {level}")


class SoldOnce(Check):
    """An order is decided once, and what a buyer has seen is on the seller's disk."""

    promise = "one (buyer, order) sells at most once, and a sale that is told is on disk"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._sold: set[tuple[str, int, int]] = set()

    def reported(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
        """Something was sold, or bought."""
        if event == "sold":
            sale = (member.name, details["buyer"], details["order"])
            self.expect(sale not in self._sold, f"{member.name} sold order {sale[2]} of node {sale[1]} twice")
            self._sold.add(sale)
        elif event == "bought":
            seller = self.cluster.member_with_id(details["seller"])
            for role in () if seller is None else seller.roles:
                if isinstance(role, Seller) and isinstance(role.ledger, DiskLedger):
                    is_there = role.ledger.has_on_disk(member.id, details["order"])
                    self.expect(is_there, f"{member.name} has a yes to order {details['order']} that is not on disk")


class ReservationsEnd(Check):
    """What was held back for somebody is free again in time."""

    promise = "every reservation ends"

    def look(self) -> None:
        """Ask each seller what it holds back, and for how long."""
        for member in self.cluster.running():
            for seller in sellers_of(member):
                now = member.host.seconds()
                for level in levels_of(seller):
                    seller.shelf.reservations.held_for_others(level.item, -1, now)
                stale = seller.shelf.reservations.oldest_end() < now
                self.expect(not stale, f"{member.name} holds back what it should hold back no longer")
