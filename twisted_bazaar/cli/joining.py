"""A node that lives as long as one command: joined to an index server, it finds and fetches, and serves meanwhile."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, Final, TypeVar, cast

import click
from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError, ConnectingCancelledError
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.cli.programs import how_to_call
from twisted_bazaar.cli.refusal import Denial
from twisted_bazaar.errors import UsageError
from twisted_bazaar.files.content import IPart
from twisted_bazaar.interfaces import ICatalogue, INode, IRole
from twisted_bazaar.journal import Journal
from twisted_bazaar.plugin import WAY
from twisted_bazaar.roles.fetcher import Fetcher
from twisted_bazaar.roles.ways import make_way
from twisted_bazaar.service import NodeService, build_node, client_endpoint, parse_address, server_endpoint
from twisted_bazaar.state import SOCKET, STATE, StateDirectory

INDEX: Final = "tcp:127.0.0.1:9100"
_JOIN_S: Final = 10.0
_HERE: Final = "tcp:0:interface=127.0.0.1"
_EVERYWHERE: Final = "tcp:0"
_LOCAL: Final = (":127.", ":localhost:", ":[::1]", "=127.", "=localhost")

_Command = TypeVar("_Command", bound=Callable[..., Any])


@frozen
class Member:
    """A node of this process that has joined.

    @ivar node: the node.
    @ivar fetcher: what it carries.
    """

    node: INode
    fetcher: Fetcher


def _tell_nobody(event: str, details: Mapping[str, Any]) -> None:
    """What is told where nobody listens."""


def fetching_nothing(catalogue: ICatalogue) -> Fetcher:
    """What a node carries that only asks."""
    return Fetcher(catalogue, lambda node: _no_part)


async def _no_part(name: str, digest: str, overwrite: bool) -> IPart:
    raise UsageError("nothing is fetched here")


@frozen
class Membership:
    """Which index a command joins, and how.

    @ivar via: the way of finding.
    @ivar index: the endpoint of the index server.
    @ivar listen: where to take connections; None to choose.
    @ivar advertise: where others reach that.
    @ivar join_s: how long to wait for the index.
    """

    via: str = "index"
    index: str = INDEX
    listen: str | None = None
    advertise: str | None = None
    join_s: float = _JOIN_S

    @asynccontextmanager
    async def join(
        self,
        reactor: Any,
        make_fetcher: Callable[[ICatalogue], Fetcher],
        *,
        listens: bool = True,
        state: StateDirectory | None = None,
        late: Callable[[str], object] | None = None,
        told: Journal = _tell_nobody,
    ) -> AsyncIterator[Member]:
        """Be a member of the network for a while.

        @param make_fetcher: makes what the node carries.
        @param listens: whether it takes connections.
        @param state: what outlives it; None for nothing.
        @param late: told why when the index does not answer at once; without it, that is the end.
        @param told: told of what the node reports.
        @raise UsageError: an option cannot be.
        @raise Denial: the index does not answer, or there is no listening there.
        """
        joining = _Joining(self, reactor, make_fetcher, late)
        service = joining.build(listens, state, told)
        try:
            try:
                await service.open()
            except (CannotListenError, OSError) as error:
                raise Denial(f"cannot listen: {str(error).rstrip('.')}; choose another --listen") from None
            if late is None:
                await joining.done(self.join_s)
            yield joining.member
        finally:
            await service.stopService()

    def where_to_listen(self) -> str:
        """The endpoint to take connections at: open to other machines where the index is on another one."""
        if self.listen is not None:
            return self.listen
        return _HERE if _is_local(self.index) else _EVERYWHERE


class _Joining:
    """A node on its way to an index."""

    def __init__(
        self,
        wish: Membership,
        reactor: Any,
        make_fetcher: Callable[[ICatalogue], Fetcher],
        late: Callable[[str], object] | None,
    ) -> None:
        self._wish = wish
        self._reactor = reactor
        way = self._way = make_way(wish.via)
        catalogue = way.catalogue()
        if catalogue is None:
            raise UsageError(f"files are not found by --via {wish.via}; write --via index --index tcp:HOST:PORT")
        self._fetcher = make_fetcher(catalogue)
        self._roles: Sequence[IRole] = [*way.roles, self._fetcher]
        self._late = late
        self._answer: Deferred[str | None] = Deferred()
        self._fetcher.joined.addCallback(self._answered)

    @property
    def member(self) -> Member:
        """What has come of it."""
        return Member(self._node, self._fetcher)

    def build(self, listens: bool, state: StateDirectory | None, told: Journal) -> NodeService:
        """What runs the node.

        @raise UsageError: an option cannot be.
        """
        wish, reactor = self._wish, self._reactor
        index = client_endpoint(reactor, wish.index, "--index")
        if index is None:
            raise UsageError(f"--index {wish.index}: write where an index server listens, such as {INDEX}")
        settings = {STATE: state, WAY: self._way}
        self._node = build_node(settings, self._roles, reactor, _Reported(index, self._not_connected), told)
        return NodeService(
            reactor,
            self._node,
            server_endpoint(reactor, wish.where_to_listen()) if listens else None,
            parse_address(wish.advertise, "--advertise") if wish.advertise else None,
            self._roles,
            None if state is None else state.path / SOCKET,
            lambda status: None,
        )

    async def done(self, within_s: float) -> None:
        """Wait until the index has answered.

        @raise Denial: it does not.
        """
        timer = self._reactor.callLater(within_s, self._answered, f"no answer within {within_s:g} s")
        try:
            reason = await self._answer
        finally:
            if timer.active():
                timer.cancel()
        if reason is not None:
            where = where_an_index_listens(self._wish.index)
            start = f"{how_to_call('twistd')} -n bazaar-node --role index_server --listen {where}"
            raise Denial(f"no index server at {self._wish.index}: {reason}; is it running? {start}")

    def _answered(self, reason: str | None) -> None:
        if not self._answer.called:
            self._answer.callback(reason)

    def _not_connected(self, reason: str) -> None:
        if self._late is not None and not self._answer.called:
            self._late(reason)
        self._answered(reason)


@implementer(IStreamClientEndpoint)
class _Reported:
    """An endpoint that tells when nobody is there.

    @param failed: told why.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, failed: Callable[[str], object]) -> None:
        self._endpoint = endpoint
        self._failed = failed

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """Connect."""
        connecting: Deferred[Any] = self._endpoint.connect(factory)
        return connecting.addErrback(self._tell)

    def _tell(self, failure: Failure) -> Failure:
        if failure.check(CancelledError, ConnectingCancelledError) is None:
            number = getattr(failure.value, "osError", None)
            # Twisted says it twice.
            self._failed(os.strerror(number) if isinstance(number, int) else failure.getErrorMessage().rstrip("."))
        return failure


def where_an_index_listens(index: str) -> str:
    """Where an index server would have to listen to be there: open to nobody else where it is for this machine."""
    words = [word.rpartition("=")[2] for word in index.split(":")]
    port = next((word for word in words if word.isdigit()), "9100")
    return f"tcp:{port}:interface=127.0.0.1" if _is_local(index) else f"tcp:{port}"


def _is_local(index: str) -> bool:
    """Whether an index is one for this machine only."""
    return any(sign in index for sign in _LOCAL)


def finds_files(command: _Command) -> _Command:
    """Adds the options by which an index is chosen: parameter C{membership} of the command."""

    @wraps(command)
    def with_membership(*args: Any, via: str, index: str, **options: Any) -> Any:
        wish = Membership(via, index, options.pop("listen", None), options.pop("advertise", None))
        return command(*args, membership=wish, **options)

    decorated: Any = with_membership
    for option, usual, metavar, text in (
        ("--index", INDEX, "ENDPOINT", "Where the index server listens."),
        ("--via", "index", "WAY", "How files are found."),
    ):
        decorated = click.option(option, default=usual, metavar=metavar, help=f"{text}  [{usual}]")(decorated)
    return cast("_Command", decorated)


def takes_connections(command: _Command) -> _Command:
    """Adds the options of a command whose node serves others; they end in its membership."""
    for option, metavar, text in (
        ("--advertise", "HOST:PORT", "Where others reach this node, if not where it listens."),
        ("--listen", "ENDPOINT", "Where to take connections.  [a free port, for this machine only if the index is]"),
    ):
        command = click.option(option, metavar=metavar, help=text)(command)
    return command
