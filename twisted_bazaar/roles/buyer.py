"""The buyer: finds sellers, takes the best offer, and keeps looking until it has everything."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.backoff import Backoff
from twisted_bazaar.discovery.offer import GATHER_S
from twisted_bazaar.errors import Forged, SoldOut, StorageError, UsageError
from twisted_bazaar.exit_status import Ending, ExitStatus
from twisted_bazaar.interfaces import Command, IDiscoveryMethod, INode, Receivers
from twisted_bazaar.plugin import RoleContext
from twisted_bazaar.rate_limit import RateLimit
from twisted_bazaar.role import Role
from twisted_bazaar.roles.commands.trade import PurchasesCommands
from twisted_bazaar.roles.discovery.flood import FloodMethod
from twisted_bazaar.roles.discovery.method import no_goods
from twisted_bazaar.roles.goods import at_least, parse_seconds
from twisted_bazaar.roles.want import Want, parse_label, parse_wants
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.timer import Timer
from twisted_bazaar.trade.contract import read_offer, read_presence
from twisted_bazaar.trade.messages import BuyNo, BuyOK
from twisted_bazaar.trade.order import EXPIRED, OrderRecord, OrderState
from twisted_bazaar.trade.purchase import Purchases, is_sold
from twisted_bazaar.trade.stores.memory import MemoryPurchases, MemoryStore
from twisted_bazaar.trade.stores.sqlite import PURCHASES, SqliteStore
from twisted_bazaar.trade.stores.store import IStore, PurchaseBook
from twisted_bazaar.trade.wants import WantList
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.values.sale import Offer, at_price
from twisted_bazaar.wire.error import Error

_TIMEOUT_S: Final = 60.0
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 15.0
_STORE_AGAIN_S: Final = 5.0
_FAULTS_TOLD_A_MINUTE: Final = 5

T = TypeVar("T")


OPTIONS: Final = (
    Option("want", "What to buy: ITEM or ITEM=QUANTITY.", "GOODS", is_many=True),
    Option("max-price", "The most to pay for one unit, in minor units.", "PRICE", read=at_least(0)),
    Option("once", "Exit when everything is bought, or the timeout is over."),
    Option("timeout", "With --once: how many seconds to look.", "SECONDS", shown=f"{_TIMEOUT_S:g}", read=parse_seconds),
    Option(
        "for",
        "What the goods are for, in your words. What was bought for the same words before is not bought again.",
        "WORDS",
        read=parse_label,
    ),
    Option(
        "gather", "How many seconds to collect offers after the first.", "SECONDS", f"{GATHER_S}", read=parse_seconds
    ),
)
"""The options of a buyer."""
ENDINGS: Final = (
    Ending(ExitStatus.DONE, "With --once: all of it is bought."),
    Ending(ExitStatus.NOT_FOUND, "With --once: not found within --timeout seconds."),
    Ending(ExitStatus.SOLD_OUT, "With --once: found, but sold out; of some it may have bought a part."),
    Ending(
        ExitStatus.UNFINISHED,
        "With --once: ordered, and no answer. It may be yours: the same command again asks the seller, and orders "
        "nothing twice.",
    ),
    Ending(ExitStatus.TOO_DEAR, "With --once: found, but for more than --max-price; the lowest price is said."),
    Ending(
        ExitStatus.UNREACHED,
        "With --once: no tracker, index server, super peer or ring was reached, or what answers there is none.",
    ),
)
"""The exit statuses of a buyer that ends by itself."""
_WHY_MISSING: Final = {
    ExitStatus.NOT_FOUND: ": nobody who was asked has it",
    ExitStatus.SOLD_OUT: ": there is no more of it",
    ExitStatus.UNFINISHED: ": there is no answer yet",
}
EXAMPLE: Final = "--want apple"


class Buyer(Role):
    """Buys what is wanted.

    What it has bought for a want counts in later runs too, so that one that is killed and started again buys
    nothing twice. Only a run with an end, and without a label, that has bought everything counts it as done: the
    next one wants anew.

    @param wants: what to buy, each item once.
    @param store: keeps its book; one in memory if not given.
    @param max_price: the most to pay for one unit; None for any price.
    @param gather_s: how long to collect offers after the first.
    @param once_s: seconds after which to give up; None to look for ever.
    @param label: what it is for. What was bought for the same before counts.
    @param discovery: what it finds sellers by; flooding if not given.
    @ivar wants: everything wanted so far, bought or not.
    @ivar bag: the orders that were confirmed since it was started.
    @ivar purchases: its orders; there from L{start} on.
    """

    log: Final = Logger()

    def __init__(
        self,
        wants: Sequence[Want],
        store: IStore[PurchaseBook] | None = None,
        *,
        max_price: int | None = None,
        gather_s: float = GATHER_S,
        once_s: float | None = None,
        label: str = "",
        discovery: IDiscoveryMethod | None = None,
    ) -> None:
        self._discovery = discovery or FloodMethod()
        self.wants: list[Want] = list(wants)
        self._store = store or MemoryStore(MemoryPurchases())
        self._max_price = max_price
        self._gather_s = gather_s
        self._once_s = once_s
        self._label = label
        self.bag: list[OrderRecord] = []
        self.finished: Deferred[int] = Deferred()
        self._running: list[Deferred[None]] = []
        self._joined: Deferred[None] = Deferred()
        self._has_reached = False
        self._resumed: Deferred[None] = Deferred()
        self._faults_told = RateLimit.a_minute(_FAULTS_TOLD_A_MINUTE)
        # An answer is never answered, so nobody but the owner is told of one that says two things.
        self._useless_told = RateLimit.a_minute(_FAULTS_TOLD_A_MINUTE)

    def start(self, node: INode) -> None:
        """Go on with what has no answer yet, and look for everything at once."""
        super().start(node)
        self._give_up = Timer(node.clock, self._time_is_over)
        self._search = self._discovery.make_discovery(node, self._gather_s)
        self.purchases: Purchases = Purchases(node, self._store, self._seek)
        self._want_list = WantList(self._store)
        self.receives: Receivers = {
            **self._search.receives,
            BuyOK: self.purchases.answer_received,
            BuyNo: self.purchases.answer_received,
            Error: self.purchases.error_received,
        }
        self.commands: Mapping[str, Command] = PurchasesCommands(node, self.purchases).commands
        self.purchases.start()
        self._run(self._resume())
        for want in self.wants:
            self._pursue(want)
        if self._once_s is not None:
            self._give_up.set(self._once_s)

    def stop(self) -> Deferred[None]:
        """Stop looking; an order without an answer stays as it is."""
        self._give_up.cancel()
        for deferred in self._running:
            deferred.cancel()
        self._search.stop()
        for record in self.purchases.unanswered():
            self.node.report(
                "unknown",
                "no answer yet to order {order:.12} ({quantity} {item}) from node {seller}",
                seller=record.seller_node,
                order=record.id,
                quantity=record.quantity,
                item=record.item,
            )
        # Last of all: who is killed before that goes on with the same wants.
        is_done = self._once_s is not None and not self._label and not any(want.missing for want in self.wants)
        closing = self._want_list.close() if is_done else succeed(None)
        closing.addErrback(self._wants_not_closed)
        return closing.addCallback(lambda _: self.purchases.stop())

    def add(self, want: Want) -> None:
        """Look for one thing more, from now on."""
        self.wants.append(want)
        self._pursue(want)

    def peer_joined(self, peer: Peer) -> None:
        """There is somebody to ask, perhaps one who has not answered yet."""
        self._has_reached = True
        self.purchases.seller_found(peer.key, (self.node.id, peer.id))
        self._begin()

    def tracker_joined(self) -> None:
        """There is somebody who can name others, if that is how they are found."""
        if self._discovery.gives_ids:
            self._begin()
        self._has_reached |= self._discovery.gives_ids or self._discovery.needs_links

    def _begin(self) -> None:
        if not self._joined.called:
            self._joined.callback(None)

    def _run(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        """Do something that takes its time, and is broken off by a stop."""
        running = Deferred.fromCoroutine(work)
        self._running.append(running)
        running.addErrback(self._broke_off)

    def _pursue(self, want: Want) -> None:
        self.node.report("wanted", None, item=want.item, quantity=want.quantity)
        self._run(self._fill(want))

    async def _resume(self) -> None:
        """Ask again what became of orders without an answer, and tell of it."""
        for record in await self._stored(self.purchases.resume):
            self.node.report(
                "resumed",
                "asking again for an answer to order {order:.12} of {quantity} {item}",
                order=record.id,
                quantity=record.quantity,
                item=record.item,
            )
            self.purchases.outcome(record.id).addCallback(self._resumed_order_ended)
        self._resumed.callback(None)

    def _resumed_order_ended(self, record: OrderRecord) -> None:
        """Tell of an order for something that is wanted no more."""
        if record.want not in {want.number for want in self.wants}:
            self._count(Want(record.item, record.quantity), record, None)

    async def _fill(self, want: Want) -> None:
        """Search and buy until nothing of one want is missing."""
        backoff = Backoff(self.node.rng, _FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        await _until(self._resumed)
        await self._take_up(want)
        if want.missing:
            await _until(self._joined)
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
        if not any(each.missing for each in self.wants):
            self._finish(ExitStatus.DONE)

    async def _take_up(self, want: Want) -> None:
        """Enter a want into the book, and wait for the orders for it that have no answer yet."""
        row, records = await self._stored(lambda: self._want_list.find(want.item, want.quantity, self._label))
        want.number = row.number
        want.bought = sum(record.quantity for record in records if is_sold(record))
        taken_back = sum(each.quantity for each in records if each.withdrawal is not None and not is_sold(each))
        wanted = want.quantity - taken_back
        want.quantity = max(want.bought, wanted)
        if want.bought:
            self.node.report(
                "had",
                "{bought} {item} of {quantity} bought before"
                if want.bought <= wanted
                else "{bought} {item} bought before, when more was wanted than now: there is nothing to buy",
                item=want.item,
                bought=want.bought,
                quantity=want.quantity,
            )
        for record in records:
            if not record.state.is_final:
                self._count(want, await self.purchases.outcome(record.id), None)

    def _is_wanted(self, want: Want, offer: Offer) -> bool:
        """Whether an offer may be taken: who has just refused hides nobody farther away."""
        try:
            terms = read_offer(offer, self.node.bazaar)
        except Forged as error:
            if self._useless_told.allow(self.node.clock.seconds()):
                self.log.warn(
                    "an offer of {item} by node {node} counts as never come: {reason}",
                    item=offer.item,
                    node=offer.seller,
                    reason=str(error),
                )
            return False
        price = offer.price or 0
        if self._max_price is not None and price > self._max_price:
            want.too_dear = min(price, price if want.too_dear is None else want.too_dear)
            return False
        return terms.seller not in want.refused_by

    def _seek(self, record: OrderRecord) -> None:
        """Search for a seller that does not answer: of its offer only the way to it is of interest."""

        def take_way(offer: Offer) -> bool:
            with suppress(Forged):
                read_presence(offer, self.node.bazaar, record.seller)
                self.purchases.seller_found(record.seller, offer.route)
            return False

        self._search.find(record.item, record.quantity, take_way, record.seller)

    async def _take(self, want: Want, offer: Offer) -> None:
        """Order from one seller what is missing and it has."""
        quantity = min(want.missing, offer.quantity)
        record = self.purchases.prepare(want.number, offer, quantity)
        record = await self._stored(lambda: self.purchases.order(record, offer.route))
        self._count(want, record, offer)

    def _count(self, want: Want, record: OrderRecord, offer: Offer | None) -> None:
        """An order has ended."""
        details: dict[str, Any] = {
            "item": want.item,
            "quantity": record.quantity,
            "price": record.price,
            "seller": record.seller_node,
            "seller_key": record.seller,
            "order": record.id,
        }
        if offer is not None:
            details |= {"search": offer.search_id, "route": offer.route}
        if is_sold(record):
            want.bought += record.quantity
            self.bag.append(record)
            bought = f"bought {{quantity}} {{item}}{at_price(record.price)}, order {{order:.12}}, from node {{seller}}"
            self.node.report("bought", bought, **details)
            if record.withdrawal is not None:
                late = "order {order:.12} was sold before it could be taken back: it is yours"
                self.node.report("not_cancelled", late, **details)
            return
        want.refused = want.refused or record.code == SoldOut.code
        # Who was not asked, or too late, has not refused. It holds units back for this buyer, who is to come for them.
        if record.answer is not None and record.code != EXPIRED:
            want.refused_by.add(record.seller)
        if record.withdrawal is not None:
            want.quantity = max(want.bought, want.quantity - record.quantity)
        if record.state is OrderState.CANCELLED:
            self.node.report(
                "cancelled", "cancelled order {order:.12} of {quantity} {item} from node {seller}", **details
            )
        else:
            missed = "node {seller} refused {quantity} {item}, order {order:.12}: {reason}"
            self.node.report("missed", missed, reason=record.reason, **details)

    async def _stored(self, ask: Callable[[], Deferred[T]]) -> T:
        """Ask something of the book; while it cannot be written, again and again."""
        while True:
            try:
                return await ask()
            except StorageError as error:
                if self._faults_told.allow(self.node.clock.seconds()):
                    self.log.error(
                        "the book cannot be read or written, so nothing can be ordered: {reason}; trying again every "
                        "{every_s:g} s",
                        reason=str(error),
                        every_s=_STORE_AGAIN_S,
                    )
                await deferLater(self.node.clock, _STORE_AGAIN_S)

    def _time_is_over(self) -> None:
        """Say how far it came; what may still be sold is unknown, not missing."""
        open_items = {record.item for record in self.purchases.unanswered()}
        missing = [want for want in self.wants if want.missing]
        if any(want.item in open_items for want in missing):
            status = ExitStatus.UNFINISHED
        elif any(want.refused or want.bought for want in missing):
            # Who sold some of it had no more.
            status = ExitStatus.SOLD_OUT
        elif any(want.too_dear is not None for want in missing):
            status = ExitStatus.TOO_DEAR
        elif self._discovery.nobody_asked is not None and (not self._has_reached or self._discovery.is_with_stranger):
            status = ExitStatus.UNREACHED
            self.node.report("nobody_asked", self._discovery.nobody_asked)
        else:
            status = ExitStatus.NOT_FOUND
        for want in missing:
            why, details = _WHY_MISSING.get(status, ""), {}
            if want.too_dear is not None:
                why = ": the lowest price is {lowest_price}, and --max-price is {max_price}"
                details = {"lowest_price": want.too_dear, "max_price": self._max_price}
            self.node.report(
                "missing",
                f"{{missing}} {{item}} not bought{why}",
                item=want.item,
                missing=want.missing,
                status=status,
                **details,
            )
        self._finish(status)

    def _finish(self, status: int) -> None:
        self._give_up.cancel()
        if self._once_s is not None and not self.finished.called:
            self.finished.callback(status)

    def _wants_not_closed(self, failure: Failure) -> None:
        failure.trap(StorageError)
        self.log.error(
            "the wants could not be closed in the book, so the next run counts them as bought: {reason}",
            reason=failure.getErrorMessage(),
        )

    def _broke_off(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self.log.failure("the buyer stopped looking for goods", failure)


async def _until(event: Deferred[None]) -> None:
    """Wait for something that several wait for."""
    if not event.called:
        waiting: Deferred[None] = Deferred()
        event.addCallback(waiting.callback)
        await waiting


def make_role(options: OptionValues, context: RoleContext) -> Buyer:
    """Make a buyer from its options.

    @raise UsageError: goods are not found in its way, nothing is wanted, or an option cannot be read.
    """
    if not context.discovery.finds_goods:
        raise no_goods(context.discovery.name)
    wants = parse_wants(options["want"])
    state = context.state
    if not wants and (options["once"] or state is None):
        raise UsageError("a buyer needs something to look for: add --want apple")
    timeout_s: float | None = options["timeout"]
    if timeout_s is not None and not options["once"]:
        raise UsageError("--timeout goes with --once; without it a buyer looks until it is stopped")
    store: SqliteStore[PurchaseBook] | None = None
    if state is not None:
        store = SqliteStore(state.path / PURCHASES.file_name, PURCHASES)
        store.check()
    return Buyer(
        wants,
        store,
        max_price=options["max-price"],
        gather_s=options["gather"],
        once_s=(_TIMEOUT_S if timeout_s is None else timeout_s) if options["once"] else None,
        label=options["for"] or "",
        discovery=context.discovery,
    )
