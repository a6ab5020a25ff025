"""A node that lives as long as one command: joined to an index server, super peers or a ring, it finds and fetches.

Meanwhile it serves to others what has come.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Self, TypeVar

from attrs import field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IStreamClientEndpoint

from twisted_bazaar.cli.node.availability import Availability, Reason, Unwilling
from twisted_bazaar.cli.node.observed_endpoint import ObservedEndpoint
from twisted_bazaar.cli.terminal.errors import NegativeAnswer, Unreached
from twisted_bazaar.errors import NothingProven, Unproven, UsageError
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.files.content import IPart
from twisted_bazaar.interfaces import ICatalogue, INode, IRole
from twisted_bazaar.journal import Journal
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.roles.discovery.chosen import method_named, refuse_others
from twisted_bazaar.roles.discovery.method import DiscoveryContext, DiscoveryMethod
from twisted_bazaar.roles.fetcher import Fetcher
from twisted_bazaar.service.config import read_config, read_transfer
from twisted_bazaar.service.options import TRANSFER
from twisted_bazaar.service.service import NodeService
from twisted_bazaar.settings.endpoints import NOWHERE
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.state import StateDirectory
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.joining import MOST_TELLING, JoinObserver, NotJoined

_JOIN_S: Final = 10.0
# One may have room in a moment, know of another that has, or wake up.
_MAY_CHANGE: Final = (NotJoined.FULL, NotJoined.CLOSED, NotJoined.SILENT)
_HERE: Final = "tcp:0:interface=127.0.0.1"
_EVERYWHERE: Final = "tcp:0"
_ANY_FREE: Final = "0"

_Result = TypeVar("_Result")


@frozen
class Member:
    """A node of this process that has joined.

    @ivar node: the node.
    @ivar fetcher: what it carries.
    @ivar refused: fires with what to end with if who is asked will never take it.
    """

    node: INode
    fetcher: Fetcher
    refused: Deferred[NegativeAnswer] = field(factory=Deferred, eq=False)

    async def stay(self, work: Coroutine[Deferred[Any], Any, _Result]) -> _Result:
        """Do something, for as long as this node is not refused.

        @raise NegativeAnswer: it is; the work has been cancelled.
        """
        doing = Deferred.fromCoroutine(work)

        def end(why: NegativeAnswer) -> NegativeAnswer:
            doing.cancel()
            return why

        self.refused.addCallback(end)
        try:
            return await doing
        except CancelledError:
            if not self.refused.called:
                raise
            refusal = self.refused.result
            assert isinstance(refusal, NegativeAnswer), "it is called with nothing else"
            raise refusal from None


def fetching_nothing(catalogue: ICatalogue) -> Fetcher:
    """What a node carries that only asks."""
    return Fetcher(catalogue, lambda node: _no_part)


async def _no_part(name: str, digest: str, overwrite: bool) -> IPart:
    raise UsageError("nothing is fetched here")


@frozen
class EphemeralNode:
    """A node that lives as long as a command, and those by whom it joins the others.

    @ivar method: the way to find.
    @ivar options: the values of the command's options.
    @ivar asked: whom it asks.
    @ivar join_s: how long to wait for somebody to ask.
    """

    method: type[DiscoveryMethod]
    options: OptionValues
    asked: Availability
    join_s: float = _JOIN_S

    @classmethod
    def read(cls, options: OptionValues, join_s: float = _JOIN_S) -> Self:
        """What the options of a command ask for.

        @raise UsageError: they ask for what cannot be.
        """
        method = method_named(options["via"])
        if method.asked is None or not method.finds_files:
            raise UsageError(f"files are not found by --via {method.name}; write --via index --index tcp:HOST:PORT")
        refuse_others(options, method)
        # What cannot be is told before anything begins; the log is opened when there is something to be told of.
        read_transfer(options.changed(transfer_log=None), (), Limits(), 0.0, takes_datagrams=True)
        places = method.places(options)
        if not places:
            raise UsageError(f"--via {method.name}: there is nobody to ask: {method.asked.option} names nobody")
        return cls(method, options, Availability(places, method.asked), join_s)

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
        observer: JoinObserver | None = None,
        journals: Sequence[Journal] = (),
    ) -> AsyncIterator[Member]:
        """Be a member of the network for a while.

        @param make_fetcher: makes what the node carries.
        @param listens: whether it takes connections.
        @param stays: whether it is there for others for long: on a ring it has a place then, and is no guest.
        @param state: what outlives it; None for nothing.
        @param late: told why when nobody answers at once; without it, that is the end. Of a refusal L{Member.refused}
            tells.
        @param observer: told how it joins.
        @param journals: told of what the node reports.
        @raise UsageError: an option cannot be.
        @raise Unreached: nobody answers.
        @raise NegativeAnswer: this node is refused, or there is no listening there.
        """
        joining = _Joining(self, reactor, late, observer or JoinObserver(), is_client=not stays)
        member, service = joining.build(make_fetcher, journals, state=state, listens=listens)
        try:
            try:
                await service.open()
            except (CannotListenError, OSError) as error:
                others = "--listen" if service.config.udp is None else "--listen or --udp"
                raise NegativeAnswer(f"cannot listen: {str(error).rstrip('.')}; choose another {others}") from None
            if late is None:
                await joining.done(self.join_s)
            yield member
        finally:
            await service.stopService()

    @property
    def lists_everything(self) -> bool:
        """Whether those who are asked have a list of everything, and of all that one node has."""
        return self.method.lists_everything

    @property
    def usual_place(self) -> str:
        """Where it listens if nobody says otherwise: for other machines, too, where who is asked is on another one."""
        return _HERE if self.asked.is_local else _EVERYWHERE

    @property
    def node_options(self) -> OptionValues:
        """The options of its node."""
        listen = self.options.get("listen")
        changes: dict[str, str | None] = {"listen": self.usual_place if listen is None else listen}
        if listen == NOWHERE and not self.options.is_typed("advertise"):
            # It may be meant for other programs that share a file.
            changes["advertise"] = None
        is_about_datagrams = any(self.options.is_given(option.name) for option in TRANSFER)
        if is_about_datagrams and not self.options.is_given("udp"):
            # Who says how files come by datagrams is to have them.
            changes["udp"] = _ANY_FREE
        return self.options.changed(**changes)


class _Joining(JoinObserver):
    """A node on its way to those by whom it finds.

    @param wish: what is to be.
    @param late: told why when nobody answers at once; None where that is the end.
    @param observer: told how it joins.
    """

    def __init__(
        self,
        wish: EphemeralNode,
        reactor: Any,
        late: Callable[[Reason], object] | None,
        observer: JoinObserver,
        *,
        is_client: bool,
    ) -> None:
        self._wish = wish
        self._reactor = reactor
        self._late = late
        self._observer = observer
        self._connected: set[str] = set()
        # Those of them that have not proven who they are, so that nothing else said of them is as near to the cause.
        self._unproven: set[str] = set()
        self._reasons: dict[str, Reason] = {}
        self._answer: Deferred[Reason | None] = Deferred()
        self._refusal: Deferred[NegativeAnswer] = Deferred()
        self._refused_with = ExitStatus.NO
        self._has_joined: Deferred[None] = Deferred()
        self._context = DiscoveryContext(reactor, (), is_client, self, self._observed)

    def build(
        self,
        make_fetcher: Callable[[ICatalogue], Fetcher],
        journals: Sequence[Journal],
        *,
        state: StateDirectory | None,
        listens: bool,
    ) -> tuple[Member, NodeService]:
        """Make the node, and what runs it.

        @raise UsageError: an option cannot be.
        """
        options = self._wish.node_options
        if not listens:
            options = options.changed(listen=NOWHERE)
        discovery = self._discovery = self._wish.method.from_options(options, self._context)
        catalogue = discovery.make_catalogue()
        assert catalogue is not None, "files are found by it"
        fetcher = make_fetcher(catalogue)
        self._has_joined.addCallback(fetcher.joined.callback)
        roles: Sequence[IRole] = [*discovery.roles, fetcher]
        beside = self._wish.usual_place if options.get("listen") in (None, NOWHERE) else None
        config = read_config(options, discovery, roles, self._reactor, state=state, has_tracker=False, beside=beside)
        service = NodeService(self._reactor, config, roles, lambda status: None, *journals)
        return Member(service.node, fetcher, self._refusal), service

    async def done(self, within_s: float) -> None:
        """Wait until somebody has answered.

        @raise Unreached: nobody does.
        @raise NegativeAnswer: this node is refused.
        """
        timer = Timer(self._reactor, lambda: self._answered(self._reason(within_s)))
        timer.set(within_s)
        try:
            reason = await self._answer
        finally:
            timer.cancel()
        if reason is not None:
            is_no = isinstance(reason, Unwilling) and reason.why is NotJoined.REFUSED
            sentence = self._wish.asked.absent(reason)
            raise NegativeAnswer(sentence, self._refused_with) if is_no else Unreached(sentence)

    # What the way to find tells: JoinObserver.

    def joined(self, how: str) -> None:
        """Somebody can be asked."""
        if not self._has_joined.called:
            self._has_joined.callback(None)
        self._answered(None)
        self._observer.joined(how)

    def left(self, whom: str) -> None:
        """One of those by whom it had joined is gone."""
        self._observer.left(whom)

    def not_joined(self, place: int, why: NotJoined, reason: str) -> None:
        """Somebody who may be there does not take this node."""
        where = self._wish.asked.places[place]
        if where in self._connected and where not in self._unproven:
            self._failed(where, Unwilling(where, why, reason))

    def refused(self, reason: str, status: ExitStatus = ExitStatus.NO) -> None:
        """Who is asked will never take this node."""
        self._refused_with = status
        where = self._wish.asked.places[0]
        refusal = Unwilling(where, NotJoined.REFUSED, reason)
        if self._late is None:
            if where in self._connected:
                self._failed(where, refusal)
        else:
            self._refuse(NegativeAnswer(self._wish.asked.absent(refusal), status))

    # Inside.

    def _observed(self, place: str, endpoint: IStreamClientEndpoint) -> IStreamClientEndpoint:
        return ObservedEndpoint(
            endpoint,
            lambda: self._now_connected(place),
            lambda reason: self._not_connected(place, reason),
            lambda error: self._not_proven(place, error),
        )

    def _now_connected(self, place: str) -> None:
        self._connected.add(place)
        self._unproven.discard(place)

    def _not_proven(self, place: str, error: Unproven) -> None:
        self._unproven.add(place)
        why = NotJoined.CLOSED if isinstance(error, NothingProven) else NotJoined.UNPROVEN
        self._failed(place, Unwilling(place, why, str(error)))

    def _refuse(self, why: NegativeAnswer) -> None:
        if not self._refusal.called:
            self._refusal.callback(why)

    def _answered(self, reason: Reason | None) -> None:
        if not self._answer.called:
            self._answer.callback(reason)

    def _not_connected(self, place: str, reason: str) -> None:
        self._connected.discard(place)
        self._failed(place, reason)

    def _failed(self, place: str, reason: Reason) -> None:
        self._reasons[place] = reason
        reasons = self._reasons.values()
        if self._late is not None and self._discovery.is_with_stranger and not self._has_joined.called:
            # Who is asked will never be there, however long it is waited for.
            self._refuse(Unreached(self._wish.asked.absent(reason)))
            return
        if self._answer.called or not self._reasons.keys() >= set(self._wish.asked.places):
            # There are others who may answer.
            return
        if self._late is not None:
            self._late(self._most_telling(reasons))
        elif any(isinstance(each, Unwilling) and each.why in _MAY_CHANGE for each in reasons):
            return
        self._answered(self._most_telling(reasons))

    def _reason(self, within_s: float) -> Reason:
        """Why nobody has answered for so long."""
        silence = f"no answer within {within_s:g} s"
        silent = [Unwilling(place, NotJoined.SILENT, silence) for place in self._connected - self._reasons.keys()]
        reasons = [*self._reasons.values(), *silent]
        return self._most_telling(reasons) if reasons else silence

    def _most_telling(self, reasons: Iterable[Reason]) -> Reason:
        for why in MOST_TELLING:
            for reason in reasons:
                if isinstance(reason, Unwilling) and reason.why is why:
                    return reason
        return list(reasons)[-1]
