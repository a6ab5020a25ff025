"""A node that lives as long as one command: joined to an index server, super peers or a ring, it finds and fetches.

Meanwhile it serves to others what has come.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from attrs import evolve, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IStreamClientEndpoint

from twisted_bazaar.cli.node.availability import REFUSED, Availability, Reason, Unwilling
from twisted_bazaar.cli.node.datagram_options import Datagrams
from twisted_bazaar.cli.node.observed_endpoint import ObservedEndpoint
from twisted_bazaar.cli.terminal.errors import NegativeAnswer
from twisted_bazaar.discovery.ring.rules.identifiers import USUAL_BITS
from twisted_bazaar.discovery.ring.rules.settings import USUAL
from twisted_bazaar.discovery.superpeer.leaf.registrations import FULL, SILENT, STRANGER
from twisted_bazaar.errors import UsageError
from twisted_bazaar.files.content import IPart
from twisted_bazaar.interfaces import ICatalogue, IDiscoveryMethod, INode, IRole
from twisted_bazaar.journal import Journal
from twisted_bazaar.plugin import TRANSFER, WAY
from twisted_bazaar.roles.fetcher import Fetcher
from twisted_bazaar.roles.ring.options import MEMBER, check_endpoint
from twisted_bazaar.roles.ways import make_way
from twisted_bazaar.service import (
    NodeService,
    build_node,
    client_endpoint,
    parse_address,
    server_endpoint,
    usual_limits,
)
from twisted_bazaar.state import SOCKET, STATE, StateDirectory
from twisted_bazaar.taps.finding import SUPER, super_peer_at
from twisted_bazaar.taps.room import UdpPlace

INDEX: Final = "tcp:127.0.0.1:9100"
_JOIN_S: Final = 10.0
_HERE: Final = "tcp:0:interface=127.0.0.1"
_EVERYWHERE: Final = "tcp:0"
_NOWHERE: Final = "none"
_BY_SUPER_PEERS: Final = "superpeer"
_BY_RING: Final = "ring"
_ON_RING: Final = ("ring-joined", "ring-visited")
_NOT_ON_RING: Final = {"ring-waits": STRANGER, "ring-refused": REFUSED}
_MOORED: Final = "moored"
_NOT_MOORED: Final = "not_moored"
# Of several reasons, the one that says most about what there is.
_TELLING: Final = (FULL, SILENT, STRANGER)

_Result = TypeVar("_Result")


@frozen
class Member:
    """A node of this process that has joined.

    @ivar node: the node.
    @ivar fetcher: what it carries.
    @ivar refused: fires with what to say if who is asked will never take it.
    """

    node: INode
    fetcher: Fetcher
    refused: Deferred[str] = field(factory=Deferred, eq=False)

    async def stay(self, work: Coroutine[Deferred[Any], Any, _Result]) -> _Result:
        """Do something, for as long as this node is not refused.

        @raise Denial: it is; the work has been cancelled.
        """
        doing = Deferred.fromCoroutine(work)

        def end(why: str) -> str:
            doing.cancel()
            return why

        self.refused.addCallback(end)
        try:
            return await doing
        except CancelledError:
            if not self.refused.called:
                raise
            raise NegativeAnswer(str(self.refused.result)) from None


def _tell_nobody(event: str, details: Mapping[str, Any]) -> None:
    """What is told where nobody listens."""


def fetching_nothing(catalogue: ICatalogue) -> Fetcher:
    """What a node carries that only asks."""
    return Fetcher(catalogue, lambda node: _no_part)


async def _no_part(name: str, digest: str, overwrite: bool) -> IPart:
    raise UsageError("nothing is fetched here")


@frozen
class EphemeralNode:
    """A node that lives as long as a command, and the index, super peers or ring that it joins.

    @ivar via: the way of finding.
    @ivar index: the endpoint of the index server.
    @ivar listen: where to take connections; None to choose.
    @ivar advertise: where others reach that.
    @ivar join_s: how long to wait for somebody to ask.
    @ivar super_peers: the endpoints of super peers.
    @ivar member: the endpoint of a member of a ring.
    @ivar bits: the ring has 2**bits places.
    @ivar datagrams: what the user says of datagrams.
    """

    via: str = "index"
    index: str = INDEX
    listen: str | None = None
    advertise: str | None = None
    join_s: float = _JOIN_S
    super_peers: Sequence[str] = (SUPER,)
    member: str = MEMBER
    bits: int = USUAL_BITS
    datagrams: Datagrams = field(factory=Datagrams)

    @property
    def asked(self) -> Availability:
        """Whom it asks."""
        if self.via == _BY_RING:
            return Availability.ring(self.member)
        if self.via == _BY_SUPER_PEERS:
            return Availability.super_peers(list(dict.fromkeys(self.super_peers)))
        return Availability.index(self.index)

    @property
    def lists_everything(self) -> bool:
        """Whether it can be asked for all files there are."""
        return self.via not in (_BY_SUPER_PEERS, _BY_RING)

    @asynccontextmanager
    async def join(
        self,
        reactor: Any,
        make_fetcher: Callable[[ICatalogue], Fetcher],
        *,
        listens: bool = True,
        stays: bool = False,
        state: StateDirectory | None = None,
        late: Callable[[Reason], object] | None = None,
        told: Journal = _tell_nobody,
    ) -> AsyncIterator[Member]:
        """Be a member of the network for a while.

        @param make_fetcher: makes what the node carries.
        @param listens: whether it takes connections.
        @param stays: whether it is there for others for long: on a ring it has a place then, and is no guest.
        @param state: what outlives it; None for nothing.
        @param late: told why when nobody answers at once; without it, that is the end. Of a refusal L{Member.refused}
            tells.
        @param told: told of what the node reports.
        @raise UsageError: an option cannot be.
        @raise Denial: nobody answers, or there is no listening there.
        """
        joining = _Joining(self, reactor, make_fetcher, late, stays=stays)
        service = joining.build(listens, state, told)
        try:
            try:
                await service.open()
            except (CannotListenError, OSError) as error:
                others = "--listen or --udp" if joining.takes_datagrams else "--listen"
                raise NegativeAnswer(f"cannot listen: {str(error).rstrip('.')}; choose another {others}") from None
            if late is None:
                await joining.done(self.join_s)
            yield joining.member
        finally:
            await service.stopService()

    def where_to_listen(self) -> str:
        """The endpoint to take connections at: open to other machines where who is asked is on another one."""
        return self._usual_place if self.listen is None else self.listen

    def where_to_take_datagrams(self, roles: Sequence[IRole], reactor: Any) -> UdpPlace | None:
        """The interface and the port for datagrams, open to those to whom connections are; None for nowhere.

        @param roles: what the node carries.
        @raise UsageError: some are needed and none wanted, or there is no such place.
        """
        listen = self._usual_place if self.listen in (None, _NOWHERE) else self.where_to_listen()
        return self.datagrams.place(listen, roles, reactor)

    @property
    def _usual_place(self) -> str:
        return _HERE if self.asked.is_local else _EVERYWHERE


class _Joining:
    """A node on its way to an index, to a super peer, or into a ring.

    @ivar takes_datagrams: whether it takes any, from when it is built.
    """

    def __init__(
        self,
        wish: EphemeralNode,
        reactor: Any,
        make_fetcher: Callable[[ICatalogue], Fetcher],
        late: Callable[[Reason], object] | None,
        *,
        stays: bool,
    ) -> None:
        self._wish = wish
        self._stays = stays
        self.takes_datagrams = False
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
        self._refused: Deferred[str] = Deferred()
        self._fetcher.joined.addCallback(self._answered)

    @property
    def member(self) -> Member:
        """What has come of it."""
        return Member(self._node, self._fetcher, self._refused)

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
            if (event == _MOORED or event in _ON_RING) and not self._fetcher.joined.called:
                self._fetcher.joined.callback(None)
            if event == "ring-refused" and self._late is not None:
                self._refuse(Unwilling(wish.member, REFUSED, details["why"]))
            elif event in _NOT_ON_RING:
                self._not_taken(wish.member, _NOT_ON_RING[event], details["why"])
            if event == _NOT_MOORED:
                self._not_taken(wish.asked.places[details["given"]], details["why"], details["reason"])
            told(event, details)

        udp = wish.where_to_take_datagrams(self._roles, reactor)
        self.takes_datagrams = udp is not None
        transfer = wish.datagrams.read(usual_limits(self._way), reactor.seconds(), takes_datagrams=self.takes_datagrams)
        settings = {STATE: state, WAY: self._way, TRANSFER: transfer}
        self._node = build_node(settings, self._roles, reactor, self._tracker, note)
        return NodeService(
            reactor,
            self._node,
            server_endpoint(reactor, wish.where_to_listen()) if listens else None,
            parse_address(wish.advertise, "--advertise") if wish.advertise else None,
            self._roles,
            None if state is None else state.path / SOCKET,
            lambda status: None,
            udp,
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
            raise NegativeAnswer(self._wish.asked.absent(reason))

    def _make_way(self) -> IDiscoveryMethod:
        wish = self._wish
        if wish.via == _BY_RING:
            check_endpoint(wish.member)
            member = self._reported(wish.member, clientFromString(self._reactor, wish.member))
            return make_way(wish.via, join=member, settings=evolve(USUAL, bits=wish.bits), is_client=not self._stays)
        if wish.via != _BY_SUPER_PEERS:
            return make_way(wish.via)
        super_peers = [self._reported(text, super_peer_at(self._reactor, text)) for text in wish.asked.places]
        return make_way(wish.via, super_peers=super_peers)

    def _refuse(self, reason: Reason) -> None:
        """Who is asked will never take this node."""
        if not self._refused.called:
            self._refused.callback(self._wish.asked.absent(reason))

    def _reported(self, place: str, endpoint: IStreamClientEndpoint) -> IStreamClientEndpoint:
        return ObservedEndpoint(
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
