"""Chord stabilization with Zave's corrections (join, stabilize, rectify): successors and predecessor. Sans-IO.

A node knows the nodes that follow it, its successors, and the one before it. It joins by a node that it falls behind,
asks its first successor over and over who stands between them, and takes whoever asks it from nearer behind for its
predecessor. Whatever has been heard comes in by a call, and the call returns what is to be asked or told next.

Nobody is taken for a successor who has not just answered, and whoever is taken brings its own list along. A node that
lies between this one and its first successor is taken whoever has named it; since a list like that leaves out nobody
whom the old one did not leave out, that is as safe as what successors say about their predecessors, and it is by this
that rings which were split grow together.

Source: Zave, "Reasoning about identifier spaces: how to make Chord correct" (TSE 2017) and "How to make Chord correct"
(arXiv 1502.06461). Joining, stabilising and rectifying are hers. The merging rule and rings that are smaller than the
lists of successors are added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

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
from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.recently_failed import RecentlyFailed
from twisted_bazaar.discovery.ring.rules.reconnect_candidates import ReconnectCandidates

USUAL_SUCCESSORS: Final = 8
CLASSIC_SUCCESSORS: Final = 2
# A predecessor asks in every round. One that has been silent for so long is asked itself.
SILENCE_S: Final = 3.0
# After a death the lists of others may go on naming who has died for so long.
LISTS_S: Final = 5.0
# So often others are asked who stands here: neighbours that know only each other would never find out.
LOOK_ROUND_S: Final = 60.0
# A walk along a ring without shortcuts is no longer than a classroom.
_LONGEST_WALK: Final = 512


class Stabilization:
    """The successor list and the predecessor of one node.

    @param most: how many successors it keeps, if there are so many.
    @param failed: who has not answered lately; everybody who has failed is to be in there.
    @param asks: how many successors are asked in each round.
    @param silence_s: a predecessor that has been silent for so long is asked whether it is there.
    @param lists_s: for so long after its death somebody may still stand in lists; who is named later may be back.
    @ivar predecessor: the nearest node before this one that has shown that it lives; None while there is none.
    @ivar successors: the nodes after it, the nearest first, never itself; none for one that is alone.
    @ivar is_member: whether it has joined.
    @ivar most: see above.
    """

    __slots__ = (
        *("own", "predecessor", "successors", "is_member", "_ring", "most", "_asks", "_silence_s", "_lists_s"),
        *("_failed", "_reconnect", "_heard", "_look_round", "_by", "_walked", "_no_news", "_last_before"),
    )

    def __init__(
        self,
        own: Contact,
        ring: Ring,
        most: int = USUAL_SUCCESSORS,
        *,
        failed: RecentlyFailed | None = None,
        asks: int = 1,
        silence_s: float = SILENCE_S,
        lists_s: float = LISTS_S,
    ) -> None:
        self.own = own
        self.predecessor: Contact | None = None
        self.successors: tuple[Contact, ...] = ()
        self.is_member: bool = False
        self._ring = ring
        self.most = most
        self._asks = asks
        self._silence_s = silence_s
        self._lists_s = lists_s
        self._failed = RecentlyFailed() if failed is None else failed
        self._reconnect = ReconnectCandidates()
        self._heard = 0.0
        self._look_round = 0.0
        self._by: Contact | None = None
        self._walked = 0
        # What was said last that made no difference, and how it was here: the same makes none again. Nobody had been
        # lost, or was dead.
        self._no_news: tuple[NodeState, Contact | None, tuple[Contact, ...], bool, bool] | None = None
        # The identifier of the last predecessor there was: as far back what is between belongs to this node for sure.
        self._last_before: int | None = None

    @property
    def state(self) -> NodeState:
        """What to answer when asked."""
        return NodeState(self.own, self.predecessor, self.successors, self.is_member)

    def is_responsible(self, identifier: int) -> bool:
        """Whether an identifier belongs to this node, as far as it knows.

        When the predecessor has died, no more does than before, until another has shown that it comes next.
        """
        if not self.successors and self.predecessor is None:
            return self.is_member
        before = self._last_before if self.predecessor is None else self.predecessor.id
        return before is not None and self._ring.is_within(before, identifier, self.own.id)

    def is_near(self, contact: Contact) -> bool:
        """Whether somebody is a neighbour: the predecessor, or one of the successors."""
        return contact in self.successors or contact == self.predecessor

    def comes_next(self, contact: Contact) -> bool:
        """Whether a node is the first successor, or would be if it lives."""
        return contact in self.successors[:1] or self._follows(contact)

    # Coming.

    def begin(self, initial: InitialNeighbours | None = None) -> None:
        """Be the first of a new ring, or one of many that begin it at once and know their seats."""
        self.is_member = True
        if initial is not None:
            self.successors = initial.successors
            if initial.predecessor is not None:
                self._follow(initial.predecessor)

    def join(self, by: Contact) -> Sequence[Action]:
        """Begin to join a ring.

        @param by: one of its members, best the last before this node's identifier.
        """
        self._walked, self._by = 0, None
        return self._walk_to(by)

    def _walk_to(self, contact: Contact) -> Sequence[Action]:
        self._walked += 1
        return (Ping(contact),) if self._walked <= _LONGEST_WALK else (JoinRefused(),)

    def _walk_on(self, by: NodeState, now: float) -> Sequence[Action]:
        """Join behind a node, or go on to one that is nearer."""
        if not by.is_member:
            return (JoinRefused(),)
        self._by = by.node
        named = self._failed.living((by.node, *by.successors), now)
        for contact in named:
            if contact.id == self.own.id and contact != self.own:
                return (JoinRefused(contact),) if contact == by.node else self._walk_to(contact)
        following = [contact for contact in named if contact.id not in (self.own.id, by.node.id)]
        if following and self._ring.is_between(by.node.id, following[0].id, self.own.id):
            behind = [each for each in following if self._ring.is_between(by.node.id, each.id, self.own.id)]
            return self._walk_to(behind[-1])
        if not following and any(contact.id not in (self.own.id, by.node.id) for contact in by.successors):
            # All that it knows are dead, and it has not noticed: nobody is joined by it yet.
            return (JoinRefused(),)
        # This is the identifier: no list that leaves out nobody before it leaves out anybody now.
        self.successors = self._fitted(following or [by.node])
        self.is_member, self._by = True, None
        return tuple(Ping(contact) for contact in dict.fromkeys((self.successors[0], by.node)))

    # Staying.

    def stabilize(self, now: float) -> Sequence[Action]:
        """What to do in each round; rounds are best a little irregular."""
        if not self.is_member:
            return ()
        asked = list(self.successors[: self._asks])
        before = self.predecessor
        if before is not None and (not asked or now - self._heard >= self._silence_s):
            asked.append(before)
        missing = self._reconnect.next_due(now)
        if missing is not None:
            asked.append(missing)
        steps: list[Action] = [Ping(contact) for contact in dict.fromkeys(asked)]
        if now >= self._look_round:
            self._look_round = now + LOOK_ROUND_S
            steps.append(self._seek_own())
        return steps

    def on_pong(self, state: NodeState, now: float) -> Sequence[Action]:
        """A node has answered, from its own address, how it stands."""
        node = state.node
        self._failed.discard(node)
        if not self.is_member:
            return self._walk_on(state, now)
        was_lost = state.is_member and self._reconnect.discard(node)
        if node.id == self.own.id:
            return (JoinRefused(node),) if state.is_member and self._gives_way_to(node) else ()
        if not state.is_member:
            # It was here before it began anew, and may be on another ring soon.
            if self.is_near(node):
                self._reconnect.add(node, now)
            return self._drop(node)
        comes_next = any(contact.id == self.own.id for contact in state.successors[:1])
        heard = state, self.predecessor, self.successors, was_lost, self._failed.is_empty(now)
        if heard == self._no_news:
            return self._rectify(node, now, comes_next=comes_next)
        other = self._other_at(node)
        if other is not None:
            return (Ping(other),)
        self._adopt(state, now)
        steps = [*self._rectify(node, now, comes_next=comes_next)]
        asked: list[Action] = [*self._nearer(state, node, now)]
        if was_lost and node not in self.successors and node != self.predecessor:
            asked.append(Seek(node.id, node))
        # Two that came to one identifier while the ring was parted: who is in nobody's list hears of the other here.
        before = () if state.predecessor is None else (state.predecessor,)
        twins = [each for each in (*before, *state.successors) if self._is_twin(each, now)]
        asked += [Ping(twin) for twin in twins[:1]]
        asked += [Ping(each) for each in self.successors if self._failed.has(each, now)]
        if not asked and heard == (state, self.predecessor, self.successors, False, True):
            self._no_news = heard
        return [*steps, *asked]

    def on_failure(self, contact: Contact, now: float) -> Sequence[Action]:
        """A node that was asked, whatever for, has not answered."""
        self._failed.add(contact, now)
        if not self.is_member:
            # What the one before said is old by now, and others of its list may be dead too: it is asked anew.
            return (JoinRefused(),) if self._by is None or self._by == contact else self._walk_to(self._by)
        self._reconnect.add(contact, now)
        return self._drop(contact)

    def on_ping(self, by: Contact, now: float, *, comes_next: bool = False) -> Sequence[Action]:
        """A member has asked how this node stands.

        @param comes_next: whether it says that this node comes next to it; see the method.
        """
        self._failed.discard(by)
        was_lost = self._reconnect.discard(by)
        if not self.is_member or by.id == self.own.id:
            return (Ping(by),) if self._is_twin(by, now) else ()
        other = self._other_at(by)
        if other is not None:
            return (Ping(other),)
        steps = [*self._rectify(by, now, comes_next=comes_next)]
        if was_lost or self._follows(by):
            steps.append(Ping(by))
        return steps

    def on_update(self, about: Contact, now: float) -> Sequence[Action]:
        """Somebody says that a node lives."""
        if self._is_twin(about, now):
            return (Ping(about),)
        is_wanted = self.is_member and about.id != self.own.id and not self._failed.has(about, now)
        return (Ping(about),) if is_wanted and (self._follows(about) or self._precedes(about)) else ()

    def on_death_report(self, contact: Contact) -> Sequence[Action]:
        """Somebody says that a node does not answer."""
        return (Ping(contact),) if contact in self.successors or contact == self.predecessor else ()

    def on_lookup_done(
        self, sought: Seek, before: Contact | None, after: Sequence[Contact], now: float
    ) -> Sequence[Action]:
        """Say what has come of looking for an identifier.

        @param before: the last node before it.
        @param after: those at it and after it.
        """
        near = [contact for contact in (before, *after[:1]) if contact is not None]
        if sought.about is None:
            return [step for contact in near for step in self.on_update(contact, now)]
        if not self.is_member or any(contact.id == sought.identifier for contact in near):
            return ()
        # Two rings: the lost node and its neighbours in this one are told about each other.
        steps = list[Action]()
        for contact in near:
            steps += [Hint(sought.about, contact)]
            steps += self.on_update(sought.about, now) if contact == self.own else [Hint(contact, sought.about)]
        return steps

    # Going.

    def farewell_recipients(self) -> tuple[Contact, ...]:
        """Whom to tell that this node goes, and what its neighbours are."""
        near = (self.predecessor, *self.successors[:1])
        return tuple(dict.fromkeys(contact for contact in near if contact is not None))

    def on_quit(self, state: NodeState, now: float) -> Sequence[Action]:
        """A node has said, from its own address, that it goes, and who its neighbours were."""
        if not self.is_member:
            return ()
        was_near = state.node in self.successors or state.node == self.predecessor
        self._failed.add(state.node, now)
        steps = [step for step in self._drop(state.node) if not isinstance(step, Report)]
        return [*steps, *self._nearer(state, self.own, now)] if was_near else steps

    # The rules.

    def _adopt(self, state: NodeState, now: float) -> None:
        """Take a node that has answered for a successor, with its list, if it is one.

        Who died lately is left out. Who died longer ago and stands there nevertheless has come back, as it seems, and
        to leave it out would break the ring: it is a successor until it has not answered again.
        """
        node = state.node
        if not self.successors or node == self.successors[0] or self._follows(node):
            kept: tuple[Contact, ...] = ()
        elif node in self.successors:
            kept = self.successors[: self.successors.index(node)]
        else:
            return
        self.successors = self._fitted((*kept, node, *self._failed.living(state.successors, now, self._lists_s)))

    def _rectify(self, contact: Contact, now: float, *, comes_next: bool) -> Sequence[Action]:
        """Take a node that lives for the predecessor, if it is nearer; if not, see that the predecessor lives.

        Where there is none, only a node will do that says that this one comes next: between any other and this one
        there may be many, and what belongs to those would be claimed.
        """
        before = self.predecessor
        if before is None:
            if not comes_next:
                return ()
            self._follow(contact)
        elif self._ring.is_between(before.id, contact.id, self.own.id):
            self._follow(contact)
        elif contact != before:
            return (Ping(before),) if now - self._heard >= self._silence_s else ()
        self._heard = now
        return ()

    def _follow(self, contact: Contact) -> None:
        self.predecessor, self._last_before = contact, contact.id

    def _nearer(self, state: NodeState, behind: Contact, now: float) -> Sequence[Action]:
        """Ask those that a node has named, if they are nearer than the neighbours there are.

        @param behind: of those that may be predecessors only what follows it, and so is nearer. If that were not who
            has named them, two that name each other would be asked in turn for ever.
        """
        named = state.successors if state.predecessor is None else (state.predecessor, *state.successors)
        named = self._failed.living((each for each in named if each.id != self.own.id), now)
        asked = list[Contact]()
        following = [contact for contact in named if self._follows(contact)]
        if following:
            asked.append(min(following, key=lambda contact: self._ring.distance(self.own.id, contact.id)))
        preceding = [
            each for each in named if self._precedes(each) and self._ring.is_between(behind.id, each.id, self.own.id)
        ]
        if preceding:
            asked.append(min(preceding, key=lambda contact: self._ring.distance(contact.id, self.own.id)))
        return tuple(Ping(contact) for contact in dict.fromkeys(asked))

    def _drop(self, contact: Contact) -> Sequence[Action]:
        """Let go of a node, and make good for it."""
        if self.predecessor == contact:
            self.predecessor = None
        if contact not in self.successors:
            return ()
        was_first = self.successors[0] == contact
        self.successors = tuple(each for each in self.successors if each != contact)
        steps = list[Action]()
        if self.predecessor is not None:
            steps.append(Report(self.predecessor, contact))
        if self.successors:
            return [*steps, Ping(self.successors[0])] if was_first else steps
        # More have died at once than the list is long. Behind is where somebody may know more.
        if self.predecessor is not None:
            steps.append(Ping(self.predecessor))
        return [*steps, self._seek_own()]

    def _seek_own(self) -> Seek:
        return Seek((self.own.id + 1) % self._ring.size)

    def _follows(self, contact: Contact) -> bool:
        """Whether a node would be the first successor."""
        first = self.successors[0].id if self.successors else self.own.id
        return self._ring.is_between(self.own.id, contact.id, first)

    def _precedes(self, contact: Contact) -> bool:
        """Whether a node would be the predecessor."""
        before = self.own if self.predecessor is None else self.predecessor
        return self._ring.is_between(before.id, contact.id, self.own.id)

    def _other_at(self, contact: Contact) -> Contact | None:
        """The neighbour at the same identifier that is not the same: it keeps the identifier while it answers."""
        for each in self.successors:
            if each.id == contact.id and each != contact:
                return each
        before = self.predecessor
        return before if before is not None and before.id == contact.id and before != contact else None

    def _is_twin(self, contact: Contact, now: float) -> bool:
        """Whether another node is said to be at the identifier of this one."""
        own = self.own
        # By its key: this one itself may be known by several addresses.
        is_other = contact.id == own.id and contact.key != own.key
        return is_other and self.is_member and not self._failed.has(contact, now)

    def _gives_way_to(self, twin: Contact) -> bool:
        """Whether the identifier of this node is left to another that has answered from there.

        Of two that were given it, and of two whose keys give it to them, the lower key keeps it. Nobody is driven away
        by who has only chosen the identifier from where a key belongs.
        """
        if twin.key == self.own.key:
            return False
        of_key = self._ring.is_of_key(twin)
        if of_key != self._ring.is_of_key(self.own):
            return of_key
        return twin.key < self.own.key

    def _fitted(self, contacts: Iterable[Contact]) -> tuple[Contact, ...]:
        """A list of successors: as far as it goes upwards, and does not come round."""
        fitted = list[Contact]()
        reached = 0
        for contact in contacts:
            distance = self._ring.distance(self.own.id, contact.id)
            if distance <= reached or len(fitted) == self.most:
                break
            fitted.append(contact)
            reached = distance
        return tuple(fitted)
