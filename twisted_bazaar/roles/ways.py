"""The ways of finding that C{--via} names, each joined to what a node has to carry for it.

A way is made once for a node. Its roles get it from their options, and so do not know which it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

from twisted_bazaar.discovery.flood.search import FloodAnswers, FloodSearch
from twisted_bazaar.discovery.index.client.member import IndexMember
from twisted_bazaar.discovery.index.client.search import IndexAnswers, IndexSearch
from twisted_bazaar.discovery.superpeer.leaf.leaf import Leaf
from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import IAnswers, ICatalogue, IDiscovery, IDiscoveryMethod, INode, IOffers, IRole
from twisted_bazaar.plugin import WAY as WAY
from twisted_bazaar.roles.ring.finder import RingFinder
from twisted_bazaar.roles.super_peer import SuperPeer
from twisted_bazaar.values.addresses import Address


@implementer(IDiscoveryMethod)
class FloodWay:
    """Goods are found by asking everybody within reach; files are not found."""

    name = "flood"
    needs_links = True
    registrar = "tracker"
    roles: Sequence[IRole] = ()

    def search(self, node: INode, gather_s: float) -> IDiscovery:
        """What looks for goods."""
        return FloodSearch(node, gather_s)

    def answers(self, node: INode, shelf: IOffers) -> IAnswers:
        """What lets a shelf be found."""
        return FloodAnswers(node, shelf)

    def catalogue(self) -> ICatalogue | None:
        """Nothing: files are not found in this way."""
        return None


@implementer(IDiscoveryMethod)
class IndexWay:
    """Goods and files are found by asking an index server, which is the node's tracker too."""

    name = "index"
    needs_links = False
    registrar = "index"

    def __init__(self) -> None:
        self._member = IndexMember()
        self.roles: Sequence[IRole] = (self._member,)

    def search(self, node: INode, gather_s: float) -> IDiscovery:
        """What looks for goods."""
        return IndexSearch(node, self._member, gather_s)

    def answers(self, node: INode, shelf: IOffers) -> IAnswers:
        """What lets a shelf be found."""
        return IndexAnswers(node, self._member, shelf)

    def catalogue(self) -> ICatalogue | None:
        """What finds files."""
        return self._member


@implementer(IDiscoveryMethod)
class SuperPeerWay:
    """Goods and files are found by asking super peers, which ask each other.

    @param super_peers: where the first ones are; more are learnt from them, and from a tracker.
    @param may_lead: whether this node becomes a super peer itself when there are too few.
    """

    name = "superpeer"
    needs_links = False
    registrar = None

    def __init__(self, super_peers: Sequence[IStreamClientEndpoint | Address] = (), *, may_lead: bool = False) -> None:
        self.super_peer: SuperPeer | None = SuperPeer.dormant() if may_lead else None
        self.leaf: Leaf = Leaf(super_peers, lead=None if self.super_peer is None else self.super_peer.lead)
        self.roles: Sequence[IRole] = (self.leaf,) if self.super_peer is None else (self.leaf, self.super_peer)

    def search(self, node: INode, gather_s: float) -> IDiscovery:
        """What looks for goods."""
        return IndexSearch(node, self.leaf, gather_s)

    def answers(self, node: INode, shelf: IOffers) -> IAnswers:
        """What lets a shelf be found."""
        return IndexAnswers(node, self.leaf, shelf)

    def catalogue(self) -> ICatalogue | None:
        """What finds files."""
        return self.leaf


@implementer(IDiscoveryMethod)
class RingWay:
    """Goods and files are found by a ring, of which this node is a member, or a guest.

    @param join: where a member of the ring listens; None to begin one.
    @param about: what else L{RingFinder} is to know.
    """

    name = "ring"
    needs_links = False
    registrar = None

    def __init__(self, join: IStreamClientEndpoint | Address | str | None = None, **about: Any) -> None:
        self.finder: RingFinder = RingFinder(join, **about)
        self.roles: Sequence[IRole] = (self.finder,)

    def search(self, node: INode, gather_s: float) -> IDiscovery:
        """What looks for goods."""
        return IndexSearch(node, self.finder.search, gather_s)

    def answers(self, node: INode, shelf: IOffers) -> IAnswers:
        """What lets a shelf be found."""
        return IndexAnswers(node, self.finder.search, shelf)

    def catalogue(self) -> ICatalogue | None:
        """What finds files."""
        return self.finder.search


WAYS: Final[Mapping[str, Callable[..., IDiscoveryMethod]]] = {
    "flood": FloodWay,
    "index": IndexWay,
    "superpeer": SuperPeerWay,
    "ring": RingWay,
}


def make_way(name: str, **about: Any) -> IDiscoveryMethod:
    """A way of finding, for one node.

    @param about: what the way has to know; see its class.
    @raise UsageError: there is none of this name.
    """
    if name not in WAYS:
        raise UsageError(f"--via {name!r}: write one of {', '.join(WAYS)}")
    return WAYS[name](**about)


def way_of(options: Mapping[str, Any]) -> IDiscoveryMethod:
    """The way that a role is to find by: flooding, if its node was given none."""
    way: IDiscoveryMethod | None = options.get(WAY)
    return way or FloodWay()
