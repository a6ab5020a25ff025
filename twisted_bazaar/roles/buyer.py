"""The buyer: finds sellers by flooding, takes the best offer, and keeps looking until it has everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python import usage
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.backoff import Backoff
from twisted_bazaar.discovery.flood.search import GATHER_S, FloodSearch
from twisted_bazaar.errors import SoldOut, UsageError
from twisted_bazaar.interfaces import IErrand, INode, Offer, Peer
from twisted_bazaar.node.control import Error
from twisted_bazaar.plugin import Role
from twisted_bazaar.roles.goods import parse_count, parse_goods, parse_seconds
from twisted_bazaar.trade.messages import BuyOK
from twisted_bazaar.trade.order import OrderRecord
from twisted_bazaar.trade.purchase import Purchases, is_sold

BOUGHT: Final = 0
NOT_FOUND: Final = 3
SOLD_OUT: Final = 4
UNKNOWN: Final = 5

_TIMEOUT_S: Final = "60"
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 15.0


class Options(usage.Options):
    """The options of a buyer."""

    optFlags = [["once", None, "Exit when everything is bought, or the timeout is over."]]
    optParameters = [
        ["max-price", None, None, "The most to pay for one piece, in minor units."],
        ["timeout", None, None, "With --once: how many seconds to look; 60 if not given."],
        ["gather", None, str(GATHER_S), "How many seconds to collect offers after the first."],
    ]

    def opt_want(self, goods: str) -> None:
        """What to buy: ITEM or ITEM=QUANTITY; may be given several times."""
        self.setdefault("want", []).append(goods)


@define
class Want:
    """Something to buy.

    @ivar refused: whether a seller that offered it had none left when it was ordered.
    @ivar refused_by: sellers passed over until nobody else is found.
    """

    item: str
    quantity: int
    bought: int = 0
    refused: bool = False
    refused_by: set[int] = field(factory=set)

    @property
    def missing(self) -> int:
        """How many are still to be bought."""
        return self.quantity - self.bought


@define
class Bag:
    """What a buyer has bought: offers taken, and how many of each."""

    purchases: list[tuple[Offer, int]] = field(factory=list)


@implementer(IErrand)
class Buyer(Role):
    """Buys what is wanted.

    @param wants: what to buy, each item once.
    @param max_price: the most to pay for one piece; None for any price.
    @param gather_s: how long to collect offers after the first.
    @param once_s: seconds after which to give up; None to look for ever.
    @ivar wants: everything wanted so far, bought or not.
    @ivar bag: what has been bought so far.
    """

    log = Logger()

    def __init__(
        self,
        wants: Sequence[Want],
        *,
        max_price: int | None = None,
        gather_s: float = GATHER_S,
        once_s: float | None = None,
    ) -> None:
        self.wants = list(wants)
        self._max_price = max_price
        self._gather_s = gather_s
        self._once_s = once_s
        self.bag = Bag()
        self.finished: Deferred[int] = Deferred()
        self._running: list[Deferred[None]] = []
        self._joined: Deferred[None] = Deferred()
        self._give_up: IDelayedCall | None = None

    def start(self, node: INode) -> None:
        """Look for everything at once."""
        super().start(node)
        self._search = FloodSearch(node, self._gather_s)
        self._purchases = Purchases(node, self._seek)
        self.receives = {
            **self._search.receives,
            BuyOK: self._purchases.confirmed,
            Error: self._purchases.failed,
        }
        for want in self.wants:
            self._pursue(want)
        if self._once_s is not None:
            self._give_up = node.clock.callLater(self._once_s, self._time_is_over)

    def stop(self) -> Deferred[None]:
        """Stop looking; an order without an answer stays as it is."""
        if self._give_up is not None and self._give_up.active():
            self._give_up.cancel()
        for deferred in self._running:
            deferred.cancel()
        self._search.stop()
        for record in self._purchases.unanswered():
            self.node.report(
                "unknown",
                "stopped without an answer from node {seller} to order {order} ({quantity} {item})",
                seller=record.seller,
                order=record.order.id,
                quantity=record.order.quantity,
                item=record.order.item,
            )
        self._purchases.stop()
        return super().stop()

    def add(self, want: Want) -> None:
        """Look for one thing more, from now on."""
        self.wants.append(want)
        self._pursue(want)

    def peer_joined(self, peer: Peer) -> None:
        """There is somebody to ask, perhaps one who has not answered yet."""
        self._purchases.seller_found(peer.id, (self.node.id, peer.id))
        if not self._joined.called:
            self._joined.callback(None)

    def _pursue(self, want: Want) -> None:
        self.node.report("wanted", None, item=want.item, quantity=want.quantity)
        filling = Deferred.fromCoroutine(self._fill(want))
        self._running.append(filling)
        filling.addCallbacks(self._filled, self._broke_off)

    async def _fill(self, want: Want) -> None:
        """Search and buy until nothing of one want is missing."""
        backoff = Backoff(self.node.rng, _FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        await self._until_joined()
        while want.missing:
            before = want.missing
            offers = await self._search.find(want.item, want.missing, partial(self._is_wanted, want))
            self.node.report("sought", None, item=want.item, quantity=want.missing, offers=len(offers))
            if not offers:
                want.refused_by.clear()
            for offer in offers:
                if want.missing:
                    await self._take(want, offer)
            if want.missing < before:
                backoff.reset()
            elif want.missing:
                await deferLater(self.node.clock, backoff.delay())

    def _is_wanted(self, want: Want, offer: Offer) -> bool:
        """Whether an offer may be taken: who has just refused hides nobody farther away."""
        is_cheap = self._max_price is None or (offer.price or 0) <= self._max_price
        return is_cheap and offer.seller not in want.refused_by

    def _seek(self, record: OrderRecord) -> None:
        """Search for a seller that does not answer: of its offer only the way to it is of interest."""

        def take_way(offer: Offer) -> bool:
            if offer.seller == record.seller:
                self._purchases.seller_found(record.seller, offer.route)
            return False

        self._search.find(record.order.item, record.order.quantity, take_way, record.seller)

    async def _until_joined(self) -> None:
        """Wait for the first link; several wants wait for the same one."""
        if not self._joined.called:
            waiting: Deferred[None] = Deferred()
            self._joined.addCallback(waiting.callback)
            await waiting

    async def _take(self, want: Want, offer: Offer) -> None:
        """Order from one seller what is missing and it has."""
        quantity = min(want.missing, offer.quantity)
        record = await self._purchases.order(offer.seller, offer.item, quantity, offer.price, offer.route)
        details: dict[str, Any] = {
            "item": want.item,
            "quantity": quantity,
            "price": offer.price,
            "seller": offer.seller,
            "order": record.order.id,
            "search": offer.search_id,
            "route": offer.route,
        }
        if is_sold(record):
            want.bought += quantity
            self.bag.purchases.append((offer, quantity))
            self.node.report("bought", "bought {quantity} {item} from node {seller}", **details)
        else:
            code, reason = record.refusal or (SoldOut.code, "")
            want.refused = want.refused or code == SoldOut.code
            want.refused_by.add(offer.seller)
            self.node.report("missed", "node {seller} refused: {reason}", reason=reason, **details)

    def _time_is_over(self) -> None:
        """Say how far it came; what may still be sold is unknown, not missing."""
        open_items = {record.order.item for record in self._purchases.unanswered()}
        missing = [want for want in self.wants if want.missing]
        if any(want.item in open_items for want in missing):
            status = UNKNOWN
        elif any(want.refused for want in missing):
            status = SOLD_OUT
        else:
            status = NOT_FOUND
        for want in missing:
            self.node.report(
                "missing", "{missing} {item} not bought", item=want.item, missing=want.missing, status=status
            )
        self._finish(status)

    def _finish(self, status: int) -> None:
        if self._give_up is not None and self._give_up.active():
            self._give_up.cancel()
        if self._once_s is not None and not self.finished.called:
            self.finished.callback(status)

    def _filled(self, result: None) -> None:
        if not any(want.missing for want in self.wants):
            self._finish(BOUGHT)

    def _broke_off(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self.log.failure("a buyer stopped looking", failure)


def make_role(options: Mapping[str, Any]) -> Buyer:
    """Make a buyer from its options.

    @raise UsageError: nothing is wanted, or an option cannot be read.
    """
    wants: dict[str, Want] = {}
    for text in options.get("want", ()):
        item, quantity, price = parse_goods(text, "--want")
        if price is not None:
            raise UsageError(f"--want {text!r}: the most to pay goes into --max-price")
        if item in wants:
            raise UsageError(f"--want names {item!r} twice; write --want {item}={wants[item].quantity + quantity}")
        wants[item] = Want(item, quantity)
    if not wants:
        raise UsageError("a buyer needs something to look for: add --want apple")
    most = options["max-price"]
    if options["timeout"] is not None and not options["once"]:
        raise UsageError("--timeout goes with --once; without it a buyer looks until it is stopped")
    timeout_s = parse_seconds(options["timeout"] or _TIMEOUT_S, "--timeout")
    return Buyer(
        list(wants.values()),
        max_price=None if most is None else parse_count(most, "--max-price", most, 0),
        gather_s=parse_seconds(options["gather"], "--gather"),
        once_s=timeout_s if options["once"] else None,
    )
