"""The common node: what every member of the network does, and a carrier of roles.

A node with no role at all is a relay. Messages come up from its links; floods are passed on once,
routed ones to the next on their path, and what is meant for this node goes to the role that claims
its class.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.errors import NoRoute, PeerError, UsageError, WrongWay
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.interfaces import INode, IRegistrar, IRole, Opening
from twisted_bazaar.node.bootstrap import Bootstrap
from twisted_bazaar.node.control import Disconnect, NodeReply
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.link import Link
from twisted_bazaar.node.links import Links
from twisted_bazaar.node.router import Router, position_on_path
from twisted_bazaar.node.seen import SearchBudget, Seen
from twisted_bazaar.values.addresses import Address, Origin, Peer, Route
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
Claim = Callable[[Any, Origin], None]

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
    @param trace: called with the receiver and every message sent.
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
    ) -> None:
        limits = limits or Limits()
        self.clock = reactor
        self.rng = rng
        self.key = key
        self.bazaar = bazaar
        self._roles = roles
        self._journal = journal
        self._codec = Codec()
        registrars = [role for role in roles if IRegistrar.providedBy(role)]
        self._links = Links(self, reactor, key, limits, self._codec, registrars[0] if registrars else None)
        if not registrars:
            self._links.id = former_id
        self._links.trace = trace
        self._bootstrap = Bootstrap(self._links, rng, None if registrars else tracker, neighbours)
        self._linked = self._links.peers.links
        self._router = Router(self._linked, limits.known_paths, limits.known_s)
        self._seen = Seen(limits.seen_ids, limits.seen_s)
        self._budget = SearchBudget(limits.searches_a_second)
        self._limits = limits
        self._routed_as = self.id
        self._reached: set[int] = set()
        self._claims: dict[type[Message], Claim] = {}
        self._error_claims: list[Claim] = []
        self._takes = {cls: self._taker_of(cls) for cls in MESSAGE_TYPES.values()}

    @property
    def id(self) -> int:
        """This node's id; -1 until the tracker has given one."""
        return self._links.id

    async def start(self, endpoint: IStreamServerEndpoint | None, advertised: Address | None = None) -> None:
        """Start the roles, listen, and join the network.

        @param endpoint: where to listen; None to take no connections.
        @param advertised: where others reach this node, when it is not where it listens.
        @raise UsageError: two roles claim one class of message.
        @raise CannotListenError: the endpoint is taken or not this machine's.
        """
        for role in self._roles:
            role.start(self)
        self._claims, self._error_claims = _claims_of(self._roles)
        self._links.openings = _openings_of(self._roles)
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
        stopping = [maybeDeferred(role.stop) for role in self._roles]
        for each in stopping:
            each.addTimeout(_ROLE_STOP_S, self.clock)
            each.addErrback(lambda failure: self.log.failure("a role did not stop", failure))
        return gatherResults(stopping).addCallback(lambda _: self._links.close())

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
        if node_id in self._linked:
            return succeed(True)
        if self._links.peers.is_full or not address.port or self._links.is_taken(address):
            # A stranger chose the address: it must not make this node dial a neighbour or the tracker once
            # more, which would end the link there is.
            return succeed(False)
        before = set(self._linked)

        def linked(peer: Peer) -> bool:
            if peer.id not in before:
                self._reached.add(peer.id)
                if peer.id != node_id:
                    self.release(peer.id)
            return node_id in self._linked

        def not_linked(failure: Failure) -> bool:
            failure.trap(PeerError)
            # It may have dialled this node meanwhile.
            return node_id in self._linked

        # Who asked may stop waiting; a link that comes after that is still one to be released.
        answer: Deferred[bool] = Deferred()
        dialling = self._links.dial(address).addCallbacks(linked, not_linked)
        dialling.addCallback(lambda is_linked: None if answer.called else answer.callback(is_linked))
        dialling.addErrback(lambda failure: self.log.failure("a node was not reached", failure))
        return answer

    def release(self, node_id: int) -> None:
        """Close a link that was made by L{reach}, unless the node needs it to stay in the network."""
        link = self._linked.get(node_id)
        if node_id in self._reached and link is not None and len(self._linked) > self._limits.min_links:
            link.close(Disconnect())

    def peers(self) -> Sequence[Peer]:
        """Who is linked to this node now."""
        return [link.peer for link in self._linked.values() if link.peer is not None]

    def report(self, event: str, sentence: str | None, **details: Any) -> None:
        """Enter something worth telling into the journal and, if there is a sentence for it, the log."""
        if sentence is not None:
            self.log.info(sentence, **details)
        if self._journal is not None:
            self._journal(event, details)

    # What the links call.

    def peer_joined(self, peer: Peer) -> None:
        """A node is linked that was not."""
        for role in self._roles:
            role.peer_joined(peer)
        self._bootstrap.changed()

    def peer_left(self, peer: Peer) -> None:
        """A node is linked no more."""
        self._reached.discard(peer.id)
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


def _openings_of(roles: Sequence[IRole]) -> dict[type[Message], Opening]:
    """What takes over the connections that begin with which class of message."""
    openings: dict[type[Message], Opening] = {}
    for role in roles:
        for cls, opening in role.openings.items():
            if cls in openings:
                raise UsageError(f"two roles take connections that begin with {cls.__name__}; run them as two nodes")
            openings[cls] = opening
    return openings


def _claims_of(roles: Sequence[IRole]) -> tuple[dict[type[Message], Claim], list[Claim]]:
    """Who takes which class of message, and who takes errors."""
    claims: dict[type[Message], Claim] = {}
    error_claims: list[Claim] = []
    owners: dict[type[Message], IRole] = {}
    for role in roles:
        for cls, method in role.receives.items():
            if issubclass(cls, Error):
                error_claims.append(method)
                continue
            if cls in claims:
                names = sorted(type(r).__name__ for r in (owners[cls], role))
                raise UsageError(f"{names[0]} and {names[1]} both take {cls.__name__}; run them as two nodes")
            if cls not in MESSAGE_TYPES.values():
                raise UsageError(f"{type(role).__name__} takes {cls.__name__}, which has no wire name")
            claims[cls] = method
            owners[cls] = role
    return claims, error_claims
