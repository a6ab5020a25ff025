"""Chord's stabilization on one node: drives the rules, does what they ask for, and gives them what comes.

The rules are L{Stabilization}, L{Fingers} and L{twisted_bazaar.discovery.ring.rules.lookup.Lookup}. Here is when they
are asked: in rounds, and whenever a node has answered or has not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from twisted_bazaar.discovery.ring.member.lookup_driver import Lookups
from twisted_bazaar.discovery.ring.member.pinger import Pinger
from twisted_bazaar.discovery.ring.member.ring_events import RingEvents
from twisted_bazaar.discovery.ring.rpc.messages import RingAbrupt, RingPong, RingUpdate
from twisted_bazaar.discovery.ring.rpc.requests import Make, Requests
from twisted_bazaar.discovery.ring.rpc.rtt_table import RttEntry
from twisted_bazaar.discovery.ring.rules.actions import (
    Action,
    Hint,
    InitialNeighbours,
    JoinRefused,
    NodeState,
    Ping,
    Report,
    Seek,
)
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.lookup import Found
from twisted_bazaar.discovery.ring.rules.lookup_reply import LookupReply
from twisted_bazaar.discovery.ring.rules.reconnect_candidates import ReconnectCandidates
from twisted_bazaar.discovery.ring.rules.routing_table import RoutingTable
from twisted_bazaar.discovery.ring.rules.settings import Settings
from twisted_bazaar.interfaces import INode
from twisted_bazaar.system.limited_log import limited_logger
from twisted_bazaar.timer import Timer

# Rounds come a little irregularly, so that those of many nodes do not fall together.
_JITTER: Final = 0.25
# Who only asks, and has not answered for so long, may not be able to.
_SHOWN_S: Final = 15.0
_MOST_DOUBTFUL: Final = 16


class Maintenance:
    """Keeps the neighbours and the fingers of one node right: stabilizes in rounds, and takes every answer and failure.

    It is told of every answer and of every failure, whatever was asked: it is the witness of L{Requests}.

    @param table: whom the node knows; nobody else changes that but L{Responder}.
    @param refused: called when the rules say that there is no joining, or no staying.
    @param changed: called when this node has joined, or its predecessor or its successors are not what they were.
    @ivar lookups: finds identifiers by the nodes of the table.
    @ivar doubtful: nodes that somebody has named, and that did not answer.
    """

    __slots__ = (
        *("_node", "_now", "_requests", "_cards", "_settings", "_table", "_stabilization", "_fingers", "_failed"),
        *("_pinger", "_events", "_refused", "_changed", "_known", "_shown_s", "_rounds", "_is_stopped"),
        *("doubtful", "lookups"),
    )

    log: Final = limited_logger(__name__)

    def __init__(
        self,
        node: INode,
        requests: Requests,
        settings: Settings,
        table: RoutingTable,
        pinger: Pinger,
        events: RingEvents,
        refused: Callable[[JoinRefused], None],
        changed: Callable[[], None],
    ) -> None:
        self._node = node
        self._now: Callable[[], float] = node.clock.seconds
        self._requests = requests
        self._cards = requests.cards
        self._settings = settings
        self._table = table
        self._stabilization = table.stabilization
        self._fingers = table.fingers
        self._failed = table.failed
        self._pinger = pinger
        self._events = events
        self._refused = refused
        self._changed = changed
        self.lookups: Lookups = Lookups(requests, settings, table, self)
        self.doubtful: ReconnectCandidates = ReconnectCandidates(_MOST_DOUBTFUL)
        self._known: tuple[Contact | None, tuple[Contact, ...], bool] = (None, (), False)
        requests.sites.forget_shown(node.clock.seconds())
        self._shown_s = max(_SHOWN_S, 3 * settings.silence_s)
        self._rounds = Timer(node.clock, self._round)
        self._is_stopped = False

    def start_with(self, initial: InitialNeighbours) -> None:
        """Be a member at once, and know who the neighbours are; to be called before any round."""
        self._stabilization.begin(initial)
        for contact in initial.known:
            self._fingers.learn(contact)
        self._note_changes()

    def start(self) -> None:
        """Begin with the rounds that keep the neighbours right."""
        if not self._rounds.is_set and not self._is_stopped:
            self._round()

    def stop(self) -> None:
        """End all of it; to be called before the questions of this node are ended."""
        self._is_stopped = True
        self._rounds.cancel()

    def perform(self, steps: Sequence[Action]) -> None:
        """Do what the rules want to be done; then see what has come of what they were told."""
        if self._is_stopped:
            return
        for step in steps:
            match step:
                case Ping(to=to):
                    self.ping(to)
                case Hint(to=to, about=about):
                    self._tell(to, partial(RingUpdate, about=self._cards.write(about)))
                case Report(to=to, dead=dead):
                    self._tell(to, partial(RingAbrupt, about=self._cards.write(dead)))
                case Seek():
                    self._seek(step)
                case JoinRefused():
                    self._refused(step)
        self._note_changes()

    def ping(self, contact: Contact) -> None:
        """Ask a node how it stands, unless it is being asked."""
        self._pinger.ping(contact, self)

    # What comes in answer.

    def on_answer(self, contact: Contact, site: RttEntry | None = None) -> bool:
        """A node has answered, whatever it was asked; whether that counts.

        At one address there is one node: who answers as another than before is not believed while it answers as that.

        @param site: what was known of its address when it was asked, where that is at hand.
        """
        if self._is_stopped:
            return False
        now, sites = self._now(), self._requests.sites
        if site is not None and now < site.note_at and site.shown == contact:
            # Nobody else has answered from there since, nor has it failed.
            site.shown_until = now + self._shown_s
            self._failed.discard(contact)
            self.doubtful.discard(contact)
            return True
        site = sites.at(contact.address, now)
        known = site.shown_at(now)
        if known is not None and known != contact and self._stabilization.is_member:
            self.ping(known)
            return False
        self._failed.discard(contact)
        self.doubtful.discard(contact)
        if now >= site.note_at or known != contact:
            site.note_answer(contact, now, self._shown_s)
            sites.remember(site, now)
            if self._settings.has_fingers:
                self._fingers.learn(contact)
        else:
            site.shown_until = now + self._shown_s
        return True

    def on_failure(self, contact: Contact) -> None:
        """A node has not answered, whatever it was asked but how it stands."""
        is_near = self._stabilization.is_near(contact)
        if is_near and self._settings.pings.wait_s is not None and not self._is_stopped:
            # In a classroom it is pings that count, and they go on; until then it is only not asked for anything else.
            now = self._now()
            self._requests.sites.forget_shown_by(contact, now)
            self._failed.add(contact, now)
        else:
            self.on_no_pong(contact)

    def on_no_pong(self, contact: Contact) -> None:
        """A node has not said how it stands."""
        if self._is_stopped:
            return
        now, sites = self._now(), self._requests.sites
        is_near = self._stabilization.is_near(contact)
        has_shown = sites.has_shown(contact, now)
        sites.forget_shown_by(contact, now)
        if is_near:
            self._events.neighbour_failed(contact)
        is_known = is_near or has_shown or contact in self._fingers
        self._table.callers.discard(contact)
        self._fingers.remove(contact)
        if is_known or not self._stabilization.is_member:
            self.perform(self._stabilization.on_failure(contact, now))
        else:
            # Somebody has named it, and perhaps it never was there: it is not to make those forgotten who were.
            self._failed.add(contact, now)
            self.doubtful.add(contact, now)

    def on_pong(self, state: NodeState, *, is_news: bool) -> bool:
        """A node has said how it stands; whether that counts.

        @param is_news: whether it has said all of it, and not only that all is as before.
        """
        contact = state.node
        if not self.on_answer(contact):
            return False
        if state.is_member and is_news:
            self._table.owners.on_successors(contact, state.successors)
        self._events.pong_received(contact)
        self.perform(self._stabilization.on_pong(state, self._now()))
        return True

    def on_verified(self, contact: Contact, message: RingPong) -> None:
        """A member that this node did not know has been asked back, and has answered."""
        self._pinger.take_pong(contact, None, self, message)
        if self._requests.sites.has_shown(contact, self._now()):
            # It may have answered before, when there was no room.
            self._fingers.learn(contact)

    # Inside.

    def _round(self) -> None:
        now = self._now()
        self._rounds.set(self._settings.round_s * self._node.rng.uniform(1 - _JITTER, 1 + _JITTER))
        self.perform(self._stabilization.stabilize(now))
        before, doubtful = self._stabilization.predecessor, self.doubtful.next_due(now)
        if before is not None and not self._requests.sites.has_shown(before, now):
            self.ping(before)
        if doubtful is not None:
            self.ping(doubtful)
        if self._settings.has_fingers and self._stabilization.is_member:
            identifier = self._fingers.next_refresh(self._stabilization.successors, now, self._node.rng)
            if identifier is not None:
                self.lookups.find(identifier, is_wary=False)

    def _seek(self, sought: Seek) -> None:
        """Look up an identifier, and say what has come of it."""
        start = self._answer_by_others(sought.identifier) if sought.about is None else None

        def tell(found: Found) -> None:
            self.perform(self._stabilization.on_lookup_done(sought, found.before, found.holders, self._now()))

        found = self.lookups.find(sought.identifier, start, is_wary=False).addCallback(tell)
        found.addErrback(
            lambda failure: self.log.failure("the result of a lookup for a neighbour could not be used", failure)
        )

    def _answer_by_others(self, identifier: int) -> LookupReply | None:
        """Whom to ask about an identifier in the neighbourhood: others than the neighbours, if any are known."""
        stabilization = self._stabilization
        near = {stabilization.predecessor, *stabilization.successors}
        others = [each for each in self._fingers if each not in near and not self._failed.has(each, self._now())]
        if not others:
            return None
        chosen = self._node.rng.sample(others, min(len(others), self._settings.alpha))
        return LookupReply(stabilization.own, tuple(chosen))

    def _tell(self, to: Contact, make: Make) -> None:
        if to != self._stabilization.own:
            self._requests.tell(to, make)

    def _note_changes(self) -> None:
        """Tell others if neighbours have changed."""
        before, successors, was_member = self._known
        stabilization = self._stabilization
        self._known = (stabilization.predecessor, stabilization.successors, stabilization.is_member)
        if self._known == (before, successors, was_member):
            return
        self._pinger.keep_only((stabilization.predecessor, *stabilization.successors))
        if stabilization.predecessor is not None and stabilization.predecessor != before:
            self._events.predecessor_changed(stabilization.predecessor)
        if stabilization.successors[:1] not in ((), successors[:1]):
            self._events.successor_changed(stabilization.successors[0])
        if stabilization.successors != successors:
            self._events.successors_changed(stabilization.successors)
        self._changed()
