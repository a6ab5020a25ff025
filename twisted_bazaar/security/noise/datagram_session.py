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

    __slots__ = ("_due", "_next", "_open", "_over", "_seal", "_window")

    def __init__(self, agreed: Agreed, began: float) -> None:
        self._seal, self._open = agreed.ours.seal, agreed.theirs.open
        self._due = began + RENEW_S
        self._over = began + RENEW_S + GRACE_S
        self._next = 0
        self._window = ReplayWindow()

    def is_due(self, now: float) -> bool:
        """Whether the next session should begin."""
        return now >= self._due or self._next >= MOST_SEALED // 2

    def is_over(self, now: float) -> bool:
        """Whether this one opens and seals nothing any more."""
        return now >= self._over or self._next >= MOST_SEALED

    def seal(self, said: bytes, now: float) -> bytes:
        """Seal a datagram.

        @raise Unproven: the session is over.
        """
        number = self._next
        if now >= self._over or number >= MOST_SEALED:
            raise Unproven("the session is over")
        self._next = number + 1
        return number.to_bytes(NUMBER_BYTES, "big") + self._seal(number, said)

    def open(self, sealed: bytes, now: float, begins: int = 0) -> bytes:
        """Open a datagram.

        @param begins: how many bytes come before what is sealed.
        @raise Unproven: the other end has not sealed it, it has come before, or it is too old.
        """
        number_ends = begins + NUMBER_BYTES
        if len(sealed) < number_ends + TAG_BYTES or self.is_over(now):
            raise Unproven("a datagram of no session")
        number = int.from_bytes(sealed[begins:number_ends], "big")
        if not self._window.is_new(number):
            raise Unproven("a datagram that has come before")
        said = self._open(number, sealed[number_ends:])
        self._window.mark(number)
        return said
