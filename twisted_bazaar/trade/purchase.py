"""Purchases: the buyer's side of a sale. It orders, asks again until there is an answer, and believes only the seller.

An order is on disk before it is sent. It goes along the best route; while no answer comes it is sent again,
the same bytes, ever more rarely, each time along the next route. It ends with the answer that the seller has
signed, by whomever that is brought, and in no other way; a process that was killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.backoff import Backoff
from twisted_bazaar.errors import Forged, NoRoute, StorageError, UsageError, WrongWay
from twisted_bazaar.identity.signed import Envelope
from twisted_bazaar.interfaces import INode
from twisted_bazaar.rate_limit import RateLimit
from twisted_bazaar.timer import Timer
from twisted_bazaar.trade.contract import (
    ID_BYTES,
    Answer,
    Purchase,
    Quote,
    check_answer,
    digest_of,
    make_purchase,
    make_withdrawal,
    read_offer,
)
from twisted_bazaar.trade.messages import Answered, Buy, Cancel, handle_of
from twisted_bazaar.trade.order import OrderLife, OrderRecord, OrderState, end, order_life
from twisted_bazaar.trade.stores.store import IStore, PurchaseBook
from twisted_bazaar.values.addresses import Route
from twisted_bazaar.values.sale import Offer, Outcome

_FIRST_REPEAT_S: Final = 1.0
_LONGEST_REPEAT_S: Final = 30.0
# A search for a seller that may never come back asks everybody within reach.
_LONGEST_SEEK_S: Final = 600.0
_TRIES_BEFORE_DOUBT: Final = 3
_ODD_TOLD_A_MINUTE: Final = 5
# Who hears a search for a seller can make up any number of ways to it.
_ROUTES_BETWEEN_REPEATS: Final = 8


@define
class _OpenOrder:
    record: OrderRecord
    life: OrderLife
    route: Route | None
    backoff: Backoff
    # How long to wait between searches for the seller, and when the next may begin.
    patience: Backoff
    done: Deferred[OrderRecord]
    repeat: Timer
    was_sent: bool = False
    # Whether its end is being written.
    is_ending: bool = False
    tries: int = 0
    seek_at: float = 0.0
    tried: set[Route] = field(factory=set)


class Purchases:
    """The orders of one buyer.

    @param node: the node it speaks through.
    @param store: keeps the buyer's book.
    @ivar fault: why the book could not be written when it was last tried; None if it could.
    @param seek: called with an order that goes unanswered, to look for another way to its seller.
    """

    log: Final = Logger()
    fault: str | None = None

    def __init__(self, node: INode, store: IStore[PurchaseBook], seek: Callable[[OrderRecord], object]) -> None:
        self._node = node
        self._store = store
        self._seek = seek
        self._open: dict[str, _OpenOrder] = {}
        self._odd_told = RateLimit.a_minute(_ODD_TOLD_A_MINUTE)
        self._is_stopped = False

    def __len__(self) -> int:
        return len(self._open)

    def start(self) -> None:
        """Open the book."""
        self._store.open(self._node.clock)

    def stop(self) -> Deferred[None]:
        """Send nothing more, and close the book. What is open stays open: no answer is not a no."""
        self._is_stopped = True
        for opened in self._open.values():
            opened.repeat.cancel()
        return self._store.close()

    def resume(self) -> Deferred[Sequence[OrderRecord]]:
        """Go on with every order in the book that has no answer; fires with them.

        @raise StorageError: the book cannot be read now.
        """

        def go_on(records: Sequence[OrderRecord]) -> Sequence[OrderRecord]:
            for record in records:
                if record.id not in self._open:
                    # Nobody knows what has become of it meanwhile.
                    record.state = OrderState.PENDING
                    opened = self._begin(record, None)
                    opened.tries = _TRIES_BEFORE_DOUBT
                    opened.was_sent = True
                    opened.life.mark_in_doubt()
                    self._wait(opened)
            return [opened.record for opened in self._open.values()]

        return self._store.run_transaction(lambda book: book.open_orders()).addCallback(go_on)

    def prepare(self, want: int, offer: Offer, quantity: int) -> OrderRecord:
        """Sign an order.

        @param want: the number of the want that it is for.
        @raise Forged: the quote in the offer does not hold.
        """
        terms = read_offer(offer, self._node.bazaar)
        assert offer.quote is not None, "an offer whose quote holds has one"
        order_id = self._node.rng.randbytes(ID_BYTES).hex()
        return OrderRecord(
            id=order_id,
            want=want,
            seller=terms.seller,
            seller_node=offer.seller,
            item=terms.item,
            quantity=quantity,
            price=terms.price,
            statement=make_purchase(self._node.key, order_id, offer.quote, terms, quantity),
            ordered_at=self._node.clock.seconds(),
        )

    def order(self, record: OrderRecord, route: Route) -> Deferred[OrderRecord]:
        """Write an order down, and then send it.

        @param record: from L{prepare}. When the book could not be written, try again with the same: it may be in
            there all the same, and would be sent after a restart.
        @param route: the way to try first.
        @return: fires with the record when it has ended; never before that.
        @raise StorageError: the book cannot be written; nothing was sent.
        """

        def send_first(result: None) -> Deferred[OrderRecord]:
            opened = self._begin(record, route)
            ended = self.outcome(record.id)
            if self._is_stopped:
                return ended
            if not any(self._send(opened, way) for way in (route, *self._node.routes_to(record.seller_node))):
                # Nothing has left this node, so nothing can have been sold.
                self._end(opened, Outcome.CANCELLED, None, NoRoute.code, "there was no way to the seller any more")
            return ended

        return self._put(lambda book: book.put(record)).addCallback(send_first)

    def take_back(self, order_id: str) -> Deferred[OrderRecord]:
        """Ask the seller that an order is not to be, if it has not been answered yet.

        @return: fires with its record when it has ended, one way or the other.
        @raise UsageError: there is no open order of this id.
        @raise StorageError: the book cannot be written; nothing has changed.
        """
        opened = self._open.get(order_id)
        if opened is None:
            raise UsageError(f"there is no open order {order_id}")
        record = opened.record
        if record.withdrawal is None and not opened.is_ending:
            purchase = record.statement.open(Purchase)
            withdrawal = make_withdrawal(self._node.key, record.id, purchase.quote, purchase.bazaar)
            changed = evolve(record, withdrawal=withdrawal)

            def send(result: None) -> None:
                record.withdrawal = withdrawal
                opened.tried.clear()
                for way in (*([opened.route] if opened.route else []), *self._node.routes_to(record.seller_node)):
                    if self._send(opened, way):
                        break

            writing = self._put(lambda book: book.put(changed)).addCallback(send)
        else:
            writing = succeed(None)
        return writing.addCallback(lambda _: self.outcome(order_id))

    def outcome(self, order_id: str) -> Deferred[OrderRecord]:
        """Fires with the record of an open order when it has ended; others may wait for the same.

        @raise UsageError: there is no open order of this id.
        """
        opened = self._open.get(order_id)
        if opened is None:
            raise UsageError(f"there is no open order {order_id}")
        waiting: Deferred[OrderRecord] = Deferred()

        def pass_on(record: OrderRecord) -> OrderRecord:
            waiting.callback(record)
            return record

        opened.done.addCallback(pass_on)
        return waiting

    def unanswered(self) -> list[OrderRecord]:
        """The orders of which nobody knows yet how they ended."""
        return [opened.record for opened in self._open.values()]

    def orders(self, id_prefix: str = "", most: int = 1000) -> Deferred[Sequence[OrderRecord]]:
        """Orders of this buyer, the latest first.

        @raise StorageError: the book cannot be read now.
        """
        return self._store.run_transaction(lambda book: book.latest(id_prefix, most))

    def seller_found(self, seller: str, route: Route) -> None:
        """Ask again along a route by which a seller was just heard of, each once between two repeats.

        @param seller: its key. Whether it is there is seen by its answer.
        """
        for opened in list(self._open.values()):
            if opened.record.seller == seller:
                opened.record.seller_node = route[-1]
                self._try(opened, route)

    def answer_received(self, message: Answered, origin: object) -> None:
        """An answer came; whoever has brought it, the seller must have signed it."""
        opened = next((each for each in self._open.values() if handle_of(each.record.id) == message.id), None)
        if opened is None or opened.is_ending:
            return
        try:
            answer = _read_answer(message.answer, opened.record, self._node.key.public)
        except Forged as error:
            if self._odd_told.allow(self._node.clock.seconds()):
                self._node.report(
                    "odd",
                    "an answer to order {order:.12} does not hold, and is ignored: {reason}",
                    order=opened.record.id,
                    reason=str(error),
                )
            return
        self._end(opened, answer.outcome, message.answer, answer.code, _printable(answer.reason))

    def error_received(self, message: Any, origin: object) -> None:
        """An error came that may be about an order: none of them ends it, but some say to try another way."""
        if message.id is None or message.code not in (NoRoute.code, WrongWay.code):
            return
        for opened in list(self._open.values()):
            if handle_of(opened.record.id) == message.id:
                self._detour(opened)

    def _put(self, write: Callable[[PurchaseBook], None]) -> Deferred[None]:
        """Write into the book, and note in C{fault} whether that worked."""

        def written(result: None) -> None:
            self.fault = None

        def failed(failure: Failure) -> Failure:
            if failure.check(StorageError):
                self.fault = failure.getErrorMessage()
            return failure

        return self._store.run_transaction(write).addCallbacks(written, failed)

    def _begin(self, record: OrderRecord, route: Route | None) -> _OpenOrder:
        backoff = Backoff(self._node.rng, _FIRST_REPEAT_S, _LONGEST_REPEAT_S, factor=2.0)
        patience = Backoff(self._node.rng, _FIRST_REPEAT_S, _LONGEST_SEEK_S, factor=1.5)
        repeat = Timer(self._node.clock, lambda: self._repeat(opened))
        opened = _OpenOrder(record, order_life(record), route, backoff, patience, Deferred(), repeat)
        self._open[record.id] = opened
        return opened

    def _end(self, opened: _OpenOrder, outcome: Outcome, answer: Envelope | None, code: str, reason: str) -> None:
        """Write how an order has ended, and only then say so."""
        record = opened.record
        opened.is_ending = True
        ended = evolve(record, answer=answer, code=code, reason=reason)
        end(order_life(ended), outcome)

        def written(result: None) -> None:
            record.answer, record.code, record.reason = answer, code, reason
            end(opened.life, outcome)
            self._open.pop(record.id, None)
            opened.repeat.cancel()
            opened.done.callback(record)

        def not_written(failure: Failure) -> None:
            # It is asked for again, and the seller says the same again.
            failure.trap(StorageError)
            opened.is_ending = False
            self._wait(opened)
            self.log.error(
                "the answer to order {order:.12} cannot be written to the book: {reason}; it is asked for again",
                order=record.id,
                reason=failure.value,
            )

        writing = self._put(lambda book: book.put(ended)).addCallbacks(written, not_written)
        writing.addErrback(
            lambda failure: self.log.failure("the end of order {order} could not be written", failure, order=record.id)
        )

    def _send(self, opened: _OpenOrder, route: Route) -> bool:
        """Hand the order to a link and set the time to repeat it; returns whether the link was there."""
        record = opened.record
        handle = handle_of(record.id)
        message = (
            Buy(id=handle, order=record.statement)
            if record.withdrawal is None
            else Cancel(id=handle, order=record.withdrawal)
        )
        is_sent = self._node.send(message, route)
        if is_sent:
            opened.route = route
            opened.tried.add(route)
            opened.was_sent = True
        if opened.was_sent:
            self._wait(opened)
        return is_sent

    def _wait(self, opened: _OpenOrder) -> None:
        """Set the time to repeat an order, if it is not set."""
        if not self._is_stopped and not opened.repeat.is_set:
            opened.repeat.set(opened.backoff.delay())

    def _repeat(self, opened: _OpenOrder) -> None:
        if opened.is_ending:
            return
        opened.tried.clear()
        # A try that finds no way counts too: there may be one to be found.
        opened.tries += 1
        if opened.tries == _TRIES_BEFORE_DOUBT:
            opened.life.mark_in_doubt()
            self._node.report(
                "unknown",
                "no answer from node {seller} to order {id:.12}; asking again",
                seller=opened.record.seller_node,
                id=opened.record.id,
            )
        now = self._node.clock.seconds()
        if opened.tries >= _TRIES_BEFORE_DOUBT and now >= opened.seek_at:
            opened.seek_at = now + opened.patience.delay()
            self._seek(opened.record)
        route = self._next_route(opened)
        if route is None or not self._send(opened, route):
            self._wait(opened)

    def _detour(self, opened: _OpenOrder) -> None:
        """The way just tried leads nowhere: take another at once, each one once between two repeats."""
        for route in self._node.routes_to(opened.record.seller_node):
            if self._try(opened, route):
                return

    def _try(self, opened: _OpenOrder, route: Route) -> bool:
        """Send an order along a route by which it was not sent since the last repeat; returns whether it was now."""
        if (
            self._is_stopped
            or opened.is_ending
            or route in opened.tried
            or len(opened.tried) >= _ROUTES_BETWEEN_REPEATS
        ):
            return False
        return self._send(opened, route)

    def _next_route(self, opened: _OpenOrder) -> Route | None:
        """Another route than the last, if there is one; a direct link before all."""
        routes = self._node.routes_to(opened.record.seller_node)
        if not routes:
            return opened.route
        if len(routes[0]) == 2 and routes[0] != opened.route:
            return routes[0]
        position = routes.index(opened.route) + 1 if opened.route in routes else 0
        return routes[position % len(routes)]


def _read_answer(envelope: Envelope, record: OrderRecord, buyer: str) -> Answer:
    """The answer to an order.

    @raise Forged: it is not by its seller, or about something else.
    """
    answer = envelope.open(Answer)
    terms = record.statement.open(Purchase).quote.open(Quote)
    said = (answer.seller, answer.buyer, answer.order, answer.bazaar)
    if said != (record.seller, buyer, record.id, terms.bazaar):
        raise Forged("it is by another seller, or about another order")
    if record.withdrawal is not None and answer.digest == digest_of(record.withdrawal):
        check_answer(answer, record.withdrawal, 0, terms)
    else:
        check_answer(answer, record.statement, record.quantity, terms)
    return answer


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def is_sold(record: OrderRecord) -> bool:
    """Whether the goods of an order are the buyer's."""
    return record.state is OrderState.CONFIRMED
