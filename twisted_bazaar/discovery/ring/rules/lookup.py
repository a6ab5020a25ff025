"""Iterative, parallel lookup of the nodes that are responsible for an identifier (Chord, 4.3). Sans-IO.

Each node that is asked names those it knows before the identifier, and its successors at the identifier and after it,
if its list goes so far. The nearest before the identifier are asked in turn; the first after it that lives is the one
that was looked for. What comes is believed as far as it can be checked: a name has to lie nearer than who has named it,
who was looked for has to answer, and no single host may stand on all the ways by which it was found. So one that claims
every identifier, or leads astray, is asked round, and costs a few questions; be it one node, or a thousand on one
machine. There are at most so many questions in all.

Source: Stoica and others, "Chord" (ToN 2003), asking as in Maymounkov and Mazieres, "Kademlia" (IPTPS 2002); disjoint
ways as in Baumgart and Mies, "S/Kademlia" (ICPADS 2007).
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Collection, Hashable, Iterator
from operator import attrgetter
from typing import Final, Literal

from attrs import frozen

from twisted_bazaar.discovery.ring.rules.identifiers import Contact, Ring
from twisted_bazaar.discovery.ring.rules.lookup_reply import MOST_BEFORE, MOST_BEYOND, LookupReply
from twisted_bazaar.discovery.ring.rules.stabilization import USUAL_SUCCESSORS
from twisted_bazaar.discovery.ring.rules.unverified_contacts import UnverifiedContacts, host_of

Until = Literal["answered", "late", "named"]
"""When a search ends: when who is responsible has said so itself; or takes long to; or has been named as such."""

ALPHA: Final = 3
MOST_ASKED: Final = 96
MOST_AFTER: Final = 16
MOST_LED: Final = 8
# From the own table more are taken, to have other ways if these are dead.
MOST_STARTS: Final = 12


@frozen
class Found:
    """The result of a lookup.

    @ivar identifier: what was looked for.
    @ivar holders: who is responsible for it, and who follows, as far as they are known; the first has answered, but
        for one found in the own list that nobody was to ask. None if nobody was found.
    @ivar before: the last node before the identifier whose list goes so far, this one included; None if none has
        answered.
    @ivar hops: how many nodes one after another led to the first holder, itself included.
    @ivar asked: how many questions it took.
    @ivar is_sure: whether no single node could have made that up.
    @ivar late: those asked who did not answer in time, be it that they are dead.
    """

    identifier: int
    holders: tuple[Contact, ...]
    before: Contact | None
    hops: int
    asked: int
    is_sure: bool
    late: tuple[Contact, ...] = ()


_before_by: Final = attrgetter("before")
_after_by: Final = attrgetter("after")


class Lookup:
    """The state of one lookup: whom to ask next, and who has been found.

    @param identifier: what is looked for.
    @param own: what this node itself knows, by L{reply_for} with C{most=MOST_STARTS}.
    @param wanted: how many holders are of use.
    @param alpha: how many are asked at the same time.
    @param most_asked: how many are asked in all.
    @param is_wary: whether the first holder has to be found by two ways that share nobody.
    @param until: when it is over, at the soonest.
    @ivar is_over: whether L{found} is all that will come.
    """

    def __init__(
        self,
        identifier: int,
        ring: Ring,
        own: LookupReply,
        *,
        wanted: int = USUAL_SUCCESSORS,
        alpha: int = ALPHA,
        most_asked: int = MOST_ASKED,
        is_wary: bool = True,
        until: Until = "answered",
    ) -> None:
        self.is_over: bool = False
        # Without wariness each says so itself: a single one that makes up a name could be believed.
        self._until: Until = until if is_wary else "answered"
        self._identifier = identifier
        self._ring = ring
        self._own = own.node
        self._is_own = own.after[:1] == (own.node,)
        self._own_before = own.node if own.after and not self._is_own else None
        self._wanted = wanted
        self._alpha = alpha
        self._most_asked = most_asked
        self._is_wary = is_wary
        self._asked = 0
        # By host, how many were asked that it may have made up.
        self._led: Counter[Hashable] = Counter()
        self._flying: set[Contact] = set()
        self._late: set[Contact] = set()
        self._overdue: set[Contact] = set()
        self._were_late: list[Contact] = []
        self._all: dict[Contact, UnverifiedContacts] = {}
        # Nearest to the identifier first.
        self._before: list[UnverifiedContacts] = []
        self._after: list[UnverifiedContacts] = []
        for contact in own.before[:MOST_STARTS]:
            self._take_before(contact, None)
        for contact in own.after[:MOST_AFTER]:
            self._take_after(contact, None, is_listed=True)
        for contact in own.beyond[:MOST_BEYOND]:
            self._take_after(contact, None)
        self._settle()

    def next_contacts(self) -> list[Contact]:
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

    def on_reply(self, answer: LookupReply) -> None:
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
            if not is_before or self._ring.is_between(answer.node.id, contact.id, self._identifier):
                self._take_before(contact, named)
        reached = -1
        for contact in answer.after[:MOST_AFTER]:
            distance = self._ring.distance(self._identifier, contact.id)
            if distance <= reached:
                break
            reached = distance
            self._take_after(contact, named, is_listed=True)
        for contact in answer.beyond[:MOST_BEYOND]:
            self._take_after(contact, named)
        predecessor = answer.predecessor
        is_nearer = predecessor is not None and self._ring.distance(self._identifier, predecessor.id) < named.after
        if predecessor is not None and is_nearer and not is_before and not named.is_holder:
            self._take_after(predecessor, named)
        self._settle()

    def on_failure(self, contact: Contact) -> None:
        """A node has not answered, and will not."""
        self._flying.discard(contact)
        self._late.discard(contact)
        named = self._all.get(contact)
        if named is not None and not named.has_answered:
            named.has_failed = True
        self._settle()

    def on_overdue(self, contact: Contact) -> None:
        """Take note that a node was asked several times: only a put waits for it once another claims the identifier."""
        if contact in self._late:
            self._overdue.add(contact)
            self._settle()

    def on_late(self, contact: Contact) -> None:
        """A node takes long: somebody else may be asked meanwhile. It still is to be said to answer or to fail."""
        if contact in self._flying:
            self._flying.discard(contact)
            self._late.add(contact)
            self._were_late.append(contact)
            if self._until == "late":
                self._settle()

    @property
    def found(self) -> Found:
        """What has been found so far."""
        order = [named for named in self._after if not named.has_failed]
        sure = self._enough
        if sure is not None:
            # Who is nearer, and may be made up, comes after who is not.
            first = order.index(sure)
            order = [*order[first:], *order[:first]]
        else:
            order.sort(key=lambda named: not named.has_answered)
        before = next(
            (named.contact for named in self._before if named.has_answered and named.claims), self._own_before
        )
        has_any = bool(order) and (order[0].has_answered or sure is not None)
        return Found(
            self._identifier,
            tuple(named.contact for named in order[: self._wanted]) if has_any else (),
            before,
            order[0].hops if has_any else 0,
            self._asked,
            sure is not None,
            tuple(self._were_late),
        )

    # What is known.

    def _take_before(self, contact: Contact, by: UnverifiedContacts | None) -> None:
        """Note that a node before the identifier has been named; only this node itself says so if C{by} is None."""
        named = self._add_named(contact, by)
        if named not in self._before and named.before:
            insort(self._before, named, key=_before_by)

    def _take_after(self, contact: Contact, by: UnverifiedContacts | None, *, is_listed: bool = False) -> None:
        """Note that a node at the identifier or after it has been named."""
        named = self._add_named(contact, by)
        # Who names itself is not named; and one host can be as many nodes as it likes.
        is_by_other = by is None or host_of(by.contact) != host_of(contact)
        named.is_listed = named.is_listed or (is_listed and is_by_other)
        if by is None and not is_listed:
            # That it is there is known from itself.
            named.cuts = frozenset([host_of(contact)])
        if named not in self._after:
            insort(self._after, named, key=_after_by)

    def _add_named(self, contact: Contact, by: UnverifiedContacts | None) -> UnverifiedContacts:
        named = self._all.get(contact)
        if named is None:
            hops = 1 if by is None else by.hops + 1
            cuts = frozenset[Hashable]() if by is None else by.suspects
            before = self._ring.distance(contact.id, self._identifier)
            after = self._ring.distance(self._identifier, contact.id)
            named = self._all[contact] = UnverifiedContacts(contact, before, after, hops, cuts)
            if contact == self._own:
                named.is_asked = named.has_answered = True
                named.is_holder = self._is_own
                named.hops = 0
        elif by is not None and by is not named:
            self._share(named, by)
        if by is not None and by is not named and named not in by.named:
            by.named.append(named)
        return named

    def _share(self, named: UnverifiedContacts, by: UnverifiedContacts) -> None:
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
        if is_believed or self._enough is not None:
            self.is_over = True
        elif not self._flying and not self._is_worth_waiting:
            self.is_over = self._asked >= self._most_asked or self._pick() is None

    @property
    def _is_worth_waiting(self) -> bool:
        """Whether one that is late may still change what has been found."""
        if self._until == "late":
            return bool(self._late)
        first = self._first_but(self._overdue)
        is_claimed = first is not None and first.has_answered and first.is_holder
        return bool(self._late - self._overdue if is_claimed else self._late)

    @property
    def _first(self) -> UnverifiedContacts | None:
        """Who seems to be responsible."""
        return self._first_but(())

    def _first_but(self, silent: Collection[Contact]) -> UnverifiedContacts | None:
        """Who seems to be responsible if these are dead."""
        alive = (named for named in self._after if not named.has_failed)
        return next((named for named in alive if named.contact not in silent), None)

    @property
    def _likely(self) -> UnverifiedContacts | None:
        """Who seems to be responsible, and cannot be made up by any single node."""
        first = next((each for each in self._after if not each.cuts and not each.has_failed), None)
        return first if first is not None and first.is_listed else None

    @property
    def _enough(self) -> UnverifiedContacts | None:
        """Who is responsible, as surely as is wanted.

        Who is asked and says so itself is sure. If somebody lived between it and the identifier, it would know, for
        that one asks it all the time.
        """
        likely = self._likely
        if likely is None or (likely.is_holder and likely.has_answered):
            return likely
        is_named = self._until == "named" or (self._until == "late" and likely.contact in self._late)
        return likely if is_named and not likely.has_answered else None

    def _pick(self) -> UnverifiedContacts | None:
        """The next to ask."""
        # Several who stand side by side may have died: while one is late the next is asked.
        first = self._first_but(self._late)
        is_for_names = self._until == "named"
        if first is not None and first.is_listed and self._flying and is_for_names:
            # They may name it too.
            return None
        unasked = None if first is None or first.is_asked else first
        if unasked is not None and (unasked.is_listed or not is_for_names):
            return unasked
        if (
            first is not None
            and first.is_listed
            and first is self._first
            and first.contact in self._flying
            and not (self._is_wary and first.cuts)
        ):
            # It is about to say so itself: others are asked if it takes long.
            return None
        wanted = list(self._before_wanted(first))
        if wanted and wanted[0].cuts and len(self._flying) == self._alpha - 1 and self._is_wary:
            # The last of those asked at once goes another way than the first, if there is one.
            cuts = wanted[0].cuts
            wanted.sort(key=lambda named: cuts <= named.suspects)
        # A way that goes on and on is followed when there is no other.
        straight = (named for named in wanted if all(self._led[each] < MOST_LED for each in named.cuts))
        return next(self._after_wanted(first), None) or next(straight, None) or next(iter(wanted), unasked)

    def _before_wanted(self, first: UnverifiedContacts | None) -> Iterator[UnverifiedContacts]:
        """Those before the identifier that may tell more, the nearest first."""
        near = next((named.before for named in self._before if named.has_answered and named.claims), None)
        if first is None or not first.is_listed:
            # Those who should be there are dead. Others farther back may know who comes next.
            near = None
        for named in self._before:
            is_other_way = self._is_wary and first is not None and not first.cuts <= named.suspects
            if not named.is_asked and (near is None or named.before < near or is_other_way):
                yield named

    def _after_wanted(self, first: UnverifiedContacts | None) -> Iterator[UnverifiedContacts]:
        """The nearest after the identifier that is not made up, while another that may be made up is nearer."""
        if self._is_wary and first is not None and first.cuts:
            likely = next((each for each in self._after if not each.cuts and not each.has_failed), None)
            if likely is not None and not likely.is_asked:
                yield likely
