"""Goods as messages speak of them: names, counts and prices, the same in finding and in obtaining."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Annotated, Final

from msgspec import Meta

from twisted_bazaar.wire.message import LARGEST_INTEGER, PATH_LOOP, MessageId, Routed

Count = Annotated[int, Meta(ge=1, le=LARGEST_INTEGER)]
Price = Annotated[int, Meta(ge=0, le=LARGEST_INTEGER)]
# The bazaar of those who have not chosen another.
BAZAAR: Final = "bazaar"
Bazaar = Annotated[str, Meta(min_length=1, max_length=64)]
ItemName = Annotated[str, Meta(min_length=1, max_length=128)]

# Characters that turn the reading direction round or show as nothing: a name with one can look like another.
DECEIVING: Final = frozenset(
    "\u200b\u2060\ufeff\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


class AboutGoods(Routed, kw_only=True):
    """A routed message about an item.

    @ivar id: of the search or order it is about.
    @ivar price: for one unit in minor units; None for goods without a price.
    """

    item: ItemName
    id: MessageId
    quantity: Count = 1
    price: Price | None = None

    def __post_init__(self) -> None:
        # The base's check once more: this runs for every message, and a call costs as much as the check.
        path = self.path
        if path is not None and len(path) > 1 and len(set(path)) != len(path):
            raise ValueError(PATH_LOOP)
        if not is_plain_name(self.item):
            check_item_name(self.item)


@lru_cache(maxsize=1024)
def is_plain_name(name: str) -> bool:
    """Whether nothing more has to be asked about a name of goods; a node hears of the same few over and over.

    What isn't printable to Python may still be a letter joiner: L{check_item_name} has the last word.
    """
    return name.isprintable() and 0 < len(name) <= 128 and unicodedata.is_normalized("NFC", name)


def check_item_name(name: str) -> None:
    """Refuse a name of goods that two people could read differently.

    @raise ValueError: it is empty, over 128 characters, not in Unicode form NFC, or holds a control
        or direction character.
    """
    if is_plain_name(name):
        return
    if not 0 < len(name) <= 128:
        raise ValueError(f"item: {len(name)} characters; 1 to 128 are taken")
    if not unicodedata.is_normalized("NFC", name):
        raise ValueError("item: not in Unicode form NFC")
    if any(c in DECEIVING or unicodedata.category(c) in UNPRINTABLE for c in name):
        raise ValueError("item: a control character in the name")
