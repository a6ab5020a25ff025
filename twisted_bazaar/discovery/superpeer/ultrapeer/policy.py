"""The policy of a super peer's searches: reach, hits, pauses. Sans-IO."""

from __future__ import annotations

from typing import Final

from attrs import define

TTL: Final = 4
RESULTS: Final = 50


@define
class Policy:
    """Choices that may change while a super peer runs.

    @ivar ttl: over how many links between super peers a search goes at most.
    @ivar results: how many hits are enough, though a leaf may want fewer.
    @ivar query_routing: whether a search goes on its last link only where the table says that something may be.
    @ivar dynamic_querying: whether it goes farther only while there is not enough.
    """

    ttl: int = TTL
    results: int = RESULTS
    query_routing: bool = True
    dynamic_querying: bool = True
