"""Whom one member of a ring knows: what the rules about that want to be asked and told goes out, and what comes goes to
them.

The rules are L{Membership}, L{Fingers} and L{Lookup}. Here is when they are asked, and by which messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.bounded import FairTable, Ration
from twisted_bazaar.discovery.ring.asking import Asking, Make
from twisted_bazaar.discovery.ring.dead import Dead
from twisted_bazaar.discovery.ring.fingers import Fingers
from twisted_bazaar.discovery.ring.identifiers import Contact
from twisted_bazaar.discovery.ring.lookup import MOST_STARTS, Answer, Found, Lookup, answer_for
from twisted_bazaar.discovery.ring.membership import Membership
from twisted_bazaar.discovery.ring.messages import (
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
from twisted_bazaar.discovery.ring.searching import Search
from twisted_bazaar.discovery.ring.settings import Settings
from twisted_bazaar.discovery.ring.steps import Ask, Hint, Refused, Report, Seek, Standing, Step
from twisted_bazaar.errors import PeerError
from twisted_bazaar.interfaces import INode
from twisted_bazaar.values.addresses import network_of

# Rounds come a little irregularly, so that those of many nodes do not fall together.
_JITTER: Final = 0.25
# So many words about others are followed up that come from one host in a minute.
_HEARSAY_A_MINUTE: Final = 60
_TALKERS: Final = 1_024
_REPORTS_A_MINUTE: Final = 120


class Neighbourhood:
    """The neighbours and the fingers of one node, kept right.

    @param refused: called when the rules say that there is no joining.
    @param changed: called when this node has joined, or its predecessor or its successors are not what they were.
    @ivar membership: its neighbours.
    @ivar fingers: whom it knows farther away.
    @ivar dead: who has not answered lately.
    """

    log = Logger()

    def __init__(
        self,
        node: INode,
        asking: Asking,
        settings: Settings,
        refused: Callable[[Refused], None],
        changed: Callable[[], None],
    ) -> None:
        cards = asking.cards
        self._node = node
        self._asking = asking
        self._cards = cards
        self._ring = cards.ring
        self._settings = settings
        self._refused = refused
        self._changed = changed
        self.dead = Dead()
        self.fingers = Fingers(cards.own.id, cards.ring, dead=self.dead)
        self.membership = Membership(
            cards.own,
            cards.ring,
            settings.successors,
            dead=self.dead,
            asks=settings.asks,
            silence_s=settings.silence_s,
        )
        self._known: tuple[Contact | None, tuple[Contact, ...], bool] = (None, (), False)
        # Who is being asked how it stands.
        self._asked: set[Contact] = set()
        self._hearsay: FairTable[str, Ration] = FairTable(_TALKERS, 120.0, shares=_TALKERS)
        self._reports = Ration(_REPORTS_A_MINUTE)
        self._timer: IDelayedCall | None = None
        self._is_stopped = False

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

    def failed(self, contact: Contact) -> None:
        """A node has not answered, whatever it was asked."""
        if self._is_stopped:
            return
        now = self._now()
        membership = self.membership
        if contact in membership.successors or contact == membership.predecessor:
            self._report("ring-dead", "{id} at {host} port {port} does not answer, and is taken for dead", contact)
        self.fingers.failed(contact)
        self.do(membership.failed(contact, now))

    def answered(self, contact: Contact) -> None:
        """A node has answered, whatever it was asked."""
        self.dead.discard(contact)
        if self._settings.has_fingers:
            self.fingers.learn(contact)

    def find(self, place: int, start: Answer | None = None, *, is_wary: bool | None = None) -> Deferred[Found]:
        """Look for a place.

        @param start: whom to begin with, if not with those that this node knows best.
        @param is_wary: whether no single node is believed who is responsible; as it was set, if not given.
        """
        if start is None:
            start = self._answer_for(place, MOST_STARTS)
        settings = self._settings
        wary = settings.is_wary if is_wary is None else is_wary
        lookup = Lookup(place, self._ring, start, alpha=settings.alpha, most_asked=settings.most_asked, is_wary=wary)
        search = Search(place, lookup, self._asking, self.answered, self.failed)
        search.go()
        return search.found

    # What comes from others.

    def asked(self, message: RingPing, sender: Contact) -> None:
        """A member asks how this node stands."""
        self._asking.answer(message, sender.address, message.source, self.pong())
        self.do(self.membership.asked(sender, self._now()))

    def pong(self) -> Make:
        """How this node stands."""
        standing = self.membership.standing
        before = standing.predecessor
        return partial(
            RingPong,
            bits=self._ring.bits,
            member=standing.is_member,
            predecessor=None if before is None else self._cards.write(before),
            successors=self._cards.write_all(standing.successors),
        )

    def hear(self, message: RingUpdate | RingAbrupt, sender: Contact) -> None:
        """Somebody says something about another; that one is asked."""
        now = self._now()
        talker = network_of(sender.address.host)
        ration = self._hearsay.get(talker, now)
        if ration is None:
            ration = Ration(_HEARSAY_A_MINUTE)
            self._hearsay.put(talker, ration, talker, now)
        if ration.admit(now) is None:
            return
        for about in self._cards.read_all((message.about,), sender.address):
            if isinstance(message, RingUpdate):
                self.do(self.membership.told(about, now))
            else:
                self.do(self.membership.told_dead(about))

    def let_go(self, message: RingQuit, sender: Contact) -> None:
        """Somebody goes."""
        membership = self.membership
        if sender in membership.successors or sender == membership.predecessor:
            self._report("ring-left", "{id} at {host} port {port} leaves", sender)
        self.fingers.failed(sender)
        standing = self._standing_of(message, sender)
        self._asking.answer(message, sender.address, message.source, RingExit)
        self.do(membership.left(standing, self._now()))

    def name(self, message: RingFind, sender: Contact) -> None:
        """Somebody looks for a place."""
        try:
            place = self._ring.read(message.place)
        except ValueError:
            return
        answer = self._answer_for(place) if self.membership.is_member else Answer(self.membership.own)
        write_all, before = self._cards.write_all, answer.predecessor
        found = partial(
            RingFound,
            before=write_all(answer.before),
            after=write_all(answer.after),
            beyond=write_all(answer.beyond),
            predecessor=None if before is None else self._cards.write(before),
        )
        self._asking.answer(message, sender.address, message.source, found)

    # Inside.

    def _round(self) -> None:
        now = self._now()
        self._timer = self._node.clock.callLater(
            self._settings.round_s * self._node.rng.uniform(1 - _JITTER, 1 + _JITTER), self._round
        )
        self.do(self.membership.stabilise(now))
        if self._settings.has_fingers and self.membership.is_member:
            place = self.fingers.refresh(self.membership.successors, now, self._node.rng)
            if place is not None:
                self.find(place, is_wary=False)

    def _ask(self, contact: Contact) -> None:
        """Ask a node how it stands, unless it is being asked."""
        if contact in self._asked:
            return
        self._asked.add(contact)
        question = RingPing if self.membership.is_member else RingJoin
        answer = self._asking.ask(contact, question, self._settings.pings, partial(self._ask_next, contact))
        answer.addCallbacks(self._take_pong, self._take_failure, callbackArgs=(contact,), errbackArgs=(contact,))
        answer.addErrback(lambda failure: self.log.failure("a neighbour was not asked", failure))

    def _ask_next(self, contact: Contact) -> None:
        """A successor takes long: ask the one after it already, for neighbours on the ring may die together."""
        successors = self.membership.successors
        if self.membership.is_member and contact in successors[:-1]:
            self._ask(successors[successors.index(contact) + 1])

    def _take_pong(self, message: RingMessage, contact: Contact) -> None:
        self._asked.discard(contact)
        if not isinstance(message, RingPong) or message.bits != self._ring.bits:
            self.failed(contact)
            return
        self.answered(contact)
        self.do(self.membership.answered(self._standing_of(message, contact), self._now()))

    def _take_failure(self, failure: Failure, contact: Contact) -> None:
        self._asked.discard(contact)
        failure.trap(PeerError)
        self.failed(contact)

    def _standing_of(self, message: RingPong | RingQuit, sender: Contact) -> Standing:
        read_all = self._cards.read_all
        before = () if message.predecessor is None else read_all((message.predecessor,), sender.address)
        successors = read_all(message.successors, sender.address)
        return Standing(sender, before[0] if before else None, successors, getattr(message, "member", True))

    def _seek(self, sought: Seek) -> None:
        """Look for a place, and say what has come of it."""
        start = self._answer_by_others(sought.place) if sought.about is None else None

        def tell(found: Found) -> None:
            self.do(self.membership.found(sought, found.before, found.holders, self._now()))

        found = self.find(sought.place, start, is_wary=False).addCallback(tell)
        found.addErrback(lambda failure: self.log.failure("what was sought was of no use", failure))

    def _answer_by_others(self, place: int) -> Answer | None:
        """Whom to ask about a place in the neighbourhood: others than the neighbours, if any are known."""
        membership = self.membership
        near = {membership.predecessor, *membership.successors}
        others = [each for each in self.fingers if each not in near and not self.dead.has(each, self._now())]
        if not others:
            return None
        chosen = self._node.rng.sample(others, min(len(others), self._settings.alpha))
        return Answer(membership.own, tuple(chosen))

    def _answer_for(self, place: int, *most: int) -> Answer:
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
        if membership.predecessor not in (None, before):
            self._report("ring-predecessor", "{id} at {host} port {port} is the predecessor", membership.predecessor)
        if membership.successors[:1] not in ((), successors[:1]):
            self._report("ring-successor", "{id} at {host} port {port} is the successor", membership.successors[0])
        self._changed()

    def _report(self, event: str, sentence: str, contact: Contact | None) -> None:
        if contact is not None and self._reports.admit(self._now()) is not None:
            where = contact.address
            self._node.report(event, sentence, id=self._ring.text(contact.id), host=where.host, port=where.port)

    def _now(self) -> float:
        return float(self._node.clock.seconds())
