"""The link table: all connections of one node, and how they are accepted, dialled, greeted and ended."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final, Protocol
from weakref import ref

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocol,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)

from twisted_bazaar.errors import (
    LinkClosed,
    NoSlots,
    PeerError,
    ReachedItself,
    ReachedTracker,
    Unproven,
    Unreachable,
)
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.interfaces import IRegistrar, Openings
from twisted_bazaar.node.admission import Admission
from twisted_bazaar.node.control import PROTOCOL_VERSION, Disconnect, ThisIsMe, ThisIsYou
from twisted_bazaar.node.dialler import Dialler, LinkFactory
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.links.deadlines import Deadlines
from twisted_bazaar.node.links.link import Link
from twisted_bazaar.node.links.link_bytes import LinkBytes
from twisted_bazaar.node.links.read_budget import ReadBudget
from twisted_bazaar.node.peers import Peers, address_of
from twisted_bazaar.security.links.link_security import EndpointAround, LinkSecurity
from twisted_bazaar.system.connection_errors import reason_of
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.system.tcp_endpoint import tcp_endpoint
from twisted_bazaar.values.addresses import Address, Peer, plain_host, text_of_endpoint
from twisted_bazaar.wire.codec import Codec
from twisted_bazaar.wire.error import Error
from twisted_bazaar.wire.message import NO_ID, TRACKER_ID, Message

Trace = Callable[[Peer | None, Message], None]


class LinksOwner(Protocol):
    """The interface from the links of a node to it."""

    @property
    def kind(self) -> str | None:
        """The kind of the node, for those that look for such nodes."""

    @property
    def udp_port(self) -> int:
        """The port at which the node takes datagrams; 0 if it takes none."""

    def peer_joined(self, peer: Peer) -> None:
        """A node is linked that was not."""

    def peer_left(self, peer: Peer) -> None:
        """A node is linked no more."""

    def tracker_changed(self) -> None:
        """The link to the tracker has opened or gone."""

    def message_received(self, link: Link, message: Message) -> None:
        """A message came over an open link."""


class LinkTable:
    """The connections of one node.

    @param security: seals its connections, or leaves them in the open.
    @param registrar: the role that hands out ids, if this node is a tracker.
    @ivar is_tracker: whether this node hands out ids.
    @ivar id: this node's id; -1 until it has one.
    @ivar tracker: the open link to the tracker, if there is one.
    @ivar turn: what its links may read in one turn of the reactor.
    @ivar link_bytes: what they hold together.
    @ivar advertised: what this node says of where it listens; a host of None leaves it to others to
        see, a port of 0 says that it takes no connections.
    @ivar trace: called with every message sent, if set.
    @ivar openings: by the message that a connection begins with, what takes it over instead of a link.
    """

    log: Final = limited_logger(__name__)

    def __init__(
        self,
        owner: LinksOwner,
        reactor: Any,
        key: KeyPair,
        limits: Limits,
        codec: Codec,
        registrar: IRegistrar | None,
        security: LinkSecurity,
    ) -> None:
        self._owner = owner
        # Nothing is to be added here on the way up.
        self.message_received: Callable[[Link, Message], None] = owner.message_received
        self.clock = reactor
        self.limits = limits
        self.codec = codec
        self._key = key
        self._registrar = registrar
        self._security = security
        self.is_tracker: bool = registrar is not None
        self.id = NO_ID if registrar is None else TRACKER_ID
        self.peers: Peers = Peers(
            key.public, limits.max_links, limits.known_paths, limits.known_s, is_fair=registrar is None
        )
        self.tracker: Link | None = None
        self.advertised: tuple[str | None, int] = (None, 0)
        self.trace: Trace | None = None
        self.openings: Openings = {}
        self._port: IListeningPort | None = None
        self._all: dict[Link, None] = {}
        self._admission: Admission[Link | ref[Any]] = Admission(limits.max_connections, limits.max_greeting)
        self.turn: ReadBudget = ReadBudget(reactor, limits.all_frames_a_turn, limits.turn_s)
        self.link_bytes: LinkBytes = LinkBytes(limits.all_links_bytes, self._all)
        self._watch = Deadlines(reactor, self._all)
        self._dialler = Dialler(self.connection_endpoint, self._build_dialled, limits.dials_at_once)
        self._ended: Deferred[None] | None = None

    # What the node calls.

    async def listen(self, endpoint: IStreamServerEndpoint, advertised: Address | None) -> None:
        """Take connections.

        @param advertised: where others reach this node, when it is not where it listens.
        """
        self._port = await self._security.seal_server(endpoint).listen(LinkFactory(self._build_accepted))
        bound = self._port.getHost()
        host, port = getattr(bound, "host", None), getattr(bound, "port", 0)
        if advertised is not None:
            self.advertised = (advertised.host, advertised.port)
        else:
            self.advertised = (None if host is None or ip_address(host).is_unspecified else host, port)

    def peer_at(self, where: Address | IStreamClientEndpoint) -> Peer | None:
        """The neighbour at an address, as it says or was dialled, or the one that an endpoint last led to."""
        address = where if isinstance(where, Address) else self.peers.named.get(where)
        for link in self.peers.links.values():
            if link.peer is not None and (
                link.peer.address == address or (link.dialled and _address_at(link) == address)
            ):
                return link.peer
        return None

    def is_taken(self, address: Address) -> bool:
        """Whether a neighbour or the tracker is at an address."""
        if self.tracker is not None and address == _address_at(self.tracker):
            return True
        return self.peer_at(address) is not None

    def dial(self, address: Address) -> Deferred[Peer]:
        """Connect to a node and shake hands.

        @return: fires with the peer, or fails with a L{PeerError}.
        """
        return self._dialler.dial(address)

    def connection_endpoint(
        self, address: Address, key: str | None = None, timeout_s: float | None = None
    ) -> IStreamClientEndpoint:
        """What connects to an address.

        @param key: the key that whoever is there must prove, where connections are sealed; None for any.
        @param timeout_s: how long to try; None for as long as for links.
        """
        most_s = self.limits.connect_s if timeout_s is None else timeout_s
        return self._security.seal_client(tcp_endpoint(self.clock, address.host, address.port, most_s), key)

    async def dial_endpoint(self, endpoint: IStreamClientEndpoint, *, to_tracker: bool = False) -> Link:
        """Connect to where the user said and shake hands.

        @raise PeerError: nobody is there, or who is there refuses.
        """
        try:
            sealed = self._security.seal_named(endpoint)
        except Unproven as error:
            _tell_failed(endpoint, error)
            raise
        try:
            link = await sealed.connect(LinkFactory(lambda addr: self._build_dialled(to_tracker)))
        except (ConnectError, OSError) as error:
            raise Unreachable(text_of_endpoint(endpoint), reason_of(error)) from error
        except ConnectingCancelledError:
            # The endpoints' own word for it; those who wait know the general one.
            raise CancelledError from None
        except CancelledError:
            raise
        except Exception as error:
            # An endpoint is anybody's code: its fault must not end the tries.
            self.log.failure("the endpoint {endpoint} raised an error of its own", endpoint=text_of_endpoint(endpoint))
            raise LinkClosed(repr(error)) from error
        assert isinstance(link, Link)
        assert link.opened is not None, "a dialled link says when it opens"
        if not to_tracker:
            link.is_named = True
            try:
                address = _address_at(link)
            except ValueError:
                # Where there are no IP addresses nobody can be known by one.
                address = Address("", 0)
            if address.port:
                self.peers.named[endpoint] = address
        try:
            await link.opened
        except PeerError as error:
            _tell_failed(endpoint, error)
            raise
        return link

    def close(self) -> Deferred[None]:
        """Say goodbye to all and close.

        @return: fires when every socket is closed.
        """
        self._dialler.stop()
        stopped = self._port.stopListening() if self._port is not None else None
        for link in list(self._all):
            link.close(Disconnect())
        self._ended = Deferred()
        self._end_if_empty()
        both: Deferred[Any] = succeed(None)
        both.addCallback(lambda _: stopped)
        both.addCallback(lambda _: self._ended)
        return both

    # What a link calls.

    def greeting(self) -> ThisIsMe:
        """This node's own C{thisisme}."""
        host, port = self.advertised
        return ThisIsMe(
            id=self.id,
            port=port,
            host=host,
            key=self._key.public,
            version=PROTOCOL_VERSION,
            kind=self._owner.kind,
            udp=self._owner.udp_port,
        )

    def welcome(self, link: Link, greeting: ThisIsMe | ThisIsYou) -> tuple[Peer, Message | None]:
        """Judge who the other end says it is.

        @return: the peer, and what to answer if the other end dialled.
        @raise PeerError: it is not wanted.
        """
        seen_host = _host_of(link.transport.getPeer()) if link.dialled else link.host
        if isinstance(greeting, ThisIsMe) and link.proven_key not in (None, greeting.key):
            raise PeerError("the key in the greeting is not the one that was proven")
        if isinstance(greeting, ThisIsYou):
            if not link.to_tracker:
                raise ReachedTracker("a tracker's answer, where a node was expected")
            self._take_id(greeting.id)
            return Peer(TRACKER_ID, "", Address(seen_host, 0)), None
        if link.to_tracker:
            raise PeerError("a node's answer, where a tracker was expected")
        address = address_of(greeting, seen_host)
        peer = Peer(greeting.id, greeting.key, address, greeting.kind, greeting.udp, seen_host)
        answer: Message | None = None
        if self._registrar is not None:
            peer = evolve(peer, id=self._registrar.assign_id(greeting.key, greeting.id))
            answer = ThisIsYou(id=peer.id, host=address.host, port=address.port)
        elif self.id == NO_ID:
            raise LinkClosed("this node has no id yet")
        elif greeting.id <= TRACKER_ID:
            raise PeerError("only a tracker gives ids; this is a node")
        else:
            answer = None if link.dialled else self.greeting()
        try:
            loser = self.peers.admit(link, peer, greeting.version, self.id, seen_host)
        except ReachedItself as error:
            self._fail_other_end(link, error)
            raise
        if loser is not None:
            loser.close(Error.telling(NoSlots("no slots available: there are many links from this host")))
        return peer, answer

    def is_opening(self, message: Message) -> bool:
        """Whether a connection may begin with this that is to be no link."""
        return type(message) in self.openings

    def find_opening(self, link: Link, message: Message) -> IProtocol | None:
        """Give a connection to the role that its first message is for; None if no role wants it."""
        if self._ended is not None:
            return None
        successor = self.openings[type(message)](message, _address_at(link))
        if successor is not None:
            self._admission.replace(link, ref(link.transport, self._admission.connection_closed))
        return successor

    def link_opened(self, link: Link) -> None:
        """The handshake is done."""
        self._admission.connection_greeted(link)
        peer = link.peer
        if link.to_tracker:
            self.tracker = link
            self._owner.tracker_changed()
        elif peer is not None:
            before = self.peers.links.get(peer.id)
            second = self.peers.add(link, peer)
            if second is not None:
                second.retire()
            if second is link:
                return
            if not self.is_tracker:
                self.peers.note_seen(peer, _address_at(link).host, self.clock.seconds())
            if before is not None and before.peer is not None and before.peer != peer:
                self._owner.peer_left(before.peer)
                before = None
            if before is None:
                self._owner.peer_joined(peer)

    def link_closed(self, link: Link) -> None:
        """The link can be used no more, though its socket may be open a moment longer."""
        if self.tracker is link:
            self.tracker = None
            self._owner.tracker_changed()
        elif self.peers.remove(link) and link.peer is not None:
            if not self.is_tracker:
                self.peers.note_seen(link.peer, _address_at(link).host, self.clock.seconds())
            self._owner.peer_left(link.peer)

    def link_lost(self, link: Link) -> None:
        """The socket is closed."""
        self.link_closed(link)
        self._admission.connection_closed(link)
        self._all.pop(link, None)
        self._end_if_empty()

    def deadline_set(self, at: float) -> None:
        """A link wants to be looked at by then."""
        self._watch.schedule_check(at)

    # Inside.

    def _build_accepted(self, addr: IAddress | None) -> Link | None:
        if self._ended is not None:
            return None
        host = _host_of(addr)
        try:
            goes = self._admission.admit(host)
        except NoSlots:
            return None
        if isinstance(goes, Link):
            goes.abort()
        elif goes is not None and (transport := goes()) is not None:
            transport.abortConnection()
        link = Link(self, dialled=False, host=host)
        self._all[link] = None
        self._admission.connection_opened(link, host)
        return link

    def _build_dialled(self, to_tracker: bool = False) -> Link:
        link = Link(self, dialled=True, to_tracker=to_tracker)
        self._all[link] = None
        return link

    def _fail_other_end(self, link: Link, error: ReachedItself) -> None:
        """Fail the dial at the other end of a link that leads to this very node, if it was dialled here."""
        dialled_from = _address_at(link)
        for other in self._all if dialled_from.port else ():
            own_end = other.transport.getHost() if other.dialled else None
            if dialled_from == Address(_host_of(own_end), getattr(own_end, "port", 0)):
                other.fail_opening(error)

    def _take_id(self, new_id: int) -> None:
        """Use the id a tracker gave; links made under another one are no longer true."""
        if new_id != self.id:
            self.id = new_id
            for link in list(self._all):
                # Those that are still being made have been greeted with the old one too.
                if not link.to_tracker and (link.dialled or link.peer is not None):
                    link.close(Disconnect())

    def _end_if_empty(self) -> None:
        if self._ended is not None and not self._all and not self._ended.called:
            self.turn.stop()
            self._watch.stop()
            self._ended.callback(None)


def _tell_failed(endpoint: IStreamClientEndpoint, error: PeerError) -> None:
    """Tell whoever observes an endpoint why no link was made there."""
    if isinstance(endpoint, EndpointAround):
        endpoint.link_failed(error)


def _address_at(link: Link) -> Address:
    """The address at the other end of a link."""
    address = link.transport.getPeer()
    return Address(_host_of(address), getattr(address, "port", 0))


def _host_of(address: object) -> str:
    """The host of a connection's other end, IPv4 where it is IPv4 in IPv6 clothes."""
    return plain_host(getattr(address, "host", "127.0.0.1"))
