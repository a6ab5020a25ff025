"""A way to find: the base of all, which finds nothing and needs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

from attrs import field, frozen
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

from twisted_bazaar.errors import UsageError
from twisted_bazaar.interfaces import IAnswers, ICatalogue, IDiscovery, IDiscoveryMethod, INode, IOffers, IRole
from twisted_bazaar.settings.endpoints import client_endpoint
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.values.joining import Asked, JoinObserver
from twisted_bazaar.values.needs import FEW_LINKS


def _not_observed(place: str, endpoint: IStreamClientEndpoint) -> IStreamClientEndpoint:
    return endpoint


@frozen
class DiscoveryContext:
    """The node for which a way to find is made.

    @ivar reactor: what it runs on.
    @ivar roles: the names of its roles.
    @ivar is_client: whether it only asks, for as long as one command takes.
    @ivar observer: told how it joins.
    @ivar observed: lets somebody hear whether anybody is at an endpoint, whose text is the first argument.
    """

    reactor: Any
    roles: Sequence[str] = ()
    is_client: bool = False
    observer: JoinObserver = field(factory=JoinObserver)
    observed: Callable[[str, IStreamClientEndpoint], IStreamClientEndpoint] = _not_observed

    def endpoint(self, text: str, asked: Asked) -> IStreamClientEndpoint:
        """The endpoint of one of those who are asked.

        @param text: as the user has written it.
        @raise UsageError: it is no endpoint.
        """
        endpoint = client_endpoint(self.reactor, text, asked.option, asked.usual)
        if endpoint is None:
            raise UsageError(f"{asked.option} {text}: write where {asked.one_of} listens, such as {asked.usual}")
        return self.observed(text, endpoint)


def no_goods(method: str) -> UsageError:
    """The refusal of a way to find by which goods are not found, to be raised.

    @param method: its name.
    """
    return UsageError(f"goods are not found by --via {method}; choose another way, such as --via flood")


@implementer(IDiscoveryMethod)
class DiscoveryMethod:
    """A way to find, made once for a node: a base that finds nothing.

    What is said of it in general stands in the class, for those who have none yet; see L{IDiscoveryMethod}.

    @cvar options: those of its own that a daemon has.
    @cvar command_options: those of its own that a command has which finds files.
    """

    name: ClassVar[str]
    options: ClassVar[Sequence[Option]] = ()
    command_options: ClassVar[Sequence[Option]] = ()
    asked: ClassVar[Asked | None] = None
    needs_links: ClassVar[bool] = False
    gives_ids: ClassVar[bool] = False
    is_with_stranger: bool = False
    nobody_asked: ClassVar[str | None] = None
    finds_files: ClassVar[bool] = True
    lists_everything: ClassVar[bool] = False
    limits: ClassVar[Mapping[str, Any]] = FEW_LINKS
    registrar: IStreamClientEndpoint | None = None
    roles: Sequence[IRole] = ()

    @property
    def finds_goods(self) -> bool:
        """Whether goods are found by it: it says what looks for them."""
        return type(self).make_discovery is not DiscoveryMethod.make_discovery

    @classmethod
    def from_options(cls, options: OptionValues, context: DiscoveryContext) -> Self:
        """Make it as the options of a daemon, or of a command, say.

        @raise UsageError: they do not go together.
        """
        return cls()

    @classmethod
    def places(cls, options: OptionValues) -> Sequence[str]:
        """The endpoints where those listen who are asked.

        @raise UsageError: none is named, and there is no usual one.
        """
        return () if cls.asked is None else (options[cls.asked.option.removeprefix("--")],)

    def make_discovery(self, node: INode, gather_s: float) -> IDiscovery:
        """Make what looks for goods.

        @raise UsageError: goods are not found in this way.
        """
        raise no_goods(self.name)

    def make_answers(self, node: INode, shelf: IOffers) -> IAnswers:
        """Make what lets a shelf be found.

        @raise UsageError: goods are not found in this way.
        """
        raise no_goods(self.name)

    def make_catalogue(self) -> ICatalogue | None:
        """The catalogue that finds files; None where files are not found."""
        return None
