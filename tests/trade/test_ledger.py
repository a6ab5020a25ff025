"""The seller's book: what it decides, and that everything it has said stays so."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests import examples
from tests.trade.cases import BUYER, SELLER, STRANGER, FailingStore, HandStore, hex_id, order, seal_answer, taken_back
from twisted_bazaar.errors import SoldOut, StorageError, UsageError
from twisted_bazaar.identity.signed import LONGEST_PAYLOAD_BYTES
from twisted_bazaar.interfaces import ILedger
from twisted_bazaar.trade.contract import Answer
from twisted_bazaar.trade.ledger import MOST_WAITING_BYTES, Ledger
from twisted_bazaar.trade.stores.memory import MemorySales, MemoryStore
from twisted_bazaar.values.sale import Deal, Order, Outcome, Settlement, StockLevel, Supply, Verdict
from twisted_bazaar.wire.message import LARGEST_INTEGER

bounded = examples(150)

SOLD, REFUSED, CANCELLED = Outcome.SOLD, Outcome.REFUSED, Outcome.CANCELLED
BUYERS = [BUYER, STRANGER]
ITEMS = ["apple", "pear", "plum"]


def level(item: str, supplied: int, sold: int = 0, withdrawn: int = 0, price: int | None = None) -> StockLevel:
    """A count that adds up."""
    return StockLevel(item, supplied, supplied - sold - withdrawn, sold, withdrawn, price)


class LedgerTestCase(SynchronousTestCase):
    """A book of five apples and two pears at 120."""

    def setUp(self) -> None:
        """Open it."""
        self.begin(apple=Supply(5), pear=Supply(2, 120))

    def begin(self, **supplies: Supply) -> None:
        """Open a book with these goods."""
        self.clock = Clock()
        self.book = MemorySales()
        self.ledger = Ledger(MemoryStore(self.book))
        self.ledger.start(self.clock)
        self.successResultOf(self.ledger.stock(supplies))

    def ask(self, asked: Order, kept_back: int = 0) -> Settlement:
        """What is said to an order."""
        return self.successResultOf(self.ledger.settle(asked, kept_back, seal_answer))  # type: ignore[no-any-return]

    def settle(self, asked: Order, kept_back: int = 0) -> Deal:
        """The answer to an order."""
        return self.ask(asked, kept_back).deal

    def outcomes(self, *asked: Order) -> list[Outcome]:
        """How orders end, one after another."""
        return [self.settle(each).outcome for each in asked]

    def levels(self) -> dict[str, StockLevel]:
        """The count of every item."""
        return {level.item: level for level in self.successResultOf(self.ledger.levels())}

    def apples(self) -> StockLevel:
        """The count of apples."""
        return self.levels()["apple"]


class StockTests(LedgerTestCase):
    """What there is."""

    def test_interface(self) -> None:
        """It is a ledger."""
        self.assertTrue(verifyObject(ILedger, self.ledger))

    def test_beginning(self) -> None:
        """At first everything supplied is in stock; what was never supplied has no count."""
        expected = {"apple": level("apple", 5), "pear": level("pear", 2, price=120)}
        self.assertEqual(self.levels(), expected)
        terms = {item: self.successResultOf(self.ledger.terms(item, SELLER.public)) for item in (*expected, "plum")}
        self.assertEqual(terms, {"plum": (None, 0), **{item: (count, 0) for item, count in expected.items()}})

    def test_known(self) -> None:
        """What is in the book is left alone, but for a price that is named; it is told, and what is new is not."""
        self.outcomes(order(1, 3))
        before = level("apple", 5, sold=3)
        known = self.successResultOf(self.ledger.stock({"apple": Supply(50, 9), "plum": Supply(1)}))
        self.assertEqual(known, [before])
        expected = {"apple": level("apple", 5, sold=3, price=9), "pear": level("pear", 2, price=120)}
        self.assertEqual(self.levels(), {**expected, "plum": level("plum", 1)})
        self.successResultOf(self.ledger.stock({"pear": Supply(9)}))
        self.assertEqual(self.levels()["pear"], level("pear", 2, price=120))

    def test_supply(self) -> None:
        """What is added is in stock; goods that are new begin with nothing."""
        self.assertEqual(self.successResultOf(self.ledger.supply("apple", 2)), level("apple", 7))
        self.assertEqual(self.successResultOf(self.ledger.supply("plum", 3)), level("plum", 3))

    def test_supply_with_a_price(self) -> None:
        """A price that is given with more pieces is that of all; without one it stays."""
        self.assertEqual(self.successResultOf(self.ledger.supply("pear", 1, 90)), level("pear", 3, price=90))
        self.assertEqual(self.successResultOf(self.ledger.supply("pear", 1)), level("pear", 4, price=90))
        self.assertEqual(self.successResultOf(self.ledger.supply("pear", 1, 0)), level("pear", 5, price=0))

    def test_too_many(self) -> None:
        """There are never more than a message can tell of."""
        self.failureResultOf(self.ledger.supply("apple", LARGEST_INTEGER), UsageError)
        self.assertEqual(self.apples(), level("apple", 5))
        self.successResultOf(self.ledger.supply("apple", LARGEST_INTEGER - 5))

    def test_withdraw(self) -> None:
        """What is taken out is withdrawn, as far as it is in stock."""
        self.outcomes(order(1, 3))
        self.failureResultOf(self.ledger.withdraw("apple", 3), SoldOut)
        self.failureResultOf(self.ledger.withdraw("plum", 1), SoldOut)
        self.assertEqual(self.successResultOf(self.ledger.withdraw("apple", 2)), level("apple", 5, 3, 2))
        self.assertEqual(self.outcomes(order(2)), [REFUSED])
        self.assertEqual(self.apples(), level("apple", 5, 3, 2))


class SettlementTests(LedgerTestCase):
    """Every answer is final, and the count is right at every moment."""

    def test_sale(self) -> None:
        """A sale moves pieces from stock to sold, of that item alone."""
        asked = order(1, 3)
        answer = seal_answer(asked, Verdict(SOLD))
        self.assertEqual(self.ask(asked), Settlement(Deal(asked, SOLD, "", "", answer), is_repeat=False))
        self.assertEqual(self.levels(), {"apple": level("apple", 5, 3), "pear": level("pear", 2, price=120)})

    def test_again(self) -> None:
        """The same order again gets the same bytes, and sells nothing more."""
        first, *others = [self.ask(order(1, 3)) for _ in range(4)]
        self.assertEqual([each.deal for each in others], [first.deal] * 3)
        self.assertEqual({each.deal.answer.encode() for each in others}, {first.deal.answer.encode()})
        self.assertEqual([each.is_repeat for each in (first, *others)], [False, True, True, True])
        self.assertEqual(self.apples(), level("apple", 5, 3))

    def test_other_orders(self) -> None:
        """The same id from another buyer, and another id from the same, are other orders."""
        self.assertEqual(self.outcomes(order(1), order(1, buyer=STRANGER), order(2)), [SOLD] * 3)
        self.assertEqual(self.apples(), level("apple", 5, 3))

    def test_refused_for_good(self) -> None:
        """An order that was refused stays refused, though it could be filled now."""
        refusal = self.settle(order(1, 3), kept_back=4)
        self.assertEqual((refusal.outcome, refusal.code), (REFUSED, "soldout"))
        self.assertEqual(refusal.reason, "1 left, 3 ordered")
        self.assertEqual(self.settle(order(1, 3)), refusal)
        self.assertEqual(self.apples(), level("apple", 5))

    def test_name_of_an_order(self) -> None:
        """Buyer and id name an order for ever, whatever else a repeat says."""
        first = self.settle(order(1))
        others = [order(1, 4), order(1, item="pear", id=hex_id(2)), order(1, price=1), taken_back(1)]
        self.assertEqual([self.settle(each) for each in others], [first] * 4)
        self.assertEqual(self.levels(), {"apple": level("apple", 5, 1), "pear": level("pear", 2, price=120)})

    def test_cancelled(self) -> None:
        """What is taken back before it has come is never sold; what is sold is not taken back."""
        cancelled = self.settle(taken_back(1))
        self.assertEqual((cancelled.outcome, self.settle(order(1))), (CANCELLED, cancelled))
        sold = self.settle(order(2, id=hex_id(2)))
        self.assertEqual((sold.outcome, self.settle(taken_back(2, id=hex_id(2)))), (SOLD, sold))
        self.assertEqual(self.apples(), level("apple", 5, 1))

    def test_no_closes_its_quote(self) -> None:
        """After a no nothing more is sold on the same quote, to anybody; on another it is. A yes closes nothing."""
        self.assertEqual(self.outcomes(order(1), order(2), order(3, 9)), [SOLD, SOLD, REFUSED])
        late = [self.settle(each) for each in (order(4), order(4, buyer=STRANGER))]
        self.assertEqual([(deal.outcome, deal.code) for deal in late], [(REFUSED, "expired")] * 2)
        self.assertEqual(self.outcomes(order(5, id=hex_id(2)), taken_back(6)), [SOLD, CANCELLED])
        self.assertEqual(self.outcomes(order(1), order(2)), [SOLD, SOLD])
        self.assertEqual(self.apples(), level("apple", 5, 3))

    def test_cancelled_closes_its_quote(self) -> None:
        """What is taken back closes its quote as a refusal does."""
        self.assertEqual(self.outcomes(taken_back(1), order(2), order(3, id=hex_id(2))), [CANCELLED, REFUSED, SOLD])

    def test_answer_to_the_first(self) -> None:
        """The answer is about the statement that came first, of those with one name."""
        first = self.settle(order(1, 2)).answer.open(Answer)
        self.assertEqual((first.quantity, first.outcome), (2, SOLD))
        self.assertEqual(self.settle(order(1, 1)).answer.open(Answer), first)

    @bounded
    @given(st.integers(0, 10), st.lists(st.integers(1, 4), max_size=20))
    def test_stampede(self, quantity: int, wanted: list[int]) -> None:
        """When many want the last pieces, those that come first get them, and no piece goes twice."""
        self.begin(apple=Supply(quantity))
        left = quantity
        for number, count in enumerate(wanted):
            deal = self.settle(order(number, count, id=hex_id(number)))
            self.assertEqual(deal.outcome is SOLD, count <= left)
            left -= count if count <= left else 0
        self.assertEqual(self.levels(), {"apple": level("apple", quantity, quantity - left)})

    def test_deals(self) -> None:
        """What was answered is listed, the latest first; an id can be named by its beginning."""
        deals = [self.settle(order(number, id=hex_id(number))) for number in (0x10, 0x11, 0x20)]
        self.assertEqual(self.successResultOf(self.ledger.deals()), deals[::-1])
        self.assertEqual(self.successResultOf(self.ledger.deals(most=1)), deals[2:])
        self.assertEqual(self.successResultOf(self.ledger.deals(hex_id(0x10)[:31])), deals[1::-1])
        self.assertEqual(self.successResultOf(self.ledger.deals(hex_id(0x20))), deals[2:])


class TimeTests(LedgerTestCase):
    """A quote ends; what was said about it stays."""

    def at(self, seconds: float) -> None:
        """Set the clock, forward or back."""
        self.clock.rightNow = seconds

    def test_expired(self) -> None:
        """On a quote that is over nothing is sold; what was sold on it stays sold."""
        sold = self.settle(order(1))
        self.at(120)
        late = self.settle(order(2))
        self.assertEqual((late.outcome, late.code, self.settle(order(1))), (REFUSED, "expired", sold))
        self.assertEqual((self.settle(taken_back(3)).outcome, self.apples()), (CANCELLED, level("apple", 5, 1)))

    def test_clock_goes_back(self) -> None:
        """What was refused as expired, or taken back when it was, is never sold, wherever the clock goes."""
        self.at(120)
        refused, cancelled = self.settle(order(1)).answer, self.settle(taken_back(2)).answer
        for seconds in (119, 0, 119.999, 500, 0):
            self.at(seconds)
            again = self.settle(order(1)).answer, self.settle(taken_back(2)).answer
            self.assertEqual(again, (refused, cancelled))
            self.assertEqual(self.settle(order(2)).outcome, REFUSED)
        self.assertEqual(self.apples(), level("apple", 5))

    def test_clock_goes_back_in_between(self) -> None:
        """The book remembers that over a restart of the seller too."""
        self.at(120)
        refused = self.settle(order(1)).answer
        self.ledger = Ledger(MemoryStore(self.book))
        self.ledger.start(Clock())
        self.assertEqual(self.settle(order(1)).answer, refused)

    def test_given_up_with_an_expired_one(self) -> None:
        """Only quotes that were over are given up: one that was good for longer is good when the clock goes back."""
        self.at(120)
        self.settle(order(1))
        self.at(100)
        self.assertEqual(self.outcomes(order(2, id=hex_id(2), valid_until=120_001)), [SOLD])

    def test_forgets(self) -> None:
        """A no is forgotten a minute after its quote has ended, when somebody orders; a sale never is."""
        self.outcomes(order(1), order(2, 9), taken_back(3, id=hex_id(3)))
        self.assertEqual(len(self.book.answered), 3)
        for seconds in (121, 179):
            self.at(seconds)
            self.outcomes(order(seconds, id=hex_id(seconds), valid_until=400_000))
        self.assertEqual(len(self.book.answered), 5)
        self.at(250)
        self.outcomes(order(4, id=hex_id(4), valid_until=400_000))
        kept = {deal.order.id for deal in self.book.answered.values()}
        self.assertEqual((kept, self.book.refused), ({hex_id(number) for number in (1, 121, 179, 4)}, {}))

    def test_forgotten_is_not_sold(self) -> None:
        """What was forgotten is not sold either, wherever the clock goes; nor is it taken for something new."""
        self.outcomes(order(2, 9), taken_back(3, id=hex_id(3)))
        self.at(250)
        self.outcomes(order(4, id=hex_id(4), valid_until=400_000))
        for seconds in (250, 0):
            self.at(seconds)
            again = self.outcomes(order(2, 9), order(3, id=hex_id(3)), taken_back(3, id=hex_id(3)))
            self.assertEqual(again, [REFUSED, REFUSED, CANCELLED])
        self.assertEqual(self.outcomes(order(5, id=hex_id(5), valid_until=400_000)), [SOLD])

    def test_same_bytes_at_any_time(self) -> None:
        """A no says the same bytes for as long as it is remembered, and one that need not be, for ever."""
        self.outcomes(order(1, 9))
        asked = [order(1, 9), order(2), taken_back(3)]
        answers = [self.settle(each).answer.encode() for each in asked]
        for seconds in (1, 119, 120, 179):
            self.at(seconds)
            self.assertEqual([self.settle(each).answer.encode() for each in asked], answers, seconds)

    def test_no_stays_no(self) -> None:
        """Of what is taken back about a quote that is dead nothing is kept; it is not sold when it comes after all."""
        self.outcomes(order(1, 9))
        for number, quoted in ((2, 1), (3, 2)):
            self.at(120 if quoted == 2 else 0)
            asked = [taken_back(number, id=hex_id(quoted)), order(number, id=hex_id(quoted))]
            self.assertEqual(self.outcomes(*asked, *asked), [CANCELLED, REFUSED] * 2)
        self.assertEqual(self.apples(), level("apple", 5))

    def test_refusals_are_bounded(self) -> None:
        """Who orders what is not there, again and again, cannot make the book grow: one no is kept a quote."""
        self.outcomes(*(order(number, 9, buyer) for number in range(200) for buyer in BUYERS))
        self.assertEqual((len(self.book.answered), len(self.book.refused)), (1, 1))

    def test_few_steps(self) -> None:
        """With a book full of refusals the next order takes few steps: it stalls nobody."""
        self.at(60)
        asked = order(1, 9)
        self.settle(asked)
        deal = self.book.answered[asked.key]
        for number in range(2, 50_000):
            self.book.answered[BUYER.public, hex_id(number)] = deal
            self.book.refused[hex_id(number)] = asked.key
        calls = 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        late = order(99_999, 9)
        sys.setprofile(count)
        try:
            self.settle(late)
        finally:
            sys.setprofile(None)
        self.assertLess(calls, 1_000)


class CrowdTests(SynchronousTestCase):
    """While the disk or the server does not answer, strangers do not fill the memory."""

    def setUp(self) -> None:
        """A book that stands still."""
        self.ledger = Ledger(HandStore(MemorySales()))
        self.ledger.start(Clock())

    def refused(self, asking: Sequence[Deferred[object]]) -> int:
        """How many are told at once to ask again."""
        refused = [each for each in asking if each.called]
        for each in refused:
            self.failureResultOf(each, StorageError)
        return len(refused)

    def test_orders(self) -> None:
        """Of ten thousand orders some wait, and the others are told at once to ask again."""
        asking = [self.ledger.settle(order(1, 1), 0, seal_answer) for _ in range(10_000)]
        self.assertEqual(self.refused(asking), 10_000 - 2_049)

    def test_searches(self) -> None:
        """Nor do ten thousand searches wait."""
        asking = [self.ledger.terms("apple", SELLER.public) for _ in range(10_000)]
        self.assertEqual(self.refused(asking), 10_000 - 2_048)

    def test_fault(self) -> None:
        """A book that can be read is not for that reason one that can be written."""
        store = FailingStore(MemorySales())
        ledger = Ledger(store)
        ledger.start(Clock())
        store.is_failing = True
        with capturedLogs() as logged:
            self.failureResultOf(ledger.stock({"apple": Supply(5)}), StorageError)
            store.is_failing = False
            self.successResultOf(ledger.levels())
            self.assertEqual(ledger.fault, "the disk is full")
            self.successResultOf(ledger.stock({"apple": Supply(5)}))
        self.assertEqual((ledger.fault, len(logged)), (None, 2))


class BatchTests(SynchronousTestCase):
    """Orders that come while the disk is busy share the next transaction."""

    def setUp(self) -> None:
        """A book of five apples in a store that is finished by hand."""
        self.store = HandStore(MemorySales())
        self.ledger = Ledger(self.store)
        self.ledger.start(Clock())
        self.ledger.stock({"apple": Supply(5)})
        self.store.finish()
        self.told: list[tuple[str, Outcome]] = []

    def ask(self, *asked: Order, kept_back: int = 0) -> list[Deferred[Settlement]]:
        """Have orders settled, and keep what is told in its order."""
        return [self.ledger.settle(each, kept_back, seal_answer).addCallback(self._tell) for each in asked]

    def _tell(self, settlement: Settlement) -> Settlement:
        self.told.append((settlement.deal.order.id, settlement.deal.outcome))
        return settlement

    def test_nothing_is_told_before(self) -> None:
        """Nobody hears of an answer before it is safe."""
        self.ask(order(1))
        self.assertEqual((len(self.store.waiting), self.told), (1, []))
        self.store.finish()
        self.assertEqual(self.told, [(hex_id(1), SOLD)])

    def test_share(self) -> None:
        """What comes while a transaction is under way is settled in the one after it, in the order in which it came."""
        self.ask(order(1))
        self.ask(*(order(number) for number in range(2, 8)))
        self.assertEqual(len(self.store.waiting), 1)
        self.store.finish()
        self.assertEqual((self.told, len(self.store.waiting)), ([(hex_id(1), SOLD)], 1))
        self.store.finish()
        outcomes = [SOLD] * 5 + [REFUSED] * 2
        self.assertEqual(self.told, [(hex_id(number + 1), outcome) for number, outcome in enumerate(outcomes)])
        self.assertEqual(self.store.book.stock["apple"], level("apple", 5, 5))
        self.assertEqual(self.store.waiting, [])

    def test_next_begins_first(self) -> None:
        """The next transaction is under way before the answers of the last go out: nothing waits for those who hear."""
        begun = []
        [first] = self.ask(order(1))
        self.ask(order(2))
        first.addCallback(lambda _: begun.append(len(self.store.waiting)))
        self.store.finish()
        self.assertEqual(begun, [1])

    def test_asked_by_who_hears(self) -> None:
        """Who orders again on hearing an answer waits like anybody."""
        [first] = self.ask(order(1))
        first.addCallback(lambda _: self.ask(order(2)) and None)
        self.store.finish_all()
        self.assertEqual(self.told, [(hex_id(1), SOLD), (hex_id(2), SOLD)])

    def test_not_too_many(self) -> None:
        """So many that come at once are not settled in one go."""
        asked = [order(1), *(order(number, 9, id=hex_id(number)) for number in range(2, 602))]
        self.ask(*asked)
        counts = []
        while self.store.waiting:
            before = len(self.told)
            self.store.finish()
            counts.append(len(self.told) - before)
        self.assertEqual((counts, [each for each, _ in self.told]), ([1, 512, 88], [each.id for each in asked]))

    def test_same_order_in_one(self) -> None:
        """The same order twice in one transaction gets one answer, the same bytes, and is sold once."""
        self.ask(order(9))
        asked = self.ask(order(1), order(1, 2), taken_back(1), order(2, 9), order(2, 1), taken_back(2), order(3))
        self.store.finish_all()
        answered = [self.successResultOf(each) for each in asked]
        first, second = answered[0].deal, answered[3].deal
        self.assertEqual([each.deal for each in answered[:6]], [first] * 3 + [second] * 3)
        self.assertEqual((first.outcome, second.outcome), (SOLD, REFUSED))
        self.assertEqual([each.is_repeat for each in answered], [False, True, True, False, True, True, False])
        # The no to the second order has closed the quote for the third.
        self.assertEqual((answered[6].deal.code, self.store.book.stock["apple"]), ("expired", level("apple", 5, 2)))

    def test_stock_in_one(self) -> None:
        """Pieces that one order of a transaction takes are not there for the next; a smaller one may still fit."""
        self.ask(order(9, id=hex_id(9)))
        self.ask(*(order(n, quantity, id=hex_id(n)) for n, quantity in enumerate((3, 2, 1, 1), 1)))
        self.store.finish_all()
        self.assertEqual([outcome for _, outcome in self.told], [SOLD, SOLD, REFUSED, SOLD, REFUSED])
        self.assertEqual(self.store.book.stock["apple"], level("apple", 5, 5))

    def test_failing(self) -> None:
        """What cannot be stored is told to all who wait for it, decides nothing, and can be asked for again."""
        failed = [*self.ask(order(1), order(2))]
        self.store.fail()
        waiting = self.ask(order(3))
        self.failureResultOf(failed[0], StorageError)
        self.assertNoResult(failed[1])
        self.store.fail()
        self.failureResultOf(failed[1], StorageError)
        self.store.finish()
        self.assertEqual(self.told, [(hex_id(3), SOLD)])
        self.ask(order(1), order(2), order(3))
        self.store.finish_all()
        self.assertEqual(self.told[1:], [(hex_id(number), SOLD) for number in (1, 2, 3)])
        self.assertEqual((len(waiting), self.store.book.stock["apple"]), (1, level("apple", 5, 3)))

    def test_all_of_a_transaction(self) -> None:
        """All that share a transaction which fails are told so, and none of them is sold."""
        self.ask(order(1))
        failed = self.ask(*(order(number) for number in (2, 3, 4)))
        self.store.finish()
        self.store.fail()
        for each in failed:
            self.failureResultOf(each, StorageError)
        self.assertEqual(self.store.book.stock["apple"], level("apple", 5, 1))
        self.assertEqual(self.told, [(hex_id(1), SOLD)])

    def test_stop(self) -> None:
        """It ends when everything asked of it is done, what waits for its transaction included."""
        asked = self.ask(order(1), order(2))
        stopping = self.ledger.stop()
        self.store.finish_all()
        self.successResultOf(stopping)
        self.assertEqual([self.successResultOf(each).deal.outcome for each in asked], [SOLD] * 2)

    def test_work_that_is_done_again(self) -> None:
        """A store may do a transaction again from the beginning: the answers are the same."""
        [asked] = self.ask(order(1, 3))
        self.store.waiting[0].work(self.store.book)
        self.store.book.roll_back()
        self.store.finish()
        self.assertEqual(
            self.successResultOf(asked).deal, Deal(order(1, 3), SOLD, "", "", seal_answer(order(1, 3), Verdict(SOLD)))
        )
        self.assertEqual(self.store.book.stock["apple"], level("apple", 5, 3))


class FailingStoreTests(SynchronousTestCase):
    """A book that cannot be read or written."""

    def test_everything(self) -> None:
        """Whatever is asked of it then fails, and works again afterwards; nothing has changed."""
        store = FailingStore(MemorySales())
        ledger = Ledger(store)
        ledger.start(Clock())
        self.successResultOf(ledger.stock({"apple": Supply(5)}))
        store.is_failing = True
        for failing in (
            ledger.settle(order(1), 0, seal_answer),
            ledger.terms("apple", SELLER.public),
            ledger.levels(),
            ledger.stock({"pear": Supply(1)}),
            ledger.supply("apple", 1),
            ledger.withdraw("apple", 1),
            ledger.deals(),
        ):
            self.failureResultOf(failing, StorageError)
        store.is_failing = False
        self.assertEqual(self.successResultOf(ledger.levels()), [level("apple", 5)])
        self.assertEqual(self.successResultOf(ledger.settle(order(1), 0, seal_answer)).deal.outcome, SOLD)


# Few buyers, ids and quotes, so that an order often comes again, unchanged or as something else.
asked_orders = st.builds(
    lambda withdraws, number, quantity, buyer, item, quoted: (
        taken_back(number, BUYERS[buyer], item=item, id=hex_id(quoted))
        if withdraws
        else order(number, quantity, BUYERS[buyer], item=item, id=hex_id(quoted))
    ),
    st.sampled_from([False, False, False, True]),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(0, 1),
    st.sampled_from(ITEMS),
    st.integers(1, 6),
)
steps = st.one_of(
    st.tuples(st.just("settle"), asked_orders, st.just(0)),
    st.tuples(st.just("settle"), asked_orders, st.integers(0, 8)),
    st.tuples(st.just("supply"), st.sampled_from(ITEMS), st.integers(1, 5)),
    st.tuples(st.just("withdraw"), st.sampled_from(ITEMS), st.integers(1, 5)),
    st.tuples(st.just("stock"), st.sampled_from(ITEMS), st.integers(0, 5)),
    st.tuples(st.just("time"), st.sampled_from([0.0, 60.0, 119.9, 120.0, 200.0, 400.0]), st.none()),
    st.tuples(st.just("finish"), st.booleans(), st.none()),
)


class ConservationTests(SynchronousTestCase):
    """Whatever is asked of it, in whatever order, with a store that fails now and then."""

    @bounded
    @given(st.lists(steps, max_size=40))
    def test_any_history(self, history: Sequence[tuple[str, object, object]]) -> None:
        """Supplied = in stock + sold + withdrawn after every step, and stock is never below 0.

        What is sold is what the answers say. The first answer to a statement is final, yes or no; and once a
        buyer has bought under an id, all that it ever says under that id gets the answer to that.
        """
        store = HandStore(MemorySales())
        clock = Clock()
        ledger = Ledger(store)
        ledger.start(clock)
        first_answers: dict[bytes, Deal] = {}
        last_answers: dict[bytes, Deal] = {}
        sales: dict[tuple[str, str], Deal] = {}
        supplied, withdrawn = dict.fromkeys(ITEMS, 0), dict.fromkeys(ITEMS, 0)
        wrong: list[Failure] = []

        def settled(settlement: Settlement, asked: Order) -> None:
            said = settlement.deal
            self.assertEqual(said.order.key, asked.key)
            first = first_answers.setdefault(said.order.statement.payload, said)
            self.assertEqual(said.outcome is SOLD, first.outcome is SOLD)
            if settlement.is_repeat:
                # A no may be told anew once its quote is over; what was told last is what is repeated.
                self.assertEqual(said.answer.encode(), last_answers[said.order.statement.payload].answer.encode())
            last_answers[said.order.statement.payload] = said
            if said.outcome is SOLD:
                sales.setdefault(said.order.key, said)
            if said.order.key in sales:
                self.assertEqual(said.answer.encode(), sales[said.order.key].answer.encode())

        def count(done: StockLevel, of: dict[str, int], quantity: int) -> None:
            of[done.item] += quantity

        def enter(known: Sequence[StockLevel], item: str, quantity: int) -> None:
            supplied[item] += 0 if known else quantity

        # With nothing to sell at first hardly any history would have a sale.
        begin = [*(("supply", item, 2) for item in ITEMS), *[("finish", True, None)] * 2]
        for what, first, second in [*begin, *history, *[("finish", True, None)] * 40]:
            waiting: Deferred[object] | None = None
            if what == "settle":
                waiting = ledger.settle(first, second, seal_answer).addCallback(settled, first)  # type: ignore[arg-type]
            elif what == "supply":
                waiting = ledger.supply(first, second).addCallback(count, supplied, second)  # type: ignore[arg-type]
            elif what == "withdraw":
                waiting = ledger.withdraw(first, second).addCallback(count, withdrawn, second)  # type: ignore[arg-type]
            elif what == "stock":
                waiting = ledger.stock({first: Supply(second)}).addCallback(enter, first, second)  # type: ignore[arg-type,dict-item]
            elif what == "time":
                clock.rightNow = first  # type: ignore[assignment]
            elif store.waiting:
                store.finish() if first else store.fail()
            if waiting is not None:
                # That it was not stored, or that there were not so many, is no fault; anything else is one.
                waiting.addErrback(lambda failure: failure.trap(StorageError, SoldOut)).addErrback(wrong.append)
            for failure in wrong:
                failure.raiseException()
            sold = dict.fromkeys(ITEMS, 0)
            for deal in sales.values():
                sold[deal.order.item] += deal.order.quantity
            for item, counted in store.book.stock.items():
                self.assertEqual(counted.supplied, counted.in_stock + counted.sold + counted.withdrawn)
                self.assertGreaterEqual(counted.in_stock, 0)
                self.assertEqual(counted, level(item, supplied[item], sold[item], withdrawn[item]))


class WaitingTests(SynchronousTestCase):
    """Orders that come while the disk does not answer."""

    def test_bounded(self) -> None:
        """What waits is bounded in bytes, whatever is signed; what comes then is told to ask again."""
        store = HandStore(MemorySales())
        ledger = Ledger(store)
        ledger.start(Clock())
        stocking = ledger.stock({"apple": Supply(5)})
        store.finish_all()
        self.successResultOf(stocking)
        plain = order(1)
        large = evolve(plain, statement=plain.statement.__class__(b"x" * LONGEST_PAYLOAD_BYTES, "", ()))
        asked = [ledger.settle(evolve(large, id=hex_id(number)), 0, seal_answer) for number in range(1_200)]
        refused = [deferred for deferred in asked if deferred.called]
        self.assertTrue(800 < len(asked) - len(refused) < MOST_WAITING_BYTES // LONGEST_PAYLOAD_BYTES)
        for deferred in refused:
            self.failureResultOf(deferred, StorageError)
        store.finish_all()
        self.assertEqual(sum(deferred.called for deferred in asked), 1_200)
        later = ledger.settle(evolve(large, id=hex_id(2_000)), 0, seal_answer)
        self.assertNoResult(later)
        store.finish_all()
        self.successResultOf(later)
