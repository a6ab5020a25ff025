"""Finding by super peers: two of them take a node, and ask each other what it asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self

from twisted.internet.interfaces import IStreamClientEndpoint

from twisted_bazaar.discovery.index.client.search import IndexAnswers, IndexSearch
from twisted_bazaar.discovery.superpeer.leaf.leaf import Leaf
from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import IAnswers, ICatalogue, IDiscovery, INode, IOffers, IRole
from twisted_bazaar.roles.discovery.method import DiscoveryContext, DiscoveryMethod
from twisted_bazaar.roles.super_peer import KIND, SuperPeer
from twisted_bazaar.settings.endpoints import UsualPort
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.joining import Asked, JoinObserver
from twisted_bazaar.values.needs import FEW_LINKS, FIND_OUT_SOON

_ASKED: Final = Asked(
    "super peer", "super peer", "a super peer", "a super peer", KIND, UsualPort.SUPER_PEER.to_connect, "--super"
)
_SUPER: Final = Option("super", "Where a super peer listens.", "ENDPOINT", is_many=True, shown=_ASKED.usual)
_MAY_LEAD: Final = Option("may-lead", "Become a super peer itself when there are too few.")
_TRACKER: Final = "tracker"


class SuperPeerMethod(DiscoveryMethod):
    """Goods and files are found by asking super peers, which ask each other.

    @param super_peers: where the first ones are; more are learnt from them, and from a tracker.
    @param may_lead: whether this node becomes a super peer itself when there are too few.
    @param dormant: the super peer that it becomes then, with options of its own.
    @param observer: told when one takes this node.
    """

    name = "superpeer"
    options: ClassVar[Sequence[Option]] = (_SUPER, _MAY_LEAD)
    command_options: ClassVar[Sequence[Option]] = (_SUPER,)
    asked: ClassVar[Asked] = _ASKED
    nobody_asked: ClassVar[str | None] = "no super peer could be asked; start one with --role super_peer"
    limits: ClassVar[Mapping[str, Any]] = {**FEW_LINKS, **FIND_OUT_SOON}

    def __init__(
        self,
        super_peers: Sequence[IStreamClientEndpoint | Address] = (),
        *,
        may_lead: bool = False,
        dormant: SuperPeer | None = None,
        observer: JoinObserver | None = None,
    ) -> None:
        self.super_peer: SuperPeer | None = SuperPeer.dormant() if may_lead and dormant is None else dormant
        lead = None if self.super_peer is None else self.super_peer.lead
        self.leaf: Leaf = Leaf(super_peers, lead=lead, observer=observer)
        self.roles: Sequence[IRole] = (self.leaf,) if self.super_peer is None else (self.leaf, self.super_peer)

    @classmethod
    def from_options(cls, options: OptionValues, context: DiscoveryContext) -> Self:
        """Make it as options say.

        @raise UsageError: they do not go together, or name no endpoints.
        """
        if KIND in context.roles:
            raise UsageError(f"--via {cls.name} is for weak peers, and --role {KIND} is none; run two nodes")
        may_lead = bool(options.get(_MAY_LEAD.name))
        if may_lead and options["listen"] == "none":
            raise UsageError(f"--{_MAY_LEAD.name} goes with --listen; a node that does not listen cannot lead")
        asks_tracker = _TRACKER in options and options.is_meant(_TRACKER, context.roles) and options[_TRACKER] != "none"
        # A tracker names some.
        places = () if asks_tracker and not options["super"] else cls.places(options)
        return cls(
            [context.endpoint(place, cls.asked) for place in places], may_lead=may_lead, observer=context.observer
        )

    @classmethod
    def places(cls, options: OptionValues) -> Sequence[str]:
        """The endpoints of super peers."""
        return list(dict.fromkeys(options["super"])) or [_ASKED.usual]

    def make_discovery(self, node: INode, gather_s: float) -> IDiscovery:
        """Make what looks for goods."""
        return IndexSearch(node, self.leaf, gather_s)

    def make_answers(self, node: INode, shelf: IOffers) -> IAnswers:
        """Make what lets a shelf be found."""
        return IndexAnswers(node, self.leaf, shelf)

    def make_catalogue(self) -> ICatalogue:
        """The catalogue that finds files."""
        return self.leaf
