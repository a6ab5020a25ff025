"""Cookies by which an address shows that it receives what is sent there (compare RFC 9000, 8.1). Sans-IO.

Anybody can write any sender on a datagram. A cookie is a keyed hash of an address, sent to that address: who shows
it receives there. Nothing is kept for it, so that whoever asks from a million addresses takes no memory. From the
design of DTLS (RFC 6347, 4.2.1) and of QUIC's address validation (RFC 9000, 8).
"""

from __future__ import annotations

import hashlib
import hmac
from array import array
from collections.abc import Callable
from typing import Final
from zlib import crc32

import msgspec

COOKIE_KEY: Final = "cookie"
GIVE_KEY: Final = "give"
PAD_KEY: Final = "pad"
ENVELOPE_KEYS: Final = frozenset({COOKIE_KEY, GIVE_KEY, PAD_KEY})
"""What stands in a datagram beside the keys of its message."""
COOKIE_DIGITS: Final = 16
ROOM_BYTES: Final = len(f',"{COOKIE_KEY}":""') + COOKIE_DIGITS
"""What a cookie adds to a message."""
ENDING_BYTES: Final = ROOM_BYTES + 1
"""How long the end of a datagram is whose cookie stands last."""

_GROUPS: Final = 128
_PLACES: Final = 4_096
FEW: Final = 4
"""So many answers in a second are kept for each host, whoever else asks."""
_SEED_BITS: Final = 0xFFFFFFFF
_PAD_BYTES: Final = len(f',"{PAD_KEY}":""')


class Head(msgspec.Struct, gc=False):
    """The head of a datagram, before its message.

    @ivar type: of the message.
    @ivar cookie: what the sender shows.
    @ivar give: what the receiver is to show.
    """

    type: str
    cookie: str | None = None
    give: str | None = None


read_head: Final[Callable[[bytes], Head]] = msgspec.json.Decoder(Head).decode


class Cookies:
    """The cookies of one node.

    @param secret: what only this node knows.
    @param slot_s: how long one cookie is given; it is right for as long again after that.
    """

    def __init__(self, secret: bytes, slot_s: float) -> None:
        self._secret = secret
        self._slot_s = slot_s
        # One datagram asks for the same several times.
        self._last_asked: tuple[int, str, int] | None = None
        self._last_right = b"", b""

    def valid_cookies(self, host: str, port: int, now: float) -> tuple[bytes, bytes]:
        """The cookie that an address is given now, and the one it was given in the slot before; both are right."""
        slot = int(now // self._slot_s)
        if self._last_asked != (slot, host, port):
            self._last_right = self._cookie(slot, host, port), self._cookie(slot - 1, host, port)
            self._last_asked = slot, host, port
        return self._last_right

    def cookie_for(self, host: str, port: int, now: float) -> str:
        """The cookie that an address is given now."""
        slot = int(now // self._slot_s)
        is_known = self._last_asked == (slot, host, port)
        return (self._last_right[0] if is_known else self._cookie(slot, host, port)).decode()

    def valid_until(self, now: float) -> float:
        """The time at which the two cookies that are right now change."""
        return (now // self._slot_s + 1) * self._slot_s

    def is_valid(self, cookie: str, host: str, port: int, now: float) -> bool:
        """Whether an address shows what it was given; how long this takes does not tell how much of it is right."""
        shown = cookie.encode()
        now_right, right_before = self.valid_cookies(host, port, now)
        return hmac.compare_digest(shown, now_right) | hmac.compare_digest(shown, right_before)

    def _cookie(self, slot: int, host: str, port: int) -> bytes:
        digest = hmac.digest(self._secret, f"{slot}|{host}|{port}".encode(), hashlib.sha256)
        return digest.hex()[:COOKIE_DIGITS].encode()


class StrangersShare:
    """A rate limit on answers to strangers, for each host, in a fixed amount of memory.

    Some hosts share one allowance. Whoever wants to use up somebody else's might as well write that host on its
    datagrams, so it does no harm that one can find out who shares with whom.

    @param a_second: how many answers in a second, and at once.
    @param groups: how many such allowances there are; 1 for what all share.
    """

    def __init__(self, a_second: float, groups: int = _GROUPS) -> None:
        self._interval_s = 1 / a_second
        # For each group, until when it is used up.
        self._used_until = array("d", bytes(8 * groups))

    def allow(self, host: str, now: float) -> bool:
        """Ask for one answer to a host."""
        group = crc32(host.encode()) % len(self._used_until)
        used_until = self._used_until[group]
        if not now <= used_until <= now + 2:
            # Long ago; or the clock was set back.
            used_until = now
        # Half an interval of room, for what sums of fractions lose.
        if used_until - now > 1 - self._interval_s / 2:
            return False
        self._used_until[group] = used_until + self._interval_s
        return True


class FewASecond:
    """Lets each host in the first few times in each second, in a fixed amount of memory.

    Some hosts are taken for one another, in each second others. So whoever is new is let in within a second or two,
    however many there are that come again and again.
    """

    def __init__(self) -> None:
        self._second = 0
        self._came = bytearray(_PLACES)

    def allow(self, host: str, now: float) -> bool:
        """Let a host in once more, if it has not come so often yet."""
        second = int(now)
        if second != self._second:
            self._second, self._came = second, bytearray(_PLACES)
        place = crc32(host.encode(), second & _SEED_BITS) % _PLACES
        if self._came[place] >= FEW:
            return False
        self._came[place] += 1
        return True


def ending_with(cookie: str, give: str | None = None) -> bytes:
    """The end of a datagram that shows a cookie, in place of its last brace.

    @param give: what the receiver is to show.
    """
    given = "" if give is None else f',"{GIVE_KEY}":"{give}"'
    return f'{given},"{COOKIE_KEY}":"{cookie}"}}'.encode()


def asking_with(give: str, head: bytes, size_bytes: int) -> bytes:
    """The end of a question that has no cookie to show, in place of its last brace.

    @param give: what the answer is to show.
    @param head: the question but for its last brace.
    @param size_bytes: how long all of it is made, since its answer will be no longer.
    """
    given = f',"{GIVE_KEY}":"{give}"'
    pad_bytes = size_bytes - len(head) - len(given) - _PAD_BYTES - 1
    pad = f',"{PAD_KEY}":"{"0" * pad_bytes}"' if pad_bytes >= 0 else ""
    return f"{given}{pad}}}".encode()


def is_cookie(text: str) -> bool:
    """Whether a text has the form of a cookie."""
    return len(text) == COOKIE_DIGITS and not text.strip("0123456789abcdef")
