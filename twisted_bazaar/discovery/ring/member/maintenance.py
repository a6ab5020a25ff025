"""Maintenance of a member's neighbours: drives the rules, sends what they ask for, and gives them what comes.

The rules are L{Stabilization}, L{Fingers} and L{Lookup}. Here is when they are asked, and by which messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from twisted_bazaar.discovery.ring.member.contact_verification import ContactVerification
from twisted_bazaar.discovery.ring.member.lookup_driver import LookupDriver
from twisted_bazaar.discovery.ring.member.ping_state import PingState, Told
from twisted_bazaar.discovery.ring.member.ring_events import RingEvents
from twisted_bazaar.discovery.ring.rpc.messages import (
    NO_MARK,
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
from twisted_bazaar.discovery.ring.rpc.per_host_limit import Awaited, host_of, per_host_limit
from twisted_bazaar.discovery.ring.rpc.requests import Make, Requests
from twisted_bazaar.discovery.ring.rpc.rtt_table import RttEntry
from twisted_bazaar.discovery.ring.rules.actions import Ask, Hint, NodeState, Refused, Report, Seat, Seek, Step
from twisted_bazaar.discovery.ring.rules.fingers import Fingers
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.lookup import MOST_STARTS, Found, Lookup, Until
from twisted_bazaar.discovery.ring.rules.lookup_reply import LookupReply, answer_for
from twisted_bazaar.discovery.ring.rules.owner_estimate import OwnerEstimate
from twisted_bazaar.discovery.ring.rules.pinging_predecessors import PingingPredecessors
from twisted_bazaar.discovery.ring.rules.recently_failed import RecentlyFailed
from twisted_bazaar.discovery.ring.rules.reconnect_candidates import ReconnectCandidates
from twisted_bazaar.discovery.ring.rules.settings import Settings
from twisted_bazaar.discovery.ring.rules.stabilization import Stabilization
from twisted_bazaar.interfaces import INode
from twisted_bazaar.rate_limit import RateLimits
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.values.addresses import network_of

# Rounds come a little irregularly, so that those of many nodes do not fall together.
_JITTER: Final = 0.25
# So many words about others are followed up that come from one host in a minute.
_HEARSAY_A_MINUTE: Final = 60
_TALKERS: Final = 1_024
# A caller that has been silent for so many rounds calls no longer.
_CALLING_ROUNDS: Final = 2.5
# Who only asks, and has not answered for so long, may not be able to.
_SHOWN_S: Final = 15.0
_MOST_DOUBTFUL: Final = 16
_ASKED_A_ROUND: Final = 40
_AWAITED_AT_A_HOST: Final = 32
# Lists go from one node to the one before it in each round, when the first has noticed who is dead.
_ROUNDS_TO_NOTICE: Final = 2


class Maintenance:
    """The neighbours and the fingers of one node, kept right.

    @param refused: called when the rules say that there is no joining.
    @param changed: called when this node has joined, or its predecessor or its successors are not what they were.
    @ivar membership: its neighbours.
    @ivar fingers: whom it knows farther away.
    @ivar likely: of all these, who probably keeps what stands at a place.
    @ivar dead: who has not answered lately.
    @ivar meeting: gets to know who asks.
    """

    __slots__ = (
        *("_node", "_now", "_asking", "_cards", "_ring", "_settings", "_refused", "_changed", "dead"),
        *("fingers", "membership", "likely", "_known", "_pongs", "_asked", "_hearsay", "_telling", "_shown_s"),
        *("_doubtful", "_restraint", "meeting", "_callers", "_timer", "_is_stopped"),
    )

    log: Final = limited_logger(__name__)

    def __init__(
        self,
        node: INode,
        asking: Requests,
        settings: Settings,
        refused: Callable[[Refused], None],
        changed: Callable[[], None],
    ) -> None:
        cards = asking.cards
        self._node = node
        self._now: Callable[[], float] = node.clock.seconds
        self._asking = asking
        self._cards = cards
        self._ring = cards.ring
        self._settings = settings
        self._refused = refused
        self._changed = changed
        self.dead: RecentlyFailed = RecentlyFailed()
        self.fingers: Fingers = Fingers(cards.own.id, cards.ring, dead=self.dead)
        self.membership: Stabilization = Stabilization(
            cards.own,
            cards.ring,
            settings.successors,
            dead=self.dead,
            asks=settings.asks,
            silence_s=settings.silence_s,
            lists_s=settings.round_s * (settings.successors + _ROUNDS_TO_NOTICE),
        )
        self.likely: OwnerEstimate = OwnerEstimate(cards.ring, self.membership, self.fingers, self.dead)
        self._known: tuple[Contact | None, tuple[Contact, ...], bool] = (None, (), False)
        self._pongs = PingState(cards)
        # Who is being asked how it stands.
        self._asked = Awaited(_AWAITED_AT_A_HOST)
        self._hearsay: RateLimits[str] = RateLimits.a_minute(_TALKERS, _HEARSAY_A_MINUTE)
        self._telling = RingEvents(node, cards.ring, tells_all=settings.tells_all)
        asking.sites.forget_shown(node.clock.seconds())
        self._shown_s = max(_SHOWN_S, 3 * settings.silence_s)
        self._doubtful = ReconnectCandidates(_MOST_DOUBTFUL)
        self._restraint = per_host_limit(_ASKED_A_ROUND, settings.round_s)
        self.meeting: ContactVerification = ContactVerification(
            node, asking, self.membership, self.fingers, self._take_met, is_closed=not settings.has_fingers
        )
        calling_s = _CALLING_ROUNDS * settings.round_s
        self._callers = PingingPredecessors(cards.own.id, cards.ring, settings.asks, calling_s)
        self._timer: IDelayedCall | None = None
        self._is_stopped = False

    def sit(self, seat: Seat) -> None:
        """Be a member at once, and know who the neighbours are; to be called before any round."""
        self.membership.begin(seat)
        for contact in seat.known:
            self.fingers.learn(contact)
        self._note_changes()

    def start_rounds(self) -> None:
        """Begin to keep the neighbours right."""
        if self._timer is None and not self._is_stopped:
            self._round()

    def stop(self) -> None:
        """End all of it; to be called before the questions of this node are ended."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def do(self, steps: Sequence[Step]) -> None:
        """Do what the rules want to be done; then see what has come of what they were told."""
        if self._is_stopped:
            return
        for step in steps:
            match step:
                case Ask(to=to):
                    self._ask(to)
                case Hint(to=to, about=about):
                    self._tell(to, partial(RingUpdate, about=self._cards.write(about)))
                case Report(to=to, dead=dead):
                    self._tell(to, partial(RingAbrupt, about=self._cards.write(dead)))
                case Seek():
                    self._seek(step)
                case Refused():
                    self._refused(step)
        self._note_changes()

    def callers(self) -> Sequence[Contact]:
        """Who asks over and over how this node stands, the nearest first."""
        return self._callers.lately(self._now())

    def failed(self, contact: Contact, *, is_ping: bool = False) -> None:
        """A node has not answered, whatever it was asked.

        @param is_ping: whether it was asked how it stands.
        """
        if self._is_stopped:
            return
        now = self._now()
        membership = self.membership
        is_near = membership.is_near(contact)
        has_shown = self._has_shown(contact)
        self._forget_shown(contact)
        if is_near and not is_ping and self._settings.pings.wait_s is not None:
            # In a classroom it is pings that count, and they go on; until then it is only not asked for anything else.
            self.dead.add(contact, now)
            return
        if is_near:
            self._telling.dead(contact)
        is_known = is_near or has_shown or contact in self.fingers
        self._callers.discard(contact)
        self.fingers.failed(contact)
        if is_known or not membership.is_member:
            self.do(membership.failed(contact, now))
        else:
            # Somebody has named it, and perhaps it never was there: it is not to make those forgotten who were.
            self.dead.add(contact, now)
            self._doubtful.add(contact, now)

    def answered(self, contact: Contact, site: RttEntry | None = None) -> bool:
        """A node has answered, whatever it was asked; whether that counts.

        At one address there is one node: who answers as another than before is not believed while it answers as that.

        @param site: what was known of its address when it was asked, where that is at hand.
        """
        if self._is_stopped:
            return False
        now, sites = self._now(), self._asking.sites
        if site is not None and now < site.note_at and site.shown == contact:
            # Nobody else has answered from there since, nor has it failed.
            site.shown_until = now + self._shown_s
            self.dead.discard(contact)
            self._doubtful.discard(contact)
            return True
        site = sites.at(contact.address, now)
        known = site.shown_at(now)
        if known is not None and known != contact and self.membership.is_member:
            self._ask(known)
            return False
        self.dead.discard(contact)
        self._doubtful.discard(contact)
        if now >= site.note_at or known != contact:
            site.has_shown(contact, now, self._shown_s)
            sites.remember(site, now)
            if self._settings.has_fingers:
                self.fingers.learn(contact)
        else:
            site.shown_until = now + self._shown_s
        return True

    def find(
        self, place: int, start: LookupReply | None = None, *, is_wary: bool | None = None, until: Until = "answered"
    ) -> Deferred[Found]:
        """Look for a place.

        @param start: whom to begin with, if not with those that this node knows best.
        @param is_wary: whether no single node is believed who is responsible; as it was set, if not given.
        @param until: when that is over.
        """
        if start is None:
            start = self._answer_for(place, MOST_STARTS)
        settings = self._settings
        wary = settings.is_wary if is_wary is None else is_wary
        alpha, most_asked = settings.alpha, settings.most_asked
        lookup = Lookup(place, self._ring, start, alpha=alpha, most_asked=most_asked, is_wary=wary, until=until)
        search = LookupDriver(place, lookup, self._asking, self.answered, self.failed)
        search.go()
        return search.found

    # What comes from others.

    def asked(self, message: RingPing, sender: Contact) -> None:
        """A member asks how this node stands."""
        self._asking.answer(message, sender.address, message.source, self.pong(message.mark))
        now = self._now()
        self._telling.pinged(sender)
        if self.membership.is_near(sender) or self._has_shown(sender):
            self._callers.note(sender, now)
            self.do(self.membership.asked(sender, now, comes_next=message.next))
        elif self.membership.is_member:
            # It counts when it answers: else one that is mute could be the predecessor, and what belongs here be lost.
            self._ask(sender)

    def pong(self, known: str = NO_MARK) -> Make:
        """How this node stands.

        @param known: the mark of what the asker has been told last.
        """
        return self._pongs.pong(self.membership.standing, known)

    def hear(self, message: RingUpdate | RingAbrupt, sender: Contact) -> None:
        """Somebody says something about another; that one is asked."""
        now = self._now()
        if not self._hearsay.allow(network_of(sender.address.host), now):
            return
        for about in self._cards.read_all((message.about,), sender.address):
            if isinstance(message, RingUpdate):
                self.do(self.membership.told(about, now))
            else:
                self.do(self.membership.told_dead(about))

    def let_go(self, message: RingQuit, sender: Contact) -> None:
        """Somebody goes."""
        membership = self.membership
        if membership.is_near(sender):
            self._telling.left(sender)
        self._callers.discard(sender)
        self._forget_shown(sender)
        self.fingers.failed(sender)
        standing = self._pongs.read(message, sender)
        self._asking.answer(message, sender.address, message.source, RingExit)
        self.do(membership.left(standing, self._now()))

    def name(self, message: RingFind, sender: Contact) -> None:
        """Somebody looks for a place."""
        try:
            place = self._ring.read(message.place)
        except ValueError:
            return
        answer = self._answer_for(place) if self.membership.is_member else LookupReply(self.membership.own)
        self._telling.sought(place, sender, answer)
        write_all, before = self._cards.write_all, answer.predecessor
        found = partial(
            RingFound,
            before=write_all(answer.before),
            after=write_all(answer.after),
            beyond=write_all(answer.beyond),
            predecessor=None if before is None else self._cards.write(before),
        )
        self._asking.answer(message, sender.address, message.source, found)
        self.meeting.meet(sender)

    # Inside.

    def _round(self) -> None:
        now = self._now()
        self._timer = self._node.clock.callLater(
            self._settings.round_s * self._node.rng.uniform(1 - _JITTER, 1 + _JITTER), self._round
        )
        self.do(self.membership.stabilise(now))
        before, doubtful = self.membership.predecessor, self._doubtful.next(now)
        if before is not None and not self._has_shown(before):
            self._ask(before)
        if doubtful is not None:
            self._ask(doubtful)
        if self._settings.has_fingers and self.membership.is_member:
            place = self.fingers.refresh(self.membership.successors, now, self._node.rng)
            if place is not None:
                self.find(place, is_wary=False)

    def _has_shown(self, contact: Contact) -> bool:
        now = self._now()
        return self._asking.sites.at(contact.address, now).shown_at(now) == contact

    def _forget_shown(self, contact: Contact) -> None:
        """When it answers again that is news."""
        site = self._asking.sites.known(contact.address, self._now())
        if site is not None and site.shown == contact:
            site.shown = None

    def _ask(self, contact: Contact) -> None:
        """Ask a node how it stands, unless it is being asked."""
        membership = self.membership
        if not self._asked.takes(contact):
            return
        if membership.is_member and not self._restraint.allow(host_of(contact.address), self._now()):
            return
        self._asked.add(contact)
        question: Make = RingJoin
        told: Told | None = None
        if membership.is_member:
            told = self._pongs.told(contact)
            question = partial(RingPing, next=membership.comes_next(contact), mark=told[0] if told else NO_MARK)
        came, failed = partial(self._take_pong, contact, told), partial(self._take_failure, contact)
        self._asking.question(contact, question, came, failed, partial(self._ask_next, contact), self._settings.pings)

    def _ask_next(self, contact: Contact) -> None:
        """A successor takes long: ask the one after it already, for neighbours on the ring may die together."""
        successors = self.membership.successors
        if self.membership.is_member and contact in successors[:-1]:
            self._ask(successors[successors.index(contact) + 1])

    def _take_pong(self, contact: Contact, told: Told | None, message: RingMessage) -> None:
        self._asked.discard(contact)
        standing: NodeState | None = None
        if isinstance(message, RingPong) and message.bits == self._ring.bits:
            standing = self._pongs.hear(message, contact, told)
        if not isinstance(message, RingPong) or standing is None:
            self.failed(contact, is_ping=True)
            return
        if not self.answered(contact):
            return
        if standing.is_member and not message.same:
            self.likely.hear(contact, standing.successors)
        self._telling.ponged(contact)
        self.do(self.membership.answered(standing, self._now()))
        if not message.same and self.membership.is_near(contact):
            self._pongs.keep(message.mark, standing)

    def _take_met(self, contact: Contact, message: RingPong) -> None:
        self._take_pong(contact, None, message)
        if self._has_shown(contact):
            # It may have answered before, when there was no room.
            self.fingers.learn(contact)

    def _take_failure(self, contact: Contact, _: Exception) -> None:
        self._asked.discard(contact)
        self.failed(contact, is_ping=True)

    def _seek(self, sought: Seek) -> None:
        """Look for a place, and say what has come of it."""
        start = self._answer_by_others(sought.place) if sought.about is None else None

        def tell(found: Found) -> None:
            self.do(self.membership.found(sought, found.before, found.holders, self._now()))

        found = self.find(sought.place, start, is_wary=False).addCallback(tell)
        found.addErrback(
            lambda failure: self.log.failure("the result of a lookup for a neighbour could not be used", failure)
        )

    def _answer_by_others(self, place: int) -> LookupReply | None:
        """Whom to ask about a place in the neighbourhood: others than the neighbours, if any are known."""
        membership = self.membership
        near = {membership.predecessor, *membership.successors}
        others = [each for each in self.fingers if each not in near and not self.dead.has(each, self._now())]
        if not others:
            return None
        chosen = self._node.rng.sample(others, min(len(others), self._settings.alpha))
        return LookupReply(membership.own, tuple(chosen))

    def _answer_for(self, place: int, *most: int) -> LookupReply:
        return answer_for(place, self._ring, self.membership, self.fingers, self.dead, self._now(), *most)

    def _tell(self, to: Contact, make: Make) -> None:
        if to != self.membership.own:
            self._asking.tell(to, make)

    def _note_changes(self) -> None:
        """Tell others if neighbours have changed."""
        before, successors, was_member = self._known
        membership = self.membership
        self._known = (membership.predecessor, membership.successors, membership.is_member)
        if self._known == (before, successors, was_member):
            return
        self._pongs.keep_only((membership.predecessor, *membership.successors))
        if membership.predecessor is not None and membership.predecessor != before:
            self._telling.follows(membership.predecessor)
        if membership.successors[:1] not in ((), successors[:1]):
            self._telling.precedes(membership.successors[0])
        if membership.successors != successors:
            self._telling.successors(membership.successors)
        self._changed()
