"""The interface of a session, which seals one connection: plain bytes on one side, sealed bytes on the other.

A session is sans-IO: sealed bytes that came are given to it, and what it wants sent is taken from it. Nothing plain
comes out before the other end has proven its key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Session(Protocol):
    """One end of a sealed connection."""

    @property
    def proven_key(self) -> str | None:
        """The key that the other end has proven, 64 hexadecimal digits; None until it has."""

    @property
    def is_ended(self) -> bool:
        """Whether the other end has said that nothing more comes."""

    def begin(self) -> None:
        """Begin, with a greeting of its own if this end dialled."""

    def receive(self, sealed: bytes) -> bytes:
        """Take what came; returns what is plain of it, so far.

        @raise Unproven: the other end has not proven the key that it must have, or somebody has changed what it
            sent. The connection is to be cut once the outgoing bytes are sent.
        """

    def send(self, plain: bytes | memoryview) -> None:
        """Seal bytes for the other end; only once it has proven its key."""

    def outgoing(self) -> bytes:
        """What is to be sent now, and is forgotten here; empty for nothing."""

    def drain(self, send: Callable[[bytes | memoryview], object]) -> None:
        """Have all of that sent, by something that keeps none of it without copying it."""

    def end(self) -> None:
        """Say that nothing more comes from this end."""


SessionMaker = Callable[[bool], Session]
"""Makes the session of a new connection; its argument says whether this end dialled."""
