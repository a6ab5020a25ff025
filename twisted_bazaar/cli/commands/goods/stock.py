"""C{bazaar stock}: what a running seller has, and more or less of it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Final

import click
import msgspec

from twisted_bazaar.cli.commands.options import JSON
from twisted_bazaar.cli.control.client import ASKING, NO_NODE, WHICH_NODE, chosen_node
from twisted_bazaar.cli.control.stopped import node_or_books, stopped_seller
from twisted_bazaar.cli.node.configured import ConfiguredCommand
from twisted_bazaar.cli.terminal.command import PlainGroup
from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.cli.terminal.results import console_for_results, show_line, show_rows
from twisted_bazaar.errors import UsageError
from twisted_bazaar.exit_status import Ending, ExitStatus
from twisted_bazaar.roles.goods import parse_goods
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.trade.listing import row_of_stock

_SELLER: Final = "seller"

Goods = tuple[str, int, int | None]


class _Level(msgspec.Struct, frozen=True):
    """The count of one item, as a node tells it."""

    item: str
    supplied: int
    in_stock: int
    sold: int
    withdrawn: int
    price: int | None


_RECOUNTED: Final = (
    Ending(ExitStatus.DONE, "The book has what was counted."),
    Ending(ExitStatus.WRONG_USE, "An option is wrong, the seller runs, or its book or key is missing or damaged."),
)
_ENDINGS: Final = (
    Ending(ExitStatus.DONE, "All of it is changed."),
    Ending(ExitStatus.NO, "The seller said no to one of them. Those before it are changed."),
    NO_NODE,
)


@click.group(cls=PlainGroup)
def stock() -> None:
    """See and change what a seller has."""


@stock.command(
    cls=ConfiguredCommand, declared=WHICH_NODE, endings=_ENDINGS, example="bazaar stock add apple=5@120 pear"
)
@click.argument("goods", metavar="ITEM[=QUANTITY[@PRICE]]...", nargs=-1, required=True)
def add(goods: Sequence[str], options: OptionValues) -> None:
    """Put goods on the shelf.

    ITEM may be new. PRICE is for one unit, in minor units such as cents. It holds for all units from now on.
    Without one the price stays as it is.
    """
    parsed = _parse(goods)
    node = chosen_node(options, "stock.add", _SELLER)
    for item, quantity, price in parsed:
        wishes = {} if price is None else {"price": price}
        _tell(node.rows("stock.add", _Level, item=item, quantity=quantity, **wishes), f"{quantity} added")


@stock.command(cls=ConfiguredCommand, declared=WHICH_NODE, endings=_ENDINGS, example="bazaar stock withdraw apple=2")
@click.argument("goods", metavar="ITEM[=QUANTITY]...", nargs=-1, required=True)
def withdraw(goods: Sequence[str], options: OptionValues) -> None:
    """Take goods off the shelf, so that they are not sold."""
    parsed = _parse(goods)
    for item, _, price in parsed:
        if price is not None:
            raise UserError(f"{item}: a price changes with bazaar stock add, or when the seller is started")
    node = chosen_node(options, "stock.withdraw", _SELLER)
    for item, quantity, _ in parsed:
        _tell(node.rows("stock.withdraw", _Level, item=item, quantity=quantity), f"{quantity} withdrawn")


@stock.command(
    "list", cls=ConfiguredCommand, declared=(JSON, *WHICH_NODE), endings=ASKING, example="bazaar stock list --name shop"
)
def list_(options: OptionValues) -> None:
    """Show how much of each item is in stock, sold and withdrawn."""
    node = node_or_books(options, "stock.list", _SELLER)
    levels = node.rows("stock.list", _Level)
    console = console_for_results()
    if options["json"]:
        click.echo(json.dumps(msgspec.to_builtins(levels)))
        return
    if not levels:
        show_line(console, "nothing is on the shelf and nothing was; bazaar stock add apple=5 changes that")
        return
    headings = ("item", "price", "in stock", "sold", "withdrawn", "supplied")
    rows = [
        (
            *(printable(level.item), _price(level.price)),
            *map(str, (level.in_stock, level.sold, level.withdrawn, level.supplied)),
        )
        for level in levels
    ]
    show_rows(console, headings, rows, ("item",))


@stock.command(
    cls=ConfiguredCommand, declared=WHICH_NODE, endings=_RECOUNTED, example="bazaar stock recount apple=3 --name seller"
)
@click.argument("goods", metavar="ITEM=QUANTITY...", nargs=-1, required=True)
def recount(goods: Sequence[str], options: OptionValues) -> None:
    """Enter what really is there, after a book came back from a backup.

    The seller must not run. Count what lies on the shelf, and name all of it: an item that is not named is not there.
    No offer that the seller made before is sold on any more. Then start the seller.
    """
    for text in goods:
        if "=" not in text:
            raise UserError(f"{text}: how many of it are there? write {text}=QUANTITY")
    counted = {}
    for item, quantity, price in _parse(goods, least=0):
        if price is not None:
            raise UserError(f"{item}: a price changes with bazaar stock add, or when the seller is started")
        counted[item] = quantity
    node = stopped_seller(options)
    _tell([_Level(**row_of_stock(level)) for level in node.recount(counted, time.time())], "recounted")


def _parse(goods: Sequence[str], least: int = 1) -> list[Goods]:
    """What a command line names.

    @raise Refusal: it cannot be read, or names an item twice.
    """
    for number, text in enumerate(goods):
        if text.isdigit() and number:
            raise UserError(f"{text}: is this a quantity? write {goods[number - 1]}={text}")
    try:
        parsed = [parse_goods(text, "goods", least) for text in goods]
    except UsageError as error:
        raise UserError(str(error).removeprefix("goods ")) from None
    items = [item for item, _, _ in parsed]
    for item in items:
        if items.count(item) > 1:
            raise UserError(f"{item!r} stands twice")
    return parsed


def _tell(levels: Sequence[_Level], done: str) -> None:
    """Say what has changed, at once: what comes next may be refused."""
    for level in levels:
        price = "" if level.price is None else f" at {level.price}"
        click.echo(
            f"{printable(level.item)}: {done}; {level.in_stock} in stock{price}, {level.sold} sold, "
            f"{level.withdrawn} withdrawn"
        )


def _price(price: int | None) -> str:
    return "-" if price is None else str(price)
