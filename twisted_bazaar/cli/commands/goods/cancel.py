"""C{bazaar cancel}: takes an order back that the seller has not answered."""

from __future__ import annotations

from typing import Final

import click

from twisted_bazaar.cli.commands.goods.order_rows import BUYER, OrderRow, order_id
from twisted_bazaar.cli.control.client import chosen_node, names_a_node
from twisted_bazaar.cli.terminal.errors import NegativeAnswer, PlainCommand
from twisted_bazaar.cli.terminal.printable import printable

# The status by which a buyer with --once says the same.
UNKNOWN: Final = 5


@click.command(cls=PlainCommand)
@click.argument("order", metavar="ID", type=order_id)
@names_a_node
def cancel(order: str, state: str | None, name: str | None) -> None:
    """Take back an order that has no answer yet.

    ID is the order's id, or its beginning. Ends with status 0 when the seller has agreed that nothing was
    or will be sold, with 1 when it cannot be taken back, and with 5 when the seller has not answered yet:
    then it is asked until it does.
    """
    node = chosen_node(state, name, "cancel", BUYER)
    for row in node.rows("cancel", OrderRow, id=order):
        what = f"order {row.short_id} of {row.goods}"
        match row.state:
            case "cancelled":
                click.echo(f"{what}: cancelled; nothing was sold, and nothing will be")
            case "refused":
                click.echo(f"{what}: the seller had refused it; nothing was sold ({printable(row.reason)})")
            case "confirmed":
                raise NegativeAnswer(f"{what}: the seller had sold it already; it is yours")
            case _:
                see = f"bazaar orders {row.short_id}{node.option}"
                click.echo(f"{what}: the seller has not answered; it is asked until it does, and {see} tells")
                raise SystemExit(UNKNOWN)
