"""Forwarding of messages: to a role of this node, on to the next hop of their path, or to all links.

Searches are passed on once, and in fair shares while there are more than there is room for; what has a path goes along
it, or round a node that is gone; what is meant for this node goes to the role that claims its class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted_bazaar.errors import NoRoute, PeerError, WrongWay
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.link_table import LinkTable
from twisted_bazaar.node.routing.dispatch import Claim
from twisted_bazaar.node.routing.duplicate_filter import DuplicateFilter
from twisted_bazaar.node.routing.fair_share import FairShare, FlowLabels, flow_of
from twisted_bazaar.node.routing.router import Router, position_on_path
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Origin, Peer, Route
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.framing import frame
from twisted_bazaar.wire.message import (
    LARGEST_TTL,
    LONGEST_PATH,
    MESSAGE_TYPES,
    TRACKER_ID,
    Flooded,
    Message,
    Routed,
)


class Forwarding:
    """Forwarding of the messages of one node.

    @param links: its links.
    @param secret: what labels of flows follow from.
    """

    def __init__(self, links: LinkTable, limits: Limits, secret: bytes) -> None:
        self._links = links
        self._linked = links.peers.links
        self._router = Router(self._linked, limits.known_paths, limits.known_s)
        self._passed = DuplicateFilter(limits.seen_ids, limits.seen_s)
        self._share: FairShare[tuple[Peer, Flooded]] = FairShare(
            limits.searches_a_second, limits.waiting_searches, limits.search_wait_s
        )
        self._label_of = FlowLabels(secret).of
        self._serving = Timer(links.clock, self._serve)
        self._routed_as = links.id
        self._claims: Mapping[type[Message], Claim] = {}
        self._error_claims: Sequence[Claim] = ()
        self._takes = {cls: self._taker_of(cls) for cls in MESSAGE_TYPES.values()}

    def register_receivers(self, claims: Mapping[type[Message], Claim], error_claims: Sequence[Claim]) -> None:
        """Hand messages for this node to roles from now on, by their class."""
        self._claims, self._error_claims = claims, error_claims

    def id_assigned(self) -> None:
        """Forget the paths that were learnt under another id: this node has been given one."""
        if self._routed_as != self._links.id:
            self._routed_as = self._links.id
            self._router.clear()

    def stop(self) -> None:
        """Drop the searches that wait; the links are closed."""
        self._share.clear()
        self._serving.cancel()

    # Out.

    def flood(self, message: Flooded) -> int:
        """Send a search of this node's own to every link; returns how many it went to."""
        links, now = self._links, self._links.clock.seconds()
        if not self._share.admit_own(now):
            return 0
        host, port = links.advertised
        message = message.evolve(return_path=(links.id,), flows=(), host=host, port=port or None)
        self._passed.add(links.id, message.id, links.id, now)
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

    def why_not(self, message: Message, route: Route) -> str:
        """Why a message cannot go along a route, in words."""
        first = route[1]
        if first == self._links.id:
            return "a route begins with this node and ends with the one to reach"
        if (self._links.tracker if first == TRACKER_ID else self._linked.get(first)) is None:
            return "there is no link to the tracker" if first == TRACKER_ID else f"there is no link to node {first}"
        if not isinstance(message, Routed):
            return f"{type(message).__name__} is not Routed, and goes over one link only"
        return f"a path has at most {LONGEST_PATH} nodes"

    def routes_to(self, node_id: int) -> Sequence[Route]:
        """The known routes to a node, best first."""
        return self._router.routes_to(node_id, self._links.id, self._links.clock.seconds())

    # In.

    def message_received(self, peer: Peer, message: Message) -> None:
        """Take a message that a neighbour has sent.

        @raise PeerError: it goes no further; what to answer.
        """
        self._takes[type(message)](peer, message)

    def is_wanted(self, message: Message) -> bool:
        """Whether a role of this node claims messages of this class."""
        return type(message) in self._claims

    def deliver(self, message: Message, origin: Origin) -> None:
        """Hand a message that is meant for this node to the role that claims it."""
        if isinstance(message, Error):
            if message.code == NoRoute.code and message.hop is not None:
                self._router.forget_hop(origin.id, message.hop, origin.route[1], self._links.clock.seconds())
            for take_error in self._error_claims:
                take_error(message, origin)
            return
        claim = self._claims.get(type(message))
        if claim is None:
            self._answer(message, PeerError(f"nobody here takes {message.wire_name!r}"), origin.route)
        else:
            claim(message, origin)

    # Inside.

    def _taker_of(self, cls: type[Message]) -> Callable[[Peer, Any], None]:
        if self._links.is_tracker:
            return self._take_at_tracker
        if issubclass(cls, Flooded):
            return self._take_flooded
        if issubclass(cls, Routed):
            return self._take_routed
        return self._take_direct

    def _take_flooded(self, peer: Peer, message: Flooded) -> None:
        """Pass a search on at once, or let it wait while there are more than may be passed on."""
        now = self._links.clock.seconds()
        passed = message.return_path
        if passed[-1] != peer.id:
            raise WrongWay(message.wire_name, "returnPath", f"it does not end with node {peer.id}, which sent it")
        if self._links.id in passed or self._passed.knows(passed[0], message.id, now):
            return
        if self._share.admit(now):
            self._pass_on(peer, message, now)
            return
        self._share.enqueue(flow_of(message, peer.network), (peer, message), now)
        if not self._serving.is_set:
            self._serve_later(now)

    def _serve_later(self, now: float) -> None:
        self._serving.set(max(0.0, self._share.next_at() - now))

    def _serve(self) -> None:
        """Pass on those that have waited and whose turn it is."""
        now = self._links.clock.seconds()
        while (waited := self._share.next(now, self._is_over)) is not None:
            self._pass_on(*waited, now)
        if len(self._share):
            self._serve_later(now)

    def _is_over(self, waited: tuple[Peer, Flooded]) -> bool:
        """Whether a search that has waited has been passed on meanwhile, having come another way too."""
        _, message = waited
        passed = message.return_path
        return self._links.id in passed or self._passed.knows(passed[0], message.id, self._links.clock.seconds())

    def _pass_on(self, peer: Peer, message: Flooded, now: float) -> None:
        """Hand a search to its role and send it to all others, once."""
        own_id, passed = self._links.id, message.return_path
        self._passed.add(passed[0], message.id, peer.id, now)
        label = self._label_of(peer.seen_host)
        if len(passed) > 1:
            host, port, flows = message.host, message.port, (*message.flows[1 - len(passed) :], label)
        else:
            # Only its first neighbour sees where the origin's connection comes from.
            host, port, flows = peer.address.host, peer.address.port or None, (label,)
        route = (own_id, *passed[::-1])
        if len(route) > 2:
            self._router.learn(route, now)
        claim = self._claims.get(type(message))
        if claim is not None:
            claim(message.evolve(host=host, port=port), Origin(passed[0], route))
        ttl = min(message.ttl, LARGEST_TTL)
        # Whoever answers stands on the path back too.
        if ttl > 1 and len(passed) < LONGEST_PATH - 1:
            self._spread(
                message.evolve(return_path=(*passed, own_id), flows=flows, ttl=ttl - 1, host=host, port=port), passed
            )

    def _take_routed(self, peer: Peer, message: Routed) -> None:
        """Hand a message to its role, or to the next on its path."""
        path = message.path
        if path is None:
            self.deliver(message, Origin(peer.id, (self._links.id, peer.id)))
            return
        position = position_on_path(message, self._links.id, peer.id)
        back = tuple(reversed(path[: position + 1]))
        now = self._links.clock.seconds()
        if len(back) > 2:
            self._router.learn(back, now)
        if position == len(path) - 1:
            self.deliver(message, Origin(path[0], back))
            return
        following = self._linked.get(path[position + 1])
        if following is not None:
            following.send(message)
            return
        for detour in self._router.detours(path[: position + 1], path[-1], now):
            self._linked[detour[position + 1]].send(message.evolve(path=detour))
            return
        if not isinstance(message, Error):
            hop = path[position + 1]
            self._answer(message, NoRoute(f"this node has no link to node {hop}, and knows no other way"), back, hop)

    def _take_at_tracker(self, peer: Peer, message: Message) -> None:
        """Answer what came to a tracker for another node: a tracker is a directory, and passes nothing on."""
        if isinstance(message, Routed) and message.path is not None:
            position_on_path(message, self._links.id, peer.id)
        self._take_direct(peer, message)

    def _take_direct(self, peer: Peer, message: Message) -> None:
        self.deliver(message, Origin(peer.id, (self._links.id, peer.id)))

    def _answer(self, message: Message, error: PeerError, route: Route, hop: int | None = None) -> None:
        self.send(Error.telling(error, message, hop), route)

    def _spread(self, message: Flooded, passed: Route) -> int:
        """Send a search to every link it has not passed; it is encoded once for all."""
        data = frame(self._links.codec.encode(message))
        trace = self._links.trace
        sent = 0
        for node_id, link in list(self._linked.items()):
            if node_id not in passed and not link.is_congested:
                if trace is not None:
                    trace(link.peer, message)
                link.write(data)
                sent += 1
        return sent
