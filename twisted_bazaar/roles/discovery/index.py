"""Finding by an index server, which is the node's tracker too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, Self

from attrs import evolve
from twisted.internet.interfaces import IStreamClientEndpoint

from twisted_bazaar.discovery.index.client.member import IndexMember
from twisted_bazaar.discovery.index.client.search import IndexAnswers, IndexSearch
from twisted_bazaar.interfaces import IAnswers, ICatalogue, IDiscovery, INode, IOffers, IRole
from twisted_bazaar.roles.discovery.method import DiscoveryContext, DiscoveryMethod
from twisted_bazaar.settings.endpoints import UsualPort
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.values.joining import Asked, JoinObserver

_ASKED: Final = Asked(
    "index server",
    "index",
    "an index server",
    "an index server",
    "index_server",
    UsualPort.INDEX_SERVER.to_connect,
    "--index",
)
_INDEX: Final = Option(
    "index", "Where the index server listens, which is the node's tracker too.", "ENDPOINT", _ASKED.usual
)


class IndexMethod(DiscoveryMethod):
    """Goods and files are found by asking an index server.

    @param registrar: where the server is; None if that is told to the node.
    @param observer: told when it is there.
    """

    name = "index"
    options: ClassVar[Sequence[Option]] = (_INDEX,)
    command_options: ClassVar[Sequence[Option]] = (evolve(_INDEX, help="Where the index server listens."),)
    asked: ClassVar[Asked] = _ASKED
    gives_ids = True
    nobody_asked: ClassVar[str | None] = (
        "no index server was reached: start one with --role index_server, and name it with --index"
    )
    lists_everything = True

    def __init__(self, registrar: IStreamClientEndpoint | None = None, *, observer: JoinObserver | None = None) -> None:
        self.registrar: IStreamClientEndpoint | None = registrar
        self._member = IndexMember(observer)
        self.roles: Sequence[IRole] = (self._member,)

    @property
    def is_with_stranger(self) -> bool:  # type: ignore[override] # it changes, and nobody sets it from outside
        """Whether what is linked is no index server."""
        return self._member.is_with_stranger

    @classmethod
    def from_options(cls, options: OptionValues, context: DiscoveryContext) -> Self:
        """Make it as options say.

        @raise UsageError: what they say is no endpoint of one.
        """
        return cls(context.endpoint(options["index"], _ASKED), observer=context.observer)

    def make_discovery(self, node: INode, gather_s: float) -> IDiscovery:
        """Make what looks for goods."""
        return IndexSearch(node, self._member, gather_s)

    def make_answers(self, node: INode, shelf: IOffers) -> IAnswers:
        """Make what lets a shelf be found."""
        return IndexAnswers(node, self._member, shelf)

    def make_catalogue(self) -> ICatalogue:
        """The catalogue that finds files."""
        return self._member
