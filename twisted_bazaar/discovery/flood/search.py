"""Flooded search with an expanding ring (RFC 3561, 6.4), and the answers to it.

A search starts with a small reach and grows it only while nobody answers, so that what is near costs
little. Each round is a search with an id of its own: nodes pass one id on once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.discovery.flood.messages import Reply, Search
from twisted_bazaar.discovery.gathering import Gathering
from twisted_bazaar.discovery.offer import GATHER_S
from twisted_bazaar.errors import StorageError
from twisted_bazaar.interfaces import IAnswers, IDiscovery, INode, IOffers, Receivers
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Address, Origin
from twisted_bazaar.values.sale import Offer

REACHES: Final = (2, 4, 7)
ROUND_S: Final = (1.0, 2.0, 4.0)
DIRECT_LINK_S: Final = 30.0
# A buyer behind a firewall is not to wait for its offers until a connection times out.
DIRECT_TRY_S: Final = 1.0


@define(eq=False)
class _Hunt:
    """One call of L{FloodSearch.find}: several rounds, one answer."""

    quantity: int
    seller: str | None
    gathering: Gathering
    timer: Timer
    round: int = 0
    search_ids: list[int] = field(factory=list)


@implementer(IDiscovery)
class FloodSearch:
    """Finds sellers by flooding.

    @param node: the node it speaks through.
    @param gather_s: how long to go on collecting after the first offer.
    """

    def __init__(self, node: INode, gather_s: float = GATHER_S) -> None:
        self._node = node
        self._gather_s = gather_s
        self._hunts: dict[int, _Hunt] = {}
        self.receives: Receivers = {Reply: self._reply_received}

    def find(
        self, item: str, quantity: int, accept: Callable[[Offer], bool], seller: str | None = None
    ) -> Deferred[Sequence[Offer]]:
        """Look for sellers of an item, or for one of them; fires with offers, best first, or with none."""
        gathering = Gathering(self._node, item, accept, self._gather_s)
        hunt = _Hunt(quantity, seller, gathering, Timer(self._node.clock, lambda: self._next_round(hunt)))
        hunt.gathering.done.addBoth(self._forget, hunt)
        self._next_round(hunt)
        return hunt.gathering.done

    def stop(self) -> None:
        """End every search under way; what waits for one gets what has come so far."""
        for gathering in dict.fromkeys(hunt.gathering for hunt in self._hunts.values()):
            gathering.finish()

    def _next_round(self, hunt: _Hunt) -> None:
        if hunt.round == len(REACHES):
            hunt.gathering.finish()
            return
        search = self._node.new_flood(
            Search,
            ttl=REACHES[hunt.round],
            item=hunt.gathering.item,
            quantity=hunt.quantity,
            seller=hunt.seller,
            bazaar=self._node.bazaar,
        )
        hunt.search_ids.append(search.id)
        self._hunts[search.id] = hunt
        hunt.timer.set(ROUND_S[hunt.round])
        hunt.round += 1
        self._node.flood(search)

    def _reply_received(self, reply: Reply, origin: Origin) -> None:
        hunt = self._hunts.get(reply.id)
        if hunt is None:
            return
        hunt.gathering.add_offer(
            Offer(origin.id, reply.item, reply.quantity, reply.price, reply.id, origin.route, reply.quote)
        )
        if len(hunt.gathering):
            hunt.timer.cancel()

    def _forget(self, found: Any, hunt: _Hunt) -> Any:
        hunt.timer.cancel()
        for search_id in hunt.search_ids:
            del self._hunts[search_id]
        return found


@implementer(IAnswers)
class FloodAnswers:
    """Answers searches from a shelf: over a direct link if one can be had, else along the path.

    @param node: the node it speaks through.
    @param shelf: what there is to offer.
    """

    log: Final = limited_logger(__name__)

    def __init__(self, node: INode, shelf: IOffers) -> None:
        self._node = node
        self._shelf = shelf
        self._releases: dict[int, Timer] = {}
        self._is_stopped = False
        self.receives: Receivers = {Search: self._search_received}

    def offers_changed(self) -> None:
        """Do nothing: by flooding nobody learns of goods before asking."""

    def stop(self) -> None:
        """Set no more timers, and forget those that are set."""
        self._is_stopped = True
        for release in self._releases.values():
            release.cancel()
        self._releases.clear()

    def _search_received(self, search: Search, origin: Origin) -> None:
        if self._is_stopped or search.bazaar != self._node.bazaar:
            return
        answering = Deferred.fromCoroutine(self._answer(search, origin))
        answering.addErrback(self._not_answered, search, origin)

    def _not_answered(self, failure: Failure, search: Search, origin: Origin) -> None:
        # While the book cannot be read there is nothing to offer.
        if failure.check(StorageError) is None:
            self.log.failure(
                "a search of node {node} for {item} could not be answered", failure, node=origin.id, item=search.item
            )

    async def _answer(self, search: Search, origin: Origin) -> None:
        route = origin.route
        if search.seller is not None:
            # The way to this node is wanted, and no goods: it gets the one that its search has come by.
            if search.seller != self._node.key.public:
                return
            reply = Reply(item=search.item, id=search.id, quote=self._shelf.presence(search.id))
        else:
            quote = await self._shelf.quote(search.item, search.quantity, origin)
            if quote is None:
                return
            if not origin.is_direct and await self._reach(search, origin):
                route = (self._node.id, origin.id)
                self._release_later(origin.id)
            reply = Reply(
                item=search.item, id=search.id, quantity=quote.quantity, price=quote.price, quote=quote.statement
            )
        for way in (route, origin.route, *self._node.routes_to(origin.id)):
            if self._node.send(reply, way):
                break

    async def _reach(self, search: Search, origin: Origin) -> bool:
        """Whether there is a direct link to the buyer now."""
        if search.host is None:
            return any(len(route) == 2 for route in self._node.routes_to(origin.id))
        reaching = self._node.try_hold_link(origin.id, Address(search.host, search.port or 0), self)
        reaching.addTimeout(DIRECT_TRY_S, self._node.clock, lambda result, timeout: False)
        return await reaching

    def _release_later(self, buyer: int) -> None:
        """Keep the direct link as long as a reservation lasts."""
        if self._is_stopped:
            return
        release = self._releases.get(buyer)
        if release is None:
            release = self._releases[buyer] = Timer(self._node.clock, partial(self._release, buyer))
        release.set(DIRECT_LINK_S)

    def _release(self, buyer: int) -> None:
        del self._releases[buyer]
        self._node.release_link(buyer, self)
