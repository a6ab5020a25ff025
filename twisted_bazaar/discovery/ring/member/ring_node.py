"""A node that speaks with the members of a ring by datagram: what members and clients have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final

from twisted.internet.defer import Deferred

from twisted_bazaar.discovery.ring.member.incarnation import Incarnation
from twisted_bazaar.discovery.ring.member.joining import BootstrapNode, Joining, Met, Where
from twisted_bazaar.discovery.ring.member.lookup_driver import Lookups
from twisted_bazaar.discovery.ring.member.responder import Responder
from twisted_bazaar.discovery.ring.rpc.contact_encoding import ContactEncoder
from twisted_bazaar.discovery.ring.rpc.messages import (
    ANYBODY,
    RingAbrupt,
    RingExit,
    RingFind,
    RingFound,
    RingJoin,
    RingMessage,
    RingPing,
    RingPong,
    RingQuit,
    RingUpdate,
)
from twisted_bazaar.discovery.ring.rpc.requests import Make, Requests, WitnessedRequests
from twisted_bazaar.discovery.ring.rules.actions import JoinRefused
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.routing_table import RoutingTable
from twisted_bazaar.discovery.ring.rules.settings import USUAL, Settings
from twisted_bazaar.discovery.ring.rules.stabilization import Stabilization
from twisted_bazaar.errors import LinkClosed, UsageError
from twisted_bazaar.interfaces import INode
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.joining import JoinObserver, NotJoined
from twisted_bazaar.wire.message import Message

Reply = Callable[[Make], None]
Service = Callable[[Any, Contact, Reply], None]
"""Takes a message, who has sent it, and what answers that one; the message may come twice."""
Answer = Callable[[Responder, Any, Contact], None]
"""The method of a responder that takes a message and who has sent it."""

# What others see is not known here.
_NO_HOST: Final = "0.0.0.0"
# Why it cannot join is in the log once, and again after so long.
_SAY_AGAIN_S: Final = 30.0


class RingNode(ABC):
    """A node with datagrams of its own on a ring: base of members and clients.

    @param ring_id: its identifier; as follows from its key if not given.
    @param observer: told how it joins.
    @ivar datagrams: what it takes by datagram, for the table of its role.
    @ivar displaced: fires with who has the identifier of this node, if another keeps it; then this one is to stop.
    @ivar cards: writes and reads contacts in messages; there from when it has begun, as are the properties.
    @cvar is_client: whether it only asks, and never joins.
    @raise ValueError: there is no such identifier.
    """

    __slots__ = (
        *("ring", "settings", "datagrams", "cards", "displaced", "_ring_id", "_beginning", "_joining", "_is_open"),
        "_told_why_not",
        "observer",
        *("_is_leaving", "_node", "_seconds", "_requests", "_incarnation"),
    )

    is_client: ClassVar[bool]
    cards: ContactEncoder
    _node: INode
    _seconds: Callable[[], float]
    _requests: Requests
    _incarnation: Incarnation

    def __init__(
        self, settings: Settings = USUAL, ring_id: int | None = None, observer: JoinObserver | None = None
    ) -> None:
        self.observer: JoinObserver = observer or JoinObserver()
        self.ring: Ring = Ring(settings.bits)
        self.settings = settings
        self.datagrams: dict[type[Message], Callable[[Any, Address, str | None], None]] = {
            RingJoin: self._on_join,
            RingPing: partial(self._answer, Responder.on_ping),
            RingUpdate: partial(self._answer, Responder.on_hearsay),
            RingAbrupt: partial(self._answer, Responder.on_hearsay),
            RingQuit: partial(self._answer, Responder.on_quit),
            RingFind: partial(self._answer, Responder.on_find),
            **dict.fromkeys((RingPong, RingExit, RingFound), self._on_answer),
        }
        self.displaced: Deferred[Contact] = Deferred()
        self._ring_id = None if ring_id is None else self.ring.check(ring_id)
        self._beginning: tuple[Timer, Deferred[None]] | None = None
        self._joining: Joining | None = None
        self._told_why_not = ("", 0.0)
        self._is_open = False
        self._is_leaving = False

    @property
    def own(self) -> Contact:
        """This node."""
        return self.cards.own

    @property
    def table(self) -> RoutingTable:
        """Whom it knows."""
        return self._incarnation.table

    @property
    def stabilization(self) -> Stabilization:
        """The rules about its neighbours, and so who they are."""
        return self._incarnation.table.stabilization

    @property
    def pinging_predecessors(self) -> Sequence[Contact]:
        """Who asks over and over how this node stands, the nearest first: its predecessors, as pings show them."""
        return self.table.callers.recent(self._seconds())

    @property
    def requests(self) -> WitnessedRequests:
        """What asks other nodes."""
        return self._incarnation.requests

    @property
    def lookups(self) -> Lookups:
        """What finds who is responsible for an identifier."""
        return self._incarnation.maintenance.lookups

    @property
    def is_member(self) -> bool:
        """Whether it has joined, and has not gone."""
        return self._is_open and self.stabilization.is_member

    @property
    @abstractmethod
    def can_ask(self) -> bool:
        """Whether it knows whom to ask."""

    @abstractmethod
    def start(self, node: INode, join: Where | None = None) -> Deferred[None]:
        """Come in by a member.

        @param join: where that one takes links.
        @return: fires when this node is in.
        @raise UsageError: it cannot come in, however often it tries.
        @raise LinkClosed: it was stopped before.
        """

    def serve(self, services: Mapping[type[RingMessage], Service], answers: Sequence[type[RingMessage]] = ()) -> None:
        """Carry further messages; to be called before it starts.

        @param services: what takes those that others begin.
        @param answers: those that only answer this node.
        """
        for kind, service in services.items():
            self.datagrams[kind] = partial(self._serve, service)
        for kind in answers:
            self.datagrams[kind] = self._on_answer

    def stop(self) -> Deferred[None]:
        """Do what is to be done, tell the neighbours, and go.

        @return: fires when nothing is under way any more.
        """
        return Deferred.fromCoroutine(self._leave())

    # For members and clients.

    @abstractmethod
    async def _enter(self, met: Met) -> Contact | None:
        """Try to come in by a member; returns who holds this node's identifier, or None if it has come in."""

    @abstractmethod
    def _entered(self) -> None:
        """It has come in."""

    @abstractmethod
    async def _say_goodbye(self) -> None:
        """Do what is to be done before it closes."""

    @abstractmethod
    def _on_refused(self, step: JoinRefused) -> None:
        """The rules say that there is no joining, or no staying."""

    @abstractmethod
    def _on_changed(self) -> None:
        """It has joined, or its neighbours are not what they were."""

    def _start(self, node: INode, come_in: Callable[[Deferred[None]], None]) -> Deferred[None]:
        """Begin.

        @param come_in: called when it can speak to others; what it is called with is to fire when this node is in.
        """
        self._node = node
        self._seconds = node.clock.seconds
        # When the node listens: it says where.
        began: Deferred[None] = Deferred()
        timer = Timer(node.clock, partial(self._begin, come_in, began))
        timer.set(0)
        self._beginning = timer, began
        return began

    def _become(self, own: Contact) -> None:
        """Be seen as this, and know nobody."""
        self.cards.become(own)
        self._incarnation = Incarnation.begin(
            self._node, self._requests, self.settings, self._on_refused, self._on_changed
        )

    def _join(self, bootstrap: BootstrapNode, began: Deferred[None]) -> None:
        """Come in by a member, however often it has to be tried."""
        self._joining = Joining(self._node, bootstrap, self._enter, self._on_not_entered)
        self._joining.joined.addCallback(lambda _: self._entered()).chainDeferred(began)

    # Inside.

    def _begin(self, come_in: Callable[[Deferred[None]], None], began: Deferred[None]) -> None:
        self._beginning = None
        node = self._node
        if not node.udp_port:
            began.errback(UsageError("a member of a ring has to take datagrams"))
            return
        host, port = node.advertised
        key = node.key.public
        identifier = self.ring.id_of_key(key) if self._ring_id is None else self._ring_id
        own = Contact(identifier, key, Address(host or _NO_HOST, node.udp_port), port)
        self.cards = ContactEncoder(own, self.ring)
        self._requests = Requests(node, self.cards)
        self._become(own)
        self._is_open = True
        come_in(began)

    def _on_not_entered(self, why: str) -> None:
        why, now = why.rstrip("."), self._node.clock.seconds()
        told, told_at = self._told_why_not
        # The journal has each try; the log has a reason once, and then so seldom that it is still seen.
        is_new = why != told or now - told_at >= _SAY_AGAIN_S
        if is_new:
            self._told_why_not = why, now
        sentence = "this node could not join the ring: {why}; trying again" if is_new else None
        self._node.report("ring-waits", sentence, why=why)
        self.observer.not_joined(0, NotJoined.STRANGER, why)

    async def _leave(self) -> None:
        if self._beginning is not None:
            timer, began = self._beginning
            self._beginning = None
            timer.cancel()
            began.errback(LinkClosed("this node stops"))
        if self._joining is not None:
            self._joining.stop()
        await self._say_goodbye()
        if self._is_open:
            self._is_open = False
            self._incarnation.maintenance.stop()
            self._requests.stop()

    # What comes by datagram.

    def _answer(self, answer: Answer, message: RingMessage, address: Address, key: str | None) -> None:
        """Let the responder have a message and its sender."""
        sender = self._sender(message, address)
        if sender is not None:
            answer(self._incarnation.responder, message, sender)

    def _serve(self, service: Service, message: RingMessage, address: Address, key: str | None) -> None:
        """The same for a service, with what answers that message."""
        sender = self._sender(message, address)
        if sender is not None:
            service(message, sender, partial(self._requests.answer, message, address, key))
            self._incarnation.verification.verify(sender)

    def _on_join(self, message: RingJoin, address: Address, key: str | None) -> None:
        # Of whatever ring: who would join another is to know that it is another.
        if self._is_for_this(message):
            self._incarnation.responder.on_join(message, address, key)

    def _on_answer(self, message: RingMessage, address: Address, key: str | None) -> None:
        if self._is_open:
            self._requests.on_answer(message, address)

    def _sender(self, message: RingMessage, address: Address) -> Contact | None:
        """Who has sent a message, if it is for this node and not on behalf of another."""
        if not self._is_for_this(message):
            return None
        site, cards = self._requests.sites.known(address, self._seconds()), self.cards
        return cards.sender_of(message, address) if site is None else site.sender_of(message, cards)

    def _is_for_this(self, message: RingMessage) -> bool:
        if not self._is_open or self._is_leaving:
            return False
        destination = message.destination
        return destination == self.cards.own_text or destination == ANYBODY
