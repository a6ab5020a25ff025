"""Datagrams between nodes: one message in each, and nothing to an address that has not shown that it receives there.

Who wants to send to an address shows with each message a cookie that it has got from there, see
L{twisted_bazaar.node.datagrams.validated_addresses}. Who shows none, or a wrong one, is told so in fewer bytes than it
sent, and not heard, unless it asks a plain question: L{twisted_bazaar.node.datagrams.unvalidated}. Roles see none of
this. What gets lost is lost: only knocks are repeated.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred

from twisted_bazaar.errors import UNREADABLE
from twisted_bazaar.interfaces import Opening
from twisted_bazaar.node.control import Cookie, Knock, Stale
from twisted_bazaar.node.datagrams.association import Association
from twisted_bazaar.node.datagrams.cookies import ENDING_BYTES, Cookies, is_cookie, read_head
from twisted_bazaar.node.datagrams.datagram_socket import (
    WORK_OF_MESSAGE,
    DatagramClaim,
    DatagramSocket,
    DatagramTrace,
)
from twisted_bazaar.node.datagrams.streaming import End, NodeStreams, Where
from twisted_bazaar.node.datagrams.unvalidated import Answering, Unvalidated
from twisted_bazaar.node.datagrams.validated_addresses import ValidatedAddresses
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.values.addresses import Address, plain_host
from twisted_bazaar.wire.codec import codec_of
from twisted_bazaar.wire.message import Message

COOKIES: Final = "cookies of datagrams"
"""The purpose of the secret that cookies follow from; see L{KeyPair.secret_for}."""
_ABOUT_COOKIES: Final = frozenset({Knock, Cookie, Stale})
_NAMES_ABOUT_COOKIES: Final = frozenset({"knock", "cookie", "stale"})


_encode = msgspec.json.Encoder().encode
_decode_about_cookies = codec_of(_ABOUT_COOKIES).read


class Datagrams(DatagramSocket):
    """The datagrams of one node, in the open.

    @param secret: what only this node knows; its cookies follow from it.
    """

    __slots__ = (
        *("_cookies", "_strangers", "_answering", "_at_hand"),
        *("_acquaintances", "_correspondents", "_decode"),
    )

    def __init__(
        self,
        reactor: Any,
        rng: random.Random,
        secret: bytes,
        limits: Limits,
        trace: DatagramTrace | None = None,
        make_streams: Callable[..., NodeStreams] | None = None,
    ) -> None:
        super().__init__(reactor, rng, limits, trace, make_streams)
        self._cookies = Cookies(secret, limits.cookie_s)
        self._strangers = Unvalidated(limits.strangers_a_second)
        self._answering: Answering | None = None
        # Who has sent what is being taken, and nearly always gets an answer.
        self._at_hand: Association | None = None
        self._acquaintances = ValidatedAddresses(
            reactor,
            rng,
            self._cookies,
            limits,
            self._most_bytes,
            self._write,
            self._on_the_socket,
            is_traced=trace is not None,
        )
        self._correspondents = self._acquaintances.table
        self._decode: Callable[..., Message] = _decode_about_cookies

    def _may_answer_stranger(self, where: End) -> bool:
        return self._strangers.allow(where[0], self._seconds())

    # What the node calls.

    def send(self, message: Message, addresses: Iterable[Address], keys: Iterable[str | None] = ()) -> None:
        """Send a message, encoded once, to some addresses.

        @raise UsageError: it does not fit into a datagram, or this node has no socket for datagrams.
        """
        body = self._body_of(message)
        if body is None:
            return
        now = self._seconds()
        head = body[:-1]
        to: Association | None
        for address in addresses:
            to = self._at_hand
            if to is None or address is not to.address:
                to = self._correspondents.get((address.host, address.port), now)
            if to is None or to.suffix is None or now >= to.renew_at or self._answering is not None:
                self._send_strange(message, head, address, now)
                continue
            data = head + to.suffix
            if self._trace is not None:
                self._trace(address, message, len(data))
            try:
                # A cookie came from there, so it is an address and no name: what the transport checks is certain.
                self._send_to(data, to.where)
            except OSError:
                self.counts["unsent"] += 1

    def _send_strange(self, message: Message, head: bytes, address: Address, now: float) -> None:
        """Send a message to an address without a cookie, or while a stranger is being answered."""
        answering = self._answering
        if answering is not None and address == answering.address:
            answering.write(message, head)
        elif not self._acquaintances.send(message, head, address, now):
            self.counts["unsent"] += 1

    def has_validated(self, address: Address) -> bool:
        """Whether whoever is at an address has shown that it receives there, and has given its cookie.

        To a stranger, while it is being answered, nothing can be sent but the answer.
        """
        if self._answering is not None and self._answering.address == address:
            return False
        now = self._seconds()
        to = self._correspondents.get((address.host, address.port), now)
        return to is not None and to.given is not None and now < to.trusted_until

    def register_receivers(
        self, claims: Mapping[type[Message], DatagramClaim], openings: Mapping[type[Message], Opening] | None = None
    ) -> None:
        """Hand datagrams to roles from now on, by the class of their message."""
        super().register_receivers(claims, openings)
        if claims:
            self._decode = codec_of(_ABOUT_COOKIES.union(claims)).read

    def close(self) -> Deferred[None]:
        """Close the socket, when the streams are over or have had a moment to be."""
        self._acquaintances.knocking.stop()
        return super().close()

    # What the socket calls.

    def datagramReceived(self, data: bytes, where: Where) -> None:
        """Take a datagram."""
        if self._is_v6:
            where = (plain_host(where[0]), where[1])
        if data[:1] == self._segments_begin:
            if self.streams is not None and self._is_open:
                self._segment_received(data, where, self.streams)
            return
        if not self.port:
            return
        reading = self._reading
        reading.left -= WORK_OF_MESSAGE
        if reading.left <= 0:
            reading.read_later(self.transport)
        if len(data) > self._most_bytes:
            self.counts["oversize"] += 1
            return
        now = self._seconds()
        sender = self._correspondents.get(where, now)
        if sender is not None and now < sender.endings_until and data.endswith(sender.endings):
            self._receive(data, sender, now, data[-ENDING_BYTES:])
        else:
            self._receive_strange(data, where, now)

    # Of streams.

    def _segment_received(self, data: bytes, where: Where, streams: NodeStreams) -> None:
        reading = self._reading
        reading.left -= 1
        if reading.left <= 0:
            reading.read_later(self.transport)
        if len(data) > streams.longest_bytes:
            self.counts["oversize"] += 1
        elif not streams.datagram_received(data, where):
            self.counts["rubbish"] += 1

    def _send_segment(self, data: bytes, where: End) -> None:
        """Send a datagram of a stream; what cannot be sent is as good as lost."""
        if self._is_open:
            self._put(data, self._on_the_socket(where))

    # Datagrams in.

    def _receive(self, data: bytes, sender: Association, now: float, ending: bytes | None = None) -> None:
        """Hand up what comes from an address that has shown that it receives there.

        @param ending: the right cookie and the last brace, if they stand last.
        """
        if self._is_too_often(sender, now):
            return
        try:
            message = self._decode(data, ending)
        except UNREADABLE:
            self.counts["rubbish"] += 1
            return
        if sender.suffix is None:
            self._acquaintances.datagram_received(data, message, sender, now)
        claim = self._claims.get(type(message))
        if claim is None:
            self._receive_about_cookies(message, (sender.address.host, sender.address.port), None, now)
            return
        self._at_hand = sender
        try:
            claim(message, sender.address, None)
        except Exception:
            self._note_fault(message, sender.address, now)
        finally:
            self._at_hand = None

    def _receive_strange(self, data: bytes, where: Where, now: float) -> None:
        """Take what does not end with a cookie known to be right."""
        try:
            head = read_head(data)
        except UNREADABLE:
            self.counts["rubbish"] += 1
            return
        if head.cookie is not None and self._cookies.is_valid(head.cookie, *where, now):
            # Its first with this one; or the key does not stand last.
            sender = self._acquaintances.table.get(where, now)
            if sender is None or now >= sender.endings_until:
                sender = self._acquaintances.add(Address(*where), now)
            self._receive(data, sender, now)
        elif head.type in _NAMES_ABOUT_COOKIES:
            try:
                message = _decode_about_cookies(data)
            except UNREADABLE:
                self.counts["rubbish"] += 1
            else:
                self._receive_about_cookies(message, where, len(data), now)
        elif head.cookie is None and head.give is not None and is_cookie(head.give) and head.type in self._questions:
            self._receive_question(data, head.give, where, now)
        else:
            self.counts["unshown"] += 1
            shown = head.cookie if head.cookie is not None and is_cookie(head.cookie) else None
            self._answer(Stale(was=shown), where, len(data), now)

    def _receive_question(self, data: bytes, give: str, where: Where, now: float) -> None:
        """Have a question of an unvalidated address answered: once, and in no more bytes than it has."""
        address = Address(*where)
        answering = self._strangers.answering(address, give, len(data), now)
        if answering is None:
            self.counts["unanswered"] += 1
            return
        if answering.is_busy:
            self.counts["put off"] += 1
        else:
            try:
                message = self._decode(data)
            except UNREADABLE:
                self.counts["rubbish"] += 1
                return
            self._answering = answering
            try:
                self._claims[type(message)](message, address, None)
            except Exception:
                self._note_fault(message, address, now)
            finally:
                self._answering = None
        answer = answering.answer(self._cookies.cookie_for(*where, now))
        if answer is None:
            self.counts["unanswered"] += 1
        else:
            self._write(*answer, address)

    def _receive_about_cookies(self, message: Message, where: Where, most_bytes: int | None, now: float) -> None:
        """Take what needs no cookie.

        @param most_bytes: how long an answer to a stranger may be; None to one who has shown a cookie all the same.
        """
        match message:
            case Knock():
                self._answer(
                    Cookie(nonce=message.nonce, give=self._cookies.cookie_for(*where, now)), where, most_bytes, now
                )
            case Cookie():
                if not self._acquaintances.cookie_received(message, Address(*where), now):
                    self.counts["unasked"] += 1
            case Stale():
                self._acquaintances.stale_received(message, where, now)

    def _answer(self, message: Message, where: Where, most_bytes: int | None, now: float) -> None:
        """Answer about cookies; an unvalidated address seldom, and with no more bytes than it sent."""
        data = _encode(message)
        if most_bytes is not None and (len(data) > most_bytes or not self._strangers.allow(where[0], now)):
            self.counts["unanswered"] += 1
            return
        self._write(message, data, Address(*where))

    # Datagrams out.

    def _write(self, message: Message | None, data: bytes, address: Address) -> None:
        if self._trace is not None and message is not None:
            self._trace(address, message, len(data))
        self._put(data, self._on_the_socket((address.host, address.port)))
