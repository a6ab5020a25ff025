"""Sealed datagrams between nodes: nobody on the way reads them, and whose each is, is proven.

Roles see none of this. What gets lost is lost: only what begins a session is repeated, see
L{twisted_bazaar.node.datagrams.sealed.paths}. Segments of streams go in the same sessions.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred

from twisted_bazaar.errors import UNREADABLE, WireError
from twisted_bazaar.interfaces import Opening
from twisted_bazaar.node.datagrams.cookies import Cookies
from twisted_bazaar.node.datagrams.datagram_socket import (
    WORK_OF_MESSAGE,
    DatagramClaim,
    DatagramSocket,
    DatagramTrace,
)
from twisted_bazaar.node.datagrams.sealed import packets
from twisted_bazaar.node.datagrams.sealed.attempts import AGAIN_S
from twisted_bazaar.node.datagrams.sealed.path import Path
from twisted_bazaar.node.datagrams.sealed.paths import SealedPaths
from twisted_bazaar.node.datagrams.streaming import End, NodeStreams, Where
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.security.noise.node_handshake import Handshakes
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Address, plain_host
from twisted_bazaar.wire.codec import codec_of
from twisted_bazaar.wire.message import Message

# Of segments: a handshake takes some hundred times as long as one.
_WORK_OF_HANDSHAKE: Final = 64
_SEALED: Final = bytes((packets.SEALED.byte,))
_LEAST_SEALED: Final = packets.SEALED.size
_KNOCK: Final = bytes((packets.KNOCK.byte,))
_LEAST_KNOCK: Final = packets.KNOCK.size


def _read_nothing(said: bytes) -> Message:
    raise WireError("this node takes no datagrams")


@define
class _Answering:
    """A question without a session, while it is being answered.

    @ivar address: where it came from.
    @ivar said: what is answered.
    """

    address: Address
    said: list[bytes] = field(factory=list)


class SealedDatagrams(DatagramSocket):
    """The datagrams of one node, sealed.

    @param secret: what only this node knows; its cookies follow from it.
    @param handshakes: its own.
    @param key: its public key.
    """

    sealing_bytes: int = packets.SEALED.size

    def __init__(
        self,
        reactor: Any,
        rng: random.Random,
        secret: bytes,
        limits: Limits,
        handshakes: Handshakes,
        key: str,
        trace: DatagramTrace | None = None,
        make_streams: Callable[..., NodeStreams] | None = None,
    ) -> None:
        super().__init__(reactor, rng, limits, trace, make_streams)
        self._answering: _Answering | None = None
        self._decode: Callable[[bytes], Message] = _read_nothing
        self._again = Timer(reactor, self._say_again)
        self._paths = SealedPaths(
            handshakes,
            key,
            Cookies(secret, limits.cookie_s),
            rng,
            limits,
            write=self._write,
            take=self._take,
            answer=self._answer,
            count=self._count,
            watch=self._watch,
            work=self._work,
        )

    # What the node calls.

    def register_receivers(
        self, claims: Mapping[type[Message], DatagramClaim], openings: Mapping[type[Message], Opening] | None = None
    ) -> None:
        """Hand datagrams to roles from now on, by the class of their message."""
        super().register_receivers(claims, openings)
        if claims:
            self._decode = codec_of(frozenset(claims)).read

    def send(self, message: Message, addresses: Iterable[Address], keys: Iterable[str | None] = ()) -> None:
        """Send a message, encoded once, to some addresses.

        @raise UsageError: it does not fit into a datagram, or this node has no socket for datagrams.
        """
        body = self._body_of(message)
        if body is None:
            return
        now = self._seconds()
        each_key = iter(keys)
        for address in addresses:
            key = next(each_key, None)
            if self._answering is not None and self._answering.address == address:
                self._answering.said.append(body)
            elif not self._paths.send(body, (address.host, address.port), key, now, is_question=message.is_question):
                self.counts["unsent"] += 1
                continue
            if self._trace is not None:
                self._trace(address, message, len(body) + packets.SEALED.size)

    def has_validated(self, address: Address) -> bool:
        """Whether there is a session with whoever is at an address.

        To a stranger, while it is being answered, nothing can be sent but the answer.
        """
        if self._answering is not None and self._answering.address == address:
            return False
        return self._paths.has_session((address.host, address.port), self._seconds())

    def _close(self) -> Deferred[None]:
        self._again.cancel()
        return super()._close()

    # What the socket calls.

    def datagramReceived(self, data: bytes, where: Where) -> None:
        """Take a datagram."""
        if not self._is_open:
            return
        kind, size = data[:1], len(data)
        reading = self._reading
        reading.left -= 1
        if self._is_v6:
            where = (plain_host(where[0]), where[1])
        if size > self._most_read_bytes:
            self.counts["oversize"] += 1
        elif kind == _SEALED and size >= _LEAST_SEALED:
            self._paths.sealed_received(data, where, self._seconds())
        elif kind == _KNOCK and size >= _LEAST_KNOCK:
            self._paths.knock_received(data, where, self._seconds())
        else:
            self._paths.received(data, where, self._seconds())
        if reading.left <= 0 and self._is_open:
            reading.read_later(self.transport)

    # What paths call.

    def _write(self, data: bytes, where: Where) -> None:
        if not self._is_open:
            return
        try:
            self._send_to(data, self._on_the_socket(where) if self._is_v6 else where)
        except OSError:
            self.counts["unsent"] += 1

    def _count(self, why: str) -> None:
        self.counts[why] += 1

    def _work(self) -> None:
        self._reading.left -= _WORK_OF_HANDSHAKE

    def _take(self, said: bytes, path: Path) -> None:
        """Hand up what was said in a session."""
        if said[:1] == self._segments_begin:
            if self.streams is not None and not self.streams.datagram_received(said, (*path.where, path.key or "")):
                self.counts["rubbish"] += 1
            return
        now = self._seconds()
        self._reading.left -= WORK_OF_MESSAGE
        if not self.port or self._is_too_often(path, now):
            return
        try:
            message = self._decode(said)
        except UNREADABLE:
            self.counts["rubbish"] += 1
            return
        self._handle(message, path.address, path.key, now)

    def _answer(self, question: bytes, where: Where, key: str, most_bytes: int) -> bytes | None:
        """The answer to a question without a session."""
        if not self.port:
            return None
        try:
            message = self._decode(question)
        except UNREADABLE:
            self.counts["rubbish"] += 1
            return None
        if not message.is_question:
            self.counts["unshown"] += 1
            return None
        self._answering = answering = _Answering(Address(*where))
        try:
            self._handle(message, answering.address, key, self._seconds())
        finally:
            self._answering = None
        return answering.said[0] if len(answering.said) == 1 else None

    # Inside.

    def _handle(self, message: Message, address: Address, key: str | None, now: float) -> None:
        if key is None or not message.is_from(key):
            self.counts["posed"] += 1
            return
        try:
            self._claims[type(message)](message, address, key)
        except Exception:
            self._note_fault(message, address, now)

    def _end_of(self, address: Address, key: str | None) -> End:
        """The other end of streams to an address, at which one key alone may be, if any is said."""
        return (address.host, address.port) if key is None else (address.host, address.port, key)

    def _send_segment(self, data: bytes, where: End) -> None:
        """Send a datagram of a stream; what cannot be sent is as good as lost."""
        if self._is_open:
            host, port, *keys = where
            self._paths.send(data, (host, port), keys[0] if keys else None, self._seconds())

    def _may_answer_stranger(self, where: End) -> bool:
        # Whoever opens a stream has a session, so it receives where it says.
        return True

    def _watch(self) -> None:
        """An answer is waited for: look again, as long as any is."""
        if self._is_open and not self._again.is_set:
            self._again.set(AGAIN_S)

    def _say_again(self) -> None:
        self._paths.say_again(self._seconds())
        if self._paths.is_waiting:
            self._watch()
