"""A node: what every member of the network does, and what carries its roles.

A node with no role at all is a relay. Messages come up from its links; floods are passed on once,
routed ones to the next on their path, and what is meant for this node goes to the role that claims
its class.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.components import proxyForInterface
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.errors import PeerError
from twisted_bazaar.identity.keys import KeyPair, own_id
from twisted_bazaar.interfaces import AnyFlooded, INode, IRegistrar, IRole
from twisted_bazaar.node.bootstrap import Bootstrap
from twisted_bazaar.node.control import Disconnect, NodeReply
from twisted_bazaar.node.datagrams.datagram_socket import DatagramSocket, DatagramTrace
from twisted_bazaar.node.datagrams.protocol import COOKIES, Datagrams
from twisted_bazaar.node.datagrams.sealed.protocol import SealedDatagrams
from twisted_bazaar.node.datagrams.streaming import STREAMS, MakeStreams
from twisted_bazaar.node.held_links import HeldLinks
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.link_table import LinkTable
from twisted_bazaar.node.links.link import Link
from twisted_bazaar.node.routing.dispatch import claims_of, datagram_claims_of, openings_of
from twisted_bazaar.node.routing.fair_share import FLOW_LABELS
from twisted_bazaar.node.routing.forwarding import Forwarding
from twisted_bazaar.security.links.link_security import InTheClear, LinkSecurity
from twisted_bazaar.system.limited_log import Rates, limited_logger
from twisted_bazaar.values.addresses import Address, Origin, Peer, Route, Whereabouts
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.goods import BAZAAR
from twisted_bazaar.wire.message import LARGEST_INTEGER, NO_ID, TRACKER_ID, Flooded, Message

Journal = Callable[[str, Mapping[str, Any]], None]
Trace = Callable[[Peer | None, Message], None]

# A role that never stops is not to keep the node from leaving.


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
    @param make_streams: makes the streams over its datagrams; None for none.
    @param streams_first: whether files are to come by these where they can.
    @param security: seals its connections; None to leave them in the open.
    @ivar is_sealed: whether its connections are sealed.
    @ivar datagrams: its datagrams.
    @ivar send_datagram: sends a message to some addresses, as one datagram to each.
    """

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
        make_streams: MakeStreams | None = None,
        streams_first: bool = False,
        security: LinkSecurity | None = None,
    ) -> None:
        limits = limits or Limits()
        self.clock = reactor
        self.rng = rng
        self.key = key
        self.bazaar = bazaar
        self._roles = roles
        self._started: list[IRole] = []
        self._stopping: list[Deferred[None]] = []
        self._journal = journal
        # Most of what is reported is what strangers do.
        self._rates = Rates()
        self.log: Final = limited_logger(f"{__name__}.Node", self._rates)
        registrars = [role for role in roles if IRegistrar.providedBy(role)]
        security = security or InTheClear()
        self.is_sealed: bool = security.is_sealed
        self._links = LinkTable(self, reactor, key, limits, Codec(), registrars[0] if registrars else None, security)
        if not registrars:
            is_self_numbered = tracker is None and any(role.is_self_numbered for role in roles)
            self._links.id = own_id(key.public) if is_self_numbered else former_id
        self._links.trace = trace
        self._bootstrap = Bootstrap(self._links, rng, None if registrars else tracker, neighbours)
        self._linked = self._links.peers.links
        self._forwarding = Forwarding(self._links, limits, key.secret_for(FLOW_LABELS))
        self._held_links = HeldLinks(self._links)
        self.streams_first = streams_first
        streams = None if make_streams is None else partial(make_streams, secret=key.secret_for(STREAMS))
        cookies = key.secret_for(COOKIES)
        self.datagrams: DatagramSocket = (
            Datagrams(reactor, rng, cookies, limits, datagram_trace, streams)
            if security.handshakes is None
            else SealedDatagrams(
                reactor, rng, cookies, limits, security.handshakes, key.public, datagram_trace, streams
            )
        )
        self.send_datagram: Callable[..., None] = self.datagrams.send

    @property
    def id(self) -> int:
        """This node's id; -1 until the tracker has given one."""
        return self._links.id

    @property
    def advertised(self) -> tuple[str | None, int]:
        """The host and port at which this node says that it takes links; a host of None is the one that others see."""
        return self._links.advertised

    @property
    def udp_port(self) -> int:
        """The port at which this node takes datagrams; 0 if it takes none."""
        return self.datagrams.port

    @property
    def kind(self) -> str | None:
        """The kind of this node, for those that look for such nodes: the one that one of its roles says."""
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
            role.start(RoleNode(self, limited_logger(type(role).__module__, self._rates)))
            self._started.append(role)
        self._forwarding.register_receivers(*claims_of(self._roles))
        self._links.openings = openings_of(self._roles)
        datagram_claims = datagram_claims_of(self._roles)
        if udp is not None:
            self.datagrams.register_receivers(datagram_claims, self._links.openings)
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
        self._held_links.stop()
        self._stopping = [maybeDeferred(role.stop) for role in self._started]
        for role, stopping in zip(self._started, self._stopping, strict=True):
            stopping.addTimeout(role.stop_s, self.clock)
            stopping.addErrback(self._not_stopped, role)
        stopped: Deferred[Any] = gatherResults(self._stopping)
        stopped.addCallback(lambda _: self._close())
        return stopped

    def stop_now(self) -> None:
        """Wait no longer for what roles do before they stop."""
        for stopping in self._stopping:
            stopping.cancel()

    def _close(self) -> Deferred[Any]:
        closed = gatherResults([self.datagrams.close(), self._links.close()])
        self._forwarding.stop()
        return closed.addCallback(lambda _: None)

    # What roles call: INode.

    def new_flood(self, cls: type[AnyFlooded], **keys: Any) -> AnyFlooded:
        """Make a search of this node's own, with a random id."""
        return cls(id=self.rng.randrange(LARGEST_INTEGER), return_path=(self.id,), **keys)

    def flood(self, message: Flooded) -> int:
        """Send a search of this node's own to every link; returns how many it went to."""
        return self._forwarding.flood(message)

    def send(self, message: Message, route: Route) -> bool:
        """Send a message along a route; returns whether it could go, and logs why not."""
        if self._forwarding.send(message, route):
            return True
        why = self._forwarding.why_not(message, route)
        self.log.info("{type} for node {to} was not sent: {why}", type=message.wire_name, to=route[-1], why=why)
        return False

    def routes_to(self, node_id: int) -> Sequence[Route]:
        """The known routes to a node, best first."""
        return self._forwarding.routes_to(node_id)

    def try_hold_link(self, node_id: int, address: Address, holder: Hashable) -> Deferred[bool]:
        """Try to have a direct link to a node; fires with whether there is one."""
        return self._held_links.try_hold_link(node_id, address, holder)

    def hold_link(self, where: Address | IStreamClientEndpoint, holder: Hashable) -> Deferred[Peer]:
        """Have a direct link to whoever is at an address; fires with the peer."""
        return self._held_links.hold_link(where, holder)

    def release_link(self, node_id: int, holder: Hashable) -> None:
        """Give up a hold on a link; it stays if the node needs it, or somebody else holds it."""
        self._held_links.release_link(node_id, holder)

    def dismiss_peer(self, node_id: int, why: PeerError) -> bool:
        """Close a link that no role of this node needs; what one role has no use for another may have."""
        return len(self._roles) == 1 and self._held_links.dismiss_peer(node_id, why)

    def ask_tracker_for(self, kind: str, have: Sequence[int]) -> Deferred[Whereabouts | None]:
        """Ask the tracker for a node of a kind; fires with None if it names none."""
        return self._bootstrap.ask_tracker_for(kind, have)

    def has_validated(self, address: Address) -> bool:
        """Whether whoever is at an address has shown that it receives datagrams there, and does so now."""
        return self.datagrams.has_validated(address)

    def connection_endpoint(
        self, address: Address, key: str | None = None, timeout_s: float | None = None
    ) -> IStreamClientEndpoint:
        """An endpoint for a connection to whoever is at an address."""
        return self._links.connection_endpoint(address, key, timeout_s)

    def stream_endpoint(
        self, address: Address, key: str | None = None, timeout_s: float | None = None
    ) -> IStreamClientEndpoint | None:
        """An endpoint for a stream over datagrams to an address; None if this node has no streams."""
        return self.datagrams.stream_endpoint(address, key, timeout_s)

    @property
    def limits(self) -> Limits:
        """The limits on what it takes from others."""
        return self._links.limits

    @property
    def held_bytes(self) -> int:
        """The bytes that all links hold: read and not taken yet, or unsent."""
        return self._links.link_bytes.total

    def peers(self) -> Sequence[Peer]:
        """The nodes that are linked to this one now."""
        return [link.peer for link in self._linked.values() if link.peer is not None]

    def is_behind(self, node_id: int) -> bool:
        """Whether a linked node is behind with reading what it was sent."""
        link = self._linked.get(node_id)
        return link is not None and link.is_behind

    def report(self, event: str, sentence: str | None, **details: Any) -> None:
        """Enter something worth telling into the journal and, if there is a sentence for it, the log."""
        self.report_to(self.log, event, sentence, details)

    def report_to(self, log: Logger, event: str, sentence: str | None, details: Mapping[str, Any]) -> None:
        """Enter something worth telling into the journal and, if there is a sentence for it, a log."""
        if sentence is not None:
            log.info(sentence, **details)
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
        self._bootstrap.links_changed()

    def peer_left(self, peer: Peer) -> None:
        """A node is linked no more."""
        self._held_links.peer_left(peer)
        for role in self._roles:
            role.peer_left(peer)
        self._bootstrap.links_changed()

    def tracker_changed(self) -> None:
        """The link to the tracker has opened or gone."""
        if self._links.tracker is not None:
            self._forwarding.id_assigned()
            self.report("joined", "joined the network as node {id}", id=self.id)
        for role in self._roles:
            if self._links.tracker is not None:
                role.tracker_joined()
            else:
                role.tracker_left()
        self._bootstrap.links_changed()

    def message_received(self, link: Link, message: Message) -> None:
        """A message came over an open link."""
        peer = link.peer
        assert peer is not None, "an open link knows its peer"
        try:
            if link.to_tracker:
                self._take_from_tracker(message)
            else:
                self._forwarding.message_received(peer, message)
        except PeerError as error:
            if not isinstance(message, Error):
                link.send(Error.telling(error, message))

    def _take_from_tracker(self, message: Message) -> None:
        """Hand a message to who asked for it; what nobody has asked for is nothing."""
        if isinstance(message, NodeReply):
            self._bootstrap.reply_received(message)
        elif isinstance(message, Error) or self._forwarding.is_wanted(message):
            self._forwarding.deliver(message, Origin(TRACKER_ID, (self.id, TRACKER_ID)))

    def _not_stopped(self, failure: Failure, role: IRole) -> None:
        if failure.check(CancelledError):
            # The user wants it so.
            return
        self.log.failure("the role {role} did not stop", failure, role=type(role).__name__)


class RoleNode(proxyForInterface(INode, "_node")):  # type: ignore[misc]  # Twisted makes the class as it runs.
    """A node as one of its roles has it: what the role reports is logged under the name of the role's module.

    @param node: does everything else.
    @param log: the role's.
    """

    def __init__(self, node: Node, log: Logger) -> None:
        super().__init__(node)
        self._log = log

    def report(self, event: str, sentence: str | None, **details: Any) -> None:
        """Enter something worth telling into the journal and, if there is a sentence for it, the role's log."""
        self._node.report_to(self._log, event, sentence, details)
