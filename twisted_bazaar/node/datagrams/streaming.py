"""The interface to streams over datagrams, which share the socket of a node.

What they are made of stands elsewhere, and is handed in by whoever builds the node.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint

from twisted_bazaar.interfaces import Opening
from twisted_bazaar.wire.message import Message

Where = tuple[str, int]
End = Where | tuple[str, int, str]
"""The other end of a stream: host, port and, where that is proven or has to be, its key."""

STREAMS: Final = "streams over datagrams"
"""The purpose of the secret that ids of streams follow from; see L{KeyPair.secret_for}."""


class NodeStreams(Protocol):
    """The streams of one node.

    @ivar first_byte: what each of their datagrams begins with, and no JSON does.
    @ivar longest_bytes: how long a datagram of theirs may be that is taken.
    """

    first_byte: bytes
    longest_bytes: int

    def datagram_received(self, data: bytes, where: End) -> bool:
        """Take a datagram; returns whether it is one of a stream."""

    def listen(self, openings: Mapping[type[Message], Opening]) -> None:
        """Take streams that others open: by the message that each begins with, what takes it over."""

    def endpoint(self, where: End, timeout_s: float | None) -> IStreamClientEndpoint:
        """An endpoint for a stream to an address."""

    def stop(self) -> Deferred[None]:
        """Take no more, and open none; fires when all that are open are over."""

    def abort(self) -> None:
        """End all of them at once."""


class MakeStreams(Protocol):
    """Makes the streams of a node."""

    def __call__(
        self,
        *,
        reactor: Any,
        rng: random.Random,
        secret: bytes,
        send: Callable[[bytes, End], object],
        own_address: Callable[[], Any],
        may_answer: Callable[[End], bool],
    ) -> NodeStreams:
        """Make them.

        @param secret: what only this node knows.
        @param send: sends a datagram, which may get lost; it never raises.
        @param own_address: where the socket is, as Twisted says it.
        @param may_answer: whether an address may be answered that has not shown that it receives there.
        """
