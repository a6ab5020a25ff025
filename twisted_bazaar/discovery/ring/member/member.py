"""A node as a member of a ring: comes, answers, carries what nodes keep for each other, and goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.member.joining import Door, Joining, Met, Returning, Where
from twisted_bazaar.discovery.ring.member.maintenance import Maintenance
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
    Seen,
)
from twisted_bazaar.discovery.ring.rpc.requests import Answered, Make, Requests, Unanswered
from twisted_bazaar.discovery.ring.rules.actions import Ask, Refused, Seat
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.lookup import Found, Until
from twisted_bazaar.discovery.ring.rules.lookup_reply import LookupReply
from twisted_bazaar.discovery.ring.rules.settings import USUAL, Settings
from twisted_bazaar.discovery.ring.rules.stabilization import Stabilization
from twisted_bazaar.errors import LinkClosed, UsageError
from twisted_bazaar.interfaces import INode
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.joining import JoinObserver, NotJoined
from twisted_bazaar.wire.message import Message

Reply = Callable[[Make], None]
Service = Callable[[Any, Contact, Reply], None]
"""Takes a message, who has sent it, and what answers that one; the message may come twice."""

# What others see is not known here.
_NO_HOST: Final = "0.0.0.0"
# Who goes does not wait long for others to note it.
_FAREWELL_S: Final = 1.0


class RingMember:
    """One member of a ring.

    @param ring_id: its place; as follows from its key if not given.
    @param observer: told how it joins.
    @ivar datagrams: what it takes by datagram, for the table of its role.
    @ivar displaced: fires with who has the place of this node, if another keeps it; then this one is to stop.
    @ivar cards: writes and reads contacts in messages; there from when it has begun, as is C{own}.
    @cvar is_guest: whether it only asks, and never joins.
    @raise ValueError: there is no such place.
    """

    __slots__ = (
        *("ring", "settings", "datagrams", "cards", "displaced", "_ring_id", "_watchers", "_duties", "_beginning"),
        *("_joining", "_verdict", "_returning", "_is_open", "_is_leaving", "_node", "_seconds", "_asking"),
        *("_neighbourhood", "_door", "observer"),
    )

    log: Final = limited_logger(__name__)
    is_guest: ClassVar[bool] = False
    cards: ContactEncoder
    _node: INode
    _seconds: Callable[[], float]
    _asking: Requests
    _neighbourhood: Maintenance
    _door: Door

    def __init__(
        self, settings: Settings = USUAL, ring_id: int | None = None, observer: JoinObserver | None = None
    ) -> None:
        self.observer = observer or JoinObserver()
        self.ring = Ring(settings.bits)
        self.settings = settings
        self.datagrams: dict[type[Message], Callable[[Any, Address], None]] = {
            RingJoin: self._join_asked,
            RingPing: partial(self._take, self._ping_asked),
            RingUpdate: partial(self._take, lambda *about: self._neighbourhood.hear(*about)),
            RingAbrupt: partial(self._take, lambda *about: self._neighbourhood.hear(*about)),
            RingQuit: partial(self._take, lambda *farewell: self._neighbourhood.let_go(*farewell)),
            RingFind: partial(self._take, lambda *question: self._neighbourhood.name(*question)),
            **dict.fromkeys((RingPong, RingExit, RingFound), self._answered),
        }
        self._ring_id = None if ring_id is None else self.ring.check(ring_id)
        self._watchers: list[Callable[[], None]] = []
        self._duties: list[Callable[[], Deferred[Any]]] = []
        self._beginning: tuple[IDelayedCall, Deferred[None]] | None = None
        self._joining: Joining | None = None
        self._verdict: Deferred[Contact | None] | None = None
        self._returning: Returning | None = None
        self._is_open = False
        self._is_leaving = False
        self.displaced: Deferred[Contact] = Deferred()

    @property
    def own(self) -> Contact:
        """This node."""
        return self.cards.own

    @property
    def membership(self) -> Stabilization:
        """The rules about its neighbours, and so who they are."""
        return self._neighbourhood.membership

    @property
    def callers(self) -> Sequence[Contact]:
        """Who asks over and over how this node stands, the nearest first: its predecessors, as pings show them."""
        return self._neighbourhood.callers()

    @property
    def is_member(self) -> bool:
        """Whether it has joined, and has not gone."""
        return self._is_open and self.membership.is_member

    @property
    def can_ask(self) -> bool:
        """Whether it knows whom to ask."""
        return self.is_member

    # What is set before it starts.

    def serve(self, services: Mapping[type[RingMessage], Service], answers: Sequence[type[RingMessage]] = ()) -> None:
        """Carry further messages.

        @param services: what takes those that others begin.
        @param answers: those that only answer this node.
        """
        for kind, service in services.items():
            self.datagrams[kind] = partial(self._serve, service)
        for kind in answers:
            self.datagrams[kind] = self._answered

    def watch(self, changed: Callable[[], None]) -> None:
        """Have something called whenever its predecessor or its successors are not what they were."""
        self._watchers.append(changed)

    def before_leaving(self, duty: Callable[[], Deferred[Any]]) -> None:
        """Have something done before it goes; the ring does not know yet that it will."""
        self._duties.append(duty)

    # Coming and going.

    def start(self, node: INode, join: Where | None = None, seat: Seat | None = None) -> Deferred[None]:
        """Begin a ring, or join one.

        @param join: where a member takes links; none to begin a ring.
        @param seat: where it stands on the ring that it begins together with others, which all begin at this instant
            and know it: so a simulation has a ring that is too large to be joined one by one.
        @return: fires when it has joined.
        @raise UsageError: it cannot, however often it tries.
        @raise LinkClosed: it was stopped before.
        """
        self._node = node
        self._seconds = node.clock.seconds
        # When the node listens: it says where.
        began: Deferred[None] = Deferred()
        self._beginning = node.clock.callLater(0, self._begin, join, began, seat), began
        return began

    def stop(self) -> Deferred[None]:
        """Do what is to be done, tell the neighbours, and go.

        @return: fires when nothing is under way any more.
        """
        return Deferred.fromCoroutine(self._leave())

    # What it is for.

    def lookup(self, place: int) -> Deferred[tuple[Contact, ...]]:
        """Who is responsible for a place, and those after it; fires with nobody if none was found."""
        return self.find(place).addCallback(lambda found: found.holders)

    def find(self, place: int, *, is_wary: bool | None = None, until: Until = "answered") -> Deferred[Found]:
        """The same, with how it was found.

        @param is_wary: whether no single node is believed; as its settings say, if not given.
        @param until: when the search ends at the soonest; but for the usual, the first holder may be dead.
        """
        return self._neighbourhood.find(place, is_wary=is_wary, until=until)

    def likely(self, place: int, most: int) -> Sequence[Contact]:
        """Who is at a place and after it, as far as this node knows without asking; nobody if others may well be."""
        if not self.settings.has_fingers:
            return ()
        return self._neighbourhood.likely.holders(place, self._seconds(), most)

    def ask(self, contact: Contact, make: Make, late: Callable[[], None] | None = None) -> Deferred[RingMessage]:
        """Ask another node.

        @param make: the class of the message, or a C{functools.partial} with what is its own.
        @param late: called if it takes longer than usual.
        @return: fires with the answer.
        @raise LinkClosed: there is none; the rules are told.
        @raise UsageError: the message does not fit into a datagram.
        """
        return self._asking.ask(contact, make, late=late, witness=self._neighbourhood)

    def question(
        self, contact: Contact, make: Make, came: Answered, failed: Unanswered, late: Callable[[], None] | None = None
    ) -> None:
        """The same without a Deferred, for what is asked all the time.

        @param came: called with the answer.
        @param failed: called with why there is none.
        """
        self._asking.question(contact, make, came, failed, late, witness=self._neighbourhood)

    def tell(self, contact: Contact, make: Make) -> None:
        """Tell another node something that needs no answer, and may get lost.

        @raise UsageError: the message does not fit into a datagram.
        """
        self._asking.tell(contact, make)

    # Inside: coming.

    def _begin(self, join: Where | None, began: Deferred[None], seat: Seat | None) -> None:
        self._beginning = None
        node = self._node
        if not node.udp_port:
            began.errback(UsageError("a member of a ring has to take datagrams"))
            return
        host, port = node.advertised
        key = node.key.public
        place = self.ring.id_of_key(key) if self._ring_id is None else self._ring_id
        self.cards = ContactEncoder(Contact(place, key, Address(host or _NO_HOST, node.udp_port), port), self.ring)
        self._asking = Requests(node, self.cards)
        self._become()
        self._is_open = True
        if join is None:
            if seat is None:
                self.membership.begin()
            else:
                self._neighbourhood.sit(seat)
            self._entered()
            began.callback(None)
            return
        door = self._door = Door(node, self._asking, self.ring, join)
        self._returning = Returning(node, door, lambda contact: self._neighbourhood.do((Ask(contact),)))
        self._joining = Joining(node, door, self._enter, self._not_entered)
        self._joining.joined.addCallback(lambda _: self._entered()).chainDeferred(began)

    def _become(self) -> None:
        """Know nobody."""
        self._neighbourhood = Maintenance(
            self._node, self._asking, self.settings, refused=self._refused, changed=self._changed
        )

    async def _enter(self, met: Met) -> Contact | None:
        """Try to join by a member; returns who holds this node's place, or None if it has joined."""
        self._neighbourhood.stop()
        self.cards.become(met.own)
        self._become()
        neighbourhood, own = self._neighbourhood, self.own
        found = await neighbourhood.find(own.id, LookupReply(own, (met.contact,)), is_wary=False)
        by = found.before if found.before not in (None, own) else None
        self._verdict = Deferred()
        neighbourhood.do(neighbourhood.membership.join(by or met.contact))
        return await self._verdict

    def _refused(self, step: Refused) -> None:
        verdict, self._verdict = self._verdict, None
        if verdict is None:
            if step.holder is not None and self.is_member and not self.displaced.called:
                self.displaced.callback(step.holder)
            return
        if step.holder is None:
            verdict.errback(LinkClosed("no member was found behind which there is room for this node"))
        else:
            verdict.callback(step.holder)

    def _changed(self) -> None:
        verdict = self._verdict
        if verdict is not None and self.membership.is_member:
            self._verdict = None
            verdict.callback(None)
        if self._returning is not None:
            membership = self.membership
            is_alone = membership.is_member and membership.predecessor is None and not membership.successors
            self._returning.set_alone(is_alone)
        for changed in self._watchers:
            changed()

    def _entered(self) -> None:
        self._node.report("ring-joined", "this node is on the ring, at {id}", id=self.ring.called(self.own.id))
        self.observer.joined("by the ring")
        self._neighbourhood.start_rounds()

    def _not_entered(self, why: str) -> None:
        self._node.report("ring-waits", "this node could not join the ring: {why}; trying again", why=why.rstrip("."))
        self.observer.not_joined(0, NotJoined.STRANGER, why.rstrip("."))

    # Inside: going.

    async def _leave(self) -> None:
        if self._beginning is not None:
            timer, began = self._beginning
            self._beginning = None
            timer.cancel()
            began.errback(LinkClosed("this node is stopping"))
        if self._joining is not None:
            self._joining.stop()
        if self.is_member and not self._is_leaving:
            await self._do_duties()
            self._is_leaving = True
            self._neighbourhood.stop()
            await self._say_farewell()
        if self._is_open:
            self._is_open = False
            self._neighbourhood.stop()
            self._asking.stop()
        if self._returning is not None:
            self._returning.stop()

    async def _do_duties(self) -> None:
        duties = DeferredList([maybeDeferred(duty) for duty in self._duties], consumeErrors=True)
        most_s = self.settings.leaving_s
        # The node may wait less: then all that is not done is cancelled, and it goes on here.
        for is_done, result in await duties.addTimeout(most_s, self._node.clock, onTimeoutCancel=_give_up):
            if not is_done:
                self.log.failure("not all could be done before this node left the ring", result)

    async def _say_farewell(self) -> None:
        membership, write = self.membership, self.cards.write
        before = membership.predecessor
        farewell = partial(
            RingQuit,
            predecessor=None if before is None else write(before),
            successors=self.cards.write_all(membership.successors),
        )
        told = (*membership.farewells(), *self._neighbourhood.callers())
        asked = [self._asking.ask(contact, farewell) for contact in dict.fromkeys(told)]
        answered = DeferredList(asked, consumeErrors=True)
        await answered.addTimeout(_FAREWELL_S, self._node.clock, onTimeoutCancel=_give_up)
        self._node.report("ring-quit", "this node has left the ring")

    # Inside: what comes by datagram.

    def _take(self, method: Callable[[Any, Contact], None], message: RingMessage, address: Address) -> None:
        """Let a method have a message and its sender."""
        sender = self._sender(message, address)
        if sender is not None:
            method(message, sender)

    def _sender(self, message: RingMessage, address: Address) -> Contact | None:
        """Who has sent a message, if it is for this node and not on behalf of another."""
        if not self._is_for_this(message):
            return None
        site, cards = self._asking.sites.known(address, self._seconds()), self.cards
        return cards.sender_of(message, address) if site is None else site.sender_of(message, cards)

    def _is_for_this(self, message: RingMessage) -> bool:
        if not self._is_open or self._is_leaving:
            return False
        destination = message.destination
        return destination == self.cards.own_text or destination == ANYBODY

    def _join_asked(self, message: RingJoin, address: Address) -> None:
        # Of whatever ring: who would join another is to know that it is another.
        if self._is_for_this(message):
            seen = Seen(address.host, address.port)
            self._asking.answer(message, address, message.source, partial(self._neighbourhood.pong(), you=seen))

    def _ping_asked(self, message: RingPing, sender: Contact) -> None:
        self._neighbourhood.asked(message, sender)

    def _serve(self, service: Service, message: RingMessage, address: Address) -> None:
        """The same for a service, with what answers that message."""
        sender = self._sender(message, address)
        if sender is not None:
            service(message, sender, partial(self._asking.answer, message, address, message.source))
            self._neighbourhood.meeting.meet(sender)

    def _answered(self, message: RingMessage, address: Address) -> None:
        if self._is_open:
            self._asking.answered(message, address)


def _give_up(_: object, timeout_s: float) -> list[tuple[bool, Any]]:
    """What is taken for the outcome of what takes too long."""
    return [(False, Failure(LinkClosed(f"it has taken more than {timeout_s} s")))]
