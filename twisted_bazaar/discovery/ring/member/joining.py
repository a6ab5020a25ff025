"""Joining a ring by a bootstrap node: meets it, again and again with backoff, and comes back to it when alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar, Final, TypeVar

from attrs import frozen
from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint

from twisted_bazaar.backoff import Backoff
from twisted_bazaar.discovery.ring.rpc.contact_encoding import ContactEncoder
from twisted_bazaar.discovery.ring.rpc.messages import RingJoin, RingPong
from twisted_bazaar.discovery.ring.rpc.requests import Requests
from twisted_bazaar.discovery.ring.rules.identifiers import CLASSROOM_BITS, Contact, Ring
from twisted_bazaar.errors import LinkClosed, PeerError, ReachedItself, ReachedTracker, UsageError
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.interfaces import INode
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Address, Peer

_FIRST_AGAIN_S: Final = 0.5
_LONGEST_AGAIN_S: Final = 30.0
# One that has lost all the others looks where it once came in.
_ALONE_S: Final = 10.0
_ALONE_LONGEST_S: Final = 120.0


class NoMember(UsageError):
    """Error: a node that was to be joined by is no member of a ring."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.UNREACHED


Where = Address | IStreamClientEndpoint
Answered = TypeVar("Answered")


@frozen
class Met:
    """The answer of a bootstrap node.

    @ivar contact: itself.
    @ivar own: this node, as it is seen there.
    """

    contact: Contact
    own: Contact


def displaced_message(holder: Contact) -> str:
    """The message that another node keeps this one's identifier, with what to do.

    @param holder: that one.
    """
    return (
        f"the node at {holder.address} took its place while the ring was partitioned, and keeps it; begin anew with "
        "another --ring-id, or with a state directory of its own, and so another key"
    )


class BootstrapNode:
    """The bootstrap node: the member by which this node comes in.

    @param where: where it takes links.
    """

    def __init__(self, node: INode, requests: Requests, ring: Ring, where: Where) -> None:
        self._node = node
        self._requests = requests
        self._ring = ring
        self._where = where

    async def meet(self) -> Met:
        """Meet it.

        @raise UsageError: it is of no use to try again.
        @raise PeerError: nobody is there, or who is there is no member now.
        """
        try:
            peer = await self._node.hold_link(self._where, self)
        except ReachedItself:
            raise UsageError(
                "the node to join by is this node itself; name another member with --join, or begin a ring without it"
            ) from None
        except ReachedTracker:
            raise NoMember("a tracker is there, and no member of a ring; name a member with --join") from None
        # No C{finally}: of a node that is only collected as garbage, as in a simulation, that would run as well.
        return await Deferred.fromCoroutine(self._ask(peer)).addBoth(self._part, peer.id)

    async def _ask(self, peer: Peer) -> Met:
        if not peer.udp_port:
            raise NoMember(
                "the node to join by takes no datagrams, and so is no member of a ring; name a member with --join"
            )
        address = Address(peer.address.host, peer.udp_port)
        return self._read(await self._requests.ask_at(address, RingJoin), address)

    def _part(self, met: Answered, peer_id: int) -> Answered:
        self._node.release_link(peer_id, self)
        return met

    def _read(self, pong: object, address: Address) -> Met:
        if not isinstance(pong, RingPong):
            raise LinkClosed("the node to join by is no member of a ring")
        if pong.bits != self._ring.bits:
            advice = f"write --bits {pong.bits} to join it"
            if pong.bits == CLASSROOM_BITS:
                advice = f"it looks like a classroom: write --classic to join it, or --bits {pong.bits}"
            raise UsageError(f"the ring to join has {pong.bits} bits, not {self._ring.bits}; {advice}")
        own = self._requests.cards.own
        if pong.you is not None:
            own = replace(own, address=Address(pong.you.host, pong.you.udp))
        # From now on it can be told from others that say they are this node.
        contact = ContactEncoder(own, self._ring).sender_of(pong, address)
        if contact is None or not pong.member:
            raise LinkClosed("the node to join by has not joined its ring yet")
        return Met(contact, own)


class Joining:
    """Joins a ring, with exponential backoff between tries.

    @param bootstrap: where it is to come in.
    @param enter: tries once with a member that has been met; fires with who holds this node's identifier, with None if
        it has joined, and fails with L{PeerError} if it may be tried again.
    @param tried: called with why, each time that it has come to nothing.
    @ivar joined: fires when this node has joined.
    """

    def __init__(
        self,
        node: INode,
        bootstrap: BootstrapNode,
        enter: Callable[[Met], Awaitable[Contact | None]],
        tried: Callable[[str], None],
    ) -> None:
        self._node = node
        self._bootstrap = bootstrap
        self._enter = enter
        self._tried = tried
        self._waits = Backoff(node.rng, _FIRST_AGAIN_S, _LONGEST_AGAIN_S)
        self.joined: Deferred[None] = Deferred.fromCoroutine(self._join())

    def stop(self) -> None:
        """Try no more."""
        self.joined.cancel()

    async def _join(self) -> None:
        while True:
            try:
                met = await self._bootstrap.meet()
                holder = await self._enter(met)
            except CancelledError:
                raise LinkClosed("this node is stopping") from None
            except PeerError as error:
                self._tried(str(error))
                await self._wait()
                continue
            if holder is not None:
                raise UsageError(
                    f"the node at {holder.address} has the place of this node on the ring already; choose "
                    "another with --ring-id, or, if that one has the same key, give this node a state directory of its "
                    "own"
                )
            return

    async def _wait(self) -> None:
        waited: Deferred[None] = Deferred(lambda _: timer.cancel())
        timer = self._node.clock.callLater(self._waits.delay(), waited.callback, None)
        try:
            await waited
        except CancelledError:
            raise LinkClosed("this node is stopping") from None


class Rejoining:
    """Rejoins by the bootstrap node while this node has no neighbours at all.

    @param found: called with a member that is there.
    """

    log: Final = limited_logger(__name__)

    def __init__(self, node: INode, bootstrap: BootstrapNode, found: Callable[[Contact], None]) -> None:
        self._node = node
        self._bootstrap = bootstrap
        self._found = found
        self._waits = Backoff(node.rng, _ALONE_S, _ALONE_LONGEST_S)
        self._timer = Timer(node.clock, self._try)
        self._trying: Deferred[None] | None = None
        self._is_alone = False

    def set_alone(self, is_alone: bool) -> None:
        """Say whether it knows of nobody; may be said as often as one likes."""
        self._is_alone = is_alone
        if not is_alone:
            self._waits.reset()
            self._timer.cancel()
        elif not self._timer.is_set and self._trying is None:
            self._timer.set(self._waits.delay())

    def stop(self) -> None:
        """Look no more."""
        self._is_alone = False
        self._timer.cancel()
        if self._trying is not None:
            self._trying.cancel()

    def _try(self) -> None:
        self._trying = Deferred.fromCoroutine(self._meet())
        self._trying.addErrback(lambda failure: self.log.failure("looking for a member of the ring failed", failure))
        self._trying.addBoth(self._on_tried)

    async def _meet(self) -> None:
        try:
            met = await self._bootstrap.meet()
        except (PeerError, UsageError, CancelledError):
            # It will be tried again; or this node stops.
            return
        self._found(met.contact)

    def _on_tried(self, _: object) -> None:
        self._trying = None
        if self._is_alone:
            self.set_alone(True)
