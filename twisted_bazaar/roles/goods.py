"""Goods as they are written on a command line: C{apple}, C{apple=3}, C{pear=2@120}."""

from __future__ import annotations

import re
from typing import Final

from twisted_bazaar.byte_budget import MIB, ByteBudget
from twisted_bazaar.errors import UsageError
from twisted_bazaar.settings.option import Read, hint_on_commas
from twisted_bazaar.wire.goods import check_item_name
from twisted_bazaar.wire.message import LARGEST_INTEGER

# A price as a label in a shop has it, and not in minor units.
_WITH_FRACTION: Final = re.compile(r"([0-9]{1,13})[.,]([0-9]{1,2})")


def parse_goods(text: str, option: str, least: int = 1) -> tuple[str, int, int | None]:
    """Read C{ITEM}, C{ITEM=QUANTITY} or C{ITEM=QUANTITY@PRICE}.

    @param option: what the user wrote it after, for the error.
    @param least: the smallest quantity that is taken.
    @return: item, quantity (1 when not given), price in minor units (None when not given).
    @raise UsageError: it cannot be read.
    """
    item, equals, amount = text.rpartition("=")
    if not equals:
        item, amount = text, "1"
    quantity, at, price = amount.partition("@")
    try:
        check_item_name(item)
    except ValueError as error:
        raise UsageError(f"{option} {text!r}: {error}") from None
    return item, parse_count(quantity, option, text, least), _parse_price(price, option, text) if at else None


def _parse_price(price: str, option: str, text: str) -> int:
    if match := _WITH_FRACTION.fullmatch(price):
        whole = int(match[1] + match[2].ljust(2, "0"))
        raise UsageError(f"{option} {text!r}: a price is in minor units (cents), without a fraction; write {whole}")
    return parse_count(price, option, text, 0)


def parse_count(digits: str, option: str, text: str, least: int) -> int:
    """Read a whole number.

    @raise UsageError: it is none, or out of range.
    """
    if digits.isascii() and digits.isdigit() and len(digits) <= 16 and least <= int(digits) <= LARGEST_INTEGER:
        return int(digits)
    raise UsageError(
        f"{option} {text!r}: {digits!r} is not a whole number from {least:,} to {LARGEST_INTEGER:,}"
        f"{hint_on_commas(digits)}"
    )


def at_least(least: int) -> Read:
    """A reader of whole numbers of this or more."""
    return lambda text, option: parse_count(text, option, text, least)


def parse_memory(text: str, option: str) -> ByteBudget:
    """Read how many MiB may be filled.

    @raise UsageError: it is not a whole number, 1 or more.
    """
    return ByteBudget(parse_count(text, option, text, 1) * MIB)


def parse_seconds(text: str, option: str) -> float:
    """Read a time.

    @raise UsageError: it is not a number of seconds, 0 or more.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise UsageError(f"{option} {text!r}: not a number of seconds")
    return seconds
