"""The progress of a file that is being stored in a ring, for those who look on. Sans-IO."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from attrs import define

from twisted_bazaar.discovery.ring.rules.identifiers import Contact


@define(eq=False)
class StoreProgress:
    """One file that is being stored.

    @ivar path: where it is.
    @ivar name: what it is to be found by.
    @ivar digest: empty as long as it is being hashed.
    @ivar size: in bytes; 0 as long as it is being hashed.
    @ivar keepers: those that are to have all of it; nobody as long as they are not found.
    @ivar whole: those that say that they have all of it.
    """

    path: str
    name: str
    digest: str = ""
    size: int = 0
    keepers: Set[Contact] = frozenset()
    whole: Set[Contact] = frozenset()

    @property
    def copies(self) -> int:
        """The number of those who are to have it, and do."""
        return len(self.keepers & self.whole)

    def row(self, gone_bytes: int) -> dict[str, Any]:
        """How far it is.

        @param gone_bytes: what has gone out over the connections that are open now.
        """
        sent = min(self.copies * self.size + gone_bytes, len(self.keepers) * self.size)
        return {
            "kind": "store",
            "path": self.path,
            "name": self.name,
            "size": self.size,
            "bytes": sent,
            "copies": self.copies,
            "wanted": len(self.keepers),
        }
