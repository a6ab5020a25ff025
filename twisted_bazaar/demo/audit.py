"""The audit of a market's books: sold by sellers, bought by buyers and left in stock must agree.

Pure: events in, accounts and faults out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from twisted_bazaar.demo.events import Event

Supplies = Mapping[tuple[str, str], int]
"""Units supplied, by seller and item."""


@frozen
class Account:
    """One item of one seller, when the seller has stopped.

    @ivar supplied, in_stock, sold: units, by the seller's last count.
    @ivar bought: for each buyer, the units that it says it got from this seller.
    @ivar paid: what the buyers agreed to pay in all, in minor units.
    """

    seller: str
    item: str
    supplied: int
    in_stock: int
    sold: int
    bought: Mapping[str, int]
    paid: int


def settle_accounts(supplies: Supplies, events: Sequence[Event]) -> tuple[list[Account], list[str]]:
    """Compare what everybody says.

    @param supplies: what each seller was given.
    @param events: all there are of the kinds C{stock}, C{sold} and C{bought}.
    @return: the accounts, and in words whatever in them is not right.
    """
    sales = {event["order"]: event for event in events if event.kind == "sold"}
    purchases = {event["order"]: event for event in events if event.kind == "bought"}
    counts = {(event.teller, event["item"]): event for event in events if event.kind == "stock"}
    accounts, faults = [], list(_unmatched(sales, purchases))
    for (seller, item), supplied in supplies.items():
        count = counts.get((seller, item))
        if count is None:
            faults.append(f"{seller} did not say how many {item} are left")
            continue
        matching = [
            purchase
            for order, purchase in purchases.items()
            if order in sales and sales[order].teller == seller and purchase["item"] == item
        ]
        bought: dict[str, int] = {}
        for purchase in matching:
            bought[purchase.teller] = bought.get(purchase.teller, 0) + purchase["quantity"]
        paid = sum(purchase["quantity"] * (purchase["price"] or 0) for purchase in matching)
        account = Account(seller, item, count["supplied"], count["in_stock"], count["sold"], bought, paid)
        accounts.append(account)
        faults.extend(_faults_of(account, supplied))
    return accounts, faults


def _unmatched(sales: Mapping[str, Event], purchases: Mapping[str, Event]) -> Iterable[str]:
    """Orders on which seller and buyer do not agree."""
    for order, sale in sales.items():
        purchase = purchases.get(order)
        if purchase is None:
            yield f"{sale.teller} sold {sale['quantity']} {sale['item']}, and nobody says they got them"
        elif any(sale[key] != purchase[key] for key in ("item", "quantity", "price")):
            yield f"{sale.teller} and {purchase.teller} do not agree on what was sold: {sale.details}"
    for order, purchase in purchases.items():
        if order not in sales:
            yield f"{purchase.teller} got {purchase['quantity']} {purchase['item']}, and nobody says they sold them"


def _faults_of(account: Account, supplied: int) -> Iterable[str]:
    of_item = f"{account.seller}'s {account.item}"
    if account.supplied != supplied:
        yield f"{of_item}: {supplied} were supplied, {account.supplied} are in the books"
    if account.in_stock < 0 or account.supplied != account.in_stock + account.sold:
        yield f"{of_item}: {account.supplied} supplied is not {account.in_stock} in stock and {account.sold} sold"
    if account.sold != sum(account.bought.values()):
        yield f"{of_item}: {account.sold} sold, {sum(account.bought.values())} bought"
