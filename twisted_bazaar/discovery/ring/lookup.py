"""Who is responsible for a place: a search that goes nearer step by step, asking several at once. Sans-IO.

Each node that is asked names those it knows before the place, and its successors at the place and after it, if its
list goes so far. The nearest before the place are asked in turn; the first after it that lives is the one that was
looked for. What comes is believed as far as it can be checked: a name has to lie nearer than who has named it, who was
looked for has to answer, and no single node may stand on all the ways by which it was found. So one that claims every
place, or leads astray, is asked round, and costs a few questions. There are at most so many questions in all.

Source: Stoica and others, "Chord" (ToN 2003), asking as in Maymounkov and Mazieres, "Kademlia" (IPTPS 2002); disjoint
ways as in Baumgart and Mies, "S/Kademlia" (ICPADS 2007).
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterator
from operator import attrgetter
from typing import Final

from attrs import Factory, define, frozen

from twisted_bazaar.discovery.ring.dead import Dead
from twisted_bazaar.discovery.ring.fingers import Fingers
from twisted_bazaar.discovery.ring.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.membership import USUAL_SUCCESSORS, Membership

ALPHA: Final = 3
MOST_ASKED: Final = 96
MOST_BEFORE: Final = 4
MOST_AFTER: Final = 16
MOST_LED: Final = 8
MOST_BEYOND: Final = 2
# From the own table more are taken, to have other ways if these are dead.
MOST_STARTS: Final = 12


@frozen
class Answer:
    """What a node says about a place.

    @ivar node: itself.
    @ivar before: nodes it knows between itself and the place, the nearest to the place first.
    @ivar after: its successors at the place and after it, the nearest first; none if its list does not go so far.
        One that is responsible itself comes first here.
    @ivar predecessor: the node before it.
    @ivar beyond: nodes after the place, and after that list, that it happens to know: if all who should be there have
        died at once, somebody may live who comes next.
    """

    node: Contact
    before: tuple[Contact, ...] = ()
    after: tuple[Contact, ...] = ()
    predecessor: Contact | None = None
    beyond: tuple[Contact, ...] = ()


def answer_for(
    place: int,
    ring: Ring,
    membership: Membership,
    fingers: Fingers,
    dead: Dead,
    now: float,
    most: int = MOST_BEFORE,
) -> Answer:
    """What a node says about a place, by what it knows."""
    own, successors = membership.own, dead.living(membership.successors, now)
    if membership.is_responsible(place):
        before = () if membership.predecessor is None else (membership.predecessor,)
        return Answer(own, before, (own, *successors), membership.predecessor)
    near = [contact for contact in reversed(successors) if ring.is_between(own.id, contact.id, place)]
    if len(near) < len(successors):
        # The place is in reach of the list: no finger is nearer. A list that is not full goes all the way round.
        after = successors[len(near) :]
        beyond: tuple[Contact, ...] = ()
        if len(membership.successors) < membership.most:
            after = (*after, own, *reversed(near))
        else:
            beyond = tuple(fingers.beyond(successors[-1].id, now, MOST_BEYOND))
        return Answer(own, tuple(near[:most]), after, membership.predecessor, beyond)
    far = [each for each in fingers.preceding(place, now, most) if each not in near]
    known = sorted((*far, *near[:most]), key=lambda contact: ring.distance(contact.id, place))
    return Answer(own, tuple(known[:most]), (), membership.predecessor, tuple(fingers.beyond(place, now, MOST_BEYOND)))


@frozen
class Found:
    """What has come of a search.

    @ivar place: what was looked for.
    @ivar holders: who is responsible for it, and who follows, as far as they are known; the first has answered, but
        for one found in the own list that nobody was to ask. None if nobody was found.
    @ivar before: the last node before the place whose list goes so far, this one included; None if none has answered.
    @ivar hops: how many nodes one after another led to the first holder, itself included.
    @ivar asked: how many questions it took.
    @ivar is_sure: whether no single node could have made that up.
    """

    place: int
    holders: tuple[Contact, ...]
    before: Contact | None
    hops: int
    asked: int
    is_sure: bool


@define(eq=False)
class _Named:
    """A node that has been named. On a small ring one may come before the place as well as after it.

    @ivar before: how far it is from it up to the place.
    @ivar after: how far it is from the place up to it.
    @ivar hops: how many nodes one after another led here, itself included.
    @ivar cuts: the nodes of which each stands on every way here, and so may have made it up. There are none when two
        ways share nobody.
    @ivar named: whom it has named.
    @ivar claims: whether its list goes as far as the place.
    @ivar is_holder: whether it says that it is responsible itself.
    @ivar is_listed: whether it was in a list of successors that goes as far as the place.
    """

    contact: Contact
    before: int
    after: int
    hops: int
    cuts: frozenset[Contact]
    named: list[_Named] = Factory(list)
    is_asked: bool = False
    has_answered: bool = False
    has_failed: bool = False
    claims: bool = False
    is_holder: bool = False
    is_listed: bool = False

    @property
    def suspects(self) -> frozenset[Contact]:
        """Those who may have made up what it says."""
        return self.cuts | {self.contact}


_before_by: Final = attrgetter("before")
_after_by: Final = attrgetter("after")


class Lookup:
    """One search.

    @param place: what is looked for.
    @param own: what this node itself knows, by L{answer_for} with C{most=MOST_STARTS}.
    @param wanted: how many holders are of use.
    @param alpha: how many are asked at the same time.
    @param most_asked: how many are asked in all.
    @param is_wary: whether the first holder has to be found by two ways that share nobody.
    @ivar is_over: whether L{found} is all that will come.
    """

    def __init__(
        self,
        place: int,
        ring: Ring,
        own: Answer,
        *,
        wanted: int = USUAL_SUCCESSORS,
        alpha: int = ALPHA,
        most_asked: int = MOST_ASKED,
        is_wary: bool = True,
    ) -> None:
        self.is_over = False
        self._place = place
        self._ring = ring
        self._own = own.node
        self._is_own = own.after[:1] == (own.node,)
        self._own_before = own.node if own.after and not self._is_own else None
        self._wanted = wanted
        self._alpha = alpha
        self._most_asked = most_asked
        self._is_wary = is_wary
        self._asked = 0
        # By node, how many were asked that it may have made up.
        self._led: Counter[Contact] = Counter()
        self._flying: set[Contact] = set()
        self._late: set[Contact] = set()
        self._all: dict[Contact, _Named] = {}
        # Nearest to the place first.
        self._before: list[_Named] = []
        self._after: list[_Named] = []
        for contact in own.before[:MOST_STARTS]:
            self._take_before(contact, None)
        for contact in own.after[:MOST_AFTER]:
            self._take_after(contact, None, is_listed=True)
        for contact in own.beyond[:MOST_BEYOND]:
            self._take_after(contact, None)
        self._settle()

    def next(self) -> list[Contact]:
        """Whom to ask now; each of them is to be said to have answered or failed, or to be late."""
        picked = list[Contact]()
        while not self.is_over and len(self._flying) < self._alpha and self._asked < self._most_asked:
            named = self._pick()
            if named is None:
                break
            named.is_asked = True
            self._asked += 1
            self._led.update(named.cuts)
            self._flying.add(named.contact)
            picked.append(named.contact)
        return picked

    def answered(self, answer: Answer) -> None:
        """A node has answered, from its own address; it may be late, but not unasked."""
        named = self._all.get(answer.node)
        if named is None or not named.is_asked or named.has_answered:
            return
        self._flying.discard(answer.node)
        self._late.discard(answer.node)
        named.has_answered, named.has_failed = True, False
        is_before = named in self._before
        named.claims = bool(answer.after) and is_before
        named.is_holder = answer.after[:1] == (answer.node,)
        for contact in answer.before[:MOST_BEFORE]:
            if not is_before or self._ring.is_between(answer.node.id, contact.id, self._place):
                self._take_before(contact, named)
        reached = -1
        for contact in answer.after[:MOST_AFTER]:
            distance = self._ring.distance(self._place, contact.id)
            if distance <= reached:
                break
            reached = distance
            self._take_after(contact, named, is_listed=True)
        for contact in answer.beyond[:MOST_BEYOND]:
            self._take_after(contact, named)
        predecessor = answer.predecessor
        is_nearer = predecessor is not None and self._ring.distance(self._place, predecessor.id) < named.after
        if predecessor is not None and is_nearer and not is_before and not named.is_holder:
            self._take_after(predecessor, named)
        self._settle()

    def failed(self, contact: Contact) -> None:
        """A node has not answered, and will not."""
        self._flying.discard(contact)
        self._late.discard(contact)
        named = self._all.get(contact)
        if named is not None and not named.has_answered:
            named.has_failed = True
        self._settle()

    def late(self, contact: Contact) -> None:
        """A node takes long: somebody else may be asked meanwhile. It still is to be said to answer or to fail."""
        if contact in self._flying:
            self._flying.discard(contact)
            self._late.add(contact)

    @property
    def found(self) -> Found:
        """What has been found so far."""
        order = [named for named in self._after if not named.has_failed]
        sure = self._sure
        if sure is not None:
            # Who is nearer, and may be made up, comes after who is not.
            first = order.index(sure)
            order = [*order[first:], *order[:first]]
        else:
            order.sort(key=lambda named: not named.has_answered)
        before = next(
            (named.contact for named in self._before if named.has_answered and named.claims), self._own_before
        )
        has_any = bool(order) and order[0].has_answered
        return Found(
            self._place,
            tuple(named.contact for named in order[: self._wanted]) if has_any else (),
            before,
            order[0].hops if has_any else 0,
            self._asked,
            sure is not None,
        )

    # What is known.

    def _take_before(self, contact: Contact, by: _Named | None) -> None:
        """Note that a node before the place has been named; nobody but this node itself says so if C{by} is None."""
        named = self._name(contact, by)
        if named not in self._before and named.before:
            insort(self._before, named, key=_before_by)

    def _take_after(self, contact: Contact, by: _Named | None, *, is_listed: bool = False) -> None:
        """Note that a node at the place or after it has been named."""
        named = self._name(contact, by)
        named.is_listed = named.is_listed or (is_listed and by is not named)
        if named not in self._after:
            insort(self._after, named, key=_after_by)

    def _name(self, contact: Contact, by: _Named | None) -> _Named:
        named = self._all.get(contact)
        if named is None:
            hops = 1 if by is None else by.hops + 1
            cuts = frozenset[Contact]() if by is None else by.suspects
            before = self._ring.distance(contact.id, self._place)
            after = self._ring.distance(self._place, contact.id)
            named = self._all[contact] = _Named(contact, before, after, hops, cuts)
            if contact == self._own:
                named.is_asked = named.has_answered = True
                named.is_holder = self._is_own
                named.hops = 0
        elif by is not None and by is not named:
            self._share(named, by)
        if by is not None and by is not named and named not in by.named:
            by.named.append(named)
        return named

    def _share(self, named: _Named, by: _Named) -> None:
        """Note that there is another way to a node, and so to whom it has named."""
        if not named.cuts:
            return
        cuts = named.cuts & by.suspects
        if len(cuts) < len(named.cuts):
            named.cuts = cuts
            for each in named.named:
                self._share(each, named)

    # Who is next.

    def _settle(self) -> None:
        """See whether it is over."""
        first = self._first
        is_believed = first is not None and first.has_answered and first.is_holder and not self._is_wary
        if is_believed or self._sure is not None:
            self.is_over = True
        elif not self._flying and not self._late:
            self.is_over = self._asked >= self._most_asked or self._pick() is None

    @property
    def _first(self) -> _Named | None:
        """Who seems to be responsible."""
        return next((named for named in self._after if not named.has_failed), None)

    @property
    def _sure(self) -> _Named | None:
        """Who says that it is responsible, and cannot be made up by any single node.

        If somebody lived between it and the place, it would know, for that one asks it all the time.
        """
        first = next((each for each in self._after if not each.cuts and not each.has_failed), None)
        is_sure = first is not None and first.is_holder and first.has_answered and first.is_listed
        return first if is_sure else None

    def _pick(self) -> _Named | None:
        """The next to ask."""
        first = self._first
        if first is not None and not first.is_asked:
            return first
        wanted = list(self._before_wanted(first))
        if wanted and wanted[0].cuts and len(self._flying) == self._alpha - 1 and self._is_wary:
            # The last of those asked at once goes another way than the first, if there is one.
            cuts = wanted[0].cuts
            wanted.sort(key=lambda named: cuts <= named.suspects)
        # A way that goes on and on is followed when there is no other.
        straight = (named for named in wanted if all(self._led[each] < MOST_LED for each in named.cuts))
        return next(self._after_wanted(first), None) or next(straight, None) or next(iter(wanted), None)

    def _before_wanted(self, first: _Named | None) -> Iterator[_Named]:
        """Those before the place that may tell more, the nearest first."""
        near = next((named.before for named in self._before if named.has_answered and named.claims), None)
        if first is None or not first.is_listed:
            # Those who should be there are dead. Others farther back may know who comes next.
            near = None
        for named in self._before:
            is_other_way = self._is_wary and first is not None and not first.cuts <= named.suspects
            if not named.is_asked and (near is None or named.before < near or is_other_way):
                yield named

    def _after_wanted(self, first: _Named | None) -> Iterator[_Named]:
        """The nearest after the place that is not made up, while another that may be made up is nearer."""
        if self._is_wary and first is not None and first.cuts:
            likely = next((each for each in self._after if not each.cuts and not each.has_failed), None)
            if likely is not None and not likely.is_asked:
                yield likely
