"""A session of datagrams: what is sealed after a handshake, in whatever order it comes. Sans-IO.

Each datagram carries its own number, from which its nonce follows (specification, section 11.4), so any may be lost or
overtaken. None counts twice. Keys serve for two minutes or 2**26 datagrams: who still speaks then begins another
session, and the old one opens what was under way for ten seconds more.
"""

from __future__ import annotations

from typing import Final

from twisted_bazaar.errors import Unproven
from twisted_bazaar.security.noise.handshake import TAG_BYTES, Agreed
from twisted_bazaar.security.noise.replay_window import ReplayWindow

RENEW_S: Final = 120.0
"""So old is a session when the next one is due."""
GRACE_S: Final = 10.0
"""So long a session opens what comes after that."""
MOST_SEALED: Final = 1 << 26
"""So many datagrams are sealed in one session."""
NUMBER_BYTES: Final = 8
SEALED_BYTES: Final = NUMBER_BYTES + TAG_BYTES
"""How much longer a sealed datagram is than what it says."""


class DatagramSession:
    """One session, at one end.

    @param agreed: by the handshake.
    @param began: when that was.
    """

    __slots__ = ("_agreed", "_began", "_next", "_window")

    def __init__(self, agreed: Agreed, began: float) -> None:
        self._agreed = agreed
        self._began = began
        self._next = 0
        self._window = ReplayWindow()

    def is_due(self, now: float) -> bool:
        """Whether the next session should begin."""
        return now >= self._began + RENEW_S or self._next >= MOST_SEALED // 2

    def is_over(self, now: float) -> bool:
        """Whether this one opens and seals nothing any more."""
        return now >= self._began + RENEW_S + GRACE_S or self._next >= MOST_SEALED

    def seal(self, said: bytes, now: float) -> bytes:
        """Seal a datagram.

        @raise Unproven: the session is over.
        """
        if self.is_over(now):
            raise Unproven("the session is over")
        number, self._next = self._next, self._next + 1
        return number.to_bytes(NUMBER_BYTES, "big") + self._agreed.ours.seal(number, said)

    def open(self, sealed: bytes, now: float) -> bytes:
        """Open a datagram.

        @raise Unproven: the other end has not sealed it, it has come before, or it is too old.
        """
        if len(sealed) < SEALED_BYTES or self.is_over(now):
            raise Unproven("a datagram of no session")
        number = int.from_bytes(sealed[:NUMBER_BYTES], "big")
        if not self._window.is_new(number):
            raise Unproven("a datagram that has come before")
        said = self._agreed.theirs.open(number, sealed[NUMBER_BYTES:])
        self._window.mark(number)
        return said
