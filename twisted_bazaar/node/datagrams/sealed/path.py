"""A path to another node, and a session on it. Sans-IO."""

from __future__ import annotations

from attrs import Factory, define, field

from twisted_bazaar.node.datagrams.sealed import packets
from twisted_bazaar.security.noise.datagram_session import DatagramSession
from twisted_bazaar.values.addresses import Address

Where = tuple[str, int]


@define(eq=False)
class Opened:
    """A session, under the name by which what is sealed in it comes.

    @ivar theirs: its name at the other end.
    @ivar head: what all that is sealed for that end begins with.
    @ivar is_proven: whether the other end has shown that it has the keys.
    """

    path: Path
    theirs: bytes
    session: DatagramSession
    is_proven: bool
    head: bytes = field(init=False, default=Factory(lambda self: packets.SEALED.make(self.theirs), takes_self=True))


@define(eq=False)
class Path:
    """The way to the node with a key at an address.

    @ivar key: None until it is known.
    @ivar cookie: what that address gave.
    @ivar shown_until: how long the cookie is shown.
    @ivar opened: the session that is used.
    @ivar pending: one that the other end has begun, and in which it has not spoken.
    @ivar attempt: the name of what is under way.
    @ivar waiting: what goes when it can, and whether it is a question.
    @ivar was_answered: whether a question was answered there without a session.
    @ivar is_doubted: whether the session is said to be lost, and there is no other yet.
    @ivar doubted_at: when that was said last.
    @ivar due: by when all that has come from there would have come at the greatest rate allowed.
    @ivar address: where it leads.
    """

    where: Where
    key: str | None
    cookie: bytes | None = None
    shown_until: float = 0.0
    opened: Opened | None = None
    pending: Opened | None = None
    attempt: bytes = b""
    waiting: list[tuple[bytes, bool]] = field(factory=list)
    was_answered: bool = False
    is_doubted: bool = False
    doubted_at: float = float("-inf")
    due: float = 0.0
    address: Address = field(init=False, default=Factory(lambda self: Address(*self.where), takes_self=True))

    def has_cookie(self, now: float) -> bool:
        """Whether it has a cookie to show there."""
        return self.cookie is not None and now < self.shown_until
