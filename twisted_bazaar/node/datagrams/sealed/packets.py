"""The layout of sealed datagrams: a byte that says which kind it is, fields of fixed length, and what is sealed::

    KNOCK     nonce 8, zeros 55                        gives me a cookie
    COOKIE    nonce 8, cookie 8, key 32                the answer, no longer than what it answers
    QUESTION  nonce 8, cookie 8, first message         a question that changes nothing; zeros for no cookie
    ANSWER    nonce 8, second message                  its answer, with a cookie
    BEGIN     index 3, cookie 8, first message         begins a session
    READY     index 3, index 3, second message         the session is agreed
    SEALED    index 3, number 8, sealed                what is said in a session
    LOST      index 3                                  there is no such session here (any more)

Numbers are big-endian. An index, any three bytes, is the receiver's name for a session; READY has first the one of
who began, then the other. Sans-IO.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any, Final

from attrs import field, frozen

from twisted_bazaar.security.noise.agreement_key import KEY_BYTES
from twisted_bazaar.security.noise.datagram_session import SEALED_BYTES
from twisted_bazaar.security.noise.handshake import FIRST_BYTES, SECOND_BYTES

NONCE_BYTES: Final = 8
COOKIE_BYTES: Final = 8
INDEX_BYTES: Final = 3


@frozen
class Kind:
    """A kind of datagram.

    @ivar byte: that it begins with.
    @ivar fields: of fixed length, after that byte.
    @ivar least_bytes: how much comes after the fields at least.
    @ivar size: how long one is at least.
    """

    byte: int
    fields: Struct
    least_bytes: int = 0
    size: int = field(init=False)

    @size.default
    def _size(self) -> int:
        return 1 + self.fields.size + self.least_bytes

    def make(self, *fields: Any, rest: bytes = b"") -> bytes:
        """A datagram of this kind."""
        return bytes((self.byte,)) + self.fields.pack(*fields) + rest


def _kind(byte: int, fields: str, least_bytes: int = 0) -> Kind:
    return Kind(byte, Struct(">" + fields), least_bytes)


COOKIE: Final = _kind(2, f"{NONCE_BYTES}s{COOKIE_BYTES}s{KEY_BYTES}s")
# Zeros for as long as a cookie, and some more: whoever answers never sends more than it got.
KNOCK: Final = _kind(1, f"{NONCE_BYTES}s", 55)
QUESTION: Final = _kind(3, f"{NONCE_BYTES}s{COOKIE_BYTES}s", FIRST_BYTES + KEY_BYTES)
ANSWER: Final = _kind(4, f"{NONCE_BYTES}s", SECOND_BYTES + COOKIE_BYTES)
BEGIN: Final = _kind(5, f"{INDEX_BYTES}s{COOKIE_BYTES}s", FIRST_BYTES + KEY_BYTES)
READY: Final = _kind(6, f"{INDEX_BYTES}s{INDEX_BYTES}s", SECOND_BYTES)
SEALED: Final = _kind(7, f"{INDEX_BYTES}s", SEALED_BYTES)
LOST: Final = _kind(8, f"{INDEX_BYTES}s")
NO_COOKIE: Final = bytes(COOKIE_BYTES)
KINDS: Final = {kind.byte: kind for kind in (KNOCK, COOKIE, QUESTION, ANSWER, BEGIN, READY, SEALED, LOST)}


def read(data: bytes) -> tuple[Kind, tuple[Any, ...], bytes] | None:
    """The kind of a datagram, its fields and the rest; None if it is none, cut short, or a C{SEALED} or C{KNOCK}."""
    kind = KINDS.get(data[0]) if data else None
    if kind is None or len(data) < kind.size or kind in (SEALED, KNOCK):
        return None
    return kind, kind.fields.unpack_from(data, 1), data[1 + kind.fields.size :]


Write = Callable[[bytes, tuple[str, int]], None]
"""Sends a datagram to an address."""
