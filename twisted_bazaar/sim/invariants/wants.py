"""The promise to buyers: when nothing fails any more, they get what there is."""

from __future__ import annotations

from typing import Final

from twisted_bazaar.roles.buyer import Buyer
from twisted_bazaar.sim.cluster import Member
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.invariants.goods import levels_of, sellers_of

# How far the widest search goes.
_REACH: Final = 7


class WantsAreMet(Check):
    """When nothing fails any more, trade goes on."""

    promise = "when faults have stopped, every want that can be met is met in time"

    def ask(self) -> None:
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
        """What sellers within the reach of a search have, by item."""
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
        stock: dict[str, int] = {}
        for name in sorted(near):
            for seller in sellers_of(self.cluster.members[name]):
                for level in levels_of(seller):
                    stock[level.item] = stock.get(level.item, 0) + level.in_stock
        return stock
