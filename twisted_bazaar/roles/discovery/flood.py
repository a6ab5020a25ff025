"""Finding by flooding: a search goes to everybody within reach; a tracker names the first neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from twisted_bazaar.discovery.flood.search import FloodAnswers, FloodSearch
from twisted_bazaar.interfaces import IAnswers, IDiscovery, INode, IOffers
from twisted_bazaar.roles.discovery.method import DiscoveryMethod


class FloodMethod(DiscoveryMethod):
    """Goods are found by asking everybody within reach; files are not found."""

    name = "flood"
    needs_links = True
    nobody_asked: ClassVar[str | None] = (
        "no tracker was reached: start one with twistd -n bazaar-tracker, and name it with --tracker"
    )
    finds_files = False
    limits: ClassVar[Mapping[str, Any]] = {}

    def make_discovery(self, node: INode, gather_s: float) -> IDiscovery:
        """Make what looks for goods."""
        return FloodSearch(node, gather_s)

    def make_answers(self, node: INode, shelf: IOffers) -> IAnswers:
        """Make what lets a shelf be found."""
        return FloodAnswers(node, shelf)
