"""A receipt in words: what it proves, and who signed what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import msgspec
from attrs import frozen

from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.errors import Forged
from twisted_bazaar.system.local_time import local_time
from twisted_bazaar.trade.contract import Answer, Purchase, Quote, Receipt, Withdrawal, check_receipt


@frozen
class Proof:
    """A receipt that holds.

    @ivar asked: what the buyer has signed.
    @ivar quote: the seller's offer that it is about.
    @ivar answer: what the seller has signed in answer.
    """

    asked: Purchase | Withdrawal
    quote: Quote
    answer: Answer

    @classmethod
    def of(cls, stated: Any) -> Self:
        """Check a receipt.

        @param stated: as it stands in JSON.
        @raise Forged: it does not hold; the text says where.
        """
        try:
            receipt = msgspec.convert(stated, Receipt)
        except ValueError as error:
            raise Forged(str(error)) from None
        return cls(*check_receipt(receipt))

    @property
    def quantity(self) -> int:
        """How many units were ordered; 0 if only that they are not to be."""
        return self.asked.quantity if isinstance(self.asked, Purchase) else 0

    def figures(self) -> Iterator[tuple[str, str]]:
        """What is proven, each with its name."""
        price = self.quote.price
        yield "bazaar", printable(self.asked.bazaar)
        yield "order", self.asked.id
        yield "buyer", self.asked.buyer
        yield "seller", self.quote.seller
        yield "item", printable(self.quote.item)
        if isinstance(self.asked, Purchase):
            yield "quantity", str(self.quantity)
        each = (
            "" if self.quantity == 1 else f" each, {(price or 0) * self.quantity} in all" if self.quantity else " each"
        )
        yield "price", "none" if price is None else f"{price}{each}"
        yield "outcome", self._outcome

    def row(self) -> dict[str, Any]:
        """What is proven, for programs: the same names and values as in an order's row, with whose keys they are."""
        return {
            "bazaar": self.asked.bazaar,
            "id": self.asked.id,
            "buyer": self.asked.buyer,
            "seller": self.quote.seller,
            "item": self.quote.item,
            "quantity": self.quantity,
            "price": self.quote.price,
            "outcome": self.answer.outcome.value,
            "code": self.answer.code,
            "reason": self.answer.reason,
        }

    def signed(self) -> Iterator[str]:
        """Who signed what, in the order in which it was signed."""
        item = printable(self.quote.item)
        price = "" if self.quote.price is None else f" at {self.quote.price} each"
        seller, buyer = f"the seller {self.quote.seller[:16]}", f"the buyer {self.asked.buyer[:16]}"
        yield f"{seller} offered up to {self.quote.quantity} {item}{price}, until {_time(self.quote.valid_until)}"
        if isinstance(self.asked, Purchase):
            yield f"{buyer} ordered {self.quantity} {item} on that offer"
        else:
            yield f"{buyer} took back the order on that offer"
        yield f"{seller} answered: {self._outcome}"

    @property
    def _outcome(self) -> str:
        why = printable(self.answer.reason or self.answer.code)
        return self.answer.outcome.value + (f" ({why})" if why else "")


def _time(milliseconds: int) -> str:
    try:
        return local_time(milliseconds / 1000)
    except (ValueError, OverflowError, OSError):
        return f"{milliseconds} ms after 1970"
