"""C{bazaar verify}: checks a receipt, offline: no node is asked, and no state is needed."""

from __future__ import annotations

import json
import sys
from typing import Any, BinaryIO, Final

import click
import msgspec
from attrs import evolve

from twisted_bazaar.cli.commands.goods.order_rows import OrderRow
from twisted_bazaar.cli.commands.goods.receipt import Proof
from twisted_bazaar.cli.commands.options import JSON
from twisted_bazaar.cli.terminal.command import PlainCommand
from twisted_bazaar.cli.terminal.errors import NegativeAnswer, UserError, open_or_refuse
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.cli.terminal.results import console_for_results, show_figures, show_sentence
from twisted_bazaar.errors import UNREADABLE, Forged
from twisted_bazaar.exit_status import Ending, ExitStatus
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.trade.order import OrderState
from twisted_bazaar.values.sale import Outcome

_LARGEST_BYTES: Final = 1 << 20
_STATES: Final = {
    "sale": {outcome: outcome.value for outcome in Outcome},
    "purchase": {
        Outcome.SOLD: OrderState.CONFIRMED.value,
        Outcome.REFUSED: OrderState.REFUSED.value,
        Outcome.CANCELLED: OrderState.CANCELLED.value,
    },
}


_ENDINGS: Final = (
    Ending(ExitStatus.DONE, "The receipt holds."),
    Ending(ExitStatus.NO, "The receipt does not hold."),
    Ending(ExitStatus.WRONG_USE, "There is no receipt that can be read."),
)


_OPTIONS: Final = (
    evolve(JSON, help="Print a JSON object: whether it holds, and what it proves, or why it does not hold."),
)


@click.command(cls=PlainCommand, declared=_OPTIONS, endings=_ENDINGS, example="bazaar verify receipt.json")
@click.argument("file", metavar="FILE")
def verify(file: str, options: OptionValues) -> None:
    """Check a receipt, on any machine.

    FILE is what bazaar orders ID wrote with --receipt, or printed with --json; - reads the standard input.
    No node is asked.
    """
    stated, row = _read(file)
    try:
        proof = Proof.of(stated)
        if row is not None:
            _compare(row, proof)
    except Forged as error:
        if options["json"]:
            click.echo(json.dumps({"holds": False, "why": str(error)}))
            raise SystemExit(ExitStatus.NO) from None
        raise NegativeAnswer(f"{file}: it does not hold: {error}") from None
    if options["json"]:
        click.echo(json.dumps({"holds": True, **proof.row()}))
        return
    console = console_for_results()
    show_sentence(console, f"{printable(file)}: it holds. It proves:", "bold green")
    show_figures(console, *proof.figures())
    for number, signed in enumerate(proof.signed(), 1):
        show_sentence(console, signed, start=f"  {number}. ")
    show_sentence(console, "Each is signed with the key of who says it. Whose these keys are, it does not say.")


def _read(file: str) -> tuple[Any, OrderRow | None]:
    """The receipt in a file, and the order that it is told with, if it is.

    @raise Refusal: it cannot be read, or holds no receipt.
    """
    text = _text_of(file)
    name = "the standard input" if file == "-" else file
    if len(text) > _LARGEST_BYTES:
        raise UserError(f"{name}: over {_LARGEST_BYTES:,} bytes; that is no receipt")
    try:
        stated = msgspec.json.decode(text)
    except UNREADABLE:
        raise UserError(f"{name}: it is not JSON, and so no receipt") from None
    if not isinstance(stated, dict) or not (stated.keys() & {"receipt", "order"}):
        raise UserError(f"{name}: there is no receipt in it")
    if "receipt" not in stated:
        return stated, None
    if stated["receipt"] is None:
        raise UserError(f"{name}: there is no receipt in it: the order has no answer of its seller")
    try:
        return stated["receipt"], msgspec.convert(stated, OrderRow)
    except ValueError as error:
        raise UserError(f"{name}: it is no order: {error}") from None


def _text_of(file: str) -> bytes:
    if file != "-":
        with open_or_refuse(file, "rb", "") as opened:
            try:
                return opened.read(_LARGEST_BYTES + 1)
            except OSError as error:
                raise UserError(f"{file}: {error.strerror}") from None
    stream: BinaryIO | None = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise UserError("-: there is no standard input")
    try:
        return stream.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise UserError(f"-: {error.strerror}") from None


def _compare(row: OrderRow, proof: Proof) -> None:
    """See that what stands around a receipt, unsigned, is what it proves.

    @raise Forged: it is not.
    """
    is_sale = row.side == "sale"
    told = {"id": row.id, "item": row.item, "price": row.price, "other": row.other, "state": row.state}
    proven: dict[str, Any] = {
        "id": proof.asked.id,
        "item": proof.quote.item,
        "price": proof.quote.price,
        "other": proof.asked.buyer if is_sale else proof.quote.seller,
        "state": _STATES.get(row.side, {}).get(proof.answer.outcome),
    }
    if proof.quantity:
        told["quantity"], proven["quantity"] = row.quantity, proof.quantity
    for key, value in told.items():
        if value != proven[key]:
            raise Forged(f"{key}: {value!r} stands around what is signed, and {proven[key]!r} in it")
