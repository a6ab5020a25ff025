"""What an address has to show before it is believed to be where a datagram comes from. Sans-IO.

Anybody can write any sender on a datagram. A cookie is a keyed hash of an address, sent to that address: who shows
it receives there. Nothing is kept for it, so that whoever asks from a million addresses takes no memory. From the
design of DTLS (RFC 6347, 4.2.1) and of QUIC's address validation (RFC 9000, 8).
"""

from __future__ import annotations

import hashlib
import hmac
from array import array
from typing import Final
from zlib import crc32

COOKIE_KEY: Final = "cookie"
COOKIE_DIGITS: Final = 16
ROOM_BYTES: Final = len(f',"{COOKIE_KEY}":""') + COOKIE_DIGITS
"""What a cookie adds to a message."""

_BUCKETS: Final = 128


class Cookies:
    """The cookies of one node.

    @param secret: what only this node knows.
    @param slot_s: how long one cookie is given; it is right for as long again after that.
    """

    def __init__(self, secret: bytes, slot_s: float) -> None:
        self._secret = secret
        self._slot_s = slot_s

    def right(self, host: str, port: int, now: float) -> tuple[bytes, bytes]:
        """The cookie that an address is given now, and the one it was given in the slot before; both are right."""
        slot = int(now // self._slot_s)
        return self._cookie(slot, host, port), self._cookie(slot - 1, host, port)

    def until(self, now: float) -> float:
        """When the cookies that are right now are no longer the same two."""
        return (now // self._slot_s + 1) * self._slot_s

    def is_right(self, cookie: str, host: str, port: int, now: float) -> bool:
        """Whether an address shows what it was given; how long this takes does not tell how much of it is right."""
        shown = cookie.encode()
        now_right, right_before = self.right(host, port, now)
        return hmac.compare_digest(shown, now_right) | hmac.compare_digest(shown, right_before)

    def _cookie(self, slot: int, host: str, port: int) -> bytes:
        digest = hmac.digest(self._secret, f"{slot}|{host}|{port}".encode(), hashlib.sha256)
        return digest.hex()[:COOKIE_DIGITS].encode()


class StrangersShare:
    """How often strangers are answered: each host so many times a second, in a fixed amount of memory.

    Some hosts share one allowance. Whoever wants to use up somebody else's might as well write that host on its
    datagrams, so it does no harm that one can find out who shares with whom.

    @param a_second: how many answers in a second, and at once.
    """

    def __init__(self, a_second: float) -> None:
        self._interval_s = 1 / a_second
        # For each bucket, until when it is used up.
        self._used_until = array("d", bytes(8 * _BUCKETS))

    def admit(self, host: str, now: float) -> bool:
        """Ask for one answer to a host."""
        bucket = crc32(host.encode()) % _BUCKETS
        used_until = self._used_until[bucket]
        if not now <= used_until <= now + 2:
            # Long ago; or the clock was set back.
            used_until = now
        # Half an interval of room, for what sums of fractions lose.
        if used_until - now > 1 - self._interval_s / 2:
            return False
        self._used_until[bucket] = used_until + self._interval_s
        return True


def ending_with(cookie: str) -> bytes:
    """How a datagram ends that shows a cookie, in place of its last brace."""
    return f',"{COOKIE_KEY}":"{cookie}"}}'.encode()


def is_cookie(text: str) -> bool:
    """Whether a text has the form of a cookie."""
    return len(text) == COOKIE_DIGITS and not text.strip("0123456789abcdef")
