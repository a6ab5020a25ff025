"""C{bazaar cancel}: takes an order back that the seller has not answered."""

from __future__ import annotations

import click

from twisted_bazaar.cli.commands.goods.order_rows import BUYER, OrderRow, order_id
from twisted_bazaar.cli.control.client import WHICH_NODE, chosen_node
from twisted_bazaar.cli.terminal.command import PlainCommand
from twisted_bazaar.cli.terminal.errors import NegativeAnswer
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.settings.option import OptionValues


@click.command(cls=PlainCommand, declared=WHICH_NODE, example="bazaar cancel 74a0")
@click.argument("order", metavar="ID", type=order_id)
def cancel(order: str, options: OptionValues) -> None:
    """Take back an order that has no answer yet.

    ID is the order's id, or its beginning. Ends with status 0 when the seller has agreed that nothing was
    or will be sold, with 1 when it cannot be taken back, and with 5 when the seller has not answered yet:
    then it is asked until it does.
    """
    node = chosen_node(options, "cancel", BUYER)
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
                raise SystemExit(ExitStatus.UNFINISHED)
