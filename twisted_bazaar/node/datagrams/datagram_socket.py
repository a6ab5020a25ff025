"""The UDP socket of a node, with what all kinds of datagrams share: claims of roles, streams, budgets and counts.

Datagrams that are rubbish, too long, too many or of no known type are counted, and cost nothing more. Streams go by the
same socket, if the node has any: what begins as theirs do is left to them.
"""

from __future__ import annotations

import random
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import MessageLengthError
from twisted.internet.interfaces import IListeningPort, IStreamClientEndpoint
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import Opening
from twisted_bazaar.node.datagrams.cookies import ROOM_BYTES
from twisted_bazaar.node.datagrams.read_budget import DatagramReadBudget
from twisted_bazaar.node.datagrams.streaming import End, NodeStreams, Where
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.rate_limit import RateLimit
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.message import Message

DatagramTrace = Callable[[Address, Message, int], None]
DatagramClaim = Callable[[Any, Address, str | None], None]

LARGEST_DATAGRAM: Final = 65_507
_FAULTS_LOGGED_A_MINUTE: Final = 10
WORK_OF_MESSAGE: Final = 4
"""Of segments: a message is decoded and handed up, most segments are only put in their place."""
# What comes while this node does something else.
_KEPT_BYTES: Final = 1 << 20
_encode = msgspec.json.Encoder().encode


class Sender(Protocol):
    """An address that datagrams come from.

    @ivar due: by when all that has come from there would have come at the greatest rate allowed.
    """

    due: float


class DatagramSocket(DatagramProtocol):
    """A UDP socket; what is said over it, and to whom, is for those that are made from this.

    @param reactor: time, timers and the socket.
    @param make_streams: makes the streams that share the socket, but for their secret; None for none.
    @ivar streams: those.
    @ivar port: where datagrams are taken; 0 for nowhere.
    @cvar sealing_bytes: how much longer what is sealed is than what is said.
    @ivar counts: how many datagrams were not taken, or not sent, by why.
    """

    __slots__ = (
        *("_reactor", "_seconds", "_trace", "_grace_s", "port", "counts", "_most_bytes", "_listening", "_send_to"),
        *("_is_v6", "_reading", "_is_open", "_faults", "_claims", "_questions", "streams", "_segments_begin"),
        *("_interval_s", "_ahead_s", "_longest_body", "_most_read_bytes"),
    )

    transport: Any
    log: Final = Logger()
    noisy = False
    sealing_bytes: int = 0

    def __init__(
        self,
        reactor: Any,
        rng: random.Random,
        limits: Limits,
        trace: DatagramTrace | None,
        make_streams: Callable[..., NodeStreams] | None,
    ) -> None:
        self._reactor = reactor
        self._seconds: Callable[[], float] = reactor.seconds
        self._trace = trace
        self._grace_s = limits.grace_s
        self.port: int = 0
        self.counts: Counter[str] = Counter()
        self._most_bytes = min(limits.datagram_bytes, LARGEST_DATAGRAM)
        self._longest_body = self._most_bytes - ROOM_BYTES
        self._listening: IListeningPort | None = None
        self._send_to: Callable[[bytes, Where], object] = self._put
        self._is_v6 = False
        self._reading = DatagramReadBudget(reactor)
        self._is_open = False
        self._interval_s = 1 / limits.datagrams_a_second
        # Half an interval of room, for what sums of fractions lose.
        self._ahead_s = 1 - self._interval_s / 2
        self._faults = RateLimit.a_minute(_FAULTS_LOGGED_A_MINUTE)
        self._claims: Mapping[type[Message], DatagramClaim] = {}
        self._questions: frozenset[str] = frozenset()
        self.streams: NodeStreams | None = None
        self._segments_begin: bytes | None = None
        if make_streams is not None:
            self.streams = make_streams(
                reactor=reactor,
                rng=rng,
                send=self._send_segment,
                own_address=self._own_address,
                may_answer=self._may_answer_stranger,
            )
            self._segments_begin = self.streams.first_byte
        # How long a datagram may be that is taken, whatever is in it.
        self._most_read_bytes = self._most_bytes
        if self.streams is not None:
            self._most_read_bytes = max(self._most_bytes, self.streams.longest_bytes + self.sealing_bytes)

    def _may_answer_stranger(self, where: End) -> bool:
        """Whether a stream may be answered to an address that has not shown that it receives there."""
        raise NotImplementedError

    # What the node calls.

    def listen(self, interface: str, port: int) -> Address:
        """Open the socket.

        @param interface: the address to take datagrams at; empty for all of this machine's.
        @param port: 0 for any.
        @return: where it is.
        @raise CannotListenError: the port is taken, or the interface is not this machine's.
        """
        # One byte more than is taken: what is cut there was too long.
        self._listening = self._reactor.listenUDP(port, self, interface, self._most_read_bytes + 1)
        bound: Any = self._listening.getHost()
        own_socket = getattr(self._listening, "socket", None)
        if own_socket is not None:
            self._send_to = own_socket.sendto
            own_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KEPT_BYTES)
        self.port = bound.port
        self._is_open = True
        self._is_v6 = ":" in bound.host
        return Address(bound.host, bound.port)

    def register_receivers(
        self, claims: Mapping[type[Message], DatagramClaim], openings: Mapping[type[Message], Opening] | None = None
    ) -> None:
        """Hand datagrams to roles from now on, by the class of their message.

        @param openings: by the message that a stream begins with, what takes it over.
        """
        self._claims = claims
        self._questions = frozenset(str(cls.__struct_config__.tag) for cls in claims if cls.is_question)
        if self.streams is not None and openings:
            self.streams.listen(openings)

    def stream_endpoint(
        self, address: Address, key: str | None, timeout_s: float | None
    ) -> IStreamClientEndpoint | None:
        """An endpoint for a stream to an address; None if this node has no streams.

        @param key: the key that has to be proven there, if any can be; None for any.
        """
        if self.streams is None or not self.port:
            return None
        return self.streams.endpoint(self._end_of(address, key), timeout_s)

    def send(self, message: Message, addresses: Iterable[Address], keys: Iterable[str | None] = ()) -> None:
        """Send a message, encoded once, to some addresses.

        @param keys: of each for whom it is, where any can be proven; None for whoever is there, as where none is said.
        @raise UsageError: it does not fit into a datagram, or this node has no socket for datagrams.
        """
        raise NotImplementedError

    def has_validated(self, address: Address) -> bool:
        """Whether whoever is at an address has shown that it receives there.

        To a stranger, while it is being answered, nothing can be sent but the answer.
        """
        raise NotImplementedError

    def close(self) -> Deferred[None]:
        """Close the socket, when the streams are over or have had a moment to be.

        @return: fires when it is.
        """
        self.port = 0
        if self.streams is None or self._listening is None:
            return self._close()
        streams = self.streams
        timer = Timer(self._reactor, streams.abort)
        timer.set(self._grace_s)

        def ended(_: None) -> Deferred[None]:
            timer.cancel()
            return self._close()

        return streams.stop().addCallback(ended)

    def _close(self) -> Deferred[None]:
        self._is_open = False
        self._reading.stop()
        listening = self._listening
        done: Deferred[None] = succeed(None)
        return done if listening is None else done.addCallback(lambda _: listening.stopListening())

    # Inside.

    def _end_of(self, address: Address, key: str | None) -> End:
        """The other end of streams to an address."""
        return address.host, address.port

    def _send_segment(self, data: bytes, where: End) -> None:
        """Send a datagram of a stream; what cannot be sent is as good as lost."""
        raise NotImplementedError

    def _body_of(self, message: Message) -> bytes | None:
        """A message as it goes; None if nothing goes any more.

        @raise UsageError: it does not fit into a datagram, or this node has no socket for datagrams.
        """
        body = _encode(message)
        if len(body) > self._longest_body:
            check_fits(message, self._most_bytes)
        if not self.port:
            if self._listening is None:
                raise UsageError("this node takes no datagrams, and so cannot send any")
            return None
        return body

    def _own_address(self) -> Any:
        return IPv4Address("UDP", "0.0.0.0", 0) if self._listening is None else self._listening.getHost()

    def _is_too_often(self, sender: Sender, now: float) -> bool:
        """Whether one more has come from somebody than may come there."""
        due = sender.due
        if due > now:
            if due > now + 2:
                # The clock was set back.
                due = now
            elif due > now + self._ahead_s:
                self.counts["too many"] += 1
                return True
        else:
            due = now
        sender.due = due + self._interval_s
        return False

    def _note_fault(self, message: Message, address: Address, now: float) -> None:
        self.counts["faults"] += 1
        if self._faults.allow(now):
            self.log.failure(
                "a datagram {name} from {address} could not be handled", name=message.wire_name, address=address
            )

    def _put(self, data: bytes, where: Where) -> None:
        try:
            self.transport.write(data, where)
        except (OSError, ValueError, MessageLengthError):
            # No way there, no room for it now, or a host of another family.
            self.counts["unsent"] += 1

    def _on_the_socket(self, where: End) -> Where:
        """An address as the transport writes it."""
        return (f"::ffff:{where[0]}", where[1]) if self._is_v6 and ":" not in where[0] else where[:2]


def check_fits(message: Message, most_bytes: int) -> None:
    """Refuse what is too long for a datagram of so many bytes, cookie and all; what seals one is as long.

    @raise UsageError: it is.
    """
    size_bytes = len(msgspec.json.encode(message))
    if size_bytes > most_bytes - ROOM_BYTES:
        raise UsageError(
            f"a {message.wire_name} of {size_bytes} bytes does not go into a datagram, which holds "
            f"{most_bytes - ROOM_BYTES} besides its cookie"
        )
