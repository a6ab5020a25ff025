"""A buyer, a seller and a relay that lies between them, with everything that can go wrong at every step.

The messages between the two stand in a bag. What happens next is drawn: one is delivered, lost, doubled or
altered; a process is killed and started again from its disk; a disk is slow or fails; a clock goes on; an order
is taken back; another buyer takes what there is. After each step the promises hold, and in the end, when nothing
fails any more, every order is settled in the same way on both sides.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.trade.cases import BUYER, SELLER, STRANGER, HandStore, hex_id, purchase, quote
from twisted_bazaar.errors import SoldOut, StorageError, UsageError, WireError
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.identity.signed import Envelope, Signature, _what_is_signed, seal
from twisted_bazaar.role import Role
from twisted_bazaar.roles.buyer import Buyer
from twisted_bazaar.roles.seller import Seller
from twisted_bazaar.roles.want import Want
from twisted_bazaar.testing import FakeNode, deliver
from twisted_bazaar.trade.contract import Answer, Purchase, Receipt, Withdrawal, check_receipt
from twisted_bazaar.trade.messages import Answered, Buy, BuyNo, BuyOK, Cancel, handle_of
from twisted_bazaar.trade.order import OrderState
from twisted_bazaar.trade.stores.memory import MemoryPurchases, MemorySales, MemoryStore
from twisted_bazaar.values.sale import Outcome, Supply
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import Flooded, Message

BUYER_ID: Final = 1
RELAY_ID: Final = 7
SELLER_ID: Final = 9
# A relay has a key as well; it is worth nothing to it.
RELAY: Final = KeyPair.from_seed(b"relay!" * 5 + b"__")
WANTED: Final = (1, 2)
SUPPLIED: Final = 5
PRICE: Final = 40
MOST_IN_BAG: Final = 24
CODEC: Final = Codec()
ENVELOPE_KEYS: Final = {"reply": "quote", "buy": "order", "cancel": "order", "buyOK": "answer", "buyNO": "answer"}

sides = st.sampled_from(["buyer", "seller"])
places = st.integers(0, MOST_IN_BAG)


class SlowStore(HandStore[Any]):
    """A disk that is quick, or slow: what it has begun is finished when the test says so."""

    is_quick: bool = True

    def run_transaction(self, work: Callable[[Any], Any]) -> Deferred[Any]:
        """Begin a transaction; while the disk is quick it is done at once."""
        waiting = super().run_transaction(work)
        if self.is_quick and len(self.waiting) == 1:
            self.finish_all()
        return waiting

    def end(self, written: int) -> None:
        """Lose the process; some of what was begun is on the disk, and nobody hears of it."""
        for transaction in self.waiting[:written]:
            MemoryStore(self.book).run_transaction(transaction.work).addErrback(lambda failure: None)
        self.waiting = []


class Side:
    """The buyer or the seller: its disk, its clock, and its process while that runs."""

    def __init__(self, key: KeyPair, node_id: int, other_id: int, book: Any, make_role: Callable[[Any], Role]) -> None:
        self.key, self.node_id, self.other_id = key, node_id, other_id
        self.book = book
        self.clock_s = 0.0
        self.starts = 0
        self.role: Any = None
        self.make_role = make_role
        self.reports: list[tuple[str, Mapping[str, Any]]] = []

    def start(self) -> None:
        """Start the process on what its disk holds."""
        self.starts += 1
        clock = Clock()
        clock.rightNow = self.clock_s
        rng = random.Random(f"{self.node_id}/{self.starts}")
        self.node = FakeNode(id=self.node_id, key=self.key, clock=clock, rng=rng, reports=self.reports)
        self.node.routes = {self.other_id: [(self.node_id, RELAY_ID, self.other_id)]}
        self.store = SlowStore(self.book)
        self.role = self.make_role(self.store)
        self.role.start(self.node)
        self.role.peer_joined(self.node.link(RELAY_ID))

    def kill(self, written: int) -> None:
        """Lose the process."""
        self.clock_s = self.node.clock.seconds()
        self.store.end(written)
        # Whatever it still does reaches nobody, and no disk.
        self.store.book = type(self.book)()
        self.store.is_quick = False
        self.node.linked.clear()
        self.role = None

    def sent(self) -> list[Message]:
        """What it has sent since last asked."""
        if self.role is None:
            return []
        sent, self.node.sent = self.node.sent, []
        flooded, self.node.flooded = self.node.flooded, []
        passed_on = [search.evolve(return_path=(self.node_id, RELAY_ID)) for search in flooded]
        return [*passed_on, *(message.evolve(path=route) for message, route in sent)]  # type: ignore[call-arg]

    def receive(self, message: Message) -> None:
        """Take a message that came by the relay."""
        if self.role is not None and type(message) in self.role.receives:
            deliver(self.role, message, self.node_id, RELAY_ID, self.other_id)


class Sale(RuleBasedStateMachine):
    """One buyer, one seller, and what is between them."""

    def __init__(self) -> None:
        super().__init__()
        self.sides = {
            "seller": Side(SELLER, SELLER_ID, BUYER_ID, MemorySales(), self.make_seller),
            "buyer": Side(BUYER, BUYER_ID, SELLER_ID, MemoryPurchases(), self.make_buyer),
        }
        self.bag: list[tuple[str, bytes]] = []
        self.seen: list[tuple[str, bytes]] = []
        self.faults: list[str] = []
        self.supplied, self.withdrawn = SUPPLIED, 0
        self.others = 0
        self.told: dict[str, int] = {"buyer": 0, "seller": 0}
        self.sold_events: Counter[tuple[str, str]] = Counter()
        self.given_up: set[str] = set()
        self.bought: set[str] = set()
        self.statements: dict[tuple[str, str], bytes] = {}
        self.said: dict[str, set[Outcome]] = {}
        self.yes: dict[str, bytes] = {}
        globalLogPublisher.addObserver(self._logged)  # type: ignore[arg-type] # any callable will do
        for side in self.sides.values():
            side.start()
        self._collect()

    make_seller = staticmethod(lambda store: Seller({"apple": Supply(SUPPLIED, PRICE)}, store))
    make_buyer = staticmethod(lambda store: Buyer([Want("apple", quantity) for quantity in WANTED], store))

    # What can happen on the way.

    @initialize(steps=st.sampled_from([0, 1, 2, 3, 3, 3, 4, 4]), slow=st.sampled_from(["", "buyer", "seller"]))
    def begin(self, steps: int, slow: str) -> None:
        """Most runs begin with orders on their way, or with answers to them; in some a disk is slow then."""
        for step in range(steps):
            if step == 2:
                self.advance("buyer", 0.31)
            else:
                self._exchange(2)
        if slow:
            self.change_disk(slow, False)

    @rule()
    def trade(self) -> None:
        """For a moment nothing fails: whoever looks finds, and whoever has found orders."""
        self._exchange(MOST_IN_BAG)
        self._exchange(MOST_IN_BAG)
        self.advance("buyer", 0.31)

    @rule(count=st.integers(1, 4))
    def exchange(self, count: int) -> None:
        """The oldest messages arrive, in their order."""
        self._exchange(count)

    @precondition(lambda self: self.bag)
    @rule(at=places)
    def arrive(self, at: int) -> None:
        """Any message arrives."""
        self._deliver(*self.bag.pop(at % len(self.bag)))

    @precondition(lambda self: self.bag)
    @rule(at=places)
    def lose(self, at: int) -> None:
        """A message is lost."""
        self.bag.pop(at % len(self.bag))

    @precondition(lambda self: self.bag)
    @rule(at=places)
    def double(self, at: int) -> None:
        """A message comes twice."""
        self.bag.append(self.bag[at % len(self.bag)])

    # What the relay can do.

    @precondition(lambda self: self.seen)
    @rule(at=places)
    def replay(self, at: int) -> None:
        """Something that was said long ago is said again."""
        self._deliver(*self.seen[at % len(self.seen)])

    @precondition(lambda self: self.seen)
    @rule(at=places, where=st.integers(0, 5000), bit=st.integers(0, 7))
    def alter(self, at: int, where: int, bit: int) -> None:
        """A bit of a message is turned over."""
        side, wire = self.seen[at % len(self.seen)]
        altered = bytearray(wire)
        altered[where % len(wire)] ^= 1 << bit
        self._deliver(side, bytes(altered))

    @precondition(lambda self: self.seen)
    @rule(at=places, other=places)
    def swap(self, at: int, other: int) -> None:
        """A message carries what was signed for another."""
        side, wire = self.seen[at % len(self.seen)]
        plain, donor = json.loads(wire), json.loads(self.seen[other % len(self.seen)][1])
        envelope = donor.get(ENVELOPE_KEYS.get(donor["type"], ""))
        key = ENVELOPE_KEYS.get(plain["type"])
        if key is not None and envelope is not None:
            self._deliver(side, json.dumps({**plain, key: envelope}).encode())

    @precondition(lambda self: self.seen)
    @rule(
        at=places,
        change=st.sampled_from(["class", "reply", "nothing", "price", "quantity", "outcome", "seller"]),
        is_own=st.booleans(),
    )
    def forge(self, at: int, change: str, is_own: bool) -> None:
        """The relay says other words, or the same, with its own signature, or with the old one."""
        side, wire = self.seen[at % len(self.seen)]
        plain = json.loads(wire)
        key = ENVELOPE_KEYS.get(plain["type"])
        if key is None or plain.get(key) is None or (key, change) == ("quote", "seller"):
            # A relay may well have goods of its own, but that is another sale.
            return
        if change == "class":
            plain["type"] = {"buyOK": "buyNO", "buyNO": "buyOK"}.get(plain["type"], plain["type"])
        elif change == "reply":
            plain |= {name: 1 for name in ("price", "quantity") if name in plain}
        else:
            plain[key] = json.loads(self._reworded(CODEC.decode(wire), key, change, is_own).encode())
        self._deliver(side, json.dumps(plain).encode())

    def _reworded(self, message: Any, key: str, change: str, is_own: bool) -> Envelope:
        envelope: Envelope = getattr(message, key)
        words = json.loads(envelope.payload)
        if change == "outcome" and key == "answer":
            words["outcome"] = "refused" if words["outcome"] == "sold" else "sold"
        elif change == "seller" and "seller" in words:
            words["seller"] = RELAY.public
        elif change in words:
            words[change] = 1
        payload = json.dumps(words, separators=(",", ":"), ensure_ascii=False).encode()
        if is_own:
            return _sealed(RELAY, envelope.payload_type, payload)
        return Envelope(payload, envelope.payload_type, envelope.signatures)

    @precondition(lambda self: self.sides["buyer"].role is not None)
    @rule(code=st.sampled_from(["soldout", "forged", "notnow", "noroute", "wtf"]), arrives=st.booleans())
    def make_up_error(self, code: str, arrives: bool) -> None:
        """An error about an open order, which nobody has signed; the order may arrive all the same."""
        if arrives:
            self._exchange(1)
        for record in self.sides["buyer"].role.purchases.unanswered():
            error = Error(
                code=code, info="so it is", about="buy", id=handle_of(record.id), path=(SELLER_ID, RELAY_ID, BUYER_ID)
            )
            self._deliver("buyer", CODEC.encode(error))

    @precondition(lambda self: self.statements)
    @rule(at=places, outcome=st.sampled_from(["buyOK", "buyNO"]))
    def make_up_answer(self, at: int, outcome: str) -> None:
        """An answer to an order that the relay has written and signed itself."""
        _, order_id = sorted(self.statements)[at % len(self.statements)]
        answer = Answer(
            bazaar="bazaar",
            seller=RELAY.public,
            buyer=BUYER.public,
            order=order_id,
            digest="0" * 64,
            outcome=Outcome.SOLD if outcome == "buyOK" else Outcome.REFUSED,
            item="apple",
            quantity=1,
        )
        cls = BuyOK if outcome == "buyOK" else BuyNo
        message = cls(id=handle_of(order_id), answer=seal(RELAY, answer), path=(SELLER_ID, RELAY_ID, BUYER_ID))
        self._deliver("buyer", CODEC.encode(message))

    # What can happen to the two.

    @rule(side=sides, seconds=st.sampled_from([0.31, 1.5, 5.0, 31.0, 130.0]))
    def advance(self, side: str, seconds: float) -> None:
        """A clock goes on."""
        if self.sides[side].role is None:
            self.sides[side].clock_s += seconds
            return
        for _ in range(4):
            self.sides[side].node.clock.advance(seconds / 4)
        self._collect()

    @rule(side=sides, written=st.integers(0, 3), again=st.booleans())
    def kill(self, side: str, written: int, again: bool) -> None:
        """A process ends without a word, whatever its disk has done of what it was asked; it may come back at once."""
        if self.sides[side].role is not None:
            self._collect()
            self.sides[side].kill(written)
        if again:
            self.start(side)

    @rule(side=sides)
    def start(self, side: str) -> None:
        """A process is started again."""
        if self.sides[side].role is None:
            self.sides[side].start()
            self._collect()

    @rule(side=sides, is_quick=st.booleans())
    def change_disk(self, side: str, is_quick: bool) -> None:
        """A disk becomes slow, or quick."""
        if self.sides[side].role is not None:
            self.sides[side].store.is_quick = is_quick
            if is_quick:
                self.sides[side].store.finish_all()
            self._collect()

    @rule(side=sides, works=st.booleans())
    def finish(self, side: str, works: bool) -> None:
        """A slow disk has done what it was asked first, or has failed to."""
        if self.sides[side].role is not None and self.sides[side].store.waiting:
            store = self.sides[side].store
            store.finish() if works else store.fail()
            self._collect()

    @rule(side=sides)
    def relink(self, side: str) -> None:
        """The link to the relay ends, or is there again."""
        if self.sides[side].role is None:
            return
        node, role = self.sides[side].node, self.sides[side].role
        if node.linked:
            role.peer_left(node.linked.pop())
        else:
            role.peer_joined(node.link(RELAY_ID))
        self._collect()

    @rule()
    def take_back(self) -> None:
        """The buyer's operator thinks better of an order."""
        if self.sides["buyer"].role is not None:
            for record in self.sides["buyer"].role.purchases.unanswered():
                ending = self.sides["buyer"].role.purchases.take_back(record.id)
                ending.addErrback(lambda failure: failure.trap(StorageError, UsageError))
            self._collect()

    @rule(quantity=st.integers(1, 2))
    def another_buys(self, quantity: int) -> None:
        """Another buyer takes some of what there is."""
        self.others += 1
        statement = purchase(self.others, quantity, STRANGER, quote(id=hex_id(self.others), valid_until=10**9))
        self.sides["seller"].receive(Buy(id=self.others, order=statement))
        self._collect()

    @rule(adds=st.booleans())
    def change_stock(self, adds: bool) -> None:
        """The seller's operator adds a piece, or takes one out."""
        seller = self.sides["seller"]
        if seller.role is None:
            return
        change = seller.role.ledger.supply if adds else seller.role.ledger.withdraw
        change("apple", 1).addErrback(lambda failure: failure.trap(StorageError, SoldOut))
        self._collect()

    # What is promised.

    @invariant()
    def stock_adds_up(self) -> None:
        """Supplied = in stock + sold + withdrawn; what is sold is what the deals say."""
        book: MemorySales = self.sides["seller"].book
        deals = book.answered.values()
        sold = sum(deal.order.quantity for deal in deals if deal.outcome is Outcome.SOLD)
        for level in book.stock.values():
            assert level.supplied == level.in_stock + level.sold + level.withdrawn, level
            assert level.in_stock >= 0, level
            assert level.sold == sold, (level, sold)

    @invariant()
    def sold_as_ordered(self) -> None:
        """What is sold is what the buyer has signed, on what the seller has signed; and never more than is wanted."""
        sold = 0
        for (buyer, order_id), deal in self.sides["seller"].book.answered.items():
            answer = deal.answer.open(Answer)
            asked, _, _ = check_receipt(Receipt(deal.order.statement, deal.answer))
            assert (answer.outcome, answer.order, answer.buyer) == (deal.outcome, order_id, buyer)
            if buyer != BUYER.public:
                continue
            record = self.sides["buyer"].book.ordered[order_id]
            assert deal.order.statement in (record.statement, record.withdrawal), "the buyer has not said this"
            if deal.outcome is Outcome.SOLD:
                assert isinstance(asked, Purchase)
                assert (answer.price, answer.quantity) == (PRICE, record.quantity), answer
                sold += record.quantity
        assert sold <= sum(WANTED), f"{sold} were sold to who wanted {WANTED}"

    @invariant()
    def both_agree(self) -> None:
        """What the buyer holds for bought is in the seller's book; what it holds for failed is not sold there."""
        deals = self.sides["seller"].book.answered
        for order_id, record in self.sides["buyer"].book.ordered.items():
            deal = deals.get((BUYER.public, order_id))
            outcome = None if deal is None else deal.outcome
            if record.state is OrderState.CONFIRMED:
                assert deal is not None, f"{order_id} is not sold"
                assert outcome is Outcome.SOLD, f"{order_id} is not sold"
                assert record.answer == deal.answer, "the buyer holds another answer"
            elif record.state.is_final:
                assert outcome is not Outcome.SOLD, f"{order_id} was given up, and it is sold"

    @invariant()
    def told_as_written(self) -> None:
        """What the buyer has told is in its book, and what it has told as failed is never sold."""
        ordered = self.sides["buyer"].book.ordered
        deals = self.sides["seller"].book.answered
        for order_id in self.bought:
            assert ordered[order_id].state is OrderState.CONFIRMED, f"{order_id} was told as bought"
        for order_id in self.given_up:
            deal = deals.get((BUYER.public, order_id))
            assert deal is None or deal.outcome is not Outcome.SOLD, f"{order_id} was told as failed"
            assert ordered[order_id].state in (OrderState.REFUSED, OrderState.CANCELLED), (
                f"{order_id} was told as failed"
            )

    @invariant()
    def nothing_of_ours(self) -> None:
        """The code does not fail by itself."""
        assert not self.faults, self.faults

    def teardown(self) -> None:
        """When nothing fails any more, every order is settled, and both sides say the same."""
        try:
            self._settle_all()
        finally:
            globalLogPublisher.removeObserver(self._logged)  # type: ignore[arg-type] # as above

    def _settle_all(self) -> None:
        if self.faults:
            return
        for name in self.sides:
            self.start(name)
            self.change_disk(name, True)
            if not self.sides[name].node.linked:
                self.relink(name)
        buyer = self.sides["buyer"]
        for _ in range(100):
            self._exchange(MOST_IN_BAG)
            states = [record.state for record in buyer.book.ordered.values()]
            if all(state.is_final for state in states):
                break
            self.advance("buyer", 1.5)
        for check in (
            self.stock_adds_up,
            self.sold_as_ordered,
            self.both_agree,
            self.told_as_written,
            self.nothing_of_ours,
        ):
            check()
        for order_id, record in buyer.book.ordered.items():
            assert record.state.is_final, f"{order_id} is {record.state.value} for ever"
        deals = self.sides["seller"].book.answered
        sold = {
            order_id for (key, order_id), deal in deals.items() if key == BUYER.public and deal.outcome is Outcome.SOLD
        }
        assert sold == {id for id, record in buyer.book.ordered.items() if record.state is OrderState.CONFIRMED}

    # How it is played.

    def _exchange(self, count: int) -> None:
        for _ in range(min(count, len(self.bag))):
            self._deliver(*self.bag.pop(0))

    def _deliver(self, side: str, wire: bytes) -> None:
        try:
            message = CODEC.decode(wire)
        except WireError:
            return
        self.sides[side].receive(message)
        self._collect()

    def _collect(self) -> None:
        """Put what was sent into the bag, and look at it."""
        for name, side in self.sides.items():
            for message in side.sent():
                if name == "buyer":
                    self._look_at_order(message)
                else:
                    self._look_at_answer(message)
                sent = ("buyer" if name == "seller" else "seller", CODEC.encode(message))
                self.bag = [*self.bag[-MOST_IN_BAG + 1 :], sent]
                if sent not in self.seen and not isinstance(message, Flooded):
                    self.seen = [*self.seen[-MOST_IN_BAG + 1 :], sent]
            new = side.reports[self.told[name] :]
            self.told[name] = len(side.reports)
            for event, details in new:
                self._look_at_report(event, details)

    def _look_at_order(self, message: Message) -> None:
        """What is sent is in the buyer's book; the same order is the same bytes."""
        if not isinstance(message, Buy | Cancel):
            return
        said = message.order.open(Purchase if isinstance(message, Buy) else Withdrawal)
        record = self.sides["buyer"].book.ordered.get(said.id)
        assert record is not None, "an order was sent that is not in the book"
        kept = record.statement if isinstance(message, Buy) else record.withdrawal
        # Who has its answer meanwhile need not remember that it was to be taken back.
        is_over = isinstance(message, Cancel) and record.state.is_final
        assert kept == message.order or is_over, "an order was sent that is not in the book in these words"
        wire = message.order.encode()
        assert self.statements.setdefault((message.wire_name, said.id), wire) == wire, (
            "an order is repeated in other words"
        )

    def _look_at_answer(self, message: Message) -> None:
        """What is answered is in the seller's book first; a yes is always the same bytes, and never a no as well."""
        if not isinstance(message, Answered):
            return
        answer = message.answer.open(Answer)
        deal = self.sides["seller"].book.answered.get((answer.buyer, answer.order))
        if answer.outcome is Outcome.SOLD or deal is not None:
            assert deal is not None, "an answer was sent that is not in the book"
            assert deal.answer == message.answer, "an answer was sent that is not in the book in these words"
        name = answer.buyer + answer.order
        said = self.said.setdefault(name, set())
        said.add(answer.outcome)
        assert Outcome.SOLD not in said or len(said) == 1, f"{answer.order} was answered yes and no"
        if answer.outcome is Outcome.SOLD:
            wire = message.answer.encode()
            assert self.yes.setdefault(name, wire) == wire, "a yes was said in other words"

    def _look_at_report(self, event: str, details: Mapping[str, Any]) -> None:
        if event == "sold":
            self.sold_events[details["buyer_key"], details["order"]] += 1
            assert max(self.sold_events.values()) == 1, "one order was told as sold twice"
        elif event == "bought":
            self.bought.add(details["order"])
        elif event in ("missed", "cancelled") and "seller_key" in details:
            self.given_up.add(details["order"])

    def _logged(self, event: Mapping[str, Any]) -> None:
        if event.get("log_level") is LogLevel.critical:
            self.faults.append(str(event.get("log_failure") or formatEvent(dict(event))))


def _sealed(key: KeyPair, payload_type: str, payload: bytes) -> Envelope:
    """These words with a signature of this key."""
    return Envelope(payload, payload_type, (Signature(key.public, key.sign(_what_is_signed(payload_type, payload))),))


class ExactlyOnceTests(SynchronousTestCase):
    """The promises about a sale, under everything that can go wrong."""

    def test_sale(self) -> None:
        """Whatever happens, in whatever order: sold once, on both sides, or not at all."""
        run_state_machine_as_test(
            Sale,
            settings=examples(
                300,
                stateful_step_count=40,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate, Phase.shrink],
            ),
        )
