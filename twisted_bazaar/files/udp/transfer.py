"""Transfers over datagrams: what the user of a node may choose, and the streams that follow from it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen
from twisted.internet.defer import Deferred

from twisted_bazaar.files.udp.doorway import Doorway
from twisted_bazaar.files.udp.streams import Streams, UdpEndpoint
from twisted_bazaar.files.udp.transfer_log import TransferLog
from twisted_bazaar.files.udp.transport import Where
from twisted_bazaar.files.window import Settings
from twisted_bazaar.files.window.segment import KIND, LONGEST_PLAIN_BYTES, MOST_OVERHEAD_BYTES
from twisted_bazaar.interfaces import Opening
from twisted_bazaar.wire.message import Message


class SharedStreams:
    """The streams of a node, which share its socket; see L{twisted_bazaar.node.datagrams.streaming.NodeStreams}.

    @param streams: what they are made of.
    @param log: what is told of their segments, to be closed when they are over; None for nothing.
    @ivar first_byte: what each of their datagrams begins with, and no JSON does.
    @ivar longest_bytes: how long a datagram of theirs may be that is taken.
    """

    first_byte: bytes = bytes((KIND,))

    def __init__(self, streams: Streams, mss: int, log: TransferLog | None = None) -> None:
        self.longest_bytes: int = max(mss + MOST_OVERHEAD_BYTES, LONGEST_PLAIN_BYTES)
        self.streams = streams
        self.datagram_received: Callable[[bytes, Where], bool] = streams.datagram_received
        self._log = log

    def listen(self, openings: Mapping[type[Message], Opening]) -> None:
        """Take streams that others open: by the message that each begins with, what takes it over."""
        self.streams.listen(Doorway(self.streams.reactor, openings) if openings else None)

    def endpoint(self, where: Where, timeout_s: float | None) -> UdpEndpoint:
        """An endpoint for a stream to an address."""
        return UdpEndpoint(self.streams, where, timeout_s)

    def stop(self) -> Deferred[None]:
        """Take no more, and open none; fires when all that are open are over."""
        return self.streams.stop().addBoth(self._closed)

    def abort(self) -> None:
        """End all of them at once."""
        self.streams.abort()

    def _closed(self, result: None) -> None:
        if self._log is not None:
            self._log.close()
        return result


@frozen
class Transfer:
    """Transfers of a node over datagrams.

    @ivar settings: how its streams behave.
    @ivar comes_first: whether files come by stream where they could come by connection too.
    @ivar log: where each segment is told of; None for nowhere.
    """

    settings: Settings = field(factory=Settings)
    comes_first: bool = False
    log: TransferLog | None = None

    def streams(
        self,
        *,
        reactor: Any,
        rng: random.Random,
        secret: bytes,
        send: Callable[[bytes, Where], object],
        own_address: Callable[[], Any],
        may_answer: Callable[[Where], bool],
    ) -> SharedStreams:
        """The streams of a node; see L{twisted_bazaar.node.datagrams.streaming.MakeStreams}."""
        watched = (lambda where: None) if self.log is None else self.log.watcher
        streams = Streams(
            reactor,
            rng,
            secret,
            send,
            self.settings,
            own_address=own_address,
            watched=watched,
            may_answer=may_answer,
        )
        return SharedStreams(streams, self.settings.mss, self.log)
