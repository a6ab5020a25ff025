"""Timeouts of a download."""

from __future__ import annotations

from attrs import frozen


@frozen
class TransferLimits:
    """The timeouts of a download, in seconds.

    @ivar most_connections: sources it is connected to at once.
    @ivar connect_s: for a connection to be made.
    @ivar answer_s: for a source to say what the file is, and for each page of digests.
    @ivar page_s: for each page of digests beyond that, on the average of all that have come.
    @ivar gather_s: how long to wait for other sources to agree or not with the first.
    @ivar stall_s, least_bytes: a source that owes chunks sends so much in this time, or it is given up.
    @ivar rest_s: after which a busy source is asked again; doubled each time.
    @ivar patience_s: how long to leave a source that many ask alone when others have what is missing.
    @ivar switch_s: how long nobody has had the manifest of what is there already until another is believed.
    @ivar turn_s: how long one of several that contradict each other is believed, in its first turn.
    """

    most_connections: int = 16
    connect_s: float = 5.0
    answer_s: float = 20.0
    page_s: float = 2.0
    gather_s: float = 2.0
    stall_s: float = 20.0
    least_bytes: int = 32 << 10
    rest_s: float = 5.0
    patience_s: float = 3.0
    switch_s: float = 30.0
    turn_s: float = 30.0
