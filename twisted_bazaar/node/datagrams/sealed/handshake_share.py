"""Who has the work of a handshake done: so much of it a second, and somebody new before those who come again. Sans-IO.

Each handshake takes about half a millisecond. There are three allowances. One is for addresses that have shown no
cookie, so that anybody could have written them. Of those that have shown one each host has some handshakes a second,
out of what all such hosts share; its first in ten seconds comes out of an allowance for first ones alone.
"""

from __future__ import annotations

from typing import Final

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.rate_limit import RateLimit
from twisted_bazaar.values.addresses import network_of

UNPROVEN_A_SECOND: Final = 100
FIRST_A_SECOND: Final = 200
MORE_A_SECOND: Final = 200
OF_HOST_A_SECOND: Final = 50
_FORGOTTEN_S: Final = 10.0
_HOSTS: Final = 8_192
# So many at once: what a turn of the reactor bears.
_AT_ONCE: Final = 20


def _limit(a_second: int, at_once: int = _AT_ONCE) -> RateLimit:
    return RateLimit(at_once, 1 / a_second)


class HandshakeShare:
    """The allowances of one node."""

    def __init__(self) -> None:
        self._unproven = _limit(UNPROVEN_A_SECOND)
        self._first = _limit(FIRST_A_SECOND)
        self._more = _limit(MORE_A_SECOND)
        self._hosts: FairTable[str, RateLimit] = FairTable(_HOSTS, _FORGOTTEN_S)

    def allow_unproven(self, now: float) -> bool:
        """Ask for a handshake with an address that has shown no cookie."""
        return self._unproven.allow(now)

    def is_spent(self, host: str, now: float) -> bool:
        """Whether a host would be refused because of what it has had: then it need not be looked at."""
        own = self._hosts.get(network_of(host), now)
        return own is not None and (self._more.is_spent(now) or own.is_spent(now))

    def allow(self, host: str, now: float) -> bool:
        """Ask for a handshake with a host that has shown its cookie."""
        network = network_of(host)
        own = self._hosts.get(network, now)
        if own is not None:
            return own.allow(now, self._more)
        if not self._first.allow(now):
            return False
        own = _limit(OF_HOST_A_SECOND, OF_HOST_A_SECOND)
        own.allow(now)
        self._hosts.put(network, own, network, now)
        return True
