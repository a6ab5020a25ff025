"""A run of the market: who is in it, what there is, and what is wanted.

Nodes find each other through the tracker as daemons do. Sellers keep their books on their disks, so
that what they have sold outlives them. Wants come up at random times while everything goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO, ClassVar

from attrs import evolve

from twisted_bazaar.interfaces import IDiscoveryMethod, IRole
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.roles.buyer import Buyer
from twisted_bazaar.roles.discovery.chosen import method_named
from twisted_bazaar.roles.discovery.method import DiscoveryMethod
from twisted_bazaar.roles.index_server import IndexServer
from twisted_bazaar.roles.seller import Seller
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.roles.want import Want
from twisted_bazaar.sim.cluster import Member, Programme, limits_of
from twisted_bazaar.sim.invariants import MARKET_CHECKS
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.market.report import MarketReport, MarketStatistics
from twisted_bazaar.sim.market.scenario import MarketScenario, PurchaseEntry
from twisted_bazaar.sim.run import Run
from twisted_bazaar.sim.scenario import Scenario
from twisted_bazaar.sim.store import DiskStore
from twisted_bazaar.trade.stores.memory import MemoryPurchases, MemorySales
from twisted_bazaar.values.sale import Supply

_MakeRoles = Callable[[Member, IDiscoveryMethod], Sequence[IRole]]


class MarketRun(Run[MarketScenario, MarketReport]):
    """One run of the market.

    @param limits: the limits of every node but the tracker, but for what the scenario says.
    @param via: how sellers are found; by an index, the server is the tracker, and no node looks for neighbours.
    """

    of: ClassVar[type[Scenario]] = MarketScenario
    moving: ClassVar[Sequence[str]] = ("relay", "seller")

    def __init__(
        self,
        scenario: MarketScenario,
        trace_file: BinaryIO | None = None,
        limits: Limits | None = None,
        checks: Sequence[type[Check]] = MARKET_CHECKS,
        via: str = "flood",
    ) -> None:
        self._method = method_named(via)
        self._limits = limits or _limits_of(scenario, self._method)
        self._asked: dict[str, list[PurchaseEntry]] = {}
        super().__init__(scenario, trace_file, checks)

    @property
    def purchases(self) -> list[PurchaseEntry]:
        """What is wanted, drawn or named, in the order of time."""
        return self.wanted

    def _make_statistics(self) -> MarketStatistics:
        return MarketStatistics(self.cluster)

    # Who is there.

    def _build(self) -> None:
        cluster, scenario = self.cluster, self._scenario
        cluster.add_tracker(lambda member: [_registrar_for(self._method)])
        for name in scenario.names()[1:]:
            make_roles: _MakeRoles
            if name.startswith("seller-"):
                make_roles = self._seller_of(self._supplies(name))
            elif name.startswith("buyer-"):
                make_roles = self._buyer_of(name)
            else:
                make_roles = _relay
            cluster.add(name, Programme(self._carrying_way(make_roles), self._limits))

    def _carrying_way(self, make_roles: _MakeRoles) -> Callable[[Member], Sequence[IRole]]:
        """Roles with the way that they find by, and what that needs."""

        def make(member: Member) -> Sequence[IRole]:
            discovery = self._method()
            return [*discovery.roles, *make_roles(member, discovery)]

        return make

    def _supplies(self, name: str) -> dict[str, Supply]:
        """What a seller has; each begins where the one before has ended, so that all is somewhere if it can be."""
        scenario, rng = self._scenario, self._chance("supplies", name)
        first = (int(name.removeprefix("seller-")) - 1) * scenario.kinds
        items = dict.fromkeys((first + n) % scenario.items for n in range(min(scenario.kinds, scenario.items)))
        return {f"item-{item + 1}": Supply(scenario.stock, rng.randint(1, 100)) for item in items}

    @staticmethod
    def _seller_of(supplies: Mapping[str, Supply]) -> _MakeRoles:
        return lambda member, discovery: [
            Seller(supplies, DiskStore(member.host, "sales", MemorySales), discovery=discovery)
        ]

    def _buyer_of(self, name: str) -> _MakeRoles:
        """A buyer, which when it is started again is told what it was told before."""
        asked = self._asked[name] = []

        def make(member: Member, discovery: IDiscoveryMethod) -> Sequence[IRole]:
            wants = [Want(want.item, want.quantity) for want in asked]
            return [Buyer(wants, DiskStore(member.host, "orders", MemoryPurchases), discovery=discovery)]

        return make

    # What is wanted.

    def _draw_wanted(self) -> list[PurchaseEntry]:
        scenario = self._scenario
        drawn = []
        for number in range(scenario.buyers):
            buyer = f"buyer-{number + 1}"
            rng = self._chance("wants", buyer)
            for _ in range(scenario.wants):
                at = self._draw_instant(rng)
                item = f"item-{rng.randint(1, scenario.items)}"
                drawn.append(PurchaseEntry(buyer=buyer, at=at, item=item, quantity=rng.randint(1, 3)))
        return drawn

    def _want(self, purchase: PurchaseEntry) -> None:
        self._asked[purchase.buyer].append(purchase)
        member = self.cluster.members[purchase.buyer]
        for role in member.roles:
            if member.node is not None and isinstance(role, Buyer):
                role.add(Want(purchase.item, purchase.quantity))

    def _with_all_named(self) -> MarketScenario:
        return self._scenario.evolve(wants=0)


def _limits_of(scenario: MarketScenario, method: type[DiscoveryMethod]) -> Limits:
    """How many links a node has, if nobody says."""
    if not method.needs_links:
        return evolve(Limits(), **method.limits)
    return limits_of(min_links=scenario.degree, max_links=scenario.max_links)


def _registrar_for(method: type[DiscoveryMethod]) -> IRole:
    """Who hands out ids where others are found in this way."""
    return IndexServer() if method.gives_ids else Tracker()


def _relay(member: Member, discovery: IDiscoveryMethod) -> Sequence[IRole]:
    return ()
