"""What every store of a book promises, whatever it keeps it in: one set of tests for all of them.

A module that tests a store joins these with a case of its own, which says how the store is made and how one waits
for it.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.errors import SoldOut, StorageError
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.identity.signed import Envelope, seal
from twisted_bazaar.trade.contract import (
    Quote,
    make_answer,
    make_purchase,
    make_withdrawal,
    read_purchase,
    read_quote,
    read_withdrawal,
)
from twisted_bazaar.trade.ledger import Ledger
from twisted_bazaar.trade.order import OrderRecord, OrderState
from twisted_bazaar.trade.stores.store import IStore, PurchaseBook, SalesBook, WantRow
from twisted_bazaar.values.sale import Deal, Order, Outcome, StockLevel, Supply, Verdict

T = TypeVar("T")

BAZAAR: Final = "town"
LARGEST: Final = 2**53
LATER_MS: Final = 2_000_000
rng: Final = random.Random(20_26)
SELLER: Final = KeyPair.generate(rng)
OTHER_SELLER: Final = KeyPair.generate(rng)
BUYER: Final = KeyPair.generate(rng)
OTHER_BUYER: Final = KeyPair.generate(rng)
# Names that a database could take for something else, or sort otherwise than Python does.
ODD_NAMES: Final = ("Zebra", "apple", "100%", "a_b", "a'b", 'a"b', "a\\b", "%s", "?", "ünï", "\U0001f34e", "{x}", "a,b")


class InlineThreads:
    """Threads for a test: whatever is called there is called here and now."""

    def start(self) -> None:
        """Nothing has to begin."""

    def callInThread(self, func: Callable[..., object], *arguments: Any) -> None:
        """Call it."""
        func(*arguments)

    def stop(self) -> None:
        """Nothing is left to end."""


class HeldThreads(InlineThreads):
    """Threads that are busy until a test says otherwise."""

    def __init__(self) -> None:
        self._calls: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def callInThread(self, func: Callable[..., object], *arguments: Any) -> None:
        """Call it later."""
        self._calls.append((func, arguments))

    def go_on(self) -> None:
        """Call what is waiting, and nothing that is added meanwhile."""
        calls, self._calls = self._calls, []
        for func, arguments in calls:
            func(*arguments)


class InlineReactor(Clock):
    """A clock that is its own thread."""

    def callFromThread(self, func: Callable[..., object], *arguments: Any) -> None:
        """Call it."""
        func(*arguments)


def make_folder(case: SynchronousTestCase) -> Path:
    """A directory that is gone with the test."""
    folder = tempfile.TemporaryDirectory(prefix="bazaar-")
    case.addCleanup(folder.cleanup)
    return Path(folder.name)


def new_id() -> str:
    """An id that nothing else has."""
    return rng.randbytes(16).hex()


def make_quote(
    item: str = "apple", until_ms: int = LATER_MS, seller: KeyPair = SELLER, price: int | None = 5
) -> Envelope:
    """A quote."""
    return seal(seller, Quote(BAZAAR, seller.public, new_id(), item, LARGEST, until_ms, price))


def order_on(
    quote: Envelope, quantity: int = 1, order_id: str | None = None, buyer: KeyPair = BUYER, seller: KeyPair = SELLER
) -> Order:
    """An order on a quote."""
    terms = read_quote(quote, BAZAAR, seller.public)
    purchase = make_purchase(buyer, order_id or new_id(), quote, terms, quantity)
    return read_purchase(purchase, lambda envelope: terms)


def withdrawal_on(quote: Envelope, order_id: str | None = None) -> Order:
    """The word that an order on a quote is not to be."""
    terms = read_quote(quote, BAZAAR, SELLER.public)
    return read_withdrawal(make_withdrawal(BUYER, order_id or new_id(), quote, BAZAAR), lambda envelope: terms)


def make_order(item: str = "apple", quantity: int = 1, **others: Any) -> Order:
    """An order on a quote of its own."""
    return order_on(make_quote(item), quantity, **others)


def make_deal(order: Order, outcome: Outcome = Outcome.SOLD, code: str = "", reason: str = "") -> Deal:
    """An order and the answer to it."""
    answer = make_answer(SELLER, BAZAAR, order, Verdict(outcome, code, reason))
    return Deal(order, outcome, code, reason, answer)


def make_record(want: int = 1, item: str = "apple", **others: Any) -> OrderRecord:
    """What a buyer keeps of an order."""
    quote = make_quote(item)
    order = order_on(quote)
    record = OrderRecord(order.id, want, SELLER.public, 7, item, 1, order.price, order.statement, 12.625)
    return evolve(record, **others)


class StoreContract:
    """What the tests of all books need.

    The case that joins it says how to wait: C{result_of} and C{failure_of} take what a store returns.
    """

    store: IStore[Any]
    reactor: Any
    result_of: Callable[[Deferred[Any]], Any]
    failure_of: Callable[[Deferred[Any], type[Exception]], Exception]
    assertEqual: Callable[[object, object], None]

    def do(self, work: Callable[[Any], T]) -> T:
        """What comes of a transaction."""
        result: T = self.result_of(self.store.run_transaction(work))
        return result

    def test_rolled_back(self) -> None:
        """What a transaction raises comes out of it, and undoes all that it has done."""

        def fail(book: Any) -> None:
            self.fill(book)
            raise SoldOut("never mind")

        before = self.do(self.content)
        self.assertEqual(str(self.failure_of(self.store.run_transaction(fail), SoldOut)), "never mind")
        self.assertEqual(self.do(self.content), before)

    def test_result(self) -> None:
        """What a transaction returns comes out of it."""
        self.assertEqual(self.do(lambda book: ("two", 2)), ("two", 2))

    def test_seen_by_the_next(self) -> None:
        """A transaction sees what it wrote, and so does the next."""

        def fill_and_look(book: Any) -> object:
            self.fill(book)
            return self.content(book)

        seen = self.do(fill_and_look)
        self.assertEqual(self.do(self.content), seen)

    def fill(self, book: Any) -> None:
        """Write something of every kind."""
        raise NotImplementedError

    def content(self, book: Any) -> object:
        """All that is in it."""
        raise NotImplementedError


class SalesContract(StoreContract):
    """A seller's book."""

    store: IStore[SalesBook]

    def fill(self, book: SalesBook) -> None:
        """Write something of every kind."""
        book.set_level(StockLevel("apple", 5, 5, 0, 0, None))
        book.add_deals([make_deal(make_order())])
        book.sell("apple", 2)
        book.close_until(SELLER.public, 77)

    def content(self, book: SalesBook) -> object:
        """All that is in it."""
        return book.levels(), book.latest("", 1000), book.closed_until_ms(SELLER.public)

    def stock(self, *levels: StockLevel) -> None:
        """Enter counts."""

        def enter(book: SalesBook) -> None:
            for level in levels:
                book.set_level(level)

        self.do(enter)

    def keep(self, *deals: Deal) -> None:
        """Remember deals, each in a transaction of its own."""
        for deal in deals:
            self.do(lambda book, deal=deal: book.add_deals([deal]))

    def test_empty(self) -> None:
        """A new book has nothing in it."""
        order = make_order()
        self.assertEqual(self.do(lambda book: book.levels()), {})
        self.assertEqual(self.do(lambda book: book.levels(["apple"])), {})
        self.assertEqual(self.do(lambda book: book.levels([])), {})
        self.assertEqual(dict(self.do(lambda book: book.deals([order.key]))), {})
        self.assertEqual(dict(self.do(lambda book: book.deals([]))), {})
        self.assertEqual(self.do(lambda book: book.closed([order.quote])), set())
        self.assertEqual(self.do(lambda book: book.closed([])), set())
        self.assertEqual(self.do(lambda book: book.closed_until_ms(SELLER.public)), 0)
        self.assertEqual(list(self.do(lambda book: book.latest("", 10))), [])

    def test_levels(self) -> None:
        """Counts come back as they were entered, those asked for, in the order of their names."""
        levels = {name: StockLevel(name, 6, 3, 2, 1, n or None) for n, name in enumerate(ODD_NAMES)}
        self.stock(*levels.values())
        found = self.do(lambda book: book.levels())
        self.assertEqual(list(found.items()), sorted(levels.items()))
        some = ["ünï", "a'b", "nothing of the sort", "%s"]
        found = self.do(lambda book: book.levels(some))
        self.assertEqual(list(found.items()), [(name, levels[name]) for name in ("%s", "a'b", "ünï")])

    def test_set_level(self) -> None:
        """A count that is entered again takes the place of the one before, its price too."""
        for level in (StockLevel("apple", 5, 5, 0, 0, 9), StockLevel("apple", 8, 2, 5, 1, None)):
            self.stock(level)
            self.assertEqual(self.do(lambda book: book.levels()), {"apple": level})

    def test_large(self) -> None:
        """Counts, prices and times hold up to 2**53."""
        level = StockLevel("apple", LARGEST, LARGEST, 0, 0, LARGEST)
        self.stock(level)
        self.do(lambda book: book.sell("apple", LARGEST - 1))
        self.assertEqual(self.do(lambda book: book.levels()), {"apple": evolve(level, in_stock=1, sold=LARGEST - 1)})
        order = order_on(make_quote(until_ms=LARGEST, price=LARGEST), LARGEST)
        self.keep(make_deal(order))
        self.assertEqual([deal.order for deal in self.do(lambda book: book.latest("", 1))], [order])
        self.do(lambda book: book.close_until(SELLER.public, LARGEST))
        self.assertEqual(self.do(lambda book: book.closed_until_ms(SELLER.public)), LARGEST)

    def test_many(self) -> None:
        """There may be many items and many deals in one transaction."""
        levels = [StockLevel(f"item {number}", 1, 1, 0, 0, None) for number in range(1500)]
        self.stock(*levels)
        deals = [make_deal(make_order(level.item)) for level in levels]

        def settle(book: SalesBook) -> None:
            book.add_deals(deals)
            for level in levels:
                book.sell(level.item, 1)

        self.do(settle)
        found = self.do(lambda book: book.deals([deal.order.key for deal in deals]))
        self.assertEqual(dict(found), {deal.order.key: deal for deal in deals})
        self.assertEqual(
            self.do(lambda book: book.levels([level.item for level in levels])),
            {level.item: evolve(level, in_stock=0, sold=1) for level in sorted(levels, key=lambda each: each.item)},
        )

    def test_sell(self) -> None:
        """A sale moves pieces from stock to sold, of that item alone, down to the last."""
        apple, pear = StockLevel("apple", 5, 4, 0, 1, None), StockLevel("pear", 2, 2, 0, 0, 120)
        self.stock(apple, pear)
        for quantity, left in ((3, 1), (1, 0)):
            self.do(lambda book, quantity=quantity: book.sell("apple", quantity))
            expected = evolve(apple, in_stock=left, sold=4 - left)
            self.assertEqual(self.do(lambda book: book.levels()), {"apple": expected, "pear": pear})

    def test_oversell(self) -> None:
        """More than there is cannot be sold, nor what was never there; nothing of that transaction stays."""
        self.stock(StockLevel("apple", 5, 5, 0, 0, None), StockLevel("pear", 2, 1, 1, 0, None))
        before = self.do(self.content)

        def sell(item: str, quantity: int) -> Callable[[SalesBook], None]:
            def work(book: SalesBook) -> None:
                book.sell("apple", 1)
                book.add_deals([make_deal(make_order(item, quantity))])
                book.sell(item, quantity)

            return work

        for item, quantity in (("pear", 2), ("apple", 5), ("plum", 1)):
            error = self.failure_of(self.store.run_transaction(sell(item, quantity)), StorageError)
            self.assertEqual(str(error), f"there are no {quantity} of {item!r} to be sold")
            self.assertEqual(self.do(self.content), before)

    def test_deals(self) -> None:
        """Deals come back as they were kept, to the byte, and only those asked for."""
        quote = make_quote("a'b %s ünï", price=None)
        deals = [
            make_deal(order_on(quote, 3)),
            make_deal(make_order(), Outcome.REFUSED, "soldout", "0 left of 'ünï'"),
            make_deal(withdrawal_on(make_quote()), Outcome.CANCELLED),
        ]
        self.do(lambda book: book.add_deals(deals))
        for deal in deals:
            [found] = self.do(lambda book, deal=deal: book.deals([deal.order.key, ("00" * 32, new_id())])).values()
            self.assertEqual(found, deal)
            self.assertEqual(found.answer.encode(), deal.answer.encode())
            self.assertEqual(found.order.statement.encode(), deal.order.statement.encode())

    def test_keys_of_orders(self) -> None:
        """The same id from another buyer, and another id from the same, are other orders."""
        first = make_order()
        others = [make_order(order_id=first.id, buyer=OTHER_BUYER), make_order()]
        self.keep(make_deal(first), make_deal(others[0]))
        found = self.do(lambda book: book.deals([each.key for each in (first, *others)]))
        self.assertEqual(set(found), {first.key, others[0].key})

    def test_kept_once(self) -> None:
        """An order that has an answer cannot be given another."""
        deal = make_deal(make_order())
        self.keep(deal)
        found = self.do(lambda book: book.deals([deal.order.key]))
        self.assertEqual(dict(found), {deal.order.key: deal})

    def test_closed(self) -> None:
        """A quote is closed by a no about it, refused or cancelled, and by nothing else."""
        sold, refused, cancelled, unknown = (make_quote() for _ in range(4))
        self.keep(
            make_deal(order_on(sold)),
            make_deal(order_on(refused), Outcome.REFUSED, "soldout"),
            make_deal(withdrawal_on(cancelled), Outcome.CANCELLED),
        )
        ids = [read_quote(quote, BAZAAR, SELLER.public).id for quote in (sold, refused, cancelled, unknown)]
        self.assertEqual(self.do(lambda book: book.closed(ids)), {ids[1], ids[2]})

    def test_quote_sold_twice(self) -> None:
        """Several orders on one quote can be sold."""
        quote = make_quote()
        deals = [make_deal(order_on(quote)) for _ in range(3)]
        self.keep(*deals)
        self.assertEqual(list(self.do(lambda book: book.latest("", 9))), deals[::-1])

    def test_close_until(self) -> None:
        """Giving up a seller's quotes forgets each no about them, and no other no and no sale."""
        early, exact, late = (make_quote(until_ms=until_ms) for until_ms in (99, 100, 101))
        gone = [make_deal(order_on(quote), Outcome.REFUSED, "soldout") for quote in (early, exact)]
        foreign = make_quote(until_ms=99, seller=OTHER_SELLER)
        kept = [
            make_deal(order_on(late), Outcome.REFUSED, "soldout"),
            make_deal(order_on(make_quote(until_ms=99))),
            make_deal(order_on(foreign, seller=OTHER_SELLER), Outcome.REFUSED, "soldout"),
        ]
        self.keep(*gone, *kept)
        self.do(lambda book: book.close_until(SELLER.public, 100))
        self.assertEqual(list(self.do(lambda book: book.latest("", 9))), kept[::-1])
        quotes = [deal.order.quote for deal in (*gone, *kept)]
        self.assertEqual(self.do(lambda book: book.closed(quotes)), {quotes[2], quotes[4]})
        until_ms = [
            self.do(lambda book, seller=seller: book.closed_until_ms(seller.public))
            for seller in (SELLER, OTHER_SELLER)
        ]
        self.assertEqual(until_ms, [100, 0])

    def test_close_until_only_rises(self) -> None:
        """What has been given up stays so: an earlier instant changes nothing, and forgets nothing."""
        self.do(lambda book: book.close_until(SELLER.public, -5))
        self.assertEqual(self.do(lambda book: book.closed_until_ms(SELLER.public)), 0)
        self.do(lambda book: book.close_until(SELLER.public, 100))
        deal = make_deal(order_on(make_quote(until_ms=90)), Outcome.REFUSED, "soldout")
        self.keep(deal)
        for until_ms in (99, 100):
            self.do(lambda book, until_ms=until_ms: book.close_until(SELLER.public, until_ms))
        self.assertEqual(self.do(lambda book: book.closed_until_ms(SELLER.public)), 100)
        self.assertEqual(list(self.do(lambda book: book.latest("", 9))), [deal])
        self.do(lambda book: book.close_until(SELLER.public, 101))
        self.assertEqual(self.do(lambda book: book.closed_until_ms(SELLER.public)), 101)
        self.assertEqual(list(self.do(lambda book: book.latest("", 9))), [])

    def test_close_until_twice_at_once(self) -> None:
        """Within one transaction too, the latest instant counts, and what was kept before it is forgotten."""
        deal = make_deal(order_on(make_quote(until_ms=90)), Outcome.REFUSED, "soldout")

        def work(book: SalesBook) -> tuple[int, int, int]:
            first = book.closed_until_ms(SELLER.public)
            book.add_deals([deal])
            book.close_until(SELLER.public, 100)
            second = book.closed_until_ms(SELLER.public)
            book.close_until(SELLER.public, 50)
            return first, second, book.closed_until_ms(SELLER.public)

        self.assertEqual(self.do(work), (0, 100, 100))
        self.assertEqual(list(self.do(lambda book: book.latest("", 9))), [])

    def test_latest(self) -> None:
        """The latest deals come first, so many as asked for, of ids that begin as asked for."""
        ids = [("ab" * 16), ("ab0" + "c" * 29), ("abf" + "0" * 29), ("b" * 32), ("0" * 32), ("f" * 32)]
        deals = [make_deal(make_order(order_id=order_id)) for order_id in ids]
        self.keep(*deals[:3])
        self.do(lambda book: book.add_deals(deals[3:]))

        def ids_of(prefix: str, most: int = 99) -> list[str]:
            return [deal.order.id for deal in self.do(lambda book: book.latest(prefix, most))]

        self.assertEqual(ids_of(""), ids[::-1])
        self.assertEqual(ids_of("", 2), ids[:-3:-1])
        self.assertEqual(ids_of("", 0), [])
        self.assertEqual(ids_of("ab"), ids[2::-1])
        self.assertEqual(ids_of("ab", 2), ids[2:0:-1])
        self.assertEqual(ids_of("ab0"), [ids[1]])
        self.assertEqual(ids_of("abab"), [ids[0]])
        self.assertEqual([ids_of(each) for each in ids], [[each] for each in ids])

    def test_odd_prefixes(self) -> None:
        """No id begins with anything but its digits, whatever that means to a database."""
        self.keep(make_deal(make_order(order_id="ab" * 16)))
        for prefix in ("%", "_", "a%", "a_", "AB", "ab*", "'", "\\", "g", "ab" * 16 + "a", "ä", " ", "a\n"):
            self.assertEqual(list(self.do(lambda book, prefix=prefix: book.latest(prefix, 9))), [], prefix)

    # The ledger over it.

    def open_ledger(self) -> Ledger:
        """The rules, over the store that is open."""
        ledger = Ledger(OpenStore(self.store))
        ledger.start(self.reactor)
        return ledger

    def settle(self, ledger: Ledger, *orders: Order, kept_back: int = 0) -> list[Deal]:
        """The answers to orders that come at once."""
        settlements = [ledger.settle(order, kept_back, seal_answer) for order in orders]
        return [self.result_of(settlement).deal for settlement in settlements]

    def test_ledger_repeats(self) -> None:
        """An order gets the same bytes again and again, whatever has been answered to it and has happened since."""
        ledger = self.open_ledger()
        self.result_of(ledger.stock({"apple": Supply(3, 5)}))
        quote = make_quote(until_ms=until_ms(self.reactor))
        orders = [
            order_on(quote, 2),
            make_live_order(self.reactor, quantity=7),
            withdrawal_on(make_quote(until_ms=until_ms(self.reactor))),
            order_on(make_quote(until_ms=0)),
        ]
        first = self.settle(ledger, *orders)
        self.assertEqual(
            [deal.outcome for deal in first], [Outcome.SOLD, Outcome.REFUSED, Outcome.CANCELLED, Outcome.REFUSED]
        )
        self.result_of(ledger.supply("apple", 100))
        again = self.settle(ledger, *orders, *orders)
        self.assertEqual([deal.answer.encode() for deal in again], [deal.answer.encode() for deal in first] * 2)
        [level] = self.result_of(ledger.levels())
        self.assertEqual(level, StockLevel("apple", 103, 101, 2, 0, 5))

    def test_ledger_never_oversells(self) -> None:
        """Whatever comes at once, what is sold is what the sales say, and never more than was there."""
        ledger = self.open_ledger()
        supplied = {"apple": 10, "pear": 7, "ünï": 0}
        self.result_of(ledger.stock({item: Supply(count) for item, count in supplied.items()}))
        chance = random.Random(1)
        orders = [
            make_live_order(self.reactor, chance.choice(["apple", "pear", "ünï", "plum"]), chance.randint(1, 4))
            for _ in range(40)
        ]
        taken = self.result_of(ledger.withdraw("pear", 1))
        self.assertEqual((taken.in_stock, taken.withdrawn), (6, 1))
        deals = self.settle(ledger, *orders) + self.settle(ledger, *orders)
        sold = Counter[str]()
        for deal in {deal.order.key: deal for deal in deals}.values():
            if deal.outcome is Outcome.SOLD:
                sold[deal.order.item] += deal.order.quantity
        levels = {level.item: level for level in self.result_of(ledger.levels())}
        self.assertEqual({item: level.sold for item, level in levels.items()}, {item: sold[item] for item in supplied})
        for item, level in levels.items():
            self.assertEqual(level.supplied, level.in_stock + level.sold + level.withdrawn)
            self.assertEqual(level.supplied, supplied[item])
        self.assertEqual(sold["apple"] >= 7, True, "nearly all of what was asked for is sold")

    def test_ledger_closes_quotes(self) -> None:
        """After a no about a quote nothing is sold on it, though there would be enough again."""
        ledger = self.open_ledger()
        self.result_of(ledger.stock({"apple": Supply(1)}))
        quote = make_quote(until_ms=until_ms(self.reactor))
        answers = self.settle(ledger, order_on(quote, 2), order_on(quote, 1))
        self.result_of(ledger.supply("apple", 5))
        answers += self.settle(ledger, order_on(quote, 1), make_live_order(self.reactor))
        self.assertEqual([deal.code for deal in answers], ["soldout", "expired", "expired", ""])
        self.assertEqual(len(self.result_of(ledger.deals())), 2)

    def test_ledger_withdraws_no_more_than_there_is(self) -> None:
        """What is not in stock cannot be withdrawn, and the refusal changes nothing."""
        ledger = self.open_ledger()
        self.result_of(ledger.stock({"apple": Supply(3)}))
        self.failure_of(ledger.withdraw("apple", 4), SoldOut)
        self.assertEqual(self.result_of(ledger.levels()), [StockLevel("apple", 3, 3, 0, 0, None)])


class PurchasesContract(StoreContract):
    """A buyer's book."""

    store: IStore[PurchaseBook]

    def fill(self, book: PurchaseBook) -> None:
        """Write something of every kind."""
        number = book.next_number()
        book.put_want(WantRow(number, "apple", 3, True))
        book.put(make_record(number))

    def content(self, book: PurchaseBook) -> object:
        """All that is in it."""
        return book.wants(), book.next_number(), book.latest("", 1000)

    def put(self, *records: OrderRecord) -> None:
        """Enter orders, each in a transaction of its own, and the wants that they are for."""
        for record in records:
            self.do(lambda book, record=record: book.put_want(WantRow(record.want, record.item, 1, True)))
            self.do(lambda book, record=record: book.put(record))

    def test_empty(self) -> None:
        """A new book has nothing in it, and the first want is number 1."""
        self.assertEqual(list(self.do(lambda book: book.wants())), [])
        self.assertEqual(self.do(lambda book: book.next_number()), 1)
        self.assertEqual(list(self.do(lambda book: book.open_orders())), [])
        self.assertEqual(list(self.do(lambda book: book.orders_of(1))), [])
        self.assertEqual(list(self.do(lambda book: book.latest("", 9))), [])

    def test_wants(self) -> None:
        """The open wants come in the order of their numbers; one that is closed keeps its number."""
        wants = [WantRow(number, name, LARGEST - number, True) for number, name in enumerate(ODD_NAMES, 1)]
        for want in wants:
            self.assertEqual(self.do(lambda book: book.next_number()), want.number)
            self.do(lambda book, want=want: book.put_want(want))
        self.assertEqual(list(self.do(lambda book: book.wants())), wants)
        self.do(lambda book: book.put_want(evolve(wants[-1], is_open=False)))
        self.do(lambda book: book.put_want(evolve(wants[1], quantity=2)))
        expected = [wants[0], evolve(wants[1], quantity=2), *wants[2:-1]]
        self.assertEqual(list(self.do(lambda book: book.wants())), expected)
        self.assertEqual(self.do(lambda book: book.next_number()), len(wants) + 1)

    def test_orders(self) -> None:
        """Orders come back as they were entered, to the byte."""
        quote = make_quote()
        answer = make_deal(order_on(quote)).answer
        whole = make_record(
            item="a'b %s ünï",
            price=None,
            quantity=LARGEST,
            seller_node=LARGEST,
            ordered_at=1_800_000_000.123456,
            state=OrderState.REFUSED,
            withdrawal=withdrawal_on(quote).statement,
            answer=answer,
            code="soldout",
            reason="0 left of 'ünï'",
        )
        bare = make_record(price=0)
        self.put(whole, bare)
        found = list(self.do(lambda book: book.latest("", 9)))
        self.assertEqual(found, [bare, whole])
        self.assertEqual(found[1].statement.encode(), whole.statement.encode())
        self.assertEqual(found[1].answer.encode(), answer.encode())

    def test_own_copy(self) -> None:
        """What is in the book changes by C{put} alone."""
        record = make_record()
        self.put(record)
        record.state = OrderState.UNKNOWN
        [found] = self.do(lambda book: book.latest("", 9))
        self.assertEqual(found.state, OrderState.PENDING)
        found.state = OrderState.REFUSED
        [found] = self.do(lambda book: book.latest("", 9))
        self.assertEqual(found.state, OrderState.PENDING)
        self.do(lambda book: book.put(record))
        [found] = self.do(lambda book: book.latest("", 9))
        self.assertEqual(found, record)

    def test_open_orders(self) -> None:
        """Orders without an answer are pending or unknown; they come in the order in which they were entered."""
        records = [make_record(state=state) for state in (*OrderState, *OrderState)]
        self.put(*records)
        expected = [record for record in records if record.state in (OrderState.PENDING, OrderState.UNKNOWN)]
        self.assertEqual(list(self.do(lambda book: book.open_orders())), expected)
        self.assertEqual(len(expected), 4)
        ended = evolve(expected[1], state=OrderState.CONFIRMED)
        doubted = evolve(expected[0], state=OrderState.UNKNOWN)
        self.put(ended, doubted)
        self.assertEqual(list(self.do(lambda book: book.open_orders())), [doubted, *expected[2:]])

    def test_orders_of(self) -> None:
        """The orders for one want come in the order in which they were entered, whatever has changed since."""
        first, other, second = make_record(1), make_record(2), make_record(1)
        self.put(first, other, second)
        changed = evolve(first, state=OrderState.CANCELLED, reason="so be it")
        self.put(changed)
        self.assertEqual(list(self.do(lambda book: book.orders_of(1))), [changed, second])
        self.assertEqual(list(self.do(lambda book: book.orders_of(2))), [other])

    def test_latest(self) -> None:
        """The latest orders come first, so many as asked for, of ids that begin as asked for."""
        ids = ["ab" * 16, "ab0" + "c" * 29, "b" * 32]
        self.put(*(make_record(id=order_id) for order_id in ids))

        def ids_of(prefix: str, most: int = 99) -> Sequence[str]:
            return [record.id for record in self.do(lambda book: book.latest(prefix, most))]

        self.assertEqual(ids_of(""), ids[::-1])
        self.assertEqual(ids_of("", 1), ids[:-2:-1])
        self.assertEqual(ids_of("ab"), ids[1::-1])
        self.assertEqual(ids_of("ab0"), [ids[1]])
        self.assertEqual([ids_of(prefix) for prefix in ("%", "_b", "AB", "g", "a\n")], [[]] * 5)

    def test_many(self) -> None:
        """There may be many orders in one transaction."""
        records = [make_record() for _ in range(1200)]

        def enter(book: PurchaseBook) -> None:
            book.put_want(WantRow(1, "apple", 1, True))
            for record in records:
                book.put(record)

        self.do(enter)
        self.assertEqual(list(self.do(lambda book: book.open_orders())), records)


class OpenStore:
    """A store that is open already, for a ledger that would open it."""

    def __init__(self, store: IStore[SalesBook]) -> None:
        self._store = store
        self.run_transaction = store.run_transaction

    def open(self, reactor: Any) -> None:
        """It is."""


def seal_answer(order: Order, verdict: Verdict) -> Envelope:
    """A seller's signature under an answer."""
    return make_answer(SELLER, BAZAAR, order, verdict)


def until_ms(reactor: Any) -> int:
    """A time that is long enough for a quote."""
    return int(reactor.seconds() * 1000) + 1_000_000


def make_live_order(reactor: Any, item: str = "apple", quantity: int = 1) -> Order:
    """An order on a quote that is good now."""
    return order_on(make_quote(item, until_ms(reactor)), quantity)
