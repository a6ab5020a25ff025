"""Bootstrap: joins a node to the network and keeps it there, by a link to its tracker and enough links to others.

The tracker is only a directory. While it is away, trading goes on, and a node that loses its links
tries the addresses it has heard of.
"""

from __future__ import annotations

import random
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from twisted_bazaar.backoff import JITTER, Backoff
from twisted_bazaar.bounded import FairTable
from twisted_bazaar.errors import AlreadyLinked, PeerError, Unproven, Unreachable
from twisted_bazaar.node.control import MOST_NAMED_IN_REQUEST, NodeReply, NodeRequest
from twisted_bazaar.node.link_table import LinkTable
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.values.addresses import Address, Peer, Whereabouts, text_of_endpoint
from twisted_bazaar.wire.message import NO_ID, TRACKER_ID

_ANSWER_S: Final = 5.0
_AVOID_S: Final = 20.0
# A link to the tracker that goes sooner than this was no success, and the next try comes later.
_LASTING_S: Final = 10.0
_FIRST_RETRY_S: Final = 0.25
# A tracker that comes back must know its nodes again within half a minute.
_LONGEST_RETRY_S: Final = 12.0
_LATEST_RETRY_S: Final = _LONGEST_RETRY_S * (1 + JITTER)
# Who was heard of lately is likelier to be there still; one of several is taken, lest all try the same.
_LATEST_KNOWN: Final = 16


class Bootstrap:
    """Joins a node to the network and keeps it there.

    @param links: the node's connections.
    @param rng: the source of jitter and of choice.
    @param tracker: where the tracker listens; None to do without one.
    @param neighbours: nodes to stay linked to, whatever else happens.
    """

    log: Final = limited_logger(__name__)

    def __init__(
        self,
        links: LinkTable,
        rng: random.Random,
        tracker: IStreamClientEndpoint | None,
        neighbours: Sequence[IStreamClientEndpoint] = (),
    ) -> None:
        self._links = links
        self._rng = rng
        self._tracker = tracker
        self._neighbours = neighbours
        self._running: list[Deferred[Any]] = []
        self._waiting: list[Deferred[None]] = []
        links.peers.reserved = len(neighbours)
        self._answer: Deferred[NodeReply] | None = None
        self._asked_kind: str | None = None
        self._asking = DeferredLock()
        self._avoid: FairTable[int, bool] = FairTable(MOST_NAMED_IN_REQUEST // 2, _AVOID_S, shares=1)

    def start(self) -> None:
        """Begin to look for the tracker, the neighbours and more nodes."""
        if self._tracker is not None:
            self._run(self._stay_with_tracker(self._tracker))
        for endpoint in self._neighbours:
            self._run(self._stay_with_neighbour(endpoint))
        if not self._links.is_tracker:
            self._run(self._keep_enough_links())

    def stop(self) -> None:
        """End every try under way."""
        running, self._running = self._running, []
        for deferred in running:
            deferred.cancel()

    def links_changed(self) -> None:
        """Wake all that wait: links, or the link to the tracker, have changed."""
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(None)

    def reply_received(self, reply: NodeReply) -> None:
        """The tracker named a node."""
        # An answer that comes too late must not be taken for that to the next question.
        if self._answer is not None and not self._answer.called and reply.kind == self._asked_kind:
            self._answer.callback(reply)

    def ask_tracker_for(self, kind: str, have: Sequence[int]) -> Deferred[Whereabouts | None]:
        """Ask the tracker for a node of a kind, at random; fires with None if it names none, or is not there.

        @param have: ids of nodes not to be named.
        """
        asking = Deferred.fromCoroutine(self._another_of(kind, have))
        self._running.append(asking)
        asking.addErrback(_ignore_cancelled)
        asking.addBoth(self._no_longer_running, asking)
        return asking

    def _no_longer_running(self, result: Whereabouts | None, asking: Deferred[Any]) -> Whereabouts | None:
        if asking in self._running:
            self._running.remove(asking)
        return result

    async def _another_of(self, kind: str, have: Sequence[int]) -> Whereabouts | None:
        if self._links.tracker is None:
            return None
        unwanted = tuple(dict.fromkeys((self._links.id, *have)))[:MOST_NAMED_IN_REQUEST]
        reply = await self._ask_tracker(NodeRequest(have=unwanted, kind=kind))
        if reply is None or reply.id is None or reply.id in unwanted or reply.host is None or not reply.port:
            return None
        return Whereabouts(reply.id, Address(reply.host, reply.port), reply.udp)

    def _run(self, steps: Coroutine[Deferred[Any], Any, None]) -> None:
        deferred = Deferred.fromCoroutine(steps)
        deferred.addErrback(_ignore_cancelled)
        deferred.addErrback(lambda failure: self.log.failure("this node stopped looking for other nodes", failure))
        self._running.append(deferred)

    async def _stay_with_tracker(self, endpoint: IStreamClientEndpoint) -> None:
        backoff = self._backoff()
        told = False
        while True:
            try:
                link = await self._links.dial_endpoint(endpoint, to_tracker=True)
            except PeerError as error:
                if not told:
                    told = True
                    self.log.warn(
                        "no link to the tracker or index server at {endpoint}: {reason}; trying again, at least every "
                        "{every_s:g} s",
                        endpoint=text_of_endpoint(endpoint),
                        reason=error.reason if isinstance(error, Unreachable) else str(error),
                        every_s=_LATEST_RETRY_S,
                    )
                await self._sleep(backoff.delay())
                continue
            told = False
            joined_at = self._links.clock.seconds()
            while self._links.tracker is link:
                await self._until_changed()
            self.log.info("left the network at {endpoint}", endpoint=text_of_endpoint(endpoint))
            if self._links.clock.seconds() - joined_at >= _LASTING_S:
                backoff.reset()
            await self._sleep(backoff.delay())

    async def _stay_with_neighbour(self, endpoint: IStreamClientEndpoint) -> None:
        backoff = self._backoff()
        told = ""
        while True:
            if self._links.id == NO_ID:
                await self._until_changed()
                continue
            try:
                peer = (await self._links.dial_endpoint(endpoint)).peer
            except AlreadyLinked as error:
                # It dialled first. Or it holds a link that is dead, and will find out.
                if error.node_id not in self._links.peers.links:
                    await self._sleep(backoff.delay())
                    continue
                self._links.peers.reserved -= 1
                while error.node_id in self._links.peers.links:
                    await self._until_changed()
            except PeerError as error:
                # Others come and go. This does not mend itself.
                if isinstance(error, Unproven) and str(error) != told:
                    told = str(error)
                    self.log.warn(
                        "no link to the neighbour at {endpoint}: {reason}; trying again",
                        endpoint=text_of_endpoint(endpoint),
                        reason=told,
                    )
                await self._sleep(backoff.delay())
                continue
            else:
                told = ""
                backoff.reset()
                self._links.peers.reserved -= 1
                while peer is not None and peer.id in self._links.peers.links:
                    await self._until_changed()
            self._links.peers.reserved += 1
            await self._sleep(backoff.delay())

    async def _keep_enough_links(self) -> None:
        backoff = self._backoff()
        links = self._links
        while True:
            # Slots are kept for the neighbours that the user named.
            most = min(links.limits.min_links, links.limits.max_links - links.peers.reserved)
            if links.id == NO_ID or len(links.peers.links) >= most:
                backoff.reset()
                await self._until_changed()
                continue
            candidate = await self._another_node()
            if candidate is not None:
                node_id, address = candidate
                try:
                    peer: Peer = await links.dial(address)
                except PeerError:
                    self._avoid.put(node_id, True, None, links.clock.seconds())
                else:
                    if peer.id == node_id:
                        backoff.reset()
                        continue
                    # Somebody else is there now: what was heard is out of date.
                    self._avoid.put(node_id, True, None, links.clock.seconds())
            await self._sleep(backoff.delay())

    async def _another_node(self) -> tuple[int, Address] | None:
        """A node to try next: one the tracker names, or while it is away one heard of before."""
        links = self._links
        now = links.clock.seconds()
        linked = [links.id, *links.peers.links]
        have = [*linked, *(node_id for node_id, _ in self._avoid.items(now))][:MOST_NAMED_IN_REQUEST]
        if links.tracker is None:
            known = [node for node in links.peers.unlinked(now) if node.id not in have][:_LATEST_KNOWN]
            chosen = self._rng.choice(known) if known else None
            return None if chosen is None else (chosen.id, chosen.address)
        reply = await self._ask_tracker(NodeRequest(have=tuple(have)))
        if reply is None or reply.id is None or reply.id in linked or reply.host is None or not reply.port:
            return None
        address = Address(reply.host, reply.port)
        links.peers.note_hearsay(reply.id, address, TRACKER_ID, now)
        return reply.id, address

    async def _ask_tracker(self, request: NodeRequest) -> NodeReply | None:
        # One question at a time: an answer does not say to which it is one.
        await self._asking.acquire()
        try:
            if self._links.tracker is None:
                return None
            self._answer, self._asked_kind = Deferred(), request.kind
            self._answer.addTimeout(_ANSWER_S, self._links.clock, lambda result, timeout: None)
            self._links.tracker.send(request)
            return await self._answer
        finally:
            self._answer = None
            self._asking.release()

    def _backoff(self) -> Backoff:
        return Backoff(self._rng, _FIRST_RETRY_S, _LONGEST_RETRY_S)

    async def _sleep(self, seconds: float) -> None:
        await deferLater(self._links.clock, seconds)

    async def _until_changed(self) -> None:
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        await waiting


def _ignore_cancelled(failure: Failure) -> None:
    failure.trap(CancelledError)
