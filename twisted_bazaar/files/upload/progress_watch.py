"""A watch on the progress of an upload: whether the other end takes what is sent, however slowly.

Nothing is heard of that while a transport is full, which over a slow way it is for minutes. What a stream over
datagrams says is what the other end has acknowledged; a TCP connection only knows what the system has taken from it,
and that goes by large steps if its buffers are large.
"""

from __future__ import annotations

from typing import Any


def unsent_bytes(transport: Any) -> int:
    """The bytes that a transport still has of what was written to it; 0 if it does not say."""
    told: int | None = getattr(transport, "unsent_bytes", None)
    if told is not None:
        return told
    # Where Twisted has them; what has been added since it last sent is not among them, and does not look like progress.
    return len(getattr(transport, "dataBuffer", b"")) - int(getattr(transport, "offset", 0))


class ProgressWatch:
    """The unsent bytes of one connection, looked at now and then."""

    def __init__(self) -> None:
        self._unsent_bytes = 0
        self._moved_at = float("-inf")

    def moved_at(self, transport: Any, now: float) -> float:
        """The time at which some of it was last seen to have gone."""
        unsent = unsent_bytes(transport)
        if unsent < self._unsent_bytes:
            self._moved_at = now
        self._unsent_bytes = unsent
        return self._moved_at
