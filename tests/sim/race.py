"""Many buyers race for few goods, over relays that leave or say all twice, while the seller dies and comes back."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted_bazaar.discovery.flood.messages import Reply
from twisted_bazaar.interfaces import IRole
from twisted_bazaar.roles.buyer import Buyer
from twisted_bazaar.roles.seller import Seller
from twisted_bazaar.roles.tracker import Tracker
from twisted_bazaar.roles.want import Want
from twisted_bazaar.sim.cluster import Cluster, Member, Programme, limits_of
from twisted_bazaar.sim.engine.hosts import Network
from twisted_bazaar.sim.engine.network_conditions import Conditions
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.invariants.goods import NeverFailedWhileSold, SoldOnce, StockAddsUp, sales_of
from twisted_bazaar.sim.invariants.machines import NoFaultOfOurs
from twisted_bazaar.sim.store import DiskStore
from twisted_bazaar.trade.messages import Buy, BuyNo, BuyOK
from twisted_bazaar.trade.stores.memory import MemoryPurchases, MemorySales
from twisted_bazaar.values.addresses import Address, Peer
from twisted_bazaar.values.sale import Supply

_ITEM: Final = "device"
_LOSS: Final = 0.1
_JOINING_S: Final = 20.0
_RACING_S: Final = 20.0
_SELLER_AWAY_S: Final = 5.0
# A buyer that has found nothing for so long gives up; one with an order that has no answer does not.
_PATIENCE_S: Final = 12.0
_LONGEST_S: Final = 600.0
# A node that has stopped is a circle of some 400 KB.
_COLLECTED_EVERY: Final = 50


class Race:
    """One race.

    @param seed: decides everything that chance decides.
    @param stock: how many pieces there are; every buyer wants one.
    @ivar stock: the same.
    @ivar checks: what watches it.
    @ivar bought: how many pieces those have bought that have left.
    @ivar unanswered: how many of their orders had no answer.
    """

    def __init__(self, seed: int, buyers: int, stock: int, relays: int) -> None:
        self.stock = stock
        self._rng = random.Random(seed)
        self.network = Network(seed, Conditions(latency_s=0.02, loss=_LOSS))
        self._cluster = cluster = Cluster(self.network)
        checks: Sequence[type[Check]] = (StockAddsUp, SoldOnce, NeverFailedWhileSold, NoFaultOfOurs)
        self.checks = [check(cluster) for check in checks]
        for check in self.checks:
            cluster.observe(check)
        self._tracker = cluster.add_tracker(lambda member: [Tracker()])
        limits = limits_of(max_links=4 * buyers // relays + relays, min_links=relays // 2)
        self._relays = [cluster.add(f"relay-{number}", Programme(limits=limits)) for number in range(relays)]
        self._seller = cluster.add("seller", Programme(_seller_of(stock), neighbours=self._some_relays(3)))
        self._buyers = [
            cluster.add(f"buyer-{number}", Programme(_buyer, limits_of(min_links=0), None, self._some_relays(2)))
            for number in range(buyers)
        ]
        self._running = 0
        self.bought = 0
        self.unanswered = 0
        self._forgotten = 0

    def run(self) -> None:
        """Let it happen, until every buyer knows how it has ended for it."""
        timeline = self.network.timeline
        self._tracker.start()
        for member in (*self._relays, self._seller):
            member.start()
        for relay in self._relays[::2]:
            _send_twice(relay)
        self._cluster.run(_JOINING_S)
        began = timeline.now
        late = max(self.stock // 5, 2)
        for buyer in self._buyers[late:]:
            timeline.at(began + self._rng.uniform(0, _RACING_S), self._enter, buyer)
        for relay in self._rng.sample(self._relays, len(self._relays) // 5):
            timeline.at(began + self._rng.uniform(0, _RACING_S), Member.kill, relay)
        timeline.at(began + _RACING_S / 2, Member.crash, self._seller)
        timeline.at(began + _RACING_S / 2 + _SELLER_AWAY_S, Member.start, self._seller)
        self._cluster.run(_RACING_S)
        self._wait_for_all()
        # What was held back for those who gave up is free by then, and for who comes late.
        self._cluster.run(60.0)
        for buyer in self._buyers[:late]:
            self._enter(buyer)
        self._wait_for_all()
        self._cluster.run(60.0)
        for check in self.checks:
            check.on_end()

    def _wait_for_all(self) -> None:
        """Until every buyer knows how it has ended for it."""
        until = self.network.timeline.now + _LONGEST_S
        while self._running:
            assert self.network.timeline.now < until, f"{self._running} buyers do not know how it has ended"
            self._cluster.run(1.0)

    def faults(self) -> list[str]:
        """What is not as it should be, when it is over."""
        faults = [violation.text for check in self.checks for violation in check.violations]
        level = sales_of(self.seller).levels()[_ITEM]
        held = self.seller.shelf.reservations.held_for_others(_ITEM, -1, self._seller.host.seconds())
        if (level.in_stock, level.sold, self.bought) != (0, self.stock, self.stock):
            faults.append(f"{self.stock} supplied: {level.in_stock} left, {level.sold} sold, {self.bought} bought")
        if self.unanswered or held:
            faults.append(f"{self.unanswered} orders have no answer, and {held} pieces are still held back")
        return faults

    @property
    def seller(self) -> Seller:
        """The seller, as it is in the end."""
        [seller] = self._seller.roles
        assert isinstance(seller, Seller)
        return seller

    def _some_relays(self, many: int) -> list[Address]:
        return [relay.address for relay in self._rng.sample(self._relays, many)]

    def _enter(self, member: Member) -> None:
        self._running += 1
        member.start()
        [buyer] = member.roles
        assert isinstance(buyer, Buyer)
        buyer.finished.addCallback(lambda status: self._leave(member, buyer))

    def _leave(self, member: Member, buyer: Buyer) -> None:
        """Go, but not with an order that may have been sold."""
        if len(buyer.purchases):
            timeline = self.network.timeline
            timeline.at(timeline.now + 1.0, lambda _: self._leave(member, buyer), None)
        else:
            self._running -= 1
            self.bought += sum(want.bought for want in buyer.wants)
            member.stop().addCallback(lambda _: self._forget(member, buyer))

    def _forget(self, member: Member, buyer: Buyer) -> None:
        """Keep nothing of who has left: a thousand nodes with all they remember take 300 MB."""
        self.unanswered += len(buyer.purchases)
        member.roles = ()
        self._forgotten += 1
        if self._forgotten % _COLLECTED_EVERY == 0:
            gc.collect()


def _send_twice(relay: Member) -> None:
    """Let a relay pass on each message of a sale twice."""
    node = relay.node
    assert node is not None, "it runs"
    takes = node._forwarding._takes
    for cls in (Buy, BuyOK, BuyNo, Reply):
        take = takes[cls]

        def take_twice(peer: Peer, message: Any, take: Callable[[Peer, Any], None] = take) -> None:
            take(peer, message)
            take(peer, message)

        takes[cls] = take_twice


def _seller_of(stock: int) -> Callable[[Member], Sequence[IRole]]:
    return lambda member: [Seller({_ITEM: Supply(stock)}, DiskStore(member.host, "sales", MemorySales))]


def _buyer(member: Member) -> Sequence[IRole]:
    return [Buyer([Want(_ITEM, 1)], DiskStore(member.host, "orders", MemoryPurchases), once_s=_PATIENCE_S)]
