"""The interface from a link up to the node that it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from twisted.internet.interfaces import IProtocol, IReactorTime

from twisted_bazaar.node.control import ThisIsMe, ThisIsYou
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.links.link_bytes import LinkBytes
from twisted_bazaar.node.links.read_budget import ReadBudget
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.message import Message

L = TypeVar("L", contravariant=True)


class LinkOwner(Protocol[L]):
    """The interface from a link to the node it belongs to; C{L} is the class of the link."""

    limits: Limits
    clock: IReactorTime
    codec: Codec
    trace: Callable[[Peer | None, Message], None] | None
    is_tracker: bool
    turn: ReadBudget
    link_bytes: LinkBytes

    def greeting(self) -> ThisIsMe:
        """This node's own C{thisisme}."""

    def welcome(self, link: L, greeting: ThisIsMe | ThisIsYou) -> tuple[Peer, Message | None]:
        """Judge who the other end says it is.

        @return: the peer, and what to answer if the other end dialled.
        @raise PeerError: it is not wanted; it is told why, and the link closes.
        """

    def is_opening(self, message: Message) -> bool:
        """Whether a connection may begin with this that is to be no link."""

    def find_opening(self, link: L, message: Message) -> IProtocol | None:
        """Give a connection to the role that its first message is for; None if no role wants it."""

    def link_opened(self, link: L) -> None:
        """The handshake is done."""

    def link_closed(self, link: L) -> None:
        """Nothing more can be sent or received, though the socket may be open a moment longer."""

    def link_lost(self, link: L) -> None:
        """The socket is closed, whether the link ever opened or not."""

    def message_received(self, link: L, message: Message) -> None:
        """A message came over an open link."""

    def deadline_set(self, at: float) -> None:
        """The link wants its C{check} called at this time or earlier."""
