"""The handshake of a stream, opened by somebody who may not be where it says. Sans-IO.

What answers SYN has as many bytes, and nothing is kept for it: the id that it gives follows from the address, so that
whoever repeats it in OPEN has shown that it receives there. So a flood of SYN fills nothing and hits nobody else.
After TCP's SYN cookies (RFC 4987, 3.6) and QUIC's address validation (RFC 9000, 8).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from twisted_bazaar.files.window.segment import (
    ACK,
    ID_BYTES,
    RST,
    STRANGE,
    SYN,
    Segment,
    decode_name,
    encode,
    encode_name,
)
from twisted_bazaar.files.window.settings import Settings

Where = tuple[str, int] | tuple[str, int, str]
SLOT_S: Final = 30.0


class Handshake:
    """Gives ids to those who ask for a stream.

    @param secret: what only this node knows.
    """

    def __init__(self, secret: bytes, settings: Settings) -> None:
        self._secret = secret
        self._settings = settings

    def answer(self, syn: Segment, where: Where, now: float) -> bytes | None:
        """The second step; None to what is no first one."""
        name = decode_name(syn.payload)
        if name is None:
            return None
        own_id = self._id(int(now // SLOT_S), where, name[0])
        settings = self._settings
        return encode(SYN | ACK, name[0], 0, 0, 0, settings.capacity_bytes, 0, 0, encode_name(own_id, settings.mss))

    def accept(self, third: Segment, where: Where, now: float) -> tuple[bytes, int] | None:
        """The id of whoever takes the third step, and the most bytes of the stream for a segment to it.

        @return: None if it was not given the id that it shows, or long ago.
        """
        name = decode_name(third.payload)
        if name is None:
            return None
        slot = int(now // SLOT_S)
        given = hmac.compare_digest(third.to, self._id(slot, where, name[0]))
        return name if given | hmac.compare_digest(third.to, self._id(slot - 1, where, name[0])) else None

    def _id(self, slot: int, where: Where, other_id: bytes) -> bytes:
        whole = "|".join(map(str, (slot, *where, ""))).encode() + other_id
        return hmac.digest(self._secret, whole, hashlib.sha256)[:ID_BYTES]


def refusal(syn: Segment) -> bytes | None:
    """The answer to a first step that leads nowhere."""
    name = decode_name(syn.payload)
    return None if name is None else encode(RST, name[0], 0, 0, 0, 0, 0, 0)


def not_here(segment: Segment) -> bytes:
    """The answer to a segment for a stream that is not here."""
    return encode(RST | STRANGE, segment.to, 0, 0, 0, 0, 0, 0)
