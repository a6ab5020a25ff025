"""A node that lives as long as one command: joined to an index server, or to super peers, it finds and fetches.

Meanwhile it serves to others what has come.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, Final, TypeVar, cast

import click
from attrs import frozen
from click.core import ParameterSource
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError, ConnectingCancelledError
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.cli.asked import Asked, Reason, Unwilling
from twisted_bazaar.cli.refusal import Denial, Refusal
from twisted_bazaar.discovery.superpeer.moorings import FULL, SILENT, STRANGER
from twisted_bazaar.errors import UsageError
from twisted_bazaar.files.content import IPart
from twisted_bazaar.interfaces import ICatalogue, INode, IRole, IWay
from twisted_bazaar.journal import Journal
from twisted_bazaar.plugin import WAY
from twisted_bazaar.roles.fetcher import Fetcher
from twisted_bazaar.roles.ways import make_way
from twisted_bazaar.service import NodeService, build_node, client_endpoint, parse_address, server_endpoint
from twisted_bazaar.state import SOCKET, STATE, StateDirectory
from twisted_bazaar.taps.finding import SUPER, super_peer_at

INDEX: Final = "tcp:127.0.0.1:9100"
_JOIN_S: Final = 10.0
_HERE: Final = "tcp:0:interface=127.0.0.1"
_EVERYWHERE: Final = "tcp:0"
_BY_SUPER_PEERS: Final = "superpeer"
_MOORED: Final = "moored"
_NOT_MOORED: Final = "not_moored"
# Of several reasons, the one that says most about what there is.
_TELLING: Final = (FULL, SILENT, STRANGER)

_Command = TypeVar("_Command", bound=Callable[..., Any])
T = TypeVar("T")


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
    """Which index, or which super peers, a command joins, and how.

    @ivar via: the way of finding.
    @ivar index: the endpoint of the index server.
    @ivar listen: where to take connections; None to choose.
    @ivar advertise: where others reach that.
    @ivar join_s: how long to wait for somebody to ask.
    @ivar super_peers: the endpoints of super peers.
    """

    via: str = "index"
    index: str = INDEX
    listen: str | None = None
    advertise: str | None = None
    join_s: float = _JOIN_S
    super_peers: Sequence[str] = (SUPER,)

    @property
    def asked(self) -> Asked:
        """Whom it asks."""
        return (
            Asked.super_peers(list(dict.fromkeys(self.super_peers)))
            if self.via == _BY_SUPER_PEERS
            else Asked.index(self.index)
        )

    @property
    def lists_everything(self) -> bool:
        """Whether it can be asked for all files there are."""
        return self.via != _BY_SUPER_PEERS

    @asynccontextmanager
    async def join(
        self,
        reactor: Any,
        make_fetcher: Callable[[ICatalogue], Fetcher],
        *,
        listens: bool = True,
        state: StateDirectory | None = None,
        late: Callable[[Reason], object] | None = None,
        told: Journal = _tell_nobody,
    ) -> AsyncIterator[Member]:
        """Be a member of the network for a while.

        @param make_fetcher: makes what the node carries.
        @param listens: whether it takes connections.
        @param state: what outlives it; None for nothing.
        @param late: told why when nobody answers at once; without it, that is the end.
        @param told: told of what the node reports.
        @raise UsageError: an option cannot be.
        @raise Denial: nobody answers, or there is no listening there.
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
        """The endpoint to take connections at: open to other machines where who is asked is on another one."""
        if self.listen is not None:
            return self.listen
        return _HERE if self.asked.is_local else _EVERYWHERE


class _Joining:
    """A node on its way to an index, or to a super peer."""

    def __init__(
        self,
        wish: Membership,
        reactor: Any,
        make_fetcher: Callable[[ICatalogue], Fetcher],
        late: Callable[[Reason], object] | None,
    ) -> None:
        self._wish = wish
        self._reactor = reactor
        self._late = late
        self._connected: set[str] = set()
        self._reasons: dict[str, Reason] = {}
        self._tracker: IStreamClientEndpoint | None = None
        way = self._way = self._make_way()
        catalogue = way.catalogue()
        if catalogue is None:
            raise UsageError(f"files are not found by --via {wish.via}; write --via index --index tcp:HOST:PORT")
        self._fetcher = make_fetcher(catalogue)
        self._roles: Sequence[IRole] = [*way.roles, self._fetcher]
        self._answer: Deferred[Reason | None] = Deferred()
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
        if self._way.registrar is not None:
            index = client_endpoint(reactor, wish.index, "--index")
            if index is None:
                raise UsageError(f"--index {wish.index}: write where an index server listens, such as {INDEX}")
            self._tracker = self._reported(wish.index, index)

        def note(event: str, details: Mapping[str, Any]) -> None:
            if event == _MOORED and not self._fetcher.joined.called:
                self._fetcher.joined.callback(None)
            if event == _NOT_MOORED:
                self._not_taken(wish.asked.places[details["given"]], details["why"], details["reason"])
            told(event, details)

        settings = {STATE: state, WAY: self._way}
        self._node = build_node(settings, self._roles, reactor, self._tracker, note)
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
        """Wait until somebody has answered.

        @raise Denial: it does not.
        """
        timer = self._reactor.callLater(within_s, lambda: self._answered(self._reason(within_s)))
        try:
            reason = await self._answer
        finally:
            if timer.active():
                timer.cancel()
        if reason is not None:
            raise Denial(self._wish.asked.absent(reason))

    def _make_way(self) -> IWay:
        wish = self._wish
        if wish.via != _BY_SUPER_PEERS:
            return make_way(wish.via)
        super_peers = [self._reported(text, super_peer_at(self._reactor, text)) for text in wish.asked.places]
        return make_way(wish.via, super_peers=super_peers)

    def _reported(self, place: str, endpoint: IStreamClientEndpoint) -> IStreamClientEndpoint:
        return _Reported(
            endpoint, lambda: self._connected.add(place), lambda reason: self._not_connected(place, reason)
        )

    def _answered(self, reason: Reason | None) -> None:
        if not self._answer.called:
            self._answer.callback(reason)

    def _not_connected(self, place: str, reason: str) -> None:
        self._connected.discard(place)
        self._failed(place, reason)

    def _not_taken(self, place: str, why: str, reason: str) -> None:
        """Somebody who may be there does not take this node."""
        if place in self._connected:
            self._failed(place, Unwilling(place, why, reason))

    def _failed(self, place: str, reason: Reason) -> None:
        self._reasons[place] = reason
        reasons = self._reasons.values()
        if self._answer.called or not self._reasons.keys() >= set(self._wish.asked.places):
            # There are others who may answer.
            return
        if self._late is not None:
            self._late(self._most_telling(reasons))
        elif any(isinstance(each, Unwilling) and each.why != STRANGER for each in reasons):
            # One may have room in a moment, know of another that has, or wake up.
            return
        self._answered(self._most_telling(reasons))

    def _reason(self, within_s: float) -> Reason:
        """Why nobody has answered for so long."""
        silence = f"no answer within {within_s:g} s"
        silent = [Unwilling(place, SILENT, silence) for place in self._connected - self._reasons.keys()]
        reasons = [*self._reasons.values(), *silent]
        return self._most_telling(reasons) if reasons else silence

    def _most_telling(self, reasons: Iterable[Reason]) -> Reason:
        for why in _TELLING:
            for reason in reasons:
                if isinstance(reason, Unwilling) and reason.why == why:
                    return reason
        return list(reasons)[-1]


@implementer(IStreamClientEndpoint)
class _Reported:
    """An endpoint that tells whether somebody is there.

    @param connected: called each time somebody is.
    @param failed: told why nobody is.
    """

    def __init__(
        self, endpoint: IStreamClientEndpoint, connected: Callable[[], object], failed: Callable[[str], object]
    ) -> None:
        self._endpoint = endpoint
        self._connected = connected
        self._failed = failed

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """Connect."""
        connecting: Deferred[Any] = self._endpoint.connect(factory)
        return connecting.addCallbacks(self._tell_connected, self._tell)

    def _tell_connected(self, protocol: T) -> T:
        self._connected()
        return protocol

    def _tell(self, failure: Failure) -> Failure:
        if failure.check(CancelledError, ConnectingCancelledError) is None:
            number = getattr(failure.value, "osError", None)
            # Twisted says it twice.
            self._failed(os.strerror(number) if isinstance(number, int) else failure.getErrorMessage().rstrip("."))
        return failure


def finds_files(command: _Command) -> _Command:
    """Adds the options by which is chosen whom to ask: parameter C{membership} of the command."""

    @wraps(command)
    def with_membership(*args: Any, via: str, index: str, super_peers: Sequence[str], **options: Any) -> Any:
        _refuse_typed("index" if via == _BY_SUPER_PEERS else "super_peers")
        wish = Membership(
            via,
            index,
            options.pop("listen", None),
            options.pop("advertise", None),
            super_peers=super_peers or (SUPER,),
        )
        return command(*args, membership=wish, **options)

    decorated: Any = with_membership
    for words, usual, metavar, text in (
        (["--super", "super_peers"], None, "ENDPOINT", f"Where a super peer listens; may be repeated.  [{SUPER}]"),
        (["--index"], INDEX, "ENDPOINT", f"Where the index server listens.  [{INDEX}]"),
        (["--via"], "index", "WAY", "How files are found: index or superpeer.  [index]"),
    ):
        option = click.option(*words, default=usual, multiple=usual is None, metavar=metavar, help=text)
        decorated = option(decorated)
    return cast("_Command", decorated)


def _refuse_typed(name: str) -> None:
    """See that an option is not typed that is for another way; what a file says is for several programs.

    @raise Refusal: it is.
    """
    if click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE:
        option, way = ("--super", _BY_SUPER_PEERS) if name == "super_peers" else ("--index", "index")
        raise Refusal(f"{option} goes with --via {way}: add that, or leave out {option}")


def takes_connections(command: _Command) -> _Command:
    """Adds the options of a command whose node serves others; they end in its membership."""
    for option, metavar, text in (
        ("--advertise", "HOST:PORT", "Where others reach this node, if not where it listens."),
        ("--listen", "ENDPOINT", "Where to take connections.  [a free port, for this machine only if the index is]"),
    ):
        command = click.option(option, metavar=metavar, help=text)(command)
    return command
