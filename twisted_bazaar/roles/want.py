"""Wants: goods that a buyer is told to buy, as they are written on a command line."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from twisted_bazaar.errors import UsageError
from twisted_bazaar.roles.goods import parse_goods
from twisted_bazaar.wire.goods import check_item_name


@define
class Want:
    """Something to buy.

    @ivar number: what the buyer's book calls it; 0 until it is in there.
    @ivar refused: whether a seller that offered it had none left when it was ordered.
    @ivar too_dear: the lowest price for one unit at which it was found, of those above the most to be paid; None if
        there was none such.
    @ivar refused_by: the keys of sellers passed over until nobody else is found.
    """

    item: str
    quantity: int
    bought: int = 0
    number: int = 0
    refused: bool = False
    too_dear: int | None = None
    refused_by: set[str] = field(factory=set)

    @property
    def missing(self) -> int:
        """The units that are still to be bought."""
        return max(0, self.quantity - self.bought)


def parse_wants(texts: Iterable[str]) -> list[Want]:
    """Read what is to be bought, each item once.

    @raise UsageError: it cannot be read, names an item twice, or a price.
    """
    wants: dict[str, Want] = {}
    for text in texts:
        item, quantity, price = parse_goods(text, "--want")
        if price is not None:
            raise UsageError(f"--want {text!r}: the most to pay goes into --max-price")
        if item in wants:
            raise UsageError(f"--want names {item!r} twice; write --want {item}={wants[item].quantity + quantity}")
        wants[item] = Want(item, quantity)
    return list(wants.values())


def parse_label(text: str, option: str) -> str:
    """Read what a purchase is for.

    @raise UsageError: it is not what two people would read alike.
    """
    try:
        check_item_name(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r}: {str(error).removeprefix('item: ')}") from None
    return text
