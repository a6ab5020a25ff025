"""The common node: what every member of the network does, and a carrier of roles.

A node with no role at all is a relay. Messages come up from its links; floods are passed on once,
routed ones to the next on their path, and what is meant for this node goes to the role that claims
its class.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint
from twisted.logger import Logger
from zope.interface import implementer

from twisted_bazaar.errors import NoRoute, PeerError, WrongWay
from twisted_bazaar.identity.keys import KeyPair, own_id
from twisted_bazaar.interfaces import INode, IRegistrar, IRole, ISelfNumbered
from twisted_bazaar.node.bootstrap import Bootstrap
from twisted_bazaar.node.claims import Claim, claims_of, datagram_claims_of, openings_of
from twisted_bazaar.node.control import Disconnect, NodeReply
from twisted_bazaar.node.datagram import COOKIES, Datagrams, DatagramTrace
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.link import Link
from twisted_bazaar.node.links import Links
from twisted_bazaar.node.meetings import Meetings
from twisted_bazaar.node.router import Router, position_on_path
from twisted_bazaar.node.seen import SearchBudget, Seen
from twisted_bazaar.values.addresses import Address, Origin, Peer, Route, Whereabouts
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.framing import frame
from twisted_bazaar.wire.goods import BAZAAR
from twisted_bazaar.wire.message import (
    LARGEST_TTL,
    LONGEST_PATH,
    MESSAGE_TYPES,
    NO_ID,
    TRACKER_ID,
    Flooded,
    Message,
    Routed,
)

Journal = Callable[[str, Mapping[str, Any]], None]
Trace = Callable[[Peer | None, Message], None]

# A role that never stops is not to keep the node from leaving.
_ROLE_STOP_S: Final = 5.0


@implementer(INode)
class Node:
    """One member of the network.

    @param reactor: time, timers and connections.
    @param rng: the source of chance.
    @param key: who this node is.
    @param roles: what it does beyond relaying.
    @param former_id: the id it had when it last ran; it is used until the tracker gives another.
    @param bazaar: the name of the bazaar that its roles trade in.
    @param tracker: where its tracker listens, if it has one.
    @param neighbours: nodes to stay linked to.
    @param journal: called with the name and details of everything worth telling.
    @param trace: called with the receiver and every message sent over a link.
    @param datagram_trace: called with the address, the message and the size of every datagram sent.
    @ivar datagrams: its datagrams.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        rng: random.Random,
        key: KeyPair,
        roles: Sequence[IRole] = (),
        *,
        limits: Limits | None = None,
        former_id: int = NO_ID,
        bazaar: str = BAZAAR,
        tracker: IStreamClientEndpoint | None = None,
        neighbours: Sequence[IStreamClientEndpoint] = (),
        journal: Journal | None = None,
        trace: Trace | None = None,
        datagram_trace: DatagramTrace | None = None,
    ) -> None:
        limits = limits or Limits()
        self.clock = reactor
        self.rng = rng
        self.key = key
        self.bazaar = bazaar
        self._roles = roles
        self._started: list[IRole] = []
        self._journal = journal
        self._codec = Codec()
        registrars = [role for role in roles if IRegistrar.providedBy(role)]
        self._links = Links(self, reactor, key, limits, self._codec, registrars[0] if registrars else None)
        if not registrars:
            is_self_numbered = tracker is None and any(ISelfNumbered.providedBy(role) for role in roles)
            self._links.id = own_id(key.public) if is_self_numbered else former_id
        self._links.trace = trace
        self._bootstrap = Bootstrap(self._links, rng, None if registrars else tracker, neighbours)
        self._linked = self._links.peers.links
        self._router = Router(self._linked, limits.known_paths, limits.known_s)
        self._seen = Seen(limits.seen_ids, limits.seen_s)
        self._budget = SearchBudget(limits.searches_a_second)
        self._routed_as = self.id
        self._meetings = Meetings(self._links)
        self.datagrams = Datagrams(reactor, rng, key.secret_for(COOKIES), limits, datagram_trace)
        self._claims: dict[type[Message], Claim] = {}
        self._error_claims: list[Claim] = []
        self._takes = {cls: self._taker_of(cls) for cls in MESSAGE_TYPES.values()}

    @property
    def id(self) -> int:
        """This node's id; -1 until the tracker has given one."""
        return self._links.id

    @property
    def advertised(self) -> tuple[str | None, int]:
        """Where this node says that it takes links; a host of None is the one that others see it at."""
        return self._links.advertised

    @property
    def udp_port(self) -> int:
        """Where this node takes datagrams; 0 if nowhere."""
        return self.datagrams.port

    @property
    def kind(self) -> str | None:
        """What this node is, for those that look for such nodes: what one of its roles says."""
        return next((role.kind for role in self._roles if role.kind is not None), None)

    async def start(
        self,
        endpoint: IStreamServerEndpoint | None,
        advertised: Address | None = None,
        udp: tuple[str, int] | None = None,
    ) -> None:
        """Start the roles, listen, and join the network.

        @param endpoint: where to listen; None to take no connections.
        @param advertised: where others reach this node, when it is not where it listens.
        @param udp: the interface, empty for all, and the port to take datagrams at; None to take none.
        @raise UsageError: two roles claim one class of message.
        @raise CannotListenError: the endpoint is taken or not this machine's.
        """
        if udp is not None:
            bound = self.datagrams.listen(*udp)
            self.report("datagrams", "taking datagrams at {address}", address=str(bound))
        for role in self._roles:
            role.start(self)
            self._started.append(role)
        self._claims, self._error_claims = claims_of(self._roles)
        self._links.openings = openings_of(self._roles)
        datagram_claims = datagram_claims_of(self._roles)
        if udp is not None:
            self.datagrams.take(datagram_claims)
        if endpoint is not None:
            await self._links.listen(endpoint, advertised)
            host, port = self._links.advertised
            self.report("listening", "listening on {host} port {port}", host=host or "all addresses", port=port)
        self._bootstrap.start()

    def stop(self) -> Deferred[None]:
        """Stop the roles, say C{dc} to all, and close.

        @return: fires when every socket is closed.
        """
        self._bootstrap.stop()
        self._meetings.stop()
        stopping = [maybeDeferred(role.stop) for role in self._started]
        for each in stopping:
            each.addTimeout(_ROLE_STOP_S, self.clock)
            each.addErrback(lambda failure: self.log.failure("a role did not stop", failure))
        stopped: Deferred[Any] = gatherResults(stopping)
        stopped.addCallback(lambda _: gatherResults([self.datagrams.close(), self._links.close()]))
        return stopped.addCallback(lambda _: None)

    # What roles call: INode.

    def flood(self, message: Flooded) -> int:
        """Send a search of this node's own to every link; returns how many it went to."""
        now = self.clock.seconds()
        if not self._budget.admit_own(now):
            return 0
        host, port = self._links.advertised
        message = message.evolve(return_path=(self.id,), host=host, port=port or None)
        self._seen.add(self.id, message.id, self.id, now)
        return self._spread(message, message.return_path)

    def send(self, message: Message, route: Route) -> bool:
        """Send a message along a route; returns whether it could go."""
        link = self._links.tracker if route[1] == TRACKER_ID else self._linked.get(route[1])
        if link is None:
            return False
        if len(route) > 2:
            if not isinstance(message, Routed) or len(route) > LONGEST_PATH:
                return False
            message = message.evolve(path=route)
        link.send(message)
        return True

    def routes_to(self, node_id: int) -> Sequence[Route]:
        """The known routes to a node, best first."""
        return self._router.routes_to(node_id, self.id, self.clock.seconds())

    def reach(self, node_id: int, address: Address) -> Deferred[bool]:
        """Try to have a direct link to a node; fires with whether there is one."""
        return self._meetings.reach(node_id, address)

    def meet(self, where: Address | IStreamClientEndpoint) -> Deferred[Peer]:
        """Have a direct link to whoever is at an address; fires with the peer."""
        return self._meetings.meet(where)

    def release(self, node_id: int) -> None:
        """Say that a link made by L{reach} is needed no longer; it stays if the node needs it, or has it by L{meet}."""
        self._meetings.release(node_id)

    def part(self, node_id: int) -> None:
        """Say that a link made by L{meet} is needed no longer; it stays if the node needs it, or has reached it."""
        self._meetings.part(node_id)

    def dismiss(self, node_id: int, why: PeerError) -> bool:
        """Close a link that no role of this node needs; what one role has no use for another may have."""
        return len(self._roles) == 1 and self._meetings.dismiss(node_id, why)

    def another(self, kind: str, have: Sequence[int]) -> Deferred[Whereabouts | None]:
        """Ask the tracker for a node of a kind; fires with None if it names none."""
        return self._bootstrap.another(kind, have)

    def send_datagram(self, message: Message, addresses: Sequence[Address]) -> None:
        """Send a message to some addresses, as one datagram to each."""
        self.datagrams.send(message, addresses)

    def peers(self) -> Sequence[Peer]:
        """Who is linked to this node now."""
        return [link.peer for link in self._linked.values() if link.peer is not None]

    def report(self, event: str, sentence: str | None, **details: Any) -> None:
        """Enter something worth telling into the journal and, if there is a sentence for it, the log."""
        if sentence is not None:
            self.log.info(sentence, **details)
        if self._journal is not None:
            self._journal(event, details)

    def kind_changed(self) -> None:
        """Tell the tracker what this node is now: a role of it is of another kind than when it was greeted."""
        if self._links.tracker is not None:
            self._links.tracker.close(Disconnect())

    # What the links call.

    def peer_joined(self, peer: Peer) -> None:
        """A node is linked that was not."""
        for role in self._roles:
            role.peer_joined(peer)
        self._bootstrap.changed()

    def peer_left(self, peer: Peer) -> None:
        """A node is linked no more."""
        self._meetings.peer_left(peer)
        for role in self._roles:
            role.peer_left(peer)
        self._bootstrap.changed()

    def tracker_changed(self) -> None:
        """The link to the tracker has opened or gone."""
        if self._links.tracker is not None:
            if self._routed_as != self.id:
                self._routed_as = self.id
                self._router.clear()
            self.report("joined", "joined the network as node {id}", id=self.id)
        for role in self._roles:
            if self._links.tracker is not None:
                role.tracker_joined()
            else:
                role.tracker_left()
        self._bootstrap.changed()

    def message_received(self, link: Link, message: Message) -> None:
        """A message came over an open link."""
        peer = link.peer
        assert peer is not None, "an open link knows its peer"
        try:
            if link.to_tracker:
                self._take_from_tracker(message)
            else:
                self._takes[type(message)](peer, message)
        except PeerError as error:
            if not isinstance(message, Error):
                link.send(Error.telling(error, message))

    # The ways a message can go.

    def _taker_of(self, cls: type[Message]) -> Callable[[Peer, Any], None]:
        if self._links.is_tracker:
            return self._take_at_tracker
        if issubclass(cls, Flooded):
            return self._take_flooded
        if issubclass(cls, Routed):
            return self._take_routed
        return self._take_direct

    def _take_flooded(self, peer: Peer, message: Flooded) -> None:
        """Hand a search to its role and pass it on, once."""
        now = self.clock.seconds()
        passed = message.return_path
        if passed[-1] != peer.id:
            raise WrongWay(message.wire_name, "returnPath", f"it does not end with node {peer.id}, which sent it")
        own_id = self._links.id
        if own_id in passed or self._seen.knows(passed[0], message.id, now):
            return
        if not self._budget.admit(peer.id, now):
            return
        self._seen.add(passed[0], message.id, peer.id, now)
        host, port = message.host, message.port
        if len(passed) == 1:
            # Only its first neighbour sees where the origin's connection comes from.
            host, port = peer.address.host, peer.address.port or None
        route = (own_id, *passed[::-1])
        if len(route) > 2:
            self._router.learn(route, now)
        claim = self._claims.get(type(message))
        if claim is not None:
            claim(message.evolve(host=host, port=port), Origin(passed[0], route))
        ttl = min(message.ttl, LARGEST_TTL)
        # Whoever answers stands on the path back too.
        if ttl > 1 and len(passed) < LONGEST_PATH - 1:
            self._spread(message.evolve(return_path=(*passed, own_id), ttl=ttl - 1, host=host, port=port), passed)

    def _take_routed(self, peer: Peer, message: Routed) -> None:
        """Hand a message to its role, or to the next on its path."""
        path = message.path
        if path is None:
            self._deliver(message, Origin(peer.id, (self.id, peer.id)))
            return
        position = position_on_path(message, self.id, peer.id)
        back = tuple(reversed(path[: position + 1]))
        now = self.clock.seconds()
        if len(back) > 2:
            self._router.learn(back, now)
        if position == len(path) - 1:
            self._deliver(message, Origin(path[0], back))
            return
        following = self._linked.get(path[position + 1])
        if following is not None:
            following.send(message)
            return
        for detour in self._router.detours(path[: position + 1], path[-1], now):
            self._linked[detour[position + 1]].send(message.evolve(path=detour))
            return
        if not isinstance(message, Error):
            self._answer(message, NoRoute(f"node {path[position + 1]} is gone"), back, hop=path[position + 1])

    def _take_at_tracker(self, peer: Peer, message: Message) -> None:
        """A tracker is a directory: it passes nothing on."""
        if isinstance(message, Routed) and message.path is not None:
            position_on_path(message, self.id, peer.id)
        self._take_direct(peer, message)

    def _take_from_tracker(self, message: Message) -> None:
        """Hand a message to who asked for it; what nobody has asked for is nothing."""
        if isinstance(message, NodeReply):
            self._bootstrap.reply_received(message)
        elif isinstance(message, Error) or type(message) in self._claims:
            self._deliver(message, Origin(TRACKER_ID, (self.id, TRACKER_ID)))

    def _take_direct(self, peer: Peer, message: Message) -> None:
        self._deliver(message, Origin(peer.id, (self.id, peer.id)))

    def _deliver(self, message: Message, origin: Origin) -> None:
        """Hand a message that is meant for this node to the role that claims it."""
        if isinstance(message, Error):
            if message.code == NoRoute.code and message.hop is not None:
                self._router.forget_hop(origin.id, message.hop, origin.route[1], self.clock.seconds())
            for take_error in self._error_claims:
                take_error(message, origin)
            return
        claim = self._claims.get(type(message))
        if claim is None:
            self._answer(message, PeerError(f"nobody here takes {message.wire_name!r}"), origin.route)
        else:
            claim(message, origin)

    def _answer(self, message: Message, error: PeerError, route: Route, hop: int | None = None) -> None:
        self.send(Error.telling(error, message, hop), route)

    def _spread(self, message: Flooded, passed: Route) -> int:
        """Send a search to every link it has not passed; it is encoded once for all."""
        data = frame(self._codec.encode(message))
        trace = self._links.trace
        sent = 0
        for node_id, link in list(self._linked.items()):
            if node_id not in passed and not link.is_congested:
                if trace is not None:
                    trace(link.peer, message)
                link.write(data)
                sent += 1
        return sent
