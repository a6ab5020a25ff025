"""The promises to buyers: they get what there is when nothing fails any more, and never more than they want."""

from __future__ import annotations

from collections import Counter
from typing import Final

from twisted_bazaar.discovery.index.client.member import IndexMember
from twisted_bazaar.roles.buyer import Buyer
from twisted_bazaar.roles.seller import Seller
from twisted_bazaar.sim.cluster import Member
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.invariants.goods import levels_of, sellers_of
from twisted_bazaar.sim.store import DiskStore
from twisted_bazaar.values.sale import Outcome

# How far the widest search goes.
_REACH: Final = 7


class WantsAreMet(Check):
    """Trade goes on when nothing fails any more."""

    promise = "when faults have stopped, every want that can be met is met in time"

    def on_settled(self) -> None:
        """Look for wants that are not met, and for sellers near enough that could meet them."""
        for member in self.cluster.running():
            for role in member.roles:
                if isinstance(role, Buyer):
                    self._look_at(member, role)

    def _look_at(self, member: Member, buyer: Buyer) -> None:
        stocked = self._stock_near(member) if any(want.missing for want in buyer.wants) else {}
        for want in buyer.wants:
            left = stocked.get(want.item, 0)
            if want.missing and not left:
                # Nobody near has any: it says nothing about the market.
                continue
            self.expect(
                not want.missing or not left,
                f"{member.name} still wants {want.missing} {want.item}, and there are {left} near by",
            )

    def _stock_near(self, member: Member) -> dict[str, int]:
        """What sellers that can be found have, by item."""
        if any(isinstance(role, IndexMember) for role in member.roles):
            near = {each.name for each in self.cluster.running()}
        else:
            near = self._within_reach(member)
        stock: dict[str, int] = {}
        for name in sorted(near):
            for seller in sellers_of(self.cluster.members[name]):
                for level in levels_of(seller):
                    stock[level.item] = stock.get(level.item, 0) + level.in_stock
        return stock

    def _within_reach(self, member: Member) -> set[str]:
        """Those to whom a search of a member gets."""
        near, edge = {member.name}, [member]
        for _ in range(_REACH):
            following = []
            for each in edge:
                assert each.node is not None, "only running nodes are linked"
                for peer in each.node.peers():
                    name = self.cluster.name_of(peer)
                    other = self.cluster.members[name]
                    if name not in near and other.node is not None:
                        near.add(name)
                        following.append(other)
            edge = following
        return near


class BoughtAsWanted(Check):
    """A buyer that has lost sight of an order does not buy the same again."""

    promise = "nobody is sold more than it wants"

    def on_end(self) -> None:
        """Compare what each buyer wanted with what every seller has on its disk for it."""
        members = self.cluster.members.values()
        sold: Counter[tuple[str, str]] = Counter()
        for role in (role for member in members for role in member.roles):
            if isinstance(role, Seller) and isinstance(role.store, DiskStore):
                for deal in role.store.synced_book().answered.values():
                    if deal.outcome is Outcome.SOLD:
                        sold[deal.order.buyer, deal.order.item] += deal.order.quantity
        for member in members:
            wanted: Counter[str] = Counter()
            for want in (want for role in member.roles if isinstance(role, Buyer) for want in role.wants):
                wanted[want.item] += want.quantity
            for item, quantity in wanted.items():
                had = sold[member.key, item]
                self.expect(had <= quantity, f"{member.name} wants {quantity} {item}, and {had} are sold to it")
