"""Orders as a node lists them over its control socket."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from twisted_bazaar.cli.terminal.errors import UserError
from twisted_bazaar.cli.terminal.printable import printable
from twisted_bazaar.system.local_time import local_time

BUYER: Final = "buyer"
_SHORT_ID: Final = 12
_SHORT_KEY: Final = 8
_HEX_DIGITS: Final = frozenset("0123456789abcdef")
_LONGEST_ID: Final = 32
_Id = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]


class OrderRow(msgspec.Struct, frozen=True):
    """One order.

    @ivar side: C{sale} or C{purchase}.
    @ivar state: how it stands, in the words of its side.
    @ivar other: the public key of who is at the other end of it.
    @ivar ordered_at: when its buyer sent it first, or its seller decided it; by that one's clock.
    """

    id: _Id
    side: str
    state: str
    item: str
    quantity: int
    price: int | None
    other: str
    code: str = ""
    reason: str = ""
    ordered_at: float | None = None
    is_taken_back: bool = False
    receipt: dict[str, Any] | None = None

    @property
    def short_id(self) -> str:
        """As much of the id as tells it from others."""
        return self.id[:_SHORT_ID]

    @property
    def short_other(self) -> str:
        """As much of the other's key as tells it from others."""
        return printable(self.other[:_SHORT_KEY])

    @property
    def goods(self) -> str:
        """How many of what."""
        return f"{self.quantity} {printable(self.item)}" if self.quantity else printable(self.item)

    @property
    def state_in_words(self) -> str:
        """How it stands; of one that is being taken back, that it is, or that it was too late."""
        state = printable(self.state)
        if not self.is_taken_back:
            return state
        if self.is_open:
            return f"{state} (taken back)"
        return f"{state} (taken back too late)" if self.state == "confirmed" else state

    @property
    def is_open(self) -> bool:
        """Whether its seller has not answered."""
        return self.state in ("pending", "unknown")

    @property
    def when(self) -> str:
        """When it was ordered, by the clock on the wall; a dash if that is not known."""
        try:
            return "-" if self.ordered_at is None else local_time(self.ordered_at)
        except (ValueError, OverflowError, OSError):
            return "-"


def order_id(text: str) -> str:
    """Read the id of an order, or its beginning.

    @raise Refusal: it is neither.
    """
    digits = text.lower()
    if not digits or len(digits) > _LONGEST_ID or not set(digits) <= _HEX_DIGITS:
        raise UserError(
            f"ID: takes the {_LONGEST_ID} hexadecimal digits of an order's id, or the first of them, not {text!r}"
        )
    return digits
