"""Counters of a super peer. Sans-IO."""

from __future__ import annotations

from attrs import define


@define
class Counters:
    """Counts of what has happened since the super peer began.

    @ivar searches: searches of its own leaves.
    @ivar asked: datagrams with those that went to neighbours.
    @ivar answered: searches of others that it found something for.
    @ivar forwarded: datagrams with searches of others that went on to neighbours.
    @ivar repeated: searches of others that it had seen before.
    @ivar hits: hits that went to its own leaves.
    @ivar hits_forwarded: datagrams with hits that went back towards who asked.
    @ivar hits_dropped: those for which there was no way back, or too many.
    @ivar hits_late: those for searches that began here and were over.
    @ivar refused: searches that were not begun, or not answered, because too many were under way.
    @ivar turned_away: leaves that were not taken.
    """

    searches: int = 0
    asked: int = 0
    answered: int = 0
    forwarded: int = 0
    repeated: int = 0
    hits: int = 0
    hits_forwarded: int = 0
    hits_dropped: int = 0
    hits_late: int = 0
    refused: int = 0
    turned_away: int = 0
