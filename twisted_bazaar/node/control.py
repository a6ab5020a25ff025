"""Control messages between nodes: greeting (handshake), liveness, goodbye, more nodes, cookies.

From the market's design paper, with C{pong} added so that pings cannot loop, keys and versions in
the greeting, and addresses of host and port where the paper had a port on one machine. The last three
messages go by datagram only: with them an address shows that who uses it receives there.
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
    Word,
    check_host,
)

PROTOCOL_VERSION: Final = 2
MOST_NAMED_IN_REQUEST: Final = 256
_HEX_DIGITS: Final = "0123456789abcdef"

_OptionalId = Annotated[int, Meta(ge=NO_ID, le=LARGEST_INTEGER)]
_PublicKey = Annotated[str, Meta(min_length=64, max_length=64)]
_Nonce = Annotated[str, Meta(min_length=16, max_length=16, pattern=r"^[0-9a-f]*\Z")]
_Version = Annotated[int, Meta(ge=1, le=LARGEST_INTEGER)]


class ThisIsMe(Message, tag="thisisme"):
    """The first message of each end of a link: who speaks and where it listens.

    @ivar id: -1 to a tracker by a node that has none yet.
    @ivar port: the listening port; 0 for a node that takes no connections.
    @ivar host: given when the sender knows where others reach it; else it is the connection's.
    @ivar key: the sender's public key.
    @ivar kind: what others may ask the tracker for that look for a node such as the sender.
    @ivar udp: where the sender takes datagrams, on the same host; 0 for nowhere.
    """

    id: _OptionalId
    port: Port
    key: _PublicKey
    host: Host | None = None
    version: _Version = 2
    kind: Word | None = None
    udp: Port = 0

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
    @ivar kind: only a node that says it is of this kind; if there is none, only one that says nothing of the sort.
    """

    have: Annotated[tuple[NodeId, ...], Meta(max_length=MOST_NAMED_IN_REQUEST)] = ()
    kind: Word | None = None


class NodeReply(Message, tag="nodereply"):
    """A tracker's answer: a node and where it listens, or nothing when there is no other.

    @ivar kind: what was asked for.
    @ivar udp: where on the same host it takes datagrams; 0 for nowhere.
    """

    id: NodeId | None = None
    host: Host | None = None
    port: Port | None = None
    kind: Word | None = None
    udp: Port = 0

    def __post_init__(self) -> None:
        if self.host is not None:
            check_host(self.host)


class Knock(Message, tag="knock"):
    """Asks for the cookie without which the receiver takes no datagrams from the sender.

    @ivar nonce: random; the answer repeats it.
    @ivar pad: nothing. The question must be as long as the answer, lest strangers have others flooded.
    """

    nonce: _Nonce
    pad: Annotated[str, Meta(max_length=64)] = ""


class Cookie(Message, tag="cookie"):
    """The answer to C{knock}.

    @ivar give: what to show in the key C{cookie} of each datagram from now on.
    """

    nonce: _Nonce
    give: _Nonce


class Stale(Message, tag="stale"):
    """A datagram came without a cookie that is right, and was not taken.

    @ivar was: the cookie that it showed; who has shown another cannot be meant.
    """

    was: _Nonce | None = None
