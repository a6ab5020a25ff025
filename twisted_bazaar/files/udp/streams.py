"""The streams of one socket: admits those that others open, and gives each datagram to its stream."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from attrs import evolve, frozen
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.files.udp.transport import StreamTransport, Where, address_of
from twisted_bazaar.files.window import Handshake, Settings, Stream, Watcher
from twisted_bazaar.files.window.handshake import SLOT_S, not_here, refusal
from twisted_bazaar.files.window.segment import (
    ACK,
    FIN,
    ID_BYTES,
    OPEN,
    RST,
    STRANGE,
    SYN,
    Segment,
    decode,
    is_segment,
)
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import network_of

_REMEMBERED: Final = 4096
_TURN_S: Final = 0.01
# Who has one stream more than another does not give it up, or it would go to and fro.
_FAIR_EXCESS: Final = 2


@frozen(kw_only=True)
class StreamLimits:
    """Limits on the streams that others may open. Of those that are half open nothing is kept; see L{Handshake}.

    @ivar most: in all. Past it the host that has most of them gives one up to who has fewer (max-min fair).
    @ivar most_of_host: from one host.
    @ivar kept: how many full segments are kept of each that nobody has taken. Who opens one asks; the large window is
        for what it is sent.
    """

    most: int = 128
    most_of_host: int = 32
    kept: int = 64


class Streams:
    """All streams over one socket.

    @param reactor: time and timers.
    @param rng: gives ids that nobody is to guess, so no weak one.
    @param secret: what only this node knows; the ids that strangers are given follow from it.
    @param send: sends a datagram; what it raises of C{OSError} is taken for a loss.
    @param own_address: where the socket is.
    @param watched: gives what is told of each segment of a stream with somebody, for a log of transfers.
    @param may_answer: whether an address may be answered that has not shown that it receives there.
    @ivar counts: how many datagrams were not taken, or not sent, by why.
    """

    log: Final = limited_logger(__name__)

    def __init__(
        self,
        reactor: Any,
        rng: random.Random,
        secret: bytes,
        send: Callable[[bytes, Where], object],
        settings: Settings | None = None,
        limits: StreamLimits | None = None,
        own_address: Callable[[], Any] = lambda: IPv4Address("UDP", "0.0.0.0", 0),
        watched: Callable[[Where], Watcher | None] = lambda where: None,
        may_answer: Callable[[Where], bool] = lambda where: True,
    ) -> None:
        self.reactor = reactor
        self.send = send
        self.own_address = own_address
        self.counts: Counter[str] = Counter()
        self._rng = rng
        self._settings = settings or Settings()
        self._limits = limits or StreamLimits()
        self._watched = watched
        self._may_answer = may_answer
        self._drop = self._settings.drop
        self._called_settings = evolve(self._settings, kept=min(self._settings.most_kept, self._limits.kept))
        self._opening = Handshake(secret, self._called_settings)
        self._factory: Any = None
        self._transports: dict[bytes, StreamTransport] = {}
        self._called: Counter[str] = Counter()
        # Those that are over, and what to say to an end that has not heard so.
        self._past: FairTable[bytes, bytes] = FairTable(_REMEMBERED, 2 * SLOT_S)
        self._due: list[StreamTransport] = []
        self._turning = Timer(reactor, self._turn_all)
        self._is_stopped = False
        self._until_gone: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self._transports)

    # What its owner calls.

    def listen(self, factory: Any) -> None:
        """Take streams that others open.

        @param factory: its C{buildProtocol} gives one for each, or None to refuse it; None to refuse all.
        """
        self._factory = factory

    def connect(self, where: Where, factory: Any, timeout_s: float | None = None) -> Deferred[Any]:
        """Open a stream.

        @param timeout_s: how long to try.
        @return: fires with the protocol, or fails with C{ConnectError}.
        """
        if self._is_stopped:
            return fail(ConnectError(string="this node is leaving"))
        settings = self._settings if timeout_s is None else evolve(self._settings, open_s=timeout_s)
        own_id = self._rng.randbytes(ID_BYTES)
        stream = Stream(settings, own_id, self._rng, self.reactor.seconds(), watcher=self._watched(where))
        transport = StreamTransport(self, stream, where, is_called=False)
        done: Deferred[Any] = Deferred(lambda _: transport.give_up())

        def opened() -> None:
            try:
                protocol = factory.buildProtocol(transport.getPeer())
                if protocol is None:
                    raise ConnectError(string="nobody wants it any more")
                transport.set_protocol(protocol)
            except Exception:
                # Who asked for it is told, and nothing is left of the stream.
                transport.give_up()
                done.errback()
            else:
                done.callback(protocol)

        transport.await_opening(opened, done.errback)
        self._transports[own_id] = transport
        self.schedule_turn(transport)
        return done

    def datagram_received(self, data: bytes, where: Where) -> bool:
        """Take a datagram.

        @return: whether it is one of a stream.
        """
        if not is_segment(data):
            return False
        segment = decode(data)
        if segment is None:
            self.counts["corrupt"] += 1
            return True
        transport = self._transports.get(segment.to)
        if transport is None or not transport.is_from(where):
            self._receive_strange(segment, where)
            return True
        if self._drop and transport.stream.has_bytes(segment) and self._rng.random() < self._drop:
            transport.stream.lose(segment, self.reactor.seconds())
            return True
        transport.stream.receive(segment, self.reactor.seconds())
        if not transport.is_due:
            self.schedule_turn(transport)
        return True

    def stop(self) -> Deferred[None]:
        """Take no more streams, and open none; those that are open are left to those who use them.

        @return: fires when all are over.
        """
        self._is_stopped = True
        self._factory = None
        if not self._transports:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._until_gone.append(gone)
        return gone

    def abort(self) -> None:
        """End all of them at once."""
        for transport in list(self._transports.values()):
            transport.abort()

    # What a transport calls.

    def schedule_turn(self, transport: StreamTransport) -> None:
        """Give it a turn when all that waits in the socket has been read: one acknowledgement is for many."""
        if transport.is_due:
            return
        transport.is_due = True
        self._due.append(transport)
        if not self._turning.is_set:
            self._turning.set(0)

    def run_turn(self, transport: StreamTransport) -> None:
        """It has its turn."""
        try:
            transport.run_turn()
        except Exception:
            # Ours, or of the protocol; it costs this stream.
            self.log.failure("a stream with {where} failed", where=transport.where)
            transport.abort()

    def datagram_unsent(self) -> None:
        """A datagram was not sent."""
        self.counts["unsent"] += 1

    def linger(self, transport: StreamTransport, farewell: bytes) -> None:
        """It has heard all; its last word is repeated as long as the other end has not heard that."""
        self._send(farewell, transport.where)
        self._remember(transport, farewell)

    def forget(self, transport: StreamTransport) -> None:
        """It is over."""
        own_id = transport.stream.own_id
        if self._transports.get(own_id) is not transport:
            return
        del self._transports[own_id]
        if transport.is_called:
            owner = network_of(transport.where[0])
            self._called[owner] -= 1
            if not self._called[owner]:
                del self._called[owner]
            if self._past.get(own_id, self.reactor.seconds()) is None:
                # What is still on its way must not open it again.
                self._remember(transport, b"")
        if not self._transports:
            until_gone, self._until_gone = self._until_gone, []
            for gone in until_gone:
                gone.callback(None)

    # Inside.

    def _turn_all(self) -> None:
        due, self._due = self._due, []
        until = self.reactor.seconds() + _TURN_S
        for number, transport in enumerate(due, 1):
            transport.is_due = False
            self.run_turn(transport)
            if number < len(due) and self.reactor.seconds() >= until:
                # Others than streams are to have their turn too.
                self._due[:0] = due[number:]
                if not self._turning.is_set:
                    self._turning.set(0)
                return

    def _remember(self, transport: StreamTransport, farewell: bytes) -> None:
        owner = network_of(transport.where[0])
        self._past.put(transport.stream.own_id, farewell, owner, self.reactor.seconds())

    def _receive_strange(self, segment: Segment, where: Where) -> None:
        """Take a segment for a stream that is not here. No answer has more bytes than what is answered."""
        flags = segment.flags
        if flags & RST:
            if flags & STRANGE:
                self._reset_by_other(segment, where)
        elif flags & SYN:
            if not flags & ACK:
                self._answer_call(segment, where)
        else:
            self._receive_unknown(segment, where)

    def _reset_by_other(self, segment: Segment, where: Where) -> None:
        """Take a reset of a stream that the other end does not have."""
        for transport in self._transports.values():
            if transport.stream.other_id == segment.to and transport.is_from(where):
                transport.stream.receive(segment, self.reactor.seconds())
                self.schedule_turn(transport)
                return

    def _answer_call(self, syn: Segment, where: Where) -> None:
        takes = self._factory is not None and self._has_room(where)
        answer = self._opening.answer(syn, where, self.reactor.seconds()) if takes else refusal(syn)
        if answer is not None:
            self._answer_stranger(answer, where)

    def _receive_unknown(self, segment: Segment, where: Where) -> None:
        past = self._past.get(segment.to, self.reactor.seconds())
        if past:
            if segment.payload or segment.flags & FIN:
                self._send(past, where)
        elif past is not None or not segment.flags & OPEN or not self._let_in(segment, where):
            self.counts["strange"] += 1
            self._answer_stranger(not_here(segment), where)

    def _answer_stranger(self, datagram: bytes, where: Where) -> None:
        """Anybody can write any sender on a datagram; who that is shall not be flooded with answers."""
        if self._may_answer(where):
            self._send(datagram, where)
        else:
            self.counts["unanswered"] += 1

    def _send(self, datagram: bytes, where: Where) -> None:
        try:
            self.send(datagram, where)
        except (OSError, ValueError):
            self.datagram_unsent()

    def _has_room(self, where: Where) -> bool:
        """Whether one more stream may be opened from there, perhaps in place of one of a host that has more."""
        own = self._called[network_of(where[0])]
        if own >= self._limits.most_of_host:
            return False
        return self._called.total() < self._limits.most or max(self._called.values()) >= own + _FAIR_EXCESS

    def _make_room(self) -> None:
        """End the latest stream of the host that has most, if there are as many as may be."""
        if self._called.total() < self._limits.most:
            return
        [(noisiest, _)] = self._called.most_common(1)
        loser = next(
            each
            for each in reversed(self._transports.values())
            if each.is_called and network_of(each.where[0]) == noisiest
        )
        self.counts["evicted"] += 1
        loser.abort()
        self.run_turn(loser)

    def _let_in(self, third: Segment, where: Where) -> bool:
        """Open a stream for who has shown that it receives where it says."""
        now = self.reactor.seconds()
        other = self._opening.accept(third, where, now)
        if other is None or self._factory is None or not self._has_room(where):
            return False
        protocol = self._factory.buildProtocol(address_of(where))
        if protocol is None:
            return False
        self._make_room()
        stream = Stream(self._called_settings, third.to, self._rng, now, other, self._watched(where))
        transport = StreamTransport(self, stream, where, is_called=True)
        self._transports[third.to] = transport
        self._called[network_of(where[0])] += 1
        transport.set_protocol(protocol)
        stream.receive(third, now)
        self.schedule_turn(transport)
        return True


@implementer(IStreamClientEndpoint)
class UdpEndpoint:
    """An address to which a stream can be opened.

    @param where: an IP address and a port.
    @param timeout_s: how long to try.
    """

    def __init__(self, streams: Streams, where: Where, timeout_s: float | None = None) -> None:
        self._streams = streams
        self._where = where
        self._timeout_s = timeout_s

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Open one; fires with the protocol."""
        return self._streams.connect(self._where, protocolFactory, self._timeout_s)
