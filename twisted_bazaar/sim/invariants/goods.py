"""The promises about goods: what there is, what is sold, and what is held back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from twisted_bazaar.roles.seller import Seller
from twisted_bazaar.sim.cluster import Cluster, Member
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.store import DiskStore
from twisted_bazaar.trade.stores.memory import MemorySales, MemoryStore
from twisted_bazaar.trade.stores.store import OrderKey
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.values.sale import Outcome, StockLevel
from twisted_bazaar.wire.message import Message


def sellers_of(member: Member) -> Iterator[Seller]:
    """The seller roles that a member carries now."""
    return (role for role in member.roles if member.node is not None and isinstance(role, Seller))


def sales_of(seller: Seller) -> MemorySales:
    """The book of a seller, as it sees it now."""
    assert isinstance(seller.store, MemoryStore | DiskStore), "a simulated seller's book can be looked into"
    book = seller.store.book
    assert isinstance(book, MemorySales), "it is a seller's"
    return book


def levels_of(seller: Seller) -> list[StockLevel]:
    """The counts of a seller."""
    return list(sales_of(seller).levels().values())


class StockAddsUp(Check):
    """Whenever a seller speaks or acts, its books are right."""

    promise = "supplied = in stock + sold + withdrawn, and stock is never negative"

    def on_message(self, member: Member, peer: Peer | None, message: Message) -> None:
        """A seller may have told something."""
        self._count(member)

    def on_report(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
        """A seller may have sold something."""
        self._count(member)

    def _count(self, member: Member) -> None:
        for seller in sellers_of(member):
            for level in levels_of(seller):
                is_right = level.supplied == level.in_stock + level.sold + level.withdrawn and level.in_stock >= 0
                self.expect(is_right, f"{member.name}: {level}")


class SoldOnce(Check):
    """An order is decided once, and what a buyer has seen is on the seller's disk."""

    promise = "one (buyer, order) sells at most once, and a sale that is told is on disk"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._sold: set[OrderKey] = set()

    def on_report(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
        """Something was sold, or bought."""
        if event == "sold":
            sale = (details["buyer_key"], details["order"])
            self.expect(sale not in self._sold, f"{member.name} sold order {sale[1]} of {sale[0]} twice")
            self._sold.add(sale)
        elif event == "bought":
            outcome = outcome_on_disk(self.cluster, member, details)
            self.expect(
                outcome is Outcome.SOLD, f"{member.name} has a yes to order {details['order']} that is not on disk"
            )


class NeverFailedWhileSold(Check):
    """Silence is not taken for a no, nor a no for anything that may be sold yet."""

    promise = "a buyer never counts an order as failed that is sold"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._failed: list[tuple[Member, dict[str, Any]]] = []

    def on_report(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
        """A buyer has given an order up."""
        if event in ("missed", "cancelled") and "seller_key" in details:
            self._failed.append((member, dict(details)))
            self._look_at(member, details)

    def on_end(self) -> None:
        """What was given up must not have been sold later either."""
        for member, details in self._failed:
            self._look_at(member, details)

    def _look_at(self, member: Member, details: Mapping[str, Any]) -> None:
        outcome = outcome_on_disk(self.cluster, member, details)
        self.expect(outcome is not Outcome.SOLD, f"{member.name} gave order {details['order']} up, and it is sold")


def outcome_on_disk(cluster: Cluster, buyer: Member, details: Mapping[str, Any]) -> Outcome | None:
    """How an order would be found to have ended if its seller crashed at this instant; None if it would not."""
    seller = cluster.member_with_key(details["seller_key"])
    for role in () if seller is None else seller.roles:
        if seller is not None and isinstance(role, Seller) and isinstance(role.store, DiskStore):
            deal = role.store.synced_book().answered.get((buyer.key, details["order"]))
            return None if deal is None else deal.outcome
    return None


class ReservationsEnd(Check):
    """Everything held back for somebody is free again in time."""

    promise = "every reservation ends"

    def on_second(self) -> None:
        """Ask each seller what it holds back, and for how long."""
        for member in self.cluster.running():
            for seller in sellers_of(member):
                now = member.host.seconds()
                for level in levels_of(seller):
                    seller.shelf.reservations.held_for_others(level.item, -1, now)
                stale = seller.shelf.reservations.oldest_end() < now
                self.expect(not stale, f"{member.name} holds back what it should hold back no longer")
