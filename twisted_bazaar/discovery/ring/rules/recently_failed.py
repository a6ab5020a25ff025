"""A negative cache of contacts that failed lately; the failure detector is the timer of a request. Sans-IO.

A node that is taken for dead is not asked and not passed on for a while. The memory is short: what is dead stays out
of the tables of others by itself, and who was only slow is let in again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from twisted_bazaar.discovery.ring.rules.identifiers import Contact

REMEMBERED_S: Final = 30.0
_CAP: Final = 1_024


class RecentlyFailed:
    """The contacts that failed in the last so many seconds.

    @param remembered_s: for how long.
    @param cap: how many at most; the oldest are forgotten first.
    """

    __slots__ = ("_cap", "_remembered_s", "_until")

    def __init__(self, remembered_s: float = REMEMBERED_S, cap: int = _CAP) -> None:
        self._remembered_s = remembered_s
        self._cap = cap
        # In the order of being forgotten.
        self._until: OrderedDict[Contact, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def add(self, contact: Contact, now: float) -> None:
        """Note that a node has not answered."""
        self._until.pop(contact, None)
        self._until[contact] = now + self._remembered_s
        while len(self._until) > self._cap or next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)

    def is_empty(self, now: float) -> bool:
        """Whether nobody is taken for dead."""
        until = self._until
        while until and next(iter(until.values())) <= now:
            until.popitem(last=False)
        return not until

    def discard(self, contact: Contact) -> None:
        """Note that a node lives."""
        if self._until:
            self._until.pop(contact, None)

    def has(self, contact: Contact, now: float) -> bool:
        """Whether a node is taken for dead."""
        if not self._until:
            return False
        until = self._until.get(contact)
        return until is not None and until > now

    def living(self, contacts: Iterable[Contact], now: float, within_s: float = float("inf")) -> tuple[Contact, ...]:
        """Those of some nodes that are not taken for dead.

        @param within_s: who was not found dead within this time is among them too.
        """
        if not self._until:
            return tuple(contacts)
        # Of those there are, who is remembered for so long was found dead since.
        until = now + max(0.0, self._remembered_s - within_s)
        return tuple(contact for contact in contacts if not self.has(contact, until))
