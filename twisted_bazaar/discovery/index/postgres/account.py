"""The account of a directory in PostgreSQL, as one transaction sees it: the bytes that the lists of each host weigh.

The shares are those of L{ByteBudget}; this reads and writes what it counts. What is charged is written with the last
statement of a transaction, in the order of hosts: so servers wait for each other for a moment only, and in no circle.
What another one is about to charge is not seen: past the budget there may be one change of each server.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from twisted_bazaar.byte_budget import ByteBudget, Usage

# Whom bytes are charged to that have been let go.
_NOBODY: Final = ""
_USAGE: Final = """
    SELECT coalesce(sum(size_bytes) FILTER (WHERE host = %(host)s), 0),
        count(*) FILTER (WHERE host <> %(nobody)s AND host <> %(host)s),
        coalesce(sum(size_bytes), 0), coalesce(sum(size_bytes) FILTER (WHERE host = %(nobody)s), 0)
    FROM twisted_bazaar_index.hosts"""
_ALL: Final = "SELECT host, size_bytes FROM twisted_bazaar_index.hosts"
_CHARGE: Final = """
    INSERT INTO twisted_bazaar_index.hosts AS old (host, size_bytes)
    SELECT host, size_bytes FROM unnest(%s::text[], %s::bigint[]) AS new (host, size_bytes) ORDER BY host
    ON CONFLICT (host) DO UPDATE SET size_bytes = old.size_bytes + excluded.size_bytes"""
_CLOSE: Final = "DELETE FROM twisted_bazaar_index.hosts WHERE host = ANY(%s::text[]) AND size_bytes = 0"


class Account:
    """The account of what all lists weigh.

    @param connection: of psycopg, in a transaction.
    @param total: the budget, in bytes.
    """

    def __init__(self, connection: Any, total: int) -> None:
        self._connection = connection
        self._total = total
        self._changes: Counter[str] = Counter()

    def charge(self, host: str, size_bytes: int) -> None:
        """Count so many bytes more for a host, or fewer if negative."""
        self._changes[host] += size_bytes

    def retire(self, host: str, size_bytes: int) -> None:
        """A host has let go of bytes that are not cleared yet."""
        self.charge(host, -size_bytes)
        self.charge(_NOBODY, size_bytes)

    def release(self, size_bytes: int) -> None:
        """Retired bytes are cleared."""
        self.charge(_NOBODY, -size_bytes)

    def usage(self, host: str) -> Usage:
        """The usage of the budget now, as far as one host's share depends on it."""
        values = {"host": host, "nobody": _NOBODY}
        held, others, used, retired = map(int, self._connection.execute(_USAGE, values).fetchone())
        changes = self._changes
        return Usage(
            self._total,
            held=held + changes[host],
            owners=others + 1,
            used=used + changes.total(),
            retired=retired + changes[_NOBODY],
        )

    def budget(self) -> ByteBudget:
        """The budget as it is used now, by host."""
        held = Counter({host: int(size_bytes) for host, size_bytes in self._connection.execute(_ALL).fetchall()})
        held.update(self._changes)
        return ByteBudget(self._total, held, held.pop(_NOBODY, 0))

    def write_down(self) -> None:
        """Write down what has been charged."""
        changes = {host: size_bytes for host, size_bytes in sorted(self._changes.items()) if size_bytes}
        self._changes.clear()
        if changes:
            self._connection.execute(_CHARGE, (list(changes), list(changes.values())))
            if min(changes.values()) < 0:
                self._connection.execute(_CLOSE, (list(changes),))
