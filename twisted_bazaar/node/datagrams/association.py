"""An address that datagrams are exchanged with, and the cookies of both. Sans-IO."""

from __future__ import annotations

from attrs import define

from twisted_bazaar.node.datagrams.streaming import Where
from twisted_bazaar.values.addresses import Address


@define(eq=False)
class Association:
    """An address that datagrams are exchanged with.

    @ivar where: what the transport calls it.
    @ivar endings: how datagrams from there end that show a cookie which is right.
    @ivar endings_until: when they are no longer the same.
    @ivar given: the cookie that it gave; None while there is none.
    @ivar suffix: how datagrams to there end; None while no cookie was given, or it may not know this node's.
    @ivar renew_at: when to ask for another.
    @ivar trusted_until: when not to count on it any more.
    @ivar due: by when all that has come from there would have come at the greatest rate allowed.
    """

    address: Address
    where: Where
    endings: tuple[bytes, bytes]
    endings_until: float
    given: str | None = None
    suffix: bytes | None = None
    renew_at: float = 0.0
    trusted_until: float = 0.0
    due: float = 0.0
