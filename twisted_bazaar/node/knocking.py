"""Asking addresses for their cookies, again and again for a while, and what waits until they have given them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.node.control import Cookie, Knock
from twisted_bazaar.node.cookies import COOKIE_DIGITS
from twisted_bazaar.values.addresses import Address, network_of
from twisted_bazaar.wire.message import Message

Waiting = tuple[bytes, Message]
"""A message that waits: its bytes but for the last brace, and itself."""

# How long a message waits for the cookie of whom it is for, and how many do.
_WAIT_S: Final = 5.0
_MOST_WAITING: Final = 16
_MOST_KNOCKED_AT: Final = 256
_FIRST_AGAIN_S: Final = 0.25
# Makes the question as long as its answer.
_PAD: Final = "0" * 18


@define(eq=False)
class _Knocked:
    """An address that has been asked."""

    message: Knock
    again_at: float
    pause_s: float = _FIRST_AGAIN_S
    waiting: list[Waiting] = field(factory=list)


class Knocking:
    """The addresses that one node asks for their cookies.

    @param reactor: time and timers.
    @param say: sends a knock to an address.
    """

    def __init__(self, reactor: Any, rng: random.Random, say: Callable[[Knock, Address], None]) -> None:
        self._reactor = reactor
        self._rng = rng
        self._say = say
        # One machine may have many sockets: half of all there is room for.
        self._knocked: FairTable[Address, _Knocked] = FairTable(_MOST_KNOCKED_AT, _WAIT_S, shares=2)
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._knocked)

    def knock(self, address: Address, now: float, waiting: Waiting | None = None) -> bool:
        """Ask an address for a cookie, unless it has been asked already.

        @param waiting: what is to go there with the cookie.
        @return: False if too much waits for that address already; this does not then.
        """
        knocked = self._knocked.get(address, now)
        if knocked is None:
            nonce = f"{self._rng.getrandbits(4 * COOKIE_DIGITS):0{COOKIE_DIGITS}x}"
            knocked = _Knocked(Knock(nonce=nonce, pad=_PAD), now + _FIRST_AGAIN_S)
            self._knocked.put(address, knocked, network_of(address.host), now)
            self._say(knocked.message, address)
            if self._timer is None:
                self._timer = self._reactor.callLater(_FIRST_AGAIN_S, self._knock_again)
        if waiting is None:
            return True
        if len(knocked.waiting) >= _MOST_WAITING:
            return False
        knocked.waiting.append(waiting)
        return True

    def answered(self, cookie: Cookie, address: Address, now: float) -> Sequence[Waiting] | None:
        """An address has answered.

        @return: what has waited for that; None if it was not asked, or not this.
        """
        knocked = self._knocked.get(address, now)
        if knocked is None or knocked.message.nonce != cookie.nonce:
            return None
        self._knocked.discard(address)
        return knocked.waiting

    def stop(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _knock_again(self) -> None:
        """Repeat the questions that were not answered, for they or the answers may be lost."""
        now = self._reactor.seconds()
        self._timer = None
        self._knocked.expire(now)
        for address, knocked in self._knocked.items(now):
            if now >= knocked.again_at:
                knocked.pause_s *= 2
                knocked.again_at = now + knocked.pause_s
                self._say(knocked.message, address)
        if len(self._knocked):
            self._timer = self._reactor.callLater(_FIRST_AGAIN_S, self._knock_again)
