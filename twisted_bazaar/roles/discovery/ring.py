"""Finding by a ring: a node is a member of it, or a guest that only asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self

from attrs import evolve
from twisted.internet.interfaces import IStreamClientEndpoint

from twisted_bazaar.discovery.index.client.search import IndexAnswers, IndexSearch
from twisted_bazaar.discovery.ring.rules.identifiers import USUAL_BITS
from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import IAnswers, ICatalogue, IDiscovery, INode, IOffers, IRole
from twisted_bazaar.roles.discovery.method import DiscoveryContext, DiscoveryMethod
from twisted_bazaar.roles.ring.finder import RingFinder
from twisted_bazaar.roles.ring.options import BITS, JOIN, MEMBER, RING_OPTIONS, read_replicas, read_settings
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.joining import Asked
from twisted_bazaar.values.needs import FEW_LINKS, FIND_OUT_SOON

_ROLE: Final = "ring_peer"
_ASKED: Final = Asked("ring member", "ring member", "a ring member", "a ring", _ROLE, MEMBER, "--join")


class RingMethod(DiscoveryMethod):
    """Goods and files are found by a ring, of which this node is a member, or a guest.

    @param join: where a member of the ring listens; None to begin one.
    @param about: what else L{RingFinder} is to know.
    """

    name = "ring"
    options: ClassVar[Sequence[Option]] = RING_OPTIONS
    command_options: ClassVar[Sequence[Option]] = (
        evolve(JOIN, help=f"Where a member of the ring listens, such as {MEMBER}.", shown=None),
        evolve(BITS, default=f"{USUAL_BITS}", shown=None),
    )
    asked: ClassVar[Asked] = _ASKED
    nobody_asked: ClassVar[str | None] = (
        "no member of a ring could be asked; say where one listens, with --join tcp:HOST:PORT"
    )
    limits: ClassVar[Mapping[str, Any]] = {**FEW_LINKS, **FIND_OUT_SOON}

    def __init__(self, join: IStreamClientEndpoint | Address | str | None = None, **about: Any) -> None:
        self.finder: RingFinder = RingFinder(join, **about)
        self.roles: Sequence[IRole] = (self.finder,)

    @classmethod
    def from_options(cls, options: OptionValues, context: DiscoveryContext) -> Self:
        """Make it as options say.

        @raise UsageError: they do not go together, or cannot be.
        """
        if _ROLE in context.roles:
            raise UsageError(f"--via {cls.name}: --role {_ROLE} has the node's place on a ring already; run two nodes")
        settings = read_settings(options)
        join: str | None = options["join"]
        return cls(
            None if join is None else context.endpoint(join, _ASKED),
            settings=settings,
            replicas=read_replicas(options, settings),
            is_client=context.is_client,
            observer=context.observer,
        )

    @classmethod
    def places(cls, options: OptionValues) -> Sequence[str]:
        """The endpoint of a member.

        @raise UsageError: none is named, or what is said of the ring cannot be.
        """
        # Told before anything begins: whoever asks for places has not run the reactor yet.
        read_replicas(options, read_settings(options))
        if options["join"] is None:
            raise UsageError(f"--via ring: say where a member of the ring listens, with --join such as {MEMBER}")
        return (options["join"],)

    def make_discovery(self, node: INode, gather_s: float) -> IDiscovery:
        """Make what looks for goods."""
        return IndexSearch(node, self.finder.search, gather_s)

    def make_answers(self, node: INode, shelf: IOffers) -> IAnswers:
        """Make what lets a shelf be found."""
        return IndexAnswers(node, self.finder.search, shelf)

    def make_catalogue(self) -> ICatalogue:
        """The catalogue that finds files."""
        return self.finder.search
