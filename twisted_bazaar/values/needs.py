"""Needs of a role: what it asks of the node that carries it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

MOST_DIRECT_LINKS: Final = 256
FEW_LINKS: Final[Mapping[str, Any]] = {"min_links": 0, "max_links": MOST_DIRECT_LINKS}
"""Limits of a node to which no search comes by its links: each is to one node, for a while."""
FIND_OUT_SOON: Final[Mapping[str, Any]] = {"ping_s": 2.5, "silence_s": 7.5}
"""Limits of those who must find out soon that somebody has died: leaves and super peers."""


@frozen
class UdpNeed:
    """A need to take datagrams, and what the user is told who has said otherwise.

    They are taken at the number where links are: people tell each other one number for both.

    @ivar no_udp: why it cannot be without them, and what to do.
    @ivar no_links: the same of links; None if it can be without those.
    """

    no_udp: str
    no_links: str | None = None
