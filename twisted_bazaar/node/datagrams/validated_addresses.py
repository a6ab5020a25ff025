"""Validated addresses: those that one node exchanges datagrams with, each with the cookies of both (RFC 9000, 8.1).

Until both are known to have one, what goes there gives it along: so one way and back is enough. Who has none can ask
plain questions all the same, see L{twisted_bazaar.node.datagrams.unvalidated}; before anything else it knocks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.errors import UNREADABLE
from twisted_bazaar.node.control import Cookie, Knock, Stale
from twisted_bazaar.node.datagrams.address_validation import AddressValidation, Waiting
from twisted_bazaar.node.datagrams.association import Association
from twisted_bazaar.node.datagrams.cookies import (
    Cookies,
    StrangersShare,
    asking_with,
    ending_with,
    is_cookie,
    read_head,
)
from twisted_bazaar.node.datagrams.streaming import Where
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.values.addresses import Address, network_of
from twisted_bazaar.wire.message import Message

Write = Callable[[Message | None, bytes, Address], None]

# Cookies are renewed when this much of the time has gone for which they are right at least, and then not used on.
_RENEWED_AT: Final = 0.75
_TRUSTED_UNTIL: Final = 0.95
# So long are questions that have no cookie to show: as long as an answer is at most, unless it was set otherwise.
_QUESTION_BYTES: Final = 1_200
# Of one host so many addresses are asked so in a second; others may only have said that somebody is there.
_QUESTIONS_A_SECOND: Final = 10
_encode = msgspec.json.Encoder().encode


class ValidatedAddresses:
    """The addresses that one node exchanges datagrams with.

    @param most_bytes: how long a datagram may be.
    @param write: sends a datagram that holds a message.
    @param on_the_socket: what the transport calls an address.
    @param is_traced: whether somebody is told which messages go. A message that waits takes twice as much as its bytes.
    @ivar table: those that something is remembered of.
    @ivar knocking: those whose cookies are wanted.
    """

    def __init__(
        self,
        reactor: Any,
        rng: random.Random,
        cookies: Cookies,
        limits: Limits,
        most_bytes: int,
        write: Write,
        on_the_socket: Callable[[Where], Where],
        *,
        is_traced: bool = False,
    ) -> None:
        self._reactor = reactor
        self._cookies = cookies
        self._cookie_s = limits.cookie_s
        self._most_bytes = most_bytes
        self._write = write
        self._on_the_socket = on_the_socket
        self._is_traced = is_traced
        self.table: FairTable[Where, Association] = FairTable(limits.correspondents, 2 * limits.cookie_s)
        self._questions = StrangersShare(_QUESTIONS_A_SECOND)
        self.knocking: AddressValidation = AddressValidation(reactor, rng, self._say_knock)

    def add(self, address: Address, now: float) -> Association:
        """Remember an address, or go on doing so with the cookies that are right for it now."""
        where = (address.host, address.port)
        now_right, right_before = self._cookies.valid_cookies(*where, now)
        endings = (ending_with(now_right.decode()), ending_with(right_before.decode()))
        entry = self.table.get(where, now)
        if entry is None:
            entry = Association(address, self._on_the_socket(where), endings, 0.0)
        entry.endings, entry.endings_until = endings, self._cookies.valid_until(now)
        self.table.put(where, entry, network_of(address.host), now)
        return entry

    def send(self, message: Message, head: bytes, address: Address, now: float) -> bool:
        """Send to an address that has given no cookie, or may have none of this node.

        @param head: the message but for its last brace.
        @return: False if it does not go, since too much waits for that address already.
        """
        to = self.table.get((address.host, address.port), now) or self.add(address, now)
        if to.given is not None and now < to.trusted_until:
            if now >= to.renew_at:
                self.knocking.ask_for_cookie(to.address, now)
            self._write_giving(message, head, to, now)
            return True
        to.given = to.suffix = None
        waiting = head, (message if self._is_traced else None)
        if not (message.is_question and self._may_ask(address, now)) or not self.knocking.question_sent(
            to.address, now, waiting
        ):
            return self.knocking.ask_for_cookie(to.address, now, waiting)
        ending = asking_with(self._give(to, now), head, min(_QUESTION_BYTES, self._most_bytes))
        self._write(message, head + ending, to.address)
        return True

    def datagram_received(self, data: bytes, message: Message, sender: Association, now: float) -> None:
        """Take what was said besides a message, by one who shows the right cookie but may not be known to keep it."""
        try:
            give = read_head(data).give
        except UNREADABLE:
            return
        address = sender.address
        is_refusal = isinstance(message, Stale) and message.was is None
        # Who has answered a stranger has forgotten it: it has to be given the cookie again, with one that is right.
        may_forget = is_refusal or self.knocking.question_answered(address, now)
        waiting: Sequence[Waiting] = ()
        if give is not None and is_cookie(give):
            self._trust(sender, give, now)
            waiting = self.knocking.cookie_shown(address, now)
        elif may_forget:
            self.knocking.knock_if_wanted(address, now)
        if sender.given is not None and not may_forget:
            sender.suffix = ending_with(sender.given)
        for head, each in waiting:
            self._write_giving(each, head, sender, now)

    def cookie_received(self, cookie: Cookie, address: Address, now: float) -> bool:
        """Take the answer to a knock.

        @return: whether there was one.
        """
        waiting = self.knocking.cookie_received(cookie, address, now)
        if waiting is None:
            return False
        to = self.add(address, now)
        is_known = to.suffix is not None
        self._trust(to, cookie.give, now)
        if is_known:
            to.suffix = ending_with(cookie.give)
        for head, message in waiting:
            self._write_giving(message, head, to, now)
        return True

    def stale_received(self, stale: Stale, where: Where, now: float) -> None:
        """Take a C{stale}: something that was sent was not taken."""
        to = self.table.get(where, now)
        if stale.was is None:
            self.knocking.knock_if_wanted(Address(*where), now)
        elif to is not None and to.given == stale.was:
            # It repeats the cookie: who has not seen the datagram cannot make this node doubt one.
            to.given = to.suffix = None
            self.knocking.ask_for_cookie(to.address, now)

    # Inside.

    def _may_ask(self, address: Address, now: float) -> bool:
        """Whether a question, long as it is, may go to a host that has not shown that it wants any."""
        return address.is_local or self._questions.allow(network_of(address.host), now)

    def _trust(self, to: Association, give: str, now: float) -> None:
        to.given = give
        to.renew_at, to.trusted_until = now + _RENEWED_AT * self._cookie_s, now + _TRUSTED_UNTIL * self._cookie_s

    def _give(self, to: Association, now: float) -> str:
        return self._cookies.cookie_for(to.address.host, to.address.port, now)

    def _write_giving(self, message: Message | None, head: bytes, to: Association, now: float) -> None:
        """Send to an address whose cookie is known; give it this node's along, if there is room and it may need it."""
        ending = to.suffix
        if ending is None:
            given = to.given or ""
            ending = ending_with(given, self._give(to, now))
            if len(head) + len(ending) > self._most_bytes:
                ending = ending_with(given)
        self._write(message, head + ending, to.address)

    def _say_knock(self, knock: Knock, address: Address) -> None:
        data = _encode(knock)
        to = self.table.get((address.host, address.port), self._reactor.seconds())
        if to is not None and to.given is not None:
            # Who still has a cookie is no stranger, and is answered while strangers flood the other end.
            data = data[:-1] + ending_with(to.given)
        self._write(knock, data, address)
