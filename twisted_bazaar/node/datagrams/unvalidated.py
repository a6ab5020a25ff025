"""Answers to unvalidated addresses: seldom, and never longer than what they sent (RFC 9000, 8: amplification).

Their plain questions are answered, once, with the cookie that each of them gives; an answer that would be longer than
its question is not sent, but the cookie with which to ask again is. Nothing of them is remembered: whoever writes
others' addresses on its datagrams would have them given wrong cookies.
"""

from __future__ import annotations

from typing import Final

import msgspec
from attrs import define, field

from twisted_bazaar.node.control import Stale
from twisted_bazaar.node.datagrams.cookies import StrangersShare, ending_with
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.message import Message

# To answer takes much longer than to refuse, and such questions may come from everywhere.
_QUESTIONS_A_SECOND: Final = 500
_encode = msgspec.json.Encoder().encode


@define(eq=False)
class Answering:
    """One question of a stranger, while it is being answered.

    @ivar address: where it came from, as it says.
    @ivar shown: what the answer has to show there.
    @ivar most_bytes: how long the answer may be.
    @ivar is_busy: whether there are too many such questions, and the stranger has to ask with a cookie.
    """

    address: Address
    shown: str
    most_bytes: int
    is_busy: bool
    _answers: list[tuple[Message, bytes]] = field(factory=list, init=False)

    def write(self, message: Message, head: bytes) -> None:
        """Take what is said to the stranger, but for its last brace."""
        self._answers.append((message, head))

    def answer(self, give: str) -> tuple[Message, bytes] | None:
        """The message that goes to the stranger, and its bytes: its answer if that fits, else C{stale}.

        @param give: the cookie for that; it goes with whatever has room for it.
        @return: None if nothing fits.
        """
        refusal = Stale()
        choices: list[tuple[Message, bytes]] = [(refusal, _encode(refusal)[:-1])]
        if len(self._answers) == 1:
            choices = self._answers + choices
        for message, head in choices:
            for ending in (ending_with(self.shown, give), ending_with(self.shown)):
                if len(head) + len(ending) <= self.most_bytes:
                    return message, head + ending
        return None


class Unvalidated:
    """A limit on answers to unvalidated addresses, in number and bytes.

    @param a_second: how many answers one host gets in a second.
    """

    def __init__(self, a_second: float) -> None:
        self._share = StrangersShare(a_second)
        self._questions = StrangersShare(_QUESTIONS_A_SECOND, groups=1)

    def allow(self, host: str, now: float) -> bool:
        """Ask for one answer to a host."""
        return self._share.allow(host, now)

    def answering(self, address: Address, shown: str, question_bytes: int, now: float) -> Answering | None:
        """Begin to answer a question of a stranger.

        @param shown: what the answer has to show.
        @return: None if the host has had too many answers.
        """
        if not self.allow(address.host, now):
            return None
        return Answering(address, shown, question_bytes, not self._questions.allow("", now))
