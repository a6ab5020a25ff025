"""What tests of a sale begin with: who takes part, what they sign, and stores that a test finishes by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, fail, succeed

from twisted_bazaar.errors import StorageError
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.identity.signed import Envelope, seal
from twisted_bazaar.node.node import BAZAAR
from twisted_bazaar.trade.contract import (
    Answer,
    Quote,
    make_answer,
    make_purchase,
    make_withdrawal,
    read_purchase,
    read_quote,
    read_withdrawal,
)
from twisted_bazaar.trade.messages import Answered, Buy, BuyNo, BuyOK, Cancel, handle_of
from twisted_bazaar.trade.stores.memory import MemoryBook, MemoryStore
from twisted_bazaar.values.sale import Order, Outcome, Verdict

SELLER: Final = KeyPair.from_seed(b"seller" * 5 + b"__")
BUYER: Final = KeyPair.from_seed(b"buyer!" * 5 + b"__")
STRANGER: Final = KeyPair.from_seed(b"nobody" * 5 + b"__")
# A fake clock begins at 0; a quote of these tests ends then.
VALID_UNTIL_MS: Final = 120_000

T = TypeVar("T")
AnyBook = TypeVar("AnyBook", bound=MemoryBook)


def hex_id(number: int) -> str:
    """An id of an order or a quote."""
    return f"{number:032x}"


def terms(seller: KeyPair = SELLER, **changes: Any) -> Quote:
    """What a quote says: nine apples at 40, unless a test wants something else."""
    usual = {"bazaar": BAZAAR, "id": hex_id(1), "item": "apple", "quantity": 9}
    usual |= {"valid_until": VALID_UNTIL_MS, "price": 40}
    return Quote(**{**usual, "seller": seller.public, **changes})


def quote(seller: KeyPair = SELLER, **changes: Any) -> Envelope:
    """A quote, signed."""
    return seal(seller, terms(seller, **changes))


def purchase(number: int = 1, quantity: int = 1, buyer: KeyPair = BUYER, on: Envelope | None = None) -> Envelope:
    """A purchase on a quote, signed."""
    on = on or quote()
    return make_purchase(buyer, hex_id(number), on, on.open(Quote), quantity)


def withdrawal(number: int = 1, buyer: KeyPair = BUYER, on: Envelope | None = None) -> Envelope:
    """The word that a purchase is not to be, signed."""
    return make_withdrawal(buyer, hex_id(number), on or quote(), BAZAAR)


def order(number: int = 1, quantity: int = 1, buyer: KeyPair = BUYER, **about: Any) -> Order:
    """A purchase as the seller's book gets it; what is given beside is about its quote."""
    return read_purchase(purchase(number, quantity, buyer, quote(**about)), terms_of)


def taken_back(number: int = 1, buyer: KeyPair = BUYER, **about: Any) -> Order:
    """A withdrawal as the seller's book gets it."""
    return read_withdrawal(withdrawal(number, buyer, quote(**about)), terms_of)


def terms_of(statement: Envelope) -> Quote:
    """The quote of whoever has made it."""
    return read_quote(statement, BAZAAR, statement.open(Quote).seller)


def seal_answer(asked: Order, verdict: Verdict) -> Envelope:
    """The seller's answer to an order."""
    return make_answer(SELLER, BAZAAR, asked, verdict)


def answer_to(
    message: Buy | Cancel, outcome: Outcome, code: str = "", reason: str = "", seller: KeyPair = SELLER
) -> Answered:
    """What a seller answers to what a buyer has sent."""
    read = read_withdrawal if isinstance(message, Cancel) else read_purchase
    answer = make_answer(seller, BAZAAR, read(message.order, terms_of), Verdict(outcome, code, reason))
    return answered(answer, message.id)


def answered(answer: Envelope, message_id: int | None = None) -> Answered:
    """The message that brings an answer."""
    said = answer.open(Answer)
    kind = BuyOK if said.outcome is Outcome.SOLD else BuyNo
    return kind(id=handle_of(said.order) if message_id is None else message_id, answer=answer)


@define
class FailingStore(MemoryStore[AnyBook]):
    """A store that cannot be written for as long as the test says.

    @ivar is_failing: whether it cannot be written now.
    @ivar failures: how many of the next transactions fail all the same.
    """

    is_failing: bool = False
    failures: int = 0

    def run_transaction(self, work: Callable[[AnyBook], T]) -> Deferred[T]:
        """Do something at once, or not at all."""
        if self.is_failing or self.failures:
            self.failures = max(0, self.failures - 1)
            return fail(StorageError("the disk is full"))
        return super().run_transaction(work)


@frozen
class _Transaction:
    work: Callable[[Any], Any]
    done: Deferred[Any]


@define
class HandStore(Generic[AnyBook]):
    """A store whose transactions a test finishes by hand, in the order in which they came.

    @ivar waiting: those that are begun.
    @ivar is_open: whether it has been opened and not closed.
    @ivar closed: how many there were when it was closed, one for each time.
    """

    book: AnyBook
    waiting: list[_Transaction] = field(factory=list)
    is_open: bool = False
    closed: list[int] = field(factory=list)

    def open(self, reactor: Any) -> None:
        """Keep that it is open."""
        self.is_open = True

    def run_transaction(self, work: Callable[[AnyBook], T]) -> Deferred[T]:
        """Begin a transaction."""
        if not self.is_open:
            return fail(StorageError("the store is not open"))
        self.waiting.append(_Transaction(work, Deferred()))
        return self.waiting[-1].done

    def close(self) -> Deferred[None]:
        """Keep that it is closed."""
        self.is_open = False
        self.closed.append(len(self.waiting))
        return succeed(None)

    def finish(self) -> None:
        """Finish the first transaction."""
        first = self.waiting.pop(0)
        MemoryStore(self.book).run_transaction(first.work).chainDeferred(first.done)

    def finish_all(self) -> None:
        """Finish what is begun, and what is begun by that."""
        while self.waiting:
            self.finish()

    def fail(self) -> None:
        """Let the first transaction fail."""
        self.waiting.pop(0).done.errback(StorageError("the disk is full"))

    def finish_late(self) -> None:
        """Do all that is begun before anybody hears of any of it, as a thread may."""
        begun, self.waiting = self.waiting, []
        done = [MemoryStore(self.book).run_transaction(each.work) for each in begun]
        for each, result in zip(begun, done, strict=True):
            result.chainDeferred(each.done)
