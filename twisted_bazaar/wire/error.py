"""The error message: what went wrong, about links and about everything that goes over them. Sans-IO."""

from __future__ import annotations

from typing import Final, Self

from twisted_bazaar.errors import PeerError
from twisted_bazaar.wire.message import Message, MessageId, NodeId, QueryId, Routed, Text, Word

_LONGEST_INFO: Final = 500


class Error(Routed, tag="error", kw_only=True):
    """Something went wrong. Never answered.

    @ivar code: for the program; see L{twisted_bazaar.errors}.
    @ivar info: for people.
    @ivar about: the wire name of the message this is about.
    @ivar id: the id in that message, if it is a number.
    @ivar query: the id in that message, if it is the text by which super peers know a search.
    @ivar hop: with C{noroute}, the node that could not be reached; with C{linked}, the node that says so.
    """

    code: Word
    info: Text = ""
    about: Word | None = None
    id: MessageId | None = None
    query: QueryId | None = None
    hop: NodeId | None = None

    @property
    def reason(self) -> str:
        """The info in a form that a terminal or a log can be shown: a stranger wrote it."""
        return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in self.info)

    @classmethod
    def telling(cls, fault: PeerError, about: Message | str | None = None, hop: int | None = None) -> Self:
        """Make the message that tells a peer of a fault.

        @param about: the message at fault, or its wire name when it could not be read.
        """
        name = about.wire_name if isinstance(about, Message) else about
        named = getattr(about, "id", None) if isinstance(about, Message) else getattr(fault, "about_id", None)
        return cls(
            code=fault.code,
            info=str(fault)[:_LONGEST_INFO],
            about=name or None,
            id=named if isinstance(named, int) else None,
            query=named if isinstance(named, str) else None,
            hop=hop,
        )
