"""Offers gathered in one search, however those who make them are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from twisted_bazaar.discovery.offer import MOST_OFFERS, best_first
from twisted_bazaar.interfaces import INode
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.sale import Offer, at_price


class Gathering:
    """The offers of one search. It is over a while after the first has come, or when it is ended.

    @param accept: whether an offer is of any use; the others count for nothing.
    @param gather_s: how long to go on after the first offer.
    @ivar item: what is looked for.
    @ivar done: fires with the offers, best first, when it is over.
    """

    def __init__(self, node: INode, item: str, accept: Callable[[Offer], bool], gather_s: float) -> None:
        self._node = node
        self.item = item
        self._accept = accept
        self._gather_s = gather_s
        self._offers: dict[int, Offer] = {}
        self._timer = Timer(node.clock, self.finish)
        self.done: Deferred[Sequence[Offer]] = Deferred()
        # Who waits may stop waiting.
        self.done.addBoth(self._over)

    def __len__(self) -> int:
        return len(self._offers)

    def add_offer(self, offer: Offer) -> None:
        """Keep an offer that has come, if it is of use: of those of one seller the nearest."""
        if offer.item != self.item or len(self) >= MOST_OFFERS or not self._accept(offer):
            return
        known = self._offers.get(offer.seller)
        if known is None or len(offer.route) < len(known.route):
            self._offers[offer.seller] = offer
        if known is None:
            self._node.report(
                "offered",
                "node {seller} offers {quantity} {item}" + at_price(offer.price),
                seller=offer.seller,
                item=offer.item,
                quantity=offer.quantity,
                price=offer.price,
                search=offer.search_id,
            )
        if not (self._timer.is_set or self.done.called):
            self._timer.set(self._gather_s)

    def finish(self) -> None:
        """Gather no more; what has come so far is all."""
        if not self.done.called:
            self.done.callback(best_first(self._offers.values()))

    def _over(self, found: Any) -> Any:
        self._timer.cancel()
        return found
