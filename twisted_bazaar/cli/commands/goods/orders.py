"""C{bazaar orders}: the orders of a running node, or one of them with its receipt."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any, Final

import click
import msgspec
from attrs import evolve

from twisted_bazaar.cli.commands.goods.order_rows import OrderRow, order_id
from twisted_bazaar.cli.commands.goods.receipt import Proof
from twisted_bazaar.cli.commands.options import JSON
from twisted_bazaar.cli.control.client import NO_NODE, WHICH_NODE, RunningNode
from twisted_bazaar.cli.control.order_holders import node_or_books_of
from twisted_bazaar.cli.control.stopped import StoppedNode, node_or_books
from twisted_bazaar.cli.node.configured import ConfiguredCommand
from twisted_bazaar.cli.terminal.errors import NegativeAnswer, UserError
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.cli.terminal.programs import how_to_call
from twisted_bazaar.cli.terminal.results import console_for_results, show_figures, show_line, show_rows, show_sentence
from twisted_bazaar.errors import Forged
from twisted_bazaar.exit_status import Ending, ExitStatus
from twisted_bazaar.settings.option import Option, OptionValues

# As many as a node lists.
_MOST: Final = 1000
_WHAT: Final = "buyer or seller"


_OPTIONS: Final = (
    Option("receipt", "With an ID: write its receipt to a new file.", "FILE"),
    evolve(JSON, help="Print a JSON list; with an ID, one object with its receipt."),
    *WHICH_NODE,
)
_ENDINGS: Final = (
    Ending(ExitStatus.DONE, "It is shown, or its receipt is written."),
    Ending(ExitStatus.NO, "There is no such order, or no receipt of it that holds."),
    NO_NODE,
)


@click.command(
    cls=ConfiguredCommand, declared=_OPTIONS, endings=_ENDINGS, example="bazaar orders 74a0 --receipt receipt.json"
)
@click.argument("order", metavar="[ID]", type=order_id, required=False)
def orders(order: str | None, options: OptionValues) -> None:
    """List the orders of a buyer or seller, or show one.

    ID is the order's id, or its beginning; of several nodes here, the one that has it is asked. A receipt holds
    what buyer and seller have signed; bazaar verify checks it, on any machine.
    """
    as_json, receipt_file = options["json"], options["receipt"]
    if order is None and receipt_file is not None:
        raise UserError("--receipt: of which order? write its ID")
    if as_json and receipt_file is not None:
        raise UserError("--json and --receipt: give one of them")
    if order is None:
        _list(node_or_books(options, "orders", _WHAT), as_json)
        return
    node = node_or_books_of(order, options, "orders", _WHAT)
    row, whole = _find(node, order)
    if as_json:
        click.echo(json.dumps(whole))
    elif receipt_file is not None:
        _write_receipt(row, receipt_file)
    else:
        _show(row, node.option)


def _list(node: RunningNode | StoppedNode, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(node.rows("orders", dict[str, Any])))
        return
    rows = node.rows("orders", OrderRow)
    if not rows:
        click.echo("no orders yet")
        return
    _, *others = {row.side for row in rows}
    # Of one that buys and sells, each row says which it was.
    headings = ["order", *(["side"] if others else ())]
    headings += ["state", "goods", "price", "with", "ordered at"]
    cells = [
        (
            *(row.short_id, *([printable(row.side)] if others else ()), row.state_in_words, row.goods),
            *("-" if row.price is None else str(row.price), row.short_other, row.when),
        )
        for row in rows
    ]
    show_rows(console_for_results(), headings, cells, ("goods", "ordered at"))
    if len(rows) >= _MOST:
        click.echo(f"the latest {_MOST} of them; older ones are shown by their id", err=True)


def _find(node: RunningNode | StoppedNode, order: str) -> tuple[OrderRow, dict[str, Any]]:
    """The one order whose id begins so, read and as the node tells it.

    @raise Denial: there is none, or several.
    """
    wholes = node.rows("order", dict[str, Any], id=order)
    try:
        rows = msgspec.convert(wholes, list[OrderRow])
    except ValueError:
        raise NegativeAnswer("this node tells of orders in another form; use the bazaar of its own version") from None
    if not rows:
        raise NegativeAnswer(f"no order begins with {order}; bazaar orders lists them")
    if len(rows) > 1:
        told = ", ".join(f"{row.id} ({printable(row.side)} of {row.goods})" for row in rows)
        raise NegativeAnswer(f"several orders begin with {order}: {told}; write more of it")
    return rows[0], wholes[0]


def _show(row: OrderRow, option: str) -> None:
    console = console_for_results()
    is_sale = row.side == "sale"
    price = "none" if row.price is None else f"{row.price} each"
    figures = [
        ("order", row.id),
        ("side", printable(row.side)),
        ("state", row.state_in_words + (f": {printable(row.reason)}" if row.reason else "")),
        ("goods", f"{row.goods}, price {price}"),
        ("buyer" if is_sale else "seller", printable(row.other)),
    ]
    if not is_sale:
        figures.append(("ordered at", row.when))
    show_figures(console, *figures)
    if row.receipt is None:
        show_sentence(console, _why_no_receipt(row))
        return
    show_line(console, "The receipt, which anybody can check:")
    try:
        proof = Proof.of(row.receipt)
    except Forged as error:
        raise NegativeAnswer(f"the receipt does not hold: {error}") from None
    for number, signed in enumerate(proof.signed(), 1):
        show_sentence(console, signed, start=f"  {number}. ")
    show_sentence(console, "All of it is signed with the keys of those who say it, and holds. To hand it on:")
    bazaar = how_to_call("bazaar")
    show_line(console, f"  {bazaar} orders {row.short_id} --receipt receipt.json{option}")
    show_line(console, f"  {bazaar} verify receipt.json")


def _why_no_receipt(row: OrderRow) -> str:
    if row.is_open:
        return "There is no receipt yet: the seller has not answered. It is asked until it does."
    return "There is no receipt: it never left this node, so the seller was not asked."


def _write_receipt(row: OrderRow, path: str) -> None:
    """Write what anybody can check to a new file.

    @raise Refusal: it cannot be written, or there is such a file already.
    @raise Denial: there is no receipt.
    """
    if row.receipt is None:
        raise NegativeAnswer(_why_no_receipt(row))
    text = msgspec.json.format(msgspec.json.encode(row.receipt), indent=2) + b"\n"
    try:
        _write_new(path, text)
    except FileExistsError:
        raise UserError(f"--receipt {path}: there is such a file already; choose another") from None
    except (OSError, ValueError) as error:
        raise UserError(f"--receipt {path}: {getattr(error, 'strerror', None) or error}") from None
    click.echo(f"the receipt of order {row.short_id} is in {printable(path)}; bazaar verify checks it")


def _write_new(path: str, text: bytes) -> None:
    """Write a file that is whole, or not there."""
    with open(path, "xb", buffering=0) as file:
        try:
            left: Sequence[int] | bytes = text
            while left:
                left = left[file.write(bytes(left)) :]
            os.fsync(file.fileno())
        except BaseException:
            os.unlink(path)
            raise
