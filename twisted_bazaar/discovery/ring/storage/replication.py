"""Replication: who is to have which entries when nodes come and go, without haste. Sans-IO.

What belongs to a node is also on the nodes that follow it. The node to which a span of the ring belongs compares it
with each of these, now and then and when they change, until all have the same. To one that has come before it, and has
nothing yet, a node gives once what it has of the rest, and again when more of that has come from behind.

An entry that does not belong here, and about which no node has asked for long that has this one among its followers,
is given back to where it belongs, and only then let go of. So as long as one node has it, it is not lost. Where nodes
have come between an entry and who has asked about it, that is not waited for.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from attrs import define, frozen

from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.storage.anti_entropy import length_of, span_of
from twisted_bazaar.discovery.ring.storage.compared_ranges import COMPARE_S, UNCLAIMED_S, ComparedRanges
from twisted_bazaar.discovery.ring.storage.entry import TAG_BITS, Entry
from twisted_bazaar.discovery.ring.storage.store import Span, Store

USUAL_REPLICAS: Final = 3
# Who joins or dies seldom does so alone.
SETTLE_S: Final = 0.3
# For so long a predecessor is new, which is to be given what comes from behind.
HANDED_ON_S: Final = 30.0
# So long those have that are nearer to what is not claimed any more to claim it; what is here still then is looked at
# again after a longer time, in the end with all the rest.
WITHDRAWN_S: Final = 5.0
_LONGER: Final = 4
# However much comes that others are to have too, one of them is compared with no sooner than so long after the last.
AGAIN_S: Final = 5.0
_RETRY_S: Final = 2.0
_LONGEST_RETRY_S: Final = 30.0
_MOST_WITHDRAWN: Final = 64
# So many entries are looked at in one go; strangers may have filled the store.
_LOOKED_AT: Final = 512
_NEVER: Final = float("inf")


@frozen
class Sync:
    """A span to compare with a node, and to make the same there.

    @ivar is_own: whether it belongs to this node, so that all there is of it is to be here too.
    """

    to: Contact
    span: Span
    is_own: bool


@define
class _Neighbour:
    """A node to compare with.

    @ivar due: when next; never for a predecessor that has been given what it is to have.
    @ivar failures: how often it has failed since it last worked.
    @ivar done_at: when that was.
    """

    due: float
    failures: int = 0
    done_at: float = -_NEVER


@define
class _Withdrawn:
    """A span that a node has claimed, and does not any more.

    @ivar due: when to look at what is here of it.
    @ivar wait_s: how long that has been waited for.
    @ivar looked: the last position that was looked at this time.
    """

    span: Span
    due: float
    wait_s: float = WITHDRAWN_S
    looked: int | None = None


class Replication:
    """Decides with whom one node compares which span, and when.

    @param own: itself.
    @param replicas: on how many nodes after the one that it belongs to everything is.
    """

    def __init__(
        self, own: Contact, ring: Ring, store: Store, rng: random.Random, replicas: int = USUAL_REPLICAS
    ) -> None:
        self.compared_ranges: ComparedRanges = ComparedRanges()
        self._own = own
        self._ring = ring
        self._store = store
        self._rng = rng
        self._replicas = replicas
        self._predecessor: Contact | None = None
        self._followers: tuple[Contact, ...] = ()
        self._neighbours: dict[Contact, _Neighbour] = {}
        # As they were when comparing began: what has changed since is not done by that.
        self._begun: dict[Contact, _Neighbour] = {}
        self._look_at = 0.0
        # The last position that was looked at in this round.
        self._looked: int | None = None
        self._began: float | None = None
        # The predecessor is given the rest once, and while it is new again when more of that has come: if it went on,
        # what lies wrong would be handed round for ever.
        self._has_been_given = False
        self._new_until = 0.0
        self._withdrawn: dict[Contact, _Withdrawn] = {}
        self._to_give_back: list[int] = []

    @property
    def followers(self) -> Sequence[Contact]:
        """Who is to have what belongs to this node."""
        return self._followers

    def is_own(self, identifier: int) -> bool:
        """Whether an identifier belongs to this node."""
        before = self._predecessor
        if before is None:
            return not self._followers
        return self._ring.is_within(before.id, identifier, self._own.id)

    def on_neighbours(self, predecessor: Contact | None, successors: Sequence[Contact], now: float) -> None:
        """Say who the neighbours are now."""
        if self._began is None:
            self._began = now
        followers = tuple(successors[: self._replicas])
        if predecessor == self._predecessor and followers == self._followers:
            return
        span_changed = predecessor != self._predecessor
        if span_changed:
            self._has_been_given = False
            self._new_until = now + HANDED_ON_S
        new = set(followers).difference(self._followers)
        self._predecessor, self._followers = predecessor, followers
        known, self._neighbours = self._neighbours, {}
        for contact in self._wanted():
            neighbour = known.get(contact)
            if neighbour is None or span_changed or contact in new:
                neighbour = self._soon(now)
            self._neighbours[contact] = neighbour

    def _wanted(self) -> list[Contact]:
        before = [] if self._predecessor is None else [self._predecessor]
        return list(dict.fromkeys((*before, *self._followers)))

    def _soon(self, now: float) -> _Neighbour:
        return _Neighbour(now + SETTLE_S * self._rng.uniform(0.5, 1.5))

    def sync_all_now(self) -> None:
        """Compare with everybody at once: this node goes, or something is amiss."""
        self._has_been_given = False
        for neighbour in self._neighbours.values():
            neighbour.due = 0.0

    def syncs_with(self, contact: Contact) -> list[Sync]:
        """What is to be compared with a neighbour, from now until that is said to be done or to have failed."""
        if contact in self._neighbours:
            self._begun[contact] = self._neighbours[contact]
        before = self._predecessor
        if before is None:
            # Whose what is is not known: a follower has a right to all of it, or will find whose it is.
            everything = Sync(contact, span_of(self._own.id, self._own.id), is_own=False)
            return [everything] if contact in self._followers else []
        syncs = list[Sync]()
        if contact in self._followers:
            syncs.append(Sync(contact, span_of(before.id, self._own.id), is_own=True))
        if contact == before and not self._has_been_given:
            syncs.append(Sync(contact, span_of(self._own.id, before.id), is_own=False))
        return syncs

    def next_neighbour(self, now: float) -> Contact | None:
        """With whom to compare now, if with anybody."""
        due = [(each.due, contact) for contact, each in self._neighbours.items() if each.due <= now]
        return min(due, key=lambda pair: pair[0])[1] if due else None

    @property
    def due(self) -> float:
        """When there is something to do; long ago if at once, and for ever if never as things stand."""
        if self._to_give_back or self._looked is not None:
            return 0.0
        due = [each.due for each in self._neighbours.values()]
        if self._began is not None:
            due.append(max(self._began + UNCLAIMED_S, self._look_at))
        if self._predecessor is not None:
            due += [each.due for each in self._withdrawn.values()]
        return min(due, default=_NEVER)

    def on_synced(self, contact: Contact, now: float) -> None:
        """A neighbour has what it was to have when that was asked for."""
        begun, neighbour = self._begun.pop(contact, None), self._neighbours.get(contact)
        if neighbour is not None and neighbour is begun:
            neighbour.failures, neighbour.done_at = 0, now
            neighbour.due = now + COMPARE_S * self._rng.uniform(0.75, 1.25)
            if contact == self._predecessor:
                self._has_been_given = True
                if contact not in self._followers:
                    neighbour.due = _NEVER

    def on_sync_failed(self, contact: Contact, now: float) -> None:
        """Comparing with a neighbour has failed, or it would not take everything."""
        begun, neighbour = self._begun.pop(contact, None), self._neighbours.get(contact)
        if neighbour is not None and neighbour is begun:
            neighbour.failures += 1
            wait_s = min(_LONGEST_RETRY_S, _RETRY_S * 2 ** min(neighbour.failures - 1, 8))
            neighbour.due = now + wait_s * self._rng.uniform(0.75, 1.25)

    def on_handoff(self, position: int, by: Contact, now: float) -> None:
        """An entry is new here, and was sent by a node that is not its owner.

        Of several nodes that come at once one may have given its predecessor the rest before it got that itself. So
        what a follower sends without having claimed it goes on to a predecessor that is new, and ends where it belongs.
        On a ring where nobody comes it does not go on: who sends what belongs elsewhere would have it at all nodes.
        What belongs here, and was given back by a node that is not to have it, may be nowhere else.
        """
        if self.is_own(position >> TAG_BITS):
            if by not in self._followers:
                self.on_entry_received(by, now)
            return
        before = self._predecessor
        is_rest = by in self._followers and not self.compared_ranges.has(position, now, by)
        if before is None or now >= self._new_until or not is_rest:
            return
        if self._has_been_given or before in self._begun:
            self._has_been_given = False
            self._neighbours[before] = self._soon(now)

    def on_entry_received(self, by: Contact, now: float) -> None:
        """Something that belongs here has come from a node; others that follow may not have it."""
        for contact in self._followers:
            neighbour = self._neighbours[contact]
            if contact == by or neighbour.failures:
                # It has it; or it is tried again anyway.
                continue
            due = max(self._soon(now).due, neighbour.done_at + AGAIN_S)
            # If it is being compared with, that may have come too late for it.
            if contact in self._begun or due < neighbour.due:
                self._neighbours[contact] = _Neighbour(due, done_at=neighbour.done_at)

    def on_range_compared(self, by: Contact, span: Span, now: float) -> None:
        """A node that this one follows compares what belongs to it."""
        withdrawn = self.compared_ranges.note(by, span, now)
        if withdrawn is None:
            return
        known = self._withdrawn.get(by)
        if known is not None and known.span[1] == withdrawn[0]:
            # One after another have come before it.
            withdrawn = known.span[0], withdrawn[1]
        if known is not None or len(self._withdrawn) < _MOST_WITHDRAWN:
            self._withdrawn[by] = _Withdrawn(withdrawn, now + WITHDRAWN_S)

    def next_misplaced(self, now: float) -> Entry | None:
        """An entry that is not to be here, as it seems; to be offered to where it belongs, and dropped then."""
        if not self._to_give_back and self._began is not None:
            withdrawn = [by for by, each in self._withdrawn.items() if each.due <= now]
            if withdrawn and self._predecessor is not None:
                self._look_at_withdrawn(withdrawn[0], now)
            elif now >= self._began + UNCLAIMED_S and (self._looked is not None or now >= self._look_at):
                self._look_at_all(now)
        while self._to_give_back:
            entry = self._store.entry_at(self._to_give_back.pop())
            if entry is not None:
                return entry
        return None

    def on_rightly_here(self, identifier: int, owner: int) -> None:
        """What seemed misplaced is to be here too: so is all that is looked at now and has the same owner.

        Its owner compares it with this node anyway. So nobody can make this node offer all that it keeps by claiming
        it and giving that up.

        @param identifier: where the entry belongs that was looked up.
        @param owner: the identifier of the node that it belongs to.
        """
        self._to_give_back = [
            each for each in self._to_give_back if not self._ring.is_within(identifier - 1, each >> TAG_BITS, owner)
        ]

    def _look_at_withdrawn(self, by: Contact, now: float) -> None:
        """Look at some of what a node has claimed and does not any more; when that was all, after a while again."""
        withdrawn = self._withdrawn[by]
        low, high = withdrawn.span
        withdrawn.looked = self._look_at_some((low if withdrawn.looked is None else withdrawn.looked, high), now)
        if withdrawn.looked is None:
            withdrawn.wait_s *= _LONGER
            withdrawn.due = now + withdrawn.wait_s
            if withdrawn.wait_s > UNCLAIMED_S:
                del self._withdrawn[by]

    def _look_at_all(self, now: float) -> None:
        """Look at some of what does not belong to this node; when that was all, after a while again."""
        looked, self._looked = self._looked, None
        if self._predecessor is not None:
            low, high = span_of(self._own.id, self._predecessor.id)
            if looked is not None and 0 < length_of((low, looked)) < length_of((low, high)):
                low = looked
            self._looked = self._look_at_some((low, high), now)
        if self._looked is None:
            self._look_at = now + COMPARE_S * self._rng.uniform(0.75, 1.25)

    def _look_at_some(self, span: Span, now: float) -> int | None:
        """Note what of a span is not to be here, from its beginning; returns how far that goes if that is not all."""
        positions = self._store.positions(span, _LOOKED_AT)
        # The first is taken first, from the end: what is known of it may hold for those after it.
        self._to_give_back = [
            each
            for each in reversed(positions)
            if not self.is_own(each >> TAG_BITS) and not self.compared_ranges.has(each, now)
        ]
        return positions[-1] if len(positions) == _LOOKED_AT and positions[-1] != span[1] else None


class Pacing:
    """A limit on repair: so many messages and so many bytes a second, and as much at once.

    @param a_second: messages.
    @param bytes_a_second: of their contents.
    """

    def __init__(self, a_second: float = 200.0, bytes_a_second: float = 128 << 10) -> None:
        self._a_second = a_second
        self._bytes_a_second = bytes_a_second
        self._free_at = float("-inf")

    def wait_s(self, size_bytes: int, now: float) -> float:
        """How long to wait before something may be sent; it is paid for by asking.

        @param size_bytes: how long it is.
        """
        cost_s = max(1.0 / self._a_second, size_bytes / self._bytes_a_second)
        # What was not sent in the last second may be made up for.
        free_at = max(self._free_at, now - 1.0)
        self._free_at = free_at + cost_s
        return max(0.0, self._free_at - now)
