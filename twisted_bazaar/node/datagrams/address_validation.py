"""Address validation: knocks at addresses until they give their cookies (RFC 9000, 8.1), and holds what waits for that.

Some questions go before there is a cookie, and their answers give one. Only if none comes is there a knock.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import define, field

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.node.control import Cookie, Knock
from twisted_bazaar.node.datagrams.cookies import COOKIE_DIGITS
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Address, network_of
from twisted_bazaar.wire.message import Message

Waiting = tuple[bytes, Message | None]
"""A message that waits: its bytes but for the last brace, and itself if somebody is told what goes."""

# How long a message waits for the cookie of whom it is for, and how many do.
_WAIT_S: Final = 5.0
_MOST_WAITING: Final = 16
_MOST_KNOCKED_AT: Final = 256
_FIRST_AGAIN_S: Final = 0.25
# Makes the question as long as its answer.
_PAD: Final = "0" * 18


@define(eq=False)
class _Knocked:
    """An address whose cookie is wanted.

    @ivar message: how it was asked; None while its answer to a question may give it as well.
    @ivar question: what went without a cookie and was not answered; None if nothing did.
    @ivar waiting: what did not go.
    """

    again_at: float
    message: Knock | None = None
    question: Waiting | None = None
    pause_s: float = _FIRST_AGAIN_S
    waiting: list[Waiting] = field(factory=list)

    @property
    def all_waiting(self) -> Sequence[Waiting]:
        """The messages that go as soon as there is a cookie."""
        return self.waiting if self.question is None else [self.question, *self.waiting]


class AddressValidation:
    """The addresses whose cookies one node wants.

    @param reactor: time and timers.
    @param say: sends a knock to an address.
    """

    def __init__(self, reactor: Any, rng: random.Random, say: Callable[[Knock, Address], None]) -> None:
        self._reactor = reactor
        self._rng = rng
        self._say = say
        # One machine may have many sockets: half of all there is room for.
        self._knocked: FairTable[Address, _Knocked] = FairTable(_MOST_KNOCKED_AT, _WAIT_S, shares=2)
        self._timer = Timer(reactor, self._knock_again)

    def __len__(self) -> int:
        return len(self._knocked)

    def question_sent(self, address: Address, now: float, question: Waiting) -> bool:
        """Note that a question goes to an address without its cookie.

        @return: False if the cookie is wanted already; then nothing more is to go before it has come.
        """
        if self._of(address, now) is not None:
            return False
        self._note(address, _Knocked(now + _FIRST_AGAIN_S, question=question), now)
        return True

    def ask_for_cookie(self, address: Address, now: float, waiting: Waiting | None = None) -> bool:
        """Ask an address for a cookie, unless that is under way.

        @param waiting: what is to go there with the cookie.
        @return: False if too much waits for that address already; this does not then.
        """
        knocked = self._of(address, now)
        if knocked is None:
            knocked = _Knocked(now + _FIRST_AGAIN_S)
            self._note(address, knocked, now)
            self._knock(knocked, address)
        if waiting is None:
            return True
        if len(knocked.waiting) >= _MOST_WAITING:
            return False
        knocked.waiting.append(waiting)
        return True

    def cookie_received(self, cookie: Cookie, address: Address, now: float) -> Sequence[Waiting] | None:
        """An address has answered a knock.

        @return: what has waited for that; None if it was not asked, or not this.
        """
        knocked = self._knocked.get(address, now)
        if knocked is None or knocked.message is None or knocked.message.nonce != cookie.nonce:
            return None
        self._knocked.discard(address)
        return knocked.all_waiting

    def question_answered(self, address: Address, now: float) -> bool:
        """An address has answered, and the question that went there without a cookie need not go again.

        @return: whether there was one.
        """
        knocked = self._knocked.get(address, now)
        if knocked is None or knocked.question is None:
            return False
        knocked.question = None
        if not knocked.waiting:
            self._knocked.discard(address)
        return True

    def knock_if_wanted(self, address: Address, now: float) -> None:
        """Knock at an address that has not given its cookie with an answer, if it is wanted."""
        knocked = self._knocked.get(address, now)
        if knocked is not None and knocked.message is None:
            self._knock(knocked, address)

    def cookie_shown(self, address: Address, now: float) -> Sequence[Waiting]:
        """An address has given its cookie with something else.

        @return: what has waited for that.
        """
        knocked = self._knocked.get(address, now)
        if knocked is None:
            return ()
        self._knocked.discard(address)
        return knocked.all_waiting

    def stop(self) -> None:
        """Ask no more."""
        self._timer.cancel()

    def _of(self, address: Address, now: float) -> _Knocked | None:
        """The validation of an address that is under way; None if the clock has been set back since."""
        knocked = self._knocked.get(address, now)
        return None if knocked is None or knocked.again_at - now > 2 * knocked.pause_s else knocked

    def _note(self, address: Address, knocked: _Knocked, now: float) -> None:
        self._knocked.put(address, knocked, network_of(address.host), now)
        if not self._timer.is_set:
            self._timer.set(_FIRST_AGAIN_S)

    def _knock(self, knocked: _Knocked, address: Address) -> None:
        if knocked.message is None:
            nonce = f"{self._rng.getrandbits(4 * COOKIE_DIGITS):0{COOKIE_DIGITS}x}"
            knocked.message = Knock(nonce=nonce, pad=_PAD)
        self._say(knocked.message, address)

    def _knock_again(self) -> None:
        """Repeat what was not answered, for it or the answer may be lost; instead of a question, knock."""
        now = self._reactor.seconds()
        self._knocked.expire(now)
        for address, knocked in self._knocked.items(now):
            if now >= knocked.again_at:
                knocked.pause_s *= 2
                knocked.again_at = now + knocked.pause_s
                self._knock(knocked, address)
        if len(self._knocked):
            self._timer.set(_FIRST_AGAIN_S)
