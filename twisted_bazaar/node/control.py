"""The messages by which nodes keep the network together: greeting, liveness, errors, more nodes.

From the market's design paper, with C{pong} added so that pings cannot loop, keys and versions in
the greeting, and addresses of host and port where the paper had a port on one machine.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from twisted_bazaar.wire.message import (
    LARGEST_INTEGER,
    NO_ID,
    Host,
    Message,
    NodeId,
    Port,
    check_host,
)

PROTOCOL_VERSION: Final = 1
MOST_NAMED_IN_REQUEST: Final = 256
_HEX_DIGITS: Final = "0123456789abcdef"

_OptionalId = Annotated[int, Meta(ge=NO_ID, le=LARGEST_INTEGER)]
_PublicKey = Annotated[str, Meta(min_length=64, max_length=64)]
_Version = Annotated[int, Meta(ge=1, le=LARGEST_INTEGER)]


class ThisIsMe(Message, tag="thisisme"):
    """The first message of each end of a link: who speaks and where it listens.

    @ivar id: -1 to a tracker by a node that has none yet.
    @ivar port: the listening port; 0 for a node that takes no connections.
    @ivar host: given when the sender knows where others reach it; else it is the connection's.
    @ivar key: the sender's public key.
    """

    id: _OptionalId
    port: Port
    key: _PublicKey
    host: Host | None = None
    version: _Version = 1

    def __post_init__(self) -> None:
        if self.key.strip(_HEX_DIGITS):
            raise ValueError("key: not 64 lower-case hexadecimal digits")
        if self.host is not None:
            check_host(self.host)


class ThisIsYou(Message, tag="thisisyou"):
    """A tracker's answer to a greeting: the id it gives, and the address it sees."""

    id: NodeId
    host: Host
    port: Port

    def __post_init__(self) -> None:
        check_host(self.host)


class Disconnect(Message, tag="dc"):
    """The sender is about to close the connection; the receiver should do likewise."""


class Ping(Message, tag="ping"):
    """Asks for a pong."""


class Pong(Message, tag="pong"):
    """The answer to a ping; never answered itself."""


class NodeRequest(Message, tag="nodereq"):
    """Asks a tracker for another node.

    @ivar have: ids the asker does not want to hear of.
    """

    have: Annotated[tuple[NodeId, ...], Meta(max_length=MOST_NAMED_IN_REQUEST)] = ()


class NodeReply(Message, tag="nodereply"):
    """A tracker's answer: a node and where it listens, or nothing when there is no other."""

    id: NodeId | None = None
    host: Host | None = None
    port: Port | None = None

    def __post_init__(self) -> None:
        if self.host is not None:
            check_host(self.host)
