"""Synchronization of a query routing table with one neighbour: what it has, and what it is sent next. Sans-IO.

A neighbour says with each greeting which version it has. What has changed since then goes out in parts, once; what
is newer waits until the neighbour says that it has all of them. So a change always builds on what is there, whatever
gets lost, overtaken or doubled on the way, and whoever restarts is told everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twisted_bazaar.discovery.superpeer.messages import NO_TABLE, Table
from twisted_bazaar.discovery.superpeer.qrp.tables import OwnTable
from twisted_bazaar.rate_limit import RateLimit

# What is left of a datagram besides the cookie.
MOST_TABLE_BYTES: Final = 1100
BETWEEN_TABLES_S: Final = 1.0
# More at once would overflow what a kernel keeps for a program that is busy, or what waits for a cookie.
PARTS_AT_ONCE: Final = 12
BETWEEN_PARTS_S: Final = 0.1
# Enough for the largest table, and for one of some thousand words in each second.
_MOST_PARTS: Final = 256
_PARTS_A_SECOND: Final = 20
# A new neighbour does not know yet that its greeting has arrived, and would not take a table.
_SETTLING_S: Final = 0.3
# A greeting that was sent before the last part came says nothing of it.
_PATIENCE_S: Final = 1.0
_LONGEST_PATIENCE_S: Final = 30.0
# After so many times the same parts may be of no use: the neighbour is told in another way.
_MOST_TRIES: Final = 5
NEVER: Final = float("inf")


def parts_limit() -> RateLimit:
    """A limit on the parts of tables that one super peer sends another: so many at once, and then so many a second.

    Whoever sends keeps to it, so that whoever takes them can hold others to it.
    """
    return RateLimit(_MOST_PARTS, 1 / _PARTS_A_SECOND)


class TableSync:
    """The table as one neighbour has it, and what is under way to it.

    @param table: this super peer's; it has to begin each run with another version.
    """

    def __init__(self, table: OwnTable, now: float) -> None:
        self._table = table
        self._has = NO_TABLE
        self._parts: Sequence[Table] = ()
        self._sent = 0
        self._sent_at = now
        self._tries = 0
        self._not_before = now + _SETTLING_S
        self._limit = parts_limit()

    @property
    def due(self) -> float:
        """The time at which the next part is to be sent; never, if none is, or an answer has to come first."""
        if self._sent < len(self._parts):
            return self._sent_at + BETWEEN_PARTS_S
        if self._parts or self._has == self._table.version:
            return NEVER
        return self._not_before

    def version_received(self, version: int, now: float) -> None:
        """Take the word of the neighbour which version it has."""
        if self._parts and version == self._parts[0].version:
            self._has, self._parts, self._sent, self._tries = version, (), 0, 0
        elif version != self._has:
            # It has restarted, or has said this long ago: what was under way builds on nothing.
            self._has, self._parts, self._sent = version, (), 0
        elif self._parts and self._sent == len(self._parts) and now >= self._sent_at + self._patience_s:
            self._tries += 1
            self._sent = 0
            if self._tries % _MOST_TRIES == 0:
                self._parts = ()

    def next_parts(self, now: float) -> Sequence[Table]:
        """The parts that are to be sent now."""
        if self.due > now:
            return ()
        if not self._parts:
            self._parts = self._table.changes_since(self._has, MOST_TABLE_BYTES)
            self._not_before = now + BETWEEN_TABLES_S
        # The very same parts go out again if some are lost: the neighbour has kept the others.
        first, most = self._sent, min(self._sent + PARTS_AT_ONCE, len(self._parts))
        while self._sent < most and self._limit.allow(now):
            self._sent += 1
        parts = self._parts[first : self._sent]
        self._sent_at = now
        return parts

    @property
    def _patience_s(self) -> float:
        return min(_LONGEST_PATIENCE_S, _PATIENCE_S * 2.0**self._tries)
