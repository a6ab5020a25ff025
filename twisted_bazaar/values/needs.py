"""Needs of a role: what it asks of the node that carries it."""

from __future__ import annotations

from attrs import frozen


@frozen
class UdpNeed:
    """A need to take datagrams, and what the user is told who has said otherwise.

    @ivar beside_links: whether they are taken at the number where links are, because people tell each other one number
        for both; if not, any port that is free will do.
    @ivar no_udp: why it cannot be without them, and what to do.
    @ivar no_links: the same of links; None if it can be without those.
    """

    beside_links: bool
    no_udp: str
    no_links: str | None = None
