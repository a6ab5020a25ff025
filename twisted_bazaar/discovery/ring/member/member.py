"""A member of a ring: joins, keeps its place among the others, and leaves (Chord, with Zave's joining)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.member.joining import BootstrapNode, Met, Rejoining, Where
from twisted_bazaar.discovery.ring.member.ring_node import RingNode
from twisted_bazaar.discovery.ring.rpc.messages import RingQuit
from twisted_bazaar.discovery.ring.rules.actions import InitialNeighbours, JoinRefused, Ping
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.lookup_reply import LookupReply
from twisted_bazaar.discovery.ring.rules.settings import USUAL, Settings
from twisted_bazaar.errors import LinkClosed
from twisted_bazaar.interfaces import INode
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.values.joining import JoinObserver

# Who goes does not wait long for others to note it.
_FAREWELL_S: Final = 1.0


class RingMember(RingNode):
    """A member: a node with an identifier on the ring, which others know as their neighbour."""

    __slots__ = ("_duties", "_rejoining", "_verdict", "_watchers")

    log: Final = limited_logger(__name__)
    is_client: ClassVar[bool] = False

    def __init__(
        self, settings: Settings = USUAL, ring_id: int | None = None, observer: JoinObserver | None = None
    ) -> None:
        super().__init__(settings, ring_id, observer)
        self._watchers: list[Callable[[], None]] = []
        self._duties: list[Callable[[], Deferred[Any]]] = []
        self._verdict: Deferred[Contact | None] | None = None
        self._rejoining: Rejoining | None = None

    @property
    def can_ask(self) -> bool:
        """Whether it knows whom to ask."""
        return self.is_member

    def watch(self, changed: Callable[[], None]) -> None:
        """Have something called whenever its predecessor or its successors are not what they were."""
        self._watchers.append(changed)

    def before_leaving(self, duty: Callable[[], Deferred[Any]]) -> None:
        """Have something done before it goes; the ring does not know yet that it will."""
        self._duties.append(duty)

    def start(self, node: INode, join: Where | None = None, initial: InitialNeighbours | None = None) -> Deferred[None]:
        """Begin a ring, or join one.

        @param join: where a member takes links; none to begin a ring.
        @param initial: where it stands on the ring that it begins together with others, which all begin at this instant
            and know it: so a simulation has a ring that is too large to be joined one by one.
        @return: fires when it has joined.
        @raise UsageError: it cannot, however often it tries.
        @raise LinkClosed: it was stopped before.
        """
        return self._start(node, partial(self._begin_ring, initial) if join is None else partial(self._join_ring, join))

    # Coming.

    def _begin_ring(self, initial: InitialNeighbours | None, began: Deferred[None]) -> None:
        if initial is None:
            self.stabilization.begin()
        else:
            self._incarnation.maintenance.start_with(initial)
        self._entered()
        began.callback(None)

    def _join_ring(self, join: Where, began: Deferred[None]) -> None:
        bootstrap = BootstrapNode(self._node, self._requests, self.ring, join)
        self._rejoining = Rejoining(self._node, bootstrap, self._on_member_found)
        self._join(bootstrap, began)

    async def _enter(self, met: Met) -> Contact | None:
        """Try to join by a member; returns who holds this node's identifier, or None if it has joined."""
        self._incarnation.maintenance.stop()
        self._become(met.own)
        maintenance, own = self._incarnation.maintenance, self.own
        found = await maintenance.lookups.find(own.id, LookupReply(own, (met.contact,)), is_wary=False)
        by = found.before if found.before not in (None, own) else None
        self._verdict = Deferred()
        maintenance.perform(self.stabilization.join(by or met.contact))
        return await self._verdict

    def _on_refused(self, step: JoinRefused) -> None:
        verdict, self._verdict = self._verdict, None
        if verdict is None:
            if step.holder is not None and self.is_member and not self.displaced.called:
                self.displaced.callback(step.holder)
            return
        if step.holder is None:
            verdict.errback(LinkClosed("nobody was found behind whom there is room"))
        else:
            verdict.callback(step.holder)

    def _on_changed(self) -> None:
        verdict, stabilization = self._verdict, self.stabilization
        if verdict is not None and stabilization.is_member:
            self._verdict = None
            verdict.callback(None)
        if self._rejoining is not None:
            is_alone = stabilization.is_member and stabilization.predecessor is None and not stabilization.successors
            self._rejoining.set_alone(is_alone)
        for changed in self._watchers:
            changed()

    def _entered(self) -> None:
        self._node.report("ring-joined", "this node is on the ring, at {id}", id=self.ring.display(self.own.id))
        self.observer.joined("by the ring")
        self._incarnation.maintenance.start()

    def _on_member_found(self, contact: Contact) -> None:
        """Where this node once came in somebody is, while it is alone."""
        self._incarnation.maintenance.perform((Ping(contact),))

    # Going.

    async def _leave(self) -> None:
        await super()._leave()
        if self._rejoining is not None:
            self._rejoining.stop()

    async def _say_goodbye(self) -> None:
        if self.is_member and not self._is_leaving:
            await self._do_duties()
            self._is_leaving = True
            self._incarnation.maintenance.stop()
            await self._tell_neighbours()

    async def _do_duties(self) -> None:
        duties = DeferredList([maybeDeferred(duty) for duty in self._duties], consumeErrors=True)
        most_s = self.settings.leaving_s
        # The node may wait less: then all that is not done is cancelled, and it goes on here.
        for is_done, result in await duties.addTimeout(most_s, self._node.clock, onTimeoutCancel=_give_up):
            if not is_done:
                self.log.failure("something was not done before leaving", result)

    async def _tell_neighbours(self) -> None:
        stabilization, write = self.stabilization, self.cards.write
        before = stabilization.predecessor
        farewell = partial(
            RingQuit,
            predecessor=None if before is None else write(before),
            successors=self.cards.write_all(stabilization.successors),
        )
        told = (*stabilization.farewell_recipients(), *self.pinging_predecessors)
        asked = [self._requests.ask(contact, farewell) for contact in dict.fromkeys(told)]
        answered = DeferredList(asked, consumeErrors=True)
        await answered.addTimeout(_FAREWELL_S, self._node.clock, onTimeoutCancel=_give_up)
        self._node.report("ring-quit", "this node has left the ring")


def _give_up(_: object, timeout_s: float) -> list[tuple[bool, Any]]:
    """What is taken for the outcome of what takes too long."""
    return [(False, Failure(LinkClosed(f"it has taken more than {timeout_s} s")))]
