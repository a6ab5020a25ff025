"""C{bazaar cancel}: takes an order back that the seller has not answered."""

from __future__ import annotations

from typing import Final

import click

from twisted_bazaar.cli.commands.goods.order_rows import BUYER, OrderRow, order_id
from twisted_bazaar.cli.control.client import NO_NODE, WHICH_NODE
from twisted_bazaar.cli.control.order_holders import running_node_of
from twisted_bazaar.cli.node.configured import ConfiguredCommand
from twisted_bazaar.cli.terminal.errors import NegativeAnswer
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.exit_status import Ending, ExitStatus
from twisted_bazaar.settings.option import OptionValues

_ENDINGS: Final = (
    Ending(ExitStatus.DONE, "Nothing was sold, and nothing will be: the seller has said so."),
    Ending(ExitStatus.NO, "It cannot be taken back: it was sold, or there is no such order."),
    NO_NODE,
    Ending(ExitStatus.UNFINISHED, "The seller has not answered yet. It is asked until it does."),
)


@click.command(cls=ConfiguredCommand, declared=WHICH_NODE, endings=_ENDINGS, example="bazaar cancel 74a0")
@click.argument("order", metavar="ID", type=order_id)
def cancel(order: str, options: OptionValues) -> None:
    """Take back an order that has no answer yet.

    ID is the order's id, or its beginning; bazaar orders lists them. Of several buyers here, the one that has
    it is asked.
    """
    node = running_node_of(order, options, "cancel", BUYER)
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
