"""Whether the books of a market agree."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.demo.audit import Account, settle_accounts
from twisted_bazaar.demo.events import Event

SUPPLIES = {("Sam", "apple"): 5}
STOCK = Event("Sam", "stock", {"item": "apple", "supplied": 5, "in_stock": 3, "sold": 2})
SOLD = Event("Sam", "sold", {"order": 1, "item": "apple", "quantity": 2, "price": 40})
BOUGHT = Event("Ben", "bought", {"order": 1, "item": "apple", "quantity": 2, "price": 40})


def changed(event: Event, **details: int) -> Event:
    """An event with other details."""
    return evolve(event, details={**event.details, **details})


class AccountTests(SynchronousTestCase):
    """Sam sold two of five apples to Ben, at 40."""

    def test_right_books(self) -> None:
        """Books that agree have no fault."""
        account = Account("Sam", "apple", supplied=5, in_stock=3, sold=2, bought={"Ben": 2}, paid=80)
        self.assertEqual(settle_accounts(SUPPLIES, [STOCK, SOLD, BOUGHT]), ([account], []))

    def test_several_buyers(self) -> None:
        """What each buyer got is counted for itself, and what all pay in one sum; a gift costs nothing."""
        events = [changed(STOCK, in_stock=0, sold=5), SOLD, BOUGHT]
        for order, teller, price in ((2, "Ben", 40), (3, "Finn", 40), (4, "Finn", None)):
            details = {"order": order, "item": "apple", "quantity": 1, "price": price}
            events += [Event("Sam", "sold", details), Event(teller, "bought", details)]
        account = Account("Sam", "apple", supplied=5, in_stock=0, sold=5, bought={"Ben": 3, "Finn": 2}, paid=160)
        self.assertEqual(settle_accounts(SUPPLIES, events), ([account], []))

    def test_wrong_books(self) -> None:
        """Whatever is lost, or there twice, is found and said in words."""
        cases = {
            "Sam did not say how many apple are left": [SOLD, BOUGHT],
            "Sam sold 2 apple, and nobody says they got them": [STOCK, SOLD],
            "Ben got 2 apple, and nobody says they sold them": [STOCK, BOUGHT],
            "Sam and Ben do not agree on what was sold": [STOCK, SOLD, changed(BOUGHT, price=30)],
            "Sam's apple: 5 supplied is not 4 in stock and 2 sold": [changed(STOCK, in_stock=4), SOLD, BOUGHT],
            "Sam's apple: 3 sold, 2 bought": [changed(STOCK, in_stock=2, sold=3), SOLD, BOUGHT],
            "Sam's apple: 5 were supplied, 6 are in the books": [changed(STOCK, supplied=6, in_stock=4), SOLD, BOUGHT],
        }
        for fault, events in cases.items():
            _, faults = settle_accounts(SUPPLIES, events)
            self.assertTrue(faults[0].startswith(fault), faults)
