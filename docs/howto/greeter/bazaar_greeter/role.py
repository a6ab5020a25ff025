"""A role that greets: it says hello to each node that is newly linked, and tells who says hello to it."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from twisted_bazaar.errors import UsageError
from twisted_bazaar.plugin import RoleContext
from twisted_bazaar.role import Role
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.values.addresses import Origin, Peer
from twisted_bazaar.wire.message import Message

LONGEST_GREETING: Final = 100


class Hello(Message, tag="hello"):
    """A greeting. Never answered.

    @ivar words: what is said, 1 to 100 characters.
    """

    words: Annotated[str, Meta(min_length=1, max_length=LONGEST_GREETING)]


def parse_words(text: str, option: str) -> str:
    """Read a greeting.

    @raise UsageError: it is empty or too long.
    """
    if not 1 <= len(text) <= LONGEST_GREETING:
        raise UsageError(f"{option} takes 1 to {LONGEST_GREETING} characters, not {len(text)}")
    return text


OPTIONS: Final = (
    Option("words", "What to say to each node that is newly linked.", "WORDS", "hello", read=parse_words),
)


class Greeter(Role):
    """Says hello.

    @param words: how.
    """

    def __init__(self, words: str) -> None:
        self._words = words
        self.receives = {Hello: self._hello_received}

    def peer_joined(self, peer: Peer) -> None:
        """Greet a node that is newly linked, over that link."""
        self.node.send(Hello(words=self._words), (self.node.id, peer.id))

    def _hello_received(self, hello: Hello, origin: Origin) -> None:
        self.node.report("greeted", "node {sender} says {words!r}", sender=origin.id, words=hello.words)


def make_role(options: OptionValues, context: RoleContext) -> Greeter:
    """Make a greeter from its options."""
    return Greeter(options["words"])
